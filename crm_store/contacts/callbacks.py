"""Callbacks: a customer's place in a queue, kept while they wait at home.

Owns their life: it waits, joins Asterisk's queue in time (a stand-in holds the place there), is
answered by an agent, and ends when the customer was spoken to; or it is tried again, three times in
all, and then left to people. The place is fixed when it is asked for and never changes by trying.
Each callback is also a task, which people see, take over and cancel: the task's word counts. Knows
no Asterisk: whoever drives a callback says here what has become of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, insert, or_, select, update

from crm_store import audit
from crm_store.contacts import tasks
from crm_store.contacts.queue_places import priority
from crm_store.contacts.tasks import NewTask, TaskTaken
from crm_store.database import Database, Transaction
from crm_store.facts import CallbackEnded, CallbackRequested
from crm_store.models import (
    Call,
    Callback,
    CallbackState,
    Interaction,
    Queue,
    Task,
    TaskKind,
    TaskState,
)
from crm_store.people.phone_numbers import to_e164
from crm_store.staff.queues import title

MOST_TRIES = 3
TRY_AGAIN_AFTER = timedelta(minutes=10)

OPEN = (CallbackState.WAITING, CallbackState.JOINED, CallbackState.ANSWERED)
"""The states of a callback that has its place yet."""

UNANSWERED = (CallbackState.WAITING, CallbackState.JOINED)
"""Those in which no agent has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCallback:
    """What a customer asks for. `number` is E.164, where they want to be called. `arrived_at` is
    when they came to the queue, `at` the hour that they asked for, if any: then their place is that
    of somebody who comes at that hour. `pbx` and `linkedid` are the call in which they asked.
    `title` is the task's, the queue's own and the name or number if it is ""."""

    queue: str
    number: str
    arrived_at: datetime
    head_start_seconds: int = 0
    at: datetime | None = None
    name: str = ""
    language: str = "en"
    customer_id: int | None = None
    pbx: str = ""
    linkedid: str = ""
    title: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRecord:
    """A callback as it stands. `priority` is its place (queue_places.py); it may be called from
    `not_before` on. `stand_in` names what holds its place in Asterisk, "" if nothing does."""

    id: int
    state: CallbackState
    task_id: int
    queue: str
    number: str
    name: str
    language: str
    customer_id: int | None
    interaction_id: int | None
    pbx: str
    linkedid: str
    arrived_at: datetime
    head_start_seconds: int
    priority: int
    not_before: datetime
    tries: int
    stand_in: str
    agent: str | None
    outcome: str
    requested_at: datetime
    task_state: TaskState = field(default=TaskState.OPEN)
    assigned_to: str | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether the machine should see to it still: nobody has taken or ended its task."""
        if self.state not in OPEN or self.task_state is not TaskState.OPEN:
            return False
        return self.assigned_to is None or self.state is CallbackState.ANSWERED


# ---- asking for one ------------------------------------------------------------------------------


async def request(transaction: Transaction, new: NewCallback, *, actor: str = audit.SYSTEM) -> int:
    """Keep the place, and make the task; the callback's id.

    Who waits for a callback of that queue at that number already keeps the place they have; an hour
    asked for now changes it. Raises ValueError for a number that is not E.164, LookupError for an
    unknown queue or customer.
    """
    if to_e164(new.number, "ZZ") != new.number:
        raise ValueError("a callback needs a number in E.164")
    session = transaction.session
    queue = await session.scalar(select(Queue).where(Queue.name == new.queue).with_for_update())
    if queue is None:
        raise LookupError(f"there is no queue {new.queue!r}")
    arrived_at = new.at or new.arrived_at
    place = priority(arrived_at.timestamp(), new.head_start_seconds)
    now = datetime.now(UTC)
    not_before = new.at or now
    known = await session.scalar(
        select(Callback)
        .join(Task, Task.id == Callback.task_id)
        .where(
            Callback.queue == new.queue,
            Callback.number == new.number,
            Callback.state.in_(OPEN),
            Task.state == TaskState.OPEN,
        )
        .with_for_update(of=Callback)
        .execution_options(populate_existing=True)
    )
    if known is not None:
        if new.at is not None:
            known.head_start_seconds = new.head_start_seconds
            await session.flush()
            await postpone(transaction, known.id, new.at, actor=actor)
        return known.id
    interaction_id = await _interaction_of(transaction, new.pbx, new.linkedid)
    who = new.name or new.number
    task_id = await tasks.create(
        transaction,
        NewTask(
            kind=TaskKind.CALLBACK,
            title=new.title or f"{title(queue.titles, new.language, new.queue)}: {who}",
            text=new.text,
            number=new.number,
            due_at=not_before,
            customer_id=new.customer_id,
            interaction_id=interaction_id,
            queue=new.queue,
        ),
        actor=actor,
    )
    callback_id: int | None = await session.scalar(
        insert(Callback)
        .values(
            state=CallbackState.WAITING,
            task_id=task_id,
            queue=new.queue,
            number=new.number,
            name=new.name,
            language=new.language,
            customer_id=new.customer_id,
            interaction_id=interaction_id,
            pbx=new.pbx,
            linkedid=new.linkedid,
            arrived_at=arrived_at,
            head_start_seconds=new.head_start_seconds,
            priority=place,
            not_before=not_before,
            requested_at=now,
            changed_at=now,
        )
        .returning(Callback.id)
    )
    assert callback_id is not None
    await transaction.emit(
        CallbackRequested(callback_id=callback_id, task_id=task_id, queue=new.queue)
    )
    return callback_id


# ---- what becomes of it --------------------------------------------------------------------------


async def joined(transaction: Transaction, callback_id: int, stand_in: str) -> bool:
    """A stand-in holds its place in Asterisk's queue now. False if it waits no more: then the
    stand-in is to go."""
    return await _go(
        transaction,
        callback_id,
        from_states=UNANSWERED,
        state=CallbackState.JOINED,
        stand_in=stand_in,
    )


async def lost(transaction: Transaction, callback_id: int) -> bool:
    """Its stand-in is gone without anybody having spoken to the customer: it waits again, at its
    place. False if there was none."""
    return await _go(
        transaction,
        callback_id,
        from_states=[CallbackState.JOINED, CallbackState.ANSWERED],
        state=CallbackState.WAITING,
        stand_in="",
        agent=None,
    )


async def answered(transaction: Transaction, callback_id: int, agent: str) -> bool:
    """The agent (login) has the stand-in, and the customer is being dialled. False if it is over,
    or somebody's already."""
    return await _go(
        transaction,
        callback_id,
        from_states=UNANSWERED,
        state=CallbackState.ANSWERED,
        agent=agent,
    )


