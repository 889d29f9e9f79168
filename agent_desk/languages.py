"""The languages that people see: texts through gettext, and which one a reader gets.

Owns the list of languages, their catalogues in locale/, and the choice between the reader's own
pick, the agent's record and what the browser asks for. Refuses to know pages.
"""

from __future__ import annotations

import gettext
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

log = logging.getLogger(__name__)

LOCALE_FOLDER = Path(__file__).with_name("locale")
DOMAIN = "desk"

NAMES = {"en": "English", "zh": "中文", "es": "Español", "fa": "فارسی"}
"""Each language by its own name."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language to speak to a reader in. `direction` is "ltr" or "rtl", as HTML's `dir` has it."""

    code: str
    direction: str
    texts: gettext.NullTranslations

    def __call__(self, text: str) -> str:
        return self.texts.gettext(text)

    def count(self, one: str, many: str, number: int) -> str:
        """The text in the form that goes with the number."""
        return self.texts.ngettext(one, many, number)


@cache
def language(code: str) -> Language:
    """The language, or English for a code that is not served."""
    if code not in NAMES:
        code = "en"
    direction = Locale.parse(code).text_direction
    if code == "en":
        return Language(code, direction, gettext.NullTranslations())
    # A catalogue that is missing costs its texts, not the desk.
    texts = gettext.translation(DOMAIN, LOCALE_FOLDER, [code], fallback=True)
    return Language(code, direction, texts)


def chosen(picked: str | None, recorded: str | None, accepted: Sequence[str]) -> Language:
    """The reader's pick (a cookie), else the agent's record, else the browser's wish, else English.

    `accepted` are the codes of Accept-Language, best first.
    """
    for code in (picked, recorded):
        if code in NAMES:
            return language(str(code))
    return language(negotiate_locale(accepted, NAMES, sep="-") or "en")


def accepted_languages(header: str) -> list[str]:
    """The codes of an Accept-Language header, best first; rubbish in it is left out."""
    weighed = []
    for part in header[:1000].split(","):
        code, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), code.strip()))
        except ValueError:
            continue
    return [code for _, code in sorted(weighed, key=lambda pair: pair[0]) if code]


def compile_catalogues() -> None:
    """Make the .mo files that are missing or older than their .po. Raises OSError."""
    for source in sorted(LOCALE_FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as lines:
            catalogue = read_po(lines)
        # Written beside and renamed: another process may be reading, or compiling too.
        fresh = target.with_suffix(f".mo.{id(catalogue):x}")
        with fresh.open("wb") as file:
            write_mo(file, catalogue)
        fresh.replace(target)
        log.info("compiled %s", target.relative_to(LOCALE_FOLDER))


if __name__ == "__main__":
    compile_catalogues()
