"""The queues of one PBX: who may be rung, who is paused and why, and how many callers wait.

Owns what app_queue says of its members and callers, so an agent's state here is what Asterisk does
with them, not what somebody wished. Sans-IO like the call model: AMI messages in, signals out. It
refuses to know calls and people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from crm_store.signals import AgentState, AgentStateChanged, QueueChanged, Signal
from cti.agents.pause_reasons import (
    MISSED_RINGS,
    WRITTEN_WORK,
    WrapUp,
    missed_rings_of,
    wrap_up_of,
)

Message = Mapping[str, str]

PHONE_UNREACHABLE: Final = "phone_unreachable"
"""The reason of an agent who is signed in, but whose phone is not registered."""

# Device states, as app_queue numbers them (include/asterisk/devicestate.h).
NOT_IN_USE: Final = frozenset({"0", "1"})
TALKING: Final = frozenset({"2", "3", "8"})
RINGING: Final = frozenset({"6", "7"})
UNREACHABLE: Final = frozenset({"4", "5"})

NO_SIGNALS: Final[Sequence[Signal]] = ()


@dataclass(slots=True)
class Member:
    """One agent's place in one queue. The last three are moments as Asterisk writes them."""

    agent: str
    endpoint: str
    status: str = "0"
    paused: bool = False
    reason: str = ""
    wrap_up: WrapUp | None = None
    penalty: str = "0"
    last_call: str = ""
    last_pause: str = ""
    signed_in: str = ""

    @property
    def available(self) -> bool:
        return not self.paused and self.status in NOT_IN_USE

    @property
    def busy(self) -> bool:
        """On a call, ringing, or writing one up: wrap-up is reserved by a pause while one talks."""
        return self.status in TALKING or self.status in RINGING or self.wrap_up is not None

    @property
    def resting(self) -> bool:
        """Paused for another reason than work."""
        return self.paused and not self.busy


@dataclass(slots=True)
class _Numbers:
    """A queue's members by what they can do, counted as they change: queues may be large."""

    available: int = 0
    paused: int = 0
    busy: int = 0

    def count(self, member: Member, by: int) -> None:
        self.available += by * member.available
        self.paused += by * member.resting
        self.busy += by * member.busy