async def tried(
    transaction: Transaction, callback_id: int, outcome: str, *, now: datetime | None = None
) -> CallbackState:
    """The customer was dialled and not reached (`outcome`: busy, no_answer, ...): it waits for its
    next try, or is given up and its task stays for people. Raises LookupError."""
    moment = now or datetime.now(UTC)
    row = await _locked(transaction, callback_id)
    if row.state not in OPEN:
        return row.state
    row.tries += 1
    row.outcome = outcome
    row.stand_in = ""
    row.agent = None
    row.changed_at = moment
    if row.tries >= MOST_TRIES:
        row.state = CallbackState.GIVEN_UP
        await transaction.session.flush()
        await _ended(transaction, callback_id, CallbackState.GIVEN_UP)
    else:
        row.state = CallbackState.WAITING
        row.not_before = moment + TRY_AGAIN_AFTER
        await transaction.session.flush()
    return row.state


async def done(
    transaction: Transaction, callback_id: int, *, agent: str, outcome: str = "answered"
) -> bool:
    """The customer was spoken to: it and its task are done. False if it was over before."""
    return await _end(transaction, callback_id, CallbackState.DONE, agent, outcome)


async def cancel(
    transaction: Transaction, callback_id: int, *, actor: str, outcome: str = ""
) -> bool:
    """It is not wanted any more, nor is its task. False if it was over before."""
    return await _end(transaction, callback_id, CallbackState.CANCELLED, actor, outcome)


