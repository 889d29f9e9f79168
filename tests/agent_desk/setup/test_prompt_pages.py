"""The pages of prompts: every sentence is there to be heard and recorded, and an upload is what
callers hear, or is refused for what is wrong with it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from yarl import URL

from agent_desk.app import create_app
from agent_desk.parts import MenuControl, PromptVoices
from agent_desk.setup.prompt_list import PLACES, place_of, read_sentences
from crm_store import audit
from crm_store.phone_menus import prompt_recordings
from crm_store.phone_menus.prompt_recordings import Recording
from deskbell.speech import find_espeak
from ivr.answering import PhoneMenus
from ivr.prompts import LANGUAGES, PROMPTS
from ivr.speech.engines import EspeakNg
from ivr.speech.recordings import LARGEST_BYTES
from ivr.speech.sound_files import SoundFiles
from tests.agent_desk.conftest import RunningDesk, Visitor, signed_in_visitor

pytestmark = pytest.mark.speech

ASKED = {"code": "goodbye", "language": "en", "part": "0"}
SAID = "Thank you for calling. Goodbye."


@pytest.fixture
async def sounds(tmp_path: Path) -> AsyncIterator[SoundFiles]:
    found = SoundFiles(tmp_path / "sounds", EspeakNg(find_espeak()))
    await found.start()
    yield found
    await found.close()


@pytest.fixture
async def phone_menus(
    desk: RunningDesk, sounds: SoundFiles, tmp_path: Path
) -> AsyncIterator[PhoneMenus]:
    (tmp_path / "recordings").mkdir()
    found = PhoneMenus(
        desk.database,
        desk.bus,
        sounds,
        region="CN",
        recordings={"pbx": tmp_path},
        uploads=tmp_path / "recordings",
    )
    yield found
    await found.close()


@pytest.fixture
def voices(sounds: SoundFiles, tmp_path: Path) -> PromptVoices:
    return PromptVoices(sounds=sounds, uploads=tmp_path / "recordings")


@pytest.fixture
async def supervisor(
    desk: RunningDesk, phone_menus: PhoneMenus, voices: PromptVoices
) -> AsyncIterator[Visitor]:
    parts = replace(
        desk.parts,
        prompt_voices=voices,
        menus=MenuControl(published=phone_menus.reload),
        registry=CollectorRegistry(),
    )
    app = create_app(parts)
    async with TestServer(app) as server:
        url = URL(str(server.make_url("/")))
        async for visitor in signed_in_visitor(replace(desk, app=app, url=url), "sara"):
            yield visitor


def a_voice(form: str = "WAV", *, peak: float = 0.4) -> bytes:
    moments = np.arange(44_100 * 2) / 44_100
    syllables = 0.3 + 0.7 * np.abs(np.sin(2 * np.pi * 2 * moments))
    buffer = io.BytesIO()
    soundfile.write(
        buffer, peak * np.sin(2 * np.pi * 300 * moments) * syllables, 44_100, format=form
    )
    return buffer.getvalue()


async def upload(visitor: Visitor, content: bytes, **asked: str) -> tuple[int, dict[str, Any]]:
    query = {**ASKED, "text": SAID, "name": "goodbye.wav", **asked}
    headers = {"X-CSRF-Token": visitor.csrf, "Content-Type": "application/octet-stream"}
    async with visitor.http.post(
        "/api/setup/prompts", params=query, data=io.BytesIO(content), headers=headers
    ) as response:
        return response.status, await response.json()


async def sound(visitor: Visitor, voice: str, **asked: str) -> tuple[int, bytes]:
    query = {**ASKED, **asked, "voice": voice}
    async with visitor.http.get("/setup/prompts/sound", params=query) as response:
        return response.status, await response.read()


async def test_every_sentence_that_callers_hear_is_there_by_place(supervisor: Visitor) -> None:
    sentences = await read_sentences(supervisor.desk.database)
    codes = [sentence.code for sentence in sentences]
    assert len(codes) == len(set(codes))
    for code, prompt in PROMPTS.items():
        if place_of(code) is not None:
            wanted = f"{code}.1" if prompt.is_label else code
            assert wanted in codes
    assert {sentence.place for sentence in sentences} >= set(PLACES)
    assert all(set(one.texts) == set(LANGUAGES) for one in sentences if one.place in PLACES)
    status, page = await supervisor.get("/setup/prompts")
    assert status == 200
    assert "Thank you for calling. Goodbye." in page
    assert "For English, press 1." in page


async def test_a_sentence_is_cut_at_its_values(supervisor: Visitor) -> None:
    status, page = await supervisor.get("/setup/prompts/one?code=points_balance")
    assert status == 200
    assert page.count('data-prompt="') == sum(
        len(one.stretches(code))
        for one in await read_sentences(supervisor.desk.database)
        if one.code == "points_balance"
        for code in one.texts
    )
    assert "You have {points} points." in page


@pytest.mark.parametrize("language_code", LANGUAGES)
async def test_the_synthetic_voice_can_be_heard(supervisor: Visitor, language_code: str) -> None:
    status, content = await sound(supervisor, "engine", language=language_code)
    assert status == 200
    samples, rate = soundfile.read(io.BytesIO(content))
    assert rate == 8_000
    assert samples.size > 8_000


@pytest.mark.parametrize("form", ["WAV", "MP3", "OGG", "FLAC"])
async def test_an_upload_is_what_callers_hear_until_it_is_taken_back(
    supervisor: Visitor, voices: PromptVoices, form: str
) -> None:
    before = await voices.sounds.sound(SAID, "en", fixed=True)
    status, answer = await upload(supervisor, a_voice(form), name="<b>my.wav")
    assert (status, answer["doubts"]) == (200, [])
    assert "2.0 s" in answer["said"] or "2.1 s" in answer["said"]
    heard = await voices.sounds.sound(SAID, "en", fixed=True)
    assert heard.file.parent == voices.uploads
    assert (await sound(supervisor, "recording"))[1] == heard.file.read_bytes()
    assert (await sound(supervisor, "engine"))[1] == before.file.read_bytes()
    status, page = await supervisor.get("/setup/prompts/one?code=goodbye")
    assert "&lt;b&gt;my.wav" in page
    assert "Back to the synthetic voice" in page

    status, _ = await upload(supervisor, a_voice())
    assert status == 200
    again = await voices.sounds.sound(SAID, "en", fixed=True)
    assert [path.name for path in voices.uploads.iterdir()] == [again.file.name]

    status, where = await supervisor.send_form("/setup/prompts/synthesis", **ASKED)
    assert (status, where) == (303, "/setup/prompts/one?code=goodbye&done=saved")
    assert await voices.sounds.sound(SAID, "en", fixed=True) == before
    assert list(voices.uploads.iterdir()) == []
    assert (await sound(supervisor, "recording"))[0] == 404
    told = await audit.entries(
        supervisor.desk.database, subject_kind="prompt", subject_id="goodbye"
    )
    assert [(entry.actor, entry.action) for entry in told] == [
        ("sara", "deleted"),
        ("sara", "changed"),
        ("sara", "changed"),
    ]
    assert (await supervisor.send_form("/setup/prompts/synthesis", **ASKED))[0] == 404


@pytest.mark.parametrize(
    ("content", "status", "fault", "said"),
    [
        (b"I am no sound", 400, "unknown_format", "no sound file"),
        (b"", 400, "unknown_format", "no sound file"),
        (a_voice(peak=0.0), 400, "silent", "silent"),
        (a_voice()[:50_000], 400, "damaged", "damaged"),
        (b"\0" * (LARGEST_BYTES + 1), 413, "too_large", "too large"),
    ],
)
async def test_what_is_wrong_with_a_file_is_said(
    supervisor: Visitor,
    voices: PromptVoices,
    *,
    content: bytes,
    status: int,
    fault: str,
    said: str,
) -> None:
    got, answer = await upload(supervisor, content)
    assert (got, answer["fault"]) == (status, fault)
    assert said in answer["error"]
    assert list(voices.uploads.iterdir()) == []
    assert await prompt_recordings.recordings(supervisor.desk.database) == {}


async def test_what_sounds_badly_is_kept_and_told(supervisor: Visitor) -> None:
    moments = np.arange(44_100) / 44_100
    buffer = io.BytesIO()
    clipped = np.clip(5 * np.sin(2 * np.pi * 300 * moments), -1, 1)
    soundfile.write(buffer, clipped, 44_100, format="WAV")
    status, answer = await upload(supervisor, buffer.getvalue())
    assert status == 200
    assert ["too loud" in doubt for doubt in answer["doubts"]] == [True]


async def test_a_recording_of_other_words_is_not_played_and_that_is_said(
    supervisor: Visitor, phone_menus: PhoneMenus, voices: PromptVoices
) -> None:
    await upload(supervisor, a_voice())
    async with supervisor.desk.database.transaction() as transaction:
        await prompt_recordings.set_text(
            transaction, "goodbye", "en", "See you soon.", actor="sara"
        )
    await phone_menus.reload()
    assert (await voices.sounds.sound("See you soon.", "en", fixed=True)).file.parent != (
        voices.uploads
    )
    _, page = await supervisor.get("/setup/prompts/one?code=goodbye")
    assert "It is not played" in page
    _, page = await supervisor.get("/setup/prompts")
    assert "Recording no longer fits" in page
    # Somebody who has the old page open records the old words.
    status, _ = await upload(supervisor, a_voice())
    assert status == 409


@pytest.mark.parametrize(
    "asked",
    [
        {"code": "nothing_of_ours"},
        {"language": "tlh"},
        {"part": "7"},
        {"part": "../../etc/passwd"},
        {"code": "choice"},
    ],
)
async def test_what_nobody_hears_is_not_there(supervisor: Visitor, asked: dict[str, str]) -> None:
    assert (await sound(supervisor, "engine", **asked))[0] == 404
    assert (await upload(supervisor, a_voice(), **asked))[0] == 404


async def test_a_file_of_the_store_never_leads_elsewhere(
    supervisor: Visitor, voices: PromptVoices, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "precious.wav"
    elsewhere.write_bytes(b"precious")
    async with supervisor.desk.database.transaction() as transaction:
        await prompt_recordings.keep(
            transaction,
            Recording(
                code="goodbye", language="en", part=0, text=SAID, file="../precious.wav",
                seconds=1, level_db=-20, peak_db=-3,
            ),
            actor="sara",
        )  # fmt: skip
    assert (await sound(supervisor, "recording"))[0] == 404
    await supervisor.send_form("/setup/prompts/synthesis", **ASKED)
    assert elsewhere.exists()


async def test_only_supervisors_and_only_their_own_pages(
    supervisor: Visitor, maria: Visitor, voices: PromptVoices
) -> None:
    assert (await maria.get("/setup/prompts"))[0] == 403
    assert (await upload(maria, a_voice()))[0] == 403
    supervisor.csrf = "wrong"
    assert (await upload(supervisor, a_voice()))[0] == 403
    assert list(voices.uploads.iterdir()) == []


async def test_without_phone_menus_the_page_says_so(sara: Visitor) -> None:
    assert (await sara.get("/setup/prompts"))[0] == 200
    status, page = await sara.get("/setup/prompts/one?code=goodbye")
    assert (status, "No phone menus run here" in page) == (200, True)
    assert (await upload(sara, a_voice()))[0] == 503
