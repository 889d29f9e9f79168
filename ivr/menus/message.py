"""A message for the people of a queue: spoken, kept as a recording, and a task to see to.

Owns that nothing spoken is lost: whoever hangs up after speaking has left a message too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from crm_store import audit
from crm_store.contacts import tasks
from crm_store.contacts.tasks import NewTask
from crm_store.database import Transaction
from crm_store.models import TaskKind
from crm_store.staff import queues
from ivr.conversation.conversation import Conversation, GoBack, LeavesMenu
from ivr.conversation.line import CallerHungUp, HangUp, RecordedSound
from ivr.menus.back_office import BackOffice

MOST_TAKES: Final = 3
"""So often a caller may speak anew, or say nothing."""

LONGEST_SECONDS: Final = 180


async def leave_message(talk: Conversation, office: BackOffice, queue: str) -> None:
    """Record a message for `queue`, and end the call."""
    sound = await spoken(talk, "message_speak")
    if sound is not None:
        await _keep(talk, office, queue, sound)
        await talk.insist("message_done")
    else:
        await talk.insist("goodbye")
    await talk.leave(HangUp())


async def must_leave_message(talk: Conversation, office: BackOffice, queue: str) -> None:
    """As leave_message where there is nothing else: no key leads away, and the call ends."""
    for _ in range(MOST_TAKES):
        try:
            await leave_message(talk, office, queue)
            return
        except (LeavesMenu, GoBack):
            continue
    await talk.insist("goodbye")
    await talk.leave(HangUp())


async def spoken(talk: Conversation, asked: str) -> RecordedSound | None:
    """What the caller says, until they are content with it; None if they say nothing."""
    for take in range(1, MOST_TAKES + 1):
        sound = await talk.record(asked, longest_seconds=LONGEST_SECONDS)
        if sound is None:
            await talk.insist("message_empty")
        elif sound.hung_up or take == MOST_TAKES or not await _wants_again(talk):
            return sound
        else:
            sound.forget()
    return None


async def _wants_again(talk: Conversation) -> bool:
    try:
        return await talk.choose({"1": "message_send", "2": "message_again"}) == "2"
    except (CallerHungUp, LeavesMenu, GoBack):
        # Silence, an impatient key or hanging up: what was said was said.
        return False


async def _keep(talk: Conversation, office: BackOffice, queue: str, sound: RecordedSound) -> None:
    found = await office.look_up(queues.find(office.database, queue))
    title = found.title(office.staff_language) if found is not None else queue
    number = office.own_number(talk)
    task = NewTask(
        kind=TaskKind.CALLBACK if number else TaskKind.TASK,
        title=office.staff_text("message_title", queue=title),
        number=number or "",
        due_at=talk.now(),
        customer_id=talk.customer.id if talk.customer is not None else None,
        interaction_id=await office.interaction_of(talk),
        queue=queue if found is not None else None,
    )
    await office.write(keeping(talk, office, sound, task))


def keeping(
    talk: Conversation, office: BackOffice, sound: RecordedSound, task: NewTask
) -> Callable[[Transaction], Awaitable[None]]:
    """Writes a recording and the task to hear it."""

    async def keep(transaction: Transaction) -> None:
        await office.keep_recording(transaction, talk, sound)
        await tasks.create(transaction, task, actor=audit.SYSTEM)

    return keep
