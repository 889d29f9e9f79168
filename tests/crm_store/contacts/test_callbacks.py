from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from crm_store.contacts import callbacks, interactions, queue_places, tasks
from crm_store.contacts.callbacks import MOST_TRIES, TRY_AGAIN_AFTER, CallbackRecord, NewCallback
from crm_store.contacts.tasks import TaskTaken
from crm_store.database import Database
from crm_store.models import (
    Call,
    CallbackState,
    CallState,
    Channel,
    FactRow,
    Interaction,
    TaskKind,
    TaskState,
)
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.signals import Direction
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
NUMBER = "+8613800138000"
WANTED = NewCallback(queue="service", number=NUMBER, arrived_at=NOW, name="王芳", language="zh")


@pytest.fixture(autouse=True)
async def desk(database: Database) -> None:
    async with database.transaction() as transaction:
        for number, name in (("601", "service"), ("600", "sales")):
            await queues.save(
                transaction, QueueRecord(name=name, number=number, titles={"zh": "客户服务"})
            )
        for login in ("lin", "maria"):
            await agents.save(transaction, login=login, display_name=login)


async def _request(database: Database, new: NewCallback = WANTED) -> int:
    async with database.transaction() as transaction:
        return await callbacks.request(transaction, new)


async def _found(database: Database, callback_id: int) -> CallbackRecord:
    found = await callbacks.find(database, callback_id)
    assert found is not None
    return found


async def test_a_place_is_kept_and_is_a_task_too(database: Database) -> None:
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("王芳"), actor="lin")
        call_id = await transaction.session.scalar(
            insert(Call)
            .values(pbx="main", linkedid="1.1", state=CallState.LIVE, caller="x", callee="610",
                    direction=Direction.INBOUND, rang=[], started_at=NOW)
            .returning(Call.id)
        )  # fmt: skip
        interaction: int = await interactions.open_interaction(
            transaction, channel=Channel.PHONE, direction=Direction.INBOUND
        )
        row = await transaction.session.get(Interaction, interaction)
        assert row is not None
        row.call_id = call_id
    callback_id = await _request(
        database,
        replace(WANTED, head_start_seconds=180, customer_id=customer_id, pbx="main",
                linkedid="1.1"),
    )  # fmt: skip
    kept = await _found(database, callback_id)
    assert kept.state is CallbackState.WAITING
    assert kept.is_wanted
    assert kept.priority == queue_places.priority(NOW.timestamp(), 180)
    assert (kept.arrived_at, kept.interaction_id, kept.tries) == (NOW, interaction, 0)
    task = await tasks.find(database, kept.task_id)
    assert task is not None
    assert (task.kind, task.queue, task.number, task.title) == (
        TaskKind.CALLBACK, "service", NUMBER, "客户服务: 王芳",
    )  # fmt: skip
    assert (task.customer_id, task.interaction_id) == (customer_id, interaction)
    assert await callbacks.of_task(database, kept.task_id) == kept
    assert await callbacks.open_of(database, customer_id=customer_id) == [kept]
    assert await callbacks.open_of(database, number=NUMBER) == [kept]
    assert await callbacks.open_of(database) == []


async def test_they_wait_in_the_order_of_their_places(database: Database) -> None:
    def at(minutes: int, number: int, **values: object) -> NewCallback:
        return replace(
            WANTED, number=f"+861380013800{number}", arrived_at=NOW + timedelta(minutes=minutes),
            **values,  # type: ignore[arg-type]
        )  # fmt: skip

    ordinary = await _request(database, at(0, 1))
    same_moment = await _request(database, at(0, 2))
    late = await _request(database, at(4, 3))
    vip = await _request(database, at(2, 4, head_start_seconds=180))
    asked_for = await _request(database, at(0, 5, at=NOW + timedelta(hours=3)))
    elsewhere = await _request(database, at(-9, 6, queue="sales"))
    waiting = [one.id for one in await callbacks.waiting(database, queue="service")]
    assert waiting == [vip, ordinary, same_moment, late, asked_for]
    assert [one.id for one in await callbacks.waiting(database)] == [elsewhere, *waiting]
    hour = await _found(database, asked_for)
    assert hour.not_before == hour.arrived_at == NOW + timedelta(hours=3)


