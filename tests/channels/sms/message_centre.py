"""A message centre for the tests: a foreign SMPP server (smpp34), and what it does to us."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import smpp34

from channels.sms.smpp_link import MessageCentre


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Submitted:
    """What was handed over, and the id that it got; "" if it was refused."""

    message_id: str
    source: str
    destination: str
    content: bytes
    data_coding: int
    esm_class: int
    wants_receipt: bool


@dataclass
class Centre:
    """`decide` says for each submission with which status it is refused; 0 takes it."""

    port: int
    submitted: list[Submitted] = field(default_factory=list)
    decide: Callable[[Submitted], int] = lambda submitted: 0
    session: Any = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: Any = None
    _listener: asyncio.Task[None] | None = None

    @property
    def at(self) -> MessageCentre:
        return MessageCentre(
            host="127.0.0.1", port=self.port, user="deskbell", password="secret", answer_s=5.0
        )

    async def start(self) -> None:
        self._server = smpp34.Server(host="127.0.0.1", port=self.port, system_id="CENTRE")
        await self._server.start()
        self._listener = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        assert self._listener is not None
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener
        await self._server.stop()
        self.session = None

    async def until(self, holds: Callable[[], bool]) -> None:
        async with self.changed:
            await self.changed.wait_for(holds)

    async def deliver(self, content: bytes, **fields: Any) -> bool:
        """Send a deliver_sm; whether we took it."""
        answer = await self.session.deliver_sm(
            fields.pop("destination_addr", "862155550600"),
            content,
            source_addr=fields.pop("source_addr", "8613800138000"),
            source_addr_ton=fields.pop("source_addr_ton", 1),
            source_addr_npi=1,
            **fields,
        )
        return bool(answer.is_success)

    async def _listen(self) -> None:
        while True:
            event = await self._server.next()
            async with self.changed:
                if isinstance(event, smpp34.Esme):
                    self.session = event
                elif isinstance(event, smpp34.Unbound):
                    self.session = None
                else:
                    self._take(event)
                self.changed.notify_all()

    def _take(self, event: Any) -> None:
        submitted = Submitted(
            message_id="",
            source=event.source_addr,
            destination=event.destination_addr,
            content=bytes(event.short_message),
            data_coding=event.data_coding,
            esm_class=event.esm_class,
            wants_receipt=bool(event.registered_delivery),
        )
        status = self.decide(submitted)
        if status:
            event.reject(status)
        else:
            submitted.message_id = f"{len(self.submitted) + 1:08x}"
            event.accept(submitted.message_id)
        self.submitted.append(submitted)


@asynccontextmanager
async def message_centre() -> AsyncIterator[Centre]:
    centre = Centre(_free_port())
    await centre.start()
    try:
        yield centre
    finally:
        await centre.stop()


@asynccontextmanager
async def hanging_up() -> AsyncIterator[MessageCentre]:
    """A centre that lets us bind, and hangs up upon whatever we say next."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, EOFError):
            (length,) = struct.unpack(">L", await reader.readexactly(4))
            asked = await reader.readexactly(length - 4)
            sequence = asked[8:12]
            writer.write(struct.pack(">LLL", 18, 0x80000009, 0) + sequence + b"C\0")
            await reader.readexactly(4)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield MessageCentre(host="127.0.0.1", port=port, user="deskbell", password="secret")
