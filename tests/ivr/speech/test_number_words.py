"""Numbers as words: known answers in each language, and where num2words goes wrong."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from ivr.speech.number_words import (
    before_noun,
    cardinal,
    count,
    digit_words,
    number,
    ordinal,
    points,
)

pytestmark = pytest.mark.unit

LANGUAGES = ("en", "zh", "es", "fa")
NOT_WORDS = re.compile(r"[\d\[\](){}<>&_*#]|  ")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "零"),
        (2, "二"),
        (10, "十"),
        (12, "十二"),
        (20, "二十"),
        (101, "一百零一"),
        (110, "一百一十"),
        (200, "二百"),
        (1001, "一千零一"),
        (1010, "一千零一十"),
        (2000, "两千"),
        (2002, "两千零二"),
        (10_000, "一万"),
        (12_345, "一万二千三百四十五"),
        (20_002, "两万零二"),
        (22_000, "两万二千"),
        (100_001, "十万零一"),
        (110_000, "十一万"),
        (1_000_010, "一百万零一十"),
        (100_001_000, "一亿零一千"),
        (120_034_005, "一亿二千零三万四千零五"),
        (200_000_000, "两亿"),
        (1_000_000_000, "十亿"),
    ],
)
def test_chinese(value: int, said: str) -> None:
    assert cardinal(value, "zh") == said


@pytest.mark.parametrize(
    ("value", "alone", "masculine", "feminine"),
    [
        (1, "uno", "un", "una"),
        (16, "dieciséis", "dieciséis", "dieciséis"),
        (21, "veintiuno", "veintiún", "veintiuna"),
        (31, "treinta y uno", "treinta y un", "treinta y una"),
        (100, "cien", "cien", "cien"),
        (201, "doscientos uno", "doscientos un", "doscientas una"),
        (531, "quinientos treinta y uno", "quinientos treinta y un", "quinientas treinta y una"),
        (21_000, "veintiún mil", "veintiún mil", "veintiuna mil"),
        (200_500, "doscientos mil quinientos", "doscientos mil quinientos",
         "doscientas mil quinientas"),
        (1_000_000, "un millón", "un millón de", "un millón de"),
        (1_000_001, "un millón uno", "un millón un", "un millón una"),
        (21_000_000, "veintiún millones", "veintiún millones de", "veintiún millones de"),
        (1_000_000_000, "mil millones", "mil millones de", "mil millones de"),
    ],
)  # fmt: skip
def test_spanish_agrees_with_what_it_counts(
    value: int, alone: str, masculine: str, feminine: str
) -> None:
    assert cardinal(value, "es") == alone
    assert before_noun(value, "es") == masculine
    assert before_noun(value, "es", feminine=True) == feminine


@pytest.mark.parametrize("language", ["en", "es", "fa"])
@given(value=st.integers(0, 10**9))
def test_whole_numbers_are_num2words_where_it_is_right(language: str, value: int) -> None:
    theirs = num2words(value, lang=language)
    if language == "en":
        theirs = theirs.replace(",", "")
    if language == "es":
        # Its fault: "veintiuno mil", "treinta y uno millones".
        theirs = theirs.replace("veintiuno m", "veintiún m").replace("uno m", "un m")
    assert cardinal(value, language) == theirs


def test_where_num2words_is_wrong() -> None:
    assert num2words(21_000, lang="es") == "veintiuno mil"
    assert cardinal(21_000, "es") == "veintiún mil"
    assert num2words(31_000_000, lang="es") == "treinta y uno millones"
    assert cardinal(31_000_000, "es") == "treinta y un millones"
    assert num2words(Decimal("1.5"), lang="es") == "uno punto cinco"
    assert number(Decimal("1.5"), "es") == "uno coma cinco"
    # A twentieth becomes a half.
    assert num2words(Decimal("0.05"), lang="fa") == "نیم"
    assert number(Decimal("0.05"), "fa") == "صفر ممیز پنج صدم"
    assert num2words(3, lang="fa", to="ordinal") == "سوم"
    assert num2words(30, lang="fa", to="ordinal") == "سیم"
    assert ordinal(30, "fa") == "سی‌ام"
    with pytest.raises(NotImplementedError):
        num2words(2, lang="zh")
    # Fifty fen are five jiao.
    yuan = num2words(Decimal("12.50"), lang="es", to="currency", currency="CNY")
    assert yuan == "doce yuanes con cincuenta jiaos"
    with pytest.raises(NotImplementedError):
        num2words(Decimal("12.50"), lang="en", to="currency", currency="CNY")
    assert num2words(2, lang="en", to="currency", currency="EUR") == "zero euro, two cents"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "twelve thousand three hundred and forty-five point five"),
        ("zh", "一万二千三百四十五点五"),
        ("es", "doce mil trescientos cuarenta y cinco coma cinco"),
        ("fa", "دوازده هزار و سیصد و چهل و پنج ممیز پنج دهم"),
    ],
)
def test_points(language: str, said: str) -> None:
    assert points(1_234_550, language) == said
    assert number(Decimal("12345.50"), language) == said


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "zero point zero five"),
        ("zh", "零点零五"),
        ("es", "cero coma cero cinco"),
        ("fa", "صفر ممیز پنج صدم"),
    ],
)
def test_a_zero_behind_the_point_is_heard(language: str, said: str) -> None:
    assert points(5, language) == said


def test_before_what_is_counted() -> None:
    assert [count(2, language) for language in LANGUAGES] == ["two", "两", "dos", "دو"]
    assert [number(2, language) for language in LANGUAGES] == ["two", "二", "dos", "دو"]
    assert count(12, "zh") == "十二"
    assert points(2_100, "es") == "veintiún"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (1, ["first", "第一", "primero", "یکم"]),
        (2, ["second", "第二", "segundo", "دوم"]),
        (3, ["third", "第三", "tercero", "سوم"]),
        (12, ["twelfth", "第十二", "número doce", "دوازدهم"]),
        (20, ["twentieth", "第二十", "número veinte", "بیستم"]),
        (23, ["twenty-third", "第二十三", "número veintitrés", "بیست و سوم"]),
        (30, ["thirtieth", "第三十", "número treinta", "سی‌ام"]),
        (101, ["one hundred and first", "第一百零一", "número ciento uno", "صد و یکم"]),
    ],
)
def test_places_in_a_row(place: int, words: list[str]) -> None:
    assert [ordinal(place, language) for language in LANGUAGES] == words


@pytest.mark.parametrize("language", LANGUAGES)
@given(value=st.integers(-(10**13), 10**13), hundredths=st.integers(0, 99))
def test_every_number_is_words_alone(language: str, value: int, hundredths: int) -> None:
    exact = Decimal(value) + Decimal(hundredths) / 100
    for said in (
        cardinal(value, language),
        number(exact, language),
        count(value, language),
        points(value, language),
        ordinal(abs(value) + 1, language),
        digit_words(str(abs(value)), language),
    ):
        assert said == said.strip() != ""
        assert not NOT_WORDS.search(said)
    assert cardinal(value, language) == cardinal(value, language)


@pytest.mark.parametrize("language", LANGUAGES)
@given(pair=st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)))
def test_two_numbers_never_sound_the_same(language: str, pair: tuple[int, int]) -> None:
    one, other = pair
    assert (cardinal(one, language) == cardinal(other, language)) == (one == other)


def test_a_language_that_nobody_speaks_here() -> None:
    with pytest.raises(KeyError):
        cardinal(1, "de")
