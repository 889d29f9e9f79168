"""One caller's AGI session: commands as methods, answers as values, the hang-up as an exception.

Owns one command at a time and the answer that belongs to it, whatever comes between or is
cancelled. Refuses to know sockets, and what the commands are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ivr.agi.figures import AgiFigures
from ivr.agi.protocol import Answer, HangUpNotice, command
from ivr.conversation.line import CallerHungUp

__all__ = ["AgiError", "AgiSession", "CallerHungUp", "Played", "Recorded"]

log = logging.getLogger(__name__)

QUICK_SECONDS: Final = 10.0
"""How long Asterisk may take beyond what a command itself takes."""

LONGEST_SOUND: Final = 900.0
"""Seconds: no sound file that is played is longer."""

AFTER_HANG_UP: Final = 5.0
"""How long the answer is waited for that a HANGUP has interrupted."""


class AgiError(Exception):
    """Asterisk has refused a command. The caller is still there."""

    def __init__(self, verb: str, answer: Answer) -> None:
        # Never the answer's text: a variable's value may be personal.
        super().__init__(f"{verb}: {answer.code}")
        self.verb = verb
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Played:
    """How STREAM FILE ended: `key` is what stopped it. `endpos` is the sample (8,000 a second)
    where it ended; 0 without a key says that there is no such file."""

    key: str
    endpos: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """How RECORD FILE ended: by `key`, by time or silence (`""`), or by the caller's hang-up.
    `samples` is how far it went, 8,000 a second."""

    key: str
    samples: int
    hung_up: bool


class AgiSession:
    """What Asterisk says of one channel, and what it can be told.

    `entry` and `parameters` are those of `agi://host/ENTRY?name=value`, without the key; `header`
    is what Asterisk has said, by name without `agi_`: its values are the caller's in part, and
    hostile. `hung_up` is True once Asterisk has said so.

    Every command raises CallerHungUp when the caller is gone, and AgiError when Asterisk refuses
    it. They are given one at a time; a cancelled one's answer is waited for before the next.
    """

    def __init__(
        self,
        entry: str,
        parameters: Mapping[str, str],
        header: Mapping[str, str],
        *,
        write: Callable[[bytes], None],
        figures: AgiFigures,
    ) -> None:
        self.entry = entry
        self.parameters = parameters
        self.header = header
        self.hung_up = False
        self._write = write
        self._figures = figures
        self._waiting: asyncio.Future[Answer] | None = None
        self._answered_at = time.perf_counter()
        self._times_step = True
        self._hang_up_timer: asyncio.TimerHandle | None = None
        self._connected = True

    @property
    def channel(self) -> str:
        return self.header.get("channel", "")

    async def command(
        self, verb: str, *arguments: str, seconds: float = 0.0, is_step: bool = True
    ) -> Answer:
        """Any command, whatever Asterisk answers to it. It may take `seconds` itself.

        `is_step` False: for the figures, the time until the next command still counts from the
        answer before. Raises BadCommand, and CallerHungUp also
        if no answer comes in time.
        """
        line = command(verb, *arguments)
        if self._waiting is not None:
            await self._answer_to(self._waiting, verb, LONGEST_SOUND)
        if self.hung_up:
            raise CallerHungUp
        now = time.perf_counter()
        if is_step:
            self._figures.steps.observe(now - self._answered_at)
        self._figures.commands += 1
        self._times_step = is_step
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        self._write(line)
        answer = await self._answer_to(waiting, verb, seconds + QUICK_SECONDS)
        if answer.code != 200:
            self._figures.errors += answer.code != 511
        return answer

    async def _answer_to(
        self, waiting: asyncio.Future[Answer], verb: str, seconds: float
    ) -> Answer:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(waiting)
        except TimeoutError:
            if not self.hung_up:
                log.warning(
                    "Asterisk did not answer %s within %.0f s: the session ends", verb, seconds
                )
            self.lost()
            raise CallerHungUp from None

    async def ask(self, verb: str, *arguments: str, seconds: float = 0.0) -> Answer:
        """A command that must succeed: 200 and no -1. Raises CallerHungUp, AgiError."""
        answer = await self.command(verb, *arguments, seconds=seconds)
        self._check(verb, answer)
        return answer

    def _check(self, verb: str, answer: Answer) -> None:
        if answer.code == 511 or (self.hung_up and answer.result == "-1"):
            self.hung_up = True
            raise CallerHungUp
        if answer.code != 200 or answer.result == "-1":
            raise AgiError(verb, answer)

    async def answer(self) -> None:
        """Answer the call if it is not yet."""
        await self.ask("ANSWER")

    async def stream(self, file: str, escape_keys: str = "", offset: int = 0) -> Played:
        """Play a sound file (no ending) until its end or one of `escape_keys`."""
        where = [str(offset)] if offset else []
        answer = await self.command("STREAM FILE", file, escape_keys, *where, seconds=LONGEST_SOUND)
        if answer.result == "-1" and not answer.endpos and not self.hung_up:
            # No such file, or gone at its first sample: only a caller who is there has a status.
            await self._while_heard("CHANNEL STATUS")
            return Played("", 0)
        self._check_heard("STREAM FILE", answer)
        return Played(_key(answer), answer.endpos or 0)

    async def wait_for_key(self, seconds: float) -> str:
        """The next key, "" if none comes in time."""
        wait = str(max(1, round(seconds * 1000)))
        return _key(await self._while_heard("WAIT FOR DIGIT", wait, seconds=seconds))

    async def listen(self, seconds: float) -> str:
        """As wait_for_key, between two commands of the menu: no step of its own in the figures."""
        wait = str(max(1, round(seconds * 1000)))
        answer = await self.command("WAIT FOR DIGIT", wait, seconds=seconds, is_step=False)
        self._check_heard("WAIT FOR DIGIT", answer)
        return _key(answer)

    async def _while_heard(self, verb: str, *arguments: str, seconds: float = 0.0) -> Answer:
        answer = await self.command(verb, *arguments, seconds=seconds)
        self._check_heard(verb, answer)
        return answer

    def _check_heard(self, verb: str, answer: Answer) -> None:
        """-1 of a command that needs the caller's ears: Asterisk's HANGUP may be still to come."""
        if answer.code == 200 and answer.result == "-1":
            self.hung_up = True
        self._check(verb, answer)

    async def record(
        self,
        file: str,
        *,
        end_keys: str,
        longest_seconds: int,
        silence_seconds: int,
        tone: bool = True,
        file_format: str = "wav",
    ) -> Recorded:
        """Record to `file` (no ending) after a tone. A hang-up ends it as a key does."""
        answer = await self.command(
            "RECORD FILE",
            file,
            file_format,
            end_keys,
            str(longest_seconds * 1000),
            *(["BEEP"] if tone else []),
            f"s={silence_seconds}",
            seconds=longest_seconds + 5.0,
        )
        if answer.code != 200 or answer.endpos is None:
            self._check_heard("RECORD FILE", answer)
        gone = answer.data == "hangup" or answer.result == "-1"
        self.hung_up = self.hung_up or gone
        await self._settled()
        return Recorded("" if gone else _key(answer), answer.endpos or 0, gone)

    async def _settled(self) -> None:
        """Asterisk closes a recording only after it has answered, and before its next word."""
        if not self._connected:
            return
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        self._times_step = False
        self._write(command("NOOP"))
        with contextlib.suppress(CallerHungUp):
            await self._answer_to(waiting, "NOOP", QUICK_SECONDS)

    async def set_variable(self, name: str, value: str) -> None:
        """Set a channel's variable, or write a function ("CHANNEL(language)")."""
        await self.ask("SET VARIABLE", name, value)

    async def variable(self, name: str) -> str:
        """A channel's variable, or what a function says; "" if there is none."""
        answer = await self.ask("GET VARIABLE", name)
        return answer.data if answer.result == "1" else ""

    async def execute(self, application: str, *arguments: str, seconds: float = 60.0) -> Answer:
        """Run a dialplan application, whose `arguments` must hold no comma. Raises AgiError if
        there is none of this name."""
        answer = await self.command("EXEC", application, ",".join(arguments), seconds=seconds)
        if answer.result == "-2" or answer.code != 200:
            self._check("EXEC", Answer(answer.code, "-1", text=answer.text))
        return answer

    async def hang_up(self) -> None:
        await self.command("HANGUP")

    def take(self, said: Answer | HangUpNotice) -> None:
        """What Asterisk says, from whoever reads the socket. An answer to nothing is dropped."""
        waiting = self._waiting
        if isinstance(said, HangUpNotice):
            self.hung_up = True
            if waiting is not None and self._hang_up_timer is None:
                loop = asyncio.get_running_loop()
                self._hang_up_timer = loop.call_later(AFTER_HANG_UP, self.lost)
        elif waiting is not None:
            self._waiting = None
            if self._times_step:
                self._answered_at = time.perf_counter()
            if not waiting.done():
                waiting.set_result(said)

    def lost(self) -> None:
        """The connection is gone, and with it the caller."""
        self.hung_up = True
        self._connected = False
        if self._hang_up_timer is not None:
            self._hang_up_timer.cancel()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(CallerHungUp())
            waiting.exception()  # nobody may be waiting any more


def _key(answer: Answer) -> str:
    """A key is told as the number of its letter."""
    return chr(answer.number) if answer.number in _KEYS else ""


_KEYS: Final = frozenset(map(ord, "0123456789*#"))
