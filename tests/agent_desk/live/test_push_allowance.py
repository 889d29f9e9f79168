"""What a client of the push may have: the burst at once, the rate in the long run, no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_desk.live.push_allowance import Allowance

pytestmark = pytest.mark.unit

PAUSES = st.lists(st.floats(0, 10), min_size=1, max_size=200)


@given(st.integers(1, 50), st.floats(0.1, 100), PAUSES)
def test_never_more_than_the_burst_and_the_rate(
    burst: int, per_second: float, pauses: list[float]
) -> None:
    allowance = Allowance(burst, per_second, now=0.0)
    now, given_at = 0.0, []
    for pause in pauses:
        now += pause
        # Whoever is early waits, as the push makes them.
        now += allowance.take(now)
        given_at.append(now)
    for first, begin in enumerate(given_at):
        for last in range(first, len(given_at)):
            most = burst + (given_at[last] - begin) * per_second
            assert last - first + 1 <= most + 1e-6


@given(st.integers(1, 50), st.floats(0.1, 100), st.integers(1, 500))
def test_who_keeps_to_the_rate_never_waits(burst: int, per_second: float, times: int) -> None:
    allowance = Allowance(burst, per_second, now=0.0)
    for time in range(times):
        assert allowance.take(time * 1.001 / per_second) == 0.0


def test_a_day_of_one_mistake_a_minute_is_forgiven() -> None:
    mistakes = Allowance(burst=9, per_second=6 / 60, now=0.0)
    assert not any(mistakes.take(minute * 60.0) for minute in range(8 * 60))
