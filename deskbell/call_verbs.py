"""The verbs of calls in progress, fitted to the desk: one control and one recorder for each PBX.

Owns which PBX is asked, and what its refusals are called towards the desk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TypeVar

from agent_desk.parts import AgentActionRefused, CallVerbs, NotPossibleNow
from crm_store.bus import Bus
from crm_store.contacts.recordings import RecordingRecord
from crm_store.database import Database
from crm_store.models import RecordingPolicy
from cti.ami.link import ActionFailed, AmiError
from cti.calls.call_control import CallControl, NotInTheCall
from cti.calls.recorder import Recorder, RecordingRefused
from cti.switchboard import Switchboard

T = TypeVar("T")


class LiveCallVerbs:
    """All PBXs' verbs. `folders` say where each one's recordings can be read."""

    def __init__(
        self,
        boards: Mapping[str, Switchboard],
        folders: Mapping[str, Path | None],
        bus: Bus,
        database: Database,
        policies: Mapping[str, RecordingPolicy],
    ) -> None:
        self.recorders = {
            name: Recorder(board, bus, database, policies, folders.get(name))
            for name, board in boards.items()
        }
        self._controls = {name: CallControl(board, bus) for name, board in boards.items()}

    def follow(self, policies: Mapping[str, RecordingPolicy]) -> None:
        """The queues' recording policies, by name, are these from now on."""
        for recorder in self.recorders.values():
            recorder.follow(policies)

    async def close(self) -> None:
        for recorder in self.recorders.values():
            await recorder.close()

    def as_parts(self) -> CallVerbs:
        return CallVerbs(
            join=self._join,
            park=self._park,
            transfer=self._transfer,
            hang_up=self._hang_up,
            record=self._record,
            recording_file=self._recording_file,
        )

    async def _join(self, pbx: str, call: str, other: str, extension: str) -> None:
        control = self._control(pbx)
        await _told(control.join(call, other, f"PJSIP/{extension}"))

    async def _park(self, pbx: str, call: str, extension: str) -> str:
        return await _told(self._control(pbx).park(call, f"PJSIP/{extension}"))

    async def _transfer(self, pbx: str, call: str, extension: str, to: str) -> None:
        await _told(self._control(pbx).transfer(call, f"PJSIP/{extension}", to))

    async def _hang_up(self, pbx: str, call: str, extension: str) -> None:
        await _told(self._control(pbx).hang_up(call, f"PJSIP/{extension}"))

    async def _record(self, pbx: str, call: str, action: str, agent: str) -> None:
        recorder = self.recorders.get(pbx)
        if recorder is None:
            raise NotPossibleNow("gone")
        match action:
            case "start":
                await _told(recorder.start(call, agent))
            case "pause":
                await _told(recorder.pause(call, agent))
            case "resume":
                await _told(recorder.resume(call, agent))
            case "stop":
                await _told(recorder.stop(call))

    def _recording_file(self, recording: RecordingRecord) -> Path | None:
        recorder = self.recorders.get(recording.pbx)
        return recorder.file_of(recording) if recorder else None

    def _control(self, pbx: str) -> CallControl:
        control = self._controls.get(pbx)
        if control is None:
            raise NotPossibleNow("gone")
        return control


async def _told(work: Awaitable[T]) -> T:
    try:
        return await work
    except RecordingRefused as refusal:
        raise NotPossibleNow(str(refusal)) from None
    except (NotInTheCall, ActionFailed):
        raise NotPossibleNow("gone") from None
    except AmiError as error:
        raise AgentActionRefused(
            f"The telephone system did not do it ({error}). Try again in a moment."
        ) from None
