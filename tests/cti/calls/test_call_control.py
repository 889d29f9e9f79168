"""Conference, parking and recording on a real Asterisk, as the server does them over AMI."""

from __future__ import annotations

import asyncio
import math
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from crm_store.bus import Bus
from crm_store.contacts import recordings
from crm_store.database import Database
from crm_store.models import RecordingPolicy
from crm_store.signals import (
    CallAnswered,
    CallEnded,
    CallLeft,
    CallMerged,
    CallOffered,
    CallParked,
    PbxLinkChanged,
    RecordingChanged,
)
from cti.agents.seats import AgentSeat
from cti.calls.call_control import CallControl, NotInTheCall
from cti.calls.recorder import Recorder, RecordingRefused
from cti.switchboard import AmiAddress, Switchboard
from cti.telephone_network.call import SipCall
from cti.telephone_network.network import SipNetwork
from cti.telephone_network.phone import SipPhone
from tests.asterisk_fixtures import SharedPbx, agent_phone, pbx, sip_network
from tests.cti.test_switchboard import Heard
from tests.store_fixtures import sqlite_database, sqlite_template, sqlite_url

pytestmark = pytest.mark.asterisk
__all__ = ["pbx", "sip_network", "sqlite_database", "sqlite_template", "sqlite_url"]

CUSTOMER_TONE, AGENT_TONE = 440, 660
LIN, SARA = "PJSIP/1001", "PJSIP/1003"


@dataclass
class Room:
    """Lin at 1001 and Sara at 1003, with everything that acts on their calls."""

    board: Switchboard
    heard: Heard
    control: CallControl
    recorder: Recorder
    pbx: SharedPbx
    network: SipNetwork
    database: Database

    async def talk(self) -> tuple[SipCall, SipCall, SipPhone, str]:
        """A customer talks with Lin: both ends, Lin's phone, and the call."""
        await self.pbx.join_queue("1001", "service", "lin")
        lin = await agent_phone(self.network, self.pbx, "1001")
        customer = await self.network.call("+8613800138000", "600")
        agent = await lin.answer(await lin.next_call())
        await customer.hears(AGENT_TONE)
        answered = await self.heard.wait(lambda s: isinstance(s, CallAnswered))
        return customer, agent, lin, answered.call

    async def recording(self, state: str) -> RecordingChanged:
        changed: RecordingChanged = await self.heard.wait(
            lambda s: isinstance(s, RecordingChanged) and s.state == state
        )
        return changed

    async def finished(self, call: str) -> recordings.RecordingRecord:
        """The call's one recording, once it is over."""
        async with asyncio.timeout(10):
            while True:
                found = await recordings.of_call(self.database, "main", call)
                if found and found[0].ended_at is not None:
                    assert len(found) == 1
                    return found[0]
                await asyncio.sleep(0.05)


@asynccontextmanager
async def room_of(
    pbx: SharedPbx, network: SipNetwork, database: Database, user: str = ""
) -> AsyncIterator[Room]:
    bus = Bus()
    heard = Heard(bus)
    address = AmiAddress(
        host=pbx.ami_host, port=pbx.ami_port, user=user or pbx.ami_user, secret=pbx.ami_secret
    )
    board = Switchboard("main", address, bus, trunks=("PJSIP/trunk",))
    board.seat([AgentSeat("lin", LIN, {}), AgentSeat("sara", SARA, {})])
    control = CallControl(board, bus)
    recorder = Recorder(board, bus, database, {}, Path(pbx.folder) / "spool/monitor")
    await board.start()
    await board.link.wait_up()
    await heard.wait(lambda s: isinstance(s, PbxLinkChanged))
    try:
        yield Room(board, heard, control, recorder, pbx, network, database)
    finally:
        await board.close()
        await recorder.close()


@pytest.fixture
async def room(
    pbx: SharedPbx, sip_network: SipNetwork, sqlite_database: Database
) -> AsyncIterator[Room]:
    async with room_of(pbx, sip_network, sqlite_database) as it:
        yield it


class Sound:
    """A file's sound, asked for its tones second by second."""

    def __init__(self, path: Path) -> None:
        with wave.open(str(path)) as file:
            self.rate: int = file.getframerate()
            self.samples = array("h", file.readframes(file.getnframes()))

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def loudness(self, start: float, end: float) -> float:
        part = self._part(start, end)
        return math.sqrt(sum(sample * sample for sample in part) / len(part))

    def has(self, frequency: int, start: float, end: float) -> bool:
        """Whether a good part of the sound there is this tone (Goertzel)."""
        part = self._part(start, end)
        coefficient = 2 * math.cos(2 * math.pi * frequency / self.rate)
        before, last = 0.0, 0.0
        for sample in part:
            before, last = last, sample + coefficient * last - before
        power = before * before + last * last - coefficient * before * last
        energy = sum(sample * sample for sample in part)
        return bool(2 * power / (len(part) * energy) > 0.2)

    def _part(self, start: float, end: float) -> array[int]:
        part = self.samples[int(start * self.rate) : int(end * self.rate)]
        assert part, f"nothing from {start} to {end} of {self.seconds} s"
        return part


