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
        yield (
            news["longest_task"] <= LONG_TASK_MS,
            (
                f"{news['frames']:,} frames: {news['long_tasks']} tasks over {LONG_TASK_MS:g} ms, "
                f"the longest {news['longest_task']:.0f}"
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
        f"{news['seconds']:,.0f} seconds, as many as an hour at 20 a second brings: calls that "
        "ring, are answered, held, resumed, ended and settled, while queues and colleagues move. "
        "Before and after, once the garbage is collected:"
    )
    yield ""
    yield "| | before | after |"
    yield "|---|---:|---:|"
    for name, title in WEIGHTS.items():
        yield f"| {title} | {news['before'][name]:,} | {news['after'][name]:,} |"
    yield ""
    yield (
        f"Tasks over {LONG_TASK_MS:.0f} ms meanwhile: {news['long_tasks']}; "
        f"the longest: {news['longest_task']:.0f} ms."
    )
    yield ""


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
