"""piper as an engine: neural voices, for the languages whose voice file is there.

Owns one process for each voice (ivr.speech.piper_voice), begun at the first text, begun anew after
it died. Nothing is ever downloaded: somebody has installed the package `piper-tts`, and put
VOICE.onnx and VOICE.onnx.json somewhere. Where either is missing, the language is not spoken here.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import tempfile
import wave
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import ivr
from ivr.speech.engines import Speech, SynthesisFailed, speakable

log = logging.getLogger(__name__)

SYNTHESIS_SECONDS = 30.0
"""Loading a voice takes seconds; a long text on a busy machine too."""

_PROJECT = Path(ivr.__file__).parents[1]


class PiperVoices:
    """The voices of `files`, by language. Blocks while it reads them once, to know their sum."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._voices: dict[str, _Voice] = {}
        try:
            version = importlib.metadata.version("piper-tts")
        except importlib.metadata.PackageNotFoundError:
            if files:
                log.warning("voices of piper are configured, but piper-tts is not installed")
            return
        for language, file in files.items():
            try:
                with file.open("rb") as opened:
                    sum_ = hashlib.file_digest(opened, "sha256").hexdigest()[:16]
                file.with_name(f"{file.name}.json").stat()
            except OSError as error:
                log.warning("piper's voice for %s is not there: %s", language, error)
                continue
            self._voices[language] = _Voice(file, f"piper {version} {file.stem} {sum_}")

    def voice(self, language: str) -> str | None:
        known = self._voices.get(language)
        return known.name if known is not None else None

    async def speak(self, text: str, language: str) -> Speech:
        known = self._voices.get(language)
        if known is None:
            raise SynthesisFailed(f"piper has no voice for {language!r}")
        return await known.speak(speakable(text))

    async def close(self) -> None:
        for voice in self._voices.values():
            await voice.close()


class _Voice:
    """A voice and its process: one text at a time."""

    def __init__(self, file: Path, name: str) -> None:
        self.name = name
        self._file = file
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def speak(self, text: str) -> Speech:
        async with self._turn:
            try:
                async with asyncio.timeout(SYNTHESIS_SECONDS):
                    return await self._speak(text)
            except TimeoutError:
                await self.close()
                raise SynthesisFailed(f"piper took longer than {SYNTHESIS_SECONDS:g} s") from None
            except asyncio.CancelledError:
                # Its answer would be taken for the next text's.
                await self.close()
                raise

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _speak(self, text: str) -> Speech:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ivr.speech.piper_voice", str(self._file)),
                cwd=_PROJECT,
                # Nothing is fetched from anywhere.
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            await self._answer(self._process)
        with tempfile.TemporaryDirectory(prefix="deskbell-voice-") as folder:
            file = Path(folder, "speech.wav")
            wish = json.dumps({"text": text, "file": str(file)})
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(f"{wish}\n".encode())
                await self._process.stdin.drain()
            except OSError:
                raise SynthesisFailed("piper ended") from None
            await self._answer(self._process)
            return await asyncio.to_thread(_read, file)

    async def _answer(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            answer = json.loads(await process.stdout.readline())
            failed = answer.get("failed", "")
        except ValueError:
            await self.close()
            raise SynthesisFailed("piper ended, or cannot load its voice") from None
        if failed:
            raise SynthesisFailed(f"piper failed: {failed}")


def _read(file: Path) -> Speech:
    try:
        with wave.open(str(file)) as reader:
            if (reader.getnchannels(), reader.getsampwidth()) != (1, 2):
                raise SynthesisFailed("piper gave no channel of 16 bits")
            content = reader.readframes(reader.getnframes())
            return Speech(np.frombuffer(content, "<i2").astype(np.int16), reader.getframerate())
    except (OSError, EOFError, wave.Error):
        raise SynthesisFailed("piper gave no sound") from None
