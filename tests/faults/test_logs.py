"""What happens to logs and offsets: partitions added, records gone, topics made anew, a group's offsets deleted."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from faults.flow import require_conserved
from faults.rows import Matrix
from harness.checker import Record, judge
from harness.fixtures import Scenes, real_broker, require_java
from harness.kafka import KafkaServer
from harness.parallel import side_by_side
from harness.produce import send, shop_events
from harness.scene import Broker, Scene, event_class
from harness.sidecar import Sidecar
from harness.topics import add_partitions, delete_group, delete_records, recreate_topic
from harness.watched import WatchedScene, WatchedScenes

TEST = "test_logs.py::test_logs_and_offsets_that_change"
END_SECONDS = 12


def begin(scene: Scene, name: str, **more: object) -> Sidecar:
    return scene.sidecar("--summary", name=name, kafka_topic_metadata_refresh_interval_ms=1000, **more)


def settle(scene: Scene, sidecar: Sidecar) -> float:
    """Waits until all of it is committed, and ends the sidecar; the seconds that the first took."""
    begun = time.monotonic()
    scene.wait_settled(sidecar, 40)
    seconds = time.monotonic() - begun
    sidecar.stop(END_SECONDS)
    require_conserved(sidecar)
    return seconds


def lost(sidecar: Sidecar) -> int:
    """Records that retention took, as the sidecar says."""
    return sum(int(number) for number in re.findall(r'"lost": (\d+)', sidecar.stderr))


def grown(scene: Scene, matrix: Matrix, down: bool) -> Callable[[], None]:
    """Partitions are added and filled before any sidecar knows of them, and the start is the log's end."""

    def job() -> None:
        sidecar = begin(scene, f"grown-{down}", start="latest")
        sidecar.wait_until(lambda: len(scene.committed()) == scene.partitions, 40, "the starts committed")
        scene.produce(200)
        if down:
            settle(scene, sidecar)
        add_partitions(scene.servers, scene.topic, 6)
        scene.partitions = 6
        send(scene.servers, scene.topic, shop_events(600, 6))
        if down:
            sidecar = begin(scene, "grown-on", start="latest")
        seconds = settle(scene, sidecar)
        matrix.add(
            TEST,
            f"partitions added while {'down' if down else 'running'}, start: latest",
            "the new ones flow from their beginning",
            scene.judge(classes=event_class),
            seconds=seconds,
            timed="until all of it was settled" + ("" if down else ", metadata asked each second"),
        )

    return job


def gone(scene: Scene, matrix: Matrix, down: bool) -> Callable[[], None]:
    """Records are deleted that are not committed: unread ones are lost and counted, those in hand are not lost."""

    def job() -> None:
        sidecar = begin(scene, f"gone-{down}")
        scene.produce(200)
        scene.wait_settled(sidecar)
        if down:
            settle(scene, sidecar)
        else:
            scene.app.mode("refuse", status=503)
        scene.produce(800)
        if not down:
            sidecar.wait_log("503")
            time.sleep(1)  # read by now, and kept until the app takes them
        records, committed = scene.read()[0], scene.committed()
        before = {
            partition: (offset + end) // 2
            for partition, end in scene.ends().items()
            for offset in [committed[partition]]
        }
        delete_records(scene.servers, before)
        if down:
            sidecar = begin(scene, "gone-on")
        else:
            scene.app.mode()
        seconds = settle(scene, sidecar)
        taken = sum(offset - committed[partition] for partition, offset in before.items()) if down else 0
        assert lost(sidecar) == taken
        kept = [r for r in records if not down or not committed[r.partition] <= r.offset < before[r.partition]]
        report = judge(kept, scene.app.requests(), scene.committed(), scene.ends(), classes=event_class).require()
        matrix.add(
            TEST,
            f"retention takes what is {'not read yet' if down else 'read and not delivered yet'}",
            "counted and logged with its range; the rest flows" if down else "nothing is lost",
            report,
            seconds=seconds,
            timed="until all of it was settled",
        )

    return job


def made_anew(scene: Scene, matrix: Matrix) -> Callable[[], None]:
    """A topic is deleted and created again with its events in flight at a slow app, which takes them afterwards."""

    def job() -> None:
        sidecar = begin(scene, "anew", start="latest", batch_max_records=40)
        sidecar.wait_until(lambda: len(scene.committed()) == scene.partitions, 40, "the starts committed")
        scene.produce(100)
        scene.wait_settled(sidecar)
        scene.app.mode(ms_per_event=40)  # 1.6 s for a batch
        scene.produce(300)
        scene.app.wait(lambda stats: stats["busy"] > 0)
        old = [replace(r, partition=(f"old {r.partition[0]}", r.partition[1])) for r in scene.read()[0]]
        recreate_topic(scene.servers, scene.topic, scene.partitions)
        send(scene.servers, scene.topic, shop_events(500, scene.partitions))
        time.sleep(1)
        scene.app.mode()
        seconds = settle(scene, sidecar)
        new: list[Record] = scene.read()[0]
        report = judge(
            old + new, scene.app.requests(), scene.committed(), scene.ends(), duplicates=len(new), classes=event_class
        ).require()
        assert report.pending <= len(old)
        matrix.add(
            TEST,
            f"a topic deleted and made anew, its events in flight ({scene.protocol} protocol)",
            "the new one flows from its beginning; no acknowledgement of the old one counts for it",
            replace(report, records=len(new), pending=0),
            exposed=len(new),
            seconds=seconds,
            timed="until all of the new one was settled",
        )

    return job


