"""Conversations of the sample mall: a thread of mails, text messages, a chat, in four languages.

Owns sample data only, for customers whom sample_mall has just written. Nothing of it goes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import insert, select

from crm_store.contacts import conversations, messages
from crm_store.contacts.conversations import NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.contacts.queue_places import priority
from crm_store.database import Transaction
from crm_store.models import (
    Channel,
    ContactKind,
    ContactPoint,
    Customer,
    MessageState,
    OutboxMessage,
    Purpose,
)
from crm_store.signals import Direction

OUR_MAIL = "service@jadegate.example"
OUR_NUMBER = "+862155508800"
# The first four customers belong to stories of their own.
_AFTER = 4


@dataclass(frozen=True, slots=True)
class _Line:
    """What was written so many minutes ago; by an agent if `agent` is given, as a note if so."""

    minutes_ago: int
    text: str
    agent: str = ""
    quoted: str = ""
    is_note: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """A conversation with the first customer of that language who has such an address."""

    language: str
    channel: Channel
    kind: ContactKind
    queue: str
    lines: Sequence[_Line]
    subject: str = ""
    assigned_to: str | None = None
    tags: Sequence[str] = field(default=())
    snoozed_hours: int = 0
    disposition: str = ""


_STORIES = (
    _Story(
        language="es",
        channel=Channel.MAIL,
        kind=ContactKind.MAIL,
        queue="service",
        subject="Mi sofá todavía no ha llegado",
        tags=["entrega"],
        lines=[
            _Line(
                1_500,
                "Buenos días:\n\nPedí un sofá de tres plazas hace dos semanas y me dijeron que"
                " llegaría el lunes. ¿Cuándo me lo traen?\n\nUn saludo",
            ),
            _Line(
                1_380,
                "Buenos días:\n\nLo sentimos mucho. El sofá sale mañana del almacén y se lo"
                " llevamos entre las 10:00 y las 14:00. ¿Estará en casa?\n\nMaria, Jade Gate Mall",
                agent="maria",
            ),
            _Line(
                35,
                "Sí, estaré en casa, pero solo hasta las 13:00. ¿Puede ser antes?",
                quoted="> Lo sentimos mucho. El sofá sale mañana del almacén y se lo llevamos\n"
                "> entre las 10:00 y las 14:00. ¿Estará en casa?",
            ),
        ],
    ),
    _Story(
        language="fa",
        channel=Channel.SMS,
        kind=ContactKind.PHONE,
        queue="service",
        assigned_to="lin",
        snoozed_hours=20,
        lines=[
            _Line(300, "سلام، کفشی که خریدم کوچک است. می‌توانم آن را عوض کنم؟"),
            _Line(
                280,
                "سلام! بله، تا ۱۴ روز با رسید خرید. سایز ۴۳ فردا به فروشگاه می‌رسد و خبرتان می‌کنیم.",
                agent="lin",
            ),
            _Line(270, "ممنون، منتظر می‌مانم."),
            _Line(265, "@lin: size 43 arrives tomorrow at noon.", agent="lin", is_note=True),
        ],
    ),
    _Story(
        language="en",
        channel=Channel.CHAT,
        kind=ContactKind.PHONE,
        queue="sales",
        disposition="sold",
        lines=[
            _Line(1_600, "Hi! Do you have the blue armchair in the Pudong store?"),
            _Line(1_599, "Hello! Yes, three of them on the second floor.", agent="lin"),
            _Line(1_597, "Great, I will come today. Thank you!"),
            _Line(1_596, "You are welcome. See you soon!", agent="lin"),
        ],
    ),
    _Story(
        language="zh",
        channel=Channel.MAIL,
        kind=ContactKind.MAIL,
        queue="vip",
        subject="会员积分少了",
        lines=[
            _Line(
                20,
                "你好,\n\n我上周买了一件大衣, 但是积分还没有到账。请帮我查一下。\n\n谢谢",
            )
        ],
    ),
)


async def fill_conversations(transaction: Transaction, now: datetime) -> None:
    """Write the conversations: two are open, one is snoozed, one closed."""
    for story in _STORIES:
        found = (
            await transaction.session.execute(
                select(Customer.id, ContactPoint.value)
                .join(ContactPoint, ContactPoint.customer_id == Customer.id)
                .where(Customer.language == story.language, ContactPoint.kind == story.kind)
                .order_by(Customer.id)
                .offset(_AFTER)
                .limit(1)
            )
        ).one()
        await _write(transaction, story, found.id, found.value, now)


async def _write(
    transaction: Transaction, story: _Story, customer_id: int, address: str, now: datetime
) -> None:
    if story.channel is Channel.CHAT:
        address = f"visitor of {customer_id}"
    ours = OUR_NUMBER if story.channel is Channel.SMS else OUR_MAIL
    began = now - timedelta(minutes=story.lines[0].minutes_ago)
    conversation = await conversations.open_conversation(
        transaction,
        NewConversation(
            channel=story.channel,
            address=address,
            our_address=ours,
            customer_id=customer_id,
            subject=story.subject,
            language=story.language,
            queue=story.queue,
            assigned_to=story.assigned_to,
            tags=story.tags,
            at=began,
            priority=priority(began.timestamp()),
            first_answer_due_at=began + timedelta(hours=1),
            resolution_due_at=began + timedelta(hours=24),
        ),
    )
    before = ""
    for place, line in enumerate(story.lines):
        is_mail = story.channel is Channel.MAIL
        mail_id = f"<sample.{customer_id}.{place}@jadegate.example>" if is_mail else ""
        written, _ = await messages.store(
            transaction,
            NewMessage(
                conversation_id=conversation,
                direction=_direction(line),
                channel=story.channel,
                external_key=f"sample:{customer_id}:{place}" if not line.agent else "",
                message_id=mail_id,
                author=line.agent,
                sender=ours if line.agent else address,
                recipients=[address if line.agent else ours],
                subject=("Re: " if before else "") + story.subject if story.subject else "",
                text=line.text,
                quoted=line.quoted,
                language=story.language,
                at=now - timedelta(minutes=line.minutes_ago),
                mentions=["lin"] if line.is_note else (),
            ),
        )
        if line.agent and not line.is_note and story.channel is not Channel.CHAT:
            await _was_sent(transaction, written, story.channel, address, line, now=now)
        before = mail_id
    if story.snoozed_hours:
        until = now + timedelta(hours=story.snoozed_hours)
        await conversations.snooze(transaction, conversation, until, actor="lin")
    if story.disposition:
        await conversations.close(
            transaction,
            conversation,
            actor=story.lines[-1].agent,
            disposition=story.disposition,
            at=now - timedelta(minutes=story.lines[-1].minutes_ago),
        )


def _direction(line: _Line) -> Direction:
    if line.is_note:
        return Direction.INTERNAL
    return Direction.OUTBOUND if line.agent else Direction.INBOUND


async def _was_sent(
    transaction: Transaction,
    message_id: int,
    channel: Channel,
    address: str,
    line: _Line,
    *,
    now: datetime,
) -> None:
    at = now - timedelta(minutes=line.minutes_ago)
    await transaction.session.execute(
        insert(OutboxMessage).values(
            state=MessageState.DELIVERED,
            channel=channel,
            recipient=address,
            text=line.text,
            purpose=Purpose.ANSWER,
            idempotency_key=f"sample:{message_id}",
            message_id=message_id,
            written_by=line.agent,
            written_at=at,
            due_at=at,
            segments=2 if channel is Channel.SMS else None,
            sent_at=at,
            delivered_at=at + timedelta(seconds=4),
        )
    )
