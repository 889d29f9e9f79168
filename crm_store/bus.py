"""The bus: signals from whoever makes them to whoever needs them, within one process.

Owns the order: signals arrive as they were published, at each listener in turn. Refuses to know
what a signal means. Whoever takes time over a signal keeps a record of its own and says what
becomes of the rest: the push sends a fresh snapshot, the journal keeps one record for each call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from crm_store.signals import Signal

log = logging.getLogger(__name__)

Listener = Callable[[Signal], None]


class Bus:
    """In-process publish and listen.

    A listener runs inside `publish`, which is the path of a pop: it must not block, and its
    exception is logged and hurts nobody else.
    """

    def __init__(self) -> None:
        self._listeners: list[tuple[tuple[type[Signal], ...], Listener]] = []

    def listen(self, listener: Listener, *wanted: type[Signal]) -> None:
        """Call `listener` with each signal of the wanted types (all, if none is named)."""
        self._listeners.append((wanted, listener))

    def publish(self, signal: Signal) -> None:
        for wanted, listener in self._listeners:
            if not wanted or isinstance(signal, wanted):
                try:
                    listener(signal)
                except Exception:
                    log.exception("a listener failed on %s", type(signal).__name__)
