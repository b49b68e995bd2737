"""The app: it answers, refuses, hangs, or does the work and loses the answer; sends may outlive who made them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from sim.checks import Checks, Slot
from sim.kafka import Log, Partition, ViolationError
from tidegate.sinks.base import ACKNOWLEDGED, Kind, Outcome

if TYPE_CHECKING:
    from sim.member import Member
    from tidegate.core.batch import Batch
    from tidegate.delivery.inflight import Held

TIMEOUT_SECONDS = 10.0
# mood: what becomes of a send, by weight
MOODS = {
    "well": {"ack": 1},
    "mixed": {"ack": 6, "lost": 1, "busy": 1, "refuse": 1, "reject": 1},
    "lossy": {"ack": 1, "lost": 1},
    "busy": {"ack": 1, "busy": 2},
    "rejecting": {"ack": 2, "reject": 1},
    "down": {"refuse": 1},
    "hanging": {"hang": 1},
}
OUTCOMES = {
    "ack": ACKNOWLEDGED,
    "lost": Outcome(Kind.DOWN, "reset"),
    "busy": Outcome(Kind.SLOW, "http-503", retry_after=0.3),
    "refuse": Outcome(Kind.DOWN, "connect-refused", unreachable=True),
    "reject": Outcome(Kind.RETRY, "http-400"),
}


@dataclass(eq=False, slots=True)
class Send:
    member: Member
    held: Held
    batch: Batch
    runs: list[tuple[Slot, int, int, int]]  # slot, first offset, records, missing before it
    began: float


class App:
    def __init__(self, logs: dict[Partition, Log], rng: Random, checks: Checks) -> None:
        self.logs, self.rng, self.checks = logs, rng, checks
        self.mood = "well"
        self.sends: list[Send] = []
        self.late: list[Send] = []  # nobody waits for the answer any more; the app may still do the work

    def step(self, now: float) -> str:
        """Something happens to one send, whichever. What it was."""
        if self.late and (not self.sends or self.rng.random() < 0.2):
            send = self.late.pop(self.rng.randrange(len(self.late)))
            if self.rng.random() < 0.5:
                self._process(send)
                return f"does late what {send.member.name} sent: {send.batch!r}"
            return "drops what came too late"
        if not self.sends:
            return ""
        send = self.sends[self.rng.randrange(len(self.sends))]
        if now < send.member.stalled:
            return ""  # nobody reads the answer
        what = self.rng.choices(*zip(*MOODS[self.mood].items(), strict=True))[0]
        if what == "hang":
            if now - send.began < TIMEOUT_SECONDS:
                return ""
            what = "lost"
            self._unanswered(send)
            self.late.append(send)
        elif what in ("ack", "lost"):
            self._process(send)
            if what == "lost":
                self._unanswered(send)
        self.sends.remove(send)
        send.member.answer(send, OUTCOMES[what])
        return f"{what}: {send.batch!r} of {send.member.name} {described(send)}"

    def abandon(self, member: Member) -> None:
        """The member is gone, or gave up: the work may be done all the same."""
        for send in [send for send in self.sends if send.member is member]:
            self.sends.remove(send)
            self._unanswered(send)
            self.late.append(send)

    def _process(self, send: Send) -> None:
        values = []
        for slot, first, count, _ in send.runs:
            known = self.logs[slot.partition].known
            values += [known[offset].value for offset in range(first, first + count)]
            for offset in range(first, first + count):
                self.checks.at_app(slot, known[offset])
        if send.batch.body != b"\n".join(values) + b"\n":
            raise ViolationError(f"I2 body: {described(send)} is not what Kafka has at these offsets")

    @staticmethod
    def _unanswered(send: Send) -> None:
        for slot, first, count, _ in send.runs:
            for offset in range(first, first + count):
                slot.unanswered[offset] += 1


def described(send: Send) -> str:
    return " ".join(f"{slot.partition}@{slot.number}:{first}+{n}" for slot, first, n, _ in send.runs[:4])
