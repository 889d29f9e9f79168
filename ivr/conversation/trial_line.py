"""A line without a telephone: whoever edits a menu tries it on a page, and clicks the keys.

Owns what the page is shown and what it may press. Refuses to know how the page is told: `show` is
called with each event, `press` and its like are called by whoever hears from the page.
"""

from __future__ import annotations

import asyncio
import itertools
import wave
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ivr.conversation.line import (
    ALL_KEYS,
    CallerHungUp,
    Destination,
    RecordedSound,
    Spoken,
)

PATIENCE: Final = 600.0
"""Seconds without a click before a trial ends: a page that was closed tells nobody."""

_RATE: Final = 8_000


@dataclass(frozen=True, slots=True)
class Saying:
    """The page shows `sounds`, or plays them; `heard(number)` says that it is done."""

    number: int
    sounds: tuple[Spoken, ...]
    stop_keys: str


@dataclass(frozen=True, slots=True)
class Asking:
    """A key is waited for, `seconds` long on a telephone; here until a key or `no_answer`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Recording:
    """The caller would speak now; one of `end_keys` ends it."""

    longest_seconds: int
    end_keys: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The call would go on `to`, in `language`."""

    to: Destination
    language: str


TrialEvent = Saying | Asking | Recording | Gone


class TrialLine:
    """The Line of a trial. Times do not run: a page's reader thinks for as long as they like.

    A recording is a second of silence in `recordings`, as if something had been said.
    """

    def __init__(self, show: Callable[[TrialEvent], None], *, recordings: Path) -> None:
        self._show = show
        self._recordings = recordings
        self._keys: deque[str] = deque()
        self._numbers = itertools.count(1)
        self._heard = 0
        self._silent = False
        self._hung_up = False
        self._left = False
        self._news = asyncio.Event()

    @property
    def keys_ahead(self) -> str:
        return "".join(self._keys)

    def press(self, key: str) -> None:
        """A key of the page's keypad. Raises ValueError for what is none."""
        if len(key) != 1 or key not in ALL_KEYS:
            raise ValueError(f"{key!r} is no key of a telephone")
        self._keys.append(key)
        self._news.set()

    def heard(self, number: int) -> None:
        """The page has shown or played all of the Saying with this number."""
        self._heard = max(self._heard, number)
        self._news.set()

    def no_answer(self) -> None:
        """The caller lets the time pass, or says nothing."""
        self._silent = True
        self._news.set()

    def hang_up(self) -> None:
        self._hung_up = True
        self._news.set()

    async def play(self, sounds: Sequence[Spoken], stop_keys: str) -> str:
        self._check()
        if key := self._next_of(stop_keys):
            return key
        number = next(self._numbers)
        self._show(Saying(number, tuple(sounds), stop_keys))
        while not (key := self._next_of(stop_keys)) and self._heard < number:
            await self._wait()
        return key

    async def key(self, seconds: float) -> str:
        self._check()
        if key := self._next_of(ALL_KEYS):
            return key
        self._silent = False
        self._show(Asking(seconds))
        while not (key := self._next_of(ALL_KEYS)) and not self._silent:
            await self._wait()
        return key

    async def record(
        self, name: str, *, longest_seconds: int, end_keys: str
    ) -> RecordedSound | None:
        self._check()
        self._keys.clear()
        self._silent = False
        self._show(Recording(longest_seconds, end_keys))
        while not self._next_of(end_keys):
            if self._silent:
                return None
            await self._wait()
        file = self._recordings / f"{name}.wav"
        await asyncio.to_thread(_write_silence, file)
        return RecordedSound(file, 1.0)

    async def leave(self, to: Destination, language: str) -> None:
        self._check()
        self._left = True
        self._show(Gone(to, language))

    def _check(self) -> None:
        if self._left:
            raise RuntimeError("the call has gone on; this line is of no use any more")
        if self._hung_up:
            raise CallerHungUp

    def _next_of(self, keys: str) -> str:
        while self._keys:
            if (key := self._keys.popleft()) in keys:
                return key
        return ""

    async def _wait(self) -> None:
        self._news.clear()
        self._check()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._news.wait()
        except TimeoutError:
            self._hung_up = True
        self._check()


def _write_silence(file: Path) -> None:
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(bytes(2 * _RATE))
