"""Money, days, hours, waits, digits and numbers to dial, as text before synthesis."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.speech import spoken
from ivr.speech.persian_calendar import persian_date

pytestmark = pytest.mark.unit

LANGUAGES = spoken.LANGUAGES
NOT_WORDS = re.compile(r"[\d\[\](){}<>&_*#+]|  ")
TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("minor_units", "currency", "words"),
    [
        (
            1_990,
            "CNY",
            ["nineteen yuan and ninety fen", "十九元九角", "diecinueve yuanes con noventa fen",
             "نوزده یوان و نود فن"],
        ),
        (
            205,
            "CNY",
            ["two yuan and five fen", "两元零五分", "dos yuanes con cinco fen", "دو یوان و پنج فن"],
        ),
        (22, "CNY", ["twenty-two fen", "两角两分", "veintidós fen", "بیست و دو فن"]),
        (0, "CNY", ["zero yuan", "零元", "cero yuanes", "صفر یوان"]),
        (
            1_999,
            "EUR",
            ["nineteen euros and ninety-nine cents", "十九欧元九十九欧分",
             "diecinueve euros con noventa y nueve céntimos", "نوزده یورو و نود و نه سنت"],
        ),
        (
            101,
            "USD",
            ["one dollar and one cent", "一美元一美分", "un dólar con un centavo",
             "یک دلار و یک سنت"],
        ),
        (
            2_101,
            "GBP",
            ["twenty-one pounds and one penny", "二十一英镑一便士",
             "veintiuna libras con un penique", "بیست و یک پوند و یک پنی"],
        ),
        (
            2_125,
            "AED",
            ["twenty-one dirhams and twenty-five fils", "二十一迪拉姆二十五费尔",
             "veintiún dírhams con veinticinco fils", "بیست و یک درهم و بیست و پنج فلس"],
        ),
        (
            250_000,
            "IRR",
            ["two hundred and fifty thousand rials", "二十五万里亚尔",
             "doscientos cincuenta mil riales", "دویست و پنجاه هزار ریال"],
        ),
        (
            100_000_000,
            "EUR",
            ["one million euros", "一百万欧元", "un millón de euros", "یک میلیون یورو"],
        ),
        (
            1_999,
            "MXN",
            ["nineteen point nine nine Mexican pesos", "十九点九九墨西哥比索",
             "diecinueve coma noventa y nueve pesos mexicanos",
             "نوزده ممیز نود و نه صدم پزوی مکزیک"],
        ),
        (
            21,
            "JPY",
            ["twenty-one Japanese yen", "二十一日元", "veintiún yenes japoneses",
             "بیست و یک ین ژاپن"],
        ),
        (
            2_100,
            "TRY",
            ["twenty-one Turkish Lira", "二十一土耳其里拉", "veintiuna liras turcas",
             "بیست و یک لیرهٔ ترکیه"],
        ),
        (
            -150,
            "CNY",
            ["minus one yuan and fifty fen", "负一元五角", "menos un yuan con cincuenta fen",
             "منفی یک یوان و پنجاه فن"],
        ),
    ],
)  # fmt: skip
def test_money(minor_units: int, currency: str, words: list[str]) -> None:
    assert [spoken.money(minor_units, currency, language) for language in LANGUAGES] == words


@pytest.mark.parametrize("language", LANGUAGES)
@given(
    minor_units=st.integers(-(10**11), 10**11),
    currency=st.sampled_from(["CNY", "EUR", "USD", "GBP", "IRR", "AED", "JPY", "KWD", "MXN"]),
)
def test_every_amount_is_words_alone(language: str, minor_units: int, currency: str) -> None:
    said = spoken.money(minor_units, currency, language)
    assert said == said.strip() == spoken.money(minor_units, currency, language) != ""
    assert not NOT_WORDS.search(said)


@pytest.mark.parametrize(
    ("that", "words"),
    [
        (TODAY - timedelta(1), ["yesterday", "昨天", "ayer", "دیروز"]),
        (TODAY, ["today", "今天", "hoy", "امروز"]),
        (TODAY + timedelta(1), ["tomorrow", "明天", "mañana", "فردا"]),
        (
            TODAY - timedelta(2),
            ["Friday the twentieth of November", "前天", "anteayer", "پریروز"],
        ),
        (
            TODAY + timedelta(2),
            ["the day after tomorrow", "后天", "pasado mañana", "پس‌فردا"],
        ),
        (
            date(2026, 12, 1),
            ["Tuesday the first of December", "十二月一日，星期二", "martes, primero de diciembre",
             "سه‌شنبه، دهم آذر"],
        ),
        (
            date(2027, 1, 30),
            ["Saturday the thirtieth of January, twenty twenty-seven",
             "二零二七年一月三十日，星期六", "sábado, treinta de enero de dos mil veintisiete",
             "شنبه، دهم بهمن"],
        ),
    ],
)  # fmt: skip
def test_days(that: date, words: list[str]) -> None:
    assert [spoken.day(that, language, TODAY) for language in LANGUAGES] == words


def test_a_day_of_any_year_has_its_year() -> None:
    assert [spoken.day(TODAY, language) for language in LANGUAGES] == [
        "Sunday the twenty-second of November, twenty twenty-six",
        "二零二六年十一月二十二日，星期日",
        "domingo, veintidós de noviembre de dos mil veintiséis",
        "یکشنبه، یکم آذر هزار و چهارصد و پنج",
    ]
    assert (
        spoken.day(date(2007, 3, 1), "en") == "Thursday the first of March, two thousand and seven"
    )
    assert spoken.day(date(1905, 3, 1), "en").endswith("nineteen oh five")
    assert spoken.day(date(1900, 3, 1), "en").endswith("nineteen hundred")


@pytest.mark.parametrize(
    ("gregorian", "persian"),
    [
        # New years as Iran kept them, with the leap years 1399 and 1403 before them.
        (date(2020, 3, 20), (1399, 1, 1)),
        (date(2021, 3, 20), (1399, 12, 30)),
        (date(2021, 3, 21), (1400, 1, 1)),
        (date(2024, 3, 20), (1403, 1, 1)),
        (date(2025, 3, 20), (1403, 12, 30)),
        (date(2025, 3, 21), (1404, 1, 1)),
        (date(2026, 3, 20), (1404, 12, 29)),
        (date(2026, 9, 22), (1405, 6, 31)),
        (date(2026, 9, 23), (1405, 7, 1)),
        (date(1979, 2, 11), (1357, 11, 22)),
        (date(2000, 1, 1), (1378, 10, 11)),
    ],
)
def test_persian_days(gregorian: date, persian: tuple[int, int, int]) -> None:
    assert persian_date(gregorian) == persian


@given(that=st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_persian_days_follow_each_other(that: date) -> None:
    year, month, day = persian_date(that)
    following = persian_date(that + timedelta(1))
    assert following in ((year, month, day + 1), (year, month + 1, 1), (year + 1, 1, 1))
    assert day <= (31 if month < 7 else 30)
    assert following[2] == 1 or following == (year, month, day + 1)


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (time(9), ["nine in the morning", "上午九点", "las nueve de la mañana", "نه صبح"]),
        (
            time(9, 5),
            ["nine oh five in the morning", "上午九点零五分", "las nueve y cinco de la mañana",
             "نه و پنج دقیقه صبح"],
        ),
        (
            time(13, 15),
            ["one fifteen in the afternoon", "下午一点十五分", "la una y cuarto de la tarde",
             "یک و ربع بعدازظهر"],
        ),
        (
            time(14),
            ["two in the afternoon", "下午两点", "las dos de la tarde", "دو بعدازظهر"],
        ),
        (
            time(21, 30),
            ["nine thirty at night", "晚上九点半", "las nueve y media de la noche",
             "نه و نیم شب"],
        ),
        (time(12), ["noon", "中午十二点", "las doce del mediodía", "دوازده ظهر"]),
        (time(0), ["midnight", "午夜十二点", "las doce de la noche", "دوازده شب"]),
        (
            time(0, 5),
            ["twelve oh five in the morning", "凌晨零点零五分", "las doce y cinco de la noche",
             "دوازده و پنج دقیقه شب"],
        ),
    ],
)  # fmt: skip
def test_hours(moment: time, words: list[str]) -> None:
    assert [spoken.time_of_day(moment, language) for language in LANGUAGES] == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, ["less than a minute", "不到一分钟", "menos de un minuto", "کمتر از یک دقیقه"]),
        (60, ["about one minute", "大约一分钟", "alrededor de un minuto", "حدود یک دقیقه"]),
        (61, ["about two minutes", "大约两分钟", "alrededor de dos minutos", "حدود دو دقیقه"]),
        (240, ["about four minutes", "大约四分钟", "alrededor de cuatro minutos",
               "حدود چهار دقیقه"]),
        (661, ["about fifteen minutes", "大约十五分钟", "alrededor de quince minutos",
               "حدود پانزده دقیقه"]),
        (3_600, ["about one hour", "大约一个小时", "alrededor de una hora", "حدود یک ساعت"]),
        (7_201, ["about two hours and five minutes", "大约两个小时五分钟",
                 "alrededor de dos horas y cinco minutos", "حدود دو ساعت و پنج دقیقه"]),
    ],
)  # fmt: skip
def test_waits(seconds: float, words: list[str]) -> None:
    assert [spoken.about(seconds, language) for language in LANGUAGES] == words


@pytest.mark.parametrize("language", LANGUAGES)
@given(
    that=st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    moment=st.times(),
    seconds=st.floats(-10, 10**6),
)
def test_every_day_hour_and_wait_is_words_alone(
    language: str, that: date, moment: time, seconds: float
) -> None:
    for said in (
        spoken.day(that, language),
        spoken.day(that, language, TODAY),
        spoken.time_of_day(moment, language),
        spoken.about(seconds, language),
    ):
        assert said == said.strip() != ""
        assert not NOT_WORDS.search(said)


def test_digits_in_groups_that_can_be_kept_in_mind() -> None:
    assert [spoken.digits("1234567890123456", language) for language in LANGUAGES] == [
        "one two three four, five six seven eight, nine zero one two, three four five six",
        "一二三四，五六七八，九零一二，三四五六",
        "uno dos tres cuatro, cinco seis siete ocho, nueve cero uno dos, tres cuatro cinco seis",
        "یک دو سه چهار، پنج شش هفت هشت، نه صفر یک دو، سه چهار پنج شش",
    ]
    assert spoken.digits("12345", "en") == "one two three, four five"
    assert spoken.digits("C-2026/7", "en") == "C, two zero two six, seven"


def test_digits_of_other_scripts_are_digits() -> None:
    assert spoken.digits("۱۲٣４", "en") == "one two three four"
    assert spoken.digits("۰۹", "fa") == "صفر نه"


def test_numbers_to_dial() -> None:
    assert [spoken.phone_number("+8613812345678", language, "CN") for language in LANGUAGES] == [
        "one three eight, one two three four, five six seven eight",
        "一三八，一二三四，五六七八",
        "uno tres ocho, uno dos tres cuatro, cinco seis siete ocho",
        "یک سه هشت، یک دو سه چهار، پنج شش هفت هشت",
    ]
    abroad = spoken.phone_number("+34911234567", "en", "CN")
    assert abroad == "plus three four, nine one one, two three, four five, six seven"
    assert spoken.phone_number("*#", "en", "CN") == ""


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=st.text())
def test_digits_of_anything_are_words_alone(language: str, text: str) -> None:
    said = spoken.digits(text, language)
    assert not NOT_WORDS.search(said)
    assert said == said.strip()


@given(text=st.text())
def test_a_plain_text_has_nothing_that_an_engine_takes_for_markup(text: str) -> None:
    said = spoken.plain(text)
    assert not re.search(r"[\[\]{}<>|\\^~`_=*#]|  |\n", said)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in said)
    assert spoken.plain(said) == said


def test_a_plain_text_keeps_what_is_said() -> None:
    assert spoken.plain("红色外套 [[h@l]] <break/> 50% & more") == "红色外套 h@l break/ 50% & more"
    assert spoken.plain("می‌خواهم") == "می‌خواهم"
