"""How often a trouble is told: once in full, then rarely; and what is asked where an error says nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from tidegate.broker.absent import absent, missing_topic
from tidegate.broker.diagnosis import explain
from tidegate.broker.trouble import TROUBLES, Trouble
from tidegate.config import Settings, load
from tidegate.notes import NoteLog
from tidegate.troubles import AGAIN_SECONDS, RARELY_SECONDS, Troubles

REFUSED = (-195, "kafka-0:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in x)")
DOWN = (-187, "1/1 brokers are down")


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **fields: self.lines.append((event, fields))


def settings(**more: str) -> Settings:
    given = {"KAFKA_BOOTSTRAP_SERVERS": "kafka-0:9092", "TOPICS": "orders,carts"} | more
    return load({f"TIDEGATE_{name}": value for name, value in given.items()})


def test_the_same_is_told_once_then_after_a_minute_then_rarely() -> None:
    log, now = Log(), 1000.0
    troubles = Troubles(settings(), log, lambda: now)
    told = []
    for _ in range(3600):
        assert troubles.error(*REFUSED)
        assert troubles.error(*DOWN), "why is known, so that nobody is up is no news"
        told += [now] * (len(log.lines) - len(told))
        now += 1
    assert [at - 1000 for at in told[:4]] == [0, AGAIN_SECONDS, AGAIN_SECONDS + RARELY_SECONDS, 60 + 2 * RARELY_SECONDS]
    assert len(told) <= 2 + 3600 / RARELY_SECONDS
    assert log.lines[1][1]["repeated"] == AGAIN_SECONDS - 1
    assert log.lines[0][1]["detail"] == REFUSED[1]


async def test_where_nothing_is_known_the_addresses_are_looked_at_once() -> None:
    asked, log = 0, Log()

    async def diagnosed(_: Settings) -> Trouble | None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return Trouble("kafka-protocol", "kafka-0:9092 speaks ssl, and this client plaintext", "Set it.")

    troubles = Troubles(settings(), log, diagnosed=diagnosed)
    for _ in range(20):
        assert troubles.error(*DOWN)
        await asyncio.sleep(0)
    assert asked == 1
    assert [fields["code"] for _, fields in log.lines] == ["kafka-protocol"]


async def test_where_the_addresses_are_well_the_error_is_told_as_it_is() -> None:
    log = Log()

    async def well(_: Settings) -> Trouble | None:
        return None

    troubles = Troubles(settings(), log, diagnosed=well)
    for _ in range(20):
        troubles.error(*DOWN)
        await asyncio.sleep(0)
    assert log.lines == [("kafka", {"detail": DOWN[1]})]


def test_what_is_not_known_here_is_logged_as_it_was() -> None:
    log = Log()
    NoteLog(log, troubles=Troubles(settings(), log)).write([("error", 27, 0, "rebalance in progress")])
    assert log.lines == [("kafka", {"code": 27, "detail": "rebalance in progress"})]


@pytest.mark.parametrize(
    ("code", "words", "name", "what"),
    [
        (-193, "x:1/bootstrap: Failed to resolve 'kafka-1:9092': Name or", "kafka-unresolved", "kafka-1:9092"),
        (*REFUSED, "kafka-unreachable", "cannot connect to kafka-0:9092: connection refused"),
        (-181, "ssl://k:1/1: SSL handshake failed: certificate verify failed", "kafka-certificate", "of k:1 is not"),
        (-195, "ssl://k:1/1: error:0A000086: certificate verify failed", "kafka-certificate", "of k:1 is not"),
        (-169, "sasl_ssl://k:1/1: Authentication failed: Invalid", "kafka-credentials", "k:1 refuses user shop"),
        (-195, f"GroupCoordinator: {REFUSED[1]}", "kafka-unreachable", "connect to kafka-0:9092: connection refused"),
        (30, "FindCoordinator response error: Group", "kafka-group-denied", "User:shop may not join group tidegate"),
        (29, "Subscribed topic not available: carts: x", "kafka-topic-denied", "User:shop may not read topic carts"),
        (29, "Fetch from broker 1 failed: x", "kafka-topic-denied", "may not read one of the topics orders, carts"),
    ],
)
def test_librdkafkas_words(code: int, words: str, name: str, what: str) -> None:
    found = explain(settings(KAFKA_SASL_USERNAME="shop", KAFKA_SASL_MECHANISM="PLAIN"), code, words)
    assert found is not None
    assert found.code == name
    assert found.code in TROUBLES
    assert what in found.what


@pytest.mark.parametrize(("code", "words"), [(-187, "down"), (-195, "Disconnected"), (-185, "timed out"), (3, "x")])
def test_words_that_say_nothing(code: int, words: str) -> None:
    assert explain(settings(), code, words) is None


def test_a_right_for_several_topics_is_one_command() -> None:
    found = explain(settings(), 29, "Fetch from broker 1 failed: denied")
    assert found is not None
    assert found.todo.endswith("--topic orders --topic carts")
    assert "--allow-principal User:ANONYMOUS" in found.todo


def test_which_topics_are_missing() -> None:
    assert absent(["orders", "^view.*", "^none$"], ["orders", "views"]) == {"^none$"}
    assert "Did you mean orders?" in missing_topic("order", ["orders", "page-views"]).todo
    assert "Did you mean" not in missing_topic("invoices", ["orders", "page-views"]).todo
    assert "such as a, b, c" in missing_topic("^x", ["d", "c", "__hidden", "b", "a"]).todo
    assert "There is none at all" in missing_topic("^x", ["__hidden"]).todo


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "GSSAPI"])
def test_a_sign_in_without_a_password_is_not_told_of_one(mechanism: str) -> None:
    chosen = settings().model_copy(update={"kafka": {"sasl.mechanisms": SecretStr(mechanism)}})
    found = explain(chosen, -169, "sasl_ssl://k:1/1: no token")
    assert found is not None
    assert f"no sign-in at k:1 with {mechanism}" in found.what
    assert "PASSWORD" not in found.todo
