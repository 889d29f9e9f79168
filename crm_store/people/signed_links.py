"""Signed links: a text for an address that only this installation can have made.

Owns the form of the token, for how long it holds, and the installation's secret, drawn once and
kept in the store. A token says what it is for: one that was made for one purpose is worth nothing
for another. It is signed and not sealed: whoever has it can read what it says. Knows no pages.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from crm_store.database import Database, Transaction
from crm_store.models import InstallationSecret

OPT_OUT = "opt_out"
"""Says {"channel", "address", "subject"}: that address wants no more of it ("" is everything)."""

OPT_OUT_HOLDS = timedelta(days=730)
"""Mails are kept for long, and their links are to work as long."""

LONGEST_TOKEN = 3_000
_SIGNATURE_BYTES = 16
_NAME = "signed_links"

Says = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes and reads tokens. It holds the secret: never log one."""

    secret: bytes

    def __repr__(self) -> str:
        return "Signer()"

    def sign(self, purpose: str, says: Says, holds: timedelta, now: datetime | None = None) -> str:
        """A token that says this for so long; letters that need no quoting in an address."""
        until = int(((now or datetime.now(UTC)) + holds).timestamp())
        content = orjson.dumps([until, dict(says)], option=orjson.OPT_SORT_KEYS)
        return f"{_text(content)}.{_text(self._signature(purpose, content))}"

    def read(
        self, purpose: str, token: str, now: datetime | None = None
    ) -> dict[str, str | int] | None:
        """What the token says; None if we did not make it for that purpose, or it is too old."""
        content, signature = map(_bytes, token[:LONGEST_TOKEN].partition(".")[::2])
        if not hmac.compare_digest(self._signature(purpose, content), signature):
            return None
        # One spelling only: the last letter of each part has bits that say nothing.
        if f"{_text(content)}.{_text(signature)}" != token:
            return None
        until, says = orjson.loads(content)
        return says if until > (now or datetime.now(UTC)).timestamp() else None

    def _signature(self, purpose: str, content: bytes) -> bytes:
        signed = purpose.encode() + b"\0" + content
        return hmac.digest(self.secret, signed, "sha256")[:_SIGNATURE_BYTES]


async def signer(database: Database) -> Signer:
    """The installation's signer; its secret is drawn when it is asked for first.

    Not to be asked for within a transaction: it may write in one of its own.
    """
    rows = await database.fetch("SELECT value FROM installation_secrets WHERE name = $1", _NAME)
    if rows:
        return Signer(bytes.fromhex(rows[0][0]))

    async def draw(transaction: Transaction) -> str:
        session = transaction.session
        make = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
        await session.execute(
            make(InstallationSecret)
            .values(name=_NAME, value=secrets.token_hex(32), created_at=datetime.now(UTC))
            .on_conflict_do_nothing(index_elements=["name"])
        )
        # Another process may have drawn at the same time: the one that is kept counts.
        kept = select(InstallationSecret.value).where(InstallationSecret.name == _NAME)
        return (await session.execute(kept)).scalar_one()

    return Signer(bytes.fromhex(await database.run(draw)))


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
