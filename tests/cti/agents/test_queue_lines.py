"""Lines as Asterisk's events and its list of them say, held against one another."""

from __future__ import annotations

import json

import pytest

from cti.agents.queue_lines import InLine, QueueLines
from tests.cti.recordings import RECORDED, messages_of

pytestmark = pytest.mark.unit


def join(uniqueid: str, position: str, queue: str = "q") -> dict[str, str]:
    return {
        "Event": "QueueCallerJoin",
        "Queue": queue,
        "Uniqueid": uniqueid,
        "Position": position,
    }


def place(uniqueid: str, value: str) -> dict[str, str]:
    return {"Event": "VarSet", "Variable": "QUEUE_PRIO", "Value": value, "Uniqueid": uniqueid}


def test_a_line_follows_joins_leaves_and_places() -> None:
    lines = QueueLines()
    for message in (
        place("1", "383000005"),
        join("1", "1"),
        place("2", "383000001"),
        join("2", "2"),
        place("3", "2000000000"),
        join("3", "1"),
        join("4", "4"),
        {"Event": "QueueCallerLeave", "Queue": "q", "Uniqueid": "2", "Position": "3"},
    ):
        lines.feed(message)
    assert lines.of("q") == [InLine("3", 2_000_000_000), InLine("1", 383_000_005), InLine("4", 0)]
    assert lines.of("other") == ()


def test_a_place_goes_along_into_the_next_queue_and_ends_with_the_call() -> None:
    lines = QueueLines()
    leave = {"Event": "QueueCallerLeave", "Queue": "q", "Uniqueid": "1", "Position": "1"}
    for message in (place("1", "7"), join("1", "1"), leave, join("1", "1", "second")):
        lines.feed(message)
    assert lines.of("q") == []
    assert lines.of("second") == [InLine("1", 7)]
    lines.feed({"Event": "Hangup", "Uniqueid": "1"})
    lines.feed(join("1", "1", "third"))
    assert lines.of("third") == [InLine("1", 0)]


@pytest.mark.parametrize("odd", ["", "-1", "x", "٣", "9" * 400, "1e9"])
def test_odd_numbers_hurt_nothing(odd: str) -> None:
    lines = QueueLines()
    for message in (place("1", odd), join("1", odd), join("2", odd)):
        lines.feed(message)
    assert [someone.uniqueid for someone in lines.of("q")][:1] in (["1"], ["2"])
    lines.feed({"Event": "QueueCallerJoin"})
    lines.feed({})


def test_the_line_of_a_recorded_stream_is_the_one_that_asterisk_lists() -> None:
    """Two callers, and a stand-in before them."""
    moment = json.loads((RECORDED / "callback_between_two_callers.lists.json").read_text())[0]
    listed, followed = QueueLines(), QueueLines()
    listed.rebuild(moment["queues"])
    for message in messages_of(RECORDED / "callback_between_two_callers.own.ami"):
        followed.feed(message)
        if message.get("Event") == "QueueCallerJoin" and message["Count"] == "3":
            break
    assert followed.of("linear") == listed.of("linear")
    assert listed.of("linear")[0].place == 2_000_000_000
    assert len(listed.of("linear")) == 3
