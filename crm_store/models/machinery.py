"""The store's own machinery: the audit, facts, jobs, and this installation's secrets.

Owns the tables' form; the rules are in the module named for each noun.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from crm_store.models.columns import JobState, RowId, Table


class AuditEntry(Table):
    """Who saw or changed what, when, from where. Never changed, never deleted. It names fields and
    does not repeat their values, so that a person can be erased and the audit left alone."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index(None, "subject_kind", "subject_id", "at"),
        Index(None, "actor", "at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(String(100))
    fields: Mapped[list[str]]
    address: Mapped[str] = mapped_column(String(100), default="")
    reason: Mapped[str] = mapped_column(default="")


class FactRow(Table):
    """A fact as it was emitted: `kind` is the class's name, `data` its fields."""

    __tablename__ = "facts"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(100), index=True)
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class JobRow(Table):
    """Work to be done once. `claimed_until` is the lease of the worker that has it."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "ix_jobs_due",
            "due_at",
            "id",
            postgresql_where=text("state IN ('waiting', 'running')"),
            sqlite_where=text("state IN ('waiting', 'running')"),
        ),
        Index(
            "ix_jobs_parked",
            "id",
            postgresql_where=text("state = 'parked'"),
            sqlite_where=text("state = 'parked'"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    handler: Mapped[str] = mapped_column(String(100))
    idempotency_key: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(100))
    data: Mapped[dict[str, Any]]
    state: Mapped[JobState] = mapped_column(default=JobState.WAITING)
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    claimed_by: Mapped[str | None] = mapped_column(String(100))
    claimed_until: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class InstallationSecret(Table):
    """A secret of this installation, drawn once: what signed links are signed with."""

    __tablename__ = "installation_secrets"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
