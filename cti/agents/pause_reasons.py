"""What Asterisk keeps for us in a paused member's reason: words of ours, and the clock of wrap-up.

Owns the form of that text, which is the one place where a wrap-up's end stands: so it outlives our
restart, a lost link, and (put back by seats.py) Asterisk's own restart. Knows no queue and no
agent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

WRAP_UP: Final = "wrap-up"
"""The agent writes up a call."""
WRITTEN_WORK: Final = "written-work"
"""The agent works on what comes in writing: a state of its own."""
MISSED_RINGS: Final = "missed-rings"
"""So many calls rang unanswered, one after the other, that no more are offered."""
PHONE_LOST: Final = "phone-lost"
"""The agent's phone was gone during a call."""

RESERVED_REASONS: Final = frozenset({WRAP_UP, WRITTEN_WORK, MISSED_RINGS, PHONE_LOST})
"""Codes that no supervisor can give to a pause reason of their own."""

LONGEST_CODE: Final = 30
"""Asterisk keeps 79 characters of a reason; a wrap-up's own words need 48 of them."""

_WRAP_UP = re.compile(
    r"wrap-up(?: (?:for (?P<seconds>\d{1,6})|(?P<begun>\d{1,10})-(?P<ends>\d{1,10}))"
    r"\+(?P<extra>\d{1,6}))?(?: then (?P<then>\S{1,79}))?"
)
_MISSED_RINGS = re.compile(r"missed-rings (\d{1,4})")


@dataclass(frozen=True, slots=True)
class WrapUp:
    """A wrap-up that is reserved while the agent still talks, or that runs.

    It lasts `seconds`; `begun` and `ends_at` (seconds since 1970, on the PBX's clock) are None
    until it runs. It may be lengthened by `extendable` seconds more. The pause reason `then`
    follows it, "" for none.
    """

    seconds: int
    extendable: int = 0
    begun: int | None = None
    ends_at: int | None = None
    then: str = ""

    def as_reason(self) -> str:
        """The text that Asterisk keeps: "wrap-up for 30+300" while it is reserved,
        "wrap-up 1764012300-1764012330+300 then lunch" when it runs."""
        if self.begun is None or self.ends_at is None:
            text = f"{WRAP_UP} for {self.seconds}+{self.extendable}"
        else:
            text = f"{WRAP_UP} {self.begun}-{self.ends_at}+{self.extendable}"
        return f"{text} then {self.then}" if self.then else text


def wrap_up_of(reason: str) -> WrapUp | None:
    """The wrap-up that the reason speaks of; None for any other reason.

    A bare "wrap-up", of another program or an older release, lasts 0 seconds.
    """
    found = _WRAP_UP.fullmatch(reason)
    if found is None:
        return None
    begun, ends = found["begun"], found["ends"]
    return WrapUp(
        seconds=int(found["seconds"] or 0) if ends is None else int(ends) - int(begun),
        extendable=int(found["extra"] or 0),
        begun=None if begun is None else int(begun),
        ends_at=None if ends is None else int(ends),
        then=found["then"] or "",
    )


def missed_rings_reason(count: int) -> str:
    """The reason of an agent who is paused after `count` missed rings in a row."""
    return f"{MISSED_RINGS} {min(count, 9999)}"


def missed_rings_of(reason: str) -> int:
    """How many missed rings the reason speaks of, 0 for any other reason."""
    found = _MISSED_RINGS.fullmatch(reason)
    return int(found[1]) if found else 0
