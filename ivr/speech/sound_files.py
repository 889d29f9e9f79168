"""The sound files that callers hear: found by their text, made where they are missing.

Owns two folders of WAV files. `fixed` holds what is said from call to call, for as long as there is
room: the longest unused file leaves first. `values` holds what was said to somebody (a balance, a
number to call back); it is small, only this user may look into it, its names can't be guessed from
a text, and it is emptied at every start and close. A secret has no place here at all: no menu
speaks a PIN.

A supervisor's recording of a text stands before the engine's sound. Asterisk plays the files by
their absolute path without ".wav", on this very machine. Refuses to know prompts and calls.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import shutil
import time
import wave
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ivr.speech.engines import Engine, Speech, SynthesisFailed
from ivr.speech.levels import RATE, for_telephone, write_wav

log = logging.getLogger(__name__)

MOST_FIXED_BYTES = 256 << 20
"""About four and a half hours of speech."""

MOST_VALUE_BYTES = 32 << 20
"""About half an hour."""

KEPT_SECONDS = 120.0
"""A file that was asked for is kept so long at least: Asterisk is about to open it."""

TOUCH_SECONDS = 3_600.0
"""A file's time of use is written down once in so long."""

FORMAT = 1
"""Counts the changes of how a sound is made of speech (ivr.speech.levels)."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound to play. `for_asterisk` is its absolute path without extension, as Playback and
    STREAM FILE want it."""

    file: Path
    seconds: float

    @property
    def for_asterisk(self) -> str:
        return str(self.file.with_suffix(""))


@dataclass(frozen=True, slots=True)
class Progress:
    """Fixed parts that were to be made: how many are there, how many could not be made."""

    done: int = 0
    total: int = 0
    failed: int = 0


