"""Signals to documents: whatever comes in whatever order, the frames add up, and nothing stays."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent_desk.live.agent_screens import UNFINISHED_LIMIT
from agent_desk.live.caller_display import guessed_language, shown_number
from agent_desk.live.live_state import LiveState
from agent_desk.live.push import Desk, PushHub, PushSession
from agent_desk.live.push_state import PushState
from crm_store import signals as s
from tests.agent_desk.push_follow import fresh_snapshot, until
from tests.agent_desk.signal_stories import (
    START,
    conference_call,
    declined_call,
    dialled_call,
    merged_call,
    pop,
    queue_call,
)

pytestmark = pytest.mark.unit

TOPICS = ("agent:lin", "agent:maria", "queues", "agents", "calls", "parked")


class ReadingTransport(asyncio.Transport):
    """A peer that reads everything at once and keeps the state that its frames add up to."""

    def __init__(self) -> None:
        super().__init__()
        self.state = PushState()

    def write(self, data: Any) -> None:
        length = data[1]
        skip = 2 + {126: 2, 127: 8}.get(length, 0)
        assert self.state.apply(orjson.loads(data[skip:])) is None, "a gap"

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


def offline(agent: str) -> s.AgentStateChanged:
    return s.AgentStateChanged(agent=agent, endpoint="", state=s.AgentState.OFFLINE)


def live_state(calls: list[dict[str, Any]] | None = None) -> tuple[PushHub, LiveState]:
    hub = PushHub(lambda _session, _topic: True, coalesce_seconds=0.0)
    live = LiveState(hub, offline, lambda: calls or [])
    live.name_agents({"lin": "Lin", "maria": "María"})
    return hub, live


def follow(hub: PushHub) -> ReadingTransport:
    transport = ReadingTransport()
    session = PushSession("lin", "agent", 1, 0.0)
    desk = Desk(None, transport, session)  # type: ignore[arg-type]
    for topic in TOPICS:
        hub.follow(desk, hub.topics[topic])
    return transport


POOL = [
    *(*queue_call(), *declined_call(), *merged_call(), *queue_call("1.2", ("maria", "lin"))),
    *(*dialled_call(), *conference_call()),
]


@given(order=st.lists(st.sampled_from(range(len(POOL))), max_size=60), cut=st.integers(0, 60))
def test_any_order_of_signals_adds_up_for_early_and_late_followers(
    order: list[int], cut: int
) -> None:
    async def play() -> None:
        hub, live = live_state()
        early = follow(hub)
        late = None
        for place, number in enumerate(order):
            if place == cut:
                late = follow(hub)
            live.on_signal(POOL[number])
        await until(lambda: not any(hub.topics[topic].has_unsent_news for topic in TOPICS))
        for follower in filter(None, (early, late)):
            for topic in TOPICS:
                assert follower.state[topic] == fresh_snapshot(hub, topic)

    asyncio.run(play())


@given(order=st.permutations(range(len(queue_call()))))
def test_whatever_the_order_nothing_of_an_ended_call_is_left(order: list[int]) -> None:
    async def play() -> None:
        hub, live = live_state()
        story = queue_call()
        for number in order:
            live.on_signal(story[number])
        live.on_signal(s.CallEnded(pbx="main", call="1.1", cause="", caller="", callee=""))
        for agent in ("lin", "maria"):
            live.screens.wrapped_up(agent, "main", "1.1")
            left = [key for key in hub.topics[f"agent:{agent}"].documents if key != "state"]
            assert left == []
        assert not hub.topics["calls"].documents
        assert not live.screens._screens
        assert not any(live._waiting.values())

    asyncio.run(play())


async def test_the_longest_wait_is_the_first_in_line() -> None:
    hub, live = live_state()
    live.name_queues(["sales"])
    for number, call in enumerate(("1", "2", "3")):
        common: dict[str, Any] = {"pbx": "main", "call": call, "at": START + number}
        live.on_signal(
            s.CallStarted(**common, direction=s.Direction.INBOUND, caller="1", callee="600")
        )
        live.on_signal(s.CallQueued(**common, queue="sales", caller="1", position=number + 1))
    sales = hub.topics["queues"].documents
    assert sales["sales"]["waiting_since"] == START
    live.on_signal(s.CallLeftQueue(pbx="main", call="1", queue="sales", cause="abandoned"))
    assert sales["sales"]["waiting_since"] == START + 1
    for call in ("2", "3"):
        live.on_signal(s.CallEnded(pbx="main", call=call, cause="", caller="", callee=""))
    assert sales["sales"]["waiting_since"] is None


async def test_after_a_rebuild_calls_that_are_gone_have_ended() -> None:
    calls: list[dict[str, Any]] = []
    hub, live = live_state(calls)
    story = queue_call()
    for signal in story[:12]:
        live.on_signal(signal)
    assert "call:main/1.1" in hub.topics["agent:lin"].documents
    live.on_signal(s.PbxLinkChanged(pbx="main", up=False))
    live.on_signal(s.PbxLinkChanged(pbx="main", up=True))
    assert not hub.topics["calls"].documents
    assert "call:main/1.1" not in hub.topics["agent:maria"].documents


async def test_the_same_call_on_two_pbxs_is_two_calls() -> None:
    hub, live = live_state()
    for pbx in ("north", "south"):
        live.on_signal(replace(pop(), pbx=pbx))
    assert {"pop:north/1.1", "pop:south/1.1"} <= set(hub.topics["agent:lin"].documents)


async def test_unfinished_wrap_ups_are_bounded() -> None:
    hub, live = live_state()
    for number in range(UNFINISHED_LIMIT + 4):
        call = f"9.{number}"
        live.on_signal(
            s.CallAnswered(pbx="main", call=call, endpoint="PJSIP/lin", agent="lin", caller="1")
        )
        live.on_signal(s.CallEnded(pbx="main", call=call, cause="", caller="1", callee=""))
    left = [key for key in hub.topics["agent:lin"].documents if key.startswith("call:")]
    assert UNFINISHED_LIMIT <= len(left) <= UNFINISHED_LIMIT + 1
    assert f"call:main/9.{UNFINISHED_LIMIT + 3}" in left


async def test_a_call_that_the_agent_dials_is_on_the_screen_from_the_first_moment() -> None:
    hub, live = live_state()
    documents = hub.topic("agent:lin").documents
    states = []
    for signal in dialled_call():
        live.on_signal(signal)
        states.append(documents.get("call:main/5.1", {}).get("state"))
    assert states == [None, "dialling", "answered", "ended"]
    call = documents["call:main/5.1"]
    assert (call["direction"], call["shown_caller"]) == ("outbound", "+86 138 0013 8000")
    assert documents["pop:main/5.1"]["matches"][0]["id"] == 7


async def test_an_unanswered_call_out_needs_no_wrap_up() -> None:
    hub, live = live_state()
    for signal in dialled_call(answered=False):
        live.on_signal(signal)
    assert list(hub.topic("agent:lin").documents) == ["state"]


async def test_a_page_that_takes_its_leg_back_changes_nothing_on_the_screen() -> None:
    hub, live = live_state()
    for signal in conference_call()[:3]:
        live.on_signal(signal)
    topic = hub.topic("agent:lin")
    before, number = dict(topic.documents), topic.n
    new_leg = s.CallStarted(
        pbx="main", call="4.9", direction=s.Direction.INTERNAL, caller="lin", callee="lin",
        endpoint="PJSIP/lin", agent="lin",
    )  # fmt: skip
    live.on_signal(new_leg)
    live.on_signal(s.CallMerged(pbx="main", call="4.1", merged="4.9"))
    assert (topic.documents, topic.n) == (before, number)


async def test_a_conference_is_one_call_on_all_screens() -> None:
    hub, live = live_state()
    lin, maria = hub.topic("agent:lin").documents, hub.topic("agent:maria").documents
    story = conference_call()
    merged = next(i for i, signal in enumerate(story) if isinstance(signal, s.CallMerged))
    for signal in story[:merged]:
        live.on_signal(signal)
    assert lin["call:main/4.1"]["state"] == "held"
    assert maria["call:main/4.2"]["direction"] == "internal"
    for signal in story[merged : merged + 2]:
        live.on_signal(signal)
    for documents in (lin, maria):
        assert [key for key in documents if key.startswith("call:")] == ["call:main/4.1"]
        call = documents["call:main/4.1"]
        assert (call["state"], call["direction"], call["queue"]) == ("answered", "inbound", "sales")
        assert (call["recording"], call["recorded_since"]) == ("paused", START)
        assert documents["pop:main/4.1"]["matches"][0]["id"] == 7
    # A page that had asked for the merged one before it heard of it is given what it became.
    assert live.screens.call_on_screen("maria", "main", "4.2") == maria["call:main/4.1"]
    assert live.screens.call_on_screen("sam", "main", "4.2") is None
    live.on_signal(story[merged + 2])
    assert (lin["call:main/4.1"]["state"], lin["call:main/4.1"]["cause"]) == ("ended", "left")
    assert maria["call:main/4.1"]["state"] == "answered"


async def test_what_was_said_to_a_colleague_alone_needs_no_wrap_up() -> None:
    hub, live = live_state()
    story = conference_call()
    merged = next(i for i, signal in enumerate(story) if isinstance(signal, s.CallMerged))
    for signal in story[:merged]:
        live.on_signal(signal)
    live.on_signal(s.CallEnded(pbx="main", call="4.2", cause="", caller="1001", callee="1002"))
    assert "call:main/4.2" not in hub.topic("agent:lin").documents
    assert list(hub.topic("agent:maria").documents) == ["state"]


async def test_a_caller_who_waits_again_has_left_the_agent_whose_phone_was_lost() -> None:
    hub, live = live_state()
    story = queue_call()
    answered = next(i for i, signal in enumerate(story) if isinstance(signal, s.CallAnswered)) + 1
    for signal in story[:answered]:
        live.on_signal(signal)
    again = s.CallQueued(
        pbx="main", call="1.1", at=START + 60, queue="sales", caller="13800138000", position=1
    )
    live.on_signal(again)
    own = hub.topic("agent:lin").documents["call:main/1.1"]
    assert (own["state"], own["ended_at"]) == ("ended", START + 60)
    assert hub.topic("calls").documents["main/1.1"]["state"] == "queued"


async def test_a_parked_call_is_for_everybody_until_it_is_taken() -> None:
    hub, live = live_state()
    parked = hub.topic("parked").documents
    story = queue_call()
    until_parked = next(i for i, signal in enumerate(story) if isinstance(signal, s.CallParked)) + 1
    for signal in story[:until_parked]:
        live.on_signal(signal)
    (document,) = parked.values()
    assert (document["space"], document["parked_by"]) == ("701", "maria")
    assert document["caller_name"] == "王芳 <b>"
    taken = s.CallAnswered(
        pbx="main", call="1.1", endpoint="PJSIP/lin", agent="lin", caller="13800138000"
    )
    live.on_signal(taken)
    assert not parked
    own = hub.topic("agent:lin").documents["call:main/1.1"]
    assert (own["state"], own["ended_at"], own["cause"]) == ("answered", None, "")


async def test_after_a_restart_parked_calls_are_known_from_the_pbx() -> None:
    call = {
        "pbx": "main",
        "call": "7.1",
        "direction": s.Direction.INBOUND,
        "caller": "1",
        "caller_name": "",
        "callee": "600",
        "state": "parked",
        "queue": "",
        "agent": "",
        "rang": [],
        "space": "702",
        "parked_by": "lin",
        "started_at": START,
        "waiting_since": None,
        "answered_at": START,
    }
    calls = [call]
    hub, live = live_state(calls)
    assert hub.topic("parked").documents["main/7.1"]["space"] == "702"
    calls.clear()
    live.on_signal(s.PbxLinkChanged(pbx="main", up=True))
    assert not hub.topic("parked").documents


@pytest.mark.parametrize(
    ("number", "shown", "language"),
    [
        ("+8613800138000", "+86 138 0013 8000", "zh"),
        ("+34912345678", "+34 912 34 56 78", "es"),
        ("+525512345678", "+52 55 1234 5678", "es"),
        ("+989123456789", "+98 912 345 6789", "fa"),
        ("+442079460000", "+44 20 7946 0000", "en"),
        ("+999", "+999", "en"),
        ("1001", "1001", "en"),
        ("+<script>", "+<script>", "en"),
        ("", "", "en"),
    ],
)
def test_numbers_are_shown_for_the_eye(number: str, shown: str, language: str) -> None:
    assert shown_number(number) == shown
    assert guessed_language(number) == language
