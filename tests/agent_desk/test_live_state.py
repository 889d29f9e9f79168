"""Signals to documents: whatever comes in whatever order, the frames add up, and nothing stays."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent_desk.agent_screens import UNFINISHED_LIMIT
from agent_desk.caller_display import guessed_language, shown_number
from agent_desk.live_state import LiveState
from agent_desk.push import Desk, PushHub, PushSession
from agent_desk.push_state import PushState
from crm_store import signals as s
from tests.agent_desk.push_follow import fresh_snapshot, until
from tests.agent_desk.signal_stories import START, declined_call, merged_call, pop, queue_call

pytestmark = pytest.mark.unit

TOPICS = ("agent:lin", "agent:maria", "queues", "agents", "calls")


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


POOL = [*queue_call(), *declined_call(), *merged_call(), *queue_call("1.2", ("maria", "lin"))]


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
