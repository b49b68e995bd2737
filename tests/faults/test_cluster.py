"""Three brokers of which one after the other fails, with both group protocols at work all the time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from faults.detour import scene_for
from faults.flapping import flapping
from faults.flow import longest_pause, require_conserved, stream, wait_flowing
from faults.rows import JOB_SECONDS, ROUNDS, Matrix
from faults.story import Mark, Story
from faults.test_parking_topic import altered
from harness.checker import Report
from harness.cluster import BROKER_SESSION_SECONDS, KafkaCluster
from harness.commits import place_of
from harness.fixtures import Scenes, real_broker
from harness.healing import catch_up
from harness.parallel import side_by_side
from harness.reassign import move_leaders, prefer_leaders
from harness.scene import Broker, Scene
from harness.sidecar import Sidecar

RESUME_SECONDS = 30.0
FROZEN_SECONDS = BROKER_SESSION_SECONDS + 2.5
LEADER_MOVES = 3 * ROUNDS
OFFSETS_PARTITIONS = 4
END_SECONDS = 12
SESSION_MS = 6000  # of the classic members; the new protocol's is the broker's, 4 s
BATCH, CONCURRENCY = 40, 4
FEW_SECONDS = 75.0  # a record is given up after 60
TEST = "test_cluster.py::test_brokers_that_fail"
EXPECTED = "nothing lost; twice {}; events flow again within 30 s"
NOTHING, EXPOSED = "nothing", "at most what no commit covered"


class Group:
    """One protocol's scene on the cluster, with its only sidecar and the marks of what happened."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        settings: dict[str, Any] = {"batch_max_records": BATCH, "concurrency": CONCURRENCY}
        if scene.protocol == "classic":
            settings["kafka_session_timeout_ms"] = SESSION_MS
        self.sidecar: Sidecar = scene.sidecar("--summary", **settings)
        self.marks: list[Mark] = []

    def catch_up(self, what: str) -> None:
        catch_up(self.scene, self.sidecar, RESUME_SECONDS, what)


@pytest.fixture
def groups(cluster: KafkaCluster, scenes: Scenes) -> list[Scene]:
    """One scene for each protocol, with one coordinator for both groups: it can fail once for both."""
    broker = real_broker(cluster.bootstrap_servers, replicas=3)
    made = [scenes(broker, protocol=protocol, name=f"cluster-{protocol}") for protocol in ("classic", "consumer")]
    place = place_of(made[0].group, OFFSETS_PARTITIONS)
    names = (f"{made[1].group}-{number}" for number in itertools.count())
    made[1].group = next(name for name in names if place_of(name, OFFSETS_PARTITIONS) == place)
    return made


@contextmanager
def fault(groups: list[Group], name: str) -> Iterator[Mark]:
    """Marks what the block does to the cluster; afterwards every group has to catch up.

    A mark that the block heals had nobody to commit to until then, or ended a member: what was uncommitted may come
    again. Otherwise nothing may.
    """
    mark = Mark(name)
    yield mark
    for group in groups:
        group.catch_up(name)
    mark.over()
    for group in groups:
        group.marks.append(mark)


def killed(cluster: KafkaCluster, groups: list[Group], name: str, victim: int) -> None:
    """kill -9, another takes over, and the dead one comes back."""
    coordinates = victim == cluster.coordinator(groups[0].scene.group)
    with fault(groups, name) as mark:
        cluster.nodes[victim].kill()
        cluster.wait_led(victim)
        if coordinates:
            mark.heal()
        for group in groups:
            wait_flowing(group.scene, group.sidecar, RESUME_SECONDS, f"events flow after {name}")
        cluster.restart(victim)


def frozen(cluster: KafkaCluster, groups: list[Group], name: str, victim: int) -> None:
    """SIGSTOP beyond the broker's session: it is fenced, and wakes up as one that leads nothing."""
    with fault(groups, name) as mark:
        cluster.nodes[victim].freeze()
        try:
            time.sleep(FROZEN_SECONDS)
        finally:
            cluster.nodes[victim].thaw()
        mark.heal()
        cluster.wait_whole()


def rolled(cluster: KafkaCluster, groups: list[Group], name: str) -> None:
    """Each broker in turn shuts down in order and comes back."""
    with fault(groups, name):
        for number, node in cluster.nodes.items():
            node.stop()
            cluster.restart(number)


def moved(cluster: KafkaCluster, groups: list[Group], name: str) -> None:
    """Leaders go from broker to broker, all of which are well."""
    with fault(groups, name):
        for _ in range(LEADER_MOVES):
            for group in groups:
                assert move_leaders(cluster.bootstrap_servers, group.scene.topic) == group.scene.partitions
            time.sleep(0.5)


def told_to_end(cluster: KafkaCluster, groups: list[Group], name: str) -> None:
    """SIGTERM while nobody coordinates: the last commit may have no one to take it, and then the exit code is 1."""
    victim = cluster.coordinator(groups[0].scene.group)
    with fault(groups, name) as mark:
        cluster.nodes[victim].kill()
        time.sleep(0.2)
        for group in groups:
            group.sidecar.terminate()
        for group in groups:
            code = group.sidecar.wait(END_SECONDS)
            if code == 0:
                require_conserved(group.sidecar)
            else:
                assert "did not close in time" in group.sidecar.stderr, f"{code}\n{group.sidecar.tail()}"
        mark.heal()
        for group in groups:
            group.sidecar.start()
        cluster.restart(victim)


