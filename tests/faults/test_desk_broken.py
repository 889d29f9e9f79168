"""The desk's own parts are killed, locked, and asked for too much; calls and notes outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest
import websockets
from sqlalchemy import select

from agent_desk.live.push import CLOSE_TOO_MANY, SESSION_DESKS
from crm_store.contacts import recordings
from crm_store.contacts.recordings import RecordingRecord
from crm_store.database import Database
from crm_store.models import Customer, Interaction, WrapUp
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from cti.pbx.embedded import EmbeddedPbx
from tests.faults.locked_database import locked
from tests.faults.scripted_pbx import ScriptedPbx
from tests.service_fixtures import (
    CUSTOMER,
    DeskSession,
    RunningService,
    ami_of,
    either_mall_url,
    mall_pbx,
    mall_template,
    mall_url,
    postgresql_mall,
    until,
)
from tests.store_fixtures import postgresql_server
from tests.web_phone import WebPhone

pytestmark = pytest.mark.asterisk
__all__ = [
    "either_mall_url",
    "mall_template",
    "mall_url",
    "postgresql_mall",
    "postgresql_server",
]

CLAIMS = 200
LOGINS = {"lin": "1001", "maria": "1002", "james": "1004"}
LOCKED_SECONDS = 8.0
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


async def recordings_of(url: str, call: str) -> list[RecordingRecord]:
    database = Database(url)
    try:
        return await recordings.of_call(database, "main", call)
    finally:
        await database.close()


async def closed_recording(url: str, call: str) -> RecordingRecord:
    """The call's one recording, once its row says that it is over."""
    async with asyncio.timeout(30):
        while True:
            (found,) = await recordings_of(url, call)
            if found.ended_at is not None:
                return found
            await asyncio.sleep(0.1)


def own_call(desk: DeskSession, state: str) -> dict[str, Any] | None:
    """The call on this agent's screen that is in this state."""
    calls = (document for key, document in desk.own.items() if key.startswith("call:"))
    return next((call for call in calls if call["state"] == state), None)


async def call_shown(desk: DeskSession, state: str, **values: object) -> dict[str, Any]:
    """Wait until a call in this state, with these values, is on the agent's screen; that call."""

    def fits() -> bool:
        call = own_call(desk, state)
        return call is not None and values.items() <= call.items()

    await desk.until(fits)
    call = own_call(desk, state)
    assert call is not None
    return {"pbx": call["pbx"], "call": call["call"]}


async def test_the_service_killed_while_it_records(tmp_path: Path, mall_url: str) -> None:
    async with (
        service_beside_pbx(tmp_path, mall_url, desk_phones=True) as (service, pbx),
        service.network() as network,
    ):
        await service.phone(network, "1001", answer_after=0.0)
        lin = await service.sign_in("lin")
        await lin.follow("agent:lin")
        await lin.serve("sales")
        caller = await network.call(CUSTOMER, "600")
        call = await call_shown(lin, "answered")
        await lin.post("/api/call/record", {**call, "action": "start"})
        await call_shown(lin, "answered", recording="on")
        (row,) = await recordings_of(mall_url, call["call"])
        file = pbx.folder / "spool/monitor" / row.file

        # It goes on without us, and after us.
        await service.kill()
        size = file.stat().st_size
        await until(lambda: file.stat().st_size > size + 16_000, what="the recording goes on")
        await service.start()
        await lin.close()
        lin = await service.sign_in("lin")
        await lin.follow("agent:lin")
        assert await call_shown(lin, "answered", recording="on") == call
        (row,) = await recordings_of(mall_url, call["call"])
        assert row.ended_at is None
        await lin.post("/api/call/record", {**call, "action": "pause"})
        await call_shown(lin, "answered", recording="paused")

        # It ends while we are dead: its row says when, not when we looked.
        await service.kill()
        await caller.hang_up()
        ended_by = datetime.now(UTC)
        await asyncio.sleep(1.5)  # so that the moment of the restart is another one
        await service.start()
        row = await closed_recording(mall_url, call["call"])
        assert row.ended_at is not None
        assert (row.ended_at - ended_by).total_seconds() < 1
        assert [mark["kind"] for mark in row.marks] == ["pause", "resume"]
        await lin.close()
        lin = await service.sign_in("lin")
        await lin.follow("agent:lin")
        assert await call_shown(lin, "ended") == call
        await lin.post("/api/call/wrap-up", {**call, "disposition": "answered", "note": "cut"})
        await lin.close()


