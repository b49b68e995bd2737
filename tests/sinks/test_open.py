"""URLs: which sink they name, and what is refused."""

from __future__ import annotations

import pytest

from tidegate.errors import ConfigError
from tidegate.sinks.base import SinkOptions, open_sink


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://app:8080/events?x=1", "http (http://app:8080/events)"),
        ("https://user:secret@app/in", "http (https://app/in)"),
        ("http://[::1]:8080/", "http (http://[::1]:8080/)"),
        ("HTTP://app/", "http (http://app/)"),
        ("stdout:", "stdout"),
        ("blackhole:", "blackhole"),
    ],
)
def test_known_urls(url: str, name: str) -> None:
    assert open_sink(url).name == name


@pytest.mark.parametrize(
    "url",
    [
        *("", "app:8080", "/events", "ftp://app/", "kafka:t"),
        *("http://", "http:///events", "http://app:99999/", "http://app:0/", "http://[::1/"),
        *("http://a b/", "http://app/\r\nX: y"),
        *("stdout:x", "stdout://", "blackhole:/dev/null"),
    ],
)
def test_unusable_urls_are_configuration_errors(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_sink(url)
    assert caught.value.code == "sink-url"
    assert caught.value.exit_code == 2


def test_messages_show_no_secrets() -> None:
    with pytest.raises(ConfigError) as caught:
        open_sink("ftp://user:canary@app/?token=canary")
    assert "canary" not in str(caught.value)
    options = SinkOptions(headers={"Authorization": "Bearer canary"})
    assert "canary" not in repr(options)
    with pytest.raises(ConfigError) as caught:
        open_sink("http://user:canary@app/", options)
    assert "canary" not in str(caught.value)
