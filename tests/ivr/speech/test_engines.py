"""espeak-ng speaks all four languages: speech of the right length and level, and nothing else."""

from __future__ import annotations

import asyncio
import re
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from deskbell.speech import find_espeak
from ivr.speech import engines, levels, spoken
from ivr.speech.engines import Engines, EspeakNg, Speech, SynthesisFailed
from ivr.speech.levels import RATE, Samples, for_telephone, measured
from ivr.speech.sound_files import SoundFiles

pytestmark = pytest.mark.speech

SENTENCES = {
    "en": "You have twelve thousand three hundred and forty-five point five points.",
    "zh": "您的积分是一万二千三百四十五点五分，订单昨天已经发出。",
    "es": "Tiene doce mil trescientos cuarenta y cinco coma cinco puntos.",
    "fa": "شما دوازده هزار و سیصد و چهل و پنج ممیز پنج دهم امتیاز دارید.",
}
LETTERS_A_SECOND = {"en": (9, 22), "zh": (3, 8), "es": (9, 22), "fa": (6, 17)}


@pytest.fixture
def espeak() -> EspeakNg:
    return EspeakNg(find_espeak())


def samples_of(speech: Speech) -> Samples:
    return (speech.samples / np.float32(32_768)).astype(np.float32)


def script(folder: Path, body: str) -> list[str]:
    """A program that says what espeak-ng says of itself, and then does `body`."""
    program = folder / "espeak-ng"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys, time\n"
        "if '--version' in sys.argv: print('eSpeak NG text-to-speech: 1.51'); sys.exit()\n"
        "if '--voices' in sys.argv: print('Pty\\n 5  es  --/M  Spanish  roa/es'); sys.exit()\n"
        f"{body}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return [str(program)]


@pytest.mark.parametrize("language", spoken.LANGUAGES)
async def test_it_is_speech_of_the_right_length_and_level(espeak: EspeakNg, language: str) -> None:
    text = SENTENCES[language]
    sound = for_telephone(samples_of(speech := await espeak.speak(text, language)), speech.rate)
    told = measured(sound)
    least, most = LETTERS_A_SECOND[language]
    assert least < len(text) / told.seconds < most
    assert -24 < told.speech_db < -18
    assert told.peak_db <= levels.CEILING_DB + 0.01
    assert told.clipped == 0

    spectrum = np.square(np.abs(np.fft.rfft(sound.astype(np.float64))))
    frequencies = np.fft.rfftfreq(sound.size, 1 / RATE)
    of_all = spectrum.sum()
    # A voice is strongest in its first formants; hum, hiss and tones are elsewhere or everywhere.
    assert spectrum[(frequencies > 100) & (frequencies < 1_200)].sum() > 0.6 * of_all
    assert spectrum[(frequencies > 1_200) & (frequencies < 3_600)].sum() > 0.01 * of_all
    assert spectrum[frequencies < 50].sum() < 0.02 * of_all
    # Syllables: its loudness goes up and down some times a second.
    frames = sound[: sound.size // 80 * 80].reshape(-1, 80)
    loudness = np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1))
    smooth = np.convolve(loudness, np.ones(7) / 7, "same")
    crossings = np.count_nonzero(np.diff(smooth > np.mean(smooth)) & (smooth[1:] > 0))
    assert 1.5 < crossings / 2 / told.seconds < 9


def test_chinese_is_read_with_its_tones_and_not_as_english_numbers(espeak: EspeakNg) -> None:
    voice = espeak.voices["zh"]
    assert voice is not None
    told = subprocess.run(
        [*find_espeak(), "-q", "-x", "-v", voice, "--stdin"],
        input="您好，一万二千", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "(en)" not in told
    tones = re.findall(r"[1-5]+(?=[a-zN@]*(?:_|$|\s))", told)
    assert len(tones) == 6, told


async def test_words_with_a_second_reading_sound_like_their_homophones(espeak: EspeakNg) -> None:
    said = await espeak.speak("银行", "zh")
    meant = await espeak.speak("银航", "zh")
    assert np.array_equal(said.samples, meant.samples)


async def test_the_same_text_is_the_same_sound(espeak: EspeakNg) -> None:
    one = await espeak.speak("hello", "en")
    other = await espeak.speak("hello", "en")
    assert np.array_equal(one.samples, other.samples)


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("hello [[h@l'oU]]", "hello h@l'oU"),
        ("hello <break time='3s'/>", "hello break time '3s'/"),
        ("hello\0\x1b\n\nthere", "hello there"),
    ],
)
async def test_markup_in_a_text_is_no_command(
    espeak: EspeakNg, hostile: str, harmless: str
) -> None:
    one = await espeak.speak(hostile, "en")
    other = await espeak.speak(harmless, "en")
    assert np.array_equal(one.samples, other.samples)


