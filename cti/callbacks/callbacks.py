"""Callbacks of one PBX, driven: their stand-ins come into Asterisk's queues in time, and leave.

The store's rows are the truth of what is wanted, Asterisk's channels of what is going on; each look
compares the two and does what is missing, so it makes no difference who was started again
meanwhile. A stand-in has the callback's number in its channel's name, and Asterisk itself lets no
second one of a number into a queue. What an agent and a customer did while nobody listened, the
dialplan has noted in Asterisk's own database. Refuses to know menus, pages and how rows are kept.
"""

from __future__ import annotations

import asyncio
import logging
import re
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from crm_store import audit
from crm_store.bus import Bus
from crm_store.contacts import callbacks as rows
from crm_store.contacts.callbacks import CallbackRecord
from crm_store.database import Database
from crm_store.models import CallbackState
from crm_store.signals import (
    AgentStateChanged,
    CallOfferEnded,
    CallSummary,
    PbxLinkChanged,
    QueueChanged,
    Signal,
)
from cti.ami.link import ActionFailed, AmiError, LinkState
from cti.callbacks.courses import Courses
from cti.callbacks.planner import Pending, QueueNow, StandIn, plan
from cti.calls.call_state import STAND_IN_CONTEXT, Call
from cti.switchboard import Switchboard

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often the store is asked for callbacks when nothing has happened."""
GATHER_SECONDS: Final = 0.05
"""The pause after each look, in which news gather."""
APPEAR_SECONDS: Final = 10.0
"""A stand-in that Asterisk was asked for and that is not there by then never was."""
REST_SECONDS: Final = 5.0
"""The pause before the next stand-in if one went away by itself, or never came, for the second
time in a row; it doubles up to LONGEST_REST_SECONDS."""
LONGEST_REST_SECONDS: Final = 60.0
WAITS_SECONDS: Final = 86_400
"""Asterisk gives up a stand-in that nobody has answered after so long; it is made anew."""
LONGEST_NAME: Final = 60
MARKS: Final = "callback"
"""The family of Asterisk's database in which the dialplan notes what has become of each."""

_NUMBER: Final = re.compile(r"\+?[0-9]{2,20}")
_QUEUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")


@dataclass(frozen=True, slots=True)
class _Loss:
    """A callback has lost its stand-in, so many times in a row; moments of the event loop.

    `agents` served its queue then: when there are more, it need not rest.
    """

    at: float
    times: int
    rest_until: float
    agents: int


