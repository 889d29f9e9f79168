"""Recordings: the sound that was kept of calls, and where in it a pause was.

Owns their rows, from the first second to the last, and who may hear one. Where the files are, and
how sound gets into them, others know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, or_, select, update

from crm_store.database import Database, Transaction
from crm_store.models import Call, Interaction, Recording, WrapUp

PAUSE = "pause"
RESUME = "resume"


@dataclass(frozen=True, slots=True)
class RecordingRecord:
    """A recording; it goes on while `ended_at` is None.

    `marks` are {"kind": "pause" or "resume", "at": seconds from the start, "by": the login, or ""
    where the call's end was the pause's}.
    """

    id: int
    pbx: str
    linkedid: str
    file: str
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    marks: Sequence[Mapping[str, Any]]

    @property
    def is_paused(self) -> bool:
        return bool(self.marks) and self.marks[-1]["kind"] == PAUSE

    @property
    def seconds(self) -> float | None:
        """Its length; None while it goes on."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None


async def begin(
    transaction: Transaction, *, pbx: str, linkedid: str, file: str, started_by: str, at: datetime
) -> int:
    """Write a recording that has begun; its row's id. `started_by` is a login, or audit.SYSTEM."""
    written = await transaction.session.execute(
        insert(Recording)
        .values(
            pbx=pbx, linkedid=linkedid, file=file, started_by=started_by, started_at=at, marks=[]
        )
        .returning(Recording.id)
    )
    return int(written.scalar_one())


async def mark(
    transaction: Transaction, recording_id: int, kind: str, *, at: datetime, by: str
) -> None:
    """Note a pause or its end. The same twice in a row is one. Raises LookupError."""
    row = await _locked(transaction, recording_id)
    last = row.marks[-1]["kind"] if row.marks else RESUME
    if kind != last:
        seconds = max(0.0, round((at - row.started_at).total_seconds(), 3))
        row.marks = [*row.marks, {"kind": kind, "at": seconds, "by": by}]
        await transaction.session.flush()


async def end(transaction: Transaction, recording_id: int, at: datetime) -> None:
    """It is over; a pause that nobody ended ends with it. Again changes nothing."""
    row = await _locked(transaction, recording_id)
    if row.ended_at is not None:
        return
    await mark(transaction, recording_id, RESUME, at=at, by="")
    row.ended_at = max(at, row.started_at)
    await transaction.session.flush()


async def move(transaction: Transaction, pbx: str, *, merged: str, into: str) -> None:
    """Call `merged` became part of call `into`: its recordings are that one's."""
    await transaction.session.execute(
        update(Recording)
        .where(Recording.pbx == pbx, Recording.linkedid == merged)
        .values(linkedid=into)
    )


async def find(database: Database, recording_id: int) -> RecordingRecord | None:
    return next(
        iter(await _read(database, select(Recording).where(Recording.id == recording_id))), None
    )


async def of_call(database: Database, pbx: str, linkedid: str) -> list[RecordingRecord]:
    """The call's recordings, oldest first."""
    query = select(Recording).where(Recording.pbx == pbx, Recording.linkedid == linkedid)
    return await _read(database, query.order_by(Recording.started_at, Recording.id))


async def still_open(database: Database, pbx: str) -> list[RecordingRecord]:
    """What had not ended when it was last written of."""
    query = select(Recording).where(Recording.pbx == pbx, Recording.ended_at.is_(None))
    return await _read(database, query.order_by(Recording.id))


async def known_files(database: Database, pbx: str) -> set[str]:
    """The files that have a row."""
    async with database.reading() as session:
        return set(await session.scalars(select(Recording.file).where(Recording.pbx == pbx)))


async def was_with_customer(database: Database, recording: RecordingRecord) -> int | None:
    """Whose call it was; None for a call of nobody known, and between colleagues."""
    async with database.reading() as session:
        query = select(Call.customer_id).where(
            Call.pbx == recording.pbx, Call.linkedid == recording.linkedid
        )
        found: int | None = await session.scalar(query)
        return found


async def talked_in_it(database: Database, recording: RecordingRecord, agent: str) -> bool:
    """Whether this agent was on the call."""
    query = (
        select(Call.id)
        .outerjoin(Interaction, Interaction.call_id == Call.id)
        .outerjoin(WrapUp, WrapUp.interaction_id == Interaction.id)
        .where(Call.pbx == recording.pbx, Call.linkedid == recording.linkedid)
        .where(or_(Call.agent == agent, Interaction.agent == agent, WrapUp.agent == agent))
    )
    async with database.reading() as session:
        return await session.scalar(query.limit(1)) is not None


async def _read(database: Database, query: Select[Any]) -> list[RecordingRecord]:
    async with database.reading() as session:
        return [
            RecordingRecord(
                row.id, row.pbx, row.linkedid, row.file, row.started_by, row.started_at,
                row.ended_at, row.marks,
            )
            for row in await session.scalars(query)
        ]  # fmt: skip


async def _locked(transaction: Transaction, recording_id: int) -> Recording:
    row = await transaction.session.get(
        Recording, recording_id, with_for_update=True, populate_existing=True
    )
    if row is None:
        raise LookupError(f"there is no recording {recording_id}")
    return row