class QueueModel:
    """All queues of one PBX. Feed it messages in order; `rebuild` it after each connect."""

    def __init__(self, pbx: str = "") -> None:
        self.pbx = pbx
        self.members: dict[str, dict[str, Member]] = {}
        """By queue, then by interface."""
        self.waiting: dict[str, int] = {}
        self._numbers: dict[str, _Numbers] = {}
        self._places: dict[str, dict[tuple[str, str], Member]] = {}
        """By agent, then by queue and interface: an agent's state asks for no walk through all."""
        self._told_agents: dict[str, AgentStateChanged] = {}
        self._told_queues: dict[str, QueueChanged] = {}
        self._at: float | None = None
        self._handlers: dict[str, Callable[[Message], Iterable[str]]] = {
            "QueueMemberAdded": self._on_member,
            "QueueMemberStatus": self._on_member,
            "QueueMemberPause": self._on_member,
            "QueueMemberPenalty": self._on_member,
            "QueueMemberRemoved": self._on_removed,
            "QueueCallerJoin": self._on_callers,
            "QueueCallerLeave": self._on_callers,
            "QueueParams": self._on_params,
            "QueueMember": self._on_member,
        }

    def feed(self, message: Message) -> Sequence[Signal]:
        """Take one AMI message; return what changed. Never raises on any message."""
        handler = self._handlers.get(message.get("Event", ""))
        if handler is None:
            return NO_SIGNALS
        queue = message.get("Queue")
        if not queue:
            return NO_SIGNALS
        try:
            self._at = float(message.get("Timestamp", ""))
        except ValueError:
            self._at = None
        return self._news((queue,), handler(message))

    def rebuild(self, queue_status: Iterable[Message]) -> Sequence[Signal]:
        """Start over from the answer to QueueStatus; return what differs from what was told."""
        self.members.clear()
        self.waiting.clear()
        self._numbers.clear()
        self._places.clear()
        self._at = None
        for message in queue_status:
            handler = self._handlers.get(message.get("Event", ""))
            if handler is not None and message.get("Queue"):
                handler(message)
        queues = {*self.members, *self.waiting, *self._told_queues}
        return self._news(queues, {*self._told_agents, *self._places})

    def state_of(self, agent: str) -> AgentStateChanged | None:
        """The agent's state as last told, None for one who never joined a queue."""
        return self._told_agents.get(agent)

    def reason_of(self, agent: str) -> str | None:
        """The reason that Asterisk keeps of the agent's pause, in its own words; None if the agent
        is not paused. Of several, that of the wrap-up which ends last."""
        paused = _paused(self._places.get(agent, {}).values())
        return paused.reason if paused else None

    def places_of(self, agent: str) -> Mapping[str, Member]:
        """The agent's places, by queue."""
        return {queue: member for (queue, _), member in self._places.get(agent, {}).items()}

    def queues_of(self, agent: str) -> tuple[str, ...]:
        """The queues that the agent is signed in to, in alphabetical order."""
        return tuple(sorted({queue for queue, _ in self._places.get(agent, ())}))

    def agents_serving(self, queue: str) -> int:
        """How many are free, or busy and will be free: all but the paused and the unreachable."""
        numbers = self._numbers.get(queue) or _Numbers()
        return numbers.available + numbers.busy

    def _on_member(self, message: Message) -> Iterable[str]:
        """Each handler returns the agents whose state may be another now."""
        endpoint = message.get("Interface") or message.get("Location") or ""
        if not endpoint:
            return ()
        queue = message["Queue"]
        agent = message.get("MemberName") or message.get("Name") or endpoint
        members = self.members.setdefault(queue, {})
        numbers = self._numbers.setdefault(queue, _Numbers())
        member = members.get(endpoint)
        if member is None:
            # A member by a Local channel sits at the phone whose state counts for it.
            local = endpoint.startswith("Local/") and message.get("StateInterface")
            member = members[endpoint] = Member(agent, local or endpoint)
            self._places.setdefault(agent, {})[queue, endpoint] = member
        else:
            numbers.count(member, -1)
        before = member.agent
        if before != agent:
            self._leave_place(before, queue, endpoint)
            self._places.setdefault(agent, {})[queue, endpoint] = member
            member.agent = agent
        member.status = message.get("Status", member.status)
        if "Paused" in message:
            member.paused = message["Paused"] == "1"
            reason = message.get("PausedReason", message.get("Reason", ""))
            reason = reason if member.paused else ""
            if reason != member.reason:
                member.reason = reason
                member.wrap_up = wrap_up_of(reason)
        member.penalty = message.get("Penalty", member.penalty)
        member.last_call = message.get("LastCall", member.last_call)
        member.last_pause = message.get("LastPause", member.last_pause)
        member.signed_in = message.get("LoginTime", member.signed_in)
        numbers.count(member, 1)
        return (agent,) if before == agent else (before, agent)

    def _on_removed(self, message: Message) -> Iterable[str]:
        endpoint = message.get("Interface") or message.get("Location") or ""
        queue = message["Queue"]
        member = self.members.get(queue, {}).pop(endpoint, None)
        if member is None:
            return ()
        self._numbers[queue].count(member, -1)
        self._leave_place(member.agent, queue, endpoint)
        return (member.agent,)

    def _leave_place(self, agent: str, queue: str, endpoint: str) -> None:
        places = self._places.get(agent, {})
        places.pop((queue, endpoint), None)
        if not places:
            self._places.pop(agent, None)

    def _on_callers(self, message: Message) -> Iterable[str]:
        count = message.get("Count", "")
        if count.isdecimal():
            self.waiting[message["Queue"]] = int(count)
        return ()

    def _on_params(self, message: Message) -> Iterable[str]:
        self.members.setdefault(message["Queue"], {})
        calls = message.get("Calls", "")
        self.waiting[message["Queue"]] = int(calls) if calls.isdecimal() else 0
        return ()

    def _news(self, queues: Iterable[str], agents: Iterable[str]) -> Sequence[Signal]:
        told = (*map(self._agent_news, agents), *map(self._queue_news, queues))
        return [signal for signal in told if signal is not None]

    def _agent_news(self, agent: str) -> AgentStateChanged | None:
        """The agent's state now, if it is another than was told; most messages change nothing."""
        told = self._told_agents.get(agent)
        places = self._places.get(agent, {})
        endpoint = next((m.endpoint for m in places.values()), told.endpoint if told else "")
        state, reason = _state(places.values())
        paused = _paused(places.values())
        talks = state in (AgentState.ON_CALL, AgentState.RINGING)
        same = told is not None and (told.state, told.reason) == (state, reason)
        begun = told.since if told and same else self._begun(state, places.values())
        wrap_up = paused.wrap_up if paused else None
        next_pause = wrap_up.then if wrap_up else paused.reason if paused and talks else ""
        changed = AgentStateChanged(
            pbx=self.pbx,
            at=self._at,
            agent=agent,
            endpoint=endpoint,
            state=state,
            reason=reason,
            queues=self.queues_of(agent),
            since=begun,
            ends_at=_end(wrap_up, begun) if state is AgentState.WRAP_UP else None,
            extendable_seconds=wrap_up.extendable if wrap_up else 0,
            next_pause=next_pause,
            missed_rings=missed_rings_of(paused.reason) if paused and reason else 0,
        )
        if told is not None and replace(changed, at=told.at) == told:
            return None
        self._told_agents[agent] = changed
        return changed

    def _begun(self, state: AgentState, places: Collection[Member]) -> float | None:
        """When the state began: now, or after a rebuild what Asterisk remembers of it."""
        paused = _paused(places)
        if state is AgentState.WRAP_UP and paused and paused.wrap_up and paused.wrap_up.begun:
            return float(paused.wrap_up.begun)
        if self._at is not None:
            return self._at
        if state in (AgentState.WRAP_UP, AgentState.PAUSED, AgentState.WRITTEN_WORK):
            # A wrap-up is reserved at the answer; it began when the call was over.
            moments = [_moment(m.last_call) for m in places if m.wrap_up is not None]
            moments += [_moment(m.last_pause) for m in places if m.paused]
        elif state is AgentState.AVAILABLE:
            moments = [max(_moment(m.last_call), _moment(m.signed_in)) for m in places]
        else:
            moments = []
        return max(moments, default=0.0) or None

    def _queue_news(self, queue: str) -> QueueChanged | None:
        """The queue's numbers now, if they are others than were told."""
        told = self._told_queues.get(queue)
        numbers = self._numbers.get(queue) or _Numbers()
        waiting = self.waiting.get(queue, 0)
        now = (waiting, numbers.available, numbers.paused, numbers.busy)
        if told is not None and (told.waiting, told.available, told.paused, told.busy) == now:
            return None
        changed = self._told_queues[queue] = QueueChanged(
            pbx=self.pbx,
            at=self._at,
            queue=queue,
            waiting=waiting,
            available=numbers.available,
            paused=numbers.paused,
            busy=numbers.busy,
        )
        return changed


