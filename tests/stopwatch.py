"""A desk that does nothing but note when each frame arrives, in a process of its own.

Run by `Stopwatch`: its clock is not late because the test's own event loop is busy with a browser.
Monotonic time is the same in all processes of a machine.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.service_fixtures import DeskSession

CHECKOUT = Path(__file__).resolve().parents[1]


class Stopwatch:
    """`async with Stopwatch(desk) as stopwatch`: follows the topics as that signed-in desk."""

    def __init__(self, desk: DeskSession, *topics: str) -> None:
        self.frames: list[tuple[float, dict[str, Any]]] = []
        self._desk = desk
        self._topics = topics or (f"agent:{desk.login}",)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.stopwatch",
            self._desk.url.replace("http", "ws", 1) + "/push",
            *self._topics,
            cwd=CHECKOUT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(self._desk.cookie.encode() + b"\n")
        for _ in self._topics:
            await self._next()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def _next(self) -> tuple[float, dict[str, Any]]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        assert line, "the stopwatch ended"
        at, _, text = line.partition(b" ")
        self.frames.append((float(at), orjson.loads(text)))
        return self.frames[-1]

    async def pop_of(self, name: str) -> float:
        """When the first frame with a pop of the customer `name` arrived, waiting for it."""
        while True:
            at, frame = await self._next()
            for key, document in frame.get("set", {}).items():
                matches = document.get("matches", ()) if key.startswith("pop:") else ()
                if any(card["name"] == name for card in matches):
                    return at


def main() -> None:
    address, *topics = sys.argv[1:]
    cookie = sys.stdin.readline().strip()
    with connect(
        address, additional_headers={"Cookie": cookie}, compression=None, proxy=None, max_size=None
    ) as socket:
        socket.send(orjson.dumps({"subscribe": topics}).decode())
        try:
            for text in socket:
                at = time.monotonic()
                sys.stdout.write(f"{at} {text!s}\n")
                sys.stdout.flush()
        except ConnectionClosed:
            return


if __name__ == "__main__":
    main()
