"""The line: what a conversation needs of one caller's telephone, and nothing else.

Owns the port and the words that pass it. Refuses to know how sound reaches the caller: PhoneLine
speaks through Asterisk, TrialLine through the page of the menu's editor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

ALL_KEYS: Final = "0123456789*#"


class CallerHungUp(Exception):
    """The caller is gone. Whatever is still to be written down must not need the line."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One stretch of speech, as it is said: "forty-two", not "42".

    `fixed` parts of a prompt stay the same from call to call and are rendered beforehand. `prompt`
    is the code of the sentence if this is all of it: a supervisor's recording may take its place.
    `shown` is how it reads on a screen ("42"), if that differs from `text`.
    """

    text: str
    language: str
    fixed: bool = False
    prompt: str = ""
    shown: str = ""

    @property
    def as_shown(self) -> str:
        return self.shown or self.text


@dataclass(frozen=True, slots=True)
class RecordedSound:
    """What a caller has spoken, as a sound file. `hung_up`: they ended it by hanging up, and the
    line is gone."""

    file: Path
    seconds: float
    hung_up: bool = False

    def forget(self) -> None:
        """Delete it: nobody is to hear it. A file that cannot be deleted stays, and the doctor
        tells of it."""
        with suppress(OSError):
            self.file.unlink(missing_ok=True)


def _check(pattern: str, text: str) -> None:
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{text!r} cannot be where a call goes")


@dataclass(frozen=True, slots=True)
class ToQueue:
    """To the people of `queue`, at the place that `priority` gives
    (crm_store.contacts.queue_places.priority).

    `first_agent` is the extension of whoever is tried before the queue, `first_agent_login` their
    login.
    """

    queue: str
    priority: int
    first_agent: str = ""
    first_agent_login: str = ""

    def __post_init__(self) -> None:
        _check(r"[A-Za-z0-9_-]{1,80}", self.queue)
        _check(r"[0-9]{0,40}", self.first_agent)
        _check(r"[\w.@+-]{0,100}", self.first_agent_login)


@dataclass(frozen=True, slots=True)
class ToMessage:
    """To leave a message for the people of `queue`."""

    queue: str

    def __post_init__(self) -> None:
        _check(r"[A-Za-z0-9_-]{1,80}", self.queue)


@dataclass(frozen=True, slots=True)
class ToNumber:
    """To an extension or number of the PBX, as one that customers may reach."""

    number: str

    def __post_init__(self) -> None:
        _check(r"[0-9]{1,40}", self.number)


@dataclass(frozen=True, slots=True)
class ToFax:
    """To the fax receiver."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The call ends."""


Destination = ToQueue | ToMessage | ToNumber | ToFax | HangUp


class Line(Protocol):
    """One caller's line. Every method raises CallerHungUp once the caller is gone.

    Keys that the caller presses while nothing is said or asked are kept, and given to the next
    `play` or `key` in their order.
    """

    @property
    def keys_ahead(self) -> str:
        """Keys that were pressed ahead and wait to be taken."""
        ...

    async def play(self, sounds: Sequence[Spoken], stop_keys: str) -> str:
        """Say `sounds` without a gap; the key of `stop_keys` that stopped it, "" if heard out.

        A key of `stop_keys` that was pressed ahead is given at once, and nothing is said. Other
        keys, ahead or meanwhile, are dropped.
        """
        ...

    async def key(self, seconds: float) -> str:
        """The next key, "" if none comes within `seconds`."""
        ...

    async def record(
        self, name: str, *, longest_seconds: int, end_keys: str
    ) -> RecordedSound | None:
        """What the caller says after a tone, until an `end_keys`, some seconds of silence, or the
        longest time. None if nothing was said. `name` is letters, digits and "-"."""
        ...

    async def leave(self, to: Destination, language: str) -> None:
        """End our part: the call goes on `to`, in `language`. The line is of no use afterwards."""
        ...
