"""Search by words, in any script, on both databases: what is written is found as it is typed.

Owns the full-text index of each database (FTS5 on SQLite, tsvector with GIN on PostgreSQL), written
in the transaction of the row that it speaks of; search_terms.py says what a word is. Answers with
kinds and row numbers, newest first; knows the tables only where an interaction's words are
gathered, and refuses to rank: a common word would cost a second (measured).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import delete, insert, select, text
from sqlalchemy import update as sql_update
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.database import Database, Transaction
from crm_store.models import Channel, Interaction, SearchEntry, WrapUp
from crm_store.search_terms import END_OF_TEXT, Clause, Phrase, parse, terms

# On PostgreSQL these are looked through before the index is asked: it does not stop at the newest.
NEWEST_LOOKED_THROUGH = 5_000


class EntryKind(StrEnum):
    """What can be found; the value stands in the table."""

    INTERACTION = "interaction"
    TASK = "task"
    VISIT = "visit"
    COMPLAINT = "complaint"
    ARTICLE = "article"
    ORDER = "order"
    MESSAGE = "message"
    PERSON = "person"
    """A customer, found by the name alone and by `search_names` only."""


@dataclass(frozen=True, slots=True)
class Found:
    """A row that has the words. `entry` says where the next page begins."""

    entry: int
    kind: EntryKind
    row_id: int
    customer_id: int | None
    at: datetime


# ---- writing -------------------------------------------------------------------------------------


async def index(
    transaction: Transaction,
    kind: EntryKind,
    row_id: int,
    *,
    customer_id: int | None,
    at: datetime,
    texts: Iterable[str],
    marks: Sequence[str] = (),
) -> None:
    """Make the row found by the words of `texts`, and no longer by what it had before.

    `at` is when it happened: newest first goes by it. `marks` are what it is chosen by besides
    (`channel_mark`, `agent_mark`).
    """
    session = transaction.session
    known = await session.scalar(
        select(SearchEntry.id).where(SearchEntry.kind == kind, SearchEntry.row_id == row_id)
    )
    entry = _entry_number(kind, row_id, at)
    if known is not None:
        await _forget_entry(session, known)
    while await session.get(SearchEntry, entry) is not None:
        entry += 1 << _MOMENT_SHIFT
    await session.execute(
        insert(SearchEntry).values(
            id=entry, kind=kind, row_id=row_id, customer_id=customer_id, at=at
        )
    )
    await _write_words(session, entry, _words(kind, customer_id, texts, marks))


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A row that no index knows yet, with its texts and marks."""

    kind: EntryKind
    row_id: int
    customer_id: int | None
    at: datetime
    texts: Sequence[str]
    marks: Sequence[str] = ()


async def index_new(transaction: Transaction, entries: Sequence[NewEntry]) -> None:
    """Index many rows at once: for an import. Raises sqlalchemy.exc.IntegrityError if one of them
    is indexed already."""
    if not entries:
        return
    session = transaction.session
    numbers = [_entry_number(entry.kind, entry.row_id, entry.at) for entry in entries]
    rows = [
        {"id": number, "kind": e.kind, "row_id": e.row_id, "customer_id": e.customer_id, "at": e.at}
        for number, e in zip(numbers, entries, strict=True)
    ]
    await session.execute(insert(SearchEntry), rows)
    statement = _WRITE_SQLITE if _is_sqlite(session) else _WRITE_POSTGRESQL
    words = [
        {
            "entry": number,
            "words": _stored(session, _words(e.kind, e.customer_id, e.texts, e.marks)),
        }
        for number, e in zip(numbers, entries, strict=True)
    ]
    await session.execute(statement, words)


async def forget(transaction: Transaction, kind: EntryKind, row_id: int) -> None:
    """The row is found no more."""
    entry = await transaction.session.scalar(
        select(SearchEntry.id).where(SearchEntry.kind == kind, SearchEntry.row_id == row_id)
    )
    if entry is not None:
        await _forget_entry(transaction.session, entry)


