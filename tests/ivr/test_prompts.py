"""Every sentence is there in every language, with the same placeholders, and is heard as such."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from ivr.prompts import (
    DOMAIN,
    LANGUAGES,
    LOCALE_FOLDER,
    ONE,
    PROMPTS,
    Piece,
    Prompts,
    built_in,
    compile_catalogues,
    mistakes,
    pieces,
)

pytestmark = pytest.mark.unit

TRANSLATED = [language for language in LANGUAGES if language != "en"]


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    compile_catalogues()


def source_of(language: str) -> Path:
    return LOCALE_FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po"


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_untranslated_or_out_of_date(language: str) -> None:
    with source_of(language).open("rb") as lines:
        catalogue = read_po(lines, locale=language)
    translated = {}
    for message in catalogue:
        if message.id:
            assert not message.fuzzy, message.context
            forms = [message.string] if isinstance(message.string, str) else message.string or [""]
            assert all(form.strip() for form in forms), message.context
            translated[message.context] = message.id
    expected = {
        code: (prompt.one, prompt.text) if prompt.one else prompt.text
        for code, prompt in PROMPTS.items()
    }
    assert translated == expected


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", PROMPTS)
def test_placeholders_and_endings_agree(code: str, language: str) -> None:
    prompt, text = PROMPTS[code], built_in(code, language)
    assert {piece.text for piece in pieces(text) if piece.is_value} == prompt.places
    if prompt.one:
        assert {piece.text for piece in pieces(built_in(code, language, 1)) if piece.is_value} <= (
            prompt.places
        )
    ends = text.rstrip()[-1] in ".?。？؟"
    assert ends == (PROMPTS[code].text[-1] in ".?"), text


@pytest.mark.parametrize("language", ["zh", "fa"])
def test_no_latin_word_is_left_in_other_scripts(language: str) -> None:
    """An engine would read it letter by letter; PIN is what people say themselves."""
    for code in PROMPTS:
        words = re.sub(r"\{\w+\}", "", built_in(code, language))
        assert not re.search(r"[A-Za-z]", words), code


def test_one_and_many() -> None:
    assert built_in("points_balance", "es", 1) == "Tiene un punto."
    assert built_in("points_balance", "es", 1.5) == "Tiene {points} puntos."
    assert built_in("points_balance", "fa", 1) == "شما یک امتیاز دارید."
    assert built_in("points_balance", "zh", 1) == "您有{points}个积分。"
    assert built_in("points_balance", "en", 0) == "You have {points} points."


def test_a_supervisors_own_text_comes_first() -> None:
    prompts = Prompts({"points_balance": {"en": "{points}!"}, "points_balance" + ONE: {"en": "1!"}})
    assert prompts.text("points_balance", "en", 5) == "{points}!"
    assert prompts.text("points_balance", "en", 1) == "1!"
    assert prompts.text("points_balance", "es", 5) == "Tiene {points} puntos."
    with pytest.raises(KeyError):
        prompts.text("no_such_prompt", "en")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "For your card {digits}, press 3."),
        ("zh", "For your card {digits}，请按3。"),
        ("es", "For your card {digits}, pulse 3."),
        ("fa", "For your card {digits}، عدد سه را فشار دهید."),
    ],
)
def test_the_key_of_a_choice_is_named_at_its_end(language: str, said: str) -> None:
    assert Prompts().choice("For your card {digits}", "3", language) == said


def test_pieces_and_mistakes() -> None:
    assert pieces("a {b} c{d}") == [
        Piece("a ", False),
        Piece("b", True),
        Piece(" c", False),
        Piece("d", True),
    ]
    assert mistakes("points_balance", "{points} {money} }") == ["{money}", "}"]
    assert mistakes("points_balance.one", "{points}") == []
    assert mistakes("main/welcome", "Hello {name}") == ["{name}"]
