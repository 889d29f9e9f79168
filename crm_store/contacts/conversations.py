"""Conversations: written contact with one person until it is settled, over any number of channels.

Owns their life (open, waiting, snoozed, closed, spam), who has them, and that two who change one at
once are told. Each has one interaction, which is what the customer's story shows. What a message
does to its conversation is `messages`'; which queue, whose turn and by when is the channels' to
decide. Emits ConversationChanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy import update as sql_update

from crm_store import audit, text_search
from crm_store.contacts import interactions
from crm_store.contacts.queue_places import priority as place_of
from crm_store.database import Database, Transaction
from crm_store.facts import ConversationChanged, ConversationClosed
from crm_store.models import (
    Channel,
    Conversation,
    ConversationState,
    Interaction,
    Message,
    OutboxMessage,
)
from crm_store.signals import Direction
from crm_store.text_search import EntryKind

LONGEST_SUBJECT = 300
MOST_TAGS = 20
LONGEST_TAG = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConversation:
    """A conversation to be opened. `address` is theirs on that channel. Without a `priority` its
    place is that of who came `at` that moment. `interaction_id` is given where the contact has one
    already (a fax)."""

    channel: Channel
    address: str = ""
    our_address: str = ""
    direction: Direction = Direction.INBOUND
    customer_id: int | None = None
    subject: str = ""
    language: str = ""
    queue: str | None = None
    assigned_to: str | None = None
    priority: int | None = None
    tags: Sequence[str] = ()
    at: datetime | None = None
    first_answer_due_at: datetime | None = None
    resolution_due_at: datetime | None = None
    interaction_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRecord:
    """A conversation as it stands; the fields are the table's (models/messages.py)."""

    id: int
    interaction_id: int
    customer_id: int | None
    subject: str
    channel: Channel
    address: str
    our_address: str
    language: str
    state: ConversationState
    queue: str | None
    assigned_to: str | None
    priority: int
    tags: list[str] = field(default_factory=list)
    preview: str
    opened_at: datetime
    last_message_at: datetime
    waiting_since: datetime | None
    first_answer_due_at: datetime | None
    first_answered_at: datetime | None
    resolution_due_at: datetime | None
    closed_at: datetime | None
    snoozed_until: datetime | None
    merged_into: int | None
    version: int


class Conflict(Exception):
    """Somebody else has changed it since; `current` is how it stands now."""

    def __init__(self, current: ConversationRecord) -> None:
        super().__init__(f"conversation {current.id} is at version {current.version}")
        self.current = current


# ---- opening, finding ----------------------------------------------------------------------------


async def open_conversation(
    transaction: Transaction, new: NewConversation, *, actor: str = audit.SYSTEM
) -> int:
    """Open a conversation, and its interaction; the conversation's id."""
    at = new.at or datetime.now(UTC)
    subject = _one_line(new.subject, LONGEST_SUBJECT)
    interaction_id = new.interaction_id
    if interaction_id is None:
        interaction_id = await interactions.open_interaction(
            transaction,
            channel=new.channel,
            direction=new.direction,
            customer_id=new.customer_id,
            address=new.address,
            at=at,
            agent=new.assigned_to,
            queue=new.queue,
            summary=subject,
        )
    connection = await transaction.session.connection()
    written = await connection.execute(
        _OPEN,
        {
            "interaction_id": interaction_id,
            "customer_id": new.customer_id,
            "subject": subject,
            "channel": new.channel,
            "address": new.address,
            "our_address": new.our_address,
            "language": new.language,
            "queue": new.queue,
            "assigned_to": new.assigned_to,
            "priority": place_of(at.timestamp()) if new.priority is None else new.priority,
            "tags": _tags(new.tags),
            "opened_at": at,
            "last_message_at": at,
            "first_answer_due_at": new.first_answer_due_at,
            "resolution_due_at": new.resolution_due_at,
        },
    )
    conversation_id = int(written.scalar_one())
    if actor != audit.SYSTEM:
        await audit.record(
            transaction,
            actor=actor,
            action="created",
            subject_kind="conversation",
            subject_id=conversation_id,
        )
    await transaction.emit(
        ConversationChanged(conversation_id=conversation_id, what="opened", version=1)
    )
    return conversation_id


async def find(database: Database, conversation_id: int) -> ConversationRecord | None:
    """The conversation of that very number, also if it was merged away."""
    async with database.reading() as session:
        row = await session.get(Conversation, conversation_id)
        return record_of(row) if row is not None else None


async def of_interaction(database: Database, interaction_id: int) -> ConversationRecord | None:
    query = select(Conversation).where(Conversation.interaction_id == interaction_id)
    async with database.reading() as session:
        row = (await session.scalars(query)).one_or_none()
        return record_of(row) if row is not None else None


# ---- changing ------------------------------------------------------------------------------------


async def expect(transaction: Transaction, conversation_id: int, version: int) -> None:
    """Nobody else changes it until this transaction ends. Raises Conflict if somebody has changed
    it since that version, LookupError if there is none."""
    await _locked(transaction, conversation_id, version)


