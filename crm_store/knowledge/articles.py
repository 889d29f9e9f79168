"""The knowledge base: articles in several languages, with owners, reviews, votes and flags.

Owns what an article is, how useful it is, and what its owner is told. Bodies are texts in Markdown,
which the desk shows; article_search finds them, by the entry that each language of one has in
text_search.

Usefulness, by which the best come first, is (helpful + 2) / (votes + 4), the centre of Wilson's
interval for the share that it helped, and 0.02 * log2(1 + uses) beside it, 0.2 at the most: a
helpful vote always raises it, the other always lowers it, and few votes say little.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store import audit, text_search
from crm_store.database import Database, Transaction
from crm_store.models import Article, ArticleFlag, ArticleText, ArticleVote
from crm_store.text_search import EntryKind

LONGEST_TITLE = 200
LONGEST_BODY = 40_000


@dataclass(frozen=True, slots=True)
class ArticleWords:
    """An article in one language; `body` is Markdown."""

    title: str
    body: str
    changed_by: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ArticleRecord:
    """An article in all its languages, with what agents made of it."""

    id: int
    owner: str
    review_on: date
    queues: Sequence[str]
    active: bool
    uses: int
    words: Mapping[str, ArticleWords]
    helpful: int = 0
    unhelpful: int = 0
    open_flags: int = 0

    def language_for(self, *wished: str) -> str:
        """The first of the languages that it is there in, else English, else any."""
        return next(
            (language for language in (*wished, "en") if language in self.words),
            next(iter(self.words), ""),
        )

    @property
    def usefulness(self) -> float:
        """About 0.5 for one that nobody has used; see the module's formula."""
        votes = self.helpful + self.unhelpful
        return (self.helpful + 2) / (votes + 4) + min(0.2, 0.02 * math.log2(1 + self.uses))


@dataclass(frozen=True, slots=True)
class Flag:
    """What an agent said of an article, or (without one) that an article is missing."""

    id: int
    article_id: int | None
    kind: str
    text: str
    agent: str
    at: datetime
    answer: str = ""
    settled_by: str | None = None
    settled_at: datetime | None = None


FLAG_KINDS = ("wrong", "outdated", "missing")


# ---- writing -------------------------------------------------------------------------------------


async def save(
    transaction: Transaction,
    *,
    owner: str,
    review_on: date,
    words: Mapping[str, ArticleWords],
    queues: Sequence[str] = (),
    active: bool = True,
    article_id: int | None = None,
    actor: str,
) -> int:
    """Add the article, or change the one with that id: the languages given are all it has then.

    Raises ValueError for no language or an empty or overlong text, LookupError for no such id.
    """
    if not words:
        raise ValueError("an article needs a language")
    for text in words.values():
        if not 0 < len(text.title) <= LONGEST_TITLE or not 0 < len(text.body) <= LONGEST_BODY:
            raise ValueError("an article needs a title and a text of some length")
    session = transaction.session
    now = datetime.now(UTC)
    values = {
        "owner": owner,
        "review_on": review_on,
        "queues": list(queues),
        "active": active,
    }
    if article_id is None:
        written = await session.execute(
            insert(Article).values(**values, uses=0, created_at=now).returning(Article.id)
        )
        kept = int(written.scalar_one())
    else:
        found = await session.scalar(
            update(Article).where(Article.id == article_id).values(**values).returning(Article.id)
        )
        if found is None:
            raise LookupError(f"there is no article {article_id}")
        kept = found
    changed = await _save_words(transaction, kept, words, actor, now)
    await _index(transaction, kept, active)
    await audit.record(
        transaction,
        actor=actor,
        action="created" if article_id is None else "changed",
        subject_kind="article",
        subject_id=kept,
        fields=changed,
    )
    return kept


async def count_use(transaction: Transaction, article_id: int) -> None:
    """It was opened once more."""
    await transaction.session.execute(
        update(Article).where(Article.id == article_id).values(uses=Article.uses + 1)
    )


