"""Recovery: news kept back while Asterisk's lists are read, then lists and news in one order.

Owns that order, for a live link and for a recording of one: what came before the lists is the past,
the lists are the present, what came while they were read is taken after them. Sans-IO. Refuses to
know how lists are asked for and what a message means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from crm_store.signals import Signal
from cti.calls.call_rebuild import AsteriskLists

Message = Mapping[str, str]

PATIENCE: Final = 1_000
"""Messages kept back for lists that a recording promises; a stream without lists goes on then."""

LIST_OF: Final = {
    "CoreShowChannel": "channels",
    "QueueParams": "queue_status",
    "QueueMember": "queue_status",
    "QueueEntry": "queue_status",
    "ParkedCall": "parked_calls",
}
LIST_ENDS: Final = {
    "CoreShowChannelsComplete": "channels",
    "QueueStatusComplete": "queue_status",
    "ParkedCallsComplete": "parked_calls",
}


class CallRecovery:
    """Stands before the models: `take` passes a message on, or keeps it until `become`.

    `feed` takes a message, `rebuild` the lists; both return what that means.
    """

    def __init__(
        self,
        feed: Callable[[Message], Sequence[Signal]],
        rebuild: Callable[[AsteriskLists, float | None], Sequence[Signal]],
    ) -> None:
        self._feed = feed
        self._rebuild = rebuild
        self._kept: list[Message] | None = None

    @property
    def kept_back(self) -> int:
        """How many messages wait for the lists."""
        return len(self._kept or ())

    @property
    def keeping_back(self) -> bool:
        return self._kept is not None

    def keep_back(self) -> None:
        """The link is new, or the lists are being asked for: what comes now is taken later."""
        if self._kept is None:
            self._kept = []

    def forget(self) -> None:
        """What was kept back is older than the lists to come: the link is down, or just came up."""
        self._kept = []

    def take(self, message: Message) -> Sequence[Signal]:
        if self._kept is not None:
            self._kept.append(message)
            return ()
        return self._feed(message)

    def become(self, lists: AsteriskLists, at: float | None = None) -> list[Signal]:
        """The lists are there: be what they say, then take what was kept back.

        `at` is the moment of the lists; None: that of the first message kept back, if it has one.
        """
        if at is None:
            at = next((float(kept["Timestamp"]) for kept in self._kept or () if _timed(kept)), None)
        return [*self._rebuild(lists, at), *self.go_on()]

    def go_on(self) -> list[Signal]:
        """Take what was kept back, without lists."""
        kept, self._kept = self._kept or [], None
        return [signal for message in kept for signal in self._feed(message)]


def _timed(message: Message) -> bool:
    return message.get("Timestamp", "").replace(".", "", 1).isdecimal()


class RecordedLink:
    """Follows the recording of a live link: each new login and each reading of the lists.

    A stream of somebody else's, without logins or without lists, passes through unchanged.
    """

    def __init__(self, recovery: CallRecovery) -> None:
        self._recovery = recovery
        self._lists: dict[str, list[Message]] = {}
        self._complete: set[str] = set()

    def take(self, message: Message) -> Sequence[Signal]:
        """Take the next message of the stream; return what it means."""
        event = message.get("Event")
        if event is None:
            return self._response(message)
        if "ActionID" in message:
            if event in LIST_OF:
                self._recovery.keep_back()
                self._lists.setdefault(LIST_OF[event], []).append(message)
                return ()
            if event in LIST_ENDS:
                self._recovery.keep_back()
                self._complete.add(LIST_ENDS[event])
                return self._become() if len(self._complete) == len(LIST_ENDS) else ()
        signals = self._recovery.take(message)
        return self._give_up() if self._recovery.kept_back > PATIENCE else signals

    def finish(self) -> Sequence[Signal]:
        """The recording ends: what waits for lists waits no more."""
        return self._give_up() if self._recovery.keeping_back else ()

    def _response(self, message: Message) -> Sequence[Signal]:
        if message.get("Message") == "Authentication accepted":
            self._start_over()
            self._recovery.keep_back()
        elif message.get("Response") == "Error" and {"channels", "queue_status"} <= self._complete:
            # A PBX without res_parking has no ParkedCalls.
            return self._become()
        return ()

    def _start_over(self) -> None:
        self._lists.clear()
        self._complete.clear()

    def _become(self) -> Sequence[Signal]:
        lists = AsteriskLists(
            self._lists.get("channels", ()),
            self._lists.get("queue_status", ()),
            self._lists.get("parked_calls", ()),
        )
        self._start_over()
        return self._recovery.become(lists)

    def _give_up(self) -> Sequence[Signal]:
        self._start_over()
        return self._recovery.go_on()
