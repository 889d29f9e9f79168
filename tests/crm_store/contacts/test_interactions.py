from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from crm_store import audit
from crm_store.contacts import calls, interactions
from crm_store.contacts.calls import CallRecord
from crm_store.database import Database
from crm_store.models import CallState, Channel, FactRow, WrapUp
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.signals import Direction

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


async def _customer(database: Database, name: str = "Wang Fang") -> int:
    async with database.transaction() as transaction:
        return await customers.create(transaction, NewCustomer(name), actor="lin")


async def test_an_interaction_from_opened_to_closed(database: Database) -> None:
    customer_id = await _customer(database)
    async with database.transaction() as transaction:
        row_id = await interactions.open_interaction(
            transaction,
            channel=Channel.MAIL,
            direction=Direction.INBOUND,
            customer_id=customer_id,
            address="wang@example.com",
            at=NOW,
            agent="lin",
        )
        await interactions.save_note(transaction, row_id, "half a no")
        await interactions.add_keyed(transaction, row_id, ["1"])
        await interactions.add_keyed(transaction, row_id, ["2", "3#"])
    [open_one] = await interactions.open_of_agent(database, "lin")
    assert (open_one.note, open_one.keyed, open_one.closed_at) == (
        "half a no",
        ("1", "2", "3#"),
        None,
    )
    async with database.transaction() as transaction:
        assert await interactions.close(
            transaction, row_id, disposition="sold", note="a whole note", at=NOW
        )
        assert not await interactions.close(transaction, row_id, disposition=None, summary="tea")
    closed = await interactions.find(database, row_id)
    assert closed is not None
    assert (closed.disposition, closed.note, closed.summary) == ("sold", "a whole note", "tea")
    assert (closed.closed_at, closed.agent) == (NOW, "lin")
    assert await interactions.open_of_agent(database, "lin") == []
    async with database.reading() as session:
        facts = list(await session.scalars(select(FactRow).order_by(FactRow.id)))
    assert [(fact.kind, fact.data.get("disposition")) for fact in facts[1:]] == [
        ("InteractionOpened", None),
        ("InteractionClosed", "sold"),
    ]


async def test_each_agent_of_a_call_has_a_note_and_a_wrap_up_of_their_own(
    database: Database,
) -> None:
    live = CallRecord(
        pbx="main",
        linkedid="1.1",
        state=CallState.LIVE,
        direction=Direction.INBOUND,
        caller="+8613800138000",
        callee="600",
        started_at=NOW,
        agent="lin",
    )
    for agent in ("lin", "maria", "lin"):
        async with database.transaction() as transaction:
            recorded = await calls.record_calls(transaction, [replace(live, agent=agent)])
    row_id = recorded["main", "1.1"].interaction_id
    assert row_id is not None
    for agent in ("lin", "maria"):
        assert [line.id for line in await interactions.open_of_agent(database, agent)] == [row_id]
    async with database.transaction() as transaction:
        await interactions.save_note(transaction, row_id, "asks for the bill", agent="lin")
        await interactions.save_note(transaction, row_id, "half a no", agent="maria")
        await interactions.close(
            transaction, row_id, disposition="passed_on", agent="lin", note="asked for the bill"
        )
    assert await interactions.note_of(database, row_id, "maria") == "half a no"
    assert await interactions.note_of(database, row_id, "omid") == ""
    assert await interactions.open_of_agent(database, "lin") == []
    assert [line.id for line in await interactions.open_of_agent(database, "maria")] == [row_id]
    async with database.transaction() as transaction:
        await interactions.close(
            transaction, row_id, disposition="solved", agent="maria", note="bill sent"
        )
    story = await interactions.find(database, row_id)
    assert story is not None
    assert story.note == "lin: asked for the bill\n\nmaria: bill sent"
    assert (story.disposition, story.agent) == ("solved", "maria")
    assert await interactions.open_of_agent(database, "maria") == []
    async with database.reading() as session:
        rows = await session.execute(select(WrapUp.agent, WrapUp.disposition).order_by(WrapUp.id))
    assert [tuple(row) for row in rows] == [("lin", "passed_on"), ("maria", "solved")]


async def test_of_two_calls_that_become_one_nobody_has_to_wrap_up_twice(
    database: Database,
) -> None:
    record = CallRecord(
        pbx="main",
        linkedid="1.1",
        state=CallState.LIVE,
        direction=Direction.INBOUND,
        caller="+8613800138000",
        callee="600",
        started_at=NOW,
        agent="lin",
    )
    supplier = replace(record, linkedid="1.2", direction=Direction.OUTBOUND, agent="maria")
    async with database.transaction() as transaction:
        await calls.record_calls(transaction, [record, supplier])
    async with database.transaction() as transaction:
        await calls.merge_call(transaction, "main", merged="1.2", into="1.1")
    story = await interactions.of_call(database, "main", "1.1")
    assert story is not None
    for agent in ("lin", "maria"):
        assert [line.id for line in await interactions.open_of_agent(database, agent)] == [story.id]


async def test_a_history_is_newest_first_and_goes_on_where_it_stopped(database: Database) -> None:
    customer_id = await _customer(database)
    moments = [NOW - timedelta(hours=hour // 2) for hour in range(7)]  # pairs at one moment
    for moment in moments:
        async with database.transaction() as transaction:
            await interactions.open_interaction(
                transaction,
                channel=Channel.PHONE,
                direction=Direction.INBOUND,
                customer_id=customer_id,
                at=moment,
            )
    whole = await interactions.history(database, customer_id)
    assert [line.opened_at for line in whole] == sorted(moments, reverse=True)
    pages = []
    last = None
    while page := await interactions.history(database, customer_id, limit=2, before=last):
        pages += page
        last = page[-1]
    assert pages == whole
    found = await customers.card(database, customer_id)
    assert found is not None
    assert list(found.interactions) == whole


async def test_a_caller_who_turned_out_to_be_somebody(database: Database) -> None:
    customer_id = await _customer(database)
    record = CallRecord(
        pbx="main", linkedid="1.1", state=CallState.LIVE, direction=Direction.INBOUND,
        caller="anonymous", callee="600",
    )  # fmt: skip
    async with database.transaction() as transaction:
        recorded = await calls.record_calls(transaction, [record])
        row_id = recorded["main", "1.1"].interaction_id
        assert row_id is not None
        await interactions.assign_customer(transaction, row_id, customer_id, actor="lin")
    call = await calls.find(database, "main", "1.1")
    assert call is not None
    assert call.customer_id == customer_id
    assert [line.id for line in await interactions.history(database, customer_id)] == [row_id]
    [entry] = await audit.entries(database, subject_kind="interaction", subject_id=row_id)
    assert (entry.actor, entry.fields) == ("lin", ["customer_id"])


async def test_unknown_rows_are_told(database: Database) -> None:
    customer_id = await _customer(database)
    assert await interactions.find(database, 4711) is None
    assert await interactions.of_call(database, "main", "1.1") is None
    async with database.transaction() as transaction:
        row_id = await interactions.open_interaction(
            transaction, channel=Channel.CHAT, direction=Direction.INBOUND
        )
        with pytest.raises(LookupError):
            await interactions.close(transaction, 4711, disposition=None)
        with pytest.raises(LookupError):
            await interactions.save_note(transaction, 4711, "x")
        with pytest.raises(LookupError):
            await interactions.assign_customer(transaction, row_id, 4711, actor="lin")
        with pytest.raises(LookupError):
            await interactions.assign_customer(transaction, 4711, customer_id, actor="lin")
