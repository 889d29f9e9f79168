"""What agents have half written in conversations, until it is sent or thrown away.

Owns one draft per agent and conversation. Nobody else sees it, no search finds it, and the story
does not tell of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete

from crm_store.database import Database, Transaction
from crm_store.models import AnswerDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`channel` is "" for where the customer last wrote; `attachment_ids` are uploads of the
    agent that hang on no message yet."""

    answer: str = ""
    note: str = ""
    channel: str = ""
    attachment_ids: Sequence[int] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.answer.strip() or self.note.strip() or self.attachment_ids)


async def save(transaction: Transaction, conversation_id: int, agent: str, draft: Draft) -> None:
    """Keep it in the place of the former one; an empty one is forgotten."""
    if draft.is_empty:
        await forget(transaction, conversation_id, agent)
        return
    await transaction.session.merge(
        AnswerDraft(
            conversation_id=conversation_id,
            agent=agent,
            answer=draft.answer,
            note=draft.note,
            channel=draft.channel,
            attachment_ids=list(draft.attachment_ids),
            saved_at=datetime.now(UTC),
        )
    )
    await transaction.session.flush()


async def read(database: Database, conversation_id: int, agent: str) -> Draft:
    """The agent's own; an empty one if there is none."""
    async with database.reading() as session:
        return _draft(await session.get(AnswerDraft, (conversation_id, agent)))


async def kept(transaction: Transaction, conversation_id: int, agent: str) -> Draft:
    """The same, in a transaction that will change it."""
    return _draft(
        await transaction.session.get(
            AnswerDraft, (conversation_id, agent), with_for_update=True, populate_existing=True
        )
    )


async def forget(transaction: Transaction, conversation_id: int, agent: str) -> None:
    await transaction.session.execute(
        delete(AnswerDraft).where(
            AnswerDraft.conversation_id == conversation_id, AnswerDraft.agent == agent
        )
    )


def _draft(row: AnswerDraft | None) -> Draft:
    if row is None:
        return Draft()
    return Draft(
        answer=row.answer,
        note=row.note,
        channel=row.channel,
        attachment_ids=tuple(row.attachment_ids),
    )
