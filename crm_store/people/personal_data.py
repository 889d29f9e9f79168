"""What the house keeps of a person: told to them whole, and erased when they ask for it.

Owns both. Erasing leaves what the house must keep (orders, points, what was done when, the audit)
and nothing in it that says who it was; what stays is named in `STAYS`. It cannot be undone. Files
are named to whoever has their folder, who deletes them after the commit. Which rows are a person's
is personal_rows'.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store import audit, text_search
from crm_store.contacts import attachments, callbacks, tasks
from crm_store.contacts.messages import digest_of
from crm_store.database import Database, Transaction
from crm_store.facts import CustomerErased
from crm_store.models import (
    Attachment,
    Call,
    Callback,
    Customer,
    Message,
    MessageState,
    OutboxMessage,
    Recording,
    SearchEntry,
    Task,
    TaskState,
)
from crm_store.people.personal_rows import (
    ERASED_AT,
    PARTS,
    PersonalRows,
    chosen,
    chunks,
    recordings_of,
    rows_of,
)
from crm_store.text_search import EntryKind

STAYS: Final = (
    "orders",
    "points_entries",
    "survey_answers",
    "opt_outs",
    "audit_entries",
    "complaints",
    "calls",
    "interactions",
)
"""What stays without saying whose it was (an opt-out alone keeps its address, so that it holds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalFile:
    """A file that is part of what is kept; `file` is relative to its kind's folder."""

    id: int
    name: str
    media_type: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalData:
    """All that is kept of a person. `tables` are lists of rows by table, plain values as JSON has
    them; times are UTC."""

    customer_id: int
    tables: dict[str, list[dict[str, Any]]]
    attachments: list[PersonalFile]
    recordings: list[PersonalFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesToDelete:
    """What nobody speaks of any more: files in the attachments' folder (raw mails too), in the
    recordings' folder, and the calls (PBX, Linkedid) whose faxes may lie in the PBX's spool."""

    attachments: list[str]
    recordings: list[str]
    calls: list[tuple[str, str]]


# ---- telling -------------------------------------------------------------------------------------


async def export(database: Database, customer_id: int) -> PersonalData:
    """All of this person, with what was merged into them. Raises LookupError for an unknown one."""
    tables: dict[str, list[dict[str, Any]]] = {}
    async with database.reading() as session:
        owners = await _same_person(session, customer_id)
        found = await rows_of(session, owners)
        for part in PARTS:
            table: Any = part.table.__table__
            columns = [column for column in table.columns if column.name not in part.hidden]
            rows: list[dict[str, Any]] = []
            for condition in chosen(part, found):
                told = await session.execute(
                    select(*columns).where(condition).order_by(*columns[:1])
                )
                rows += [
                    {name: _plain(value) for name, value in row.items()} for row in told.mappings()
                ]
            if rows:
                tables[part.name] = rows
        recordings = await _recordings(session, found)
        kept = [
            PersonalFile(id=row.id, name=row.name, media_type=row.media_type, file=row.file)
            for row in await attachments.of_ids(session, found.ids("attachments"))
            if row.file
        ]
    if recordings:
        tables["recordings"] = [
            {"id": row.id, "started_at": _plain(row.started_at), "ended_at": _plain(row.ended_at)}
            for row in recordings
        ]
    sounds = [
        PersonalFile(id=row.id, name=f"{row.id}.wav", media_type="audio/wav", file=row.file)
        for row in recordings
    ]
    return PersonalData(customer_id=owners[0], tables=tables, attachments=kept, recordings=sounds)


# ---- erasing -------------------------------------------------------------------------------------


async def erase(
    transaction: Transaction,
    customer_id: int,
    *,
    actor: str,
    now: datetime | None = None,
) -> FilesToDelete:
    """Forget who this person is, with all that was merged into them.

    What was still to be done for them (calls back, messages that wait) is cancelled first. Raises
    LookupError if there is nobody.
    """
    moment = now or datetime.now(UTC)
    session = transaction.session
    customer_ids = await _same_person(session, customer_id)
    found = await rows_of(session, customer_ids)
    await _cancel_what_waits(transaction, found, actor)
    await _forget_words(transaction, found)
    recordings = await _recordings(session, found)
    calls = [
        (row.pbx, row.linkedid)
        for chunk in chunks(found.ids("calls"))
        for row in await session.execute(select(Call.pbx, Call.linkedid).where(Call.id.in_(chunk)))
    ]
    raw_files, own_files = await _files(transaction, found)
    for chunk in chunks([row.id for row in recordings]):
        await session.execute(delete(Recording).where(Recording.id.in_(chunk)))
    await _wipe(transaction, found, moment)
    unshared = await attachments.unshared(transaction, own_files)
    for one in customer_ids:
        await audit.record(
            transaction, actor=actor, action="erased", subject_kind="customer", subject_id=one
        )
    await transaction.emit(*(CustomerErased(customer_id=one) for one in customer_ids))
    return FilesToDelete(
        attachments=sorted({*raw_files, *unshared}),
        recordings=sorted(row.file for row in recordings),
        calls=calls,
    )


async def _cancel_what_waits(transaction: Transaction, found: PersonalRows, actor: str) -> None:
    session = transaction.session
    for chunk in chunks(found.ids("callbacks")):
        waiting = select(Callback.id).where(
            Callback.id.in_(chunk), Callback.state.in_(callbacks.OPEN)
        )
        for callback_id in (await session.scalars(waiting)).all():
            await callbacks.cancel(transaction, callback_id, actor=actor)
    for chunk in chunks(found.ids("tasks")):
        still_open = select(Task.id).where(Task.id.in_(chunk), Task.state == TaskState.OPEN)
        for task_id in (await session.scalars(still_open)).all():
            await tasks.finish(
                transaction, task_id, actor=actor, outcome="", state=TaskState.CANCELLED
            )
    for chunk in chunks(found.ids("outbox_messages")):
        await session.execute(
            update(OutboxMessage)
            .where(
                OutboxMessage.id.in_(chunk),
                OutboxMessage.state.in_([MessageState.WAITING, MessageState.UNCERTAIN]),
            )
            .values(state=MessageState.CANCELLED)
            .execution_options(synchronize_session=False)
        )


async def _forget_words(transaction: Transaction, found: PersonalRows) -> None:
    """Nothing of this person is found by words any more, but their orders by number."""
    for kind, name in _FOUND_BY_WORDS.items():
        for row_id in found.ids(name):
            await text_search.forget(transaction, kind, row_id)
    left = (
        await transaction.session.execute(
            select(SearchEntry.kind, SearchEntry.row_id).where(
                SearchEntry.customer_id.in_(found.customer_ids),
                SearchEntry.kind != EntryKind.ORDER,
            )
        )
    ).all()
    for entry_kind, row_id in left:
        await text_search.forget(transaction, EntryKind(entry_kind), row_id)


async def _files(transaction: Transaction, found: PersonalRows) -> tuple[list[str], list[str]]:
    """The raw mails, and the files of attachments (which another's message may have too)."""
    session = transaction.session
    raw: list[str] = []
    for chunk in chunks(found.ids("messages")):
        rows = await session.execute(
            select(Message.id, Message.raw_file, Message.external_key).where(Message.id.in_(chunk))
        )
        for row in rows.all():
            raw += [row.raw_file] if row.raw_file else []
            if row.external_key is not None:
                await session.execute(
                    update(Message)
                    .where(Message.id == row.id)
                    .values(external_key=digest_of(row.external_key))
                    .execution_options(synchronize_session=False)
                )
    kept: list[str] = []
    for chunk in chunks(found.ids("attachments")):
        kept += await session.scalars(select(Attachment.file).where(Attachment.id.in_(chunk)))
    return raw, [file for file in kept if file]


async def _wipe(transaction: Transaction, found: PersonalRows, moment: datetime) -> None:
    """Children first, since rows that are deleted may hang on others."""
    await transaction.session.flush()
    connection = await transaction.session.connection()
    for part in reversed(PARTS):
        table: Any = part.table.__table__
        for condition in chosen(part, found):
            if part.wiped is None:
                await connection.execute(delete(table).where(condition))
            elif part.wiped:
                await connection.execute(
                    update(table).where(condition).values(part.wiped), {ERASED_AT: moment}
                )
    transaction.session.expire_all()


async def _recordings(session: AsyncSession, found: PersonalRows) -> list[Recording]:
    rows: list[Recording] = []
    for chunk in chunks(found.ids("calls")):
        rows += await session.scalars(
            select(Recording).where(recordings_of(chunk)).order_by(Recording.id)
        )
    return rows


async def _same_person(session: AsyncSession, customer_id: int) -> list[int]:
    """All rows that are this person: the one that is kept first, then those merged into it."""
    kept = await session.get(Customer, customer_id)
    while kept is not None and kept.merged_into is not None:
        kept = await session.get(Customer, kept.merged_into)
    if kept is None:
        raise LookupError(f"there is no customer {customer_id}")
    same = [kept.id]
    for one in same:
        same += await session.scalars(
            select(Customer.id).where(Customer.merged_into == one).order_by(Customer.id)
        )
    return same


_FOUND_BY_WORDS = {
    EntryKind.INTERACTION: "interactions",
    EntryKind.TASK: "tasks",
    EntryKind.VISIT: "visits",
    EntryKind.COMPLAINT: "complaints",
    EntryKind.MESSAGE: "messages",
}


def _plain(value: Any) -> Any:
    """A column's value as JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value.value if isinstance(value, Enum) else value
