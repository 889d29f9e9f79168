"""What the call model remembers: channels, offers, calls, and what can be read off them.

Owns the records and the questions about one call that need no message: its direction, its outcome,
which endpoints are agents' phones. Refuses to know AMI events (call_model) and signals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from crm_store.signals import Direction, Outcome

TRUNK_WORDS: Final = (
    "trunk",
    "sipp",
    "provider",
    "carrier",
    "pstn",
    "gateway",
    "external",
    "inbound",
    "incoming",
    "public",
    "from-did",
)
PHONE_WORDS: Final = ("internal", "agent", "phone", "users", "local")
EXTENSION_DIGITS: Final = range(2, 7)
"""An extension has 2 to 6 digits; anything longer is a number of the telephone network."""
MAX_KEYED: Final = 200
"""Digits remembered of one caller; a stuck key fills no memory."""
MAX_ENDED: Final = 20_000
"""Ended channels and calls remembered, so that a late or repeated message revives none."""


STAND_IN_CONTEXT: Final = "callback-place"
"""Where in the dialplan the place of a customer is kept who waits for a callback."""
PREFERRED_CONTEXT: Final = "preferred-agent"
"""Where the agent who last served the caller is rung alone; the extension is the queue's name."""
FAX_PREFIX: Final = "deskbell-fax-"
"""The beginning of the Uniqueid of a fax call of ours: not a call between people."""

_STAND_IN = re.compile(rf"Local/([0-9]{{1,18}})@{STAND_IN_CONTEXT}-")


def callback_of(channel_name: str) -> int | None:
    """The callback whose stand-in has this name, None for any other channel."""
    found = _STAND_IN.match(channel_name)
    return int(found[1]) if found else None


def endpoint_of(channel_name: str) -> str:
    """`PJSIP/1001-0000002a` → `PJSIP/1001`: technology and resource, without the serial number."""
    return channel_name.rpartition("-")[0] or channel_name


def age_of(identifier: str) -> tuple[float, int]:
    """The order of Uniqueids and Linkedids (`pbx-1700000000.42`): the older, the smaller."""
    epoch, _, serial = identifier.rpartition("-")[2].partition(".")
    known = epoch.isdecimal() and serial.isdecimal()
    return (float(epoch), int(serial)) if known else (0.0, 0)


def is_network_number(number: str) -> bool:
    """Whether `number` is one of the telephone network rather than an extension."""
    digits = sum(character.isdigit() for character in number)
    return number.startswith("+") or digits >= EXTENSION_DIGITS.stop


def known_number(number: str) -> str:
    """A caller's number as sent, "" where Asterisk has none (it writes `<unknown>`)."""
    return "" if number == "<unknown>" else number


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSnapshot:
    """A channel as Asterisk described it at one moment."""

    uniqueid: str
    linkedid: str
    name: str
    number: str
    caller_name: str
    context: str
    exten: str
    down: bool
    up: bool


STATE_DOWN: Final = "0"
STATE_RINGING: Final = "5"
STATE_UP: Final = "6"


def snapshot_of(
    message: Mapping[str, str], role: str, uniqueid: str, linkedid: str
) -> ChannelSnapshot:
    """A channel as Asterisk describes it in the headers of one role."""
    exten = message.get(role + "Exten", "")
    state = message.get(role + "ChannelState")
    return ChannelSnapshot(
        uniqueid=uniqueid,
        linkedid=linkedid,
        name=message.get(role + "Channel", ""),
        number=known_number(message.get(role + "CallerIDNum", "")),
        caller_name=known_number(message.get(role + "CallerIDName", "")),
        context=message.get(role + "Context", ""),
        exten="" if exten == "s" else exten,
        down=state == STATE_DOWN,
        up=state == STATE_UP,
    )


class Channel:
    """One leg of a call. `uniqueid` never changes, `name` does when Asterisk masquerades."""

    __slots__ = (
        "bridge",
        "call",
        "context",
        "dialled",
        "endpoint",
        "hangup_cause",
        "held",
        "left_others",
        "local",
        "name",
        "number",
        "originated",
        "ringing",
        "uniqueid",
        "up",
    )

    def __init__(self, uniqueid: str, name: str, number: str, context: str, up: bool) -> None:
        self.uniqueid = uniqueid
        self.call: Call
        self.number = number
        self.context = context
        self.bridge = ""
        self.hangup_cause = ""
        """The cause of a hangup that this leg's own end asked for; "" while it has not."""
        self.dialled = False
        self.originated = False
        self.ringing = False
        self.up = up
        self.held = False
        self.left_others = False
        """Left a conference in which at least two others stayed."""
        self.rename(name)

    def rename(self, name: str) -> None:
        self.name = name
        self.endpoint = endpoint_of(name)
        self.local = name.startswith("Local/")


