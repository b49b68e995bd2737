"""handle.pyx in Python: a consumer's rebalances, its stored offsets and its end. Functions name what they mirror.

Left out: notes, fatal errors, errors of resuming, and --until-end.
"""

from __future__ import annotations

from sim.checks import Checks, Slot
from sim.client import ASSIGN, Client
from sim.intake import CLOSING, DEAD, LIVE, Intake, Lane
from sim.kafka import BEGINNING, Partition

SETTLE_SECONDS = 2.0
RETRY_SECONDS = 0.2


class Handle:
    def __init__(self, client: Client, intake: Intake, checks: Checks) -> None:
        self.client, self.intake, self.checks = client, intake, checks
        self.ledger, self.clock = intake.ledger, intake.clock
        self.assigning: list[Partition] | None = None
        self.revoking: list[Partition] | None = None
        self.assign_after = self.revoke_until = 0.0

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
            self.assigning, self.assign_after = list(partitions), 0.0
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
        """_assign: resolves the start offsets; assigns, or tries again a little later."""
        assert self.assigning is not None
        committed = self.client.committed(self.assigning)
        if committed is None:
            self.assign_after = self.clock() + RETRY_SECONDS
            return
        offsets = dict(zip(self.assigning, committed, strict=True))
        for partition, offset in offsets.items():  # _open
            lane = self.intake.lane_of(self.client, partition.topic)
            before = self.intake.lanes[partition.topic].slots.get(partition.number)
            assert before is None, f"{partition} is assigned twice"
            lane.slots[partition.number] = self.intake.open(lane, partition, offset if offset >= 0 else -1)
            if offset < 0:
                offsets[partition] = BEGINNING
            self.client.forward(partition)
        self._adopt(offsets, True)
        if self.intake.mutant != "pause-left":
            self._resume_assigned(list(offsets))
        self.assigning = None

    def _busy(self) -> bool:
        """_busy: whether a record of a revoked partition is on its way to the app."""
        for partition in self.revoking or ():
            if (slot := self._slot(partition)) is not None:
                at = self.ledger.test_slot(slot.number)
                if at["popped"] != at["settled"]:
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
        """_repair: partitions whose position was out of range start again at what Kafka still has."""
        for lane in self.intake.lanes.values():
            if lane.client is not self.client or lane.resets == 0:
                continue
            if broken := self._broken(lane):
                self._adopt({slot.partition: 0 for slot in broken}, False)
                self.client.settle_forwards()
                offsets = {}
                for slot in broken:
                    position = self.ledger.test_slot(slot.number)["next"]
                    well = slot.reset_from < 0 and position >= 0
                    offsets[slot.partition] = position if well else BEGINNING
                    self.intake.forget(self.intake.lanes[slot.partition.topic], slot.partition.number)
                    self.client.forward(slot.partition)
                self._adopt(offsets, True)

    def _broken(self, lane: Lane) -> list[Slot]:
        """_broken: an eager protocol knows whole assignments only."""
        broken = [s for s in lane.slots.values() if s.resetting == 2 or (s.reset_from >= 0 and s.resetting == 0)]
        for slot in broken:
            slot.resetting = 1 if slot.reset_from >= 0 else 0
        lane.resets = 0
        if broken and self.client.group.eager:
            mine = [other for other in self.intake.lanes.values() if other.client is self.client]
            return [slot for other in mine for slot in other.slots.values()]
        return broken

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
        """sweep: gives librdkafka the frontiers that moved."""
        found: dict[Partition, int] = {}
        for lane in self.intake.lanes.values():
            if lane.client is not self.client:
                continue
            for slot in lane.slots.values():
                state = self.intake.state(slot)
                if state not in (LIVE, CLOSING):
                    continue
                if state == LIVE:
                    self.ledger.test_end(slot.number, slot.end)
                frontier = self.ledger.test_slot(slot.number)["frontier"]
                self.checks.frontier(slot, frontier)
                if frontier > slot.stored:
                    found[slot.partition] = frontier
        for partition, taken in self.client.store(found).items():
            if taken and (kept := self._slot(partition)) is not None:
                kept.stored = found[partition]

    def begin_close(self) -> None:
        """begin_close."""
        if not self.client.closing:
            self.sweep()
            self.client.close()
