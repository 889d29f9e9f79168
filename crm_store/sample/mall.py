"""A mall to try Deskbell on: its customers and their past, the same at every making.

Owns sample data only, and leaves alone what is there already. Sets no passwords, but one PIN.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from crm_store.database import Database, Transaction
from crm_store.models import (
    Card,
    Channel,
    ContactKind,
    ContactPoint,
    Customer,
    Interaction,
    PointsEntry,
    Role,
    Segment,
)
from crm_store.people import cards as member_cards
from crm_store.people.cards import check_digit
from crm_store.people.customers import fold_name
from crm_store.people.name_index import index_names
from crm_store.people.points import months_later
from crm_store.sample.desk import QUEUES, STAFF, fill_desk
from crm_store.sample.house import HOUSE
from crm_store.sample.knowledge import fill_knowledge
from crm_store.sample.names import CHINESE, ENGLISH, PERSIAN, SPANISH, Names
from crm_store.sample.phone_menu import fill_phone_menu
from crm_store.sample.shop import fill_orders, fill_shop
from crm_store.sample.story import fill_stories
from crm_store.sample.written import fill_conversations
from crm_store.signals import Direction

CUSTOMERS = 2_000
WELL_KNOWN_NUMBER = "+8613800138000"
"""The number of 王芳, a VIP: the one to call the demo from."""
SHARED_NUMBER = "+862155501234"
"""A family's number, which three customers share."""
WELL_KNOWN_POINTS = 1_234_550
"""What 王芳 has on her card, in hundredths: 12,345.50 points, 500 of which expire in 20 days."""
WELL_KNOWN_PIN = "2580"
"""The PIN of that card."""
_SEED = 20_261_121
_ROWS_AT_ONCE = 500


_OLD_QUEUES = QUEUES[:3]
"""The information line is new: the mall's past knows nothing of it."""
_PAST_LEAF = {
    "points": "points_balance",
    "order": "order_status",
    "complaint": "complaint_goods",
}
"""What a past contact ended with, under a branch."""

_STORIES = {
    "zh": ("询问会员积分余额", "咨询冬季外套的库存", "订单尚未送达，已查询",
           "反映三楼电梯故障", "预订生日蛋糕"),
    "es": ("Preguntó por sus puntos", "Buscaba un abrigo de talla 42", "Su pedido no ha llegado",
           "Pidió la factura de la compra", "Quiere cambiar unos zapatos"),
    "fa": ("موجودی امتیاز را پرسید", "دربارهٔ تحویل سفارش پرسید", "از برخورد صندوق شکایت داشت",
           "ساعت کار فروشگاه را پرسید", "کفش را عوض می‌کند"),
    "en": ("Asked for the points balance", "Looked for a coat in size 12", "Order has not arrived",
           "Wants to return a kettle", "Asked about opening hours on Sunday"),
}  # fmt: skip


async def fill(database: Database, *, now: datetime | None = None) -> int:
    """Write the mall where it is missing; how many customers were written (0 the second time).

    Queues, staff and lists that are there by name are left as somebody may have changed them.
    """
    moment = now or datetime.now(UTC)
    async with database.transaction() as transaction:
        await fill_desk(transaction)
        await fill_knowledge(transaction)
        await fill_shop(transaction, moment)
        await fill_phone_menu(transaction)
        known = await transaction.session.scalar(
            select(Customer.id).where(Customer.reference == _reference(1))
        )
        if known is not None:
            await fill_orders(transaction, moment)
            return 0
        people = list(_people(random.Random(_SEED), moment))  # noqa: S311
        for start in range(0, len(people), _ROWS_AT_ONCE):
            await _write_people(transaction, people[start : start + _ROWS_AT_ONCE])
        await _give_pin(transaction)
        await fill_orders(transaction, moment)
        await fill_stories(transaction, _reference(1), WELL_KNOWN_NUMBER, moment)
        await fill_conversations(transaction, moment)
    return len(people)


@dataclass(slots=True)
class _SamplePerson:
    """A customer's rows, without the keys that the database gives."""

    customer: dict[str, Any]
    ways: list[dict[str, Any]]
    cards: list[tuple[dict[str, Any], list[dict[str, Any]]]]
    interactions: list[dict[str, Any]]


def _people(chance: random.Random, now: datetime) -> Iterator[_SamplePerson]:
    languages = (CHINESE, CHINESE, CHINESE, CHINESE, SPANISH, SPANISH, PERSIAN, ENGLISH, ENGLISH)
    for position in range(1, CUSTOMERS + 1):
        names = CHINESE if position <= 4 else chance.choice(languages)
        name = "王芳" if position == 1 else names.person(chance)
        phone = {1: WELL_KNOWN_NUMBER}.get(position) or names.phone(chance, position)
        segment = chance.choices(list(Segment), weights=(5, 35, 60))[0]
        if position == 1:
            segment = Segment.VIP
        yield _person(chance, now, position, names, name=name, phone=phone, segment=segment)


