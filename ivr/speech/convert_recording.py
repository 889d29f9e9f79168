"""A program of its own: one uploaded sound file in, one file for callers out.

    python -m ivr.speech.convert_recording SOURCE TARGET LONGEST_SECONDS

Prints one line of JSON: {"seconds", "speech_db", "peak_db", "clipped", "original_db"}, or {"fault"}
with a code of ivr.speech.recordings.Fault. A process apart, with limits of its own: an upload is
hostile, and whatever it does to a decoder, calls go on.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ivr.speech import levels

MOST_MEMORY = 1 << 30
MOST_CPU_SECONDS = 30
MOST_OUTPUT_BYTES = 64 << 20
FORMATS = frozenset(("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "CAF", "AU", "W64"))
BLOCK = 65_536
SHORTEST_SECONDS = 0.2


class Unusable(Exception):
    """The file cannot be used; the text is the fault's code."""


def convert(source: Path, target: Path, longest_seconds: float) -> dict[str, float]:
    """Raises Unusable."""
    try:
        file = soundfile.SoundFile(source)
    except (soundfile.SoundFileError, OSError):
        raise Unusable("unknown_format") from None
    with file:
        rate, channels = file.samplerate, file.channels
        if file.format not in FORMATS:
            raise Unusable("unknown_format")
        if not 4_000 <= rate <= 384_000 or channels > 8:
            raise Unusable("damaged")
        _check_riff(source, file.format)
        resampled = soxr.ResampleStream(rate, levels.RATE, 1, dtype="float32")
        pieces, read, flat = [], 0, 0.0
        try:
            while True:
                block = file.read(BLOCK, dtype="float32", always_2d=True)
                if not len(block):
                    break
                if not np.isfinite(block).all():
                    raise Unusable("damaged")
                read += len(block)
                if read > longest_seconds * rate:
                    raise Unusable("too_long")
                # The loudest channel is looked at for clipping before they are mixed.
                loudest = block[:, int(np.argmax(np.max(np.abs(block), axis=0)))]
                flat += levels.measured(loudest, rate).clipped * len(block)
                pieces.append(resampled.resample_chunk(np.mean(block, axis=1), last=False))
            pieces.append(resampled.resample_chunk(np.zeros(0, np.float32), last=True))
        except soundfile.SoundFileError:
            raise Unusable("damaged") from None
        if read < SHORTEST_SECONDS * rate:
            raise Unusable("too_short")
        promised = file.frames
        if file.format == "FLAC" and 0 < promised < 1 << 40 and read < promised:
            raise Unusable("damaged")
    whole = np.concatenate(pieces)
    original = levels.measured(whole)
    if original.is_silent:
        raise Unusable("silent")
    sound = levels.levelled(levels.trimmed(whole))
    final = levels.measured(sound)
    if final.seconds < SHORTEST_SECONDS:
        raise Unusable("too_short")
    levels.write_wav(sound, target)
    return {
        "seconds": final.seconds,
        "speech_db": final.speech_db,
        "peak_db": final.peak_db,
        "clipped": flat / read,
        "original_db": original.speech_db,
    }


def _check_riff(source: Path, form: str) -> None:
    """A WAV file that is shorter than its own header says was cut off on its way."""
    if form not in ("WAV", "WAVEX"):
        return
    with source.open("rb") as file:
        head = file.read(8)
    said = int.from_bytes(head[4:8], "little")
    # A recorder that writes to a pipe does not know the length.
    if head[:4] == b"RIFF" and said < 0x7FFF_0000 and said > source.stat().st_size:
        raise Unusable("damaged")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT_BYTES, MOST_OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """Run as a program."""
    source, target, longest = sys.argv[1:]
    _limit()
    try:
        told: dict[str, float | str] = {**convert(Path(source), Path(target), float(longest))}
    except Unusable as fault:
        told = {"fault": str(fault)}
    except MemoryError:
        told = {"fault": "too_much_work"}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
