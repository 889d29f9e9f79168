"""Contacts between a person and the house: calls, interactions, recordings, and what is to be done.

Owns the tables' form; the rules are in the module named for each noun.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from crm_store.models.columns import (
    CallbackState,
    CallState,
    Channel,
    RowId,
    Table,
    TaskKind,
    TaskState,
)
from crm_store.signals import Direction


class Call(Table):
    """A call on one PBX, exactly one row whatever is repeated. Times in seconds."""

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("pbx", "linkedid"),
        Index(
            "ix_calls_live",
            "pbx",
            postgresql_where=text("state = 'live'"),
            sqlite_where=text("state = 'live'"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    pbx: Mapped[str] = mapped_column(String(100))
    linkedid: Mapped[str] = mapped_column(String(200))
    state: Mapped[CallState]
    direction: Mapped[Direction]
    outcome: Mapped[str | None] = mapped_column(String(20))
    caller: Mapped[str]
    callee: Mapped[str]
    queue: Mapped[str | None] = mapped_column(String(100))
    agent: Mapped[str | None] = mapped_column(String(100))
    rang: Mapped[list[str]]
    answered_by: Mapped[str | None]
    transferred_to: Mapped[str | None]
    wait_s: Mapped[float | None]
    talk_s: Mapped[float | None]
    started_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"), index=True)


class Interaction(Table):
    """One contact between a person and the house, on any channel. `keyed` is what was keyed;
    `satisfaction` is the customer's own word, 1 to 5. Disposition and note are the last agent's;
    each agent's own are in the wrap-ups."""

    __tablename__ = "interactions"
    __table_args__ = (
        Index(None, "customer_id", "opened_at"),
        Index(None, "agent", "opened_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    channel: Mapped[Channel]
    direction: Mapped[Direction]
    address: Mapped[str] = mapped_column(default="")
    opened_at: Mapped[datetime] = mapped_column(index=True)
    closed_at: Mapped[datetime | None]
    agent: Mapped[str | None] = mapped_column(String(100))
    queue: Mapped[str | None] = mapped_column(String(100))
    disposition: Mapped[str | None] = mapped_column(String(100))
    summary: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    keyed: Mapped[list[str]] = mapped_column(default=list)
    call_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("calls.id"), unique=True)
    satisfaction: Mapped[int | None]


class WrapUp(Table):
    """One agent's note and disposition of an interaction; it is a draft until `closed_at`."""

    __tablename__ = "wrap_ups"
    __table_args__ = (UniqueConstraint("interaction_id", "agent"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    interaction_id: Mapped[int] = mapped_column(RowId, ForeignKey("interactions.id"))
    agent: Mapped[str] = mapped_column(String(100))
    disposition: Mapped[str | None] = mapped_column(String(100))
    note: Mapped[str] = mapped_column(default="")
    saved_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class Recording(Table):
    """The sound of a call, or of a part of it. `file` is relative to the recordings' folder.

    `marks` are pauses and their ends: {"kind", "at" (seconds from the start), "by"}.
    """

    __tablename__ = "recordings"
    __table_args__ = (Index(None, "pbx", "linkedid"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    pbx: Mapped[str] = mapped_column(String(100))
    linkedid: Mapped[str] = mapped_column(String(200))
    file: Mapped[str] = mapped_column(unique=True)
    started_by: Mapped[str] = mapped_column(String(100))
    started_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    marks: Mapped[list[dict[str, Any]]] = mapped_column(default=list)


class Task(Table):
    """Something to be done by a time, by one agent or by whoever serves the queue."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index(None, "assigned_to", "state", "due_at"),
        Index(None, "state", "due_at"),
        Index(None, "customer_id", "due_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[TaskKind]
    state: Mapped[TaskState] = mapped_column(default=TaskState.OPEN)
    title: Mapped[str]
    text: Mapped[str] = mapped_column(default="")
    number: Mapped[str] = mapped_column(default="")
    due_at: Mapped[datetime]
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    interaction_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("interactions.id"))
    queue: Mapped[str | None] = mapped_column(String(100))
    assigned_to: Mapped[str | None] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(default="")
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    finished_by: Mapped[str | None] = mapped_column(String(100))
    finished_at: Mapped[datetime | None]


class MissedRing(Table):
    """An agent's phone rang for a queue and was not answered."""

    __tablename__ = "missed_rings"
    __table_args__ = (Index(None, "agent", "at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    agent: Mapped[str] = mapped_column(String(100))
    queue: Mapped[str] = mapped_column(String(100))
    pbx: Mapped[str] = mapped_column(String(100))
    linkedid: Mapped[str] = mapped_column(String(200))
    cause: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime]


class Callback(Table):
    """A customer's place in a queue, kept while they wait at home. `arrived_at` is when they came,
    or the hour that they asked for; `priority` is the place that follows from it, as app_queue
    takes it. `stand_in` names what holds the place in Asterisk. Its task is what people see."""

    __tablename__ = "callbacks"
    __table_args__ = (
        Index(
            "ix_callbacks_open",
            "queue",
            "priority",
            postgresql_where=text("state IN ('waiting', 'joined', 'answered')"),
            sqlite_where=text("state IN ('waiting', 'joined', 'answered')"),
        ),
        Index(None, "number"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    state: Mapped[CallbackState] = mapped_column(default=CallbackState.WAITING)
    task_id: Mapped[int] = mapped_column(RowId, ForeignKey("tasks.id"), unique=True)
    queue: Mapped[str] = mapped_column(String(100))
    number: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(String(20), default="en")
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"), index=True)
    interaction_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("interactions.id"))
    pbx: Mapped[str] = mapped_column(String(100), default="")
    linkedid: Mapped[str] = mapped_column(String(200), default="")
    arrived_at: Mapped[datetime]
    head_start_seconds: Mapped[int] = mapped_column(default=0)
    priority: Mapped[int]
    not_before: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    stand_in: Mapped[str] = mapped_column(String(200), default="")
    agent: Mapped[str | None] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(default="")
    requested_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class Survey(Table):
    """A customer was asked what they think of a call; the answers are rows of their own.

    `agreed` is whether they gave leave to be asked, None while they have not said.
    """

    __tablename__ = "surveys"
    __table_args__ = (
        UniqueConstraint("pbx", "linkedid"),
        Index(None, "customer_id", "asked_at"),
        Index(None, "number", "asked_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    pbx: Mapped[str] = mapped_column(String(100))
    linkedid: Mapped[str] = mapped_column(String(200))
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    number: Mapped[str] = mapped_column(String(40), default="")
    queue: Mapped[str] = mapped_column(String(100), default="")
    agent: Mapped[str] = mapped_column(String(100), default="")
    language: Mapped[str] = mapped_column(String(20), default="en")
    agreed: Mapped[bool | None]
    asked_at: Mapped[datetime]


class SurveyAnswer(Table):
    """One answer, 1 to 5; `question` is its code, as the house's survey had it then."""

    __tablename__ = "survey_answers"

    survey_id: Mapped[int] = mapped_column(RowId, ForeignKey("surveys.id"), primary_key=True)
    question: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[int]
    at: Mapped[datetime]
