"""What /metrics shows: one table, each row reading a snapshot of the native counters. docs/metrics.md comes from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.ops.snapshot import Buckets, LimiterFigures, Snapshot
from tidegate.pressure.orders import Rung
from tidegate.pressure.signals import LaneView, View
from tidegate.types import CLASS_LABELS, CLASSES, LaneState

Kind = Literal["counter", "gauge"]
Series = tuple[tuple[str, ...], float]  # label values in the row's order, and the value

TARGET_STATES = ("open", "slow", "down")
HOLDS = ("ring", "span", "parking", "halted", "budget", "app-down", "operator")
MIXED = "mixed"  # instead of a class: a topic that can carry any
NOT_KNOWN = -1  # of offsets


@dataclass(frozen=True, slots=True)
class Family:
    """One row. A counter's name ends in `_total`; `read` may give a series twice: its values are added up."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    read: Callable[[Snapshot], Iterable[Series]]


@dataclass(frozen=True, slots=True)
class Histogram:
    """One row of the other kind, in seconds: `read` gives label values and buckets. Its labels' values are our own."""

    name: str
    labels: tuple[str, ...]
    help: str
    read: Callable[[Snapshot], Iterable[tuple[tuple[str, ...], Buckets]]]
    kind: Literal["histogram"] = "histogram"


def _polled(now: Snapshot) -> Iterable[Series]:
    for topic, classes in now.books.items():
        for label, row in classes.items():
            if row["polled"]:
                yield (topic, label), row["polled"]


def _ended(now: Snapshot) -> Iterable[Series]:
    for topic, classes in now.books.items():
        for label, row in classes.items():
            if row["polled"]:  # all of its dispositions from then on: a rate needs the 0 before the first 1
                yield from (((topic, label, name), n) for name, n in row.items() if name != "polled")


def _by_class(values: Iterable[float]) -> Iterable[Series]:
    return (((label,), value) for label, value in zip(CLASS_LABELS, values, strict=True))


def _one(value: float) -> Iterable[Series]:
    return (((), value),)


def _held(now: Snapshot) -> Iterable[Series]:
    for lane in now.lanes:
        yield from (((lane.topic, name), float(lane.reason == name)) for name in HOLDS)


def _held_lanes(now: Snapshot) -> Iterable[Series]:
    for lane in now.lanes:
        if lane.reason != "flowing":
            yield (lane.reason, CLASS_LABELS[lane.klass] if lane.klass >= 0 else MIXED), 1


def _held_seconds(now: Snapshot) -> Iterable[Series]:
    for lane in now.lanes:
        ended = {
            "ring": lane.ring_seconds,
            "span": lane.span_seconds,
            "parking": lane.parking_seconds,
            "budget": lane.budget_seconds,
            "app-down": lane.app_down_seconds,
            "operator": lane.operator_seconds,
        }
        for name in HOLDS:
            yield (lane.topic, name), ended.get(name, 0.0) + (lane.seconds if lane.reason == name else 0.0)


def _by_topic(figure: Callable[[LaneState], float]) -> Callable[[Snapshot], Iterable[Series]]:
    return lambda now: (((lane.topic,), figure(lane)) for lane in now.lanes)


def _partitions(number: Callable[[int, int, int], int]) -> Callable[[Snapshot], Iterable[Series]]:
    """One series per partition held; `number` of (position, frontier, stored), below 0 where it is not known."""

    def read(now: Snapshot) -> Iterable[Series]:
        for topic, partition, position, frontier, _, stored in now.partitions:
            value = number(position, frontier, stored)
            if value >= 0:
                yield (topic, str(partition)), value

    return read


def _state(now: Snapshot) -> Iterable[Series]:
    return (((name,), float(now.delivery.target == name)) for name in TARGET_STATES)


def _buffered(index: int) -> Callable[[Snapshot], Iterable[Series]]:
    return lambda now: _by_class(now.states[k][index] for k in range(len(CLASS_LABELS)))


def _of_delivery(figure: Callable[[Any], float]) -> Callable[[Snapshot], Iterable[Series]]:
    return lambda now: _by_class(figure(one) for one in now.delivery.classes)


