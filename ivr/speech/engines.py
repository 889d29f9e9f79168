"""Engines that turn text into speech: the port, and espeak-ng as the one that is always there.

Owns how espeak-ng is run: each sentence is a process of its own, which gets the text on
its standard input (never as an argument) and has a time limit; only so many run at once. Texts are
cleaned before (ivr.speech.plain_text), so that no name of a product is taken for markup or
phonemes. Refuses to know sound files and levels.
"""

from __future__ import annotations

import asyncio
import re
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ivr.speech.plain_text import plain

LONGEST_TEXT = 1_500
"""Letters of one stretch of speech: about two minutes. What is longer is no prompt."""

SYNTHESIS_SECONDS = 15.0
"""A sentence takes some hundredths; an engine that needs this long hangs."""

AT_ONCE = 2
"""Processes at once: they are all work for the processor, and calls come first."""


class SynthesisFailed(Exception):
    """No speech came of a text. The message tells why, never the text: it may be personal."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What an engine said: one channel of 16 bits, `rate` samples a second."""

    samples: NDArray[np.int16]
    rate: int


class Engine(Protocol):
    """Something that speaks."""

    def voice(self, language: str) -> str | None:
        """What speaks a language: engine, version and voice, in a line that changes whenever the
        same text would sound different. None if the language is not spoken."""
        ...

    async def speak(self, text: str, language: str) -> Speech:
        """The text as speech. Raises SynthesisFailed."""
        ...

    async def close(self) -> None:
        """Leave no process behind."""
        ...


def speakable(text: str) -> str:
    """The text as an engine may have it. Raises SynthesisFailed for one that is too long, or that
    has nothing to say."""
    if len(text) > LONGEST_TEXT:
        raise SynthesisFailed(f"a text of {len(text)} letters is too long to be spoken")
    cleaned = plain(text)
    if not any(letter.isalnum() for letter in cleaned):
        raise SynthesisFailed("a text without letters says nothing")
    return cleaned


class EspeakNg:
    """espeak-ng as a process for each stretch of speech.

    `command` are the words that start it. Blocks while it asks the program for its version and
    voices. Raises SynthesisFailed when the program does not run.
    """

    def __init__(self, command: Sequence[str], *, at_once: int = AT_ONCE) -> None:
        self._command = tuple(command)
        self._free = asyncio.Semaphore(at_once)
        said = self._told("--version")
        version = re.search(r"eSpeak NG.*?(\d+(?:\.\d+)+(?:-\w+)?)", said)
        if version is None:
            raise SynthesisFailed(f"{self._command[0]} is no espeak-ng")
        self.version = version[1]
        voices = [line.split() for line in self._told("--voices").splitlines()[1:]]
        known = {words[1] for words in voices if len(words) > 1}
        self._voices = {
            language: next((voice for voice in wanted if voice in known), None)
            for language, wanted in _VOICES.items()
        }

    @property
    def voices(self) -> Mapping[str, str | None]:
        """The voice of each language, None where this espeak-ng has none."""
        return self._voices

    def voice(self, language: str) -> str | None:
        voice = self._voices.get(language)
        if voice is None:
            return None
        return f"espeak-ng {self.version} {voice} {_WORDS_A_MINUTE[language]} {_RULES}"

    async def speak(self, text: str, language: str) -> Speech:
        voice = self._voices.get(language)
        if voice is None:
            raise SynthesisFailed(f"this espeak-ng has no voice for {language!r}")
        words = speakable(text)
        if language == "zh":
            words = _HOMOPHONE.sub(lambda found: _HOMOPHONES[found[0]], words)
        async with self._free:
            return _speech_of(await self._run(voice, _WORDS_A_MINUTE[language], words))

    async def close(self) -> None:
        """Nothing outlives a `speak`."""

    async def _run(self, voice: str, words_a_minute: int, text: str) -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *("-v", voice, "-s", str(words_a_minute), "-a", _AMPLITUDE),
                *("-b", "1", "--stdin", "--stdout"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise SynthesisFailed(f"espeak-ng does not start: {error.strerror}") from None
        try:
            async with asyncio.timeout(SYNTHESIS_SECONDS):
                said, _ = await process.communicate(text.encode())
        except TimeoutError:
            raise SynthesisFailed(f"espeak-ng took longer than {SYNTHESIS_SECONDS:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise SynthesisFailed(f"espeak-ng ended with {process.returncode}")
        return said

    def _told(self, question: str) -> str:
        try:
            return subprocess.run(
                [*self._command, question],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=True,
                timeout=SYNTHESIS_SECONDS,
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            why = type(error).__name__
            raise SynthesisFailed(f"{self._command[0]} does not run: {why}") from None


class Engines:
    """The first of several engines that speaks a language: piper's voices before espeak-ng."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines

    def voice(self, language: str) -> str | None:
        return next((voice for one in self._engines if (voice := one.voice(language))), None)

    async def speak(self, text: str, language: str) -> Speech:
        for engine in self._engines:
            if engine.voice(language):
                return await engine.speak(text, language)
        raise SynthesisFailed(f"no engine speaks {language!r}")

    async def close(self) -> None:
        for engine in self._engines:
            await engine.close()


_VOICES = {
    "en": ("en-us", "en-gb", "en"),
    # 1.51's "cmn" takes the tones of its own pinyin for English numbers ("yi four").
    "zh": ("cmn-latn-pinyin", "cmn", "zh"),
    "es": ("es", "es-419"),
    "fa": ("fa",),
}

_WORDS_A_MINUTE = {"en": 155, "zh": 165, "es": 155, "fa": 145}
"""Slower than its 175: a telephone takes the high tones away."""

_HOMOPHONES = {
    "还有": "孩有",
    "还是": "孩是",
    "还没": "孩没",
    "还在": "孩在",
    "还要": "孩要",
    "还剩": "孩剩",
    "还可": "孩可",
    "还会": "孩会",
    "银行": "银航",
    "行业": "航业",
    "音乐": "音月",
    "重新": "虫新",
    "重复": "虫复",
    "重听": "虫听",
    "重播": "虫播",
    "重试": "虫试",
    "假日": "价日",
    "假期": "价期",
    "处理": "楚理",
    "长假": "常价",
    "更改": "耕改",
    "更新": "耕新",
    "更换": "耕换",
    "觉得": "决得",
    "便宜": "骈怡",
    "会计": "快计",
    "差评": "叉评",
}
"""Words whose first reading in espeak-ng's dictionary, which knows letters and no words, is another
word's: written with letters that have no other."""

_HOMOPHONE = re.compile("|".join(_HOMOPHONES))

_AMPLITUDE = "70"
"""Of 200: at its usual 100 it comes to full scale, and may clip."""

_RULES = 1
"""Counts the changes of what stands above: it is part of the name of a voice."""

_HEADER = 44


def _speech_of(wav: bytes) -> Speech:
    """What espeak-ng writes to a pipe: a header that does not know the length yet, and samples."""
    if len(wav) <= _HEADER or wav[:4] != b"RIFF" or wav[36:40] != b"data":
        raise SynthesisFailed("espeak-ng gave no sound")
    channels, rate = struct.unpack_from("<HI", wav, 22)
    (bits,) = struct.unpack_from("<H", wav, 34)
    if (channels, bits) != (1, 16):
        raise SynthesisFailed(f"espeak-ng gave {channels} channels of {bits} bits")
    whole = (len(wav) - _HEADER) // 2
    return Speech(np.frombuffer(wav, "<i2", whole, _HEADER).astype(np.int16), rate)
