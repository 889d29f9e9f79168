"""The other end of an AGI session, as bytes: what Asterisk sends, or what a hostile peer might."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

KEY = "k3yOfTheTestsOwn0123"


def header(entry: str = "menu", key: str = KEY, name: bytes = b"Ana", more: bytes = b"") -> bytes:
    """As Asterisk 22 writes it, with the caller's `name` as raw bytes."""
    asked = f"{entry}?number=610".encode()
    return (
        b"agi_network: yes\n"
        b"agi_network_script: %s\n"
        b"agi_request: agi://127.0.0.1:4573/%s\n"
        b"agi_channel: PJSIP/trunk-00000000\n"
        b"agi_uniqueid: 1795312335.0\n"
        b"agi_callerid: +8613800138000\n"
        b"agi_calleridname: %s\n"
        b"%sagi_arg_1: %s\n\n" % (asked, asked, name, more, key.encode())
    )


class AsteriskSide:
    """A connection to the server; `local` is the address it comes from."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int, *, local: str = "127.0.0.1") -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(local, 0)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def say(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    async def asked(self) -> str:
        """The next command, "" when the server has closed."""
        return (await self._reader.readline()).decode().rstrip("\n")

    async def answer(self, data: bytes) -> str:
        """Take a command and answer it."""
        command = await self.asked()
        self.say(data)
        return command

    async def is_closed(self) -> bool:
        """Wait until the server has closed; False if it has said something before."""
        try:
            return await self._reader.read() == b""
        except ConnectionError:
            return True

    def says_no_more(self) -> None:
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
