"""handle.pyx in Python: a consumer's rebalances, its stored offsets and its end. Functions name what they mirror.

Left out: notes, fatal errors, errors of resuming, --until-end, topics made anew and what tells them (start.pyx).
"""

from __future__ import annotations

from sim.checks import Checks, Slot
from sim.client import ASSIGN, Client
from sim.intake import CLOSING, DEAD, LIVE, Intake, Lane
from sim.kafka import BEGINNING, Partition

SETTLE_SECONDS = 2.0
RETRY_SECONDS = 0.2
ANSWER_SECONDS = 4.0


class Handle:
    def __init__(self, client: Client, intake: Intake, checks: Checks) -> None:
        self.client, self.intake, self.checks = client, intake, checks
        self.ledger, self.clock = intake.ledger, intake.clock
        self.assigning: list[Partition] | None = None
        self.revoking: list[Partition] | None = None
        self.asked = False
        self.lows: dict[Partition, int] = {}
        self.commits: list[int] | None = None
        self.assign_after = self.ready_after = self.give_up = self.revoke_until = 0.0

    def serve(self) -> None:
        """serve: events, and whatever waits to go on."""
        now = self.clock()
        if self.client.closed:
            return
        while self.client.events:
            self._rebalance(*self.client.events.popleft())
        if self.assigning is not None and now >= self.assign_after:
            self._assign()
        if self.revoking is not None and (now >= self.revoke_until or not self._busy()):
            self._revoke()
        if self.revoking is None and self.assigning is None:
            self._repair()

    def _rebalance(self, event: str, partitions: list[Partition]) -> None:
        """_rebalance."""
        if event == ASSIGN:
            self.assigning, self.assign_after, self.asked = list(partitions), 0.0, False
            return
        self.assigning = None  # taken back before it began
        lost = self.client.lost
        for partition in partitions:
            slot = self._slot(partition)
            if slot is not None:
                self.ledger.test_state(slot.number, DEAD if lost else CLOSING)
        self.revoking = list(partitions)
        self.revoke_until = 0.0 if lost else self.clock() + SETTLE_SECONDS

    def _slot(self, partition: Partition) -> Slot | None:
        """_slot."""
        lane = self.intake.lanes.get(partition.topic)
        return None if lane is None else lane.slots.get(partition.number)

    def _adopt(self, offsets: dict[Partition, int], add: bool) -> None:
        """_adopt."""
        if not self.client.group.eager:
            if add:
                self.client.assign(offsets)
            else:
                self.client.unassign(list(offsets))
        else:
            self.client.unassign(list(self.client.positions))
            if add:
                self.client.assign(offsets)

    def _assign(self) -> None:
        """_assign: asks for the start offsets, and assigns when they are known, or tries again a little later."""
        assert self.assigning is not None
        now = self.clock()
        if not self.asked:
            self.asked = True
            # Start.ask; old by the time of the answer
            self.lows, self.commits = self.client.lows(self.assigning), self.client.committed(self.assigning)
            self.ready_after = now + self.client.rng.choice((0.0, 0.05, 0.5))
        if now < self.ready_after:
            return
        if self.commits is None or self._missing(now):
            self.assign_after, self.asked = now + RETRY_SECONDS, False
            return
        offsets = self._open(dict(zip(self.assigning, self.commits, strict=True)))
        self._adopt(offsets, True)
        if self.intake.mutant != "pause-left":
            self._resume_assigned(list(offsets))
        self.assigning = None
        self.sweep()

    def _missing(self, now: float) -> bool:
        """Start.resolve: logs are asked about again, for some seconds."""
        if min(self.lows.values(), default=0) < 0:
            self.give_up = self.give_up or now + ANSWER_SECONDS
            if now < self.give_up:
                return True
        self.give_up = 0.0
        return False

    def _open(self, committed: dict[Partition, int]) -> dict[Partition, int]:
        """_open, Start._decide (start: earliest): a slot and a forward for each partition; where each begins."""
        offsets = {}
        for partition, found in committed.items():
            low = self.lows[partition]
            start = max(found, low) if found >= 0 else low if low >= 0 else BEGINNING
            lane = self.intake.lane_of(self.client, partition.topic)
            assert partition.number not in lane.slots, f"{partition} is assigned twice"
            slot = lane.slots[partition.number] = self.intake.open(lane, partition, max(start, -1))
            if start != found:
                slot.stored, slot.anew = -1, True
            offsets[partition] = start
            self.client.forward(partition)
        return offsets

    def _busy(self) -> bool:
        """_busy: whether a record of a revoked partition is on its way to the app or to the parking topic."""
        for partition in self.revoking or ():
            if (slot := self._slot(partition)) is not None:
                at = self.ledger.test_slot(slot.number)
                if at["popped"] + at["parked"] != at["settled"]:
                    return True
        return False

    def _revoke(self) -> None:
        """_revoke: stores the last acknowledgements, ends the slots and lets the partitions go."""
        assert self.revoking is not None
        self.sweep()
        for partition in self.revoking:
            if (slot := self._slot(partition)) is not None:
                self.ledger.test_state(slot.number, DEAD)
                lane = self.intake.lanes[partition.topic]
                del lane.slots[partition.number]
                self.intake.forget(lane, partition.number)
        self._adopt(dict.fromkeys(self.revoking, 0), False)
        self.revoking = None

    def _repair(self) -> None:
        """_repair: partitions whose position was out of range start again at what Kafka has."""
        for lane in self.intake.lanes.values():
            if lane.client is not self.client or lane.resets == 0:
                continue
            broken = [s for s in lane.slots.values() if s.resetting == 2 or (s.reset_from >= 0 and s.resetting == 0)]
            for slot in broken:
                slot.resetting = 1 if slot.reset_from >= 0 else 0
            lane.resets = 0
            if broken:
                self._again(broken)

    def _again(self, slots: list[Slot]) -> None:
        """_again, _owned: they leave the assignment and join it; with an eager protocol, all do."""
        if self.client.group.eager:
            mine = [lane for lane in self.intake.lanes.values() if lane.client is self.client]
            slots = [slot for lane in mine for slot in lane.slots.values()]
        self._adopt({slot.partition: 0 for slot in slots}, False)
        self.client.settle_forwards()
        offsets = {}
        for slot in slots:
            position = self.ledger.test_slot(slot.number)["next"]
            offsets[slot.partition] = position if slot.reset_from < 0 and position >= 0 else BEGINNING
            self.intake.forget(self.intake.lanes[slot.partition.topic], slot.partition.number)
            self.client.forward(slot.partition)
        self._adopt(offsets, True)

    def pause(self, lane: Lane, on: bool) -> None:
        """pause: every partition of a lane."""
        mine = [slot.partition for slot in lane.slots.values()]
        if on and not mine:
            lane.pause_after = self.clock() + RETRY_SECONDS
            return
        if on:
            self.client.pause(mine)
            self.intake.shed(lane)
        else:
            self.client.resume(mine)
        lane.pauses += on
        lane.paused = on

    def _resume_assigned(self, partitions: list[Partition]) -> None:
        """_resume_assigned: what was paused when it was taken away comes back paused."""
        for topic in sorted({partition.topic for partition in partitions}):
            if (lane := self.intake.lanes[topic]).pauses:
                self.pause(lane, False)

    def sweep(self) -> None:
        """sweep: gives librdkafka the frontiers that moved; what begins elsewhere than committed is committed."""
        found: dict[Partition, int] = {}
        anew: dict[Partition, int] = {}
        for lane in self.intake.lanes.values():
            if lane.client is not self.client:
                continue
            for slot in lane.slots.values():
                state = self.intake.state(slot)
                if state not in (LIVE, CLOSING):
                    continue
                self.ledger.test_catch_up(slot.number)
                if state == LIVE:
                    self.ledger.test_end(slot.number, slot.end)
                frontier = self.ledger.test_slot(slot.number)["frontier"]
                self.checks.frontier(slot, frontier)
                if frontier > slot.stored:
                    found[slot.partition] = frontier
                if slot.anew and frontier >= 0:
                    anew[slot.partition] = frontier
        for partition, taken in self.client.store(found).items():
            if taken and (kept := self._slot(partition)) is not None:
                kept.stored = found[partition]
        for partition, taken in self.client.commit_now(anew).items():
            if (kept := self._slot(partition)) is not None:
                kept.anew = not taken  # _answered

    def begin_close(self) -> None:
        """begin_close."""
        if not self.client.closing:
            self.sweep()
            self.client.close()
