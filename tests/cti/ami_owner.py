"""An owner for an AMI link under test: connected to a scripted server, noting what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from cti.ami.link import AmiLink
from tests.ami_server import AmiServer


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for a condition that nothing announces."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (the condition has no event)
            await asyncio.sleep(0.001)


class Owner:
    """Owns a link to a scripted server, and keeps what it is told."""

    def __init__(self, port: int, settings: dict[str, Any]) -> None:
        self.messages: list[dict[str, str]] = []
        self.ups = 0
        self.causes: list[str] = []
        self.link = AmiLink(
            "127.0.0.1",
            port,
            **{
                "user": "deskbell",
                "secret": "secret",
                "wanted_events": None,
                "on_message": self.messages.append,
                "on_up": self._count_up,
                "on_down": self.causes.append,
                "backoff": (0.001, 0.01),
                **settings,
            },
        )

    async def _count_up(self) -> None:
        self.ups += 1

    def names(self) -> list[str]:
        return [message["Event"] for message in self.messages if "Event" in message]

    async def got(self, name: str) -> None:
        await eventually(lambda: name in self.names())


@asynccontextmanager
async def owning(server: AmiServer, **settings: Any) -> AsyncIterator[Owner]:
    client = Owner(server.port, settings)
    client.link.start()
    try:
        if not server.refuse:
            await client.link.wait_up()
            # The first pong is in, so nothing unasked comes between what a test lets be said.
            await eventually(lambda: client.link.round_trip is not None)
        yield client
    finally:
        await client.link.close()
