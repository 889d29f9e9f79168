"""A customer's story: all that was between this person and the house, newest first.

Owns the union of the kinds that a story is made of (story_kinds.py), its order, its pages, its
filters and its search. Includes what belongs to customers who were merged into this one. Refuses to
know what an agent may see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store import text_search
from crm_store.contacts.story_kinds import KINDS, READERS, Reader, StoryEntry
from crm_store.database import Database
from crm_store.models import Channel, Conversation, Interaction, Message
from crm_store.people import customers
from crm_store.text_search import EntryKind

__all__ = [
    "KINDS",
    "StoryEntry",
    "StoryFilter",
    "StoryPage",
    "count_satisfaction",
    "read",
]

# A search whose hits a filter throws away looks no further than this many pages.
_MOST_PAGES = 8
# Conversations that a cursor remembers to have been shown.
_MOST_SHOWN = 200


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
        cursor, shown = _cursor_of_index(before) if before else (None, set())
        return await _found(
            database, owners, wanted, find=find, cursor=cursor, shown=shown, limit=limit
        )
    place = _cursor(before) if before else None
    entries: list[StoryEntry] = []
    async with database.reading() as session:
        for kind in wanted.kinds or KINDS:
            if not _may_be_of(kind, wanted.channels):
                continue
            reader = READERS[kind]
            conditions = [reader.owner.in_(owners), *_bounds(reader, kind, wanted, place)]
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


def _cursor_of_index(text: str) -> tuple[int, set[int]]:
    """The last entry of the index, and the conversations' contacts that were shown: each of their
    messages is an entry, and they are shown once."""
    if _ENTRY.fullmatch(text) is None:
        raise ValueError("that is no cursor of a search")
    entry, *shown = map(int, text.split(","))
    return entry, set(shown)


def _written_for_index(entry: int, shown: Iterable[int]) -> str:
    return ",".join(str(one) for one in (entry, *sorted(shown)[-_MOST_SHOWN:]))


_CURSOR = re.compile(r"([0-9]{1,11}\.[0-9]{6})~([0-9])~([0-9]{1,18})")
_ENTRY = re.compile(r"[0-9]{1,18}(,[0-9]{1,18}){0,200}")


def _may_be_of(kind: EntryKind, channels: Sequence[Channel]) -> bool:
    if not channels or kind is EntryKind.INTERACTION:
        return True
    return kind is EntryKind.VISIT and Channel.VISIT in channels


def _bounds(
    reader: Reader,
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
        written = exists().where(
            Conversation.interaction_id == Interaction.id,
            Message.conversation_id == Conversation.id,
            Message.channel.in_(wanted.channels),
        )
        found.append(or_(Interaction.channel.in_(wanted.channels), written))
    return found


async def _found(
    database: Database,
    owners: Sequence[int],
    wanted: StoryFilter,
    *,
    find: str,
    cursor: int | None,
    shown: set[int],
    limit: int,
) -> StoryPage:
    """The entries with the words, in the order of the index; a contact with several messages that
    have them stands at the newest."""
    kinds = [kind for kind in wanted.kinds or KINDS if _may_be_of(kind, wanted.channels)]
    if not kinds:
        return StoryPage([], None)
    searched = [*kinds, *([EntryKind.MESSAGE] if EntryKind.INTERACTION in kinds else [])]
    entries: list[StoryEntry] = []
    for _ in range(_MOST_PAGES):
        hits = await text_search.search(
            database, find, customer_ids=owners, kinds=searched, before=cursor, limit=limit
        )
        async with database.reading() as session:
            places = await _places(session, hits)
            by_row: dict[tuple[EntryKind, int], StoryEntry] = {}
            for kind in kinds:
                ids = {row_id for found, row_id in places.values() if found is kind}
                if ids:
                    reader = READERS[kind]
                    conditions = [reader.row.in_(ids), *_bounds(reader, kind, wanted, None)]
                    read_now = await reader.read(session, conditions, len(ids))
                    by_row |= {(kind, entry.id): entry for entry in read_now}
        for hit in hits:
            place = places.get(hit.entry)
            entry = by_row.get(place) if place is not None else None
            is_contact = entry is not None and entry.kind is EntryKind.INTERACTION
            if entry is not None and not (is_contact and entry.id in shown):
                entries.append(entry)
                if is_contact and entry.details["conversation"]:
                    shown.add(entry.id)
            cursor = hit.entry
            if len(entries) == limit:
                return StoryPage(entries, _written_for_index(cursor, shown))
        if len(hits) < limit:
            return StoryPage(entries, None)
    return StoryPage(entries, _written_for_index(cursor or 0, shown))


async def _places(
    session: AsyncSession, hits: Sequence[text_search.Found]
) -> dict[int, tuple[EntryKind, int]]:
    """Which thing of the story each hit is in: a message is in its conversation's contact."""
    places = {hit.entry: (hit.kind, hit.row_id) for hit in hits}
    messages = {hit.row_id: hit.entry for hit in hits if hit.kind is EntryKind.MESSAGE}
    if messages:
        rows = await session.execute(
            select(Message.id, Conversation.interaction_id)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(Message.id.in_(messages))
        )
        for message_id, interaction_id in rows:
            places[messages[message_id]] = (EntryKind.INTERACTION, interaction_id)
    return places
