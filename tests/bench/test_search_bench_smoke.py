"""The bench of the search at a tiny size: it runs on both databases, and its page says so."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import main

pytestmark = [pytest.mark.db, pytest.mark.timeout(300)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that PostgreSQL's own user may enter, where tests run as root."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_the_search_s_bench_runs_and_writes_its_page(folder: Path) -> None:
    page = folder / "performance.md"
    words = ["search", "--searched=400", "--questions=2", f"--folder={folder}", f"--page={page}"]

    assert main(words) == 0

    found = json.loads((folder / "results.json").read_text())["search"]["databases"]
    assert found["sqlite"].keys() == found["postgresql"].keys()
    for name, kinds in found["sqlite"].items():
        assert kinds["hits"] == found["postgresql"][name]["hits"], name
    assert found["sqlite"]["a name"]["hits"] > 0
    assert "SQLite: p50" in page.read_text()
