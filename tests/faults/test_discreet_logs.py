"""The most talkative log has no customer's data in it, not even when the database refuses them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from crm_store.database import Database
from crm_store.models import ContactKind, Customer
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from deskbell import log
from deskbell.settings import LogSettings
from tests.store_fixtures import (
    database,
    database_url,
    open_database,
    postgresql_server,
    sqlite_template,
)

pytestmark = pytest.mark.db
__all__ = ["database", "database_url", "open_database", "postgresql_server", "sqlite_template"]

NAME = "Petronella Unverwechselbar"
NUMBER = "+442079460999"


@pytest.fixture(params=["text", "json"])
def talkative(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """The service's own log at DEBUG, and what it writes."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hushed = {name: logging.getLogger(name).level for name in ("aiosqlite", "alembic")}
    log.set_up(LogSettings.model_validate({"level": "DEBUG", "format": request.param}))
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    yield written
    root.handlers[:], root.level = handlers, level
    for name, former in hushed.items():
        logging.getLogger(name).setLevel(former)


async def test_no_customers_data_at_debug(database: Database, talkative: io.StringIO) -> None:
    new = NewCustomer(NAME, "en", contact_points=[ContactWay(ContactKind.PHONE, NUMBER)])
    async with database.transaction() as transaction:
        number = await customers.create(transaction, new, actor="import")
    # The same row once more: the database says what it refuses.
    try:
        async with database.transaction() as transaction:
            row = {"id": number, "name": NAME, "name_folded": NAME, "language": "en"}
            await transaction.session.execute(insert(Customer).values(row))
    except IntegrityError:
        logging.getLogger("deskbell.test").exception("refused")
    said = talkative.getvalue()
    assert "refused" in said
    assert "IntegrityError" in said
    for secret in (NAME, NUMBER, "DETAIL", "[parameters"):
        assert secret not in said
