"""A call that is recorded: both voices on disk, silence and its mark where it was paused."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from crm_store.contacts import recordings
from crm_store.contacts.recordings import PAUSE, RESUME, RecordingRecord
from crm_store.database import Database
from cti.telephone_network.network import CALLER_TONE
from tests.desk_stage import (
    AMONG_OTHERS,
    LIN_TONE,
    Recording,
    Stage,
    caller_hears,
    eventually,
    hears,
)

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]

WINDOWS_A_SECOND = 5
EDGE = 2
"""Windows beside a mark that may belong to either side."""


async def kept(stage: Stage, linkedid: str) -> RecordingRecord:
    """The call's recording, once it is closed."""
    database = Database(stage.service.database_url)
    try:

        async def closed() -> list[RecordingRecord]:
            found = await recordings.of_call(database, "main", linkedid)
            return [one for one in found if one.ended_at]

        (record,) = await eventually(closed, "the recording is closed")
    finally:
        await database.close()
    return record


def sound_of(stage: Stage, record: RecordingRecord) -> Recording:
    return Recording.read(stage.pbx.folder / "spool/monitor" / record.file)


def without_both_voices(sound: Recording, windows: slice) -> list[tuple[float, float]]:
    """The shares of the customer's and of lin's tone, where one of them is missing."""
    shares = zip(sound.shares(CALLER_TONE), sound.shares(LIN_TONE), strict=True)
    return [pair for pair in list(shares)[windows] if min(pair) < AMONG_OTHERS]


async def test_a_recording_with_a_pause_in_it(stage: Stage) -> None:
    caller = await stage.in_call()
    lin = stage.lin
    shown = lin.page.locator(".leg-recording")
    await lin.panel.record()
    call = await lin.has_call("answered", recording="on")
    await expect(shown).to_be_visible()
    await caller.audio.next_heard(2.0)
    await lin.panel.pause_recording()
    await lin.has_call("answered", recording="paused")
    await expect(shown).to_contain_text("paused")
    await caller.audio.next_heard(2.0)
    # The customer goes on hearing the agent: only the file is silent.
    await caller_hears(caller, LIN_TONE)
    await lin.panel.pause_recording()
    await lin.has_call("answered", recording="on")
    await caller.audio.next_heard(2.0)
    await lin.panel.stop_recording()
    await lin.has_call("answered", recording="off")

    record = await kept(stage, call["call"])
    assert record.started_by == "lin"
    assert [mark["kind"] for mark in record.marks] == [PAUSE, RESUME]
    assert {mark["by"] for mark in record.marks} == {"lin"}
    begin, end = (round(float(mark["at"]) * WINDOWS_A_SECOND) for mark in record.marks)
    sound = sound_of(stage, record)
    assert record.seconds is not None
    assert abs(sound.seconds - record.seconds) < 2.0
    assert without_both_voices(sound, slice(EDGE, begin - EDGE)) == []
    assert all(sound.silent()[begin + EDGE : end - EDGE])
    assert without_both_voices(sound, slice(end + EDGE, -EDGE)) == []
    assert end - begin >= 1.5 * WINDOWS_A_SECOND


async def test_a_recording_goes_on_over_a_reload(stage: Stage) -> None:
    caller = await stage.in_call()
    lin = stage.lin
    await lin.panel.record()
    call = await lin.has_call("answered", recording="on")
    await caller.audio.next_heard(1.0)
    await lin.page.reload()
    await lin.panel.has_leg("answered")
    await expect(lin.page.locator(".leg-recording")).to_be_visible()
    await caller_hears(caller, LIN_TONE)
    await hears(lin.page, CALLER_TONE)
    await caller.audio.next_heard(1.0)
    await lin.panel.hang_up()
    await caller.wait("ended")
    record = await kept(stage, call["call"])
    sound = sound_of(stage, record)
    # Before the reload and after it; in between the phone changed.
    lacking = without_both_voices(sound, slice(EDGE, WINDOWS_A_SECOND))
    assert len(lacking) <= 1, lacking
    lacking = without_both_voices(sound, slice(-WINDOWS_A_SECOND, -EDGE))
    assert len(lacking) <= 1, lacking