async def assign(
    transaction: Transaction,
    conversation_id: int,
    agent: str | None,
    *,
    actor: str,
    expected_version: int | None = None,
) -> None:
    """Give it to an agent (login), or back to whoever serves its queue.

    Like every change here, raises LookupError if there is no such conversation, and Conflict if it
    is not at `expected_version` any more.
    """
    row = await _locked(transaction, conversation_id, expected_version)
    if row.assigned_to == agent:
        return
    row.assigned_to = agent
    if agent is not None:
        await _change_interaction(transaction, row, agent=agent)
    await _changed(transaction, row, "assigned", actor, ["assigned_to"])


async def set_queue(
    transaction: Transaction,
    conversation_id: int,
    queue: str | None,
    *,
    actor: str,
    expected_version: int | None = None,
) -> None:
    """It waits in that queue from now on. Whoever has it keeps it."""
    row = await _locked(transaction, conversation_id, expected_version)
    if row.queue == queue:
        return
    row.queue = queue
    await _change_interaction(transaction, row, queue=queue)
    await _changed(transaction, row, "queue", actor, ["queue"])


async def set_targets(
    transaction: Transaction,
    conversation_id: int,
    *,
    priority: int,
    first_answer_due_at: datetime | None,
    resolution_due_at: datetime | None,
    actor: str = audit.SYSTEM,
) -> None:
    """Its place in the queue, and by when it is to be answered and settled."""
    row = await _locked(transaction, conversation_id, None)
    row.priority = priority
    row.first_answer_due_at = first_answer_due_at
    row.resolution_due_at = resolution_due_at
    await _changed(transaction, row, "targets", actor, ["targets"])


async def set_subject(
    transaction: Transaction,
    conversation_id: int,
    subject: str,
    *,
    actor: str,
    expected_version: int | None = None,
) -> None:
    row = await _locked(transaction, conversation_id, expected_version)
    row.subject = _one_line(subject, LONGEST_SUBJECT)
    await _change_interaction(transaction, row, summary=row.subject)
    await _changed(transaction, row, "subject", actor, ["subject"])


async def set_state(
    transaction: Transaction,
    conversation_id: int,
    state: ConversationState,
    *,
    actor: str,
    expected_version: int | None = None,
) -> None:
    """Make it open or waiting. Raises ValueError for a state that has a function of its own."""
    if state not in (ConversationState.OPEN, ConversationState.WAITING):
        raise ValueError("use close, snooze or mark_spam")
    row = await _locked(transaction, conversation_id, expected_version)
    await _bring_back(transaction, row, state)
    await _changed(transaction, row, "state", actor, ["state"])


async def close(
    transaction: Transaction,
    conversation_id: int,
    *,
    actor: str,
    disposition: str | None = None,
    note: str | None = None,
    expected_version: int | None = None,
    at: datetime | None = None,
) -> None:
    """It is settled; its interaction closes with `actor`'s disposition and note."""
    row = await _locked(transaction, conversation_id, expected_version)
    moment = at or datetime.now(UTC)
    row.state = ConversationState.CLOSED
    row.closed_at = moment
    row.snoozed_until = row.waiting_since = None
    is_agent = actor != audit.SYSTEM
    await interactions.close(
        transaction,
        row.interaction_id,
        disposition=disposition,
        agent=actor if is_agent else None,
        note=note,
        at=moment,
    )
    await _changed(transaction, row, "state", actor, ["state"])
    await transaction.emit(ConversationClosed(conversation_id=row.id))


async def reopen(
    transaction: Transaction,
    conversation_id: int,
    *,
    actor: str,
    expected_version: int | None = None,
) -> None:
    """It is ours to answer again: what was closed, snoozed or taken for spam."""
    await set_state(
        transaction,
        conversation_id,
        ConversationState.OPEN,
        actor=actor,
        expected_version=expected_version,
    )


async def snooze(
    transaction: Transaction,
    conversation_id: int,
    until: datetime,
    *,
    actor: str,
    expected_version: int | None = None,
) -> None:
    """Out of sight until that moment, or until the customer writes."""
    row = await _locked(transaction, conversation_id, expected_version)
    await _bring_back(transaction, row, ConversationState.SNOOZED)
    row.snoozed_until = until
    await _changed(transaction, row, "state", actor, ["state"])