class SoundFiles:
    """Sounds by text and language, spoken by `engine`, in `folder`.

    `shared`: an Asterisk under another user of this machine plays them too, so they are readable
    to all; the values' folder can then be passed through, not listed.
    """

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        *,
        shared: bool = False,
        most_fixed_bytes: int = MOST_FIXED_BYTES,
        most_value_bytes: int = MOST_VALUE_BYTES,
    ) -> None:
        folder = folder.absolute()
        self._engine = engine
        self._fixed = _Shelf(folder / "fixed", most_fixed_bytes, 0o644 if shared else 0o600)
        self._values = _Shelf(folder / "values", most_value_bytes, 0o644 if shared else 0o600)
        self._values_mode = 0o711 if shared else 0o700
        # Known to this run alone, so a value's file name tells nothing about the value.
        self._salt = secrets.token_bytes(16)
        self._recordings: Mapping[tuple[str, str], Path] = {}
        self._recorded: Mapping[tuple[str, str], Sound] = {}
        self._gone: set[Path] = set()
        self._being_made: dict[Path, asyncio.Task[Sound]] = {}
        self._preparing: asyncio.Task[None] | None = None
        self._progress = Progress()

    async def start(self) -> None:
        """Make the folders, forget all values, and look at what is there. Raises OSError."""
        await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """Stop preparing, and forget all values."""
        tasks = [*self._being_made.values(), *filter(None, [self._preparing])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._values.empty)
        await self._engine.close()

    def use_recordings(self, recorded: Mapping[tuple[str, str], Path]) -> None:
        """From now on, play these files for the texts (language, text) that they say; and no
        others. A file that cannot be read is left out, with a warning."""
        if recorded == self._recordings:
            return
        known: dict[tuple[str, str], Sound] = {}
        for (language, text), file in recorded.items():
            try:
                known[language, text.strip()] = Sound(file.absolute(), _seconds_of(file))
            except (OSError, EOFError, wave.Error) as error:
                log.warning("the recording %s cannot be played: %s", file.name, error)
        self._recordings = dict(recorded)
        self._recorded = known
        self._gone.clear()

    def at_hand(self, text: str, language: str, *, fixed: bool) -> Sound | None:
        """The sound, if it need not be made. Never blocks for long."""
        recorded = self._recorded.get((language, text.strip())) if fixed else None
        if recorded is not None:
            if recorded.file.exists():
                return recorded
            if recorded.file not in self._gone:
                self._gone.add(recorded.file)
                log.warning("the recording %s is gone: our voice says it", recorded.file.name)
        shelf, file = self._place(text, language, fixed=fixed)
        return shelf.take(file) if file is not None else None

    async def sound(self, text: str, language: str, *, fixed: bool) -> Sound:
        """The sound of a text, made now if it is missing; whoever asks for it meanwhile waits for
        the same. `fixed` says that the text is the same for all callers.

        Raises SynthesisFailed, also when the disk does not take it.
        """
        if (known := self.at_hand(text, language, fixed=fixed)) is not None:
            return known
        return await self._spoken(text, language, fixed=fixed)

    async def synthesised(self, text: str, language: str) -> Sound:
        """The engine's sound of a fixed text, whatever recording stands before it.

        Raises SynthesisFailed.
        """
        shelf, file = self._place(text, language, fixed=True)
        known = shelf.take(file) if file is not None else None
        return known or await self._spoken(text, language, fixed=True)

    async def _spoken(self, text: str, language: str, *, fixed: bool) -> Sound:
        shelf, file = self._place(text, language, fixed=fixed)
        if file is None:
            raise SynthesisFailed(f"nobody here speaks {language!r}")
        task = self._being_made.get(file)
        if task is None:
            task = asyncio.create_task(self._make(shelf, file, text, language), name="speech")
            self._being_made[file] = task
            task.add_done_callback(lambda done: self._made(file, done))
        # One caller who hangs up does not take the sound from the others.
        return await asyncio.shield(task)

    def prepare(self, parts: Iterable[tuple[str, str]]) -> asyncio.Task[None]:
        """Make the fixed parts (text, language) that are missing, in the background, one after the
        other; a former preparation that still runs is given up. How far it is: `progress`."""
        if self._preparing is not None:
            self._preparing.cancel()
        wanted = list(dict.fromkeys(parts))
        self._progress = Progress(total=len(wanted))
        self._preparing = asyncio.create_task(self._prepare(wanted), name="prompts' sounds")
        return self._preparing

    @property
    def progress(self) -> Progress:
        """How far the last `prepare` is."""
        return self._progress

    def _open(self) -> None:
        self._fixed.open(0o755 if self._values_mode == 0o711 else 0o700)
        self._values.open(self._values_mode)
        self._values.empty()

    def _place(self, text: str, language: str, *, fixed: bool) -> tuple[_Shelf, Path | None]:
        shelf = self._fixed if fixed else self._values
        voice = self._engine.voice(language)
        if voice is None:
            return shelf, None
        key = "\0".join((str(FORMAT), voice, language, text.strip())).encode("utf-8", "replace")
        name = hashlib.blake2b(key, digest_size=16, key=b"" if fixed else self._salt).hexdigest()
        return shelf, shelf.folder / name[:2] / f"{name}.wav"

    async def _make(self, shelf: _Shelf, file: Path, text: str, language: str) -> Sound:
        speech = await self._engine.speak(text, language)
        try:
            await asyncio.to_thread(shelf.be_there)
            sound = await asyncio.to_thread(_write, file, shelf.mode, speech)
            leaving = shelf.put(sound)
            if leaving:
                await asyncio.to_thread(_delete, leaving)
        except OSError as error:
            raise SynthesisFailed(f"{file.parent} takes no file: {error.strerror}") from None
        return sound

    def _made(self, file: Path, task: asyncio.Task[Sound]) -> None:
        self._being_made.pop(file, None)
        if not task.cancelled():
            task.exception()  # Whoever waits is told; nobody may be left.

    async def _prepare(self, wanted: list[tuple[str, str]]) -> None:
        begun, made = time.monotonic(), 0
        for text, language in wanted:
            failed = self._progress.failed
            try:
                if self.at_hand(text, language, fixed=True) is None:
                    await self.sound(text, language, fixed=True)
                    made += 1
            except SynthesisFailed as error:
                log.warning("a prompt in %s has no sound: %s: %r", language, error, text[:60])
                failed += 1
            self._progress = Progress(self._progress.done + 1, len(wanted), failed)
            # Where all is there, calls still get their turn.
            await asyncio.sleep(0)
        log.info(
            "prompts: %d sounds ready, %d of them made in %.1f s, %d failed",
            len(wanted) - self._progress.failed,
            made,
            time.monotonic() - begun,
            self._progress.failed,
        )


