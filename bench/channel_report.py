"""The part of docs/performance.md about mails, SMS and chats. Refuses to measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def verdicts(results: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """Each target with whether it was met."""
    for name, count in results.get("killed", {}).get("runs", {}).items():
        told = "; ".join(count["faults"][:3]) or "each message once, repeats marked"
        yield not count["faults"], f"{count['kills']} kills, {DATABASES[name]}: {told}"


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    if "channels" in results:
        yield from _rates(results["channels"])
    if "killed" in results:
        yield from _kills(results["killed"])


def _rates(measured: Mapping[str, Any]) -> Iterator[str]:
    yield "## Mails in and out"
    yield ""
    yield (
        f"{measured['mails']:,} mails of 600 bytes each way, on loopback. In: "
        f"{measured['clients']} connections of a process of their own, each handing over its next "
        "mail when the last one was answered; to aiosmtpd with a handler that forgets, and to the "
        "SMTP inbox, which parses, keeps the mail as it came (synced to disk), finds its "
        "conversation, asks rules, indexes every word and commits before it says 250. Out: bare "
        "aiosmtplib connections, and the outbox with as many, into an aiosmtpd of a process of its "
        "own that forgets. CPU is that of the measured process alone, a mail."
    )
    yield ""
    names = list(measured["runs"])
    yield (
        "| | " + " | ".join(f"{DATABASES[name]}: mails a second | CPU, ms" for name in names) + " |"
    )
    yield "|---|" + "---:|" * (2 * len(names))
    rows = {
        "raw_in": "in: aiosmtpd alone",
        "in": "in: stored",
        "raw_out": "out: aiosmtplib alone",
        "out": "out: the outbox",
    }
    for key, title in rows.items():
        cells = [
            f"{run[key]['per_second']:,.0f} | {run[key]['cpu_ms']:.2f}"
            for run in measured["runs"].values()
        ]
        yield f"| {title} | " + " | ".join(cells) + " |"
    yield ""
    yield BOUNDS


def _kills(measured: Mapping[str, Any]) -> Iterator[str]:
    yield "## Killed while messages stream"
    yield ""
    yield (
        "Mails by SMTP, SMS and chats by HTTP stream into one service; each is answered, mails and "
        "SMS go out to servers that count. The service is killed (SIGKILL) after a random time of "
        "its life and started again. Senders offer a message until they hear that it is kept. "
        "*Sent twice* were accepted by a server a second time and marked as repeats; *left to "
        "people* is what was being sent at two kills."
    )
    yield ""
    yield "| | kills | stored | sent | sent twice, marked | left to people | lost or unmarked |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name, count in measured["runs"].items():
        yield (
            f"| {DATABASES[name]} | {count['kills']} | {count['inbound']:,} | {count['sent']:,} | "
            f"{count['repeats']} | {count['uncertain']} | {len(count['faults'])} |"
        )
    yield ""


BOUNDS = """\
What bounds them: in, the fifteen statements of one mail's transaction, each of which goes through
SQLAlchemy and crosses from the event loop to the database's thread or socket and back; parsing is a
tenth. Out, making the letter: Python's email package builds and folds each header of a plain and an
HTML part; the outbox adds one transaction for as many mails as are on their way at once.
"""
