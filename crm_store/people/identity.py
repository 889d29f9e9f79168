"""Identity: who it is that writes, what is only likely, and what people have decided about it.

Owns the rule. Somebody is known by an address that one customer alone has, or alone has proven.
What is likely is suggested to people, with its reason, and never done by itself: an address of
several customers, an address that was only typed or may be forged, a card's or an order's number
told under its owner's name. Who is merely called the same is nobody. Proof itself is
contact_points', joining two customers is merging's, and can be undone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, and_, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm_store import audit, keyed_numbers
from crm_store.contacts import conversations
from crm_store.database import Database, Transaction
from crm_store.models import (
    Card,
    Channel,
    ContactKind,
    ContactPoint,
    Conversation,
    ConversationState,
    Customer,
    IdentitySuggestion,
    Order,
    SuggestionState,
)
from crm_store.people import cards, contact_points, customers, merging
from crm_store.people.customers import ContactWay, fold_name
from crm_store.search_terms import fold_letters
from crm_store.shop import orders

MOST_SUGGESTED: Final = 3
"""An address that more customers have says nothing of any of them."""
LONGEST_TEXT_READ: Final = 20_000
MOST_NUMBERS_READ: Final = 10
MOST_TWINS_AT_ONCE: Final = 500

KINDS_OF: Final = {
    Channel.MAIL: (ContactKind.MAIL,),
    Channel.SMS: (ContactKind.PHONE,),
    Channel.FAX: (ContactKind.FAX, ContactKind.PHONE),
    Channel.MESSENGER: (ContactKind.MESSENGER, ContactKind.PHONE),
    Channel.PHONE: (ContactKind.PHONE,),
}
"""As what an address of a channel stands among a customer's contact points."""


class Reason(StrEnum):
    """Why a suggestion was made."""

    SHARED_ADDRESS = "shared_address"
    """Several customers have the address."""
    UNPROVEN_SENDER = "unproven_sender"
    """The customer's mail address, but the mail may have been sent by anybody."""
    TYPED_ADDRESS = "typed_address"
    """The visitor said that this customer's address is theirs."""
    CARD_NUMBER = "card_number"
    ORDER_NUMBER = "order_number"
    """Told under the owner's name, or where no name is told."""
    SAME_NAME_AND_ADDRESS = "same_name_and_address"
    """Two customers of one name, with one telephone number or mail address."""


@dataclass(frozen=True, slots=True)
class Known:
    """Who has an address: `customer_id` if that is certain, else all who may be meant."""

    customer_id: int | None
    candidates: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """An open suggestion. Either `conversation_id`, of which `shown` is what it is about, or
    `other_id` with `other_name` is probably the customer."""

    id: int
    reason: Reason
    customer_id: int
    customer_name: str
    conversation_id: int | None
    shown: str
    other_id: int | None
    other_name: str
    at: datetime


# ---- who it is -----------------------------------------------------------------------------------


async def who_is(
    session: AsyncSession,
    channel: Channel,
    address: str,
    *,
    is_authenticated: bool | None = None,
) -> Known:
    """Who writes from this address of a channel, in its stored form (E.164, lower case).

    One who alone has proven that it is theirs, else the only one who has it. Nobody, if the mail is
    known to be forged or unproven (`is_authenticated` False): then they are candidates only.
    """
    kinds = KINDS_OF.get(channel)
    if not kinds or not address:
        return Known(None)
    rows = await session.execute(
        select(ContactPoint.customer_id, func.max(ContactPoint.proven_at))
        .join(Customer, Customer.id == ContactPoint.customer_id)
        .where(ContactPoint.kind.in_(kinds), ContactPoint.value == address)
        .where(Customer.merged_into.is_(None))
        .group_by(ContactPoint.customer_id)
        .order_by(ContactPoint.customer_id)
        .limit(20)
    )
    found = [(int(customer_id), proven_at is not None) for customer_id, proven_at in rows]
    everybody = tuple(customer_id for customer_id, _ in found)
    proven = [customer_id for customer_id, is_proven in found if is_proven]
    if is_authenticated is False:
        return Known(None, everybody)
    if len(proven) == 1 or len(everybody) == 1:
        return Known((proven or everybody)[0], everybody)
    return Known(None, everybody)


async def prove(
    transaction: Transaction,
    customer_id: int,
    kind: ContactKind,
    value: str,
    *,
    by: str,
    actor: str,
) -> list[int]:
    """The customer has shown that the address is theirs (`by` a code, a link): conversations of
    nobody's from it are theirs too; which.

    An address that another customer has proven as well says nothing of what is past.
    """
    await contact_points.prove(transaction, customer_id, kind, value, by=by, actor=actor)
    channels = [channel for channel, kinds in KINDS_OF.items() if kind in kinds]
    if not channels:
        return []
    known = await who_is(transaction.session, channels[0], value)
    if known.customer_id != customer_id:
        return []
    nobodys = await transaction.session.scalars(
        select(Conversation.id).where(
            Conversation.channel.in_(channels),
            Conversation.address == value,
            Conversation.customer_id.is_(None),
            Conversation.merged_into.is_(None),
            Conversation.state != ConversationState.SPAM,
        )
    )
    given = list(nobodys)
    for conversation_id in given:
        await conversations.give_to_customer(transaction, conversation_id, customer_id, actor=actor)
    return given