async def vote(transaction: Transaction, article_id: int, agent: str, *, helpful: bool) -> None:
    """Whether it helped this agent; the last word counts. Raises LookupError."""
    session = transaction.session
    if await session.get(Article, article_id, with_for_update=True) is None:
        raise LookupError(f"there is no article {article_id}")
    values = {"helpful": helpful, "at": datetime.now(UTC)}
    known = await session.scalar(
        update(ArticleVote)
        .where(ArticleVote.article_id == article_id, ArticleVote.agent == agent)
        .values(**values)
        .returning(ArticleVote.article_id)
    )
    if known is None:
        await session.execute(
            insert(ArticleVote).values(article_id=article_id, agent=agent, **values)
        )


async def flag(
    transaction: Transaction, article_id: int | None, kind: str, text: str, *, agent: str
) -> int:
    """Tell the owner; the flag's id. Raises ValueError for an unknown kind or no text, LookupError
    for no such article."""
    if kind not in FLAG_KINDS or not text.strip():
        raise ValueError("say what is wrong or missing")
    session = transaction.session
    if article_id is not None and await session.get(Article, article_id) is None:
        raise LookupError(f"there is no article {article_id}")
    written = await session.execute(
        insert(ArticleFlag)
        .values(
            article_id=article_id,
            kind=kind,
            text=text.strip(),
            agent=agent,
            at=datetime.now(UTC),
            answer="",
        )
        .returning(ArticleFlag.id)
    )
    flag_id = int(written.scalar_one())
    await audit.record(
        transaction,
        actor=agent,
        action="flagged",
        subject_kind="article",
        subject_id=article_id or f"flag {flag_id}",
        fields=[kind],
    )
    return flag_id


async def settle(transaction: Transaction, flag_id: int, answer: str, *, actor: str) -> bool:
    """The owner's answer to a flag; False if it was settled before. Raises LookupError."""
    row = await transaction.session.get(ArticleFlag, flag_id, with_for_update=True)
    if row is None:
        raise LookupError(f"there is no flag {flag_id}")
    if row.settled_at is not None:
        return False
    row.answer = answer.strip()
    row.settled_by = actor
    row.settled_at = datetime.now(UTC)
    await transaction.session.flush()
    await audit.record(
        transaction,
        actor=actor,
        action="settled",
        subject_kind="article",
        subject_id=row.article_id or f"flag {flag_id}",
        fields=[row.kind],
    )
    return True


# ---- reading -------------------------------------------------------------------------------------


async def find(database: Database, article_id: int) -> ArticleRecord | None:
    async with database.reading() as session:
        return next(iter(await _read(session, [article_id])), None)


async def some(database: Database, article_ids: Collection[int]) -> list[ArticleRecord]:
    """These articles, in no order."""
    async with database.reading() as session:
        return await _read(session, article_ids)


async def with_texts(database: Database, text_ids: Sequence[int]) -> dict[int, list[str]]:
    """The articles that these texts are of (as text_search has them), and their languages."""
    query = select(ArticleText.article_id, ArticleText.language).where(ArticleText.id.in_(text_ids))
    found: dict[int, list[str]] = {}
    async with database.reading() as session:
        for article_id, language in await session.execute(query):
            found.setdefault(article_id, []).append(language)
    return found


async def all_articles(database: Database) -> list[ArticleRecord]:
    """All articles, the next review first, the retired ones last."""
    async with database.reading() as session:
        found = await _read(session, None)
    return sorted(found, key=lambda article: (not article.active, article.review_on, article.id))


async def due_for_review(database: Database, owner: str, day: date) -> list[ArticleRecord]:
    """This owner's active articles whose review day has come."""
    query = select(Article.id).where(
        Article.owner == owner, Article.active, Article.review_on <= day
    )
    async with database.reading() as session:
        found = await _read(session, list(await session.scalars(query)))
    return sorted(found, key=lambda article: (article.review_on, article.id))


async def open_flags(
    database: Database, *, owner: str | None = None, article_id: int | None = None
) -> list[Flag]:
    """Flags that nobody has settled, oldest first: of an article, of an owner's articles, or all,
    those of missing articles among them."""
    query = select(ArticleFlag).where(ArticleFlag.settled_at.is_(None)).order_by(ArticleFlag.id)
    if article_id is not None:
        query = query.where(ArticleFlag.article_id == article_id)
    if owner is not None:
        query = query.join(Article, Article.id == ArticleFlag.article_id).where(
            Article.owner == owner
        )
    async with database.reading() as session:
        return [_flag(row) for row in await session.scalars(query)]


