"""A call of last week to listen to: the demo's only one whose sound was kept.

Owns that one call: its sound, put together from Asterisk's own announcements, and its rows. Where
there are no announcements (an Asterisk without its sounds), there is no such call.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import wave
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crm_store.contacts import calls, interactions, recordings
from crm_store.contacts.calls import CallRecord
from crm_store.database import Database
from crm_store.models import CallState
from crm_store.people import customers
from crm_store.sample.mall import WELL_KNOWN_NUMBER
from crm_store.signals import Direction, Outcome
from cti.pbx.embedded import EmbeddedPbx, PbxFailed

log = logging.getLogger(__name__)

LINKEDID = "sample-recording"
FILE = "sample-recording.wav"
QUEUE, AGENT, ENDPOINT, NUMBER = "vip", "emma", "PJSIP/1006", "602"
SPOKEN: tuple[tuple[str, ...], ...] = (
    ("hello", "demo-moreinfo"),
    ("vm-instructions", "vm-goodbye"),
)
"""Announcements before and after the pause of the recording."""
RATE = 8_000
PAUSE_SECONDS = 4
BETWEEN_SECONDS = 0.4


async def add(database: Database, pbx: EmbeddedPbx, pbx_name: str, sounds: Path) -> None:
    """Write the call and its sound under `sounds`, if they are not there yet."""
    if await interactions.of_call(database, pbx_name, LINKEDID):
        return
    caller = next(iter(await customers.find_by_phone(database, WELL_KNOWN_NUMBER)), None)
    if caller is None:
        return
    try:
        before, after = await _spoken(pbx)
    except (OSError, PbxFailed, wave.Error) as error:
        log.info("no recording to listen to: %s", error)
        return
    pause_at = len(before) / 2 / RATE
    sound = before + b"\0\0" * (PAUSE_SECONDS * RATE) + after
    seconds = len(sound) / 2 / RATE
    await asyncio.to_thread(_write, sounds / FILE, sound)
    began = datetime.now(UTC) - timedelta(days=6, hours=2)
    answered = began + timedelta(seconds=9)
    ended = answered + timedelta(seconds=seconds)
    record = CallRecord(
        pbx=pbx_name,
        linkedid=LINKEDID,
        state=CallState.ENDED,
        direction=Direction.INBOUND,
        caller=WELL_KNOWN_NUMBER,
        callee=NUMBER,
        outcome=Outcome.ANSWERED,
        queue=QUEUE,
        agent=AGENT,
        rang=(ENDPOINT,),
        answered_by=ENDPOINT,
        wait_s=9.0,
        talk_s=seconds,
        started_at=began,
        ended_at=ended,
        customer_id=caller.id,
        number=WELL_KNOWN_NUMBER,
    )
    async with database.transaction() as transaction:
        written = await calls.record_calls(transaction, [record])
        interaction_id = written[record.key].interaction_id
        assert interaction_id is not None, "a call with the outside has an interaction"
        await interactions.close(
            transaction,
            interaction_id,
            disposition="order_late",
            agent=AGENT,
            summary="沙发的送货日期",
            note="已请仓库查询, 会回电。",
            at=ended + timedelta(seconds=40),
        )
        recording_id = await recordings.begin(
            transaction,
            pbx=pbx_name,
            linkedid=LINKEDID,
            file=FILE,
            started_by=AGENT,
            at=answered,
        )
        for kind, at in (
            (recordings.PAUSE, pause_at),
            (recordings.RESUME, pause_at + PAUSE_SECONDS),
        ):
            moment = answered + timedelta(seconds=at)
            await recordings.mark(transaction, recording_id, kind, at=moment, by=AGENT)
        await recordings.end(transaction, recording_id, ended)


async def _spoken(pbx: EmbeddedPbx) -> tuple[bytes, bytes]:
    """What is said before and after the pause, as 16-bit samples."""
    folder = Path(tempfile.mkdtemp(prefix="deskbell-sound-"))
    try:
        before, after = [await _joined(pbx, folder, names) for names in SPOKEN]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return before, after


async def _joined(pbx: EmbeddedPbx, folder: Path, names: Sequence[str]) -> bytes:
    """Raises OSError where Asterisk has no such announcement."""
    sound = b""
    for name in names:
        file = folder / f"{name}.wav"
        source = pbx.folder / f"data/sounds/en/{name}.gsm"
        said = await pbx.console(f'file convert "{source}" "{file}"')
        if not file.exists():
            raise OSError(said.strip() or f"Asterisk has no announcement {name}")
        with wave.open(str(file)) as reader:
            sound += reader.readframes(reader.getnframes())
        sound += b"\0\0" * int(BETWEEN_SECONDS * RATE)
    return sound


def _write(file: Path, sound: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(sound)
