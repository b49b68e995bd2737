"""The checker finds what is planted, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import identity
from harness.applog import Request
from harness.checker import Record, Report, exposed, judge
from harness.parked import Copy, Parking, parked_twice
from harness.topics import Partition

P0: Partition = ("t", 0)
P1: Partition = ("t", 1)


def record(partition: Partition, offset: int, value: bytes | None = None, key: bytes | None = b"k") -> Record:
    if value is None:
        value = b'{"p":%d,"o":%d}' % (partition[1], offset)
    return Record(partition, offset, key, identity.line(value), identity.exact(value), value)


def request(number: int, records: list[Record], klass: str = "bulk", status: int | None = 200) -> Request:
    return Request(number, number, klass, "application/x-ndjson", status, [r.line for r in records])


TOPIC = [record(P0, offset) for offset in range(10)] + [record(P1, offset) for offset in (0, 1, 5, 6)]
ENDS = {P0: 10, P1: 8}  # a control record behind offset 6


def good() -> list[Request]:
    return [request(1, TOPIC[:4]), request(2, TOPIC[4:9]), request(3, TOPIC[9:])]


def check(requests: list[Request], committed: dict[Partition, int] | None = None, **more: object) -> Report:
    return judge(TOPIC, requests, ENDS if committed is None else committed, ENDS, **more)  # type: ignore[arg-type]


def test_a_faultless_run_passes() -> None:
    report = check(good(), ordered=True, classes=lambda _: "bulk").require()
    assert (report.records, report.delivered, report.pending, report.duplicates) == (14, 14, 0, 0)


def test_a_missing_event_is_lost() -> None:
    requests = good()
    requests[1] = request(2, TOPIC[5:9])
    report = check(requests)
    assert report.kinds == {"lost"}
    assert "t[0]@4" in report.violations[0][1]
    with pytest.raises(AssertionError, match=r"lost: t\[0\]@4"):
        report.require()


@pytest.mark.parametrize("status", [503, 429, 500, 302, None])
def test_what_was_not_acknowledged_counts_as_lost(status: int | None) -> None:
    """The app saw it, but never said that it took it: nobody may commit it."""
    requests = good()
    requests[2] = request(3, TOPIC[9:], status=status)
    assert check(requests).kinds == {"lost"}


def test_a_commit_past_an_undelivered_event_is_found_and_one_before_it_is_not() -> None:
    requests = [request(1, TOPIC[:4]), request(2, TOPIC[5:8])]  # 4 is missing, 5..7 were quicker
    assert check(requests, {P0: 5}, drained=False).kinds == {"lost"}
    assert check(requests, {P0: 8}, drained=False).kinds == {"lost"}
    report = check(requests, {P0: 4}, drained=False).require()
    assert (report.delivered, report.pending) == (7, 7)


def test_duplicates_are_counted_against_the_bound() -> None:
    requests = [*good(), request(4, TOPIC[2:5])]
    assert check(requests, duplicates=3).require().duplicates == 3
    report = check(requests, duplicates=2)
    assert report.kinds == {"duplicates"}
    assert "3, allowed 2" in report.violations[0][1]


def test_a_duplicate_that_only_the_app_knows_of_counts() -> None:
    assert check([*good(), request(4, TOPIC[:2], status=None)], duplicates=1).kinds == {"duplicates"}
    assert check([*good(), request(4, TOPIC[:2], status=503)]).require().duplicates == 0


def test_an_event_that_nobody_produced_is_unknown() -> None:
    changed = replace(TOPIC[0], line=identity.line(b'{"p":0,"o":00}'))
    assert check([*good(), request(4, [changed])]).kinds == {"unknown"}


def test_a_commit_behind_the_end_is_found() -> None:
    assert check(good(), {P0: 11, P1: 8}).kinds == {"ahead"}


def test_lag_behind_a_control_record_is_found() -> None:
    assert check(good(), {P0: 10, P1: 7}).kinds == {"lag"}  # last visible offset + 1
    assert check(good(), {P0: 10, P1: 7}, drained=False).require().lag == {P1: 1}
    assert check(good(), {P1: 8}).kinds == {"lag"}  # never committed


def test_order_per_key_within_a_class() -> None:
    swapped = [request(1, [TOPIC[1], TOPIC[0]]), request(2, TOPIC[2:])]
    assert check(swapped, ordered=True).kinds == {"order"}
    assert check(swapped).require()
    other_class = [request(1, [TOPIC[1]]), request(2, [TOPIC[0]], "critical"), request(3, TOPIC[2:])]
    assert check(other_class, ordered=True).require()
    again = [*good(), request(4, TOPIC[:3])]  # a restart goes back: only first deliveries are judged
    assert check(again, ordered=True, duplicates=3).require()


def test_order_of_different_keys_is_free() -> None:
    topic = [record(P0, 0, key=b"a"), record(P0, 1, key=b"b"), record(P0, 2, key=None), record(P0, 3, key=None)]
    requests = [request(1, topic[::-1])]
    assert judge(topic, requests, {P0: 4}, {P0: 4}, ordered=True).require()


def test_a_class_that_was_not_expected_is_found() -> None:
    requests = good()
    requests[0] = request(1, TOPIC[:4], "critical")
    assert check(requests, classes=lambda _: "bulk").kinds == {"class"}
    twice = [*good(), request(4, TOPIC[:1], "critical")]
    assert check(twice, duplicates=1, classes=lambda _: "bulk").kinds == {"class"}


def test_the_app_s_complaints_are_violations() -> None:
    requests = good()
    requests[0] = replace(requests[0], errors=["the array is not JSON"])
    assert check(requests).kinds == {"protocol"}
    requests = good()
    requests[0] = replace(requests[0], invalid=[1])
    assert check(requests).kinds == {"protocol"}
    assert check(requests, invalid=lambda r: r.offset == 1).require()


def test_equal_records_are_counted_not_named() -> None:
    topic = [record(P0, offset, b"") for offset in range(3)]
    requests = [request(1, topic[:2])]
    assert judge(topic, requests, {P0: 2}, {P0: 3}, drained=False).require().pending == 1
    assert judge(topic, requests, {P0: 3}, {P0: 3}).kinds == {"lost"}
    requests.append(request(2, topic[:2]))
    report = judge(topic, requests, {P0: 3}, {P0: 3}, duplicates=1).require()
    assert (report.delivered, report.duplicates) == (3, 1)


def test_bytes_that_travel_alone_are_compared_exactly() -> None:
    topic = [record(P0, 0, b"\x00\n\xff"), record(P0, 1, b" ")]
    alone = [Request(n, n, "high", "application/octet-stream", 200, [r.exact], alone=True) for n, r in enumerate(topic)]
    assert judge(topic, alone, {P0: 2}, {P0: 2}).require().delivered == 2
    mangled = [replace(alone[0], ids=[identity.exact(b"\x00 \xff")]), alone[1]]
    assert judge(topic, mangled, {P0: 2}, {P0: 2}).kinds == {"lost", "unknown"}


def test_exposure_is_what_was_processed_and_not_committed() -> None:
    requests = [request(1, TOPIC[:4]), request(2, TOPIC[4:6], status=None), request(3, TOPIC[6:8], status=503)]
    assert exposed(TOPIC, requests, {P0: 3}) == 3
    assert exposed(TOPIC, requests, {}) == 6


@given(st.data())
def test_any_single_fault_in_a_random_run_is_found(data: st.DataObject) -> None:
    """Random batches, retries and crashes; then one of the three faults that matter, somewhere."""
    offsets = sorted(data.draw(st.sets(st.integers(0, 60), min_size=2, max_size=30)))
    topic = [record(P0, offset) for offset in offsets]
    end = offsets[-1] + 1
    requests, number = [], 0
    at = 0
    bound = 0
    while at < len(topic):
        size = data.draw(st.integers(1, 8))
        batch = topic[at : at + size]
        for _ in range(data.draw(st.integers(0, 2))):  # refused first
            number += 1
            requests.append(request(number, batch, status=503))
        number += 1
        requests.append(request(number, batch))
        at += len(batch)
        if data.draw(st.booleans()):  # a crash: some come again
            back = data.draw(st.integers(0, len(batch)))
            at -= back
            bound += back
    assert judge(topic, requests, {P0: end}, {P0: end}, duplicates=bound, ordered=True).require()

    fault = data.draw(st.sampled_from(["missing", "early commit", "twice"]))
    victim = data.draw(st.sampled_from(topic))
    if fault == "twice":
        requests.append(request(number + 1, [victim]))
        assert judge(topic, requests, {P0: end}, {P0: end}, duplicates=bound).kinds == {"duplicates"}
        return
    requests = [replace(r, ids=[i for i in r.ids if i != victim.line]) for r in requests]
    commit = end if fault == "missing" else data.draw(st.integers(victim.offset + 1, end))
    report = judge(topic, requests, {P0: commit}, {P0: end}, duplicates=bound, drained=False)
    assert report.kinds == {"lost"}
    assert judge(topic, requests, {P0: victim.offset}, {P0: end}, duplicates=bound, drained=False).require()


# ── parking ─────────────────────────────────────────────────────────────────────────────────────────────────────

PARKED: Partition = ("t.parked", 0)


def copy(offset: int, record: Record, klass: str = "bulk", **more: object) -> Copy:
    made = Copy((PARKED, offset), (record.partition, record.offset), klass, record.key, record.value)
    return replace(made, **more)  # type: ignore[arg-type]


def detour(*copies: Copy, committed: int) -> Parking:
    return Parking("t.parked", list(copies), {PARKED: committed}, {PARKED: len(copies)})


THREE = TOPIC[4:7]  # were parked
REST = [request(1, TOPIC[:4]), request(2, TOPIC[7:])]
COPIES = [copy(at, record) for at, record in enumerate(THREE)]


def test_what_waits_in_the_parking_topic_is_not_lost() -> None:
    report = check(REST, parking=detour(*COPIES, committed=0), drained=False).require()
    assert (report.delivered, report.parked, report.pending) == (11, 3, 0)
    assert check(REST, parking=detour(*COPIES, committed=0)).kinds == {"lag"}


def test_what_was_parked_and_replayed_is_delivered() -> None:
    report = check([*REST, request(3, THREE)], parking=detour(*COPIES, committed=3), classes=lambda _: "bulk")
    assert (report.require().delivered, report.parked) == (14, 0)


def test_a_parked_record_that_is_gone_is_lost() -> None:
    report = check(REST, parking=detour(*COPIES[:2], committed=0), drained=False)
    assert report.kinds == {"lost"}
    assert "t[0]@6" in report.violations[0][1]


def test_a_replayed_record_that_was_committed_without_being_delivered_is_found() -> None:
    requests = [*REST, request(3, THREE[1:])]
    report = check(requests, parking=detour(*COPIES, committed=3))
    assert report.kinds == {"lost"}
    assert "committed as t.parked[0]@0" in report.violations[0][1]
    assert check(requests, parking=detour(*COPIES, committed=0), drained=False).require().parked == 1
    # Its source is not committed and brings it again: not lost yet, and wrong all the same.
    early = {P0: 4, P1: 8}
    assert check(requests, early, parking=detour(*COPIES, committed=3), drained=False).kinds == {"replay"}
    again = detour(*COPIES, copy(3, THREE[0]), committed=3)  # parked twice: another copy waits
    assert check(requests, parking=again, drained=False).kinds == {"lost"}


def test_a_critical_record_that_was_parked_is_found() -> None:
    parking = detour(*COPIES, committed=0)
    report = check(REST, parking=parking, drained=False, parkable=lambda record: record.offset != 5)
    assert report.kinds == {"parking"}
    assert "t[0]@5 may never be parked" in report.violations[0][1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"origin": (PARKED, 0)}, "parked out of the parking topic itself"),
        ({"origin": (P0, 77)}, "where there is nothing"),
        ({"origin": None, "why": "magic"}, "is no envelope: magic"),
        ({"klass": "high"}, "was parked as high, not bulk"),
        ({"value": b"{}"}, "the value of t[0]@4"),
        ({"key": None}, "the key of t[0]@4"),
        ({"headers": ((b"a", None),)}, "the headers of t[0]@4"),
    ],
)
def test_a_copy_that_is_not_what_it_should_be_is_found(change: dict[str, object], words: str) -> None:
    bad = replace(COPIES[0], **change)  # type: ignore[arg-type]
    parking = detour(bad, *COPIES[1:], COPIES[0], committed=0)
    report = check(REST, parking=parking, drained=False, classes=lambda _: "bulk")
    assert report.kinds == {"parking"}
    assert words in report.violations[0][1]


def test_a_copy_with_another_time_is_found() -> None:
    topic = [replace(TOPIC[0], timestamp_ms=1000)]
    for timestamp_ms, kinds in ((1000, set()), (1001, {"parking"})):
        parking = detour(copy(0, topic[0], timestamp_ms=timestamp_ms), committed=0)
        report = judge(topic, [], {P0: 1}, {P0: 1}, parking=parking, drained=False)
        assert report.kinds == kinds


def test_what_may_be_dropped_is_counted() -> None:
    bulk = {record.line for record in THREE}
    rules = {"droppable": lambda record: record.line in bulk}
    report = check(REST, dropped=3, **rules).require()
    assert (report.delivered, report.dropped, report.pending) == (11, 3, 0)
    assert check(REST, dropped=2, **rules).kinds == {"dropped"}
    assert check(REST, **rules).require().dropped == 3
    other = [request(1, TOPIC[1:4]), REST[1]]  # one more is missing, of a class that may not be
    assert check(other, **rules).kinds == {"lost"}


def test_exposure_counts_every_place_that_brings_a_record_again() -> None:
    twice = detour(*COPIES, copy(3, THREE[0]), committed=0)
    assert exposed(TOPIC, REST, ENDS, detour(*COPIES, committed=0)) == 0  # each comes once
    assert exposed(TOPIC, [*REST, request(3, THREE)], ENDS, detour(*COPIES, committed=2)) == 1
    assert exposed(TOPIC, REST, ENDS, twice) == 1
    assert exposed(TOPIC, REST, {P0: 4, P1: 8}, detour(*COPIES, committed=0)) == 3 + 3  # 7 to 9 were delivered
    assert parked_twice(twice) == 1
    requests = [*REST, request(3, THREE), request(4, THREE[:1])]
    assert check(requests, parking=replace(twice, committed={PARKED: 4}), duplicates=1).require().duplicates == 1
    assert check(requests, parking=replace(twice, committed={PARKED: 4})).kinds == {"duplicates"}


@given(st.data())
def test_any_single_fault_in_a_random_detour_is_found(data: st.DataObject) -> None:
    """Some records are parked, some of those replayed; then one is lost on its way, wherever that is."""
    topic = [record(P0, offset) for offset in range(data.draw(st.integers(2, 30)))]
    end = len(topic)
    chosen = data.draw(st.lists(st.sampled_from(topic), unique_by=lambda r: r.offset))
    copies = [copy(at, one) for at, one in enumerate(chosen)]
    done = data.draw(st.integers(0, len(copies)))
    direct = [one for one in topic if one not in chosen]
    requests = [request(1, direct), request(2, chosen[:done])]
    parking = detour(*copies, committed=done)
    report = judge(topic, requests, {P0: end}, {P0: end}, parking=parking, drained=False).require()
    assert (report.delivered, report.parked, report.duplicates) == (len(direct) + done, len(copies) - done, 0)

    victim = data.draw(st.sampled_from(topic))
    requests = [replace(r, ids=[i for i in r.ids if i != victim.line]) for r in requests]
    parking = detour(*[c for c in copies if c.place[1] < done or c.origin != (P0, victim.offset)], committed=done)
    report = judge(topic, requests, {P0: end}, {P0: end}, parking=parking, drained=False)
    assert "lost" in report.kinds
