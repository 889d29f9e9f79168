"""Scripts: guided conversations in versions that are never changed, and agents' runs through them.

Owns which version is in use (the one published last), who wrote and published which, and where each
agent is in each interaction. What steps are is in script_steps; what answers write, script_fills.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.knowledge import script_problems, script_steps
from crm_store.knowledge.script_problems import Problem
from crm_store.knowledge.script_steps import Steps
from crm_store.models import Queue, Script, ScriptRun, ScriptVersion
from crm_store.staff.queues import title


@dataclass(frozen=True, slots=True)
class ScriptRecord:
    """A script. The languages of its titles are those that all its texts must be there in."""

    id: int
    code: str
    titles: Mapping[str, str]
    active: bool

    def title(self, language: str) -> str:
        return title(self.titles, language, self.code)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version's steps; `id` is the row, `number` counts from 1 within the script."""

    id: int
    script_id: int
    number: int
    steps: Steps
    author: str
    created_at: datetime
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """Where an agent is in an interaction's script, which stays the version it began with."""

    id: int
    script: ScriptRecord
    version: VersionRecord
    step: str
    answers: Mapping[str, Any]
    finished_at: datetime | None


class Unpublishable(ValueError):
    """The version has problems; they say what and where."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


# ---- scripts and their versions ------------------------------------------------------------------


async def create(
    transaction: Transaction, code: str, titles: Mapping[str, str], *, actor: str
) -> int:
    """A new script without steps; its id. Raises sqlalchemy.exc.IntegrityError for a code that
    there is already."""
    written = await transaction.session.execute(
        insert(Script).values(code=code, titles=dict(titles), active=True).returning(Script.id)
    )
    script_id = int(written.scalar_one())
    await _audit(transaction, actor, "created", script_id)
    return script_id


async def change(
    transaction: Transaction,
    script_id: int,
    *,
    titles: Mapping[str, str],
    active: bool,
    actor: str,
) -> None:
    """Rename, retire or bring back. Raises LookupError if there is no such script."""
    found = await transaction.session.scalar(
        update(Script)
        .where(Script.id == script_id)
        .values(titles=dict(titles), active=active)
        .returning(Script.id)
    )
    if found is None:
        raise LookupError(f"there is no script {script_id}")
    await _audit(transaction, actor, "changed", script_id, "titles", "active")


async def add_version(transaction: Transaction, script_id: int, steps: Steps, *, actor: str) -> int:
    """Keep the steps as a new version, not yet published; its number."""
    session = transaction.session
    # The script's row is the lock under which numbers are given.
    known = await session.scalar(select(Script.id).where(Script.id == script_id).with_for_update())
    if known is None:
        raise LookupError(f"there is no script {script_id}")
    last = await session.scalar(
        select(func.max(ScriptVersion.number)).where(ScriptVersion.script_id == script_id)
    )
    number = (last or 0) + 1
    await session.execute(
        insert(ScriptVersion).values(
            script_id=script_id,
            number=number,
            steps=script_steps.write(steps),
            author=actor,
            created_at=datetime.now(UTC),
        )
    )
    await _audit(transaction, actor, "changed", script_id, f"version {number}")
    return number


async def publish(
    transaction: Transaction,
    script_id: int,
    number: int,
    *,
    dispositions: Collection[str],
    actor: str,
) -> bool:
    """Put the version into use for calls from now on; False if it was published before.

    Raises LookupError for an unknown one, Unpublishable for one with problems.
    """
    session = transaction.session
    row = await session.scalar(_one_version(script_id, number).with_for_update(of=ScriptVersion))
    script = await session.get(Script, script_id)
    if row is None or script is None:
        raise LookupError(f"there is no version {number} of script {script_id}")
    if row.published_at is not None:
        return False
    found = script_problems.problems(
        script_steps.read(row.steps), sorted(script.titles), dispositions
    )
    if found:
        raise Unpublishable(found)
    row.published_at = datetime.now(UTC)
    await session.flush()
    await _audit(transaction, actor, "published", script_id, f"version {number}")
    return True


async def roll_back(
    transaction: Transaction,
    script_id: int,
    number: int,
    *,
    dispositions: Collection[str],
    actor: str,
) -> int:
    """Use an older version's steps again, as a new version; its number. Raises as `publish`."""
    row = await transaction.session.scalar(_one_version(script_id, number))
    if row is None:
        raise LookupError(f"there is no version {number} of script {script_id}")
    again = await add_version(transaction, script_id, script_steps.read(row.steps), actor=actor)
    await publish(transaction, script_id, again, dispositions=dispositions, actor=actor)
    return again


