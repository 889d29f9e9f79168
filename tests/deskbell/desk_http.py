"""What an agent does at the desk, over HTTP, for tests that look at something else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from deskbell.event_loop import run
from deskbell.running_demo import Demo


@asynccontextmanager
async def signed_in(demo: Demo, login: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A session at the desk, with the token that changes need."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of a host that is an IP address
    async with aiohttp.ClientSession(demo.url, cookie_jar=jar) as http:
        wish = {"login": login, "password": demo.person(login).password}
        async with http.post("/api/sign-in", json=wish) as answer:
            assert answer.status == 200, await answer.text()
            http.headers["X-CSRF-Token"] = (await answer.json())["csrf_token"]
        yield http


def serve_queues(demo: Demo, login: str, queues: list[str]) -> None:
    """Sign in and be available in these queues."""

    async def serve() -> None:
        async with (
            signed_in(demo, login) as http,
            http.post("/api/agent/serve", json={"queues": queues}) as answer,
        ):
            assert answer.status == 200, await answer.text()

    run(serve())


def contacts_of(demo: Demo, login: str, find: str) -> list[dict[str, Any]]:
    """The newest contacts in the story of the one customer whom the agent finds so."""

    async def read() -> list[dict[str, Any]]:
        async with signed_in(demo, login) as http:
            async with http.get("/api/customers", params={"find": find}) as answer:
                [customer] = (await answer.json())["found"]
            address = f"/api/customers/{customer['id']}/story"
            async with http.get(address, params={"kind": "interaction"}) as answer:
                entries: list[dict[str, Any]] = (await answer.json())["entries"]
                return entries

    return run(read())