async def test_a_text_is_no_argument(espeak: EspeakNg, tmp_path: Path) -> None:
    target = tmp_path / "written.wav"
    said = await espeak.speak(f"-w {target}", "en")
    assert said.samples.size
    assert not target.exists()


@pytest.mark.parametrize("text", ["", "  ", "...", "[[ ]]", "a" * (engines.LONGEST_TEXT + 1)])
async def test_what_cannot_be_said_fails_and_does_not_tell_the_text(
    espeak: EspeakNg, text: str
) -> None:
    with pytest.raises(SynthesisFailed) as failed:
        await espeak.speak(text, "en")
    assert "aaa" not in str(failed.value)


async def test_a_language_without_a_voice(espeak: EspeakNg) -> None:
    assert espeak.voice("tlh") is None
    with pytest.raises(SynthesisFailed, match="no voice"):
        await espeak.speak("nuqneH", "tlh")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("sys.exit(3)", "ended with 3"),
        ("print('no sound')", "gave no sound"),
        ("sys.stdin.read()", "gave no sound"),
    ],
)
async def test_a_program_that_fails(tmp_path: Path, body: str, why: str) -> None:
    with pytest.raises(SynthesisFailed, match=why):
        await EspeakNg(script(tmp_path, body)).speak("hola", "es")


async def test_a_program_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "SYNTHESIS_SECONDS", 1.0)
    espeak = EspeakNg(script(tmp_path, "time.sleep(600)"))
    with pytest.raises(SynthesisFailed, match="longer than 1 s"):
        await espeak.speak("hola", "es")
    assert not [
        one for one in psutil.Process().children() if "espeak-ng" in " ".join(one.cmdline())
    ]


async def test_only_so_many_run_at_once(tmp_path: Path) -> None:
    (tmp_path / "running").mkdir()
    body = (
        "import os, pathlib\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "mine = here / 'running' / str(os.getpid())\n"
        "mine.touch()\n"
        "(here / ('most-%d' % len(os.listdir(here / 'running')))).touch()\n"
        "time.sleep(0.05); mine.unlink(); sys.exit(1)"
    )
    espeak = EspeakNg(script(tmp_path, body), at_once=2)
    failed = await asyncio.gather(
        *(espeak.speak("hola", "es") for _ in range(8)), return_exceptions=True
    )
    assert all(isinstance(one, SynthesisFailed) for one in failed)
    assert not (tmp_path / "most-3").exists()
    assert (tmp_path / "most-2").exists()


def test_what_is_no_espeak() -> None:
    with pytest.raises(SynthesisFailed, match="does not run"):
        EspeakNg(["/nowhere/espeak-ng"])
    with pytest.raises(SynthesisFailed):
        EspeakNg(["/bin/cat"])


async def test_the_first_engine_that_speaks_a_language_speaks_it(
    espeak: EspeakNg, tmp_path: Path
) -> None:
    spanish = EspeakNg(script(tmp_path, "sys.exit(9)"))
    both = Engines([spanish, espeak])
    assert both.voice("es") == spanish.voice("es")
    assert both.voice("en") == espeak.voice("en")
    assert both.voice("tlh") is None
    with pytest.raises(SynthesisFailed, match="ended with 9"):
        await both.speak("hola", "es")
    assert (await both.speak("hello", "en")).samples.size
    with pytest.raises(SynthesisFailed, match="no engine"):
        await both.speak("nuqneH", "tlh")
    await both.close()


async def test_with_espeak_it_is_a_file_as_callers_hear_it(
    espeak: EspeakNg, tmp_path: Path
) -> None:
    files = SoundFiles(tmp_path / "sounds", espeak)
    await files.start()
    said = await files.sound("Thank you for calling. Goodbye.", "en", fixed=True)
    samples, rate = soundfile.read(said.file, dtype="float32")
    assert rate == RATE
    told = measured(samples)
    assert told.seconds == pytest.approx(said.seconds)
    assert 1.2 < told.seconds < 4
    assert -23 < told.speech_db < -19
    await files.close()
