"""Rule runs: what rules say of a message, and the doing of it; or only the saying, for a trial.

Owns that a rule acts once, in the transaction of what it acts upon, and that no answer of a machine
goes to a machine, to ourselves, or to one address twice a day. What a rule asks is rules.py's.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from babel.dates import format_date
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from channels import answering
from channels.answering import CARRIED, SHOWN_ON_OUR_PAGES, CannotAnswer
from channels.arrangements import Arrangement
from channels.rules import Decision, Rule, Verdict, Written, judge
from crm_store import audit
from crm_store.contacts import conversations, tasks
from crm_store.contacts.tasks import NewTask
from crm_store.database import Database, Transaction
from crm_store.knowledge import placeholders
from crm_store.models import (
    Attachment,
    CannedText,
    Channel,
    Conversation,
    Customer,
    Message,
    Purpose,
    Segment,
)
from crm_store.signals import Direction

log = logging.getLogger(__name__)

ANSWERED_ONCE_IN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a decision comes to; where rules say two things of one, the last one counts."""

    queue: str | None = None
    assigned_to: str | None = None
    tags: Sequence[str] = ()
    ahead: timedelta = timedelta(0)
    answers: Sequence[tuple[int, str]] = ()
    tasks: Sequence[tuple[int, str, int]] = ()
    closes: bool = False
    disposition: str | None = None
    is_spam: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule would have said of a message that is there already."""

    message_id: int
    conversation_id: int
    at: datetime
    channel: Channel
    sender: str
    sender_name: str
    subject: str
    verdict: Verdict = field(compare=False)


def plan_of(decision: Decision) -> Plan:
    """The actions of all rules that hold, put together."""
    said: dict[str, str] = {}
    tags: list[str] = []
    answers, work = [], []
    for rule_id, action in decision.actions:
        done, value = action["do"], action.get("value", "")
        if done == "tag":
            tags.append(value)
        elif done == "answer":
            answers.append((rule_id, value))
        elif done == "task":
            work.append((rule_id, value, int(action["minutes"])))
        else:
            said[done] = value
    return Plan(
        queue=said.get("queue"),
        assigned_to=said.get("assign"),
        tags=tuple(dict.fromkeys(tags)),
        ahead=timedelta(minutes=int(said.get("priority", "0"))),
        answers=tuple(answers),
        tasks=tuple(work),
        closes="close" in said,
        disposition=said.get("close") or None,
        is_spam="spam" in said,
    )


async def rearrange(
    transaction: Transaction,
    plan: Plan,
    conversation: Conversation,
    *,
    arrangement: Arrangement,
    segment: Segment | None,
    at: datetime,
) -> None:
    """Put a conversation that is there already where the plan wants it."""
    conversation_id, channel = conversation.id, conversation.channel
    queue = conversation.queue
    if plan.queue is not None and plan.queue in arrangement.queues:
        queue = plan.queue
        await conversations.set_queue(transaction, conversation_id, queue, actor=audit.SYSTEM)
    if plan.assigned_to is not None:
        await conversations.assign(
            transaction, conversation_id, plan.assigned_to, actor=audit.SYSTEM
        )
    if plan.tags:
        try:
            await conversations.add_tags(
                transaction, conversation_id, plan.tags, actor=audit.SYSTEM
            )
        except ValueError:
            log.warning("a rule's tags are too many for conversation %d", conversation_id)
    if plan.ahead:
        targets = arrangement.targets(queue, channel, at, segment, ahead=plan.ahead)
        await conversations.set_targets(
            transaction,
            conversation_id,
            priority=targets.priority,
            first_answer_due_at=targets.first_answer_due_at,
            resolution_due_at=targets.resolution_due_at,
        )


async def act(
    transaction: Transaction,
    plan: Plan,
    *,
    conversation_id: int,
    message_id: int,
    arrangement: Arrangement,
    may_answer: bool,
    now: datetime,
) -> None:
    """Answer, make tasks, close: what a plan wants besides its place. An action that is impossible
    now (a text that is gone, an address in trouble) is left out, and logged."""
    if plan.is_spam:
        await conversations.mark_spam(transaction, conversation_id, actor=audit.SYSTEM)
        return
    if may_answer:
        for rule_id, code in plan.answers:
            await _answer(
                transaction,
                conversation_id,
                message_id=message_id,
                rule_id=rule_id,
                code=code,
                arrangement=arrangement,
                now=now,
            )
    for _rule_id, title, minutes in plan.tasks:
        await _make_task(transaction, conversation_id, title, now + timedelta(minutes=minutes))
    if plan.closes:
        await conversations.close(
            transaction, conversation_id, actor=audit.SYSTEM, disposition=plan.disposition
        )


async def may_answer(
    session: AsyncSession,
    channel: Channel,
    address: str,
    *,
    automatic: str,
    own_addresses: Collection[str],
    now: datetime,
) -> bool:
    """Whether a machine may answer: never a machine, never ourselves, and nobody twice a day."""
    if automatic or not address or address in own_addresses:
        return False
    if channel not in CARRIED and channel not in SHOWN_ON_OUR_PAGES:
        return False
    answered = await session.scalar(
        select(Message.id)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Conversation.channel == channel,
            Conversation.address == address,
            Message.direction == Direction.OUTBOUND,
            Message.automatic == "rule",
            Message.at > now - ANSWERED_ONCE_IN,
        )
        .limit(1)
    )
    return answered is None


async def dry_run(
    database: Database, rule: Rule, arrangement: Arrangement, *, limit: int = 200
) -> list[Trial]:
    """What the rule would have said of the newest messages, the newest first; nothing is changed.

    Queues, tags and customers are as they are now, not as they were then.
    """
    query = (
        select(Message)
        .where(Message.direction == Direction.INBOUND)
        .order_by(Message.id.desc())
        .limit(limit)
    )
    async with database.reading() as session:
        rows = list(await session.scalars(query))
        seen = await written_of(session, rows, arrangement)
    return [
        Trial(
            row.id,
            row.conversation_id,
            row.at,
            row.channel,
            row.sender,
            row.sender_name,
            row.subject,
            judge(rule, written),
        )
        for row, written in zip(rows, seen, strict=True)
    ]


async def written_of(
    session: AsyncSession, rows: Sequence[Message], arrangement: Arrangement
) -> list[Written]:
    """Messages as rules look at them."""
    wanted = {row.conversation_id for row in rows}
    found = {
        row.id: (row, segment)
        for row, segment in await session.execute(
            select(Conversation, Customer.segment)
            .join(Customer, Customer.id == Conversation.customer_id, isouter=True)
            .where(Conversation.id.in_(wanted))
            .execution_options(populate_existing=True)
        )
    }
    types: dict[int, list[str]] = {}
    of_these: Any = await session.execute(
        select(Attachment.message_id, Attachment.media_type)
        .where(Attachment.message_id.in_([row.id for row in rows]))
        .order_by(Attachment.id)
    )
    for message_id, media_type in of_these:
        types.setdefault(message_id, []).append(media_type)
    return [
        Written(
            channel=row.channel,
            sender=row.sender,
            our_address=next(iter(row.recipients), ""),
            subject=row.subject,
            text=row.text,
            language=row.language or found[row.conversation_id][0].language,
            segment=found[row.conversation_id][1],
            is_known=found[row.conversation_id][0].customer_id is not None,
            queue=found[row.conversation_id][0].queue or "",
            attachments=types.get(row.id, ()),
            clock=row.at.astimezone(arrangement.zone).time(),
            is_open=arrangement.clock(found[row.conversation_id][0].queue).calendar.is_open(row.at),
            automatic=row.automatic,
            tags=found[row.conversation_id][0].tags,
        )
        for row in rows
    ]


# ---- one action ----------------------------------------------------------------------------------


async def _answer(
    transaction: Transaction,
    conversation_id: int,
    *,
    message_id: int,
    rule_id: int,
    code: str,
    arrangement: Arrangement,
    now: datetime,
) -> None:
    session = transaction.session
    canned = await session.scalar(
        select(CannedText).where(CannedText.code == code, CannedText.active)
    )
    row = (
        await session.execute(
            select(Conversation.language, Conversation.queue, Customer.name)
            .join(Customer, Customer.id == Conversation.customer_id, isouter=True)
            .where(Conversation.id == conversation_id)
        )
    ).one()
    if canned is None:
        log.warning("rule %d has no text to answer with", rule_id)
        return
    wished = (row.language, "en", *canned.texts)
    language = next(name for name in wished if canned.texts.get(name))
    queue = arrangement.queues.get(row.queue or "")
    text, missing = placeholders.filled(
        canned.texts[language],
        {
            "customer.name": row.name or "",
            "queue": queue.title(language) if queue else "",
            "today": format_date(now.astimezone(arrangement.zone), "long", locale=language),
        },
    )
    if missing:
        log.warning("rule %d does not answer: %s is not known", rule_id, ", ".join(missing))
        return
    try:
        await answering.answer(
            transaction,
            conversation_id,
            author=audit.SYSTEM,
            text=text,
            purpose=Purpose.AUTOMATIC,
            idempotency_key=f"rule:{rule_id}:{message_id}",
        )
    except CannotAnswer as cannot:
        log.warning("rule %d does not answer: %s", rule_id, cannot.why)


async def _make_task(
    transaction: Transaction, conversation_id: int, title: str, due_at: datetime
) -> None:
    row = (
        await transaction.session.execute(
            select(
                Conversation.customer_id,
                Conversation.interaction_id,
                Conversation.queue,
                Conversation.assigned_to,
            ).where(Conversation.id == conversation_id)
        )
    ).one()
    try:
        await tasks.create(
            transaction,
            NewTask(
                title=title,
                due_at=due_at,
                customer_id=row.customer_id,
                interaction_id=row.interaction_id,
                queue=row.queue,
                assigned_to=row.assigned_to,
            ),
            actor=audit.SYSTEM,
        )
    except (LookupError, ValueError) as wrong:
        log.warning("a rule's task cannot be made: %s", type(wrong).__name__)
