"""Signals: what happens now, in memory, which may be lost (facts are what must not be).

Owns the vocabulary that the rooms share while a call is alive. Knows nothing of AMI, of the
database or of the browser. Every signal is a frozen dataclass and names its moment in `at`: the
PBX's own clock where it wrote one (`timestampevents=yes`), else None.

`call` is Asterisk's Linkedid and is unique within one `pbx` only. `endpoint` is a technology and
resource as Asterisk writes them ("PJSIP/1001"). `agent` is the queue member's name, "" if unknown.
Times are seconds since 1970, as Asterisk's `Timestamp` header writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class Outcome(StrEnum):
    """How a call ended, told apart as Asterisk's queue_log tells them apart."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    TIMEOUT = "timeout"
    EXIT = "exit"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    VOICEMAIL = "voicemail"


class AgentState(StrEnum):
    OFFLINE = "offline"
    AVAILABLE = "available"
    RINGING = "ringing"
    ON_CALL = "on_call"
    WRAP_UP = "wrap_up"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What all signals have: the PBX they come from and the moment on its clock."""

    pbx: str = ""
    at: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The signal as plain values, `event` first: the form of `deskbell replay --json`."""
        values: dict[str, Any] = {"event": type(self).__name__}
        for field in fields(self):
            values[field.name] = getattr(self, field.name)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSignal(Signal):
    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(CallSignal):
    """A call's first channel exists. `caller` and `callee` are numbers as the network sent them."""

    direction: Direction
    caller: str
    caller_name: str = ""
    callee: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQueued(CallSignal):
    """The caller waits in `queue`, at `position` (1 is next)."""

    queue: str
    caller: str
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLeftQueue(CallSignal):
    """The caller waits no more; `cause` is answered, abandoned, timeout, exit or transferred."""

    queue: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOffered(CallSignal):
    """An agent's phone is being rung with this call; `queue` is "" for a direct call."""

    endpoint: str
    agent: str = ""
    queue: str = ""
    caller: str
    callee: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOfferEnded(CallSignal):
    """A ringing phone stopped without this agent's answer.

    `cause` is declined, no_answer, busy, answered_elsewhere, forwarded, caller_gone or unreachable.
    """

    endpoint: str
    agent: str = ""
    queue: str = ""
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered(CallSignal):
    """A person answered: an agent, or the party that was dialled."""

    endpoint: str
    agent: str = ""
    queue: str = ""
    caller: str
    callee: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld(CallSignal):
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResumed(CallSignal):
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParked(CallSignal):
    """The call waits in parking space `space`; `endpoint` parked it."""

    endpoint: str
    space: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTransferred(CallSignal):
    """`endpoint` handed the call on; `target` is an extension or the endpoint that now has it.

    `cause` is blind, attended, blonde or parked (another phone took it out of the parking space).
    """

    endpoint: str
    target: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMerged(CallSignal):
    """Asterisk joined call `merged` into this one (its Linkedid changed): one story from here."""

    merged: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(CallSignal):
    """The last channel is gone. `cause` is the caller's hangup cause text as Asterisk says it."""

    cause: str
    caller: str
    callee: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSummary(CallSignal):
    """A whole call in one row, sent once after CallEnded. Times in seconds.

    `wait_s` counts from joining the queue (of the queue named) to the answer or to leaving it;
    `talk_s` from the first answer by a person to the end. `rang` are the agents' endpoints.
    `keyed` are the digits that the caller pressed outside a conversation.
    """

    direction: Direction
    outcome: Outcome
    queue: str | None
    rang: list[str]
    answered_by: str | None
    transferred_to: str | None
    wait_s: float | None
    talk_s: float | None
    keyed: str
    caller: str
    callee: str
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStateChanged(Signal):
    """An agent's state became `state`; `reason` says why where there is one (a pause's reason)."""

    agent: str
    endpoint: str
    state: AgentState
    reason: str = ""
    queues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueChanged(Signal):
    """A queue's numbers now: callers waiting, and members by what they can do."""

    queue: str
    waiting: int
    available: int
    paused: int
    busy: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxLinkChanged(Signal):
    """The AMI link came up (and the model was rebuilt), or went down with `cause`."""

    up: bool
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRecognised(CallSignal):
    """The store has answered who is at the other end of the call; `matches` as in ScreenPop."""

    number: str
    matches: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenPop(CallSignal):
    """What `agent`'s screen must show about a call before its phone rings.

    `matches` are the customers' cards (see crm_store.customers.CustomerCard) as plain values, most
    recent first; empty with `known` False means nobody has this number. `looking_up` is True while
    the store has not answered yet: a second pop follows.
    """

    agent: str
    endpoint: str
    queue: str
    caller: str
    caller_name: str
    number: str | None
    matches: tuple[dict[str, Any], ...] = ()
    looking_up: bool = False