async def consult(room: Room, lin: SipPhone, agent: SipCall) -> tuple[SipCall, SipCall, str]:
    """Lin holds the customer and asks Sara: Lin's second leg, Sara's, and their call."""
    sara = await agent_phone(room.network, room.pbx, "1003")
    await agent.hold()
    second = await lin.dial("1003")
    third = await sara.answer(await sara.next_call())
    answered = await room.heard.wait(lambda s: isinstance(s, CallAnswered) and s.endpoint == SARA)
    await third.hears(AGENT_TONE)
    return second, third, answered.call


async def test_a_consultation_becomes_a_conference_that_goes_on_without_the_agent(
    room: Room,
) -> None:
    customer, agent, lin, call = await room.talk()
    second, third, other = await consult(room, lin, agent)
    await room.control.join(call, other, LIN)
    merged = await room.heard.wait(lambda s: isinstance(s, CallMerged))
    assert (merged.call, merged.merged) == (call, other)
    await agent.wait("ended")
    await third.hears(CUSTOMER_TONE, share=0.3)
    await second.hears(CUSTOMER_TONE, share=0.3)
    await second.hang_up()
    left = await room.heard.wait(lambda s: isinstance(s, CallLeft))
    assert (left.call, left.agent) == (call, "lin")
    await third.hears(CUSTOMER_TONE)
    await customer.hears(AGENT_TONE)
    await third.hang_up()
    await customer.wait("ended")


async def test_the_customer_may_leave_a_conference(room: Room) -> None:
    customer, agent, lin, call = await room.talk()
    second, third, other = await consult(room, lin, agent)
    await room.control.join(call, other, LIN)
    await agent.wait("ended")
    await customer.hang_up()
    await third.hears(AGENT_TONE)
    await second.hang_up()
    await third.wait("ended")


async def test_what_is_not_ones_own_call_cannot_be_joined(room: Room) -> None:
    _, agent, lin, call = await room.talk()
    _, _, other = await consult(room, lin, agent)
    for wrong in ((call, call, LIN), (call, other, SARA), (call, "9.9", LIN), ("9.9", other, LIN)):
        with pytest.raises(NotInTheCall):
            await room.control.join(*wrong)
    await agent.resume()
    await agent.hang_up()


async def test_a_parked_call_is_taken_by_dialling_its_space(room: Room) -> None:
    customer, agent, _, call = await room.talk()
    space = await room.control.park(call, LIN)
    parked = await room.heard.wait(lambda s: isinstance(s, CallParked))
    assert (parked.space, parked.call, parked.endpoint) == (space, call, LIN)
    await agent.wait("ended")
    sara = await agent_phone(room.network, room.pbx, "1003")
    taking = await sara.dial(space)
    taken = await room.heard.wait(lambda s: isinstance(s, CallAnswered) and s.endpoint == SARA)
    assert (taken.call, taken.agent) == (call, "sara")
    await taking.hears(CUSTOMER_TONE)
    with pytest.raises(NotInTheCall):
        await room.control.park(call, LIN)
    await customer.hang_up()


async def test_a_parked_call_comes_back_to_who_parked_it(room: Room) -> None:
    customer, _, lin, call = await room.talk()
    await room.control.park(call, LIN)
    again = await lin.answer(await lin.next_call())
    await room.heard.wait(lambda s: isinstance(s, CallOffered) and s.call == call)
    await again.hears(CUSTOMER_TONE)
    await customer.hang_up()


async def test_a_blind_transfer_and_a_hangup_for_phones_that_cannot(room: Room) -> None:
    customer, agent, _, call = await room.talk()
    sara = await agent_phone(room.network, room.pbx, "1003")
    await room.control.transfer(call, LIN, "1003")
    third = await sara.answer(await sara.next_call())
    await third.hears(CUSTOMER_TONE)
    await agent.wait("ended")
    await room.control.hang_up(call, SARA)
    await customer.wait("ended")


async def test_a_recording_has_both_sides_and_its_pauses_are_silence(room: Room) -> None:
    customer, _, _, call = await room.talk()
    await room.recorder.start(call, "lin")
    await room.recorder.start(call, "lin")
    await customer.audio.next_heard(1.0)
    await room.recorder.pause(call, "lin")
    await customer.audio.next_heard(1.0)
    await room.recorder.resume(call, "lin")
    await customer.audio.next_heard(1.0)
    await customer.hang_up()
    kept = await room.finished(call)
    pause, resume = kept.marks
    assert [(mark["kind"], mark["by"]) for mark in kept.marks] == [
        ("pause", "lin"),
        ("resume", "lin"),
    ]
    path = room.recorder.file_of(kept)
    assert path is not None
    sound = Sound(path)
    assert kept.seconds is not None
    assert abs(sound.seconds - kept.seconds) < 0.5
    for start, end in ((0.2, pause["at"] - 0.2), (resume["at"] + 0.3, kept.seconds - 0.4)):
        assert sound.has(CUSTOMER_TONE, start, end)
        assert sound.has(AGENT_TONE, start, end)
    paused = sound.loudness(pause["at"] + 0.25, resume["at"] - 0.25)
    assert paused < 0.01 * sound.loudness(0.2, pause["at"] - 0.2)
    states = [signal.state for signal in room.heard.all_of(RecordingChanged)]
    assert states == ["on", "paused", "on", "off"]


