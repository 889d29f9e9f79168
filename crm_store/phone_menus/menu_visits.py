"""Visits of menus: what a caller heard and keyed, how long they were there, where they went.

Owns one row per caller's way through a menu, written when it is over, also by hanging up. Secret
digits come here as dots already. Knows no menu and no call beyond its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from crm_store.database import Database, Transaction
from crm_store.facts import MenuVisited
from crm_store.models import MenuVisit as VisitRow

MOST_STEPS = 500
LONGEST_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class Step:
    """`seconds` after the entry, at `place`, the caller heard `heard` and then keyed `keyed`."""

    seconds: float
    place: str
    heard: str
    keyed: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuVisit:
    """A caller's way through a menu. `number` is the caller's in E.164, "" if it is withheld;
    `customer_id` whom they have shown to be; `left_to` where they went, "" for hanging up."""

    pbx: str
    linkedid: str
    menu: str
    language: str
    entered_at: datetime
    left_at: datetime
    version: int | None = None
    number: str = ""
    customer_id: int | None = None
    left_to: str = ""
    trail: Sequence[Step] = ()

    @property
    def seconds(self) -> float:
        return (self.left_at - self.entered_at).total_seconds()


async def write(transaction: Transaction, visit: MenuVisit) -> int:
    """Write the visit; its row's id. The same visit again changes nothing."""
    session = transaction.session
    known = await session.scalar(
        select(VisitRow.id).where(
            VisitRow.pbx == visit.pbx,
            VisitRow.linkedid == visit.linkedid,
            VisitRow.menu == visit.menu,
            VisitRow.entered_at == visit.entered_at,
        )
    )
    if known is not None:
        return known
    visit_id: int | None = await session.scalar(
        insert(VisitRow)
        .values(
            pbx=visit.pbx,
            linkedid=visit.linkedid,
            menu=visit.menu,
            version=visit.version,
            number=visit.number,
            customer_id=visit.customer_id,
            language=visit.language,
            entered_at=visit.entered_at,
            left_at=visit.left_at,
            left_to=visit.left_to,
            trail=[_plain(step) for step in visit.trail[:MOST_STEPS]],
        )
        .returning(VisitRow.id)
    )
    assert visit_id is not None
    await transaction.emit(MenuVisited(visit_id=visit_id, customer_id=visit.customer_id))
    return visit_id


async def of_call(database: Database, pbx: str, linkedid: str) -> list[MenuVisit]:
    """The call's visits, in order."""
    query = (
        select(VisitRow)
        .where(VisitRow.pbx == pbx, VisitRow.linkedid == linkedid)
        .order_by(VisitRow.entered_at, VisitRow.id)
    )
    async with database.reading() as session:
        return [visit_of(row) for row in await session.scalars(query)]


def visit_of(row: VisitRow) -> MenuVisit:
    """A row as its record."""
    return MenuVisit(
        pbx=row.pbx,
        linkedid=row.linkedid,
        menu=row.menu,
        version=row.version,
        number=row.number,
        customer_id=row.customer_id,
        language=row.language,
        entered_at=row.entered_at,
        left_at=row.left_at,
        left_to=row.left_to,
        trail=tuple(
            Step(step["at"], step["place"], step["heard"], step["keyed"], step["language"])
            for step in row.trail
        ),
    )


def _plain(step: Step) -> dict[str, Any]:
    return {
        "at": round(step.seconds, 3),
        "place": step.place,
        "heard": step.heard[:LONGEST_TEXT],
        "keyed": step.keyed[:LONGEST_TEXT],
        "language": step.language,
    }