async def assign(
    transaction: Transaction, kind: EntryKind, row_ids: Sequence[int], customer_id: int | None
) -> None:
    """These rows are another customer's now; their words stay as they are."""
    session = transaction.session
    for start in range(0, len(row_ids), 500):
        rows = await session.execute(
            select(SearchEntry.id, SearchEntry.customer_id).where(
                SearchEntry.kind == kind, SearchEntry.row_id.in_(row_ids[start : start + 500])
            )
        )
        for entry, owner in rows.all():
            await session.execute(
                sql_update(SearchEntry)
                .where(SearchEntry.id == entry)
                .values(customer_id=customer_id)
            )
            await _remark(session, entry, _owner_marks(owner), _owner_marks(customer_id))


async def index_interaction(transaction: Transaction, interaction_id: int) -> None:
    """Index an interaction with all that was written of it: to be called when a note, a summary
    or a wrap-up has changed. An unknown number is ignored."""
    session = transaction.session
    await session.flush()
    row = (
        await session.execute(
            select(
                Interaction.customer_id,
                Interaction.opened_at,
                Interaction.summary,
                Interaction.note,
                Interaction.address,
                Interaction.agent,
                Interaction.channel,
            ).where(Interaction.id == interaction_id)
        )
    ).one_or_none()
    if row is None:
        return
    wrapped = await session.execute(
        select(WrapUp.agent, WrapUp.note).where(WrapUp.interaction_id == interaction_id)
    )
    written = [row.summary, row.note, row.address, row.agent or ""]
    agents = [row.agent] if row.agent else []
    for agent, note in wrapped.all():
        written += [agent, note]
        agents.append(agent)
    await index(
        transaction,
        EntryKind.INTERACTION,
        interaction_id,
        customer_id=row.customer_id,
        at=row.opened_at,
        texts=dict.fromkeys(written),
        marks=[channel_mark(row.channel), *map(agent_mark, dict.fromkeys(agents))],
    )


def channel_mark(channel: Channel) -> str:
    """What a row is chosen by that came or went on this channel."""
    return f"¶channel{channel.value}"


def agent_mark(login: str) -> str:
    """What a row is chosen by that this agent wrote or took part in."""
    # A login's own letters may be what an index parts words at.
    return f"¶agent{login.encode().hex()}"


# ---- finding -------------------------------------------------------------------------------------


async def search(
    database: Database,
    question: str,
    *,
    customer_ids: Sequence[int] = (),
    kinds: Sequence[EntryKind] = (),
    marks: Sequence[Sequence[str]] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
    any_word: bool = False,
) -> list[Found]:
    """Rows with all of the words (or any, if so asked), newest first; the last word may be the
    beginning of one, and words in quotes stand together.

    `customer_ids`, if any, are whose rows alone count; of each of `marks` a row has one. `since`
    and `until` bound the moment, `before` is the last page's last `entry`. A question without a
    letter or digit finds nothing.
    """
    clauses = parse(question)
    if not clauses:
        return []
    query = _Sqlite if database.is_sqlite else _Postgresql
    wanted = (query.any_of if any_word else query.all_of)([query.clause(c) for c in clauses])
    only = []
    if customer_ids:
        only.append(query.any_of([query.term(_customer_mark(owner)) for owner in customer_ids]))
    if kinds:
        only.append(query.any_of([query.term(_kind_mark(kind)) for kind in kinds]))
    only += [query.any_of([query.term(mark) for mark in ways]) for ways in marks if ways]
    bounds = {
        "query": query.all_of([wanted, *only]),
        "first": _moment_floor(since) if since else _FIRST_MOMENT,
        "last": min(
            _moment_floor(until) - 1 if until else _LAST_ENTRY,
            before - 1 if before is not None else _LAST_ENTRY,
        ),
        "limit": limit,
        "newest": NEWEST_LOOKED_THROUGH,
    }
    async with database.reading() as session:
        for statement in query.statements(bool(customer_ids)):
            rows = (await session.execute(text(statement), bounds)).all()
            if len(rows) == limit:
                break
        if not rows:
            return []
        entries = await session.execute(
            select(SearchEntry)
            .where(SearchEntry.id.in_([row[0] for row in rows]))
            .order_by(SearchEntry.id.desc())
        )
        return [
            Found(entry.id, EntryKind(entry.kind), entry.row_id, entry.customer_id, entry.at)
            for entry in entries.scalars()
        ]


