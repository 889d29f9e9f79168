from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store.contacts import queue_places
from crm_store.models import Segment
from crm_store.staff.queues import QueueRecord

pytestmark = pytest.mark.unit

QUEUE = QueueRecord(name="q", number="1", titles={})
MOMENTS = st.floats(1_700_000_000, 2_100_000_000)
SEGMENTS = st.sampled_from([*Segment, None])


def _place(arrived_at: float, segment: Segment | None) -> int:
    return queue_places.priority(arrived_at, queue_places.head_start_seconds(QUEUE, segment))


def test_head_starts_are_the_queues() -> None:
    starts = [queue_places.head_start_seconds(QUEUE, segment) for segment in (*Segment, None)]
    assert starts == [180, 60, 0, 0]
    backwards = QueueRecord(name="q", number="1", titles={}, vip_head_start_seconds=-5)
    assert queue_places.head_start_seconds(backwards, Segment.VIP) == 0


@given(st.lists(st.tuples(MOMENTS, SEGMENTS), min_size=2))
def test_within_a_segment_who_came_first_is_first(callers: list[tuple[float, Segment]]) -> None:
    for segment in (*Segment, None):
        arrived = sorted(at for at, whose in callers if whose is segment)
        places = [_place(at, segment) for at in arrived]
        assert places == sorted(places, reverse=True)


@given(MOMENTS, SEGMENTS, MOMENTS, SEGMENTS)
def test_nobody_is_passed_by_who_came_later_than_the_head_start(
    first: float, one: Segment | None, second: float, other: Segment | None
) -> None:
    if second - first > QUEUE.vip_head_start_seconds + 1:
        assert _place(first, one) > _place(second, other)


@given(MOMENTS, SEGMENTS)
def test_a_place_fits_app_queue_and_says_since_when(at: float, segment: Segment | None) -> None:
    place = _place(at, segment)
    assert 0 < place < queue_places.FRONT < 2**31
    start = queue_places.head_start_seconds(QUEUE, segment)
    assert abs(queue_places.stood_since(place) - (at - start)) <= 1
