"""One AMI connection: a socket's bytes to messages, actions to bytes, from connect to loss.

Owns the actions under way on this one connection, and says once why it ended. Refuses to connect
again, to ping, to send anything twice, or to know what a message means: the link sees to that.

panoramisk's Manager meets the socket here, through its `protocol_factory`.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from panoramisk.manager import Manager
from panoramisk.message import Message

from cti.ami.actions import LinkDown, PendingAction, write_headers
from cti.ami.framing import BLOCK_END, AmiFramer


class AmiConnection(asyncio.Protocol):
    """One TCP connection: bytes to messages, actions to bytes. It lives once and never returns.

    `lost` is done, with the cause, as soon as the connection is of no use any more.
    panoramisk's Manager, which it serves as protocol, sets `queue`, `factory`, `log`, `config`,
    `encoding` and `responses` on it, and calls `send` and `close`.
    """

    def __init__(
        self,
        framer: AmiFramer,
        on_bytes: Callable[[bytes], None],
        on_message: Callable[[dict[str, str]], None],
    ) -> None:
        self._framer = framer
        self._on_bytes = on_bytes
        self._on_message = on_message
        self._transport: asyncio.Transport | None = None
        self._pending: dict[str, PendingAction] = {}
        self._numbers = itertools.count(1)
        self._prefix = f"deskbell-{secrets.token_hex(4)}"
        self.pongs = 0
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()
        self.fully_booted = asyncio.Event()
        self._farewell = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.lost.done():
            return
        self._on_bytes(data)
        for message in self._framer.feed(data):
            event = message.get("Event")
            if event == "FullyBooted":
                self.fully_booted.set()
            elif event == "Shutdown":
                self._farewell = "Asterisk shut down"
            elif "Ping" in message:
                self.pongs += 1
            pending = self._pending.get(message.get("ActionID", ""))
            if pending is None or self._framer.wants(message):
                self._on_message(message)
            if pending is not None:
                pending.take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lose(self._farewell or (str(exc) if exc else "Asterisk closed the connection"))
        self.gone.set()

    def lose(self, cause: str) -> None:
        """Give the connection up: whoever waits for an answer is told, nothing is sent again."""
        if not self.lost.done():
            self.lost.set_result(cause)
            if self._framer.mid_message:
                self._on_bytes(BLOCK_END)
            for pending in self._pending.values():
                if not pending.answer.done():
                    pending.answer.set_exception(LinkDown(cause, sent=True))
        if self._transport is not None:
            self._transport.abort()

    @contextmanager
    def ask(
        self, headers: bytes, action_id: str = "", *, is_list: bool = False
    ) -> Iterator[PendingAction]:
        """Send an action, and listen for its answer as long as the context is open."""
        if self.lost.done() or self._transport is None:
            raise LinkDown(self.lost.result() if self.lost.done() else "not connected", sent=False)
        action_id = action_id or f"{self._prefix}-{next(self._numbers)}"
        if action_id in self._pending:
            raise ValueError("this ActionID already waits for its answer")
        pending = PendingAction(asyncio.get_running_loop().create_future(), is_list)
        self._pending[action_id] = pending
        self._framer.awaited.add(action_id)
        try:
            self._transport.write(headers + f"ActionID: {action_id}\r\n\r\n".encode())
            yield pending
        finally:
            del self._pending[action_id]
            self._framer.awaited.discard(action_id)
            if not pending.answer.cancel() and not pending.answer.cancelled():
                pending.answer.exception()  # looked at: an answer that nobody awaited is no fault

    def send(self, action: dict[str, Any], as_list: bool | None = None) -> asyncio.Future[Message]:
        """What panoramisk's Manager calls to log in; its future holds panoramisk's Message."""
        headers = write_headers(action)

        async def answer() -> Message:
            with self.ask(headers, is_list=bool(as_list)) as pending:
                return Message(await pending.answer)

        return asyncio.ensure_future(answer())

    def close(self) -> None:
        """What panoramisk's Manager calls to close its protocol."""
        self.lose("closed")


class OneConnectionManager(Manager):  # type: ignore[misc]  # panoramisk has no types
    """panoramisk's Manager for a single connection: it configures the protocol and logs in.

    The rest of its life (reconnecting, pinging, sending again, dispatching) is the link's.
    """

    def connect(self, *_: object, **__: object) -> None:
        raise NotImplementedError("the link connects")

    def ping(self) -> None:
        """Nothing: the link pings, and looks for the pong."""

    def login(self, future: asyncio.Future[Message]) -> None:
        """Nothing: the link waits for the answer itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing: the link connects again."""
