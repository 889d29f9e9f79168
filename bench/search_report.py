"""The part of docs/performance.md about search. Refuses to measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LIMIT_MS = 100.0
SHOWN = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def verdicts(results: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """Each target with whether it was met."""
    if "search" not in results:
        return
    measured = results["search"]
    for database, kinds in measured["databases"].items():
        slowest = max(kinds, key=lambda name: float(kinds[name]["p95"]))
        yield (
            kinds[slowest]["p95"] <= LIMIT_MS,
            (
                f"search over {measured['messages']:,} messages, {SHOWN[database]}: p95 of the "
                f"slowest kind of question ({slowest}) is {kinds[slowest]['p95']:.1f} ms, at most "
                f"{LIMIT_MS:g}"
            ),
        )


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    if "search" not in results:
        return
    one = results["search"]
    databases = one["databases"]
    yield "## Search over everything"
    yield ""
    yield (
        f"{one['messages']:,} messages of three years in {one['messages'] // 8:,} conversations "
        "with 100,000 customers, in English, Chinese, Spanish and Persian, with words as common "
        "as in real languages (Zipf) and 30,000 rare ones in each. A question goes the whole way "
        "that the page's does: people by number, card and name, the index, the rows, the excerpts "
        f"with the words marked; 20 hits. {one['count']} different questions of each kind, one "
        "after the other, in milliseconds."
    )
    yield ""
    yield "| | " + " | ".join(f"{SHOWN[name]}: p50 | p95 | longest" for name in databases) + " |"
    yield "|---|" + "---:|---:|---:|" * len(databases)
    for kind in next(iter(databases.values())):
        cells = [
            " | ".join(f"{kinds[kind][name]:.1f}" for name in ("p50", "p95", "most"))
            for kinds in databases.values()
        ]
        yield f"| {kind} | " + " | ".join(cells) + " |"
    yield ""
    yield "What bounds these figures:"
    yield ""
    yield (
        "- Newest first costs nothing on SQLite, whose index is in order of time. On PostgreSQL "
        "the newest 5,000 are looked through, then the index is asked: what is not among them is "
        "rare enough to be sorted."
    )
    yield (
        "- Each question is five to eight statements, one after the other: on an idle machine they "
        "are most of a millisecond each, and the index itself is the smaller part. Where one may "
        "see one queue only, pages of others' hits are passed over."
    )
    yield (
        "- Measured on the way: an index of `merged_into` for all customers, of which almost all "
        "have none, was taken by SQLite's planner for every search by name and made each question "
        "ten times as long; it holds merged customers only now. Looking for a name's middle by "
        "LIKE read the whole table; names are in the full-text index now."
    )
    yield ""
