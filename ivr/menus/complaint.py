"""A complaint by voice: recorded, filed under a number that is read out twice and sent by SMS.

What becomes of the complaint is the complaint loop's; here it is put before the people of a queue.
"""

from __future__ import annotations

from crm_store import audit
from crm_store.contacts import outbox, tasks
from crm_store.contacts.tasks import NewTask
from crm_store.database import Transaction
from crm_store.models import Channel, TaskKind
from crm_store.people import complaints
from ivr.conversation.conversation import Conversation, Sentence
from ivr.conversation.line import CallerHungUp, RecordedSound
from ivr.menus.back_office import BackOffice
from ivr.menus.message import spoken
from ivr.menus.values import Digits
from ivr.prompts import built_in


async def take_complaint(talk: Conversation, office: BackOffice, queue: str) -> None:
    """Record what happened, file it and tell the number. It is there too if the caller hangs up."""
    sound = await spoken(talk, "complaint_speak")
    if sound is None:
        return
    texted = office.texted_number(talk)
    number = await _file(talk, office, queue, sound, texted)
    if sound.hung_up:
        raise CallerHungUp
    read_out = {"number": Digits(number)}
    await talk.insist(Sentence("complaint_number", read_out))
    await talk.insist(Sentence("complaint_number_again", read_out))
    if texted is not None:
        await talk.say("complaint_sms")
    await talk.say("complaint_next")


async def _file(
    talk: Conversation, office: BackOffice, queue: str, sound: RecordedSound, texted: str | None
) -> str:
    customer_id = talk.customer.id if talk.customer is not None else None
    interaction_id = await office.interaction_of(talk)
    reach = office.own_number(talk)

    async def file(transaction: Transaction) -> str:
        await office.keep_recording(transaction, talk, sound)
        number = await complaints.file(
            transaction,
            office.staff_text("complaint_by_voice"),
            actor=audit.SYSTEM,
            customer_id=customer_id,
            interaction_id=interaction_id,
        )
        await tasks.create(
            transaction,
            NewTask(
                kind=TaskKind.CALLBACK if reach else TaskKind.TASK,
                title=office.staff_text("complaint_title", number=number),
                number=reach or "",
                due_at=talk.now(),
                customer_id=customer_id,
                interaction_id=interaction_id,
                queue=queue,
            ),
            actor=audit.SYSTEM,
        )
        if texted is not None:
            await outbox.write(
                transaction,
                channel=Channel.SMS,
                to=texted,
                text=_message(talk, number),
                customer_id=customer_id,
                interaction_id=interaction_id,
                idempotency_key=f"complaint:{number}",
            )
        return number

    return await office.write(file)


def _message(talk: Conversation, number: str) -> str:
    text = built_in("complaint_sms_text", talk.language).replace("{number}", number)
    return text.replace("{house}", talk.house.name(talk.language) or "Deskbell")
