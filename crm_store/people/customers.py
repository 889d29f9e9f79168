"""Customers: who somebody is, found by phone, card or name, and told as one card.

Owns people and their contact points, and the look-up on the path of a screen pop: one statement,
one trip, by the shortest way (`Database.fetch`). Knows no call and no desk.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import insert, select
from sqlalchemy import update as sql_update

from crm_store import audit, text_search
from crm_store.contacts.interactions import PastInteraction
from crm_store.database import Database, Transaction
from crm_store.facts import CustomerChanged, CustomerCreated
from crm_store.models import Channel, ContactKind, ContactPoint, Customer, Segment
from crm_store.people import cards as member_cards
from crm_store.people.name_index import index_name, index_names
from crm_store.people.phone_numbers import to_e164

MOST_MATCHES = 5
MOST_INTERACTIONS = 10
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ContactWay:
    """A way to reach a customer. A phone's `value` is E.164."""

    kind: ContactKind
    value: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class MemberCard:
    """A member card and its balance, in hundredths of a point."""

    number: str
    points_hundredths: int


@dataclass(frozen=True, slots=True)
class CustomerCard:
    """All that a screen pop shows of one customer. `interactions` are the newest ten, newest
    first; `last_agent` is the login of whoever served this customer last."""

    id: int
    name: str
    segment: Segment
    language: str
    preferred_channel: Channel | None
    notes: str
    reference: str | None
    last_agent: str | None
    contact_points: tuple[ContactWay, ...]
    cards: tuple[MemberCard, ...]
    interactions: tuple[PastInteraction, ...]

    @property
    def points_hundredths(self) -> int:
        """The balance over all of the customer's cards."""
        return sum(card.points_hundredths for card in self.cards)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as orjson and ScreenPop take them; `points_hundredths` is the total."""
        # dataclasses.asdict copies every value deeply, at ten times the cost.
        plain = _plain(self)
        for name in ("contact_points", "cards", "interactions"):
            plain[name] = [_plain(record) for record in plain[name]]
        return plain | {"points_hundredths": self.points_hundredths}


def _plain(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class NewCustomer:
    name: str
    language: str = "en"
    segment: Segment = Segment.ORDINARY
    preferred_channel: Channel | None = None
    notes: str = ""
    reference: str | None = None
    contact_points: Sequence[ContactWay] = field(default=())


@dataclass(frozen=True, slots=True)
class FoundCustomer:
    """A line in a list of people found by name."""

    id: int
    name: str
    segment: Segment
    language: str


# ---- finding -------------------------------------------------------------------------------------


async def find_by_phone(database: Database, e164: str) -> list[CustomerCard]:
    """Whose number this is (from `to_e164`): up to five cards, most recently spoken with first."""
    rows = await database.fetch(_BY_PHONE[database.is_sqlite], e164)
    return [_card(row) for row in rows]


async def find_by_card(database: Database, text: str) -> CustomerCard | None:
    """Whose member card this is, also if it was keyed; None for a number that is not one."""
    number = member_cards.card_number(text)
    if number is None:
        return None
    rows = await database.fetch(_BY_CARD[database.is_sqlite], number)
    return _card(rows[0]) if rows else None


async def card(database: Database, customer_id: int) -> CustomerCard | None:
    """The customer's card, None if there is no such customer. One that was merged into another is
    that other: the card's `id` says which."""
    rows = await database.fetch(_BY_ID[database.is_sqlite], customer_id)
    if not rows:
        person = await same_person(database, customer_id)
        rows = await database.fetch(_BY_ID[database.is_sqlite], person[0]) if person else ()
    return _card(rows[0]) if rows else None


async def same_person(database: Database, customer_id: int) -> list[int]:
    """All rows that are this customer: the one that is kept first, then those merged into it."""
    rows = await database.fetch(_SAME_PERSON, customer_id)
    return [row[0] for row in rows]


async def name_of(database: Database, customer_id: int) -> str:
    """The name of that very row, also if it was merged away; "" if there is none."""
    rows = await database.fetch("SELECT name FROM customers WHERE id = $1", customer_id)
    return str(rows[0][0]) if rows else ""


async def search_by_name(database: Database, text: str, limit: int = 20) -> list[FoundCustomer]:
    """People whose name begins with `text`, then those who have its words within, in any script."""
    wanted = fold_name(text)
    if not wanted:
        return []
    columns = select(Customer.id, Customer.name, Customer.segment, Customer.language).where(
        Customer.merged_into.is_(None)
    )
    begins = (
        columns.where(Customer.name_folded >= wanted, Customer.name_folded < wanted + "\U0010ffff")
        .order_by(Customer.name_folded, Customer.id)
        .limit(limit)
    )
    async with database.reading() as session:
        found = {row.id: FoundCustomer(*row) for row in await session.execute(begins)}
    if len(found) < limit:
        within = await text_search.search_names(database, text, limit=limit)
        async with database.reading() as session:
            rows = await session.execute(columns.where(Customer.id.in_(within)))
            others = {row.id: FoundCustomer(*row) for row in rows}
        found |= {row_id: one for row_id, one in others.items() if row_id not in found}
    return list(found.values())[:limit]


