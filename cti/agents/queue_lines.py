"""The lines of the queues of one PBX: who waits, in app_queue's own order, each with their place.

A place is the number that a caller brings along (QUEUE_PRIO, see crm_store.contacts.queue_places).
Sans-IO like the call model. Refuses to know who the callers are and when their turn comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Message = Mapping[str, str]

PLACE_VARIABLE: Final = "QUEUE_PRIO"


@dataclass(frozen=True, slots=True)
class InLine:
    """Somebody who waits, by their channel's Uniqueid. Who brought no place has app_queue's 0."""

    uniqueid: str
    place: int = 0


class QueueLines:
    """Feed it messages in order; `rebuild` it after each connect."""

    def __init__(self) -> None:
        self._lines: dict[str, list[InLine]] = {}
        self._places: dict[str, int] = {}
        """The places of channels that live, by Uniqueid."""

    def of(self, queue: str) -> Sequence[InLine]:
        """Who waits in that queue, whoever is next first."""
        return self._lines.get(queue, ())

    def feed(self, message: Message) -> None:
        """Take one AMI message. Never raises on any message."""
        match message.get("Event"):
            case "VarSet" if message.get("Variable") == PLACE_VARIABLE:
                self._places[message.get("Uniqueid", "")] = _number(message.get("Value", ""))
            case "QueueCallerJoin":
                self._join(message)
            case "QueueCallerLeave":
                self._leave(message.get("Queue", ""), message.get("Uniqueid", ""))
            case "Hangup":
                self._places.pop(message.get("Uniqueid", ""), None)

    def rebuild(self, queue_status: Iterable[Message]) -> None:
        """Become what the answer to QueueStatus says."""
        self._lines.clear()
        self._places.clear()
        entries = [row for row in queue_status if row.get("Event") == "QueueEntry"]
        for row in sorted(entries, key=lambda row: _number(row.get("Position", ""))):
            place = _number(row.get("Priority", ""))
            someone = InLine(row.get("Uniqueid", ""), place)
            self._places[someone.uniqueid] = place
            self._lines.setdefault(row.get("Queue", ""), []).append(someone)

    def _join(self, message: Message) -> None:
        queue, uniqueid = message.get("Queue", ""), message.get("Uniqueid", "")
        self._leave(queue, uniqueid)
        line = self._lines.setdefault(queue, [])
        position = _number(message.get("Position", "")) or len(line) + 1
        line.insert(position - 1, InLine(uniqueid, self._places.get(uniqueid, 0)))

    def _leave(self, queue: str, uniqueid: str) -> None:
        line = self._lines.get(queue, [])
        line[:] = [someone for someone in line if someone.uniqueid != uniqueid]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


LINE_HEADERS: Final = frozenset(
    ("Event", "Position", "Priority", "Queue", "Uniqueid", "Value", "Variable")
)
"""The headers that the lines are read from."""
