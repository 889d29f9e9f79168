"""Chat sessions: one visitor of the shop's site, from their consent to long after they left.

Owns the row behind a visitor's token, what they told of themselves, and up to which message they
have seen. Keeps of a token only its SHA-256. What a visitor merely types proves nothing:
`customer_id` is written only by whoever has a proof. Knows no socket and no page.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update

from crm_store.database import Database, Transaction
from crm_store.models import Channel, ChatSession, Conversation, Message
from crm_store.signals import Direction

LASTS = timedelta(days=30)
"""A token is worth something for so long after the visitor was last here."""

_ADDRESS = "visitor-"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChatSession:
    """A visitor as they begin. `topic` is the queue they chose, `page` where they did."""

    language: str
    name: str = ""
    mail: str = ""
    phone: str = ""
    topic: str = ""
    page: str = ""
    page_title: str = ""
    customer_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSessionRecord:
    """A chat session's row, as crm_store/models/messages.py tells it."""

    id: int
    conversation_id: int | None
    name: str
    mail: str
    phone: str
    language: str
    topic: str
    page: str
    page_title: str
    seen_message_id: int
    carried_message_id: int
    proof_asked_at: datetime | None
    customer_id: int | None
    consent_at: datetime | None
    created_at: datetime
    seen_at: datetime
    left_at: datetime | None
    transcript_to: str

    @property
    def address(self) -> str:
        return address_of(self.id)


def address_of(session_id: int) -> str:
    """What stands in the place of an address for this visitor, in messages and conversations."""
    return f"{_ADDRESS}{session_id}"


def session_at(address: str) -> int | None:
    """The session whose address that is, None for another channel's."""
    number = address.removeprefix(_ADDRESS)
    is_ours = number != address and number.isascii() and number.isdigit() and len(number) <= 18
    return int(number) if is_ours else None


async def begin(transaction: Transaction, new: NewChatSession) -> tuple[int, str]:
    """Keep a visitor who has consented; their id and their token."""
    token = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    told = {one.name: getattr(new, one.name) for one in fields(NewChatSession)}
    session_id: int | None = await transaction.session.scalar(
        insert(ChatSession)
        .values(token_hash=_token_hash(token), consent_at=now, created_at=now, seen_at=now, **told)
        .returning(ChatSession.id)
    )
    assert session_id is not None
    return session_id, token


async def of_token(database: Database, token: str) -> ChatSessionRecord | None:
    """The session of that token, if it still holds."""
    return await _one(
        database,
        and_(
            ChatSession.token_hash == _token_hash(token),
            ChatSession.seen_at > datetime.now(UTC) - LASTS,
        ),
    )


async def find(database: Database, session_id: int) -> ChatSessionRecord | None:
    return await _one(database, ChatSession.id == session_id)


async def of_conversation(database: Database, conversation_id: int) -> list[ChatSessionRecord]:
    """The visitors who wrote in a conversation, or in one that was merged into it; newest first."""
    merged = select(Conversation.id).where(Conversation.merged_into == conversation_id)
    query = (
        select(ChatSession)
        .where(
            or_(
                ChatSession.conversation_id == conversation_id,
                ChatSession.conversation_id.in_(merged),
            )
        )
        .order_by(ChatSession.id.desc())
        .limit(50)
    )
    async with database.reading() as session:
        return [_record(row) for row in await session.scalars(query)]


async def change(transaction: Transaction, session_id: int, **values: Any) -> None:
    """Write what is named of ChatSessionRecord's fields. Raises ValueError for another name."""
    if unknown := values.keys() - {one.name for one in fields(ChatSessionRecord)}:
        raise ValueError(f"a chat session has no {', '.join(sorted(unknown))}")
    await transaction.session.execute(
        update(ChatSession).where(ChatSession.id == session_id).values(**values)
    )


async def are_here(transaction: Transaction, session_ids: Collection[int], at: datetime) -> None:
    """These visitors were here at that moment."""
    if session_ids:
        await transaction.session.execute(
            update(ChatSession)
            .where(ChatSession.id.in_(session_ids))
            .values(seen_at=at, left_at=None)
        )


async def has_seen(transaction: Transaction, session_id: int, message_id: int) -> None:
    """The visitor has seen all up to that message; it never goes back."""
    await transaction.session.execute(
        update(ChatSession)
        .where(ChatSession.id == session_id, ChatSession.seen_message_id < message_id)
        .values(seen_message_id=message_id)
    )


async def end(transaction: Transaction, session_id: int) -> None:
    """The visitor has ended their chat: its token is worth nothing any more, and they are away."""
    now = datetime.now(UTC)
    nobodys = _token_hash(secrets.token_urlsafe(32))
    await transaction.session.execute(
        update(ChatSession)
        .where(ChatSession.id == session_id)
        .values(token_hash=nobodys, left_at=now, seen_at=now)
    )


async def forget_visits(transaction: Transaction, *, now: datetime) -> None:
    """Delete the sessions of those who never wrote anything, once their token is worth nothing."""
    await transaction.session.execute(
        delete(ChatSession).where(
            ChatSession.conversation_id.is_(None), ChatSession.seen_at <= now - LASTS
        )
    )


async def unseen_by_who_left(
    database: Database, *, gone_since: datetime, looked_since: datetime | None, limit: int = 50
) -> list[int]:
    """Visitors who were last here before `gone_since`, left a mail address or a number, and have
    neither seen nor been sent all that was answered to them in the chat.

    With `looked_since`, only where something has happened since then.
    """
    unseen = (
        select(Message.id)
        .where(
            Message.conversation_id == func.coalesce(Conversation.merged_into, Conversation.id),
            Message.channel == Channel.CHAT,
            Message.direction == Direction.OUTBOUND,
            Message.id > ChatSession.seen_message_id,
            Message.id > ChatSession.carried_message_id,
        )
        .correlate(ChatSession, Conversation)
        .exists()
    )
    query = (
        select(ChatSession.id)
        .join(Conversation, Conversation.id == ChatSession.conversation_id)
        .where(
            ChatSession.seen_at < gone_since,
            ChatSession.seen_at > gone_since - LASTS,
            or_(ChatSession.mail != "", ChatSession.phone != ""),
            unseen,
        )
        .order_by(ChatSession.id)
        .limit(limit)
    )
    if looked_since is not None:
        query = query.where(
            or_(
                ChatSession.seen_at >= looked_since,
                Conversation.last_message_at >= looked_since,
                Conversation.merged_into.is_not(None),
            )
        )
    async with database.reading() as session:
        return list(await session.scalars(query))


async def locked(transaction: Transaction, session_id: int) -> ChatSessionRecord | None:
    """The session as it stands, for nobody else to change until the transaction is over."""
    row = await transaction.session.get(
        ChatSession, session_id, with_for_update=True, populate_existing=True
    )
    return _record(row) if row is not None else None


async def _one(database: Database, condition: Any) -> ChatSessionRecord | None:
    async with database.reading() as session:
        row = await session.scalar(select(ChatSession).where(condition))
        return _record(row) if row is not None else None


def _record(row: ChatSession) -> ChatSessionRecord:
    return ChatSessionRecord(
        **{one.name: getattr(row, one.name) for one in fields(ChatSessionRecord)}
    )


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