async def take_over(transaction: Transaction, callback_id: int, *, actor: str) -> bool:
    """The actor will call the customer: the task is theirs. False if it was over before.

    Raises tasks.TaskTaken if somebody else has it.
    """
    row = await _locked(transaction, callback_id)
    if row.state not in OPEN:
        return False
    await tasks.claim(transaction, row.task_id, actor=actor)
    row.state = CallbackState.TAKEN_OVER
    row.agent = actor
    row.stand_in = ""
    row.changed_at = datetime.now(UTC)
    await transaction.session.flush()
    await _ended(transaction, callback_id, CallbackState.TAKEN_OVER)
    return True


async def postpone(transaction: Transaction, callback_id: int, at: datetime, *, actor: str) -> bool:
    """The customer is to be called at another hour, in the place of whoever comes then; its task is
    due then, too. Nobody gains a place by it: it is no hour before they came. False if an agent
    has it or it is over. Raises tasks.TaskTaken."""
    row = await _locked(transaction, callback_id)
    if row.state not in UNANSWERED:
        return False
    at = max(at, min(row.arrived_at, row.requested_at))
    row.state, row.stand_in = CallbackState.WAITING, ""
    row.arrived_at = row.not_before = at
    row.priority = priority(at.timestamp(), row.head_start_seconds)
    row.changed_at = datetime.now(UTC)
    await transaction.session.flush()
    await tasks.postpone(transaction, row.task_id, at, actor=actor)
    return True


async def move(transaction: Transaction, callback_id: int, queue: str, *, actor: str) -> bool:
    """It waits in another queue, at the same place, and its task is that queue's. False if an agent
    has it or it is over. Raises tasks.TaskTaken, LookupError for an unknown queue."""
    row = await _locked(transaction, callback_id)
    if row.state not in UNANSWERED:
        return False
    await tasks.hand_over(transaction, row.task_id, actor=actor, queue=queue)
    row.state, row.stand_in, row.queue = CallbackState.WAITING, "", queue
    row.changed_at = datetime.now(UTC)
    await transaction.session.flush()
    return True


async def reached(
    transaction: Transaction,
    *,
    number: str,
    customer_id: int | None,
    agent: str,
    outcome: str = "called_in",
    besides: int | None = None,
) -> list[int]:
    """The customer speaks with an agent: cancel what callbacks wait for them, but not `besides`;
    their ids."""
    whose: list[ColumnElement[bool]] = []
    if number:
        whose.append(Callback.number == number)
    if customer_id is not None:
        whose.append(Callback.customer_id == customer_id)
    if not whose:
        return []
    ids = await transaction.session.scalars(
        select(Callback.id).where(or_(*whose), Callback.state.in_(UNANSWERED))
    )
    return [
        callback_id
        for callback_id in ids.all()
        if callback_id != besides
        and await cancel(transaction, callback_id, actor=agent, outcome=outcome)
    ]


async def follow_tasks(transaction: Transaction) -> list[int]:
    """End the callbacks whose task a person has finished, cancelled or taken; their ids."""
    rows = await transaction.session.execute(
        select(Callback.id, Callback.state, Task.state.label("task"), Task.assigned_to)
        .join(Task, Task.id == Callback.task_id)
        .where(Callback.state.in_(OPEN))
        .where(or_(Task.state != TaskState.OPEN, Task.assigned_to.is_not(None)))
    )
    ended = []
    for row in rows.all():
        if row.task is TaskState.OPEN and row.state is CallbackState.ANSWERED:
            continue
        state = {
            TaskState.DONE: CallbackState.DONE,
            TaskState.CANCELLED: CallbackState.CANCELLED,
            TaskState.OPEN: CallbackState.TAKEN_OVER,
        }[row.task]
        values: dict[str, Any] = {"stand_in": ""}
        if row.assigned_to is not None:
            values["agent"] = row.assigned_to
        if await _go(transaction, row.id, from_states=OPEN, state=state, **values):
            await _ended(transaction, row.id, state)
            ended.append(row.id)
    return ended