async def test_who_asks_again_keeps_the_place_they_have(database: Database) -> None:
    first = await _request(database)
    again = replace(WANTED, arrived_at=NOW + timedelta(minutes=9))
    assert await _request(database, again) == first
    assert (await _found(database, first)).arrived_at == NOW
    hour = NOW + timedelta(days=1)
    assert await _request(database, replace(again, at=hour)) == first
    changed = await _found(database, first)
    assert (changed.arrived_at, changed.not_before) == (hour, hour)
    assert changed.priority == queue_places.priority(hour.timestamp())
    task = await tasks.find(database, changed.task_id)
    assert task is not None
    assert task.due_at == hour
    assert await _request(database, replace(again, queue="sales")) != first
    both = await asyncio.gather(
        *(_request(database, replace(WANTED, number="+8613800138001")) for _ in range(4))
    )
    assert len(set(both)) == 1


async def test_it_joins_is_answered_and_is_done_with_its_task(database: Database) -> None:
    callback_id = await _request(database)
    async with database.transaction() as transaction:
        assert await callbacks.joined(transaction, callback_id, "Local/7@callback-place")
        # Found again after a restart.
        assert await callbacks.joined(transaction, callback_id, "Local/8@callback-place")
    joined = await _found(database, callback_id)
    assert (joined.state, joined.stand_in) == (CallbackState.JOINED, "Local/8@callback-place")
    async with database.transaction() as transaction:
        assert await callbacks.answered(transaction, callback_id, "lin")
        assert not await callbacks.answered(transaction, callback_id, "maria")
        assert not await callbacks.joined(transaction, callback_id, "Local/9@callback-place")
    assert (await _found(database, callback_id)).agent == "lin"
    async with database.transaction() as transaction:
        assert await callbacks.done(transaction, callback_id, agent="lin")
        assert not await callbacks.done(transaction, callback_id, agent="lin")
        assert not await callbacks.lost(transaction, callback_id)
        assert not await callbacks.cancel(transaction, callback_id, actor="maria")
        state = await callbacks.tried(transaction, callback_id, "busy", now=NOW)
        assert state is CallbackState.DONE
    over = await _found(database, callback_id)
    assert (over.state, over.task_state, over.stand_in) == (
        CallbackState.DONE, TaskState.DONE, "",
    )  # fmt: skip
    assert await callbacks.waiting(database) == []
    async with database.reading() as session:
        facts = (await session.execute(select(FactRow.kind, FactRow.data))).all()
    ended = [fact.data["state"] for fact in facts if fact.kind == "CallbackEnded"]
    assert ended == ["done"]


async def test_three_tries_at_the_same_place_then_it_is_left_to_people(
    database: Database,
) -> None:
    callback_id = await _request(database)
    place = (await _found(database, callback_id)).priority
    for number in range(1, MOST_TRIES + 1):
        moment = NOW + timedelta(hours=number)
        async with database.transaction() as transaction:
            await callbacks.joined(transaction, callback_id, "Local/7@callback-place")
            await callbacks.answered(transaction, callback_id, "lin")
            await callbacks.tried(transaction, callback_id, "no_answer", now=moment)
        kept = await _found(database, callback_id)
        assert (kept.tries, kept.priority, kept.agent, kept.outcome) == (
            number, place, None, "no_answer",
        )  # fmt: skip
        if number < MOST_TRIES:
            assert kept.state is CallbackState.WAITING
            assert kept.not_before == moment + TRY_AGAIN_AFTER
    assert kept.state is CallbackState.GIVEN_UP
    assert not kept.is_wanted
    assert await callbacks.waiting(database) == []
    task = await tasks.find(database, kept.task_id)
    assert task is not None
    assert task.state is TaskState.OPEN


async def test_a_lost_stand_in_gives_the_place_back(database: Database) -> None:
    callback_id = await _request(database)
    async with database.transaction() as transaction:
        await callbacks.joined(transaction, callback_id, "Local/7@callback-place")
        assert await callbacks.lost(transaction, callback_id)
        assert not await callbacks.lost(transaction, callback_id)
    kept = await _found(database, callback_id)
    assert (kept.state, kept.stand_in, kept.tries) == (CallbackState.WAITING, "", 0)


