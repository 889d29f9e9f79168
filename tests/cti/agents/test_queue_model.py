"""The queue model, held to recorded streams and to what Asterisk itself listed at some moments."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_store.signals import AgentState, AgentStateChanged, QueueChanged, Signal
from cti.agents.pause_reasons import WRAP_UP
from cti.agents.queue_model import (
    PHONE_UNREACHABLE,
    QUEUE_EVENTS,
    QUEUE_HEADERS,
    QueueModel,
)
from cti.ami.framing import ALWAYS_WANTED, AmiFramer
from cti.calls.call_model import WANTED_EVENTS
from cti.faxes.arrivals import FAX_EVENTS
from cti.pbx.configuration import WANTED_EVENTS as ASKED_OF_ASTERISK
from tests.asterisk_lists import Lists
from tests.cti.recordings import RECORDED, Message

pytestmark = pytest.mark.unit

MOMENTS = [
    pytest.param(file, place, id=f"{file.name.removesuffix('.lists.json')}-{place}")
    for file in sorted(RECORDED.glob("*.lists.json"))
    if not file.name.startswith("other_")
    for place in range(len(json.loads(file.read_text("utf-8"))))
]


def queue_messages(name: str) -> list[Message]:
    messages = AmiFramer(QUEUE_EVENTS).feed((RECORDED / name).read_bytes())
    return [message for message in messages if "Event" in message]


def told_last(
    signals: list[Signal],
) -> tuple[dict[str, AgentStateChanged], dict[str, QueueChanged]]:
    agents = {s.agent: s for s in signals if isinstance(s, AgentStateChanged)}
    queues = {s.queue: s for s in signals if isinstance(s, QueueChanged)}
    return agents, queues


def fed(messages: list[Message], model: QueueModel | None = None) -> list[Signal]:
    model = model or QueueModel("pbx")
    return [signal for message in messages for signal in model.feed(message)]


@pytest.mark.parametrize(("file", "place"), MOMENTS)
def test_the_model_says_what_asterisk_listed(file: Path, place: int) -> None:
    """Followed from its first member on, the model knows what QueueStatus answers."""
    moment = json.loads(file.read_text("utf-8"))[place]
    stream = (RECORDED / f"{file.name.removesuffix('.lists.json')}.own.ami").read_bytes()
    followed = AmiFramer(QUEUE_EVENTS).feed(stream[: moment["own"]])
    agents, queues = told_last(fed([m for m in followed if "Event" in m]))
    listed_agents, listed_queues = told_last([*QueueModel("pbx").rebuild(moment["queues"])])
    for name, state in agents.items():
        if name in listed_agents:
            listed = listed_agents[name]
            assert (state.state, state.reason, state.queues, state.endpoint) == (
                listed.state,
                listed.reason,
                listed.queues,
                listed.endpoint,
            )
        else:
            assert state.state is AgentState.OFFLINE
    for name, numbers in queues.items():
        listed_numbers = listed_queues[name]
        assert (numbers.waiting, numbers.available, numbers.paused, numbers.busy) == (
            listed_numbers.waiting,
            listed_numbers.available,
            listed_numbers.paused,
            listed_numbers.busy,
        )


def test_an_agents_day_as_asterisk_tells_it() -> None:
    states = [
        signal.state
        for signal in fed(queue_messages("queue_one_member.own.ami"))
        if isinstance(signal, AgentStateChanged)
    ]
    assert AgentState.OFFLINE not in states[1:-1]
    middle = [state for state in states if state is not AgentState.OFFLINE]
    assert middle[:4] == [
        AgentState.AVAILABLE,
        AgentState.RINGING,
        AgentState.ON_CALL,
        AgentState.AVAILABLE,
    ]


def test_a_member_by_a_local_channel_sits_at_their_phone() -> None:
    agents, _ = told_last(fed(queue_messages("other_queue_ring_all_local.ami")))
    assert agents["Alice"].endpoint == "PJSIP/alice"


def member(**headers: str) -> Message:
    return {
        "Event": "QueueMemberStatus",
        "Queue": "service",
        "Interface": "PJSIP/1001",
        "MemberName": "lin",
        "Status": "1",
        "Paused": "0",
    } | headers


@pytest.mark.parametrize(
    ("headers", "state", "reason"),
    [
        ({}, AgentState.AVAILABLE, ""),
        ({"Status": "6"}, AgentState.RINGING, ""),
        ({"Status": "2"}, AgentState.ON_CALL, ""),
        ({"Status": "8", "Paused": "1", "PausedReason": "lunch"}, AgentState.ON_CALL, ""),
        ({"Paused": "1", "PausedReason": "lunch"}, AgentState.PAUSED, "lunch"),
        ({"Paused": "1", "PausedReason": WRAP_UP}, AgentState.WRAP_UP, ""),
        ({"Status": "5"}, AgentState.OFFLINE, PHONE_UNREACHABLE),
        ({"Status": "99"}, AgentState.AVAILABLE, ""),
    ],
)
def test_a_state_is_read_off_the_member(
    headers: dict[str, str], state: AgentState, reason: str
) -> None:
    (told, _) = fed([member(**headers)])
    assert isinstance(told, AgentStateChanged)
    assert (told.state, told.reason) == (state, reason)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {"Paused": "1", "PausedReason": "wrap-up 1000-1030+300 then lunch"},
            (AgentState.WRAP_UP, "", 1000.0, 1030.0, 300, "lunch", 0),
        ),
        (
            {"Paused": "1", "PausedReason": "wrap-up for 30+300", "LastCall": "1000",
             "LastPause": "900"},
            (AgentState.WRAP_UP, "", 1000.0, 1030.0, 300, "", 0),
        ),
        (
            {"Paused": "1", "PausedReason": "wrap-up for 30+300", "Status": "2"},
            (AgentState.ON_CALL, "", None, None, 300, "", 0),
        ),
        (
            {"Paused": "1", "PausedReason": "lunch", "Status": "2"},
            (AgentState.ON_CALL, "", None, None, 0, "lunch", 0),
        ),
        (
            {"Paused": "1", "PausedReason": "written-work", "LastPause": "900"},
            (AgentState.WRITTEN_WORK, "", 900.0, None, 0, "", 0),
        ),
        (
            {"Paused": "1", "PausedReason": "missed-rings 3", "LastPause": "900"},
            (AgentState.PAUSED, "missed-rings", 900.0, None, 0, "", 3),
        ),
        (
            {"LastCall": "0", "LoginTime": "800"},
            (AgentState.AVAILABLE, "", 800.0, None, 0, "", 0),
        ),
    ],
)  # fmt: skip
def test_a_rebuild_finds_out_since_when_and_until_when(
    headers: dict[str, str], expected: tuple[object, ...]
) -> None:
    model = QueueModel("pbx")
    (told, _) = model.rebuild([member(**headers) | {"Event": "QueueMember"}])
    assert isinstance(told, AgentStateChanged)
    assert (
        told.state,
        told.reason,
        told.since,
        told.ends_at,
        told.extendable_seconds,
        told.next_pause,
        told.missed_rings,
    ) == expected


def test_a_wrap_ups_end_is_known_before_asterisk_is_told_of_it() -> None:
    model = QueueModel("pbx")
    talks = {"Paused": "1", "PausedReason": "wrap-up for 30+300"}
    fed([member(Status="2", Timestamp="1000.0", **talks)], model)
    (over,) = [
        signal
        for signal in fed([member(Timestamp="1060.4", **talks)], model)
        if isinstance(signal, AgentStateChanged)
    ]
    assert (over.state, over.since, over.ends_at) == (AgentState.WRAP_UP, 1060.4, 1090.0)
    running = {"Paused": "1", "PausedReason": "wrap-up 1060-1090+300"}
    assert fed([member(Timestamp="1060.5", **running)], model) == []


def test_of_two_places_the_wrap_up_that_ends_last_counts() -> None:
    model = QueueModel("pbx")
    fed([member(Paused="1", PausedReason="lunch")], model)
    fed([member(Queue="sales", Paused="1", PausedReason="wrap-up 1000-1030+0")], model)
    state = model.state_of("lin")
    assert state is not None
    assert (state.state, state.ends_at) == (AgentState.WRAP_UP, 1030.0)
    assert model.reason_of("lin") == "wrap-up 1000-1030+0"


def test_a_place_knows_its_penalty() -> None:
    model = QueueModel("pbx")
    fed([member(Penalty="3")], model)
    fed([{"Event": "QueueMemberPenalty"} | member(Penalty="5")], model)
    assert model.places_of("lin")["service"].penalty == "5"


def test_nothing_new_is_not_told() -> None:
    model = QueueModel("pbx")
    assert len(fed([member()], model)) == 2
    assert fed([member(), member()], model) == []
    (_, numbers) = fed([member(Paused="1", PausedReason="lunch")], model)
    assert isinstance(numbers, QueueChanged)
    assert (numbers.available, numbers.paused, numbers.busy) == (0, 1, 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Status": "2"},
        {"Status": "6"},
        {"Status": "2", "Paused": "1", "PausedReason": WRAP_UP},
        {"Status": "1", "Paused": "1", "PausedReason": WRAP_UP},
    ],
)
def test_who_talks_or_writes_a_call_up_is_busy_and_not_paused(headers: dict[str, str]) -> None:
    (_, numbers) = fed([member(**headers)])
    assert isinstance(numbers, QueueChanged)
    assert (numbers.available, numbers.paused, numbers.busy) == (0, 0, 1)


def test_an_agent_who_left_all_queues_is_offline() -> None:
    model = QueueModel("pbx")
    fed([member(), member(Queue="sales")], model)
    assert model.queues_of("lin") == ("sales", "service")
    fed([{"Event": "QueueMemberRemoved"} | member() | {"Event": "QueueMemberRemoved"}], model)
    assert model.queues_of("lin") == ("sales",)
    (gone, _) = fed([member(Queue="sales") | {"Event": "QueueMemberRemoved"}], model)
    assert isinstance(gone, AgentStateChanged)
    assert (gone.state, gone.queues) == (AgentState.OFFLINE, ())


STREAMS = sorted(file.name for file in RECORDED.glob("*.ami") if "relinked" not in file.name)


@settings(max_examples=60)
@given(st.sampled_from(STREAMS), st.integers(0, 1 << 32))
def test_after_a_rebuild_the_model_is_what_the_lists_say(name: str, seed: int) -> None:
    """However much was lost or came twice before, Asterisk's list makes it right again."""
    messages, choose = queue_messages(name), Random(seed)
    tracker, model = Lists(), QueueModel("pbx")
    tracker.feed(messages)
    told: list[Signal] = []
    for message in messages:
        for _ in range(choose.choice((0, 1, 1, 2))):
            told += model.feed(message)
    told += model.rebuild(tracker.queue_status())
    fresh = QueueModel("pbx")
    agents, _ = told_last([*fresh.rebuild(tracker.queue_status())])
    for agent, state in agents.items():
        known = model.state_of(agent)
        assert known is not None
        assert (known.state, known.queues) == (state.state, state.queues)
    assert model.members.keys() >= fresh.members.keys()


@pytest.mark.parametrize("message", [{}, {"Event": "QueueMemberAdded"}, {"Event": "QueueParams"}])
def test_an_odd_message_costs_nothing(message: Message) -> None:
    assert fed([message, message | {"Queue": ""}]) == []


def test_asterisk_is_asked_for_what_the_models_read_and_no_more() -> None:
    """VarSet and Newexten are let through by narrower filters; QueueMember only answers a list."""
    read = WANTED_EVENTS | QUEUE_EVENTS | FAX_EVENTS | ALWAYS_WANTED
    assert set(ASKED_OF_ASTERISK) == read - {"VarSet", "Newexten", "QueueMember"}


@pytest.mark.parametrize("stream", sorted(RECORDED.glob("*.ami")), ids=lambda file: file.name)
def test_the_headers_that_a_live_link_reads_are_all_that_the_model_needs(stream: Path) -> None:
    messages = queue_messages(stream.name)
    kept = QUEUE_HEADERS | {"Event"}
    narrow = [{k: v for k, v in message.items() if k in kept} for message in messages]
    assert fed(narrow) == fed(messages)
