"""Search over everything: people by name, number and card; what was written and noted, by words.

Owns which sources a question is put to, the filters, and each hit's excerpt with the words marked.
The words themselves are text_search's, and so is the order, newest first. Refuses to know pages;
whoever asks says what an agent may see (`Wanted.seen_by`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store import text_search
from crm_store.contacts.conversation_lists import SeenBy
from crm_store.database import Database
from crm_store.excerpts import LONGEST_READ, Piece, excerpt
from crm_store.models import (
    Channel,
    Complaint,
    Conversation,
    Customer,
    Interaction,
    Mention,
    Message,
    Order,
    OrderLine,
    Task,
    Visit,
    WrapUp,
)
from crm_store.people import complaints, customers
from crm_store.people.phone_numbers import to_e164
from crm_store.search_terms import Clause, parse
from crm_store.shop import orders
from crm_store.text_search import EntryKind, Found, agent_mark, channel_mark

LONGEST_QUESTION: Final = 200
MOST_PEOPLE: Final = 8
MOST_PAGES: Final = 8
"""Hits that one may not see: so many pages of them are passed over for the next that one may."""

KINDS: Final = (
    EntryKind.MESSAGE,
    EntryKind.INTERACTION,
    EntryKind.TASK,
    EntryKind.VISIT,
    EntryKind.COMPLAINT,
    EntryKind.ORDER,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What of everything is wanted; empty means all. `agent` (login) and `channel` choose among
    messages and contacts. `seen_by` hides conversations from an agent that are not theirs to see.
    """

    kinds: Sequence[EntryKind] = ()
    channel: Channel | None = None
    agent: str = ""
    since: datetime | None = None
    until: datetime | None = None
    seen_by: SeenBy | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A customer; `detail` is the number by which they were found, "" if by name."""

    id: int
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something that has the words. `pieces` are the excerpt. A message's `conversation_id` says
    where it stands; `number` is an order's or a complaint's; `who` wrote it, if that is known."""

    kind: EntryKind
    id: int
    at: datetime
    customer_id: int | None
    customer_name: str = ""
    channel: Channel | None = None
    who: str = ""
    conversation_id: int | None = None
    number: str = ""
    pieces: Sequence[Piece] = ()


@dataclass(frozen=True, slots=True)
class FoundThings:
    """`people` and `exact` (the order or complaint of that very number) only on the first page;
    `older` is the cursor of the next page, None at the end."""

    people: list[Person]
    exact: list[Hit]
    hits: list[Hit]
    older: str | None


async def search(
    database: Database,
    question: str,
    *,
    region: str,
    wanted: Wanted | None = None,
    before: str | None = None,
    limit: int = 20,
) -> FoundThings:
    """A page of what has the words of the question. `before` is the last page's `older`.

    Numbers without a country's prefix are read as in `region`. Raises ValueError for a cursor that
    none was.
    """
    wanted = wanted or Wanted()
    question = question[:LONGEST_QUESTION]
    cursor = _read_cursor(before)
    clauses = parse(question)
    people: list[Person] = []
    exact: list[Hit] = []
    if cursor is None and not (wanted.kinds or wanted.channel or wanted.agent):
        people = await find_people(database, question, region=region)
        exact = await _exact(database, question, clauses)
    hits: list[Hit] = []
    kinds = [kind for kind in wanted.kinds if kind in KINDS] or list(KINDS)
    marks = [[channel_mark(wanted.channel)]] if wanted.channel else []
    marks += [[agent_mark(wanted.agent)]] if wanted.agent else []
    for _ in range(MOST_PAGES):
        found = await text_search.search(
            database,
            question,
            # All kinds are most of what there is: to ask for them would cost more than it saves.
            kinds=kinds if wanted.kinds else (),
            marks=marks,
            since=wanted.since,
            until=wanted.until,
            before=cursor,
            limit=limit,
        )
        by_entry = await _read(database, found, clauses, wanted.seen_by)
        for one in found:
            cursor = one.entry
            hit = by_entry.get(one.entry)
            if hit is not None:
                hits.append(hit)
            if len(hits) == limit:
                return FoundThings(people, exact, hits, str(cursor))
        if len(found) < limit:
            return FoundThings(people, exact, hits, None)
    return FoundThings(people, exact, hits, str(cursor))


