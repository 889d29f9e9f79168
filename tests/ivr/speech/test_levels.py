"""Every sound for callers is at one level, trimmed, and never clipped."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.speech.levels import (
    CEILING_DB,
    RATE,
    SPEECH_DB,
    Samples,
    for_telephone,
    levelled,
    measured,
    trimmed,
    write_wav,
)

pytestmark = pytest.mark.unit


def tone(seconds: float, *, peak: float = 0.5, rate: int = RATE, hertz: float = 440) -> Samples:
    moments = np.arange(int(seconds * rate)) / rate
    return (peak * np.sin(2 * np.pi * hertz * moments)).astype(np.float32)


def silence(seconds: float, rate: int = RATE) -> Samples:
    return np.zeros(int(seconds * rate), np.float32)


def test_a_tone_is_measured() -> None:
    told = measured(tone(1.0, peak=0.5))
    assert told.seconds == 1.0
    assert told.peak_db == pytest.approx(-6.02, abs=0.01)
    assert told.speech_db == pytest.approx(-9.03, abs=0.05)
    assert told.clipped == 0


def test_pauses_do_not_make_speech_quieter() -> None:
    spoken = np.concatenate([tone(1.0), silence(3.0), tone(1.0)])
    assert measured(spoken).speech_db == pytest.approx(measured(tone(1.0)).speech_db, abs=0.1)


def test_clipping_is_seen_and_a_loud_clean_tone_is_not() -> None:
    clipped = np.clip(tone(1.0, peak=2.0), -1, 1).astype(np.float32)
    assert measured(clipped).clipped > 0.1
    assert measured(tone(1.0, peak=0.99)).clipped < 0.001


def test_silence_at_the_ends_is_cut_and_within_is_kept() -> None:
    sound = np.concatenate([silence(1.0), tone(0.5), silence(0.4), tone(0.5), silence(2.0)])
    assert trimmed(sound).size / RATE == pytest.approx(1.55, abs=0.03)
    assert trimmed(silence(2.0)).size == 0
    assert trimmed(np.zeros(0, np.float32)).size == 0


@given(
    peak=st.floats(0.002, 1.0),
    spikes=st.lists(st.integers(0, RATE - 1), max_size=3),
)
def test_all_comes_to_one_level_and_nothing_clips(peak: float, spikes: list[int]) -> None:
    sound = tone(1.0, peak=peak)
    sound[spikes] = 1.0
    told = measured(levelled(sound))
    assert told.peak_db <= CEILING_DB + 0.01
    assert told.speech_db <= SPEECH_DB + 0.1
    if not spikes:
        assert told.speech_db == pytest.approx(SPEECH_DB, abs=0.1)


def test_another_rate_becomes_the_telephones() -> None:
    sound = for_telephone(tone(1.0, rate=44_100), 44_100)
    assert sound.size / RATE == pytest.approx(1.0, abs=0.02)
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.fft.rfftfreq(sound.size, 1 / RATE)[np.argmax(spectrum)] == pytest.approx(440, abs=3)
    # What a telephone cannot carry does not come back as another tone.
    shrill = tone(1.0, rate=44_100, hertz=9_000) * np.hanning(44_100).astype(np.float32)
    assert for_telephone(shrill, 44_100).size == 0


def test_a_file_is_what_asterisk_plays(tmp_path: Path) -> None:
    target = tmp_path / "sound.wav"
    write_wav(tone(0.25), target)
    with wave.open(str(target)) as reader:
        assert reader.getparams()[:4] == (1, 2, RATE, RATE // 4)
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "sound.wav"
    target.mkdir()
    with pytest.raises(OSError, match=r"sound\.wav"):
        write_wav(tone(0.25), target)
    assert list(tmp_path.iterdir()) == [target]
