"""Arrangements: what the house has settled about written work, as it is now.

Owns one reading of queues, their clocks, the rules and the default queue, kept for a moment so that
a thousand mails do not read it a thousand times. A change at the set-up counts within `FRESH_S`, of
a rule at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from channels import rules
from channels.clocks import Clock
from channels.rules import Rule
from crm_store.contacts import inbox_rules, queue_places
from crm_store.contacts.inbox_rules import RuleRecord
from crm_store.database import Database
from crm_store.models import Channel, RuleMoment, Segment
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar
from crm_store.shop import house
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord

FRESH_S = 2.0

_ALWAYS = Clock(Calendar(on_holidays=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """A conversation's place in its queue, and by when it is to be answered and settled."""

    priority: int
    first_answer_due_at: datetime | None
    resolution_due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """One reading. `default_queue` is "" in a house without queues."""

    queues: Mapping[str, QueueRecord] = field(default_factory=dict)
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    rules: Sequence[RuleRecord] = ()
    default_queue: str = ""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def of_moment(self, moment: RuleMoment) -> list[RuleRecord]:
        return [rule for rule in self.rules if rule.moment is moment]

    def clock(self, queue: str | None) -> Clock:
        """The clock of a queue; that of the house where it has none."""
        record = self.queues.get(queue or "")
        code = record.hours if record else opening_hours.HOUSE
        return self.clocks.get(code) or self.clocks.get(opening_hours.HOUSE) or _ALWAYS

    def targets(
        self,
        queue: str | None,
        channel: Channel,
        at: datetime,
        segment: Segment | None,
        *,
        ahead: timedelta = timedelta(0),
    ) -> Targets:
        """Of who writes at that moment; `ahead` is what a rule adds to their head start."""
        record = self.queues.get(queue or "")
        head_start = queue_places.head_start_seconds(record, segment) if record else 0
        place = queue_places.priority(at.timestamp(), head_start + int(ahead.total_seconds()))
        if record is None:
            return Targets(priority=place, first_answer_due_at=None, resolution_due_at=None)
        first = timedelta(minutes=record.first_answer_minutes)
        if channel is Channel.CHAT:
            first = timedelta(seconds=record.chat_first_answer_seconds)
        whole = timedelta(minutes=record.resolution_minutes)
        clock = self.clock(queue)
        return Targets(
            priority=place,
            first_answer_due_at=clock.due(at, first) if first else None,
            resolution_due_at=clock.due(at, whole) if whole else None,
        )

    def waits(self) -> list[tuple[Rule, timedelta]]:
        """The rules about what nobody answers, and after how long."""
        found: list[tuple[Rule, timedelta]] = []
        for rule in self.of_moment(RuleMoment.UNANSWERED):
            minutes = rules.waiting_minutes(rule)
            if minutes is not None:
                found.append((rule, timedelta(minutes=minutes)))
        return found


class Arrangements:
    """Reads them when they are asked for, and no oftener than they can have changed.

    `default_queue` names the queue of what no rule sends elsewhere; "" is the one with the lowest
    number.
    """

    def __init__(self, database: Database, *, default_queue: str = "") -> None:
        self._database = database
        self._default_queue = default_queue
        self._read_at = float("-inf")
        self._rules_mark: object = None
        self._current = Arrangement()

    async def current(self) -> Arrangement:
        # The order of rules is no change of a rule: it is in the mark by itself.
        mark = tuple(tuple(row) for row in await self._database.fetch(_RULES_MARK))
        now = time.monotonic()
        if mark != self._rules_mark or now - self._read_at > FRESH_S:
            self._current = await self._read()
            self._rules_mark = mark
            self._read_at = now
        return self._current

    async def _read(self) -> Arrangement:
        found = {queue.name: queue for queue in await queues.all_queues(self._database)}
        calendars = await opening_hours.read_all(self._database)
        if opening_hours.HOUSE not in calendars:
            calendars[opening_hours.HOUSE] = await opening_hours.read(self._database)
        known = self._current.clocks
        lowest = min(found.values(), key=lambda queue: queue.number, default=None)
        return Arrangement(
            queues=found,
            # A calendar that is as it was keeps its clock, which remembers the hours.
            clocks={
                code: known[code]
                if code in known and known[code].calendar == calendar
                else Clock(calendar)
                for code, calendar in calendars.items()
            },
            rules=[rule for rule in await inbox_rules.all_rules(self._database) if rule.active],
            default_queue=(
                self._default_queue
                if self._default_queue in found or lowest is None
                else lowest.name
            ),
            zone=(await house.read(self._database)).zone,
        )


_RULES_MARK = (
    "SELECT count(*), max(changed_at), sum((position + 1) * id) FROM inbox_rules WHERE active"
)
