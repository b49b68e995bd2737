"""Whether the target may be given anything now: a small state machine over its answers. Pure; time is passed in.

It owns the target's health: its state, the waits, and how many sends a target is worth that was down or asked for
fewer. How many records a target that is well can work on is `tidegate.pressure`'s; with a limiter that adapts, `yields`
is False: 429 and 503 then only make everyone wait here, and lower the limit there.

    OPEN   up to `limit` sends at once. The limit is the ceiling, or doubles per success on the way back from DOWN.
    SLOW   after 429 or 503: nothing until the wait is over. `yields`: the limit halves, and grows by one per `limit`
           successes.
    DOWN   the target fails whatever it is given: one probe at a time, 100 ms to 5 s apart.

    OPEN ──429, 503──► SLOW ──back at the ceiling, and calm──► OPEN
    OPEN, SLOW ──refused, or systemic failures in a row──► DOWN ──a probe succeeds──► OPEN (limit 2, 4, 8, …)
    DOWN ──a probe is answered 429 or 503──► SLOW (limit 1)

One fault is answered once: sends that were under way when the state changed report the same fault again, and an
*epoch* tells them apart. `begin` gives the epoch, `end` takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tidegate.sinks.base import Kind, Outcome

RETRY_BASE_SECONDS = 0.1
RETRY_CAP_SECONDS = 30.0
SLOW_CAP_SECONDS = 60.0
PROBE_CAP_SECONDS = 5.0
SYSTEMIC_IN_A_ROW = 3
CALM_SECONDS = 5.0  # without 429 or 503 before SLOW is over: else a target at its limit would change state all the time
_MAX_DOUBLINGS = 16


class TargetState(StrEnum):
    """What is held to be true of the target."""

    OPEN = "open"
    SLOW = "slow"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state, for the log and the stats."""

    before: TargetState
    after: TargetState
    reason: str
    detail: str


def retry_delay(attempts: int, outcome: Outcome, rng: Random) -> float:
    """Seconds until a batch that was sent `attempts` (>= 1) times is due again: full jitter under 100 ms × 2^(n-1),
    capped at 30 s, and no earlier than the target asked (capped at 60 s).

    Full jitter: Brooker, "Exponential backoff and jitter" (AWS Architecture Blog, 2015).
    """
    backoff = rng.random() * min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2.0 ** min(attempts - 1, _MAX_DOUBLINGS))
    return max(backoff, min(outcome.retry_after or 0.0, SLOW_CAP_SECONDS))


