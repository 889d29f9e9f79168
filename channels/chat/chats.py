"""Chats: the live side of the conversations that visitors of the shop's site have.

Owns who is connected, what each of them must be told, and the presence and typing of both sides.
The rows are the truth: what a transaction's facts say is only a hint to look, and whatever another
process wrote is found by looking every few seconds. A visitor sees the chat's own messages to and
from themselves and nothing else, whatever the conversation is merged with. Knows no socket: a
connection is something that can be told a document.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from channels.chat.shown import Document, me, own_messages, shown
from channels.chat.topics import Topics
from channels.chat.typing_now import TypingNow
from channels.chat.visitors import suggest_owner
from channels.incoming import Incoming, IncomingFile, Received
from crm_store import audit
from crm_store.bus import Bus
from crm_store.contacts import chat_sessions, chat_waits, conversations, messages
from crm_store.contacts.chat_sessions import ChatSessionRecord
from crm_store.contacts.messages import MessageRecord
from crm_store.database import Database
from crm_store.facts import ConversationChanged, Fact, MessageReceived, MessageWritten
from crm_store.models import Channel, ConversationState
from crm_store.signals import ChatPresence
from crm_store.staff import agents

log = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_TEXT = 4_000
LONGEST_KEY = 64

SHOWN = 200
"""The newest messages of a conversation, of which a visitor gets their own."""

LOOK_EVERY_S = 5.0
"""What another process wrote is seen this late."""

HERE_EVERY_S = 60.0
"""Who is connected is written down this often."""


class CannotWrite(Exception):
    """The message was not kept. `why` is empty, too_long, bad_key, or the reason a file was
    refused (channels/attachments.py)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(eq=False, slots=True)
class Visit:
    """One connection of a visitor. `tell` never blocks. `told` are the messages it was told."""

    session_id: int
    address: str
    language: str
    topic: str
    tell: Callable[[Document], None]
    conversation_id: int | None = None
    is_welcome: bool = False
    told: set[int] = field(default_factory=set)
    stand: Document = field(default_factory=dict)