async def search_names(database: Database, question: str, *, limit: int = 20) -> list[int]:
    """Customers whose name has all of the words, the last as the beginning of one; the newest
    first. In Chinese, Japanese and Korean any part of the name will do."""
    clauses = [
        tuple(
            tuple(Phrase(tuple(_NAME + word for word in one.terms), one.is_prefix) for one in way)
            for way in clause
        )
        for clause in parse(question)
    ]
    if not clauses:
        return []
    query = _Sqlite if database.is_sqlite else _Postgresql
    bounds = {
        "query": query.all_of([query.clause(clause) for clause in clauses]),
        "first": 0,
        "last": _FIRST_MOMENT,
        "limit": limit,
    }
    async with database.reading() as session:
        # Names have no newest: the index is asked at once.
        (statement,) = query.statements(True)
        rows = (await session.execute(text(statement), bounds)).all()
        entries = await session.execute(
            select(SearchEntry.row_id)
            .where(SearchEntry.id.in_([row[0] for row in rows]))
            .order_by(SearchEntry.id.desc())
        )
        return [row[0] for row in entries]


# ---- the index of each database ------------------------------------------------------------------


class _Sqlite:
    """FTS5's query language. The table reads backwards by its row number at no cost."""

    @staticmethod
    def term(word: str) -> str:
        return f'"{word}"'

    @staticmethod
    def clause(clause: Clause) -> str:
        ways = [
            _Sqlite.all_of(
                ['"' + " ".join(phrase.terms) + '"' + "*" * phrase.is_prefix for phrase in way]
            )
            for way in clause
        ]
        return _Sqlite.any_of(ways)

    @staticmethod
    def all_of(parts: Sequence[str]) -> str:
        return "(" + " AND ".join(parts) + ")"

    @staticmethod
    def any_of(parts: Sequence[str]) -> str:
        return "(" + " OR ".join(parts) + ")"

    @staticmethod
    def statements(_of_one_customer: bool) -> list[str]:
        return [
            """SELECT rowid FROM search_words
            WHERE search_words MATCH :query AND rowid BETWEEN :first AND :last
            ORDER BY rowid DESC LIMIT :limit"""
        ]


class _Postgresql:
    """A tsquery. Its GIN index has no order, so the newest are looked through before it is asked:
    a common word is among them, and a word that is not is rare enough to be sorted."""

    @staticmethod
    def term(word: str) -> str:
        return f"'{word}'"

    @staticmethod
    def clause(clause: Clause) -> str:
        ways = [
            _Postgresql.all_of(
                [
                    "("
                    + " <-> ".join(f"'{word}'" for word in phrase.terms)
                    + ":*" * phrase.is_prefix
                    + ")"
                    for phrase in way
                ]
            )
            for way in clause
        ]
        return _Postgresql.any_of(ways)

    @staticmethod
    def all_of(parts: Sequence[str]) -> str:
        return "(" + " & ".join(parts) + ")"

    @staticmethod
    def any_of(parts: Sequence[str]) -> str:
        return "(" + " | ".join(parts) + ")"

    @staticmethod
    def statements(of_one_customer: bool) -> list[str]:
        newest = """SELECT id FROM (
            SELECT id, words FROM search_words WHERE id BETWEEN :first AND :last
            ORDER BY id DESC LIMIT :newest) AS newest
            WHERE words @@ CAST(CAST(:query AS text) AS tsquery) ORDER BY id DESC LIMIT :limit"""
        # The sums hide order and bounds from the planner, which would read the table backwards for
        # the one, and in a plan for any bounds the whole of its key for the other.
        by_index = """SELECT id FROM search_words
            WHERE words @@ CAST(CAST(:query AS text) AS tsquery)
            AND id + 0 BETWEEN :first AND :last
            ORDER BY id + 0 DESC LIMIT :limit"""
        return [by_index] if of_one_customer else [newest, by_index]


# An entry's number begins with its moment, in seconds: the index is in order of time by itself.
_MOMENT_SHIFT = 24
_LAST_ENTRY = (1 << 62) - 1
_KIND_PLACES = {kind: place for place, kind in enumerate(EntryKind)}


