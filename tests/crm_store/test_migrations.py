from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from crm_store import audit
from crm_store.database import Database, create_engine
from crm_store.migrations import migrate, newest_revision, revision
from crm_store.models import Table

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
