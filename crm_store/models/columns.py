"""What all tables share: their base, types of columns, and the words that stand in them.

Owns how a moment, an enumeration and a row's number are kept alike on both databases. Knows no
table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer, MetaData, Text
from sqlalchemy.orm import DeclarativeBase
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


class PhoneKind(StrEnum):
    """Where an agent telephones: in the desk's own page, or at a telephone on the desk."""

    BROWSER = "browser"
    DESK = "desk"


class RecordingPolicy(StrEnum):
    """Whether a queue's calls are recorded: never, when the agent asks for it, or always."""

    NEVER = "never"
    ASKED = "asked"
    ALWAYS = "always"


class TaskKind(StrEnum):
    """A callback is a task with a number to call."""

    TASK = "task"
    CALLBACK = "callback"


class TaskState(StrEnum):
    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class VisitState(StrEnum):
    PLANNED = "planned"
    HELD = "held"
    CANCELLED = "cancelled"


class OrderState(StrEnum):
    """Where an order is: being made ready, on its way or waiting to be picked up, or over."""

    PLACED = "placed"
    RESERVED = "reserved"
    PACKED = "packed"
    SHIPPED = "shipped"
    READY = "ready"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"


class CallbackState(StrEnum):
    """A waiting callback has its place only here, a joined one in Asterisk's queue too; an answered
    one has its agent, and the customer is being dialled. The others are over: given up means that a
    person must see to it."""

    WAITING = "waiting"
    JOINED = "joined"
    ANSWERED = "answered"
    DONE = "done"
    GIVEN_UP = "given_up"
    TAKEN_OVER = "taken_over"
    CANCELLED = "cancelled"


class MessageState(StrEnum):
    """A message in the outbox waits, is being handed on, was accepted by the other side, reached
    its reader, or could not be sent. An uncertain one may have been sent: a person decides."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    CANCELLED = "cancelled"


class Purpose(StrEnum):
    """Why a message goes out; a code goes before everything, a promotion after everything."""

    ANSWER = "answer"
    NOTICE = "notice"
    CODE = "code"
    PROMOTION = "promotion"
    AUTOMATIC = "automatic"
    TRANSCRIPT = "transcript"
    NOTE = "note"


class ConversationState(StrEnum):
    """An open conversation is ours to answer, a waiting one the customer's; a snoozed one comes
    back by itself."""

    OPEN = "open"
    WAITING = "waiting"
    SNOOZED = "snoozed"
    CLOSED = "closed"
    SPAM = "spam"


class AttachmentState(StrEnum):
    OK = "ok"
    REFUSED = "refused"


class RuleMoment(StrEnum):
    """When an inbox rule is asked: a message came, nobody has answered in time, it was closed."""

    RECEIVED = "received"
    UNANSWERED = "unanswered"
    CLOSED = "closed"


class SuggestionState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"


class Severity(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class MoveKind(StrEnum):
    """Two customers became one, or part of one became another."""

    MERGE = "merge"
    SPLIT = "split"


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
        dict[str, dict[str, str]]: JSON(),
        dict[str, list[int]]: JSON(),
        list[dict[str, Any]]: JSON(),
        list[str]: JSON(),
        list[int]: JSON(),
        Segment: _stored(Segment),
        Channel: _stored(Channel),
        ContactKind: _stored(ContactKind),
        Role: _stored(Role),
        CallState: _stored(CallState),
        CallbackState: _stored(CallbackState),
        MessageState: _stored(MessageState),
        Purpose: _stored(Purpose),
        ConversationState: _stored(ConversationState),
        AttachmentState: _stored(AttachmentState),
        RuleMoment: _stored(RuleMoment),
        SuggestionState: _stored(SuggestionState),
        OrderState: _stored(OrderState),
        JobState: _stored(JobState),
        Direction: _stored(Direction),
        MoveKind: _stored(MoveKind),
        PhoneKind: _stored(PhoneKind),
        RecordingPolicy: _stored(RecordingPolicy),
        Severity: _stored(Severity),
        TaskKind: _stored(TaskKind),
        TaskState: _stored(TaskState),
        VisitState: _stored(VisitState),
    }
