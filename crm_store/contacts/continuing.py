"""Continuing: which conversation a message goes on with.

Owns that rule: by what a mail refers to, by the address, by who writes. One customer's message is
never put into another's conversation. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.models import (
    Channel,
    ContactKind,
    ContactPoint,
    Conversation,
    ConversationState,
    Message,
)
from crm_store.signals import Direction

REOPENED_WITHIN: Final = timedelta(days=7)
"""A short message to a conversation that was closed so long ago begins a new one."""

SAME_MATTER_WITHIN: Final = timedelta(days=3)
"""Who writes on another channel means what they last had a word about, if it is no longer ago."""

ABOUT_WHATEVER_IS_OPEN: Final = frozenset({Channel.SMS, Channel.MESSENGER, Channel.WEB})
"""Channels whose messages say nothing of what they are about. A mail has a subject of its own, a
chat its topic."""

MOST_REFERENCES: Final = 50

_UNSETTLED = (ConversationState.OPEN, ConversationState.WAITING, ConversationState.SNOOZED)


async def conversation_for(
    session: AsyncSession,
    channel: Channel,
    sender: str,
    reply_to: Sequence[str],
    *,
    customer_id: int | None = None,
    is_automatic: bool = False,
    now: datetime | None = None,
) -> int | None:
    """The conversation that a message from `sender` goes on with, None for a new one.

    A mail goes on with the nearest of the messages it refers to, if that one was with the same
    sender: two who answer one newsletter are two. What has no references (SMS, messengers) goes on
    with the newest conversation of that address, or, where none is open, with what the writer has
    open on other channels; else with one of that address that is not closed for a week.
    `customer_id` is the writer, if that is certain.
    """
    moment = now or datetime.now(UTC)
    if channel is Channel.MAIL:
        found = await _by_reference(session, sender, reply_to[-MOST_REFERENCES:], customer_id)
        return await _whole(session, found) if found is not None else None
    last = await _by_address(session, channel, sender, customer_id)
    if last is not None and last.state in _UNSETTLED:
        return last.id
    if customer_id is not None and channel in ABOUT_WHATEVER_IS_OPEN and not is_automatic:
        found = await _by_writer(session, channel, sender, customer_id, moment)
        if found is not None:
            return found
    if last is None:
        return None
    is_old = last.closed_at is not None and last.closed_at < moment - REOPENED_WITHIN
    return None if last.state is ConversationState.CLOSED and is_old else last.id


async def _by_reference(
    session: AsyncSession, sender: str, reply_to: Sequence[str], customer_id: int | None
) -> int | None:
    wanted = [one for one in reply_to if one]
    if not wanted:
        return None
    rows = (await session.execute(_REFERRED_TO, {"wanted": wanted})).all()
    for reference in reversed(wanted):
        for row in rows:
            if row.message_id != reference:
                continue
            if None not in (customer_id, row.customer_id) and customer_id != row.customer_id:
                continue
            parties = [row.sender] if row.direction is Direction.INBOUND else list(row.recipients)
            if sender in (*parties, row.address):
                return int(row.conversation_id)
            if row.customer_id is not None and await _reaches(session, row.customer_id, sender):
                return int(row.conversation_id)
    return None


async def _reaches(session: AsyncSession, customer_id: int, mail: str) -> bool:
    query = select(ContactPoint.id).where(
        ContactPoint.customer_id == customer_id,
        ContactPoint.kind == ContactKind.MAIL,
        ContactPoint.value == mail,
    )
    return await session.scalar(query) is not None


async def _by_address(
    session: AsyncSession, channel: Channel, sender: str, customer_id: int | None
) -> Conversation | None:
    """The newest with that address; a number that has got another owner takes none along."""
    if not sender:
        return None
    query = select(Conversation).where(
        Conversation.channel == channel,
        Conversation.address == sender,
        Conversation.merged_into.is_(None),
    )
    if customer_id is not None:
        query = query.where(
            or_(Conversation.customer_id.is_(None), Conversation.customer_id == customer_id)
        )
    newest = query.order_by(Conversation.last_message_at.desc(), Conversation.id.desc())
    return (await session.scalars(newest.limit(1))).one_or_none()


async def _by_writer(
    session: AsyncSession, channel: Channel, sender: str, customer_id: int, now: datetime
) -> int | None:
    """The newest that the customer has open and wrote in from this very address, else the newest
    that had a word lately."""
    wrote_here = (
        select(Message.id)
        .where(
            Message.conversation_id == Conversation.id,
            Message.direction == Direction.INBOUND,
            Message.channel == channel,
            Message.sender == sender,
        )
        .correlate(Conversation)
        .exists()
    )
    found: int | None = await session.scalar(
        select(Conversation.id)
        .where(
            Conversation.customer_id == customer_id,
            Conversation.merged_into.is_(None),
            Conversation.state.in_(_UNSETTLED),
            or_(Conversation.last_message_at >= now - SAME_MATTER_WITHIN, wrote_here),
        )
        .order_by(wrote_here.desc(), Conversation.last_message_at.desc(), Conversation.id.desc())
        .limit(1)
    )
    return found


async def _whole(session: AsyncSession, conversation_id: int) -> int:
    """The conversation that this one was merged into, or itself."""
    found = conversation_id
    while True:
        into = await session.scalar(_INTO, {"conversation": found})
        if into is None:
            return found
        found = into


# Built once: each mail asks.
_REFERRED_TO = (
    select(
        Message.message_id,
        Message.conversation_id,
        Message.direction,
        Message.sender,
        Message.recipients,
        Conversation.address,
        Conversation.customer_id,
    )
    .join(Conversation, Conversation.id == Message.conversation_id)
    # The partial index is only used where the query says as much.
    .where(Message.message_id != "", Message.message_id.in_(bindparam("wanted", expanding=True)))
    .order_by(Message.id.desc())
    .limit(200)
)
_INTO = select(Conversation.merged_into).where(Conversation.id == bindparam("conversation"))
