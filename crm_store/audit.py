"""The audit: who saw and who changed what, when, from where.

Owns entries that are only ever added; both databases refuse to change or delete one. Names fields,
never their values, so that erasing a person leaves the audit whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select

from crm_store.database import Database, Transaction
from crm_store.models import AuditEntry

# Who acts where no person does: imports, the calls' own writing, jobs.
SYSTEM = "system"

_RECORD = insert(AuditEntry.__table__)  # type: ignore[arg-type]


async def record(
    transaction: Transaction,
    *,
    actor: str,
    action: str,
    subject_kind: str,
    subject_id: int | str,
    fields: Sequence[str] = (),
    address: str = "",
    reason: str = "",
) -> None:
    """Add an entry: `actor` (a login) did `action` ("saw", "created", "changed", ...)."""
    await _write(
        transaction,
        [
            _row(actor, action, subject_kind, str(subject_id), reason)
            | {"fields": list(fields), "address": address}
        ],
    )


async def record_views(transaction: Transaction, views: Iterable[tuple[str, int, str]]) -> None:
    """Add an entry for each (actor, customer's id, reason): the actor saw that customer."""
    rows = [
        _row(actor, "saw", "customer", str(customer_id), reason)
        for actor, customer_id, reason in views
    ]
    if rows:
        await _write(transaction, rows)


def _row(
    actor: str, action: str, subject_kind: str, subject_id: str, reason: str
) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC),
        "actor": actor,
        "action": action,
        "subject_kind": subject_kind,
        "subject_id": subject_id,
        "fields": [],
        "address": "",
        "reason": reason,
    }


async def _write(transaction: Transaction, rows: list[dict[str, Any]]) -> None:
    connection = await transaction.session.connection()
    await connection.execute(_RECORD, rows)


async def entries(
    database: Database,
    *,
    subject_kind: str | None = None,
    subject_id: int | str | None = None,
    actor: str | None = None,
    limit: int = 100,
) -> list[AuditEntry]:
    """The newest entries, of a subject or of an actor if one is given."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if subject_kind is not None:
        query = query.where(AuditEntry.subject_kind == subject_kind)
    if subject_id is not None:
        query = query.where(AuditEntry.subject_id == str(subject_id))
    if actor is not None:
        query = query.where(AuditEntry.actor == actor)
    async with database.reading() as session:
        return list(await session.scalars(query))
