"""Amounts of money as words, as each language says them.

Owns what the currencies that shops take are called, and how units and hundredths are joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from babel.numbers import get_currency_name, get_currency_precision

from ivr.speech.number_words import SPACE, count, number, signed
from ivr.speech.plain_text import plain


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a currency's unit is called where one is counted, and where more are."""

    one: str
    many: str
    feminine: bool = False


def _same(word: str) -> _Unit:
    return _Unit(word, word)


_UNITS: Mapping[str, Mapping[str, tuple[_Unit, _Unit]]] = {
    "en": {
        "CNY": (_same("yuan"), _same("fen")),
        "EUR": (_Unit("euro", "euros"), _Unit("cent", "cents")),
        "USD": (_Unit("dollar", "dollars"), _Unit("cent", "cents")),
        "GBP": (_Unit("pound", "pounds"), _Unit("penny", "pence")),
        "AED": (_Unit("dirham", "dirhams"), _same("fils")),
        "IRR": (_Unit("rial", "rials"), _Unit("dinar", "dinars")),
    },
    "zh": {
        "CNY": (_same("元"), _same("分")),
        "EUR": (_same("欧元"), _same("欧分")),
        "USD": (_same("美元"), _same("美分")),
        "GBP": (_same("英镑"), _same("便士")),
        "AED": (_same("迪拉姆"), _same("费尔")),
        "IRR": (_same("里亚尔"), _same("第纳尔")),
    },
    "es": {
        "CNY": (_Unit("yuan", "yuanes"), _same("fen")),
        "EUR": (_Unit("euro", "euros"), _Unit("céntimo", "céntimos")),
        "USD": (_Unit("dólar", "dólares"), _Unit("centavo", "centavos")),
        "GBP": (_Unit("libra", "libras", feminine=True), _Unit("penique", "peniques")),
        "AED": (_Unit("dírham", "dírhams"), _same("fils")),
        "IRR": (_Unit("rial", "riales"), _Unit("dinar", "dinares")),
    },
    "fa": {
        "CNY": (_same("یوان"), _same("فن")),
        "EUR": (_same("یورو"), _same("سنت")),
        "USD": (_same("دلار"), _same("سنت")),
        "GBP": (_same("پوند"), _same("پنی")),
        "AED": (_same("درهم"), _same("فلس")),
        "IRR": (_same("ریال"), _same("دینار")),
    },
}
"""The currencies that shops here take, as people call them: CLDR's own names are for lists of
currencies ("yuan renminbi", "人民币", "دلار آمریکا"), and it has none for the hundredths."""

_AND = {"en": " and ", "zh": "", "es": " con ", "fa": " و "}


def minor_digits(currency: str) -> int:
    """How many decimals a currency's smallest unit stands for, as CLDR has it: CNY 2, JPY 0, and
    IRR 0, because nobody pays in dinars."""
    return get_currency_precision(currency)


def money(minor_units: int, currency: str, language: str) -> str:
    """An amount in a currency's smallest units (`minor_digits`) of an ISO 4217 currency.

    A currency without everyday names here is spoken with decimals and CLDR's name.
    """
    digits = minor_digits(currency)
    size = 10**digits
    whole, minor = divmod(abs(minor_units), size)
    if currency not in _UNITS[language]:
        amount = Decimal(minor_units).scaleb(-digits)
        unit = _unit_of_cldr(currency, language)
        if minor:
            return f"{number(amount, language)}{SPACE[language]}{unit.many}"
        return signed(minor_units, _counted(whole, unit, language), language)
    major_unit, minor_unit = _UNITS[language][currency]
    parts = [_counted(whole, major_unit, language)] if whole or not minor else []
    if minor and language == "zh" and currency == "CNY":
        parts.append(_jiao_and_fen(minor, after_yuan=bool(whole)))
    elif minor:
        parts.append(_counted(minor, minor_unit, language))
    return signed(minor_units, _AND[language].join(parts), language)


def _counted(amount: int, unit: _Unit, language: str) -> str:
    said = count(amount, language, feminine=unit.feminine)
    return f"{said}{SPACE[language]}{unit.one if amount == 1 else unit.many}"


def _jiao_and_fen(minor: int, *, after_yuan: bool) -> str:
    """Ten fen are a jiao; a gap between yuan and fen is spoken."""
    jiao, fen = divmod(minor, 10)
    said = f"{count(jiao, 'zh')}角" if jiao else ("零" if after_yuan else "")
    return said + (f"{count(fen, 'zh')}分" if fen else "")


def _unit_of_cldr(currency: str, language: str) -> _Unit:
    one, many = (get_currency_name(currency, count=n, locale=language) for n in (1, 2))
    # Lira, libra, rupia, corona: their gender shows.
    return _Unit(plain(one), plain(many), feminine=one.split()[0].endswith("a"))
