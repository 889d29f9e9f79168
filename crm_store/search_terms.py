"""Search terms: how a text becomes what it is found by, and a question what is looked for.

Owns folding and cutting, for any script. Knows no database; text_search.py has the indexes.

Terms: folded (`fold_letters`), split at what is no letter or digit. Chinese, Japanese and Korean
are pairs of characters, and the last character alone, so that each character begins a term and one
is found as a prefix. A number with separators is also a term without them, and a long one also by
its last nine digits, so that +44 20 7946 0958 and 020-7946-0958 find each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# A tsvector holds positions up to 16,383, and the rest of so long a text finds itself.
MOST_TERMS = 8_000
LONGEST_TERM = 60
# A query of more words than this is a text that was pasted.
MOST_CLAUSES = 16


class Phrase(NamedTuple):
    """Terms that stand together; with `is_prefix` the last one is the beginning of a term."""

    terms: tuple[str, ...]
    is_prefix: bool = False


# What has to be there: one of several ways, each of them all of its phrases.
Clause = tuple[tuple[Phrase, ...], ...]


def fold_letters(written: str) -> str:
    """Letters as they are compared: one width, no case, no accents, Arabic letters as Persian
    writes them, digits of any script as 0 to 9."""
    plain = unicodedata.normalize("NFKD", written).translate(_ONE_FORM)
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    folded = unicodedata.normalize("NFC", kept.casefold())
    if folded.isascii():
        return folded
    return "".join(
        str(unicodedata.digit(letter)) if letter.isdecimal() else letter for letter in folded
    )


def terms(texts: Iterable[str]) -> list[str]:
    """The terms of some texts in order; a phrase never spans two of them."""
    found: list[str] = []
    numbers: dict[str, None] = {}
    for written in texts:
        folded = fold_letters(written)
        if found and folded:
            found.append(END_OF_TEXT)
        for run in _RUN.findall(folded):
            found += _terms_of(run)
            if len(found) >= MOST_TERMS:
                break
        for number in _NUMBER.findall(folded):
            numbers |= dict.fromkeys(_ways_of(number))
        if len(found) >= MOST_TERMS:
            break
    plain = found[:MOST_TERMS]
    known = set(plain)
    for number in [number for number in numbers if number not in known][:MOST_TERMS]:
        plain += (END_OF_TEXT, number)
    return plain


def parse(question: str) -> list[Clause]:
    """What a question asks for. The last word is a prefix, unless a space or quote follows it."""
    clauses: list[Clause] = []
    for place, part in enumerate(_QUOTES.split(question)):
        folded = fold_letters(part)
        if place % 2:
            phrase = _phrase(_RUN.findall(folded))
            clauses += [((phrase,),)] if phrase.terms else []
        else:
            clauses += _loose_clauses(folded)
    return clauses[:MOST_CLAUSES]


def is_paired(term: str) -> bool:
    """Whether the term is of characters that are indexed as pairs."""
    return _PAIRED.match(term) is not None


def _loose_clauses(folded: str) -> list[Clause]:
    clauses: list[Clause] = []
    still_typed = bool(folded) and not folded[-1].isspace()
    at = 0
    for number in _NUMBER.finditer(folded):
        ways = _ways_of(number.group())
        if not ways:
            continue
        clauses += [
            _word(run, is_prefix=False) for run in _RUN.findall(folded[at : number.start()])
        ]
        runs = _RUN.findall(number.group())
        ending = still_typed and number.end() == len(folded)
        as_written = tuple(
            Phrase((run,), ending and place == len(runs) - 1) for place, run in enumerate(runs)
        )
        others = tuple((Phrase((way,), ending),) for way in ways if (way,) != tuple(runs))
        clauses.append((as_written, *others))
        at = number.end()
    rest = _RUN.findall(folded[at:])
    return clauses + [
        _word(run, is_prefix=still_typed and place == len(rest) - 1)
        for place, run in enumerate(rest)
    ]


def _word(run: str, *, is_prefix: bool) -> Clause:
    if _PAIRED.match(run):
        return ((_phrase([run]),),)
    return ((Phrase((run[:LONGEST_TERM],), is_prefix),),)


def _phrase(runs: Sequence[str]) -> Phrase:
    found = [term for run in runs for term in _terms_of(run)]
    if not found or not _PAIRED.match(runs[-1]):
        return Phrase(tuple(found))
    # The text may go on after the last character, where its term is a pair.
    if len(runs[-1]) > 1:
        return Phrase(tuple(found[:-1]))
    return Phrase(tuple(found), is_prefix=True)


def _terms_of(run: str) -> list[str]:
    if not _PAIRED.match(run):
        return [run[:LONGEST_TERM]]
    return [run[place : place + 2] for place in range(len(run))]


def _ways_of(number: str) -> list[str]:
    digits = re.sub(r"\D", "", number)
    if not _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS:
        return []
    return list(dict.fromkeys([digits] + ([digits[-9:]] if len(digits) > 9 else [])))


# Arabic yeh, kaf, teh marbuta and the forms of heh to what Persian writes; the joiners are a
# matter of spelling.
_ONE_FORM = str.maketrans(
    {"ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه", "ە": "ه", "ـ": None, "\u200c": None, "\u200d": None}
)
_CHARACTERS = (
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003134f"
)
_PAIRED = re.compile(f"[{_CHARACTERS}]")
LETTER = f"(?![{_CHARACTERS}])[^\\W_]"
"""A pattern: a letter or digit of a word that is not made of such characters."""
_RUN = re.compile(f"[{_CHARACTERS}]+|(?:{LETTER})+")
_NUMBER = re.compile(r"(?<![^\W_])\d+(?:[\s().\-/]{1,3}\d+)*(?![^\W_])")
_FEWEST_DIGITS, _MOST_DIGITS = 6, 24
_QUOTES = re.compile('["\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f]')
# No letter or digit, so nobody's word; more than ASCII, so that FTS5's tokenizer keeps it.
END_OF_TEXT = "¶"
