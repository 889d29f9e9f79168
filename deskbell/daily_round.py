"""The store's daily round, made once a day: when the service starts, then every night.

Owns when. What is done is crm_store/daily.py's. Each day is one job, so that several nodes make one
round, and a day on which no service ran is made up for at the next start.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta

from crm_store.daily import make_round
from crm_store.database import Database, Transaction
from crm_store.jobs import Job, Subscribers
from crm_store.shop import house

log = logging.getLogger(__name__)

HANDLER = "daily_round"
AT = time(3, 20)
"""By the house's clock: nobody calls, and clocks do not change at this minute."""


class DailyRound:
    """Add it to the subscribers before the database is opened; `begin` when it is."""

    def __init__(self) -> None:
        self._database: Database
        self._delete_files: Callable[[Iterable[str]], Awaitable[None]]

    def add_to(self, subscribers: Subscribers) -> None:
        subscribers.add(HANDLER, self._make)

    async def begin(
        self,
        database: Database,
        delete_files: Callable[[Iterable[str]], Awaitable[None]],
        now: datetime | None = None,
    ) -> None:
        """Have today's round made, if nobody has made it; `delete_files` takes those that are
        nobody's any more."""
        self._database = database
        self._delete_files = delete_files
        moment = now or datetime.now(UTC)
        zone = (await house.read(database)).zone
        await self._want(moment.astimezone(zone).date(), moment)

    async def _make(self, job: Job) -> None:
        made = await make_round(self._database)
        await self._delete_files(made.files)
        log.info("daily round: points expired on %d cards", made.cards)
        zone = (await house.read(self._database)).zone
        tomorrow = date.fromisoformat(job.data["day"]) + timedelta(days=1)
        tomorrow = max(tomorrow, (datetime.now(zone) + timedelta(hours=1)).date())
        await self._want(tomorrow, datetime.combine(tomorrow, AT, zone))

    async def _want(self, day: date, due_at: datetime) -> None:
        async def write(transaction: Transaction) -> None:
            await transaction.schedule(
                HANDLER, f"{HANDLER}:{day.isoformat()}", {"day": day.isoformat()}, due_at=due_at
            )

        await self._database.run(write)
