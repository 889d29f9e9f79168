"""The log's two forms."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from deskbell.log import JsonLines, TextLines

pytestmark = pytest.mark.unit


def record(message: str, *, failed: bool = False) -> logging.LogRecord:
    error = None
    if failed:
        try:
            raise ValueError("broken")
        except ValueError:
            error = sys.exc_info()
    return logging.LogRecord("cti.ami.link", logging.WARNING, __file__, 1, message, (), error)


def test_what_a_caller_sent_cannot_begin_a_line_of_its_own() -> None:
    line = TextLines().format(record("caller \r\n2026-01-01 ERROR root: forged"))
    assert len(line.splitlines()) == 1
    assert line.endswith(r"cti.ami.link: caller \r\n2026-01-01 ERROR root: forged")


def test_json_lines_hold_the_error_too() -> None:
    line = JsonLines().format(record("no\nluck", failed=True))
    assert len(line.splitlines()) == 1
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == (
        "WARNING",
        "cti.ami.link",
        "no\nluck",
    )
    assert told["error"].endswith("ValueError: broken")
    assert told["time"].endswith("+00:00")
