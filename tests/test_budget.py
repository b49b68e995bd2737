from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.budget import MINIMUM_BYTES, Budget

MIB = 1 << 20


def test_the_default_is_divided_as_decided() -> None:
    budget = Budget.from_bytes(96 * MIB)
    assert (budget.prefetch, budget.rings, budget.in_flight) == (17 * MIB, 34 * MIB, 17 * MIB)
    assert (budget.ring_minimum, budget.rings_shared) == (34 * MIB // 12, 34 * MIB - 4 * (34 * MIB // 12))


@given(st.integers(MINIMUM_BYTES, 1 << 40), st.integers(1, 1000))
def test_shares_and_what_is_spare_add_up(total: int, lanes: int) -> None:
    budget = Budget.from_bytes(total)
    spare = total - budget.prefetch - budget.rings - budget.in_flight
    assert spare == min(total * 3 // 10, max(28 * MIB, total // 8))
    assert 4 * budget.ring_minimum + budget.rings_shared == budget.rings
    assert min(budget.prefetch, budget.ring_minimum, budget.rings_shared, budget.in_flight) > 0
    queued = budget.queued_kbytes(lanes) * 1024 * lanes
    assert queued <= budget.prefetch * 0.4 or budget.queued_kbytes(lanes) == 32
    messages = budget.queued_messages(lanes)
    assert 100 <= messages <= 100_000
    assert messages * lanes * 340 <= budget.prefetch or messages == 100
    assert 16 << 10 <= budget.fetch_bytes(lanes) <= 256 << 10


def test_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum"):
        Budget.from_bytes(MINIMUM_BYTES - 1)
    with pytest.raises(ValueError, match="lane"):
        Budget.from_bytes(MINIMUM_BYTES).queued_kbytes(0)
    with pytest.raises(ValueError, match="lane"):
        Budget.from_bytes(MINIMUM_BYTES).queued_messages(0)
