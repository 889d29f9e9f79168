"""Numbers as words, in English, Chinese, Spanish and Persian.

Owns each language's rule and nothing else; what a number stands for is spoken.py's. Own rules and
no library: num2words has no Chinese, and no gender and no shortened forms in Spanish (a test names
each place where it goes wrong), and it needs a package that comes without a wheel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

LARGEST = 999_999_999_999
"""What is larger is read digit by digit: no price and no balance is."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ENGLISH = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_ENGLISH_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")

_CHINESE = "零一二三四五六七八九"

_SPANISH = _words(
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
    "dieciséis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro "
    "veinticinco veintiséis veintisiete veintiocho veintinueve"
)
_SPANISH_TENS = _words("treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_SPANISH_HUNDREDS = _words(
    "ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos "
    "novecientos"
)

_PERSIAN = _words(
    "صفر یک دو سه چهار پنج شش هفت هشت نه ده یازده دوازده سیزده چهارده پانزده شانزده هفده هجده نوزده"
)
_PERSIAN_TENS = _words("بیست سی چهل پنجاه شصت هفتاد هشتاد نود")
_PERSIAN_HUNDREDS = _words("صد دویست سیصد چهارصد پانصد ششصد هفتصد هشتصد نهصد")


def cardinal(number: int, language: str) -> str:
    """The number as it is counted, without a noun: "veintiuno", "二", "a hundred" is "one hundred".

    Raises KeyError for a language that is not spoken here.
    """
    words = _CARDINALS[language]
    if number < 0:
        return f"{MINUS[language]}{SPACE[language]}{cardinal(-number, language)}"
    if number > LARGEST:
        return digit_words(str(number), language)
    return words(number)


def before_noun(number: int, language: str, *, feminine: bool = False) -> str:
    """The number as it stands before what is counted: "veintiún", "veintiuna", "两"."""
    words = cardinal(number, language)
    if language == "zh" and abs(number) == 2:
        return words.replace("二", "两")
    if language != "es":
        return words
    if feminine:
        return _feminine(words)
    return _shortened(words)


def digit_words(digits: str, language: str) -> str:
    """Each digit by its own name."""
    return SPACE[language].join(cardinal(int(digit), language) for digit in digits)


def number(value: int | Decimal, language: str) -> str:
    """A number on its own: a place in the queue, a balance. Zeros at its end are not spoken."""
    whole, decimals = _parts(value)
    said = cardinal(whole, language)
    return signed(value, said + _decimals(decimals, language), language)


def count(value: int | Decimal, language: str, *, feminine: bool = False) -> str:
    """A number before what it counts: "veintiún" puntos, "veintiuna" cajas, 两 分钟.

    `feminine` is the Spanish noun's gender.
    """
    whole, decimals = _parts(value)
    if decimals:
        return number(value, language)
    return signed(value, before_noun(whole, language, feminine=feminine), language)


def points(hundredths: int, language: str) -> str:
    """Points, which are kept in hundredths, before their noun: 1234550 is twelve thousand three
    hundred and forty-five point five."""
    return count(Decimal(hundredths) / 100, language)


def ordinal(place: int, language: str) -> str:
    """A place in a row: "third", "第三", "tercero", "سوم"; in Spanish "número doce" after ten."""
    match language:
        case "en":
            words = cardinal(place, "en")
            cut = max(words.rfind(" "), words.rfind("-")) + 1
            return words[:cut] + _english_ordinal(words[cut:])
        case "zh":
            # 第两 is no ordinal: 第二 and, from two thousand on, 第两千.
            return f"第{cardinal(place, 'zh')}"
        case "es":
            return _SPANISH_ORDINALS.get(place) or f"número {cardinal(place, 'es')}"
        case "fa":
            words = cardinal(place, "fa")
            # The word for three changes, the one for thirty takes a hamza in writing.
            if words == "سه" or words.endswith(" سه"):
                return words.removesuffix("سه") + "سوم"
            return f"{words}‌ام" if words.endswith("سی") else f"{words}م"
    raise KeyError(language)


def _parts(value: int | Decimal) -> tuple[int, str]:
    """The whole part without its sign, and the decimals without zeros at their end."""
    whole, _, decimals = f"{abs(Decimal(value)):f}".partition(".")
    return int(whole), decimals.rstrip("0")


def signed(value: int | Decimal, said: str, language: str) -> str:
    """What was said of a value without its sign, with it."""
    return f"{MINUS[language]}{SPACE[language]}{said}" if value < 0 else said


def _decimals(digits: str, language: str) -> str:
    if not digits:
        return ""
    match language:
        case "en":
            return f" point {digit_words(digits, 'en')}"
        case "zh":
            return f"点{digit_words(digits, 'zh')}"
        case "es":
            zeros = "cero " * (len(digits) - len(digits.lstrip("0")))
            return f" coma {zeros}{cardinal(int(digits), 'es')}"
        case "fa" if len(digits) <= len(_PERSIAN_PARTS):
            return f" ممیز {cardinal(int(digits), 'fa')} {_PERSIAN_PARTS[len(digits) - 1]}"
        case "fa":
            return f" ممیز {digit_words(digits, 'fa')}"
    raise KeyError(language)