async def wake_due(
    transaction: Transaction, *, now: datetime | None = None, limit: int = 200
) -> list[int]:
    """Open again what was snoozed until now; which."""
    moment = now or datetime.now(UTC)
    due = await transaction.session.scalars(
        select(Conversation)
        .where(
            Conversation.state == ConversationState.SNOOZED, Conversation.snoozed_until <= moment
        )
        .order_by(Conversation.snoozed_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    woken = []
    for row in due.all():
        row.state = ConversationState.OPEN
        row.snoozed_until = None
        await _changed(transaction, row, "state", audit.SYSTEM, ["state"])
        woken.append(row.id)
    return woken


async def mark_spam(
    transaction: Transaction,
    conversation_id: int,
    *,
    actor: str,
    expected_version: int | None = None,
) -> None:
    """Nobody needs to answer it; what else comes to it stays there."""
    row = await _locked(transaction, conversation_id, expected_version)
    row.state = ConversationState.SPAM
    row.snoozed_until = row.waiting_since = None
    await interactions.close(transaction, row.interaction_id, disposition=None)
    await _changed(transaction, row, "state", actor, ["state"])


async def add_tags(
    transaction: Transaction,
    conversation_id: int,
    tags: Sequence[str],
    *,
    actor: str,
    expected_version: int | None = None,
) -> list[str]:
    """All its tags afterwards. Raises ValueError for more than twenty, or one that is empty."""
    row = await _locked(transaction, conversation_id, expected_version)
    return await _retag(transaction, row, [*row.tags, *tags], actor)


async def remove_tags(
    transaction: Transaction,
    conversation_id: int,
    tags: Sequence[str],
    *,
    actor: str,
    expected_version: int | None = None,
) -> list[str]:
    """All its tags afterwards."""
    row = await _locked(transaction, conversation_id, expected_version)
    gone = {tag.casefold() for tag in tags}
    left = [tag for tag in row.tags if tag.casefold() not in gone]
    return await _retag(transaction, row, left, actor)


async def give_to_customer(
    transaction: Transaction,
    conversation_id: int,
    customer_id: int,
    *,
    actor: str,
    expected_version: int | None = None,
) -> None:
    """It is with this customer: the interaction, what is found by words and what is to go out are
    theirs. Raises LookupError if either is unknown."""
    row = await _locked(transaction, conversation_id, expected_version)
    if row.customer_id == customer_id:
        return
    await interactions.assign_customer(transaction, row.interaction_id, customer_id, actor=actor)
    row.customer_id = customer_id
    session = transaction.session
    message_ids = list(
        await session.scalars(select(Message.id).where(Message.conversation_id == row.id))
    )
    await text_search.assign(transaction, EntryKind.MESSAGE, message_ids, customer_id)
    await text_search.index_interaction(transaction, row.interaction_id)
    await session.execute(
        sql_update(OutboxMessage)
        .where(OutboxMessage.interaction_id == row.interaction_id)
        .values(customer_id=customer_id)
    )
    await _changed(transaction, row, "customer", actor, ["customer_id"])


# ---- how -----------------------------------------------------------------------------------------


def record_of(row: Conversation) -> ConversationRecord:
    """The table's row as everybody else sees it."""
    return ConversationRecord(**{name: getattr(row, name) for name in _FIELDS})


async def reopen_interaction(transaction: Transaction, row: Conversation) -> None:
    """The contact is not over after all."""
    await _change_interaction(transaction, row, closed_at=None)


# Built once: building it takes longer than running it.
_OPEN = insert(Conversation.__table__).returning(Conversation.__table__.c.id)  # type: ignore[arg-type]
_FIELDS = tuple(ConversationRecord.__dataclass_fields__)


async def _locked(
    transaction: Transaction, conversation_id: int, expected_version: int | None
) -> Conversation:
    row = await transaction.session.get(
        Conversation, conversation_id, with_for_update=True, populate_existing=True
    )
    if row is None or (row.merged_into is not None and expected_version is None):
        raise LookupError(f"there is no conversation {conversation_id}")
    if expected_version is not None and row.version != expected_version:
        raise Conflict(record_of(row))
    return row


async def _changed(
    transaction: Transaction, row: Conversation, what: str, actor: str, fields: list[str]
) -> None:
    row.version += 1
    await transaction.session.flush()
    await audit.record(
        transaction,
        actor=actor,
        action="changed",
        subject_kind="conversation",
        subject_id=row.id,
        fields=fields,
    )
    await transaction.emit(
        ConversationChanged(conversation_id=row.id, what=what, version=row.version)
    )


async def _change_interaction(transaction: Transaction, row: Conversation, **values: Any) -> None:
    await transaction.session.execute(
        sql_update(Interaction).where(Interaction.id == row.interaction_id).values(**values)
    )
    await text_search.index_interaction(transaction, row.interaction_id)


async def _bring_back(
    transaction: Transaction, row: Conversation, state: ConversationState
) -> None:
    if row.state in (ConversationState.CLOSED, ConversationState.SPAM):
        row.closed_at = None
        await reopen_interaction(transaction, row)
    row.state = state
    row.snoozed_until = None


async def _retag(
    transaction: Transaction, row: Conversation, tags: Sequence[str], actor: str
) -> list[str]:
    left = _tags(tags)
    if left != row.tags:
        row.tags = left
        await _changed(transaction, row, "tags", actor, ["tags"])
    return left


def _tags(tags: Sequence[str]) -> list[str]:
    """Each once, whatever its case, in their order."""
    found: dict[str, str] = {}
    for tag in tags:
        plain = _one_line(tag, LONGEST_TAG)
        if not plain:
            raise ValueError("a tag has a name")
        found.setdefault(plain.casefold(), plain)
    if len(found) > MOST_TAGS:
        raise ValueError(f"a conversation has at most {MOST_TAGS} tags")
    return list(found.values())


def _one_line(text: str, longest: int) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:longest]
