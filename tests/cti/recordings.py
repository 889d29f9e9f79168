"""The recorded corpus, read: streams of real Asterisks, and what they must mean.

Owns where a shape's files are and how a stream becomes plain signals. A shape `x` has `x.ami` (all
that Asterisk said, without any filter), `x.own.ami` (what Deskbell's own AMI user hears of the same
call), `x.jsonl` (the signals), `x.queue_log` (Asterisk's own judgement), and `x.lists.json`
(Asterisk's lists at some moments, with the place in both streams).
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from cti.ami.framing import AmiFramer
from cti.calls.call_model import WANTED_EVENTS
from deskbell.replay import replay

RECORDED = Path(__file__).parent.parent / "recorded"

Message = dict[str, str]


def shapes(recorded: Path = RECORDED) -> list[str]:
    """The names of all recorded shapes."""
    return sorted(file.stem for file in recorded.glob("*.jsonl"))


def recording(shape: str, recorded: Path = RECORDED) -> Path:
    """The shape's fullest stream: without a filter, or what our own link read."""
    everything = recorded / f"{shape}.ami"
    return everything if everything.exists() else recorded / f"{shape}.own.ami"


def streams(recorded: Path = RECORDED) -> list[Path]:
    """All streams of all shapes."""
    return sorted(recorded.glob("*.ami"))


def shape_of(stream: Path) -> str:
    return stream.name.removesuffix(".ami").removesuffix(".own")


def messages_of(stream: Path) -> list[Message]:
    """The messages that the call model reads, in order."""
    return AmiFramer(WANTED_EVENTS).feed(stream.read_bytes())


def signals_of(stream: Path) -> list[dict[str, Any]]:
    """What `deskbell replay --json` says of the stream, without the PBX's name."""
    output, notes = io.StringIO(), io.StringIO()
    replay([stream], as_json=True, output=output, notes=notes)
    signals = [json.loads(line) for line in output.getvalue().splitlines()]
    for signal in signals:
        del signal["pbx"]
    return signals


def expected(shape: str, recorded: Path = RECORDED) -> list[dict[str, Any]]:
    lines = (recorded / f"{shape}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]
