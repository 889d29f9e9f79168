"""Scripts: guided conversations in versions, and agents' runs through them.

Owns which script a queue follows, and where each agent is in each interaction. What versions are is
in versions.py, what steps are in script_steps; what answers write, script_fills.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update

from crm_store.database import Database, Transaction
from crm_store.knowledge import script_problems, script_steps
from crm_store.knowledge.script_problems import Problem
from crm_store.knowledge.script_steps import Steps
from crm_store.models import Queue, Script, ScriptRun, ScriptVersion
from crm_store.versions import Thing, Version, Versions, thing


@dataclass(frozen=True, slots=True)
class Run:
    """Where an agent is in an interaction's script, which stays the version it began with."""

    id: int
    script: Thing
    version: Version[Steps]
    step: str
    answers: Mapping[str, Any]
    finished_at: datetime | None


SCRIPTS: Versions[Steps] = Versions(
    "script",
    Script,
    ScriptVersion,
    owner="script_id",
    content="steps",
    read=script_steps.read,
    write=script_steps.write,
)


async def publish(
    transaction: Transaction,
    script_id: int,
    number: int,
    *,
    dispositions: Collection[str],
    actor: str,
) -> bool:
    """As Versions.publish, with what is wrong if these are the dispositions to end in."""
    found = await _problems(transaction, script_id, number, dispositions)
    return await SCRIPTS.publish(transaction, script_id, number, problems=found, actor=actor)


async def roll_back(
    transaction: Transaction,
    script_id: int,
    number: int,
    *,
    dispositions: Collection[str],
    actor: str,
) -> int:
    """As Versions.roll_back, checked as `publish` does."""
    found = await _problems(transaction, script_id, number, dispositions)
    return await SCRIPTS.roll_back(transaction, script_id, number, problems=found, actor=actor)


async def _problems(
    transaction: Transaction, script_id: int, number: int, dispositions: Collection[str]
) -> list[Problem]:
    query = (
        select(ScriptVersion.steps, Script.titles)
        .join(Script, Script.id == ScriptVersion.script_id)
        .where(ScriptVersion.script_id == script_id, ScriptVersion.number == number)
    )
    found = (await transaction.session.execute(query)).one_or_none()
    if found is None:
        raise LookupError(f"there is no version {number} of script {script_id}")
    steps, titles = found
    return script_problems.problems(script_steps.read(steps), sorted(titles), dispositions)


async def used_by(database: Database, code: str) -> list[str]:
    """The names of the queues whose agents follow that script."""
    query = select(Queue.name).where(Queue.script == code).order_by(Queue.name)
    async with database.reading() as session:
        return list(await session.scalars(query))


# ---- runs ---------------------------------------------------------------------------------------


async def of_queue(database: Database, queue: str) -> tuple[Thing, Version[Steps]] | None:
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
    return (thing(found[0]), SCRIPTS.version_of(found[1])) if found else None


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
        script=thing(script),
        version=SCRIPTS.version_of(version),
        step=row.step,
        answers=row.answers,
        finished_at=row.finished_at,
    )


async def begin(
    transaction: Transaction, interaction_id: int, agent: str, version: Version[Steps]
) -> None:
    """Begin at the first step. Raises sqlalchemy.exc.IntegrityError if it was begun before."""
    await transaction.session.execute(
        insert(ScriptRun).values(
            interaction_id=interaction_id,
            script_version_id=version.id,
            agent=agent,
            step=version.content[0].id,
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
