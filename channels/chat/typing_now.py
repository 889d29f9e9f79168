"""Who types in which chat just now: said again every few seconds, else it is over.

Owns the timers. Refuses to know who is told of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LASTS_S = 6.0
"""Whoever types says so again within this time."""


class TypingNow:
    """`is_over` is called when somebody (of a conversation) has not said so again in time."""

    def __init__(self, is_over: Callable[[int, str], None]) -> None:
        self._is_over = is_over
        self._timers: dict[tuple[int, str], asyncio.TimerHandle] = {}

    def says(self, conversation_id: int, who: str, is_typing: bool) -> bool:
        """Somebody types, or has stopped; whether that is news."""
        known = self._timers.pop((conversation_id, who), None)
        if known is not None:
            known.cancel()
        if is_typing:
            self._timers[conversation_id, who] = asyncio.get_running_loop().call_later(
                LASTS_S, self._end, conversation_id, who
            )
        return (known is None) is is_typing

    def forget(self, conversation_id: int | None = None) -> None:
        """Nobody types in that conversation, or in any."""
        for key in [key for key in self._timers if conversation_id in (None, key[0])]:
            self._timers.pop(key).cancel()

    def _end(self, conversation_id: int, who: str) -> None:
        self._timers.pop((conversation_id, who), None)
        self._is_over(conversation_id, who)
