"""Conversations found by words, by the name of whom they are with, and beside another one.

Owns how hits among messages become conversations, each once, the newest first, and which tags are
in use. Changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from crm_store import text_search
from crm_store.contacts.conversation_lists import ConversationLine, InboxView, SeenBy, listed
from crm_store.contacts.conversations import ConversationRecord
from crm_store.database import Database
from crm_store.models import Conversation, ConversationState, Message
from crm_store.people import customers
from crm_store.text_search import EntryKind

MOST_PEOPLE = 20
NEWEST_TAGGED = 2_000
# Words that only others may see: so many pages of hits are looked through for one of the agent's.
MOST_PAGES = 8


async def found(
    database: Database,
    question: str,
    *,
    seen_by: SeenBy | None = None,
    queues: Sequence[str] = (),
    before: str | None = None,
    limit: int = 50,
) -> tuple[list[ConversationLine], str | None]:
    """A page of the conversations with all of the words in one message, and first those with people
    of that name; and the cursor of the next page, None at the end.

    Raises ValueError for a cursor that none was.
    """
    view = InboxView(seen_by=seen_by, queues=queues)
    lines: dict[int, ConversationLine] = {}
    if before is None:
        for line in await _with_people(database, question, view, limit):
            lines[line.conversation.id] = line
    cursor = _entry(before)
    for _ in range(MOST_PAGES):
        hits = await text_search.search(
            database, question, kinds=[EntryKind.MESSAGE], before=cursor, limit=limit
        )
        by_message = await _conversations_of(database, [hit.row_id for hit in hits])
        ids = list(dict.fromkeys(by_message.values()))
        read = await listed(database, replace(view, ids=ids), limit=len(ids)) if ids else []
        by_id = {line.conversation.id: line for line in read}
        for hit in hits:
            cursor = hit.entry
            one = by_id.get(by_message.get(hit.row_id, 0))
            if one is not None:
                lines.setdefault(one.conversation.id, one)
            if len(lines) >= limit:
                return list(lines.values()), str(cursor)
        if len(hits) < limit:
            return list(lines.values()), None
    return list(lines.values()), str(cursor)


async def beside(
    database: Database,
    conversation: ConversationRecord,
    *,
    states: Sequence[ConversationState] = (),
    limit: int = 50,
) -> list[ConversationLine]:
    """Others of the same customer, or with the same address on the same channel, newest first; of
    all states, or of these."""
    same = Conversation.channel == conversation.channel
    query = select(Conversation.id).where(same, Conversation.address == conversation.address)
    if conversation.customer_id is not None:
        query = select(Conversation.id).where(
            (same & (Conversation.address == conversation.address) & (Conversation.address != ""))
            | (Conversation.customer_id == conversation.customer_id)
        )
    elif not conversation.address:
        return []
    query = query.where(Conversation.id != conversation.id, Conversation.merged_into.is_(None))
    if states:
        query = query.where(Conversation.state.in_(states))
    async with database.reading() as session:
        newest = query.order_by(Conversation.last_message_at.desc()).limit(limit)
        ids = list(await session.scalars(newest))
    return await listed(database, InboxView(ids=ids), limit=limit) if ids else []


async def tags_in_use(database: Database, *, limit: int = 100) -> list[str]:
    """The tags of the newest conversations, those that are used most first."""
    query = select(Conversation.tags).order_by(Conversation.id.desc()).limit(NEWEST_TAGGED)
    async with database.reading() as session:
        uses = Counter(tag for tags in await session.scalars(query) for tag in tags)
    return [tag for tag, _ in uses.most_common(limit)]


async def _with_people(
    database: Database, question: str, view: InboxView, limit: int
) -> list[ConversationLine]:
    people = await customers.search_by_name(database, question)
    ids = [person.id for person in people[:MOST_PEOPLE]]
    return await listed(database, replace(view, customer_ids=ids), limit=limit) if ids else []


async def _conversations_of(database: Database, message_ids: Sequence[int]) -> dict[int, int]:
    if not message_ids:
        return {}
    query = select(Message.id, Message.conversation_id).where(Message.id.in_(message_ids))
    async with database.reading() as session:
        return {row[0]: row[1] for row in await session.execute(query)}


def _entry(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise ValueError("that is no cursor of a search")
    return int(cursor)
