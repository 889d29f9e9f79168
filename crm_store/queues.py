"""Queues, and the lists that a wrap-up and a pause choose from.

Owns how a queue is set, which dispositions it offers, and the reasons for a pause, each with its
titles by language. Knows nothing of who waits or serves now: that is Asterisk's and cti's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.database import Database, Transaction
from crm_store.models import Disposition, PauseReason, Queue, QueueDisposition


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """A queue's settings. `strategy` is Asterisk's word; `dispositions` are codes, in order.

    After `max_wait_seconds` a caller goes to `overflow`: a queue's name, "voicemail" or "hangup".
    A caller who presses `exit_key` goes to `exit_target`, written the same way; "" for no such key.
    """

    name: str
    number: str
    titles: Mapping[str, str]
    strategy: str = "rrmemory"
    ring_seconds: int = 20
    wrap_up_seconds: int = 30
    max_wait_seconds: int = 300
    overflow: str = "voicemail"
    exit_key: str = ""
    exit_target: str = ""
    dispositions: Sequence[str] = field(default=())

    def title(self, language: str) -> str:
        return title(self.titles, language, self.name)


@dataclass(frozen=True, slots=True)
class Choice:
    """A line that an agent can choose: a disposition or a pause reason."""

    code: str
    titles: Mapping[str, str]

    def title(self, language: str) -> str:
        return title(self.titles, language, self.code)


def title(titles: Mapping[str, str], language: str, otherwise: str) -> str:
    """The title in `language` ("zh-CN" may do with "zh"), else in English, else `otherwise`."""
    short = language.replace("_", "-").split("-", 1)[0]
    return titles.get(language) or titles.get(short) or titles.get("en") or otherwise


async def save(transaction: Transaction, queue: QueueRecord) -> None:
    """Add the queue, or change the one of that name.

    Raises LookupError for a disposition that there is none of, and
    sqlalchemy.exc.IntegrityError if another queue has the number.
    """
    session = transaction.session
    values = {
        "number": queue.number,
        "titles": dict(queue.titles),
        "strategy": queue.strategy,
        "ring_seconds": queue.ring_seconds,
        "wrap_up_seconds": queue.wrap_up_seconds,
        "max_wait_seconds": queue.max_wait_seconds,
        "overflow": queue.overflow,
        "exit_key": queue.exit_key,
        "exit_target": queue.exit_target,
    }
    queue_id = await session.scalar(
        update(Queue).where(Queue.name == queue.name).values(**values).returning(Queue.id)
    )
    if queue_id is None:
        written = await session.execute(
            insert(Queue).values(name=queue.name, **values).returning(Queue.id)
        )
        queue_id = written.scalar_one()
    await session.execute(delete(QueueDisposition).where(QueueDisposition.queue_id == queue_id))
    known = {
        row.code: row.id for row in await session.execute(select(Disposition.code, Disposition.id))
    }
    missing = [code for code in queue.dispositions if code not in known]
    if missing:
        raise LookupError(f"there is no disposition {', '.join(missing)}")
    if queue.dispositions:
        await session.execute(
            insert(QueueDisposition),
            [
                {"queue_id": queue_id, "disposition_id": known[code], "position": position}
                for position, code in enumerate(queue.dispositions)
            ],
        )


async def all_queues(database: Database) -> list[QueueRecord]:
    """All queues, by number."""
    async with database.reading() as session:
        rows = list(await session.scalars(select(Queue).order_by(Queue.number)))
        offered = await _offered(session)
    return [_record(row, offered.get(row.id, [])) for row in rows]


async def find(database: Database, name: str) -> QueueRecord | None:
    return next((queue for queue in await all_queues(database) if queue.name == name), None)


async def save_disposition(
    transaction: Transaction, code: str, titles: Mapping[str, str], position: int = 0
) -> None:
    """Add a disposition, or change the one with that code."""
    await _save_choice(transaction.session, Disposition, code, titles, position)


async def save_pause_reason(
    transaction: Transaction, code: str, titles: Mapping[str, str], position: int = 0
) -> None:
    """Add a reason for a pause, or change the one with that code."""
    await _save_choice(transaction.session, PauseReason, code, titles, position)


async def dispositions(database: Database, queue: str | None = None) -> list[Choice]:
    """What a wrap-up after this queue offers; all dispositions where the queue names none."""
    everything = (
        select(Disposition)
        .where(Disposition.active)
        .order_by(Disposition.position, Disposition.code)
    )
    chosen = (
        select(Disposition)
        .join(QueueDisposition, QueueDisposition.disposition_id == Disposition.id)
        .join(Queue, Queue.id == QueueDisposition.queue_id)
        .where(Queue.name == queue, Disposition.active)
        .order_by(QueueDisposition.position)
    )
    async with database.reading() as session:
        rows = list(await session.scalars(chosen)) if queue else []
        rows = rows or list(await session.scalars(everything))
    return [Choice(row.code, row.titles) for row in rows]


async def pause_reasons(database: Database) -> list[Choice]:
    query = (
        select(PauseReason)
        .where(PauseReason.active)
        .order_by(PauseReason.position, PauseReason.code)
    )
    async with database.reading() as session:
        return [Choice(row.code, row.titles) for row in await session.scalars(query)]


async def _save_choice(
    session: AsyncSession,
    table: type[Disposition] | type[PauseReason],
    code: str,
    titles: Mapping[str, str],
    position: int,
) -> None:
    values = {"titles": dict(titles), "position": position, "active": True}
    known = await session.scalar(
        update(table).where(table.code == code).values(**values).returning(table.id)
    )
    if known is None:
        await session.execute(insert(table).values(code=code, **values))


async def _offered(session: AsyncSession) -> dict[int, list[str]]:
    query = (
        select(QueueDisposition.queue_id, Disposition.code)
        .join(Disposition, Disposition.id == QueueDisposition.disposition_id)
        .order_by(QueueDisposition.queue_id, QueueDisposition.position)
    )
    offered: dict[int, list[str]] = {}
    for queue_id, code in await session.execute(query):
        offered.setdefault(queue_id, []).append(code)
    return offered


def _record(row: Queue, offered: Sequence[str]) -> QueueRecord:
    return QueueRecord(
        name=row.name,
        number=row.number,
        titles=row.titles,
        strategy=row.strategy,
        ring_seconds=row.ring_seconds,
        wrap_up_seconds=row.wrap_up_seconds,
        max_wait_seconds=row.max_wait_seconds,
        overflow=row.overflow,
        exit_key=row.exit_key,
        exit_target=row.exit_target,
        dispositions=tuple(offered),
    )