@dataclass(slots=True)
class _Kept:
    """A file as it is known; times in seconds since 1970. Its use is written to the file's own
    time now and then, so that a restart knows it."""

    size: int
    seconds: float
    used_at: float
    written_at: float


class _Shelf:
    """A folder of files with a bound to its size; the longest unused leaves first."""

    def __init__(self, folder: Path, most_bytes: int, mode: int) -> None:
        self.folder = folder
        self.mode = mode
        self._most_bytes = most_bytes
        self._folder_mode = 0o700
        self._bytes = 0
        # The longest unused first.
        self._files: OrderedDict[Path, _Kept] = OrderedDict()

    def be_there(self) -> None:
        """Make the folder if somebody has deleted it. Raises OSError."""
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(self._folder_mode)

    def open(self, mode: int) -> None:
        """Make the folder, and know what is in it."""
        self._folder_mode = mode
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(mode)
        found = []
        for file in self.folder.rglob("*"):
            if file.suffix == ".partial":
                file.unlink(missing_ok=True)
            elif file.suffix == ".wav":
                try:
                    state = file.stat()
                    seconds = _seconds_of(file)
                except (OSError, EOFError, wave.Error):
                    # Cut off by a full disk or a lost power: it is made again.
                    file.unlink(missing_ok=True)
                    continue
                found.append((file, _Kept(state.st_size, seconds, state.st_mtime, state.st_mtime)))
        self._files = OrderedDict(sorted(found, key=lambda one: one[1].used_at))
        self._bytes = sum(kept.size for kept in self._files.values())

    def empty(self) -> None:
        """Delete all."""
        self._files.clear()
        self._bytes = 0
        for folder in self.folder.glob("*"):
            shutil.rmtree(folder, ignore_errors=True)

    def take(self, file: Path) -> Sound | None:
        """The file, if it is there; it counts as used."""
        kept = self._files.get(file)
        if kept is None:
            return None
        now = time.time()
        try:
            if now - kept.written_at > TOUCH_SECONDS:
                os.utime(file)
                kept.written_at = now
            elif not file.exists():
                raise FileNotFoundError
        except OSError:
            # Somebody cleaned up: it is made again.
            del self._files[file]
            self._bytes -= kept.size
            return None
        kept.used_at = now
        self._files.move_to_end(file)
        return Sound(file, kept.seconds)

    def put(self, sound: Sound) -> list[Path]:
        """Know a file that was just written; those that must leave for it, to be deleted."""
        now = time.time()
        size = sound.file.stat().st_size
        before = self._files.pop(sound.file, None)
        self._bytes += size - (before.size if before else 0)
        self._files[sound.file] = _Kept(size, sound.seconds, now, now)
        leaving = []
        while self._bytes > self._most_bytes:
            file, oldest = next(iter(self._files.items()))
            if now - oldest.used_at < KEPT_SECONDS:
                break
            del self._files[file]
            self._bytes -= oldest.size
            leaving.append(file)
        return leaving


def _write(file: Path, mode: int, speech: Speech) -> Sound:
    samples = for_telephone((speech.samples / np.float32(32_768)).astype(np.float32), speech.rate)
    if not samples.size:
        raise SynthesisFailed("the engine gave silence")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o711 if mode & 0o004 else 0o700)
    write_wav(samples, file, mode=mode)
    return Sound(file, samples.size / RATE)


def _delete(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _seconds_of(file: Path) -> float:
    """Raises OSError, EOFError or wave.Error for what Asterisk could not play either."""
    with wave.open(str(file)) as reader:
        form = (reader.getnchannels(), reader.getsampwidth(), reader.getframerate())
        if form != (1, 2, RATE):
            raise wave.Error(f"not one channel of 16 bits at {RATE} Hz")
        seconds = int(reader.getnframes()) / RATE
        size = file.stat().st_size
    if not seconds or size < seconds * RATE * 2:
        raise EOFError("cut off")
    return seconds
