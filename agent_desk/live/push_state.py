"""The reader's side of the push: frames in, the state they add up to out.

Owns the one reducer that `deskbell watch`, the tests and the bench share; static/push_state.js is
the same for browsers. Sans-IO: it refuses to know the socket. The protocol is told in docs/push.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(slots=True)
class TopicState:
    """One topic as far as it has been read: the number of the last frame, and the documents."""

    n: int = -1
    documents: dict[str, Document] = field(default_factory=dict)


class PushState:
    """All topics of one connection.

    >>> state = PushState()
    >>> state.apply({"topic": "queues", "n": 4, "snapshot": {"sales": {"waiting": 1}}})
    >>> state.apply({"topic": "queues", "n": 5, "set": {"sales": {"waiting": 0}}, "gone": []})
    >>> state["queues"]
    {'sales': {'waiting': 0}}
    >>> state.apply({"topic": "queues", "n": 7, "set": {}, "gone": []})
    'queues'
    """

    def __init__(self) -> None:
        self._topics: dict[str, TopicState] = {}

    def __getitem__(self, topic: str) -> dict[str, Document]:
        """The topic's documents by key; empty until its first snapshot."""
        state = self._topics.get(topic)
        return state.documents if state else {}

    def number_of(self, topic: str) -> int:
        """The number of the last frame applied, -1 before the first snapshot."""
        state = self._topics.get(topic)
        return state.n if state else -1

    def apply(self, frame: dict[str, Any]) -> str | None:
        """Take one frame in. Returns a topic's name when a gap shows: send {"resync": name}.

        Frames that are older than what is known (a broadcast overtaken by a snapshot) and frames
        without a topic (the beat, errors) change nothing.
        """
        topic = frame.get("topic")
        if topic is None:
            return None
        if "snapshot" in frame:
            self._topics[topic] = TopicState(frame["n"], dict(frame["snapshot"]))
            return None
        state = self._topics.get(topic)
        if state is None or frame["n"] > state.n + 1:
            return str(topic)
        if frame["n"] == state.n + 1:
            state.n = frame["n"]
            state.documents.update(frame["set"])
            for key in frame["gone"]:
                state.documents.pop(key, None)
        return None
