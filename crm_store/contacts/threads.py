"""Threads: conversations that become one, or two.

Owns merging (which can be undone), splitting, and taking an answer back: messages go from one
conversation to another or were never written, and each conversation is then what its messages say.
Knows nothing of customers' own merging, nor where a new message belongs (continuing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store import audit, text_search
from crm_store.contacts import conversations, interactions
from crm_store.contacts.messages import preview_of
from crm_store.database import Transaction
from crm_store.facts import ConversationChanged
from crm_store.models import (
    Attachment,
    ChatSession,
    Conversation,
    ConversationState,
    Message,
    MessageState,
    OutboxMessage,
)
from crm_store.signals import Direction
from crm_store.text_search import EntryKind

# ---- merging and splitting -----------------------------------------------------------------------


async def merge(
    transaction: Transaction,
    from_id: int,
    into_id: int,
    *,
    actor: str,
    expected_version: int | None = None,
) -> None:
    """All messages of `from_id` are `into_id`'s; `expected_version` is that of `from_id`.

    Queue and clocks stay those of `into_id`; so does the agent, if it has one.

    Raises LookupError if there is no such conversation, ValueError if it is the same, or if the two
    are of two different customers, and conversations.Conflict.
    """
    if from_id == into_id:
        raise ValueError("a conversation cannot be merged into itself")
    session = transaction.session
    gone, kept = await _both(session, from_id, into_id)
    if expected_version is not None and gone.version != expected_version:
        raise conversations.Conflict(conversations.record_of(gone))
    if gone.customer_id and kept.customer_id and gone.customer_id != kept.customer_id:
        raise ValueError("they are of two customers: merge these first")
    moved = list(
        await session.scalars(select(Message.id).where(Message.conversation_id == from_id))
    )
    chats = list(
        await session.scalars(select(ChatSession.id).where(ChatSession.conversation_id == from_id))
    )
    if kept.customer_id is None and gone.customer_id is not None:
        await conversations.give_to_customer(transaction, into_id, gone.customer_id, actor=actor)
    await _move(transaction, moved, kept)
    await _move_chats(session, chats, into_id)
    if kept.assigned_to is None and gone.assigned_to is not None:
        await conversations.assign(transaction, into_id, gone.assigned_to, actor=actor)
    gone.merged_into = into_id
    gone.state = ConversationState.CLOSED
    gone.moved = {"messages": moved, "chat_sessions": chats}
    await interactions.close(transaction, gone.interaction_id, disposition=None)
    await _tell(transaction, gone, "merged", actor)
    await _settle(transaction, kept)
    await _tell(transaction, kept, "merged", actor)


async def undo_merge(transaction: Transaction, from_id: int, *, actor: str) -> None:
    """What came along with `from_id` is its own again; what was written since stays.

    Raises LookupError if there is no such conversation, or it is not merged.
    """
    session = transaction.session
    gone = await session.get(Conversation, from_id, with_for_update=True, populate_existing=True)
    if gone is None or gone.merged_into is None:
        raise LookupError(f"conversation {from_id} is not merged")
    gone, kept = await _both(session, from_id, gone.merged_into, gone_is_merged=True)
    still_there = select(Message.id).where(
        Message.id.in_(gone.moved.get("messages", ())), Message.conversation_id == kept.id
    )
    moved = list(await session.scalars(still_there))
    await _move(transaction, moved, gone)
    await _move_chats(session, gone.moved.get("chat_sessions", ()), from_id)
    gone.merged_into = None
    gone.moved = {}
    if gone.closed_at is None:
        await session.flush()
        gone.state = ConversationState.OPEN
        await conversations.reopen_interaction(transaction, gone)
    await _settle(transaction, gone)
    await _tell(transaction, gone, "split", actor)
    await _settle(transaction, kept)
    await _tell(transaction, kept, "split", actor)


async def split(
    transaction: Transaction,
    conversation_id: int,
    message_ids: Sequence[int],
    *,
    actor: str,
    expected_version: int | None = None,
) -> int:
    """These messages are a conversation of their own: of the same customer, in the same queue, with
    the same agent. Its id.

    Raises LookupError if there is no such conversation, ValueError if it has none of these
    messages, or no others, and conversations.Conflict.
    """
    session = transaction.session
    row = await session.get(
        Conversation, conversation_id, with_for_update=True, populate_existing=True
    )
    if row is None or row.merged_into is not None:
        raise LookupError(f"there is no conversation {conversation_id}")
    if expected_version is not None and row.version != expected_version:
        raise conversations.Conflict(conversations.record_of(row))
    own = (
        await session.scalars(
            select(Message)
            .where(Message.conversation_id == conversation_id)
            .order_by(Message.at, Message.id)
        )
    ).all()
    wanted = set(message_ids)
    moved = [one for one in own if one.id in wanted]
    if not moved or len(moved) == len(own):
        raise ValueError("some of its messages, and not all")
    first = moved[0]
    new_id = await conversations.open_conversation(
        transaction,
        conversations.NewConversation(
            channel=row.channel,
            address=row.address,
            our_address=row.our_address,
            direction=(
                Direction.OUTBOUND if first.direction is Direction.OUTBOUND else Direction.INBOUND
            ),
            customer_id=row.customer_id,
            subject=next((one.subject for one in moved if one.subject), row.subject),
            language=row.language,
            queue=row.queue,
            assigned_to=row.assigned_to,
            priority=row.priority,
            tags=row.tags,
            at=first.at,
            first_answer_due_at=row.first_answer_due_at,
            resolution_due_at=row.resolution_due_at,
        ),
        actor=actor,
    )
    new = await session.get(Conversation, new_id, populate_existing=True)
    assert new is not None
    await _move(transaction, [one.id for one in moved], new)
    await _settle(transaction, new)
    await _tell(transaction, new, "split", actor)
    await _settle(transaction, row)
    await _tell(transaction, row, "split", actor)
    return new_id


class TooLate(Exception):
    """The message is on its way, or there already."""


async def take_back(
    transaction: Transaction, message_id: int, *, actor: str
) -> tuple[str, list[int]]:
    """An answer of `actor`'s that has not gone out was never written: its text, and its files as
    uploads that hang on no message.

    Raises LookupError if there is no such answer of theirs, TooLate if it is being sent.
    """
    session = transaction.session
    message = await session.get(Message, message_id, with_for_update=True)
    if message is None or message.author != actor or message.direction is not Direction.OUTBOUND:
        raise LookupError(f"there is no answer {message_id}")
    rows = (
        await session.scalars(
            select(OutboxMessage)
            .where(OutboxMessage.message_id == message_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).all()
    if not rows or any(row.state is not MessageState.WAITING or row.attempts for row in rows):
        raise TooLate
    for row in rows:
        row.state, row.message_id = MessageState.CANCELLED, None
    files = list(
        await session.scalars(
            update(Attachment)
            .where(Attachment.message_id == message_id)
            .values(message_id=None)
            .returning(Attachment.id)
        )
    )
    text = message.text
    conversation = await session.get(
        Conversation, message.conversation_id, with_for_update=True, populate_existing=True
    )
    assert conversation is not None
    await text_search.forget(transaction, EntryKind.MESSAGE, message_id)
    await session.delete(message)
    if conversation.state is ConversationState.WAITING:
        conversation.state = ConversationState.OPEN
    await _settle(transaction, conversation)
    await _tell(transaction, conversation, "taken back", actor)
    return text, files


# ---- how -----------------------------------------------------------------------------------------


async def _both(
    session: AsyncSession, from_id: int, into_id: int, *, gone_is_merged: bool = False
) -> tuple[Conversation, Conversation]:
    # In one order, so that two merges at once cannot wait for each other.
    rows = {
        row.id: row
        for row in await session.scalars(
            select(Conversation)
            .where(Conversation.id.in_([from_id, into_id]))
            .order_by(Conversation.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    }
    for row_id in (from_id, into_id):
        if row_id not in rows:
            raise LookupError(f"there is no conversation {row_id}")
    gone, kept = rows[from_id], rows[into_id]
    if kept.merged_into is not None or (gone.merged_into is not None) is not gone_is_merged:
        raise LookupError("one of them was merged away")
    return gone, kept


async def _move(transaction: Transaction, message_ids: Sequence[int], into: Conversation) -> None:
    session = transaction.session
    for start in range(0, len(message_ids), 500):
        chunk = message_ids[start : start + 500]
        await session.execute(
            update(Message).where(Message.id.in_(chunk)).values(conversation_id=into.id)
        )
        await session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.message_id.in_(chunk))
            .values(interaction_id=into.interaction_id, customer_id=into.customer_id)
        )
    await text_search.assign(transaction, EntryKind.MESSAGE, list(message_ids), into.customer_id)


async def _move_chats(session: AsyncSession, chat_ids: Sequence[int], into_id: int) -> None:
    if chat_ids:
        await session.execute(
            update(ChatSession).where(ChatSession.id.in_(chat_ids)).values(conversation_id=into_id)
        )


async def _settle(transaction: Transaction, row: Conversation) -> None:
    """The conversation is what its messages say: whose turn it is, and what a list shows."""
    session = transaction.session
    await session.flush()
    own = (Message.conversation_id == row.id, Message.direction != Direction.INTERNAL)
    newest = await _first(session, *own)
    if newest is not None:
        row.last_message_at = newest.at
        row.preview = preview_of(newest.text, newest.subject)
    by_us = and_(Message.direction == Direction.OUTBOUND, Message.automatic == "")
    by_them = and_(Message.direction == Direction.INBOUND, Message.automatic == "")
    theirs = await _first(session, *own, by_them, Message.sender != "")
    if theirs is not None:
        ours = row.our_address if theirs.channel is row.channel else ""
        row.channel, row.address = theirs.channel, theirs.sender
        row.our_address = next(iter(theirs.recipients), ours)
    answer = await _first(session, *own, by_us)
    answers: Any = select(Message.at).where(*own, by_us).order_by(Message.at).limit(1)
    row.first_answered_at = await session.scalar(answers)
    unanswered = select(Message.at).where(*own, by_them).order_by(Message.at).limit(1)
    if answer is not None:
        unanswered = unanswered.where(
            or_(
                Message.at > answer.at,
                and_(Message.at == answer.at, Message.id > answer.id),
            )
        )
    row.waiting_since = await session.scalar(unanswered)
    if row.state in (ConversationState.OPEN, ConversationState.WAITING):
        row.state = (
            ConversationState.WAITING
            if row.waiting_since is None and answer is not None
            else ConversationState.OPEN
        )
    elif row.waiting_since is not None and row.state is not ConversationState.SPAM:
        if row.state is ConversationState.CLOSED and row.closed_at is not None:
            if row.waiting_since <= row.closed_at:
                row.waiting_since = None
                return
            await conversations.reopen_interaction(transaction, row)
        row.state, row.closed_at, row.snoozed_until = ConversationState.OPEN, None, None


async def _first(session: AsyncSession, *conditions: Any) -> Message | None:
    query = select(Message).where(*conditions)
    return (
        await session.scalars(query.order_by(Message.at.desc(), Message.id.desc()).limit(1))
    ).one_or_none()


async def _tell(transaction: Transaction, row: Conversation, what: str, actor: str) -> None:
    row.version += 1
    await transaction.session.flush()
    await audit.record(
        transaction,
        actor=actor,
        action=what,
        subject_kind="conversation",
        subject_id=row.id,
        fields=["messages"],
    )
    await transaction.emit(
        ConversationChanged(conversation_id=row.id, what=what, version=row.version)
    )
