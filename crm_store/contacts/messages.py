"""Messages: what was written in a conversation, in, out or among agents.

Owns that a message is kept once under the key that the other side has for it, and what it does to
its conversation: whose turn it is, since when somebody waits, what a list shows of it. Emits
MessageReceived and MessageWritten. Sends nothing: `outbox` has what is to go out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, bindparam, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from crm_store import audit, text_search
from crm_store.contacts.attachments import FileRecord, of_messages
from crm_store.database import Database, Transaction
from crm_store.facts import Fact, MessageReceived, MessageWritten
from crm_store.models import (
    Channel,
    Conversation,
    ConversationState,
    Interaction,
    Mention,
    Message,
    MessageState,
    OutboxMessage,
)
from crm_store.signals import Direction
from crm_store.text_search import EntryKind, NewEntry

LONGEST_KEY = 400
LONGEST_PREVIEW = 200
# Words beyond this are found no more: a mail of a megabyte is a log file, not a letter.
LONGEST_SEARCHED = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to be kept; the fields are the table's (models/messages.py).

    `external_key` is "" for what the other side has no key for. The first of an inbound one's
    `recipients` is ours: answers go out from there.
    """

    conversation_id: int
    direction: Direction
    channel: Channel
    text: str = ""
    external_key: str = ""
    message_id: str = ""
    author: str = ""
    sender: str = ""
    sender_name: str = ""
    recipients: Sequence[str] = ()
    subject: str = ""
    quoted: str = ""
    html: str = ""
    language: str = ""
    at: datetime | None = None
    sent_at: datetime | None = None
    raw_file: str = ""
    problems: Sequence[str] = ()
    automatic: str = ""
    is_authenticated: bool | None = None
    mentions: Sequence[str] = ()

    @property
    def reopens(self) -> bool:
        """Whether a person wrote this to us, so that somebody must look at it."""
        return self.direction is Direction.INBOUND and not self.automatic


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of a message of ours on its way; costs in millionths of the currency."""

    outbox_id: int
    state: MessageState
    error: str
    segments: int | None
    cost_micros: int | None
    cost_currency: str
    repeats: int
    due_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord:
    """A message as it stands in its conversation. `delivery` is None for what needs no outbox."""

    id: int
    conversation_id: int
    direction: Direction
    channel: Channel
    external_key: str | None
    message_id: str
    author: str
    sender: str
    sender_name: str
    recipients: list[str]
    subject: str
    text: str
    quoted: str
    html: str
    language: str
    at: datetime
    sent_at: datetime | None
    raw_file: str
    problems: list[str]
    automatic: str
    is_authenticated: bool | None
    mentions: list[str] = field(default_factory=list)
    files: list[FileRecord] = field(default_factory=list)
    delivery: Delivery | None = None


# ---- writing -------------------------------------------------------------------------------------


async def store(transaction: Transaction, new: NewMessage) -> tuple[int, bool]:
    """Keep a message; its id, and False if it was known already by its channel and key.

    A message of the customer's opens its conversation again, unless it is automatic or spam; ours
    makes it wait for them, unless it is automatic; a note changes neither. What was merged away
    goes into what it was merged into. Raises LookupError if there is no such conversation.
    """
    connection = await transaction.session.connection()
    at = new.at or datetime.now(UTC)
    conversation = await _conversation(connection, new.conversation_id)
    key = kept_key(new.external_key)
    written = await connection.execute(
        _INSERT[connection.dialect.name],
        {name: storable(getattr(new, name)) for name in _GIVEN}
        | {"conversation_id": conversation.id, "external_key": key, "at": at},
    )
    message_id = written.scalar_one_or_none()
    if message_id is None:
        known = await connection.execute(
            _KNOWN.where(_messages.c.channel == new.channel, _messages.c.external_key == key)
        )
        return int(known.scalar_one()), False
    if new.mentions:
        rows = [
            {"message_id": message_id, "agent": agent, "seen_at": None}
            for agent in dict.fromkeys(new.mentions)
        ]
        await connection.execute(insert(Mention.__table__), rows)  # type: ignore[arg-type]
    await connection.execute(
        _UPDATE, {"conversation": conversation.id} | _after(conversation, new, at)
    )
    if conversation.state is ConversationState.CLOSED and new.reopens:
        await connection.execute(
            update(Interaction.__table__)  # type: ignore[arg-type]
            .where(Interaction.id == conversation.interaction_id)
            .values(closed_at=None)
        )
    await text_search.index_new(
        transaction,
        [
            NewEntry(
                EntryKind.MESSAGE,
                message_id,
                conversation.customer_id,
                at,
                _searched(new),
                marks=_marks(new),
            )
        ],
    )
    fact: Fact
    if new.direction is Direction.INBOUND:
        fact = MessageReceived(
            message_id=message_id, conversation_id=conversation.id, channel=new.channel.value
        )
    else:
        fact = MessageWritten(
            message_id=message_id,
            conversation_id=conversation.id,
            channel=new.channel.value,
            direction=new.direction.value,
        )
    await transaction.emit(fact)
    return message_id, True


async def mentions_seen(
    transaction: Transaction, agent: str, conversation_id: int, *, at: datetime | None = None
) -> int:
    """The agent has read what names them in this conversation; how many such notes there were."""
    in_it = select(Message.id).where(Message.conversation_id == conversation_id)
    done = await transaction.session.execute(
        update(Mention)
        .where(Mention.agent == agent, Mention.seen_at.is_(None), Mention.message_id.in_(in_it))
        .values(seen_at=at or datetime.now(UTC))
        .returning(Mention.message_id)
    )
    return len(done.all())


def kept_key(external_key: str) -> str | None:
    """A key as the table holds it: a long one by its digest, since an index has its limits."""
    if not external_key:
        return None
    if len(external_key) <= LONGEST_KEY and "\0" not in external_key:
        return external_key
    return digest_of(external_key)


def kept_keys(external_key: str) -> list[str]:
    """As what a message with this key may be kept: who is erased leaves only its digest, so that
    what is fetched again is not taken for new."""
    kept = kept_key(external_key)
    return list(dict.fromkeys([kept, digest_of(kept)])) if kept is not None else []


def digest_of(key: str) -> str:
    """A key that tells nobody whose message it was; that of a digest is itself."""
    if key.startswith(_DIGEST):
        return key
    return _DIGEST + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


_DIGEST = "sha256:"


def storable(value: Any) -> Any:
    """A value without what PostgreSQL has no place for in a text: zeros and half characters."""
    if isinstance(value, str):
        if "\0" in value:
            value = value.replace("\0", "\ufffd")
        if not value.isascii():
            value = value.encode("utf-8", "replace").decode()
        return value
    if isinstance(value, (list, tuple)):
        return [storable(one) for one in value]
    return value


def preview_of(text: str, subject: str = "") -> str:
    """What a list shows of a message."""
    said = " ".join((text or subject)[: LONGEST_PREVIEW * 4].split())
    return said if len(said) <= LONGEST_PREVIEW else said[: LONGEST_PREVIEW - 1] + "…"


# ---- reading -------------------------------------------------------------------------------------


async def of_conversation(
    database: Database,
    conversation_id: int,
    *,
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[MessageRecord]:
    """A conversation's messages with files and delivery, the newest first; `before` is the moment
    and the id of the last one of the former page."""
    query = select(Message).where(Message.conversation_id == conversation_id)
    if before is not None:
        at, message_id = before
        query = query.where(or_(Message.at < at, and_(Message.at == at, Message.id < message_id)))
    newest_first = query.order_by(Message.at.desc(), Message.id.desc()).limit(limit)
    async with database.reading() as session:
        return await _records(session, (await session.scalars(newest_first)).all())


async def find(database: Database, message_id: int) -> MessageRecord | None:
    async with database.reading() as session:
        row = await session.get(Message, message_id)
        return (await _records(session, [row]))[0] if row is not None else None


async def known(database: Database, channel: Channel, external_key: str) -> tuple[int, int] | None:
    """The ids of the message that has this key, and of its conversation; None for a new key."""
    query = select(Message.id, Message.conversation_id).where(
        Message.channel == channel, Message.external_key.in_(kept_keys(external_key))
    )
    async with database.reading() as session:
        row = (await session.execute(query.limit(1))).one_or_none()
        return (row[0], row[1]) if row is not None else None


async def _records(session: AsyncSession, rows: Sequence[Message]) -> list[MessageRecord]:
    ids = [row.id for row in rows]
    files = await of_messages(session, ids)
    deliveries = await deliveries_of(session, ids)
    mentions: dict[int, list[str]] = {}
    notes = [row.id for row in rows if row.direction is Direction.INTERNAL]
    if notes:
        for one in await session.scalars(
            select(Mention).where(Mention.message_id.in_(notes)).order_by(Mention.agent)
        ):
            mentions.setdefault(one.message_id, []).append(one.agent)
    return [
        MessageRecord(
            **{name: getattr(row, name) for name in _FIELDS},
            mentions=mentions.get(row.id, []),
            files=files.get(row.id, []),
            delivery=deliveries.get(row.id),
        )
        for row in rows
    ]


async def deliveries_of(session: AsyncSession, message_ids: Iterable[int]) -> dict[int, Delivery]:
    """What became of these messages, by their ids; those without a row in the outbox have none."""
    wanted = list(message_ids)
    if not wanted:
        return {}
    rows = await session.scalars(
        select(OutboxMessage).where(OutboxMessage.message_id.in_(wanted)).order_by(OutboxMessage.id)
    )
    found: dict[int, Delivery] = {}
    for row in rows:
        assert row.message_id is not None
        found[row.message_id] = Delivery(
            outbox_id=row.id,
            state=row.state,
            error=row.error,
            segments=row.segments,
            cost_micros=row.cost_micros,
            cost_currency=row.cost_currency,
            repeats=row.repeats,
            due_at=row.due_at,
            sent_at=row.sent_at,
            delivered_at=row.delivered_at,
        )
    return found


# ---- what a message does to its conversation -----------------------------------------------------


async def _conversation(connection: AsyncConnection, conversation_id: int) -> Any:
    """The conversation's row, locked; the one that it was merged into, if it was."""
    wanted: int | None = conversation_id
    while True:
        found = await connection.execute(_LOCKED, {"conversation": wanted})
        row = found.one_or_none()
        if row is None:
            raise LookupError(f"there is no conversation {wanted}")
        if row.merged_into is None:
            return row
        wanted = row.merged_into