def _of_limiter(figure: Callable[[LimiterFigures], float]) -> Callable[[Snapshot], Iterable[Series]]:
    """No series without a limiter that adapts."""
    return lambda now: () if now.delivery.limiter is None else _one(figure(now.delivery.limiter))


def _congestions(now: Snapshot) -> Iterable[Series]:
    return () if now.delivery.limiter is None else (((why,), n) for why, n in now.delivery.limiter.congestions.items())


def _of_view(figure: Callable[[View], Iterable[Series]]) -> Callable[[Snapshot], Iterable[Series]]:
    """No series before the first look."""
    return lambda now: () if now.pressure.view is None else figure(now.pressure.view)


def _rate(value: float | None) -> Iterable[Series]:
    """No series while it is not known."""
    return () if value is None else _one(value)


def _of_lane_views(figure: Callable[[LaneView], float]) -> Callable[[Snapshot], Iterable[Series]]:
    def read(now: Snapshot) -> Iterable[Series]:
        for key, lane in now.pressure.view.lanes.items() if now.pressure.view is not None else ():
            if key < len(now.lanes):
                yield (now.lanes[key].topic,), figure(lane)

    return read


TABLE: tuple[Family | Histogram, ...] = (
    Family("tidegate_records_polled_total", "counter", ("topic", "class"), "Records read from Kafka.", _polled),
    Family(
        "tidegate_records_total",
        "counter",
        ("topic", "class", "disposition"),
        "Records by how their way ended: each one that is read ends in exactly one disposition.",
        _ended,
    ),
    Family("tidegate_buffer_records", "gauge", ("class",), "Records in the ring, not yet in a batch.", _buffered(0)),
    Family("tidegate_buffer_bytes", "gauge", ("class",), "Bytes of those records' values.", _buffered(1)),
    Family(
        "tidegate_buffer_room_bytes",
        "gauge",
        ("class",),
        "Room that the class could still take: its reserve, and the part that all classes share.",
        lambda now: _by_class(now.room_bytes),
    ),
    Family("tidegate_in_flight_records", "gauge", ("class",), "Records in batches not yet settled.", _buffered(2)),
    Family(
        "tidegate_in_flight_bytes",
        "gauge",
        ("class",),
        "Bytes of the batches being sent or waiting for a retry.",
        _of_delivery(lambda one: one.bytes),
    ),
    Family(
        "tidegate_oldest_undelivered_seconds",
        "gauge",
        ("class",),
        "Age of the oldest record read and not yet settled, by its own timestamp; 0 where there is none.",
        lambda now: _by_class(now.oldest),
    ),
    Histogram(
        "tidegate_delivery_seconds",
        ("class",),
        "Age of records, by their own timestamps, when the target acknowledged them.",
        lambda now: (((label,), one) for label, one in zip(CLASS_LABELS, now.delays, strict=True)),
    ),
    Family(
        "tidegate_memory_accounted_bytes",
        "gauge",
        (),
        "Rings, batches in flight, and about what was fetched ahead. Over 85 % of these shares of the budget, topics"
        " held for long are paused.",
        lambda now: _one(now.accounted_bytes),
    ),
    Family(
        "tidegate_conservation_error",
        "gauge",
        ("class",),
        "Records polled less all dispositions, buffered, in flight and being parked: 0, or a count is lost.",
        lambda now: _by_class(now.errors),
    ),
    Family(
        "tidegate_records_unclassified_total",
        "counter",
        (),
        "Records that no rule knew; they count as high.",
        lambda now: _one(now.irregular["unclassified"]),
    ),
    Family(
        "tidegate_records_invalid_total",
        "counter",
        (),
        "Records whose value is not one JSON value; they are sent alone.",
        lambda now: _one(now.irregular["invalid"]),
    ),
    Family(
        "tidegate_records_lost_total",
        "counter",
        ("topic", "reason"),
        "Records that Kafka no longer had when they were to be read: retention (older than the log's start). Not among"
        " the polled ones; offsets are counted, so gaps of compaction and control records are in it.",
        lambda now: (((topic, "retention"), n) for topic, n in now.lost.items()),
    ),
    Family(
        "tidegate_records_stale_total",
        "counter",
        (),
        "Records that arrived for a partition that was no longer held; dropped before being polled.",
        lambda now: _one(now.stale),
    ),
    Family(
        "tidegate_records_refetched_total",
        "counter",
        (),
        "Records that arrived a second time, after a rewind in the Kafka client; dropped before being polled.",
        lambda now: _one(now.refetched),
    ),
    Family(
        "tidegate_acknowledgements_stale_total",
        "counter",
        (),
        "Records acknowledged after their partition had gone: delivered, and probably once more by its next owner.",
        lambda now: _one(now.irregular["stale"]),
    ),
    Family(
        "tidegate_lane_held",
        "gauge",
        ("topic", "reason"),
        "1 while the topic is not read: ring (the ring of a class is full, or nearly), span (too many unsettled offsets"
        " in a partition), parking (what is to be parked finds no room on its way there), budget (memory is short),"
        " app-down (nobody would take what it brings), operator (somebody said so), halted (a record that no ring can"
        " hold; for good).",
        _held,
    ),
    Family(
        "tidegate_lanes_held",
        "gauge",
        ("reason", "class"),
        "Topics not read, by reason and the class whose ring is full or that the whole topic has; mixed: it can carry"
        " any.",
        _held_lanes,
    ),
    Family(
        "tidegate_lane_unreadable_partitions",
        "gauge",
        ("topic",),
        "Partitions of which nothing more can be read: the data at their position is damaged. The log says where.",
        _by_topic(lambda lane: lane.unreadable),
    ),
    Family("tidegate_lane_held_seconds_total", "counter", ("topic", "reason"), "Time held so far.", _held_seconds),
    Family(
        "tidegate_lane_holds_total",
        "counter",
        ("topic",),
        "Times that the topic was held.",
        _by_topic(lambda lane: lane.holds),
    ),
    Family(
        "tidegate_lane_paused",
        "gauge",
        ("topic",),
        "1 while the Kafka client is told to fetch nothing of the topic: the last rung, for memory.",
        _by_topic(lambda lane: float(lane.paused)),
    ),
    Family(
        "tidegate_lane_paused_seconds_total",
        "counter",
        ("topic",),
        "Time paused so far.",
        _by_topic(lambda lane: lane.paused_seconds),
    ),
    Family(
        "tidegate_lane_pauses_total",
        "counter",
        ("topic",),
        "Times that the topic was paused.",
        _by_topic(lambda lane: lane.pauses),
    ),
    Family(
        "tidegate_lane_purged_records_total",
        "counter",
        ("topic",),
        "Records that pausing threw away before they were read; they are fetched again.",
        _by_topic(lambda lane: lane.purged),
    ),
    Family(
        "tidegate_lane_queued_records",
        "gauge",
        ("topic",),
        "Records fetched ahead and not yet read.",
        _by_topic(lambda lane: lane.queued),
    ),
    Family(
        "tidegate_critical_held_age_seconds",
        "gauge",
        ("topic",),
        "What holding costs critical events: age of the oldest record that waits in a held topic which may carry them,"
        " so none waits longer there; 0 where it is not held, or nothing waits.",
        _by_topic(lambda lane: lane.head_age),
    ),
    Family(
        "tidegate_lane_head_age_seconds",
        "gauge",
        ("topic",),
        "Age of the record at the read head, by its timestamp, corrected for clocks that are wrong; 0 at the end of the"
        " topic.",
        _of_lane_views(lambda lane: lane.age),
    ),
    Family(
        "tidegate_lane_lag_records",
        "gauge",
        ("topic",),
        "Records in Kafka that were not read yet, about; ends are asked for each second.",
        _of_lane_views(lambda lane: lane.lag),
    ),
    Family(
        "tidegate_ladder_rung",
        "gauge",
        (),
        "What pressure makes of the stream: 0 normal, 1 defer, 2 sample, 3 hold (a topic that may carry critical events"
        " is not read for now), 4 pause.",
        lambda now: _one(now.pressure.rung),
    ),
    Family(
        "tidegate_ladder_forced",
        "gauge",
        (),
        "1 while the operator has set the rung.",
        lambda now: _one(float(now.pressure.forced is not None)),
    ),
    Family(
        "tidegate_ladder_changes_total",
        "counter",
        ("rung",),
        "Times that a rung was come to, from above or below.",
        lambda now: (((rung.label,), now.pressure.changes.get(rung, 0)) for rung in Rung),
    ),
    Family(
        "tidegate_offered_records_per_second",
        "gauge",
        ("class",),
        "What comes, before anything is done about it: of topics that are held or behind, what comes into Kafka.",
        _of_view(lambda view: _by_class(view.offered(klass) for klass in CLASSES)),
    ),
    Family(
        "tidegate_completed_records_per_second",
        "gauge",
        ("class",),
        "What the target acknowledged in the last seconds.",
        _of_view(lambda view: _by_class(view.completions)),
    ),
    Family(
        "tidegate_service_records_per_second",
        "gauge",
        (),
        "What the target could complete of all classes together with everything that it may have in hand.",
        _of_view(lambda view: _rate(view.service)),
    ),
    Family(
        "tidegate_capacity_records_per_second",
        "gauge",
        (),
        "The same over the last minutes, outages left out.",
        _of_view(lambda view: _rate(view.capacity)),
    ),
    Family(
        "tidegate_target_utilisation",
        "gauge",
        (),
        "How busy the target was kept since the last look, 0 to 1: in hand of what it may have in hand.",
        _of_view(lambda view: _one(view.utilisation)),
    ),
    Family(
        "tidegate_keep_share",
        "gauge",
        ("class",),
        "Share of a class that the target has room for by the shed law, whether anything is shed or not.",
        lambda now: _by_class(now.pressure.keep),
    ),
    Family(
        "tidegate_parking_records",
        "gauge",
        ("class",),
        "Records on their way to the parking topic, not yet acknowledged by Kafka.",
        lambda now: _by_class(now.parking),
    ),
    Family(
        "tidegate_parking_fill",
        "gauge",
        (),
        "How full that way is, in records or bytes, 0 to 1; over a half, classes that may be sampled are.",
        lambda now: _one(now.pressure.state.fill),
    ),
    Family(
        "tidegate_parking_failed_total",
        "counter",
        ("reason",),
        "Records that Kafka did not take into the parking topic, each try counted; none of them is acknowledged.",
        lambda now: (((why,), n) for why, n in now.pressure.state.failures.items()),
    ),
    Family(
        "tidegate_parking_returned_total",
        "counter",
        (),
        "Records that were delivered because they could not be parked.",
        lambda now: _one(now.pressure.state.returned),
    ),
    Family(
        "tidegate_parking_evicted_total",
        "counter",
        (),
        "Records that were parked after waiting in memory, because they kept a partition's commits too far back.",
        lambda now: _one(now.pressure.state.evicted),
    ),
    Family(
        "tidegate_parking_renewed_total",
        "counter",
        (),
        "Clients of the parking topic that failed for good, another having taken their place.",
        lambda now: _one(now.pressure.state.renewed),
    ),
    Family(
        "tidegate_parked_records",
        "gauge",
        (),
        "Records that wait in this replica's partitions of the parking topic. They are no lag.",
        lambda now: _one(now.pressure.parking.records),
    ),
    Family(
        "tidegate_parked_emptying_seconds",
        "gauge",
        (),
        "How long they will take to come back, at the usual load and what the target can do; +Inf: it has no room.",
        lambda now: _one(now.pressure.emptying_seconds),
    ),
    Family(
        "tidegate_replay_records_per_second",
        "gauge",
        (),
        "How fast they may come back now; 0 under pressure. What has come back is in tidegate_records_total, by the"
        " parking topic's name.",
        lambda now: _one(now.pressure.state.replay_rate),
    ),
    Family(
        "tidegate_sampling_relative_error",
        "gauge",
        ("class",),
        "Predicted standard error of the class's number of events as estimated from those that were kept, by their"
        " weights, as a share of it; of about the last minute.",
        lambda now: (((klass.label,), error) for klass, error in now.pressure.state.errors.items()),
    ),
    Family(
        "tidegate_lane_throttled",
        "gauge",
        ("topic",),
        "1 while the topic is read no faster than was ordered: it can wait in Kafka.",
        _by_topic(lambda lane: float(lane.throttled)),
    ),
    Family(
        "tidegate_rebalances_total",
        "counter",
        ("event",),
        "Times that the group assigned partitions, revoked them (orderly) or declared them lost.",
        lambda now: (((event,), n) for event, n in now.rebalances.items()),
    ),
    Family(
        "tidegate_partitions_assigned",
        "gauge",
        (),
        "Partitions that this member has now.",
        lambda now: _one(len(now.partitions)),
    ),
    Family(
        "tidegate_partition_position",
        "gauge",
        ("topic", "partition"),
        "Next offset to read, of each partition held.",
        _partitions(lambda position, frontier, stored: position),
    ),
    Family(
        "tidegate_partition_stored_offset",
        "gauge",
        ("topic", "partition"),
        "Offset given to Kafka for the next commit: everything before it is settled.",
        _partitions(lambda position, frontier, stored: stored),
    ),
    Family(
        "tidegate_partition_unsettled_offsets",
        "gauge",
        ("topic", "partition"),
        "Offsets from the oldest unsettled one to the position; at TIDEGATE_MAX_UNCOMMITTED_RECORDS the topic is held.",
        _partitions(lambda position, frontier, stored: max(0, position - frontier) if frontier >= 0 else NOT_KNOWN),
    ),
    Family(
        "tidegate_sink_sends_total",
        "counter",
        ("class",),
        "Batches sent, retries included.",
        _of_delivery(lambda one: one.sends),
    ),
    Family(
        "tidegate_sink_acknowledged_total",
        "counter",
        ("class",),
        "Batches that the target acknowledged.",
        _of_delivery(lambda one: one.acks),
    ),
    Family(
        "tidegate_sink_retries_total",
        "counter",
        ("reason",),
        "Sends that ended otherwise; the batch is sent again.",
        lambda now: (((reason,), n) for reason, n in now.delivery.retries.items()),
    ),
    Family("tidegate_sink_sending", "gauge", (), "Sends under way.", lambda now: _one(now.delivery.sending)),
    Family(
        "tidegate_sink_limit",
        "gauge",
        (),
        "Sends that may be under way at once as the target is now.",
        lambda now: _one(now.delivery.limit),
    ),
    Family(
        "tidegate_limiter_limit_records",
        "gauge",
        (),
        "Records of high, normal and bulk that the target may work on at once, with critical a quarter more. This and"
        " the next are there with TIDEGATE_LIMITER=adaptive.",
        _of_limiter(lambda one: one.limit_records),
    ),
    Family(
        "tidegate_limiter_sending_records",
        "gauge",
        (),
        "Records in sends under way.",
        _of_limiter(lambda one: one.sending_records),
    ),
    Family(
        "tidegate_limiter_batch_records",
        "gauge",
        (),
        "Records that a batch may have, by the measured time per record.",
        _of_limiter(lambda one: one.batch_records),
    ),
    Family(
        "tidegate_limiter_congestions_total",
        "counter",
        ("reason",),
        "Times that the limits were lowered: overload (429, 503 or a timeout) or slow (round trips).",
        _congestions,
    ),
    Family(
        "tidegate_limiter_fixed_seconds",
        "gauge",
        (),
        "What a batch costs whatever its size, the way included: the least of the last minute.",
        _of_limiter(lambda one: one.fixed_seconds),
    ),
    Family(
        "tidegate_limiter_per_record_seconds",
        "gauge",
        (),
        "What each of its records adds.",
        _of_limiter(lambda one: one.per_record_seconds),
    ),
    Family(
        "tidegate_sink_state",
        "gauge",
        ("state",),
        "1 for the state that the target is held to be in: open, slow (it asked for fewer requests) or down.",
        _state,
    ),
    Family(
        "tidegate_reader_heartbeat_age_seconds",
        "gauge",
        (),
        "Time since the reader's thread began its last round; /livez fails at 30 s.",
        lambda now: _one(now.heartbeat_age),
    ),
    Family(
        "tidegate_log_lines_dropped_total",
        "counter",
        (),
        "Log lines given up because nobody read stderr quickly enough.",
        lambda now: _one(now.log_lines_dropped),
    ),
    Family(
        "tidegate_build_info",
        "gauge",
        ("version", "librdkafka"),
        "Always 1; the labels say what is running.",
        lambda now: [(now.build, 1)],
    ),
)
