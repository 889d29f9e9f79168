"""A customer's story: all that was between this person and the house, newest first.

Owns the union of the tables that a story is made of, its order, its pages and its filters. Each
kind is one small function in `_READERS`; a new channel with a table of its own adds one. Includes
what belongs to customers who were merged into this one. Refuses to know what an agent may see.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store import text_search
from crm_store.database import Database
from crm_store.models import (
    Call,
    Channel,
    Complaint,
    Interaction,
    Recording,
    Task,
    Visit,
    WrapUp,
)
from crm_store.people import customers
from crm_store.text_search import EntryKind

KINDS = (EntryKind.INTERACTION, EntryKind.TASK, EntryKind.VISIT, EntryKind.COMPLAINT)
# A search whose hits a filter throws away looks no further than this many pages.
_MOST_PAGES = 8


@dataclass(frozen=True, slots=True)
class StoryEntry:
    """One thing that happened. `details` are plain values, by `kind`: see each reader."""

    kind: EntryKind
    id: int
    at: datetime
    agent: str | None
    channel: Channel | None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoryPage:
    """Entries, newest first; `older` is the cursor of the next page, None at the end."""

    entries: list[StoryEntry]
    older: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryFilter:
    """What of a story is wanted; empty means all. `agent` is a login."""

    kinds: Sequence[EntryKind] = ()
    channels: Sequence[Channel] = ()
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def read(
    database: Database,
    customer_id: int,
    *,
    wanted: StoryFilter | None = None,
    find: str = "",
    before: str | None = None,
    limit: int = 30,
) -> StoryPage:
    """A page of the story, of what has the words of `find` if there are any.

    `before` is the former page's `older`. Raises ValueError for a cursor that none was.
    """
    wanted = wanted or StoryFilter()
    owners = await customers.same_person(database, customer_id)
    if not owners:
        return StoryPage([], None)
    if find.strip():
        entry = _cursor_of_index(before) if before else None
        return await _found(database, owners, wanted, find=find, cursor=entry, limit=limit)
    cursor = _cursor(before) if before else None
    entries: list[StoryEntry] = []
    async with database.reading() as session:
        for kind in wanted.kinds or KINDS:
            if not _may_be_of(kind, wanted.channels):
                continue
            reader = _READERS[kind]
            conditions = [reader.owner.in_(owners), *_bounds(reader, kind, wanted, cursor)]
            entries += await reader.read(session, conditions, limit + 1)
    entries.sort(key=_place, reverse=True)
    more = len(entries) > limit
    return StoryPage(entries[:limit], _written(entries[limit - 1]) if more else None)


async def count_satisfaction(
    database: Database, customer_id: int
) -> list[tuple[datetime, int, Channel]]:
    """The customer's own words, 1 to 5: when, which, and after what; the newest thirty first."""
    owners = await customers.same_person(database, customer_id)
    query = (
        select(Interaction.opened_at, Interaction.satisfaction, Interaction.channel)
        .where(Interaction.customer_id.in_(owners), Interaction.satisfaction.is_not(None))
        .order_by(Interaction.opened_at.desc())
        .limit(30)
    )
    async with database.reading() as session:
        return [(row[0], int(row[1] or 0), row[2]) for row in await session.execute(query)]


# ---- the kinds -----------------------------------------------------------------------------------

Read = Callable[[AsyncSession, Sequence[ColumnElement[bool]], int], Awaitable[list[StoryEntry]]]


@dataclass(frozen=True, slots=True)
class _Reader:
    """How a kind is read: its columns for row, owner, moment and agents, and the function."""

    row: Any
    owner: Any
    at: Any
    agents: tuple[Any, ...]
    read: Read