# ---- who it may be -------------------------------------------------------------------------------


async def suggest_for_conversation(
    transaction: Transaction,
    conversation_id: int,
    *,
    sender_name: str = "",
    text: str = "",
    typed: Sequence[tuple[ContactKind, str]] = (),
    known: Known | None = None,
    is_authenticated: bool | None = None,
) -> int:
    """Suggest who may be behind a conversation that is nobody's yet; how many new suggestions.

    `sender_name` and `text` are those of a message, `typed` the addresses that a visitor said are
    theirs, `known` what `who_is` said. Nothing is suggested twice, nor what was declined.
    """
    likely: dict[int, Reason] = {}
    if known is not None and len(known.candidates) <= MOST_SUGGESTED:
        reason = (
            Reason.UNPROVEN_SENDER
            if is_authenticated is False and len(known.candidates) == 1
            else Reason.SHARED_ADDRESS
        )
        likely |= dict.fromkeys(known.candidates, reason)
    for kind, value in typed:
        owners = await _owners_of(transaction.session, kind, value)
        if len(owners) <= MOST_SUGGESTED:
            likely = dict.fromkeys(owners, Reason.TYPED_ADDRESS) | likely
    likely = await _owners_of_numbers(transaction.session, sender_name, text) | likely
    new = 0
    for customer_id, reason in likely.items():
        new += await _suggest(
            transaction, customer_id, reason, IdentitySuggestion.conversation_id, conversation_id
        )
    return new


async def suggest_twins(database: Database, *, limit: int = MOST_TWINS_AT_ONCE) -> int:
    """Suggest customers of one name who have an address in common; how many new suggestions.

    All ways to reach anybody are read for it: for once a day.
    """
    one, other = aliased(ContactPoint), aliased(ContactPoint)
    first, second = aliased(Customer), aliased(Customer)
    query = (
        select(first.id, second.id)
        .select_from(one)
        .join(
            other,
            and_(
                other.kind == one.kind,
                other.value == one.value,
                other.customer_id > one.customer_id,
            ),
        )
        .join(first, first.id == one.customer_id)
        .join(second, second.id == other.customer_id)
        .where(first.name_folded == second.name_folded)
        .where(first.merged_into.is_(None), second.merged_into.is_(None))
        .where(
            ~select(IdentitySuggestion.id)
            .where(_is_pair(first.id, second.id))
            .correlate(first, second)
            .exists()
        )
        .distinct()
        .limit(limit)
    )
    async with database.reading() as session:
        pairs = (await session.execute(query)).all()
    new = 0
    async with database.transaction() as transaction:
        for first_id, second_id in pairs:
            new += await _suggest(
                transaction,
                first_id,
                Reason.SAME_NAME_AND_ADDRESS,
                IdentitySuggestion.other_id,
                second_id,
            )
    return new


async def open_suggestions(
    database: Database,
    *,
    suggestion_id: int | None = None,
    conversation_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Suggestion]:
    """What waits for people to decide, the newest first; `before` is the last page's last id."""
    other = aliased(Customer)
    query = (
        select(
            IdentitySuggestion,
            Customer.name,
            Conversation.subject,
            Conversation.preview,
            Conversation.address,
            other.name,
        )
        .join(Customer, Customer.id == IdentitySuggestion.customer_id)
        .outerjoin(Conversation, Conversation.id == IdentitySuggestion.conversation_id)
        .outerjoin(other, other.id == IdentitySuggestion.other_id)
        .where(IdentitySuggestion.state == SuggestionState.OPEN, Customer.merged_into.is_(None))
        # What a merge or somebody's hand has decided meanwhile is no question any more.
        .where(
            or_(
                and_(
                    IdentitySuggestion.conversation_id.is_not(None),
                    Conversation.customer_id.is_(None),
                    Conversation.merged_into.is_(None),
                ),
                and_(
                    IdentitySuggestion.other_id.is_not(None),
                    IdentitySuggestion.other_id != IdentitySuggestion.customer_id,
                    other.merged_into.is_(None),
                ),
            )
        )
        .order_by(IdentitySuggestion.id.desc())
        .limit(limit)
    )
    if suggestion_id is not None:
        query = query.where(IdentitySuggestion.id == suggestion_id)
    if conversation_id is not None:
        query = query.where(IdentitySuggestion.conversation_id == conversation_id)
    if before is not None:
        query = query.where(IdentitySuggestion.id < before)
    async with database.reading() as session:
        return [
            Suggestion(
                id=row.id,
                reason=Reason(row.reason),
                customer_id=row.customer_id,
                customer_name=name,
                conversation_id=row.conversation_id,
                shown=(subject or preview or address or ""),
                other_id=row.other_id,
                other_name=other_name or "",
                at=row.at,
            )
            for row, name, subject, preview, address, other_name in await session.execute(query)
        ]


