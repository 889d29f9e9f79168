"""Topics: what a visitor may chat about, and what may honestly be promised of each just now.

Owns which queues are offered, whether they are open, whether anybody is there, and how long an
answer usually takes. Knows who is there from the signals on the bus; promises nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from crm_store.bus import Bus
from crm_store.contacts import chat_waits
from crm_store.database import Database
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar
from crm_store.signals import AgentState, AgentStateChanged
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord

AT_WORK = {
    AgentState.AVAILABLE,
    AgentState.RINGING,
    AgentState.ON_CALL,
    AgentState.WRAP_UP,
    AgentState.WRITTEN_WORK,
}
"""Whoever is in one of these may answer soon; who is paused or offline may not."""

SETTINGS_LAST_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A queue as visitors see it. `opens_at` is when it opens next, None while it is open or if
    that is not known; `usual_wait_s` None where nothing can be said."""

    code: str
    title: str
    is_open: bool
    opens_at: datetime | None
    agents_there: int
    usual_wait_s: float | None


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the store says of all topics."""

    queues: Sequence[QueueRecord] = ()
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    waits_s: Mapping[str, float] = field(default_factory=dict)


class Topics:
    """`offered` are names of queues, in order; none: all of them."""

    def __init__(self, database: Database, bus: Bus, offered: Sequence[str] = ()) -> None:
        self._database = database
        self._offered = tuple(offered)
        self._settings = _Settings()
        self._read_at = float("-inf")
        self._at_work: dict[str, tuple[str, ...]] = {}
        bus.listen(self._on_state, AgentStateChanged)

    def agents_there(self, queue: str) -> int:
        """How many agents of that queue are at work."""
        return sum(queue in served for served in self._at_work.values())

    async def now(self, language: str, *, moment: datetime | None = None) -> list[Topic]:
        """All topics, in order, with their titles in that language."""
        at = moment or datetime.now(UTC)
        self._settings = await self._read(at)
        self._read_at = time.monotonic()
        return [self._topic(queue, language, at) for queue in self._settings.queues]

    async def find(self, code: str, language: str) -> Topic | None:
        """The topic of that code, None if it is not offered. Settings may be seconds old, since
        this is asked for every visitor again and again; who is there is as it is now."""
        at = datetime.now(UTC)
        if time.monotonic() - self._read_at > SETTINGS_LAST_S:
            self._settings = await self._read(at)
            self._read_at = time.monotonic()
        found = (queue for queue in self._settings.queues if queue.name == code)
        return next((self._topic(queue, language, at) for queue in found), None)

    def _topic(self, queue: QueueRecord, language: str, at: datetime) -> Topic:
        calendar = self._settings.calendars.get(queue.hours)
        # A calendar that nobody has written is always open.
        is_open = calendar is None or calendar.is_open(at)
        return Topic(
            code=queue.name,
            title=queue.title(language),
            is_open=is_open,
            opens_at=None if is_open or calendar is None else calendar.next_change(at),
            agents_there=self.agents_there(queue.name),
            usual_wait_s=self._settings.waits_s.get(queue.name),
        )

    async def _read(self, at: datetime) -> _Settings:
        return _Settings(
            await self._queues(),
            await opening_hours.read_all(self._database),
            await chat_waits.usual_waits_s(self._database, now=at),
        )

    async def _queues(self) -> list[QueueRecord]:
        every = await queues.all_queues(self._database)
        if not self._offered:
            return every
        by_name = {queue.name: queue for queue in every}
        return [by_name[name] for name in self._offered if name in by_name]

    def _on_state(self, signal: object) -> None:
        assert isinstance(signal, AgentStateChanged)
        if signal.state in AT_WORK:
            self._at_work[signal.agent] = signal.queues
        else:
            self._at_work.pop(signal.agent, None)
