"""The phone's WebSocket through the desk: who gets through, what is carried, and how it ends.

The PBX's end is played by a WebSocket server that sends back what it hears.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import websockets
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from yarl import URL

from agent_desk.app import close_ended_sessions, create_app
from agent_desk.entrance.sign_in import HUB
from agent_desk.parts import AgentActionRefused, DeskParts, PhoneControl
from agent_desk.phone import proxy as phone_proxy
from agent_desk.phone.claims import CLAIMS
from crm_store.bus import Bus
from crm_store.database import Database
from crm_store.models import PhoneKind
from crm_store.staff import agents
from tests.agent_desk.conftest import Presence, RunningDesk, Visitor, fill, signed_in_visitor
from tests.service_fixtures import until

pytestmark = pytest.mark.db

SIP = websockets.Subprotocol("sip")


@dataclass
class Telephony:
    """The telephone side: accounts by extension, and a PBX that says again what it hears."""

    url: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    connections: list[tuple[str, bool]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    legs: list[dict[str, Any]] = field(default_factory=list)
    away: bool = False
    claims: int = 0
    first_may_answer: asyncio.Event | None = None

    def control(self) -> PhoneControl:
        return PhoneControl(
            claim=self.claim,
            release=self.release,
            legs=self.legs_of,
            web_socket=lambda: self.url,
            connected=lambda extension, there: self.connections.append((extension, there)),
        )

    async def claim(self, extension: str, name: str) -> dict[str, Any]:
        if self.away:
            raise AgentActionRefused("The telephone system is away.")
        self.claims += 1
        secret = self.accounts[extension] = f"secret {self.claims}"
        if self.claims == 1 and self.first_may_answer is not None:
            await self.first_may_answer.wait()
        return {"account": extension, "secret": secret, "display_name": name}

    async def release(self, extension: str) -> None:
        del self.accounts[extension]

    async def legs_of(self, extension: str) -> list[dict[str, Any]]:
        return self.legs

    async def speak(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("sip",), max_msg_size=0)
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.heard.append(message.data)
                await socket.send_str("again: " + message.data)
        return socket


@pytest.fixture
async def telephony() -> AsyncIterator[Telephony]:
    one = Telephony()
    application = web.Application()
    application.router.add_get("/ws", one.speak)
    async with TestServer(application) as server:
        one.url = str(server.make_url("/ws").with_scheme("ws"))
        yield one


@pytest.fixture
async def desk(sqlite_database: Database, telephony: Telephony) -> AsyncIterator[RunningDesk]:
    """The desk of conftest, with a telephone side of its own."""
    ids = await fill(sqlite_database)
    bus = Bus()
    presence = Presence(bus)
    parts = DeskParts(
        database=sqlite_database,
        bus=bus,
        agents=presence.control(),
        phones=telephony.control(),
    )
    application = create_app(parts)
    application[HUB].coalesce_seconds = 0.02
    async with TestServer(application) as server:
        url = URL(str(server.make_url("/")))
        yield RunningDesk(application, parts, presence, sqlite_database, bus, url, ids)


def phone(visitor: Visitor, path: str = "/phone", **options: Any) -> websockets.connect:
    """The page's WebSocket."""
    url = str(visitor.desk.url.with_scheme("ws")).rstrip("/") + path
    settings: dict[str, Any] = {
        "subprotocols": [SIP],
        "additional_headers": {"Cookie": visitor.cookie},
        "compression": None,
        "proxy": None,
        "close_timeout": 1,
        **options,
    }
    return websockets.connect(url, **settings)


async def code_of(socket: websockets.ClientConnection) -> int | None:
    """With which code the desk closes, waiting for it."""
    async with asyncio.timeout(20):
        await socket.wait_closed()
    return socket.close_code


async def claim(visitor: Visitor) -> dict[str, Any]:
    status, answer = await visitor.post("/api/phone/claim")
    assert status == 200, answer
    return dict(answer)


