"""The desk's bench at a tiny size: that it still runs, and that its page says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main

pytestmark = [pytest.mark.asterisk, pytest.mark.browser]

TINY = ["--calls=2", "--loads=2", "--news-seconds=20"]


def test_the_desk_s_bench_runs_and_writes_its_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"

    assert main(["answer", "page", *TINY, f"--folder={tmp_path}", f"--page={page}"]) == 0

    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["answer"]["ways"]) == {
        f"{who}, {kind}" for who in ("desk", "bare") for kind in ("queue", "extension")
    }
    for way in results["answer"]["ways"].values():
        assert 0 < way["click_to_sound"]["median"] < way["invite_to_sound"]["median"]
    news = results["page"]["news"]
    assert news["frames"] >= 20 * 20
    assert news["bare"]["frames"] >= news["frames"]
    for page_name in ("desk", "bare"):
        assert 0 < news[page_name]["longest_run"] <= news[page_name]["longest_task"]
    assert results["page"]["load"]["transferred"]["most"] > 10_000
    said = page.read_text()
    assert "two-way sound" in said
    assert "JavaScript heap" in said
