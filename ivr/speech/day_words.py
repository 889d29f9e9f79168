"""Days, hours and times to wait as words, as each language says them.

Owns near days ("yesterday"), the parts of a day and the rounding of a wait. Persian dates are in
the Solar Hijri calendar: that is how a Persian speaker knows a day, and "the twenty-first of
November" helps them no more than "the thirtieth of Aban" helps an English speaker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time

from babel.dates import get_day_names, get_month_names

from ivr.speech.number_words import SPACE, before_noun, cardinal, count, digit_words, ordinal
from ivr.speech.persian_calendar import MONTHS, persian_date


def day(that: date, language: str, today: date | None = None) -> str:
    """A day: "yesterday" and the like where `today` is near, else weekday, day and month, and the
    year where it is not this one (or none is given)."""
    distance = (that - today).days if today is not None else None
    if distance in _NEAR_DAYS[language]:
        return _NEAR_DAYS[language][distance]
    with_year = today is None or _year_of(that, language) != _year_of(today, language)
    weekday = get_day_names("wide", locale=language)[that.weekday()]
    match language:
        case "en":
            month = get_month_names("wide", locale="en")[that.month]
            said = f"{weekday} the {ordinal(that.day, 'en')} of {month}"
            return f"{said}, {_english_year(that.year)}" if with_year else said
        case "zh":
            said = f"{cardinal(that.month, 'zh')}月{cardinal(that.day, 'zh')}日，{weekday}"
            return f"{digit_words(str(that.year), 'zh')}年{said}" if with_year else said
        case "es":
            month = get_month_names("wide", locale="es")[that.month]
            first = "primero" if that.day == 1 else cardinal(that.day, "es")
            said = f"{weekday}, {first} de {month}"
            return f"{said} de {cardinal(that.year, 'es')}" if with_year else said
        case "fa":
            year, month_number, of_month = persian_date(that)
            said = f"{weekday}، {ordinal(of_month, 'fa')} {MONTHS[month_number - 1]}"
            return f"{said} {cardinal(year, 'fa')}" if with_year else said
    raise KeyError(language)


def time_of_day(moment: time, language: str) -> str:
    """An hour with its minutes, by the clock of twelve hours and the part of the day; in Spanish
    with its article: "las nueve y media de la noche". Seconds are not spoken."""
    hour, minute = moment.hour, moment.minute
    part = _part_of_day(hour, language)
    twelve = hour % 12 or 12
    match language:
        case "en":
            if minute == 0 and hour in (0, 12):
                return "midnight" if hour == 0 else "noon"
            zero = "oh " if 0 < minute < 10 else ""
            minutes = f" {zero}{cardinal(minute, 'en')}" if minute else ""
            return f"{cardinal(twelve, 'en')}{minutes} {part}"
        case "zh":
            if hour == 0:
                part, twelve = ("午夜", 12) if minute == 0 else ("凌晨", 0)
            zero = "零" if 0 < minute < 10 else ""
            minutes = f"{zero}{cardinal(minute, 'zh')}分" if minute else ""
            return f"{part}{before_noun(twelve, 'zh')}点{'半' if minute == 30 else minutes}"
        case "es":
            article, hours = ("la", "una") if twelve == 1 else ("las", cardinal(twelve, "es"))
            said = {15: "cuarto", 30: "media"}.get(minute) or cardinal(minute, "es")
            return f"{article} {hours}{f' y {said}' if minute else ''} {part}"
        case "fa":
            said = {15: "ربع", 30: "نیم"}.get(minute) or f"{cardinal(minute, 'fa')} دقیقه"
            return f"{cardinal(twelve, 'fa')}{f' و {said}' if minute else ''} {part}"
    raise KeyError(language)


def about(seconds: float, language: str) -> str:
    """A time to wait, rounded up and said as the guess that it is: "about four minutes"."""
    minutes = -int(-max(seconds, 0) // 60)
    if seconds < 60:
        return _ABOUT[language].under_a_minute
    if minutes > 10:
        minutes = -(-minutes // 5) * 5
    hours, rest = divmod(minutes, 60)
    words = _ABOUT[language]
    parts = []
    if hours:
        unit = words.hour if hours == 1 else words.hours
        said = count(hours, language, feminine=True)
        parts.append(f"{said}{SPACE[language]}{unit}")
    if rest or not hours:
        unit = words.minute if rest == 1 else words.minutes
        parts.append(f"{count(rest, language)}{SPACE[language]}{unit}")
    joined = words.joint.join(parts)
    return f"{words.about}{SPACE[language]}{joined}"


@dataclass(frozen=True, slots=True)
class _About:
    about: str
    minute: str
    minutes: str
    hour: str
    hours: str
    joint: str
    under_a_minute: str


_ABOUT = {
    "en": _About("about", "minute", "minutes", "hour", "hours", " and ", "less than a minute"),
    "zh": _About("大约", "分钟", "分钟", "个小时", "个小时", "", "不到一分钟"),
    "es": _About("alrededor de", "minuto", "minutos", "hora", "horas", " y ", "menos de un minuto"),
    "fa": _About("حدود", "دقیقه", "دقیقه", "ساعت", "ساعت", " و ", "کمتر از یک دقیقه"),
}

_NEAR_DAYS: Mapping[str, Mapping[int | None, str]] = {
    "en": {-1: "yesterday", 0: "today", 1: "tomorrow", 2: "the day after tomorrow"},
    "zh": {-2: "前天", -1: "昨天", 0: "今天", 1: "明天", 2: "后天"},
    "es": {-2: "anteayer", -1: "ayer", 0: "hoy", 1: "mañana", 2: "pasado mañana"},
    "fa": {-2: "پریروز", -1: "دیروز", 0: "امروز", 1: "فردا", 2: "پس‌فردا"},
}

_PARTS_OF_DAY = {
    "en": (
        *((12, "in the morning"), (17, "in the afternoon")),
        *((21, "in the evening"), (24, "at night")),
    ),
    "zh": ((6, "凌晨"), (8, "早上"), (12, "上午"), (13, "中午"), (18, "下午"), (24, "晚上")),
    "es": (
        (1, "de la noche"),
        (6, "de la madrugada"),
        (12, "de la mañana"),
        (13, "del mediodía"),
        (20, "de la tarde"),
        (24, "de la noche"),
    ),
    "fa": (
        *((1, "شب"), (5, "بامداد"), (12, "صبح"), (13, "ظهر")),
        *((17, "بعدازظهر"), (20, "عصر"), (24, "شب")),
    ),
}
"""Until which hour each part of the day lasts."""


def _part_of_day(hour: int, language: str) -> str:
    return next(name for until, name in _PARTS_OF_DAY[language] if hour < until)


def _year_of(that: date, language: str) -> int:
    return persian_date(that)[0] if language == "fa" else that.year


def _english_year(year: int) -> str:
    """In pairs, as years are said: twenty twenty-six, nineteen oh five."""
    century, rest = divmod(year, 100)
    if (century % 10 == 0 and rest < 10) or not 10 <= century < 100:
        return cardinal(year, "en")
    if rest == 0:
        return f"{cardinal(century, 'en')} hundred"
    zero = "oh " if rest < 10 else ""
    return f"{cardinal(century, 'en')} {zero}{cardinal(rest, 'en')}"
