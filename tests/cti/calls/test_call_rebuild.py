"""After each connect the model is rebuilt: it must equal the one that never lost its link.

The lists come from tests/asterisk_lists.py, which is itself held to lists of the real Asterisk.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_store.signals import (
    CallEnded,
    CallMerged,
    CallSignal,
    CallStarted,
    CallSummary,
    Direction,
    Signal,
)
from cti.ami.framing import AmiFramer
from cti.calls.call_model import WANTED_EVENTS, CallModel
from cti.calls.call_rebuild import AsteriskLists, seconds_of
from cti.calls.call_recovery import PATIENCE, CallRecovery, RecordedLink
from cti.calls.call_state import CallNow
from tests.asterisk_lists import Lists
from tests.cti.recordings import RECORDED, Message, messages_of, shapes, streams

pytestmark = pytest.mark.unit

AT_REST_SECONDS = 0.03
"""Longer than any burst of events in the recordings lasts: what is told then is what is."""

MOMENTS = [
    pytest.param(file, place, id=f"{file.name.removesuffix('.lists.json')}-{place}")
    for file in sorted(RECORDED.glob("*.lists.json"))
    for place in range(len(json.loads(file.read_text("utf-8"))))
]


def everything(shape: str) -> list[Message]:
    return AmiFramer().feed((RECORDED / f"{shape}.ami").read_bytes())


def lists_of(tracker: Lists) -> AsteriskLists:
    return AsteriskLists(tracker.channels(), tracker.queue_status(), tracker.parked_calls())


def visible(now: CallNow) -> dict[str, Any]:
    """What people see of a call, as far as Asterisk can tell it to somebody who comes late.

    It does not list who is on hold.
    """
    return {
        "caller": now.caller,
        "state": "answered" if now.state == "held" else now.state,
        "queue": now.queue if now.state == "queued" else "",
        "ringing": sorted((offer.endpoint, offer.queue) for offer in now.ringing),
        "talking": sorted(leg.endpoint for leg in now.talking),
        "parked": now.parked,
    }


def check_same(late: CallModel, steady: CallModel, when: str = "") -> None:
    """Both see the same calls. It does not list either who began a call and has left it since."""
    ours = {now.call: visible(now) for now in late.now()}
    theirs = {now.call: visible(now) for now in steady.now()}
    for call in steady.calls.values():
        gone = call.originated or call.first is None or call.first_uniqueid != call.linkedid
        if gone and call.linkedid in ours:
            ours[call.linkedid]["caller"] = theirs[call.linkedid]["caller"]
    assert ours == theirs, when


@pytest.mark.parametrize(("file", "place"), MOMENTS)
def test_the_tracker_lists_what_asterisk_listed(file: Path, place: int) -> None:
    moment = json.loads(file.read_text("utf-8"))[place]
    stream = (RECORDED / f"{file.name.removesuffix('.lists.json')}.ami").read_bytes()
    tracker = Lists()
    tracker.feed(AmiFramer().feed(stream[: moment["everything"]]))
    fields = (
        *("Uniqueid", "Linkedid", "Channel", "ChannelState", "CallerIDNum"),
        *("Context", "Exten", "Application", "BridgeId"),
    )
    assert _chosen(tracker.channels(), *fields) == _chosen(moment["channels"], *fields)
    waiting = ("Queue", "Position", "Uniqueid")
    assert _chosen(tracker.queue_status(), *waiting) == _chosen(moment["queues"], *waiting)
    parked = ("ParkeeUniqueid", "ParkingSpace", "ParkerDialString")
    assert _chosen(tracker.parked_calls(), *parked) == _chosen(moment["parked"], *parked)


def _chosen(rows: list[Message], *fields: str) -> set[tuple[str, ...]]:
    return {tuple(row[field] for field in fields) for row in rows if fields[1] in row}


@pytest.mark.parametrize(("file", "place"), MOMENTS)
def test_a_model_that_starts_now_sees_what_is(file: Path, place: int) -> None:
    """Deskbell starts beside calls in progress: real lists, no past."""
    moment = json.loads(file.read_text("utf-8"))[place]
    stream = RECORDED / f"{file.name.removesuffix('.lists.json')}.ami"
    lists = AsteriskLists(moment["channels"], moment["queues"], moment["parked"])
    late, early = CallModel("pbx"), CallModel("pbx")
    for message in AmiFramer(WANTED_EVENTS).feed(stream.read_bytes()[: moment["everything"]]):
        early.feed(message)
    late.rebuild(lists, 1_700_000_000.0)
    check_same(late, early)
    rest = AmiFramer(WANTED_EVENTS).feed(stream.read_bytes()[moment["everything"] :])
    for message in rest:
        late.feed(message)
        early.feed(message)
    assert not late.calls
    assert not early.calls


CUTTABLE = [shape for shape in shapes() if (RECORDED / f"{shape}.own.ami").exists()]
CUTTABLE = [shape for shape in CUTTABLE if (RECORDED / f"{shape}.ami").exists()]


def _at_rest(messages: list[Message], place: int) -> bool:
    """Whether the PBX had said all about the moment by message `place`."""
    stamps = [float(m["Timestamp"]) for m in messages[place - 1 : place + 1] if "Timestamp" in m]
    return len(stamps) < 2 or stamps[1] - stamps[0] > AT_REST_SECONDS


@st.composite
def cut_links(draw: st.DrawFn) -> tuple[str, int, int, int]:
    """A shape; from where to where its link was down; since when news were kept back."""
    shape = draw(st.sampled_from(CUTTABLE))
    length = len(everything(shape))
    down = draw(st.integers(0, length))
    up = draw(st.integers(down, length))
    return shape, down, up, draw(st.integers(max(down, up - 5), up))


@settings(max_examples=150)
@given(cut_links())
def test_a_rebuilt_model_equals_the_one_that_never_lost_its_link(
    cut: tuple[str, int, int, int],
) -> None:
    shape, down, up, kept_from = cut
    messages = everything(shape)
    steady, cut_off, tracker = CallModel("pbx"), CallModel("pbx"), Lists()
    recovery = CallRecovery(cut_off.feed, cut_off.rebuild)
    told: list[Signal] = []
    for place, message in enumerate(messages):
        if place == down:
            recovery.forget()
        if place == up:
            told += recovery.become(lists_of(tracker), 1_700_000_000.0)
        steady.feed(message)
        if place < down or place >= kept_from:
            told += recovery.take(message)
        tracker.feed([message])
        if place >= up and _at_rest(messages, place + 1):
            check_same(cut_off, steady, f"after message {place}: {message}")
    if up == len(messages):
        told += recovery.become(lists_of(tracker), 1_700_000_000.0)
    assert not cut_off.calls
    _check_ended_once(told)


def _check_ended_once(told: list[Signal]) -> None:
    calls = [signal for signal in told if isinstance(signal, CallSignal)]
    started = Counter(signal.call for signal in calls if isinstance(signal, CallStarted))
    ended = Counter(signal.call for signal in calls if isinstance(signal, CallEnded))
    merged = Counter(signal.merged for signal in calls if isinstance(signal, CallMerged))
    assert started == ended + merged
    assert set(started.values()) <= {1}


@settings(max_examples=100)
@given(st.sampled_from(CUTTABLE), st.data())
def test_calls_that_begin_after_the_rebuild_lose_nothing(shape: str, data: st.DataObject) -> None:
    """A link cut before the call, or after its end, changes nothing of what is told about it."""
    messages = everything(shape)
    first = next((i for i, m in enumerate(messages) if m.get("Event") == "Newchannel"), 0)
    up = data.draw(st.integers(0, first))
    model, tracker = CallModel("pbx"), Lists()
    tracker.feed(messages[:up])
    told = [*model.rebuild(lists_of(tracker), None)]
    told += [signal for message in messages[up:] for signal in model.feed(message)]
    whole = CallModel("pbx")
    for row in tracker.queue_status():
        whole.feed(row)
    assert told == [signal for message in messages[up:] for signal in whole.feed(message)]


def test_a_reconcile_in_the_middle_changes_nothing() -> None:
    """Every minute the lists are read though the link never broke: nothing may be told twice."""
    for shape in CUTTABLE:
        messages = everything(shape)
        steady, reconciled, tracker = CallModel("pbx"), CallModel("pbx"), Lists()
        for place, message in enumerate(messages):
            tracker.feed([message])
            assert [*reconciled.feed(message)] == [*steady.feed(message)], f"{shape} {place}"
            if _at_rest(messages, place + 1):
                said = reconciled.rebuild(lists_of(tracker), None)
                assert not said, f"{shape} after message {place} {message}"


def test_outcomes_after_an_outage_are_what_asterisk_can_still_tell() -> None:
    messages = everything("queue_one_member")
    answered = next(i for i, m in enumerate(messages) if m.get("Event") == "BridgeEnter")
    for down in range(1, answered):
        model, tracker = CallModel("pbx"), Lists()
        told = [signal for message in messages[:down] for signal in model.feed(message)]
        tracker.feed(messages[: answered + 5])
        told += model.rebuild(lists_of(tracker), None)
        told += [s for message in messages[answered + 5 :] for s in model.feed(message)]
        (summary,) = [signal for signal in told if isinstance(signal, CallSummary)]
        assert summary.outcome == "answered"
        assert summary.direction is Direction.INBOUND
        assert (summary.queue, summary.answered_by) == ("service", "PJSIP/1001")
        assert summary.rang == ["PJSIP/1001"]


# Recordings of our own link, and streams that only look like one.


@pytest.mark.parametrize("stream", streams(), ids=lambda stream: stream.name)
def test_a_stream_without_lists_passes_unchanged(stream: Path) -> None:
    if "relinked" in stream.name:
        return
    plain, followed = CallModel("pbx"), CallModel("pbx")
    link = RecordedLink(CallRecovery(followed.feed, followed.rebuild))
    messages = messages_of(stream)
    told = [signal for message in messages for signal in link.take(message)]
    told += link.finish()
    assert told == [signal for message in messages for signal in plain.feed(message)]


def test_a_login_without_lists_keeps_nothing_back_for_long() -> None:
    model = CallModel("pbx")
    link = RecordedLink(CallRecovery(model.feed, model.rebuild))
    link.take({"Response": "Success", "Message": "Authentication accepted"})
    call = {"Event": "Newchannel", "Uniqueid": "1.1", "Linkedid": "1.1", "ChannelState": "4"}
    assert not link.take(call)
    told = [signal for _ in range(PATIENCE) for signal in link.take({"Event": "Newstate"})]
    assert [type(signal) for signal in told] == [CallStarted]


def test_a_pbx_without_parking_is_followed_too() -> None:
    model = CallModel("pbx")
    link = RecordedLink(CallRecovery(model.feed, model.rebuild))
    link.take({"Response": "Success", "Message": "Authentication accepted"})
    link.take({"Event": "CoreShowChannelsComplete", "ActionID": "1"})
    assert not link.take({"Event": "QueueStatusComplete", "ActionID": "2"})
    link.take({"Response": "Error", "ActionID": "3", "Message": "Invalid/unknown command"})
    call = {"Event": "Newchannel", "Uniqueid": "1.1", "Linkedid": "1.1", "ChannelState": "4"}
    assert [type(signal) for signal in link.take(call)] == [CallStarted]


@pytest.mark.parametrize(
    ("text", "seconds"), [("01:02:03", 3723), ("00:00:00", 0), ("1 day", None), ("a:b:c", None)]
)
def test_durations_are_read(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds
