"""The journal: calls and agents' states, written to the store beside the path of a pop.

Owns the batching. Signals only change records in memory; one task writes them a few times a second
in one transaction, again and again while the database is locked or away. Rows are keyed by PBX and
Linkedid, so writing twice, or after a restart, makes no second row. Refuses to know AMI and pages.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from crm_store.bus import Bus
from crm_store.contacts import calls, faxes
from crm_store.contacts.calls import CallKey, CallRecord
from crm_store.database import Database, Transaction
from crm_store.models import CallState
from crm_store.signals import (
    AgentStateChanged,
    CallAnswered,
    CallerRecognised,
    CallMerged,
    CallOffered,
    CallQueued,
    CallSignal,
    CallStarted,
    CallSummary,
    CallTransferred,
    Direction,
    FaxArrived,
    PbxLinkChanged,
    Signal,
)
from crm_store.staff import agents
from crm_store.staff.agents import StateChange

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.25
"""The pause in which the next batch gathers."""
RETRY_SECONDS: Final = 1.0
CALLS_AT_ONCE: Final = 25
ENTRIES_AT_ONCE: Final = 100
"""Calls, and entries in all, of one transaction: a long batch must not keep the event loop from a
pop, a short one is no cheaper to begin and to commit."""
LAST_WRITE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Merge:
    """Call `merged` became part of call `into`."""

    pbx: str
    merged: str
    into: str


@dataclass(frozen=True, slots=True)
class LostCalls:
    """The PBX was just asked what lives: the store's other live calls have ended unseen."""

    pbx: str
    still_live: Collection[str]


Entry = CallKey | Merge | LostCalls | FaxArrived | AgentStateChanged


