from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from crm_store.contacts import interactions, surveys
from crm_store.contacts.surveys import ONCE_IN
from crm_store.database import Database
from crm_store.models import Call, CallState, Channel, Interaction
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.signals import Direction

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
NUMBER = "+8613800138000"


@pytest.fixture
async def wang(database: Database) -> int:
    """A customer whose call 1.1 has an interaction."""
    async with database.transaction() as transaction:
        wang = await customers.create(transaction, NewCustomer("王芳"), actor="lin")
        call_id = await transaction.session.scalar(
            insert(Call)
            .values(pbx="main", linkedid="1.1", state=CallState.LIVE, caller="x", callee="610",
                    direction=Direction.INBOUND, rang=[], started_at=NOW)
            .returning(Call.id)
        )  # fmt: skip
        interaction: int = await interactions.open_interaction(
            transaction, channel=Channel.PHONE, direction=Direction.INBOUND, customer_id=wang
        )
        await transaction.session.execute(
            update(Interaction).where(Interaction.id == interaction).values(call_id=call_id)
        )
    return wang


async def _ask(
    database: Database, linkedid: str, customer_id: int | None, number: str = NUMBER
) -> int:
    async with database.transaction() as transaction:
        return await surveys.ask(
            transaction, pbx="main", linkedid=linkedid, customer_id=customer_id, number=number,
            queue="service", agent="lin", language="zh", now=NOW,
        )  # fmt: skip


async def test_nobody_is_asked_twice_in_thirty_days(database: Database, wang: int) -> None:
    assert await surveys.may_ask(database, wang, NUMBER, NOW)
    survey = await _ask(database, "1.1", wang)
    assert await _ask(database, "1.1", wang) == survey
    soon, later = NOW + ONCE_IN - timedelta(seconds=1), NOW + ONCE_IN
    for customer_id, number in ((wang, ""), (None, NUMBER), (wang, "+34912345678")):
        assert not await surveys.may_ask(database, customer_id, number, soon)
        assert await surveys.may_ask(database, customer_id, number, later)
    assert await surveys.may_ask(database, None, "+34912345678", soon)
    # Nobody knows how often who is not known was asked.
    assert not await surveys.may_ask(database, None, "", later)


async def test_the_first_answer_stands_on_the_interaction(database: Database, wang: int) -> None:
    survey = await _ask(database, "1.1", wang)
    async with database.transaction() as transaction:
        await surveys.agree(transaction, survey, True)
        await surveys.answer(transaction, survey, "satisfied", 2, is_satisfaction=True)
        await surveys.answer(transaction, survey, "settled", 5, is_satisfaction=False)
        await surveys.answer(transaction, survey, "satisfied", 4, is_satisfaction=True)
    found = await surveys.of_call(database, "main", "1.1")
    assert found is not None
    assert (found.agreed, found.agent, found.queue) == (True, "lin", "service")
    assert found.answers == {"satisfied": 4, "settled": 5}
    async with database.reading() as session:
        assert await session.scalar(select(Interaction.satisfaction)) == 4
    assert await surveys.of_call(database, "other", "1.1") is None


async def test_answers_without_a_call_are_kept_all_the_same(database: Database) -> None:
    survey = await _ask(database, "2.2", None)
    async with database.transaction() as transaction:
        await surveys.answer(transaction, survey, "satisfied", 5, is_satisfaction=True)
    found = await surveys.of_call(database, "main", "2.2")
    assert found is not None
    assert (found.agreed, found.answers) == (None, {"satisfied": 5})


async def test_what_is_no_answer_is_refused(database: Database) -> None:
    survey = await _ask(database, "2.2", None)
    async with database.transaction() as transaction:
        for value in (0, 6, -1):
            with pytest.raises(ValueError, match="1 to 5"):
                await surveys.answer(transaction, survey, "q", value, is_satisfaction=True)
        with pytest.raises(LookupError):
            await surveys.answer(transaction, 999, "q", 3, is_satisfaction=True)
