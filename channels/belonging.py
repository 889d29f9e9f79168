"""Belonging: whose a message is, which conversation it goes on with, and as what both are kept.

Owns the order in which that is found out: who writes, by what the channel itself has proven, else
by the address; then the conversation; then whose that one is. Decides nothing about queues: rules
and arrangements do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from channels.arrangements import Arrangement
from channels.attachments import KeptFile
from channels.incoming import Incoming, Received
from channels.rule_runs import Plan
from channels.rules import Written
from crm_store.contacts import continuing, conversations, messages
from crm_store.contacts.attachments import NewFile
from crm_store.contacts.conversations import NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.database import Transaction
from crm_store.models import Conversation, Customer, Message, Segment
from crm_store.people import identity
from crm_store.people.identity import Known
from crm_store.signals import Direction


@dataclass(frozen=True, slots=True)
class Person:
    """Who writes, as far as it is known."""

    known: Known
    segment: Segment | None = None
    language: str = ""


async def known(transaction: Transaction, incoming: Incoming) -> Received | None:
    keys = messages.kept_keys(incoming.external_key)
    row = (
        await transaction.session.execute(
            select(Message.id, Message.conversation_id)
            .where(Message.channel == incoming.channel, Message.external_key.in_(keys))
            .limit(1)
        )
    ).one_or_none()
    return Received(row.id, row.conversation_id, False) if row is not None else None


async def writer_of(transaction: Transaction, incoming: Incoming) -> Known:
    """Whom the channel has proven, else whose the address is."""
    if incoming.customer_id is not None:
        return Known(incoming.customer_id, (incoming.customer_id,))
    return await identity.who_is(
        transaction.session,
        incoming.channel,
        incoming.sender,
        is_authenticated=incoming.is_authenticated,
    )


async def conversation_of(
    transaction: Transaction, incoming: Incoming, writer: Known
) -> Conversation | None:
    """The conversation that it goes on with, locked; None for the beginning of a new one."""
    found = incoming.conversation_id
    if found is None and incoming.interaction_id is None:
        # An address that several have says too little to take a message elsewhere.
        is_certain = writer.candidates == (writer.customer_id,)
        found = await continuing.conversation_for(
            transaction.session,
            incoming.channel,
            incoming.sender,
            incoming.reply_to,
            customer_id=writer.customer_id if is_certain else None,
            is_automatic=bool(incoming.automatic),
            now=incoming.received_at,
        )
    while found is not None:
        row = await transaction.session.get(
            Conversation, found, with_for_update=True, populate_existing=True
        )
        if row is None:
            raise LookupError(f"there is no conversation {found}")
        if row.merged_into is None:
            return row
        found = row.merged_into
    return None


async def person_of(
    transaction: Transaction,
    incoming: Incoming,
    writer: Known,
    conversation: Conversation | None,
) -> Person:
    """Whom the channel has proven, else whose conversation it is, else whose the address is."""
    known = writer
    if incoming.customer_id is None and conversation is not None and conversation.customer_id:
        known = Known(conversation.customer_id)
    if known.customer_id is None:
        return Person(known)
    row = (
        await transaction.session.execute(
            select(Customer.segment, Customer.language).where(Customer.id == known.customer_id)
        )
    ).one_or_none()
    if row is None:
        raise LookupError(f"there is no customer {known.customer_id}")
    return Person(known, row.segment, row.language)


def new_conversation(
    incoming: Incoming,
    plan: Plan,
    written: Written,
    person: Person,
    arrangement: Arrangement,
) -> NewConversation:
    """As the rules want it from the first: it is never in another queue first."""
    queue = plan.queue if plan.queue in arrangement.queues else written.queue
    targets = arrangement.targets(
        queue, incoming.channel, incoming.received_at, person.segment, ahead=plan.ahead
    )
    return NewConversation(
        channel=incoming.channel,
        address=incoming.sender,
        our_address=incoming.our_address,
        customer_id=person.known.customer_id,
        subject=incoming.subject,
        language=written.language,
        queue=queue or None,
        assigned_to=plan.assigned_to,
        priority=targets.priority,
        tags=plan.tags[: conversations.MOST_TAGS],
        at=incoming.received_at,
        first_answer_due_at=None if incoming.automatic else targets.first_answer_due_at,
        resolution_due_at=None if incoming.automatic else targets.resolution_due_at,
        interaction_id=incoming.interaction_id,
    )


def new_message(
    incoming: Incoming, conversation_id: int, language: str, raw_file: str
) -> NewMessage:
    # What they wrote to comes first: that is where our answer will be from.
    ours = [incoming.our_address] if incoming.our_address else []
    return NewMessage(
        conversation_id=conversation_id,
        direction=Direction.INBOUND,
        channel=incoming.channel,
        text=incoming.text,
        external_key=incoming.external_key,
        message_id=incoming.message_id,
        sender=incoming.sender,
        sender_name=incoming.sender_name,
        recipients=list(dict.fromkeys([*ours, *incoming.recipients])),
        subject=incoming.subject,
        quoted=incoming.quoted,
        html=incoming.html,
        language=language,
        at=incoming.received_at,
        sent_at=incoming.sent_at,
        raw_file=raw_file,
        problems=incoming.problems,
        automatic=incoming.automatic,
        is_authenticated=incoming.is_authenticated,
    )


def files_of(incoming: Incoming, kept: Sequence[KeptFile]) -> list[NewFile]:
    return [
        NewFile(
            name=file.name,
            media_type=file.media_type,
            size=file.size,
            sha256=file.sha256,
            file=file.file,
            content_id=given.content_id,
            reason=file.reason,
        )
        for given, file in zip(incoming.files, kept, strict=True)
    ]


async def renew_place(
    transaction: Transaction,
    conversation: Conversation,
    incoming: Incoming,
    person: Person,
    arrangement: Arrangement,
) -> None:
    """They write again after they were answered: their place is that of who comes now, and what was
    closed is to be settled by a new time."""
    targets = arrangement.targets(
        conversation.queue, incoming.channel, incoming.received_at, person.segment
    )
    is_anew = conversation.closed_at is not None
    await conversations.set_targets(
        transaction,
        conversation.id,
        priority=targets.priority,
        first_answer_due_at=conversation.first_answer_due_at,
        resolution_due_at=targets.resolution_due_at if is_anew else conversation.resolution_due_at,
    )


def language_of(text: str) -> str:
    """The language that letters alone tell, "" if they do not."""
    sample = [letter for letter in text[:1_000] if letter.isalpha()]
    if not sample:
        return ""
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in sample)
    kana = any("\u3040" <= letter <= "\u30ff" for letter in sample)
    arabic = sum("\u0600" <= letter <= "\u06ff" for letter in sample)
    if han * 3 > len(sample) and not kana:
        return "zh"
    return "fa" if arabic * 2 > len(sample) else ""
