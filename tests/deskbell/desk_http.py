"""What an agent does at the desk, over HTTP, for tests that look at something else."""

from __future__ import annotations

import aiohttp

from deskbell.event_loop import run
from deskbell.running_demo import Demo


def serve_queues(demo: Demo, login: str, queues: list[str]) -> None:
    """Sign in and be available in these queues."""

    async def serve() -> None:
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of a host that is an IP address
        async with aiohttp.ClientSession(demo.url, cookie_jar=jar) as http:
            wish = {"login": login, "password": demo.person(login).password}
            async with http.post("/api/sign-in", json=wish) as answer:
                assert answer.status == 200, await answer.text()
                token = (await answer.json())["csrf_token"]
            headers = {"X-CSRF-Token": token}
            wished = {"queues": queues}
            async with http.post("/api/agent/serve", json=wished, headers=headers) as answer:
                assert answer.status == 200, await answer.text()

    run(serve())
