from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from crm_store.contacts import calls, interactions
from crm_store.contacts.calls import CallRecord
from crm_store.database import Database
from crm_store.models import Call, CallState, FactRow, Interaction
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.signals import CallSummary, Direction, Outcome

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LIVE = CallRecord(
    pbx="main",
    linkedid="1.1",
    state=CallState.LIVE,
    direction=Direction.INBOUND,
    caller="+8613800138000",
    callee="600",
    queue="sales",
    started_at=NOW,
    rang=["PJSIP/1001"],
)
ENDED = replace(
    LIVE,
    state=CallState.ENDED,
    outcome=Outcome.ANSWERED,
    agent="lin",
    rang=["PJSIP/1001", "PJSIP/1002"],
    answered_by="PJSIP/1001",
    wait_s=2.5,
    talk_s=60.0,
    ended_at=NOW + timedelta(minutes=1),
    keyed=["1"],
)


async def _record(database: Database, *records: CallRecord) -> calls.RecordedCall:
    recorded = await database.run(
        lambda transaction: calls.record_calls(transaction, list(records))
    )
    return recorded[records[-1].pbx, records[-1].linkedid]


async def _count(database: Database, table: type[Call | Interaction | FactRow]) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_a_call_is_one_row_and_one_interaction_whatever_is_repeated(
    database: Database,
) -> None:
    first = await _record(database, LIVE)
    for records in ([LIVE], [LIVE, ENDED], [ENDED, ENDED], [LIVE], [ENDED, LIVE]):
        assert await _record(database, *records) == first
    row = await calls.find(database, "main", "1.1")
    assert row is not None
    assert (row.state, row.outcome, row.agent) == (CallState.ENDED, "answered", "lin")
    assert row.rang == ["PJSIP/1001", "PJSIP/1002"]
    assert (row.wait_s, row.talk_s, row.started_at) == (2.5, 60.0, NOW)
    assert (await _count(database, Call), await _count(database, Interaction)) == (1, 1)
    story = await interactions.of_call(database, "main", "1.1")
    assert story is not None
    assert story.id == first.interaction_id
    assert (story.agent, story.queue, story.keyed) == ("lin", "sales", ("1",))
    assert story.closed_at is None
    assert await interactions.open_of_agent(database, "lin") == [story]
    assert await _count(database, FactRow) == 1


async def test_a_call_that_nobody_answered_closes_its_interaction(database: Database) -> None:
    abandoned = replace(ENDED, outcome=Outcome.ABANDONED, agent=None, answered_by=None)
    await _record(database, LIVE)
    await _record(database, abandoned)
    await _record(database, abandoned)
    story = await interactions.of_call(database, "main", "1.1")
    assert story is not None
    assert story.closed_at == abandoned.ended_at
    async with database.reading() as session:
        kinds = list(await session.scalars(select(FactRow.kind).order_by(FactRow.id)))
    assert kinds == ["InteractionOpened", "InteractionClosed"]


async def test_internal_calls_have_no_interaction(database: Database) -> None:
    recorded = await _record(database, replace(ENDED, direction=Direction.INTERNAL))
    assert recorded.interaction_id is None
    assert await _count(database, Interaction) == 0


async def test_what_is_not_known_leaves_what_was_known(database: Database) -> None:
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("Lin"), actor="lin")
    await _record(database, replace(ENDED, customer_id=customer_id))
    rebuilt = replace(
        ENDED, queue=None, agent=None, rang=[], answered_by=None, wait_s=None, keyed=[]
    )
    await _record(database, rebuilt)
    row = await calls.find(database, "main", "1.1")
    assert row is not None
    assert (row.queue, row.agent, row.answered_by, row.wait_s, row.customer_id) == (
        "sales",
        "lin",
        "PJSIP/1001",
        2.5,
        customer_id,
    )
    assert row.rang == ["PJSIP/1001", "PJSIP/1002"]


async def test_the_wrap_up_has_the_last_word(database: Database) -> None:
    recorded = await _record(database, ENDED)
    assert recorded.interaction_id is not None
    async with database.transaction() as transaction:
        assert await interactions.close(
            transaction, recorded.interaction_id, disposition="sold", agent="maria", note="tea"
        )
        assert not await interactions.close(
            transaction, recorded.interaction_id, disposition="sold"
        )
    await _record(database, replace(ENDED, agent="lin"))
    story = await interactions.find(database, recorded.interaction_id)
    assert story is not None
    assert (story.agent, story.disposition, story.note) == ("maria", "sold", "tea")


async def test_the_same_linkedid_on_two_pbxs_is_two_calls(database: Database) -> None:
    await _record(database, LIVE, replace(LIVE, pbx="second"))
    assert await _count(database, Call) == 2


async def test_a_thousand_calls_at_once_from_two_writers(database: Database) -> None:
    records = [replace(LIVE, linkedid=f"1.{i}") for i in range(1_000)]
    ends = [replace(ENDED, linkedid=f"1.{i}") for i in reversed(range(1_000))]
    await asyncio.gather(*(_record(database, *some) for some in (records, ends, records, ends)))
    assert (await _count(database, Call), await _count(database, Interaction)) == (1_000, 1_000)
    assert await calls.live_calls(database, "main") == []


