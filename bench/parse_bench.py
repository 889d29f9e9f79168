"""AMI parsing side by side: CPU seconds for the same recorded stream, in one process and one run.

`python -m bench.parse_bench FILE... [--messages N] [--rounds N]` repeats the recordings to at least
N messages, feeds them in reads of 64 kB to each contender in turn, round by round, and prints one
JSON object: the median round of each in events per CPU second, and how many times panoramisk's.

- panoramisk: its own protocol and dispatch to a single handler for all events, its best case.
  `panoramisk_handlers` has one for each event that the call model reads, as its documentation
  shows: each of them is a pattern tried on every event.
- pyst2: the parsing and the event object of its reading thread, without its threads and queues.
- framer, framer_wanted: Deskbell's; all events, and only the events and headers that are read.
- call_model: framer_wanted with the call model behind it.
- live: framer_wanted, call model and queue model as a switchboard has them: the way to signals.

All events of the stream count for everybody, parsed or not: the question is how long a PBX's
stream keeps a core busy.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from asterisk.manager import Event as PystEvent  # type: ignore[import-untyped]
from asterisk.manager import ManagerMsg
from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol

from cti.agents.queue_model import QUEUE_EVENTS, QUEUE_HEADERS, QueueModel
from cti.ami.framing import BLOCK_END, AmiFramer
from cti.calls.call_model import ONLY_WITH, READ_HEADERS, WANTED_EVENTS, CallModel

READ = 64 * 1024
CONNECTION_EVENTS = {b"Event: FullyBooted", b"Event: Shutdown"}


class NoTransport:
    """Where panoramisk's protocol would write and close."""

    def close(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass


def reads(stream: bytes) -> Iterator[bytes]:
    for start in range(0, len(stream), READ):
        yield stream[start : start + READ]


def panoramisk(stream: bytes, patterns: list[str]) -> int:
    handled = 0

    def handler(manager: Any, event: Any) -> None:
        nonlocal handled
        handled += 1

    manager = Manager(loop=asyncio.get_running_loop())
    for pattern in patterns:
        manager.register_event(pattern, handler)
    protocol = AMIProtocol()
    protocol.connection_made(NoTransport())
    protocol.factory = manager
    protocol.encoding = "utf8"
    for data in reads(stream):
        protocol.data_received(data)
    return handled


def pyst2(stream: bytes) -> int:
    handled = 0
    lines: list[str] = []
    for raw in stream.splitlines(keepends=True):
        line = raw.decode("utf8", "ignore")
        if line != "\r\n":
            lines.append(line)
        elif lines:
            message = ManagerMsg(lines)
            if message.has_header("Event"):
                handled += bool(PystEvent(message).name)
            lines = []
    return handled


def framer(stream: bytes) -> int:
    contender = AmiFramer()
    return sum(len(contender.feed(data)) for data in reads(stream))


def framer_wanted(stream: bytes) -> int:
    contender = AmiFramer(
        WANTED_EVENTS | QUEUE_EVENTS, only_with=ONLY_WITH, headers=READ_HEADERS | QUEUE_HEADERS
    )
    return sum(len(contender.feed(data)) for data in reads(stream))


def call_model(stream: bytes) -> int:
    contender = AmiFramer(WANTED_EVENTS, only_with=ONLY_WITH, headers=READ_HEADERS)
    model = CallModel("bench")
    signals = 0
    for data in reads(stream):
        for message in contender.feed(data):
            signals += len(model.feed(message))
    return signals


def live(stream: bytes) -> int:
    contender = AmiFramer(
        WANTED_EVENTS | QUEUE_EVENTS, only_with=ONLY_WITH, headers=READ_HEADERS | QUEUE_HEADERS
    )
    calls, queues = CallModel("bench"), QueueModel("bench")
    signals = 0
    for data in reads(stream):
        for message in contender.feed(data):
            signals += len(calls.feed(message)) + len(queues.feed(message))
    return signals


CONTENDERS: dict[str, Callable[[bytes], int]] = {
    "panoramisk": lambda stream: panoramisk(stream, ["*"]),
    "panoramisk_handlers": lambda stream: panoramisk(stream, sorted(WANTED_EVENTS)),
    "pyst2": pyst2,
    "framer": framer,
    "framer_wanted": framer_wanted,
    "call_model": call_model,
    "live": live,
}


def load(files: list[Path], messages: int) -> bytes:
    """The recordings one after the other, as often as it takes, each time a day later.

    Times, unique ids and channel names move on, so that every repetition is of new calls. What an
    AMI connection begins and ends with is left out: it would make panoramisk's manager act, which
    is not what is measured.
    """
    blocks = []
    for file in files:
        for block in file.read_bytes().split(BLOCK_END):
            text = block.lstrip()
            name = text.partition(b"\r\n")[0]
            if name.startswith(b"Event: ") and name not in CONNECTION_EVENTS:
                blocks.append(text + BLOCK_END)
    if not blocks:
        raise SystemExit("no AMI events in these files")
    recorded = b"".join(blocks)
    return b"".join(later(recorded, day) for day in range(messages // len(blocks) + 1))


def later(recorded: bytes, days: int) -> bytes:
    def move_time(match: re.Match[bytes]) -> bytes:
        return b"%d." % (int(match[1]) + days * 86_400)

    def move_channel(match: re.Match[bytes]) -> bytes:
        return b"-%08x" % ((int(match[1], 16) + days * 0x10000) % 2**32)

    moved = re.sub(rb"\b(1[0-9]{9})\.(?=[0-9])", move_time, recorded)
    return re.sub(rb"-([0-9a-f]{8})\b", move_channel, moved)


async def measure(stream: bytes, rounds: int) -> dict[str, Any]:
    """Every contender over the stream, in turn, `rounds` times. Rates are of the median round."""
    events = stream.count(BLOCK_END)
    took: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    results: dict[str, int] = {}
    for _ in range(rounds):
        for name, contender in CONTENDERS.items():
            gc.collect()
            started = time.process_time()
            results[name] = contender(stream)
            took[name].append(time.process_time() - started)
    middle = {name: median(times) for name, times in took.items()}
    return {
        "events": events,
        "bytes_per_event": round(len(stream) / events),
        "rounds": rounds,
        "events_per_cpu_second": {name: round(events / time) for name, time in middle.items()},
        "times_panoramisk": {
            name: round(middle["panoramisk"] / time, 2) for name, time in middle.items()
        },
        "handed_on": results,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="AMI parsing side by side, over recordings")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    stream = load(arguments.files, arguments.messages)
    json.dump(asyncio.run(measure(stream, arguments.rounds)), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
