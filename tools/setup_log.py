"""Programs run by the set-up, their output kept in var/setup.log, and how a step fails.

Owns the places that the set-up writes to. Standard library only.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
WORK = ROOT / "var" / "setup"
LOG = ROOT / "var" / "setup.log"


class SetupFailed(Exception):
    """A step can't be done; the message says why and what to do."""


def command(*words: str | Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    """Run a program with its output in the log; SetupFailed if it fails."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"\n$ {shlex.join(map(str, words))}\n")
        log.flush()
        done = subprocess.run(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            check=False,
        )
    if done.returncode:
        raise SetupFailed(f"{Path(words[0]).name} ended with {done.returncode}")


def say_in_log(text: str) -> None:
    with LOG.open("a", encoding="utf-8") as log:
        log.write(text.rstrip("\n") + "\n")
