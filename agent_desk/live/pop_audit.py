"""The audit of screen pops: which agent was shown which customer, written beside the pop's path.

Owns the batching. A locked database delays the entries and never the pop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from crm_store import audit
from crm_store.bus import Bus
from crm_store.database import Database
from crm_store.signals import ScreenPop, Signal

log = logging.getLogger(__name__)

BATCH = 50
"""Entries in one transaction: preparing a long batch would keep the event loop from a pop."""

WAITING_LIMIT = 100_000
"""Views that may wait for the database; about a quarter of an hour at 100 calls a second."""

RETRY_SECONDS = 1.0


class Shown(NamedTuple):
    agent: str
    customer_id: int
    call: str


class PopAudit:
    """Listens from its making; `run` writes until it is cancelled, `close` writes what is left."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._unwritten: deque[Shown] = deque(maxlen=WAITING_LIMIT)
        self._news = asyncio.Event()
        bus.listen(self._note, ScreenPop)

    def _note(self, signal: Signal) -> None:
        if isinstance(signal, ScreenPop) and signal.matches:
            if len(self._unwritten) == WAITING_LIMIT:
                log.error("the database is away for too long: audit of a screen pop is lost")
            call = f"call {signal.pbx}/{signal.call}"
            self._unwritten.extend(Shown(signal.agent, card["id"], call) for card in signal.matches)
            self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.close()
            except (OSError, SQLAlchemyError) as error:
                log.warning("screen pops are audited later: %s", type(error).__name__)
                self._news.set()
            except Exception:
                log.exception("screen pops could not be audited; trying again")
                self._news.set()
            # Also the pause in which the next batch gathers.
            await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Write all that is noted. Raises what the database raises; nothing is lost by that."""
        while self._unwritten:
            batch = list(self._unwritten)[:BATCH]
            async with self._database.transaction() as transaction:
                await audit.record_views(transaction, dict.fromkeys(batch))
            for _ in batch:
                self._unwritten.popleft()
