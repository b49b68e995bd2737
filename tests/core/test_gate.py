"""Gate against the plain model: who is kept, with which weight, and who may be dropped at all."""

from __future__ import annotations

import random
import re
import threading
from fractions import Fraction

import pytest
from gate_model import ALL, Sample, place_randomness, randomness, read
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidegate.core import gate as native
from tidegate.core.gate import DELIVER, DROP, PARK, RUNGS, THRESHOLDS, Gate
from tidegate.pressure.sampling import LADDER

CRITICAL, HIGH, NORMAL, BULK = range(4)

seeds = st.one_of(st.just(0), st.integers(0, 2**64 - 1))
keys = st.binary(min_size=1, max_size=40)
hexes = st.text("0123456789abcdefF", min_size=1, max_size=15)
tracestates = st.one_of(
    st.just(""),
    st.builds("ot=th:{};rv:{}".format, hexes, st.text("0123456789abcdef", min_size=14, max_size=14)),
    st.builds("x=1, ot=rv:{}".format, st.text("0123456789abcdef", min_size=13, max_size=15)),
    st.builds("ot=th:{}".format, hexes),
    st.text(st.sampled_from("ot=thrv:;,01cF \tx-"), max_size=30),
)


def test_ladders_are_one() -> None:
    assert [Fraction(ALL - t, ALL) for t in THRESHOLDS] == [Fraction(p) for p in LADDER]
    assert len(LADDER) == RUNGS


@given(keys, seeds)
@example(b"", 0)
def test_randomness_is_the_low_part_of_xxh64(key: bytes, seed: int) -> None:
    assert native.randomness(key, seed) == randomness(key, seed)


@settings(max_examples=1000)
@given(
    seeds,
    st.one_of(st.none(), keys),
    st.one_of(st.none(), st.binary(max_size=9)),
    st.tuples(st.binary(max_size=9), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)),
    tracestates,
    st.sampled_from([1.0, 2.0, 0.5, 3.0]),
    st.sampled_from([PARK, DROP]),
    st.integers(0, RUNGS - 1),
)
def test_gate_and_model_agree(
    seed: int,
    key: bytes | None,
    record_key: bytes | None,
    place: tuple[bytes, int, int],
    tracestate: str,
    factor: float,
    rest: int,
    rung: int,
) -> None:
    gate = Gate(seed)
    gate.order(BULK, LADDER[rung], rest)
    got = gate.admit(
        BULK,
        b"page",
        key=key,
        record_key=record_key,
        topic=place[0],
        partition=place[1],
        offset=place[2],
        tracestate=tracestate.encode(),
        factor=factor,
    )
    came = Sample(read(tracestate).r, read(tracestate).t, Fraction(factor))
    if THRESHOLDS[rung] == 0 and rest == PARK:  # calm: nothing is asked, nothing is changed
        assert got.action == DELIVER
        assert Fraction(got.weight) == pytest.approx(came.weight)
        return
    own = (
        randomness(key, seed) if key else randomness(record_key, seed) if record_key else place_randomness(*place, seed)
    )
    sample = came.settled(own)
    kept = sample.r is not None and sample.r >= THRESHOLDS[rung]
    assert got.action == (DELIVER if kept else rest)
    assert got.randomness == sample.r
    if kept and rest == DROP:
        sample = Sample(sample.r, max(sample.t, THRESHOLDS[rung]), sample.factor)
    assert got.threshold == sample.t
    assert got.weight == pytest.approx(float(sample.weight), rel=1e-12)
    assert abs(got.rate - min(max(sample.weight, 1), 2**31 - 1)) < 1
    again = read(got.tracestate)
    assert (again.r, again.t) == (sample.r, sample.t)


@pytest.mark.parametrize("tracestate", ["ot=th:c", "x=1,ot=th:c;k:v"])
def test_a_traceparent_gives_the_randomness_of_a_threshold_alone(tracestate: str) -> None:
    parent = b"00-0af7651916cd43dd84f8eb211c80319c-b7ad6b7169203331-03"
    gate = Gate()
    gate.order(BULK, 1 / 8, DROP)
    assert gate.admit(BULK, key=b"k", tracestate=tracestate.encode(), traceparent=parent)[:4] == (
        DELIVER,
        0xF8EB211C80319C,
        THRESHOLDS[6],
        8.0,
    )
    # Without a threshold nobody has sampled by the trace.
    assert gate.admit(BULK, key=b"k", traceparent=parent).randomness == native.randomness(b"k")


