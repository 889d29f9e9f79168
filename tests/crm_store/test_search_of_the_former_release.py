"""What was indexed by the release before channels could be chosen is found by them all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection

from crm_store import text_search
from crm_store.database import Database, async_url, create_engine
from crm_store.migrations import configuration, migrate
from crm_store.models import Channel
from crm_store.people import customers, name_index
from crm_store.text_search import EntryKind
from tests.store_fixtures import PostgresqlServer

pytestmark = pytest.mark.db

ROWS = """
INSERT INTO customers (id, name, name_folded, language, segment, notes, created_at, updated_at)
VALUES (7, 'Wang', 'wang', 'zh', 'ordinary', '', '2026-01-01 00:00:00', '2026-01-01 00:00:00'),
(8, 'Lin', 'lin', 'zh', 'ordinary', '', '2026-01-01 00:00:00', '2026-01-01 00:00:00');
INSERT INTO interactions
(id, customer_id, channel, direction, agent, summary, note, address, keyed, opened_at)
VALUES (5, 7, 'phone', 'inbound', 'lin', 'tea', '', '', '[]', '2026-01-01 00:00:00');
INSERT INTO search_entries (id, kind, row_id, customer_id, at)
VALUES (29649125611929680, 'interaction', 5, 7, '2026-01-01 00:00:00')
"""
WORDS = {
    "sqlite": "INSERT INTO search_words (rowid, words)"
    " VALUES (29649125611929680, 'tea ¶ ¶interaction ¶ ¶customer7')",
    "postgresql": "INSERT INTO search_words (id, words)"
    " VALUES (29649125611929680, $$'tea':1 '¶interaction':3 '¶customer7':5$$::tsvector)",
}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_contacts_are_found_by_channel_and_agent_and_go_along_with_their_customer(
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
        for statement in (*ROWS.split(";"), WORDS[kind]):
            await connection.exec_driver_sql(statement)
    await engine.dispose()
    await migrate(url)
    database = Database(url)
    try:
        marks = [[text_search.channel_mark(Channel.PHONE)], [text_search.agent_mark("lin")]]
        [found] = await text_search.search(database, "tea", marks=marks)
        assert (found.kind, found.row_id) == (EntryKind.INTERACTION, 5)
        async with database.transaction() as transaction:
            await text_search.assign(transaction, EntryKind.INTERACTION, [5], 8)
        assert await text_search.search(database, "tea", customer_ids=[7]) == []
        assert len(await text_search.search(database, "tea", customer_ids=[8], marks=marks)) == 1
        assert await name_index.index_missing_names(database) == 2
        assert [one.id for one in await customers.search_by_name(database, "wang")] == [7]
    finally:
        await database.close()
