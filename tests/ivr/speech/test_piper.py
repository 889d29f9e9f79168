"""piper's side of the port, with a package `piper` of our own in its place: what matters here is
the process beside it, and no voice may be downloaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from ivr.speech import piper
from ivr.speech.engines import SynthesisFailed
from ivr.speech.piper import PiperVoices

pytestmark = pytest.mark.speech

PACKAGE = """
import time
class PiperVoice:
    @classmethod
    def load(cls, model):
        if "broken" in model:
            raise ValueError(model)
        return cls()
    def synthesize_wav(self, text, target):
        if text == "crash":
            raise SystemExit(3)
        if text == "fail":
            raise RuntimeError("personal text")
        if text == "hang":
            time.sleep(600)
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(22050)
        target.writeframes(b"\\1\\1" * 100 * len(text))
"""


@pytest.fixture
async def voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PiperVoices]:
    package = tmp_path / "packages"
    (package / "piper").mkdir(parents=True)
    (package / "piper/__init__.py").write_text(PACKAGE)
    known = package / "piper_tts-1.8.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: piper-tts\nVersion: 1.8.0\n")
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setenv("PYTHONPATH", str(package))
    files = {}
    for language, name in (("en", "voice"), ("es", "broken")):
        files[language] = tmp_path / f"{name}.onnx"
        files[language].write_bytes(name.encode())
        files[language].with_suffix(".onnx.json").write_text("{}")
    files["fa"] = tmp_path / "nowhere.onnx"
    found = PiperVoices(files)
    yield found
    await found.close()
    assert not piper_processes()


def piper_processes() -> list[psutil.Process]:
    """The worker may have other children: a PBX, a database."""
    return [one for one in psutil.Process().children() if "piper" in " ".join(one.cmdline())]


async def test_a_voice_speaks_text_after_text_in_one_process(voices: PiperVoices) -> None:
    name = voices.voice("en")
    assert name is not None
    assert name.startswith("piper 1.8.0 voice ")
    said = await asyncio.gather(*(voices.speak("a" * n, "en") for n in (1, 2, 3)))
    assert [one.samples.size for one in said] == [100, 200, 300]
    assert said[0].rate == 22_050
    assert len(piper_processes()) == 1


async def test_a_language_whose_file_is_missing_is_not_spoken(voices: PiperVoices) -> None:
    assert voices.voice("fa") is None
    assert voices.voice("zh") is None
    with pytest.raises(SynthesisFailed, match="no voice"):
        await voices.speak("سلام", "fa")


async def test_without_the_package_nothing_is_spoken(tmp_path: Path) -> None:
    voice = tmp_path / "voice.onnx"
    voice.touch()
    assert PiperVoices({"en": voice}).voice("en") is None


@pytest.mark.parametrize(
    ("text", "language", "why"),
    [
        ("fail", "en", "RuntimeError"),
        ("crash", "en", "ended"),
        ("hola", "es", "cannot load"),
        ("[[ ]]", "en", "without letters"),
    ],
)
async def test_what_fails_is_told_without_the_text_and_the_next_text_is_spoken(
    voices: PiperVoices, text: str, language: str, why: str
) -> None:
    with pytest.raises(SynthesisFailed, match=why) as failed:
        await voices.speak(text, language)
    assert "personal" not in str(failed.value)
    assert (await voices.speak("a", "en")).samples.size == 100


async def test_a_voice_that_hangs_is_ended_and_begun_anew(
    voices: PiperVoices, monkeypatch: pytest.MonkeyPatch
) -> None:
    await voices.speak("a", "en")
    monkeypatch.setattr(piper, "SYNTHESIS_SECONDS", 0.5)
    with pytest.raises(SynthesisFailed, match="longer than"):
        await voices.speak("hang", "en")
    monkeypatch.setattr(piper, "SYNTHESIS_SECONDS", 30.0)
    assert (await voices.speak("ab", "en")).samples.size == 200


async def test_whoever_gives_up_leaves_no_answer_for_the_next(voices: PiperVoices) -> None:
    await voices.speak("a", "en")
    waiting = asyncio.create_task(voices.speak("hang", "en"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await voices.speak("ab", "en")).samples.size == 200