def test_published_example() -> None:
    """A quarter is th:c (OpenTelemetry, "Rejection Threshold")."""
    gate = Gate()
    gate.order(BULK, 0.25, DROP)
    passages = [gate.admit(BULK, key=b"%d" % n) for n in range(400)]
    kept = [p for p in passages if p.action == DELIVER]
    assert {p.weight for p in kept} == {4.0}
    assert {p.tracestate.partition(";rv:")[0] for p in kept} == {"ot=th:c"}
    assert all(len(p.tracestate) == len("ot=th:c;rv:") + 14 for p in kept)
    assert len(kept) == pytest.approx(100, abs=30)


@given(st.lists(keys, min_size=1, max_size=60), st.lists(st.integers(0, RUNGS - 1), min_size=2, max_size=4), seeds)
def test_survivors_nest(found: list[bytes], rungs: list[int], seed: int) -> None:
    """Of a lower rate they are a part of those of a higher one, directly and one stage behind the other."""
    kept = {}
    for rung in range(RUNGS):
        gate = Gate(seed)
        gate.order(BULK, LADDER[rung], DROP)
        kept[rung] = {key for key in found if gate.admit(BULK, key=key).action == DELIVER}
    assert all(kept[n + 1] <= kept[n] for n in range(RUNGS - 1))
    # The stages have seeds of their own: what counts is R as it came.
    alive = dict.fromkeys(found, "")
    for stage, rung in enumerate(rungs):
        gate = Gate(seed + stage if seed < 2**63 else seed - stage)
        gate.order(BULK, LADDER[rung], DROP)
        passed = {key: gate.admit(BULK, key=key, tracestate=state.encode()) for key, state in alive.items()}
        alive = {key: p.tracestate for key, p in passed.items() if p.action == DELIVER}
        assert all(p.weight == 1 / LADDER[max(rungs[: stage + 1])] for p in passed.values() if p.action == DELIVER)
    assert set(alive) == kept[max(rungs)]


def test_two_replicas_agree_and_fleets_do_not() -> None:
    a, b, other = Gate(7), Gate(7), Gate(8)
    for gate in (a, b, other):
        gate.order(BULK, 0.5, DROP)
    found = [b"%d" % n for n in range(1000)]
    # In another order, with other types seen before.
    for n in range(2000):
        b.admit(BULK, b"type %d" % n)
    of_a = {key: a.admit(BULK, b"t", key=key).action for key in found}
    assert {key: b.admit(BULK, b"t", key=key).action for key in reversed(found)} == of_a
    assert {key: other.admit(BULK, b"t", key=key).action for key in found} != of_a


def test_parking_keeps_sessions_whole_and_changes_no_weight() -> None:
    gate = Gate()
    gate.order(NORMAL, 0.3, PARK)
    of_session: dict[bytes, set[int]] = {}
    for n in range(3000):
        session = b"s%d" % (n % 300)
        passed = gate.admit(NORMAL, b"type%d" % (n % 7), key=session)
        of_session.setdefault(session, set()).add(passed.action)
        assert (passed.weight, passed.threshold) == (1.0, 0)
    assert all(len(actions) == 1 for actions in of_session.values())
    parked = sum(actions == {PARK} for actions in of_session.values())
    assert parked == pytest.approx(210, abs=40)
    delivered, again, dropped = gate.totals()[NORMAL]
    assert (delivered + again, dropped) == (3000, 0)
    gate.order(NORMAL, 0.0, PARK)
    assert {gate.admit(NORMAL, key=b"%d" % n).action for n in range(300)} == {PARK}
    gate.release(NORMAL)
    assert {gate.admit(NORMAL, key=b"%d" % n).action for n in range(300)} == {DELIVER}


def test_types_go_by_their_own_rungs() -> None:
    gate = Gate(3)
    for name in (b"view", b"rare"):
        gate.admit(BULK, name)
        gate.admit(NORMAL, name)
    slots = {t.name: t.slot for t in gate.types(BULK)}
    gate.order(BULK, 1.0, DROP)
    gate.set_rungs({slots["view"]: 12})
    actions = {
        name: [gate.admit(BULK, name, key=b"%d" % n) for n in range(2000)] for name in (b"view", b"rare", b"new")
    }
    assert all(p.action == DELIVER and p.weight == 1 for name in (b"rare", b"new") for p in actions[name])
    kept = [p for p in actions[b"view"] if p.action == DELIVER]
    assert len(kept) == pytest.approx(31, abs=17)
    assert {p.weight for p in kept} == {64.0}
    gate.set_rungs({slots["view"]: None})  # as its class is
    assert gate.admit(BULK, b"view", key=b"1").weight == 1
    assert {t.name: t.records for t in gate.types(BULK)} == {"view": 2002, "rare": 2001, "new": 2000}
    assert [t.name for t in gate.types(CRITICAL)] == []


