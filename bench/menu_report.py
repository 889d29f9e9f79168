"""The part of docs/performance.md about the phone menus. Refuses to measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

BEYOND_MS = 20.0

ROWS = {
    "steps": ("steps", ",.0f"),
    "p50": ("p50, ms", ".1f"),
    "p99": ("p99, ms", ".1f"),
    "most": ("longest, ms", ".1f"),
    "asterisk_cpu_ms": ("CPU of Asterisk, ms a call", ".0f"),
    "service_cpu_ms": ("CPU of the service, ms a call", ".0f"),
}


def verdicts(results: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """Each target with whether it was met."""
    if "menu" not in results:
        return
    ways = results["menu"]["ways"]
    beyond = ways["menu"]["p99"] - ways["bare"]["p99"]
    yield (
        beyond <= BEYOND_MS,
        (
            f"phone menu, {results['menu']['calls']} calls at once: p99 of a step is {beyond:.1f} "
            f"ms beyond the bare dialplan's, at most {BEYOND_MS:g}"
        ),
    )


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    if "menu" not in results:
        return
    measured = results["menu"]
    ways = measured["ways"]
    yield "## The phone menu"
    yield ""
    yield (
        f"One Asterisk, one `deskbell serve`; {measured['calls']} calls at once, "
        f"{measured['rounds']} times in turns with a bare dialplan, each pressing "
        f"{measured['keys']} keys (RFC 4733) once the prompt is over and hearing "
        f"{measured['seconds']:.0f} s of prompts. *Bare* plays the same sounds, as one caller "
        "heard them in the menu before, with Read, and asks nobody. A step is from a key's end to "
        "the first sound after it, as the caller hears it; sound comes in packets of 20 ms. The "
        "server's own time, from Asterisk's answer to the next command, is within "
        f"{measured['server_p99']:g} ms for 99 of 100."
    )
    yield ""
    yield "| | menu | bare dialplan |"
    yield "|---|---:|---:|"
    for name, (title, form) in ROWS.items():
        yield f"| {title} | {ways['menu'][name]:{form}} | {ways['bare'][name]:{form}} |"
    yield ""
