from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crm_store.database import Database
from crm_store.models import FactRow
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.phone_menus import menu_visits
from crm_store.phone_menus.menu_visits import LONGEST_TEXT, MOST_STEPS, MenuVisit, Step

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 9, 30, 15, 250_000, tzinfo=UTC)
VISIT = MenuVisit(
    pbx="main",
    linkedid="1763.1",
    menu="main",
    version=3,
    number="+8613800138000",
    language="fa",
    entered_at=NOW,
    left_at=NOW + timedelta(seconds=61.5),
    left_to="queue:service",
    trail=(
        Step(0.5, "main", "خوش آمدید", "1", "fa"),
        Step(12.25, "points", "رمز را وارد کنید", "••••", "fa"),
    ),
)


async def _write(database: Database, visit: MenuVisit) -> int:
    async with database.transaction() as transaction:
        return await menu_visits.write(transaction, visit)


async def test_a_visit_is_kept_once_with_its_whole_trail(database: Database) -> None:
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("Reza"), actor="lin")
    visit = replace(VISIT, customer_id=customer_id)
    assert await _write(database, visit) == await _write(database, visit)
    later = replace(
        VISIT, menu="waiting", entered_at=NOW + timedelta(minutes=2),
        left_at=NOW + timedelta(minutes=3), trail=(), left_to="",
    )  # fmt: skip
    await _write(database, later)
    await _write(database, replace(VISIT, pbx="other"))
    found = await menu_visits.of_call(database, "main", "1763.1")
    assert found == [visit, later]
    assert found[0].seconds == 61.5
    assert await menu_visits.of_call(database, "main", "1763.2") == []
    async with database.reading() as session:
        kinds = await session.scalars(FactRow.__table__.select().with_only_columns(FactRow.kind))
    assert list(kinds).count("MenuVisited") == 3


async def test_a_caller_who_keys_for_ever_fills_no_database(sqlite_database: Database) -> None:
    steps = tuple(
        Step(float(number), "main", "x" * 9_999, "9" * 9_999, "en") for number in range(3_000)
    )
    await _write(sqlite_database, replace(VISIT, trail=steps))
    [found] = await menu_visits.of_call(sqlite_database, "main", "1763.1")
    assert len(found.trail) == MOST_STEPS
    assert {len(step.heard) for step in found.trail} == {LONGEST_TEXT}
    assert {len(step.keyed) for step in found.trail} == {LONGEST_TEXT}
