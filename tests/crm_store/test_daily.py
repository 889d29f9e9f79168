from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from crm_store.contacts import attachments, chat_sessions
from crm_store.contacts.attachments import NewFile
from crm_store.contacts.chat_sessions import NewChatSession
from crm_store.daily import Round, make_round
from crm_store.database import Database
from crm_store.models import Attachment, ChatSession, ContactKind, HallSession, SignInCode
from crm_store.people import cards, customers, hall_sessions, points, sign_in_codes
from crm_store.people.customers import NewCustomer
from crm_store.people.sign_in_codes import CodePurpose
from crm_store.phone_menus import guesses
from crm_store.phone_menus.guesses import LIMITS, GuessKind
from crm_store.shop import house
from crm_store.shop.house import House

pytestmark = pytest.mark.db

SHANGHAI = ZoneInfo("Asia/Shanghai")


async def _card(database: Database, place: int, *given: tuple[datetime, int]) -> int:
    digits = f"8800{place:05d}"
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("Reza"), actor="lin")
        card_id = await cards.open_card(
            transaction, customer_id, digits + cards.check_digit(digits)
        )
        for number, (at, hundredths) in enumerate(given):
            await points.add(
                transaction, card_id, hundredths, reason="bought", made_by="till", at=at,
                idempotency_key=f"{place}:{number}",
            )  # fmt: skip
    return card_id


async def test_points_expire_as_the_houses_day_begins(database: Database) -> None:
    async with database.transaction() as transaction:
        facts = House(time_zone="Asia/Shanghai", points_valid_months=24)
        await house.write(transaction, facts, actor="sara")
    given = datetime(2024, 11, 30, 22, tzinfo=SHANGHAI)
    old = await _card(database, 1, (given, 500), (given + timedelta(days=40), 70))
    young = await _card(database, 2, (given + timedelta(days=1), 900))
    midnight = datetime(2026, 11, 30, tzinfo=SHANGHAI)
    assert await make_round(database, midnight - timedelta(seconds=1)) == Round(0, 0)
    assert await make_round(database, midnight) == Round(1, 500)
    assert await make_round(database, midnight) == Round(0, 0)
    assert await points.balance(database, old) == 70
    assert await points.balance(database, young) == 900


async def test_where_points_last_for_ever_nothing_is_taken(database: Database) -> None:
    card_id = await _card(database, 1, (datetime(1999, 1, 1, tzinfo=UTC), 500))
    assert await make_round(database) == Round(0, 0)
    assert await points.balance(database, card_id) == 500


async def test_old_attempts_are_forgotten(database: Database) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for _ in range(6):
        await guesses.allowed(database, GuessKind.CARD, "1", now=now)
    within = LIMITS[GuessKind.CARD].within
    await make_round(database, now + within - timedelta(seconds=1))
    assert not await guesses.allowed(database, GuessKind.CARD, "1", now=now)
    await make_round(database, now + within)
    assert await guesses.allowed(database, GuessKind.CARD, "1", now=now)


async def test_what_is_over_is_forgotten_and_its_files_are_named(database: Database) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    upload = NewFile(name="a", media_type="text/plain", size=1, sha256="a", file="aa/a")
    async with database.transaction() as transaction:
        wang = await customers.create(transaction, NewCustomer("Wang"), actor="lin")
        await sign_in_codes.make(
            transaction, ContactKind.PHONE, "+8613800138000", CodePurpose.HALL,
            client_address="192.0.2.1", now=now,
        )  # fmt: skip
        await hall_sessions.open_session(transaction, wang, timedelta(days=1))
        await chat_sessions.begin(transaction, NewChatSession(language="en"))
        await attachments.add(transaction, None, [upload], uploaded_by="lin", at=now)
    assert (await make_round(database, now)).files == ()
    later = datetime.now(UTC) + timedelta(days=40)
    assert (await make_round(database, later)).files == ("aa/a",)
    async with database.reading() as session:
        for table in (SignInCode, HallSession, ChatSession, Attachment):
            assert (await session.scalars(select(table))).all() == []
