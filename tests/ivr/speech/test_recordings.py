"""Uploads become sounds for callers, or are refused for what is wrong with them."""

from __future__ import annotations

import contextlib
import json
import random
import resource
import subprocess
import sys
import wave
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from ivr.speech import convert_recording, recordings
from ivr.speech.levels import RATE, SPEECH_DB, Samples, measured
from ivr.speech.recordings import Converted, Converter, Doubt, Fault, Unusable

pytestmark = pytest.mark.speech


def voice(seconds: float = 2.0, *, peak: float = 0.3, rate: int = 44_100) -> Samples:
    """Something with syllables."""
    moments = np.arange(int(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * 220 * moments) + 0.5 * np.sin(2 * np.pi * 700 * moments)
    syllables = 0.2 + 0.8 * np.abs(np.sin(2 * np.pi * 2 * moments))
    return (peak / 1.5 * tone * syllables).astype(np.float32)


def upload(folder: Path, samples: Samples, rate: int = 44_100, **how: str) -> Path:
    source = folder / "upload"
    soundfile.write(source, samples, rate, **(how or {"format": "WAV"}))
    return source


async def converted(source: Path, **limits: float) -> Converted:
    return await Converter(**limits).convert(source, source.parent / "target.wav")


async def fault_of(source: Path, **limits: float) -> Fault:
    with pytest.raises(Unusable) as refused:
        await converted(source, **limits)
    assert [path.name for path in source.parent.iterdir()] == [source.name]
    return refused.value.fault


@pytest.mark.parametrize(
    ("form", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_16", 44_100, 1),
        ("WAV", "PCM_24", 48_000, 2),
        ("WAV", "FLOAT", 96_000, 2),
        ("WAV", "ULAW", 8_000, 1),
        ("MP3", "MPEG_LAYER_III", 44_100, 2),
        ("OGG", "VORBIS", 44_100, 1),
        ("OGG", "OPUS", 48_000, 1),
        ("FLAC", "PCM_16", 44_100, 2),
        ("AIFF", "PCM_16", 22_050, 1),
    ],
)
async def test_what_phones_and_studios_write_becomes_a_sound_for_callers(
    tmp_path: Path, form: str, subtype: str, rate: int, channels: int
) -> None:
    samples = voice(rate=rate)
    if channels == 2:
        samples = np.stack([samples, samples * 0.5], axis=1)
    told = await converted(upload(tmp_path, samples, rate, format=form, subtype=subtype))
    target = tmp_path / "target.wav"
    with wave.open(str(target)) as reader:
        assert reader.getparams()[:3] == (1, 2, RATE)
    heard = measured(soundfile.read(target, dtype="float32")[0])
    assert told.seconds == pytest.approx(2.0, abs=0.15)
    assert heard.seconds == pytest.approx(told.seconds)
    assert heard.speech_db == pytest.approx(told.speech_db, abs=0.1)
    assert told.speech_db == pytest.approx(SPEECH_DB, abs=0.3)
    assert told.peak_db < 0
    assert told.doubts == ()


async def test_a_quiet_one_is_made_louder_and_its_noise_is_said(tmp_path: Path) -> None:
    told = await converted(upload(tmp_path, voice(peak=0.004)))
    assert told.speech_db == pytest.approx(SPEECH_DB, abs=0.3)
    assert told.gain_db > 25
    assert told.doubts == (Doubt.TOO_QUIET,)


async def test_a_clipped_one_is_told(tmp_path: Path) -> None:
    samples = np.clip(voice(peak=4.0), -1, 1)
    told = await converted(upload(tmp_path, samples))
    assert Doubt.CLIPPED in told.doubts


async def test_one_with_a_knock_stays_under_the_level_and_that_is_told(tmp_path: Path) -> None:
    samples = voice(peak=0.02)
    samples[1_000:1_100] = 0.99
    told = await converted(upload(tmp_path, samples))
    assert Doubt.BELOW_LEVEL in told.doubts
    assert told.peak_db < 0


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (np.zeros(88_200, np.float32), Fault.SILENT),
        (voice(0.1), Fault.TOO_SHORT),
        (np.zeros(0, np.float32), Fault.TOO_SHORT),
        (voice(4.0), Fault.TOO_LONG),
        (np.concatenate([np.zeros(44_100), [0.9] * 3, np.zeros(44_100)]), Fault.TOO_SHORT),
        (np.array([0.1, np.nan, np.inf] * 44_100, np.float32), Fault.DAMAGED),
    ],
)
async def test_what_callers_could_not_listen_to(
    tmp_path: Path, samples: Samples, fault: Fault
) -> None:
    source = upload(tmp_path, samples, format="WAV", subtype="FLOAT")
    assert await fault_of(source, longest_seconds=3.0) is fault


