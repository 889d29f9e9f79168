"""Canned texts: what is said often, by language, with placeholders.

Owns their codes, what may be kept, finding one by its code or words, and how often each is used.
Refuses to know whom a text is sent to: placeholders.filled is given the values by the desk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.knowledge import placeholders
from crm_store.models import CannedText
from crm_store.people.customers import fold_name
from crm_store.staff.queues import title

LONGEST_TEXT = 4_000
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class CannedTextRecord:
    """A text with its versions by language. `queue` is the only one it is for, None all."""

    id: int
    code: str
    titles: Mapping[str, str]
    texts: Mapping[str, str]
    queue: str | None = None
    uses: int = 0
    active: bool = True
    changed_by: str = ""
    changed_at: datetime | None = None

    def title(self, language: str) -> str:
        return title(self.titles, language, self.code)

    def language_for(self, *wished: str) -> str:
        """The first of the languages that the text is there in, else any that it is there in."""
        return next(
            (language for language in (*wished, "en") if self.texts.get(language)),
            next(iter(self.texts), ""),
        )


class UnusableText(ValueError):
    """The text cannot be kept. `kind` is "code", "code_taken", "no_text", "too_long" or
    "placeholder"; `language` and `detail` say where and what."""

    def __init__(self, kind: str, language: str = "", detail: str = "") -> None:
        super().__init__(f"{kind} {language} {detail}".strip())
        self.kind = kind
        self.language = language
        self.detail = detail


async def save(
    transaction: Transaction,
    *,
    code: str,
    titles: Mapping[str, str],
    texts: Mapping[str, str],
    queue: str | None = None,
    active: bool = True,
    text_id: int | None = None,
    actor: str,
) -> int:
    """Add the text, or change the one with that id; the id.

    Raises UnusableText for one that cannot be kept, LookupError for an id that there is not.
    """
    _check(code, texts)
    session = transaction.session
    holder = await session.scalar(select(CannedText.id).where(CannedText.code == code))
    if holder is not None and holder != text_id:
        raise UnusableText("code_taken", detail=code)
    values: dict[str, Any] = {
        "code": code,
        "titles": {language: text for language, text in titles.items() if text},
        "texts": {language: text for language, text in texts.items() if text.strip()},
        "queue": queue,
        "active": active,
        "changed_by": actor,
        "changed_at": datetime.now(UTC),
    }
    if text_id is None:
        statement = insert(CannedText).values(**values, uses=0).returning(CannedText.id)
        kept = int((await session.execute(statement)).scalar_one())
    else:
        found = await session.scalar(
            update(CannedText)
            .where(CannedText.id == text_id)
            .values(**values)
            .returning(CannedText.id)
        )
        if found is None:
            raise LookupError(f"there is no text {text_id}")
        kept = found
    await audit.record(
        transaction,
        actor=actor,
        action="created" if text_id is None else "changed",
        subject_kind="canned text",
        subject_id=kept,
        fields=sorted(values["texts"]),
    )
    return kept


async def count_use(transaction: Transaction, text_id: int) -> None:
    """It was put into a note or an answer once more."""
    await transaction.session.execute(
        update(CannedText).where(CannedText.id == text_id).values(uses=CannedText.uses + 1)
    )


async def find(database: Database, text_id: int) -> CannedTextRecord | None:
    return next((text for text in await all_texts(database) if text.id == text_id), None)


async def find_by_code(database: Database, code: str) -> CannedTextRecord | None:
    """The active text with that code, however it is capitalised."""
    query = select(CannedText).where(CannedText.code == code.lower(), CannedText.active)
    async with database.reading() as session:
        row = await session.scalar(query)
    return _record(row) if row is not None else None


async def all_texts(database: Database) -> list[CannedTextRecord]:
    """All texts by code, the retired ones last."""
    query = select(CannedText).order_by(CannedText.active.desc(), CannedText.code)
    async with database.reading() as session:
        return [_record(row) for row in await session.scalars(query)]


async def search(
    database: Database, words: str, *, queue: str | None = None, limit: int = 20
) -> list[CannedTextRecord]:
    """Active texts for the queue (and for all queues) in which every word stands, in any language:
    those whose code begins so first, then by title, then by text, each the most used first."""
    wanted = fold_name(words.removeprefix(";")).split()
    ranked = []
    for text in await all_texts(database):
        if text.active and text.queue in (None, queue):
            rank = _rank(text, wanted)
            if rank is not None:
                ranked.append((rank, -text.uses, text.code, text))
    return [line[-1] for line in sorted(ranked, key=lambda line: line[:3])[:limit]]


def _rank(text: CannedTextRecord, wanted: Sequence[str]) -> int | None:
    if not wanted or (len(wanted) == 1 and text.code.startswith(wanted[0])):
        return 0
    titles = f"{text.code} {fold_name(' '.join(text.titles.values()))}"
    if all(word in titles for word in wanted):
        return 1
    everything = f"{titles} {fold_name(' '.join(text.texts.values()))}"
    return 2 if all(word in everything for word in wanted) else None


def _check(code: str, texts: Mapping[str, str]) -> None:
    if not _CODE.fullmatch(code):
        raise UnusableText("code", detail=code)
    if not any(text.strip() for text in texts.values()):
        raise UnusableText("no_text")
    for language, text in texts.items():
        if len(text) > LONGEST_TEXT:
            raise UnusableText("too_long", language)
        for mistake in placeholders.mistakes(text):
            raise UnusableText("placeholder", language, mistake)


def _record(row: CannedText) -> CannedTextRecord:
    return CannedTextRecord(
        id=row.id,
        code=row.code,
        titles=row.titles,
        texts=row.texts,
        queue=row.queue,
        uses=row.uses,
        active=row.active,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
    )