def _person(
    chance: random.Random,
    now: datetime,
    position: int,
    names: Names,
    *,
    name: str,
    phone: str,
    segment: Segment,
) -> _SamplePerson:
    joined = now - timedelta(days=chance.randrange(30, 2_000), seconds=chance.randrange(86_400))
    ways = [_way(ContactKind.PHONE, phone, "mobile", joined)]
    if 2 <= position <= 4:
        ways.append(_way(ContactKind.PHONE, SHARED_NUMBER, "home", joined))
    if position == 1 or chance.random() < 0.6:
        mail = f"customer{position}@mail.example"
        ways.append(_way(ContactKind.MAIL, mail, "", joined))
    cards = []
    if segment is not Segment.ORDINARY:
        card = {"number": card_of(position), "opened_at": joined}
        ledger = list(_ledger(chance, position, joined, now))
        if position == 1:
            ledger = list(_well_known_ledger(now))
            card["opened_at"] = min(joined, ledger[0]["at"])
        cards.append((card, ledger))
    contacts = chance.choices((0, 1, 2, 4, 8), weights=(25, 30, 25, 15, 5))[0]
    return _SamplePerson(
        customer={
            "name": name,
            "name_folded": fold_name(name),
            "language": names.language,
            "segment": segment,
            "preferred_channel": chance.choice((None, Channel.PHONE, Channel.SMS, Channel.MAIL)),
            "notes": names.note if position == 1 or chance.random() < 0.05 else "",
            "reference": _reference(position),
            "created_at": joined,
            "updated_at": joined,
        },
        ways=ways,
        cards=cards,
        interactions=[
            _past(chance, now, joined, phone, names.language)
            for _ in range(contacts if position != 1 else 6)
        ],
    )


def card_of(position: int) -> str:
    """The card's number of the customer at that place, counted from 1."""
    digits = f"880010{position:09d}"
    return digits + check_digit(digits)


def _reference(position: int) -> str:
    return f"MALL-{position:05d}"


def _way(kind: ContactKind, value: str, label: str, at: datetime) -> dict[str, Any]:
    return {"kind": kind, "value": value, "label": label, "created_at": at}


def _ledger(
    chance: random.Random, position: int, joined: datetime, now: datetime
) -> Iterator[dict[str, Any]]:
    balance = 0
    at = joined
    for number in range(chance.randrange(1, 13)):
        at = min(now, at + timedelta(days=chance.randrange(1, 60)))
        spends = balance > 50_000 and chance.random() < 0.25
        moved = (
            -chance.randrange(10_000, balance, 100) if spends else chance.randrange(500, 250_000)
        )
        balance += moved
        yield {
            "hundredths": moved,
            "reason": "gift" if spends else "purchase",
            "idempotency_key": f"mall:{position}:{number}",
            "made_by": "till",
            "at": at,
        }


def _well_known_ledger(now: datetime) -> Iterator[dict[str, Any]]:
    """The ledger of 王芳: always the same balance, some of it to expire soon."""
    today = now.astimezone(HOUSE.zone).date()
    oldest = months_later(today + timedelta(days=20), -HOUSE.points_valid_months)
    moves = (
        (datetime(oldest.year, oldest.month, oldest.day, 15, tzinfo=HOUSE.zone), 150_000),
        (now - timedelta(days=300), -100_000),
        (now - timedelta(days=200), 800_000),
        (now - timedelta(days=30), 384_550),
    )
    for number, (at, moved) in enumerate(moves):
        yield {
            "hundredths": moved,
            "reason": "gift" if moved < 0 else "purchase",
            "idempotency_key": f"mall:1:{number}",
            "made_by": "till",
            "at": at,
        }


async def _give_pin(transaction: Transaction) -> None:
    card_id = await transaction.session.scalar(select(Card.id).where(Card.number == card_of(1)))
    assert card_id is not None
    await member_cards.set_pin(transaction, card_id, WELL_KNOWN_PIN, actor="system")


def _past(
    chance: random.Random, now: datetime, joined: datetime, phone: str, language: str
) -> dict[str, Any]:
    span = max(1, int((now - joined).total_seconds()))
    opened = now - timedelta(seconds=chance.randrange(min(span, 400 * 86_400)))
    channel = chance.choices(
        (Channel.PHONE, Channel.MAIL, Channel.SMS, Channel.CHAT, Channel.WEB, Channel.VISIT),
        weights=(60, 12, 8, 10, 5, 5),
    )[0]
    by_phone = channel is Channel.PHONE
    queue = chance.choice(_OLD_QUEUES)
    outbound = by_phone and chance.random() < 0.15
    person = chance.choice(
        [one for one in STAFF if queue.name in one.queues and one.role is Role.AGENT]
    )
    return {
        "channel": channel,
        "direction": Direction.OUTBOUND if outbound else Direction.INBOUND,
        "address": phone if by_phone else "",
        "opened_at": opened,
        "closed_at": opened + timedelta(seconds=chance.randrange(40, 900)),
        "agent": person.login,
        "queue": queue.name,
        "disposition": _leaf(chance.choice(queue.dispositions)),
        "summary": chance.choice(_STORIES[language]),
        "note": "",
        "keyed": [chance.choice("123")] if by_phone and not outbound else [],
    }


def _leaf(code: str) -> str:
    return _PAST_LEAF.get(code, code)


async def _write_people(transaction: Transaction, people: list[_SamplePerson]) -> None:
    session = transaction.session
    ids = list(
        await session.scalars(
            insert(Customer).returning(Customer.id, sort_by_parameter_order=True),
            [person.customer for person in people],
        )
    )
    owned = list(zip(ids, people, strict=True))
    await index_names(transaction, [(owner, person.customer["name"]) for owner, person in owned])
    await session.execute(
        insert(ContactPoint),
        [way | {"customer_id": owner} for owner, person in owned for way in person.ways],
    )
    cards = [(owner, *card) for owner, person in owned for card in person.cards]
    card_ids = await session.scalars(
        insert(Card).returning(Card.id, sort_by_parameter_order=True),
        [card | {"customer_id": owner} for owner, card, _ in cards],
    )
    await session.execute(
        insert(PointsEntry),
        [
            entry | {"card_id": card_id}
            for card_id, (_, _, ledger) in zip(card_ids.all(), cards, strict=True)
            for entry in ledger
        ],
    )
    await session.execute(
        insert(Interaction),
        [line | {"customer_id": owner} for owner, person in owned for line in person.interactions],
    )
