"""Visitors: who chats, from what they typed to what they have proved.

Owns what a visitor may say of themselves and how it is read. What they merely type is shown as what
they say; they are a customer only by a code that reached the customer's own telephone or mailbox,
or by a link that the hall signed for them. Knows no socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from crm_store.contacts import chat_sessions
from crm_store.contacts.chat_sessions import ChatSessionRecord, NewChatSession
from crm_store.database import Database, Transaction
from crm_store.models import ContactKind
from crm_store.people import identity
from crm_store.people.customers import mail_address
from crm_store.people.phone_numbers import to_e164
from crm_store.people.signed_links import signer

LONGEST_NAME = 100
LONGEST_TITLE = 200
LONGEST_ADDRESS = 500

CUSTOMER_LINK = "chat_customer"
"""What a token is for that says {"customer_id"}: the hall signs it into its own page's widget."""

CUSTOMER_LINK_HOLDS = timedelta(hours=2)


class NotUnderstood(Exception):
    """What the visitor typed in the field named cannot be that."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where an answer finds a visitor who has left: a mail address, a number in E.164, or ""."""

    mail: str = ""
    phone: str = ""


def reach_of(told: Mapping[str, Any], region: str) -> Reach:
    """Read `mail` and `phone` as they were typed. Raises NotUnderstood."""
    mail, phone = _text(told, "mail"), _text(told, "phone")
    address = mail_address(mail) if mail else ""
    number = to_e164(phone, region) if phone else ""
    if address is None:
        raise NotUnderstood("mail")
    if number is None:
        raise NotUnderstood("phone")
    return Reach(mail=address, phone=number)


def shown_name(text: str) -> str:
    """The name as it may be shown: one line, nothing invisible, or ""."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(plain.split())[:LONGEST_NAME]


def page_of(told: object, origin: str) -> tuple[str, str]:
    """The address and title of the page that a visitor is on, as told; the address without its
    query, which may hold secrets, and "" if it is not of the site that the request came from."""
    if not isinstance(told, Mapping):
        return "", ""
    title = shown_name(_text(told, "title")[:LONGEST_TITLE])
    try:
        parts = urlsplit(_text(told, "address"))
    except ValueError:
        return "", title
    if f"{parts.scheme}://{parts.netloc}".lower() != origin.lower():
        return "", title
    plain = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return (plain if plain.isprintable() else "")[:LONGEST_ADDRESS], title


async def begin(
    database: Database,
    told: Mapping[str, Any],
    *,
    language: str,
    topic: str,
    origin: str,
    region: str,
) -> str:
    """Keep a visitor who has consented, on a page of `origin`; their token.

    Raises NotUnderstood for a mail address or a number that is none.
    """
    reach = reach_of(told, region)
    address, title = page_of(told.get("page"), origin)
    customer_id = None
    if link := _text(told, "customer"):
        says = (await signer(database)).read(CUSTOMER_LINK, link) or {}
        known = says.get("customer_id")
        customer_id = known if isinstance(known, int) else None
    async with database.transaction() as transaction:
        _, token = await chat_sessions.begin(
            transaction,
            NewChatSession(
                language=language,
                name=shown_name(_text(told, "name")),
                mail=reach.mail,
                phone=reach.phone,
                topic=topic,
                page=address,
                page_title=title,
                customer_id=customer_id,
            ),
        )
    return token


async def reached_at(database: Database, session_id: int, reach: Reach) -> ChatSessionRecord | None:
    """The visitor says where an answer finds them; how they are known now."""
    async with database.transaction() as transaction:
        session = await chat_sessions.locked(transaction, session_id)
        if session is None:
            return None
        session = replace(session, mail=reach.mail, phone=reach.phone)
        await chat_sessions.change(transaction, session_id, mail=reach.mail, phone=reach.phone)
        if session.conversation_id is not None:
            await suggest_owner(transaction, session, session.conversation_id)
    return session


async def suggest_owner(
    transaction: Transaction, session: ChatSessionRecord, conversation_id: int
) -> None:
    """Have people asked whether a visitor is the customer whose address they say is theirs."""
    if session.customer_id is not None:
        return
    typed = [
        (kind, value)
        for kind, value in ((ContactKind.MAIL, session.mail), (ContactKind.PHONE, session.phone))
        if value
    ]
    if typed:
        await identity.suggest_for_conversation(transaction, conversation_id, typed=typed)


async def customer_link(database: Database, customer_id: int) -> str:
    """A token for `data-customer` of the widget on a page that only this customer sees."""
    made = await signer(database)
    return made.sign(CUSTOMER_LINK, {"customer_id": customer_id}, CUSTOMER_LINK_HOLDS)


def _text(told: Mapping[str, Any], name: str) -> str:
    found = told.get(name)
    return found[:2_000] if isinstance(found, str) else ""
