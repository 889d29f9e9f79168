"""The bench of the phone menu at a tiny size: it runs, and its page says what it found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(900)]


def test_the_menu_s_bench_runs_and_writes_its_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    words = ["menu", "--menu-calls=3", "--menu-rounds=1", f"--folder={tmp_path}", f"--page={page}"]

    assert main(words) == 0

    ways = json.loads((tmp_path / "results.json").read_text())["menu"]["ways"]
    assert ways["menu"]["steps"] == ways["bare"]["steps"] == 3 * 4
    assert "| p99, ms |" in page.read_text()
