"""A stand in the house: whoever wants one leaves a number, and the leasing team calls back."""

from __future__ import annotations

from crm_store import audit
from crm_store.contacts import tasks
from crm_store.contacts.tasks import NewTask
from crm_store.database import Transaction
from crm_store.models import TaskKind
from ivr.conversation.conversation import Conversation
from ivr.menus.back_office import BackOffice
from ivr.menus.callback_number import ask_number
from ivr.menus.values import PhoneNumber


async def let_stand(talk: Conversation, office: BackOffice, queue: str) -> None:
    """Take a number down as a task for the people of `queue`."""
    await talk.say("letting_intro")
    number = await ask_number(talk, office)
    customer_id = talk.customer.id if talk.customer is not None else None
    task = NewTask(
        kind=TaskKind.CALLBACK,
        title=office.staff_text("letting_title"),
        number=number,
        due_at=talk.now(),
        customer_id=customer_id,
        interaction_id=await office.interaction_of(talk),
        queue=queue,
    )

    async def keep(transaction: Transaction) -> None:
        await tasks.create(transaction, task, actor=audit.SYSTEM)

    await office.write(keep)
    await talk.insist("letting_done", number=PhoneNumber(number, office.region))
