"""Which callbacks take their place in Asterisk's queues now, and which stand-ins must leave.

A callback's place is a number, as a caller's is (crm_store.contacts.queue_places); app_queue serves
the highest first, whoever has it. So a stand-in need not wait there all day: it must only be there
before its turn can come. Owns that judgement and nothing else: no socket, no clock, no store.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

AHEAD: Final = 5
"""So many more than the queue's agents may be ahead of a callback that joins. All agents may become
free at one moment, and some may come back from a pause; so many are in line before them."""


@dataclass(frozen=True, slots=True)
class QueueNow:
    """A queue: the places of all who wait in it, stand-ins included, and how many agents serve it
    (free, or busy and free some time)."""

    places: Sequence[int] = ()
    agents: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """A callback that may be called now, and its place."""

    id: int
    queue: str
    place: int


@dataclass(frozen=True, slots=True)
class StandIn:
    """What holds a callback's place in Asterisk; `name` is its channel's.

    It is in `queue` with `place` once it is `in_line`; before that it is on its way there. `taken`
    means that an agent has answered it.
    """

    name: str
    callback: int
    queue: str
    place: int
    in_line: bool = True
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Callbacks to join their queues, the first of a queue first; stand-ins to leave, by name."""

    join: tuple[int, ...] = ()
    leave: tuple[str, ...] = ()


def plan(
    queues: Mapping[str, QueueNow], pending: Sequence[Pending], stand_ins: Sequence[StandIn]
) -> Plan:
    """What is to be done now. Done at once, it leaves nothing to do; done twice, no harm.

    A stand-in leaves whose callback is pending no more, or at another place; and of several for one
    callback all but the first that is there. Never one whom an agent has.
    """
    wanted = {one.id: one for one in pending}
    kept: dict[int, StandIn] = {}
    leave: list[str] = []
    # Whom an agent has, then who is in line, counts as the callback's one.
    for stand_in in sorted(stand_ins, key=lambda one: (not one.taken, not one.in_line)):
        callback = wanted.get(stand_in.callback)
        holds_it = callback is not None and (stand_in.queue, stand_in.place) == (
            callback.queue,
            callback.place,
        )
        if stand_in.taken or (holds_it and stand_in.callback not in kept):
            kept.setdefault(stand_in.callback, stand_in)
        else:
            leave.append(stand_in.name)
    waiting = [one for one in pending if one.id not in kept]
    join: list[int] = []
    by_queue = sorted(waiting, key=lambda one: (one.queue, -one.place, one.id))
    for name, callbacks in groupby(by_queue, key=lambda one: one.queue):
        queue = queues.get(name, QueueNow())
        coming = [s.place for s in kept.values() if s.queue == name and not (s.in_line or s.taken)]
        join += _joining(list(callbacks), [*queue.places, *coming], queue.agents + AHEAD)
    return Plan(tuple(join), tuple(leave))


def _joining(callbacks: Sequence[Pending], places: Sequence[int], room: int) -> list[int]:
    """Those of one queue, first ones first, that have fewer than `room` ahead of them."""
    # app_queue puts a newcomer behind all who have the same place.
    before = sorted(-place for place in places)
    join: list[int] = []
    for callback in callbacks:
        if bisect_right(before, -callback.place) + len(join) >= room:
            break
        join.append(callback.id)
    return join
