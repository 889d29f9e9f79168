"""The call model, held to recorded streams of real Asterisks, and to streams that are damaged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_store.signals import (
    CallEnded,
    CallLeftQueue,
    CallMerged,
    CallOffered,
    CallOfferEnded,
    CallQueued,
    CallSignal,
    CallStarted,
    CallSummary,
    Direction,
    Outcome,
    Signal,
)
from cti.ami.framing import AmiFramer
from cti.calls.call_model import READ_HEADERS, CallModel
from tests.cti.recordings import (
    RECORDED,
    Message,
    expected,
    messages_of,
    shape_of,
    shapes,
    signals_of,
    streams,
)
from tests.cti.shapes import OTHER, OURS

pytestmark = pytest.mark.unit

STREAMS = {stream.name: stream for stream in streams()}
MESSAGES = {name: messages_of(stream) for name, stream in STREAMS.items()}
SUMMARY_OF_QUEUE_LOG = {
    "CONNECT": "answered",
    "ABANDON": "abandoned",
    "EXITWITHTIMEOUT": "timeout",
    "EXITWITHKEY": "exit",
    "EXITEMPTY": "exit",
}


def fed(messages: list[Message]) -> tuple[list[CallSignal], CallModel]:
    """All that a model says of the messages, its last words included, and the model."""
    model = CallModel("pbx")
    signals = [signal for message in messages for signal in model.feed(message)]
    signals += model.finish()
    return [signal for signal in signals if isinstance(signal, CallSignal)], model


def check_whole(signals: list[CallSignal], model: CallModel) -> None:
    """What holds of every stream: each call begins, ends or is merged once, and nothing is left."""
    assert not model.calls
    started = Counter(signal.call for signal in signals if isinstance(signal, CallStarted))
    ended = Counter(signal.call for signal in signals if isinstance(signal, CallEnded))
    summaries = Counter(signal.call for signal in signals if isinstance(signal, CallSummary))
    merged = Counter(signal.merged for signal in signals if isinstance(signal, CallMerged))
    assert started == ended + merged
    assert summaries == ended
    assert set((started | merged).values()) <= {1}
    ringing: Counter[str] = Counter()
    begun: set[str] = set()
    over: set[str] = set()
    for signal in signals:
        if isinstance(signal, CallStarted):
            begun.add(signal.call)
        assert signal.call in begun, f"{signal} before its call started"
        assert signal.call not in over or isinstance(signal, CallSummary), f"{signal} after the end"
        if isinstance(signal, CallEnded):
            over.add(signal.call)
        elif isinstance(signal, CallMerged):
            over.add(signal.merged)
        elif isinstance(signal, CallOffered):
            ringing[signal.endpoint] += 1
        elif isinstance(signal, CallOfferEnded):
            ringing[signal.endpoint] -= 1
            assert ringing[signal.endpoint] >= 0, f"{signal} was not open"


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_means_exactly_what_was_decided(name: str) -> None:
    stream = STREAMS[name]
    assert signals_of(stream) == expected(shape_of(stream))


@pytest.mark.parametrize("name", [name for name in STREAMS if not name.startswith("relinked")])
def test_every_call_of_a_recorded_stream_begins_and_ends_once(name: str) -> None:
    check_whole(*fed(MESSAGES[name]))


@pytest.mark.parametrize("shape", shapes())
def test_outcomes_are_told_apart_as_the_queue_log_does(shape: str) -> None:
    """The last line of the log about a call is its outcome, unless the call went on elsewhere."""
    outcomes: dict[str, list[str]] = {}
    for line in (RECORDED / f"{shape}.queue_log").read_text("utf-8").splitlines():
        fields = line.split("|")
        verdict = SUMMARY_OF_QUEUE_LOG.get(fields[4])
        if verdict is not None:
            outcomes.setdefault(fields[1], []).append(verdict)
    summaries = {s["call"]: s for s in expected(shape) if s["event"] == "CallSummary"}
    merged = {s["merged"] for s in expected(shape) if s["event"] == "CallMerged"}
    for call, verdicts in outcomes.items():
        # Of a callback the log knows the agent's answer, we the customer's.
        if call in merged or shape.startswith("callback_"):
            continue
        told = summaries[call]["outcome"]
        if "answered" in verdicts:
            assert told == "answered"
        else:
            assert told in (verdicts[-1], "answered", "voicemail")


@pytest.mark.parametrize("shape", shapes())
def test_one_summary_tells_one_customer_story(shape: str) -> None:
    """However a call was handed on, a customer who called once has one summary."""
    told = expected(shape)
    callers = Counter(s["caller"] for s in told if s["event"] == "CallStarted")
    summaries = Counter(s["caller"] for s in told if s["event"] == "CallSummary")
    for caller, calls in callers.items():
        if caller.startswith("+"):
            assert summaries[caller] == calls


def test_the_offer_is_told_at_the_channels_birth_for_a_known_phone() -> None:
    """The pop must beat the ring: for a known phone nothing later than Newchannel is waited for."""
    model = CallModel("pbx", phones={"PJSIP/1001": "Lin"})
    born = ""
    for message in MESSAGES["queue_one_member.own.ami"]:
        if message.get("Event") == "Newchannel" and "PJSIP/1001" in message["Channel"]:
            born = message["Timestamp"]
        for signal in model.feed(message):
            if isinstance(signal, CallOffered):
                assert signal.at == float(born)
                return
    pytest.fail("the phone was never offered the call")


# Damage: every message may be lost, come twice, or come in another's place.

damaged_streams = st.sampled_from(sorted(MESSAGES)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.lists(
            st.tuples(
                st.integers(0, len(MESSAGES[name]) - 1),
                st.sampled_from(["drop", "double", "swap", "delay", "drop the rest"]),
                st.integers(1, 30),
            ),
            max_size=12,
        ),
    )
)


def damage(messages: list[Message], faults: list[tuple[int, str, int]]) -> list[Message]:
    stream = list(messages)
    for place, fault, distance in faults:
        if place >= len(stream):
            continue
        other = min(place + distance, len(stream) - 1)
        if fault == "drop":
            del stream[place]
        elif fault == "double":
            stream.insert(other, stream[place])
        elif fault == "swap":
            stream[place], stream[other] = stream[other], stream[place]
        elif fault == "delay":
            stream.insert(other, stream.pop(place))
        else:
            del stream[place : place + distance]
    return stream


@settings(max_examples=200)
@given(damaged_streams)
def test_a_damaged_stream_leaves_nothing_behind(
    damaged: tuple[str, list[tuple[int, str, int]]],
) -> None:
    name, faults = damaged
    check_whole(*fed(damage(MESSAGES[name], faults)))


@settings(max_examples=60)
@given(st.sampled_from(sorted(MESSAGES)), st.integers(0, 1 << 32))
def test_messages_without_some_of_their_headers_never_raise(name: str, seed: int) -> None:
    lost = Random(seed).random
    stream = [
        {header: value for header, value in message.items() if lost() > 0.1 or header == "Event"}
        for message in MESSAGES[name]
    ]
    check_whole(*fed(stream))


@settings(max_examples=50)
@given(
    st.sampled_from(sorted(MESSAGES)), st.sampled_from(sorted(MESSAGES)), st.integers(0, 1 << 32)
)
def test_two_streams_interleaved_mean_what_each_means_alone(
    one: str, other: str, seed: int
) -> None:
    left = [dict(message) for message in MESSAGES[one]]
    right = [
        {name: _renamed(name, value) for name, value in message.items()}
        for message in MESSAGES[other]
    ]
    alone = [_summaries(left), _summaries(right)]
    both: list[Message] = []
    turns = Random(seed)
    while left and right:
        both.append((left if turns.random() < 0.5 else right).pop(0))
    assert _summaries(both + left + right) == alone[0] | alone[1]


def _renamed(name: str, value: str) -> str:
    """Another PBX's identifiers: a bridge, a Uniqueid or a Linkedid is nobody else's."""
    return f"other-{value}" if name.endswith(("niqueid", "inkedid")) and value else value


def _summaries(messages: list[Message]) -> dict[str, tuple[object, ...]]:
    signals, _ = fed([dict(message) for message in messages])
    return {
        signal.call: (signal.outcome, signal.queue, frozenset(signal.rang), signal.answered_by)
        for signal in signals
        if isinstance(signal, CallSummary)
    }


@settings(max_examples=60)
@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(1, 5_000), min_size=1, max_size=40))
def test_any_cut_of_the_bytes_means_the_same(name: str, cuts: list[int]) -> None:
    data = STREAMS[name].read_bytes()
    framer, model, place = AmiFramer(), CallModel("pbx"), 0
    told: list[Signal] = []
    for size in cuts:
        for message in framer.feed(data[place : place + size]):
            told += model.feed(message)
        place += size
    for message in framer.feed(data[place:]):
        told += model.feed(message)
    whole = CallModel("pbx")
    assert told == [s for m in AmiFramer().feed(data) for s in whole.feed(m)]


# What a stream of somebody else's may hold.


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"Event": "Newchannel"},
        {"Event": "Newchannel", "Uniqueid": "1.1"},
        {"Event": "Hangup", "Uniqueid": "never seen"},
        {"Event": "DialBegin", "DestUniqueid": "1.2", "DestChannel": "PJSIP/x-1"},
        {"Event": "QueueCallerJoin", "Uniqueid": "1.3", "Position": "²"},
        {"Event": "AttendedTransfer", "Result": "Success"},
        {"Event": "ParkedCall", "ParkingSpace": "701"},
        {"Event": "Newstate", "Uniqueid": "1.4", "Timestamp": "now"},
        {"Event": "BridgeEnter", "Uniqueid": "1.5", "BridgeUniqueid": "b"},
    ],
)
def test_an_odd_message_costs_a_detail_and_no_more(message: Message) -> None:
    check_whole(*fed([message, message]))


def call_of(number: str, channel: str, context: str, exten: str = "600") -> Message:
    return {
        "Event": "Newchannel",
        "Channel": channel,
        "ChannelState": "4",
        "CallerIDNum": number,
        "CallerIDName": "<unknown>",
        "Context": context,
        "Exten": exten,
        "Uniqueid": "1700000000.1",
        "Linkedid": "1700000000.1",
    }


@pytest.mark.parametrize(
    ("message", "direction"),
    [
        (call_of("+8613800138000", "PJSIP/trunk-00000001", "from-trunk"), Direction.INBOUND),
        (call_of("5550199", "PJSIP/telco1-00000001", "from-pstn"), Direction.INBOUND),
        (call_of("13800138000", "SIP/10.0.0.9-00000001", "default"), Direction.INBOUND),
        (call_of("", "PJSIP/anonymous-00000001", "from-external"), Direction.INBOUND),
        (call_of("1001", "PJSIP/1001-00000001", "from-internal", "1002"), Direction.INTERNAL),
        (
            call_of("1001", "PJSIP/1001-00000001", "from-internal", "13800138000"),
            Direction.OUTBOUND,
        ),
        (call_of("alice", "PJSIP/alice-00000001", "phones", "0034911234567"), Direction.OUTBOUND),
        (call_of("201", "SIP/201-00000001", "from-internal", "*97"), Direction.INTERNAL),
    ],
)
def test_a_direction_is_told_from_names_and_numbers(message: Message, direction: Direction) -> None:
    signals, _ = fed([message])
    assert isinstance(signals[0], CallStarted)
    assert signals[0].direction is direction


def test_configured_phones_and_trunks_outweigh_their_names() -> None:
    model = CallModel("pbx", phones={"PJSIP/gateway-desk": "Lin"}, trunks=["PJSIP/2000"])
    (desk,) = model.feed(call_of("77", "PJSIP/gateway-desk-00000001", "x", "12"))
    trunk = call_of("4711", "PJSIP/2000-00000002", "from-internal")
    (outside,) = model.feed(trunk | {"Uniqueid": "2.1", "Linkedid": "2.1"})
    assert isinstance(desk, CallStarted)
    assert isinstance(outside, CallStarted)
    assert desk.direction is Direction.INTERNAL
    assert outside.direction is Direction.INBOUND


def test_a_timeout_is_told_without_the_queues_own_result() -> None:
    """Where VarSet is filtered out, the caller's next step tells a timeout from an abandon."""
    stream = [m for m in MESSAGES["queue_timeout_to_voicemail.ami"] if m.get("Event") != "VarSet"]
    signals, _ = fed(stream)
    causes = [signal.cause for signal in signals if isinstance(signal, CallLeftQueue)]
    assert causes == ["timeout"]
    silent = [
        m for m in MESSAGES["queue_timeout.ami"] if m.get("Event") not in ("VarSet", "Newexten")
    ]
    hung_up = [
        m for m in MESSAGES["queue_abandoned_while_waiting.ami"] if m.get("Event") != "VarSet"
    ]
    summaries = [s for s in fed(hung_up + silent)[0] if isinstance(s, CallSummary)]
    assert [s.outcome for s in summaries] == [Outcome.ABANDONED, Outcome.TIMEOUT]