class ChatHub:
    """All connected visitors of this process. `receive` is Inbox.receive."""

    def __init__(
        self,
        database: Database,
        receive: Callable[[Incoming], Awaitable[Received]],
        bus: Bus,
        topics: Topics,
    ) -> None:
        self.topics = topics
        self._database = database
        self._receive = receive
        self._bus = bus
        self._visits: dict[int, set[Visit]] = {}
        self._rooms: dict[int, set[Visit]] = {}
        self._versions: dict[int, int] = {}
        self._news: set[int] = set()
        self._has_news = asyncio.Event()
        self._names: dict[str, str] = {}
        self._writing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._typing = TypingNow(self._typing_is_over)
        self._stop_listening = database.listen(self._on_facts)

    # ---- visitors come and go --------------------------------------------------------------------

    @property
    def connections(self) -> int:
        return sum(map(len, self._visits.values()))

    def connections_of(self, session_id: int) -> int:
        return len(self._visits.get(session_id, ()))

    def is_here(self, conversation_id: int) -> bool:
        """Whether a visitor of that conversation is connected here."""
        return conversation_id in self._rooms

    async def join(self, session: ChatSessionRecord, tell: Callable[[Document], None]) -> Visit:
        """A connection of this visitor: welcome it with all that it must know."""
        visit = Visit(session.id, session.address, session.language, session.topic, tell)
        # In its room before the messages are read: what is written meanwhile is told afterwards.
        self._visits.setdefault(session.id, set()).add(visit)
        try:
            await self._enter(visit, session.conversation_id)
            async with self._database.transaction() as transaction:
                await chat_sessions.are_here(transaction, [session.id], datetime.now(UTC))
            own = await self._own_messages(visit)
            visit.told.update(message.id for message in own)
            tell({"welcome": me(session), "messages": await self._documents(own)})
            visit.is_welcome = True
            if visit.conversation_id is not None:
                self._look_at(visit.conversation_id)
            await self._tell_stand(visit)
        except BaseException:
            self.leave(visit)
            raise
        return visit

    def leave(self, visit: Visit) -> None:
        """The connection is gone; `has_left` is to be called then."""
        connections = self._visits.get(visit.session_id, set())
        connections.discard(visit)
        if not connections:
            self._visits.pop(visit.session_id, None)
        self._leave_room(visit)

    async def has_left(self, session_id: int) -> None:
        """Write down that the visitor is away, if no other page of theirs is open here."""
        if session_id in self._visits:
            return
        now = datetime.now(UTC)
        async with self._database.transaction() as transaction:
            await chat_sessions.change(transaction, session_id, left_at=now, seen_at=now)

    def tell_all(self, session_id: int, document: Document) -> None:
        """Tell every page of that visitor."""
        for visit in list(self._visits.get(session_id, ())):
            visit.tell(document)

    # ---- what is said ----------------------------------------------------------------------------

    async def write(
        self, session_id: int, key: str, text: str, files: Sequence[IncomingFile] = ()
    ) -> Document:
        """Keep what the visitor wrote; it is committed when this returns, as the document that
        pages show. The same key again is the same message. Raises CannotWrite."""
        if not 1 <= len(key) <= LONGEST_KEY or not key.isalnum() or not key.isascii():
            raise CannotWrite("bad_key")
        if not text.strip() and not files:
            raise CannotWrite("empty")
        if len(text) > LONGEST_TEXT:
            raise CannotWrite("too_long")
        lock = self._writing.setdefault(session_id, asyncio.Lock())
        async with lock:
            session = await chat_sessions.find(self._database, session_id)
            if session is None:
                raise CannotWrite("over")
            received = await self._receive(
                Incoming(
                    channel=Channel.CHAT,
                    external_key=f"{session.address}:{key}",
                    sender=session.address,
                    sender_name=session.name,
                    text=text.replace("\0", ""),
                    language=session.language,
                    received_at=datetime.now(UTC),
                    conversation_id=session.conversation_id,
                    customer_id=session.customer_id,
                    queue=session.topic,
                    files=files,
                )
            )
            if received.conversation_id != session.conversation_id:
                async with self._database.transaction() as transaction:
                    await chat_sessions.change(
                        transaction, session_id, conversation_id=received.conversation_id
                    )
                    await suggest_owner(transaction, session, received.conversation_id)
        for visit in list(self._visits.get(session_id, ())):
            if visit.conversation_id != received.conversation_id:
                await self._enter(visit, received.conversation_id)
        self._look_at(received.conversation_id)
        message = await messages.find(self._database, received.message_id)
        if message is None:
            raise CannotWrite("over")
        return (await self._documents([message]))[0]

    async def has_seen(self, visit: Visit, message_id: int) -> None:
        """The visitor has seen all up to that message, which must be one that they were told."""
        if message_id not in visit.told:
            return
        async with self._database.transaction() as transaction:
            await chat_sessions.has_seen(transaction, visit.session_id, message_id)
        if visit.conversation_id is not None:
            self._publish(visit.conversation_id, seen=message_id)

    # ---- who types -------------------------------------------------------------------------------

    def types(self, visit: Visit, is_typing: bool) -> None:
        """The visitor types, or has stopped."""
        conversation_id = visit.conversation_id
        if conversation_id is None:
            return
        if self._typing.says(conversation_id, visit.address, is_typing):
            self._publish(conversation_id, typing=is_typing)

    def typing(self, conversation_id: int, login: str, is_typing: bool = True) -> None:
        """An agent types an answer in that conversation, or has stopped; to be said again within
        typing_now.LASTS_S."""
        if conversation_id not in self._rooms:
            return
        if self._typing.says(conversation_id, login, is_typing):
            self._tell_room(conversation_id, {"typing": self._name(login) if is_typing else ""})

    def _typing_is_over(self, conversation_id: int, who: str) -> None:
        if chat_sessions.session_at(who) is not None:
            self._publish(conversation_id)
        else:
            self._tell_room(conversation_id, {"typing": ""})

    # ---- looking for news ------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell visitors what is new, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_telling(), name="chat news")
            tasks.create_task(self._keep_looking(), name="chat look")

    def close(self) -> None:
        self._stop_listening()
        self._typing.forget()

    def _on_facts(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            if isinstance(fact, MessageReceived | MessageWritten | ConversationChanged):
                self._look_at(fact.conversation_id)

    def _look_at(self, conversation_id: int) -> None:
        if conversation_id in self._rooms:
            self._news.add(conversation_id)
            self._has_news.set()

    async def _keep_telling(self) -> None:
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            while self._news:
                conversation_id = self._news.pop()
                try:
                    await to_its_end(self._tell_news(conversation_id))
                except Exception:
                    # The next look finds it again.
                    self._versions.pop(conversation_id, None)
                    log.exception("a chat's news could not be told; trying again")

    async def _keep_looking(self) -> None:
        written_at = 0.0
        while True:
            is_time = time.monotonic() - written_at >= HERE_EVERY_S
            try:
                await to_its_end(self._look(also_write=is_time))
                written_at = time.monotonic() if is_time else written_at
            except Exception as error:
                log.warning("chats cannot be looked at yet: %s", type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, *, also_write: bool) -> None:
        if also_write or not self._names:
            await self._read_names()
        await self._look_around()
        if also_write and self._visits:
            async with self._database.transaction() as transaction:
                await chat_sessions.are_here(transaction, list(self._visits), datetime.now(UTC))

    async def _look_around(self) -> None:
        rooms = list(self._rooms)
        for start in range(0, len(rooms), 500):
            found = await chat_waits.versions(self._database, rooms[start : start + 500])
            for conversation_id, version in found.items():
                if self._versions.get(conversation_id) != version:
                    self._look_at(conversation_id)
        for visit in [visit for visits in self._visits.values() for visit in visits]:
            if visit.is_welcome and visit.stand.get("state") != "answered":
                await self._tell_stand(visit)

    async def _tell_news(self, conversation_id: int) -> None:
        found = await conversations.find(self._database, conversation_id)
        if found is None:
            return
        self._versions[conversation_id] = found.version
        visits = list(self._rooms.get(conversation_id, ()))
        for visit in visits:
            if found.merged_into is not None:
                await self._enter(visit, found.merged_into)
            if not visit.is_welcome:
                continue
            fresh = [one for one in await self._own_messages(visit) if one.id not in visit.told]
            for message in fresh:
                visit.told.add(message.id)
                # Who has written types no more; the page knows that by itself.
                self._typing.says(conversation_id, message.author or visit.address, False)
            if fresh:
                visit.tell({"messages": await self._documents(fresh)})
            await self._tell_stand(visit)

    # ---- how -------------------------------------------------------------------------------------

    async def _enter(self, visit: Visit, conversation_id: int | None) -> None:
        """Put the visit into the room of that conversation, or of what it was merged into."""
        while conversation_id is not None:
            found = await conversations.find(self._database, conversation_id)
            if found is None or found.merged_into is None:
                break
            conversation_id = found.merged_into
        if visit.conversation_id == conversation_id:
            return
        self._leave_room(visit)
        if conversation_id is not None and visit in self._visits.get(visit.session_id, ()):
            visit.conversation_id = conversation_id
            self._rooms.setdefault(conversation_id, set()).add(visit)
            self._publish(conversation_id)
            self._look_at(conversation_id)

    def _leave_room(self, visit: Visit) -> None:
        conversation_id, visit.conversation_id = visit.conversation_id, None
        room = self._rooms.get(conversation_id or 0)
        if conversation_id is None or room is None:
            return
        room.discard(visit)
        if not room:
            del self._rooms[conversation_id]
            self._versions.pop(conversation_id, None)
            self._typing.forget(conversation_id)
        self._publish(conversation_id)

    async def _own_messages(self, visit: Visit) -> list[MessageRecord]:
        """Those of the conversation's newest messages that are this visitor's, oldest first."""
        if visit.conversation_id is None:
            return []
        newest = await messages.of_conversation(self._database, visit.conversation_id, limit=SHOWN)
        return sorted(own_messages(newest, visit.address), key=lambda message: message.id)

    async def _documents(self, found: Iterable[MessageRecord]) -> list[Document]:
        documents = []
        for message in found:
            if message.author not in ("", audit.SYSTEM, *self._names):
                await self._read_names()
            documents.append(shown(message, self._name(message.author)))
        return documents

    async def _tell_stand(self, visit: Visit) -> None:
        stand = await self._stand(visit)
        if stand != visit.stand:
            visit.stand = stand
            visit.tell({"stand": stand})

    async def _stand(self, visit: Visit) -> Document:
        """Where the visitor stands: new, nobody (there), waiting, answered or closed."""
        found = None
        if visit.conversation_id is not None:
            found = await conversations.find(self._database, visit.conversation_id)
        if found is not None and found.state is ConversationState.CLOSED:
            return {"state": "closed"}
        if found is not None and found.assigned_to:
            if found.assigned_to not in self._names:
                await self._read_names()
            return {"state": "answered", "agent": self._name(found.assigned_to)}
        topic = (found.queue if found is not None else None) or visit.topic
        now = await self.topics.find(topic, visit.language)
        if now is not None and not (now.is_open and now.agents_there):
            return {"state": "nobody"}
        if found is None:
            return {"state": "new"}
        ahead = await chat_waits.ahead_of(self._database, found.id)
        wait = now.usual_wait_s if now is not None else None
        return {"state": "waiting", "ahead": ahead, "usual_wait_s": wait}

    def _tell_room(self, conversation_id: int, document: Document) -> None:
        for visit in list(self._rooms.get(conversation_id, ())):
            visit.tell(document)

    def _publish(self, conversation_id: int, *, typing: bool = False, seen: int = 0) -> None:
        self._bus.publish(
            ChatPresence(
                conversation_id=conversation_id,
                present=conversation_id in self._rooms,
                typing=typing,
                seen_message_id=seen,
                at=time.time(),
            )
        )

    async def _read_names(self) -> None:
        with suppress(OSError):
            found = await agents.all_agents(self._database)
            self._names = {agent.login: agent.display_name for agent in found}

    def _name(self, login: str) -> str:
        return self._names.get(login, "")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for the work; whoever is cancelled meanwhile still waits for it, so that no statement is
    left in the middle when the database is closed."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait([task])