_PERSIAN_PARTS = ("دهم", "صدم", "هزارم")

_ENGLISH_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

_SPANISH_ORDINALS = dict(
    enumerate(
        _words("primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo"), start=1
    )
)


def _english_ordinal(word: str) -> str:
    if word in _ENGLISH_ORDINALS:
        return _ENGLISH_ORDINALS[word]
    return f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th"


MINUS = {"en": "minus", "zh": "负", "es": "menos", "fa": "منفی"}
SPACE = {"en": " ", "zh": "", "es": " ", "fa": " "}
"""What stands between two words."""


def _english(number: int) -> str:
    if number < 20:
        return _ENGLISH[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _ENGLISH_TENS[tens - 2] + (f"-{_ENGLISH[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_ENGLISH[hundreds]} hundred" + (f" and {_english(rest)}" if rest else "")
    size, name = next(
        pair
        for pair in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"))
        if number >= pair[0]
    )
    groups, rest = divmod(number, size)
    joint = " and " if rest < 100 else " "
    return f"{_english(groups)} {name}" + (f"{joint}{_english(rest)}" if rest else "")


def _chinese(number: int) -> str:
    if number < 10:
        return _CHINESE[number]
    words, gap = "", False
    for size, name in ((10**8, "亿"), (10**4, "万"), (1, "")):
        group, number = divmod(number, size)
        # A gap between two groups is one 零, however wide it is.
        gap = gap or group < 1000
        if group:
            words += ("零" if gap and words else "") + _chinese_group(group) + name
            gap = False
    if words.startswith("一十"):
        words = words[1:]
    # 两 counts thousands and what is larger, where the number begins.
    if words[0] == "二" and words[1:2] in ("千", "万", "亿"):
        words = "两" + words[1:]
    return words


def _chinese_group(number: int) -> str:
    """One to 9999."""
    words, gap = "", False
    for size, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, size)
        if digit:
            words += ("零" if gap and words else "") + _CHINESE[digit] + name
        gap = not digit
    return words


def _spanish(number: int) -> str:
    if number < 30:
        return _SPANISH[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _SPANISH_TENS[tens - 3] + (f" y {_SPANISH[ones]}" if ones else "")
    if number == 100:
        return "cien"
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return _SPANISH_HUNDREDS[hundreds - 1] + (f" {_spanish(rest)}" if rest else "")
    if number < 10**6:
        thousands, rest = divmod(number, 1000)
        words = "mil" if thousands == 1 else f"{_cut(_spanish(thousands))} mil"
    else:
        millions, rest = divmod(number, 10**6)
        words = "un millón" if millions == 1 else f"{_cut(_spanish(millions))} millones"
    return words + (f" {_spanish(rest)}" if rest else "")


def _cut(words: str) -> str:
    """Before a masculine noun: un, veintiún."""
    if words.endswith("veintiuno"):
        return words.removesuffix("uno") + "ún"
    return words.removesuffix("uno") + "un" if words.endswith("uno") else words


def _shortened(words: str) -> str:
    """`_cut`; and millions of something take "de"."""
    return f"{words} de" if words.endswith(("millón", "millones")) else _cut(words)


def _feminine(words: str) -> str:
    """Hundreds and ones agree with a feminine noun, within the thousands too; millions are
    masculine."""
    head, million, rest = words.rpartition("millones" if "millones" in words else "millón")
    rest = rest.replace("cientos", "cientas").replace("quinientos", "quinientas")
    if rest.endswith("uno"):
        rest = rest.removesuffix("o") + "a"
    rest = rest.replace("veintiún mil", "veintiuna mil").replace(" un mil", " una mil")
    return f"{head}{million}{rest}" + (" de" if million and not rest else "")


def _persian(number: int) -> str:
    if number < 20:
        return _PERSIAN[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        words = _PERSIAN_TENS[tens - 2]
    elif number < 1000:
        hundreds, rest = divmod(number, 100)
        words = _PERSIAN_HUNDREDS[hundreds - 1]
    else:
        size, name = next(
            pair
            for pair in ((10**9, "میلیارد"), (10**6, "میلیون"), (1000, "هزار"))
            if number >= pair[0]
        )
        groups, rest = divmod(number, size)
        words = name if size == 1000 and groups == 1 else f"{_persian(groups)} {name}"
    return f"{words} و {_persian(rest)}" if rest else words


_CARDINALS: Mapping[str, Callable[[int], str]] = {
    "en": _english,
    "zh": _chinese,
    "es": _spanish,
    "fa": _persian,
}
