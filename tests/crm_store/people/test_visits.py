from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_store import text_search
from crm_store.database import Database
from crm_store.models import VisitState
from crm_store.people import customers, visits
from crm_store.people.customers import NewCustomer
from crm_store.people.visits import VisitIsOver

pytestmark = pytest.mark.db

NOW = datetime.now(UTC).replace(microsecond=0)


async def test_a_visit_is_planned_and_held_once(database: Database) -> None:
    async with database.transaction() as transaction:
        wang = await customers.create(transaction, NewCustomer("王芳"), actor="lin")
        planned = await visits.plan(
            transaction, wang, NOW + timedelta(days=1), actor="lin", agent="maria", purpose="试衣"
        )
        logged = await visits.log(transaction, wang, NOW, actor="lin", outcome="bought a coat")
    async with database.transaction() as transaction:
        await visits.hold(transaction, planned, actor="maria", outcome="想要深蓝色")
    async with database.transaction() as transaction:
        with pytest.raises(VisitIsOver):
            await visits.cancel(transaction, planned, actor="lin")
        with pytest.raises(VisitIsOver):
            await visits.hold(transaction, planned, actor="lin", outcome="x")
    first, second = await visits.of_customer(database, wang)
    assert [(one.id, one.state, one.agent) for one in (first, second)] == [
        (planned, VisitState.HELD, "maria"),
        (logged, VisitState.HELD, "lin"),
    ]
    assert [one.row_id for one in await text_search.search(database, "深蓝")] == [planned]


async def test_nobody_is_not_visited(database: Database) -> None:
    async with database.transaction() as transaction:
        with pytest.raises(LookupError):
            await visits.plan(transaction, 99, NOW, actor="lin")
        with pytest.raises(VisitIsOver):
            await visits.cancel(transaction, 99, actor="lin")
