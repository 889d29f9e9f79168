"""A way to the desk that a test can close for as long as it likes.

Closed, everything that flows is cut and nobody gets in, as when the network is gone; what the
telephone's sound takes is another way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from urllib.parse import urlsplit


class ClosableWay:
    """`await way.open_to(url)` answers the address to use; then `close()` and `open()` it.

    `opened_at` is the monotonic time from which connections were possible again.
    """

    def __init__(self) -> None:
        self.opened_at = 0.0
        self._target: tuple[str, int] = ("", 0)
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def open_to(self, url: str) -> str:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._target = (parts.hostname, parts.port)
        await self.open()
        return f"http://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Let everybody through."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]
        self.opened_at = time.monotonic()

    async def close(self) -> None:
        """Cut everything; who comes is refused."""
        if self._listener is not None:
            self._listener.close()
        for writer in list(self._writers):
            writer.transport.abort()
        # What carried ends by itself once its connections are gone.
        await asyncio.gather(*list(self._tasks), return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)
            return
        self._writers.add(far_writer)
        try:
            await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                end.transport.abort()
                self._writers.discard(end)
            self._tasks.discard(task)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
