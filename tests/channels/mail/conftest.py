"""A real inbox on a real store, and the servers that mails come from and go to."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.mail.intake import MailIntake
from crm_store.database import Database
from tests.channels.mail.dovecot import Dovecot

SHOP = "service@mall.example"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    """One server for the module; each test takes a user of its own."""
    # pytest's folders are their owner's only, and Dovecot runs as nobody when we are root.
    with tempfile.TemporaryDirectory(prefix="deskbell-dovecot-") as folder:
        server = Dovecot(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
async def intake(sqlite_database: Database, tmp_path: Path) -> AsyncIterator[MailIntake]:
    inbox = Inbox(sqlite_database, AttachmentFiles(tmp_path / "files"), own_addresses=[SHOP])
    yield MailIntake(inbox.receive, sqlite_database, our_addresses=[SHOP, "orders@mall.example"])
    await inbox.close()
