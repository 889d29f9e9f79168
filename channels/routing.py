"""Routing: who gets which conversation, pulled or pushed.

Owns the choice: who waits first gets somebody first; the agent who last served the customer, else
who has the skill and least to do, else who has done nothing for longest. Nobody gets more than they
can hold, nobody on a call a chat. An offer that is not opened in time goes to the next. Offers are
in memory: what was offered by a process that died is offered again. The choice itself (`plan`) is
pure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from crm_store import audit
from crm_store.bus import Bus
from crm_store.contacts import conversation_lists, conversations
from crm_store.contacts.conversation_lists import InHand
from crm_store.database import Database, Transaction, is_away
from crm_store.facts import ConversationChanged, Fact, MessageReceived
from crm_store.models import Channel, Conversation, ConversationState, Interaction
from crm_store.signals import AgentState, AgentStateChanged, Signal
from crm_store.staff import agents, queues

log = logging.getLogger(__name__)

OFFERED_FOR = timedelta(seconds=45)
LOOK_EVERY_S = 5.0
MOST_AT_ONCE = 200

_TAKES_WORK = frozenset({AgentState.AVAILABLE, AgentState.WRITTEN_WORK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A conversation that nobody has. `last_agent` served its customer last, "" if nobody did;
    `passed` are those who were offered it and did not open it."""

    id: int
    queue: str
    is_chat: bool
    priority: int
    last_agent: str = ""
    passed: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """An agent who takes work now. `queues` are those they serve with their penalty, `has` counts
    what they have in hand or are offered, `idle_since` is when they last were given something."""

    login: str
    queues: Mapping[str, int]
    chats_at_once: int
    written_at_once: int
    has: InHand = field(default_factory=InHand)
    idle_since: float = 0.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A conversation that is offered to an agent, until they open it or the time is over."""

    conversation_id: int
    agent: str
    offered_at: datetime


def plan(waiting: Sequence[Waiting], present: Sequence[Present]) -> list[tuple[int, str]]:
    """Who is to be offered what: conversations' ids with logins, who waits first first."""
    chats = {agent.login: agent.has.chats for agent in present}
    others = {agent.login: agent.has.others for agent in present}
    chosen = []
    for one in sorted(waiting, key=lambda one: (-one.priority, one.id)):
        held = chats if one.is_chat else others
        able = [
            agent
            for agent in present
            if one.queue in agent.queues
            and held[agent.login] < (agent.chats_at_once if one.is_chat else agent.written_at_once)
        ]
        # When everybody has let it pass, it begins anew with all of them.
        fresh = [agent for agent in able if agent.login not in one.passed]
        serves = {agent.login for agent in present if one.queue in agent.queues}
        if not fresh and serves <= set(one.passed):
            fresh = able
        if not fresh:
            continue
        best = min(
            fresh,
            key=lambda agent: (
                agent.login != one.last_agent,
                agent.queues[one.queue],
                chats[agent.login] + others[agent.login],
                agent.idle_since,
                agent.login,
            ),
        )
        held[best.login] += 1
        chosen.append((one.id, best.login))
    return chosen


# ---- taking --------------------------------------------------------------------------------------


