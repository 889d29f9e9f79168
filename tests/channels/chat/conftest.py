"""The chat's stage, on each kind of database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crm_store.database import Database
from tests.channels.chat.chat_stage import ChatStage, chat_stage, people
from tests.store_fixtures import (
    database,
    database_url,
    open_database,
    postgresql_server,
    sqlite_template,
)

__all__ = ["database", "database_url", "open_database", "postgresql_server", "sqlite_template"]


@pytest.fixture
async def ids(database: Database) -> dict[str, int]:
    return await people(database)


@pytest.fixture
async def stage(
    database: Database, ids: dict[str, int], tmp_path: Path
) -> AsyncIterator[ChatStage]:
    async with chat_stage(database, tmp_path) as running:
        yield running