def another_leader(cluster: KafkaCluster, groups: list[Group]) -> int:
    """A broker that leads partitions of every topic and coordinates none of the groups."""
    for group in groups:  # an earlier fault may have left all of them with one
        prefer_leaders(cluster.bootstrap_servers, group.scene.topic)
    coordinator = cluster.coordinator(groups[0].scene.group)
    led = [{cluster.leader(g.scene.topic, p) for p in range(g.scene.partitions)} for g in groups]
    return min(set.intersection(*led) - {coordinator})


def test_brokers_that_fail(cluster: KafkaCluster, groups: list[Scene], matrix: Matrix) -> None:
    running = [Group(scene) for scene in groups]
    with ExitStack() as streams:
        for group in running:
            streams.enter_context(stream(group.scene))
        for group in running:
            wait_flowing(group.scene, group.sidecar)
            group.catch_up("the start")
        steps: list[tuple[str, Callable[[str], object]]] = [
            ("kill -9 of a leader", lambda n: killed(cluster, running, n, another_leader(cluster, running))),
            (
                "kill -9 of the coordinator",
                lambda n: killed(cluster, running, n, cluster.coordinator(running[0].scene.group)),
            ),
            (
                "SIGSTOP of the coordinator beyond its session, then SIGCONT",
                lambda n: frozen(cluster, running, n, cluster.coordinator(running[0].scene.group)),
            ),
            ("a rolling restart", lambda n: rolled(cluster, running, n)),
            (f"every leader moves, {LEADER_MOVES} times", lambda n: moved(cluster, running, n)),
            ("SIGTERM just after kill -9 of the coordinator", lambda n: told_to_end(cluster, running, n)),
        ]
        for name, step in steps:
            for _ in range(ROUNDS):
                step(name)
    for group in running:
        group.scene.wait_settled(group.sidecar, RESUME_SECONDS)
        group.sidecar.stop(END_SECONDS)
        require_conserved(group.sidecar)
        record(group, matrix)


def record(group: Group, matrix: Matrix) -> None:
    """The group's verdict, and a row for each fault, however often it was done."""
    story, allowed = Story(group.scene, group.marks), 0
    requests = group.scene.app.requests()
    for cause, same in itertools.groupby(group.marks, key=lambda mark: mark.fault):
        name, whole, exposed, worst, expected = f"{cause} ({group.scene.protocol} protocol)", Report(), 0, 0.0, ""
        for mark in same:
            uncovered = mark.healed_ns < mark.over_ns
            bound = story.most_exposed(mark.begun_ns, mark.over_ns) + BATCH * CONCURRENCY if uncovered else 0
            expected = EXPECTED.format(EXPOSED if uncovered else NOTHING)
            report = story.report(mark.begun_ns, mark.over_ns, bound, name)
            whole.records += report.records
            whole.delivered += report.delivered
            whole.duplicates += report.duplicates
            exposed += bound
            worst = max(worst, longest_pause(requests, mark.begun_ns - 1_000_000_000, mark.over_ns))
        assert worst <= RESUME_SECONDS, f"{name}: a partition brought nothing for {worst} s"
        matrix.add(TEST, name, expected, whole, exposed=exposed, seconds=worst, timed="longest pause of a partition")
        allowed += exposed
    story.judge(allowed)


@pytest.mark.skipif(ROUNDS == 1, reason="two minutes of its own: make faults")
def test_a_parking_topic_with_too_few_replicas(cluster: KafkaCluster, scenes: Scenes, matrix: Matrix) -> None:
    """With one broker gone it has two of three replicas in sync, and for a time three are wanted.

    What the leader wrote just before that it answers only when the request's time is up, half a minute, whatever is
    wanted by then; and it answers nothing else on that connection.
    """
    scene = scene_for(scenes, real_broker(cluster.bootstrap_servers, replicas=3), "parking-replicas")
    scene.broker.create(scene.parking or "", scene.partitions, {})
    victim = min(cluster.nodes)
    cluster.nodes[victim].kill()
    try:
        cluster.wait_led(victim)
        altered(
            scene,
            matrix,
            f"the parking topic wants more replicas in sync than there are, for {FEW_SECONDS:g} s",
            {"min.insync.replicas": "3"},
            FEW_SECONDS,
            "records could not be parked",
            "test_cluster.py::test_a_parking_topic_with_too_few_replicas",
            pad=0,  # the rings have room for what is not parked in all that time
        )()
    finally:
        cluster.restart(victim)


def test_a_member_that_comes_and_goes(
    kafka_broker: Broker, groups: list[Scene], scenes: Scenes, matrix: Matrix
) -> None:
    """On one broker and on three."""
    test = "test_cluster.py::test_a_member_that_comes_and_goes"
    alone = [scenes(kafka_broker, protocol=protocol, name=f"flap-{protocol}") for protocol in ("classic", "consumer")]
    jobs = [(f"{scene.protocol} on three", flapping(scene, matrix, test, "on three brokers, ")) for scene in groups]
    jobs += [(f"{scene.protocol} on one", flapping(scene, matrix, test)) for scene in alone]
    side_by_side(jobs, JOB_SECONDS)