class Pacing:
    """See the module. Every `begin` is followed by exactly one `end` or `abandon` with the epoch it returned.

    Attributes:
        state, since, reason: the state, when it began (the caller's clock), and the outcome's reason that led to it.
        limit: sends at once once the wait is over, 1 to ceiling.
        open_at: nothing may be sent before this time.
        sending: sends under way, of all epochs.

    Args:
        yields: 429 and 503 halve the limit.
    """

    def __init__(self, ceiling: int, rng: Random, now: float, *, yields: bool = True) -> None:
        if ceiling < 1:
            raise ValueError("the ceiling is at least one send")
        self.ceiling = ceiling
        self._yields = yields
        self.state = TargetState.OPEN
        self.since = now
        self.reason = "start"
        self.limit = ceiling
        self.open_at = now
        self.sending = 0
        self._rng = rng
        self._epoch = 0
        self._probes = 0  # sends of this epoch under way
        self._failures = 0  # systemic, with no success in between
        self._successes = 0  # since the limit last grew, in SLOW
        self._waits = 0  # in a row without a success between: the backoff's exponent
        self._last_slow = now
        self._asked_until = now  # the latest Retry-After: no probe or straggler cuts it short

    def free(self, now: float) -> int:
        """Sends that may begin now."""
        if now < self.open_at:
            return 0
        if self.state is TargetState.DOWN:
            # Sends from before the fault may hang until their timeout; the probe does not wait for them.
            return 1 if self._probes == 0 and self.sending < self.ceiling else 0
        return max(0, self.limit - self.sending)

    def begin(self) -> int:
        """A send begins; returns the epoch to hand to `end`."""
        self.sending += 1
        self._probes += 1
        return self._epoch

    def abandon(self, epoch: int) -> None:
        """A send was cancelled: it says nothing about the target."""
        self.sending -= 1
        if epoch == self._epoch:
            self._probes -= 1

    def end(self, epoch: int, outcome: Outcome, now: float) -> Change | None:
        """A send ended. Returns the change of state, if it led to one."""
        current = epoch == self._epoch
        self.abandon(epoch)
        match outcome.kind:
            case Kind.ACK:
                return self._succeeded(current, now)
            case Kind.SLOW:
                return self._slowed(current, outcome, now)
            case Kind.DOWN if current:
                return self._failed(outcome, now)
            case Kind.RETRY if current and self.state is TargetState.DOWN:
                # The target answers, but this batch is no proof: try another soon.
                self._pause_until(now + self._probe_delay(0))
        return None

    def _succeeded(self, current: bool, now: float) -> Change | None:
        self._failures = 0
        if self.state is TargetState.DOWN:
            if not current:
                # A straggler got through: worth a probe now, but it may have been an old connection's last word.
                self._pause_until(now)
                return None
            self.limit = min(2, self.ceiling)
            self._waits = 0
            return self._change(TargetState.OPEN, "answers-again", "", now)
        if not current:
            return None
        if self.state is TargetState.OPEN:
            self.limit = min(self.ceiling, self.limit * 2)
            return None
        self._waits = 0
        self._successes += 1
        if self._successes >= self.limit and self.limit < self.ceiling:
            self.limit += 1
            self._successes = 0
        if self.limit == self.ceiling and now - self._last_slow >= CALM_SECONDS:
            return self._change(TargetState.OPEN, "calm", "", now)
        return None

    def _slowed(self, current: bool, outcome: Outcome, now: float) -> Change | None:
        self._last_slow = now
        if outcome.retry_after is not None:
            self._asked_until = max(self._asked_until, now + min(outcome.retry_after, SLOW_CAP_SECONDS))
        if not current:  # the same fault once more; what it asks for still counts
            self._pause_until(self.open_at)
            return None
        if self.state is TargetState.DOWN:
            self._waits = 0
        if not self._yields:
            self.limit = self.ceiling
        elif self.state is TargetState.DOWN:
            self.limit = 1
        else:
            self.limit = max(1, self.limit // 2)
        self._waits += 1
        self._successes = 0
        self._next_epoch(now + retry_delay(self._waits, outcome, self._rng))
        if self.state is TargetState.SLOW:
            return None
        return self._change(TargetState.SLOW, outcome.reason, outcome.detail, now)

    def _failed(self, outcome: Outcome, now: float) -> Change | None:
        self._failures += 1
        if self.state is TargetState.DOWN:
            self._waits += 1
            self._pause_until(now + self._probe_delay(self._waits))
            return None
        if not outcome.unreachable and self._failures < min(SYSTEMIC_IN_A_ROW, self.ceiling):
            return None
        self.limit = 1
        self._waits = 0
        self._next_epoch(now + self._probe_delay(0))
        return self._change(TargetState.DOWN, outcome.reason, outcome.detail, now)

    def _probe_delay(self, failed_probes: int) -> float:
        # Half the delay is fixed: a probe with full jitter could follow its predecessor at once.
        delay = min(PROBE_CAP_SECONDS, RETRY_BASE_SECONDS * 2.0 ** min(failed_probes, _MAX_DOUBLINGS))
        return delay * (0.5 + 0.5 * self._rng.random())

    def _next_epoch(self, open_at: float) -> None:
        self._epoch += 1
        self._probes = 0
        self._pause_until(open_at)

    def _pause_until(self, time: float) -> None:
        self.open_at = max(time, self._asked_until)

    def _change(self, after: TargetState, reason: str, detail: str, now: float) -> Change:
        change = Change(self.state, after, reason, detail)
        self.state, self.since, self.reason = after, now, reason
        return change
