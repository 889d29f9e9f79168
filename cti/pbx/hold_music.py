"""The music that waiting callers hear until a recording takes its place: a calm arpeggio.

Made here from sine waves, because no package that may be counted on brings music.
"""

from __future__ import annotations

import math
import wave
from array import array
from pathlib import Path

RATE = 8_000
NOTE_SECONDS = 0.5
# Chords of the progression C - a - F - G, as frequencies in Hz.
CHORDS = (
    (261.6, 329.6, 392.0, 523.3),
    (220.0, 261.6, 329.6, 440.0),
    (174.6, 220.0, 261.6, 349.2),
    (196.0, 246.9, 293.7, 392.0),
)


def write_hold_music(file: Path) -> None:
    """Write 16 s of music to `file`, a mono 8 kHz WAV that loops without a click."""
    notes = [chord[step] for chord in CHORDS for step in (0, 1, 2, 3, 2, 1, 2, 3)]
    note_length = int(RATE * NOTE_SECONDS)
    total = note_length * len(notes)
    mix = array("d", bytes(8 * total))
    ring = note_length * 3
    for index, frequency in enumerate(notes):
        step = 2 * math.pi * frequency / RATE
        start = index * note_length
        for sample in range(ring):
            loudness = min(1.0, sample / 400) * math.exp(-sample / 5_000) * (1 - sample / ring)
            mix[(start + sample) % total] += loudness * math.sin(step * sample)
    pcm = array("h", (int(max(-1.0, min(1.0, value * 0.22)) * 32_767) for value in mix))
    with wave.open(str(file), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(pcm.tobytes())
