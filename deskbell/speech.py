"""The speech engines of this machine: found, unpacked where missing, and put together.

Owns where espeak-ng comes from and in which order engines are asked. What an engine is, and how it
is run, is ivr.speech's.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from cti.pbx import debian_packages
from cti.pbx.asterisk_program import default_cache
from ivr.speech.engines import Engine, Engines, EspeakNg, SynthesisFailed
from ivr.speech.piper import PiperVoices

log = logging.getLogger(__name__)

PACKAGE = "espeak-ng"


class SpeechMissing(Exception):
    """There is no engine that speaks. The text says what to do."""


def installed_espeak(cache: Path | None = None) -> tuple[str, ...] | None:
    """The words that start the espeak-ng of this machine: on PATH, or unpacked before."""
    on_path = shutil.which("espeak-ng")
    if on_path:
        return (on_path,)
    root = (cache or default_cache()) / PACKAGE
    data = next(iter(sorted(root.glob("usr/lib/*/espeak-ng-data"))), None)
    try:
        command = debian_packages.command_of(root, "usr/bin/espeak-ng")
    except debian_packages.UnpackFailed:
        return None
    return (*command, f"--path={data.parent}") if data is not None else None


def find_espeak(
    cache: Path | None = None, progress: Callable[[str], None] = log.info
) -> tuple[str, ...]:
    """The espeak-ng of this machine, else Debian's, unpacked into `cache` when missing.

    Blocks for seconds when it unpacks. Raises SpeechMissing.
    """
    if (found := installed_espeak(cache)) is not None:
        return found
    try:
        debian_packages.ensure([PACKAGE], (cache or default_cache()) / PACKAGE, progress)
    except debian_packages.UnpackFailed as error:
        raise SpeechMissing(str(error)) from error
    if (found := installed_espeak(cache)) is None:
        raise SpeechMissing("Debian's espeak-ng is not complete: install it, as root")
    return found


def open_engine(
    piper_voices: Mapping[str, Path] | None = None,
    *,
    cache: Path | None = None,
    progress: Callable[[str], None] = log.info,
) -> Engine:
    """What speaks here: piper where it has a voice (files by language), else espeak-ng.

    Blocks as `find_espeak` does. Raises SpeechMissing.
    """
    try:
        espeak = EspeakNg(find_espeak(cache, progress))
    except SynthesisFailed as error:
        raise SpeechMissing(f"{error}: install espeak-ng anew") from error
    if not piper_voices:
        return espeak
    return Engines([PiperVoices(piper_voices), espeak])