async def test_a_slow_claim_does_not_overtake_the_next_one(
    lin: Visitor, telephony: Telephony
) -> None:
    telephony.first_may_answer = asyncio.Event()
    first = asyncio.create_task(claim(lin))
    await until(lambda: telephony.claims == 1)
    second = asyncio.create_task(claim(lin))
    await asyncio.wait({second}, timeout=0.5)
    telephony.first_may_answer.set()
    answers = [await first, await second]
    (known,) = telephony.accounts.values()
    for answer in answers:
        async with phone(lin, answer["socket"]) as socket:
            if answer["secret"] == known:
                await socket.send("REGISTER")
                assert await asyncio.wait_for(socket.recv(), 20) == "again: REGISTER"
            else:
                assert await code_of(socket) == 4409


async def test_frames_go_both_ways(lin: Visitor, telephony: Telephony) -> None:
    claimed = await claim(lin)
    assert claimed["account"] == "1001"
    assert claimed["display_name"] == "Lin Xiaoyu"
    async with phone(lin, claimed["socket"]) as socket:
        assert socket.subprotocol == "sip"
        for text in ("REGISTER sip:x SIP/2.0\r\n\r\n", "\r\n\r\n", "王芳" * 5_000):
            await socket.send(text)
            assert await socket.recv() == "again: " + text
        assert telephony.connections == [("1001", True)]
    await until(lambda: telephony.connections[-1:] == [("1001", False)], what="it is told")
    await until(lambda: telephony.sockets[0].closed, what="the PBX's end is closed")


