"""Skills: what queues ask for and agents can do, to a degree from 1 to 5.

Owns the list of skills, each agent's levels and each queue's wishes. What follows of them for an
agent's place in a queue is in agents.py. Knows nothing of Asterisk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, insert, select, update

from crm_store.database import Database, Transaction
from crm_store.models import Agent, AgentSkill, Queue, QueueSkill, Skill
from crm_store.staff.agents import BEST_LEVEL
from crm_store.staff.queues import Choice


async def all_skills(database: Database, *, also_retired: bool = False) -> list[Choice]:
    """The skills in their order."""
    query = select(Skill).order_by(Skill.position, Skill.code)
    if not also_retired:
        query = query.where(Skill.active)
    async with database.reading() as session:
        return [
            Choice(row.code, row.titles, row.position, row.active)
            for row in await session.scalars(query)
        ]


async def save_skill(
    transaction: Transaction, code: str, titles: Mapping[str, str], position: int = 0
) -> None:
    """Add a skill, or change the one with that code."""
    values = {"titles": dict(titles), "position": position}
    known = await transaction.session.scalar(
        update(Skill).where(Skill.code == code).values(**values).returning(Skill.id)
    )
    if known is None:
        await transaction.session.execute(insert(Skill).values(code=code, active=True, **values))


async def order_skills(transaction: Transaction, codes: Sequence[str]) -> None:
    """Put all skills into this order."""
    for position, code in enumerate(codes):
        await transaction.session.execute(
            update(Skill).where(Skill.code == code).values(position=position)
        )


async def set_skill_active(transaction: Transaction, code: str, active: bool) -> None:
    """Retire a skill, or bring it back with all levels as they were. Raises LookupError."""
    known = await transaction.session.scalar(
        update(Skill).where(Skill.code == code).values(active=active).returning(Skill.id)
    )
    if known is None:
        raise LookupError(f"there is no skill {code!r}")


async def levels_of_agent(database: Database, agent_id: int) -> dict[str, int]:
    """The agent's levels by skill; a skill that is not there is not had."""
    query = select(AgentSkill).where(AgentSkill.agent_id == agent_id)
    async with database.reading() as session:
        return {row.skill: row.level for row in await session.scalars(query)}


async def set_levels(transaction: Transaction, agent_id: int, levels: Mapping[str, int]) -> None:
    """Say what the agent can do; level 0 means not at all. Raises ValueError for other levels."""
    _check(levels, least=0)
    await transaction.session.execute(delete(AgentSkill).where(AgentSkill.agent_id == agent_id))
    rows = [
        {"agent_id": agent_id, "skill": skill, "level": level}
        for skill, level in levels.items()
        if level
    ]
    if rows:
        await transaction.session.execute(insert(AgentSkill), rows)


async def agents_with(database: Database) -> dict[str, int]:
    """How many active agents have each skill at all."""
    query = (
        select(AgentSkill.skill, func.count())
        .join(Agent, Agent.id == AgentSkill.agent_id)
        .where(Agent.active)
        .group_by(AgentSkill.skill)
    )
    async with database.reading() as session:
        return {skill: count for skill, count in await session.execute(query)}  # noqa: C416


async def ask_for(transaction: Transaction, queue: str, least_levels: Mapping[str, int]) -> None:
    """Say which skills the queue asks for, and from which level on an agent may serve it.

    Raises ValueError for a level that is none, LookupError for an unknown queue.
    """
    _check(least_levels, least=1)
    session = transaction.session
    queue_id = await session.scalar(select(Queue.id).where(Queue.name == queue))
    if queue_id is None:
        raise LookupError(f"there is no queue {queue!r}")
    await session.execute(delete(QueueSkill).where(QueueSkill.queue_id == queue_id))
    rows = [
        {"queue_id": queue_id, "skill": skill, "least_level": level}
        for skill, level in least_levels.items()
    ]
    if rows:
        await session.execute(insert(QueueSkill), rows)


async def asked_for(database: Database) -> dict[str, dict[str, int]]:
    """By queue: the skills that it asks for, with the least level."""
    query = (
        select(Queue.name, QueueSkill.skill, QueueSkill.least_level)
        .join(Queue, Queue.id == QueueSkill.queue_id)
        .order_by(QueueSkill.skill)
    )
    asked: dict[str, dict[str, int]] = {}
    async with database.reading() as session:
        for queue, skill, level in await session.execute(query):
            asked.setdefault(queue, {})[skill] = level
    return asked


def _check(levels: Mapping[str, int], *, least: int) -> None:
    for skill, level in levels.items():
        if not least <= level <= BEST_LEVEL:
            raise ValueError(f"skill {skill}: a level is from {least} to {BEST_LEVEL}")