async def find_people(
    database: Database, question: str, *, region: str, limit: int = MOST_PEOPLE
) -> list[Person]:
    """Customers by telephone number, member card or name, in the order of how sure that is."""
    found: dict[int, Person] = {}
    number = to_e164(question, region)
    if number is not None:
        for owner in await customers.find_by_phone(database, number):
            found[owner.id] = Person(owner.id, owner.name, number)
    card = await customers.find_by_card(database, question)
    if card is not None:
        shown = card.cards[0].number if card.cards else ""
        found.setdefault(card.id, Person(card.id, card.name, shown))
    for person in await customers.search_by_name(database, question, limit):
        found.setdefault(person.id, Person(person.id, person.name))
    return list(found.values())[:limit]


# ---- reading what was found ----------------------------------------------------------------------

_Reader = Callable[[AsyncSession, Sequence[int], SeenBy | None], Awaitable[list["_Row"]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A hit's row with its texts, of which the excerpt is made."""

    id: int
    texts: Sequence[str]
    channel: Channel | None = None
    who: str = ""
    conversation_id: int | None = None
    number: str = ""


async def _read(
    database: Database, found: Sequence[Found], clauses: Sequence[Clause], seen_by: SeenBy | None
) -> dict[int, Hit]:
    """The hits by their entry, but for what may not be seen and is not there any more."""
    by_kind: dict[EntryKind, list[int]] = {}
    for one in found:
        by_kind.setdefault(one.kind, []).append(one.row_id)
    owners = {one.customer_id for one in found if one.customer_id is not None}
    rows: dict[tuple[EntryKind, int], _Row] = {}
    async with database.reading() as session:
        for kind, ids in by_kind.items():
            reader = _READERS.get(kind)
            if reader is not None:
                rows |= {(kind, row.id): row for row in await reader(session, ids, seen_by)}
        names = await _names(session, owners)
    hits: dict[int, Hit] = {}
    for one in found:
        row = rows.get((one.kind, one.row_id))
        if row is not None:
            hits[one.entry] = _hit(one, row, names, clauses)
    return hits


def _hit(found: Found, row: _Row, names: Mapping[int, str], clauses: Sequence[Clause]) -> Hit:
    return Hit(
        kind=found.kind,
        id=row.id,
        at=found.at,
        customer_id=found.customer_id,
        customer_name=names.get(found.customer_id or 0, ""),
        channel=row.channel,
        who=row.who,
        conversation_id=row.conversation_id,
        number=row.number,
        pieces=excerpt(row.texts, clauses),
    )


async def _names(session: AsyncSession, customer_ids: set[int]) -> dict[int, str]:
    if not customer_ids:
        return {}
    rows = await session.execute(
        select(Customer.id, Customer.name).where(Customer.id.in_(customer_ids))
    )
    return {row.id: row.name for row in rows}


async def _messages(
    session: AsyncSession, ids: Sequence[int], seen_by: SeenBy | None
) -> list[_Row]:
    query = (
        select(
            Message.id,
            Message.conversation_id,
            Message.channel,
            Message.author,
            Message.sender,
            Message.sender_name,
            Message.subject,
            Message.text,
        )
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Message.id.in_(ids))
    )
    if seen_by is not None:
        named = (
            select(Message.conversation_id)
            .join(Mention, Mention.message_id == Message.id)
            .where(Mention.agent == seen_by.agent)
        )
        query = query.where(
            or_(
                Conversation.assigned_to == seen_by.agent,
                Conversation.queue.in_(seen_by.queues),
                Conversation.id.in_(named),
            )
        )
    return [
        _Row(
            id=row.id,
            texts=[row.text[:LONGEST_READ], row.subject, row.sender_name, row.sender],
            channel=row.channel,
            who=row.author or row.sender_name or row.sender,
            conversation_id=row.conversation_id,
        )
        for row in await session.execute(query)
    ]


async def _interactions(session: AsyncSession, ids: Sequence[int], _: SeenBy | None) -> list[_Row]:
    """Contacts but for conversations: these are found by their messages."""
    rows = await session.execute(
        select(
            Interaction.id,
            Interaction.channel,
            Interaction.agent,
            Interaction.summary,
            Interaction.note,
            Interaction.address,
        )
        .outerjoin(Conversation, Conversation.interaction_id == Interaction.id)
        .where(Interaction.id.in_(ids), Conversation.id.is_(None))
    )
    contacts = list(rows)
    wrapped: dict[int, list[str]] = {}
    notes = select(WrapUp.interaction_id, WrapUp.note).where(
        WrapUp.interaction_id.in_([row.id for row in contacts])
    )
    for interaction_id, note in await session.execute(notes):
        wrapped.setdefault(interaction_id, []).append(note)
    return [
        _Row(
            id=row.id,
            texts=[*wrapped.get(row.id, ()), row.note, row.summary, row.address],
            channel=row.channel,
            who=row.agent or "",
        )
        for row in contacts
    ]


async def _tasks(session: AsyncSession, ids: Sequence[int], seen_by: SeenBy | None) -> list[_Row]:
    """Tasks about a customer are part of their story; others are of those they were given to."""
    columns = (Task.id, Task.title, Task.text, Task.number, Task.outcome, Task.assigned_to)
    query = select(*columns).where(Task.id.in_(ids))
    if seen_by is not None:
        query = query.where(
            or_(
                Task.customer_id.is_not(None),
                Task.assigned_to == seen_by.agent,
                Task.created_by == seen_by.agent,
                Task.queue.in_(seen_by.queues),
            )
        )
    return [
        _Row(
            id=row.id,
            texts=[f"{row.title} {row.text}", row.number, row.outcome],
            who=row.assigned_to or "",
        )
        for row in await session.execute(query)
    ]


async def _visits(session: AsyncSession, ids: Sequence[int], _: SeenBy | None) -> list[_Row]:
    columns = (Visit.id, Visit.place, Visit.purpose, Visit.outcome, Visit.agent)
    return [
        _Row(id=row.id, texts=[row.purpose, row.place, row.outcome], who=row.agent or "")
        for row in await session.execute(select(*columns).where(Visit.id.in_(ids)))
    ]


async def _complaints(session: AsyncSession, ids: Sequence[int], _: SeenBy | None) -> list[_Row]:
    columns = (Complaint.id, Complaint.number, Complaint.subject, Complaint.text)
    return [
        _Row(id=row.id, texts=[f"{row.subject} {row.text}", row.number], number=row.number)
        for row in await session.execute(select(*columns).where(Complaint.id.in_(ids)))
    ]


async def _orders(session: AsyncSession, ids: Sequence[int], _: SeenBy | None) -> list[_Row]:
    numbers = {
        row.id: row.number
        for row in await session.execute(select(Order.id, Order.number).where(Order.id.in_(ids)))
    }
    goods: dict[int, list[str]] = {}
    lines = select(OrderLine.order_id, OrderLine.names).where(OrderLine.order_id.in_(numbers))
    for order_id, names in await session.execute(lines.order_by(OrderLine.position)):
        goods.setdefault(order_id, []).extend(dict.fromkeys(names.values()))
    return [
        _Row(id=order_id, texts=[", ".join(goods.get(order_id, ())), number], number=number)
        for order_id, number in numbers.items()
    ]


_READERS: Final[Mapping[EntryKind, _Reader]] = {
    EntryKind.MESSAGE: _messages,
    EntryKind.INTERACTION: _interactions,
    EntryKind.TASK: _tasks,
    EntryKind.VISIT: _visits,
    EntryKind.COMPLAINT: _complaints,
    EntryKind.ORDER: _orders,
}


async def _exact(database: Database, question: str, clauses: Sequence[Clause]) -> list[Hit]:
    """The order and the complaint whose number the whole question is."""
    hits: list[Hit] = []
    tables: tuple[tuple[EntryKind, Any, Any, str | None], ...] = (
        (EntryKind.ORDER, Order, Order.placed_at, orders.order_number(question)),
        (
            EntryKind.COMPLAINT,
            Complaint,
            Complaint.filed_at,
            complaints.complaint_number(question),
        ),
    )
    async with database.reading() as session:
        for kind, table, at, number in tables:
            if number is None:
                continue
            query = select(table.id, table.customer_id, at).where(table.number == number)
            found = (await session.execute(query)).one_or_none()
            if found is None:
                continue
            row_id, customer_id, moment = found
            names = await _names(session, {customer_id} - {None})
            for row in await _READERS[kind](session, [row_id], None):
                one = Found(0, kind, row_id, customer_id, moment)
                hits.append(_hit(one, row, names, clauses))
    return hits


def _read_cursor(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise ValueError("that is no cursor of a search")
    return int(text)