async def decide(
    transaction: Transaction, suggestion_id: int, *, is_accepted: bool, actor: str
) -> int | None:
    """A person says that it is so, or is not. Accepted, the conversation is the customer's, and its
    address one of theirs (not a proven one); or the other customer is merged into the customer: the
    merge's id, to undo it by.

    Raises LookupError if it is not open any more, and what merging and conversations raise.
    """
    session = transaction.session
    row = await session.get(
        IdentitySuggestion, suggestion_id, with_for_update=True, populate_existing=True
    )
    if row is None or row.state is not SuggestionState.OPEN:
        raise LookupError(f"suggestion {suggestion_id} is not open")
    row.state = SuggestionState.ACCEPTED if is_accepted else SuggestionState.DECLINED
    row.decided_by, row.decided_at = actor, datetime.now(UTC)
    await session.flush()
    await audit.record(
        transaction,
        actor=actor,
        action="accepted" if is_accepted else "declined",
        subject_kind="suggestion",
        subject_id=suggestion_id,
    )
    if not is_accepted:
        return None
    if row.other_id is not None:
        return await merging.merge(
            transaction, row.other_id, row.customer_id, actor=actor, reason=row.reason
        )
    if row.conversation_id is not None:
        await _give(transaction, row.conversation_id, row.customer_id, actor)
    return None


# ---- how -----------------------------------------------------------------------------------------


async def _give(
    transaction: Transaction, conversation_id: int, customer_id: int, actor: str
) -> None:
    row = (
        await transaction.session.execute(
            select(Conversation.channel, Conversation.address, Conversation.customer_id).where(
                Conversation.id == conversation_id
            )
        )
    ).one()
    if row.customer_id not in (None, customer_id):
        raise LookupError("the conversation is somebody else's already")
    await conversations.give_to_customer(transaction, conversation_id, customer_id, actor=actor)
    kinds = KINDS_OF.get(row.channel)
    if kinds and row.address and row.channel is not Channel.PHONE:
        await customers.add_contact_point(
            transaction, customer_id, ContactWay(kinds[0], row.address), actor=actor
        )


async def _suggest(
    transaction: Transaction, customer_id: int, reason: Reason, about: object, about_id: int
) -> bool:
    is_pair = about is IdentitySuggestion.other_id
    same: ColumnElement[bool] = (
        _is_pair(customer_id, about_id)
        if is_pair
        else and_(
            IdentitySuggestion.conversation_id == about_id,
            IdentitySuggestion.customer_id == customer_id,
        )
    )
    if await transaction.session.scalar(select(IdentitySuggestion.id).where(same).limit(1)):
        return False
    await transaction.session.execute(
        insert(IdentitySuggestion).values(
            kind="customers" if is_pair else "conversation",
            customer_id=customer_id,
            other_id=about_id if is_pair else None,
            conversation_id=None if is_pair else about_id,
            reason=reason.value,
            state=SuggestionState.OPEN,
            at=datetime.now(UTC),
        )
    )
    return True


def _is_pair(one: object, other: object) -> ColumnElement[bool]:
    table = IdentitySuggestion
    return or_(
        and_(table.customer_id == one, table.other_id == other),
        and_(table.customer_id == other, table.other_id == one),
    )


async def _owners_of(session: AsyncSession, kind: ContactKind, value: str) -> list[int]:
    query = (
        select(ContactPoint.customer_id)
        .join(Customer, Customer.id == ContactPoint.customer_id)
        .where(ContactPoint.kind == kind, ContactPoint.value == value)
        .where(Customer.merged_into.is_(None))
        .distinct()
        .limit(MOST_SUGGESTED + 1)
    )
    return list(await session.scalars(query))


async def _owners_of_numbers(
    session: AsyncSession, sender_name: str, text: str
) -> dict[int, Reason]:
    """Whose card or order is named in the text, if the writer's name is theirs or not told."""
    written = [
        "".join(letter for letter in found if letter.isdecimal())
        for found in _NUMBER.findall(fold_letters(text[:LONGEST_TEXT_READ]))
    ][:MOST_NUMBERS_READ]
    card_numbers = {number for found in written if (number := cards.card_number(found))}
    order_numbers = {
        number for found in written if (number := keyed_numbers.read(found, orders.DIGITS))
    }
    likely: dict[int, Reason] = {}
    name = fold_name(sender_name)
    for reason, table, numbers in (
        (Reason.CARD_NUMBER, Card, card_numbers),
        (Reason.ORDER_NUMBER, Order, order_numbers),
    ):
        if not numbers:
            continue
        query = (
            select(Customer.id)
            .join(table, table.customer_id == Customer.id)
            .where(table.number.in_(sorted(numbers)), Customer.merged_into.is_(None))
        )
        if name:
            query = query.where(Customer.name_folded == name)
        for customer_id in await session.scalars(query.distinct().limit(MOST_SUGGESTED)):
            likely.setdefault(customer_id, reason)
    return likely


_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])[0-9](?:[ -]?[0-9]){7,18}(?![0-9A-Za-z])")