def forgotten(scene: Scene, matrix: Matrix) -> Callable[[], None]:
    """The group is deleted while nobody runs: it begins where TIDEGATE_START says."""

    def job() -> None:
        sidecar = begin(scene, "forgotten")
        events = len(scene.produce(200))
        settle(scene, sidecar)
        delete_group(scene.servers, scene.group)
        scene.produce(100)
        sidecar = begin(scene, "forgotten-on")
        seconds = settle(scene, sidecar)
        matrix.add(
            TEST,
            "the group's offsets deleted while down, start: earliest",
            "all of it comes again",
            scene.judge(duplicates=events, classes=event_class),
            exposed=events,
            seconds=seconds,
            timed="until all of it was settled",
        )

    return job


@dataclass(frozen=True)
class Damage:
    """A byte of a record batch on a broker's disk that is not what it was."""

    path: Path
    at: int
    first_offset: int  # of the batch

    @classmethod
    def done(cls, server: KafkaServer, topic: str, partition: int, number: int) -> Damage:
        """Damages the last record of the partition's batch ``number`` (record batch format v2: offset, length, …)."""
        (path,) = server.data_dir.rglob(f"{topic}-{partition}/*.log")
        data, at = path.read_bytes(), 0
        for _ in range(number):
            at += 12 + struct.unpack_from(">qi", data, at)[1]
        first, length = struct.unpack_from(">qi", data, at)
        damage = cls(path, at + 12 + length - 5, first)
        damage.turn()
        return damage

    def turn(self) -> None:
        """Turns the byte over, or back."""
        with self.path.open("r+b") as file:
            file.seek(self.at)
            (byte,) = file.read(1)
            file.seek(self.at)
            file.write(bytes([byte ^ 0x55]))


def damaged(server: KafkaServer, scene: WatchedScene, matrix: Matrix) -> Callable[[], None]:
    """A batch cannot be read; its partition stands, the others flow. Later the batch is whole again."""

    def job() -> None:
        for _ in range(6):
            scene.produce(100)
        records = scene.read()[0]
        damage = Damage.done(server, scene.topic, 0, 3)
        behind = [r for r in records if r.partition[1] == 0 and r.offset >= damage.first_offset]
        sidecar = begin(scene, "damaged")
        scene.wait_events(sidecar, len(records) - len(behind))
        sidecar.wait_log("a partition cannot be read further")
        unreadable = f'tidegate_lane_unreadable_partitions{{topic="{scene.topic}"}}'
        sidecar.wait_until(lambda: scene.watches[-1].metrics.get(unreadable) == 1, 10, "it shows")
        more = sum(event.partition != 0 for event in scene.produce(100))
        time.sleep(4)  # asked for again meanwhile, and read on elsewhere
        assert scene.app.stats()["distinct"] == len(records) - len(behind) + more
        assert scene.committed()[scene.topic, 0] == damage.first_offset
        damage.turn()
        seconds = settle(scene, sidecar)
        matrix.add(
            "test_logs.py::test_data_that_is_damaged",
            f"a record batch is damaged on the broker's disk, later whole again ({scene.protocol} protocol)",
            "nothing behind it is delivered or committed, which shows; the other partitions flow; nothing twice",
            scene.judge(classes=event_class),
            seconds=seconds,
            timed="until all of it was settled; asked for again up to every 32 s",
        )

    return job


def test_data_that_is_damaged(scenes: WatchedScenes, matrix: Matrix) -> None:
    require_java()
    with KafkaServer() as server:
        broker = real_broker(server.bootstrap_servers)
        side_by_side(
            [
                (protocol, damaged(server, scenes(broker, protocol=protocol, name=f"damaged-{protocol}"), matrix))
                for protocol in ("classic", "range", "consumer")
            ]
        )


def test_logs_and_offsets_that_change(kafka_broker: Broker, scenes: Scenes, matrix: Matrix) -> None:
    jobs: list[tuple[str, Callable[[], None]]] = []
    for down in (False, True):
        scene = scenes(kafka_broker, partitions=2, name=f"grown-{down}")
        jobs.append((f"grown, down {down}", grown(scene, matrix, down)))
    jobs += [
        (f"gone, down {down}", gone(scenes(kafka_broker, name=f"gone-{down}"), matrix, down)) for down in (False, True)
    ]
    for protocol in ("classic", "consumer"):
        scene = scenes(kafka_broker, protocol=protocol, name=f"anew-{protocol}")
        jobs.append((f"made anew, {protocol}", made_anew(scene, matrix)))
    jobs.append(("forgotten", forgotten(scenes(kafka_broker, name="forgotten"), matrix)))
    side_by_side(jobs)
