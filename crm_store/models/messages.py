"""What is written: conversations and their messages, files, rules, and who wants what; and the
customers' own sessions in the hall and in chats.

Owns the tables' form; the rules are in the module named for each noun.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from crm_store.models.columns import (
    AttachmentState,
    Channel,
    ContactKind,
    ConversationState,
    MessageState,
    Purpose,
    RowId,
    RuleMoment,
    SuggestionState,
    Table,
)
from crm_store.signals import Direction


class Conversation(Table):
    """Written contact with one person until it is settled, over any number of channels.

    `channel` and `address` are where they last wrote, and where answers go. `priority` is the place
    in its queue, as `queue_places` has it: the higher is served first. `waiting_since` is the
    moment of the first message of theirs that nobody has answered. `version` grows by one with
    each change, so that two who change at once are told. One that was merged into another has no
    messages of its own; `moved` are the rows that went along, by table.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        Index(None, "state", "queue", "priority"),
        Index(None, "assigned_to", "state"),
        Index(None, "customer_id", "last_message_at"),
        Index(None, "channel", "address"),
        Index(None, "state", "last_message_at"),
        Index(None, "last_message_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    interaction_id: Mapped[int] = mapped_column(RowId, ForeignKey("interactions.id"), unique=True)
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    subject: Mapped[str] = mapped_column(default="")
    channel: Mapped[Channel]
    address: Mapped[str] = mapped_column(default="")
    our_address: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(String(20), default="")
    state: Mapped[ConversationState] = mapped_column(default=ConversationState.OPEN)
    queue: Mapped[str | None] = mapped_column(String(100))
    assigned_to: Mapped[str | None] = mapped_column(String(100))
    priority: Mapped[int] = mapped_column(BigInteger)
    tags: Mapped[list[str]] = mapped_column(default=list)
    preview: Mapped[str] = mapped_column(default="")
    opened_at: Mapped[datetime]
    last_message_at: Mapped[datetime]
    waiting_since: Mapped[datetime | None]
    first_answer_due_at: Mapped[datetime | None]
    first_answered_at: Mapped[datetime | None]
    resolution_due_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    snoozed_until: Mapped[datetime | None]
    merged_into: Mapped[int | None] = mapped_column(RowId)
    moved: Mapped[dict[str, list[int]]] = mapped_column(default=dict)
    version: Mapped[int] = mapped_column(default=1)


class Message(Table):
    """One thing that was written, in or out; an internal one is an agent's note.

    `external_key` is what the other side calls it, unique within its channel. `text` is without
    what was quoted; `html` is cleaned already. `author` is a login, "" for the customer, "system"
    for a rule. `automatic` is "", "auto_reply", "list", "bounce" or "complaint" of theirs, "rule"
    of ours. `raw_file` is relative to the attachments' folder.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("channel", "external_key"),
        Index(None, "conversation_id", "at"),
        Index(
            "ix_messages_message_id",
            "message_id",
            postgresql_where=text("message_id <> ''"),
            sqlite_where=text("message_id <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    conversation_id: Mapped[int] = mapped_column(RowId, ForeignKey("conversations.id"))
    direction: Mapped[Direction]
    channel: Mapped[Channel]
    external_key: Mapped[str | None]
    message_id: Mapped[str] = mapped_column(default="")
    author: Mapped[str] = mapped_column(String(100), default="")
    sender: Mapped[str] = mapped_column(default="")
    sender_name: Mapped[str] = mapped_column(default="")
    recipients: Mapped[list[str]] = mapped_column(default=list)
    subject: Mapped[str] = mapped_column(default="")
    text: Mapped[str] = mapped_column(default="")
    quoted: Mapped[str] = mapped_column(default="")
    html: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(String(20), default="")
    at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    raw_file: Mapped[str] = mapped_column(default="")
    problems: Mapped[list[str]] = mapped_column(default=list)
    automatic: Mapped[str] = mapped_column(String(20), default="")
    is_authenticated: Mapped[bool | None]


class Attachment(Table):
    """A file of a message; without a message it is an agent's upload that is not sent yet.

    `media_type` is what the content is, not what the sender called it. `file` is relative to the
    attachments' folder and named by the content, so several rows may share one; a refused one has
    none.
    """

    __tablename__ = "attachments"
    __table_args__ = (Index(None, "sha256"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    message_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("messages.id"), index=True)
    name: Mapped[str]
    media_type: Mapped[str] = mapped_column(String(200))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    file: Mapped[str] = mapped_column(default="")
    content_id: Mapped[str] = mapped_column(default="")
    state: Mapped[AttachmentState] = mapped_column(default=AttachmentState.OK)
    reason: Mapped[str] = mapped_column(default="")
    uploaded_by: Mapped[str] = mapped_column(String(100), default="")
    created_at: Mapped[datetime]


class OutboxMessage(Table):
    """A message that is to go out. `recipient` is what the channel needs: E.164, an address.

    `headers` are a mail's own beside the usual ones. The lower `precedence` goes first. While it is
    being sent, it is `claimed_by` a worker until `claimed_until`. `repeats` counts the times it was
    sent without knowing whether an earlier one arrived. Costs are in millionths of the currency.
    """

    __tablename__ = "outbox_messages"
    __table_args__ = (
        Index(None, "customer_id", "written_at"),
        Index(
            "ix_outbox_messages_waiting",
            "channel",
            "precedence",
            "due_at",
            postgresql_where=text("state = 'waiting'"),
            sqlite_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_outbox_messages_sending",
            "channel",
            "claimed_until",
            postgresql_where=text("state = 'sending'"),
            sqlite_where=text("state = 'sending'"),
        ),
        Index(
            "ix_outbox_messages_undecided",
            "id",
            postgresql_where=text("state IN ('failed', 'uncertain')"),
            sqlite_where=text("state IN ('failed', 'uncertain')"),
        ),
        Index(None, "message_id"),
        Index(
            "ix_outbox_messages_provider_id",
            "provider_id",
            postgresql_where=text("provider_id <> ''"),
            sqlite_where=text("provider_id <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    state: Mapped[MessageState] = mapped_column(default=MessageState.WAITING)
    channel: Mapped[Channel]
    recipient: Mapped[str]
    our_address: Mapped[str] = mapped_column(default="")
    subject: Mapped[str] = mapped_column(default="")
    text: Mapped[str]
    html: Mapped[str] = mapped_column(default="")
    headers: Mapped[dict[str, str]] = mapped_column(default=dict)
    language: Mapped[str] = mapped_column(String(20), default="")
    attachment_ids: Mapped[list[int]] = mapped_column(default=list)
    purpose: Mapped[Purpose] = mapped_column(default=Purpose.NOTICE)
    precedence: Mapped[int] = mapped_column(default=1)
    idempotency_key: Mapped[str] = mapped_column(String(200), unique=True)
    message_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("messages.id"))
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    interaction_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("interactions.id"))
    written_by: Mapped[str] = mapped_column(String(100))
    written_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str] = mapped_column(String(100), default="")
    claimed_until: Mapped[datetime | None]
    provider_id: Mapped[str] = mapped_column(default="")
    error: Mapped[str] = mapped_column(default="")
    segments: Mapped[int | None]
    cost_micros: Mapped[int | None] = mapped_column(BigInteger)
    cost_currency: Mapped[str] = mapped_column(String(3), default="")
    repeats: Mapped[int] = mapped_column(default=0)
    is_secret: Mapped[bool] = mapped_column(default=False)
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]


class Mention(Table):
    """An agent (login) was named in a note."""

    __tablename__ = "mentions"
    __table_args__ = (Index(None, "agent", "seen_at"),)

    message_id: Mapped[int] = mapped_column(RowId, ForeignKey("messages.id"), primary_key=True)
    agent: Mapped[str] = mapped_column(String(100), primary_key=True)
    seen_at: Mapped[datetime | None]


class AnswerDraft(Table):
    """What an agent has half written in a conversation: an answer, a note to colleagues, or both.
    `channel` is "" for where the customer last wrote."""

    __tablename__ = "answer_drafts"

    conversation_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("conversations.id"), primary_key=True
    )
    agent: Mapped[str] = mapped_column(String(100), primary_key=True)
    answer: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    channel: Mapped[str] = mapped_column(String(20), default="")
    attachment_ids: Mapped[list[int]] = mapped_column(default=list)
    saved_at: Mapped[datetime]


class InboxRule(Table):
    """When ... if all `conditions` hold ... then do the `actions`, in the order of `position`.
    `before` is what it was before its last change, for whoever takes that back."""

    __tablename__ = "inbox_rules"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str]
    position: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=False)
    moment: Mapped[RuleMoment]
    conditions: Mapped[list[dict[str, Any]]]
    actions: Mapped[list[dict[str, Any]]]
    made_by: Mapped[str] = mapped_column(String(100))
    changed_at: Mapped[datetime]
    hits: Mapped[int] = mapped_column(BigInteger, default=0)
    before: Mapped[dict[str, Any]] = mapped_column(default=dict)


class OptOut(Table):
    """An address that wants nothing more of a subject; "" is all of them."""

    __tablename__ = "opt_outs"
    __table_args__ = (UniqueConstraint("channel", "address", "subject"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    channel: Mapped[Channel]
    address: Mapped[str]
    subject: Mapped[str] = mapped_column(String(20), default="")
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(default="")


class Preference(Table):
    """Whether a customer wants to be told of a subject on a channel."""

    __tablename__ = "preferences"
    __table_args__ = (UniqueConstraint("customer_id", "subject", "channel"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"))
    subject: Mapped[str] = mapped_column(String(20))
    channel: Mapped[Channel]
    allowed: Mapped[bool]
    changed_at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(100))


class SignInCode(Table):
    """A code that was sent to a telephone or a mail address; only its digest is here.

    `purpose` is "hall" (who gives it is signed in) or "proof" (the address is theirs).
    """

    __tablename__ = "sign_in_codes"
    __table_args__ = (Index(None, "kind", "value", "created_at"), Index(None, "expires_at"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[ContactKind]
    value: Mapped[str]
    code_hash: Mapped[str] = mapped_column(String(64))
    purpose: Mapped[str] = mapped_column(String(20))
    expires_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class HallSession(Table):
    """A customer signed in to the hall. The token itself is only in its cookie."""

    __tablename__ = "hall_sessions"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    customer_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"), index=True)
    csrf_token: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    seen_at: Mapped[datetime]


class ChatSession(Table):
    """A visitor of a chat, with what they told of themselves. `customer_id` only when proven;
    `transcript_to` is the mail address that asked for the transcript.

    `topic` is the queue they chose. Messages up to `seen_message_id` they have seen, up to
    `carried_message_id` were sent after them by mail or SMS. An agent asked them to prove who they
    are at `proof_asked_at`; once they have, it is empty again.
    """

    __tablename__ = "chat_sessions"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    conversation_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("conversations.id"), index=True
    )
    name: Mapped[str] = mapped_column(default="")
    mail: Mapped[str] = mapped_column(default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    language: Mapped[str] = mapped_column(String(20), default="en")
    topic: Mapped[str] = mapped_column(String(100), default="")
    page: Mapped[str] = mapped_column(default="")
    page_title: Mapped[str] = mapped_column(default="")
    seen_message_id: Mapped[int] = mapped_column(BigInteger, default=0)
    carried_message_id: Mapped[int] = mapped_column(BigInteger, default=0)
    proof_asked_at: Mapped[datetime | None]
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"), index=True)
    consent_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    left_at: Mapped[datetime | None]
    transcript_to: Mapped[str] = mapped_column(default="")


class IdentitySuggestion(Table):
    """Somebody may be somebody: a conversation's other party is `customer_id` (`kind`
    "conversation"), or `other_id` is the same person as `customer_id` ("customers")."""

    __tablename__ = "identity_suggestions"
    __table_args__ = (
        Index(None, "conversation_id"),
        Index(None, "customer_id", "state"),
        Index(None, "other_id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    conversation_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("conversations.id"))
    customer_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"))
    other_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    reason: Mapped[str]
    state: Mapped[SuggestionState] = mapped_column(default=SuggestionState.OPEN)
    at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(String(100))
    decided_at: Mapped[datetime | None]


class SmsPart(Table):
    """A part of a long SMS whose other parts are on their way; it goes when the message is whole.

    `content` is what was carried, in hexadecimal digits.
    """

    __tablename__ = "sms_parts"
    __table_args__ = (UniqueConstraint("sender", "our_address", "reference", "total", "number"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    sender: Mapped[str] = mapped_column(String(40))
    our_address: Mapped[str] = mapped_column(String(40))
    reference: Mapped[int]
    total: Mapped[int]
    number: Mapped[int]
    data_coding: Mapped[int]
    content: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)
