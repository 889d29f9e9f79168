"""Every channel: conversations, messages, files, rules, the outbox's way, the customers' pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "installation_secrets",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_installation_secrets")),
    )
    op.create_table(
        "inbox_rules",
        sa.Column("id", RowId, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("moment", sa.String(length=20), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_rules")),
    )
    op.create_table(
        "opt_outs",
        sa.Column("id", RowId, nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_outs")),
        sa.UniqueConstraint(
            "channel", "address", "subject", name=op.f("uq_opt_outs_channel_address_subject")
        ),
    )
    op.create_table(
        "sign_in_codes",
        sa.Column("id", RowId, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_codes")),
    )
    op.create_index(
        op.f("ix_sign_in_codes_expires_at"), "sign_in_codes", ["expires_at"], unique=False
    )
    op.create_index(
        op.f("ix_sign_in_codes_kind_value_created_at"),
        "sign_in_codes",
        ["kind", "value", "created_at"],
        unique=False,
    )
    op.create_table(
        "hall_sessions",
        sa.Column("id", RowId, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("customer_id", RowId, nullable=False),
        sa.Column("csrf_token", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_hall_sessions_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hall_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_hall_sessions_token_hash")),
    )
    op.create_index(
        op.f("ix_hall_sessions_customer_id"), "hall_sessions", ["customer_id"], unique=False
    )
    op.create_index(
        op.f("ix_hall_sessions_expires_at"), "hall_sessions", ["expires_at"], unique=False
    )
    op.create_table(
        "preferences",
        sa.Column("id", RowId, nullable=False),
        sa.Column("customer_id", RowId, nullable=False),
        sa.Column("subject", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_preferences_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preferences")),
        sa.UniqueConstraint(
            "customer_id",
            "subject",
            "channel",
            name=op.f("uq_preferences_customer_id_subject_channel"),
        ),
    )
    op.create_table(
        "conversations",
        sa.Column("id", RowId, nullable=False),
        sa.Column("interaction_id", RowId, nullable=False),
        sa.Column("customer_id", RowId, nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("our_address", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("queue", sa.String(length=100), nullable=True),
        sa.Column("assigned_to", sa.String(length=100), nullable=True),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_message_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_answer_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("merged_into", RowId, nullable=True),
        sa.Column("moved", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_conversations_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["interaction_id"], ["interactions.id"], name=op.f("fk_conversations_interaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
        sa.UniqueConstraint("interaction_id", name=op.f("uq_conversations_interaction_id")),
    )
    op.create_index(
        op.f("ix_conversations_assigned_to_state"),
        "conversations",
        ["assigned_to", "state"],
        unique=False,
    )
    op.create_index(
        op.f("ix_conversations_channel_address"),
        "conversations",
        ["channel", "address"],
        unique=False,
    )
    op.create_index(
        op.f("ix_conversations_customer_id_last_message_at"),
        "conversations",
        ["customer_id", "last_message_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_conversations_state_last_message_at"),
        "conversations",
        ["state", "last_message_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_conversations_last_message_at"),
        "conversations",
        ["last_message_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_conversations_state_queue_priority"),
        "conversations",
        ["state", "queue", "priority"],
        unique=False,
    )
    op.create_table(
        "chat_sessions",
        sa.Column("id", RowId, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", RowId, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mail", sa.Text(), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("topic", sa.String(length=100), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("page_title", sa.Text(), nullable=False),
        sa.Column("seen_message_id", sa.BigInteger(), nullable=False),
        sa.Column("carried_message_id", sa.BigInteger(), nullable=False),
        sa.Column("proof_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("customer_id", RowId, nullable=True),
        sa.Column("consent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("transcript_to", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_chat_sessions_conversation_id")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_chat_sessions_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_chat_sessions_token_hash")),
    )
    op.create_index(
        op.f("ix_chat_sessions_conversation_id"), "chat_sessions", ["conversation_id"], unique=False
    )
    op.create_index(
        op.f("ix_chat_sessions_customer_id"), "chat_sessions", ["customer_id"], unique=False
    )
    op.create_index(op.f("ix_chat_sessions_seen_at"), "chat_sessions", ["seen_at"], unique=False)
    op.create_table(
        "identity_suggestions",
        sa.Column("id", RowId, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("conversation_id", RowId, nullable=True),
        sa.Column("customer_id", RowId, nullable=False),
        sa.Column("other_id", RowId, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=100), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_identity_suggestions_conversation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_identity_suggestions_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["other_id"], ["customers.id"], name=op.f("fk_identity_suggestions_other_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_suggestions")),
    )
    op.create_index(
        op.f("ix_identity_suggestions_conversation_id"),
        "identity_suggestions",
        ["conversation_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_identity_suggestions_customer_id_state"),
        "identity_suggestions",
        ["customer_id", "state"],
        unique=False,
    )
    op.create_index(
        op.f("ix_identity_suggestions_other_id"), "identity_suggestions", ["other_id"], unique=False
    )
    op.create_table(
        "messages",
        sa.Column("id", RowId, nullable=False),
        sa.Column("conversation_id", RowId, nullable=False),
        sa.Column("direction", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("external_key", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("sender_name", sa.Text(), nullable=False),
        sa.Column("recipients", sa.JSON(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("quoted", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("raw_file", sa.Text(), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("automatic", sa.String(length=20), nullable=False),
        sa.Column("is_authenticated", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_messages_conversation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint(
            "channel", "external_key", name=op.f("uq_messages_channel_external_key")
        ),
    )
    op.create_index(
        op.f("ix_messages_conversation_id_at"), "messages", ["conversation_id", "at"], unique=False
    )
    op.create_index(
        "ix_messages_message_id",
        "messages",
        ["message_id"],
        unique=False,
        postgresql_where=sa.text("message_id <> ''"),
        sqlite_where=sa.text("message_id <> ''"),
    )
    op.create_table(
        "attachments",
        sa.Column("id", RowId, nullable=False),
        sa.Column("message_id", RowId, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("content_id", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("uploaded_by", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_attachments_message_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
    )
    op.create_index(op.f("ix_attachments_message_id"), "attachments", ["message_id"], unique=False)
    op.create_index(op.f("ix_attachments_sha256"), "attachments", ["sha256"], unique=False)
    op.create_table(
        "mentions",
        sa.Column("message_id", RowId, nullable=False),
        sa.Column("agent", sa.String(length=100), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_mentions_message_id")
        ),
        sa.PrimaryKeyConstraint("message_id", "agent", name=op.f("pk_mentions")),
    )
    op.create_index(
        op.f("ix_mentions_agent_seen_at"), "mentions", ["agent", "seen_at"], unique=False
    )
    op.create_table(
        "answer_drafts",
        sa.Column("conversation_id", RowId, nullable=False),
        sa.Column("agent", sa.String(length=100), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("attachment_ids", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_answer_drafts_conversation_id"),
        ),
        sa.PrimaryKeyConstraint("conversation_id", "agent", name=op.f("pk_answer_drafts")),
    )
    _widen_what_there_is()


def _widen_what_there_is() -> None:
    op.add_column("customers", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "agents", sa.Column("chats_at_once", sa.Integer(), nullable=False, server_default="3")
    )
    op.add_column(
        "agents", sa.Column("written_at_once", sa.Integer(), nullable=False, server_default="8")
    )
    op.add_column(
        "contact_points",
        sa.Column("trouble", sa.String(length=20), nullable=False, server_default=""),
    )
    op.add_column(
        "contact_points", sa.Column("trouble_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "contact_points", sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "contact_points",
        sa.Column("proven_by", sa.String(length=100), nullable=False, server_default=""),
    )
    op.add_column(
        "outbox_messages", sa.Column("our_address", sa.Text(), nullable=False, server_default="")
    )
    op.add_column(
        "outbox_messages", sa.Column("subject", sa.Text(), nullable=False, server_default="")
    )
    op.add_column(
        "outbox_messages", sa.Column("html", sa.Text(), nullable=False, server_default="")
    )
    op.add_column(
        "outbox_messages", sa.Column("headers", sa.JSON(), nullable=False, server_default="{}")
    )
    op.add_column(
        "outbox_messages",
        sa.Column("language", sa.String(length=20), nullable=False, server_default=""),
    )
    op.add_column(
        "outbox_messages",
        sa.Column("attachment_ids", sa.JSON(), nullable=False, server_default="[]"),
    )
    op.add_column(
        "outbox_messages",
        sa.Column("purpose", sa.String(length=20), nullable=False, server_default="notice"),
    )
    op.add_column(
        "outbox_messages", sa.Column("precedence", sa.Integer(), nullable=False, server_default="1")
    )
    op.add_column(
        "outbox_messages",
        sa.Column(
            "message_id",
            RowId,
            sa.ForeignKey("messages.id", name=op.f("fk_outbox_messages_message_id")),
            nullable=True,
        ),
        inline_references=True,
    )
    op.add_column(
        "outbox_messages",
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default="2000-01-01 00:00:00.000000",
        ),
    )
    op.add_column(
        "outbox_messages", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "outbox_messages",
        sa.Column("claimed_by", sa.String(length=100), nullable=False, server_default=""),
    )
    op.add_column(
        "outbox_messages", sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "outbox_messages", sa.Column("provider_id", sa.Text(), nullable=False, server_default="")
    )
    op.add_column(
        "outbox_messages", sa.Column("error", sa.Text(), nullable=False, server_default="")
    )
    op.add_column("outbox_messages", sa.Column("segments", sa.Integer(), nullable=True))
    op.add_column("outbox_messages", sa.Column("cost_micros", sa.BigInteger(), nullable=True))
    op.add_column(
        "outbox_messages",
        sa.Column("cost_currency", sa.String(length=3), nullable=False, server_default=""),
    )
    op.add_column(
        "outbox_messages", sa.Column("repeats", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "outbox_messages",
        sa.Column("is_secret", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "outbox_messages", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "outbox_messages", sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.drop_index(
        op.f("ix_outbox_messages_waiting"),
        table_name="outbox_messages",
        sqlite_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_outbox_messages_waiting",
        "outbox_messages",
        ["channel", "precedence", "due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_outbox_messages_undecided",
        "outbox_messages",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('failed', 'uncertain')"),
        sqlite_where=sa.text("state IN ('failed', 'uncertain')"),
    )
    op.create_index(
        op.f("ix_outbox_messages_message_id"), "outbox_messages", ["message_id"], unique=False
    )
    op.create_index(
        "ix_outbox_messages_provider_id",
        "outbox_messages",
        ["provider_id"],
        unique=False,
        postgresql_where=sa.text("provider_id <> ''"),
        sqlite_where=sa.text("provider_id <> ''"),
    )
    op.create_index(
        "ix_outbox_messages_sending",
        "outbox_messages",
        ["channel", "claimed_until"],
        unique=False,
        postgresql_where=sa.text("state = 'sending'"),
        sqlite_where=sa.text("state = 'sending'"),
    )
    op.create_table(
        "sms_parts",
        sa.Column("id", RowId, nullable=False),
        sa.Column("sender", sa.String(length=40), nullable=False),
        sa.Column("our_address", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data_coding", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sms_parts")),
        sa.UniqueConstraint(
            "sender",
            "our_address",
            "reference",
            "total",
            "number",
            name=op.f("uq_sms_parts_sender_our_address_reference_total_number"),
        ),
    )
    op.create_index(op.f("ix_sms_parts_at"), "sms_parts", ["at"], unique=False)
    op.add_column(
        "queues",
        sa.Column("written_mode", sa.String(length=10), nullable=False, server_default="pull"),
    )
    op.add_column(
        "queues",
        sa.Column("first_answer_minutes", sa.Integer(), nullable=False, server_default="60"),
    )
    op.add_column(
        "queues",
        sa.Column("resolution_minutes", sa.Integer(), nullable=False, server_default="1440"),
    )
    op.add_column(
        "queues",
        sa.Column("chat_first_answer_seconds", sa.Integer(), nullable=False, server_default="60"),
    )
    op.add_column(
        "queues", sa.Column("hours", sa.String(length=100), nullable=False, server_default="house")
    )
    op.add_column(
        "script_versions", sa.Column("published_by", sa.String(length=100), nullable=True)
    )
    op.drop_index("ix_customers_merged_into", table_name="customers")
    op.create_index(
        "ix_customers_merged_into",
        "customers",
        ["merged_into"],
        unique=False,
        postgresql_where=sa.text("merged_into IS NOT NULL"),
        sqlite_where=sa.text("merged_into IS NOT NULL"),
    )
    _mark_contacts()


def _mark_contacts() -> None:
    """What is indexed of contacts gets the marks of its channel and agent (text_search.py)."""
    if op.get_bind().dialect.name == "sqlite":
        # In front: the mark of whose it is stands last.
        op.execute(
            """UPDATE search_words SET words = (
                SELECT '¶channel' || i.channel || ' ¶ '
                    || CASE WHEN coalesce(i.agent, '') = '' THEN ''
                       ELSE '¶agent' || lower(hex(i.agent)) || ' ¶ ' END || search_words.words
                FROM search_entries e JOIN interactions i ON i.id = e.row_id
                WHERE e.id = search_words.rowid)
            WHERE rowid IN (SELECT e.id FROM search_entries e
                JOIN interactions i ON i.id = e.row_id WHERE e.kind = 'interaction')"""
        )
        return
    op.execute(
        """UPDATE search_words SET words = words || array_to_tsvector(
            ARRAY['¶channel' || i.channel] || CASE WHEN coalesce(i.agent, '') = ''
            THEN ARRAY[]::text[]
            ELSE ARRAY['¶agent' || encode(convert_to(i.agent, 'UTF8'), 'hex')] END)
        FROM search_entries e JOIN interactions i ON i.id = e.row_id
        WHERE e.id = search_words.id AND e.kind = 'interaction'"""
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before this release")
