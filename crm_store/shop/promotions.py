"""Promotions: what is offered on which days, as callers hear it.

Owns their texts by language and their first and last day, both included. Knows no clock: whoever
asks says which day it is in the house.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Select, insert, select, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import Promotion as PromotionRow
from crm_store.staff.queues import title


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """An offer; `titles` name it in short, `texts` are what is said of it."""

    code: str
    titles: Mapping[str, str]
    texts: Mapping[str, str]
    first_day: date
    last_day: date
    position: int = 0
    active: bool = True

    def title(self, language: str) -> str:
        return title(self.titles, language, self.code)

    def text(self, language: str) -> str:
        return title(self.texts, language, self.title(language))


async def on(database: Database, day: date) -> list[Promotion]:
    """What is offered on that day, in order."""
    return await _read(
        database,
        select(PromotionRow).where(
            PromotionRow.active, PromotionRow.first_day <= day, PromotionRow.last_day >= day
        ),
    )


async def all_promotions(database: Database) -> list[Promotion]:
    """Also what is over, or not yet, or retired."""
    return await _read(database, select(PromotionRow))


async def save(transaction: Transaction, promotion: Promotion, *, actor: str) -> None:
    """Add it, or change the one with that code. Raises ValueError if it ends before it begins."""
    if promotion.last_day < promotion.first_day:
        raise ValueError("it ends before it begins")
    session = transaction.session
    values = {
        "titles": dict(promotion.titles),
        "texts": dict(promotion.texts),
        "first_day": promotion.first_day,
        "last_day": promotion.last_day,
        "position": promotion.position,
        "active": promotion.active,
    }
    before = await session.scalar(
        select(PromotionRow).where(PromotionRow.code == promotion.code).with_for_update()
    )
    changed = [name for name, value in values.items() if getattr(before, name, None) != value]
    if before is None:
        await session.execute(insert(PromotionRow).values(code=promotion.code, **values))
    elif changed:
        await session.execute(
            update(PromotionRow).where(PromotionRow.id == before.id).values(**values)
        )
    if changed:
        await audit.record(
            transaction,
            actor=actor,
            action="created" if before is None else "changed",
            subject_kind="promotion",
            subject_id=promotion.code,
            fields=changed,
        )


async def _read(database: Database, query: Select[PromotionRow]) -> list[Promotion]:
    async with database.reading() as session:
        rows = await session.scalars(query.order_by(PromotionRow.position, PromotionRow.code))
        return [
            Promotion(
                code=row.code,
                titles=row.titles,
                texts=row.texts,
                first_day=row.first_day,
                last_day=row.last_day,
                position=row.position,
                active=row.active,
            )
            for row in rows
        ]
