"""Answering: what an agent or a rule writes, into its conversation and on its way to the customer.

Owns where an answer goes, what makes a mail part of its thread, and that the same answer is written
once. What waits in the outbox is sent by outbox.py; a chat's and the hall's pages show what is in
their conversation, so nothing waits for them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select

from channels.senders import mail_message_id
from crm_store import audit
from crm_store.contacts import attachments, conversations, messages, outbox
from crm_store.contacts.messages import NewMessage
from crm_store.database import Transaction
from crm_store.models import (
    Agent,
    Channel,
    ContactKind,
    ContactPoint,
    Conversation,
    Message,
    Purpose,
)
from crm_store.people.customers import mail_address
from crm_store.people.phone_numbers import to_e164
from crm_store.signals import Direction

SHOWN_ON_OUR_PAGES = frozenset({Channel.CHAT, Channel.WEB})
"""Channels of which our own pages show the messages: nothing is sent."""

CARRIED = frozenset({Channel.MAIL, Channel.SMS, Channel.MESSENGER, Channel.FAX})
"""Channels that carry messages to the customer."""

# As long as a References header may usefully be: the first one and the latest.
MOST_REFERENCES = 20
_KINDS = {
    Channel.MAIL: ContactKind.MAIL,
    Channel.SMS: ContactKind.PHONE,
    Channel.MESSENGER: ContactKind.MESSENGER,
    Channel.FAX: ContactKind.FAX,
}
_MENTION = re.compile(r"(?<![\w@.])@([\w.+-]{1,100})")


class CannotAnswer(Exception):
    """It cannot be sent. `why` is no_conversation, no_text, no_channel (nothing is written on it,
    or they went on elsewhere after their chat), no_address, bad_address, address_in_trouble (it
    bounced, or is known to be wrong), too_long or no_file (an upload that is gone, or another's).
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


async def answer(
    transaction: Transaction,
    conversation_id: int,
    *,
    author: str,
    text: str,
    attachment_ids: Sequence[int] = (),
    channel: Channel | None = None,
    purpose: Purpose = Purpose.ANSWER,
    idempotency_key: str | None = None,
    due_at: datetime | None = None,
    close: bool = False,
    disposition: str | None = None,
) -> int:
    """Write an answer to the customer, in the conversation and, where it must be sent, in the
    outbox; the message's id.

    It goes where the customer last wrote, or by `channel` to the address that they have there; not
    before `due_at`. `author` is a login, or "system" for a rule. The same `idempotency_key` again
    is the same answer. With `close` the conversation is settled, with a disposition. An answer is
    never kept back by an opt-out: they asked. Raises CannotAnswer.
    """
    conversation = await _whole(transaction, conversation_id)
    if not text.strip() and not attachment_ids:
        raise CannotAnswer("no_text")
    channel = channel or conversation.channel
    is_carried = channel in CARRIED
    if not is_carried and channel not in SHOWN_ON_OUR_PAGES:
        raise CannotAnswer("no_channel")
    if channel is Channel.CHAT and channel is not conversation.channel:
        # Their page may be closed by now: an answer there would be read by nobody.
        raise CannotAnswer("no_channel")
    to = await _address(transaction, conversation, channel) if is_carried else conversation.address
    if is_carried:
        _check(channel, to, text)
    key = idempotency_key or secrets.token_hex(16)
    is_mail = channel is Channel.MAIL
    our_address = conversation.our_address if channel is conversation.channel else ""
    message_id, is_new = await messages.store(
        transaction,
        NewMessage(
            conversation_id=conversation.id,
            direction=Direction.OUTBOUND,
            channel=channel,
            text=text,
            external_key=f"ours:{key}",
            message_id=mail_message_id(key, our_address) if is_mail else "",
            author=author,
            sender=our_address,
            recipients=[to],
            subject=_subject(conversation.subject or conversation.preview[:60]) if is_mail else "",
            language=conversation.language,
            automatic="rule" if author == audit.SYSTEM else "",
        ),
    )
    if not is_new:
        return message_id
    try:
        await attachments.give(transaction, attachment_ids, message_id, uploaded_by=author)
        if is_carried:
            await outbox.write(
                transaction,
                channel=channel,
                to=to,
                text=text,
                subject=_subject(conversation.subject or conversation.preview[:60])
                if is_mail
                else "",
                headers=await _threading(transaction, conversation.id, to, message_id)
                if is_mail
                else None,
                attachment_ids=attachment_ids,
                language=conversation.language,
                our_address=our_address,
                purpose=purpose,
                message_id=message_id,
                customer_id=conversation.customer_id,
                interaction_id=conversation.interaction_id,
                idempotency_key=key,
                due_at=due_at,
                actor=author,
            )
    except LookupError as missing:
        raise CannotAnswer("no_file") from missing
    if close:
        await conversations.close(
            transaction, conversation.id, actor=author, disposition=disposition
        )
    return message_id


async def note(
    transaction: Transaction,
    conversation_id: int,
    *,
    author: str,
    text: str,
    attachment_ids: Sequence[int] = (),
) -> int:
    """Write a note that only agents see; the message's id. Whoever is named in it by "@login" is
    told. Raises CannotAnswer."""
    conversation = await _whole(transaction, conversation_id)
    if not text.strip() and not attachment_ids:
        raise CannotAnswer("no_text")
    named = {name.rstrip(".-").casefold() for name in _MENTION.findall(text)}
    mentioned: Sequence[str] = ()
    if named:
        logins = await transaction.session.scalars(select(Agent.login).where(Agent.active))
        mentioned = [login for login in logins if login.casefold() in named and login != author]
    message_id, _ = await messages.store(
        transaction,
        NewMessage(
            conversation_id=conversation.id,
            direction=Direction.INTERNAL,
            channel=conversation.channel,
            text=text,
            author=author,
            mentions=mentioned,
        ),
    )
    try:
        await attachments.give(transaction, attachment_ids, message_id, uploaded_by=author)
    except LookupError as missing:
        raise CannotAnswer("no_file") from missing
    return message_id


# ---- where it goes -------------------------------------------------------------------------------


async def _whole(transaction: Transaction, conversation_id: int) -> Conversation:
    """The conversation, or the one that it was merged into."""
    wanted: int | None = conversation_id
    while wanted is not None:
        row = await transaction.session.get(Conversation, wanted, populate_existing=True)
        if row is None:
            break
        if row.merged_into is None:
            return row
        wanted = row.merged_into
    raise CannotAnswer("no_conversation")


async def _address(transaction: Transaction, conversation: Conversation, channel: Channel) -> str:
    """Where they are reached on that channel: as they last wrote, else as the customer is known."""
    session = transaction.session
    to = conversation.address if channel is conversation.channel else ""
    if not to:
        wrote = (
            select(Message.sender)
            .where(
                Message.conversation_id == conversation.id,
                Message.direction == Direction.INBOUND,
                Message.channel == channel,
                Message.sender != "",
            )
            .order_by(Message.at.desc())
            .limit(1)
        )
        to = await session.scalar(wrote) or ""
    points = select(ContactPoint.value, ContactPoint.trouble).where(
        ContactPoint.kind == _KINDS[channel]
    )
    if to:
        known = (await session.execute(points.where(ContactPoint.value == to))).all()
    elif conversation.customer_id is not None:
        known = (
            await session.execute(
                points.where(ContactPoint.customer_id == conversation.customer_id).order_by(
                    ContactPoint.trouble, ContactPoint.proven_at.desc(), ContactPoint.id
                )
            )
        ).all()
        to = known[0].value if known else ""
    if not to:
        raise CannotAnswer("no_address")
    if any(point.trouble in ("bounced", "invalid") for point in known if point.value == to):
        raise CannotAnswer("address_in_trouble")
    return to


async def _threading(
    transaction: Transaction, conversation_id: int, to: str, message_id: int
) -> Mapping[str, str]:
    """The headers by which a mail stands in its thread: with what this party has seen of it."""
    rows = await transaction.session.execute(
        select(Message.message_id, Message.direction, Message.sender, Message.recipients)
        .where(
            Message.conversation_id == conversation_id,
            Message.message_id != "",
            Message.id != message_id,
        )
        .order_by(Message.at.desc(), Message.id.desc())
        .limit(MOST_REFERENCES)
    )
    seen = [
        row
        for row in rows
        if to in ([row.sender] if row.direction is Direction.INBOUND else row.recipients)
    ]
    if not seen:
        return {}
    seen.reverse()
    theirs = [row.message_id for row in seen if row.direction is Direction.INBOUND]
    return {
        "In-Reply-To": theirs[-1] if theirs else seen[-1].message_id,
        "References": " ".join(row.message_id for row in seen),
    }


def _check(channel: Channel, to: str, text: str) -> None:
    """What the outbox would refuse is refused before anything is written."""
    if len(text) > outbox.LONGEST_TEXT.get(channel, outbox.LONGEST_LETTER):
        raise CannotAnswer("too_long")
    if (channel is Channel.SMS and to_e164(to, "ZZ") != to) or (
        channel is Channel.MAIL and mail_address(to) != to
    ):
        raise CannotAnswer("bad_address")


def _subject(subject: str) -> str:
    return (
        subject
        if re.match(r"(re|aw|sv|回复|答复|پاسخ)\s*[:：]", subject, re.I)
        else f"Re: {subject}"
    )
