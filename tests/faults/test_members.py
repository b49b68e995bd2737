"""Members that stop in ways of their own: frozen beyond the session, told to end amid a rebalance or an outage."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from faults.flow import EVENTS_PER_SECOND, require_conserved, shares, stream, wait_flowing
from faults.rows import JOB_SECONDS, ROUNDS, Matrix
from faults.story import Mark, Story
from harness.fixtures import Scenes
from harness.healing import catch_up
from harness.parallel import side_by_side
from harness.scene import Broker, Scene, event_class
from harness.sidecar import Sidecar

BATCH, CONCURRENCY = 40, 4
IN_FLIGHT = BATCH * CONCURRENCY
FROZEN_SECONDS = 6.0  # sessions are 3 s with the classic protocol, 4 s with the new one
LATE = EVENTS_PER_SECOND // 2  # a heartbeat, of half a second, tells it
DRAIN_SECONDS = 2
END_SECONDS = DRAIN_SECONDS + 12


def member(scene: Scene, name: str) -> Sidecar:
    return scene.sidecar("--summary", name=name, batch_max_records=BATCH, concurrency=CONCURRENCY)


def frozen(scene: Scene, matrix: Matrix) -> Callable[[], None]:
    """SIGSTOP beyond the session: another has taken over when it wakes up, and it must not commit what it held."""

    def job() -> None:
        scene.app.mode(ms_per_event=1, workers=CONCURRENCY)
        first, second = member(scene, "first"), member(scene, "second")
        marks, recovered = [], 0.0
        with stream(scene):
            for _ in range(ROUNDS):
                second.wait_until(lambda: shares(scene) == [2, 2], 40, "a share for each")
                wait_flowing(scene, second)
                catch_up(scene, first, 30, "the start")
                time.sleep(1)
                mark = Mark("SIGSTOP")
                second.process.send_signal(signal.SIGSTOP)
                first.wait_until(lambda: shares(scene) == [4], 40, "all to the first")
                mark.heal()
                recovered = max(recovered, (mark.healed_ns - mark.begun_ns) / 1e9)
                time.sleep(max(0.0, FROZEN_SECONDS - (time.time_ns() - mark.begun_ns) / 1e9))
                second.process.send_signal(signal.SIGCONT)
                time.sleep(3)
                mark.over()
                marks.append(mark)
                assert second.alive, second.tail()
            second.wait_until(lambda: shares(scene) == [2, 2], 40, "a share for each again")
        scene.wait_settled(first, 30)
        for one in (first, second):
            one.stop(END_SECONDS)
        require_conserved(first, second)
        story = Story(scene)
        # What no commit covered when it stopped; then what waits in its buffers, until it is told that it is out.
        allowed = sum(story.exposed_at(mark.begun_ns) + IN_FLIGHT + LATE for mark in marks)
        matrix.add(
            "test_members.py::test_members_that_stop",
            f"SIGSTOP beyond the session, then SIGCONT ({scene.protocol} protocol)",
            "nothing lost; late acknowledgements void; twice at most what was not committed, or held by the frozen one",
            story.judge(allowed),
            exposed=allowed,
            seconds=recovered,
            timed="until another had its partitions",
        )

    return job


def told_to_end(scene: Scene, matrix: Matrix, seed: int) -> Callable[[], None]:
    """SIGTERM at any moment of a rebalance that a newcomer began: it takes over from the one that leaves."""

    def job() -> None:
        dice = random.Random(seed)
        scene.app.mode(ms_per_event=1, workers=CONCURRENCY)
        worst, rounds, told = 0.0, 3 * ROUNDS, []
        old = member(scene, "member-0")
        with stream(scene):
            wait_flowing(scene, old)
            for number in range(1, rounds + 1):
                new = member(scene, f"member-{number}")
                new.wait_until(lambda: joining(scene), 40, "a join")
                time.sleep(dice.uniform(0, 0.6))
                mark = Mark("SIGTERM")
                old.stop(END_SECONDS)
                mark.over()
                told.append(mark)
                worst = max(worst, (mark.over_ns - mark.begun_ns) / 1e9)
                assert "did not take the last offsets" not in old.stderr, old.tail()
                require_conserved(old)
                wait_flowing(scene, new)
                old = new
        scene.wait_settled(old, 30)
        old.stop(END_SECONDS)
        require_conserved(old)
        story = Story(scene)
        # A partition may be revoked a moment before: librdkafka commits what is stored of it once.
        allowed = sum(story.most_exposed(mark.begun_ns, mark.over_ns) for mark in told)
        matrix.add(
            "test_members.py::test_members_that_stop",
            f"SIGTERM during a rebalance, {rounds} times ({scene.protocol} protocol)",
            f"exit 0 within {END_SECONDS} s; the last commit is taken; nothing lost; twice at most what none covered",
            story.judge(allowed),
            exposed=allowed,
            seconds=worst,
            timed="from SIGTERM to the end",
        )

    return job


def joining(scene: Scene) -> bool:
    """Whether the newcomer is a member already: then the rebalance is under way."""
    return len(shares(scene)) > 1


def told_to_end_without_app(scene: Scene, matrix: Matrix, mode: str) -> Callable[[], None]:
    """SIGTERM while the app is away: what cannot be delivered is left to Kafka."""

    def job() -> None:
        sidecar = member(scene, "sidecar")
        with stream(scene):
            wait_flowing(scene, sidecar)
            scene.app.mode(mode)
            time.sleep(1.5)
            begun = time.monotonic()
            sidecar.stop(END_SECONDS)
            seconds = time.monotonic() - begun
            require_conserved(sidecar)
            scene.app.mode()
        allowed = scene.exposed()
        sidecar.start()
        scene.wait_settled(sidecar, 30)
        sidecar.stop(END_SECONDS)
        matrix.add(
            "test_members.py::test_members_that_stop",
            f"SIGTERM while the app is {'down' if mode == 'down' else 'silent'}",
            f"exit 0 within {END_SECONDS} s; nothing lost; twice only what the app had taken",
            scene.judge(duplicates=allowed, classes=event_class),
            exposed=allowed,
            seconds=seconds,
            timed="from SIGTERM to the end",
        )

    return job


def test_members_that_stop(kafka_broker: Broker, scenes: Scenes, matrix: Matrix) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    jobs = []
    for protocol in ("classic", "consumer"):
        scene = scenes(kafka_broker, protocol=protocol, name=f"frozen-{protocol}")
        jobs.append((f"frozen {protocol}", frozen(scene, matrix)))
        scene = scenes(kafka_broker, protocol=protocol, name=f"term-{protocol}")
        jobs.append((f"SIGTERM amid a rebalance, {protocol}", told_to_end(scene, matrix, seed)))
    for mode in ("down", "hang-before"):
        scene = scenes(kafka_broker, name=f"term-{mode}")
        jobs.append((f"SIGTERM, app {mode}", told_to_end_without_app(scene, matrix, mode)))
    side_by_side(jobs, JOB_SECONDS)
