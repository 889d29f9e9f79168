"""Hostile bytes at each door of the service: AMI, the push, the sign-in. Nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import websockets

from tests.ami_server import event
from tests.faults.scripted_pbx import ScriptedPbx
from tests.service_fixtures import (
    CUSTOMER,
    DeskSession,
    RunningService,
    mall_template,
    mall_url,
    until,
)

pytestmark = pytest.mark.db
__all__ = ["mall_template", "mall_url"]

DESKS = 20
SECRET_GUESS = "hunter2-do-not-log"


@contextlib.asynccontextmanager
async def scripted(folder: Path, url: str) -> AsyncIterator[tuple[ScriptedPbx, RunningService]]:
    async with ScriptedPbx() as pbx, RunningService(folder / "service", url, external=pbx) as one:
        yield pbx, one


async def follow_everything(service: RunningService, count: int) -> list[DeskSession]:
    """Signed-in supervisors' desks that follow all calls."""
    first = await service.sign_in("chief")
    desks = [first]
    for _ in range(count - 1):
        desk = DeskSession(service.url, "chief")
        desk.cookie, desk.csrf_token = first.cookie, first.csrf_token
        desks.append(desk)
    for desk in desks:
        await desk.follow("calls", "queues", "agents")
    return desks


async def test_hostile_ami_blocks_cost_only_themselves(tmp_path: Path, mall_url: str) -> None:
    hostile = [
        event("Newchannel", Uniqueid="x.1", Linkedid="x.1", CallerIDName="A" * 1_000_000),
        b"Event: Newchannel\r\n" + b"X: y\r\n" * 170_000 + b"\r\n",
        b"Event: Newchannel\r\nEvent: Hangup\r\nUniqueid: x.2\r\nUniqueid: x.3\r\n\r\n",
        b"Event: Hangup\r\nUniqueid:\r\nLinkedid\r\n: :\r\n\r\n",
        b"Event: AgentCalled\r\nDestUniqueid: x.9\r\nMemberName: \xff\xfe\x00\r\n\r\n",
        b"Event: QueueCallerJoin\r\nUniqueid: x.4\r\nPosition: -99999999999999999\r\n\r\n",
        b"Event: Newstate\r\nTimestamp: nan\r\nUniqueid: x.5\r\nChannelState: 6\r\n\r\n",
        b"Event: Newchannel\r\nTimestamp: 1e308\r\nUniqueid: x.6\r\nLinkedid: x.6\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n\r\n\r\n",
        b"Response: Success\r\nActionID: nobody\r\n\r\n",
        b"B" * 3_000_000 + b"\r\n\r\n",
    ]
    names = [
        b"evil\rEvent: Hangup",
        b"evil\nEvent: Hangup",
        b"<script>alert(1)</script>",
        "😀\u202eسارا".encode(),
        b"Jos\xe9",
        b"A" * 10_000,
        b"\\r\\nEvent: Hangup",
    ]
    async with scripted(tmp_path, mall_url) as (pbx, service):
        lin = await service.sign_in("lin")
        await lin.follow("agent:lin")
        [chief] = await follow_everything(service, 1)
        for number, block in enumerate(hostile):
            await pbx.say(block)
            messages = pbx.call(number, CUSTOMER, names[number % len(names)])
            rest = await pbx.say_until_ringing(messages)
            await lin.pop_of(f"main/{1_700_000_000 + number}.0")
            for message in rest:
                await pbx.say(message)
        for linkedid in ("x.1", "x.2", "x.3", "x.4", "x.5", "x.6", "x.9"):
            await pbx.say(event("Hangup", Uniqueid=linkedid, Linkedid=linkedid, Cause="16"))
        await chief.until(lambda: not chief.state["calls"])
        pops = {
            key: document
            for _, frame in lin.frames
            for key, document in frame.get("set", {}).items()
            if key.startswith("pop:")
        }
        assert len(pops) == len(hostile)
        assert all(document["matches"][0]["name"] == "王芳" for document in pops.values())
        assert max(len(document["caller_name"]) for document in pops.values()) <= 200
        assert pbx.connections == 1, "the link was lost"
        assert "Traceback" not in service.log()
        assert max(map(len, service.log().splitlines())) < 2_000
        await lin.close()
        await chief.close()


