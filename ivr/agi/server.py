"""The FastAGI server: who may connect, which menu serves them, and how it all ends.

Owns the listening socket, the limits and each session's life. Refuses to know what a menu says.

A session ends by closing its connection; the dialplan goes on with the caller. One that ends
without having set DESKBELL_GO, because its menu raised, the server stopped or the peer was refused,
leaves the caller to the dialplan's fallback, which is people.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote

from ivr.agi.figures import AgiFigures
from ivr.agi.protocol import AgiReader, Header, ProtocolBroken
from ivr.agi.session import AgiSession, CallerHungUp

log = logging.getLogger(__name__)

Handler = Callable[[AgiSession], Awaitable[None]]

KEY_ARGUMENT: Final = "arg_1"
"""What the header calls the first argument of AGI()."""

COMPLAIN_EVERY: Final = 60.0
"""Seconds between two lines in the log about refused connections: a flood must not fill it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgiLimits:
    """What one server bears.

    - `sessions` at once; an Asterisk that has more callers sends them to people.
    - `half_open` connections of one peer that have not said who they are. The oldest one makes room
      for a new one: Asterisk says all within milliseconds, so a flood pushes out itself.
    - `header_seconds` to say it.
    - `session_seconds`, the longest session of all.
    """

    sessions: int = 1_000
    half_open: int = 100
    header_seconds: float = 5.0
    session_seconds: float = 2 * 3600.0


class AgiServer:
    """Serves Asterisk's AGI(agi://host:port/ENTRY?...,KEY) from `start()` to `close()`.

    `handlers` by ENTRY; an exception of one ends its session only. `key` is compared in constant
    time. `peers` are addresses or networks ("127.0.0.1", "10.1.0.0/16"); all others are cut off
    before they are heard. `port` 0 is any free one, and once started, which one that is.
    Raises ValueError for a peer that is none, and an empty key.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        key: str,
        peers: Collection[str],
        handlers: Mapping[str, Handler],
        limits: AgiLimits | None = None,
    ) -> None:
        if not key:
            raise ValueError("without a key the port would answer to everybody")
        self.figures = AgiFigures()
        self.limits = limits or AgiLimits()
        self.port = port
        self._host = host
        self._key = key.encode()
        self._peers = [ip_network(peer, strict=False) for peer in peers]
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._half_open: dict[str, dict[_Connection, None]] = {}
        self._sessions: set[asyncio.Task[None]] = set()
        self._closing = False
        self._complained: dict[str, float] = {}

    async def start(self) -> None:
        """Listen. Raises OSError when the address can't be had."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), self._host, self.port, backlog=1024
        )
        self.port = int(self._server.sockets[0].getsockname()[1])
        log.info("FastAGI: listening on %s, port %d", self._host, self.port)

    async def close(self, seconds: float = 10.0) -> None:
        """Take no more; give the sessions `seconds` to end, then end them: people take over."""
        self._closing = True
        if self._server is None:
            return
        self._server.close()
        for connections in list(self._half_open.values()):
            for connection in list(connections):
                connection.refuse("closing")
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=seconds)
        for task in self._sessions:
            task.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions)
        await self._server.wait_closed()

    def may_connect(self, address: str) -> bool:
        try:
            peer = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
            peer = peer.ipv4_mapped
        return any(peer in network for network in self._peers)

    def opened(self, connection: _Connection, address: str) -> None:
        """A connection without a header yet: refused, or counted as half-open."""
        if self._closing:
            connection.refuse("closing")
        elif not self.may_connect(address):
            connection.refuse("address")
        else:
            waiting = self._half_open.setdefault(address, {})
            if len(waiting) >= self.limits.half_open:
                next(iter(waiting)).refuse("crowded")
            waiting[connection] = None
            self.figures.half_open += 1

    def no_longer_half_open(self, connection: _Connection, address: str) -> None:
        waiting = self._half_open.get(address, {})
        if connection in waiting:
            del waiting[connection]
            self.figures.half_open -= 1
            if not waiting:
                self._half_open.pop(address, None)

    def begin(self, connection: _Connection, header: Mapping[str, str]) -> AgiSession | None:
        """The session of a connection that has said who it is, running; None if it is refused."""
        entry, parameters = _asked_for(header)
        # Asterisk writes it behind all that a caller may choose: whoever ends the header early,
        # by line ends in their number, has no key.
        key = header.get(KEY_ARGUMENT, "")
        if not hmac.compare_digest(key.encode("utf-8", "replace"), self._key):
            connection.refuse("key")
        elif entry not in self._handlers:
            connection.refuse("entry")
        elif len(self._sessions) >= self.limits.sessions:
            connection.refuse("full")
        else:
            hidden = {"request": "", "network_script": entry, KEY_ARGUMENT: ""}
            session = AgiSession(
                entry,
                parameters,
                {**header, **hidden},
                write=connection.write,
                figures=self.figures,
            )
            self.figures.accepted += 1
            task = asyncio.get_running_loop().create_task(
                self._run(connection, session), name=f"agi {entry}"
            )
            self._sessions.add(task)
            self._count_sessions()
            task.add_done_callback(self._sessions.discard)
            task.add_done_callback(lambda _: self._count_sessions())
            return session
        return None

    def _count_sessions(self) -> None:
        self.figures.sessions = len(self._sessions)
        self.figures.most_sessions = max(self.figures.most_sessions, len(self._sessions))

    async def _run(self, connection: _Connection, session: AgiSession) -> None:
        outcome = "failed"
        try:
            async with asyncio.timeout(self.limits.session_seconds) as limit:
                await self._handlers[session.entry](session)
            outcome = "done"
        except CallerHungUp:
            outcome = "hung_up"
        except TimeoutError:
            if limit.expired():
                outcome = "too_long"
                log.warning("the phone menu %s has run for too long", session.entry)
            else:
                log.exception("the phone menu %s failed", session.entry)
        except asyncio.CancelledError:
            # By close(), or something within was: the task ends, and its caller goes to people.
            if self._closing:
                outcome = "stopped"
            else:
                log.exception("the phone menu %s failed", session.entry)
        except Exception:
            log.exception("the phone menu %s failed", session.entry)
        finally:
            self.figures.ended[outcome] += 1
            connection.close()

    def count_refusal(self, reason: str, address: str) -> None:
        self.figures.refused[reason] += 1
        now = time.monotonic()
        if now - self._complained.get(reason, float("-inf")) >= COMPLAIN_EVERY:
            self._complained[reason] = now
            log.warning(
                "FastAGI: a connection from %s was refused: %s (%d so far)",
                address,
                _REASONS[reason],
                self.figures.refused[reason],
            )