class Offer:
    """An agent's phone being rung, then answered; `open` until it is answered or ended.

    `via` is the Local channel (both halves' common name) that dialled the phone, "" for none.
    """

    __slots__ = ("agent", "answered", "endpoint", "open", "queue", "via")

    def __init__(self, endpoint: str, agent: str, queue: str, via: str = "") -> None:
        self.endpoint = endpoint
        self.agent = agent
        self.queue = queue
        self.via = via
        self.open = True
        self.answered = False

    def rings_with(self, other: Offer) -> bool:
        """Whether both phones are rung for one answer: a queue's members, or a ring group."""
        return self.queue == other.queue and bool(self.via) == bool(other.via)


class Call:
    """All channels with one Linkedid, and the story so far. Times as signals have them.

    `first` is the leg that the story begins with: the caller, or for a call that Asterisk itself
    originated the party that it rang first.
    """

    def __init__(self, linkedid: str, first: Channel, callee: str, caller_name: str) -> None:
        self.linkedid = linkedid
        self.untold = False
        """CallStarted waits for the DialBegin that names the other party."""
        self.channels: dict[str, Channel] = {}
        self.offers: dict[str, Offer] = {}
        """The phones that ring or talk now, by their channel's Uniqueid."""
        self.local_members: dict[str, tuple[str, str]] = {}
        self.callee = callee
        self.started_at: float | None = None
        self.originated = False
        self.first_is_phone: bool | None = None
        """Whether the leg that Asterisk originated is an agent's phone; None for other calls."""
        self.callback_id = callback_of(first.name)
        """The callback that it is; told to nobody before an agent is rung for it."""
        self.begin_with(first)
        self.caller_name = caller_name
        if self.callback_id is not None:
            self.caller = self.caller_name = self.callee = ""

        self.rang: list[str] = []
        self._begin_blank()

    def _begin_blank(self) -> None:
        """Nobody was reached yet, in no queue, menu or parking space."""
        self.dialled_phone = False
        self.dialled_number = ""
        self.dial_status = ""
        self.answered = False
        self.answered_by = ""
        self.answered_at: float | None = None
        self.first_leg_answered = False
        self.first_leg_answered_at: float | None = None
        self.last_talker = ""
        self.left_by = ""
        """The phone that Asterisk took away from the caller, who goes on without it."""
        self.left_alone_by: dict[str, str] = {}
        """The phones, with their agents, that hung up while the caller did not (yet)."""
        self.goes_on_at: float | None = None
        self.goes_on_alone = False
        """The dialplan goes on with the caller after the agent."""
        self.transferred_to = ""
        self.transfer_open = False

        self.queue = ""
        self.waiting = False
        self.joined_at: float | None = None
        self.joined_exten = ""
        self.left_at: float | None = None
        self.leave_unexplained = False
        """Left the queue by an abandon without a hangup; what comes next says why."""
        self.queue_exit: Outcome | None = None
        self.abandon_seen = False
        self.answered_queue = ""
        """The queue that led to the first answer, and how long the caller waited there."""
        self.answered_wait: float | None = None

        self.preferred_queue = ""
        """The queue for which the agent who last served the caller is rung alone."""
        self.in_menu = False
        """In a phone menu of the service, which keeps for itself what is keyed there."""
        self.voicemail = False
        self.parked = ""
        self.parked_by = ""
        self.keyed = ""
        self.first_hung_up = False
        self.cause = ""
        self.hangup_cause = ""

    def begin_with(self, first: Channel) -> None:
        """The story begins with this leg."""
        self.first_uniqueid = first.uniqueid
        self.first_endpoint = first.endpoint
        self.first_context = first.context
        self.first_was_up = first.up
        self.caller = first.number
        self.caller_name = ""

    @property
    def first(self) -> Channel | None:
        """The leg that began the call, while it lives."""
        return self.channels.get(self.first_uniqueid)

    @property
    def talking(self) -> list[Offer]:
        """The phones that talk in it now, the latest to answer last."""
        return [offer for offer in self.offers.values() if offer.answered]

    def waited_in_queue(self) -> tuple[str, float | None]:
        """The queue of the summary and the wait there: the one that led to the first answer."""
        if self.answered_queue:
            return self.answered_queue, self.answered_wait
        until = self.left_at if self.left_at is not None else self.answered_at
        return self.queue, span(self.joined_at, until)

    def talk_seconds(self, ended_at: float | None) -> float | None:
        until = self.goes_on_at if self.goes_on_alone else ended_at
        return span(self.answered_at, until) if self.answered else None

    def take_story_of(self, other: Call) -> None:
        """Tell the story of `other`, which became part of this call."""
        for name in STORY:
            setattr(self, name, getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNow:
    """A call as it is at this moment, for who looks at it live.

    `state` is parked, held, answered, ringing, queued or started; `ringing` are the phones that
    ring for it, `talking` the legs that hear each other, whoever came first in front.
    """

    call: str
    direction: Direction
    caller: str
    caller_name: str
    callee: str
    state: str
    queue: str
    ringing: tuple[Offer, ...]
    talking: tuple[Channel, ...]
    parked: str
    parked_by: str
    started_at: float | None
    waiting_since: float | None
    answered_at: float | None


STORY: Final = (
    *("first_uniqueid", "first_endpoint", "first_context", "first_was_up", "first_hung_up"),
    *("originated", "first_is_phone", "caller", "caller_name", "callee", "started_at"),
    *("dialled_number", "keyed", "cause", "hangup_cause", "voicemail", "dial_status"),
    *("answered", "answered_by", "answered_at", "first_leg_answered", "first_leg_answered_at"),
    *("queue", "joined_at", "left_at", "queue_exit", "answered_queue", "answered_wait"),
    *("transferred_to", "last_talker"),
)
"""What one call takes over from another when the other one is the customer's."""


def local_pair(name: str) -> str:
    """Both halves of a Local channel share their name up to `;1` and `;2`."""
    return name.rpartition(";")[0]


def span(start: float | None, end: float | None) -> float | None:
    """Seconds from start to end, None where either is unknown."""
    return None if start is None or end is None else max(0.0, round(end - start, 3))


class PartyGuess:
    """Tells agents' phones from trunks: by what is configured, else by how PBXs are written.

    A recorded stream comes without its configuration, so names, contexts and numbers must do.
    """

    def __init__(
        self, phones: Mapping[str, str], trunks: Iterable[str], outside_line: str = ""
    ) -> None:
        self._trunks = frozenset(trunks)
        self._outside_line = outside_line
        self.members: dict[str, str] = dict(phones)
        """Endpoints known as agents' phones, with the queue member's name where it is known."""

    def learn(self, interface: str, member_name: str, state_interface: str = "") -> None:
        """Remember a queue member; its name is "" where Asterisk only repeats the interface.

        A member by a Local channel is known by the phone whose state counts for it.
        """
        endpoint = state_interface if interface.startswith("Local/") else interface
        if "/" in endpoint and not endpoint.startswith("Local/"):
            name = "" if member_name == interface else member_name
            if name or endpoint not in self.members:
                self.members[endpoint] = name

    def is_phone(self, endpoint: str, number: str, context: str) -> bool:
        """Whether a leg that calls in is an agent's phone."""
        if endpoint in self.members:
            return True
        if endpoint in self._trunks:
            return False
        resource = endpoint.partition("/")[2].lower()
        lowered = context.lower()
        if number.lower() == resource != "":
            return True
        if _has_word(resource, TRUNK_WORDS) or _has_word(lowered, TRUNK_WORDS):
            return False
        if _has_word(lowered, PHONE_WORDS):
            return True
        return _is_extension(resource) or _is_extension(number)

    def is_dialled_phone(self, endpoint: str, number: str, dial_string: str) -> bool:
        """Whether a leg that is dialled out is an agent's phone rather than a trunk."""
        if endpoint in self.members:
            return True
        resource = endpoint.partition("/")[2]
        if endpoint in self._trunks or _has_word(resource.lower(), TRUNK_WORDS):
            return False
        if _is_extension(resource):
            return True
        target = dial_string.removeprefix(endpoint.partition("/")[0] + "/")
        if "@" in target or "/" in target:
            return False
        return not is_network_number(number)

    def direction(self, call: Call) -> Direction:
        """Where the call goes, as far as is known now."""
        if call.callback_id is not None:
            return Direction.OUTBOUND
        if call.first_is_phone is None:
            phone = self.is_phone(call.first_endpoint, call.caller, call.first_context)
        else:
            phone = call.first_is_phone
        if call.originated:
            inside = call.dialled_phone and not call.dialled_number
            return Direction.INTERNAL if phone and inside else Direction.OUTBOUND
        if not phone:
            return Direction.INBOUND
        if call.dialled_number or (is_network_number(call.callee) and not call.dialled_phone):
            return Direction.OUTBOUND
        return Direction.INTERNAL

    def agents_of(self, call: CallNow) -> list[str]:
        """The agents who talk in the call: their names, or their phones where none is known."""
        return [
            self.members.get(leg.endpoint) or leg.endpoint
            for leg in call.talking
            if self.is_phone(leg.endpoint, leg.number, leg.context)
        ]

    def dialling_phone(self, call: Call) -> str:
        """The endpoint of our own phone that makes the call; "" if another does."""
        if call.originated or self.direction(call) is Direction.INBOUND:
            return ""
        return call.first_endpoint

    def callee(self, call: Call) -> str:
        """Who is called: outside, the number that was dialled there rather than an extension."""
        if self.direction(call) is not Direction.OUTBOUND:
            return call.callee
        if call.callback_id is not None:
            return call.dialled_number or call.callee
        # Before the trunk is dialled, only the digit for an outside line can be told apart.
        return call.dialled_number or call.callee.removeprefix(self._outside_line)


def _has_word(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)


def _is_extension(text: str) -> bool:
    return text.isdecimal() and len(text) in EXTENSION_DIGITS


DIAL_OUTCOMES: Final = {
    "BUSY": Outcome.BUSY,
    "NOANSWER": Outcome.NO_ANSWER,
    "CHANUNAVAIL": Outcome.FAILED,
    "CONGESTION": Outcome.FAILED,
    "INVALIDARGS": Outcome.FAILED,
}
BUSY_CAUSE: Final = "17"
NO_ANSWER_CAUSES: Final = ("18", "19")
FAILURE_CAUSES: Final = ("1", "2", "3", "20", "22", "27", "28", "34", "38", "41", "42", "44", "58")
"""Q.850: no such number, no route, not registered, out of order, congestion, and their like."""


def outcome_of(call: Call, direction: Direction, hangup_cause: str) -> Outcome:
    """How the call ended. `hangup_cause` is the Q.850 number of the first leg's hangup.

    Abandoned means that the caller gave up before a person answered, wherever they waited.
    """
    if call.answered:
        return Outcome.ANSWERED
    if call.voicemail:
        return Outcome.VOICEMAIL
    if call.queue_exit is not None and call.callback_id is None:
        return call.queue_exit
    gave_up = Outcome.ABANDONED if direction is Direction.INBOUND else Outcome.NO_ANSWER
    if call.callback_id is not None and not (call.first_leg_answered and call.dial_status):
        # The customer was not dialled: the stand-in left, or there was no way out.
        return Outcome.FAILED if call.first_leg_answered else Outcome.EXIT
    if call.dial_status:
        return DIAL_OUTCOMES.get(call.dial_status, gave_up)
    if call.first_leg_answered:
        return Outcome.ANSWERED
    if hangup_cause == BUSY_CAUSE:
        return Outcome.BUSY
    if hangup_cause in FAILURE_CAUSES and not call.first_was_up:
        return Outcome.FAILED
    if call.first_hung_up:
        return gave_up
    if hangup_cause in NO_ANSWER_CAUSES:
        return Outcome.NO_ANSWER
    return Outcome.EXIT if call.first_was_up else Outcome.FAILED


class RecentlyEnded:
    """The most recently ended identifiers, oldest forgotten first."""

    def __init__(self, limit: int = MAX_ENDED) -> None:
        self._limit = limit
        self._ended: dict[str, None] = {}

    def add(self, identifier: str) -> None:
        self._ended[identifier] = None
        if len(self._ended) > self._limit:
            del self._ended[next(iter(self._ended))]

    def discard(self, identifier: str) -> None:
        self._ended.pop(identifier, None)

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._ended
