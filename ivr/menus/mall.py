"""What a caller asks the house for: its hours, its promotions, and what it says of itself."""

from __future__ import annotations

from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar, DayHours
from crm_store.shop import promotions
from ivr.conversation.conversation import Conversation, Sentence
from ivr.menus.back_office import BackOffice, local
from ivr.menus.values import AtTime, Count, HouseText, Name, OnDay

TOPICS = {
    "places": ("places",),
    "cards": ("cards_accepted",),
    "way": ("address", "how_to_get_there"),
    "parking": ("parking",),
    "dining": ("dining",),
    "medical": ("medical",),
}
"""By the menu's function: what the house says of itself (crm_store.shop.house.TOPICS)."""


async def tell_hours(talk: Conversation, office: BackOffice) -> None:
    """Today's hours and tomorrow's, and when it opens again if that is later."""
    calendar = await office.look_up(opening_hours.read(office.database))
    now = talk.now()
    today, tomorrow = calendar.today(now), calendar.tomorrow(now)
    told = [*_hours(talk, today, "today"), *_hours(talk, tomorrow, "tomorrow")]
    if not today.hours and not tomorrow.hours:
        told += opens_again(talk, calendar)
    await talk.say_all(told)


def opens_again(talk: Conversation, calendar: Calendar) -> list[Sentence]:
    """When a house that is closed now opens; nothing if that is not known."""
    opens = None if calendar.is_open(talk.now()) else calendar.next_change(talk.now())
    if opens is None:
        return []
    values = {"day": OnDay(opens.date(), local(talk).date()), "opens": AtTime(opens.time())}
    return [Sentence("hours_open_again", values)]


async def tell_promotions(talk: Conversation, office: BackOffice) -> None:
    """How many promotions there are today, and each of them."""
    found = await office.look_up(promotions.on(office.database, local(talk).date()))
    spoken = [text for text in (one.texts.get(talk.language, "") for one in found) if text.strip()]
    if not spoken:
        await talk.say("promotions_none")
        return
    number = Count(len(spoken), feminine=True)
    first = Sentence("promotions_today", {"count": number}, count=len(spoken))
    await talk.say_all([first, *(house_text(text) for text in spoken)])


async def tell_topic(talk: Conversation, office: BackOffice, function: str) -> None:
    """What the house says of one of TOPICS, in the caller's language."""
    texts = [talk.house.texts.get(topic, {}).get(talk.language, "") for topic in TOPICS[function]]
    told: list[Sentence | str] = [house_text(text) for text in texts if text.strip()]
    await talk.say_all(told or ["mall_not_known", "zero_for_agent"])


def house_text(text: str) -> Sentence:
    """A text of the house's own, as it is."""
    return Sentence("house_text", {"text": HouseText(text)})


def _hours(talk: Conversation, day: DayHours, which: str) -> list[Sentence]:
    told = []
    holiday = day.titles.get(talk.language, "") if day.reason != "weekly" else ""
    if holiday:
        told.append(Sentence(f"hours_holiday_{which}", {"holiday": Name(holiday)}))
    if not day.hours:
        told.append(Sentence(f"hours_closed_{which}"))
    for position, hours in enumerate(day.hours):
        if hours.opens == hours.closes:
            told.append(Sentence(f"hours_all_day_{which}"))
            continue
        values = {"opens": AtTime(hours.opens), "closes": AtTime(hours.closes)}
        told.append(Sentence("hours_also" if position else f"hours_{which}", values))
    return told
