"""A mail's way from its bytes into the inbox, whoever received it.

Owns that a mail which cannot be read or stored as it is is kept all the same, that a server's
report is put to the mail of ours that it is about, and that who unsubscribes by mail is heard.
Refuses to know IMAP and SMTP: they call `take` and say "ok" to the other side after it returned.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy.exc import InterfaceError, OperationalError

from channels.incoming import Incoming, Received
from channels.mail import bounces, letters, parsing
from channels.mail.mail_headers import BOUNCE, COMPLAINT
from crm_store import audit
from crm_store.database import Database
from crm_store.models import Channel
from crm_store.people import preferences
from crm_store.people.preferences import Subject

log = logging.getLogger(__name__)

_PARSED_AT_ONCE = 20_000

Receive = Callable[[Incoming], Awaitable[Received]]


class MailIntake:
    """Takes mails for `our_addresses`; `receive` is the inbox's.

    `checked_by` is the server whose word on a sender counts (Authentication-Results), "" for none.
    """

    def __init__(
        self,
        receive: Receive,
        database: Database,
        *,
        our_addresses: Sequence[str],
        checked_by: str = "",
    ) -> None:
        self._receive = receive
        self._database = database
        self.our_addresses = tuple(address.lower() for address in our_addresses)
        self._checked_by = checked_by

    async def take(self, raw: bytes, *, return_path: str | None = None) -> Received:
        """Store a mail; it is committed when this returns. The same mail again changes nothing.

        `return_path` is SMTP's MAIL FROM, None when unknown. Raises what the store raises while it
        is away: the mail is to be offered again.
        """
        now = datetime.now(UTC)

        def parse() -> Incoming:
            return parsing.parse(
                raw,
                received_at=now,
                our_addresses=self.our_addresses,
                return_path=return_path,
                checked_by=self._checked_by,
            )

        # A long one takes its time: not in the way of calls.
        incoming = parse() if len(raw) < _PARSED_AT_ONCE else await asyncio.to_thread(parse)
        report = bounces.read(raw) if incoming.automatic in (BOUNCE, COMPLAINT) else None
        if report is not None:
            async with self._database.reading() as session:
                reported = await bounces.find(session, report)
            if reported is not None and reported.conversation_id is not None:
                incoming = replace(incoming, conversation_id=reported.conversation_id)
        try:
            received = await self._receive(incoming)
        except (OSError, OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.warning("a mail is kept unread: %s", type(error).__name__)
            received = await self._receive(
                parsing.unreadable(raw, received_at=now, our_addresses=self.our_addresses)
            )
        if report is not None:
            async with self._database.transaction() as transaction:
                await bounces.apply(transaction, report)
        if incoming.sender and incoming.subject.strip().lower() == letters.UNSUBSCRIBE:
            async with self._database.transaction() as transaction:
                await preferences.opt_out(
                    transaction,
                    Channel.MAIL,
                    incoming.sender,
                    subject=Subject.PROMOTIONS,
                    by=audit.SYSTEM,
                    reason="mail",
                )
        return received