_REASONS: Final = {
    "address": "the PBX has another address",
    "key": "the key is wrong",
    "entry": "there is no such entry",
    "full": "there are too many sessions",
    "header": "it did not say who it is",
    "crowded": "too many of this peer do not say who they are",
    "broken": "it does not speak AGI",
    "closing": "the server is stopping",
}


class _Connection(asyncio.Protocol):
    """One socket: bytes to the reader, what it finds to the server and the session."""

    def __init__(self, server: AgiServer) -> None:
        self._server = server
        self._reader = AgiReader()
        self._session: AgiSession | None = None
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer: Any = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        wire = transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Old Asterisks send HANGUP as urgent data.
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        self._timer = asyncio.get_running_loop().call_later(
            self._server.limits.header_seconds, self.refuse, "header"
        )
        self._server.opened(self, self._address)

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        try:
            found = self._reader.feed(data)
        except ProtocolBroken as error:
            if self._session is None:
                self.refuse("broken")
            else:
                log.warning("FastAGI: a session ends, since %s", error)
                self._server.figures.refused["broken"] += 1
                self._session.lost()
                self.close()
            return
        for said in found:
            if isinstance(said, Header):
                self._leave_half_open()
                self._session = self._server.begin(self, said.values)
            elif self._session is not None:
                self._session.take(said)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave_half_open()
        if self._session is not None:
            self._session.lost()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def refuse(self, reason: str) -> None:
        self._leave_half_open()
        self._server.count_refusal(reason, self._address)
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _leave_half_open(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._server.no_longer_half_open(self, self._address)


def _asked_for(header: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Entry and parameters of `agi_network_script`; the first of two with the same name counts."""
    path, _, query = header.get("network_script", "").partition("?")
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=None):
        parameters.setdefault(name, value)
    return unquote(path.strip("/")), parameters
