"""What callers hear, as a list for people: by place, with each stretch that can be recorded.

Owns places and how a sentence is cut into stretches. A stretch is fixed words between two values;
a label is heard with its key ("For English, press 1."), so it is a sentence for each key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from agent_desk.languages import Language
from crm_store.database import Database
from crm_store.phone_menus import menus, prompt_recordings
from ivr.answering import Published
from ivr.menus import tree as trees
from ivr.menus.publishing import LABEL_KEYS
from ivr.prompts import LANGUAGES, ONE, PROMPTS, Prompts, pieces

NOT_SPOKEN = frozenset(("choice", "complaint_sms_text"))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Fixed words of a sentence: its part `number`, counted from 0 without the values."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as callers hear it, by language; a language in which it is never said is left
    out."""

    code: str
    place: str
    texts: Mapping[str, str]

    def stretches(self, language: str) -> list[Stretch]:
        fixed = [piece.text.strip() for piece in pieces(self.texts[language]) if not piece.is_value]
        said = [text for text in fixed if any(letter.isalnum() for letter in text)]
        return [Stretch(number, text) for number, text in enumerate(said)]


PLACES: Mapping[str, tuple[Callable[[Language], str], tuple[str, ...]]] = {
    "everywhere": (
        lambda _: _("Everywhere"),
        ("zero", "star", "not", "nothing", "goodbye", "trouble", "too", "language"),
    ),
    "points": (lambda _: _("Points"), ("points",)),
    "orders": (lambda _: _("Orders"), ("orders", "order")),
    "products": (lambda _: _("Products"), ("products", "product")),
    "mall": (lambda _: _("About the house"), ("hours", "promotions", "mall")),
    "number": (lambda _: _("A number to be called at"), ("number",)),
    "letting": (lambda _: _("A stand"), ("letting",)),
    "complaint": (lambda _: _("Complaints"), ("complaint",)),
    "agent": (lambda _: _("To an agent"), ("agent",)),
    "waiting": (lambda _: _("Waiting and callbacks"), ("waiting", "callback")),
    "message": (lambda _: _("Leaving a message"), ("message",)),
    "survey": (lambda _: _("Survey"), ("survey",)),
}
"""The built-in sentences' places, by the first words of their codes."""


async def read_sentences(database: Database) -> list[Sentence]:
    """All sentences, the published menus' own first."""
    own: dict[str, dict[str, str]] = {}
    for (code, language), text in (await prompt_recordings.own_texts(database)).items():
        own.setdefault(code, {})[language] = text
    found = {}
    for code, version in (await menus.MENUS.used_now(database)).items():
        try:
            found[code] = trees.read(version.content)
        except trees.MalformedTree:
            continue
    published = Published(trees=found, own_texts=own)
    sentences: list[Sentence] = []
    for code, tree in found.items():
        sentences += _of_tree(published.prompts(code, tree), code, tree)
    sentences += _built_in(published.prompts("", None))
    return sentences


def _of_tree(said: Prompts, menu: str, tree: trees.Tree) -> Iterator[Sentence]:
    for node in tree.nodes:
        for key, given in trees.node_texts(node):
            code = trees.text_code(menu, node.id, key)
            texts = {}
            for language in tree.languages:
                if given.get(language, "").strip():
                    text = said.text(code, language)
                    is_choice = bool(key) and isinstance(node, trees.Menu)
                    texts[language] = said.choice(text, key, language) if is_choice else text
            if texts:
                yield Sentence(code, f"menu {menu}", texts)


def _built_in(said: Prompts) -> Iterator[Sentence]:
    for code, prompt in PROMPTS.items():
        place = place_of(code)
        if place is None:
            continue
        if prompt.is_label:
            for key in LABEL_KEYS:
                texts = {
                    language: said.choice(said.text(code, language), key, language)
                    for language in LANGUAGES
                }
                yield Sentence(f"{code}.{key}", place, texts)
            continue
        yield Sentence(code, place, {language: said.text(code, language) for language in LANGUAGES})
        if prompt.one:
            ones = {language: said.text(code, language, 1) for language in LANGUAGES}
            yield Sentence(code + ONE, place, ones)


def place_of(code: str) -> str | None:
    """Where a built-in sentence is heard; None for one that nobody hears."""
    if code in NOT_SPOKEN or code.startswith("key_") or code.endswith(("_title", "_by_voice")):
        return None
    first = code.partition("_")[0]
    return next((place for place, (_, words) in PLACES.items() if first in words), "everywhere")


def place_title(place: str, _: Language) -> str:
    """A place as people read it."""
    if place in PLACES:
        return PLACES[place][0](_)
    return _("Menu: %s") % place.removeprefix("menu ")
