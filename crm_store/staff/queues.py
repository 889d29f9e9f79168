"""Queues, and the lists that a wrap-up and a pause choose from.

Owns how a queue is set, the tree of dispositions and which of them a queue offers, and the reasons
for a pause, each with its titles by language. What is retired is offered no more and keeps its
titles for the history. Knows nothing of who waits or serves now: that is Asterisk's and cti's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.database import Database, Transaction
from crm_store.models import (
    Disposition,
    PauseReason,
    Queue,
    QueueDisposition,
    RecordingPolicy,
)


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """A queue's settings. `strategy` is Asterisk's word; `dispositions` are codes, in order.

    After `max_wait_seconds` a caller goes to `overflow`: a queue's name, "waiting_menu" (which
    offers to wait on, to be called back or to leave a message), "voicemail" or "hangup". A caller
    who presses `exit_key` goes to `exit_target`, written the same way; "" for no such key. A
    wrap-up may be lengthened by `wrap_up_extra_seconds` in all; after `missed_rings` unanswered
    rings in a row an agent is paused (0: never). `script` is a script's code. VIPs and members
    stand as if they had come their head start earlier (queue_places.py); whoever last served the
    customer is rung alone for `preferred_agent_seconds` first (0: not).

    Of conversations: with `written_mode` "pull" agents take them, with "push" they are given to
    whoever has room. The first answer and the settlement are due so many minutes (a chat's answer:
    seconds) of the calendar `hours` after the customer wrote; 0 is no target.
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
    auto_answer: bool = False
    recording: RecordingPolicy = RecordingPolicy.ASKED
    wrap_up_extra_seconds: int = 300
    missed_rings: int = 3
    script: str | None = None
    vip_head_start_seconds: int = 180
    member_head_start_seconds: int = 60
    preferred_agent_seconds: int = 8
    written_mode: str = "pull"
    first_answer_minutes: int = 60
    resolution_minutes: int = 1440
    chat_first_answer_seconds: int = 60
    hours: str = "house"
    position: int = 0

    def title(self, language: str) -> str:
        return title(self.titles, language, self.name)


@dataclass(frozen=True, slots=True)
class Choice:
    """A line that can be chosen: a disposition, a pause reason, a skill."""

    code: str
    titles: Mapping[str, str]
    position: int = 0
    active: bool = True

    def title(self, language: str) -> str:
        return title(self.titles, language, self.code)


@dataclass(frozen=True, slots=True)
class DispositionChoice(Choice):
    """A disposition: a leaf that a wrap-up ends with, or a branch that holds `children`.

    `parent` is the code of the branch that it is under; `follow_up` is "", "task" or "callback".
    """

    parent: str | None = None
    follow_up: str = ""
    children: Sequence[DispositionChoice] = ()

    @property
    def leaves(self) -> Sequence[DispositionChoice]:
        """Those that can be chosen: itself, or what is under it."""
        if not self.children:
            return (self,)
        return [leaf for child in self.children for leaf in child.leaves]


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
        "auto_answer": queue.auto_answer,
        "recording": queue.recording,
        "wrap_up_extra_seconds": queue.wrap_up_extra_seconds,
        "missed_rings": queue.missed_rings,
        "script": queue.script,
        "vip_head_start_seconds": queue.vip_head_start_seconds,
        "member_head_start_seconds": queue.member_head_start_seconds,
        "preferred_agent_seconds": queue.preferred_agent_seconds,
        "written_mode": queue.written_mode,
        "first_answer_minutes": queue.first_answer_minutes,
        "resolution_minutes": queue.resolution_minutes,
        "chat_first_answer_seconds": queue.chat_first_answer_seconds,
        "hours": queue.hours,
        "position": queue.position,
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
    """All queues in their order, else by number."""
    async with database.reading() as session:
        rows = list(await session.scalars(select(Queue).order_by(Queue.position, Queue.number)))
        offered = await _offered(session)
    return [_record(row, offered.get(row.id, [])) for row in rows]


async def find(database: Database, name: str) -> QueueRecord | None:
    return next((queue for queue in await all_queues(database) if queue.name == name), None)


async def save_disposition(
    transaction: Transaction,
    code: str,
    titles: Mapping[str, str],
    position: int = 0,
    *,
    parent: str | None = None,
    follow_up: str = "",
) -> None:
    """Add a disposition, or change the one with that code; it comes under the branch `parent`.

    Raises LookupError if there is no such branch, ValueError if it is under the disposition itself.
    """
    session = transaction.session
    parents = {
        row.code: row.parent
        for row in await session.execute(select(Disposition.code, Disposition.parent))
    }
    if parent is not None and parent not in parents:
        raise LookupError(f"there is no disposition {parent!r}")
    above = parent
    while above is not None:
        if above == code:
            raise ValueError(f"disposition {code!r} would be under itself")
        above = parents.get(above)
    await _save_choice(session, Disposition, code, titles, position)
    await session.execute(
        update(Disposition)
        .where(Disposition.code == code)
        .values(parent=parent, follow_up=follow_up)
    )


async def order_dispositions(transaction: Transaction, codes: Sequence[str]) -> None:
    """Put these, which are under one branch, into this order."""
    await _order(transaction.session, Disposition, codes)


async def order_pause_reasons(transaction: Transaction, codes: Sequence[str]) -> None:
    """Put all reasons into this order."""
    await _order(transaction.session, PauseReason, codes)


async def set_disposition_active(transaction: Transaction, code: str, active: bool) -> None:
    """Retire a disposition with all under it, or bring it back. Raises LookupError."""
    await _set_active(transaction.session, Disposition, code, active)


