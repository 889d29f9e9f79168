"""The bus: signals from whoever makes them to whoever needs them, within one process.

Owns order and bounds: signals arrive in the order they were published; a subscriber that does not
keep up is told to resync, never silently robbed. Refuses to know what a signal means.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable

from crm_store.signals import Signal

log = logging.getLogger(__name__)

Listener = Callable[[Signal], None]


class Overflowed(Exception):
    """The subscriber fell behind and signals were dropped: take a fresh snapshot and go on."""


class Subscription:
    """A bounded queue of signals. Iterate it; on Overflowed, resync and iterate again."""

    def __init__(self, wanted: tuple[type[Signal], ...], limit: int) -> None:
        self._wanted = wanted
        self._limit = limit
        self._waiting: deque[Signal] = deque()
        self._overflowed = False
        self._news = asyncio.Event()

    def offer(self, signal: Signal) -> None:
        if self._wanted and not isinstance(signal, self._wanted):
            return
        if len(self._waiting) >= self._limit:
            self._waiting.clear()
            self._overflowed = True
        self._waiting.append(signal)
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Signal]:
        while True:
            if self._overflowed:
                self._overflowed = False
                raise Overflowed
            if self._waiting:
                yield self._waiting.popleft()
            else:
                self._news.clear()
                await self._news.wait()


class Bus:
    """In-process publish and subscribe.

    `listen` is for the path of a pop: the callback runs inside `publish`, must not block, and its
    exception is logged and hurts nobody else. `subscribe` is for everything that may take time.
    """

    def __init__(self) -> None:
        self._listeners: list[tuple[tuple[type[Signal], ...], Listener]] = []
        self._subscriptions: list[Subscription] = []

    def listen(self, listener: Listener, *wanted: type[Signal]) -> None:
        """Call `listener` with each signal of the wanted types (all, if none is named)."""
        self._listeners.append((wanted, listener))

    def subscribe(self, *wanted: type[Signal], limit: int = 10_000) -> Subscription:
        subscription = Subscription(wanted, limit)
        self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.remove(subscription)

    def publish(self, signal: Signal) -> None:
        for wanted, listener in self._listeners:
            if not wanted or isinstance(signal, wanted):
                try:
                    listener(signal)
                except Exception:
                    log.exception("a listener failed on %s", type(signal).__name__)
        for subscription in self._subscriptions:
            subscription.offer(signal)
