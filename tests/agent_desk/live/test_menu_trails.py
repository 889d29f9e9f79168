"""What a caller did in the phone menu stands on the pop: whole, in order, gone with the call."""

from __future__ import annotations

from typing import Any

import pytest

from agent_desk.live.menu_trails import MOST_CALLS, MOST_STEPS, MenuTrails
from crm_store import signals as s

pytestmark = pytest.mark.unit

CALL: dict[str, Any] = {"pbx": "main", "call": "1.1"}


def step(number: int, keyed: str = "") -> s.MenuStep:
    return s.MenuStep(**CALL, place="main", heard=f"heard {number}", keyed=keyed, language="zh")


def told(*signals: s.Signal) -> MenuTrails:
    trails = MenuTrails()
    for signal in signals:
        trails.on_signal(signal)
    return trails


def test_the_way_through_the_menu_is_kept_in_order() -> None:
    entered = s.MenuEntered(**CALL, language="en", menu="main")
    trails = told(entered, step(1, "2"), step(2), s.MenuLeft(**CALL, to="service"))
    assert trails.of("main", "1.1") == {
        "language": "zh",
        "steps": [
            {"place": "main", "heard": "heard 1", "keyed": "2", "language": "zh"},
            {"place": "main", "heard": "heard 2", "keyed": "", "language": "zh"},
        ],
        "left_to": "service",
    }
    assert trails.of("main", "9.9") is None


def test_a_key_stands_with_what_it_answers() -> None:
    keyed = s.MenuStep(**CALL, place="main", heard="", keyed="4", language="zh")
    trails = told(s.MenuEntered(**CALL, language="zh", menu="main"), keyed, step(1), keyed, keyed)
    trail = trails.of("main", "1.1")
    assert trail is not None
    assert [(one["heard"], one["keyed"]) for one in trail["steps"]] == [
        ("", "4"),
        ("heard 1", "4"),
        ("", "4"),
    ]


def test_a_second_visit_goes_on_where_the_first_ended() -> None:
    entered = s.MenuEntered(**CALL, language="en", menu="main")
    trails = told(entered, step(1), s.MenuLeft(**CALL, to="service"), entered, step(2))
    trail = trails.of("main", "1.1")
    assert trail is not None
    assert [one["heard"] for one in trail["steps"]] == ["heard 1", "heard 2"]
    assert trail["left_to"] == ""


def test_what_was_given_out_does_not_change() -> None:
    trails = told(s.MenuEntered(**CALL, language="en", menu="main"), step(1))
    before = trails.of("main", "1.1")
    trails.on_signal(step(2))
    assert before is not None
    assert len(before["steps"]) == 1


def test_it_goes_with_the_call_when_that_becomes_part_of_another_and_ends() -> None:
    trails = told(s.MenuEntered(**CALL, language="en", menu="main"), step(1))
    trails.on_signal(s.CallMerged(pbx="main", call="2.2", merged="1.1"))
    assert trails.of("main", "1.1") is None
    assert trails.of("main", "2.2") is not None
    trails.on_signal(s.CallEnded(pbx="main", call="2.2", cause="", caller="", callee=""))
    assert trails.of("main", "2.2") is None


def test_neither_a_caller_who_never_stops_nor_lost_ends_fill_the_memory() -> None:
    trails = told(s.MenuEntered(**CALL, language="en", menu="main"))
    for number in range(MOST_STEPS + 5):
        trails.on_signal(step(number))
    trail = trails.of("main", "1.1")
    assert trail is not None
    assert [trail["steps"][0]["heard"], len(trail["steps"])] == ["heard 5", MOST_STEPS]
    for number in range(MOST_CALLS):
        trails.on_signal(s.MenuEntered(pbx="main", call=f"9.{number}", language="en", menu="main"))
    assert trails.of("main", "1.1") is None
    assert trails.of("main", f"9.{MOST_CALLS - 1}") is not None
