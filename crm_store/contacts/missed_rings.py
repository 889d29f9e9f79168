"""Missed rings: whose phone rang for a queue and was not answered, or was declined.

Owns the rows, for reports. What follows of them is the telephone side's.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select

from crm_store.contacts.calls import CallKey
from crm_store.database import Database, Transaction
from crm_store.models import MissedRing


async def add(
    transaction: Transaction, *, agent: str, queue: str, call: CallKey, cause: str, at: datetime
) -> None:
    """Write down one ring; `cause` is no_answer or declined."""
    pbx, linkedid = call
    await transaction.session.execute(
        insert(MissedRing).values(
            agent=agent, queue=queue, pbx=pbx, linkedid=linkedid, cause=cause, at=at
        )
    )


async def newest(database: Database, agent: str, *, limit: int = 100) -> list[MissedRing]:
    """The agent's missed rings, newest first."""
    query = (
        select(MissedRing)
        .where(MissedRing.agent == agent)
        .order_by(MissedRing.at.desc(), MissedRing.id.desc())
        .limit(limit)
    )
    async with database.reading() as session:
        return list(await session.scalars(query))
