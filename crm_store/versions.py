"""Things in versions that are never changed: scripts, phone menus, and whatever else is published.

Owns which version is in use (the one published last), numbers them, and who wrote and published
each. What a version holds and what is wrong with it is each thing's own: whoever publishes says
which problems there are, and with any of them nothing is published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, insert, select, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import Table
from crm_store.staff.queues import title

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class Thing:
    """What has versions; the languages of its titles are those that it is there in."""

    id: int
    code: str
    titles: Mapping[str, str]
    active: bool

    def title(self, language: str) -> str:
        return title(self.titles, language, self.code)


@dataclass(frozen=True, slots=True)
class Version(Generic[Content]):
    """What a thing was at one time; `id` is the row, `number` counts from 1 within the thing."""

    id: int
    thing_id: int
    number: int
    content: Content
    author: str
    created_at: datetime
    published_by: str | None
    published_at: datetime | None


class Unpublishable(ValueError):
    """The version has problems; they say what and where."""

    def __init__(self, problems: Sequence[Any]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = list(problems)


def in_use(versions: Sequence[Version[Content]]) -> Version[Content] | None:
    """Of all versions of a thing, the one that is used now."""
    published = [one for one in versions if one.published_at is not None]
    return max(published, key=lambda one: (one.published_at, one.number), default=None)


class Versions(Generic[Content]):
    """The rules over two tables: `things`, and `versions` with a column `owner` for the thing and
    one named `content`. `kind` is the audit's word. `read` and `write` turn a content into what its
    column holds."""

    def __init__(
        self,
        kind: str,
        things: type[Table],
        versions: type[Table],
        *,
        owner: str,
        content: str,
        read: Callable[[Any], Content],
        write: Callable[[Content], Any],
    ) -> None:
        self._kind = kind
        self._things: Any = things
        self._versions: Any = versions
        self._owner_name = owner
        self._owner: Any = getattr(versions, owner)
        self._content = content
        self._read = read
        self._write = write

    # ---- writing ---------------------------------------------------------------------------------

    async def create(
        self, transaction: Transaction, code: str, titles: Mapping[str, str], *, actor: str
    ) -> int:
        """A new thing without a version; its id. Raises sqlalchemy.exc.IntegrityError for a code
        that there is already."""
        written = await transaction.session.execute(
            insert(self._things)
            .values(code=code, titles=dict(titles), active=True)
            .returning(self._things.id)
        )
        thing_id = int(written.scalar_one())
        await self._audit(transaction, actor, "created", thing_id)
        return thing_id

    async def change(
        self,
        transaction: Transaction,
        thing_id: int,
        *,
        titles: Mapping[str, str],
        active: bool,
        actor: str,
    ) -> None:
        """Rename, retire or bring back. Raises LookupError if there is no such thing."""
        found = await transaction.session.scalar(
            update(self._things)
            .where(self._things.id == thing_id)
            .values(titles=dict(titles), active=active)
            .returning(self._things.id)
        )
        if found is None:
            raise LookupError(f"there is no {self._kind} {thing_id}")
        await self._audit(transaction, actor, "changed", thing_id, "titles", "active")

    async def add_version(
        self, transaction: Transaction, thing_id: int, content: Content, *, actor: str
    ) -> int:
        """Keep it as a new version, not yet published; its number. Raises LookupError."""
        session = transaction.session
        # The thing's row is the lock under which numbers are given.
        known = await session.scalar(
            select(self._things.id).where(self._things.id == thing_id).with_for_update()
        )
        if known is None:
            raise LookupError(f"there is no {self._kind} {thing_id}")
        last = await session.scalar(
            select(func.max(self._versions.number)).where(self._owner == thing_id)
        )
        number = (last or 0) + 1
        await session.execute(
            insert(self._versions).values(
                {
                    self._owner_name: thing_id,
                    "number": number,
                    self._content: self._write(content),
                    "author": actor,
                    "created_at": datetime.now(UTC),
                }
            )
        )
        await self._audit(transaction, actor, "changed", thing_id, f"version {number}")
        return number

    async def publish(
        self,
        transaction: Transaction,
        thing_id: int,
        number: int,
        *,
        problems: Sequence[Any],
        actor: str,
    ) -> bool:
        """Put the version into use from now on; False if it was published before.

        `problems` are what the caller found wrong with that very version. Raises Unpublishable if
        there are any, LookupError for an unknown version.
        """
        session = transaction.session
        row = await session.scalar(
            self._one(thing_id, number).with_for_update().execution_options(populate_existing=True)
        )
        if row is None:
            raise self._unknown(thing_id, number)
        if row.published_at is not None:
            return False
        if problems:
            raise Unpublishable(problems)
        row.published_by = actor
        row.published_at = datetime.now(UTC)
        await session.flush()
        await self._audit(transaction, actor, "published", thing_id, f"version {number}")
        return True

    async def roll_back(
        self,
        transaction: Transaction,
        thing_id: int,
        number: int,
        *,
        problems: Sequence[Any],
        actor: str,
    ) -> int:
        """Use an older version again, as a new one; its number. Raises as `publish`: what it led
        to may be gone since."""
        row = await transaction.session.scalar(self._one(thing_id, number))
        if row is None:
            raise self._unknown(thing_id, number)
        content = self._read(getattr(row, self._content))
        again = await self.add_version(transaction, thing_id, content, actor=actor)
        await self.publish(transaction, thing_id, again, problems=problems, actor=actor)
        return again

    # ---- reading ---------------------------------------------------------------------------------

    async def everything(self, database: Database) -> list[Thing]:
        """All things by code, the retired ones last."""
        query = select(self._things).order_by(self._things.active.desc(), self._things.code)
        async with database.reading() as session:
            return [thing(row) for row in await session.scalars(query)]

    async def find(self, database: Database, thing_id: int) -> Thing | None:
        async with database.reading() as session:
            row = await session.get(self._things, thing_id)
        return thing(row) if row is not None else None

    async def of_code(self, database: Database, code: str) -> Thing | None:
        async with database.reading() as session:
            row = await session.scalar(select(self._things).where(self._things.code == code))
        return thing(row) if row is not None else None

    async def versions(self, database: Database, thing_id: int) -> list[Version[Content]]:
        """All versions, newest first."""
        query = (
            select(self._versions)
            .where(self._owner == thing_id)
            .order_by(self._versions.number.desc())
        )
        async with database.reading() as session:
            return [self.version_of(row) for row in await session.scalars(query)]

    async def version(
        self, database: Database, thing_id: int, number: int
    ) -> Version[Content] | None:
        async with database.reading() as session:
            row = await session.scalar(self._one(thing_id, number))
        return self.version_of(row) if row is not None else None

    async def used_now(self, database: Database) -> dict[str, Version[Content]]:
        """By code: of each thing that is not retired, the version in use."""
        last = (
            select(self._versions.id, self._things.code)
            .join(self._things, self._things.id == self._owner)
            .where(self._things.active, self._versions.published_at.is_not(None))
            .order_by(self._versions.published_at, self._versions.number)
        )
        async with database.reading() as session:
            newest = {code: row_id for row_id, code in await session.execute(last)}
            rows = await session.scalars(
                select(self._versions).where(self._versions.id.in_(newest.values()))
            )
            by_id = {row.id: self.version_of(row) for row in rows}
        return {code: by_id[row_id] for code, row_id in newest.items()}

    def version_of(self, row: Any) -> Version[Content]:
        """The version that a row of its table holds."""
        return Version(
            id=row.id,
            thing_id=getattr(row, self._owner_name),
            number=row.number,
            content=self._read(getattr(row, self._content)),
            author=row.author,
            created_at=row.created_at,
            published_by=row.published_by,
            published_at=row.published_at,
        )

    def _one(self, thing_id: int, number: int) -> Select[Any]:
        return select(self._versions).where(
            self._owner == thing_id, self._versions.number == number
        )

    def _unknown(self, thing_id: int, number: int) -> LookupError:
        return LookupError(f"there is no version {number} of {self._kind} {thing_id}")

    async def _audit(
        self, transaction: Transaction, actor: str, action: str, thing_id: int, *fields: str
    ) -> None:
        await audit.record(
            transaction,
            actor=actor,
            action=action,
            subject_kind=self._kind,
            subject_id=thing_id,
            fields=fields,
        )


def thing(row: Any) -> Thing:
    """What a row of a table of things says."""
    return Thing(row.id, row.code, row.titles, row.active)