async def test_rubbish_on_the_push_disturbs_nobody(tmp_path: Path, mall_url: str) -> None:
    async with scripted(tmp_path, mall_url) as (pbx, service):
        desks = await follow_everything(service, DESKS)
        address = service.url.replace("http", "ws", 1) + "/push"
        headers = {"Cookie": desks[0].cookie}

        # One that never reads: the handshake by hand, on a socket with next to no room.
        parts = urlsplit(service.url)
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect((parts.hostname, parts.port))
        deaf.sendall(
            f"GET /push HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nCookie: {desks[0].cookie}\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        wish = b'{"subscribe": ["calls", "agents", "queues"]}'
        deaf.sendall(bytes((0x81, 0x80 | len(wish), 0, 0, 0, 0)) + wish)

        async def talk_rubbish(rubbish: str | bytes) -> int:
            async with websockets.connect(
                address, additional_headers=headers, compression=None, proxy=None
            ) as ws:
                with contextlib.suppress(websockets.ConnectionClosed):
                    for _ in range(50):
                        await ws.send(rubbish)
                    async for _ in ws:
                        pass
                return ws.close_code or 0

        codes = asyncio.gather(
            talk_rubbish("{"),
            talk_rubbish(b"\xff\x00" * 100),
            talk_rubbish('{"subscribe": ["calls", "nobody", "agent:lin"]}' * 2),
            talk_rubbish('{"subscribe": ' + "[" * 10_000),
            talk_rubbish("x" * 100_000),
            talk_rubbish('{"resync": "calls", "resync": 1e999}'),
        )
        calls = 150
        for number in range(calls):
            for message in pbx.call(number, f"+86139{number:08d}"):
                await pbx.say(message)
        end = pbx.call(calls, CUSTOMER)
        await pbx.say_until_ringing(end)
        last = f"main/{1_700_000_000 + calls}.0"
        for desk in desks:
            await desk.gets(last)
            numbers = [f["n"] for _, f in desk.frames if f.get("topic") == "calls"]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        # 1006: closed while the rubbish was still being sent.
        assert set(await codes) <= {1006, 1008, 1009}, codes.result()
        for desk in desks:
            await desk.close()
        deaf.close()
        assert "Traceback" not in service.log()


async def test_a_guesser_is_limited_and_logged_and_nobody_else_waits(
    tmp_path: Path, mall_url: str
) -> None:
    async with scripted(tmp_path, mall_url) as (_, service):
        before = await service.sign_in("lin")
        await before.follow("agent:lin")
        answers: list[int] = []

        async def guess(login: str, number: int) -> None:
            connector = aiohttp.TCPConnector(local_addr=("127.0.0.3", 0))
            async with (
                aiohttp.ClientSession(connector=connector) as http,
                http.post(
                    f"{service.url}/api/sign-in",
                    json={"login": login, "password": f"{SECRET_GUESS}{number}"},
                ) as answer,
            ):
                answers.append(answer.status)
                if answer.status == 429:
                    assert int(answer.headers["Retry-After"]) > 0

        guesses = asyncio.gather(*(guess("lin", number) for number in range(60)))
        # Meanwhile she, and somebody who was never here, sign in from their own address.
        again = await service.sign_in("lin")
        await again.follow("agent:lin")
        other = await service.sign_in("maria")
        await other.follow("agent:maria")
        await guesses
        assert set(answers) == {401, 429}, answers
        assert answers.count(401) <= 5
        for number in range(60):
            await guess(f"nobody{number}", number)
        assert answers[-1] == 429
        assert (await before.try_post("/api/agent/pause", {"reason": "lunch"}))[0] != 401
        for desk in (before, again, other):
            await desk.close()
        log = service.log()
        assert "sign-in failed for 'lin' from 127.0.0.3" in log
        assert "too many failures for 'lin' from 127.0.0.3" in log
        assert SECRET_GUESS not in log
        await until(lambda: "too many failures for 'nobody" in service.log())
