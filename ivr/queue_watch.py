"""The queues as a caller asks for them: what their place is, and how long they may wait.

Owns who waits where at which place, how long calls lately kept an agent, and which agents there
are, all from signals on the bus. Callbacks that keep a place at home come from the store. Says
nothing rather than something that it does not know. Never blocks.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from crm_store.bus import Bus
from crm_store.contacts import queue_places
from crm_store.signals import (
    AgentState,
    AgentStateChanged,
    CallAnswered,
    CallEnded,
    CallLeftQueue,
    CallMerged,
    CallQueued,
    PbxLinkChanged,
    Signal,
)

KEPT_CALLS: Final = 20
"""So many of a queue's latest calls say how long one takes."""

FEWEST_CALLS: Final = 3
"""Fewer than this say nothing."""

_SERVING: Final = frozenset({AgentState.AVAILABLE, AgentState.RINGING, AgentState.ON_CALL,
                             AgentState.WRAP_UP})  # fmt: skip

CallKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class FreeAgent:
    """An agent who could take a call now; `extension` is where their phone is."""

    agent: str
    extension: str


@dataclass(slots=True)
class _Queue:
    waiting: dict[CallKey, int] = field(default_factory=dict)
    """Each caller's place, as app_queue has it (queue_places.priority)."""
    took_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))


class QueueWatch:
    """Listens from its making."""

    def __init__(self, bus: Bus, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._queues: dict[str, _Queue] = {}
        self._agents: dict[tuple[str, str], AgentStateChanged] = {}
        self._serving: dict[tuple[str, str], tuple[str, float]] = {}
        """By PBX and agent: the queue whose call they took last, and when."""
        self._given: dict[CallKey, int] = {}
        bus.listen(
            self._on_signal,
            CallQueued,
            CallLeftQueue,
            CallEnded,
            CallMerged,
            CallAnswered,
            AgentStateChanged,
            PbxLinkChanged,
        )

    def give_place(self, pbx: str, call: str, priority: int) -> None:
        """The call goes to its queue at that place; CallQueued itself says none."""
        self._given[pbx, call] = priority

    def given_place(self, pbx: str, call: str) -> int | None:
        """The place that the call was given."""
        return self._given.get((pbx, call))

    def place(
        self,
        queue: str,
        priority: int,
        *,
        besides: CallKey | None = None,
        at_home: Iterable[int] = (),
    ) -> int:
        """Which place somebody with that priority has in the queue; 1 is next.

        `at_home` are the places of callbacks that have not joined the queue yet, `besides` a call
        that is not counted.
        """  # fmt: skip
        there = self._queues.get(queue)
        waiting = there.waiting.items() if there is not None else ()
        ahead = sum(place >= priority for call, place in waiting if call != besides)
        return 1 + ahead + sum(place >= priority for place in at_home)

    def expected_seconds(self, queue: str, place: int) -> float | None:
        """About how long somebody at that place waits; None where nobody can know."""
        there = self._queues.get(queue)
        agents = self.agents(queue)
        if not agents:
            return None
        if place <= sum(one.state is AgentState.AVAILABLE for one in agents):
            return 0.0
        if there is None or len(there.took_seconds) < FEWEST_CALLS:
            return None
        mean = sum(there.took_seconds) / len(there.took_seconds)
        return place * mean / len(agents)

    def agents(self, queue: str) -> list[AgentStateChanged]:
        """Who serves that queue now, free or not."""
        return [
            one for one in self._agents.values() if queue in one.queues and one.state in _SERVING
        ]

    def free_agent(self, queue: str, agent: str) -> FreeAgent | None:
        """That agent, if they serve the queue and could take a call this moment."""
        for one in self.agents(queue):
            technology, _, extension = one.endpoint.partition("/")
            if one.agent == agent and one.state is AgentState.AVAILABLE and technology == "PJSIP":
                return FreeAgent(agent, extension)
        return None

    def _on_signal(self, signal: Signal) -> None:
        match signal:
            case CallQueued():
                key = (signal.pbx, signal.call)
                there = self._queues.setdefault(signal.queue, _Queue())
                now = queue_places.priority(self._moment(signal))
                there.waiting[key] = self._given.get(key, now)
            case CallLeftQueue():
                there = self._queues.setdefault(signal.queue, _Queue())
                there.waiting.pop((signal.pbx, signal.call), None)
            case CallEnded():
                self._forget((signal.pbx, signal.call))
            case CallMerged():
                self._forget((signal.pbx, signal.merged))
            case CallAnswered() if signal.queue and signal.agent:
                self._serving[signal.pbx, signal.agent] = signal.queue, self._moment(signal)
            case AgentStateChanged():
                self._on_agent(signal)
            case PbxLinkChanged(up=False):
                self._lose(signal.pbx)

    def _on_agent(self, signal: AgentStateChanged) -> None:
        key = (signal.pbx, signal.agent)
        self._agents[key] = signal
        if signal.state in (AgentState.ON_CALL, AgentState.RINGING, AgentState.WRAP_UP):
            return
        queue, since = self._serving.pop(key, ("", 0.0))
        seconds = self._moment(signal) - since
        if queue and seconds > 0:
            self._queues.setdefault(queue, _Queue()).took_seconds.append(seconds)

    def _forget(self, call: CallKey) -> None:
        self._given.pop(call, None)
        for there in self._queues.values():
            there.waiting.pop(call, None)

    def _lose(self, pbx: str) -> None:
        """Who waits on that PBX is told anew when the link is back."""
        for there in self._queues.values():
            for call in [call for call in there.waiting if call[0] == pbx]:
                del there.waiting[call]
        for key in [key for key in self._agents if key[0] == pbx]:
            del self._agents[key]
        for key in [key for key in self._serving if key[0] == pbx]:
            del self._serving[key]

    def _moment(self, signal: Signal) -> float:
        return signal.at if signal.at is not None else self._clock()
