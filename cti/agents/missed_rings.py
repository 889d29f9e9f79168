"""Missed rings: noted, counted, and after too many in a row the agent is paused.

Owns what counts: a queue's ring that nobody answered. A declined one is noted and not counted; a
phone that is unreachable or busy, and a caller who hung up, are the agent's neither. The count is
of this process: after a restart of ours it begins at 0. Asterisk itself rings the next agent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from crm_store.contacts import missed_rings
from crm_store.database import Database
from crm_store.signals import CallAnswered, CallOfferEnded, Signal
from cti.agents.pause_reasons import missed_rings_reason

log = logging.getLogger(__name__)

NOTED = frozenset({"no_answer", "declined"})
COUNTED = frozenset({"no_answer"})


class MissedRings:
    """Listens to the bus. `pause` is told an agent's login and the pause's reason."""

    def __init__(
        self,
        database: Database,
        limits: Mapping[str, int],
        pause: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._database = database
        self._limits = limits
        self._pause = pause
        self._in_a_row: dict[str, int] = {}
        self._running: set[asyncio.Task[None]] = set()

    def limit(self, limits: Mapping[str, int]) -> None:
        """By queue: after how many missed rings an agent is paused, 0 for never."""
        self._limits = limits

    def on_signal(self, signal: Signal) -> None:
        """The bus's listener; never blocks."""
        if isinstance(signal, CallAnswered):
            self._in_a_row.pop(signal.agent, None)
        elif isinstance(signal, CallOfferEnded) and signal.agent and signal.queue:
            if signal.cause in NOTED:
                self._start(self._note(signal))
            if signal.cause in COUNTED:
                self._count(signal)

    async def close(self) -> None:
        """Write what is on its way."""
        await asyncio.gather(*self._running, return_exceptions=True)

    def _count(self, ring: CallOfferEnded) -> None:
        count = self._in_a_row.get(ring.agent, 0) + 1
        self._in_a_row[ring.agent] = count
        limit = self._limits.get(ring.queue, 0)
        if limit and count >= limit:
            self._start(self._pause_agent(ring.agent, count))

    async def _pause_agent(self, agent: str, count: int) -> None:
        try:
            await self._pause(agent, missed_rings_reason(count))
        except Exception as error:
            log.warning("%s missed %d rings and could not be paused: %s", agent, count, error)
        else:
            self._in_a_row.pop(agent, None)

    async def _note(self, ring: CallOfferEnded) -> None:
        at = datetime.now(UTC) if ring.at is None else datetime.fromtimestamp(ring.at, UTC)
        try:
            async with self._database.transaction() as transaction:
                await missed_rings.add(
                    transaction,
                    agent=ring.agent,
                    queue=ring.queue,
                    call=(ring.pbx, ring.call),
                    cause=ring.cause,
                    at=at,
                )
        except Exception:
            log.exception("a missed ring of %s is not in the store", ring.agent)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