@pytest.mark.parametrize("name", ["queue_one_member.ami", "other_queue_linear.ami"])
def test_a_stream_that_begins_in_the_middle_of_a_call_is_told_as_far_as_it_goes(name: str) -> None:
    """Recordings of others begin when they begin: who called is known once that leg is heard of."""
    messages = MESSAGES[name]
    answered = next(i for i, m in enumerate(messages) if m.get("Event") == "BridgeEnter")
    signals, model = fed(messages[answered:])
    check_whole(signals, model)
    (summary,) = [signal for signal in signals if isinstance(signal, CallSummary)]
    assert (summary.outcome, summary.direction) == (Outcome.ANSWERED, Direction.INBOUND)
    assert summary.caller == "+8613800138000"


def test_queue_positions_are_told() -> None:
    signals, _ = fed(MESSAGES["queue_two_wait_one_agent.ami"])
    positions = [signal.position for signal in signals if isinstance(signal, CallQueued)]
    assert positions == [1, 1, 2]


def test_every_recording_has_all_its_parts() -> None:
    for shape in shapes():
        assert (RECORDED / f"{shape}.queue_log").exists()
        own, everything = RECORDED / f"{shape}.own.ami", RECORDED / f"{shape}.ami"
        assert own.exists() or everything.exists()
    assert set(shapes()) == {*OURS, *OTHER}
    unread = {shape_of(stream) for stream in streams()} - set(shapes())
    assert not unread, "recorded, but nobody decided what it means"
    assert all(stream.stat().st_size < 200_000 for stream in map(Path, STREAMS.values()))


