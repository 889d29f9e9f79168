"""Telling a customer that their letter was answered in the hall, if they have not looked.

Owns when such a notice is due, where it goes and what it says. It is written once for all answers
of an hour, to the channel that the customer prefers, and says nothing of what was answered: that is
read in the hall. Refuses to know who answered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from agent_desk.hall.codes import HALL_ACTOR
from agent_desk.hall.visitor import HALL
from agent_desk.languages import language
from crm_store.contacts import conversations, messages, outbox
from crm_store.contacts.messages import MessageRecord
from crm_store.database import Database, Transaction
from crm_store.facts import MessageWritten
from crm_store.jobs import Job, Subscribers
from crm_store.models import Channel, ContactKind, ConversationState, Purpose
from crm_store.people import customers, hall_sessions, preferences
from crm_store.people.customers import CustomerCard
from crm_store.shop import house
from crm_store.signals import Direction

AFTER = timedelta(minutes=5)
"""Who is in the hall when they are answered reads it there."""

AT_MOST_EVERY = timedelta(hours=1)
_KINDS = {Channel.MAIL: ContactKind.MAIL, Channel.SMS: ContactKind.PHONE}


class AnswerNotices:
    """Follows what is answered. `base_url` gives the desk's address as customers have it, `carried`
    are the channels that messages are sent by."""

    def __init__(
        self, database: Database, *, base_url: Callable[[], str], carried: Collection[Channel]
    ) -> None:
        self._database = database
        self._base_url = base_url
        self._carried = [channel for channel in _KINDS if channel in carried]

    def subscribe(self, subscribers: Subscribers) -> None:
        """Have its handlers run by the jobs' worker."""
        subscribers.add("hall_answer", self._on_answer, MessageWritten)
        subscribers.add("hall_answer_notice", self._tell)

    async def _on_answer(self, job: Job) -> None:
        """An answer that is read in the hall: see in a while whether it was."""
        is_answer = job.data["direction"] == Direction.OUTBOUND.value
        if not is_answer or job.data["channel"] != Channel.WEB.value:
            return
        answered = await messages.find(self._database, job.data["message_id"])
        if answered is None:
            return
        due_at = answered.at + AFTER
        every = int(answered.at.timestamp() // AT_MOST_EVERY.total_seconds())
        async with self._database.transaction() as transaction:
            await transaction.schedule(
                "hall_answer_notice",
                f"hall_answer_notice:{answered.conversation_id}:{every}",
                {"message_id": answered.id},
                due_at=due_at,
            )

    async def _tell(self, job: Job) -> None:
        """Write the notice, unless the customer has been here since or has gone."""
        answered = await messages.find(self._database, job.data["message_id"])
        found = await conversations.find(
            self._database, answered.conversation_id if answered is not None else 0
        )
        if answered is None or found is None or found.customer_id is None:
            return
        if found.state is ConversationState.SPAM:
            return
        person = await customers.card(self._database, found.customer_id)
        if person is None or await self._has_looked(person, answered):
            return
        address = await self._address(person)
        if address is None:
            return
        channel, to = address
        _ = language(person.language)
        said = {
            "house": (await house.read(self._database)).name(_.code) or "Deskbell",
            "link": f"{self._base_url().rstrip('/')}{HALL}/messages/{found.id}",
        }

        async def write(transaction: Transaction) -> None:
            await outbox.write(
                transaction,
                channel=channel,
                to=to,
                subject=_("%(house)s has answered you") % said,
                text=_("%(house)s has answered you. Read it here: %(link)s") % said,
                language=_.code,
                purpose=Purpose.NOTICE,
                customer_id=person.id,
                interaction_id=found.interaction_id,
                idempotency_key=job.idempotency_key,
                actor=HALL_ACTOR,
            )

        await self._database.run(write)

    async def _has_looked(self, person: CustomerCard, answered: MessageRecord) -> bool:
        rows = await customers.same_person(self._database, person.id)
        seen_at = await hall_sessions.last_seen(self._database, rows)
        return seen_at is not None and seen_at > min(answered.at, datetime.now(UTC))

    async def _address(self, person: CustomerCard) -> tuple[Channel, str] | None:
        """Where the customer is told: first by the channel that they prefer."""
        by_wish = sorted(self._carried, key=lambda channel: channel != person.preferred_channel)
        for channel in by_wish:
            for way in person.contact_points:
                if way.kind is _KINDS[channel] and await preferences.may_write(
                    self._database, person.id, channel, way.value
                ):
                    return channel, way.value
        return None