# ---- changing ------------------------------------------------------------------------------------


async def create(transaction: Transaction, new: NewCustomer, *, actor: str) -> int:
    """Write a new customer; the row's id. Raises ValueError for a name that says nothing."""
    now = datetime.now(UTC)
    customer_id: int = (
        await transaction.session.execute(
            insert(Customer)
            .values(
                name=checked_name(new.name),
                name_folded=fold_name(new.name),
                language=new.language,
                segment=new.segment,
                preferred_channel=new.preferred_channel,
                notes=new.notes,
                reference=new.reference,
                created_at=now,
                updated_at=now,
            )
            .returning(Customer.id)
        )
    ).scalar_one()
    for way in dict.fromkeys(new.contact_points):
        await _write_contact_point(transaction, customer_id, way, now)
    await index_names(transaction, [(customer_id, new.name)])
    await audit.record(
        transaction, actor=actor, action="created", subject_kind="customer", subject_id=customer_id
    )
    await transaction.emit(CustomerCreated(customer_id=customer_id))
    return customer_id


async def update(
    transaction: Transaction,
    customer_id: int,
    *,
    actor: str,
    name: str | None = None,
    language: str | None = None,
    segment: Segment | None = None,
    preferred_channel: Channel | None = None,
    notes: str | None = None,
) -> list[str]:
    """Change the fields that are given; the names of those that differ now.

    Raises LookupError if there is no such customer, ValueError for a name that says nothing.
    """
    given: dict[str, Any] = {
        "name": None if name is None else checked_name(name),
        "language": language,
        "segment": segment,
        "preferred_channel": preferred_channel,
        "notes": notes,
    }
    row = await transaction.session.get(Customer, customer_id, with_for_update=True)
    if row is None:
        raise LookupError(f"there is no customer {customer_id}")
    changed = {
        field_name: value
        for field_name, value in given.items()
        if value is not None and value != getattr(row, field_name)
    }
    if not changed:
        return []
    fields = list(changed)
    if "name" in changed:
        changed["name_folded"] = fold_name(changed["name"])
    await transaction.session.execute(
        sql_update(Customer)
        .where(Customer.id == customer_id)
        .values(**changed, updated_at=datetime.now(UTC))
    )
    if "name" in changed:
        await index_name(transaction, customer_id, changed["name"])
    await _changed(transaction, customer_id, fields, actor)
    return fields


async def add_contact_point(
    transaction: Transaction, customer_id: int, way: ContactWay, *, actor: str
) -> bool:
    """Add a way to reach the customer. False if it is there already."""
    known = await transaction.session.scalar(
        select(ContactPoint.id).where(
            ContactPoint.customer_id == customer_id,
            ContactPoint.kind == way.kind,
            ContactPoint.value == way.value,
        )
    )
    if known is not None:
        return False
    await _write_contact_point(transaction, customer_id, way, datetime.now(UTC))
    await _changed(transaction, customer_id, ["contact_points"], actor)
    return True


def contact_way(kind: ContactKind, text: str, region: str, label: str = "") -> ContactWay:
    """A contact point in its stored form. Raises ValueError if `text` is not one of that kind."""
    value: str | None = text.strip()
    if kind in (ContactKind.PHONE, ContactKind.FAX):
        value = to_e164(text, region)
    elif kind is ContactKind.MAIL:
        value = mail_address(text)
    if not value:
        raise ValueError(f"that is not a {kind.value} address")
    return ContactWay(kind, value, label)


def mail_address(text: str) -> str | None:
    """A mail address in lower case, or None if it cannot be one."""
    address = text.strip().lower()
    local, at, domain = address.rpartition("@")
    plain = at and local and "." in domain.strip(".") and len(address) <= 254
    if not plain or any(letter.isspace() or letter in '<>(),;:"\\' for letter in address):
        return None
    return address


def checked_name(text: str) -> str:
    """The name with its spaces in order. Raises ValueError if nothing remains."""
    name = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not name:
        raise ValueError("a customer needs a name")
    return name[:LONGEST_NAME]


def fold_name(text: str) -> str:
    """A name as it is compared: without accents and case, Arabic letters as Persian writes them."""
    plain = unicodedata.normalize("NFKD", text).translate(_ONE_FORM)
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", " ".join(kept.casefold().split()))


# Arabic yeh and kaf to the Persian ones; the zero-width non-joiner is a matter of spelling.
_ONE_FORM = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک", "\u200c": None})


async def _write_contact_point(
    transaction: Transaction, customer_id: int, way: ContactWay, now: datetime
) -> None:
    if way.kind in (ContactKind.PHONE, ContactKind.FAX) and to_e164(way.value, "ZZ") != way.value:
        raise ValueError("a phone's value is E.164; see contact_way")
    await transaction.session.execute(
        insert(ContactPoint).values(
            customer_id=customer_id, kind=way.kind, value=way.value, label=way.label, created_at=now
        )
    )


