"""The recorder: which calls' sound is kept, since when, and the pauses in it.

A recording hangs on the customer's own channel (MixMonitor), so that it goes along through every
transfer, parking and conference, and over a restart of ours; it holds both directions. A pause is
silence in the file, so that its timeline stays the call's. Owns the AMI actions, what is being
recorded at this moment and the rows that say so. Refuses to know who may ask for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from crm_store import audit
from crm_store.bus import Bus
from crm_store.contacts import recordings
from crm_store.contacts.recordings import PAUSE, RESUME, RecordingRecord
from crm_store.database import Database, Transaction
from crm_store.models import RecordingPolicy
from crm_store.signals import (
    CallAnswered,
    CallEnded,
    CallLeft,
    CallMerged,
    PbxLinkChanged,
    RecordingChanged,
    Signal,
)
from cti.ami.actions import ActionFailed
from cti.calls.call_control import NotInTheCall
from cti.calls.call_state import Call, Channel
from cti.switchboard import Switchboard

log = logging.getLogger(__name__)


FORBIDDEN = "forbidden"


class RecordingRefused(Exception):
    """It must not be. The text says who is against it: the queue's policy "never" or "always", or
    "forbidden" for the PBX, whose AMI user may not record."""


@dataclass(slots=True)
class LiveRecording:
    """A recording under way. `uniqueid` is the channel that it hangs on."""

    id: int
    file: str
    uniqueid: str
    since: datetime
    paused: bool = False


@dataclass(slots=True)
class RecordedCall:
    """What is being recorded of one call; its changes happen one after the other."""

    recordings: list[LiveRecording] = field(default_factory=list)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Recorder:
    """Records the calls of one PBX, as each queue's policy says. `folder` is where its files can be
    read; None: nowhere."""

    def __init__(
        self,
        board: Switchboard,
        bus: Bus,
        database: Database,
        policies: Mapping[str, RecordingPolicy],
        folder: Path | None = None,
    ) -> None:
        self.folder = folder
        self._policies = policies
        self._board = board
        self._bus = bus
        self._database = database
        self._calls: dict[str, RecordedCall] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._told_forbidden = False
        bus.listen(self._on_signal, CallAnswered, CallMerged, CallLeft, CallEnded, PbxLinkChanged)

    async def close(self) -> None:
        """Write what is left. Recordings go on: they are Asterisk's."""
        await asyncio.gather(*self._running, return_exceptions=True)

    def follow(self, policies: Mapping[str, RecordingPolicy]) -> None:
        """The queues' policies, by name, are these from now on."""
        self._policies = policies

    async def start(self, call: str, by: str) -> None:
        """Record the call from now on; nothing happens if it is recorded already.

        Raises RecordingRefused, NotInTheCall, or what the AMI link or the database raises.
        """
        if self._policy(call) is RecordingPolicy.NEVER:
            raise RecordingRefused(RecordingPolicy.NEVER.value)
        await self._start(call, by)

    async def stop(self, call: str) -> None:
        """Record no more of it. Raises as `start` does."""
        if self._policy(call) is RecordingPolicy.ALWAYS:
            raise RecordingRefused(RecordingPolicy.ALWAYS.value)
        await self._stop(call)

    async def _stop(self, call: str) -> None:
        recorded = self._recorded(call)
        async with recorded.changing:
            for one in recorded.recordings:
                await self._board.action("StopMixMonitor", Channel=self._channel(call, one).name)
            await self._end_all(call)

    async def pause(self, call: str, by: str) -> None:
        """Only silence goes into the file until `resume`. Raises as `start` does."""
        await self._mute(call, by, paused=True)

    async def resume(self, call: str, by: str) -> None:
        """Sound again. Raises as `start` does."""
        await self._mute(call, by, paused=False)

    def file_of(self, recording: RecordingRecord) -> Path | None:
        """Where its sound is; None if it is not here."""
        if self.folder is None:
            return None
        path = self.folder / Path(recording.file).name
        return path if path.is_file() else None

    def _policy(self, call: str) -> RecordingPolicy:
        live = self._board.calls.calls.get(call)
        queue = (live.queue or live.answered_queue) if live else ""
        return self._policies.get(queue, RecordingPolicy.ASKED)

    async def _start(self, call: str, by: str) -> None:
        recorded = self._calls.setdefault(call, RecordedCall())
        async with recorded.changing:
            if recorded.recordings:
                return
            try:
                channel = self._customer_of(call)
                file = f"{token_hex(16)}.wav"
                await self._begin(channel, file)
            except BaseException:
                self._calls.pop(call, None)
                raise
            since = datetime.now(UTC)

            async def write(transaction: Transaction) -> int:
                return await recordings.begin(
                    transaction,
                    pbx=self._board.name,
                    linkedid=call,
                    file=file,
                    started_by=by,
                    at=since,
                )

            recording_id = await self._database.run(write)
            live = LiveRecording(recording_id, file, channel.uniqueid, since)
            now = channel.call.linkedid
            if now != call:
                # The call became part of another meanwhile.
                await self._move(merged=call, into=now)
                recorded = self._calls.setdefault(now, RecordedCall())
            recorded.recordings.append(live)
            if channel.uniqueid not in channel.call.channels:
                await self._end_all(now)
            self._tell(now)

    async def _begin(self, channel: Channel, file: str) -> None:
        try:
            await self._board.action("MixMonitor", Channel=channel.name, File=file)
        except ActionFailed as refusal:
            if "permission" in str(refusal).lower():
                raise RecordingRefused(FORBIDDEN) from None
            raise

    async def _mute(self, call: str, by: str, *, paused: bool) -> None:
        recorded = self._recorded(call)
        async with recorded.changing:
            for one in recorded.recordings:
                await self._board.action(
                    "MixMonitorMute",
                    Channel=self._channel(call, one).name,
                    Direction="both",
                    State="1" if paused else "0",
                )
                one.paused = paused
                await self._mark(one.id, PAUSE if paused else RESUME, by)
            self._tell(call)

    async def _mark(self, recording_id: int, kind: str, by: str) -> None:
        at = datetime.now(UTC)

        async def write(transaction: Transaction) -> None:
            await recordings.mark(transaction, recording_id, kind, at=at, by=by)

        await self._database.run(write)

    def _recorded(self, call: str) -> RecordedCall:
        recorded = self._calls.get(call)
        if recorded is None or not recorded.recordings:
            raise NotInTheCall("the call is not recorded")
        return recorded

    def _channel(self, call: str, recording: LiveRecording) -> Channel:
        live = self._board.calls.calls.get(call)
        channel = live.channels.get(recording.uniqueid) if live else None
        if channel is None:
            raise NotInTheCall("the customer has left the call")
        return channel

    def _customer_of(self, linkedid: str) -> Channel:
        """The customer's leg, which stays when agents come and go; the caller's, of colleagues."""
        call = self._board.calls.calls.get(linkedid)
        legs = [leg for leg in call.channels.values() if not leg.local] if call else []
        if not legs:
            raise NotInTheCall("the call is over")
        known = self._board.calls.parties.members
        return next((leg for leg in legs if leg.endpoint not in known), legs[0])

    def _tell(self, call: str) -> None:
        recorded = self._calls.get(call)
        state, since = "off", None
        if recorded is not None and recorded.recordings:
            state = "paused" if all(one.paused for one in recorded.recordings) else "on"
            since = min(one.since for one in recorded.recordings).timestamp()
        self._bus.publish(
            RecordingChanged(
                pbx=self._board.name,
                at=datetime.now(UTC).timestamp(),
                call=call,
                state=state,
                since=since,
            )
        )

    def _on_signal(self, signal: Signal) -> None:
        if signal.pbx != self._board.name:
            return
        if isinstance(signal, CallAnswered):
            queue = self._served_queue(signal)
            if self._policies.get(queue) is RecordingPolicy.ALWAYS:
                self._do(self._start_by_policy(signal.call, queue))
        elif isinstance(signal, CallMerged):
            if signal.merged in self._calls:
                self._merge(signal.merged, signal.call)
        elif isinstance(signal, CallLeft):
            call = self._board.calls.calls.get(signal.call)
            if call is not None and self._customer_has_left(call):
                self._do(self._end(signal.call))
            elif call is not None and call.goes_on_alone and signal.call in self._calls:
                # What the caller does after the agent is no conversation.
                self._do(self._stop(signal.call))
        elif isinstance(signal, CallEnded):
            if signal.call in self._calls:
                self._do(self._end(signal.call))
        elif isinstance(signal, PbxLinkChanged) and signal.up:
            self._do(self._adopt())

    def _served_queue(self, answer: CallAnswered) -> str:
        """The queue whose customer talks with an agent by this answer; "" for none."""
        call = self._board.calls.calls.get(answer.call)
        if call is not None and call.callback_id is not None:
            # The agent is there before the customer is.
            return call.answered_queue
        return answer.queue if answer.agent else ""

    async def _start_by_policy(self, call: str, queue: str) -> None:
        try:
            await self._start(call, audit.SYSTEM)
        except RecordingRefused:
            if not self._told_forbidden:
                log.warning(
                    "PBX %s does not let us record, though queue %s asks for it: its AMI user has "
                    "no `system` in manager.conf's `write`",
                    self._board.name,
                    queue,
                )
            self._told_forbidden = True

    def _merge(self, merged: str, into: str) -> None:
        former = self._calls.pop(merged)
        self._calls.setdefault(into, RecordedCall()).recordings += former.recordings

        self._do(self._move(merged=merged, into=into))
        self._tell(into)

    async def _move(self, *, merged: str, into: str) -> None:
        async def write(transaction: Transaction) -> None:
            await recordings.move(transaction, self._board.name, merged=merged, into=into)

        await self._database.run(write)

    def _customer_has_left(self, call: Call) -> bool:
        recorded = self._calls.get(call.linkedid)
        return recorded is not None and any(
            one.uniqueid not in call.channels for one in recorded.recordings
        )

    async def _end(self, call: str) -> None:
        recorded = self._calls.get(call)
        if recorded is not None:
            async with recorded.changing:
                await self._end_all(call)

    async def _end_all(self, call: str) -> None:
        ended = self._calls.pop(call, RecordedCall()).recordings
        at = datetime.now(UTC)

        async def write(transaction: Transaction) -> None:
            for one in ended:
                await recordings.end(transaction, one.id, at)

        if ended:
            self._tell(call)
            await self._database.run(write)

    async def _adopt(self) -> None:
        """The link is up: what was recorded before goes on, or has ended while nobody looked."""
        known = {one.id for call in self._calls.values() for one in call.recordings}
        for row in await recordings.still_open(self._database, self._board.name):
            if row.id in known:
                continue
            if row.linkedid in self._board.calls.calls:
                channel = self._customer_of(row.linkedid)
                live = LiveRecording(
                    row.id, row.file, channel.uniqueid, row.started_at, row.is_paused
                )
                self._calls.setdefault(row.linkedid, RecordedCall()).recordings.append(live)
                self._tell(row.linkedid)
            else:
                at = self._last_written(row)

                async def write(
                    transaction: Transaction, row_id: int = row.id, at: datetime = at
                ) -> None:
                    await recordings.end(transaction, row_id, at)

                await self._database.run(write)

    def _last_written(self, row: RecordingRecord) -> datetime:
        path = self.file_of(row)
        if path is None:
            return datetime.now(UTC)
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(self._logged(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _logged(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (NotInTheCall, ActionFailed) as error:
            log.info("PBX %s: a call was gone before it was recorded: %s", self._board.name, error)
        except Exception as error:
            log.warning("PBX %s: a recording failed: %s", self._board.name, type(error).__name__)
