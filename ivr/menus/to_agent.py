"""To the people: the caller's place, the agent who last served them, and what is said on the way.

Owns that a place is given once and kept, and what happens while nobody is there. Works without the
store too: then the caller goes to the queue at the place of whoever comes now.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from crm_store.contacts import callbacks, queue_places
from crm_store.models import CallbackState
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord
from ivr.conversation.conversation import Conversation, GoBack, LeavesMenu, Sentence
from ivr.conversation.line import ToQueue
from ivr.menus.back_office import BackOffice
from ivr.menus.callback import arrange_callback
from ivr.menus.mall import opens_again
from ivr.menus.message import must_leave_message
from ivr.menus.values import Key, Place, Wait
from ivr.queue_watch import FreeAgent

log = logging.getLogger(__name__)

SERVED_LATELY: Final = timedelta(days=30)
"""An agent who served the customer within this time is tried first."""

WAITING_MENU: Final = "waiting_menu"
"""What a queue's way out is called that leads to waiting.py."""


async def to_agent(
    talk: Conversation, office: BackOffice, queue: str, *, calendar: str = ""
) -> None:
    """Put the caller through to the people of `queue`; or, while the calendar of that code is
    closed, take a callback or a message. Ends our part of the call. Raises CallerHungUp."""
    hours = await _hours(office, calendar)
    if hours is not None and not hours.is_open(talk.now()):
        await closed(talk, office, queue, hours)
        return
    record = await _queue(office, queue)
    place = _place(talk, office, record)
    agent = _last_agent(talk, office, record)
    await talk.insist("agent_now")
    if agent is None:
        for sentence in await how_long(talk, office, queue, place):
            await talk.insist(sentence)
        if record is not None and record.exit_key and record.exit_target == WAITING_MENU:
            await talk.insist("agent_way_out", key=Key(record.exit_key))
    await leave_to(talk, office, queue, place, agent)


async def closed(
    talk: Conversation, office: BackOffice, queue: str, calendar: Calendar | None
) -> None:
    """Nobody is there: say so and until when, then a callback at an hour, or a message."""
    first: list[Sentence | str] = ["hours_closed_now"]
    if calendar is not None:
        first += opens_again(talk, calendar)
    try:
        key = await talk.choose({"1": "callback_offer", "2": "waiting_message"}, first=first)
        if key == "1":
            place = await place_of(talk, office, queue)
            await arrange_callback(talk, office, queue, place=place, calendar=calendar)
            return
    except (LeavesMenu, GoBack):
        pass  # 0 has nobody to lead to now; a message always finds its reader
    await must_leave_message(talk, office, queue)


async def leave_to(
    talk: Conversation,
    office: BackOffice,
    queue: str,
    place: int,
    agent: FreeAgent | None = None,
) -> None:
    """The call goes on to the queue at that place."""
    office.watch.give_place(talk.call.pbx, talk.call.linkedid, place)
    await talk.leave(
        ToQueue(
            queue,
            place,
            first_agent=agent.extension if agent is not None else "",
            first_agent_login=agent.agent if agent is not None else "",
        )
    )


async def how_long(
    talk: Conversation, office: BackOffice, queue: str, place: int
) -> list[Sentence]:
    """The caller's place, and how long they may wait as far as anybody knows."""
    at_home = await _places_at_home(talk, office, queue)
    besides = (talk.call.pbx, talk.call.linkedid)
    number = office.watch.place(queue, place, besides=besides, at_home=at_home)
    seconds = office.watch.expected_seconds(queue, number)
    if number == 1 and seconds == 0:
        return []
    told = [Sentence("agent_next") if number == 1 else
            Sentence("agent_place", {"place": Place(number)})]  # fmt: skip
    if seconds:
        told.append(Sentence("agent_wait", {"wait": Wait(seconds)}))
    return told


async def _places_at_home(talk: Conversation, office: BackOffice, queue: str) -> list[int]:
    """The places of callbacks that app_queue does not know yet and that are due."""
    try:
        waiting = await office.look_up(callbacks.waiting(office.database, queue=queue))
    except Exception as error:
        log.warning("the callbacks of a queue are not known: %s", type(error).__name__)
        return []
    return [
        one.priority
        for one in waiting
        if one.is_wanted and one.state is CallbackState.WAITING and one.not_before <= talk.now()
    ]


async def place_of(talk: Conversation, office: BackOffice, queue: str) -> int:
    """The caller's place in that queue, given before or now."""
    return _place(talk, office, await _queue(office, queue))


def _place(talk: Conversation, office: BackOffice, record: QueueRecord | None) -> int:
    """The place that the caller was given before, else the one of who comes now."""
    given = office.watch.given_place(talk.call.pbx, talk.call.linkedid)
    if given is not None:
        return given
    segment = talk.customer.segment if talk.customer is not None else None
    ahead = queue_places.head_start_seconds(record, segment) if record is not None else 0
    return queue_places.priority(talk.now().timestamp(), ahead)


def _last_agent(
    talk: Conversation, office: BackOffice, record: QueueRecord | None
) -> FreeAgent | None:
    """Whoever served the customer last, if that was lately and they are free now."""
    if record is None or record.preferred_agent_seconds <= 0 or talk.customer is None:
        return None
    since = talk.now() - SERVED_LATELY
    for past in talk.customer.interactions:
        if past.agent is not None and past.opened_at >= since:
            return office.watch.free_agent(record.name, past.agent)
    return None


async def _queue(office: BackOffice, name: str) -> QueueRecord | None:
    try:
        return await office.look_up(queues.find(office.database, name))
    except Exception as error:
        log.warning("the settings of a queue are not known: %s", type(error).__name__)
        return None


async def _hours(office: BackOffice, code: str) -> Calendar | None:
    """The calendar; None for none, and where it cannot be read: people may be there."""
    if not code:
        return None
    try:
        return await office.look_up(opening_hours.read(office.database, code))
    except Exception as error:
        log.warning("opening hours are not known: %s", type(error).__name__)
        return None