# Below all moments: names are not among the newest of what was written, however many come at once.
_FIRST_MOMENT = 1 << 44


def _entry_number(kind: EntryKind, row_id: int, at: datetime) -> int:
    if kind is EntryKind.PERSON:
        return row_id
    return _moment_floor(at) + ((row_id % (1 << 20)) << 4) + _KIND_PLACES[kind]


def _moment_floor(at: datetime) -> int:
    return max(0, int(at.astimezone(UTC).timestamp())) << _MOMENT_SHIFT


# What a name's words begin with: a name is looked for among names, and not in what is written.
_NAME = "¶n"


def _kind_mark(kind: EntryKind) -> str:
    return f"¶{kind.value}"


def _customer_mark(customer_id: int) -> str:
    return f"¶customer{customer_id}"


def _words(
    kind: EntryKind, customer_id: int | None, texts: Iterable[str], marks: Sequence[str]
) -> list[str]:
    """The terms of the texts, and the marks: terms like others, so that both indexes meet them
    while they go through a word."""
    found = terms(texts)
    if kind is EntryKind.PERSON:
        found = [word if word == END_OF_TEXT else _NAME + word for word in found]
    parted = [part for mark in (_kind_mark(kind), *marks) for part in (END_OF_TEXT, mark)]
    return [*found, *parted, *_owner_marks(customer_id)]


def _owner_marks(customer_id: int | None) -> list[str]:
    """They stand last, so that they can be changed."""
    return [END_OF_TEXT, _customer_mark(customer_id)] if customer_id is not None else []


async def _write_words(session: AsyncSession, entry: int, words: Sequence[str]) -> None:
    statement = _WRITE_SQLITE if _is_sqlite(session) else _WRITE_POSTGRESQL
    await session.execute(statement, {"entry": entry, "words": _stored(session, words)})


def _stored(session: AsyncSession, words: Sequence[str]) -> str:
    """Terms in their order, as each database takes them."""
    if _is_sqlite(session):
        return " ".join(words)
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words, 1):
        places.setdefault(word, []).append(place)
    return " ".join(
        f"'{word}':{','.join(map(str, found))}"
        for word, found in places.items()
        if word != END_OF_TEXT
    )


async def _remark(
    session: AsyncSession, entry: int, old: Sequence[str], new: Sequence[str]
) -> None:
    if not _is_sqlite(session):
        await session.execute(
            _REMARK_POSTGRESQL,
            {
                "entry": entry,
                "old": [mark for mark in old if mark != END_OF_TEXT],
                "new": [mark for mark in new if mark != END_OF_TEXT],
            },
        )
        return
    words = str((await session.execute(_READ_SQLITE, {"entry": entry})).scalar_one())
    kept = words.removesuffix(" ".join(old)).rstrip()
    await session.execute(_FORGET_SQLITE, {"entry": entry})
    await session.execute(_WRITE_SQLITE, {"entry": entry, "words": " ".join([kept, *new])})


async def _forget_entry(session: AsyncSession, entry: int) -> None:
    forget_words = _FORGET_SQLITE if _is_sqlite(session) else _FORGET_POSTGRESQL
    await session.execute(forget_words, {"entry": entry})
    await session.execute(delete(SearchEntry).where(SearchEntry.id == entry))


def _is_sqlite(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "sqlite"


_WRITE_SQLITE = text("INSERT INTO search_words(rowid, words) VALUES (:entry, :words)")
_READ_SQLITE = text("SELECT words FROM search_words WHERE rowid = :entry")
_FORGET_SQLITE = text("DELETE FROM search_words WHERE rowid = :entry")
_WRITE_POSTGRESQL = text(
    "INSERT INTO search_words(id, words) VALUES (:entry, CAST(CAST(:words AS text) AS tsvector))"
)
_FORGET_POSTGRESQL = text("DELETE FROM search_words WHERE id = :entry")
_REMARK_POSTGRESQL = text(
    "UPDATE search_words SET words = ts_delete(words, CAST(:old AS text[]))"
    " || array_to_tsvector(CAST(:new AS text[])) WHERE id = :entry"
)
