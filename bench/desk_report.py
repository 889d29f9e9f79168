"""The part of docs/performance.md about the desk: the way to two-way sound, and the page.

Owns these tables and their targets. Refuses to measure, and to know the rest of the page.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from tests.talking_browser import NoChromium, find_chromium

TIMES_BARE = 1.2
SOON_MS = 1_000.0
PAGE_BYTES = 300_000
LONG_TASK_MS = 50.0
FLAT = 1.1
"""How much more after the news than before counts as flat: one collection differs from another."""

STEPS = {
    "invite_to_click": "INVITE to click, ms",
    "click_to_sound": "click to two-way sound, ms",
    "invite_to_sound": "INVITE to two-way sound, ms",
}
LOADS = {
    "first_paint": "first paint, ms",
    "interactive": "connected and usable, ms",
    "longest_task": "longest task, ms",
    "transferred": "transferred, bytes",
    "requests": "requests",
}
TASKS = {"task": "by the clock", "run": "on a core"}
WEIGHTS = {"heap": "JavaScript heap, bytes", "nodes": "DOM nodes", "listeners": "listeners"}


def verdicts(results: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """Each target with whether it was met."""
    if "answer" in results:
        ways = results["answer"]["ways"]
        for kind in ("queue", "extension"):
            for step in ("click_to_sound", "invite_to_sound"):
                ratio = ratio_of(ways, kind, step)
                yield (
                    ratio <= TIMES_BARE,
                    (
                        f"{STEPS[step].removesuffix(', ms')}, {kind}: {ratio:.2f} times the bare "
                        f"page, at most {TIMES_BARE:g}"
                    ),
                )
    if "page" in results:
        load, news = results["page"]["load"], results["page"]["news"]
        for name in ("first_paint", "interactive"):
            took = load[name]["median"]
            yield took < SOON_MS, f"{LOADS[name]}: {took:.0f}, under {SOON_MS:.0f}"
        weight = load["transferred"]["most"]
        yield weight < PAGE_BYTES, f"{LOADS['transferred']}: {weight:,.0f}, under {PAGE_BYTES:,}"
        for figure, title in TASKS.items():
            longest = news["desk"][f"longest_{figure}"]
            yield (
                longest <= LONG_TASK_MS,
                (
                    f"{news['frames']:,} frames: the longest task, ms {title}: {longest:.0f}, "
                    f"at most {LONG_TASK_MS:g}"
                ),
            )
        for name, shown in WEIGHTS.items():
            growth = news["after"][name] / news["before"][name]
            yield growth <= FLAT, f"{shown}, after to before: {growth:.2f}, at most {FLAT:g}"


def ratio_of(ways: Mapping[str, Any], kind: str, step: str) -> float:
    """The desk's median beside the bare page's."""
    desk: float = ways[f"desk, {kind}"][step]["median"]
    bare: float = ways[f"bare, {kind}"][step]["median"]
    return desk / bare


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    if "answer" in results:
        yield from _answer(results["answer"])
    if "page" in results:
        yield from _page(results["page"])


def _answer(measured: Mapping[str, Any]) -> Iterator[str]:
    yield "## From the caller's INVITE to two-way sound"
    yield ""
    yield (
        f"One Asterisk, one `deskbell serve`, {_chromium()}, SIPp as the caller; everybody says a "
        "tone of their own. *Desk* is Deskbell's page with its phone behind the sign-in; *bare* is "
        "the smallest page that answers with the same JsSIP, straight on Asterisk's own WebSocket "
        "with a static account, in a browser of its own. Each is called at a queue and at an "
        f"extension, {measured['calls']} times, in turns of a random order. A script clicks in the "
        "first frame in which the button to answer can be clicked. Sound is two-way when the "
        "caller's tone has come out of the agent's page and the agent's tone has reached the "
        "caller. Medians, with the least and the most."
    )
    yield ""
    yield "| | " + " | ".join(measured["ways"]) + " |"
    yield "|---|" + "---:|" * len(measured["ways"])
    for step, title in STEPS.items():
        cells = [
            f"{row[step]['median']:.0f} ({row[step]['least']:.0f} to {row[step]['most']:.0f})"
            for row in measured["ways"].values()
        ]
        yield f"| {title} | " + " | ".join(cells) + " |"
    yield ""


def _page(measured: Mapping[str, Any]) -> Iterator[str]:
    news = measured["news"]
    yield "## The desk's page"
    yield ""
    yield (
        f"{_chromium()}, 1440 × 900, signed in, {measured['loads']} loads of `/desk` over "
        "localhost, each in a profile of its own with an empty cache. *Usable*: the page's own "
        "code has run and the push has told it the truth."
    )
    yield ""
    yield "| | median | most |"
    yield "|---|---:|---:|"
    for name, title in LOADS.items():
        row = measured["load"][name]
        yield f"| {title} | {row['median']:,.0f} | {row['most']:,.0f} |"
    yield ""
    yield (
        f"Then one page gets {news['frames']:,} frames through the real push in "
        f"{news['seconds']:,.0f} seconds, as many as an hour at 20 a second brings: "
        f"{news['calls']:,} calls that ring, are answered, held, resumed, ended and settled, while "
        "queues and colleagues move. A call comes once the page has its answers on the one before. "
        f"Scaled with the time, which is up to {news['faster']} times faster than in life: how "
        "often `queues` and `agents` are sent, and how many snapshots a connection may ask for. "
        "Weighed once the garbage is collected:"
    )
    yield ""
    yield "| | after a tenth | after all |"
    yield "|---|---:|---:|"
    for name, title in WEIGHTS.items():
        yield f"| {title} | {news['before'][name]:,} | {news['after'][name]:,} |"
    yield ""
    yield (
        "Every task of the page's main thread meanwhile, from Chromium's trace, beside those of a "
        "bare page that only reads the same frames and shows their number. *By the clock* is from "
        "begin to end; *on a core* is without the time in which the thread waited: for a core of a "
        "machine that is at work, or for another thread."
    )
    yield ""
    yield "| | desk | bare page |"
    yield "|---|---:|---:|"
    for figure, title in TASKS.items():
        for name, what in (
            (f"long_{figure}s", "tasks over 50 ms"),
            (f"longest_{figure}", "longest, ms"),
        ):
            yield f"| {what}, {title} | {news['desk'][name]:,} | {news['bare'][name]:,} |"
    yield ""
    yield _machine(news)
    yield ""


def _machine(news: Mapping[str, Any]) -> str:
    said = f"Load of the machine at the end: {news['machine_load']}."
    if news["real_time"]:
        said += " Both pages ran with real-time priority (SCHED_RR), so that it does not count."
    return said


@functools.cache
def _chromium() -> str:
    """The browser's name and version."""
    try:
        said = subprocess.run(
            [find_chromium(), "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (NoChromium, subprocess.CalledProcessError):
        return "Chromium"
    return " ".join(said.split()[:2])
