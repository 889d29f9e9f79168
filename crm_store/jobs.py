"""Jobs: work that follows from a fact, as rows.

Owns the table's rules: one row per idempotency key, claimed by one worker at a time under a lease,
retried with backoff, parked with its error after the last try. Everything here is a statement in a
transaction of the caller's; `job_worker` has the loop. Knows no handler's business.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.facts import Fact
from crm_store.models import FactRow, JobRow, JobState

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 3600.0
MAX_ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. `kind` and `data` are the fact's; `idempotency_key` never changes over its
    tries, and is what a handler gives to the outside."""

    id: int
    handler: str
    idempotency_key: str
    kind: str
    data: dict[str, Any]
    attempt: int
    max_attempts: int


Handler = Callable[[Job], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Subscriber:
    name: str
    handler: Handler
    max_attempts: int


class Subscribers:
    """Who acts upon which fact. Filled once at the start, then handed to Database and JobWorker.

    A handler's name stands in rows: it must stay the same over releases.
    """

    def __init__(self) -> None:
        self._by_kind: dict[str, list[Subscriber]] = {}
        self._by_name: dict[str, Subscriber] = {}

    def add(
        self,
        name: str,
        handler: Handler,
        *kinds: type[Fact],
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        """Run `handler` for every fact of the `kinds`, or only when `schedule` names it."""
        if name in self._by_name:
            raise ValueError(f"there are two handlers named {name!r}")
        subscriber = Subscriber(name, handler, max_attempts)
        self._by_name[name] = subscriber
        for kind in kinds:
            self._by_kind.setdefault(kind.__name__, []).append(subscriber)

    def of(self, fact: Fact) -> list[Subscriber]:
        return self._by_kind.get(type(fact).__name__, [])

    def named(self, name: str) -> Subscriber | None:
        return self._by_name.get(name)

    @property
    def names(self) -> list[str]:
        return list(self._by_name)


async def write_facts(
    session: AsyncSession, facts: Sequence[Fact], subscribers: Subscribers
) -> bool:
    """Write the facts and a job per subscriber of each. True if a worker has something to do."""
    now = datetime.now(UTC)
    connection = await session.connection()
    rows = [{"kind": type(fact).__name__, "data": fact.as_data(), "at": now} for fact in facts]
    if not any(subscribers.of(fact) for fact in facts):
        await connection.execute(_WRITE_FACT, rows)
        return False
    fact_ids = await connection.scalars(_WRITE_FACT_AND_TELL, rows)
    jobs = [
        _row(subscriber.name, f"{subscriber.name}:{fact_id}", fact.as_data())
        | {"kind": type(fact).__name__, "max_attempts": subscriber.max_attempts}
        for fact, fact_id in zip(facts, fact_ids.all(), strict=True)
        for subscriber in subscribers.of(fact)
    ]
    await connection.execute(_WRITE_JOB, jobs)
    return True


_facts: Any = FactRow.__table__
_WRITE_FACT = insert(_facts)
_WRITE_FACT_AND_TELL = insert(_facts).returning(_facts.c.id, sort_by_parameter_order=True)
_WRITE_JOB = insert(JobRow.__table__)  # type: ignore[arg-type]


async def schedule(
    session: AsyncSession,
    handler: str,
    idempotency_key: str,
    data: dict[str, Any],
    *,
    due_at: datetime | None = None,
    max_attempts: int = MAX_ATTEMPTS,
) -> bool:
    """Write a job without a fact: a timer, or work asked for. False if the key is known already."""
    row = _row(handler, idempotency_key, data) | {"max_attempts": max_attempts}
    if due_at is not None:
        row["due_at"] = due_at
    insert_or_leave = (
        sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    )
    written = await session.scalar(
        insert_or_leave(JobRow)
        .values(row)
        .on_conflict_do_nothing(index_elements=["idempotency_key"])
        .returning(JobRow.id)
    )
    return written is not None


async def claim(
    session: AsyncSession, worker: str, handlers: list[str], limit: int, lease: timedelta
) -> list[Job]:
    """Take up to `limit` due jobs for `worker`, also those whose worker let its lease run out.

    A job that took its worker down at its last try is parked.
    """
    now = datetime.now(UTC)
    await session.execute(
        update(JobRow)
        .where(
            JobRow.state == JobState.RUNNING,
            JobRow.claimed_until < now,
            JobRow.attempts >= JobRow.max_attempts,
        )
        .values(state=JobState.PARKED, error="its worker was gone before it was done")
        .execution_options(synchronize_session=False)
    )
    due = (
        select(JobRow.id)
        .where(
            JobRow.handler.in_(handlers),
            JobRow.due_at <= now,
            or_(
                JobRow.state == JobState.WAITING,
                and_(JobRow.state == JobState.RUNNING, JobRow.claimed_until < now),
            ),
        )
        .order_by(JobRow.due_at, JobRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = await session.execute(
        update(JobRow)
        .where(JobRow.id.in_(due.scalar_subquery()))
        .values(
            state=JobState.RUNNING,
            claimed_by=worker,
            claimed_until=now + lease,
            attempts=JobRow.attempts + 1,
        )
        .returning(
            JobRow.id,
            JobRow.handler,
            JobRow.idempotency_key,
            JobRow.kind,
            JobRow.data,
            JobRow.attempts,
            JobRow.max_attempts,
        )
        .execution_options(synchronize_session=False)
    )
    return sorted((Job(*row) for row in rows), key=lambda job: job.id)


async def extend(session: AsyncSession, job: Job, worker: str, lease: timedelta) -> bool:
    """Hold on to a job that takes long. False if another worker has it by now."""
    return await _change(session, job, worker, claimed_until=datetime.now(UTC) + lease)


async def finish(session: AsyncSession, job: Job, worker: str) -> bool:
    """The job is done. False if another worker has it by now (its handler is idempotent)."""
    return await _change(
        session, job, worker, state=JobState.DONE, finished_at=datetime.now(UTC), error=""
    )


async def fail(session: AsyncSession, job: Job, worker: str, error: str) -> bool:
    """Try again later, or park the job if this was the last try."""
    now = datetime.now(UTC)
    if job.attempt >= job.max_attempts:
        return await _change(session, job, worker, state=JobState.PARKED, error=error)
    return await _change(
        session,
        job,
        worker,
        state=JobState.WAITING,
        due_at=now + wait_before_retry(job.attempt),
        error=error,
    )


async def give_back(session: AsyncSession, job: Job, worker: str) -> bool:
    """The worker stops before the job is done: this was no try."""
    return await _change(session, job, worker, state=JobState.WAITING, attempts=JobRow.attempts - 1)


def wait_before_retry(attempt: int) -> timedelta:
    """Doubling from two seconds up to an hour, half of it by chance, so that a crowd disperses."""
    full = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(attempt - 1, 30))
    return timedelta(seconds=full * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load only


async def parked(session: AsyncSession, limit: int = 100) -> list[JobRow]:
    """Jobs that wait for a person, oldest first, with their errors."""
    rows = await session.scalars(
        select(JobRow).where(JobRow.state == JobState.PARKED).order_by(JobRow.id).limit(limit)
    )
    return list(rows)


async def retry(session: AsyncSession, job_id: int) -> bool:
    """A person says: try it again, now and with all its attempts. False if it is not parked."""
    changed = await session.scalar(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.state == JobState.PARKED)
        .values(state=JobState.WAITING, attempts=0, due_at=datetime.now(UTC))
        .returning(JobRow.id)
    )
    return changed is not None


async def next_due(session: AsyncSession, handlers: list[str]) -> datetime | None:
    """When the next job of these handlers becomes due or its lease runs out."""
    moments = [
        await session.scalar(
            select(func.min(moment)).where(JobRow.state == state, JobRow.handler.in_(handlers))
        )
        for moment, state in (
            (JobRow.due_at, JobState.WAITING),
            (JobRow.claimed_until, JobState.RUNNING),
        )
    ]
    return min((moment for moment in moments if moment is not None), default=None)


async def _change(session: AsyncSession, job: Job, worker: str, **values: Any) -> bool:
    changed = await session.scalar(
        update(JobRow)
        .where(
            JobRow.id == job.id,
            JobRow.state == JobState.RUNNING,
            JobRow.claimed_by == worker,
            JobRow.attempts == job.attempt,
        )
        .values(**values)
        .returning(JobRow.id)
    )
    return changed is not None


def _row(handler: str, idempotency_key: str, data: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "handler": handler,
        "idempotency_key": idempotency_key,
        "kind": "",
        "data": data,
        "state": JobState.WAITING,
        "due_at": now,
        "attempts": 0,
        "error": "",
        "created_at": now,
    }
