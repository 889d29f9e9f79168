"""A supervisor's own words and voices for prompts, which come before our texts and engines.

Owns which text a prompt has in a language, and which sound stands for which fixed part of it. A
recording stands for the words that it was made for: when the prompt says something else, it is not
played. Knows no sound: files are converted and looked at by whoever keeps one here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, delete, insert, select, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import PromptRecording, PromptText


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A voice for part `part` of a prompt (counted from 0, between its placeholders), saying
    `text`. `file` is relative to the prompts' folder; levels are in dBFS."""

    code: str
    language: str
    part: int
    text: str
    file: str
    seconds: float
    level_db: float
    peak_db: float
    uploaded_name: str = ""
    changed_by: str = ""
    changed_at: datetime | None = None


async def own_texts(database: Database) -> dict[tuple[str, str], str]:
    """All texts that a supervisor has given, by (prompt's code, language)."""
    query = select(PromptText.code, PromptText.language, PromptText.text)
    async with database.reading() as session:
        return {(row.code, row.language): row.text for row in await session.execute(query)}


async def set_text(
    transaction: Transaction, code: str, language: str, text: str | None, *, actor: str
) -> None:
    """Say the prompt in these words from now on; None or "" for our own again."""
    session = transaction.session
    one = (PromptText.code == code, PromptText.language == language)
    wanted = (text or "").strip()
    if not wanted:
        gone = await session.scalar(delete(PromptText).where(*one).returning(PromptText.id))
        if gone is not None:
            await _audit(transaction, actor, "deleted", code, ["text", language])
        return
    values = {"text": wanted, "changed_by": actor, "changed_at": datetime.now(UTC)}
    known = await session.scalar(
        update(PromptText).where(*one).values(**values).returning(PromptText.id)
    )
    if known is None:
        await session.execute(insert(PromptText).values(code=code, language=language, **values))
    await _audit(transaction, actor, "changed", code, ["text", language])


async def recordings(database: Database) -> dict[tuple[str, str, int], Recording]:
    """All recordings, by (prompt's code, language, part)."""
    query = select(PromptRecording).order_by(PromptRecording.code, PromptRecording.language)
    async with database.reading() as session:
        rows = await session.scalars(query)
        return {(row.code, row.language, row.part): _recording(row) for row in rows}


async def keep(transaction: Transaction, recording: Recording, *, actor: str) -> str | None:
    """Play this for the part from now on; the file that was played before, which nobody needs now.

    Raises ValueError for one that says nothing.
    """
    if not recording.text.strip() or not recording.file:
        raise ValueError("a recording says something")
    session = transaction.session
    values: dict[str, Any] = {
        name: getattr(recording, name)
        for name in ("text", "file", "seconds", "level_db", "peak_db", "uploaded_name")
    }
    values |= {"changed_by": actor, "changed_at": datetime.now(UTC)}
    before = await session.scalar(_one(recording.code, recording.language, recording.part))
    if before is None:
        await session.execute(
            insert(PromptRecording).values(
                code=recording.code, language=recording.language, part=recording.part, **values
            )
        )
        old = None
    else:
        old = before.file
        await session.execute(
            update(PromptRecording).where(PromptRecording.id == before.id).values(**values)
        )
    await _audit(transaction, actor, "changed", recording.code, ["recording", recording.language])
    return old if old != recording.file else None


async def remove(
    transaction: Transaction, code: str, language: str, part: int, *, actor: str
) -> str | None:
    """Play it no more; its file, None if there was none."""
    session = transaction.session
    before = await session.scalar(_one(code, language, part))
    if before is None:
        return None
    await session.execute(delete(PromptRecording).where(PromptRecording.id == before.id))
    await _audit(transaction, actor, "deleted", code, ["recording", language])
    return before.file


def _one(code: str, language: str, part: int) -> Select[PromptRecording]:
    return (
        select(PromptRecording)
        .where(
            PromptRecording.code == code,
            PromptRecording.language == language,
            PromptRecording.part == part,
        )
        .with_for_update()
    )


async def _audit(
    transaction: Transaction, actor: str, action: str, code: str, fields: list[str]
) -> None:
    await audit.record(
        transaction,
        actor=actor,
        action=action,
        subject_kind="prompt",
        subject_id=code[:100],
        fields=fields,
    )


def _recording(row: PromptRecording) -> Recording:
    return Recording(
        code=row.code,
        language=row.language,
        part=row.part,
        text=row.text,
        file=row.file,
        seconds=row.seconds,
        level_db=row.level_db,
        peak_db=row.peak_db,
        uploaded_name=row.uploaded_name,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
    )
