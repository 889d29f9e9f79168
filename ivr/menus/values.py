"""The values that stand in a prompt's placeholders: how each is said, and how a screen shows it.

Owns one small type for each kind of value. The words are ivr.speech.spoken's, the look is Babel's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Protocol

import phonenumbers
from babel.dates import format_time, get_day_names
from babel.numbers import format_currency, format_decimal

from ivr.conversation.line import Spoken
from ivr.prompts import built_in
from ivr.speech import spoken


class Value(Protocol):
    def said(self, language: str) -> str:
        """The value in words."""
        ...

    def shown(self, language: str) -> str:
        """The value as one reads it."""
        ...


def speak(value: object, language: str) -> Spoken:
    """A value as part of a sentence; a plain text is a name. Raises TypeError for what is none."""
    match value:
        case str():
            return speak(Name(value), language)
        case Points() | Money() | Count() | Place() | Digits() | PhoneNumber() | Name():
            pass
        case OnDay() | AtTime() | Wait() | Key() | HouseText():
            pass
        case _:
            raise TypeError(f"{type(value).__name__} cannot be said")
    fixed = isinstance(value, HouseText)
    return Spoken(value.said(language), language, fixed=fixed, shown=value.shown(language))


def warm_up(language: str, region: str) -> None:
    """Say one of each once: the first time loads what the language needs, which no caller should
    wait for."""
    day = date(2026, 1, 2)
    for value in (
        Points(150),
        Money(150, "CNY"),
        Count(2),
        Place(2),
        PhoneNumber("+8613800138000", region),
        OnDay(day, date(2026, 6, 1)),
        AtTime(time(9, 30)),
        Wait(90),
    ):
        speak(value, language)


@dataclass(frozen=True, slots=True)
class Points:
    """Hundredths of a point."""

    hundredths: int

    def said(self, language: str) -> str:
        return spoken.points(self.hundredths, language)

    def shown(self, language: str) -> str:
        whole, rest = divmod(self.hundredths, 100)
        form = "#,##0.00" if rest else "#,##0"
        return format_decimal(
            whole + Decimal(rest) / 100, form, locale=language, numbering_system="default"
        )


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the smallest unit of a currency (ISO 4217)."""

    minor: int
    currency: str

    def said(self, language: str) -> str:
        return spoken.money(self.minor, self.currency, language)

    def shown(self, language: str) -> str:
        amount = Decimal(self.minor).scaleb(-spoken.minor_digits(self.currency))
        return format_currency(amount, self.currency, locale=language, numbering_system="default")


@dataclass(frozen=True, slots=True)
class Count:
    """A number of things; `feminine` is the Spanish noun's gender."""

    number: int
    feminine: bool = False

    def said(self, language: str) -> str:
        return spoken.count(self.number, language, feminine=self.feminine)

    def shown(self, language: str) -> str:
        return format_decimal(self.number, locale=language, numbering_system="default")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a row, 1 is next."""

    number: int

    def said(self, language: str) -> str:
        return spoken.ordinal(self.number, language)

    def shown(self, language: str) -> str:
        return format_decimal(self.number, locale=language, numbering_system="default")


@dataclass(frozen=True, slots=True)
class Digits:
    """A number that is read digit by digit."""

    text: str

    def said(self, language: str) -> str:
        return spoken.digits(self.text, language)

    def shown(self, language: str) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A number in E.164, said as one dials it in `region`."""

    number: str
    region: str

    def said(self, language: str) -> str:
        return spoken.phone_number(self.number, language, self.region)

    def shown(self, language: str) -> str:
        parsed = phonenumbers.parse(self.number)
        form = phonenumbers.PhoneNumberFormat.INTERNATIONAL
        return phonenumbers.format_number(parsed, form)


@dataclass(frozen=True, slots=True)
class OnDay:
    """When something was or will be: "yesterday", "on Monday the third of May"."""

    day: date
    today: date

    def said(self, language: str) -> str:
        words = spoken.day(self.day, language, self.today)
        # Only a day that is not near is named by its weekday.
        weekday = get_day_names("wide", locale=language)[self.day.weekday()]
        return _ON.get(language, "") + words if weekday in words else words

    def shown(self, language: str) -> str:
        return self.said(language)


_ON = {"en": "on ", "es": "el "}


@dataclass(frozen=True, slots=True)
class AtTime:
    time: time

    def said(self, language: str) -> str:
        return spoken.time_of_day(self.time, language)

    def shown(self, language: str) -> str:
        return format_time(self.time, "short", locale=language)


@dataclass(frozen=True, slots=True)
class Wait:
    """About so many seconds."""

    seconds: float

    def said(self, language: str) -> str:
        return spoken.about(self.seconds, language)

    def shown(self, language: str) -> str:
        return self.said(language)


@dataclass(frozen=True, slots=True)
class Name:
    """A product, a place, a holiday."""

    text: str

    def said(self, language: str) -> str:
        return spoken.plain(self.text)

    def shown(self, language: str) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the telephone, 0 to 9."""

    key: str

    def said(self, language: str) -> str:
        return built_in(f"key_{self.key}", language)

    def shown(self, language: str) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class HouseText:
    """A text of the house's own, the same for all callers."""

    text: str

    def said(self, language: str) -> str:
        return spoken.plain(self.text)

    def shown(self, language: str) -> str:
        return self.text