@pytest.mark.parametrize("name", STREAMS)
def test_the_headers_that_a_live_link_reads_are_all_that_the_model_needs(name: str) -> None:
    kept = READ_HEADERS | {"Event"}
    narrow = [{k: v for k, v in message.items() if k in kept} for message in MESSAGES[name]]
    assert fed(narrow)[0] == fed(MESSAGES[name])[0]


@pytest.mark.parametrize("stamp", ["nan", "inf", "-inf", "yesterday", "", "1e999"])
def test_a_clock_that_tells_no_time_is_no_clock(stamp: str) -> None:
    first = next(m for m in MESSAGES["queue_one_member.ami"] if m.get("Event") == "Newchannel")
    signals, _ = fed([first | {"Timestamp": stamp}])
    assert {signal.at for signal in signals} == {None}


def test_the_digit_for_an_outside_line_is_no_part_of_the_number() -> None:
    """A number dialled by hand is looked up before the trunk is dialled."""
    model = CallModel("pbx", trunks=("PJSIP/trunk",), outside_line="9")
    signals = [s for m in MESSAGES["outbound_answered.own.ami"] for s in model.feed(m)]
    assert {signal.callee for signal in signals if isinstance(signal, CallStarted)} == {
        "34911234567"
    }
    (summary,) = [signal for signal in signals if isinstance(signal, CallSummary)]
    assert summary.callee == "34911234567"
