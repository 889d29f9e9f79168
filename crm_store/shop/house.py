"""The house: what is true of it, as callers ask for it, in one row.

Owns the facts that the phone menus speak: names and texts by language, currency, time zone, what
points are worth, how a card's owner is proved, and the questions of the survey. Knows no menu.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import holidays
import orjson
from babel.numbers import list_currencies
from sqlalchemy import insert, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import HouseFacts
from crm_store.staff.queues import title

TOPICS = (
    "address",
    "how_to_get_there",
    "parking",
    "dining",
    "medical",
    "cards_accepted",
    "places",
)
"""What callers may ask the house for, besides its opening hours and promotions."""

MOST_QUESTIONS = 3
_ROW = 1


class CardProof(StrEnum):
    """What a caller must show before a card's points are told: nothing, that they call from one of
    the owner's numbers, the card's PIN, or either."""

    NONE = "none"
    NUMBER = "number"
    PIN = "pin"
    NUMBER_OR_PIN = "number_or_pin"


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the survey, to be answered with 1 to 5. The first is the satisfaction."""

    code: str
    texts: Mapping[str, str]

    def text(self, language: str) -> str:
        return title(self.texts, language, self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Facts about the house. `currency` is ISO 4217; 100 points are worth
    `points_worth_minor_per_100` of its smallest unit; points expire after `points_valid_months`
    (0: never) and are announced `points_expiry_notice_days` before. `texts` are by topic and
    language."""

    names: Mapping[str, str] = field(default_factory=dict)
    currency: str = "EUR"
    time_zone: str = "UTC"
    holiday_country: str = ""
    holiday_subdivision: str = ""
    points_worth_minor_per_100: int = 0
    points_valid_months: int = 0
    points_expiry_notice_days: int = 30
    card_proof: CardProof = CardProof.NUMBER_OR_PIN
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    survey: tuple[Question, ...] = ()
    sms_sender: str = ""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def name(self, language: str) -> str:
        return title(self.names, language, "")

    def text(self, topic: str, language: str) -> str:
        """What is said of the topic, in English if there is nothing in that language; or ""."""
        return title(self.texts.get(topic, {}), language, "")

    def worth_minor(self, hundredths: int) -> int:
        """What so many hundredths of a point are worth, in the currency's smallest unit, rounded
        down: nobody is promised what they do not get."""
        return hundredths * self.points_worth_minor_per_100 // 10_000


async def read(database: Database) -> House:
    """The facts as they are; a house of which nothing was written is House()."""
    rows = await database.fetch(_READ, _ROW)
    if not rows:
        return House()
    names, currency, zone, country, subdivision, worth, months, notice, proof = rows[0][:9]
    texts, survey, sender = rows[0][9:]
    return House(
        names=orjson.loads(names),
        currency=currency,
        time_zone=zone,
        holiday_country=country,
        holiday_subdivision=subdivision,
        points_worth_minor_per_100=worth,
        points_valid_months=months,
        points_expiry_notice_days=notice,
        card_proof=CardProof(proof),
        texts=orjson.loads(texts),
        survey=tuple(Question(one["code"], one["texts"]) for one in orjson.loads(survey)),
        sms_sender=sender,
    )


async def write(transaction: Transaction, house: House, *, actor: str) -> None:
    """Put the facts in the place of what was there. Raises ValueError, which says what is wrong."""
    check(house)
    session = transaction.session
    values: dict[str, Any] = {
        "names": dict(house.names),
        "currency": house.currency,
        "time_zone": house.time_zone,
        "holiday_country": house.holiday_country,
        "holiday_subdivision": house.holiday_subdivision,
        "points_worth_minor": house.points_worth_minor_per_100,
        "points_valid_months": house.points_valid_months,
        "points_expiry_notice_days": house.points_expiry_notice_days,
        "card_proof": house.card_proof.value,
        "texts": {topic: dict(texts) for topic, texts in house.texts.items()},
        "survey": [{"code": one.code, "texts": dict(one.texts)} for one in house.survey],
        "sms_sender": house.sms_sender,
    }
    before = await session.get(HouseFacts, _ROW, with_for_update=True, populate_existing=True)
    changed = [name for name, value in values.items() if getattr(before, name, None) != value]
    if not changed:
        return
    values |= {"changed_by": actor, "changed_at": datetime.now(UTC)}
    if before is None:
        await session.execute(insert(HouseFacts).values(id=_ROW, **values))
    else:
        await session.execute(update(HouseFacts).where(HouseFacts.id == _ROW).values(**values))
    await audit.record(
        transaction,
        actor=actor,
        action="changed",
        subject_kind="house",
        subject_id=_ROW,
        fields=changed,
    )


def check(house: House) -> None:
    """Raises ValueError for a currency, zone, country or survey that there is none of."""
    if house.currency not in list_currencies():
        raise ValueError(f"there is no currency {house.currency!r}")
    check_time_zone(house.time_zone)
    check_holidays(house.holiday_country, house.holiday_subdivision)
    numbers = (
        house.points_worth_minor_per_100,
        house.points_valid_months,
        house.points_expiry_notice_days,
    )
    if min(numbers) < 0:
        raise ValueError("points are worth and valid something, or 0")
    unknown = set(house.texts) - set(TOPICS)
    if unknown:
        raise ValueError(f"there is no topic {', '.join(sorted(unknown))}")
    codes = [question.code for question in house.survey]
    if len(codes) > MOST_QUESTIONS:
        raise ValueError(f"a survey has at most {MOST_QUESTIONS} questions")
    if len(set(codes)) < len(codes) or "" in codes:
        raise ValueError("each question has a code of its own")


def check_time_zone(name: str) -> None:
    """Raises ValueError for a zone that the time zone database does not know."""
    if name not in available_timezones():
        raise ValueError(f"there is no time zone {name!r}")


def check_holidays(country: str, subdivision: str) -> None:
    """Raises ValueError for a country or a part of it whose holidays nobody knows."""
    known = holidays.list_supported_countries()
    if country and country not in known:
        raise ValueError(f"there are no holidays of {country!r}")
    if subdivision and subdivision not in known.get(country, []):
        raise ValueError(f"there are no holidays of {subdivision!r} in {country!r}")


_READ = (
    "SELECT names, currency, time_zone, holiday_country, holiday_subdivision, points_worth_minor,"
    " points_valid_months, points_expiry_notice_days, card_proof, texts, survey, sms_sender"
    " FROM house_facts WHERE id = $1"
)
