"""A supervisor's own recordings: an uploaded file becomes a sound for callers.

Owns what is said of an upload (format, length, silence, clipping, level) and that it is converted
in a process of its own, with limits to its memory and time. Refuses to know which prompt it is for
(crm_store.phone_menus.prompt_recordings) and who may upload.

WAV, MP3, OGG, Opus, FLAC and AIFF are read by libsndfile; M4A is not, the page's browser turns it
into WAV.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import ivr
from ivr.speech.levels import SPEECH_DB

_PROJECT = Path(ivr.__file__).parents[1]

LARGEST_BYTES = 25 << 20
"""Two minutes of CD quality, or a quarter of an hour of MP3."""

LONGEST_SECONDS = 120.0
"""Nobody listens longer to a prompt."""

CONVERSION_SECONDS = 45.0

FULL_OF_CLIPPING = 0.001
"""This share of samples in flat tops is heard as a rattle."""

TOO_QUIET_DB = -45.0
"""Speech under this level brings its noise along when it is made louder."""


class Fault(StrEnum):
    """Why an upload cannot be used."""

    TOO_LARGE = "too_large"
    UNKNOWN_FORMAT = "unknown_format"
    DAMAGED = "damaged"
    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    SILENT = "silent"
    TOO_MUCH_WORK = "too_much_work"


class Doubt(StrEnum):
    """What a supervisor should hear before they trust an upload."""

    CLIPPED = "clipped"
    TOO_QUIET = "too_quiet"
    BELOW_LEVEL = "below_level"


class Unusable(Exception):
    """The upload cannot be used."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of an upload. Levels in dB under full scale; `gain_db` is by how much it was
    made louder."""

    seconds: float
    speech_db: float
    peak_db: float
    gain_db: float
    doubts: tuple[Doubt, ...]


class Converter:
    """Converts uploads, one at a time: calls come first."""

    def __init__(self, *, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._longest_seconds = longest_seconds
        self._turn = asyncio.Lock()

    async def convert(self, source: Path, target: Path) -> Converted:
        """Make `target`, a sound for callers, of the upload `source`.

        Raises Unusable; `target` keeps what it had then. Raises OSError if `source` is missing.
        """
        size = (await asyncio.to_thread(os.stat, source)).st_size
        if size > LARGEST_BYTES:
            raise Unusable(Fault.TOO_LARGE)
        async with self._turn:
            told = await _run(source, target, self._longest_seconds)
        return _judged(told)


def _judged(told: dict[str, str]) -> Converted:
    if "fault" in told:
        raise Unusable(Fault(told["fault"]))
    level, before = float(told["speech_db"]), float(told["original_db"])
    doubts = []
    if float(told["clipped"]) > FULL_OF_CLIPPING:
        doubts.append(Doubt.CLIPPED)
    if before < TOO_QUIET_DB:
        doubts.append(Doubt.TOO_QUIET)
    if level < SPEECH_DB - 6:
        doubts.append(Doubt.BELOW_LEVEL)
    return Converted(
        seconds=float(told["seconds"]),
        speech_db=level,
        peak_db=float(told["peak_db"]),
        gain_db=level - before,
        doubts=tuple(doubts),
    )


async def _run(source: Path, target: Path, longest_seconds: float) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        *_command(source, target, longest_seconds),
        cwd=_PROJECT,
        # One thread, so that its memory is its own; and nothing of ours that a decoder could tell.
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(CONVERSION_SECONDS):
            said, _ = await process.communicate()
        told = json.loads(said)
    except (TimeoutError, ValueError):
        # Killed for its time or memory, or by its own decoder's fault.
        return {"fault": Fault.TOO_MUCH_WORK}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        _clean_up(target)
    return {name: str(value) for name, value in told.items()}


def _command(source: Path, target: Path, longest_seconds: float) -> list[str]:
    program = [sys.executable, "-m", "ivr.speech.convert_recording"]
    return [*program, str(source.absolute()), str(target.absolute()), str(longest_seconds)]


def _clean_up(target: Path) -> None:
    for left in target.parent.glob(f".{target.stem}.*.partial"):
        left.unlink(missing_ok=True)
