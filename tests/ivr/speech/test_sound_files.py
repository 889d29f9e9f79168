"""The cache of sounds: made once, found again, bounded, and forgetful of what is personal."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from ivr.speech import sound_files
from ivr.speech.engines import Speech, SynthesisFailed
from ivr.speech.levels import RATE, write_wav
from ivr.speech.sound_files import Progress, Sound, SoundFiles

pytestmark = pytest.mark.unit


class Beeper:
    """An engine whose texts are tones, as long as the text says: a second one, so that what is
    counted and what fails can be chosen."""

    def __init__(self, name: str = "beeper 1") -> None:
        self.name = name
        self.spoken: list[str] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.was_asked = asyncio.Event()

    def voice(self, language: str) -> str | None:
        return f"{self.name} {language}" if language in ("en", "zh") else None

    async def speak(self, text: str, language: str) -> Speech:
        self.spoken.append(text)
        self.was_asked.set()
        await self.may_go_on.wait()
        if text == "broken":
            raise SynthesisFailed("it is broken")
        seconds = float(text) if text.replace(".", "").isdigit() else 0.5
        moments = np.arange(int(seconds * 16_000))
        wave_form = 8_000 * np.sin(2 * np.pi * 300 * moments / 16_000)
        return Speech(wave_form.astype(np.int16), 16_000)

    async def close(self) -> None:
        self.spoken.append("closed")


@pytest.fixture
def beeper() -> Beeper:
    return Beeper()


@pytest.fixture
async def sounds(tmp_path: Path, beeper: Beeper) -> AsyncIterator[SoundFiles]:
    files = SoundFiles(tmp_path / "sounds", beeper)
    await files.start()
    yield files
    await files.close()


def wavs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.wav"))


async def test_a_sound_is_made_once_and_found_after_a_restart(
    tmp_path: Path, sounds: SoundFiles, beeper: Beeper
) -> None:
    made = await sounds.sound("hello", "en", fixed=True)
    assert made.file.is_absolute()
    assert made.file.is_relative_to(tmp_path / "sounds/fixed")
    assert made.for_asterisk + ".wav" == str(made.file)
    assert made.seconds == pytest.approx(0.5, abs=0.02)
    assert await sounds.sound(" hello ", "en", fixed=True) == made
    assert beeper.spoken == ["hello"]

    again = SoundFiles(tmp_path / "sounds", other := Beeper())
    await again.start()
    assert again.at_hand("hello", "en", fixed=True) == made
    assert other.spoken == []
    await again.close()


async def test_two_at_once_are_one_synthesis_and_who_hangs_up_takes_it_from_nobody(
    sounds: SoundFiles, beeper: Beeper
) -> None:
    beeper.may_go_on.clear()
    asked = [asyncio.create_task(sounds.sound("hello", "en", fixed=False)) for _ in range(5)]
    await beeper.was_asked.wait()
    asked[0].cancel()
    beeper.may_go_on.set()
    gone, *got = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(gone, asyncio.CancelledError)
    assert len(set(map(str, got))) == 1
    assert isinstance(got[0], Sound)
    assert beeper.spoken == ["hello"]


@pytest.mark.parametrize("different", ["text", "language", "engine"])
async def test_another_text_language_or_voice_is_another_sound(
    tmp_path: Path, sounds: SoundFiles, different: str
) -> None:
    one = await sounds.sound("hello", "en", fixed=True)
    engine = Beeper("beeper 2" if different == "engine" else "beeper 1")
    others = SoundFiles(tmp_path / "sounds", engine)
    await others.start()
    text = "good day" if different == "text" else "hello"
    language = "zh" if different == "language" else "en"
    assert others.at_hand(text, language, fixed=True) is None
    assert (await others.sound(text, language, fixed=True)).file != one.file
    await others.close()


async def test_values_are_private_forgotten_and_cannot_be_guessed_from_their_names(
    tmp_path: Path, beeper: Beeper
) -> None:
    folder = tmp_path / "sounds"
    names = []
    for _ in range(2):
        files = SoundFiles(folder, beeper)
        await files.start()
        assert wavs(folder / "values") == []
        said = await files.sound("your balance", "en", fixed=False)
        fixed = await files.sound("your balance", "en", fixed=True)
        assert fixed.file.stem != said.file.stem
        names.append(said.file.stem)
        assert stat.S_IMODE((folder / "values").stat().st_mode) == 0o700
        assert stat.S_IMODE(said.file.stat().st_mode) == 0o600
        # As after kill -9: nobody closes it, and the next start forgets.
    assert names[0] != names[1]
    await files.close()
    assert wavs(folder / "values") == []
    assert wavs(folder / "fixed") == [fixed.file]


async def test_another_user_of_this_machine_may_play_where_that_is_wanted(
    tmp_path: Path, beeper: Beeper
) -> None:
    files = SoundFiles(tmp_path / "sounds", beeper, shared=True)
    await files.start()
    said = await files.sound("your balance", "en", fixed=False)
    assert stat.S_IMODE(said.file.stat().st_mode) == 0o644
    assert stat.S_IMODE(said.file.parent.stat().st_mode) == 0o711
    assert stat.S_IMODE((tmp_path / "sounds/values").stat().st_mode) == 0o711
    await files.close()


async def test_the_longest_unused_leaves_and_what_was_just_used_stays(
    tmp_path: Path, beeper: Beeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = RATE * 2 + 44
    files = SoundFiles(tmp_path / "sounds", beeper, most_fixed_bytes=3 * second + 2_000)
    await files.start()
    monkeypatch.setattr(sound_files, "KEPT_SECONDS", 0.0)
    for text in ("1.00", "1.000", "1.0000"):
        await files.sound(text, "en", fixed=True)
    assert files.at_hand("1.00", "en", fixed=True)
    await files.sound("1.00000", "en", fixed=True)
    every = ("1.00", "1.000", "1.0000", "1.00000")
    there = {text for text in every if files.at_hand(text, "en", fixed=True)}
    assert there == {"1.00", "1.0000", "1.00000"}
    assert len(wavs(tmp_path / "sounds/fixed")) == 3

    monkeypatch.setattr(sound_files, "KEPT_SECONDS", 120.0)
    await files.sound("1.000000", "en", fixed=True)
    # Asterisk is about to open them: for now there are too many.
    assert len(wavs(tmp_path / "sounds/fixed")) == 4
    await files.close()


async def test_use_is_remembered_over_a_restart(
    tmp_path: Path, beeper: Beeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sounds"
    files = SoundFiles(folder, beeper)
    await files.start()
    for text, days in (("1.0", 3), ("1.00", 2), ("1.000", 1)):
        sound = await files.sound(text, "en", fixed=True)
        before = time.time() - days * 86_400
        os.utime(sound.file, (before, before))
    await files.close()

    monkeypatch.setattr(sound_files, "KEPT_SECONDS", 0.0)
    files = SoundFiles(folder, beeper, most_fixed_bytes=3 * (RATE * 2 + 44) + 2_000)
    await files.start()
    used = files.at_hand("1.0", "en", fixed=True)
    assert used is not None
    assert time.time() - used.file.stat().st_mtime < 60
    await files.sound("1.0000", "en", fixed=True)
    assert files.at_hand("1.0", "en", fixed=True)
    assert files.at_hand("1.00", "en", fixed=True) is None
    await files.close()


async def test_a_file_that_is_gone_or_cut_off_is_made_again(
    tmp_path: Path, sounds: SoundFiles, beeper: Beeper
) -> None:
    gone = await sounds.sound("hello", "en", fixed=True)
    gone.file.unlink()
    assert sounds.at_hand("hello", "en", fixed=True) is None
    assert (await sounds.sound("hello", "en", fixed=True)).file.exists()

    gone.file.write_bytes(gone.file.read_bytes()[:-100])
    (gone.file.parent / ".left.1.partial").write_bytes(b"half")
    again = SoundFiles(tmp_path / "sounds", beeper)
    await again.start()
    assert again.at_hand("hello", "en", fixed=True) is None
    assert list((tmp_path / "sounds/fixed").rglob("*.partial")) == []
    await again.close()


async def test_what_cannot_be_made_fails_for_everybody_and_may_be_tried_again(
    tmp_path: Path, sounds: SoundFiles, beeper: Beeper
) -> None:
    for _ in range(2):
        failed = await asyncio.gather(
            *(sounds.sound("broken", "en", fixed=True) for _ in range(3)), return_exceptions=True
        )
        assert [str(one) for one in failed] == ["it is broken"] * 3
    assert beeper.spoken == ["broken"] * 2
    with pytest.raises(SynthesisFailed, match="nobody here speaks"):
        await sounds.sound("hola", "es", fixed=True)
    # A folder that takes no file, as a full disk does.
    folder = tmp_path / "sounds/fixed"
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(SynthesisFailed, match="takes no file"):
        await sounds.sound("hello", "en", fixed=True)


async def test_a_recording_stands_before_the_engine_for_its_own_words(
    tmp_path: Path, sounds: SoundFiles, beeper: Beeper
) -> None:
    voice = tmp_path / "voice.wav"
    write_wav(np.full(RATE, 0.1, np.float32), voice)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    sounds.use_recordings({("en", "Welcome."): voice, ("zh", "你好"): broken})
    assert await sounds.sound("Welcome.", "en", fixed=True) == Sound(voice, 1.0)
    assert beeper.spoken == []
    # A value with the same words is no prompt, and another language is another voice.
    assert (await sounds.sound("Welcome.", "en", fixed=False)).file != voice
    assert (await sounds.sound("Welcome.", "zh", fixed=True)).file != voice
    assert (await sounds.sound("你好", "zh", fixed=True)).file != broken
    sounds.use_recordings({})
    assert (await sounds.sound("Welcome.", "en", fixed=True)).file != voice


async def test_fixed_parts_are_made_beforehand_and_the_progress_is_told(
    sounds: SoundFiles, beeper: Beeper
) -> None:
    parts = [("one", "en"), ("two", "en"), ("one", "en"), ("broken", "en"), ("一", "zh")]
    await sounds.prepare(parts)
    assert sounds.progress == Progress(done=4, total=4, failed=1)
    assert beeper.spoken == ["one", "two", "broken", "一"]
    assert sounds.at_hand("two", "en", fixed=True)

    await sounds.prepare([*parts, ("three", "en")])
    assert beeper.spoken[4:] == ["broken", "three"]
    assert sounds.progress == Progress(done=5, total=5, failed=1)


async def test_a_new_preparation_takes_over_and_closing_ends_it(
    tmp_path: Path, beeper: Beeper
) -> None:
    files = SoundFiles(tmp_path / "sounds", beeper)
    await files.start()
    beeper.may_go_on.clear()
    first = files.prepare([("one", "en")])
    await beeper.was_asked.wait()
    second = files.prepare([("two", "en")])
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()
    await files.close()
    assert second.cancelled()
    assert beeper.spoken[-1] == "closed"
