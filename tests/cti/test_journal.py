"""The journal: each call one row and one interaction, whatever the database does meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from crm_store.bus import Bus
from crm_store.contacts import calls, interactions
from crm_store.contacts.calls import CallRecord
from crm_store.database import Database
from crm_store.models import Call, CallState, ContactKind
from crm_store.people import customers
from crm_store.people.phone_numbers import to_e164
from crm_store.signals import (
    AgentState,
    AgentStateChanged,
    CallAnswered,
    CallerRecognised,
    CallMerged,
    CallOffered,
    CallQueued,
    CallStarted,
    CallSummary,
    Direction,
    Outcome,
    PbxLinkChanged,
    Signal,
)
from crm_store.staff import agents
from cti.journal import Journal
from tests.store_fixtures import (
    database,
    database_url,
    open_database,
    postgresql_server,
    sqlite_database,
    sqlite_template,
    sqlite_url,
)

pytestmark = pytest.mark.db
__all__ = [
    "database",
    "database_url",
    "open_database",
    "postgresql_server",
    "sqlite_database",
    "sqlite_template",
    "sqlite_url",
]

AT = 1_790_000_000.0


def started(call: str, caller: str = "+8613800138000") -> CallStarted:
    return CallStarted(
        pbx="main", call=call, at=AT, direction=Direction.INBOUND, caller=caller, callee="600"
    )


def summary(call: str, outcome: Outcome = Outcome.ANSWERED) -> CallSummary:
    return CallSummary(
        pbx="main",
        call=call,
        at=AT + 30,
        direction=Direction.INBOUND,
        outcome=outcome,
        queue="sales",
        rang=["PJSIP/1001"],
        answered_by="PJSIP/1001" if outcome is Outcome.ANSWERED else None,
        transferred_to=None,
        wait_s=5.0,
        talk_s=20.0 if outcome is Outcome.ANSWERED else None,
        keyed="12",
        caller="+8613800138000",
        callee="600",
        started_at=AT,
        ended_at=AT + 30,
    )


def an_answered_call(call: str, customer_id: int) -> list[Signal]:
    return [
        started(call),
        CallerRecognised(
            pbx="main", call=call, number="+8613800138000", matches=({"id": customer_id},)
        ),
        CallQueued(pbx="main", call=call, queue="sales", caller="+8613800138000"),
        CallOffered(pbx="main", call=call, endpoint="PJSIP/1001", agent="lin", caller=""),
        CallAnswered(pbx="main", call=call, endpoint="PJSIP/1001", agent="lin", caller=""),
        summary(call),
    ]


@asynccontextmanager
async def journal_of(
    database: Database, live: tuple[str, ...] = ()
) -> AsyncIterator[tuple[Bus, Journal]]:
    bus = Bus()
    journal = Journal(database, bus, lambda text: to_e164(text, "CN"), lambda pbx: live)
    await journal.start()
    try:
        yield bus, journal
    finally:
        await journal.close()


async def a_customer(database: Database) -> int:
    async with database.transaction() as transaction:
        phone = customers.contact_way(ContactKind.PHONE, "+8613800138000", "CN")
        return await customers.create(
            transaction,
            customers.NewCustomer(name="王芳", contact_points=[phone]),
            actor="test",
        )


async def the_call(database: Database, linkedid: str) -> Call:
    found = await calls.find(database, "main", linkedid)
    assert found is not None
    return found


async def test_an_answered_call_stands_in_the_customers_history(database: Database) -> None:
    customer_id = await a_customer(database)
    async with journal_of(database) as (bus, _):
        for signal in an_answered_call("c1", customer_id):
            bus.publish(signal)
    call = await the_call(database, "c1")
    assert (call.state, call.outcome, call.agent) == (CallState.ENDED, "answered", "lin")
    assert (call.wait_s, call.talk_s, call.rang) == (5.0, 20.0, ["PJSIP/1001"])
    assert call.customer_id == customer_id
    [line] = await interactions.history(database, customer_id)
    assert (line.agent, line.queue, line.keyed, line.call_id) == ("lin", "sales", ("12",), call.id)
    assert line.closed_at is None, "the agent's wrap-up closes it"


async def test_repeated_and_reordered_news_make_no_second_row(database: Database) -> None:
    customer_id = await a_customer(database)
    for _ in range(2):
        async with journal_of(database) as (bus, _journal):
            for signal in an_answered_call("c1", customer_id):
                bus.publish(signal)
                bus.publish(signal)
    assert len(await interactions.history(database, customer_id)) == 1
    assert (await the_call(database, "c1")).outcome == "answered"


async def test_an_abandoned_call_of_a_known_customer_is_in_their_history(
    database: Database,
) -> None:
    customer_id = await a_customer(database)
    async with journal_of(database) as (bus, _):
        bus.publish(started("c1"))
        bus.publish(
            CallerRecognised(
                pbx="main", call="c1", number="+8613800138000", matches=({"id": customer_id},)
            )
        )
        bus.publish(summary("c1", Outcome.ABANDONED))
    [line] = await interactions.history(database, customer_id)
    assert line.closed_at is not None, "nobody will wrap it up"


async def test_merged_calls_are_one_story(database: Database) -> None:
    async with journal_of(database) as (bus, _):
        bus.publish(started("c1"))
        bus.publish(started("c2", "1001"))
        bus.publish(CallMerged(pbx="main", call="c1", merged="c2"))
        bus.publish(summary("c1"))
    assert (await the_call(database, "c1")).state is CallState.ENDED
    assert await calls.find(database, "main", "c2") is None


async def test_calls_that_ended_unseen_are_ended_when_the_link_is_back(
    database: Database,
) -> None:
    async with journal_of(database) as (bus, _):
        bus.publish(started("gone"))
        bus.publish(started("here"))
    async with journal_of(database, live=("here",)) as (bus, _):
        bus.publish(PbxLinkChanged(pbx="main", up=True))
    assert (await the_call(database, "gone")).state is CallState.ENDED
    assert (await the_call(database, "here")).state is CallState.LIVE


async def test_states_of_agents_are_logged(database: Database) -> None:
    async with journal_of(database) as (bus, _):
        bus.publish(
            AgentStateChanged(
                pbx="main", at=AT, agent="lin", endpoint="PJSIP/1001",
                state=AgentState.PAUSED, reason="lunch", queues=("sales",),
            )
        )  # fmt: skip
    entry = await agents.last_state(database, "lin")
    assert entry is not None
    assert (entry.state, entry.reason, entry.queues) == ("paused", "lunch", ["sales"])


async def test_a_locked_database_delays_and_loses_nothing(sqlite_database: Database) -> None:
    database = sqlite_database
    customer_id = await a_customer(database)
    blocker = sqlite3.connect(database.url.database or "", isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        async with journal_of(database) as (bus, _):
            for number in range(60):
                for signal in an_answered_call(f"c{number}", customer_id):
                    bus.publish(signal)
            await asyncio.sleep(0.3)
            blocker.execute("ROLLBACK")
    finally:
        blocker.close()
    history = await interactions.history(database, customer_id, limit=100)
    assert len(history) == 60


def test_an_ended_record_needs_no_clock_of_the_pbx() -> None:
    record = CallRecord.ended(summary("c1"))
    assert record.state is CallState.ENDED
