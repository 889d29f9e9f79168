"""A small FastAGI peer of the tests' own: what the dialplan does can be seen without the menus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self
from urllib.parse import parse_qsl, urlsplit

Conversation = Callable[["AgiCaller"], Awaitable[None]]


class AgiCaller:
    """One session: what Asterisk said of the call, and commands with their answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.header: dict[str, str] = {}
        self._reader = reader
        self._writer = writer

    @property
    def entry(self) -> str:
        """The part of the address before its query."""
        return urlsplit(self.header["agi_request"]).path.lstrip("/")

    @property
    def asked(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.header["agi_request"]).query))

    async def read_header(self) -> None:
        while line := (await self._reader.readline()).decode().strip():
            name, _, value = line.partition(": ")
            self.header[name] = value

    async def command(self, text: str) -> str:
        """Asterisk's answer; "" when the caller has gone."""
        self._writer.write(f"{text}\n".encode())
        await self._writer.drain()
        while (answer := (await self._reader.readline()).decode().strip()) == "HANGUP":
            pass
        return answer

    async def go(self, word: str, **variables: str) -> None:
        """Say where the caller goes."""
        for name, value in {**variables, "DESKBELL_GO": word}.items():
            await self.command(f'SET VARIABLE {name} "{value}"')


class AgiPeer:
    """`async with AgiPeer(conversation) as peer`: answers on `peer.port` while the block runs."""

    def __init__(self, conversation: Conversation, port: int = 0) -> None:
        self.port = port
        self.callers: list[AgiCaller] = []
        self._conversation = conversation
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.die()
        assert self._server is not None
        await self._server.wait_closed()

    def die(self) -> None:
        """Close everything at once, as a process that is killed."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        caller = AgiCaller(reader, writer)
        try:
            await caller.read_header()
            self.callers.append(caller)
            await self._conversation(caller)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
