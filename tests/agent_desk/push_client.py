"""A desk as the tests see it: a real WebSocket client that keeps the state its frames add up to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import websockets

from agent_desk.live.push_state import PushState


class PushClient:
    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.state = PushState()
        self.frames: list[dict[str, Any]] = []

    async def say(self, wish: object) -> None:
        await self.socket.send(orjson.dumps(wish).decode())

    async def next(self) -> dict[str, Any]:
        """The next frame, applied to the state; a gap is an error here."""
        frame: dict[str, Any] = orjson.loads(await self.socket.recv())
        self.frames.append(frame)
        assert self.state.apply(frame) is None, f"gap at {frame}"
        return frame

    async def subscribe(self, *topics: str) -> None:
        await self.say({"subscribe": list(topics)})
        missing = set(topics)
        while missing:
            frame = await self.next()
            assert "error" not in frame, frame
            if "snapshot" in frame:
                missing.discard(frame["topic"])

    async def until_event(self, event: str) -> dict[str, Any]:
        while True:
            frame = await self.next()
            if frame.get("event") == event:
                return frame

    async def caught_up(self, numbers: dict[str, int]) -> None:
        while any(self.state.number_of(topic) < n for topic, n in numbers.items()):
            await self.next()


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[PushClient]:
    async with websockets.connect(url, compression=None, proxy=None, **options) as socket:
        yield PushClient(socket)
