"""A finding of the doctor: what was looked at, how it is, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MOST_DRIFT_SECONDS = 1.0


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`message` says what is so; `remedy`, "" only where all is well, says what to do."""

    topic: str
    state: State
    message: str
    remedy: str = ""


def ok(topic: str, message: str) -> Finding:
    return Finding(topic, State.OK, message)


def warn(topic: str, message: str, remedy: str) -> Finding:
    return Finding(topic, State.WARN, message, remedy)


def fail(topic: str, message: str, remedy: str) -> Finding:
    return Finding(topic, State.FAIL, message, remedy)


def drift(topic: str, seconds: float) -> Finding:
    """How far a clock is ahead of ours (negative: behind)."""
    word = "ahead of" if seconds > 0 else "behind"
    said = f"{abs(seconds):.2f} s {word} this machine's"
    if abs(seconds) <= MOST_DRIFT_SECONDS:
        return ok(topic, said)
    return warn(topic, said, "let both machines take their time from one time service")
