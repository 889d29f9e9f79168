"""What the FastAGI server counts: plain numbers, for whoever exports them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

STEP_SECONDS: Final = (
    *(0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5),
)
"""Upper bounds of the histogram's buckets, in seconds."""


class Histogram:
    """Seconds in buckets: `counts[i]` are those up to `bounds[i]`, the last ones above all."""

    def __init__(self, bounds: tuple[float, ...] = STEP_SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def within(self, share: float) -> float:
        """The bound that `share` (0 to 1) of all stay within; infinity if it is above all."""
        wanted, so_far = share * self.count, 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            so_far += count
            if so_far >= wanted:
                return bound
        return float("inf")


@dataclass(slots=True)
class AgiFigures:
    """Counters since the start, and what is open now.

    `refused` is by reason: address, key, entry, full, header (none in time), crowded (pushed out by
    newer connections of the same peer), broken (no AGI, or past a limit), closing. `ended` is by
    outcome: done, hung_up, failed (the menu raised), stopped (the server closed), too_long.
    `steps` is the server's own time: from Asterisk's answer to our next command.
    """

    half_open: int = 0
    sessions: int = 0
    most_sessions: int = 0
    accepted: int = 0
    commands: int = 0
    errors: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    steps: Histogram = field(default_factory=Histogram)
