"""Segments: in how many pieces a text goes over the air, and what they cost.

Owns the GSM alphabet (3GPP TS 23.038, 6.2.1: seven bits, with its extension table), the choice
between it and UCS-2, and where a long text is cut: never inside an escape or a surrogate pair.
Knows no provider and sends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GSM_LETTERS = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The alphabet in the order of its codes, 0 to 127."""

EXTENSION = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F,
    "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip
"""What is written as an escape and a code: two places."""

_ESCAPE = 0x1B
_CODES = {letter: bytes([code]) for code, letter in enumerate(GSM_LETTERS) if code != _ESCAPE}
_CODES |= {letter: bytes([_ESCAPE, code]) for letter, code in EXTENSION.items()}
_EXTENSION_LETTERS = {code: letter for letter, code in EXTENSION.items()}

# What printers set and the alphabet lacks: one curly quote would make a text three times as dear.
_PLAIN = str.maketrans(
    {
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{SINGLE LOW-9 QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{DOUBLE LOW-9 QUOTATION MARK}": '"',
        "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}": '"',
        "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}": '"',
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{BULLET}": "-",
        "\N{NO-BREAK SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\N{THIN SPACE}": " ",
        "\t": " ",
        "\N{ZERO WIDTH SPACE}": None,
        "\N{SOFT HYPHEN}": None,
        "\N{ZERO WIDTH NO-BREAK SPACE}": None,
    }
)


class Alphabet(StrEnum):
    """How the letters of a text are carried."""

    GSM = "gsm7"
    UCS2 = "ucs2"


SINGLE = {Alphabet.GSM: 160, Alphabet.UCS2: 70}
"""Places in a text of one segment: septets, or 16-bit units."""

JOINED = {Alphabet.GSM: 153, Alphabet.UCS2: 67}
"""Places in each segment of a longer text; the rest is the header by which they are joined."""

MOST_SEGMENTS = 255


@dataclass(frozen=True, slots=True)
class Segments:
    """A text as it is carried: `parts` in their order, `left` places in the last one still."""

    alphabet: Alphabet
    parts: tuple[str, ...]
    left: int

    @property
    def count(self) -> int:
        return len(self.parts)


def plain(text: str) -> str:
    """The text with typographic signs as a typewriter has them, if that lets it go in the GSM
    alphabet; otherwise as it is, for then it gains nothing. Letters are never changed: an accent
    may be the whole word."""
    plainer = text.replace("\r\n", "\n").translate(_PLAIN)
    return plainer if fits_gsm(plainer) else text


def fits_gsm(text: str) -> bool:
    return all(letter in _CODES for letter in text)


def split(text: str) -> Segments:
    """The text in segments as it stands (see `plain`). An empty one is one segment.

    Raises ValueError for more than 255 of them: the header cannot count further.
    """
    alphabet = Alphabet.GSM if fits_gsm(text) else Alphabet.UCS2
    places = _gsm_places if alphabet is Alphabet.GSM else _ucs2_places
    length = sum(map(places, text))
    if length <= SINGLE[alphabet]:
        return Segments(alphabet, (text,), SINGLE[alphabet] - length)
    parts: list[str] = []
    begun, used = 0, 0
    for at, letter in enumerate(text):
        needed = places(letter)
        if used + needed > JOINED[alphabet]:
            parts.append(text[begun:at])
            begun, used = at, 0
        used += needed
    parts.append(text[begun:])
    if len(parts) > MOST_SEGMENTS:
        raise ValueError(f"a text has at most {MOST_SEGMENTS} segments")
    return Segments(alphabet, tuple(parts), JOINED[alphabet] - used)


def encode(text: str, alphabet: Alphabet) -> bytes:
    """The text as SMPP and modems take it: a septet in each byte, or UTF-16 big-endian.

    Raises KeyError for what the GSM alphabet lacks.
    """
    if alphabet is Alphabet.GSM:
        return b"".join(_CODES[letter] for letter in text)
    return text.encode("utf-16-be", "replace")


def decode_gsm(codes: bytes) -> str:
    """The text of septets, one in each byte. What no table has is a replacement character."""
    letters: list[str] = []
    escaped = False
    for code in codes:
        if escaped:
            # By the standard, an escape that is not understood is the main table's letter.
            letters.append(_EXTENSION_LETTERS.get(code, _letter(code)))
            escaped = False
        elif code == _ESCAPE:
            escaped = True
        else:
            letters.append(_letter(code))
    return "".join(letters)


def _letter(code: int) -> str:
    if code >= len(GSM_LETTERS):
        return "\N{REPLACEMENT CHARACTER}"
    return " " if code == _ESCAPE else GSM_LETTERS[code]


def _gsm_places(letter: str) -> int:
    return len(_CODES[letter])


def _ucs2_places(letter: str) -> int:
    return 2 if ord(letter) > 0xFFFF else 1


@dataclass(frozen=True, slots=True)
class Price:
    """What a segment costs, in millionths of a currency (ISO 4217)."""

    segment_micros: int
    currency: str

    def of(self, segments: Segments) -> int:
        """What the text costs, in millionths of the currency."""
        return self.segment_micros * segments.count
