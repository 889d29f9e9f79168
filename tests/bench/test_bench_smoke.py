"""The bench at a tiny size: that it still runs, loses nothing and writes its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import pbx, recorded_call
from bench.__main__ import CALL, main

pytestmark = pytest.mark.db

TINY = [
    "--seconds=2", "--per-second=5", "--desks=8", "--customers=500", "--talk-seconds=0.1",
    "--messages=500", "--rounds=1",
]  # fmt: skip


def test_the_bench_runs_and_writes_its_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"

    assert main(["model", "sqlite", *TINY, f"--folder={tmp_path}", f"--page={page}"]) == 0

    results = json.loads((tmp_path / "results.json").read_text())
    assert results["sqlite"]["written"]["calls"] == results["sqlite"]["written"]["interactions"]
    assert results["sqlite"]["written"]["calls"] == 10
    assert {"filtered", "unfiltered"} == set(results["model"])
    said = page.read_text()
    assert "nothing lost or wrong" in said
    assert "| p99, ms |" in said


def test_a_recorded_call_is_told_again_under_other_names() -> None:
    recorded = recorded_call.read_recording(CALL, talk_seconds=4.0)
    first, second = (
        recorded_call.names_of(number, number, f"agent{number}", f"{2001 + number}")
        for number in (0, 1)
    )

    def text(names: recorded_call.Names) -> bytes:
        rest = {b"at": b"1.0", b"waiting": b"1", b"paused": b"0", b"reason": b""}
        return b"".join(step.template % (names.filling() | rest) for step in recorded.steps)

    assert b"PJSIP/2001-" in text(first)
    for value in first.filling().values():
        assert value in text(first)
        assert value not in text(second)
    assert recorded.steps[recorded.pops_at].event == "Newchannel"
    assert recorded.seconds > 4.0
    assert recorded.at_once().steps[recorded.rings_at].after == 0.0


def test_no_customer_calls_twice_in_a_run() -> None:
    calls = 6_500

    positions = {pbx.customer_at(number, 1_000_000, seed=1) for number in range(calls)}

    assert len(positions) == calls
