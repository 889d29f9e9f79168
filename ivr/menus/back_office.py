"""What stands behind a conversation: the store with its patience, the queues, and the news.

Owns how long a caller may be kept waiting for the store, how a recording and a caller's identity
are written down, and which telephone numbers the house calls. Refuses to know what is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import phonenumbers
from phonenumbers import PhoneNumberType

from crm_store import audit
from crm_store.contacts import interactions, recordings
from crm_store.database import Database, Transaction
from crm_store.people import customers
from crm_store.people.phone_numbers import region_of, to_e164
from crm_store.phone_menus import guesses
from crm_store.phone_menus.guesses import GuessKind
from crm_store.signals import CallerIdentified, Signal
from ivr.conversation.conversation import Conversation
from ivr.conversation.line import RecordedSound
from ivr.prompts import built_in
from ivr.queue_watch import QueueWatch

LOOK_UP_SECONDS: Final = 3.0
"""Longer than this nobody is kept in silence for the store."""

WRITE_SECONDS: Final = 8.0

_CALLED = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.VOIP,
    }
)
"""What a call to costs no more than a call: no premium rates, no shared costs, no personal ones."""
_TEXTED = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})

T = TypeVar("T")


class _TakenBack(Exception):
    """A trial's transaction is not to be written."""


@dataclass(slots=True, kw_only=True)
class BackOffice:
    """`region` (ISO 3166) is where the house is; `recordings` the folder that recordings' rows are
    relative to; `staff_language` the one that tasks are written in. `publish` puts a signal on the
    bus. In a trial all is done as ever and then taken back: nobody finds a complaint of it."""

    database: Database
    region: str
    watch: QueueWatch
    recordings: Path
    publish: Callable[[Signal], None] = field(default=lambda signal: None)
    staff_language: str = "en"
    is_trial: bool = False

    async def look_up(self, question: Awaitable[T]) -> T:
        """What the store says. Raises TimeoutError if it takes too long, and the store's errors."""
        async with asyncio.timeout(LOOK_UP_SECONDS):
            return await question

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """All of `work` in one transaction. Raises TimeoutError, and the store's errors."""
        async with asyncio.timeout(WRITE_SECONDS):
            if not self.is_trial:
                return await self.database.run(work)
            done: list[T] = []
            with suppress(_TakenBack):
                async with self.database.transaction() as transaction:
                    done.append(await work(transaction))
                    raise _TakenBack
            return done[0]

    async def may_try(self, kind: GuessKind, subject: str) -> bool:
        """Whether one more attempt is allowed, over all calls; it is counted."""
        if self.is_trial:
            return True
        return await self.look_up(guesses.allowed(self.database, kind, subject))

    async def was_right(self, *attempts: tuple[GuessKind, str]) -> None:
        """These attempts were right."""

        async def succeed(transaction: Transaction) -> None:
            for kind, subject in attempts:
                await guesses.succeeded(transaction, kind, subject)

        await self.write(succeed)

    async def identified(self, talk: Conversation, customer_id: int, by: str) -> None:
        """The caller has shown to be this customer: everybody may know."""
        talk.customer = await self.look_up(customers.card(self.database, customer_id))
        call = talk.call
        self.publish(
            CallerIdentified(
                pbx=call.pbx,
                call=call.linkedid,
                at=talk.now().timestamp(),
                customer_id=customer_id,
                by=by,
            )
        )

    async def interaction_of(self, talk: Conversation) -> int | None:
        """The interaction of the call, once the journal has written it."""
        found = await self.look_up(
            interactions.of_call(self.database, talk.call.pbx, talk.call.linkedid)
        )
        return found.id if found is not None else None

    async def keep_recording(
        self, transaction: Transaction, talk: Conversation, sound: RecordedSound
    ) -> int:
        """Write down what the caller has spoken, as a recording of this call; its row's id."""
        file = sound.file
        if file.is_absolute() and file.is_relative_to(self.recordings):
            file = file.relative_to(self.recordings)
        ended = talk.now()
        recording_id = await recordings.begin(
            transaction,
            pbx=talk.call.pbx,
            linkedid=talk.call.linkedid,
            file=file.as_posix(),
            started_by=audit.SYSTEM,
            at=ended - timedelta(seconds=sound.seconds),
        )
        await recordings.end(transaction, recording_id, ended)
        if self.is_trial:
            sound.forget()
        return recording_id

    def staff_text(self, code: str, **values: str) -> str:
        """A text for our own people, not for a caller."""
        text = built_in(code, self.staff_language)
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def callable_number(self, text: str, *, registered: bool = False) -> str | None:
        """The number in E.164 if the house would call it, else None.

        That is: an ordinary one in the house's own country, or (`registered`) one anywhere that a
        customer has told before.
        """
        number = to_e164(text, self.region)
        if number is None or not (registered or region_of(number) == self.region):
            return None
        parsed = phonenumbers.parse(number)
        kind = phonenumbers.number_type(parsed)
        return number if phonenumbers.is_valid_number(parsed) and kind in _CALLED else None

    def own_number(self, talk: Conversation) -> str | None:
        """The number that the caller calls from, if the house would call it."""
        known = talk.customer is not None and any(
            way.value == talk.number for way in talk.customer.contact_points
        )
        return self.callable_number(talk.number, registered=known) if talk.number else None

    def texted_number(self, talk: Conversation) -> str | None:
        """A mobile of the caller's, for a text message. A stranger's abroad is none: who calls from
        it may be paid for every message to it."""
        own = self.own_number(talk)
        numbers = [own] if own is not None else []
        if talk.customer is not None:
            numbers += [way.value for way in talk.customer.contact_points if way.kind == "phone"]
        for number in numbers:
            parsed = phonenumbers.parse(number) if number.startswith("+") else None
            if parsed is not None and phonenumbers.number_type(parsed) in _TEXTED:
                return number
        return None


def local(talk: Conversation) -> datetime:
    """The moment on the house's clock."""
    return talk.now().astimezone(talk.house.zone)
