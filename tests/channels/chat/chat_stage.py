"""A chat without a web: the real inbox and hub on a real database, and visitors who note all they
are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_desk.chat.words import letter_words
from channels.attachments import AttachmentFiles
from channels.chat import visitors
from channels.chat.chats import ChatHub, Visit
from channels.chat.leaving import Leaving
from channels.chat.proof import Proof
from channels.chat.topics import Topics
from channels.inbox import Inbox
from crm_store.bus import Bus
from crm_store.contacts import chat_sessions
from crm_store.contacts.chat_sessions import ChatSessionRecord
from crm_store.database import Database
from crm_store.models import ContactKind
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.signals import AgentState, AgentStateChanged, ChatPresence
from crm_store.staff import agents
from crm_store.staff.queues import QueueRecord, save

SITE = "https://shop.example"


@dataclass
class Listener:
    """A page of a visitor: what it was told, and waiting for more."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, document: dict[str, Any]) -> None:
        self.heard.append(document)
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._news.clear()
            await self._news.wait()

    @property
    def texts(self) -> list[str]:
        """The messages that it has, each as often as it was told, in the order of their coming."""
        return [
            message["text"] for document in self.heard for message in document.get("messages", ())
        ]

    @property
    def stand(self) -> dict[str, Any]:
        stands = [document["stand"] for document in self.heard if "stand" in document]
        return stands[-1] if stands else {}

    def last(self, key: str) -> Any:
        return next((document[key] for document in reversed(self.heard) if key in document), None)


@dataclass
class ChatStage:
    database: Database
    bus: Bus
    hub: ChatHub
    leaving: Leaving
    proof: Proof
    topics: Topics
    inbox: Inbox
    presence: list[ChatPresence]

    async def begin(self, **told: Any) -> ChatSessionRecord:
        token = await visitors.begin(
            self.database,
            told,
            language=told.get("language", "en"),
            topic=told.get("topic", "sales"),
            origin=SITE,
            region="CN",
        )
        found = await chat_sessions.of_token(self.database, token)
        assert found is not None
        return found

    async def join(self, session: ChatSessionRecord) -> tuple[Visit, Listener]:
        page = Listener()
        found = await chat_sessions.find(self.database, session.id)
        assert found is not None
        return await self.hub.join(found, page.tell), page

    async def conversation_of(self, session: ChatSessionRecord) -> int:
        found = await chat_sessions.find(self.database, session.id)
        assert found is not None
        assert found.conversation_id is not None
        return found.conversation_id

    def work(self, login: str, *queues: str, state: AgentState = AgentState.AVAILABLE) -> None:
        self.bus.publish(
            AgentStateChanged(agent=login, endpoint="PJSIP/1001", state=state, queues=queues)
        )


async def people(database: Database) -> dict[str, int]:
    """Two queues, two agents, and customers: one with an address alone, two who share a number."""
    async with database.transaction() as transaction:
        for number, name in (("600", "sales"), ("601", "service")):
            await save(transaction, QueueRecord(name, number, {"en": name.title(), "fa": "فروش"}))
        for login, name in (("lin", "Lin Xiaoyu"), ("maria", "María García")):
            await agents.save(
                transaction,
                login=login,
                display_name=name,
                extension=None,
                queues=("sales", "service"),
            )
        ids = {}
        for who, ways in {
            "wang": [
                ContactWay(ContactKind.MAIL, "wang@example.org"),
                ContactWay(ContactKind.PHONE, "+8613800138000"),
            ],
            "garcia": [ContactWay(ContactKind.PHONE, "+34912345678")],
            "son": [ContactWay(ContactKind.PHONE, "+34912345678")],
        }.items():
            ids[who] = await customers.create(
                transaction, NewCustomer(who.title(), "en", contact_points=ways), actor="import"
            )
    return ids


@asynccontextmanager
async def chat_stage(database: Database, folder: Path) -> AsyncIterator[ChatStage]:
    """A running chat on that database."""
    bus = Bus()
    presence: list[ChatPresence] = []
    bus.listen(lambda signal: presence.append(signal) if isinstance(signal, ChatPresence) else None)
    files = AttachmentFiles(folder / "attachments")
    inbox = Inbox(database, files)
    topics = Topics(database, bus)
    hub = ChatHub(database, inbox.receive, bus, topics)
    leaving = Leaving(database, letter_words)
    running = asyncio.create_task(hub.run())
    try:
        yield ChatStage(
            database, bus, hub, leaving, Proof(database, letter_words), topics, inbox, presence
        )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        hub.close()
        await inbox.close()
        files.close()
