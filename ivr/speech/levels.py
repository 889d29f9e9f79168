"""Sound as numbers: cut, measured, brought to one level, and written for a telephone.

Owns what a sound file for callers is: 8 kHz, one channel, 16 bits, silence cut off, speech at one
level, nothing clipped. Samples are floats between -1 and 1. Refuses to know where sound comes from.
"""

from __future__ import annotations

import os
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 8_000
"""Samples a second: what Asterisk plays without converting."""

SPEECH_DB = -20.0
"""The level of the speech itself (its pauses left out), in dB under full scale: as loud as
Asterisk's own sounds."""

CEILING_DB = -1.5
"""No sample is louder: a codec overshoots."""

SILENCE_DB = -60.0
"""A sound without a louder moment is silent."""

FLOOR_DB = -120.0
_FRAME = RATE // 100
_KEPT_BEFORE, _KEPT_AFTER = RATE * 30 // 1000, RATE * 120 // 1000
_UNDER_PEAK_DB = 42.0
_PAUSE_DB = 30.0
_LOUD_PERCENT = 95


@dataclass(frozen=True, slots=True)
class Level:
    """`speech_db`: the mean of the frames with speech; `peak_db`: the loudest sample; both in dB
    under full scale. `clipped`: the share of samples in flat tops."""

    seconds: float
    speech_db: float
    peak_db: float
    clipped: float

    @property
    def is_silent(self) -> bool:
        return self.peak_db < SILENCE_DB


def decibel(amplitude: float) -> float:
    return max(20 * float(np.log10(max(amplitude, 1e-12))), FLOOR_DB)


def measured(samples: Samples, rate: int = RATE) -> Level:
    """How long and how loud it is."""
    if not samples.size:
        return Level(0.0, FLOOR_DB, FLOOR_DB, 0.0)
    peak = float(np.max(np.abs(samples)))
    loudness = _loudness(samples, max(rate // 100, 1))
    heard = loudness[loudness > _ratio(SILENCE_DB - 20)]
    # A knock or a click is louder than the speech, and short.
    loud = float(np.percentile(heard, _LOUD_PERCENT)) if heard.size else 0.0
    speech = heard[heard > loud * _ratio(-_PAUSE_DB)]
    mean = float(np.sqrt(np.mean(np.square(speech)))) if speech.size else 0.0
    return Level(samples.size / rate, decibel(mean), decibel(peak), _flat_tops(samples, peak))


def for_telephone(samples: Samples, rate: int) -> Samples:
    """At 8 kHz, without silence at its ends, at the level of speech. Empty if nothing is heard."""
    if rate != RATE:
        samples = np.asarray(soxr.resample(samples, rate, RATE, quality="HQ"), dtype=np.float32)
    return levelled(trimmed(samples))


def trimmed(samples: Samples) -> Samples:
    """Without the silence before and after, but for what lets speech begin and end softly."""
    loudness = _loudness(samples, _FRAME)
    if not loudness.size or decibel(float(np.max(loudness))) < SILENCE_DB:
        return samples[:0]
    heard = np.flatnonzero(loudness > np.max(loudness) * _ratio(-_UNDER_PEAK_DB))
    begin = max(int(heard[0]) * _FRAME - _KEPT_BEFORE, 0)
    end = min((int(heard[-1]) + 1) * _FRAME + _KEPT_AFTER, samples.size)
    return samples[begin:end]


def levelled(samples: Samples) -> Samples:
    """Speech at SPEECH_DB, or as near to it as CEILING_DB lets the loudest sample be."""
    level = measured(samples)
    if level.is_silent:
        return samples
    gain = min(SPEECH_DB - level.speech_db, CEILING_DB - level.peak_db)
    return np.asarray(samples * np.float32(_ratio(gain)), dtype=np.float32)


def write_wav(samples: Samples, target: Path, *, mode: int = 0o644) -> None:
    """Write it whole or not at all; whoever reads `target` meanwhile keeps what they had."""
    partial = target.with_name(f".{target.stem}.{os.getpid()}.{id(samples):x}.partial")
    pcm = np.clip(np.rint(samples * 32_767), -32_767, 32_767).astype("<i2")
    try:
        with partial.open("wb") as file, wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(RATE)
            writer.writeframes(pcm.tobytes())
        partial.chmod(mode)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _ratio(db: float) -> float:
    return float(10 ** (db / 20))


def _loudness(samples: Samples, frame: int) -> NDArray[np.float64]:
    """The root mean square of each frame."""
    if not samples.size:
        return np.zeros(0)
    missing = -samples.size % frame
    padded = np.pad(samples, (0, missing)) if missing else samples
    squares = np.square(padded.reshape(-1, frame), dtype=np.float64)
    return np.asarray(np.sqrt(np.mean(squares, axis=1)))


def _flat_tops(samples: Samples, peak: float) -> float:
    """The share of samples that stand at full scale beside another: a converter's limit."""
    if peak < 0.89:
        return 0.0
    top = np.abs(samples) >= peak * 0.998
    beside = top[1:] & top[:-1] & (np.sign(samples[1:]) == np.sign(samples[:-1]))
    return float(np.count_nonzero(beside)) / samples.size
