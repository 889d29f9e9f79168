"""Keep my place and call me back: when, and at which number.

Owns the agreement with the caller. The place itself is crm_store.contacts.callbacks', who is called
when is cti's.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

from crm_store.contacts import callbacks, queue_places
from crm_store.contacts.callbacks import NewCallback
from crm_store.database import Transaction
from crm_store.phone_menus.opening_hours import Calendar
from ivr.conversation.conversation import MOST_MISTAKES, Conversation, Sentence, TooManyMistakes
from ivr.conversation.line import HangUp
from ivr.menus.back_office import BackOffice, local
from ivr.menus.callback_number import ask_number
from ivr.menus.values import AtTime, OnDay, PhoneNumber

DAYS_AHEAD: Final = 7
"""An hour is today's if it is still to come and the house is open then, else a later day's."""


async def arrange_callback(
    talk: Conversation, office: BackOffice, queue: str, *, place: int, calendar: Calendar | None
) -> None:
    """Agree on a callback, write it down and end the call.

    `place` is the caller's in the queue (queue_places); `calendar` says when the people of the
    queue are there, None for always. Raises as Conversation's asking; then nothing is agreed.
    """
    at = await _hour_if_wanted(talk, calendar)
    number = await ask_number(talk, office)
    while at is not None and not await _is_right(talk, office, at, number):
        at = await _ask_hour(talk, calendar)
    arrived = datetime.fromtimestamp(queue_places.stood_since(place), UTC)
    customer = talk.customer
    wanted = NewCallback(
        queue=queue,
        number=number,
        arrived_at=arrived,
        at=at.astimezone(UTC) if at is not None else None,
        name=customer.name if customer is not None else "",
        language=talk.language,
        customer_id=customer.id if customer is not None else None,
        pbx=talk.call.pbx,
        linkedid=talk.call.linkedid,
    )

    async def keep(transaction: Transaction) -> None:
        await callbacks.request(transaction, wanted)

    await office.write(keep)
    shown = PhoneNumber(number, office.region)
    if at is None:
        await talk.insist("callback_done_in_turn", number=shown)
    else:
        await talk.insist("callback_done_at_hour", number=shown, **_moment(talk, at))
    await talk.leave(HangUp())


async def _hour_if_wanted(talk: Conversation, calendar: Calendar | None) -> datetime | None:
    """The hour that the caller asks for; None for as soon as it is their turn."""
    if calendar is None or calendar.is_open(talk.now()):
        when = await talk.choose({"1": "callback_in_turn", "2": "callback_at_hour"})
        if when == "1":
            return None
    return await _ask_hour(talk, calendar)


async def _ask_hour(talk: Conversation, calendar: Calendar | None) -> datetime:
    for _ in range(MOST_MISTAKES):
        keyed = await talk.ask_digits(
            "callback_ask_hour",
            least=4,
            most=4,
            check=lambda digits: clock_time(digits) is not None,
            wrong="callback_no_hour",
        )
        wanted = clock_time(keyed)
        assert wanted is not None
        moment = next_moment(wanted, local(talk), calendar)
        if moment is not None:
            return moment
        await talk.say("callback_closed_then")
    raise TooManyMistakes


async def _is_right(talk: Conversation, office: BackOffice, at: datetime, number: str) -> bool:
    said = {"number": PhoneNumber(number, office.region), **_moment(talk, at)}
    right = await talk.choose(
        {"1": "number_right", "2": "number_again"}, first=[Sentence("callback_read_back", said)]
    )
    return right == "1"


def _moment(talk: Conversation, at: datetime) -> dict[str, object]:
    return {"day": OnDay(at.date(), local(talk).date()), "time": AtTime(at.time())}


def clock_time(digits: str) -> time | None:
    """The time of day that four digits say; None for none."""
    hour, minute = int(digits[:2]), int(digits[2:])
    return time(hour, minute) if hour < 24 and minute < 60 else None


def next_moment(wanted: time, now: datetime, calendar: Calendar | None) -> datetime | None:
    """The next such time of day after `now` (on the house's clock) at which somebody is there."""
    for ahead in range(DAYS_AHEAD + 1):
        day = now.date() + timedelta(days=ahead)
        moment = datetime.combine(day, wanted, now.tzinfo)
        # A time that the clocks leave out that day comes back as another one.
        there = moment.astimezone(UTC).astimezone(now.tzinfo)
        if there > now and there.time() == wanted and (calendar is None or calendar.is_open(there)):
            return there
    return None