def _after(conversation: Any, new: NewMessage, at: datetime) -> dict[str, Any]:
    """The conversation's values after this message."""
    values: dict[str, Any] = {}
    if new.direction is Direction.INTERNAL:
        return values
    if at >= conversation.last_message_at:
        values["last_message_at"] = at
        values["preview"] = storable(preview_of(new.text, new.subject))
    if new.direction is Direction.INBOUND:
        if new.automatic in ("auto_reply", "bounce", "complaint"):
            return values
        if new.sender:
            values |= {"channel": new.channel, "address": new.sender}
            if new.recipients or new.channel is not conversation.channel:
                # An address of ours on another channel is none that can answer on this one.
                values["our_address"] = next(iter(new.recipients), "")
        if new.automatic or conversation.state is ConversationState.SPAM:
            return values
        values |= {"state": ConversationState.OPEN, "snoozed_until": None, "closed_at": None}
        if conversation.waiting_since is None:
            values["waiting_since"] = at
    elif not new.automatic:
        values["waiting_since"] = None
        if conversation.first_answered_at is None:
            values["first_answered_at"] = at
        if conversation.state is ConversationState.OPEN:
            values["state"] = ConversationState.WAITING
    return values


def _marks(new: NewMessage) -> list[str]:
    by = [text_search.agent_mark(new.author)] if new.author not in ("", audit.SYSTEM) else []
    return [text_search.channel_mark(new.channel), *by]


