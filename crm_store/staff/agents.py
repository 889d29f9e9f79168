"""Agents: the people at the desk, their sign-ins, and the log of their states.

Owns who may sign in with which role, extension and queues, and how well each can serve a queue.
Keeps a password's hash as a string and never makes or checks one: that is the desk's. Keeps of a
session's token only its SHA-256.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.database import Database, Transaction
from crm_store.models import (
    Agent,
    AgentQueue,
    AgentSkill,
    AgentStateEntry,
    DeskSession,
    PhoneKind,
    Queue,
    QueueSkill,
    Role,
    Skill,
)
from crm_store.signals import AgentState

StateChange = tuple[str, AgentState, str, tuple[str, ...], datetime]
"""Whose state became what, for which reason, in which queues, and when."""

BEST_LEVEL = 5
"""Who has a skill at this level is offered calls as if the queue did not ask for it."""

_LOG_STATE = insert(AgentStateEntry.__table__)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent. `queues` are the names of the queues they may serve, the least penalty first.

    A queue's value is the penalty that Asterisk is given: the agent's own, and one more for each
    level that they lack in a skill the queue asks for. `barred` are the queues that they cannot
    serve, with the skill that they have too little of. They are given at most `chats_at_once`, and
    `written_at_once` other conversations.
    """

    id: int
    login: str
    display_name: str
    extension: str | None
    role: Role
    language: str
    active: bool
    phone: PhoneKind
    queues: Mapping[str, int]
    barred: Mapping[str, str] = field(default_factory=dict)
    chats_at_once: int = 3
    written_at_once: int = 8


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that holds now: whose it is, and the token that its forms must carry."""

    session_id: int
    agent: AgentRecord
    csrf_token: str
    expires_at: datetime


async def save(
    transaction: Transaction,
    *,
    login: str,
    display_name: str,
    extension: str | None = None,
    role: Role = Role.AGENT,
    language: str = "en",
    queues: Sequence[str] | Mapping[str, int] = (),
    phone: PhoneKind | None = None,
    chats_at_once: int | None = None,
    written_at_once: int | None = None,
) -> int:
    """Add the agent, or change the one with that login; the row's id. Queues may have penalties.

    The password stays as it is, and so does what is None: the kind of phone, the capacities. Raises
    sqlalchemy.exc.IntegrityError if the extension is taken.
    """
    values: dict[str, object] = {
        "display_name": display_name,
        "extension": extension,
        "role": role,
        "language": language,
        "active": True,
    }
    optional = {
        "phone": phone,
        "chats_at_once": chats_at_once,
        "written_at_once": written_at_once,
    }
    values |= {name: value for name, value in optional.items() if value is not None}
    session = transaction.session
    agent_id = await session.scalar(
        update(Agent).where(Agent.login == login).values(**values).returning(Agent.id)
    )
    if agent_id is None:
        agent_id = (
            await session.execute(
                insert(Agent)
                .values(login=login, created_at=datetime.now(UTC), **values)
                .returning(Agent.id)
            )
        ).scalar_one()
    await session.execute(delete(AgentQueue).where(AgentQueue.agent_id == agent_id))
    penalties = queues if isinstance(queues, Mapping) else dict.fromkeys(queues, 0)
    if penalties:
        await session.execute(
            insert(AgentQueue),
            [
                {"agent_id": agent_id, "queue": queue, "penalty": penalty}
                for queue, penalty in penalties.items()
            ],
        )
    return int(agent_id)


async def set_password_hash(transaction: Transaction, login: str, password_hash: str) -> None:
    """Keep a new hash and end the agent's sessions. Raises LookupError for an unknown login."""
    agent_id = await transaction.session.scalar(
        update(Agent)
        .where(Agent.login == login)
        .values(password_hash=password_hash)
        .returning(Agent.id)
    )
    if agent_id is None:
        raise LookupError(f"there is no agent {login!r}")
    await _end_all_sessions(transaction, agent_id)


async def set_active(transaction: Transaction, login: str, active: bool) -> None:
    """Let the agent in or keep them out; keeping out ends their sessions. Raises LookupError."""
    agent_id = await transaction.session.scalar(
        update(Agent).where(Agent.login == login).values(active=active).returning(Agent.id)
    )
    if agent_id is None:
        raise LookupError(f"there is no agent {login!r}")
    if not active:
        await _end_all_sessions(transaction, agent_id)


async def set_phone(transaction: Transaction, login: str, phone: PhoneKind) -> None:
    """What the agent telephones with. Raises LookupError for an unknown login."""
    found = await transaction.session.scalar(
        update(Agent).where(Agent.login == login).values(phone=phone).returning(Agent.id)
    )
    if found is None:
        raise LookupError(f"there is no agent {login!r}")


async def own_penalties(database: Database, agent_id: int) -> dict[str, int]:
    """The agent's queues with the penalties that a supervisor gave, whatever their skills."""
    query = select(AgentQueue).where(AgentQueue.agent_id == agent_id).order_by(AgentQueue.queue)
    async with database.reading() as session:
        return {entry.queue: entry.penalty for entry in await session.scalars(query)}


async def find(database: Database, login: str) -> AgentRecord | None:
    return next(iter(await _read(database, login=login)), None)


async def find_by_extension(database: Database, extension: str) -> AgentRecord | None:
    return next(iter(await _read(database, extension=extension)), None)


async def all_agents(database: Database, *, also_inactive: bool = False) -> list[AgentRecord]:
    """All agents, by login."""
    return await _read(database, also_inactive=also_inactive)


