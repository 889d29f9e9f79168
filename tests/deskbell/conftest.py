"""The command line, and one running demo, for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deskbell.command import deskbell, lines_until, started
from tests.service_fixtures import lend_sounds

__all__ = ["deskbell"]


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a demo that runs. Its tests stand in one file, so that one worker has it."""
    place = tmp_path_factory.mktemp("demo with a space")
    lend_sounds(place / "pbx/sounds")
    with started("demo", "--folder", place, DESKBELL_DESK_PORT="0") as process:
        lines_until(process, "Deskbell runs: ")
        yield place
