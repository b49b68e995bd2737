"""A producer whose client failed for good: what it held ends once, and another client takes its place."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.test_producer import BULK, NOT_AUTHORISED, OUT_OF_ORDER, PRODUCE, Parking, offsets, parking
from harness.fixtures import require_java
from harness.kafka import KafkaServer
from tidegate.broker.embedded import EmbeddedBroker

FATAL = -150  # librdkafka's _FATAL


@pytest.fixture
def embedded() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"parked": 4}) as broker:
        yield broker


def retire(one: Parking, seconds: float = 20) -> None:
    """Until it holds nothing any more."""
    deadline = time.monotonic() + seconds
    while not one.producer.retire():
        assert time.monotonic() < deadline, one.producer.stats()
        one.drain()


def renew(one: Parking) -> None:
    retire(one)
    one.producer.renew()


def given_back(one: Parking) -> list[int]:
    """Offsets that the reader may deliver now; it takes them."""
    found = []
    while (back := one.producer.test_back()) is not None:
        found.append(back[2].offset)
    return found


def row(one: Parking, back: int) -> dict[str, int]:
    """As `Parking.row`, where so many are the reader's again: read, and neither parked nor ended."""
    found = one.ledger.totals()["bulk"]
    ended = sum(n for name, n in found.items() if name != "polled")
    assert found["polled"] == ended + one.ledger.parking()[BULK] + back, (found, one.ledger.parking(), back)
    return {name: n for name, n in found.items() if n}


def test_another_client_takes_the_place_of_one_that_failed(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers) as one:
        one.park(0)
        one.drain_until(one.idle)
        assert not one.producer.retire(), "it is well"
        embedded.push_errors(PRODUCE, OUT_OF_ORDER)
        one.park(1)
        one.drain_until(lambda: not one.producer.usable)
        assert one.park(2) == "failed"
        assert one.producer.test_room(1) == (True, FATAL)
        renew(one)
        assert one.producer.usable
        assert one.producer.failure[0] == "other"
        assert "sequence" in one.producer.failure[1]
        assert given_back(one) == [1]
        assert one.park(2) == "parked"
        one.drain_until(one.idle)
        assert row(one, 1) == {"polled": 3, "deferred": 2}
        assert one.stands()["frontier"] == 1  # the one that is to be delivered holds it
        assert one.producer.stats()["renewed"] == 1
        assert one.producer.stats()["bytes"] == 0
    assert offsets(embedded.bootstrap_servers) == Counter([0, 2])


def test_one_that_is_well_is_not_renewed(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers) as one:
        one.producer.renew()
        assert one.producer.stats()["renewed"] == 0
        one.park(0)
        one.drain_until(one.idle)
        one.producer.close(1)
        assert not one.producer.retire()
        one.producer.renew()


def test_nothing_is_drained_between_the_two(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers) as one:
        one.producer.test_fail(OUT_OF_ORDER)
        one.drain_until(lambda: not one.producer.usable)
        retire(one)
        assert not one.producer.retire(), "once is enough"
        assert one.producer.drain() == []
        assert one.park(0) == "failed"
        one.producer.renew()
        assert one.park(0) == "parked"
        one.drain_until(one.idle)
        assert one.row() == {"polled": 1, "deferred": 1}


def test_what_no_broker_is_there_for_comes_back_at_once(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers, properties={"linger.ms": "1"}) as one:
        one.park(0)
        one.drain_until(one.idle)
        embedded.set_broker_down(1)
        for offset in range(1, 200):
            assert one.park(offset) == "parked"
        one.producer.test_fail(OUT_OF_ORDER)
        renew(one)
        assert sorted(given_back(one)) == list(range(1, 200))
        assert one.codes() == {"producer-failed"}
        assert sum(one.returned for one in one.failures) == 199
        assert not any(one.again or one.discarded for one in one.failures)
        embedded.set_broker_up(1)
        assert one.park(200) == "parked"
        one.drain_until(one.idle)
        assert row(one, 199) == {"polled": 201, "deferred": 2}


def test_what_a_broker_was_sent_and_does_not_answer_comes_back_after_a_moment() -> None:
    """librdkafka would wait for the answer as long as for any other: half a minute."""
    require_java()
    with KafkaServer() as server:
        server.create_topic("parked", 1)
        with parking(server.bootstrap_servers, properties={"linger.ms": "1"}) as one:
            one.park(0)
            one.drain_until(one.idle)
            server.freeze()
            try:
                one.park(1)
                one.drain(0.3)
                time.sleep(0.3)
                one.producer.test_fail(OUT_OF_ORDER)
                begun = time.monotonic()
                retire(one)
                assert 1.5 < time.monotonic() - begun < 8
            finally:
                server.thaw()
            assert given_back(one) == [1]
            assert one.producer.stats()["uncertain"] == 1, "Kafka may have it after all"
            assert one.codes() == {"producer-failed"}
            one.producer.renew()
            assert one.park(2) == "parked"
            one.drain_until(one.idle)
            assert row(one, 1) == {"polled": 3, "deferred": 2}
        assert set(offsets(server.bootstrap_servers)) >= {0, 2}