async def test_nobody_without_the_claim_gets_through(
    lin: Visitor, maria: Visitor, visitor: Visitor, telephony: Telephony
) -> None:
    async with phone(lin) as socket:
        assert await code_of(socket) == 4409
    claimed = await claim(lin)
    async with phone(maria, claimed["socket"]) as socket:
        assert await code_of(socket) == 4409
    with pytest.raises(websockets.InvalidStatus) as refused:
        await phone(visitor, claimed["socket"])
    assert refused.value.response.status_code == 401
    for options, status in (
        ({"origin": "https://elsewhere.example"}, 403),
        ({"subprotocols": None}, 400),
        ({"subprotocols": [websockets.Subprotocol("mqtt")]}, 400),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await phone(lin, claimed["socket"], **options)
        assert refused.value.response.status_code == status
    assert telephony.sockets == []


async def test_the_next_claim_takes_over(lin: Visitor, telephony: Telephony) -> None:
    first = await claim(lin)
    async with phone(lin, first["socket"]) as socket:
        await socket.send("x")
        await socket.recv()
        second = await claim(lin)
        assert second["secret"] != first["secret"]
        assert await code_of(socket) == 4409
    async with phone(lin, first["socket"]) as socket:
        assert await code_of(socket) == 4409
    async with phone(lin, second["socket"]) as socket:
        await socket.send("y")
        assert await socket.recv() == "again: y"
        # The same page again: the connection that it lost is closed.
        async with phone(lin, second["socket"]) as another:
            assert await code_of(socket) == 1001
            await another.send("z")
            assert await another.recv() == "again: z"
            assert telephony.connections[-1] == ("1001", True)


@pytest.mark.parametrize("way", ["sign-out", "kept out", "given back"])
async def test_the_phone_ends_with_the_session(
    lin: Visitor, desk: RunningDesk, telephony: Telephony, way: str
) -> None:
    claimed = await claim(lin)
    async with phone(lin, claimed["socket"]) as socket:
        await socket.send("x")
        await socket.recv()
        if way == "sign-out":
            await lin.send_form("/sign-out")
        elif way == "kept out":
            async with desk.database.transaction() as transaction:
                await agents.set_active(transaction, "lin", False)
            await close_ended_sessions(desk.app)
        else:
            assert (await lin.post("/api/phone/release"))[0] == 200
        assert await code_of(socket) == 4401
    assert telephony.accounts == {}


async def test_another_session_cannot_give_my_phone_back(
    lin: Visitor, desk: RunningDesk, telephony: Telephony
) -> None:
    await claim(lin)
    async for elsewhere in signed_in_visitor(desk, "lin"):
        await elsewhere.post("/api/phone/release")
        assert telephony.accounts == {"1001": "secret 1"}
        await claim(elsewhere)
    assert telephony.accounts == {"1001": "secret 2"}
    await lin.post("/api/phone/release")
    assert telephony.accounts == {"1001": "secret 2"}


async def test_a_phone_without_a_page_is_given_back(
    lin: Visitor, desk: RunningDesk, telephony: Telephony
) -> None:
    desk.app[CLAIMS].abandoned_seconds = 0.01
    claimed = await claim(lin)
    await until(lambda: telephony.accounts == {}, what="nobody ever connected")
    desk.app[CLAIMS].abandoned_seconds = 60
    claimed = await claim(lin)
    async with phone(lin, claimed["socket"]) as socket:
        desk.app[CLAIMS].abandoned_seconds = 0.01
        await socket.send("x")
        await socket.recv()
        assert telephony.accounts != {}
    await until(lambda: telephony.accounts == {}, what="the page is gone")


async def test_the_pbx_goes_away(lin: Visitor, telephony: Telephony) -> None:
    claimed = await claim(lin)
    async with phone(lin, claimed["socket"]) as socket:
        await socket.send("x")
        await socket.recv()
        await telephony.sockets[0].close()
        assert await code_of(socket) == 1013
    telephony.url = telephony.url.replace("/ws", "/nothing")
    async with phone(lin, claimed["socket"]) as socket:
        assert await code_of(socket) == 1013
    telephony.away = True
    assert (await lin.post("/api/phone/claim"))[0] == 503


@pytest.mark.parametrize(
    ("rubbish", "code"), [(b"\x00\xff", 1003), ("x" * 70_000, 1009), (["x"] * 1_000, 1008)]
)
async def test_rubbish_ends_the_connection(
    lin: Visitor, telephony: Telephony, rubbish: Any, code: int
) -> None:
    claimed = await claim(lin)
    async with phone(lin, claimed["socket"], max_queue=None) as socket:
        with contextlib.suppress(websockets.ConnectionClosed):
            for frame in rubbish if isinstance(rubbish, list) else [rubbish]:
                await socket.send(frame)
        assert await code_of(socket) == code
    assert len(telephony.heard) <= phone_proxy.MESSAGE_BURST + 50
    assert await claim(lin)


async def test_a_page_that_never_reads_is_cut_off(
    lin: Visitor, telephony: Telephony, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_proxy, "SEND_SECONDS", 0.2)
    claimed = await claim(lin)
    async with phone(lin, claimed["socket"], max_queue=1) as socket:
        await socket.send("x")
        await until(lambda: len(telephony.sockets) == 1, what="the way is open")
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            async with asyncio.timeout(60):
                while not telephony.sockets[0].closed:
                    await telephony.sockets[0].send_str("y" * 60_000)
        await until(lambda: telephony.connections[-1] == ("1001", False), what="it was cut off")


async def test_who_may_have_a_phone_in_the_page(
    lin: Visitor, desk: RunningDesk, telephony: Telephony
) -> None:
    claimed = await claim(lin)
    telephony.legs = [{"call_id": "a", "state": "answered"}]
    assert await lin.ask("/api/phone/legs") == (200, {"legs": telephony.legs})
    assert (await lin.post("/api/agent/phone", kind="desk"))[0] == 409
    telephony.legs = []
    assert (await lin.post("/api/agent/phone", kind="fax"))[0] == 400
    async with phone(lin, claimed["socket"]) as socket:
        assert (await lin.post("/api/agent/phone", kind="desk"))[0] == 200
        assert await code_of(socket) == 4401
    found = await agents.find(desk.database, "lin")
    assert found is not None
    assert found.phone is PhoneKind.DESK
    assert (await lin.post("/api/phone/claim"))[0] == 409
    assert (await lin.post("/api/agent/phone", kind="browser"))[0] == 200
    assert await claim(lin)
    async with desk.database.transaction() as transaction:
        await agents.save(transaction, login="lin", display_name="Lin", extension=None)
    status, answer = await lin.post("/api/phone/claim")
    assert status == 409
    assert "extension" in answer["error"]
