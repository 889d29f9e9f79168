"""The desk's own parts are killed, locked, and asked for too much; calls and notes outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import websockets

from agent_desk.live.push import CLOSE_TOO_MANY, SESSION_DESKS
from cti.pbx.embedded import EmbeddedPbx
from tests.service_fixtures import (
    DeskSession,
    RunningService,
    ami_of,
    mall_pbx,
    mall_template,
    mall_url,
    until,
)
from tests.web_phone import WebPhone

pytestmark = pytest.mark.asterisk
__all__ = ["mall_template", "mall_url"]

CLAIMS = 200
LOGINS = {"lin": "1001", "maria": "1002", "james": "1004"}
PUSHES = 50
PHONES = 20
TCP_CLOSED = (7, 8)
"""TCP_INFO's states of a connection that the other side has ended: CLOSE and CLOSE_WAIT."""


@contextlib.asynccontextmanager
async def service_beside_pbx(
    folder: Path, url: str, *, desk_phones: bool = False
) -> AsyncIterator[tuple[RunningService, EmbeddedPbx]]:
    """A service that uses a PBX of the test's own."""
    async with (
        await mall_pbx(folder / "pbx", url, desk_phones=desk_phones) as pbx,
        RunningService(folder / "service", url, external=pbx) as service,
    ):
        yield service, pbx


def phone_of(desk: DeskSession, claimed: dict[str, Any]) -> WebPhone:
    """The page's phone, as this claim's answer has it."""
    address = desk.url.replace("http", "ws", 1) + claimed["socket"]
    return WebPhone(address, claimed["account"], claimed["secret"], cookie=desk.cookie)


async def claimed_phone(desk: DeskSession) -> WebPhone:
    return phone_of(desk, await desk.post("/api/phone/claim", {}))


async def registers(phone: WebPhone) -> bool:
    """Whether it registers; False if it was refused, or its socket is closed before."""
    asked = asyncio.ensure_future(phone.register())
    closed = asyncio.ensure_future(phone.socket.wait_closed())
    try:
        await asyncio.wait((asked, closed), return_when=asyncio.FIRST_COMPLETED)
        return asked.done() and asked.exception() is None and asked.result() == 200
    finally:
        asked.cancel()
        closed.cancel()
        await asyncio.gather(asked, closed, return_exceptions=True)


async def test_two_hundred_claims_at_once(tmp_path: Path, mall_url: str) -> None:
    async with (
        service_beside_pbx(tmp_path, mall_url) as (service, pbx),
        ami_of(pbx) as ami,
        contextlib.AsyncExitStack() as open_sessions,
    ):
        desks = [await service.sign_in(login) for login in LOGINS for _ in range(2)]
        for desk in desks:
            open_sessions.push_async_callback(desk.close)

        claims = [desks[number % len(desks)] for number in range(CLAIMS)]
        answers = await asyncio.gather(
            *(desk.try_post("/api/phone/claim", {}) for desk in claims),
        )
        assert Counter(status for status, _ in answers) == {200: CLAIMS}
        secrets = {answer["secret"] for _, answer in answers}
        assert len(secrets) == CLAIMS

        # Of each agent's claims one page is let through, and its secret is the one that is good.
        let_through: Counter[str] = Counter()
        for desk, (_, answer) in zip(claims, answers, strict=True):
            async with phone_of(desk, answer) as phone:
                if await registers(phone):
                    let_through[desk.login] += 1
                else:
                    assert phone.socket.close_code == 4409, "the claim that holds has a dead secret"
        assert let_through == dict.fromkeys(LOGINS, 1)

        for desk in desks:
            await desk.post("/api/phone/release", {})
        rows = await ami.list_action("PJSIPShowEndpoints")
        kept = {row.get("ObjectName") for row in rows} & set(LOGINS.values())
        assert not kept, "an account outlived its page"


async def deaf_phone(desk: DeskSession, path: str) -> socket.socket:
    """A page that opens its phone's socket and never reads from it, not even the handshake."""
    parts = urlsplit(desk.url)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.connect((parts.hostname, parts.port))
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nCookie: {desk.cookie}\r\n"
        "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    deaf.sendall(request.encode())
    return deaf


def is_ended(connection: socket.socket) -> bool:
    """Whether the other side has ended it; asks the kernel, reads nothing."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in TCP_CLOSED


async def test_one_session_opens_sockets_without_end(tmp_path: Path, mall_url: str) -> None:
    async with (
        service_beside_pbx(tmp_path, mall_url) as (service, _pbx),
        contextlib.AsyncExitStack() as opened,
    ):
        lin, maria, james = [await service.sign_in(login) for login in LOGINS]
        for desk in (lin, maria, james):
            opened.push_async_callback(desk.close)
        await maria.follow("agent:maria", "agents")
        bystander = await opened.enter_async_context(await claimed_phone(maria))
        assert await bystander.register() == 200

        deaf_claim = await james.post("/api/phone/claim", {})
        deaf = await deaf_phone(james, deaf_claim["socket"])
        opened.callback(deaf.close)

        async def push() -> websockets.ClientConnection:
            return await opened.enter_async_context(
                websockets.connect(
                    service.url.replace("http", "ws", 1) + "/push",
                    additional_headers={"Cookie": lin.cookie},
                    compression=None,
                    proxy=None,
                )
            )

        pushes = await asyncio.gather(*(push() for _ in range(PUSHES)))
        await until(
            lambda: sum(one.close_code is not None for one in pushes) == PUSHES - SESSION_DESKS
        )
        codes = Counter(one.close_code for one in pushes)
        assert codes == {None: SESSION_DESKS, CLOSE_TOO_MANY: PUSHES - SESSION_DESKS}
        # A tab that is closed makes room for another one.
        await next(one for one in pushes if one.close_code is None).close()
        again = await push()
        await again.send('{"subscribe": ["agent:lin"]}')
        assert '"snapshot"' in str(await asyncio.wait_for(again.recv(), 20))

        claimed = await lin.post("/api/phone/claim", {})
        phones = [await opened.enter_async_context(phone_of(lin, claimed)) for _ in range(PHONES)]
        await until(lambda: sum(one.socket.close_code is None for one in phones) == 1)
        assert {one.socket.close_code for one in phones} == {None, 1001}
        [last] = [one for one in phones if one.socket.close_code is None]
        assert await last.register() == 200

        # Who sits elsewhere noticed nothing, and the page that never reads is given up.
        await maria.serve("sales")
        assert await bystander.register() == 200
        await until(lambda: is_ended(deaf), what="the deaf page's socket is ended")
        async with await claimed_phone(james) as phone:
            assert await phone.register() == 200
        assert "Traceback" not in service.log()
