from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from crm_store.database import Database
from crm_store.models import ContactKind, SignInCode
from crm_store.people import sign_in_codes
from crm_store.people.sign_in_codes import MOST_TRIES, CodePurpose

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PHONE = "+8613800138000"


async def _make(database: Database, minute: float = 0, **values: object) -> str | None:
    given: dict[str, object] = {
        "kind": ContactKind.PHONE,
        "value": PHONE,
        "purpose": CodePurpose.HALL,
        "client_address": "192.0.2.1",
        "now": NOW + timedelta(minutes=minute),
    }
    async with database.transaction() as transaction:
        return await sign_in_codes.make(transaction, **(given | values))  # type: ignore[arg-type]


async def _check(database: Database, typed: str, minute: float = 0, **values: object) -> bool:
    given: dict[str, object] = {
        "kind": ContactKind.PHONE,
        "value": PHONE,
        "purpose": CodePurpose.HALL,
        "typed": typed,
        "client_address": "192.0.2.1",
        "now": NOW + timedelta(minutes=minute),
    }
    async with database.transaction() as transaction:
        return await sign_in_codes.check(transaction, **(given | values))  # type: ignore[arg-type]


def _wrong(code: str, count: int) -> list[str]:
    return [f"{(int(code) + step) % 1_000_000:06d}" for step in range(1, count + 1)]


async def test_a_code_is_good_once_for_what_it_was_made_for(database: Database) -> None:
    code = await _make(database)
    assert code is not None
    assert len(code) == 6
    assert code.isascii()
    assert code.isdigit()
    async with database.reading() as session:
        assert code not in str((await session.scalars(select(SignInCode.code_hash))).one())
    assert not await _check(database, code, value="+8613800138001")
    assert not await _check(database, code, purpose=CodePurpose.PROOF)
    assert not await _check(database, code, kind=ContactKind.MAIL)
    assert await _check(database, f" {code[:3]}-{code[3:]} ")
    assert not await _check(database, code)


async def test_ten_minutes_and_five_tries_and_it_is_worth_nothing(database: Database) -> None:
    code = await _make(database)
    assert code is not None
    assert not await _check(database, code, 10)
    for typed in _wrong(code, MOST_TRIES - 1):
        assert not await _check(database, typed)
    assert await _check(database, code, 9.9)
    code = await _make(database, 11)
    assert code is not None
    tries = await asyncio.gather(
        *(_check(database, typed, 12) for typed in [*_wrong(code, MOST_TRIES), "", "x" * 9_999])
    )
    assert not any(tries)
    assert not await _check(database, code, 12)


async def test_only_the_newest_counts(database: Database) -> None:
    first, second = await _make(database), await _make(database, 1)
    assert first is not None
    assert second is not None
    if first != second:
        assert not await _check(database, first, 2)
    assert await _check(database, second, 2)


async def test_three_an_hour_and_ten_a_day_for_an_address(database: Database) -> None:
    made = [await _make(database, minute) for minute in range(5)]
    assert [code is not None for code in made] == [True, True, True, False, False]
    # What was made still holds: nobody is locked out by somebody who asks for more.
    assert made[2] is not None
    assert await _check(database, made[2], 5)
    assert await _make(database, 5, value="+8613800138001") is not None
    hours = [await _make(database, 61 * hour + minute) for hour in range(1, 7) for minute in (0, 1)]
    assert sum(code is not None for code in hours) == 5


async def test_one_client_can_neither_send_nor_try_without_end(database: Database) -> None:
    sent = [await _make(database, value=f"+86138001380{number:02d}") for number in range(25)]
    assert sum(code is not None for code in sent) == 20
    code = await _make(database, client_address="192.0.2.2")
    assert code is not None
    for number in range(60):
        await _check(database, "000000", value=f"+86138001381{number:02d}")
    assert not await _check(database, code)
    assert await _check(database, code, client_address="192.0.2.2")


async def test_what_is_over_is_forgotten(database: Database) -> None:
    await _make(database)
    await _make(database, 8)
    async with database.transaction() as transaction:
        assert await sign_in_codes.forget_old(transaction, now=NOW + timedelta(minutes=12)) == 1


@given(typed=st.text(max_size=60))
def test_whatever_is_typed_is_read(typed: str) -> None:
    sign_in_codes.plain_digits(typed)


def test_digits_are_read_in_any_script() -> None:
    assert sign_in_codes.plain_digits("۱۲۳ ۴۵۶") == "123456"
    assert sign_in_codes.plain_digits("１２３－456") == "123－456"
