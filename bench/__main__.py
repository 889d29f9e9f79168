"""`python -m bench [PART…]`: measure, print PASS or MISS, and write docs/performance.md.

Parts: model, sqlite, postgresql, sqlite-at-once, postgresql-at-once, answer, page, menu, channels,
killed, search; all of them without any. What was measured before is kept in the folder's
results.json, so one part can be measured again. The exit code is 1 only if something was lost or
wrong: how fast a machine is, is no fault.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench import (
    answer,
    channel_rates,
    killed,
    menu,
    page,
    parse_bench,
    pops,
    report,
    search,
    stores,
)
from bench.pops import Load

RECORDED = Path("tests/recorded")
CALL = RECORDED / "queue_one_member.own.ami"
PARTS = ("model", *report.RUNS, "answer", "page", "menu", "channels", "killed", "search")
OPENED: dict[str, Callable[[Path, int, bool], AbstractContextManager[str]]] = {
    "sqlite": stores.sqlite_url,
    "postgresql": stores.postgresql_url,
}


def measure_model(messages: int, rounds: int) -> dict[str, Any]:
    """The model bench over both corpora."""
    own = sorted(RECORDED.glob("*.own.ami"))
    corpora = {"filtered": own, "unfiltered": sorted({*RECORDED.glob("*.ami")} - {*own})}
    return {
        name: asyncio.run(parse_bench.measure(parse_bench.load(files, messages), rounds))
        for name, files in corpora.items()
    }


def measure_pops(part: str, load: Load) -> dict[str, Any]:
    """One run of the service against that part's database."""
    database, _, manner = part.partition("-")
    with OPENED[database](load.folder, load.customers, load.real_time) as url:
        return pops.as_row(pops.run(load.manner(at_once=manner == "at-once"), url))


# Parts that have a folder of their own and take their numbers from the command line.
APART: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "answer": lambda folder, given: asyncio.run(answer.measure(folder, given.calls)),
    "menu": lambda folder, given: asyncio.run(
        menu.measure(folder, given.menu_calls, given.menu_rounds)
    ),
    "page": lambda folder, given: asyncio.run(
        page.measure(folder, given.loads, given.news_seconds, real_time=given.real_time)
    ),
    "channels": lambda folder, given: channel_rates.measure(folder, given.mails),
    "killed": lambda folder, given: killed.measure(folder, given.killed_messages, given.kills),
}


def emptied(folder: Path) -> Path:
    """The folder, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=65.0)
    parser.add_argument("--per-second", type=float, default=100.0)
    parser.add_argument("--desks", type=int, default=1_000)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--talk-seconds", type=float, default=4.0)
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=20, help="for each way of `answer`")
    parser.add_argument("--menu-calls", type=int, default=100, help="at once, of `menu`")
    parser.add_argument("--menu-rounds", type=int, default=2, help="of `menu`, for each way")
    parser.add_argument("--mails", type=int, default=3_000, help="each way, of `channels`")
    parser.add_argument("--killed-messages", type=int, default=5_000, help="of `killed`")
    parser.add_argument("--kills", type=int, default=200, help="of `killed`")
    parser.add_argument("--searched", type=int, default=1_000_000, help="messages, of `search`")
    parser.add_argument("--questions", type=int, default=100, help="of each kind, of `search`")
    parser.add_argument("--loads", type=int, default=20, help="of `page`")
    parser.add_argument("--news-seconds", type=int, default=page.HOUR, help="of `page`")
    parser.add_argument(
        "--real-time",
        action="store_true",
        help="let the bench's processes go before all others (root): for a machine at work",
    )
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    parser.add_argument("--page", type=Path, default=report.PAGE)
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    logging.disable(logging.INFO)
    load = Load(
        recording=CALL,
        folder=given.folder,
        seconds=given.seconds,
        per_second=given.per_second,
        desks=given.desks,
        customers=given.customers,
        talk_seconds=given.talk_seconds,
        real_time=given.real_time,
    )
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = given.folder / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    faults = []
    for part in given.parts or PARTS:
        print(f"{part} …", file=sys.stderr, flush=True)
        if part == "model":
            results[part] = measure_model(given.messages, given.rounds)
        elif part == "search":
            # Its databases take half an hour to fill: they are kept.
            folder = given.folder.absolute()
            results[part] = search.measure(folder, given.searched, given.questions)
        elif part in APART:
            folder = emptied(given.folder.absolute() / part)
            results[part] = APART[part](folder, given)
            faults += results[part].get("faults", [])
        else:
            results[part] = measure_pops(part, load)
            faults += results[part]["faults"]
        kept.write_text(json.dumps(results, indent=1))
        report.write(results, given.page)
    for met, text in report.verdicts(results):
        print(f"{'PASS' if met else 'MISS'}  {text}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