def a_zip(folder: Path) -> Path:
    source = folder / "upload"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"\0" * (50 << 20))
    return source


def a_text(folder: Path) -> Path:
    source = folder / "upload"
    source.write_text("I am no sound. " * 1_000)
    return source


def noise(folder: Path) -> Path:
    source = folder / "upload"
    source.write_bytes(b"RIFF" + random.Random(1).randbytes(50_000))
    return source


def nothing(folder: Path) -> Path:
    source = folder / "upload"
    source.touch()
    return source


@pytest.mark.parametrize("make", [a_zip, a_text, noise, nothing])
async def test_what_is_no_sound(tmp_path: Path, make: object) -> None:
    assert callable(make)
    assert await fault_of(make(tmp_path)) is Fault.UNKNOWN_FORMAT


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16")])
async def test_one_that_was_cut_off_on_its_way(tmp_path: Path, form: str, subtype: str) -> None:
    source = upload(tmp_path, voice(), format=form, subtype=subtype)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert await fault_of(source) is Fault.DAMAGED


@pytest.mark.parametrize(
    ("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "")]
)
@pytest.mark.parametrize("seed", range(3))
async def test_one_with_wrong_bytes_ends_in_a_clear_word(
    tmp_path: Path, form: str, subtype: str, seed: int
) -> None:
    chance = random.Random(seed)
    source = upload(tmp_path, voice(1.0), format=form, subtype=subtype or None)  # type: ignore[arg-type]
    content = bytearray(source.read_bytes())
    for _ in range(40):
        content[chance.randrange(len(content))] = chance.randrange(256)
    source.write_bytes(content)
    with contextlib.suppress(Unusable):
        assert (await converted(source)).peak_db < 0


async def test_what_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    source = tmp_path / "upload"
    with source.open("wb") as file:
        file.truncate(recordings.LARGEST_BYTES + 1)
    assert await fault_of(source) is Fault.TOO_LARGE


async def test_a_bomb_of_silence_is_left_at_the_longest_time(tmp_path: Path) -> None:
    """An hour of silence is a few hundred kilobytes of FLAC."""
    source = tmp_path / "upload"
    with soundfile.SoundFile(source, "w", 48_000, 2, "PCM_16", format="FLAC") as file:
        for _ in range(60):
            file.write(np.zeros((48_000 * 60, 2), np.int16))
    assert source.stat().st_size < 2 << 20
    assert await fault_of(source) is Fault.TOO_LONG


async def test_a_decoder_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = upload(tmp_path, voice())
    monkeypatch.setattr(recordings, "CONVERSION_SECONDS", 0.01)
    assert await fault_of(source) is Fault.TOO_MUCH_WORK
    children = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not [words for words in children if "convert_recording" in words]


def test_the_conversion_may_not_take_all_memory() -> None:
    """The limit is set by the program itself, so it is looked at from within."""
    greedy = (
        "import numpy as np, soundfile; from ivr.speech import convert_recording as c; c._limit()\n"
        "try: np.ones(c.MOST_MEMORY, np.int8)\n"
        "except MemoryError: print('refused')"
    )
    told = subprocess.run(
        [sys.executable, "-c", greedy], capture_output=True, text=True, check=True,
        env={"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert told.stdout == "refused\n"
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != convert_recording.MOST_MEMORY


async def test_a_recording_that_is_refused_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "target.wav"
    target.write_bytes(b"the old one")
    with pytest.raises(Unusable):
        await Converter().convert(a_text(tmp_path), target)
    assert target.read_bytes() == b"the old one"


def test_the_program_speaks_json(tmp_path: Path) -> None:
    source = upload(tmp_path, voice())
    words = [sys.executable, "-m", "ivr.speech.convert_recording"]
    told = subprocess.run(
        [*words, str(source), str(tmp_path / "target.wav"), "120"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(json.loads(told.stdout)) == {
        "seconds", "speech_db", "peak_db", "clipped", "original_db",
    }  # fmt: skip
