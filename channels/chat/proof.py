"""Proof: a visitor shows that they are a customer, by a code sent to an address that we know.

Owns that a code goes only to an address of exactly one customer, and that nobody learns from the
answer whether an address is known: asking is counted and answered alike. What was proven joins the
conversation with the customer. Refuses to know points and orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from channels.chat.leaving import Words
from channels.chat.visitors import NotUnderstood, reach_of
from crm_store.contacts import chat_sessions, conversations, outbox
from crm_store.contacts.chat_sessions import ChatSessionRecord
from crm_store.database import Database, Transaction
from crm_store.models import Channel, ContactKind, Purpose
from crm_store.people import identity, sign_in_codes
from crm_store.people.sign_in_codes import CodePurpose
from crm_store.shop import house

ACTOR = "chat"
"""Who acts, in the audit, when a visitor proves who they are."""

_CARRIED_BY = {ContactKind.MAIL: Channel.MAIL, ContactKind.PHONE: Channel.SMS}


class Proof:
    def __init__(self, database: Database, words: Words) -> None:
        self._database = database
        self._words = words

    async def asked_by_agent(self, conversation_id: int) -> list[int]:
        """An agent asks the visitors of a conversation who they are; the sessions to be told."""
        found = await chat_sessions.of_conversation(self._database, conversation_id)
        asked = [session.id for session in found if session.customer_id is None]
        async with self._database.transaction() as transaction:
            for session_id in asked:
                await chat_sessions.change(
                    transaction, session_id, proof_asked_at=datetime.now(UTC)
                )
        return asked

    async def ask(
        self, session_id: int, told: Mapping[str, Any], *, region: str, client_address: str
    ) -> str:
        """Send a code to the `mail` or `phone` told, if it is one customer's. Answers "sent",
        "wait" after too many, or "address" for what is none."""
        address = _address(told, region)
        session = await chat_sessions.find(self._database, session_id)
        if address is None or session is None:
            return "address"
        kind, value = address
        is_known = await self._owner(kind, value) is not None
        facts = await house.read(self._database)
        said = {"house": facts.name(session.language)}

        async def make(transaction: Transaction) -> bool:
            code = await sign_in_codes.make(
                transaction, kind, value, CodePurpose.PROOF, client_address=client_address
            )
            if code is not None and is_known:
                await outbox.write(
                    transaction,
                    channel=_CARRIED_BY[kind],
                    to=value,
                    subject=self._words("code_subject", session.language) % said,
                    text=self._words("code", session.language) % (said | {"code": code}),
                    language=session.language,
                    purpose=Purpose.CODE,
                    is_secret=True,
                    actor=ACTOR,
                )
            return code is not None

        return "sent" if await self._database.run(make) else "wait"

    async def give(
        self,
        session_id: int,
        told: Mapping[str, Any],
        typed: str,
        *,
        region: str,
        client_address: str,
    ) -> str:
        """The visitor typed the code that was sent to that `mail` or `phone`. Answers "done",
        "wrong" or "address"."""
        address = _address(told, region)
        session = await chat_sessions.find(self._database, session_id)
        if address is None or session is None:
            return "address"
        kind, value = address
        customer_id = await self._owner(kind, value)

        async def check(transaction: Transaction) -> bool:
            is_right = await sign_in_codes.check(
                transaction,
                kind,
                value,
                CodePurpose.PROOF,
                typed,
                client_address=client_address,
            )
            if not is_right or customer_id is None:
                return False
            await self._join(transaction, session, customer_id, kind, value)
            return True

        return "done" if await self._database.run(check) else "wrong"

    async def _join(
        self,
        transaction: Transaction,
        session: ChatSessionRecord,
        customer_id: int,
        kind: ContactKind,
        value: str,
    ) -> None:
        told = {"mail": value} if kind is ContactKind.MAIL else {"phone": value}
        await chat_sessions.change(
            transaction, session.id, customer_id=customer_id, proof_asked_at=None, **told
        )
        await identity.prove(transaction, customer_id, kind, value, by="code", actor=ACTOR)
        if session.conversation_id is None:
            return
        found = await conversations.find(self._database, session.conversation_id)
        while found is not None and found.merged_into is not None:
            found = await conversations.find(self._database, found.merged_into)
        # Whose it is already, by a person's decision or another's proof, it stays.
        if found is not None and found.customer_id is None:
            await conversations.give_to_customer(transaction, found.id, customer_id, actor=ACTOR)

    async def _owner(self, kind: ContactKind, value: str) -> int | None:
        """The one customer whose address that is."""
        async with self._database.reading() as session:
            return (await identity.who_is(session, _CARRIED_BY[kind], value)).customer_id


def _address(told: Mapping[str, Any], region: str) -> tuple[ContactKind, str] | None:
    try:
        reach = reach_of(told, region)
    except NotUnderstood:
        return None
    if reach.mail:
        return ContactKind.MAIL, reach.mail
    return (ContactKind.PHONE, reach.phone) if reach.phone else None
