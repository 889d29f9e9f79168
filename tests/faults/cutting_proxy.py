"""A TCP proxy that cuts its connections in the middle of what flows through them."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class CuttingProxy:
    """`async with CuttingProxy(host, port) as proxy`: reach the server through `proxy.port`.

    `cut_after(count)` lets `count` more bytes through from the server, then cuts without a word.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server_at = (host, port)
        self._left: int | None = None
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0
        self.cuts = 0
        self.last_bytes = b""
        """What the client got last before the newest cut."""

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut_after(self, count: int) -> None:
        self._left = count

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            from_server, to_server = await asyncio.open_connection(*self._server_at)
        except OSError:
            writer.transport.abort()
            return
        finally:
            self._tasks.discard(task)
        self.connections += 1
        self._tasks.add(task)
        up = asyncio.create_task(self._upwards(reader, to_server))
        self._tasks.add(up)
        try:
            await self._downwards(from_server, writer)
        finally:
            up.cancel()
            writer.transport.abort()
            to_server.transport.abort()
            self._tasks -= {task, up}

    async def _upwards(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.transport.abort()

    async def _downwards(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self._left is not None:
                    data, self._left = data[: self._left], self._left - len(data)
                    if self._left <= 0:
                        self._left = None
                        self.cuts += 1
                        self.last_bytes = data[-60:]
                        writer.write(data)
                        await writer.drain()
                        return
                writer.write(data)
