"""What became of callbacks, as signals tell it, kept until it is written to the store.

Owns what is between a signal and a row: the course of each callback's call (who answered, whether
the customer was reached, how it ended), and agents' talks with customers for whom a callback waits.
Refuses to know when stand-ins come and go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_store import audit
from crm_store.bus import Bus
from crm_store.contacts import callbacks as rows
from crm_store.contacts.callbacks import CallbackRecord
from crm_store.database import Database
from crm_store.signals import (
    CallAnswered,
    CallEnded,
    CallerIdentified,
    CallerRecognised,
    CallStarted,
    CallSummary,
    Direction,
    Outcome,
    Signal,
)

ReadMark = Callable[[int], Awaitable[str]]
"""What Asterisk has noted of a callback: "answered" if the customer did, "dialled" if their phone
rang, anything else if not."""


@dataclass(slots=True)
class Course:
    """One callback's call: the agent who answered it, whether the customer was reached, how it
    ended; and what of this is in the store."""

    callback: int
    agent: str = ""
    reached: bool = False
    ended: Outcome | None = None
    written: tuple[object, ...] = ("", False, None)

    @property
    def so_far(self) -> tuple[object, ...]:
        return self.agent, self.reached, self.ended


@dataclass(frozen=True, slots=True)
class Talk:
    """An agent speaks with a customer in another call than a callback's."""

    number: str
    customer_id: int | None
    agent: str
    outcome: str


@dataclass(slots=True)
class Courses:
    """Listens to one PBX's signals from its making.

    `is_phone` tells our own phones from the network; `changed` is called when there is something
    to write.
    """

    pbx: str
    bus: Bus
    database: Database
    to_number: Callable[[str], str | None]
    is_phone: Callable[[str], bool]
    read_mark: ReadMark
    changed: Callable[[], None]
    open_rows: Mapping[int, CallbackRecord] = field(default_factory=dict)
    """The callbacks that are not over, as last read, by id."""
    _courses: dict[str, Course] = field(default_factory=dict)
    """By Linkedid, from the first offer until all of it is written."""
    _talks: list[Talk] = field(default_factory=list)
    _customers: dict[str, int] = field(default_factory=dict)
    """Who is at the other end of the calls in progress, by Linkedid."""

    def __post_init__(self) -> None:
        act: dict[type[Signal], Callable[[Any], None]] = {
            CallStarted: self._started,
            CallAnswered: self._answered,
            CallerRecognised: self._recognised,
            CallerIdentified: self._identified,
            CallSummary: self._summed_up,
            CallEnded: self._ended,
        }

        def hear(signal: Signal) -> None:
            if signal.pbx == self.pbx:
                act[type(signal)](signal)

        self.bus.listen(hear, *act)

    @property
    def callbacks(self) -> set[int]:
        """The callbacks of which something is going on, or is not written yet."""
        return {course.callback for course in self._courses.values()}

    async def write(self) -> list[int]:
        """Write what was seen; the callbacks whose calls are over. Each thing is forgotten once it
        is written. Raises what the database and `read_mark` raise."""
        while self._talks:
            await self._write_talk(self._talks[0])
            del self._talks[0]
        over = []
        for call, course in list(self._courses.items()):
            so_far = course.so_far
            if so_far != course.written:
                await self._write_course(course)
                course.written = so_far
            if so_far[-1] is not None:
                del self._courses[call]
                over.append(course.callback)
        return over

    async def write_unheard(self, row: CallbackRecord) -> bool:
        """Nothing stands for it in Asterisk any more and no signal said why: write what Asterisk
        has noted. False if it only lost its place."""
        mark = await self.read_mark(row.id)
        agent = row.agent or audit.SYSTEM
        if mark == "answered":
            await self.database.run(lambda tx: rows.done(tx, row.id, agent=agent))
        elif mark == "dialled":
            await self.database.run(lambda tx: rows.tried(tx, row.id, str(Outcome.NO_ANSWER)))
        else:
            await self.database.run(lambda tx: rows.lost(tx, row.id))
            return False
        return True

    def _started(self, signal: CallStarted) -> None:
        if signal.callback_id is not None:
            self._courses[signal.call] = Course(signal.callback_id)

    def _recognised(self, signal: CallerRecognised) -> None:
        if len(signal.matches) == 1:
            self._customers[signal.call] = signal.matches[0]["id"]

    def _identified(self, signal: CallerIdentified) -> None:
        self._customers[signal.call] = signal.customer_id

    def _answered(self, signal: CallAnswered) -> None:
        course = self._courses.get(signal.call)
        if course is None:
            self._talks_with(signal)
        elif not course.reached:
            if self.is_phone(signal.endpoint):
                course.agent = signal.agent or signal.endpoint
            else:
                course.reached = True
            self.changed()

    def _talks_with(self, signal: CallAnswered) -> None:
        """Somebody of ours speaks with somebody: it may be who waits for a callback."""
        if not signal.agent or signal.direction is Direction.INTERNAL:
            return
        inbound = signal.direction is Direction.INBOUND
        number = self.to_number(signal.caller if inbound else signal.callee) or ""
        customer_id = self._customers.get(signal.call)
        if any(
            row.number == number or (customer_id is not None and row.customer_id == customer_id)
            for row in self.open_rows.values()
        ):
            outcome = "called_in" if inbound else "called_by_agent"
            self._talks.append(Talk(number, customer_id, signal.agent, outcome))
            self.changed()

    def _summed_up(self, signal: CallSummary) -> None:
        course = self._courses.get(signal.call)
        if course is not None:
            course.ended = signal.outcome
            self.changed()

    def _ended(self, signal: CallEnded) -> None:
        self._customers.pop(signal.call, None)

    async def _write_talk(self, talk: Talk) -> None:
        await self.database.run(
            lambda tx: rows.reached(
                tx,
                number=talk.number,
                customer_id=talk.customer_id,
                agent=talk.agent,
                outcome=talk.outcome,
            )
        )

    async def _write_course(self, course: Course) -> None:
        callback, agent, ended = course.callback, course.agent, course.ended
        if ended is not None and agent and not course.reached:
            # The link may have been down when the customer answered.
            course.reached = await self.read_mark(callback) == "answered"
        if course.reached:
            by = agent or audit.SYSTEM
            await self.database.run(lambda tx: rows.done(tx, callback, agent=by))
        elif ended is not None and agent:
            await self.database.run(lambda tx: rows.tried(tx, callback, str(ended)))
        elif agent:
            await self.database.run(lambda tx: rows.answered(tx, callback, agent))
