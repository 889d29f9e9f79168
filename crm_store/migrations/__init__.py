"""The schema's history, run by `migrate`; `revision` of a database says where it stands.

Owns the way from any earlier schema to the one in models.py. Never loses a row.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import OperationalError

from crm_store.database import async_url, create_engine

# Any number that nothing else of ours locks by.
_ADVISORY_LOCK = 5_377_225

_FIRST_OPENINGS = 50
_OPENING_AGAIN_S = 0.1


async def migrate(url: str) -> None:
    """Bring the database at `url` to the newest schema; two at once wait for each other."""
    parsed = async_url(url)
    if _is_missing(parsed):
        _folder_of(parsed).mkdir(parents=True, exist_ok=True)
    for opening in range(1, _FIRST_OPENINGS + 1):
        try:
            await _migrate(parsed)
        except OperationalError as error:
            # SQLite does not wait its busy time-out while another makes a new file a WAL one.
            if "locked" not in str(error.orig) or opening == _FIRST_OPENINGS:
                raise
            await asyncio.sleep(_OPENING_AGAIN_S)
        else:
            return


async def _migrate(parsed: URL) -> None:
    engine = create_engine(parsed)
    try:
        async with engine.begin() as connection:
            if parsed.get_backend_name() == "postgresql":
                await connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}
                )
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def revision(url: str) -> str | None:
    """The schema's revision in the database, None if it has none yet."""
    parsed = async_url(url)
    if _is_missing(parsed):
        return None
    engine = create_engine(parsed, readonly=True)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(
                lambda sync: MigrationContext.configure(sync).get_current_revision()
            )
    finally:
        await engine.dispose()


def newest_revision() -> str | None:
    """The revision that this release needs."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def configuration() -> Config:
    config = Config()
    # Alembic's options know "%" as the start of a variable.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _is_missing(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()


def _folder_of(url: URL) -> Path:
    return Path(url.database or "").parent


def _upgrade(connection: Connection) -> None:
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
