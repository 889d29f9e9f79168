"""The book of visits: each is written down when it is over, beside whatever the caller does now.

Owns that a crowd which hangs up at once is written, and that the end waits for it, but not for
ever. Refuses to know what a visit is made of.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from crm_store.database import Database, Transaction
from crm_store.phone_menus import menu_visits
from crm_store.phone_menus.menu_visits import MenuVisit

log = logging.getLogger(__name__)

PENS: Final = 4
"""So many are written at once. A hundred would lose to each other by the store's patience."""

LAST_WORDS_SECONDS: Final = 10.0
"""So long the end waits for those that are still to be written."""


class VisitBook:
    """`keep` visits in `database`; `close` at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pens = asyncio.Semaphore(PENS)
        self._writing: set[asyncio.Task[None]] = set()

    def keep(self, visit: MenuVisit) -> None:
        """Write the visit down in the background. Never blocks, never raises."""
        task = asyncio.create_task(self._write(visit), name="menu visit")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait until all is written, for LAST_WORDS_SECONDS at most."""
        if not self._writing:
            return
        _, left = await asyncio.wait(self._writing, timeout=LAST_WORDS_SECONDS)
        if left:
            log.error("%d visits of phone menus are lost: the store is away", len(left))
            for task in left:
                task.cancel()
            await asyncio.wait(left)

    async def _write(self, visit: MenuVisit) -> None:
        async def write(transaction: Transaction) -> None:
            await menu_visits.write(transaction, visit)

        try:
            async with self._pens:
                await self._database.run(write)
        except Exception as error:
            log.error("a visit of menu %s is lost: %s", visit.menu, type(error).__name__)