class Journal:
    """Listens from its making; writes from `start` to `close`.

    `to_number` is None for what is no telephone number; `live_calls` gives the Linkedids that a
    PBX has now.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        to_number: Callable[[str], str | None],
        live_calls: Callable[[str], Collection[str]],
    ) -> None:
        self._database = database
        self._to_number = to_number
        self._live_calls = live_calls
        self._records: dict[CallKey, CallRecord] = {}
        self._unwritten: dict[Entry, None] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._act: dict[type[Signal], Callable[[Any], None]] = {
            CallStarted: self._started,
            CallQueued: self._queued,
            CallOffered: self._offered,
            CallAnswered: self._answered,
            CallTransferred: self._transferred,
            CallerRecognised: self._recognised,
            CallMerged: self._merged,
            FaxArrived: self._note,
            CallSummary: self._summed_up,
            AgentStateChanged: self._note,
            PbxLinkChanged: self._link_changed,
        }
        bus.listen(self._on_signal, *self._act)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep_writing(), name="journal")

    async def close(self) -> None:
        """Write what is left, and stop. What the database does not take in time is logged."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_WRITE_SECONDS):
                while self._unwritten:
                    await self._write_some()
        except Exception:
            log.exception("%d journal entries could not be written", len(self._unwritten))

    def _on_signal(self, signal: Signal) -> None:
        self._act[type(signal)](signal)

    def _note(self, entry: Entry) -> None:
        self._unwritten[entry] = None
        self._news.set()

    def _change(self, signal: CallSignal, **values: Any) -> None:
        key = (signal.pbx, signal.call)
        record = self._records.get(key)
        if record is not None:
            self._records[key] = replace(record, **values)
            self._note(key)

    def _started(self, signal: CallStarted) -> None:
        key = (signal.pbx, signal.call)
        inbound = signal.direction is Direction.INBOUND
        self._records[key] = CallRecord(
            pbx=signal.pbx,
            linkedid=signal.call,
            state=CallState.LIVE,
            direction=signal.direction,
            caller=signal.caller,
            callee=signal.callee,
            number=self._to_number(signal.caller if inbound else signal.callee),
            started_at=_moment(signal.at),
        )
        self._note(key)

    def _queued(self, signal: CallQueued) -> None:
        self._change(signal, queue=signal.queue)

    def _offered(self, signal: CallOffered) -> None:
        record = self._records.get((signal.pbx, signal.call))
        if record is not None and signal.endpoint not in record.rang:
            self._change(signal, rang=[*record.rang, signal.endpoint])

    def _answered(self, signal: CallAnswered) -> None:
        record = self._records.get((signal.pbx, signal.call))
        if record is None:
            return
        if signal.agent:
            # Whoever has the call last wraps it up.
            record = self._records[signal.pbx, signal.call] = replace(record, agent=signal.agent)
        self._change(signal, answered_by=record.answered_by or signal.endpoint)

    def _transferred(self, signal: CallTransferred) -> None:
        self._change(signal, transferred_to=signal.target)

    def _recognised(self, signal: CallerRecognised) -> None:
        if len(signal.matches) == 1:
            self._change(signal, customer_id=signal.matches[0]["id"], number=signal.number)

    def _merged(self, signal: CallMerged) -> None:
        self._note(Merge(signal.pbx, signal.merged, signal.call))

    def _summed_up(self, signal: CallSummary) -> None:
        key = (signal.pbx, signal.call)
        known = self._records.get(key)
        ended = CallRecord.ended(
            signal,
            agent=known.agent if known else None,
            customer_id=known.customer_id if known else None,
            number=known.number if known else None,
        )
        self._records[key] = replace(
            ended,
            started_at=ended.started_at or (known.started_at if known else None),
            ended_at=ended.ended_at or datetime.now(UTC),
        )
        self._note(key)

    def _link_changed(self, signal: PbxLinkChanged) -> None:
        if signal.up:
            self._note(LostCalls(signal.pbx, frozenset(self._live_calls(signal.pbx))))

    async def _keep_writing(self) -> None:
        said = False
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                while self._unwritten:
                    await self._write_some()
                said = False
            except Exception as error:
                if not said:
                    log.warning("the journal waits for the database: %s", type(error).__name__)
                    said = True
                self._news.set()
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _write_some(self) -> None:
        """Write the oldest entries in one transaction; they are forgotten once they are written."""
        batch: dict[Entry, CallRecord | None] = {}
        room_for_calls = CALLS_AT_ONCE
        for entry in self._unwritten:
            record = self._records.get(entry) if isinstance(entry, tuple) else None
            batch[entry] = record
            room_for_calls -= record is not None
            if not room_for_calls or len(batch) >= ENTRIES_AT_ONCE:
                break

        async def write(transaction: Transaction) -> None:
            records: list[CallRecord] = []
            for entry, record in batch.items():
                if record is not None:
                    records.append(record)
                elif isinstance(entry, Merge | LostCalls | FaxArrived):
                    # What is known of the calls so far is written before more is said of them.
                    await calls.record_calls(transaction, records)
                    records = []
                    await self._write_entry(transaction, entry)
            await calls.record_calls(transaction, records)
            await agents.log_states(
                transaction,
                [_state_change(entry) for entry in batch if isinstance(entry, AgentStateChanged)],
            )

        await self._database.run(write)
        for entry, record in batch.items():
            # Changed while it was being written: it is written once more.
            if record is not None and isinstance(entry, tuple):
                if self._records.get(entry) is not record:
                    continue
                if record.state is CallState.ENDED:
                    del self._records[entry]
            elif isinstance(entry, Merge):
                self._records.pop((entry.pbx, entry.merged), None)
            self._unwritten.pop(entry, None)

    async def _write_entry(
        self, transaction: Transaction, entry: Merge | LostCalls | FaxArrived
    ) -> None:
        if isinstance(entry, FaxArrived):
            await faxes.receive(transaction, entry.pbx, entry.call, entry.pages)
            return
        if isinstance(entry, Merge):
            await calls.merge_call(transaction, entry.pbx, merged=entry.merged, into=entry.into)
            return
        lost = await calls.end_lost_calls(
            transaction, entry.pbx, entry.still_live, datetime.now(UTC)
        )
        if lost:
            log.info("PBX %s: %d calls had ended unseen", entry.pbx, len(lost))


def _state_change(signal: AgentStateChanged) -> StateChange:
    return signal.agent, signal.state, signal.reason, signal.queues, _moment(signal.at)


def _moment(seconds: float | None) -> datetime:
    """The PBX's clock as a moment; now, where it wrote none or an impossible one."""
    try:
        return datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.now(UTC)
