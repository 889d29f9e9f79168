"""Asterisk's log as it reaches ours: no caller in it, and no line without an end."""

from __future__ import annotations

import pytest

from cti.pbx.embedded import LONGEST_LOG_LINE, readable

pytestmark = pytest.mark.unit

STAMP = "[2026-11-21 20:15:09.717] WARNING[5425]: res_pjsip.c:2613 set_id_from_hdr: "


def test_a_callers_name_and_number_are_left_out() -> None:
    said = STAMP + "CallerID Name 'José' for number '+8613911112222' has invalid UTF-8"
    assert readable(said) == STAMP + "CallerID Name '…' for number '…' has invalid UTF-8"


def test_a_name_with_a_quote_is_left_out_whole() -> None:
    said = STAMP + "CallerID Name 'O'Brien' for number '1001' has invalid UTF-8"
    assert readable(said) == STAMP + "CallerID Name '…' for number '1001' has invalid UTF-8"


def test_a_long_line_is_cut_and_says_so() -> None:
    text = readable(STAMP + "CallerID Name '" + "A" * 10_000)
    assert "A" * 10 not in text
    text = readable("B" * 10_000)
    assert len(text) < LONGEST_LOG_LINE + 30
    assert text.endswith("(10000 characters)")


def test_colours_go_and_moments_stay() -> None:
    assert readable("\x1b[1;31m" + STAMP + "hello\x1b[0m\n") == STAMP + "hello"
