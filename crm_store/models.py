"""The tables, as SQLAlchemy knows them; the migrations must make exactly these.

Owns names, types, keys and indexes. Knows no rules: what may be written, and what follows from it,
is said by the module named for the noun (customers, calls, points, ...). Times are UTC and come
back aware from both databases. Agents and queues stand in history by their names, without a foreign
key: history outlives the agent who left and the queue that was closed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from crm_store.signals import Direction


class Segment(StrEnum):
    """How a customer stands with the house; queues put VIPs and members ahead."""

    VIP = "vip"
    MEMBER = "member"
    ORDINARY = "ordinary"


class Channel(StrEnum):
    """The way an interaction came or went."""

    PHONE = "phone"
    MAIL = "mail"
    SMS = "sms"
    CHAT = "chat"
    WEB = "web"
    FAX = "fax"
    MESSENGER = "messenger"
    VISIT = "visit"


class ContactKind(StrEnum):
    """What a contact point is; a phone's value is E.164, a mail's is lower case."""

    PHONE = "phone"
    MAIL = "mail"
    FAX = "fax"
    MESSENGER = "messenger"
    OTHER = "other"


class Role(StrEnum):
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


class CallState(StrEnum):
    LIVE = "live"
    ENDED = "ended"


class JobState(StrEnum):
    """A waiting job is due at its time; a parked one waits for a person."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    PARKED = "parked"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python on both databases, UTC in the table. A naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _stored(kind: type[StrEnum]) -> Enum:
    """An enumeration by its values, in a plain text column: a new value needs no migration."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=20,
        values_callable=lambda members: [member.value for member in members],
    )


RowId = BigInteger().with_variant(Integer(), "sqlite")
# Compared byte by byte on both databases, so that a prefix is a range of the index.
SearchText = Text().with_variant(Text(collation="C"), "postgresql")


class Table(DeclarativeBase):
    """What all tables share: names of constraints, and Python types for columns."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it once
        str: Text(),
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        dict[str, str]: JSON(),
        list[str]: JSON(),
        Segment: _stored(Segment),
        Channel: _stored(Channel),
        ContactKind: _stored(ContactKind),
        Role: _stored(Role),
        CallState: _stored(CallState),
        JobState: _stored(JobState),
        Direction: _stored(Direction),
    }


class Customer(Table):
    """A person. `reference` is the customer's number in the shop's own system, if it has one."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str]
    name_folded: Mapped[str] = mapped_column(SearchText, index=True)
    language: Mapped[str] = mapped_column(String(20), default="en")
    segment: Mapped[Segment] = mapped_column(default=Segment.ORDINARY)
    preferred_channel: Mapped[Channel | None]
    notes: Mapped[str] = mapped_column(default="")
    reference: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    contact_points: Mapped[list[ContactPoint]] = relationship(
        order_by="ContactPoint.id", lazy="raise"
    )
    cards: Mapped[list[Card]] = relationship(order_by="Card.id", lazy="raise")


class ContactPoint(Table):
    """A way to reach a customer. Several customers may share a value; one may have many."""

    __tablename__ = "contact_points"
    __table_args__ = (
        UniqueConstraint("customer_id", "kind", "value"),
        Index(None, "kind", "value"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"))
    kind: Mapped[ContactKind]
    value: Mapped[str]
    label: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]


class Card(Table):
    """A member card; its number ends in a check digit and belongs to one customer."""

    __tablename__ = "cards"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"), index=True)
    number: Mapped[str] = mapped_column(String(32), unique=True)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class PointsEntry(Table):
    """One line of a card's ledger, in hundredths of a point. Never changed, never deleted."""

    __tablename__ = "points_entries"
    __table_args__ = (
        # Both columns, so that a balance is summed from the index alone.
        Index(None, "card_id", "hundredths"),
        CheckConstraint("hundredths <> 0", name="moves_points"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    card_id: Mapped[int] = mapped_column(RowId, ForeignKey("cards.id"))
    hundredths: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    idempotency_key: Mapped[str] = mapped_column(String(200), unique=True)
    made_by: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime]


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
    """One contact between a person and the house, on any channel. `keyed` is what was keyed."""

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


class Agent(Table):
    """A person at the desk. `login` is also the queue member's name in Asterisk."""

    __tablename__ = "agents"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    login: Mapped[str] = mapped_column(String(100), unique=True)
    display_name: Mapped[str]
    extension: Mapped[str | None] = mapped_column(String(20), unique=True)
    role: Mapped[Role] = mapped_column(default=Role.AGENT)
    language: Mapped[str] = mapped_column(String(20), default="en")
    password_hash: Mapped[str] = mapped_column(default="")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class AgentQueue(Table):
    """An agent may serve a queue; a lower penalty is offered calls first, as Asterisk has it."""

    __tablename__ = "agent_queues"

    agent_id: Mapped[int] = mapped_column(RowId, ForeignKey("agents.id"), primary_key=True)
    queue: Mapped[str] = mapped_column(String(100), primary_key=True)
    penalty: Mapped[int] = mapped_column(default=0)


class DeskSession(Table):
    """A signed-in browser. The token itself is only in its cookie; here is its SHA-256."""

    __tablename__ = "desk_sessions"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    agent_id: Mapped[int] = mapped_column(RowId, ForeignKey("agents.id"), index=True)
    csrf_token: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AgentStateEntry(Table):
    """One change of an agent's state, for reports of who was where when."""

    __tablename__ = "agent_state_entries"
    __table_args__ = (Index(None, "agent", "at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    agent: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(String(100), default="")
    queues: Mapped[list[str]] = mapped_column(default=list)
    at: Mapped[datetime]


class Queue(Table):
    """A queue. `overflow` is where a caller goes after `max_wait_seconds`: a queue's name,
    "voicemail" or "hangup". `titles` are by language."""

    __tablename__ = "queues"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    titles: Mapped[dict[str, str]]
    strategy: Mapped[str] = mapped_column(String(20), default="rrmemory")
    ring_seconds: Mapped[int] = mapped_column(default=20)
    wrap_up_seconds: Mapped[int] = mapped_column(default=30)
    max_wait_seconds: Mapped[int] = mapped_column(default=300)
    overflow: Mapped[str] = mapped_column(String(100), default="voicemail")
    exit_key: Mapped[str] = mapped_column(String(1), default="")
    exit_target: Mapped[str] = mapped_column(String(100), default="")
    position: Mapped[int] = mapped_column(default=0)


class Disposition(Table):
    """How an interaction was settled, as a supervisor named it."""

    __tablename__ = "dispositions"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    position: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)


class QueueDisposition(Table):
    """A disposition that a queue's wrap-up offers."""

    __tablename__ = "queue_dispositions"

    queue_id: Mapped[int] = mapped_column(RowId, ForeignKey("queues.id"), primary_key=True)
    disposition_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("dispositions.id"), primary_key=True
    )
    position: Mapped[int] = mapped_column(default=0)


class PauseReason(Table):
    __tablename__ = "pause_reasons"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    position: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)


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