async def test_asterisk_killed_with_a_recorded_and_a_parked_call(
    tmp_path: Path, mall_url: str
) -> None:
    async with (
        RunningService(tmp_path / "service", mall_url) as service,
        service.network() as network,
        contextlib.AsyncExitStack() as opened,
    ):
        desks = {login: await service.sign_in(login) for login in ("lin", "maria")}
        claims, phones = {}, {}
        for (login, desk), queue in zip(desks.items(), ("sales", "service"), strict=True):
            opened.push_async_callback(desk.close)
            await desk.follow(f"agent:{login}", "parked")
            claims[login] = await desk.post("/api/phone/claim", {})
            phones[login] = await opened.enter_async_context(phone_of(desk, claims[login]))
            assert await phones[login].register() == 200
            await desk.serve(queue)
        lin, maria = desks.values()
        await network.call(CUSTOMER, "600")
        await phones["lin"].answer()
        recorded = await call_shown(lin, "answered")
        await lin.post("/api/call/record", {**recorded, "action": "start"})
        await call_shown(lin, "answered", recording="on")
        await network.call("+8613900000001", "601")
        await phones["maria"].answer()
        parked = await call_shown(maria, "answered")
        await maria.post("/api/call/park", parked)
        await lin.until(lambda: lin.state["parked"])

        children = psutil.Process(service.pid).children(recursive=True)
        asterisk = next(one for one in children if "asterisk.conf" in " ".join(one.cmdline()))
        asterisk.kill()
        for phone in phones.values():
            assert await phone.closed() == 1013
        await lin.until(lambda: not lin.state["parked"], 40)
        await service.wait_healthy()

        row = await closed_recording(mall_url, recorded["call"])
        assert row.seconds is not None
        assert row.seconds < 60
        for desk, queue in zip(desks.values(), ("sales", "service"), strict=True):
            await desk.serves(queue)
        assert await call_shown(lin, "ended") == recorded
        await lin.post("/api/call/wrap-up", {**recorded, "disposition": "sold", "note": "cut"})

        # The page's secret is good again, and who was in a queue is rung.
        phone = await opened.enter_async_context(phone_of(lin, claims["lin"]))
        async with asyncio.timeout(20):
            while await phone.register() != 200:  # noqa: ASYNC110 - each time it is asked anew
                await asyncio.sleep(0.1)
        await network.call("+8613900000002", "600")
        await phone.answer()
        await call_shown(lin, "answered", recording="off")
        assert "Traceback" not in service.log()


async def merged(desk: DeskSession, kept: int, other: int) -> int:
    """The answer's status to the form that makes one customer of two."""
    form = {"other": str(other), "csrf_token": desk.csrf_token, "notes": "both"}
    async with (
        aiohttp.ClientSession(headers={"Cookie": desk.cookie}) as http,
        http.post(f"{desk.url}/customers/{kept}/merge", data=form, allow_redirects=False) as answer,
    ):
        return answer.status


async def test_wrap_up_and_merge_while_the_database_is_locked(
    tmp_path: Path, either_mall_url: str
) -> None:
    database = Database(either_mall_url)
    async with database.transaction() as transaction:
        kept, other = [
            await customers.create(
                transaction, NewCustomer(f"Ann {n}", notes=f"note {n}"), actor=""
            )
            for n in (1, 2)
        ]
    async with (
        contextlib.AsyncExitStack() as opened,
        ScriptedPbx() as pbx,
        RunningService(tmp_path / "service", either_mall_url, external=pbx) as service,
    ):
        opened.push_async_callback(database.close)
        lin, chief = await service.sign_in("lin"), await service.sign_in("chief")
        await lin.follow("agent:lin")
        for message in pbx.call(1, CUSTOMER):
            await pbx.say(message)
        call = await call_shown(lin, "ended")
        wish = {**call, "disposition": "sold", "note": "size 38, red"}
        async with locked(either_mall_url):
            locked_until = time.monotonic() + LOCKED_SECONDS
            asked = asyncio.gather(
                lin.try_post("/api/call/wrap-up", wish),
                lin.try_post("/api/call/wrap-up", wish),
                merged(chief, kept, other),
                merged(chief, kept, other),
            )
            await asyncio.sleep(locked_until - time.monotonic())
        first, second, *merges = await asyncio.wait_for(asked, 60)
        assert 200 in (first[0], second[0]), (first, second)
        assert {first[0], second[0]} <= {200, 403, 409, 503}, (first, second)
        assert merges.count(303) == 1, merges
        assert set(merges) <= {303, 200, 404, 409}, merges

        async with database.reading() as session:
            query = (
                select(WrapUp, Interaction)
                .join(Interaction, WrapUp.interaction_id == Interaction.id)
                .where(WrapUp.note == wish["note"])
            )
            ((wrap_up, interaction),) = (await session.execute(query)).all()
            assert (wrap_up.agent, wrap_up.disposition) == ("lin", "sold")
            assert wrap_up.closed_at is not None
            assert interaction.closed_at is not None
            of_kept, of_other = [await session.get_one(Customer, one) for one in (kept, other)]
            assert of_other.merged_into == kept
            assert of_kept.notes == "note 1\n\nnote 2"
        assert own_call(lin, "ended") is None
        assert "Traceback" not in service.log()
        await lin.close()
        await chief.close()
