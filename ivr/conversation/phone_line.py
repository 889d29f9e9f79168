"""A caller's line through Asterisk: the line's words as AGI commands, and no key lost between them.

Owns what is played in which command, the keys pressed ahead, and what makes a recording worth
keeping. Refuses to know prompts and menus.

Asterisk takes a key while it plays or waits for one. While it waits for our next command it throws
away a key that both begins and ends meanwhile; one that only ends then it gives once more, its own
length later, and throws away if it waits for us then too. So a pause of ours is filled with short
waits for a key.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import wave
from array import array
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from ivr.agi.session import AgiSession
from ivr.conversation.line import (
    ALL_KEYS,
    CallerHungUp,
    Destination,
    HangUp,
    RecordedSound,
    Spoken,
    ToFax,
    ToMessage,
    ToNumber,
    ToQueue,
)

log = logging.getLogger(__name__)

Voice = Callable[[Spoken], Awaitable[str]]
"""Gives the sound file of something spoken, absolute and without its ending, made if need be. Is
cancelled when a key has made it needless."""

LISTEN_AFTER: Final = 0.004
"""Seconds without a command before the line listens by itself: most menus answer sooner."""

FIRST_LISTEN: Final = 0.01
LONGEST_LISTEN: Final = 0.05
"""How long it listens at a time, twice as long each time: so long may the menu's next command have
to wait."""

RECORDED_SILENCE: Final = 5
"""Seconds of silence that end a recording."""

LEAST_RECORDED: Final = 0.5
"""Seconds: what is shorter is a click, not a message."""

QUIET: Final = 400
"""Of 32,767: a recording that is nowhere louder holds nothing (-38 dB)."""


class SoundMissing(Exception):
    """Asterisk does not find a sound file that it was to play: the menu cannot go on."""


class PhoneLine:
    """The Line over `session`, which is answered at its first use.

    `voice` gives the sound files, `recordings` is the folder for what callers say: Asterisk must be
    able to read the first and to write into the second.
    """

    def __init__(self, session: AgiSession, *, voice: Voice, recordings: Path) -> None:
        self._session = session
        self._voice = voice
        self._recordings = recordings
        self._ahead = ""
        self._left = False
        self._pause: asyncio.TimerHandle | None = None
        self._listener: asyncio.Task[None] | None = None
        self._wanted = False
        self._answered = False

    @property
    def keys_ahead(self) -> str:
        return self._ahead

    async def play(self, sounds: Sequence[Spoken], stop_keys: str) -> str:
        """Raises SoundMissing beside what Line says."""
        files = [asyncio.ensure_future(self._voice(sound)) for sound in sounds]
        try:
            for file in files:
                name = await file
                if key := await self._command_begins(stop_keys):
                    return key
                played = await self._session.stream(name, stop_keys)
                self._pause_begins()
                if played.key:
                    return played.key
                if not played.endpos:
                    raise SoundMissing(name)
            return self._taken_ahead(stop_keys)
        finally:
            for file in files:
                file.cancel()
            await asyncio.gather(*files, return_exceptions=True)

    async def key(self, seconds: float) -> str:
        if key := await self._command_begins(ALL_KEYS):
            return key
        key = await self._session.wait_for_key(seconds)
        self._pause_begins()
        return key

    async def record(
        self, name: str, *, longest_seconds: int, end_keys: str
    ) -> RecordedSound | None:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", name):
            raise ValueError(f"{name!r} is no name for a recording")
        await self._command_begins("")
        self._ahead = ""
        recorded = await self._session.record(
            str(self._recordings / name),
            end_keys=end_keys,
            longest_seconds=longest_seconds,
            silence_seconds=RECORDED_SILENCE,
        )
        self._pause_begins()
        file = self._recordings / f"{name}.wav"
        seconds = await asyncio.to_thread(_heard_seconds, file)
        sound = RecordedSound(file, seconds, recorded.hung_up)
        if seconds < LEAST_RECORDED:
            sound.forget()
            if recorded.hung_up:
                raise CallerHungUp
            return None
        return sound

    async def leave(self, to: Destination, language: str) -> None:
        await self._pause_ends()
        self._left = True
        await self._session.set_variable("CHANNEL(language)", language)
        go, variables = _where(to)
        for name, value in variables.items():
            await self._session.set_variable(name, value)
        # Last, since with it the rest must hold.
        await self._session.set_variable("DESKBELL_GO", go)

    def _taken_ahead(self, keys: str) -> str:
        """The first key pressed ahead that is one of `keys`; those before it are dropped."""
        while self._ahead:
            key, self._ahead = self._ahead[0], self._ahead[1:]
            if key in keys:
                return key
        return ""

    async def _command_begins(self, keys: str) -> str:
        """The line is answered, and free for a command; unless one of `keys` was pressed ahead,
        which makes the command needless. Raises CallerHungUp."""
        if key := self._taken_ahead(keys):
            return key
        await self._pause_ends()
        if not self._answered:
            await self._session.answer()
            self._answered = True
        if key := self._taken_ahead(keys):
            self._pause_begins()
        return key

    def _pause_begins(self) -> None:
        self._wanted = False
        loop = asyncio.get_running_loop()
        self._pause = loop.call_later(LISTEN_AFTER, self._begin_listening)

    async def _pause_ends(self) -> None:
        """The line is free for a command. Raises CallerHungUp."""
        if self._left:
            raise RuntimeError("the call has gone on; this line is of no use any more")
        if self._pause is not None:
            self._pause.cancel()
        self._wanted = True
        if self._listener is not None:
            await self._listener
            self._listener = None
        if self._session.hung_up:
            raise CallerHungUp

    def _begin_listening(self) -> None:
        if not self._session.hung_up:
            self._listener = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        seconds = FIRST_LISTEN
        try:
            while not self._wanted:
                key = await self._session.listen(seconds)
                self._ahead += key
                seconds = min(2 * seconds, LONGEST_LISTEN)
        except CallerHungUp:
            pass  # whoever uses the line next is told


def _where(to: Destination) -> tuple[str, dict[str, str]]:
    """The dialplan's word for a destination, and the variables that go with it."""
    match to:
        case ToQueue():
            return "queue", {
                "DESKBELL_QUEUE": to.queue,
                "QUEUE_PRIO": str(to.priority),
                "DESKBELL_AGENT": to.first_agent,
                "DESKBELL_AGENT_LOGIN": to.first_agent_login,
            }
        case ToMessage():
            return "message", {"DESKBELL_QUEUE": to.queue}
        case ToNumber():
            return "number", {"DESKBELL_NUMBER": to.number}
        case ToFax():
            return "fax", {}
        case HangUp():
            return "hangup", {}


def _heard_seconds(file: Path) -> float:
    """How long a recording is; 0 if there is none, or nothing to hear in it."""
    if file.is_symlink() or not file.is_file():
        log.error("Asterisk has recorded, but %s is not there: is the folder shared?", file.name)
        return 0.0
    try:
        with wave.open(str(file), "rb") as sound:
            rate, width = sound.getframerate(), sound.getsampwidth()
            samples = array("h", sound.readframes(sound.getnframes())[: sound.getnframes() * 2])
    except (wave.Error, EOFError, ValueError) as error:
        log.error("the recording %s cannot be read: %s", file.name, error)
        return 0.0
    if width != 2 or not rate or not samples:
        return 0.0
    if sys.byteorder == "big":
        samples.byteswap()
    is_quiet = max(samples) < QUIET and min(samples) > -QUIET
    return 0.0 if is_quiet else len(samples) / rate
