"""The service's own log: one line a record on standard error, for people or for machines.

Owns the format. What is logged, and that no secret is, is up to who logs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from deskbell.settings import LogSettings

Progress = Callable[[str], None]
"""Takes a line about what is being done, for whoever waits."""


class DiscreetLines(logging.Formatter):
    """Leaves out of an exception what a database quotes in it: the row that it refused."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        lines = super().formatException(ei).splitlines()
        return "\n".join(line for line in lines if not line.lstrip().startswith(_QUOTING))


_QUOTING = ("DETAIL:", "[parameters:")


class JsonLines(DiscreetLines):
    """One JSON object a line: time (UTC, ISO 8601), level, logger, message, error."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


class TextLines(DiscreetLines):
    """A line for people; what a caller sent can't begin a line of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)


def set_up(settings: LogSettings) -> None:
    """Send the root logger's records to standard error as `settings` says."""
    formatters: dict[Literal["text", "json"], logging.Formatter] = {
        "text": TextLines(),
        "json": JsonLines(),
    }
    handler = logging.StreamHandler()
    handler.setFormatter(formatters[settings.format])
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(settings.level)
    _hush(root.level)


def _hush(level: int) -> None:
    """A line a request, or a line a migration step, would drown everything else at INFO; aiosqlite
    writes what is stored into its own at DEBUG."""
    for name in ("aiohttp.access", "alembic", "aiosqlite"):
        logging.getLogger(name).setLevel(max(logging.WARNING, level))


def set_up_file(file: Path) -> None:
    """Send everything to `file`, written anew, and to the terminal only what is wrong."""
    to_file = logging.FileHandler(file, mode="w", encoding="utf-8")
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setLevel(logging.ERROR)
    root = logging.getLogger()
    for handler in (to_file, to_terminal):
        handler.setFormatter(TextLines())
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    _hush(root.level)
