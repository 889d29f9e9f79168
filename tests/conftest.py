"""What holds for every test: a kind, a hypothesis profile, and nothing left running."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

KINDS = {"unit", "db", "asterisk", "browser", "setup", "speech"}
LONG = {"asterisk", "browser", "setup", "speech"}
"""Kinds whose files may take minutes."""

# Two busy cores make any deadline a lie about the machine, not about the code.
settings.register_profile("deskbell", deadline=None, print_blob=True)
settings.load_profile("deskbell")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A module without a kind would be left out of `make check` by nobody's decision.

    Several workers are dealt the long files first: a long one at the end would find one worker busy
    and the others idle.
    """
    long_kinds: Counter[Path] = Counter()
    for item in items:
        kinds = KINDS & {mark.name for mark in item.iter_markers()}
        if not kinds:
            raise pytest.UsageError(f"{item.nodeid} has none of the marks {sorted(KINDS)}")
        long_kinds[item.path] = max(long_kinds[item.path], len(kinds & LONG))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -long_kinds[item.path])


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Every process that a worker's tests started has ended with them."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    started = [
        process
        for process in psutil.Process().children(recursive=True)
        if process.pid not in before and "resource_tracker" not in " ".join(process.cmdline())
    ]
    _, alive = psutil.wait_procs(started, timeout=5)
    left = [process.as_dict(["pid", "cmdline"]) for process in alive]
    assert not left, f"tests of pid {os.getpid()} left processes: {left}"