async def test_a_queue_whose_calls_are_always_recorded(room: Room) -> None:
    room.recorder.follow({"service": RecordingPolicy.ALWAYS})
    customer, agent, lin, call = await room.talk()
    await room.recording("on")
    with pytest.raises(RecordingRefused):
        await room.recorder.stop(call)
    second, third, other = await consult(room, lin, agent)
    await room.control.join(call, other, LIN)
    await agent.wait("ended")
    await third.hears(CUSTOMER_TONE, share=0.3)
    await room.recorder.pause(call, "sara")
    await second.hang_up()
    await third.hang_up()
    await customer.wait("ended")
    kept = await room.finished(call)
    assert [(mark["kind"], mark["by"]) for mark in kept.marks] == [
        ("pause", "sara"),
        ("resume", ""),
    ]
    assert kept.marks[-1]["at"] == pytest.approx(kept.seconds, abs=0.01)


async def test_a_queue_whose_calls_are_never_recorded(room: Room) -> None:
    room.recorder.follow({"service": RecordingPolicy.NEVER})
    customer, _, _, call = await room.talk()
    with pytest.raises(RecordingRefused):
        await room.recorder.start(call, "lin")
    for change in (room.recorder.pause, room.recorder.resume):
        with pytest.raises(NotInTheCall):
            await change(call, "lin")
    await customer.hang_up()


async def test_an_ami_user_who_may_not_record_may_do_all_else(
    pbx: SharedPbx,
    sip_network: SipNetwork,
    sqlite_database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await let_in_without_system(pbx, "modest")
    async with room_of(pbx, sip_network, sqlite_database, user="modest") as room:
        room.recorder.follow({"service": RecordingPolicy.ALWAYS})
        for _ in range(2):
            customer, agent, lin, call = await room.talk()
            with pytest.raises(RecordingRefused, match=r"^forbidden$"):
                await room.recorder.start(call, "lin")
            await customer.hang_up()
            await agent.wait("ended")
            room.heard.signals.clear()
            await lin.close()
            await pbx.clean()
        assert caplog.text.count("does not let us record") == 1
        customer, agent, lin, call = await room.talk()
        await room.board.agents.pause("lin", "lunch")
        second, third, other = await consult(room, lin, agent)
        await room.control.join(call, other, LIN)
        await agent.wait("ended")
        await third.hears(CUSTOMER_TONE, share=0.3)
        await room.control.hang_up(call, LIN)
        await second.wait("ended")
        assert customer.state == "answered"
        await customer.hang_up()


async def let_in_without_system(pbx: SharedPbx, user: str) -> None:
    """A second AMI user, as a careful administrator makes one."""
    file = Path(pbx.folder) / "etc/manager.conf"
    given = file.read_text("utf-8")
    own = given[given.index(f"[{pbx.ami_user}]") :]
    theirs = own.replace(f"[{pbx.ami_user}]", f"[{user}]").replace("write = system,", "write = ")
    assert "write = call," in theirs
    file.write_text(f"{given}\n{theirs}", "utf-8")
    await pbx.console("manager reload")


async def test_a_recording_that_is_stopped_ends_before_the_call(room: Room) -> None:
    customer, _, _, call = await room.talk()
    await room.recorder.start(call, "lin")
    await room.recorder.stop(call)
    kept = await room.finished(call)
    await room.recording("off")
    assert customer.state == "answered"
    assert kept.started_by == "lin"
    await customer.hang_up()


async def test_a_recording_goes_on_over_a_restart_of_the_service(
    room: Room, sqlite_database: Database
) -> None:
    customer, _, _, call = await room.talk()
    await room.recorder.start(call, "lin")
    await room.recorder.pause(call, "lin")
    await room.board.close()
    async with room_of(room.pbx, room.network, sqlite_database) as later:
        changed = await later.recording("paused")
        assert changed.call == call
        await later.recorder.resume(call, "sara")
        await customer.audio.next_heard(0.6)
        await customer.hang_up()
        await later.heard.wait(lambda s: isinstance(s, CallEnded))
        kept = await later.finished(call)
        assert [mark["by"] for mark in kept.marks] == ["lin", "sara"]
        path = later.recorder.file_of(kept)
        assert path is not None
        sound = Sound(path)
        assert sound.has(CUSTOMER_TONE, sound.seconds - 0.5, sound.seconds - 0.1)


async def test_a_call_that_ended_while_nobody_looked_closes_its_recording(
    room: Room, sqlite_database: Database
) -> None:
    customer, _, _, call = await room.talk()
    await room.recorder.start(call, "lin")
    await room.board.close()
    await customer.hang_up()
    await room.pbx.clean()
    async with room_of(room.pbx, room.network, sqlite_database) as later:
        kept = await later.finished(call)
        assert kept.seconds is not None
        assert kept.seconds < 60
