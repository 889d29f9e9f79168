"""The sample mall on a database of its own for each test, a copy of one that is filled once."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crm_store.database import Database
from crm_store.models import ContactKind, Segment
from crm_store.people import cards, customers, points
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.sample import mall
from crm_store.staff import queues
from ivr.prompts import compile_catalogues
from tests.ivr.menus.stage import ANA, ANAS_CARD, ANAS_PIN, NOON, Stage, stage_of
from tests.store_fixtures import run_apart, sqlite_template

__all__ = ["mall_template", "sqlite_template", "stage"]


@pytest.fixture(scope="session")
def mall_template(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample mall, and Ana with 12,345.50 points, of which 300 expire on 1 December."""
    compile_catalogues()
    path = tmp_path_factory.mktemp("mall") / "mall.db"
    shutil.copy(sqlite_template, path)
    run_apart(_fill(path))
    return path


async def _fill(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    await mall.fill(database, now=NOON)
    every = await queues.all_queues(database)
    async with database.transaction() as transaction:
        # What is said of a queue's way out is of the tests that give it one.
        for queue in every:
            await queues.save(transaction, replace(queue, exit_key="", exit_target=""))
        ana = await customers.create(
            transaction,
            NewCustomer(
                name="Ana Rey",
                language="es",
                segment=Segment.MEMBER,
                contact_points=[ContactWay(ContactKind.PHONE, ANA)],
            ),
            actor="test",
        )
        card = await cards.open_card(transaction, ana, ANAS_CARD)
        await cards.set_pin(transaction, card, ANAS_PIN, actor="test")
        for key, hundredths, at in (
            ("old", 30_000, datetime(2024, 12, 1, 4, tzinfo=UTC)),
            ("new", 1_204_550, datetime(2026, 3, 1, 4, tzinfo=UTC)),
        ):
            await points.add(
                transaction, card, hundredths, reason="purchase", idempotency_key=key,
                made_by="test", at=at,
            )  # fmt: skip
    await database.close()


@pytest.fixture
async def stage(mall_template: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    path = tmp_path / "deskbell.db"
    shutil.copy(mall_template, path)
    database = Database(f"sqlite:///{path}", patience_s=5)
    yield await stage_of(database, tmp_path)
    await database.close()
