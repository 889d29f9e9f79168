"""What the gate says when the desk's own parts fail."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler

from agent_desk.app import create_app
from agent_desk.entrance.visitor import SESSION_COOKIE
from agent_desk.parts import DeskParts
from crm_store.bus import Bus
from crm_store.database import Database
from crm_store.migrations import migrate
from tests.agent_desk.conftest import Presence
from tests.faults.cutting_proxy import CuttingProxy
from tests.store_fixtures import PostgresqlServer, postgresql_server

pytestmark = pytest.mark.db
__all__ = ["postgresql_server"]


async def test_a_database_that_is_away_is_503_and_says_what_to_do(
    postgresql_server: PostgresqlServer,
) -> None:
    url = await postgresql_server.create_database()
    await migrate(url)
    async with contextlib.AsyncExitStack() as opened, contextlib.AsyncExitStack() as network:
        proxy = await network.enter_async_context(CuttingProxy("127.0.0.1", postgresql_server.port))
        database = Database(url.replace(f":{postgresql_server.port}/", f":{proxy.port}/"))
        opened.push_async_callback(database.close)
        bus = Bus()
        parts = DeskParts(database=database, bus=bus, agents=Presence(bus).control())
        server = await opened.enter_async_context(TestServer(create_app(parts)))
        http = await opened.enter_async_context(
            aiohttp.ClientSession(headers={"Cookie": f"{SESSION_COOKIE}=some"})
        )
        async with http.get(server.make_url("/api/me")) as answer:
            assert answer.status == 401

        await network.aclose()
        for path in ("/api/me", "/desk"):
            async with http.get(server.make_url(path)) as answer:
                assert answer.status == 503
                assert answer.headers["Retry-After"] == "5"
                assert "Try again" in await answer.text()


async def test_a_page_that_goes_in_the_middle_of_its_question_is_no_trouble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    await migrate(url)
    database = Database(url)
    bus = Bus()
    parts = DeskParts(database=database, bus=bus, agents=Presence(bus).control())
    application = create_app(parts)
    began, gone = asyncio.Event(), asyncio.Event()

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        began.set()
        try:
            return await handler(request)
        finally:
            gone.set()

    application.middlewares.insert(0, watch)
    runner = web.AppRunner(application)  # a TestServer would cancel the handler
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(
            b"POST /sign-in HTTP/1.1\r\nHost: desk\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\nlogin="
        )
        await writer.drain()
        await asyncio.wait_for(began.wait(), 20)
        writer.close()
        await asyncio.wait_for(gone.wait(), 20)
    finally:
        await runner.cleanup()
        await database.close()
    assert not [one for one in caplog.records if one.name == "agent_desk.entrance.gate"]
