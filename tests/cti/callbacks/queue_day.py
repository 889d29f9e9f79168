"""A queue's day on a virtual clock: callers, agents, callbacks, and app_queue as Asterisk orders.

The places (crm_store.contacts.queue_places) and the planner are Deskbell's own; `AppQueue` is a
model of Asterisk's, which test_fairness.py holds against the real one. Everything is decided by the
`Day` that is played, so a day replays exactly. Each offer is checked as it is made.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from crm_store.contacts import queue_places
from crm_store.models import Segment
from cti.callbacks.planner import AHEAD, Pending, QueueNow, StandIn, plan

EPOCH = 1_700_000_000
MOST_TRIES = 3
TRY_AGAIN_SECONDS = 600.0
MENU_SECONDS = 15.0
"""So long a caller speaks with the menu before they have asked for a callback."""
RING_SECONDS = 2.0


@dataclass(frozen=True)
class HeadStarts:
    vip_head_start_seconds: int = 180
    member_head_start_seconds: int = 60


HEAD_STARTS = HeadStarts()


@dataclass(frozen=True)
class Customer:
    """Comes at `at`; hangs up after `patience`, or asks for a callback after `asks_after`. Of the
    tries to reach them at home, the first `misses` fail."""

    at: float
    segment: Segment
    talks: float
    patience: float = float("inf")
    asks_after: float | None = None
    misses: int = 0


@dataclass(frozen=True)
class Day:
    """`shifts` are the agents' times, from and until; `declines` the offers, counted from 0, that
    nobody takes. A stand-in is in line `latency` seconds after it was asked for."""

    customers: Sequence[Customer]
    shifts: Sequence[tuple[float, float]]
    declines: frozenset[int] = frozenset()
    latency: float = 0.0


@dataclass(eq=False)
class Caller:
    """A customer on this day. `asked` is whether they wait at home."""

    number: int
    customer: Customer
    place: int
    asked: bool = False
    due_at: float = 0.0
    tries: int = 0
    taken: bool = False
    over: str = ""
    served: int = 0


class AppQueue:
    """The line as app_queue has it: the higher place first, equals by joining; as many of the first
    as agents are free are offered at once (autofill), each to one agent."""

    def __init__(self) -> None:
        self.line: list[tuple[int, int, Caller]] = []
        self._joined = count()

    def join(self, caller: Caller) -> None:
        insort(self.line, (-caller.place, next(self._joined), caller))

    def leave(self, caller: Caller) -> None:
        self.line = [entry for entry in self.line if entry[2] is not caller]

    def next(self) -> Caller | None:
        """Who is offered to the next free agent."""
        return next((entry[2] for entry in self.line if not entry[2].taken), None)

    def waits(self, caller: Caller) -> bool:
        return any(entry[2] is caller for entry in self.line)


@dataclass
class Outcome:
    """What became of everybody."""

    ends: Counter[str] = field(default_factory=Counter)
    offered: list[Caller] = field(default_factory=list)
    most_stand_ins: int = 0
    longest_passed: float = 0.0
    """By how much the latest of those who were offered first came after somebody they passed."""


class QueueDay:
    """Plays one day: `play` it once."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.queue = AppQueue()
        self.outcome = Outcome()
        self.callers: list[Caller] = []
        self.at_home: dict[int, Caller] = {}
        """Who waits for a callback, by number."""
        self.stand_ins: dict[int, Caller] = {}
        """Whose stand-in is in line or with an agent."""
        self.coming: dict[int, Caller] = {}
        self.free = 0
        self.agents = 0
        self.to_leave = 0
        self.ringing_at_home = 0
        self.busy_with_callbacks = 0
        self._now = 0.0
        self._offers = count()
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def play(self) -> Outcome:
        for number, customer in enumerate(self.day.customers):
            head_start = queue_places.head_start_seconds(HEAD_STARTS, customer.segment)
            place = queue_places.priority(EPOCH + customer.at, head_start)
            caller = Caller(number, customer, place)
            self.callers.append(caller)
            self._when(customer.at, lambda c=caller: self._comes(c))  # type: ignore[misc]
        for begin, end in self.day.shifts:
            self._when(begin, self._signs_in)
            self._when(end, self._signs_out)
        while self._events:
            self._now, _, happens = heapq.heappop(self._events)
            happens()
            self._see_to_callbacks()
            self._offer()
        for caller in self.callers:
            self.outcome.ends[caller.over or "waits"] += 1
        return self.outcome

    def _when(self, at: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, next(self._order), happens))

    def _comes(self, caller: Caller) -> None:
        customer = caller.customer
        self.queue.join(caller)
        self._when(customer.at + customer.patience, lambda: self._hangs_up(caller))
        if customer.asks_after is not None:
            self._when(customer.at + customer.asks_after, lambda: self._enters_menu(caller))

    def _hangs_up(self, caller: Caller) -> None:
        if not (caller.over or caller.asked or caller.taken) and self.queue.waits(caller):
            self.queue.leave(caller)
            caller.over = "abandoned"

    def _enters_menu(self, caller: Caller) -> None:
        if not (caller.over or caller.taken):
            self.queue.leave(caller)
            caller.asked = True
            self._when(self._now + MENU_SECONDS, lambda: self._asks(caller))

    def _asks(self, caller: Caller) -> None:
        caller.due_at = self._now
        self.at_home[caller.number] = caller

    def _signs_in(self) -> None:
        self.agents += 1
        self.free += 1

    def _signs_out(self) -> None:
        self.agents -= 1
        if self.free:
            self.free -= 1
        else:
            self.to_leave += 1

    def _is_free_again(self) -> None:
        if self.to_leave:
            self.to_leave -= 1
        else:
            self.free += 1

    def _see_to_callbacks(self) -> None:
        """What cti.callbacks does at each news: ask the planner, and do what it says."""
        waiting = [c for c in self.at_home.values() if c.due_at <= self._now]
        if not waiting and not self.stand_ins:
            return
        pending = [Pending(c.number, "q", c.place) for c in waiting]
        stand_ins = [
            StandIn(f"Local/{c.number}", c.number, "q", c.place, in_line=not c.taken, taken=c.taken)
            for c in self.stand_ins.values()
        ]
        stand_ins += [
            StandIn("", c.number, "q", c.place, in_line=False) for c in self.coming.values()
        ]
        places = [-place for place, _, _ in self.queue.line]
        todo = plan({"q": QueueNow(places, self.agents)}, pending, stand_ins)
        assert todo.leave == ()
        for number in todo.join:
            caller = self.at_home[number]
            assert number not in self.stand_ins
            assert number not in self.coming
            ahead = sum(-place >= caller.place for place, _, _ in self.queue.line)
            assert ahead < self.agents + AHEAD
            if self.day.latency:
                self.coming[number] = caller
                self._when(self._now + self.day.latency, lambda c=caller: self._stands_in(c))  # type: ignore[misc]
            else:
                self._stands_in(caller)

    def _stands_in(self, caller: Caller) -> None:
        self.coming.pop(caller.number, None)
        self.stand_ins[caller.number] = caller
        self.queue.join(caller)
        self.outcome.most_stand_ins = max(self.outcome.most_stand_ins, len(self.stand_ins))

    def _offer(self) -> None:
        while self.free and (caller := self.queue.next()) is not None:
            self._check_order(caller)
            self.free -= 1
            caller.taken = True
            self.outcome.offered.append(caller)
            declined = next(self._offers) in self.day.declines
            after = self._declined if declined else self._answered
            self._when(self._now + RING_SECONDS, lambda c=caller, a=after: a(c))  # type: ignore[misc]

    def _check_order(self, caller: Caller) -> None:
        """Nobody who waits has come earlier in the same segment, nor longer ago than the head start
        that this caller's segment has."""
        came = int(caller.customer.at)
        ahead = queue_places.head_start_seconds(HEAD_STARTS, caller.customer.segment)
        ready = self._now - self.day.latency
        others = [entry[2] for entry in self.queue.line if not entry[2].taken]
        others += [
            c
            for c in self.at_home.values()
            if c.number not in self.stand_ins and c.due_at <= ready and c.due_at < self._now
        ]
        for other in others:
            passed = came - int(other.customer.at)
            assert passed <= ahead, (caller, other)
            assert other.customer.segment is not caller.customer.segment or passed <= 0
            self.outcome.longest_passed = max(self.outcome.longest_passed, passed)

    def _declined(self, caller: Caller) -> None:
        caller.taken = False
        self._is_free_again()

    def _answered(self, caller: Caller) -> None:
        self.queue.leave(caller)
        if not caller.asked:
            self._is_served(caller)
            return
        self.busy_with_callbacks += 1
        self.ringing_at_home += 1
        assert self.ringing_at_home <= self.busy_with_callbacks <= self.agents + self.to_leave
        self._when(self._now + RING_SECONDS, lambda: self._rung_at_home(caller))

    def _rung_at_home(self, caller: Caller) -> None:
        self.ringing_at_home -= 1
        self.busy_with_callbacks -= 1
        del self.stand_ins[caller.number]
        caller.taken = False
        caller.tries += 1
        if caller.tries > caller.customer.misses:
            del self.at_home[caller.number]
            self._is_served(caller)
            return
        if caller.tries == MOST_TRIES:
            del self.at_home[caller.number]
            caller.over = "given up"
        else:
            caller.due_at = self._now + TRY_AGAIN_SECONDS
            self._when(caller.due_at, lambda: None)
        self._is_free_again()

    def _is_served(self, caller: Caller) -> None:
        caller.served += 1
        caller.over = "called back" if caller.asked else "served"
        self._when(self._now + caller.customer.talks, self._is_free_again)