def test_what_waits_for_another_try_is_produced_by_the_new_client(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers, retry_seconds=1.5, attempts=9) as one:
        one.park(0)
        one.drain_until(one.idle)
        embedded.push_errors(PRODUCE, NOT_AUTHORISED)
        one.park(1)
        one.drain_until(lambda: one.producer.stats()["waiting"] == 1)
        one.producer.test_fail(OUT_OF_ORDER)
        one.drain_until(lambda: not one.producer.usable)
        assert one.park(2) == "failed"
        renew(one)
        assert one.park(2) == "full"  # what failed comes first
        one.drain_until(one.idle)
        assert one.row() == {"polled": 2, "deferred": 2}
        assert one.stands()["frontier"] == 2
    assert offsets(embedded.bootstrap_servers) == Counter(range(2))


def test_closing_a_failed_one_discards_what_it_held(embedded: EmbeddedBroker) -> None:
    one = Parking(embedded.bootstrap_servers)
    one.park(0)
    one.drain_until(one.idle)
    embedded.set_broker_down(1)
    one.park(1)
    one.producer.test_fail(OUT_OF_ORDER)
    one.drain_until(lambda: not one.producer.usable)
    one.producer.close(0.1)
    assert one.row() == {"polled": 2, "deferred": 1, "discarded": 1}
    assert one.ledger.parking() == (0, 0, 0, 0)


class FastReader(threading.Thread):
    """Parks records as fast as it can until it is told to stop, and takes what is given back."""

    def __init__(self, one: Parking) -> None:
        super().__init__(daemon=True)
        self.one = one
        self.stop = False
        self.refused = 0
        self.back: list[int] = []

    def run(self) -> None:
        while not self.stop:
            _, refused = self.one.producer.test_park_many(self.one.slot, [b"a", b"b"], [b"x" * 9] * 2, 50)
            self.refused += refused
            self.back += given_back(self.one)


def test_a_reader_at_full_speed_meets_no_client_that_is_gone(embedded: EmbeddedBroker) -> None:
    """Each record is parked, given back or refused; the client is changed under the reader's hands all the while."""
    changes = 8
    with parking(embedded.bootstrap_servers, records=512, properties={"linger.ms": "1"}) as one:
        reader = FastReader(one)
        reader.start()
        for _ in range(changes):
            before = one.stands()["read"]
            one.drain_until(lambda before=before: one.stands()["read"] > before + 500)
            one.producer.test_fail(OUT_OF_ORDER)
            one.drain_until(lambda: not one.producer.usable)
            retire(one)
            changing = threading.Thread(target=one.producer.renew)  # as the event loop has it done
            changing.start()
            while changing.is_alive():
                one.drain(0)
                one.producer.stats()
            changing.join()
        reader.stop = True
        one.drain_until(lambda: not reader.is_alive())
        one.drain_until(lambda: one.producer.stats()["queued"] == 0)
        back = reader.back + given_back(one)
        one.drain_until(one.idle)
        assert reader.refused, "the reader met no failed client"
        assert one.producer.stats()["renewed"] == changes
        counts = row(one, len(back))
        assert counts["polled"] == counts["deferred"] + len(back) == one.stands()["next"]
        stored = offsets(embedded.bootstrap_servers)
    assert len(set(back)) == len(back)
    # Kafka has what was acknowledged, and perhaps what was given back because it said nothing in time.
    assert stored.keys() >= set(range(counts["polled"])) - set(back)
    assert sum(stored.values()) <= counts["polled"]


STEPS = st.lists(st.sampled_from(["park", "park", "park", "drain", "refuse", "fail", "renew", "back"]), max_size=40)


@settings(max_examples=6, deadline=None)
@given(STEPS)
def test_whatever_happens_each_record_ends_once(steps: list[str]) -> None:
    """Against a model of sets: what was parked is stored, given back, or discarded at the end."""
    with EmbeddedBroker({"parked": 2}) as broker:
        one = Parking(broker.bootstrap_servers, retry_seconds=0.05, attempts=3, properties={"linger.ms": "0"})
        parked: list[int] = []
        back: list[int] = []
        for step in steps:
            match step:
                case "park":
                    offset = len(parked)
                    if one.park(offset) == "parked":
                        parked.append(offset)
                case "refuse":
                    broker.push_errors(PRODUCE, NOT_AUTHORISED)
                case "fail" if one.producer.usable:
                    one.producer.test_fail(OUT_OF_ORDER)
                case "renew":
                    one.drain()
                    if one.producer.retire():
                        one.producer.renew()
                        assert one.producer.usable
                case "back":
                    back += given_back(one)
                case _:
                    one.drain()
            row(one, len(back))
        one.drain(0.05)
        back += given_back(one)
        one.producer.close(0.3)
        counts = row(one, len(back))
        assert one.ledger.parking()[BULK] == 0
        assert counts.get("polled", 0) == len(parked)
        assert len(back) == len(set(back))
        stored = offsets(broker.bootstrap_servers)
        assert len(stored.keys() - set(back)) >= counts.get("deferred", 0)
        assert set(range(one.stands()["frontier"])) <= stored.keys()
