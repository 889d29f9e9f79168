"""Excerpts: the part of a text where the words of a question stand, with the words marked.

Owns finding in the text as it was written what the index found in folded terms. Knows no database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from crm_store.search_terms import LETTER, Clause, Phrase, fold_letters, is_paired

LONGEST_READ: Final = 20_000
LONGEST_EXCERPT: Final = 180
BEFORE: Final = 50
"""So much of the text stands before the first word that was found."""

Piece = tuple[str, bool]
"""A part of the text as it is, and whether it was looked for."""


def excerpt(
    texts: Iterable[str], clauses: Sequence[Clause], *, longest: int = LONGEST_EXCERPT
) -> list[Piece]:
    """The best part of the texts: of the first with the most of the words. Without any of them the
    beginning of the first text that says something."""
    patterns = [_pattern(clause) for clause in clauses]
    best: tuple[int, str, list[tuple[int, int]]] = (0, "", [])
    for written in texts:
        text = " ".join(written[:LONGEST_READ].split())
        if not text:
            continue
        places, words = _places(text, patterns)
        if words > best[0] or not best[1]:
            best = (words, text, places)
        if words == len(patterns):
            break
    _, text, places = best
    return _cut(text, places, longest)


def _places(text: str, patterns: Sequence[re.Pattern[str]]) -> tuple[list[tuple[int, int]], int]:
    """Where in the text something that was looked for stands, and how many of the patterns do."""
    folded, origin = _folded(text)
    found: list[tuple[int, int]] = []
    words = 0
    for pattern in patterns:
        spans = [match.span() for match in pattern.finditer(folded)]
        words += bool(spans)
        found += [(origin[first], origin[last - 1] + 1) for first, last in spans if last > first]
    return _joined(sorted(found)), words


def _folded(text: str) -> tuple[str, list[int]]:
    """The text as it is compared, and from which of its letters each of these came."""
    if text.isascii():
        return text.casefold(), list(range(len(text)))
    pieces: list[str] = []
    origin: list[int] = []
    for place, letter in enumerate(text):
        plain = fold_letters(letter)
        pieces.append(plain)
        origin += [place] * len(plain)
    return "".join(pieces), origin


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in spans:
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _cut(text: str, places: Sequence[tuple[int, int]], longest: int) -> list[Piece]:
    first = max(0, places[0][0] - BEFORE) if places else 0
    if first:
        # A word is not cut in two, unless it is a very long one.
        space = text.find(" ", first, first + BEFORE // 2)
        first = space + 1 if 0 <= space < places[0][0] else first
    last = min(len(text), first + longest)
    pieces: list[Piece] = [("… ", False)] if first else []
    at = first
    for start, end in places:
        if start >= last:
            break
        if start > at:
            pieces.append((text[at:start], False))
        pieces.append((text[max(start, at) : min(end, last)], True))
        at = min(end, last)
    if at < last:
        pieces.append((text[at:last], False))
    if last < len(text):
        pieces.append((" …", False))
    return pieces


def _pattern(clause: Clause) -> re.Pattern[str]:
    """Any of the clause's phrases; all its terms are letters and digits."""
    ways = dict.fromkeys(_of_phrase(phrase) for way in clause for phrase in way if phrase.terms)
    return re.compile("|".join(ways) or r"(?!)")


def _of_phrase(phrase: Phrase) -> str:
    parts: list[str] = []
    for term in phrase.terms:
        if parts and is_paired(term) and is_paired(parts[-1]):
            # Pairs of characters that follow each other share one.
            joined = parts[-1] + term[1:] if parts[-1][-1] == term[0] else parts[-1] + term
            parts[-1] = joined
        else:
            parts.append(term)
    words = []
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        if is_paired(part):
            words.append(re.escape(part))
        elif part.isdecimal() and len(part) >= _LONG_NUMBER:
            # The country's code, where only the last digits were looked for.
            words.append(r"(?:\+?\d[\d ().-]{0,8})?" + r"[\s().\-/]{0,3}".join(part))
        else:
            ends = "" if is_last and phrase.is_prefix else rf"(?!{LETTER})"
            words.append(rf"(?<!{LETTER}){re.escape(part)}{ends}")
    return r"[\W_]+".join(words)


_LONG_NUMBER: Final = 6
