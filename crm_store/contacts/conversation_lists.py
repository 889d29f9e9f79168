"""Lists of conversations: what an inbox shows, page by page, and how many wait where.

Owns the views that an agent or a supervisor may ask for, their order and their counts, and how much
each agent has in hand. Changes nothing; who may see what is the caller's to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.contacts.conversations import ConversationRecord, record_of
from crm_store.database import Database
from crm_store.models import (
    Channel,
    Conversation,
    ConversationState,
    Customer,
    Mention,
    Message,
    Segment,
)
from crm_store.signals import Direction


@dataclass(frozen=True, slots=True)
class SeenBy:
    """What an agent (login) may see: what waits in these queues, their own, and what names them."""

    agent: str
    queues: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxView:
    """Which conversations are wanted; empty means all, but those that were merged away.

    `mentions_of` is a login: where a note names them that they have not seen. In the order "place"
    come first who is served first, in "newest" those with the latest message.
    """

    ids: Sequence[int] = ()
    states: Sequence[ConversationState] = ()
    queues: Sequence[str] = ()
    assigned_to: str | None = None
    is_unassigned: bool = False
    mentions_of: str | None = None
    customer_ids: Sequence[int] = ()
    channels: Sequence[Channel] = ()
    tag: str = ""
    seen_by: SeenBy | None = None
    order: Literal["place", "newest"] = "newest"


@dataclass(frozen=True, slots=True)
class ConversationLine:
    """A line of a list. `sender_name` is what the customer last called themselves."""

    conversation: ConversationRecord
    customer_name: str
    segment: Segment | None
    sender_name: str

    def cursor(self, order: Literal["place", "newest"]) -> str:
        """Where the page after this line begins."""
        one = self.conversation
        if order == "place":
            return f"{one.priority}~{one.id}"
        return f"{int(one.last_message_at.timestamp() * 1_000_000)}~{one.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCount:
    """Open conversations of a queue: all, those that nobody has, and since when the first of these
    waits."""

    open: int
    unassigned: int
    waiting_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxCounts:
    """How many an agent has of each kind; `unassigned` over the queues that were asked for."""

    mine: int = 0
    mine_waiting: int = 0
    mine_snoozed: int = 0
    mentions: int = 0
    unassigned: int = 0
    by_queue: dict[str, QueueCount] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InHand:
    """What an agent has: chats that are not over, and other conversations that are ours to
    answer."""

    chats: int = 0
    others: int = 0


async def listed(
    database: Database, view: InboxView, *, before: str | None = None, limit: int = 50
) -> list[ConversationLine]:
    """A page of a view; `before` is the last line's cursor. Raises ValueError for one that none
    was."""
    async with database.reading() as session:
        return await listed_in(session, view, before=before, limit=limit)


async def listed_in(
    session: AsyncSession, view: InboxView, *, before: str | None = None, limit: int = 50
) -> list[ConversationLine]:
    """The same in a transaction or a snapshot of the caller's."""
    key: Any = Conversation.priority if view.order == "place" else Conversation.last_message_at
    conditions = _conditions(view, session.get_bind().dialect.name == "sqlite")
    if before is not None:
        last, last_id = _cursor(before, view.order)
        further = Conversation.id > last_id if view.order == "place" else Conversation.id < last_id
        conditions.append(or_(key < last, and_(key == last, further)))
    second = Conversation.id if view.order == "place" else Conversation.id.desc()
    called = (
        select(Message.sender_name)
        .where(
            Message.conversation_id == Conversation.id,
            Message.direction == Direction.INBOUND,
            Message.sender_name != "",
        )
        .order_by(Message.at.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(Conversation, Customer.name, Customer.segment, called)
        .join(Customer, Customer.id == Conversation.customer_id, isouter=True)
        .where(*conditions)
        .order_by(key.desc(), second)
        .limit(limit)
    )
    return [
        ConversationLine(record_of(row[0]), row[1] or "", row[2], row[3] or "")
        for row in await session.execute(query)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EverybodysCounts:
    """What all agents have and all queues hold, read at once; `of` is one agent's part of it."""

    own: dict[str, dict[ConversationState, int]] = field(default_factory=dict)
    mentions: dict[str, int] = field(default_factory=dict)
    by_queue: dict[str, QueueCount] = field(default_factory=dict)

    def of(self, agent: str, queues: Sequence[str]) -> InboxCounts:
        """What an agent (login) has, and what waits in these queues."""
        mine = self.own.get(agent, {})
        by_queue = {name: one for name, one in self.by_queue.items() if name in queues}
        return InboxCounts(
            mine=mine.get(ConversationState.OPEN, 0),
            mine_waiting=mine.get(ConversationState.WAITING, 0),
            mine_snoozed=mine.get(ConversationState.SNOOZED, 0),
            mentions=self.mentions.get(agent, 0),
            unassigned=sum(one.unassigned for one in by_queue.values()),
            by_queue=by_queue,
        )


async def counts(database: Database) -> EverybodysCounts:
    """How many conversations wait where, and for whom."""
    assigned = (
        select(Conversation.assigned_to, Conversation.state, func.count())
        .where(Conversation.assigned_to.is_not(None), _is_whole)
        .where(Conversation.state.in_(_UNSETTLED))
        .group_by(Conversation.assigned_to, Conversation.state)
    )
    queued = (
        select(
            Conversation.queue,
            func.count(),
            func.count().filter(Conversation.assigned_to.is_(None)),
            func.min(Conversation.waiting_since).filter(Conversation.assigned_to.is_(None)),
        )
        .where(Conversation.state == ConversationState.OPEN, Conversation.queue.is_not(None))
        .where(_is_whole)
        .group_by(Conversation.queue)
    )
    unseen = (
        select(Mention.agent, func.count(Message.conversation_id.distinct()))
        .join(Message, Message.id == Mention.message_id)
        .where(Mention.seen_at.is_(None))
        .group_by(Mention.agent)
    )
    own: dict[str, dict[ConversationState, int]] = {}
    async with database.reading() as session:
        for row in await session.execute(assigned):
            own.setdefault(str(row[0]), {})[row[1]] = int(row[2])
        return EverybodysCounts(
            own=own,
            mentions={row[0]: int(row[1]) for row in await session.execute(unseen)},
            by_queue={
                str(row[0]): QueueCount(open=row[1], unassigned=row[2], waiting_since=row[3])
                for row in await session.execute(queued)
            },
        )


async def in_hand(session: AsyncSession) -> dict[str, InHand]:
    """What each agent (login) has; who has nothing is not there."""
    is_chat = Conversation.channel == Channel.CHAT
    chats = func.count().filter(is_chat)
    others = func.count().filter(~is_chat, Conversation.state == ConversationState.OPEN)
    rows = await session.execute(
        select(Conversation.assigned_to, chats, others)
        .where(
            Conversation.assigned_to.is_not(None),
            Conversation.state.in_([ConversationState.OPEN, ConversationState.WAITING]),
            _is_whole,
        )
        .group_by(Conversation.assigned_to)
    )
    return {str(row[0]): InHand(row[1], row[2]) for row in rows if row[1] or row[2]}


_UNSETTLED = (ConversationState.OPEN, ConversationState.WAITING, ConversationState.SNOOZED)
_is_whole = Conversation.merged_into.is_(None)


def _conditions(view: InboxView, is_sqlite: bool) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_is_whole]
    if view.ids:
        found.append(Conversation.id.in_(view.ids))
    if view.states:
        found.append(Conversation.state.in_(view.states))
    if view.queues:
        found.append(Conversation.queue.in_(view.queues))
    if view.assigned_to is not None:
        found.append(Conversation.assigned_to == view.assigned_to)
    if view.is_unassigned:
        found.append(Conversation.assigned_to.is_(None))
    if view.mentions_of is not None:
        found.append(_is_named(view.mentions_of, unseen_only=True))
    if view.customer_ids:
        found.append(Conversation.customer_id.in_(view.customer_ids))
    if view.channels:
        found.append(Conversation.channel.in_(view.channels))
    if view.tag:
        tags: Any = (
            func.json_each(Conversation.tags).table_valued("value")
            if is_sqlite
            else func.json_array_elements_text(Conversation.tags).table_valued("value")
        )
        found.append(exists(select(tags.c.value).where(tags.c.value == view.tag)))
    if view.seen_by is not None:
        found.append(
            or_(
                Conversation.assigned_to == view.seen_by.agent,
                Conversation.queue.in_(view.seen_by.queues),
                _is_named(view.seen_by.agent),
            )
        )
    return found


def _is_named(agent: str, *, unseen_only: bool = False) -> ColumnElement[bool]:
    named = (
        select(Message.conversation_id)
        .join(Mention, Mention.message_id == Message.id)
        .where(Mention.agent == agent)
    )
    if unseen_only:
        named = named.where(Mention.seen_at.is_(None))
    return Conversation.id.in_(named)


def _cursor(text: str, order: Literal["place", "newest"]) -> tuple[int | datetime, int]:
    parts = _CURSOR.fullmatch(text)
    if parts is None:
        raise ValueError("that is no cursor of a list")
    value, row_id = int(parts[1]), int(parts[2])
    if order == "place":
        return value, row_id
    seconds, rest = divmod(value, 1_000_000)
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), row_id
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError("that is no cursor of a list") from error


_CURSOR = re.compile(r"(-?[0-9]{1,17})~([0-9]{1,18})")
