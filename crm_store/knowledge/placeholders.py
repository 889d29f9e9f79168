"""Placeholders: the places in a text where the customer's, the agent's or the call's values go.

Owns how they are written ({customer.name}), which there are, and what is wrong with a text before
it is kept. A value that is missing stays visible as such: no text ever leaves with a brace in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

NAMES = ("customer.name", "agent.name", "queue", "points", "today")
"""All that a text may ask for: the customer's and the agent's name, the queue's title, the balance
of points, and today's date, each as the text's language writes it."""

_PLACE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a filled text. `kind` is "text", "value" or "missing"; a missing part's `text` is
    the placeholder's name."""

    kind: str
    text: str


def mistakes(text: str) -> list[str]:
    """What cannot be filled, as it is written: unknown names in their braces, and lone braces."""
    found = [place[0] for place in _PLACE.finditer(text) if place[1] not in NAMES]
    rest = _PLACE.sub("", text)
    return found + [brace for brace in "{}" if brace in rest]


def names_in(text: str) -> list[str]:
    """The placeholders of the text, each once, in their order."""
    return list(dict.fromkeys(place[1] for place in _PLACE.finditer(text)))


def parts(text: str, values: Mapping[str, str]) -> list[Part]:
    """The text cut at its placeholders; an empty value is a missing one."""
    found: list[Part] = []
    end = 0
    for place in _PLACE.finditer(text):
        found.append(Part("text", text[end : place.start()]))
        value = values.get(place[1], "")
        found.append(Part("value", value) if value else Part("missing", place[1]))
        end = place.end()
    found.append(Part("text", text[end:]))
    return [part for part in found if part.text]


def filled(text: str, values: Mapping[str, str]) -> tuple[str, list[str]]:
    """The whole text, and the names of what is missing: with any of those it must not be sent."""
    cut = parts(text, values)
    whole = "".join(part.text for part in cut if part.kind != "missing")
    return whole, list(dict.fromkeys(part.text for part in cut if part.kind == "missing"))
