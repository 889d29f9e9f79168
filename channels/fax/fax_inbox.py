"""Faxes that came in: what the PBX has left in its spool becomes a message with a PDF.

Owns the way from the file to the inbox, and that none is left: the folder itself is the list, so a
fax that came while the service was away is found like any other. Refuses to know AMI and whose
number it is.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from channels.fax.pages import Pages, Unusable
from channels.inbox import Inbox
from channels.incoming import Incoming, IncomingFile
from crm_store.contacts import faxes
from crm_store.contacts.faxes import FaxFile
from crm_store.database import Database
from crm_store.facts import Fact, FaxReceived
from crm_store.models import Channel

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 30.0
UNHEARD_SECONDS: Final = 90.0
"""A call that the store does not know by then was never heard of: its file stands for itself."""
LARGEST_RAW_BYTES: Final = 20 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxSpool:
    """A PBX's folder of received faxes. `is_live` says whether a call goes on there, and True
    while the PBX cannot be asked. `our_number` is the fax number that was called, if there is one.
    """

    pbx: str
    folder: Path
    is_live: Callable[[str], bool]
    our_number: str = ""


class FaxInbox:
    """Takes faxes out of one PBX's spool, until `run` is cancelled.

    `to_number` gives E.164, or None for what is no telephone number.
    """

    def __init__(
        self,
        inbox: Inbox,
        database: Database,
        spool: FaxSpool,
        *,
        pages: Pages,
        to_number: Callable[[str], str | None],
    ) -> None:
        self._inbox = inbox
        self._database = database
        self._spool = spool
        self._pages = pages
        self._to_number = to_number
        self._news = asyncio.Event()
        self._kept: set[str] = set()
        """Files that are in the store and could not be deleted."""

    async def run(self) -> None:
        """Look now, at each fax that the store tells of, and now and then. Never raises."""
        unheard = self._database.listen(self._heard)
        try:
            while True:
                self._news.clear()
                try:
                    await self.look()
                except Exception:
                    log.exception("faxes of PBX %s wait in its spool", self._spool.pbx)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._news.wait()
        finally:
            unheard()

    def _heard(self, facts: Sequence[Fact]) -> None:
        if any(isinstance(fact, FaxReceived) for fact in facts):
            self._news.set()

    async def look(self) -> int:
        """Take every fax that has arrived as a whole; how many."""
        taken = 0
        for file in await asyncio.to_thread(_files_in, self._spool.folder):
            named = faxes.read_file_name(file.name)
            if named is None or file.name in self._kept:
                continue
            found = await faxes.interaction_of(self._database, self._spool.pbx, named.linkedid)
            is_whole = found is not None and found[1]
            if not is_whole and self._spool.is_live(named.linkedid):
                continue
            if found is None and await asyncio.to_thread(_age_of, file) < UNHEARD_SECONDS:
                continue
            taken += await self._take(file, named, found[0] if found else None)
        return taken

    async def _take(self, file: Path, named: FaxFile, interaction_id: int | None) -> bool:
        at = datetime.fromtimestamp((await asyncio.to_thread(file.stat)).st_mtime, UTC)
        files, problems, pages = [], [], 0
        with tempfile.TemporaryDirectory(prefix="deskbell-fax-") as folder:
            document = Path(folder) / "fax.pdf"
            try:
                pages = await self._pages.to_pdf(file, document)
                content = await asyncio.to_thread(document.read_bytes)
                name = f"fax-{at:%Y%m%d-%H%M%S}.pdf"
                files = [IncomingFile(name=name, media_type="application/pdf", content=content)]
            except Unusable as fault:
                problems = [f"the pages cannot be read: {fault}"]
        if interaction_id is not None:
            await self._database.run(
                lambda tx: faxes.receive(tx, self._spool.pbx, named.linkedid, pages)
            )
        received = await self._inbox.receive(
            Incoming(
                channel=Channel.FAX,
                external_key=f"{self._spool.pbx} {named.linkedid}",
                sender=self._to_number(named.caller) or "",
                our_address=self._spool.our_number,
                text=f"{pages} p." if pages else "",
                received_at=at,
                interaction_id=interaction_id,
                files=files,
                raw=await asyncio.to_thread(_raw_of, file),
                problems=problems,
            )
        )
        try:
            await asyncio.to_thread(file.unlink)
        except OSError as error:
            # Asterisk of another user, perhaps: the store knows it by its key.
            self._kept.add(file.name)
            log.warning("a fax stays in the spool of PBX %s: %s", self._spool.pbx, error.strerror)
        return received.is_new


def _files_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tif"), key=_moment_of)


def _moment_of(file: Path) -> float:
    with suppress(OSError):
        return file.stat().st_mtime
    return 0.0


def _age_of(file: Path) -> float:
    return datetime.now(UTC).timestamp() - _moment_of(file)


def _raw_of(file: Path) -> bytes:
    return file.read_bytes() if file.stat().st_size <= LARGEST_RAW_BYTES else b""
