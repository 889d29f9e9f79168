"""Two hundred kills: the stream of tests/channels/killing.py, at length, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import stores
from crm_store.migrations import migrate
from tests.channels.killing import Count, stream_and_kill


def measure(folder: Path, messages: int, kills: int) -> dict[str, Any]:
    """What became of every message, by database."""
    runs: dict[str, Any] = {}
    for name, opened in (("sqlite", stores.sqlite_url), ("postgresql", stores.postgresql_url)):
        own = folder / name
        own.mkdir(parents=True)
        with opened(own, 0) as url:
            count = asyncio.run(_run(url, own, messages, kills))
        runs[name] = asdict(count)
    faults = [fault for run in runs.values() for fault in run["faults"]]
    return {"messages": messages, "runs": runs, "faults": faults}


async def _run(url: str, folder: Path, messages: int, kills: int) -> Count:
    await migrate(url)
    return await stream_and_kill(
        url, folder, messages=messages, kills=kills, seed=2026, settled_in_s=1_800
    )