async def answered_flags(database: Database, agent: str, limit: int = 10) -> list[Flag]:
    """What this agent flagged and somebody settled, newest first."""
    query = (
        select(ArticleFlag)
        .where(ArticleFlag.agent == agent, ArticleFlag.settled_at.is_not(None))
        .order_by(ArticleFlag.settled_at.desc())
        .limit(limit)
    )
    async with database.reading() as session:
        return [_flag(row) for row in await session.scalars(query)]


async def find_flag(database: Database, flag_id: int) -> Flag | None:
    async with database.reading() as session:
        row = await session.get(ArticleFlag, flag_id)
    return _flag(row) if row is not None else None


async def vote_of(database: Database, article_id: int, agent: str) -> bool | None:
    query = select(ArticleVote.helpful).where(
        ArticleVote.article_id == article_id, ArticleVote.agent == agent
    )
    async with database.reading() as session:
        return await session.scalar(query)


# ---- rows ----------------------------------------------------------------------------------------


async def _save_words(
    transaction: Transaction,
    article_id: int,
    words: Mapping[str, ArticleWords],
    actor: str,
    now: datetime,
) -> list[str]:
    """Write the languages; those that were changed."""
    session = transaction.session
    rows = await session.scalars(select(ArticleText).where(ArticleText.article_id == article_id))
    known = {row.language: row for row in rows}
    changed = []
    for language, text in words.items():
        row = known.pop(language, None)
        if row is not None and (row.title, row.body) == (text.title, text.body):
            continue
        changed.append(language)
        if row is None:
            row = ArticleText(article_id=article_id, language=language)
            session.add(row)
        row.title, row.body = text.title, text.body
        row.changed_by, row.changed_at = actor, now
    await session.flush()
    for language, row in known.items():
        changed.append(language)
        await text_search.forget(transaction, EntryKind.ARTICLE, row.id)
        await session.execute(delete(ArticleText).where(ArticleText.id == row.id))
    return changed


async def _index(transaction: Transaction, article_id: int, active: bool) -> None:
    rows = await transaction.session.scalars(
        select(ArticleText).where(ArticleText.article_id == article_id)
    )
    for row in list(rows):
        if active:
            await text_search.index(
                transaction,
                EntryKind.ARTICLE,
                row.id,
                customer_id=None,
                at=row.changed_at,
                texts=[row.title, row.body],
            )
        else:
            await text_search.forget(transaction, EntryKind.ARTICLE, row.id)


async def _read(session: AsyncSession, ids: Collection[int] | None) -> list[ArticleRecord]:
    """These articles, or all."""

    def chosen(query: Any, column: Any) -> Any:
        return query if ids is None else query.where(column.in_(ids))

    words: dict[int, dict[str, ArticleWords]] = {}
    texts = chosen(select(ArticleText).order_by(ArticleText.id), ArticleText.article_id)
    for row in await session.scalars(texts):
        words.setdefault(row.article_id, {})[row.language] = ArticleWords(
            row.title, row.body, row.changed_by, row.changed_at
        )
    votes = chosen(
        select(ArticleVote.article_id, ArticleVote.helpful, func.count()).group_by(
            ArticleVote.article_id, ArticleVote.helpful
        ),
        ArticleVote.article_id,
    )
    counted = {(row[0], row[1]): row[2] for row in await session.execute(votes)}
    flags = chosen(
        select(ArticleFlag.article_id, func.count())
        .where(ArticleFlag.settled_at.is_(None))
        .group_by(ArticleFlag.article_id),
        ArticleFlag.article_id,
    )
    flagged = {row[0]: row[1] for row in await session.execute(flags)}
    return [
        ArticleRecord(
            id=row.id,
            owner=row.owner,
            review_on=row.review_on,
            queues=tuple(row.queues),
            active=row.active,
            uses=row.uses,
            words=words.get(row.id, {}),
            helpful=counted.get((row.id, True), 0),
            unhelpful=counted.get((row.id, False), 0),
            open_flags=flagged.get(row.id, 0),
        )
        for row in await session.scalars(chosen(select(Article), Article.id))
    ]


def _flag(row: ArticleFlag) -> Flag:
    return Flag(
        id=row.id,
        article_id=row.article_id,
        kind=row.kind,
        text=row.text,
        agent=row.agent,
        at=row.at,
        answer=row.answer,
        settled_by=row.settled_by,
        settled_at=row.settled_at,
    )
