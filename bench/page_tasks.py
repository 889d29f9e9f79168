"""What the main threads of pages did: every task, how long it took and how long it ran on a core.

Owns Chromium's trace. A task's own work is what its thread ran; the rest of its time it waited, for
a core of a machine that is at work, or for another thread. Refuses to know what a page is.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, Page

TASKS = "disabled-by-default-devtools.timeline"
MARKS = "blink.user_timing"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Task:
    """One task, in milliseconds: from its begin to its end, and on a core."""

    took: float
    ran: float


@contextlib.asynccontextmanager
async def watched(browser: Browser, pages: Sequence[Page]) -> AsyncIterator[list[list[Task]]]:
    """The tasks of each page's main thread meanwhile; there once the block is left.

    Only one block at a time: the trace is the browser's. What is kept of it is fetched at the end,
    so that nothing is sent while it is measured.
    """
    devtools = await browser.new_browser_cdp_session()
    marks: dict[str, tuple[int, int]] = {}
    found: dict[tuple[int, int], list[Task]] = {}
    complete = asyncio.Event()

    def keep(told: dict[str, Any]) -> None:
        for event in told["value"]:
            thread = (event["pid"], event["tid"])
            if event["name"] == "RunTask" and event["ph"] == "X":
                task = Task(event["dur"] / 1_000, event.get("tdur", 0) / 1_000)
                found.setdefault(thread, []).append(task)
            elif event.get("cat") == MARKS:
                marks[event["name"]] = thread

    devtools.on("Tracing.dataCollected", keep)
    devtools.on("Tracing.tracingComplete", lambda _: complete.set())
    config = {
        "includedCategories": [TASKS, MARKS],
        "excludedCategories": ["*"],
        "recordMode": "recordAsMuchAsPossible",
    }
    await devtools.send("Tracing.start", {"traceConfig": config, "transferMode": "ReportEvents"})
    names = [f"watched-{next(_numbers)}" for _ in pages]
    for page, name in zip(pages, names, strict=True):
        await page.evaluate("(name) => performance.mark(name) && performance.clearMarks()", name)
    tasks: list[list[Task]] = []
    try:
        yield tasks
    finally:
        await devtools.send("Tracing.end")
        await complete.wait()
        await devtools.detach()
    tasks += [found.get(marks[name], []) for name in names]
