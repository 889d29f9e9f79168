"""Texts from outside, made safe to be spoken.

Owns what may not reach an engine: markup, phonemes in brackets, control characters. A product's
name is hostile input.
"""

from __future__ import annotations

import re
import unicodedata


def plain(text: str) -> str:
    """A name from the store (a product, a place, a holiday) as one line, without anything that an
    engine could take for markup."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if unicodedata.category(letter) in _UNSPOKEN else letter for letter in text)
    return " ".join(re.sub(r"[\[\]{}<>|\\^~`_=*#]", " ", text).split())


_UNSPOKEN = frozenset(("Cc", "Cs", "Co", "Cn", "Zl", "Zp"))