def _state(places: Collection[Member]) -> tuple[AgentState, str]:
    """One state from an agent's places in all queues: a phone has one device state."""
    if not places:
        return AgentState.OFFLINE, ""
    statuses = {member.status for member in places}
    if statuses & TALKING:
        return AgentState.ON_CALL, ""
    if statuses & RINGING:
        return AgentState.RINGING, ""
    paused = _paused(places)
    if paused is not None:
        if paused.wrap_up is not None:
            return AgentState.WRAP_UP, ""
        if paused.reason == WRITTEN_WORK:
            return AgentState.WRITTEN_WORK, ""
        return AgentState.PAUSED, MISSED_RINGS if missed_rings_of(paused.reason) else paused.reason
    if statuses & UNREACHABLE:
        return AgentState.OFFLINE, PHONE_UNREACHABLE
    return AgentState.AVAILABLE, ""


def _paused(places: Collection[Member]) -> Member | None:
    """The place whose pause says what the agent does; while Asterisk tells of one place after the
    other, the wrap-up that ends last."""
    paused = [member for member in places if member.paused]
    return max(paused, key=lambda m: (m.wrap_up and m.wrap_up.ends_at) or 0, default=None)


def _end(wrap_up: WrapUp | None, begun: float | None) -> float | None:
    """When the wrap-up ends; None if nobody knows when it began."""
    if wrap_up is None or wrap_up.ends_at is not None:
        return float(wrap_up.ends_at) if wrap_up and wrap_up.ends_at is not None else None
    return None if begun is None else float(round(begun) + wrap_up.seconds)


def _moment(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 0.0


QUEUE_EVENTS: Final = frozenset(
    {
        "QueueMemberAdded",
        "QueueMemberStatus",
        "QueueMemberPause",
        "QueueMemberPenalty",
        "QueueMemberRemoved",
        "QueueCallerJoin",
        "QueueCallerLeave",
    }
)
"""The names of the events that the queue model reads as they come."""
QUEUE_HEADERS: Final = frozenset(
    (
        "Calls",
        "Count",
        "Interface",
        "LastCall",
        "LastPause",
        "Location",
        "LoginTime",
        "MemberName",
        "Name",
        "Paused",
        "PausedReason",
        "Penalty",
        "Queue",
        "Reason",
        "StateInterface",
        "Status",
        "Timestamp",
    )
)
"""The headers that the queue model reads of any event."""
