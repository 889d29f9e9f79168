"""Signals: what happens now, in memory, which may be lost (facts are what must not be).

Owns the vocabulary that the rooms share while a call is alive. Knows nothing of AMI, of the
database or of the browser. Every signal is a frozen struct, which is made in a tenth of a frozen
dataclass's time, and names its moment in `at`: the PBX's own clock where it wrote one
(`timestampevents=yes`), else None.

`call` is Asterisk's Linkedid and is unique within one `pbx` only. `endpoint` is a technology and
resource as Asterisk writes them ("PJSIP/1001"). `agent` is the queue member's name, "" if unknown.
Times are seconds since 1970, as Asterisk's `Timestamp` header writes them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct


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
    WRITTEN_WORK = "written_work"


class Signal(Struct, frozen=True, kw_only=True):
    """What all signals have: the PBX they come from and the moment on its clock."""

    pbx: str = ""
    at: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The signal as plain values, `event` first: the form of `deskbell replay --json`."""
        values: dict[str, Any] = {"event": type(self).__name__}
        for name in self.__struct_fields__:
            values[name] = getattr(self, name)
        return values


class CallSignal(Signal, frozen=True, kw_only=True):
    call: str


class CallStarted(CallSignal, frozen=True, kw_only=True):
    """A call's first channel exists. `caller` and `callee` are numbers as the network sent them.

    `endpoint` is our own phone that dials, and `agent` who sits at it; "" for the network's calls.
    With `callback_id` it is Asterisk's call to a customer who asked for one, told when the first
    agent is rung for it: `callee` is the customer.
    """

    direction: Direction
    caller: str
    caller_name: str = ""
    callee: str
    endpoint: str = ""
    agent: str = ""
    callback_id: int | None = None


class CallQueued(CallSignal, frozen=True, kw_only=True):
    """The caller waits in `queue`, at `position` (1 is next)."""

    queue: str
    caller: str
    position: int = 0


class CallLeftQueue(CallSignal, frozen=True, kw_only=True):
    """The caller waits no more; `cause` is answered, abandoned, timeout, exit or transferred."""

    queue: str
    cause: str


class CallOffered(CallSignal, frozen=True, kw_only=True):
    """An agent's phone is being rung with this call; `queue` is "" for a direct call."""

    endpoint: str
    agent: str = ""
    queue: str = ""
    caller: str
    callee: str = ""


class CallOfferEnded(CallSignal, frozen=True, kw_only=True):
    """A ringing phone stopped without this agent's answer.

    `cause` is declined, no_answer, busy, answered_elsewhere, forwarded, caller_gone, unreachable or
    passed_on (the agent who last served the customer did not answer; the queue goes on).
    """

    endpoint: str
    agent: str = ""
    queue: str = ""
    cause: str


class CallAnswered(CallSignal, frozen=True, kw_only=True):
    """A person answered: an agent, or the party that was dialled.

    `agent` is the agent who talks because of it: at `endpoint`, or who dialled it out there.
    """

    endpoint: str
    agent: str = ""
    queue: str = ""
    caller: str
    callee: str = ""
    direction: Direction = Direction.INBOUND


class CallHeld(CallSignal, frozen=True, kw_only=True):
    endpoint: str


class CallResumed(CallSignal, frozen=True, kw_only=True):
    endpoint: str


class CallParked(CallSignal, frozen=True, kw_only=True):
    """The call waits in parking space `space`; `endpoint` parked it."""

    endpoint: str
    space: str


class CallTransferred(CallSignal, frozen=True, kw_only=True):
    """`endpoint` handed the call on; `target` is an extension or the endpoint that now has it.

    `cause` is blind, attended, blonde or parked (another phone took it out of the parking space).
    """

    endpoint: str
    target: str
    cause: str


class CallLeft(CallSignal, frozen=True, kw_only=True):
    """`endpoint` has left a call that goes on without it: a conference, or the caller stays on the
    line after the agent (to be asked how it was)."""

    endpoint: str
    agent: str = ""


