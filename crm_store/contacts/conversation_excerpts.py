"""What a customer's story shows of conversations: each by its state, and its newest messages.

Owns that excerpt. The conversation as a whole is the inbox's to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.contacts.messages import preview_of
from crm_store.models import Attachment, Conversation, Message, OutboxMessage
from crm_store.signals import Direction

MOST_MESSAGES = 5


async def conversations_of(
    session: AsyncSession, interaction_ids: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """By the interaction: {id, state, queue, subject, tags, assigned_to, merged_into}."""
    names = ("id", "state", "queue", "subject", "tags", "merged_into", "assigned_to")
    rows = await session.scalars(
        select(Conversation).where(Conversation.interaction_id.in_(interaction_ids))
    )
    return {row.interaction_id: {name: getattr(row, name) for name in names} for row in rows}


async def newest_messages(
    session: AsyncSession, conversation_ids: Sequence[int]
) -> dict[int | None, list[dict[str, Any]]]:
    """By the conversation its newest messages without notes, the oldest first: [{id, direction,
    channel, author, at, excerpt, automatic, delivery (a MessageState or None), files (how many)}].
    """
    if not conversation_ids:
        return {}
    newest = (
        select(
            Message.id,
            func.row_number()
            .over(
                partition_by=Message.conversation_id,
                order_by=(Message.at.desc(), Message.id.desc()),
            )
            .label("place"),
        )
        .where(
            Message.conversation_id.in_(conversation_ids),
            Message.direction != Direction.INTERNAL,
        )
        .subquery()
    )
    files = (
        select(func.count())
        .select_from(Attachment)
        .where(Attachment.message_id == Message.id)
        .scalar_subquery()
    )
    delivery = (
        select(OutboxMessage.state)
        .where(OutboxMessage.message_id == Message.id)
        .order_by(OutboxMessage.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(Message, files, delivery)
        .join(newest, newest.c.id == Message.id)
        .where(newest.c.place <= MOST_MESSAGES)
        .order_by(Message.at, Message.id)
    )
    found: dict[int | None, list[dict[str, Any]]] = {}
    for message, file_count, state in rows:
        names = ("id", "direction", "channel", "author", "at", "automatic")
        found.setdefault(message.conversation_id, []).append(
            {name: getattr(message, name) for name in names}
            | {
                "excerpt": preview_of(message.text, message.subject),
                "delivery": state,
                "files": file_count,
            }
        )
    return found