async def save_pause_reason(
    transaction: Transaction, code: str, titles: Mapping[str, str], position: int = 0
) -> None:
    """Add a reason for a pause, or change the one with that code."""
    await _save_choice(transaction.session, PauseReason, code, titles, position)


async def set_pause_reason_active(transaction: Transaction, code: str, active: bool) -> None:
    """Retire a reason for a pause, or bring it back. Raises LookupError."""
    await _set_active(transaction.session, PauseReason, code, active)


async def disposition_tree(
    database: Database, queue: str | None = None, *, also_retired: bool = False
) -> list[DispositionChoice]:
    """What a wrap-up after this queue chooses from; everything where the queue names nothing.

    A queue names leaves, or branches with all under them, in its own order; the branches above
    come with them.
    """
    chosen = (
        select(Disposition.code)
        .join(QueueDisposition, QueueDisposition.disposition_id == Disposition.id)
        .join(Queue, Queue.id == QueueDisposition.queue_id)
        .where(Queue.name == queue)
        .order_by(QueueDisposition.position)
    )
    everything = select(Disposition).order_by(Disposition.position, Disposition.code)
    async with database.reading() as session:
        rows = list(await session.scalars(everything))
        named = list(await session.scalars(chosen)) if queue else []
    below: dict[str | None, list[Disposition]] = {}
    for row in rows:
        if row.active or also_retired:
            below.setdefault(row.parent, []).append(row)
    branches = {row.parent for row in rows}
    whole = _branch(below, None, branches)
    return _only(whole, {code: place for place, code in enumerate(named)}) or whole


async def dispositions(database: Database, queue: str | None = None) -> list[DispositionChoice]:
    """The leaves of the tree, which a wrap-up after this queue may end with."""
    return [leaf for node in await disposition_tree(database, queue) for leaf in node.leaves]


async def disposition_titles(database: Database, language: str) -> dict[str, str]:
    """The titles of all dispositions, also retired ones, by code: what a history shows."""
    async with database.reading() as session:
        rows = await session.execute(select(Disposition.code, Disposition.titles))
        return {code: title(titles, language, code) for code, titles in rows}


async def pause_reasons(database: Database, *, also_retired: bool = False) -> list[Choice]:
    """The reasons for a pause in their order."""
    query = select(PauseReason).order_by(PauseReason.position, PauseReason.code)
    if not also_retired:
        query = query.where(PauseReason.active)
    async with database.reading() as session:
        return [
            Choice(row.code, row.titles, row.position, row.active)
            for row in await session.scalars(query)
        ]


def _branch(
    below: Mapping[str | None, Iterable[Disposition]],
    parent: str | None,
    branches: Collection[str | None],
) -> list[DispositionChoice]:
    """The nodes under `parent`. A branch whose leaves are all retired cannot be chosen either."""
    nodes = []
    for row in below.get(parent, ()):
        children = tuple(_branch(below, row.code, branches))
        if children or row.code not in branches:
            nodes.append(
                DispositionChoice(
                    row.code,
                    row.titles,
                    row.position,
                    row.active,
                    row.parent,
                    row.follow_up,
                    children,
                )
            )
    return nodes


def _only(nodes: Sequence[DispositionChoice], places: Mapping[str, int]) -> list[DispositionChoice]:
    """The nodes that are named or hold what is named, in the order of the names."""
    kept: list[tuple[int, DispositionChoice]] = []
    for node in nodes:
        if node.code in places:
            kept.append((places[node.code], node))
            continue
        children = _only(node.children, places)
        if children:
            first = min(places[one.code] for one in _walk(children) if one.code in places)
            kept.append((first, replace(node, children=tuple(children))))
    return [node for _, node in sorted(kept, key=lambda one: one[0])]


def _walk(nodes: Iterable[DispositionChoice]) -> Iterable[DispositionChoice]:
    for node in nodes:
        yield node
        yield from _walk(node.children)


async def _save_choice(
    session: AsyncSession,
    table: type[Disposition] | type[PauseReason],
    code: str,
    titles: Mapping[str, str],
    position: int,
) -> None:
    values = {"titles": dict(titles), "position": position}
    known = await session.scalar(
        update(table).where(table.code == code).values(**values).returning(table.id)
    )
    if known is None:
        await session.execute(insert(table).values(code=code, active=True, **values))


async def _order(
    session: AsyncSession, table: type[Disposition] | type[PauseReason], codes: Sequence[str]
) -> None:
    for position, code in enumerate(codes):
        await session.execute(update(table).where(table.code == code).values(position=position))


async def _set_active(
    session: AsyncSession, table: type[Disposition] | type[PauseReason], code: str, active: bool
) -> None:
    known = await session.scalar(
        update(table).where(table.code == code).values(active=active).returning(table.id)
    )
    if known is None:
        raise LookupError(f"there is nothing with the code {code!r}")


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
        auto_answer=row.auto_answer,
        recording=row.recording,
        wrap_up_extra_seconds=row.wrap_up_extra_seconds,
        missed_rings=row.missed_rings,
        script=row.script,
        vip_head_start_seconds=row.vip_head_start_seconds,
        member_head_start_seconds=row.member_head_start_seconds,
        preferred_agent_seconds=row.preferred_agent_seconds,
        written_mode=row.written_mode,
        first_answer_minutes=row.first_answer_minutes,
        resolution_minutes=row.resolution_minutes,
        chat_first_answer_seconds=row.chat_first_answer_seconds,
        hours=row.hours,
        position=row.position,
    )
