"""The push: one WebSocket per desk, numbered frames of keyed documents per topic.

Owns the protocol of docs/push.md on the server's side: snapshots, frames, numbers, coalescing,
fan-out, and what becomes of clients that are slow, silent, greedy or talk rubbish. Refuses to know
what a document means (live_state.py) and who may sign in (sessions.py).

A change of an immediate topic is written to the sockets inside `Topic.change`, without a task and
without an await: that is the path of the screen pop. A broadcast frame is built once for all desks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from agent_desk.live.push_allowance import Allowance

log = logging.getLogger(__name__)

Document = dict[str, Any]

BEHIND_BYTES = 1_048_576
"""A client with more than this unsent gets no more frames until it has read: then a snapshot."""

BEHIND_SECONDS = 30.0
"""A client that stays behind for this long is dropped."""

LOOK_AGAIN_SECONDS = 0.1
"""How often clients that are behind are looked at."""

COALESCE_SECONDS = 1.0
"""A coalesced topic sends at most one frame in this time."""

BROADCAST_BYTES_PER_SECOND = 20_000_000
"""Coalesced topics slow down rather than send more than this to all desks together."""

SLICE_DESKS = 25
SLICE_BYTES = 100_000
SLICE_SECONDS = 0.005
"""A broadcast goes to this many desks, or bytes, and then pauses for at least this long: pops go in
between, here and in the network."""

BEAT_SECONDS = 15.0
"""The server says {"beat": …} this often; a client must answer pings half as often."""

MESSAGE_BYTES = 16_384
"""The largest message a client may send."""

MISTAKES = 10
"""A client that makes this many mistakes at once is closed with code 1008."""

MISTAKES_PER_MINUTE = 6.0
"""So many mistakes are forgiven in the long run: a page that is open all day is not thrown out."""

TOPICS = 500
"""Topics that one connection may follow: all agents of a large desk."""

SNAPSHOTS_PER_SECOND = 5.0
"""Snapshots a client may ask for in the long run; more wait, and what it says next with them."""

SNAPSHOT_BURST = 40.0

SESSION_DESKS = 32
"""Connections that one session may have: each tab of a browser has one."""

CLOSE_SESSION_OVER = 4401
"""Close code: the session ended (signed out, or expired). Sign in again; do not reconnect."""

CLOSE_TOO_MANY = 4429
"""Close code: this session has SESSION_DESKS connections. Close a tab; try again later."""


def text_frame(payload: bytes) -> bytes:
    """The payload as one unmasked WebSocket text frame (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


@dataclass(slots=True)
class PushCounters:
    """What happened since the start, for /metrics."""

    frames: int = 0
    fell_behind: int = 0
    dropped: int = 0
    mistakes: int = 0


@dataclass(frozen=True, slots=True)
class PushSession:
    """Who a desk belongs to, and until when (seconds since 1970)."""

    login: str
    role: str
    session_id: int
    expires_at: float


class Desk:
    """One connected client: where its frames are written, and how far behind it is."""

    __slots__ = ("behind_since", "mistakes", "session", "snapshots", "stale", "topics",
                 "transport", "ws")  # fmt: skip

    def __init__(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport, session: PushSession
    ) -> None:
        self.ws = ws
        self.transport = transport
        self.session = session
        self.topics: set[Topic] = set()
        self.stale: set[Topic] = set()
        self.behind_since: float | None = None
        now = asyncio.get_running_loop().time()
        self.snapshots = Allowance(SNAPSHOT_BURST, SNAPSHOTS_PER_SECOND, now)
        self.mistakes = Allowance(MISTAKES - 1, MISTAKES_PER_MINUTE / 60, now)


class Topic:
    """Keyed documents, and the desks that follow them. Change documents only through `change`."""

    def __init__(self, name: str, hub: PushHub, coalesced: bool) -> None:
        self.name = name
        self.n = 0
        self.documents: dict[str, Document] = {}
        self.desks: set[Desk] = set()
        self._hub = hub
        self._coalesced = coalesced
        self._snapshot: bytes | None = None
        # The keys changed since the last frame of a coalesced topic (a dict keeps their order).
        self._pending: dict[str, None] = {}
        self._event = ""
        self._at: float | None = None
        self._flush_at = 0.0
        self._flushing = False

    def change(
        self,
        event: str,
        at: float | None,
        put: dict[str, Document],
        gone: Iterable[str] = (),
    ) -> None:
        """Put and take away documents because of `event`, and tell the desks.

        `put` documents replace those of the same key as a whole. Keys in `gone` that are not there
        are ignored. Nothing is sent when nothing changes.
        """
        documents = self.documents
        taken = [key for key in gone if documents.pop(key, None) is not None]
        documents.update(put)
        if not put and not taken:
            return
        self._snapshot = None
        if not self._coalesced:
            self.n += 1
            if self.desks:
                self._hub.send(self, self._frame(event, at, put, taken), self.desks)
            return
        for key in taken:
            self._pending[key] = None
        for key in put:
            self._pending[key] = None
        self._event, self._at = event, at
        if not self._flushing:
            self._flushing = True
            loop = asyncio.get_running_loop()
            # A quiet topic goes out at the end of this pass, together with what else is in it.
            loop.call_at(max(loop.time(), self._flush_at), self._flush)

    @property
    def has_unsent_news(self) -> bool:
        """True while a coalesced topic holds changes that no frame has told yet."""
        return self._flushing

    def snapshot(self) -> bytes:
        """All documents as one frame, kept until the next change."""
        if self._snapshot is None:
            body = {"topic": self.name, "n": self.n, "snapshot": self.documents}
            self._snapshot = text_frame(orjson.dumps(body))
        return self._snapshot

    def _frame(
        self, event: str, at: float | None, put: dict[str, Document], gone: list[str]
    ) -> bytes:
        body = {"topic": self.name, "n": self.n, "event": event, "at": at, "set": put, "gone": gone}
        return text_frame(orjson.dumps(body))

    def _flush(self) -> None:
        put: dict[str, Document] = {}
        gone: list[str] = []
        for key in self._pending:
            document = self.documents.get(key)
            if document is None:
                gone.append(key)
            else:
                put[key] = document
        self._pending.clear()
        self.n += 1
        self._snapshot = None
        loop = asyncio.get_running_loop()
        pause = self._hub.coalesce_seconds
        if self.desks:
            frame = self._frame(self._event, self._at, put, gone)
            pause = max(pause, len(frame) * len(self.desks) / BROADCAST_BYTES_PER_SECOND)
            self._flush_at = loop.time() + pause
            self._send_slice(frame, list(self.desks))
        else:
            self._flush_at = loop.time() + pause
            self._sent()

    def _send_slice(self, frame: bytes, desks: list[Desk]) -> None:
        count = max(1, min(SLICE_DESKS, SLICE_BYTES // len(frame)))
        # One that left, or joined by snapshot since, is not written to, or ignores an old number.
        now = [desk for desk in desks[-count:] if desk in self.desks]
        del desks[-count:]
        self._hub.send(self, frame, now)
        if desks:
            pause = max(SLICE_SECONDS, len(frame) * count / BROADCAST_BYTES_PER_SECOND)
            asyncio.get_running_loop().call_later(pause, self._send_slice, frame, desks)
        else:
            self._sent()

    def _sent(self) -> None:
        self._flushing = False
        if self._pending:
            self._flushing = True
            asyncio.get_running_loop().call_at(self._flush_at, self._flush)


@dataclass(slots=True, eq=False)
class PushHub:
    """All topics and all desks of this process.

    `may_follow(session, topic)` says whether a session may read a topic; no other topic comes into
    being because a client named it. `joins` are called before a desk follows a topic, `left` after.
    """

    may_follow: Callable[[PushSession, str], bool]
    joins: list[Callable[[Topic, Desk], None]] = field(default_factory=list)
    left: list[Callable[[Topic, Desk], None]] = field(default_factory=list)
    behind_bytes: int = BEHIND_BYTES
    behind_seconds: float = BEHIND_SECONDS
    coalesce_seconds: float = COALESCE_SECONDS
    session_desks: int = SESSION_DESKS
    counters: PushCounters = field(default_factory=PushCounters)
    desks: set[Desk] = field(default_factory=set)
    topics: dict[str, Topic] = field(default_factory=dict)
    _behind: set[Desk] = field(default_factory=set)
    _beat: asyncio.Task[None] | None = None

    def topic(self, name: str, *, coalesced: bool = False) -> Topic:
        """The topic of this name, made at its first use."""
        topic = self.topics.get(name)
        if topic is None:
            topic = self.topics[name] = Topic(name, self, coalesced)
        return topic

    def send(self, topic: Topic, frame: bytes, desks: Iterable[Desk]) -> None:
        """Write a ready frame to these desks, now. A desk that is behind will get a snapshot."""
        limit = self.behind_bytes
        for desk in desks:
            if desk.behind_since is not None:
                desk.stale.add(topic)
                continue
            transport = desk.transport
            if transport.is_closing():
                continue
            if transport.get_write_buffer_size() > limit:
                self._falls_behind(desk, topic)
                continue
            transport.write(frame)
            self.counters.frames += 1

    def follow(self, desk: Desk, topic: Topic) -> None:
        """Send the topic's snapshot to this desk and everything that follows it."""
        if desk not in topic.desks:
            for tell in self.joins:
                tell(topic, desk)
        topic.desks.add(desk)
        desk.topics.add(topic)
        self.send(topic, topic.snapshot(), (desk,))

    def join(self, desk: Desk) -> None:
        self.desks.add(desk)

    def connections(self, session_id: int) -> int:
        """How many desks this session has."""
        return sum(desk.session.session_id == session_id for desk in self.desks)

    def leave(self, desk: Desk) -> None:
        self.desks.discard(desk)
        self._behind.discard(desk)
        for topic in list(desk.topics):
            self.leave_topic(desk, topic)

    def leave_topic(self, desk: Desk, topic: Topic) -> None:
        """This desk follows the topic no more."""
        desk.topics.discard(topic)
        desk.stale.discard(topic)
        if desk in topic.desks:
            topic.desks.discard(desk)
            for tell in self.left:
                tell(topic, desk)

    def forget(self, topic: Topic) -> None:
        """Take away a topic that nobody follows; `topic()` makes a new one."""
        if not topic.desks:
            self.topics.pop(topic.name, None)

    def end_session(self, session_id: int) -> None:
        """Close every desk of a session that is over."""
        for desk in [d for d in self.desks if d.session.session_id == session_id]:
            self._close(desk, CLOSE_SESSION_OVER, b"the session is over")

    def start(self) -> None:
        self._beat = asyncio.create_task(self._keep_beating(), name="push beat")

    async def stop(self) -> None:
        """Close all desks; they reconnect to whoever serves next."""
        if self._beat:
            self._beat.cancel()
        await asyncio.gather(
            *(desk.ws.close(code=1001, message=b"the service stops") for desk in list(self.desks)),
            return_exceptions=True,
        )

    def _close(self, desk: Desk, code: int, reason: bytes) -> None:
        self.leave(desk)
        task = asyncio.ensure_future(desk.ws.close(code=code, message=reason))
        # A client that does not answer the close in time loses its connection by aiohttp's hand.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _falls_behind(self, desk: Desk, topic: Topic) -> None:
        loop = asyncio.get_running_loop()
        desk.behind_since = loop.time()
        desk.stale.add(topic)
        self.counters.fell_behind += 1
        if not self._behind:
            loop.call_later(LOOK_AGAIN_SECONDS, self._look_at_those_behind)
        self._behind.add(desk)

    def _look_at_those_behind(self) -> None:
        loop = asyncio.get_running_loop()
        for desk in list(self._behind):
            if desk.transport.is_closing():
                self._behind.discard(desk)
            elif desk.transport.get_write_buffer_size() <= self.behind_bytes // 4:
                self._behind.discard(desk)
                desk.behind_since = None
                stale, desk.stale = desk.stale, set()
                for topic in stale & desk.topics:
                    self.send(topic, topic.snapshot(), (desk,))
            elif loop.time() - (desk.behind_since or 0) > self.behind_seconds:
                log.warning("push: %s does not read; connection dropped", desk.session.login)
                self.counters.dropped += 1
                self.leave(desk)
                desk.transport.abort()
        if self._behind:
            loop.call_later(LOOK_AGAIN_SECONDS, self._look_at_those_behind)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            now = time.time()
            frame = text_frame(orjson.dumps({"beat": BEAT_SECONDS}))
            for number, desk in enumerate(list(self.desks)):
                if desk.session.expires_at <= now:
                    self._close(desk, CLOSE_SESSION_OVER, b"the session is over")
                elif desk.behind_since is None and not desk.transport.is_closing():
                    desk.transport.write(frame)
                if number % SLICE_DESKS == SLICE_DESKS - 1:
                    await asyncio.sleep(0)


async def serve_desk(
    request: web.Request, hub: PushHub, session: PushSession
) -> web.WebSocketResponse:
    """Speak the push protocol with one client until either side has enough.

    The caller has checked Origin and session. Compression is off: it costs three times the CPU.
    """
    ws = web.WebSocketResponse(
        compress=False, heartbeat=2 * BEAT_SECONDS, max_msg_size=MESSAGE_BYTES, timeout=2.0
    )
    await ws.prepare(request)
    transport = request.transport
    if transport is None:
        return ws
    if hub.connections(session.session_id) >= hub.session_desks:
        await ws.close(code=CLOSE_TOO_MANY, message=b"too many connections of this session")
        return ws
    desk = Desk(ws, transport, session)
    hub.join(desk)
    loop = asyncio.get_running_loop()
    try:
        async for message in ws:
            mistake = (
                await _obey(desk, hub, message.data)
                if message.type is WSMsgType.TEXT
                else "send JSON in text frames"
            )
            if mistake:
                hub.counters.mistakes += 1
                if desk.mistakes.take(loop.time()):
                    log.warning("push: %s talks rubbish; connection closed", session.login)
                    await ws.close(code=1008, message=b"too many mistakes")
                    break
                await ws.send_str(orjson.dumps({"error": mistake}).decode())
    except ConnectionResetError:
        log.debug("push: %s went away", session.login)
    finally:
        hub.leave(desk)
    return ws


async def _obey(desk: Desk, hub: PushHub, text: str) -> str | None:
    """Do what the client asks, in its time; the answer is what is wrong with it, or None."""
    try:
        wish = orjson.loads(text)
    except ValueError:
        return "this is not JSON"
    match wish:
        case {"unsubscribe": str(name)} if len(wish) == 1:
            if (known := hub.topics.get(name)) is not None:
                hub.leave_topic(desk, known)
            return None
        case {"subscribe": [*names]} if len(wish) == 1:
            if len(names) > 10 or not all(isinstance(name, str) for name in names):
                return "subscribe takes a list of at most 10 topic names"
        case {"resync": str(name)} if len(wish) == 1:
            names = [name]
        case _:
            return 'say {"subscribe": [topics]}, {"unsubscribe": topic} or {"resync": topic}'
    for name in names:
        if not hub.may_follow(desk.session, name):
            return f"there is no topic {name[:80]!r} for you"
        if len(desk.topics) >= TOPICS and hub.topics.get(name) not in desk.topics:
            return f"a connection follows at most {TOPICS} topics"
        # Nothing more is read of a greedy client meanwhile; an honest one loses no topic.
        if early := desk.snapshots.take(asyncio.get_running_loop().time()):
            await asyncio.sleep(early)
            if desk not in hub.desks:
                return None
        hub.follow(desk, hub.topic(name))
    return None