async def take_next(
    transaction: Transaction, login: str, serves: Sequence[str], *, passing: Collection[int] = ()
) -> int | None:
    """Give the agent what waits first in these queues; its id, None if nothing waits. What is
    being offered to others is passed over."""
    first = await transaction.session.scalar(
        select(Conversation.id)
        .where(
            Conversation.state == ConversationState.OPEN,
            Conversation.queue.in_(serves),
            Conversation.assigned_to.is_(None),
            Conversation.merged_into.is_(None),
            Conversation.id.not_in(passing),
        )
        .order_by(Conversation.priority.desc(), Conversation.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if first is not None:
        await conversations.assign(transaction, first, login, actor=login)
    return first


async def accept(transaction: Transaction, conversation_id: int, login: str) -> bool:
    """The agent opens what was offered to them; False if somebody else has it by now."""
    row = await transaction.session.get(
        Conversation, conversation_id, with_for_update=True, populate_existing=True
    )
    if row is None or row.assigned_to not in (None, login):
        return False
    await conversations.assign(transaction, conversation_id, login, actor=login)
    return True


# ---- offering ------------------------------------------------------------------------------------


class Router:
    """Offers what waits in queues that push, until `run` is cancelled; one process does.

    `state_of` gives an agent's state now; `changed` is told when offers are others than before.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        *,
        state_of: Callable[[str], AgentStateChanged],
        changed: Callable[[], None] = lambda: None,
        offered_for: timedelta = OFFERED_FOR,
    ) -> None:
        self._database = database
        self._bus = bus
        self._state_of = state_of
        self._changed = changed
        self._offered_for = offered_for
        self._offers: dict[int, Offer] = {}
        self._passed: dict[int, set[str]] = {}
        self._given_at: dict[str, float] = {}
        self._gone: set[str] = set()
        self._wake = asyncio.Event()

    def offers(self) -> Sequence[Offer]:
        """What is offered to whom now. Never blocks."""
        return list(self._offers.values())

    async def run(self) -> None:
        """Never raises of itself."""
        self._bus.listen(self._on_signal, AgentStateChanged)
        unheard = self._database.listen(self._on_facts)
        try:
            while True:
                self._wake.clear()
                try:
                    wait_s = await self.look()
                except Exception as error:
                    if is_away(error):
                        log.warning("conversations cannot be offered yet")
                    else:
                        log.exception("conversations cannot be offered")
                    wait_s = LOOK_EVERY_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
        finally:
            unheard()

    async def look(self, now: datetime | None = None) -> float:
        """Give back the chats of those who left, let offers lapse, make new ones; seconds until
        there may be something to do."""
        moment = now or datetime.now(UTC)
        before = dict(self._offers)
        await self._give_back()
        pushing = {
            queue.name
            for queue in await queues.all_queues(self._database)
            if queue.written_mode == "push"
        }
        waiting = await self._waiting(pushing)
        self._lapse(waiting, moment)
        free = [one for one in waiting if one.id not in self._offers]
        if free:
            for conversation_id, login in plan(free, await self._present()):
                self._offers[conversation_id] = Offer(conversation_id, login, moment)
                self._given_at[login] = moment.timestamp()
        if self._offers != before:
            self._changed()
        ends = [offer.offered_at + self._offered_for for offer in self._offers.values()]
        first = min(ends, default=moment + timedelta(seconds=LOOK_EVERY_S))
        return min(LOOK_EVERY_S, max(0.0, (first - moment).total_seconds()))

    def _lapse(self, waiting: Sequence[Waiting], now: datetime) -> None:
        there = {one.id for one in waiting}
        for conversation_id in [one for one in self._passed if one not in there]:
            del self._passed[conversation_id]
        for offer in list(self._offers.values()):
            is_over = now - offer.offered_at >= self._offered_for
            takes_work = self._state_of(offer.agent).state in _TAKES_WORK
            if offer.conversation_id in there and takes_work and not is_over:
                continue
            del self._offers[offer.conversation_id]
            if is_over and offer.conversation_id in there:
                self._passed.setdefault(offer.conversation_id, set()).add(offer.agent)

    async def _waiting(self, pushing: Collection[str]) -> list[Waiting]:
        if not pushing:
            return []
        # The agent of the customer's latest contact that somebody had.
        last = (
            select(Interaction.customer_id, func.max(Interaction.id).label("id"))
            .where(Interaction.agent.is_not(None), Interaction.customer_id.is_not(None))
            .group_by(Interaction.customer_id)
        )
        query = (
            select(
                Conversation.id,
                Conversation.queue,
                Conversation.channel,
                Conversation.priority,
                Conversation.customer_id,
            )
            .where(
                Conversation.state == ConversationState.OPEN,
                Conversation.queue.in_(pushing),
                Conversation.assigned_to.is_(None),
                Conversation.merged_into.is_(None),
            )
            .order_by(Conversation.priority.desc(), Conversation.id)
            .limit(MOST_AT_ONCE)
        )
        async with self._database.reading() as session:
            rows = (await session.execute(query)).all()
            people = {row.customer_id for row in rows if row.customer_id is not None}
            newest = last.where(Interaction.customer_id.in_(people)).subquery()
            served = {
                row.customer_id: row.agent
                for row in await session.execute(
                    select(Interaction.customer_id, Interaction.agent).join(
                        newest, newest.c.id == Interaction.id
                    )
                )
            }
        return [
            Waiting(
                id=row.id,
                queue=row.queue,
                is_chat=row.channel is Channel.CHAT,
                priority=row.priority,
                last_agent=served.get(row.customer_id, ""),
                passed=frozenset(self._passed.get(row.id, ())),
            )
            for row in rows
        ]

    async def _present(self) -> list[Present]:
        async with self._database.reading() as session:
            in_hand = await conversation_lists.in_hand(session)
        chats_offered = await self._chats_among(self._offers)
        found = []
        for agent in await agents.all_agents(self._database):
            if self._state_of(agent.login).state not in _TAKES_WORK:
                continue
            has = in_hand.get(agent.login, InHand())
            own = [offer for offer in self._offers.values() if offer.agent == agent.login]
            chats = sum(offer.conversation_id in chats_offered for offer in own)
            found.append(
                Present(
                    login=agent.login,
                    queues=agent.queues,
                    chats_at_once=agent.chats_at_once,
                    written_at_once=agent.written_at_once,
                    has=InHand(has.chats + chats, has.others + len(own) - chats),
                    idle_since=self._given_at.get(agent.login, 0.0),
                )
            )
        return found

    async def _chats_among(self, conversation_ids: Collection[int]) -> set[int]:
        if not conversation_ids:
            return set()
        query = select(Conversation.id).where(
            Conversation.id.in_(conversation_ids), Conversation.channel == Channel.CHAT
        )
        async with self._database.reading() as session:
            return set(await session.scalars(query))

    async def _give_back(self) -> None:
        """The chats of those who have signed out wait again, in the place that they had."""
        for login in list(self._gone):
            async with self._database.transaction() as transaction:
                chats = await transaction.session.scalars(
                    select(Conversation.id).where(
                        Conversation.assigned_to == login,
                        Conversation.channel == Channel.CHAT,
                        Conversation.state.in_([ConversationState.OPEN, ConversationState.WAITING]),
                        Conversation.merged_into.is_(None),
                    )
                )
                for conversation_id in chats.all():
                    await conversations.assign(
                        transaction, conversation_id, None, actor=audit.SYSTEM
                    )
            self._gone.discard(login)

    def _on_signal(self, signal: Signal) -> None:
        assert isinstance(signal, AgentStateChanged)
        if signal.state is AgentState.OFFLINE:
            self._gone.add(signal.agent)
        else:
            self._gone.discard(signal.agent)
        self._wake.set()

    def _on_facts(self, facts: Sequence[Fact]) -> None:
        if any(isinstance(fact, MessageReceived | ConversationChanged) for fact in facts):
            self._wake.set()