async def password_hash(database: Database, login: str) -> str | None:
    """The stored hash of an active agent; None if there is none to compare with."""
    async with database.reading() as session:
        kept = await session.scalar(
            select(Agent.password_hash).where(Agent.login == login, Agent.active)
        )
    return kept or None


# ---- sessions ------------------------------------------------------------------------------------


async def open_session(transaction: Transaction, agent_id: int, lasts: timedelta) -> str:
    """Sign in; the token for the cookie, which is kept nowhere else."""
    token = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    await transaction.session.execute(delete(DeskSession).where(DeskSession.expires_at < now))
    await transaction.session.execute(
        insert(DeskSession).values(
            token_hash=_token_hash(token),
            agent_id=agent_id,
            csrf_token=secrets.token_urlsafe(32),
            created_at=now,
            expires_at=now + lasts,
        )
    )
    return token


async def session_of(database: Database, token: str) -> SignedIn | None:
    """The session of that cookie, unless it ended, expired, or its agent was kept out."""
    query = (
        select(DeskSession, Agent)
        .join(Agent, Agent.id == DeskSession.agent_id)
        .where(
            DeskSession.token_hash == _token_hash(token),
            DeskSession.expires_at > datetime.now(UTC),
            Agent.active,
        )
    )
    async with database.reading() as session:
        found = (await session.execute(query)).first()
        if found is None:
            return None
        row, agent = found
        record = _record(agent, await _served_by(session, [agent.id]))
        return SignedIn(row.id, record, row.csrf_token, row.expires_at)


async def close_session(transaction: Transaction, token: str) -> None:
    """Sign out. An unknown token is no error."""
    await transaction.session.execute(
        delete(DeskSession).where(DeskSession.token_hash == _token_hash(token))
    )


# ---- states --------------------------------------------------------------------------------------


async def log_state(
    transaction: Transaction,
    agent: str,
    state: AgentState,
    *,
    reason: str = "",
    queues: Sequence[str] = (),
    at: datetime | None = None,
) -> None:
    """Add a change of state to the agent's log."""
    await log_states(transaction, [(agent, state, reason, tuple(queues), at or datetime.now(UTC))])


async def log_states(transaction: Transaction, changes: Sequence[StateChange]) -> None:
    """Add changes of state to their agents' logs, in this order."""
    if not changes:
        return
    connection = await transaction.session.connection()
    await connection.execute(
        _LOG_STATE,
        [
            {"agent": agent, "state": state.value, "reason": reason, "queues": queues, "at": at}
            for agent, state, reason, queues, at in changes
        ],
    )


async def last_state(database: Database, agent: str) -> AgentStateEntry | None:
    """The newest entry of the agent's log: where they were before a restart."""
    return next(iter(await states(database, agent, limit=1)), None)


async def states(database: Database, agent: str, *, limit: int = 100) -> list[AgentStateEntry]:
    """The agent's log, newest first."""
    query = (
        select(AgentStateEntry)
        .where(AgentStateEntry.agent == agent)
        .order_by(AgentStateEntry.at.desc(), AgentStateEntry.id.desc())
        .limit(limit)
    )
    async with database.reading() as session:
        return list(await session.scalars(query))


async def _read(
    database: Database,
    *,
    login: str | None = None,
    extension: str | None = None,
    also_inactive: bool = False,
) -> list[AgentRecord]:
    query = select(Agent).order_by(Agent.login)
    if login is not None:
        query = query.where(Agent.login == login)
    elif extension is not None:
        query = query.where(Agent.extension == extension, Agent.active)
    elif not also_inactive:
        query = query.where(Agent.active)
    async with database.reading() as session:
        rows = list(await session.scalars(query))
        served = await _served_by(session, [row.id for row in rows])
    return [_record(row, served) for row in rows]


_Served = dict[int, dict[str, int | str]]
"""By agent, then by queue: the penalty there, or the skill that the agent has too little of."""


async def _served_by(session: AsyncSession, agent_ids: Sequence[int]) -> _Served:
    query = (
        select(
            AgentQueue.agent_id,
            AgentQueue.queue,
            AgentQueue.penalty,
            Skill.code,
            QueueSkill.least_level,
            AgentSkill.level,
        )
        .outerjoin(Queue, Queue.name == AgentQueue.queue)
        .outerjoin(QueueSkill, QueueSkill.queue_id == Queue.id)
        .outerjoin(Skill, and_(Skill.code == QueueSkill.skill, Skill.active))
        .outerjoin(
            AgentSkill,
            and_(AgentSkill.agent_id == AgentQueue.agent_id, AgentSkill.skill == Skill.code),
        )
        .where(AgentQueue.agent_id.in_(agent_ids))
    )
    served: _Served = {}
    for agent_id, queue, own, skill, least, level in await session.execute(query):
        queues = served.setdefault(agent_id, {})
        penalty = queues.setdefault(queue, own)
        if skill is None or isinstance(penalty, str):
            continue
        has = level or 0
        queues[queue] = skill if has < least else penalty + BEST_LEVEL - has
    return served


def _record(row: Agent, served: _Served) -> AgentRecord:
    queues = served.get(row.id, {})
    penalties = {queue: value for queue, value in queues.items() if isinstance(value, int)}
    return AgentRecord(
        row.id,
        row.login,
        row.display_name,
        row.extension,
        row.role,
        row.language,
        row.active,
        row.phone,
        dict(sorted(penalties.items(), key=lambda place: (place[1], place[0]))),
        {queue: value for queue, value in queues.items() if isinstance(value, str)},
        row.chats_at_once,
        row.written_at_once,
    )


async def _end_all_sessions(transaction: Transaction, agent_id: int) -> None:
    await transaction.session.execute(delete(DeskSession).where(DeskSession.agent_id == agent_id))


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
