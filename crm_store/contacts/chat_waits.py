"""How long chats wait: who stands before a visitor, and how long it usually takes.

Owns these two figures, counted from what happened: nothing is promised that did not hold lately.
Knows no agent and no opening hours.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median

from sqlalchemy import and_, func, or_, select

from crm_store.database import Database
from crm_store.models import Channel, Conversation, ConversationState

LOOKED_BACK = timedelta(days=7)
NEWEST = 20
FEWEST = 3
"""Of fewer chats nothing can be said."""

_WAITS = and_(
    Conversation.channel == Channel.CHAT,
    Conversation.state == ConversationState.OPEN,
    Conversation.assigned_to.is_(None),
    Conversation.merged_into.is_(None),
)


async def ahead_of(database: Database, conversation_id: int) -> int:
    """How many chats of its queue are served before this one."""
    async with database.reading() as session:
        own = await session.get(Conversation, conversation_id)
        if own is None:
            return 0
        earlier = or_(
            Conversation.priority > own.priority,
            and_(Conversation.priority == own.priority, Conversation.id < own.id),
        )
        count = await session.scalar(
            select(func.count()).where(_WAITS, Conversation.queue == own.queue, earlier)
        )
    return count or 0


async def usual_waits_s(database: Database, *, now: datetime | None = None) -> dict[str, float]:
    """The median time to the first answer, in seconds, of each queue's newest chats; a queue of
    which nothing can be said is left out."""
    since = (now or datetime.now(UTC)) - LOOKED_BACK
    query = (
        select(Conversation.queue, Conversation.opened_at, Conversation.first_answered_at)
        .where(
            Conversation.channel == Channel.CHAT,
            Conversation.first_answered_at.is_not(None),
            Conversation.opened_at >= since,
            Conversation.queue.is_not(None),
        )
        .order_by(Conversation.opened_at.desc())
        .limit(NEWEST * 25)
    )
    waits: dict[str, list[float]] = {}
    async with database.reading() as session:
        for queue, opened_at, answered_at in await session.execute(query):
            several = waits.setdefault(str(queue), [])
            if answered_at is not None and len(several) < NEWEST:
                several.append(max(0.0, (answered_at - opened_at).total_seconds()))
    return {queue: median(several) for queue, several in waits.items() if len(several) >= FEWEST}


async def versions(database: Database, conversation_ids: list[int]) -> dict[int, int]:
    """The versions of these conversations now: one that has grown has news."""
    query = select(Conversation.id, Conversation.version).where(
        Conversation.id.in_(conversation_ids)
    )
    async with database.reading() as session:
        return {row.id: row.version for row in await session.execute(query)}
