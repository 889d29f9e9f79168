"""Which callbacks join, and which stand-ins leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.callbacks.planner import AHEAD, Pending, Plan, QueueNow, StandIn, plan

pytestmark = pytest.mark.unit


def stand_in(callback: int, place: int, name: str = "", **more: bool) -> StandIn:
    return StandIn(name or f"Local/{callback}", callback, "q", place, **more)


def test_it_joins_when_few_enough_are_ahead() -> None:
    places = [900] * (AHEAD + 2)
    pending = [Pending(1, "q", 500)]
    assert plan({"q": QueueNow(places, 2)}, pending, []) == Plan()
    assert plan({"q": QueueNow(places, 3)}, pending, []) == Plan(join=(1,))
    assert plan({"q": QueueNow(places[1:], 2)}, pending, []) == Plan(join=(1,))
    assert plan({"q": QueueNow([100] * 50, 0)}, pending, []) == Plan(join=(1,))
    assert plan({}, pending, []) == Plan(join=(1,))


def test_who_has_the_same_place_and_is_there_is_ahead() -> None:
    places = [500] * AHEAD
    assert plan({"q": QueueNow(places, 0)}, [Pending(1, "q", 500)], []) == Plan()
    assert plan({"q": QueueNow(places, 0)}, [Pending(1, "q", 501)], []) == Plan(join=(1,))


def test_those_who_join_are_ahead_of_the_next_and_so_are_those_on_their_way() -> None:
    pending = [Pending(number, "q", 1000 - number) for number in range(20)]
    assert plan({"q": QueueNow()}, pending, []).join == tuple(range(AHEAD))
    coming = [stand_in(number, 1000 - number, in_line=False) for number in range(2)]
    assert plan({"q": QueueNow()}, pending, coming).join == tuple(range(2, AHEAD))
    there = [stand_in(number, 1000 - number) for number in range(2)]
    places = [one.place for one in there]
    assert plan({"q": QueueNow(places)}, pending, there).join == tuple(range(2, AHEAD))
    with_agents = [stand_in(number, 1000 - number, taken=True) for number in range(2)]
    assert plan({"q": QueueNow()}, pending, with_agents).join == tuple(range(2, AHEAD + 2))


def test_each_queue_has_its_own_line() -> None:
    pending = [Pending(1, "full", 5), Pending(2, "q", 5)]
    queues = {"full": QueueNow([9] * 50, 1), "q": QueueNow()}
    assert plan(queues, pending, []) == Plan(join=(2,))


def test_what_is_not_wanted_any_more_leaves_unless_an_agent_has_it() -> None:
    assert plan({}, [], [stand_in(1, 5)]) == Plan(leave=("Local/1",))
    assert plan({}, [], [stand_in(1, 5, taken=True)]) == Plan()
    assert plan({}, [], [stand_in(1, 5, in_line=False)]) == Plan(leave=("Local/1",))


def test_a_stand_in_at_another_place_is_replaced() -> None:
    pending = [Pending(1, "q", 7)]
    assert plan({}, pending, [stand_in(1, 5)]) == Plan(join=(1,), leave=("Local/1",))


def test_of_two_for_one_callback_one_leaves() -> None:
    pending = [Pending(1, "q", 5)]
    two = [stand_in(1, 5, "a"), stand_in(1, 5, "b")]
    assert plan({}, pending, two) == Plan(leave=("b",))
    late = [stand_in(1, 5, "a", in_line=False), stand_in(1, 5, "b")]
    assert plan({}, pending, late) == Plan(leave=("a",))
    answered = [stand_in(1, 5, "a"), stand_in(1, 5, "b", taken=True)]
    assert plan({}, pending, answered) == Plan(leave=("a",))


@given(
    st.lists(st.integers(0, 30), max_size=12),
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=12),
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 30), st.booleans(), st.booleans()), max_size=8
    ),
)
def test_done_at_once_it_leaves_nothing_to_do_and_no_second(
    callers: list[int],
    agents: int,
    asked: list[tuple[int, int]],
    there: list[tuple[int, int, bool, bool]],
) -> None:
    pending = [Pending(number, "q", place) for number, place in dict(asked).items()]
    stand_ins = [
        StandIn(f"s{at}", number, "q", place, in_line=in_line and not taken, taken=taken)
        for at, (number, place, in_line, taken) in enumerate(there)
    ]

    def places(those: list[StandIn]) -> list[int]:
        return [*callers, *(one.place for one in those if one.in_line)]

    first = plan({"q": QueueNow(places(stand_ins), agents)}, pending, stand_ins)
    by_id = {one.id: one for one in pending}
    after = [one for one in stand_ins if one.name not in first.leave]
    after += [stand_in(number, by_id[number].place) for number in first.join]
    waiting = [one.callback for one in after if not one.taken]
    assert len(waiting) == len(set(waiting))
    assert set(waiting) <= set(by_id)
    second = plan({"q": QueueNow(places(after), agents)}, pending, after)
    assert second.leave == ()
    # What has left makes room; else nothing is left to do.
    assert second.join == () or first.leave
    # Nobody joins before one who is ahead of them.
    left_out = [one for one in pending if one.id not in {s.callback for s in after}]
    for number in first.join:
        assert all(by_id[number].place >= one.place for one in left_out)
