"""The order of a queue: a caller's place is one number, fixed when they arrive.

Owns that number, which app_queue takes as QUEUE_PRIO (the higher is served first, equals by
joining). A VIP or a member stands as if they had come a bounded time earlier, so nobody is passed
by anybody who came later than that bound: nobody starves, and no ageing is needed. It depends on
no process, so it is the same after any restart, overflow or callback. Knows no database.
"""

from __future__ import annotations

from typing import Protocol

from crm_store.models import Segment

FIRST = 2_147_483_647
"""What app_queue's priority can be at most: a signed number of 32 bits."""

FRONT = 2_000_000_000
"""The place of a caller who had an agent already and lost them: before all who only arrived."""


class HeadStarts(Protocol):
    """What of a queue says how far ahead of others somebody stands, in seconds."""

    @property
    def vip_head_start_seconds(self) -> int: ...
    @property
    def member_head_start_seconds(self) -> int: ...


def head_start_seconds(queue: HeadStarts, segment: Segment | None) -> int:
    """By how much such a customer stands ahead in that queue; 0 for whoever is not known."""
    if segment is Segment.VIP:
        return max(0, queue.vip_head_start_seconds)
    if segment is Segment.MEMBER:
        return max(0, queue.member_head_start_seconds)
    return 0


def priority(arrived_at: float, head_start_seconds: int = 0) -> int:
    """The place of who came at `arrived_at` (seconds since 1970), as QUEUE_PRIO."""
    return FIRST - int(arrived_at - head_start_seconds)


def stood_since(place: int) -> int:
    """From which moment (seconds since 1970) somebody with that place counts as waiting."""
    return FIRST - place
