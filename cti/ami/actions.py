"""AMI actions: what may be said to Asterisk, and how its answer is put together.

Owns the text of an action, its limits, and the ways in which an answer ends. Refuses to know the
connection: whoever sends the text feeds the messages that carry its ActionID to a PendingAction.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cti.ami.framing import LINE_END

HeaderValue = str | int | Sequence[str]

MAX_ACTION_LINE: Final = 1022
"""Bytes of a header that Asterisk still reads: its buffer for a line holds 1,024 with the CRLF."""

MAX_ACTION_HEADERS: Final = 127
"""Headers of one action, which Asterisk keeps in 128 places; the ActionID has one of them."""

_HEADER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FORBIDDEN: Final = re.compile(r"[\r\n\0]")
_REFUSALS: Final = frozenset({"error", "fail", "failure"})


class AmiError(Exception):
    """What can go wrong with an action."""


class ActionFailed(AmiError):
    """Asterisk's answer was an error; the text is its message, `headers` its whole answer."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__(headers.get("Message", "") or "no reason given")
        self.headers = headers


class ActionTimeout(AmiError):
    """No answer in time. Asterisk may have done the action, or may do it yet."""


class LinkDown(AmiError):
    """There is no link. With `sent`, the action had been sent: Asterisk may have done it."""

    def __init__(self, cause: str, *, sent: bool) -> None:
        super().__init__(cause)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class AmiResponse:
    """Asterisk's answer to an action: its headers as in a message of AmiFramer."""

    headers: Mapping[str, str]

    @property
    def message(self) -> str:
        return self.headers.get("Message", "")

    @property
    def output(self) -> list[str]:
        """The lines that a `Command` printed."""
        return self.headers["Output"].split("\n") if "Output" in self.headers else []


@dataclass(slots=True)
class PendingAction:
    """An action under way; a list action gathers its `events` until the list is complete."""

    answer: asyncio.Future[dict[str, str]]
    is_list: bool
    response: dict[str, str] | None = None
    events: list[dict[str, str]] = field(default_factory=list)

    def take(self, message: dict[str, str]) -> None:
        if self.answer.done():
            return
        if "Response" in message:
            self.response = message
            if is_refusal(message) or not self.is_list or not _list_follows(message):
                self.answer.set_result(message)
        elif self.is_list:
            if _ends_list(message):
                self.answer.set_result(self.response or message)
            else:
                self.events.append(message)


def is_refusal(response: Mapping[str, str]) -> bool:
    """True if an answer says that the action was not done."""
    return response.get("Response", "").lower() in _REFUSALS


def _list_follows(response: dict[str, str]) -> bool:
    # An empty list is sometimes a plain success with a text, and no list at all.
    return "EventList" in response or "follow" in response.get("Message", "").lower()


def _ends_list(event: dict[str, str]) -> bool:
    if "EventList" in event:
        return event["EventList"].lower() in {"complete", "cancelled"}
    return event["Event"].endswith("Complete")


def write_headers(headers: Mapping[str, HeaderValue]) -> bytes:
    """An action's lines without the blank one; ValueError for what Asterisk would misread."""
    lines = []
    for name, values in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("an action's header name has other characters than letters and digits")
        for value in [values] if isinstance(values, str | int) else values:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if _FORBIDDEN.search(text):
                raise ValueError(f"the value of {name} holds a line end or NUL")
            line = f"{name}: {text}".encode()
            if len(line) > MAX_ACTION_LINE:
                raise ValueError(f"the value of {name} is longer than a line of AMI can be")
            lines.append(line + LINE_END)
    if len(lines) > MAX_ACTION_HEADERS:
        raise ValueError("more headers than an action can have")
    return b"".join(lines)
