"""Attachments: the rows of files that came or go with messages.

Owns whose a file is and whether it may be given out. The files themselves, and what of them is
refused, are the channels'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.database import Database, Transaction
from crm_store.models import Attachment, AttachmentState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file that was kept, or refused with a `reason` and no `file`. `media_type` is what its
    content is; `file` is relative to the attachments' folder; `size` is in bytes."""

    name: str
    media_type: str
    size: int
    sha256: str = ""
    file: str = ""
    content_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """An attachment as it is kept. `message_id` is None for an upload that is not sent yet."""

    id: int
    message_id: int | None
    name: str
    media_type: str
    size: int
    sha256: str
    file: str
    content_id: str
    state: AttachmentState
    reason: str
    uploaded_by: str
    created_at: datetime


async def add(
    transaction: Transaction,
    message_id: int | None,
    files: Sequence[NewFile],
    *,
    uploaded_by: str = "",
    at: datetime | None = None,
) -> list[int]:
    """Write the rows of these files of a message, or of uploads without one yet; their ids."""
    if not files:
        return []
    moment = at or datetime.now(UTC)
    written = await transaction.session.scalars(
        insert(Attachment).returning(Attachment.id, sort_by_parameter_order=True),
        [
            {
                "message_id": message_id,
                "name": one.name,
                "media_type": one.media_type,
                "size": one.size,
                "sha256": one.sha256,
                "file": one.file,
                "content_id": one.content_id,
                "state": AttachmentState.OK if one.file else AttachmentState.REFUSED,
                "reason": one.reason,
                "uploaded_by": uploaded_by,
                "created_at": moment,
            }
            for one in files
        ],
    )
    return list(written.all())


async def give(
    transaction: Transaction, attachment_ids: Sequence[int], message_id: int, *, uploaded_by: str
) -> None:
    """These uploads are that message's now. Raises LookupError if one of them is no upload of
    `uploaded_by` that waits, or was refused."""
    wanted = set(attachment_ids)
    if not wanted:
        return
    done = await transaction.session.execute(
        update(Attachment)
        .where(
            Attachment.id.in_(wanted),
            Attachment.message_id.is_(None),
            Attachment.uploaded_by == uploaded_by,
            Attachment.state == AttachmentState.OK,
        )
        .values(message_id=message_id)
        .returning(Attachment.id)
    )
    missing = wanted - set(done.scalars())
    if missing:
        raise LookupError(f"there are no such uploads: {sorted(missing)}")


async def find(database: Database, attachment_id: int) -> FileRecord | None:
    async with database.reading() as session:
        row = await session.get(Attachment, attachment_id)
        return _record(row) if row is not None else None


async def of_ids(session: AsyncSession, attachment_ids: Iterable[int]) -> list[FileRecord]:
    """These attachments, in the order of their ids; those that are gone are left out."""
    wanted = list(attachment_ids)
    if not wanted:
        return []
    rows = await session.scalars(
        select(Attachment).where(Attachment.id.in_(wanted)).order_by(Attachment.id)
    )
    return [_record(row) for row in rows]


async def of_messages(
    session: AsyncSession, message_ids: Iterable[int]
) -> dict[int, list[FileRecord]]:
    """The attachments of these messages, by the message's id."""
    wanted = list(message_ids)
    found: dict[int, list[FileRecord]] = {}
    if not wanted:
        return found
    rows = await session.scalars(
        select(Attachment).where(Attachment.message_id.in_(wanted)).order_by(Attachment.id)
    )
    for row in rows:
        assert row.message_id is not None
        found.setdefault(row.message_id, []).append(_record(row))
    return found


async def forget_uploads(
    transaction: Transaction,
    *,
    kept_for: timedelta = timedelta(days=1),
    now: datetime | None = None,
) -> list[str]:
    """Delete uploads that were never sent; the files that no other row has, to be deleted."""
    before = (now or datetime.now(UTC)) - kept_for
    gone = await transaction.session.execute(
        delete(Attachment)
        .where(Attachment.message_id.is_(None), Attachment.created_at < before)
        .returning(Attachment.file)
    )
    return await unshared(transaction, gone.scalars())


async def unshared(transaction: Transaction, files: Iterable[str]) -> list[str]:
    """Those of the files that no attachment has any more."""
    left = {file for file in files if file}
    if not left:
        return []
    shared = await transaction.session.scalars(
        select(Attachment.file).where(Attachment.file.in_(left)).distinct()
    )
    return sorted(left - set(shared))


def _record(row: Attachment) -> FileRecord:
    return FileRecord(**{name: getattr(row, name) for name in FileRecord.__dataclass_fields__})