async def test_a_merged_call_leaves_one_row_and_one_story(database: Database) -> None:
    kept = await _record(database, LIVE)
    other = await _record(database, replace(LIVE, linkedid="1.2", keyed=["7"]))
    consultation = replace(LIVE, linkedid="1.3", direction=Direction.INTERNAL)
    await _record(database, consultation)
    for merged in ("1.2", "1.3", "1.2"):
        async with database.transaction() as transaction:
            await calls.merge_call(transaction, "main", merged=merged, into="1.1")
    assert [call.linkedid for call in await calls.live_calls(database, "main")] == ["1.1"]
    assert (await _record(database, LIVE)) == kept
    assert other.interaction_id is not None
    story = await interactions.find(database, other.interaction_id)
    assert story is not None
    assert (story.call_id, story.keyed) == (None, ("7",))
    assert story.closed_at is not None


async def test_a_merged_call_gives_its_story_to_a_call_that_has_none(database: Database) -> None:
    kept = await _record(database, replace(LIVE, direction=Direction.INTERNAL))
    other = await _record(database, replace(LIVE, linkedid="1.2"))
    async with database.transaction() as transaction:
        await calls.merge_call(transaction, "main", merged="1.2", into="1.1")
    story = await interactions.of_call(database, "main", "1.1")
    assert story is not None
    assert (story.id, story.call_id) == (other.interaction_id, kept.call_id)


async def test_calls_whose_end_nobody_saw_are_ended(database: Database) -> None:
    await _record(
        database,
        LIVE,
        replace(LIVE, linkedid="1.2"),
        replace(LIVE, linkedid="1.3", agent="lin"),
        replace(LIVE, pbx="second"),
    )
    async with database.transaction() as transaction:
        lost = await calls.end_lost_calls(transaction, "main", {"1.1"}, NOW)
    assert lost == ["1.2", "1.3"]
    assert [call.linkedid for call in await calls.live_calls(database, "main")] == ["1.1"]
    outcomes = {}
    for linkedid in lost:
        row = await calls.find(database, "main", linkedid)
        story = await interactions.of_call(database, "main", linkedid)
        assert row is not None
        assert story is not None
        outcomes[row.outcome] = story.closed_at
    assert outcomes == {"failed": NOW, "answered": None}


async def test_a_summary_becomes_a_record_even_with_an_impossible_clock(
    database: Database,
) -> None:
    summary = CallSummary(
        pbx="main", call="1.1", at=None, direction=Direction.OUTBOUND, outcome=Outcome.BUSY,
        queue=None, rang=[], answered_by=None, transferred_to=None, wait_s=None, talk_s=None,
        keyed="12", caller="1001", callee="+34612345678", started_at=NOW.timestamp(),
        ended_at=1e300,
    )  # fmt: skip
    record = CallRecord.ended(summary, agent="lin", number="+34612345678")
    assert (record.started_at, record.ended_at, record.keyed) == (NOW, None, ("12",))
    await _record(database, record)
    story = await interactions.of_call(database, "main", "1.1")
    assert story is not None
    assert (story.direction, story.keyed) == ("outbound", ("12",))


RUNS = itertools.count()
RECORDS = st.lists(
    st.builds(
        replace,
        st.sampled_from([LIVE, ENDED]),
        linkedid=st.sampled_from(["1.1", "1.2", "1.3"]),
        queue=st.sampled_from([None, "sales"]),
        agent=st.sampled_from([None, "lin"]),
        keyed=st.sampled_from([(), ("1",)]),
    ),
    min_size=1,
    max_size=8,
)


@given(RECORDS, st.lists(st.integers(1, 4), min_size=1, max_size=8))
@example(
    [
        *(replace(LIVE, linkedid="1.1"),) * 3,
        replace(ENDED, queue=None, agent=None, keyed=()),
        replace(LIVE, queue=None, keyed=("1",)),
        replace(ENDED, queue=None, agent=None, keyed=()),
    ],
    [2],
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_however_a_stream_is_cut_into_batches_the_rows_are_the_same(
    sqlite_database: Database, records: list[CallRecord], sizes: list[int]
) -> None:
    """One record at a time, and in batches of any size, twice over: the same rows."""
    run = next(RUNS)
    single = [replace(record, pbx=f"single {run}") for record in records]
    batched = [replace(record, pbx=f"batched {run}") for record in records]
    async with sqlite_database.transaction() as transaction:
        for record in single:
            await calls.record_calls(transaction, [record])
        at = 0
        for size in sizes * len(batched):
            await calls.record_calls(transaction, batched[at : at + size])
            at += size
        rows: dict[str, list[tuple[object, ...]]] = {}
        for pbx, *values in await transaction.session.execute(
            select(
                Call.pbx,
                Call.linkedid,
                Call.state,
                Call.queue,
                Call.agent,
                Interaction.agent,
                Interaction.queue,
                Interaction.keyed,
            )
            .join(Interaction)
            .order_by(Call.linkedid)
        ):
            rows.setdefault(pbx, []).append(tuple(values))
    assert rows[f"single {run}"] == rows[f"batched {run}"]
