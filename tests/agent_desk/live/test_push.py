"""The push over real sockets: numbers, snapshots, fan-out, and clients that misbehave."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import websockets
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent_desk.live import push
from agent_desk.live.live_state import LiveState
from agent_desk.live.push import MISTAKES, PushHub, PushSession, serve_desk, text_frame
from crm_store import signals as s
from crm_store.bus import Bus
from tests.agent_desk.push_client import connected
from tests.agent_desk.push_follow import assert_state_follows, until
from tests.agent_desk.signal_stories import (
    conference_call,
    declined_call,
    dialled_call,
    menu_call,
    merged_call,
    pop,
    queue_call,
    state,
)

pytestmark = pytest.mark.unit

TOPICS = ("agent:lin", "agent:maria", "queues", "agents", "calls")
LIN = PushSession("lin", "agent", 1, time.time() + 3600)


def offline(agent: str) -> s.AgentStateChanged:
    return s.AgentStateChanged(agent=agent, endpoint="", state=s.AgentState.OFFLINE)


@dataclass
class Served:
    hub: PushHub
    bus: Bus
    live: LiveState
    url: str


@asynccontextmanager
async def serving(**hub_options: Any) -> AsyncIterator[Served]:
    hub = PushHub(
        lambda _session, topic: topic in TOPICS,
        **{"coalesce_seconds": 0.02, "session_desks": 1_000, **hub_options},
    )
    bus = Bus()
    live = LiveState(hub, offline, list)
    live.screens.topic_for("lin")
    live.screens.topic_for("maria")
    bus.listen(live.on_signal)

    async def handler(request: web.Request) -> web.WebSocketResponse:
        return await serve_desk(request, hub, LIN)

    app = web.Application()
    app.router.add_get("/push", handler)
    hub.start()
    async with TestServer(app) as server:
        yield Served(hub, bus, live, f"ws://{server.host}:{server.port}/push")
        await hub.stop()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as it:
        yield it


EVENTS = [
    *queue_call(),
    *declined_call(),
    *merged_call(),
    *dialled_call(),
    *conference_call(),
    *menu_call(),
    s.ChatPresence(conversation_id=1, present=True, typing=True),
    s.OffersChanged(),
]


def test_the_stories_hold_every_kind_of_signal() -> None:
    kinds = {
        kind for kind in vars(s).values() if isinstance(kind, type) and issubclass(kind, s.Signal)
    } - {s.Signal, s.CallSignal}
    assert {type(signal) for signal in EVENTS} == kinds


async def test_after_every_event_the_frames_equal_a_fresh_snapshot(served: Served) -> None:
    async with connected(served.url) as client:
        await client.subscribe(*TOPICS)
        for signal in EVENTS:
            served.bus.publish(signal)
            await assert_state_follows(served.hub, client, *TOPICS)


async def test_a_client_that_joins_in_the_middle_catches_up(served: Served) -> None:
    for cut in range(0, len(EVENTS), 5):
        for signal in EVENTS[:cut]:
            served.bus.publish(signal)
        async with connected(served.url) as client:
            await client.subscribe(*TOPICS)
            for signal in EVENTS[cut:]:
                served.bus.publish(signal)
            await assert_state_follows(served.hub, client, *TOPICS)


async def test_resync_answers_with_a_snapshot_of_now(served: Served) -> None:
    async with connected(served.url) as client:
        await client.subscribe("agent:lin")
        client.state.apply({"topic": "agent:lin", "n": 99, "snapshot": {"wrong": {}}})
        await client.say({"resync": "agent:lin"})
        frame = await client.next()
        assert "snapshot" in frame
        await assert_state_follows(served.hub, client, "agent:lin")


async def test_a_pop_is_on_the_wire_before_publish_returns(served: Served) -> None:
    async with connected(served.url) as client:
        await client.subscribe("agent:lin")
        before = served.hub.counters.frames
        served.bus.publish(pop())
        assert served.hub.counters.frames == before + 1
        frame = await client.until_event("ScreenPop")
        document = frame["set"]["pop:main/1.1"]
        assert document["matches"][0]["name"] == "王芳 <b>"
        assert document["shown_number"] == "+86 138 0013 8000"
        assert document["language_guess"] == "zh"


async def test_nothing_is_sent_where_nothing_changed(served: Served) -> None:
    async with connected(served.url) as client:
        await client.subscribe("agent:lin", "calls")
        number = served.hub.topics["calls"].n
        served.bus.publish(
            s.CallEnded(pbx="main", call="never.seen", cause="", caller="", callee="")
        )
        assert served.hub.topics["calls"].n == number


async def test_many_changes_of_a_coalesced_topic_become_few_frames() -> None:
    async with serving(coalesce_seconds=0.2) as served, connected(served.url) as client:
        await client.subscribe("agents")
        start = served.hub.topics["agents"].n
        for number in range(500):
            served.bus.publish(state(f"agent{number % 50}", s.AgentState.ON_CALL))
        await assert_state_follows(served.hub, client, "agents")
        assert served.hub.topics["agents"].n - start <= 2
        assert len(client.state["agents"]) == 50


async def test_a_pop_goes_between_the_slices_of_a_broadcast() -> None:
    async with serving() as served:
        clients = [
            await websockets.connect(served.url, compression=None, proxy=None) for _ in range(120)
        ]
        try:
            for client in clients:
                await client.send('{"subscribe": ["agents", "agent:lin"]}')
            await until(lambda: not (len(served.hub.topics["agents"].desks) < 120))
            for number in range(2000):
                served.bus.publish(state(f"agent{number}", s.AgentState.PAUSED))
            written = served.hub.counters.frames
            while served.hub.counters.frames == written:  # noqa: ASYNC110 - pass by pass
                await asyncio.sleep(0)
            # The broadcast has begun and is not over: a slice is bounded by bytes.
            assert served.hub.counters.frames - written < 120
            served.bus.publish(pop())
            behind = []
            for client in clients:
                order = []
                while "ScreenPop" not in order:
                    frame = orjson.loads(await client.recv())
                    order.append(frame.get("event", "snapshot"))
                behind.append("AgentStateChanged" in order)
            assert not all(behind)
        finally:
            for client in clients:
                await client.close()


RUBBISH = [
    "not json",
    "[]",
    "7",
    '"subscribe"',
    '{"subscribe": "calls"}',
    '{"subscribe": [1]}',
    '{"subscribe": ["a","b","c","d","e","f","g","h","i","j","k"]}',
    '{"subscribe": ["agent:somebody else"]}',
    '{"resync": null}',
    '{"resync": "calls", "more": 1}',
    '{"subscribe": ["\u202egnihton"]}',
    "[" * 10_000,
    b"\x00\xff",
]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda value: repr(value[:40]))
async def test_rubbish_gets_a_clear_error_and_the_next_wish_is_served(
    served: Served, rubbish: str | bytes
) -> None:
    async with connected(served.url) as client:
        await client.socket.send(rubbish)
        assert (await client.next())["error"]
        await client.subscribe("queues")


async def test_endless_rubbish_closes_that_client_only(served: Served) -> None:
    async with connected(served.url) as good, connected(served.url) as bad:
        await good.subscribe("agent:lin")
        for _ in range(MISTAKES):
            await bad.socket.send("rubbish")
        with pytest.raises(websockets.ConnectionClosed):
            await bad.until_event("never")
        assert bad.socket.close_code == 1008
        served.bus.publish(pop())
        await good.until_event("ScreenPop")


async def test_a_message_too_large_closes_that_client_only(served: Served) -> None:
    async with connected(served.url) as good, connected(served.url) as bad:
        await good.subscribe("agent:lin")
        await bad.socket.send("x" * 100_000)
        with pytest.raises(websockets.ConnectionClosed):
            await bad.next()
        served.bus.publish(pop())
        await good.until_event("ScreenPop")


async def test_a_page_open_all_day_is_forgiven_its_mistakes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A day's mistakes, one at a time: forgiven as fast as they come.
    monkeypatch.setattr(push, "MISTAKES_PER_MINUTE", 1e9)
    async with connected(served.url) as client:
        for _ in range(20 * MISTAKES):
            await client.socket.send("rubbish")
            assert (await client.next())["error"]
        await client.subscribe("queues")


async def test_who_asks_for_too_many_snapshots_waits_and_loses_none(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "SNAPSHOT_BURST", 2.0)
    monkeypatch.setattr(push, "SNAPSHOTS_PER_SECOND", 200.0)
    asked = 5 * MISTAKES
    async with connected(served.url) as client, connected(served.url) as other:
        for _ in range(asked):
            await client.say({"resync": "calls"})
        await client.say("rubbish")
        await other.subscribe("agent:lin")

        answers = [await client.next() for _ in range(asked + 1)]

    assert all("snapshot" in frame for frame in answers[:-1])
    assert answers[-1]["error"]
    assert served.hub.counters.mistakes == 1


def never_reading(url: str) -> socket.socket:
    """A client that shakes hands, subscribes to its agent, and never reads again."""
    host, _, port = url.removeprefix("ws://").removesuffix("/push").rpartition(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.sendall(
        f"GET /push HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
    )
    wish = b'{"subscribe": ["agent:lin"]}'
    raw.sendall(struct.pack("!BB4x", 0x81, 0x80 | len(wish)) + wish)
    return raw


async def test_a_client_that_never_reads_is_dropped_and_disturbs_nobody() -> None:
    async with serving(behind_bytes=50_000, behind_seconds=0.3) as served:
        silent = never_reading(served.url)
        try:
            async with connected(served.url) as good:
                await good.subscribe("agent:lin")
                await until(lambda: not (len(served.hub.topics["agent:lin"].desks) < 2))
                number = 0
                while not served.hub.counters.dropped:
                    served.bus.publish(pop(caller_name="x" * 10_000, call=f"1.{number % 50}"))
                    number += 1
                    await good.caught_up({"agent:lin": served.hub.topics["agent:lin"].n})
                await until(lambda: not (len(served.hub.desks) > 1))
                await assert_state_follows(served.hub, good, "agent:lin")
                assert served.hub.counters.fell_behind == 1
        finally:
            silent.close()


async def test_a_slow_client_gets_a_snapshot_when_it_reads_again() -> None:
    async with (
        serving(behind_bytes=50_000, behind_seconds=60.0) as served,
        connected(served.url, max_queue=1) as slow,
    ):
        await slow.subscribe("agent:lin")
        number = 0
        while not served.hub.counters.fell_behind:
            served.bus.publish(pop(caller_name="x" * 10_000, call=f"1.{number % 50}"))
            number += 1
            await asyncio.sleep(0)
        served.bus.publish(state("lin", s.AgentState.PAUSED, reason="lunch"))
        await assert_state_follows(served.hub, slow, "agent:lin")
        assert slow.state["agent:lin"]["state"]["reason"] == "lunch"


async def test_a_session_that_ends_closes_its_desks(served: Served) -> None:
    async with connected(served.url) as client:
        await client.subscribe("agent:lin")
        served.hub.end_session(LIN.session_id)
        with pytest.raises(websockets.ConnectionClosed):
            await client.next()
        assert client.socket.close_code == 4401


async def test_a_client_that_vanishes_is_forgotten(served: Served) -> None:
    async with connected(served.url) as client:
        await client.subscribe("agent:lin")
        client.socket.transport.abort()
    await until(lambda: not (served.hub.desks))
    assert not served.hub.topics["agent:lin"].desks
    served.bus.publish(pop())


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536, 200_000])
async def test_frames_of_any_length_are_read_by_another_implementation(
    served: Served, length: int
) -> None:
    async with connected(served.url) as client:
        await client.subscribe("agent:lin")
        (desk,) = served.hub.desks
        desk.transport.write(text_frame(orjson.dumps({"error": "x" * length})))
        assert (await client.next())["error"] == "x" * length
