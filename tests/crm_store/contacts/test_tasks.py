from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_store import text_search
from crm_store.contacts import tasks
from crm_store.contacts.tasks import NewTask, TaskTaken
from crm_store.database import Database
from crm_store.models import TaskKind, TaskState
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord

pytestmark = pytest.mark.db

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(autouse=True)
async def staff(database: Database) -> None:
    async with database.transaction() as transaction:
        await queues.save(transaction, QueueRecord("sales", "600", {"en": "Sales"}))
        for login in ("lin", "maria"):
            await agents.save(transaction, login=login, display_name=login, queues=["sales"])


async def make(database: Database, title: str = "write", **values: Any) -> int:
    new = NewTask(**{"title": title, "due_at": NOW, **values})
    async with database.transaction() as transaction:
        return await tasks.create(transaction, new, actor="lin")


async def test_a_task_without_a_place_is_its_makers(database: Database) -> None:
    async with database.transaction() as transaction:
        wang = await customers.create(transaction, NewCustomer("王芳"), actor="lin")
    task = await tasks.find(database, await make(database, " call   back ", customer_id=wang))
    assert task is not None
    assert (task.title, task.assigned_to, task.customer_name) == ("call back", "lin", "王芳")
    assert task.state is TaskState.OPEN
    assert (await text_search.search(database, "call back", customer_ids=[wang]))[0].row_id == (
        task.id
    )


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"title": "  "}, ValueError),
        ({"kind": TaskKind.CALLBACK}, ValueError),
        ({"kind": TaskKind.CALLBACK, "number": "138 0013 8000"}, ValueError),
        ({"customer_id": 99}, LookupError),
        ({"assigned_to": "nobody"}, LookupError),
        ({"queue": "nothing"}, LookupError),
    ],
)
async def test_what_makes_no_sense_is_refused(
    database: Database, values: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await make(database, **values)
    assert await tasks.listed(database) == []


async def test_one_of_two_gets_what_waits_in_the_queue(database: Database) -> None:
    task_id = await make(database, queue="sales", kind=TaskKind.CALLBACK, number="+8613800138000")

    async def claim(agent: str) -> bool:
        try:
            async with database.transaction() as transaction:
                await tasks.claim(transaction, task_id, actor=agent)
        except TaskTaken:
            return False
        return True

    assert sorted(await asyncio.gather(claim("lin"), claim("maria"))) == [False, True]
    task = await tasks.find(database, task_id)
    assert task is not None
    assert await claim(task.assigned_to or "")


async def test_a_finished_task_does_not_change(database: Database) -> None:
    task_id = await make(database)
    async with database.transaction() as transaction:
        await tasks.postpone(transaction, task_id, NOW + timedelta(days=1), actor="lin")
        await tasks.hand_over(transaction, task_id, actor="lin", assigned_to="maria")
        await tasks.finish(transaction, task_id, actor="maria", outcome="reached 王芳")
    task = await tasks.find(database, task_id)
    assert task is not None
    assert (task.state, task.finished_by, task.due_at) == (
        TaskState.DONE, "maria", NOW + timedelta(days=1),
    )  # fmt: skip
    assert await text_search.search(database, "王芳")
    async with database.transaction() as t:
        with pytest.raises(TaskTaken):
            await tasks.postpone(t, task_id, NOW, actor="lin")
        with pytest.raises(TaskTaken):
            await tasks.hand_over(t, task_id, actor="lin", queue="sales")
        with pytest.raises(TaskTaken):
            await tasks.finish(t, task_id, actor="lin", outcome="", state=TaskState.CANCELLED)
        with pytest.raises(TaskTaken):
            await tasks.claim(t, task_id, actor="maria")
    assert await tasks.find(database, task_id) == task


async def test_a_task_is_handed_to_a_queue_for_whoever_takes_it(database: Database) -> None:
    task_id = await make(database)
    async with database.transaction() as transaction:
        await tasks.hand_over(transaction, task_id, actor="lin", queue="sales")
        with pytest.raises(ValueError, match="somebody"):
            await tasks.hand_over(transaction, task_id, actor="lin")
        with pytest.raises(LookupError):
            await tasks.hand_over(transaction, task_id, actor="lin", assigned_to="nobody")
    task = await tasks.find(database, task_id)
    assert task is not None
    assert (task.assigned_to, task.queue) == (None, "sales")


async def test_lists(database: Database) -> None:
    async def titles(**values: Any) -> list[str]:
        return [task.title for task in await tasks.listed(database, **values)]

    late = NOW - timedelta(hours=1)
    await make(database, "mine")
    await make(database, "late", due_at=late)
    await make(database, "theirs", assigned_to="maria")
    await make(database, "anybody", queue="sales")
    async with database.transaction() as transaction:
        gone = await tasks.create(
            transaction, NewTask(title="of maria", due_at=NOW, assigned_to="maria"), actor="maria"
        )
    assert await titles() == ["late", "mine", "theirs", "anybody", "of maria"]
    assert await titles(agent="maria", queues=["sales"]) == ["theirs", "anybody", "of maria"]
    assert await titles(agent="lin") == ["late", "mine", "theirs", "anybody"]
    assert await titles(limit=2, skip=1) == ["mine", "theirs"]
    assert [task.title for task in await tasks.due(database, NOW)] == ["late"]
    async with database.transaction() as transaction:
        await tasks.finish(transaction, gone, actor="maria", outcome="")
    assert await titles(state=TaskState.DONE) == ["of maria"]