async def _changed(
    transaction: Transaction, customer_id: int, fields: list[str], actor: str
) -> None:
    await audit.record(
        transaction,
        actor=actor,
        action="changed",
        subject_kind="customer",
        subject_id=customer_id,
        fields=fields,
    )
    await transaction.emit(CustomerChanged(customer_id=customer_id, fields=fields))


# ---- the card, in one statement ------------------------------------------------------------------

# {rows} and {row} are the JSON functions of each database; lists come as arrays in column order.
_CARD = """
SELECT c.id, c.name, c.segment, c.language, c.preferred_channel, c.notes, c.reference,
  (SELECT i.agent FROM interactions i WHERE i.customer_id = c.id AND i.agent IS NOT NULL
   ORDER BY i.opened_at DESC LIMIT 1),
  (SELECT {rows}({row}(p.kind, p.value, p.label)) FROM
    (SELECT kind, value, label FROM contact_points WHERE customer_id = c.id ORDER BY id) p),
  (SELECT {rows}({row}(m.number, m.balance)) FROM
    (SELECT number, (SELECT coalesce(sum(hundredths), 0) FROM points_entries e
                     WHERE e.card_id = k.id) AS balance
     FROM cards k WHERE k.customer_id = c.id AND k.closed_at IS NULL ORDER BY k.id) m),
  (SELECT {rows}({row}(n.id, n.channel, n.direction, n.opened_at, n.closed_at, n.agent, n.queue,
                       n.disposition, n.summary, n.note, {keyed}, n.call_id)) FROM
    (SELECT id, channel, direction, opened_at, closed_at, agent, queue, disposition, summary, note,
            keyed, call_id
     FROM interactions WHERE customer_id = c.id ORDER BY opened_at DESC, id DESC
     LIMIT {most_interactions}) n)
FROM customers c
"""


def _statements(rest: str) -> dict[bool, str]:
    """The statement for SQLite (True) and for PostgreSQL (False)."""
    return {
        is_sqlite: (_CARD + rest).format(
            rows="json_group_array" if is_sqlite else "json_agg",
            row="json_array" if is_sqlite else "json_build_array",
            keyed="json(n.keyed)" if is_sqlite else "n.keyed",
            most_interactions=MOST_INTERACTIONS,
            most_matches=MOST_MATCHES,
        )
        for is_sqlite in (True, False)
    }


_BY_ID = _statements("WHERE c.id = $1 AND c.merged_into IS NULL")
_BY_CARD = _statements("WHERE c.id = (SELECT customer_id FROM cards WHERE number = $1)")
# A merged customer keeps the ways that the other has as well.
_BY_PHONE = _statements(
    "WHERE c.id IN (SELECT customer_id FROM contact_points WHERE kind = 'phone' AND value = $1)"
    " AND c.merged_into IS NULL"
    " ORDER BY (SELECT max(i.opened_at) FROM interactions i WHERE i.customer_id = c.id)"
    " DESC NULLS LAST, c.id LIMIT {most_matches}"
)

_SAME_PERSON = """
WITH RECURSIVE up(id, merged_into) AS (
  SELECT id, merged_into FROM customers WHERE id = $1
  UNION SELECT c.id, c.merged_into FROM customers c JOIN up ON c.id = up.merged_into),
same(id, depth) AS (
  SELECT id, 0 FROM up WHERE merged_into IS NULL
  UNION SELECT c.id, same.depth + 1 FROM customers c JOIN same ON c.merged_into = same.id)
SELECT id FROM same ORDER BY depth, id
"""


def _card(row: Sequence[Any]) -> CustomerCard:
    ways, own_cards, history = (orjson.loads(column) if column else () for column in row[8:11])
    return CustomerCard(
        id=row[0],
        name=row[1],
        segment=Segment(row[2]),
        language=row[3],
        preferred_channel=Channel(row[4]) if row[4] else None,
        notes=row[5],
        reference=row[6],
        last_agent=row[7],
        contact_points=tuple(
            ContactWay(ContactKind(kind), value, label) for kind, value, label in ways
        ),
        cards=tuple(MemberCard(number, balance) for number, balance in own_cards),
        interactions=tuple(_past_interaction(row[0], line) for line in history),
    )


def _past_interaction(customer_id: int, line: list[Any]) -> PastInteraction:
    row_id, channel, direction, opened_at, closed_at, agent, queue = line[:7]
    disposition, summary, note, keyed, call_id = line[7:]
    return PastInteraction(
        id=row_id,
        channel=Channel(channel),
        direction=direction,
        opened_at=_moment(opened_at),
        closed_at=_moment(closed_at) if closed_at else None,
        agent=agent,
        queue=queue,
        disposition=disposition,
        summary=summary,
        note=note,
        keyed=tuple(keyed),
        call_id=call_id,
        customer_id=customer_id,
    )


def _moment(text: str) -> datetime:
    # Both databases give UTC here, SQLite without saying so.
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
