"""Tasks: what is to be done by a time, by one agent or by whoever serves a queue.

Owns their life from open to done or cancelled. A callback is a task with a number to call, in
E.164. Refuses to know how a due one is brought before somebody's eyes, and who may touch it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, insert, or_, select, update

from crm_store import audit, text_search
from crm_store.database import Database, Transaction
from crm_store.facts import TaskCreated, TaskFinished
from crm_store.models import (
    Agent,
    Callback,
    CallbackState,
    Customer,
    Queue,
    Task,
    TaskKind,
    TaskState,
)
from crm_store.people.phone_numbers import to_e164
from crm_store.text_search import EntryKind

LONGEST_TITLE = 300


class TaskTaken(Exception):
    """Somebody else has the task, or it is open no more; nothing was changed."""


@dataclass(frozen=True, slots=True)
class KeptPlace:
    """What has become of the place that a caller kept (callbacks.py), and whose it is."""

    state: CallbackState
    arrived_at: datetime
    not_before: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A task with the name of its customer; `callback` is the place that a caller kept, if any."""

    id: int
    kind: TaskKind
    state: TaskState
    title: str
    text: str
    number: str
    due_at: datetime
    customer_id: int | None
    customer_name: str | None
    interaction_id: int | None
    queue: str | None
    assigned_to: str | None
    outcome: str
    created_by: str
    created_at: datetime
    finished_by: str | None
    finished_at: datetime | None
    callback: KeptPlace | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task for `assigned_to`, or for whoever serves `queue` and takes it first."""

    title: str
    due_at: datetime
    kind: TaskKind = TaskKind.TASK
    text: str = ""
    number: str = ""
    customer_id: int | None = None
    interaction_id: int | None = None
    queue: str | None = None
    assigned_to: str | None = None


async def create(transaction: Transaction, new: NewTask, *, actor: str) -> int:
    """Write a new task; its row's id. Without an agent and a queue it is the actor's own.

    Raises ValueError for a title that says nothing or a callback without a number in E.164,
    LookupError for an unknown customer, agent or queue.
    """
    title = " ".join(new.title.split())[:LONGEST_TITLE]
    if not title:
        raise ValueError("a task needs a title")
    if new.kind is TaskKind.CALLBACK and to_e164(new.number, "ZZ") != new.number:
        raise ValueError("a callback needs a number in E.164")
    session = transaction.session
    if new.customer_id is not None and await session.get(Customer, new.customer_id) is None:
        raise LookupError(f"there is no customer {new.customer_id}")
    await _check_place(transaction, new.assigned_to, new.queue)
    now = datetime.now(UTC)
    task_id: int | None = await session.scalar(
        insert(Task)
        .values(
            kind=new.kind,
            title=title,
            text=new.text,
            number=new.number,
            due_at=new.due_at,
            customer_id=new.customer_id,
            interaction_id=new.interaction_id,
            queue=new.queue,
            assigned_to=new.assigned_to or (None if new.queue else actor),
            created_by=actor,
            created_at=now,
        )
        .returning(Task.id)
    )
    assert task_id is not None
    await _index(transaction, task_id)
    await _audit(transaction, task_id, actor, "created", ())
    await transaction.emit(TaskCreated(task_id=task_id, kind=new.kind.value))
    return task_id


async def claim(transaction: Transaction, task_id: int, *, actor: str) -> None:
    """Take a task that waits for somebody. Raises TaskTaken; nothing if it is the actor's."""
    taken = await transaction.session.scalar(
        update(Task)
        .where(
            Task.id == task_id,
            Task.state == TaskState.OPEN,
            or_(Task.assigned_to.is_(None), Task.assigned_to == actor),
        )
        .values(assigned_to=actor)
        .returning(Task.id)
    )
    if taken is None:
        raise TaskTaken
    await _audit(transaction, task_id, actor, "changed", ["assigned_to"])


async def finish(
    transaction: Transaction,
    task_id: int,
    *,
    actor: str,
    outcome: str,
    state: TaskState = TaskState.DONE,
) -> None:
    """It is done, or cancelled; `outcome` says how it went. Raises TaskTaken."""
    await _change_open(
        transaction,
        task_id,
        actor,
        state=state,
        outcome=outcome,
        finished_by=actor,
        finished_at=datetime.now(UTC),
    )
    await _index(transaction, task_id)
    await transaction.emit(TaskFinished(task_id=task_id, state=state.value))


async def postpone(transaction: Transaction, task_id: int, due_at: datetime, *, actor: str) -> None:
    """It is due at another time. Raises TaskTaken."""
    await _change_open(transaction, task_id, actor, due_at=due_at)