class CallMerged(CallSignal, frozen=True, kw_only=True):
    """Asterisk joined call `merged` into this one (its Linkedid changed): one story from here."""

    merged: str


class CallEnded(CallSignal, frozen=True, kw_only=True):
    """The last channel is gone. `cause` is the caller's hangup cause text as Asterisk says it."""

    cause: str
    caller: str
    callee: str


class CallSummary(CallSignal, frozen=True, kw_only=True):
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


class AgentStateChanged(Signal, frozen=True, kw_only=True):
    """An agent's state became `state`; `reason` says why where there is one (a pause's reason).

    `since` is when it began, None if that is not known. A wrap-up ends at `ends_at` and may be
    lengthened by `extendable_seconds`; the pause reason `next_pause` follows the wrap-up or call.
    `missed_rings` is how many rings in a row led to this pause.
    """

    agent: str
    endpoint: str
    state: AgentState
    reason: str = ""
    queues: tuple[str, ...] = ()
    since: float | None = None
    ends_at: float | None = None
    extendable_seconds: int = 0
    next_pause: str = ""
    missed_rings: int = 0


class QueueChanged(Signal, frozen=True, kw_only=True):
    """A queue's numbers now: callers waiting, and members by what they can do."""

    queue: str
    waiting: int
    available: int
    paused: int
    busy: int


class PbxLinkChanged(Signal, frozen=True, kw_only=True):
    """The AMI link came up (and the model was rebuilt), or went down with `cause`."""

    up: bool
    cause: str = ""


class RecordingChanged(CallSignal, frozen=True, kw_only=True):
    """The call's sound is being kept: `state` is on, paused or off; `since` is when it began."""

    state: str
    since: float | None = None


class CallerRecognised(CallSignal, frozen=True, kw_only=True):
    """The store has answered who is at the other end of the call; `matches` as in ScreenPop.
    `number` is None for a withheld one, whose caller said by a card who they are."""

    number: str | None
    matches: tuple[dict[str, Any], ...]


class ScreenPop(CallSignal, frozen=True, kw_only=True):
    """What `agent`'s screen must show about a call before its phone rings.

    `matches` are the customers' cards (crm_store.people.customers.CustomerCard) as plain values,
    most recent first; empty with `known` False means nobody has this number. `looking_up` is True
    while the store has not answered yet: a second pop follows. With `callback_id` the customer is
    called back, as they asked at `callback_asked_at`.
    """

    agent: str
    endpoint: str
    queue: str
    caller: str
    caller_name: str
    number: str | None
    matches: tuple[dict[str, Any], ...] = ()
    looking_up: bool = False
    callback_id: int | None = None
    callback_asked_at: float | None = None


class FaxArrived(CallSignal, frozen=True, kw_only=True):
    """The call was a fax machine's, and `pages` pages have been received."""

    pages: int


class MenuEntered(CallSignal, frozen=True, kw_only=True):
    """The caller is in the phone menu `menu` (its code)."""

    language: str
    menu: str


class MenuStep(CallSignal, frozen=True, kw_only=True):
    """At `place` of the menu the caller heard `heard` (as text) and then keyed `keyed`.

    What must stay secret is keyed as dots, one for each digit.
    """

    place: str
    heard: str
    keyed: str
    language: str


class MenuLeft(CallSignal, frozen=True, kw_only=True):
    """The menu is over; `to` says where the caller went: a queue, an ending, "" for hanging up."""

    to: str


class CallerIdentified(CallSignal, frozen=True, kw_only=True):
    """The caller has shown who they are; `by` is card, or number. It counts before what the
    calling number says."""

    customer_id: int
    by: str


class ChatPresence(Signal, frozen=True, kw_only=True):
    """The visitor of a chat has its page open, or not, and is writing just now, or not.

    `seen_message_id` is the last message that they have seen.
    """

    conversation_id: int
    present: bool
    typing: bool = False
    seen_message_id: int = 0


class OffersChanged(Signal, frozen=True, kw_only=True):
    """A conversation is offered to an agent, or no more (channels.routing.Router.offers)."""
