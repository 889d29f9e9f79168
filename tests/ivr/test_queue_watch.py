"""A caller's place and wait, from what the bus has told; nothing where nobody can know."""

from __future__ import annotations

import pytest

from crm_store import signals as s
from crm_store.bus import Bus
from crm_store.contacts.queue_places import priority
from crm_store.signals import AgentState
from ivr.queue_watch import FEWEST_CALLS, FreeAgent, QueueWatch

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.0


class Floor:
    def __init__(self) -> None:
        self.bus = Bus()
        self.watch = QueueWatch(self.bus, clock=lambda: NOW)

    def joins(self, call: str, at: float, queue: str = "service") -> None:
        self.bus.publish(s.CallQueued(pbx="p", call=call, at=at, queue=queue, caller="1"))

    def leaves(self, call: str, queue: str = "service") -> None:
        self.bus.publish(s.CallLeftQueue(pbx="p", call=call, queue=queue, cause="abandoned"))

    def agent(
        self, name: str, state: AgentState, at: float = NOW, queues: tuple[str, ...] = ("service",)
    ) -> None:
        self.bus.publish(
            s.AgentStateChanged(
                pbx="p", at=at, agent=name, endpoint=f"PJSIP/{name}", state=state, queues=queues
            )
        )

    def answers(self, name: str, at: float, call: str = "0") -> None:
        self.bus.publish(
            s.CallAnswered(
                pbx="p", at=at, call=call, agent=name, endpoint=f"PJSIP/{name}", queue="service",
                caller="1",
            )
        )  # fmt: skip

    def served(self, seconds: float, times: int = FEWEST_CALLS) -> None:
        for number in range(times):
            begun = NOW - 10_000 + 1_000 * number
            self.answers("1003", begun)
            self.agent("1003", AgentState.ON_CALL, begun)
            self.agent("1003", AgentState.WRAP_UP, begun + seconds - 10)
            self.agent("1003", AgentState.AVAILABLE, begun + seconds)


def test_the_place_counts_who_has_a_better_number() -> None:
    floor = Floor()
    for call, at in (("1", NOW - 30), ("2", NOW - 20), ("3", NOW - 10)):
        floor.joins(call, at)
    floor.joins("other", NOW - 99, "sales")
    assert floor.watch.place("service", priority(NOW)) == 4
    assert floor.watch.place("service", priority(NOW, 15)) == 3
    assert floor.watch.place("service", priority(NOW), besides=("p", "2")) == 3
    assert floor.watch.place("service", priority(NOW), at_home=[priority(NOW - 1)]) == 5
    assert floor.watch.place("service", priority(NOW), at_home=[priority(NOW + 1)]) == 4
    floor.leaves("1")
    floor.bus.publish(s.CallEnded(pbx="p", call="2", cause="", caller="", callee=""))
    assert floor.watch.place("service", priority(NOW)) == 2
    assert floor.watch.place("nobodys", priority(NOW)) == 1


def test_a_given_place_counts_not_the_moment_of_joining() -> None:
    floor = Floor()
    floor.watch.give_place("p", "1", priority(NOW - 500))
    floor.joins("1", NOW - 1)
    assert floor.watch.place("service", priority(NOW - 300)) == 2
    assert floor.watch.given_place("p", "1") == priority(NOW - 500)
    floor.bus.publish(s.CallMerged(pbx="p", call="9", merged="1"))
    assert floor.watch.given_place("p", "1") is None
    assert floor.watch.place("service", priority(NOW - 300)) == 1


def test_the_wait_is_how_long_calls_take_divided_by_who_is_there() -> None:
    floor = Floor()
    floor.served(120)
    floor.agent("1003", AgentState.ON_CALL)
    assert floor.watch.expected_seconds("service", 2) == 240
    floor.agent("1004", AgentState.WRAP_UP)
    assert floor.watch.expected_seconds("service", 2) == 120
    floor.agent("1004", AgentState.PAUSED)
    assert floor.watch.expected_seconds("service", 2) == 240


def test_nothing_is_said_that_nobody_knows() -> None:
    floor = Floor()
    assert floor.watch.expected_seconds("service", 1) is None
    floor.served(120, FEWEST_CALLS - 1)
    floor.agent("1003", AgentState.ON_CALL)
    assert floor.watch.expected_seconds("service", 1) is None
    floor.served(120)
    floor.agent("1003", AgentState.OFFLINE)
    assert floor.watch.expected_seconds("service", 1) is None


def test_whoever_meets_a_free_agent_waits_not_at_all() -> None:
    floor = Floor()
    floor.agent("1003", AgentState.AVAILABLE)
    assert floor.watch.expected_seconds("service", 1) == 0
    assert floor.watch.expected_seconds("service", 2) is None


def test_only_a_free_agent_of_the_queue_is_free() -> None:
    floor = Floor()
    floor.agent("1003", AgentState.AVAILABLE)
    assert floor.watch.free_agent("service", "1003") == FreeAgent("1003", "1003")
    assert floor.watch.free_agent("sales", "1003") is None
    assert floor.watch.free_agent("service", "1004") is None
    floor.agent("1003", AgentState.RINGING)
    assert floor.watch.free_agent("service", "1003") is None


def test_a_lost_link_forgets_its_pbx_only() -> None:
    floor = Floor()
    floor.joins("1", NOW - 5)
    floor.agent("1003", AgentState.AVAILABLE)
    floor.bus.publish(s.CallQueued(pbx="q", call="1", at=NOW - 5, queue="service", caller="1"))
    floor.bus.publish(s.PbxLinkChanged(pbx="p", up=False))
    assert floor.watch.place("service", priority(NOW)) == 2
    assert floor.watch.agents("service") == []
