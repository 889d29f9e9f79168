"""The limit on guessing passwords.

Owns how many failures an account and an address may have in a time, and that one guesser locks out
nobody else: who signed in from an address before is held only to their own failures there. In
memory, bounded; refuses to know passwords and requests. Times in seconds, by the clock given.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

WINDOW_S = 900.0
FAILURES_OF_ACCOUNT_AT_ADDRESS = 5
FAILURES_OF_ACCOUNT = 20
FAILURES_OF_ADDRESS = 50

MOST_REMEMBERED = 20_000
"""Keys remembered at most; the longest unused are forgotten first."""


class GuessLimiter:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, account: str, address: str) -> float:
        """How long this account must wait at this address before its next attempt; 0 if not."""
        waits = [self._wait((account, address), FAILURES_OF_ACCOUNT_AT_ADDRESS)]
        if (account, address) not in self._known:
            waits.append(self._wait((account, ""), FAILURES_OF_ACCOUNT))
            waits.append(self._wait(("", address), FAILURES_OF_ADDRESS))
        return max(waits)

    def begins(self, account: str, address: str) -> None:
        """An attempt counts as failed until it succeeded: a hundred at once are a hundred."""
        now = self._clock()
        for key, limit in (
            ((account, address), FAILURES_OF_ACCOUNT_AT_ADDRESS),
            ((account, ""), FAILURES_OF_ACCOUNT),
            (("", address), FAILURES_OF_ADDRESS),
        ):
            times = self._failures.setdefault(key, deque(maxlen=limit))
            self._failures.move_to_end(key)
            times.append(now)
        while len(self._failures) > MOST_REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        self._failures.pop((account, address), None)
        for key in ((account, ""), ("", address)):
            if times := self._failures.get(key):
                times.pop()
        self._known[account, address] = None
        self._known.move_to_end((account, address))
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    def _wait(self, key: tuple[str, str], limit: int) -> float:
        times = self._failures.get(key)
        if times is None or len(times) < limit:
            return 0.0
        return max(0.0, times[0] + WINDOW_S - self._clock())
