"""The AMI link: one connection to one Asterisk, kept up, and safe to speak through.

Owns the connection's life: log in, ping, notice that it is dead, connect again. Refuses to know
what an event means: it hands each message on, in order, at once.

What it promises:

- *Order.* `on_message` gets every response, and every event that is wanted, in the order of the
  bytes, each before whoever waits for it as an answer goes on. It gets the same messages as an
  AmiFramer with the same wanted names makes of the recorded stream. An exception of it is logged
  and costs that message only. It must not block: nothing is read meanwhile.
- *Recovery is the start path.* Asterisk replays nothing, so after every login `on_up` runs, and its
  owner rebuilds its model there by list actions. Events arrive meanwhile, and the owner keeps them
  back until it is done. The link is `up` once `on_up` has returned; if it raises, the link is
  dropped and tried again.
- *Booted.* An AMI user with the `system` class is told `FullyBooted` right after the login, or as
  soon as it is true, and `on_up` waits for it. Without the class Asterisk never says it; then
  `on_up` runs after `boot_wait` seconds, and once more should FullyBooted come after all.
- *No action is sent twice.* An action whose link is lost raises LinkDown, and its `sent` says
  whether Asterisk may have done it. To try again is the caller's decision.

panoramisk's Manager holds one connection's configuration and logs in through `protocol_factory`;
what it would do after that is done here instead (docs/decisions.md says why).
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from enum import StrEnum
from ssl import SSLContext
from typing import BinaryIO, Final

from panoramisk.message import Message

from cti.ami.actions import (
    ActionFailed,
    ActionTimeout,
    AmiError,
    AmiResponse,
    HeaderValue,
    LinkDown,
    PendingAction,
    is_refusal,
    write_headers,
)
from cti.ami.connection import AmiConnection, OneConnectionManager
from cti.ami.framing import MAX_BLOCK, AmiFramer

__all__ = [
    "ActionFailed",
    "ActionTimeout",
    "AmiError",
    "AmiLink",
    "AmiResponse",
    "LinkDown",
    "LinkState",
]

log = logging.getLogger(__name__)

MISSED_PINGS: Final = 3
"""Pings in a row without a pong before the link counts as dead."""

_ACTION_ID: Final = re.compile(r"[!-~]{0,200}")


class LinkState(StrEnum):
    CONNECTING = "connecting"
    LOGGING_IN = "logging in"
    BOOTING = "booting"
    REBUILDING = "rebuilding"
    UP = "up"
    WAITING = "waiting to connect again"
    REFUSED = "refused"
    CLOSED = "closed"


class AmiLink:
    """Keeps an AMI connection up from `start()` to `close()`.

    - `wanted_events`: names of events; None for all. FullyBooted, OriginateResponse and Shutdown
      always come. `only_with` narrows some to those with one of the header lines given
      (`{"VarSet": ["Variable: QUEUESTATUS"]}`). What is not wanted is not even parsed.
    - `on_message(message)`, synchronous, gets each message: see the module's promise of order.
    - `on_up()`, asynchronous, runs after each login; it may use `action` and `list_action`.
    - `on_down(cause)`, synchronous, is told when a link that was up is lost, and of each new cause
      why it cannot be had; the same cause is not told twice in a row.
    - `events`: the event mask of the login: "on", "off", or classes ("call,agent,system").
    - `record`: every byte read is appended to it; a connection that ended within a message is
      closed with a blank line, so that the next one's bytes stand for themselves.
    - Seconds: `action_timeout` for an answer, `list_timeout` for a whole list, `ping_interval`
      between pings (a half-open link is found within three), `connect_timeout` for TCP and for the
      login, `boot_wait` for FullyBooted. `backoff` is the first and the longest wait before
      connecting again; it doubles, with up to half taken off at random, and never ends.

    Public values, to be read only: `state`; `cause`, why it is not up; `framer` with its counters
    of all messages since the start; `round_trip` of the last ping in seconds (None before the
    first); `logins`; `handler_errors`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        secret: str,
        *,
        wanted_events: frozenset[str] | None,
        on_message: Callable[[dict[str, str]], None],
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
        only_with: Mapping[str, Collection[str]] | None = None,
        headers: frozenset[str] | None = None,
        record: BinaryIO | None = None,
        events: str = "on",
        ssl: SSLContext | None = None,
        action_timeout: float = 5.0,
        list_timeout: float = 30.0,
        ping_interval: float = 5.0,
        connect_timeout: float = 5.0,
        boot_wait: float = 1.0,
        backoff: tuple[float, float] = (0.5, 30.0),
        max_block: int = MAX_BLOCK,
    ) -> None:
        self._login = {"username": user, "secret": secret, "events": events}
        write_headers(self._login)
        self._host, self._port, self._ssl = host, port, ssl
        self._on_message, self._on_up, self._on_down = on_message, on_up, on_down
        self._record = record
        self._action_timeout, self._list_timeout = action_timeout, list_timeout
        self._ping_interval, self._connect_timeout = ping_interval, connect_timeout
        self._boot_wait = boot_wait
        self._backoff = backoff
        self._told: str | None = None
        self._connection: AmiConnection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._closed = False
        self.framer = AmiFramer(wanted_events, max_block, only_with, headers)
        self.state = LinkState.WAITING
        self.cause = "not started"
        self.round_trip: float | None = None
        self.logins = 0
        self.handler_errors = 0

    def start(self) -> None:
        """Connect, and stay connected until `close()`. To be called once, within the event loop."""
        if self._runner is not None or self._closed:
            raise RuntimeError("an AMI link starts once")
        self._runner = asyncio.create_task(self._stay_connected(), name="AMI link")

    async def close(self) -> None:
        """End the link for good; actions under way raise LinkDown. Not from within `on_up`."""
        self._closed = True
        if self._connection is not None:
            self._connection.lose("closed")
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        self._up.clear()
        self.state, self.cause = LinkState.CLOSED, "closed"

    async def wait_up(self) -> None:
        """Return when the link is up: logged in, and the owner's model rebuilt."""
        await self._up.wait()

    async def action(
        self, name: str, within: float | None = None, /, **headers: HeaderValue
    ) -> AmiResponse:
        """Do an action and return Asterisk's answer, after at most `within` seconds.

        A sequence as a value repeats its header (`Variable=["A=1", "B=2"]`). An Originate is
        asynchronous unless told otherwise: Asterisk does nothing else on this link, not even
        answer a ping, while a synchronous one rings. Its OriginateResponse comes to `on_message`
        with the ActionID of this answer, or with the one given here.

        Raises ActionFailed, ActionTimeout, LinkDown; ValueError, before anything is sent, for
        values with CR, LF or NUL, and for what is longer than Asterisk reads.
        """
        if name.lower() == "originate":
            headers.setdefault("Async", "true")
        pending = await self._ask(name, headers, within or self._action_timeout, is_list=False)
        return AmiResponse(pending.answer.result())

    async def list_action(
        self, name: str, within: float | None = None, /, **headers: HeaderValue
    ) -> list[dict[str, str]]:
        """Do an action that answers with a list (QueueStatus, CoreShowChannels); return its events.

        Without the event that says that the list is complete. Raises as `action` does.
        """
        pending = await self._ask(name, headers, within or self._list_timeout, is_list=True)
        return pending.events

    async def _ask(
        self, name: str, headers: Mapping[str, HeaderValue], within: float, *, is_list: bool
    ) -> PendingAction:
        given = dict(headers)
        action_id = str(given.pop("ActionID", ""))
        if not _ACTION_ID.fullmatch(action_id):
            raise ValueError("an ActionID is up to 200 visible ASCII characters")
        if not {"action", "actionid"}.isdisjoint(header.lower() for header in given):
            raise ValueError("an action's headers name another action")
        block = write_headers({"Action": name, **given})
        if self._connection is None:
            raise LinkDown(self.cause, sent=False)
        with self._connection.ask(block, action_id, is_list=is_list) as pending:
            try:
                async with asyncio.timeout(within):
                    answer = await pending.answer
            except TimeoutError:
                raise ActionTimeout(f"no answer to {name} within {within:g} s") from None
        if is_refusal(answer):
            raise ActionFailed(answer)
        return pending

    def _keep_record(self, data: bytes) -> None:
        """Append what was read to the record; if it cannot be written, it ends, not the link."""
        if self._record is not None:
            try:
                self._record.write(data)
            except (OSError, ValueError):
                log.exception("the AMI record cannot be written and ends here")
                self._record = None

    def _hand_on(self, message: dict[str, str]) -> None:
        """Give one message to its owner, whose fault must hurt neither the link nor the next."""
        if self._closed:
            return
        try:
            self._on_message(message)
        except Exception:
            self.handler_errors += 1
            log.exception("a handler failed on the AMI message %.80r", message.get("Event", ""))

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            self.state = LinkState.CONNECTING
            try:
                cause = await self._connect_and_live()
            except Exception as error:
                log.exception("the AMI link failed in a way that nobody foresaw")
                cause = f"internal error: {type(error).__name__}"
            was_up = self._up.is_set()
            self._up.clear()
            self.cause = cause
            if self.state is not LinkState.REFUSED:
                self.state = LinkState.WAITING
            failures = 0 if was_up else failures + 1
            first, longest = self._backoff
            delay = min(longest, first * 2 ** min(failures, 30)) * random.uniform(0.5, 1)  # noqa: S311
            # Each cause is told once: a PBX that is away all night is one line, not thousands.
            news = logging.ERROR if self.state is LinkState.REFUSED else logging.INFO
            level = logging.DEBUG if self._told == cause else news
            log.log(
                level,
                "AMI link to %s:%d: %s; again in %.1f s",
                self._host,
                self._port,
                cause,
                delay,
            )
            if self._told != cause:
                self._told = cause
                try:
                    self._on_down(cause)
                except Exception:
                    log.exception("the owner of the AMI link failed to hear that it is down")
            await asyncio.sleep(delay)

    async def _connect_and_live(self) -> str:
        """One connection from its first to its last byte; returns why it ended."""
        loop = asyncio.get_running_loop()
        self.framer.start_over()
        connection = AmiConnection(self.framer, self._keep_record, self._hand_on)
        manager = OneConnectionManager(
            loop=loop, log=log, protocol_factory=lambda: connection, **self._login
        )
        connected = loop.create_future()
        try:
            async with asyncio.timeout(self._connect_timeout):
                factory = manager.config["protocol_factory"]
                connected.set_result(
                    await loop.create_connection(factory, self._host, self._port, ssl=self._ssl)
                )
        except TimeoutError:
            return f"no connection within {self._connect_timeout:g} s"
        except OSError as error:
            return f"no connection: {error.strerror or error}"
        self.state = LinkState.LOGGING_IN
        manager.connection_made(connected)
        tasks = [manager.authenticated_future]
        try:
            refusal = await self._log_in(connection, manager.authenticated_future)
            if refusal is not None:
                return refusal
            self._connection = connection
            tasks.append(asyncio.create_task(self._ping(connection)))
            tasks.append(asyncio.create_task(self._rebuild(connection)))
            await asyncio.wait([connection.lost])
            return connection.lost.result()
        finally:
            self._connection = None
            manager.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await connection.gone.wait()

    async def _log_in(
        self, connection: AmiConnection, answer: asyncio.Future[Message]
    ) -> str | None:
        """None when Asterisk let us in, else why it did not."""
        await asyncio.wait([answer], timeout=self._connect_timeout)
        if not answer.done():
            return (
                f"no answer to the login within {self._connect_timeout:g} s: is this an AMI port?"
            )
        if answer.exception() is not None:
            return connection.lost.result()
        if not answer.result().success:
            refusal = f"login refused: {answer.result().message or 'no reason given'}"
            self.state, self.cause = LinkState.REFUSED, refusal
            return refusal
        self.logins += 1
        log.info("AMI link to %s:%d: logged in, %s", self._host, self._port, self.framer.banner)
        return None

    async def _rebuild(self, connection: AmiConnection) -> None:
        self.state = LinkState.BOOTING
        try:
            async with asyncio.timeout(self._boot_wait):
                await connection.fully_booted.wait()
        except TimeoutError:
            log.info("no FullyBooted: this AMI user has no `system` class, or Asterisk is starting")
        while True:
            booted = connection.fully_booted.is_set()
            self.state = LinkState.REBUILDING
            try:
                await self._on_up()
            except BaseException as error:
                if not connection.lost.done():
                    log.exception("the model could not be rebuilt from Asterisk")
                    connection.lose(f"the model could not be rebuilt: {type(error).__name__}")
                raise
            self.state, self.cause, self._told = LinkState.UP, "", None
            self._up.set()
            if booted:
                return
            await connection.fully_booted.wait()

    async def _ping(self, connection: AmiConnection) -> None:
        missed = 0
        while missed < MISSED_PINGS:
            started = time.monotonic()
            pongs = connection.pongs
            with connection.ask(b"Action: Ping\r\n") as pending:
                await asyncio.wait([pending.answer], timeout=self._ping_interval)
                if pending.answer.done() and not connection.lost.done():
                    self.round_trip = time.monotonic() - started
            await asyncio.sleep(max(0.0, started + self._ping_interval - time.monotonic()))
            # A late pong to an earlier ping is a sign of life as well.
            missed = missed + 1 if connection.pongs == pongs else 0
        connection.lose(f"no answer to {MISSED_PINGS} pings")