async def hand_over(
    transaction: Transaction,
    task_id: int,
    *,
    actor: str,
    assigned_to: str | None = None,
    queue: str | None = None,
) -> None:
    """Give it to an agent, or to whoever serves a queue. Raises TaskTaken, LookupError for an
    unknown agent or queue, ValueError for neither."""
    if not assigned_to and not queue:
        raise ValueError("a task is somebody's, or a queue's")
    await _check_place(transaction, assigned_to, queue)
    values: dict[str, object] = {"assigned_to": assigned_to}
    if queue:
        values["queue"] = queue
    await _change_open(transaction, task_id, actor, **values)


async def find(database: Database, task_id: int) -> TaskLine | None:
    return next(iter(await _read(database, Task.id == task_id, limit=1)), None)


async def due(database: Database, until: datetime, *, limit: int = 5_000) -> list[TaskLine]:
    """Everybody's open tasks that are due before `until`, the most overdue first."""
    return await _read(
        database, and_(Task.state == TaskState.OPEN, Task.due_at < until), limit=limit
    )


async def listed(
    database: Database,
    *,
    state: TaskState = TaskState.OPEN,
    agent: str | None = None,
    queues: Sequence[str] = (),
    kind: TaskKind | None = None,
    customer_id: int | None = None,
    limit: int = 100,
    skip: int = 0,
) -> list[TaskLine]:
    """Tasks in the order in which they are due; finished ones the newest first.

    With an `agent` only theirs, those they gave to others, and the unclaimed ones of `queues`.
    """
    wanted: list[ColumnElement[bool]] = [Task.state == state]
    if agent is not None:
        mine = [Task.assigned_to == agent, Task.created_by == agent]
        unclaimed = and_(Task.assigned_to.is_(None), Task.queue.in_(queues))
        wanted.append(or_(*mine, unclaimed))
    elif queues:
        wanted.append(Task.queue.in_(queues))
    if kind is not None:
        wanted.append(Task.kind == kind)
    if customer_id is not None:
        wanted.append(Task.customer_id == customer_id)
    newest_first = state is not TaskState.OPEN
    return await _read(database, and_(*wanted), limit=limit, skip=skip, newest_first=newest_first)


async def _read(
    database: Database,
    condition: ColumnElement[bool],
    *,
    limit: int,
    skip: int = 0,
    newest_first: bool = False,
) -> list[TaskLine]:
    columns = [
        getattr(Task, name).label(name)
        for name in TaskLine.__dataclass_fields__
        if name not in ("customer_name", "callback")
    ]
    kept = [
        getattr(Callback, name).label(f"kept_{name}") for name in KeptPlace.__dataclass_fields__
    ]
    order = (Task.due_at.desc(), Task.id.desc()) if newest_first else (Task.due_at, Task.id)
    query = (
        select(*columns, Customer.name.label("customer_name"), *kept)
        .join(Customer, Customer.id == Task.customer_id, isouter=True)
        .join(Callback, Callback.task_id == Task.id, isouter=True)
        .where(condition)
        .order_by(*order)
        .limit(limit)
        .offset(skip)
    )
    async with database.reading() as session:
        return [_line(dict(row._mapping)) for row in await session.execute(query)]


def _line(values: dict[str, Any]) -> TaskLine:
    kept = {name: values.pop(f"kept_{name}") for name in KeptPlace.__dataclass_fields__}
    return TaskLine(**values, callback=None if kept["state"] is None else KeptPlace(**kept))


async def _change_open(
    transaction: Transaction, task_id: int, actor: str, **values: object
) -> None:
    changed = await transaction.session.scalar(
        update(Task)
        .where(Task.id == task_id, Task.state == TaskState.OPEN)
        .values(**values)
        .returning(Task.id)
    )
    if changed is None:
        raise TaskTaken
    await _audit(transaction, task_id, actor, "changed", list(values))


async def _check_place(transaction: Transaction, agent: str | None, queue: str | None) -> None:
    session = transaction.session
    if agent and await session.scalar(select(Agent.id).where(Agent.login == agent)) is None:
        raise LookupError(f"there is no agent {agent!r}")
    if queue and await session.scalar(select(Queue.id).where(Queue.name == queue)) is None:
        raise LookupError(f"there is no queue {queue!r}")


async def _index(transaction: Transaction, task_id: int) -> None:
    columns = (Task.customer_id, Task.created_at, Task.title, Task.text, Task.number, Task.outcome)
    row = (await transaction.session.execute(select(*columns).where(Task.id == task_id))).one()
    await text_search.index(
        transaction,
        EntryKind.TASK,
        task_id,
        customer_id=row.customer_id,
        at=row.created_at,
        texts=[row.title, row.text, row.number, row.outcome],
    )


async def _audit(
    transaction: Transaction, task_id: int, actor: str, action: str, fields: Sequence[str]
) -> None:
    await audit.record(
        transaction,
        actor=actor,
        action=action,
        subject_kind="task",
        subject_id=task_id,
        fields=fields,
    )
