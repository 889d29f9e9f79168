"""What the gate says when the desk's own parts fail."""

from __future__ import annotations

import contextlib

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

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