async def all_scripts(database: Database) -> list[ScriptRecord]:
    """All scripts by code, the retired ones last."""
    query = select(Script).order_by(Script.active.desc(), Script.code)
    async with database.reading() as session:
        return [_script(row) for row in await session.scalars(query)]


async def find(database: Database, script_id: int) -> ScriptRecord | None:
    async with database.reading() as session:
        row = await session.get(Script, script_id)
    return _script(row) if row is not None else None


async def versions(database: Database, script_id: int) -> list[VersionRecord]:
    """All versions, newest first."""
    query = (
        select(ScriptVersion)
        .where(ScriptVersion.script_id == script_id)
        .order_by(ScriptVersion.number.desc())
    )
    async with database.reading() as session:
        return [_version(row) for row in await session.scalars(query)]


def in_use(found: list[VersionRecord]) -> VersionRecord | None:
    """Of all versions of a script, the one that new runs begin with."""
    published = [one for one in found if one.published_at is not None]
    return max(published, key=lambda one: (one.published_at, one.number), default=None)


async def used_by(database: Database, code: str) -> list[str]:
    """The names of the queues whose agents follow that script."""
    query = select(Queue.name).where(Queue.script == code).order_by(Queue.name)
    async with database.reading() as session:
        return list(await session.scalars(query))


# ---- runs ---------------------------------------------------------------------------------------


async def of_queue(database: Database, queue: str) -> tuple[ScriptRecord, VersionRecord] | None:
    """The script that an agent of that queue follows now; None if there is none to follow."""
    query = (
        select(Script, ScriptVersion)
        .join(Queue, Queue.script == Script.code)
        .join(ScriptVersion, ScriptVersion.script_id == Script.id)
        .where(Queue.name == queue, Script.active, ScriptVersion.published_at.is_not(None))
        .order_by(ScriptVersion.published_at.desc(), ScriptVersion.number.desc())
        .limit(1)
    )
    async with database.reading() as session:
        found = (await session.execute(query)).first()
    return (_script(found[0]), _version(found[1])) if found else None


async def run_of(database: Database, interaction_id: int, agent: str) -> Run | None:
    """The agent's run in that interaction, as it was last saved."""
    query = (
        select(ScriptRun, ScriptVersion, Script)
        .join(ScriptVersion, ScriptVersion.id == ScriptRun.script_version_id)
        .join(Script, Script.id == ScriptVersion.script_id)
        .where(ScriptRun.interaction_id == interaction_id, ScriptRun.agent == agent)
    )
    async with database.reading() as session:
        found = (await session.execute(query)).first()
    if found is None:
        return None
    row, version, script = found
    return Run(
        id=row.id,
        script=_script(script),
        version=_version(version),
        step=row.step,
        answers=row.answers,
        finished_at=row.finished_at,
    )


async def begin(
    transaction: Transaction, interaction_id: int, agent: str, version: VersionRecord
) -> None:
    """Begin at the first step. Raises sqlalchemy.exc.IntegrityError if it was begun before."""
    await transaction.session.execute(
        insert(ScriptRun).values(
            interaction_id=interaction_id,
            script_version_id=version.id,
            agent=agent,
            step=version.steps[0].id,
            answers={},
            saved_at=datetime.now(UTC),
        )
    )


async def save(
    transaction: Transaction,
    run_id: int,
    *,
    step: str,
    answers: Mapping[str, Any],
    finished: bool,
) -> None:
    """Keep where the agent is now, and all answers so far."""
    now = datetime.now(UTC)
    await transaction.session.execute(
        update(ScriptRun)
        .where(ScriptRun.id == run_id)
        .values(
            step=step,
            answers=dict(answers),
            saved_at=now,
            finished_at=now if finished else None,
        )
    )


def _one_version(script_id: int, number: int) -> Select[ScriptVersion]:
    return select(ScriptVersion).where(
        ScriptVersion.script_id == script_id, ScriptVersion.number == number
    )


async def _audit(
    transaction: Transaction, actor: str, action: str, script_id: int, *fields: str
) -> None:
    await audit.record(
        transaction,
        actor=actor,
        action=action,
        subject_kind="script",
        subject_id=script_id,
        fields=fields,
    )


def _script(row: Script) -> ScriptRecord:
    return ScriptRecord(row.id, row.code, row.titles, row.active)


def _version(row: ScriptVersion) -> VersionRecord:
    return VersionRecord(
        id=row.id,
        script_id=row.script_id,
        number=row.number,
        steps=script_steps.read(row.steps),
        author=row.author,
        created_at=row.created_at,
        published_at=row.published_at,
    )
