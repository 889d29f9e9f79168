"""Faxes going out: a message's PDF becomes pages in the PBX's spool, and the PBX calls.

Owns how often and when a number is called again, and what becomes of each outcome. Refuses to know
how a call is made: whoever puts the service together gives it (`FaxCall`), and it is asked for by a
key, so that a fax which is still on its way, or has arrived, is never called anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from channels.fax.pages import Pages, Unusable
from channels.senders import Accepted, NotNow, Outgoing, OutgoingFile, Refused
from crm_store.contacts.faxes import FaxOutcome, FaxReport
from crm_store.models import Channel

log = logging.getLogger(__name__)

FaxCall = Callable[[str, str], Awaitable[FaxReport]]
"""Calls: given a key and a number, send the pages in `<key>.tif`; how it ended."""

LONGEST_LOOK_SECONDS: Final = 150.0
"""A fax that takes longer goes on by itself, and is asked for again."""
ASK_AGAIN_SECONDS: Final = 15.0
NO_LINE_SECONDS: Final = 60.0
WAITS_SECONDS: Final = (60.0, 180.0, 300.0, 600.0)
"""Between calls to a number that is engaged, does not answer, or breaks off."""
MOST_CALLS_WITHOUT_MACHINE: Final = 2
"""A person who hears a fax whistle twice is not called a third time."""
MOST_REMEMBERED: Final = 10_000

_WORDS: Final = {
    FaxOutcome.BUSY: "the number is engaged",
    FaxOutcome.NO_ANSWER: "nobody answers",
    FaxOutcome.NO_FAX_MACHINE: "no fax machine answers",
    FaxOutcome.WRONG_NUMBER: "there is no such number",
    FaxOutcome.NO_LINE: "there is no line",
}


class FaxSender:
    """Sends faxes, two at a time. `spool` is the PBX's folder of pages that go out."""

    channel = Channel.FAX
    at_once = 2
    recognises_repeats = True

    def __init__(self, call: FaxCall, *, pages: Pages, spool: Path) -> None:
        self._call = call
        self._pages = pages
        self._spool = spool
        self._calls: dict[str, int] = {}
        """How often each was called in vain; a restart allows it a few more."""

    async def send(self, message: Outgoing) -> Accepted:
        """See channels.senders.Sender. Its segments are the pages."""
        key = key_of(message)
        file = self._spool / f"{key}.tif"
        await self._make_pages(message, file)
        try:
            async with asyncio.timeout(LONGEST_LOOK_SECONDS):
                report = await self._call(key, message.to)
        except TimeoutError:
            raise NotNow(ASK_AGAIN_SECONDS, "it is being sent") from None
        except ValueError:
            report = FaxReport(outcome=FaxOutcome.WRONG_NUMBER)
        return await self._judge(key, file, report)

    async def close(self) -> None:
        """Nothing is held: calls go on in the PBX."""

    async def _make_pages(self, message: Outgoing, file: Path) -> None:
        document = _document(message)
        if await asyncio.to_thread(file.exists):
            return
        try:
            await self._pages.to_fax(document.path, file)
        except Unusable as fault:
            raise Refused(f"{document.name} cannot be faxed: {fault}") from None

    async def _judge(self, key: str, file: Path, report: FaxReport) -> Accepted:
        match report.outcome:
            case FaxOutcome.SENT:
                await self._over(key, file)
                return Accepted(provider_id=f"fax {key}", segments=max(1, report.pages))
            case FaxOutcome.NO_LINE:
                raise NotNow(NO_LINE_SECONDS, _said(report))
            case FaxOutcome.WRONG_NUMBER:
                await self._over(key, file)
                raise Refused(_said(report), bad_address=True)
            case FaxOutcome.LOST:
                await self._over(key, file)
                raise Refused("the PBX failed twice while sending; pages may have arrived")
        calls = self._calls[key] = self._calls.pop(key, 0) + 1
        while len(self._calls) > MOST_REMEMBERED:
            del self._calls[next(iter(self._calls))]
        without_machine = report.outcome is FaxOutcome.NO_FAX_MACHINE
        most = MOST_CALLS_WITHOUT_MACHINE if without_machine else len(WAITS_SECONDS) + 1
        if calls >= most:
            await self._over(key, file)
            raise Refused(f"{_said(report)} (called {calls} times)")
        raise NotNow(WAITS_SECONDS[calls - 1], _said(report))

    async def _over(self, key: str, file: Path) -> None:
        self._calls.pop(key, None)
        try:
            await asyncio.to_thread(file.unlink, missing_ok=True)
        except OSError as error:
            log.warning("pages of a fax stay in the spool: %s", error.strerror)


def key_of(message: Outgoing) -> str:
    """What the fax is called in the PBX: the same for each try, and no other's."""
    return hashlib.sha256(
        f"{len(message.to)} {message.to} {message.idempotency_key}".encode()
    ).hexdigest()[:40]


def _document(message: Outgoing) -> OutgoingFile:
    """The one PDF of the message. Raises Refused."""
    documents = [file for file in message.files if file.media_type == "application/pdf"]
    if len(documents) != 1 or len(message.files) != 1:
        raise Refused("a fax is one PDF")
    return documents[0]


def _said(report: FaxReport) -> str:
    if report.outcome is FaxOutcome.BROKEN:
        return f"it broke off after {report.pages} pages: {report.said}"
    return _WORDS[report.outcome]
