"""Replay: recorded AMI streams through the same call model as live ones.

Owns the reading of recordings and how signals are printed. The framing and the meaning of messages
are cti's; nothing here touches a socket, a database or a clock.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TextIO

import orjson
from rich.console import Console
from rich.table import Table

from crm_store.signals import CallSummary, Signal
from cti.ami.framing import BLOCK_END, AmiFramer
from cti.calls.call_model import CallModel
from cti.calls.call_recovery import CallRecovery, RecordedLink
from deskbell.failure import CommandFailed

READ_BYTES = 1 << 16


def replay(files: Sequence[Path], *, as_json: bool, output: TextIO, notes: TextIO) -> None:
    """Print the signals of recorded AMI streams, each file being one PBX named by its stem.

    One JSON object a line with `as_json`, else a table. "-" reads standard input. A recording that
    stops within a message is told to `notes`. Raises CommandFailed for a file that can't be read or
    that holds no AMI message; files before it have been printed by then.
    """
    for pbx, file in zip(pbx_names(files), files, strict=True):
        signals = _signals(pbx, file, notes)
        if as_json:
            for signal in signals:
                output.write(orjson.dumps(signal.as_dict()).decode() + "\n")
            output.flush()
        else:
            _print_table(pbx, signals, output)


def pbx_names(files: Sequence[Path]) -> list[str]:
    """Each file's stem; recordings of one stem from several folders are told apart by number."""
    names: list[str] = []
    for file in files:
        stem = "stdin" if str(file) == "-" else file.stem
        names.append(stem if stem not in names else f"{stem}-{len(names) + 1}")
    return names


def _signals(pbx: str, file: Path, notes: TextIO) -> Iterator[Signal]:
    framer = AmiFramer()
    model = CallModel(pbx)
    link = RecordedLink(CallRecovery(model.feed, model.rebuild))
    tail = b""
    for data in _chunks(file):
        tail = (tail + data)[-len(BLOCK_END) :]
        for message in framer.feed(data):
            yield from link.take(message)
    if not framer.parsed:
        raise CommandFailed(
            f"{file}: no AMI message in it; a recording is made by "
            "`deskbell serve --record-ami FILE` and holds the bytes as read from the socket"
        )
    if tail != BLOCK_END:
        notes.write(f"{file}: stops within a message; what came before it was replayed\n")
    yield from link.finish()
    yield from model.finish()


def _chunks(file: Path) -> Iterator[bytes]:
    try:
        if str(file) == "-":
            yield from _read_all(sys.stdin.buffer)
        else:
            with file.open("rb") as stream:
                yield from _read_all(stream)
    except OSError as error:
        raise CommandFailed(f"{file}: {error.strerror}") from None


def _read_all(stream: BinaryIO) -> Iterator[bytes]:
    while data := stream.read(READ_BYTES):
        yield data


def _print_table(pbx: str, signals: Iterator[Signal], output: TextIO) -> None:
    table = Table("time (UTC)", "call", "signal", "what", title=pbx, title_justify="left")
    for signal in signals:
        values = signal.as_dict()
        table.add_row(
            _clock(signal.at),
            str(values.get("call", "")),
            str(values["event"]),
            _told(values),
            style="bold" if isinstance(signal, CallSummary) else None,
        )
    Console(file=output, markup=False, highlight=False).print(table)


def _clock(at: float | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:-3]


def _told(values: dict[str, object]) -> str:
    hidden = {"event", "pbx", "at", "call", "started_at", "ended_at"}
    return ", ".join(
        f"{name} {_plain(value)}"
        for name, value in values.items()
        if name not in hidden and value not in ("", None, [], ())
    )


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list | tuple):
        return " ".join(str(item) for item in value)
    return "".join(c if c.isprintable() else "�" for c in str(value))
