"""What the desk does with a customer's record: find, see, make and change it, always audited.

Owns how an agent's text becomes fields of a record, and what is wrong with it in the agent's
language. The record itself, and the audit's form, are the store's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from agent_desk.entrance.visitor import PARTS, address_of, id_in, signed_in
from agent_desk.languages import NAMES, Language
from agent_desk.live.caller_display import shown_number
from crm_store import audit
from crm_store.models import Channel, ContactKind, Segment
from crm_store.people import customers
from crm_store.people.customers import ContactWay, CustomerCard, NewCustomer
from crm_store.people.phone_numbers import to_e164

LONGEST_NOTES = 20_000


class WrongField(ValueError):
    """A field's text cannot be kept. The message tells the agent what to write instead."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Found:
    """One line of a search's answer. `detail` is what was found by: a number, a card, or ""."""

    id: int
    name: str
    segment: str
    language: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CustomerFields:
    """A customer's form, checked. `phone` and `mail` are new contact points, or None."""

    name: str
    language: str
    segment: Segment
    preferred_channel: Channel | None
    notes: str
    phone: ContactWay | None
    mail: ContactWay | None


def checked_fields(form: Mapping[str, object], region: str, _: Language) -> CustomerFields:
    """The form's fields. Raises WrongField for the first that cannot be kept."""

    def text(field: str) -> str:
        value = form.get(field, "")
        return value.strip() if isinstance(value, str) else ""

    def way(field: str, kind: ContactKind, message: str) -> ContactWay | None:
        if not text(field):
            return None
        try:
            return customers.contact_way(kind, text(field), region)
        except ValueError as error:
            raise WrongField(field, message) from error

    try:
        name = customers.checked_name(text("name"))
    except ValueError as error:
        raise WrongField("name", _("Write the customer's name.")) from error
    language = text("language") or "en"
    if language not in NAMES:
        raise WrongField("language", _("Choose one of the languages."))
    try:
        segment = Segment(text("segment") or Segment.ORDINARY)
        channel = Channel(text("preferred_channel")) if text("preferred_channel") else None
    except ValueError as error:
        raise WrongField("segment", _("Choose one of the list.")) from error
    if len(text("notes")) > LONGEST_NOTES:
        raise WrongField("notes", _("This is too long: at most 20,000 characters."))
    phone_hint = _("Write the number with its area, such as 010 6552 9988 or +34 912 345 678.")
    return CustomerFields(
        name=name,
        language=language,
        segment=segment,
        preferred_channel=channel,
        notes=text("notes"),
        phone=way("phone", ContactKind.PHONE, phone_hint),
        mail=way("mail", ContactKind.MAIL, _("Write a mail address, such as name@example.org.")),
    )


async def find_people(request: web.Request, text: str) -> list[Found]:
    """Customers by telephone number, member card or name, in the order of how sure that is."""
    parts = request.app[PARTS]
    text = text.strip()[:200]
    found: dict[int, Found] = {}
    number = to_e164(text, parts.region)
    if number is not None:
        for owner in await customers.find_by_phone(parts.database, number):
            found[owner.id] = _found(owner, shown_number(number))
    card = await customers.find_by_card(parts.database, text) if text else None
    if card is not None:
        found.setdefault(card.id, _found(card, card.cards[0].number if card.cards else ""))
    for person in await customers.search_by_name(parts.database, text):
        line = Found(person.id, person.name, person.segment.value, person.language)
        found.setdefault(person.id, line)
    return list(found.values())


async def seen_card(request: web.Request, customer_id: int) -> CustomerCard:
    """The customer's card; that this agent saw it is written down. Raises HTTPNotFound."""
    parts = request.app[PARTS]
    card = await customers.card(parts.database, customer_id)
    if card is None:
        raise web.HTTPNotFound
    async with parts.database.transaction() as transaction:
        await audit.record(
            transaction,
            actor=signed_in(request).agent.login,
            action="saw",
            subject_kind="customer",
            subject_id=customer_id,
            address=address_of(request),
        )
    return card


async def create(request: web.Request, fields: CustomerFields) -> int:
    """Write a new customer; the id."""
    new = NewCustomer(
        name=fields.name,
        language=fields.language,
        segment=fields.segment,
        preferred_channel=fields.preferred_channel,
        notes=fields.notes,
        contact_points=[way for way in (fields.phone, fields.mail) if way],
    )
    async with request.app[PARTS].database.transaction() as transaction:
        return await customers.create(transaction, new, actor=signed_in(request).agent.login)


async def change(request: web.Request, customer_id: int, fields: CustomerFields) -> None:
    """Change the customer and add new contact points. Raises HTTPNotFound."""
    actor = signed_in(request).agent.login
    async with request.app[PARTS].database.transaction() as transaction:
        try:
            await customers.update(
                transaction,
                customer_id,
                actor=actor,
                name=fields.name,
                language=fields.language,
                segment=fields.segment,
                preferred_channel=fields.preferred_channel,
                notes=fields.notes,
            )
        except LookupError as error:
            raise web.HTTPNotFound from error
        for way in (fields.phone, fields.mail):
            if way is not None:
                await customers.add_contact_point(transaction, customer_id, way, actor=actor)


def customer_id_of(request: web.Request) -> int:
    """The id in the address. Raises HTTPNotFound for one that cannot be."""
    return id_in(request, "customer_id")


def _found(card: CustomerCard, detail: str) -> Found:
    return Found(card.id, card.name, card.segment.value, card.language, detail)
