from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import values


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("96MiB", 96 << 20),
        ("96 MiB", 96 << 20),
        ("96Mi", 96 << 20),
        ("96mib", 96 << 20),
        ("100MB", 100_000_000),
        ("100M", 100_000_000),
        ("1.5GiB", 3 << 29),
        ("512KiB", 512 << 10),
        ("7b", 7),
        ("123456789012345678", 123456789012345678),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert values.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1e6", "1.MiB", "1,5MiB", "5 parsecs", "0x10", "1 2", "٣"])
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        values.parse_size(text)


@given(st.integers(0, 1 << 50))
def test_a_size_survives_being_shown(size: int) -> None:
    assert values.parse_size(values.format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a,b", ("a", "b")),
        (" a , b ,", ("a", "b")),
        ("a\nb\r\nc,d\n", ("a", "b", "c", "d")),
        (r"^a{1\,2},b", ("^a{1,2}", "b")),
        (r"^shop\..*,b", (r"^shop\..*", "b")),
        (r"a\\,b", (r"a\\", "b")),
        (",,", ()),
        ("", ()),
    ],
)
def test_lists(text: str, entries: tuple[str, ...]) -> None:
    assert values.split_list(text) == entries


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("0.0.0.0:9400", ("0.0.0.0", 9400)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9400", ("::1", 9400)),
        ("none", None),
    ],
)
def test_listeners(text: str, listener: tuple[str, int] | None) -> None:
    assert values.parse_listener(text) == listener


@pytest.mark.parametrize(
    "text", ["9400", ":9400", "host:", "host:x", "host:65536", "::1:9400", "host:-1", "host:9²", "[]:1", "[x]:1"]
)
def test_what_is_not_a_listener(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        values.parse_listener(text)


@pytest.mark.parametrize("text", ["127.0.0.1:9401", "127.1.2.3:0", "[::1]:9401", "localhost:9401", "none"])
def test_loopback(text: str) -> None:
    assert values.check_loopback(text) == text


@pytest.mark.parametrize("text", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1%eth0]:1", "localhost.:1", "pod:1"])
def test_what_others_can_reach_is_not_loopback(text: str) -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        values.check_loopback(text)


@pytest.mark.parametrize(("text", "seconds"), [("20", 20), ("20s", 20), (" 0.5s ", 0.5), ("500ms", 0.5), ("2m", 120)])
def test_times(text: str, seconds: float) -> None:
    assert values.parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1h", "1e3", "20 s", "nan", "1_0"])
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        values.parse_seconds(text)


@pytest.mark.parametrize(
    "url",
    ["http://app:8080/events?x=1", "https://app", "stdout:", "blackhole:", "http://[::1]:80/", "http://größe.de/"],
)
def test_targets(url: str) -> None:
    assert values.check_sink_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://u:pw@h/",
        "app:8080",
        "http://",
        "http://:80/",
        "stdout:x",
        "blackhole://x",
        "http://h:99999",
        "http://h:0/",
        "http://app..svc/",
        "http://h/ x",
    ],
)
def test_what_is_not_a_target_is_said_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        values.check_sink_url(url)
    assert url not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_credentials_leave_the_url() -> None:
    url, header = values.split_credentials("https://shop:p%40ss:w@app:8443/events?a=b")
    assert url == "https://app:8443/events?a=b"
    assert header == "Basic " + base64.b64encode(b"shop:p@ss:w").decode()
    assert values.split_credentials("https://app/") == ("https://app/", None)
    assert set(values.secrets_of_header(header)) >= {"p@ss:w", header}
    assert values.secrets_of_header("Bearer abc") == ["Bearer abc", "abc"]
    assert values.secrets_of_header("Basic ???") == ["Basic ???", "???"]


@pytest.mark.parametrize("text", ["", " x", "x\r\nHost: evil", "x\n", "ü", "x\x00y"])
def test_header_values_cannot_carry_a_second_header(text: str) -> None:
    with pytest.raises(ValueError, match="header value") as caught:
        values.check_header_value(text)
    assert not text.strip() or text not in str(caught.value)


@pytest.mark.parametrize("text", ["kafka:9092", "a:1,b:2", "[::1]:9092", "SASL_SSL://kafka:9092", "kafka"])
def test_bootstrap(text: str) -> None:
    assert values.check_bootstrap(text) == text


@pytest.mark.parametrize("text", ["^", "^shop\\..*", "^a{1,2}|b", "^[[:alpha:]]+$"])
def test_expressions(text: str) -> None:
    assert values.check_topic(text) == text


@pytest.mark.parametrize("text", ["^(", "^[a", "^a{2,1}", "^(?!x)", "^*"])
def test_what_librdkafka_would_refuse_as_an_expression(text: str) -> None:
    with pytest.raises(ValueError, match="regular expression") as caught:
        values.check_topic(text)
    assert text in str(caught.value)


@pytest.mark.parametrize("text", ["kafka:0", "kafka:99999", "kafka:port", "http://kafka:9092/x", "a b:1"])
def test_what_is_not_a_broker(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        values.check_bootstrap(text)


@given(st.text(min_size=1, max_size=200))
def test_any_group_has_a_parking_topic_that_kafka_allows(group: str) -> None:
    topic = values.parking_topic_of(group)
    assert values.check_topic_name(topic) == topic
    assert len(topic) == len(group) + len("tidegate..parked")


@given(st.sampled_from(["^a", "^a.*z$", "^[[:alpha:]]+$", "^(a|b){2}$"]), st.from_regex(r"\A[abz0]{1,5}\Z"))
def test_topics_are_matched_as_grep_does_it(expression: str, topic: str) -> None:
    python = expression.replace("[[:alpha:]]", "[a-z]")
    assert values.matches_topic(expression, topic) == (re.search(python, topic) is not None)
    assert values.matches_topic(topic, topic)
    assert not values.matches_topic(topic, topic + "x")