# ---- asking about them ---------------------------------------------------------------------------


async def waiting(database: Database, *, queue: str | None = None) -> list[CallbackRecord]:
    """All that have their place yet, joined and answered ones too, in the order of their places.

    Those that a person has seen to meanwhile are among them until `follow_tasks`: see `is_wanted`.
    """
    condition: list[ColumnElement[bool]] = [Callback.state.in_(OPEN)]
    if queue is not None:
        condition.append(Callback.queue == queue)
    return await _read(database, *condition)


async def find(database: Database, callback_id: int) -> CallbackRecord | None:
    return next(iter(await _read(database, Callback.id == callback_id)), None)


async def of_task(database: Database, task_id: int) -> CallbackRecord | None:
    return next(iter(await _read(database, Callback.task_id == task_id)), None)


async def open_of(
    database: Database, *, number: str = "", customer_id: int | None = None
) -> list[CallbackRecord]:
    """What callbacks wait for whoever has that number, or is that customer."""
    whose: list[ColumnElement[bool]] = []
    if number:
        whose.append(Callback.number == number)
    if customer_id is not None:
        whose.append(Callback.customer_id == customer_id)
    if not whose:
        return []
    found = await _read(database, Callback.state.in_(OPEN), or_(*whose))
    return [one for one in found if one.is_wanted]


# ---- how -----------------------------------------------------------------------------------------


async def _read(database: Database, *conditions: ColumnElement[bool]) -> list[CallbackRecord]:
    own = [
        getattr(Callback, name)
        for name in CallbackRecord.__dataclass_fields__
        if name not in ("task_state", "assigned_to")
    ]
    query = (
        select(*own, Task.state.label("task_state"), Task.assigned_to)
        .join(Task, Task.id == Callback.task_id)
        .where(*conditions)
        .order_by(Callback.priority.desc(), Callback.id)
    )
    async with database.reading() as session:
        return [CallbackRecord(**row._mapping) for row in await session.execute(query)]


async def _go(
    transaction: Transaction,
    callback_id: int,
    *,
    from_states: Sequence[CallbackState],
    state: CallbackState,
    **values: Any,
) -> bool:
    moved = await transaction.session.scalar(
        update(Callback)
        .where(Callback.id == callback_id, Callback.state.in_(from_states))
        .values(state=state, changed_at=datetime.now(UTC), **values)
        .returning(Callback.id)
        .execution_options(synchronize_session=False)
    )
    return moved is not None


async def _end(
    transaction: Transaction, callback_id: int, state: CallbackState, actor: str, outcome: str
) -> bool:
    row = await _locked(transaction, callback_id)
    if row.state not in OPEN:
        return False
    row.state = state
    row.outcome = outcome
    row.stand_in = ""
    row.changed_at = datetime.now(UTC)
    if state is CallbackState.DONE:
        row.agent = actor
        row.tries += 1
    await transaction.session.flush()
    task_state = TaskState.DONE if state is CallbackState.DONE else TaskState.CANCELLED
    # If a person has finished the task before, their word stands.
    with suppress(TaskTaken):
        await tasks.finish(transaction, row.task_id, actor=actor, outcome=outcome, state=task_state)
    await _ended(transaction, callback_id, state)
    return True


async def _ended(transaction: Transaction, callback_id: int, state: CallbackState) -> None:
    await transaction.emit(CallbackEnded(callback_id=callback_id, state=state.value))


async def _locked(transaction: Transaction, callback_id: int) -> Callback:
    row = await transaction.session.get(
        Callback, callback_id, with_for_update=True, populate_existing=True
    )
    if row is None:
        raise LookupError(f"there is no callback {callback_id}")
    return row


async def _interaction_of(transaction: Transaction, pbx: str, linkedid: str) -> int | None:
    if not linkedid:
        return None
    return await transaction.session.scalar(
        select(Interaction.id)
        .join(Call, Call.id == Interaction.call_id)
        .where(Call.pbx == pbx, Call.linkedid == linkedid)
    )
