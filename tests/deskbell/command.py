"""Running `deskbell` as a person does: in a process of its own, or quickly in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deskbell.cli import main


class CommandLine:
    """`deskbell WORDS` in this process; what it printed and how it ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.output = self.errors = ""

    def __call__(self, *words: str | Path) -> int:
        self._monkeypatch.setattr(sys, "argv", ["deskbell", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            code = end.code
        else:
            code = 0
        self.output, self.errors = self._capsys.readouterr()
        return int(code or 0)


@pytest.fixture
def deskbell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.setenv("COLUMNS", "200")
    return CommandLine(monkeypatch, capsys)


@contextmanager
def started(*words: str | Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`deskbell WORDS` in a process of its own, which is ended with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "deskbell", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate()


def lines_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """What the process says up to the line with `text`; fails if it ends before."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if text in line:
            return lines
    raise AssertionError("it ended without saying so:\n" + "\n".join(lines))
