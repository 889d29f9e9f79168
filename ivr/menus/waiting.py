"""A look out of the queue: how long it may take, and what else there is than to wait.

The caller keeps their place whatever they choose, and has it again by saying nothing.
"""

from __future__ import annotations

from crm_store.phone_menus.opening_hours import Calendar
from ivr.conversation.conversation import Asked, Conversation, GoBack, LeavesMenu
from ivr.menus.back_office import BackOffice
from ivr.menus.callback import arrange_callback
from ivr.menus.message import leave_message, must_leave_message
from ivr.menus.to_agent import how_long, leave_to


async def wait_or_not(
    talk: Conversation,
    office: BackOffice,
    queue: str,
    *,
    place: int,
    calendar: Calendar | None,
    nobody: bool = False,
) -> None:
    """Tell the place, and offer to wait on, to be called back or to leave a message.

    `nobody`: there is nobody to wait for (the queue is full, or without agents). Ends our part of
    the call. Raises CallerHungUp.
    """
    choices: dict[str, Asked] = {"2": "waiting_callback", "3": "waiting_message"}
    first: list[Asked] = ["waiting_nobody"]
    if not nobody:
        choices = {"1": "waiting_stay", **choices}
        first = [*await how_long(talk, office, queue, place)]
    try:
        match await talk.choose(choices, first=first):
            case "2":
                await arrange_callback(talk, office, queue, place=place, calendar=calendar)
                return
            case "3":
                await leave_message(talk, office, queue)
                return
            case _:
                pass
    except (LeavesMenu, GoBack):
        if nobody:
            await must_leave_message(talk, office, queue)
            return
    await talk.insist("waiting_on")
    await leave_to(talk, office, queue, place)
