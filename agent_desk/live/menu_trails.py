"""What callers heard and keyed in the phone menu, while their calls live.

Owns the trail that goes with a call's pop, so that nobody has to ask again. Runs inside
`bus.publish`. Refuses to know whose screen the call comes to, and what menus there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent_desk.live.caller_display import Document
from crm_store import signals as s

MOST_STEPS = 60
"""A longer visit shows its newest steps."""
MOST_CALLS = 10_000
"""Trails kept at once; the oldest goes when a call's end was never heard of."""


class MenuTrails:
    def __init__(self) -> None:
        self._trails: dict[tuple[str, str], Document] = {}
        self._act: dict[type[s.Signal], Callable[[Any], None]] = {
            s.MenuEntered: self._entered,
            s.MenuStep: self._stepped,
            s.MenuLeft: self._left,
            s.CallMerged: self._merged,
            s.CallEnded: self._ended,
        }

    def on_signal(self, signal: s.Signal) -> None:
        act = self._act.get(type(signal))
        if act is not None:
            act(signal)

    def of(self, pbx: str, call: str) -> Document | None:
        """`language, steps` ({"place", "heard", "keyed", "language"}), `left_to`; None for a call
        that was in no menu. Each is a document of its own: what was given out does not change."""
        return self._trails.get((pbx, call))

    def _entered(self, signal: s.MenuEntered) -> None:
        key = (signal.pbx, signal.call)
        before = self._trails.get(key)
        if before is None and len(self._trails) >= MOST_CALLS:
            del self._trails[next(iter(self._trails))]
        steps = before["steps"] if before else []
        self._trails[key] = {"language": signal.language, "steps": steps, "left_to": ""}

    def _stepped(self, signal: s.MenuStep) -> None:
        key = (signal.pbx, signal.call)
        before = self._trails.get(key)
        if before is None:
            return
        steps = before["steps"]
        step = {
            "place": signal.place,
            "heard": signal.heard,
            "keyed": signal.keyed,
            "language": signal.language,
        }
        if signal.keyed and not signal.heard and steps and not steps[-1]["keyed"]:
            # The key that answers what was heard last.
            steps, step = steps[:-1], {**steps[-1], "keyed": signal.keyed}
        steps = [*steps, step][-MOST_STEPS:]
        self._trails[key] = {**before, "language": signal.language, "steps": steps}

    def _left(self, signal: s.MenuLeft) -> None:
        key = (signal.pbx, signal.call)
        if key in self._trails:
            self._trails[key] = {**self._trails[key], "left_to": signal.to}

    def _merged(self, signal: s.CallMerged) -> None:
        trail = self._trails.pop((signal.pbx, signal.merged), None)
        if trail is not None:
            self._trails.setdefault((signal.pbx, signal.call), trail)

    def _ended(self, signal: s.CallEnded) -> None:
        self._trails.pop((signal.pbx, signal.call), None)