class Callbacks:
    """Sees to the callbacks of one PBX: `start`, and `close` at the end.

    `to_number` gives E.164 or None. `calls_from(queue)` is the number that the customer sees. With
    `takes_others`, callbacks that were asked for on no PBX are this one's as well.
    """

    def __init__(
        self,
        board: Switchboard,
        bus: Bus,
        database: Database,
        *,
        to_number: Callable[[str], str | None],
        calls_from: Callable[[str], str],
        takes_others: bool = True,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._board = board
        self._database = database
        self._calls_from = calls_from
        self._pbxs = {board.name, ""} if takes_others else {board.name}
        self._look_seconds = look_seconds
        self._courses = Courses(
            board.name,
            bus,
            database,
            to_number,
            lambda endpoint: endpoint in board.calls.parties.members,
            self._read_mark,
            self.look,
        )
        self._asked: dict[int, float] = {}
        """Stand-ins that Asterisk was asked for and has not shown, with the moment (the event
        loop's) until which they are waited for."""
        self._losses: dict[int, _Loss] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._told = ""
        bus.listen(
            self._on_signal,
            *(QueueChanged, AgentStateChanged, CallOfferEnded, CallSummary, PbxLinkChanged),
        )

    async def start(self) -> None:
        """Begin to look; returns at once."""
        self._task = asyncio.create_task(self._keep_looking(), name=f"callbacks {self._board.name}")

    async def close(self) -> None:
        """Look no more. Stand-ins stay where they are: they are found again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._courses.write()
        except Exception as error:
            log.warning("what became of callbacks is not in the store: %s", type(error).__name__)

    def look(self) -> None:
        """Something may have changed in the store: look now. Never blocks."""
        self._news.set()

    def record(self, callback: int) -> CallbackRecord | None:
        """The callback as last read, None if it is over."""
        return self._courses.open_rows.get(callback)

    def _on_signal(self, signal: Signal) -> None:
        if signal.pbx == self._board.name and (self._courses.open_rows or self._courses.callbacks):
            self._news.set()

    async def _keep_looking(self) -> None:
        while True:
            self._news.clear()
            try:
                await self._look()
                self._told = ""
            except Exception as error:
                self._tell(error)
            await asyncio.sleep(GATHER_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_seconds):
                    await self._news.wait()

    def _tell(self, error: Exception) -> None:
        """A PBX or database that is away all night is one line."""
        cause = str(error) if isinstance(error, AmiError) else type(error).__name__
        if cause != self._told:
            log.warning("callbacks of PBX %s wait: %s", self._board.name, cause)
        self._told = cause

    async def _look(self) -> None:
        for callback in await self._courses.write():
            await self._forget_mark(callback)
        found = await rows.waiting(self._database)
        if not all(row.is_wanted for row in found):
            await self._database.run(rows.follow_tasks)
            found = await rows.waiting(self._database)
        self._courses.open_rows = {row.id: row for row in found}
        if self._board.link.state is not LinkState.UP:
            return
        # Up to the first action nothing else happens: rows, channels and news fit together.
        ours = {row.id: row for row in found if row.pbx in self._pbxs}
        stand_ins = self._stand_ins()
        there = {one.callback for one in stand_ins}
        self._forget_asked(there)
        seen_to = there | self._courses.callbacks | set(self._asked)
        orphans = [
            row
            for row in ours.values()
            if row.id not in seen_to and row.state is not CallbackState.WAITING
        ]
        lost = {row.id for row in orphans}
        now = datetime.now(UTC)
        pending = [
            Pending(row.id, row.queue, row.priority)
            for row in ours.values()
            if row.id not in lost and row.is_wanted and row.not_before <= now
            if row.id in there or row.id in self._asked or self._may_join(row)
        ]
        queues = {queue: self._queue(queue) for queue in {one.queue for one in pending}}
        todo = plan(queues, pending, [*stand_ins, *self._on_their_way()])
        for name in todo.leave:
            await self._take_out(name)
        for row in orphans:
            await self._restore(row)
        for callback in todo.join:
            await self._put_in(ours[callback])

    def _may_join(self, row: CallbackRecord) -> bool:
        """Nobody speaks with the customer, and nothing has just gone wrong with it."""
        if row.id in self._courses.callbacks:
            return False
        loss = self._losses.get(row.id)
        if loss is None or self._board.queues.agents_serving(row.queue) > loss.agents:
            return True
        return loss.rest_until <= asyncio.get_running_loop().time()

    def _queue(self, name: str) -> QueueNow:
        places = [someone.place for someone in self._board.lines.of(name)]
        return QueueNow(places, self._board.queues.agents_serving(name))

    def _stand_ins(self) -> list[StandIn]:
        """Those that Asterisk has, talks that came of them included."""
        calls = self._board.calls.calls.values()
        return [
            self._stand_in(call, call.callback_id)
            for call in sorted(calls, key=lambda call: call.started_at or 0)
            if call.callback_id is not None
        ]

    def _stand_in(self, call: Call, callback: int) -> StandIn:
        name = next((channel.name for channel in call.channels.values() if channel.local), "")
        taken = call.first_leg_answered or call.answered or not name
        for someone in self._board.lines.of(call.queue):
            if someone.uniqueid in call.channels:
                return StandIn(name, callback, call.queue, someone.place, taken=taken)
        row = self._courses.open_rows.get(callback)
        queue, place = (row.queue, row.priority) if row is not None else ("", 0)
        return StandIn(name, callback, queue, place, in_line=False, taken=taken)

    def _on_their_way(self) -> Sequence[StandIn]:
        """Those that Asterisk was asked for and has not shown yet; they have no name to end by."""
        found = (self._courses.open_rows.get(callback) for callback in self._asked)
        return [
            StandIn("", row.id, row.queue, row.priority, in_line=False)
            for row in found
            if row is not None
        ]

    def _forget_asked(self, there: set[int]) -> None:
        now = asyncio.get_running_loop().time()
        for callback, until in list(self._asked.items()):
            if callback in there or now >= until:
                del self._asked[callback]

    async def _put_in(self, row: CallbackRecord) -> None:
        if not _NUMBER.fullmatch(row.number) or not _QUEUE.fullmatch(row.queue):
            log.warning("callback %d cannot be dialled: its number or queue is none", row.id)
            await self._database.run(
                lambda tx: rows.cancel(tx, row.id, actor=audit.SYSTEM, outcome="undiallable")
            )
            return
        channel = f"Local/{row.id}@{STAND_IN_CONTEXT}"
        if not await self._database.run(lambda tx: rows.joined(tx, row.id, channel)):
            return
        self._asked[row.id] = asyncio.get_running_loop().time() + APPEAR_SECONDS
        try:
            await self._board.action(
                "Originate",
                Channel=channel,
                Context="callback-customer",
                Exten=str(row.id),
                Priority=1,
                Timeout=WAITS_SECONDS * 1000,
                Variable=[
                    f"__DESKBELL_CUSTOMER={row.number}",
                    f"__DESKBELL_CUSTOMER_NAME={_plain(row.name)}",
                    f"__DESKBELL_QUEUE={row.queue}",
                    f"__DESKBELL_PLACE={row.priority}",
                    f"__DESKBELL_TRY={row.tries}",
                    f"__DESKBELL_CALLS_FROM={self._calls_from(row.queue)}",
                ],
            )
        except ActionFailed:
            # Surely not done: any other failure may come after Asterisk has begun.
            del self._asked[row.id]
            raise

    async def _take_out(self, channel: str) -> None:
        if channel:
            try:
                await self._board.action("Hangup", Channel=channel)
            except ActionFailed:
                log.debug("%s was gone already", channel)

    async def _restore(self, row: CallbackRecord) -> None:
        """Its stand-in is gone and no signal has said why: both sides may have been away."""
        if await self._courses.write_unheard(row):
            log.info("callback %d went on while nobody listened", row.id)
            await self._forget_mark(row.id)
        else:
            self._note_loss(row)
        self.look()

    def _note_loss(self, row: CallbackRecord) -> None:
        """The first in a row costs no pause: Asterisk may have been started again."""
        now = asyncio.get_running_loop().time()
        before = self._losses.get(row.id)
        in_a_row = before is not None and now - before.at < 2 * LONGEST_REST_SECONDS
        times = before.times + 1 if before is not None and in_a_row else 0
        rest = min(LONGEST_REST_SECONDS, REST_SECONDS * 2 ** (times - 1)) if times else 0.0
        agents = self._board.queues.agents_serving(row.queue)
        self._losses[row.id] = _Loss(now, times, now + rest, agents)

    async def _read_mark(self, callback: int) -> str:
        """What the dialplan has noted of this try (extensions.conf, callback-customer)."""
        try:
            found = await self._board.link.list_action("DBGet", Family=MARKS, Key=str(callback))
        except ActionFailed:
            return ""
        word, _, tries = found[0].get("Val", "").partition(" ") if found else ("", "", "")
        row = self._courses.open_rows.get(callback)
        return word if row is not None and tries == str(row.tries) else ""

    async def _forget_mark(self, callback: int) -> None:
        self._losses.pop(callback, None)
        try:
            await self._board.action("DBDel", Family=MARKS, Key=str(callback))
        except AmiError as error:
            log.debug("Asterisk's note of callback %d stays: %s", callback, error)


def _plain(name: str) -> str:
    """A name as a telephone may show it, with nothing that means something on the way there."""
    kept = (
        letter if letter.isalnum() or letter in " .-'" or unicodedata.combining(letter) else " "
        for letter in name
    )
    return " ".join("".join(kept).split())[:LONGEST_NAME]