def test_a_type_that_lost_its_slot_leaves_nothing_behind() -> None:
    gate = Gate()
    gate.admit(BULK, b"old")
    [old] = gate.types(BULK)
    gate.set_rungs({old.slot: 12})
    gate.retire([old.slot])
    assert gate.types(BULK)[0].retired
    gate.set_rungs({old.slot: 12})
    assert not gate.types(BULK)[0].retired
    gate.retire([old.slot])
    for n in range(5000):
        gate.admit(BULK, b"%d" % n)
    found = {t.name: t for t in gate.types(BULK)}
    assert None in found  # it was full
    assert "old" not in found
    taken = next(t for t in found.values() if t.slot[0] == old.slot[0])
    assert taken.slot != old.slot
    gate.set_rungs({old.slot: 12})  # late
    gate.order(BULK, 1.0, DROP)
    assert gate.admit(BULK, str(taken.name).encode(), key=b"1").weight == 1
    assert len(gate.types(BULK)) <= 1025


def test_what_may_never_be_ordered() -> None:
    gate = Gate(sampled=[BULK])
    for klass, keep, rest in [
        (CRITICAL, 0.99, PARK),
        (CRITICAL, 0.5, DROP),
        (HIGH, 1.0, DROP),
        (NORMAL, 0.5, DROP),
        (BULK, 1 / 65, DROP),
        (BULK, -0.1, PARK),
        (BULK, 1.1, PARK),
        (BULK, float("nan"), PARK),
        (BULK, 0.5, DELIVER),
        (4, 1.0, PARK),
        (-1, 1.0, PARK),
    ]:
        with pytest.raises(ValueError, match=r"."):
            gate.order(klass, keep, rest)
    for klass in range(4):
        assert gate.admit(klass, key=b"1").action == DELIVER
    for sampled in ([HIGH], [CRITICAL], [5]):
        with pytest.raises(ValueError, match="never sampled"):
            Gate(sampled=sampled)
    for orders in ({(2000, 2): 1}, {(0, 2): 13}, {(0, 2): -1}):
        with pytest.raises(ValueError, match="no slot"):
            gate.set_rungs(orders)


def test_moments_are_the_squares_of_key_totals() -> None:
    """Within four standard errors of an eighth, at each rung and below it, and only what came since the last call."""
    rng = random.Random(5)
    gate = Gate(1)
    for name in (b"a", b"b"):
        gate.admit(BULK, name)
    rungs = {"a": 2, "b": 6}
    gate.order(BULK, 1.0, DROP)
    gate.set_rungs({t.slot: rungs[str(t.name)] for t in gate.types(BULK)})
    for _ in range(2):
        wide = deep = 0
        for key in range(400):
            many, few = rng.choice([1, 2, 30]), rng.choice([0, 1, 9])
            for name, n in ((b"a", many), (b"b", few)):
                for _turn in range(n):
                    gate.admit(BULK, name, key=b"%d" % key)
            wide, deep = wide + (many + few) ** 2, deep + few**2
        moments = gate.moments(BULK)
        assert moments[0] == moments[2] == pytest.approx(wide, rel=0.5)
        assert moments[3] == moments[6] == pytest.approx(deep, rel=0.5)
        assert moments[7] == 0
    assert gate.moments(BULK) == (0.0,) * RUNGS


def test_orders_while_a_reader_runs() -> None:
    """The reader's loop holds no lock of Python's: orders and looks go on beside it, and every record is counted."""
    gate = Gate(2)
    types = [b"type %d" % (n % 1500) for n in range(6000)]  # more than there are slots
    keys = [b"%d" % n for n in range(6000)]
    reader = threading.Thread(target=gate.bench, args=(BULK, types, keys, 3000))
    reader.start()
    looks, rungs = 0, 0
    while reader.is_alive():
        found = gate.types(BULK)
        gate.order(BULK, LADDER[looks % RUNGS], DROP if looks % 2 else PARK)
        gate.set_rungs({t.slot: (looks + n) % RUNGS for n, t in enumerate(found)})
        gate.retire([t.slot for t in found[looks % 7 :: 7]])
        gate.moments(BULK)
        looks, rungs = looks + 1, rungs + len(found)
    reader.join()
    delivered, parked, dropped = gate.totals()[BULK]
    assert delivered + parked + dropped == 18_000_000
    assert looks > 3
    assert parked
    assert dropped
    assert all(re.fullmatch(r"type \d+", t.name) for t in gate.types(BULK) if t.name is not None)