async def test_people_may_take_it_over_or_cancel_it(database: Database) -> None:
    taken = await _request(database)
    cancelled = await _request(database, replace(WANTED, queue="sales"))
    async with database.transaction() as transaction:
        assert await callbacks.take_over(transaction, taken, actor="lin")
        assert not await callbacks.take_over(transaction, taken, actor="lin")
        assert await callbacks.cancel(transaction, cancelled, actor="maria", outcome="not needed")
    kept = await _found(database, taken)
    assert (kept.state, kept.assigned_to, kept.task_state) == (
        CallbackState.TAKEN_OVER, "lin", TaskState.OPEN,
    )  # fmt: skip
    gone = await _found(database, cancelled)
    assert (gone.state, gone.outcome, gone.task_state) == (
        CallbackState.CANCELLED, "not needed", TaskState.CANCELLED,
    )  # fmt: skip
    # Free again for another: neither keeps a place any more.
    assert await _request(database) not in (taken, cancelled)


async def test_a_task_that_somebody_has_is_not_taken_over_by_another(database: Database) -> None:
    callback_id = await _request(database)
    kept = await _found(database, callback_id)
    async with database.transaction() as transaction:
        await tasks.claim(transaction, kept.task_id, actor="lin")
    assert not (await _found(database, callback_id)).is_wanted
    with pytest.raises(TaskTaken):
        async with database.transaction() as transaction:
            await callbacks.take_over(transaction, callback_id, actor="maria")


@pytest.mark.parametrize(
    ("what", "state"),
    [
        ("claim", CallbackState.TAKEN_OVER),
        ("finish", CallbackState.DONE),
        ("cancel", CallbackState.CANCELLED),
    ],
)
async def test_what_people_do_with_the_task_is_followed(
    database: Database, what: str, state: CallbackState
) -> None:
    callback_id = await _request(database)
    other = await _request(database, replace(WANTED, queue="sales"))
    kept = await _found(database, callback_id)
    async with database.transaction() as transaction:
        assert await callbacks.follow_tasks(transaction) == []
        await callbacks.joined(transaction, callback_id, "Local/7@callback-place")
        if what == "claim":
            await tasks.claim(transaction, kept.task_id, actor="lin")
        else:
            ended = TaskState.DONE if what == "finish" else TaskState.CANCELLED
            await tasks.finish(transaction, kept.task_id, actor="lin", outcome="", state=ended)
    assert [one.is_wanted for one in await callbacks.waiting(database, queue="service")] == [False]
    async with database.transaction() as transaction:
        assert await callbacks.follow_tasks(transaction) == [callback_id]
        assert await callbacks.follow_tasks(transaction) == []
    over = await _found(database, callback_id)
    assert (over.state, over.stand_in) == (state, "")
    assert [one.id for one in await callbacks.waiting(database)] == [other]


async def test_a_customer_who_calls_in_needs_no_callback(database: Database) -> None:
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("王芳"), actor="lin")
    by_number = await _request(database)
    by_customer = await _request(
        database, replace(WANTED, number="+862155501234", customer_id=customer_id)
    )
    talking = await _request(database, replace(WANTED, queue="sales"))
    other = await _request(database, replace(WANTED, number="+862155501235"))
    async with database.transaction() as transaction:
        await callbacks.joined(transaction, talking, "x")
        ended = await callbacks.reached(
            transaction, number=NUMBER, customer_id=customer_id, agent="lin", besides=talking
        )
        assert sorted(ended) == sorted([by_number, by_customer])
        assert await callbacks.reached(transaction, number="", customer_id=None, agent="lin") == []
    assert (await _found(database, by_number)).outcome == "called_in"
    assert {one.id for one in await callbacks.waiting(database)} == {talking, other}


async def test_what_cannot_be_asked_for_is_refused(database: Database) -> None:
    for number in ("", "1001", "13800138000", "+86\r\nAction: Hangup"):
        with pytest.raises(ValueError, match=r"E\.164"):
            await _request(database, replace(WANTED, number=number))
    with pytest.raises(LookupError):
        await _request(database, replace(WANTED, queue="nowhere"))
    with pytest.raises(LookupError):
        await _request(database, replace(WANTED, customer_id=999))
    assert await callbacks.waiting(database) == []
    assert await tasks.listed(database) == []
