from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from crm_store import audit
from crm_store.contacts import sending
from crm_store.database import Database, async_url, create_engine
from crm_store.migrations import configuration, migrate, newest_revision, revision
from crm_store.models import Channel, Table
from crm_store.staff import agents, queues
from tests.store_fixtures import PostgresqlServer

pytestmark = pytest.mark.db


async def test_migrations_make_exactly_the_models(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        # The full-text index is each database's own, with tables that no model knows.
        options = {
            "compare_type": True,
            "include_name": lambda name, kind, _parents: (
                kind != "table" or not str(name).startswith("search_words")
            ),
        }
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Table.metadata))

    engine = create_engine(database.url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_a_migrated_database_says_so_and_migrating_again_changes_nothing(
    database_url: str,
) -> None:
    assert await revision(database_url) == newest_revision() == "0004"
    await migrate(database_url)
    assert await revision(database_url) == newest_revision()


async def test_two_nodes_migrate_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a folder/100% new.db"
    assert await revision(url) is None
    await asyncio.gather(migrate(url), migrate(url), migrate(url))
    assert await revision(url) == newest_revision()


_OF_THE_FORMER_RELEASE = """
INSERT INTO queues (name, number, titles, strategy, ring_seconds, wrap_up_seconds, max_wait_seconds,
  overflow, exit_key, exit_target, auto_answer, recording, wrap_up_extra_seconds, missed_rings,
  vip_head_start_seconds, member_head_start_seconds, preferred_agent_seconds, position)
VALUES ('sales', '600', '{}', 'rrmemory', 20, 30, 300, 'voicemail', '', '', false, 'asked', 300, 3,
  180, 60, 8, 0);
INSERT INTO agents (login, display_name, role, language, password_hash, active, phone, created_at)
VALUES ('lin', 'Lin', 'agent', 'en', '', true, 'browser', '2026-01-01 00:00:00');
INSERT INTO outbox_messages (state, channel, recipient, text, idempotency_key, written_by,
  written_at)
VALUES ('waiting', 'sms', '+8613800138000', 'x', 'k', 'lin', '2026-01-01 00:00:00')
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_rows_of_the_former_release_are_kept_and_go_on(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    if kind == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        url = await server.create_database()

    def make_the_former(connection: Connection) -> None:
        options = configuration()
        options.attributes["connection"] = connection
        command.upgrade(options, "0003")

    engine = create_engine(async_url(url))
    async with engine.begin() as connection:
        await connection.run_sync(make_the_former)
        for statement in _OF_THE_FORMER_RELEASE.split(";"):
            await connection.execute(text(statement))
    await engine.dispose()
    await migrate(url)
    database = Database(url)
    try:
        queue = await queues.find(database, "sales")
        agent = await agents.find(database, "lin")
        assert queue is not None
        assert agent is not None
        assert (queue.written_mode, queue.first_answer_minutes, queue.hours) == (
            "pull", 60, "house",
        )  # fmt: skip
        assert (agent.chats_at_once, agent.written_at_once) == (3, 8)
        async with database.transaction() as transaction:
            [claimed] = await sending.claim(transaction, Channel.SMS, "one", limit=9, lease_s=60)
        assert (claimed.text, claimed.headers, claimed.attachment_ids) == ("x", {}, [])
    finally:
        await database.close()


@pytest.mark.parametrize(
    "change", ["UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries"]
)
async def test_the_audit_cannot_be_changed(database: Database, change: str) -> None:
    async with database.transaction() as transaction:
        await audit.record(
            transaction, actor="lin", action="saw", subject_kind="customer", subject_id=7
        )
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as transaction:
            await transaction.session.execute(text(change))
    [entry] = await audit.entries(database, subject_kind="customer", subject_id=7)
    assert (entry.actor, entry.action) == ("lin", "saw")
