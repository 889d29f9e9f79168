from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.agents.pause_reasons import (
    LONGEST_CODE,
    RESERVED_REASONS,
    WrapUp,
    missed_rings_of,
    missed_rings_reason,
    wrap_up_of,
)

pytestmark = pytest.mark.unit

CODES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,29}", fullmatch=True)
SECONDS = st.integers(0, 3600)
MOMENTS = st.integers(1_000_000_000, 9_999_999_999)


@given(SECONDS, SECONDS, st.none() | MOMENTS, st.just("") | CODES)
def test_asterisk_keeps_a_wrap_up_whole(
    seconds: int, extendable: int, begun: int | None, then: str
) -> None:
    ends = None if begun is None else min(begun + seconds, 9_999_999_999)
    length = seconds if begun is None or ends is None else ends - begun
    wrap_up = WrapUp(length, extendable, begun, ends, then)
    text = wrap_up.as_reason()
    # app_queue's reason_paused has room for 80 bytes, its end included.
    assert len(text.encode()) < 80
    assert wrap_up_of(text) == wrap_up


@given(CODES)
def test_a_supervisors_reason_is_no_wrap_up(code: str) -> None:
    assert (wrap_up_of(code) is None) or code in RESERVED_REASONS
    assert len(code) <= LONGEST_CODE


@pytest.mark.parametrize(
    "text", ["", "wrap-ups", "wrap-up for", "wrap-up for 30", "wrap-up 1-+2", "wrap-up then a b"]
)
def test_other_words_are_no_wrap_up(text: str) -> None:
    assert wrap_up_of(text) is None


def test_a_bare_word_of_an_older_release_is_a_wrap_up() -> None:
    assert wrap_up_of("wrap-up") == WrapUp(0)


@given(st.integers(1, 9999))
def test_missed_rings_are_kept_with_their_number(count: int) -> None:
    assert missed_rings_of(missed_rings_reason(count)) == count


@pytest.mark.parametrize("text", ["", "missed-rings", "missed-rings x", "lunch"])
def test_other_words_speak_of_no_missed_rings(text: str) -> None:
    assert missed_rings_of(text) == 0
