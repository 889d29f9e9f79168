"""How much of something one client of the push may have: so many at once, so many in the long run.

Owns the reckoning. Refuses to know the time: it is told.
"""

from __future__ import annotations


class Allowance:
    """Full at first, and filled again steadily, up to `burst`.

    >>> snapshots = Allowance(burst=2, per_second=5.0, now=0.0)
    >>> [snapshots.take(now=0.0) for _ in range(3)]
    [0.0, 0.0, 0.2]
    """

    __slots__ = ("_at", "_burst", "_left", "_per_second")

    def __init__(self, burst: float, per_second: float, now: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = burst
        self._at = now

    def take(self, now: float) -> float:
        """Take one, at `now` in seconds. The answer is how many seconds too early, 0 if not."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second) - 1
        self._at = now
        return max(0.0, -self._left / self._per_second)
