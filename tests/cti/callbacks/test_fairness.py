"""The queue is fair: a day on a virtual clock with the real queue code, and its model of app_queue
held against Asterisk's own."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_store.models import Segment
from cti.callbacks.planner import AHEAD
from tests.cti.callbacks.queue_day import HEAD_STARTS, Caller, Customer, Day, Outcome, QueueDay

pytestmark = pytest.mark.unit

AGENTS = 24
SEGMENTS = (Segment.ORDINARY, Segment.MEMBER, Segment.VIP)


def a_days_customers(random: Random, how_many: int) -> list[Customer]:
    """Ten hours with rushes, in which more come than can be served."""
    customers = []
    at = 0.0
    for _ in range(how_many):
        rush = 1.6 if int(at / 1800) % 2 else 0.7
        at += random.expovariate(0.27 * rush)
        asks = random.uniform(5, 400) if random.random() < 0.3 else None
        customers.append(
            Customer(
                at=at,
                segment=random.choices(SEGMENTS, (70, 22, 8))[0],
                talks=random.expovariate(1 / 80),
                patience=random.expovariate(1 / 900) if random.random() < 0.4 else 36_000.0,
                asks_after=asks,
                misses=random.choices((0, 1, 3), (80, 15, 5))[0],
            )
        )
    return customers


def a_days_shifts(random: Random, last: float) -> list[tuple[float, float]]:
    """Agents who come, go for a while, and come back; somebody is always there at the end."""
    shifts = []
    for _ in range(AGENTS):
        at = random.uniform(0, 600)
        while at < last:
            until = at + random.uniform(1200, 6000)
            shifts.append((at, until))
            at = until + random.uniform(60, 900)
    return [*shifts, (last, last + 200_000), (last, last + 200_000)]


def check_whole(outcome: Outcome, callers: list[Caller]) -> None:
    """Nobody is forgotten, and nobody is served twice."""
    assert outcome.ends["waits"] == 0
    for caller in callers:
        assert caller.served == (caller.over in ("served", "called back")), caller
        if caller.asked:
            assert caller.over in ("called back", "given up")
            assert caller.tries == min(caller.customer.misses + 1, 3)
    assert outcome.longest_passed <= HEAD_STARTS.vip_head_start_seconds


@pytest.mark.parametrize(("how_many", "latency"), [(10_000, 0.0), (2_000, 0.3)])
def test_callers_are_served_in_the_order_in_which_they_came(how_many: int, latency: float) -> None:
    random = Random(4)
    customers = a_days_customers(random, how_many)
    declines = frozenset(random.sample(range(how_many), how_many // 25))
    day = QueueDay(Day(customers, a_days_shifts(random, customers[-1].at), declines, latency))
    outcome = day.play()
    check_whole(outcome, day.callers)
    # The day was one: all that can happen has happened, often, and the bound was reached.
    assert outcome.ends["called back"] > how_many / 10
    assert outcome.ends["abandoned"] > how_many / 33
    assert outcome.ends["given up"] > how_many / 200
    assert outcome.longest_passed > HEAD_STARTS.vip_head_start_seconds - 10
    # Far from all who wait at home have a stand-in in Asterisk.
    assert outcome.most_stand_ins <= 2 * AGENTS + AHEAD


@st.composite
def small_days(draw: st.DrawFn) -> Day:
    seconds = st.integers(0, 600).map(float)
    customers = draw(
        st.lists(
            st.builds(
                Customer,
                at=seconds,
                segment=st.sampled_from(SEGMENTS),
                talks=st.integers(1, 120).map(float),
                patience=st.sampled_from((5.0, 90.0, 1e9)),
                asks_after=st.none() | st.integers(0, 200).map(float),
                misses=st.integers(0, 3),
            ),
            max_size=14,
        )
    )
    shifts = draw(st.lists(st.tuples(seconds, seconds).map(lambda t: (min(t), max(t))), max_size=5))
    declines = draw(st.frozensets(st.integers(0, 20), max_size=6))
    latency = draw(st.sampled_from((0.0, 0.3)))
    # Whoever is left is served in the end.
    return Day(customers, [*shifts, (700.0, 1e6)], declines, latency)


@given(small_days())
@settings(max_examples=150)
def test_small_days_are_fair_as_well(day: Day) -> None:
    played = QueueDay(day)
    check_whole(played.play(), played.callers)