async def _interactions(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[StoryEntry]:
    """`direction, queue, disposition, summary, note, address, keyed, satisfaction, closed_at`;
    `call` ({outcome, wait_s, talk_s, transferred_to} or None); `wrap_ups` [{agent, disposition,
    note, at}]; `recordings` [{id, started_at, seconds, marks}]."""
    query = (
        select(Interaction, Call)
        .join(Call, Call.id == Interaction.call_id, isouter=True)
        .where(*conditions)
        .order_by(Interaction.opened_at.desc(), Interaction.id.desc())
        .limit(limit)
    )
    rows = [(row[0], row[1]) for row in await session.execute(query)]
    wrap_ups = await _wrap_ups(session, [one.id for one, _ in rows])
    recordings = await _recordings(session, [call for _, call in rows if call is not None])
    return [
        StoryEntry(
            EntryKind.INTERACTION,
            one.id,
            one.opened_at,
            one.agent,
            one.channel,
            {
                "direction": one.direction,
                "queue": one.queue,
                "disposition": one.disposition,
                "summary": one.summary,
                "note": one.note,
                "address": one.address,
                "keyed": one.keyed,
                "satisfaction": one.satisfaction,
                "closed_at": one.closed_at,
                "call": call
                and {
                    "outcome": call.outcome,
                    "wait_s": call.wait_s,
                    "talk_s": call.talk_s,
                    "transferred_to": call.transferred_to,
                },
                "wrap_ups": wrap_ups.get(one.id, []),
                "recordings": recordings.get((call.pbx, call.linkedid), []) if call else [],
            },
        )
        for one, call in rows
    ]


async def _wrap_ups(
    session: AsyncSession, interaction_ids: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    rows = await session.scalars(
        select(WrapUp).where(WrapUp.interaction_id.in_(interaction_ids)).order_by(WrapUp.id)
    )
    for row in rows:
        found.setdefault(row.interaction_id, []).append(
            {
                "agent": row.agent,
                "disposition": row.disposition,
                "note": row.note,
                "at": row.closed_at or row.saved_at,
            }
        )
    return found


async def _recordings(
    session: AsyncSession, calls: Sequence[Call]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    rows = await session.scalars(
        select(Recording)
        .where(
            Recording.linkedid.in_([call.linkedid for call in calls]),
            Recording.ended_at.is_not(None),
        )
        .order_by(Recording.id)
    )
    for row in rows:
        assert row.ended_at is not None
        found.setdefault((row.pbx, row.linkedid), []).append(
            {
                "id": row.id,
                "started_at": row.started_at,
                "seconds": (row.ended_at - row.started_at).total_seconds(),
                "marks": row.marks,
            }
        )
    return found


async def _tasks(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[StoryEntry]:
    """`task_kind, state, title, text, number, due_at, queue, assigned_to, outcome, finished_by,
    finished_at`."""
    query = select(Task).where(*conditions).order_by(Task.created_at.desc(), Task.id.desc())
    return [
        StoryEntry(
            EntryKind.TASK,
            row.id,
            row.created_at,
            row.created_by,
            None,
            {
                "task_kind": row.kind,
                **_values(row, "state", "title", "text", "number", "due_at", "queue", "outcome"),
                **_values(row, "assigned_to", "finished_by", "finished_at"),
            },
        )
        for row in await session.scalars(query.limit(limit))
    ]


async def _visits(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[StoryEntry]:
    """`state, planned_for, held_at, place, purpose, outcome`."""
    query = select(Visit).where(*conditions).order_by(Visit.planned_for.desc(), Visit.id.desc())
    names = ("state", "planned_for", "held_at", "place", "purpose", "outcome")
    return [
        StoryEntry(
            EntryKind.VISIT, row.id, row.planned_for, row.agent, Channel.VISIT, _values(row, *names)
        )
        for row in await session.scalars(query.limit(limit))
    ]


async def _complaints(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[StoryEntry]:
    """`number, category, severity, subject, text, state, closed_at`."""
    query = (
        select(Complaint)
        .where(*conditions)
        .order_by(Complaint.filed_at.desc(), Complaint.id.desc())
    )
    names = ("number", "category", "severity", "subject", "text", "state", "closed_at")
    return [
        StoryEntry(
            EntryKind.COMPLAINT, row.id, row.filed_at, row.filed_by, None, _values(row, *names)
        )
        for row in await session.scalars(query.limit(limit))
    ]


def _values(row: object, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


_READERS = {
    EntryKind.INTERACTION: _Reader(
        Interaction.id,
        Interaction.customer_id,
        Interaction.opened_at,
        (Interaction.agent,),
        _interactions,
    ),
    EntryKind.TASK: _Reader(
        Task.id,
        Task.customer_id,
        Task.created_at,
        (Task.created_by, Task.assigned_to, Task.finished_by),
        _tasks,
    ),
    EntryKind.VISIT: _Reader(
        Visit.id, Visit.customer_id, Visit.planned_for, (Visit.agent,), _visits
    ),
    EntryKind.COMPLAINT: _Reader(
        Complaint.id,
        Complaint.customer_id,
        Complaint.filed_at,
        (Complaint.filed_by,),
        _complaints,
    ),
}


# ---- order, pages, filters -----------------------------------------------------------------------


def _place(entry: StoryEntry) -> tuple[datetime, int, int]:
    return entry.at, KINDS.index(entry.kind), entry.id


def _written(entry: StoryEntry) -> str:
    return f"{entry.at.timestamp():.6f}~{KINDS.index(entry.kind)}~{entry.id}"


def _cursor(text: str) -> tuple[datetime, int, int]:
    parts = _CURSOR.fullmatch(text)
    if parts is None:
        raise ValueError("that is no cursor of a story")
    return datetime.fromtimestamp(float(parts[1]), UTC), int(parts[2]), int(parts[3])


def _cursor_of_index(text: str) -> int:
    if _ENTRY.fullmatch(text) is None:
        raise ValueError("that is no cursor of a search")
    return int(text)


_CURSOR = re.compile(r"([0-9]{1,11}\.[0-9]{6})~([0-9])~([0-9]{1,18})")
_ENTRY = re.compile(r"[0-9]{1,18}")


def _may_be_of(kind: EntryKind, channels: Sequence[Channel]) -> bool:
    if not channels or kind is EntryKind.INTERACTION:
        return True
    return kind is EntryKind.VISIT and Channel.VISIT in channels


def _bounds(
    reader: _Reader,
    kind: EntryKind,
    wanted: StoryFilter,
    cursor: tuple[datetime, int, int] | None,
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if cursor is not None:
        at, kind_place, row_id = cursor
        place = KINDS.index(kind)
        same_moment = {
            True: reader.row < row_id if place == kind_place else reader.row.is_not(None),
            False: reader.row.is_(None),
        }[place <= kind_place]
        found.append(or_(reader.at < at, and_(reader.at == at, same_moment)))
    if wanted.since is not None:
        found.append(reader.at >= wanted.since)
    if wanted.until is not None:
        found.append(reader.at < wanted.until)
    if wanted.agent is not None:
        found.append(or_(*(column == wanted.agent for column in reader.agents)))
    if wanted.channels and kind is EntryKind.INTERACTION:
        found.append(Interaction.channel.in_(wanted.channels))
    return found


async def _found(
    database: Database,
    owners: Sequence[int],
    wanted: StoryFilter,
    *,
    find: str,
    cursor: int | None,
    limit: int,
) -> StoryPage:
    """The entries with the words, in the order of the index."""
    kinds = [kind for kind in wanted.kinds or KINDS if _may_be_of(kind, wanted.channels)]
    if not kinds:
        return StoryPage([], None)
    entries: list[StoryEntry] = []
    for _ in range(_MOST_PAGES):
        hits = await text_search.search(
            database, find, customer_ids=owners, kinds=kinds, before=cursor, limit=limit
        )
        async with database.reading() as session:
            by_row: dict[tuple[EntryKind, int], StoryEntry] = {}
            for kind in kinds:
                ids = [hit.row_id for hit in hits if hit.kind is kind]
                if ids:
                    reader = _READERS[kind]
                    conditions = [reader.row.in_(ids), *_bounds(reader, kind, wanted, None)]
                    read_now = await reader.read(session, conditions, len(ids))
                    by_row |= {(kind, entry.id): entry for entry in read_now}
        for hit in hits:
            entry = by_row.get((hit.kind, hit.row_id))
            if entry is not None:
                entries.append(entry)
            cursor = hit.entry
            if len(entries) == limit:
                return StoryPage(entries, str(cursor))
        if len(hits) < limit:
            return StoryPage(entries, None)
    return StoryPage(entries, str(cursor))
