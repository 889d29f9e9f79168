"""Phone menus in versions that are never changed: a tree of data, which one is used, who said so.

Owns which version is in use (the one published last), who wrote and published each. What a tree may
say, and what is wrong with one, is the phone menus' own (ivr/menus): whoever publishes says which
problems there are, and with any of them nothing is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import PhoneMenu, PhoneMenuVersion
from crm_store.staff.queues import title

MAIN = "main"
"""The code of the menu that answers the house's number."""


@dataclass(frozen=True, slots=True)
class MenuRecord:
    """A menu; the languages of its titles are those that it is there in."""

    id: int
    code: str
    titles: Mapping[str, str]
    active: bool

    def title(self, language: str) -> str:
        return title(self.titles, language, self.code)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version's tree; `id` is the row, `number` counts from 1 within the menu."""

    id: int
    menu_id: int
    number: int
    tree: Mapping[str, Any]
    author: str
    created_at: datetime
    published_by: str | None
    published_at: datetime | None


class Unpublishable(ValueError):
    """The version has problems; they say what and where."""

    def __init__(self, problems: Sequence[Any]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = list(problems)


async def create(
    transaction: Transaction, code: str, titles: Mapping[str, str], *, actor: str
) -> int:
    """A new menu without a tree; its id. Raises sqlalchemy.exc.IntegrityError for a code that
    there is already."""
    written = await transaction.session.execute(
        insert(PhoneMenu)
        .values(code=code, titles=dict(titles), active=True)
        .returning(PhoneMenu.id)
    )
    menu_id = int(written.scalar_one())
    await _audit(transaction, actor, "created", menu_id)
    return menu_id


async def change(
    transaction: Transaction, menu_id: int, *, titles: Mapping[str, str], active: bool, actor: str
) -> None:
    """Rename, retire or bring back. Raises LookupError if there is no such menu."""
    found = await transaction.session.scalar(
        update(PhoneMenu)
        .where(PhoneMenu.id == menu_id)
        .values(titles=dict(titles), active=active)
        .returning(PhoneMenu.id)
    )
    if found is None:
        raise LookupError(f"there is no menu {menu_id}")
    await _audit(transaction, actor, "changed", menu_id, "titles", "active")


async def add_version(
    transaction: Transaction, menu_id: int, tree: Mapping[str, Any], *, actor: str
) -> int:
    """Keep the tree as a new version, not yet published; its number. Raises LookupError."""
    session = transaction.session
    # The menu's row is the lock under which numbers are given.
    known = await session.scalar(
        select(PhoneMenu.id).where(PhoneMenu.id == menu_id).with_for_update()
    )
    if known is None:
        raise LookupError(f"there is no menu {menu_id}")
    last = await session.scalar(
        select(func.max(PhoneMenuVersion.number)).where(PhoneMenuVersion.menu_id == menu_id)
    )
    number = (last or 0) + 1
    await session.execute(
        insert(PhoneMenuVersion).values(
            menu_id=menu_id,
            number=number,
            tree=dict(tree),
            author=actor,
            created_at=datetime.now(UTC),
        )
    )
    await _audit(transaction, actor, "changed", menu_id, f"version {number}")
    return number


async def publish(
    transaction: Transaction,
    menu_id: int,
    number: int,
    *,
    problems: Sequence[Any],
    actor: str,
) -> bool:
    """Put the version into use for calls from now on; False if it was published before.

    `problems` are what the caller found wrong with that very version. Raises Unpublishable if
    there are any, LookupError for an unknown version.
    """
    session = transaction.session
    row = await session.scalar(
        _one_version(menu_id, number).with_for_update().execution_options(populate_existing=True)
    )
    if row is None:
        raise LookupError(f"there is no version {number} of menu {menu_id}")
    if row.published_at is not None:
        return False
    if problems:
        raise Unpublishable(problems)
    row.published_by = actor
    row.published_at = datetime.now(UTC)
    await session.flush()
    await _audit(transaction, actor, "published", menu_id, f"version {number}")
    return True


async def roll_back(
    transaction: Transaction,
    menu_id: int,
    number: int,
    *,
    problems: Sequence[Any],
    actor: str,
) -> int:
    """Use an older version's tree again, as a new version; its number. Raises as `publish`: what
    it led to may be gone since."""
    row = await transaction.session.scalar(_one_version(menu_id, number))
    if row is None:
        raise LookupError(f"there is no version {number} of menu {menu_id}")
    again = await add_version(transaction, menu_id, row.tree, actor=actor)
    await publish(transaction, menu_id, again, problems=problems, actor=actor)
    return again


async def all_menus(database: Database) -> list[MenuRecord]:
    """All menus by code, the retired ones last."""
    query = select(PhoneMenu).order_by(PhoneMenu.active.desc(), PhoneMenu.code)
    async with database.reading() as session:
        return [_menu(row) for row in await session.scalars(query)]


async def find(database: Database, menu_id: int) -> MenuRecord | None:
    async with database.reading() as session:
        row = await session.get(PhoneMenu, menu_id)
    return _menu(row) if row is not None else None


async def of_code(database: Database, code: str) -> MenuRecord | None:
    async with database.reading() as session:
        row = await session.scalar(select(PhoneMenu).where(PhoneMenu.code == code))
    return _menu(row) if row is not None else None


async def versions(database: Database, menu_id: int) -> list[VersionRecord]:
    """All versions, newest first."""
    query = (
        select(PhoneMenuVersion)
        .where(PhoneMenuVersion.menu_id == menu_id)
        .order_by(PhoneMenuVersion.number.desc())
    )
    async with database.reading() as session:
        return [_version(row) for row in await session.scalars(query)]


async def version(database: Database, menu_id: int, number: int) -> VersionRecord | None:
    async with database.reading() as session:
        row = await session.scalar(_one_version(menu_id, number))
    return _version(row) if row is not None else None


async def in_use(database: Database) -> dict[str, VersionRecord]:
    """By code: of each menu that is not retired, the version that callers hear now."""
    last = (
        select(PhoneMenuVersion.id, PhoneMenu.code)
        .join(PhoneMenu, PhoneMenu.id == PhoneMenuVersion.menu_id)
        .where(PhoneMenu.active, PhoneMenuVersion.published_at.is_not(None))
        .order_by(PhoneMenuVersion.published_at, PhoneMenuVersion.number)
    )
    async with database.reading() as session:
        newest = {code: row_id for row_id, code in await session.execute(last)}
        rows = await session.scalars(
            select(PhoneMenuVersion).where(PhoneMenuVersion.id.in_(newest.values()))
        )
        by_id = {row.id: _version(row) for row in rows}
    return {code: by_id[row_id] for code, row_id in newest.items()}


def used_of(found: Sequence[VersionRecord]) -> VersionRecord | None:
    """Of all versions of a menu, the one that callers hear now."""
    published = [one for one in found if one.published_at is not None]
    return max(published, key=lambda one: (one.published_at, one.number), default=None)


def _one_version(menu_id: int, number: int) -> Select[PhoneMenuVersion]:
    return select(PhoneMenuVersion).where(
        PhoneMenuVersion.menu_id == menu_id, PhoneMenuVersion.number == number
    )


async def _audit(
    transaction: Transaction, actor: str, action: str, menu_id: int, *fields: str
) -> None:
    await audit.record(
        transaction,
        actor=actor,
        action=action,
        subject_kind="phone_menu",
        subject_id=menu_id,
        fields=fields,
    )


def _menu(row: PhoneMenu) -> MenuRecord:
    return MenuRecord(row.id, row.code, row.titles, row.active)


def _version(row: PhoneMenuVersion) -> VersionRecord:
    return VersionRecord(
        id=row.id,
        menu_id=row.menu_id,
        number=row.number,
        tree=row.tree,
        author=row.author,
        created_at=row.created_at,
        published_by=row.published_by,
        published_at=row.published_at,
    )