def _searched(new: NewMessage) -> list[str]:
    agent = "" if new.author == audit.SYSTEM else new.author
    texts = [new.subject, new.text, new.sender_name, new.sender, agent]
    return [text[:LONGEST_SEARCHED] for text in dict.fromkeys(texts) if text]


# Statements that are built once: a busy inbox would spend its time on building them.
_messages: Any = Message.__table__
_conversations: Any = Conversation.__table__
_INSERT = {
    name: make(_messages)
    .on_conflict_do_nothing(index_elements=["channel", "external_key"])
    .returning(_messages.c.id)
    for name, make in (("sqlite", sqlite_insert), ("postgresql", postgresql_insert))
}
_KNOWN = select(_messages.c.id)
_LOCKED = (
    select(
        *(
            _conversations.c[name]
            for name in (
                "id",
                "interaction_id",
                "customer_id",
                "channel",
                "state",
                "waiting_since",
                "first_answered_at",
                "last_message_at",
                "merged_into",
            )
        )
    )
    .where(_conversations.c.id == bindparam("conversation"))
    .with_for_update()
)
_UPDATE = (
    update(_conversations)
    .where(_conversations.c.id == bindparam("conversation"))
    .values(version=_conversations.c.version + 1)
)
_FIELDS = (
    "id",
    "conversation_id",
    "direction",
    "channel",
    "external_key",
    "message_id",
    "author",
    "sender",
    "sender_name",
    "recipients",
    "subject",
    "text",
    "quoted",
    "html",
    "language",
    "at",
    "sent_at",
    "raw_file",
    "problems",
    "automatic",
    "is_authenticated",
)
_GIVEN = tuple(name for name in _FIELDS if name not in ("id", "conversation_id", "at"))
