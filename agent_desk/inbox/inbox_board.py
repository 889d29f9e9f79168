"""What each agent's inbox holds at this moment: the push's topics `inbox:<login>`.

Owns that counts, the agent's own open conversations and what is offered to them stand there, and
that a page which shows a list hears when something in it has changed. The facts of this process are
a hint to look at once; what other processes wrote is found by looking now and then. The store is
the truth.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from agent_desk.inbox.conversation_presence import ConversationPresence
from agent_desk.inbox.documents import line_document
from agent_desk.inbox.written_work import WrittenWork
from agent_desk.live.push import Document, PushHub, Topic
from crm_store.contacts import conversation_lists
from crm_store.contacts.conversation_lists import ConversationLine, InboxView
from crm_store.contacts.conversations import ConversationRecord
from crm_store.database import Database
from crm_store.facts import (
    ConversationChanged,
    DeliveryChanged,
    Fact,
    MessageReceived,
    MessageWritten,
)
from crm_store.models import ConversationState, Role
from crm_store.staff.agents import AgentRecord

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
"""What another process wrote is seen this late."""

PAUSE_SECONDS = 0.2
"""News that come together are one look."""

MOST_SHOWN = 50
"""Conversations of their own that an agent's topic holds."""

_Told = ConversationChanged | MessageReceived | MessageWritten | DeliveryChanged


def topic_of(agent: str) -> str:
    return f"inbox:{agent}"


class InboxBoard:
    """Every connected agent's inbox."""

    def __init__(
        self,
        database: Database,
        hub: PushHub,
        written: WrittenWork,
        presence: ConversationPresence,
    ) -> None:
        self._database = database
        self._hub = hub
        self._written = written
        self._presence = presence
        self._agents: dict[str, AgentRecord] = {}
        self._changed: set[int] = set()
        self._wake = asyncio.Event()
        self._stop_listening = database.listen(self._on_facts)

    def close(self) -> None:
        self._stop_listening()

    def show_to(self, agent: AgentRecord) -> None:
        """The agent connects: their inbox is there, and filled at the next look, which is now."""
        self._agents[agent.login] = agent
        self._hub.topic(topic_of(agent.login))
        self._wake.set()

    def offers_changed(self) -> None:
        """Something is offered to somebody, or no more."""
        self._wake.set()

    async def keep_looking(self) -> None:
        """Look whenever something happened, and now and then."""
        while True:
            called = True
            try:
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
                await asyncio.sleep(PAUSE_SECONDS)
            except TimeoutError:
                called = False
            if not called and not self._hub.desks:
                continue
            self._wake.clear()
            try:
                await self.look(everything=not called)
            except (OSError, SQLAlchemyError) as error:
                log.warning("the inbox cannot be read yet: %s", type(error).__name__)
            except Exception:
                log.exception("the inbox could not be read; trying again")

    async def look(self, *, everything: bool = True) -> None:
        """Make every connected agent's inbox what the store says; without `everything` only as far
        as what changed here demands it."""
        changed, self._changed = self._changed, set()
        topics = {
            agent: topic
            for agent in self._agents
            if (topic := self._hub.topics.get(topic_of(agent))) is not None
        }
        counts = await conversation_lists.counts(self._database)
        ids = list(changed)
        lines = await self._lines(InboxView(ids=ids), len(ids)) if ids else []
        offers = await self._offers()
        for agent, topic in topics.items():
            record = self._agents[agent]
            queues = list(record.queues)
            of_agent = counts.of(agent, queues)
            put: dict[str, Document] = {
                "counts": {
                    "views": {
                        "mine": of_agent.mine,
                        "unassigned": of_agent.unassigned,
                        "mentions": of_agent.mentions,
                        "waiting": of_agent.mine_waiting,
                        "snoozed": of_agent.mine_snoozed,
                    },
                    "queues": {name: one.open for name, one in _shown(record, counts).items()},
                }
            }
            own = _own(topic)
            if everything or "counts" not in topic.documents:
                view = InboxView(assigned_to=agent, states=[ConversationState.OPEN])
                fresh = await self._lines(view, MOST_SHOWN)
                mine = {f"mine:{line.conversation.id}": line_document(line) for line in fresh}
                gone = {key for key in own if key not in mine}
            else:
                moved = {f"mine:{line.conversation.id}": line for line in lines}
                mine = {key: line_document(one) for key, one in moved.items() if _has(agent, one)}
                lost = {f"mine:{one}" for one in changed} - set(mine)
                gone = lost & set(own)
            put |= mine | offers.get(agent, {})
            stale = {
                key
                for key in topic.documents
                if key.startswith("offer:") and key not in offers.get(agent, {})
            }
            news = [line for line in lines if _may_show(record, line.conversation)]
            if news:
                put["changed"] = {
                    "ids": [line.conversation.id for line in news],
                    "queues": sorted({line.conversation.queue or "" for line in news}),
                    "at": time.time(),
                }
            put = {key: one for key, one in put.items() if topic.documents.get(key) != one}
            topic.change("InboxChanged", None, put, sorted(gone | stale))

    async def _lines(self, view: InboxView, limit: int) -> list[ConversationLine]:
        return await conversation_lists.listed(self._database, view, limit=limit)

    async def _offers(self) -> Mapping[str, dict[str, Document]]:
        found: dict[str, dict[str, Document]] = {}
        offered = self._written.offers()
        if not offered:
            return found
        view = InboxView(ids=[one.conversation_id for one in offered])
        lines = {line.conversation.id: line for line in await self._lines(view, len(offered))}
        for one in offered:
            line = lines.get(one.conversation_id)
            if line is not None:
                document = line_document(line) | {"offered_at": one.offered_at.timestamp()}
                found.setdefault(one.agent, {})[f"offer:{one.conversation_id}"] = document
        return found

    def _on_facts(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            if not isinstance(fact, _Told):
                continue
            self._changed.add(fact.conversation_id)
            version = fact.version if isinstance(fact, ConversationChanged) else None
            what = fact.what if isinstance(fact, ConversationChanged) else type(fact).__name__
            self._presence.moved_on(fact.conversation_id, version, what)
            self._wake.set()


def _own(topic: Topic) -> list[str]:
    return [key for key in topic.documents if key.startswith("mine:")]


def _has(agent: str, line: ConversationLine) -> bool:
    one = line.conversation
    return one.assigned_to == agent and one.state is ConversationState.OPEN


def _may_show(agent: AgentRecord, one: ConversationRecord) -> bool:
    if agent.role in (Role.SUPERVISOR, Role.ADMIN):
        return True
    return one.assigned_to == agent.login or one.queue in agent.queues


def _shown(agent: AgentRecord, counts: conversation_lists.EverybodysCounts) -> dict[str, Any]:
    if agent.role in (Role.SUPERVISOR, Role.ADMIN):
        return dict(counts.by_queue)
    return {name: one for name, one in counts.by_queue.items() if name in agent.queues}


INBOX_BOARD = web.AppKey("inbox_board", InboxBoard)
