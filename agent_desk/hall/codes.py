"""Codes that a customer reads on their telephone or in their mail, and types here.

Owns what such a message says, which addresses one can be sent to, and the signed cookie that
remembers between two requests what a code was asked for. Never says whether an address is known:
a code is made, counted and waited for alike, and only sending it differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from agent_desk.entrance.visitor import PARTS, address_of, language_of
from agent_desk.hall.frame import Form
from agent_desk.hall.visitor import HOUSE, set_hall_cookie
from crm_store.contacts import outbox
from crm_store.database import Transaction
from crm_store.models import Channel, ContactKind, Purpose
from crm_store.people import sign_in_codes
from crm_store.people.customers import mail_address
from crm_store.people.phone_numbers import to_e164
from crm_store.people.sign_in_codes import CodePurpose
from crm_store.people.signed_links import Says, signer

HALL_ACTOR = "hall"
"""Who acts, in the audit, where a customer does something in the hall."""

ASKED_COOKIE = "deskbell_hall_asked"
ASKED_HOLDS = timedelta(minutes=20)

_CARRIED_BY = {ContactKind.PHONE: Channel.SMS, ContactKind.MAIL: Channel.MAIL}


@dataclass(frozen=True, slots=True)
class CodeAddress:
    """Where a code goes: a telephone number in E.164, or a mail address in lower case."""

    kind: ContactKind
    value: str

    @property
    def channel(self) -> Channel:
        return _CARRIED_BY[self.kind]


def read_address(request: web.Request, form: Form, name: str = "address") -> CodeAddress | None:
    """The telephone number or mail address in that field; None, and a fault, for what is neither,
    and for what no code can be sent to here."""
    _ = form.language
    text = form.text(name, longest=254)
    parts = request.app[PARTS]
    carried = parts.hall.sends_codes_by
    found: CodeAddress | None = None
    if "@" in text:
        mail = mail_address(text)
        found = CodeAddress(ContactKind.MAIL, mail) if mail and mail.isprintable() else None
    else:
        phone = to_e164(text, parts.region)
        found = CodeAddress(ContactKind.PHONE, phone) if phone else None
    if found is None:
        form.faults.say(name, _("Write a telephone number or a mail address."))
        return None
    if not carried:
        form.faults.say(name, _("We cannot send codes at the moment. Call us, please."))
        return None
    if found.channel not in carried:
        form.faults.say(
            name,
            _("We cannot send SMS at the moment. Write your mail address.")
            if found.channel is Channel.SMS
            else _("We cannot send mail at the moment. Write your telephone number."),
        )
        return None
    return found


async def send_code(
    request: web.Request,
    address: CodeAddress,
    purpose: CodePurpose,
    *,
    is_sent: bool = True,
    customer_id: int | None = None,
) -> bool:
    """Make a code and, unless nobody is there to read it, send it. False after too many."""
    _, house = language_of(request), request[HOUSE]
    database = request.app[PARTS].database

    async def make(transaction: Transaction) -> bool:
        code = await sign_in_codes.make(
            transaction,
            address.kind,
            address.value,
            purpose,
            client_address=address_of(request),
        )
        if code is None or not is_sent:
            return code is not None
        said = {"code": code, "house": house.name(_.code) or "Deskbell"}
        await outbox.write(
            transaction,
            channel=address.channel,
            to=address.value,
            subject=_("Your code for %(house)s") % said,
            text=_(
                "%(code)s is your code for %(house)s. It is good for ten minutes. "
                "Tell it to nobody, not even to us."
            )
            % said,
            language=_.code,
            purpose=Purpose.CODE,
            customer_id=customer_id,
            is_secret=True,
            actor=HALL_ACTOR,
        )
        return True

    return await database.run(make)


async def is_code(
    request: web.Request, address: CodeAddress, purpose: CodePurpose, typed: str
) -> bool:
    """Whether that is the address's code; it is used up then."""

    async def check(transaction: Transaction) -> bool:
        return await sign_in_codes.check(
            transaction,
            address.kind,
            address.value,
            purpose,
            typed,
            client_address=address_of(request),
        )

    return await request.app[PARTS].database.run(check)


async def remember(
    request: web.Request, response: web.StreamResponse, purpose: str, says: Says
) -> None:
    """Have the browser bring this back with its next requests; nobody can write it but we."""
    ours = await signer(request.app[PARTS].database)
    token = ours.sign(purpose, says, ASKED_HOLDS)
    set_hall_cookie(request, response, ASKED_COOKIE, token, int(ASKED_HOLDS.total_seconds()))


async def remembered(request: web.Request, purpose: str) -> dict[str, str] | None:
    """What `remember` was told for that purpose; None if nothing was, or long ago."""
    token = request.cookies.get(ASKED_COOKIE, "")
    if not token:
        return None
    ours = await signer(request.app[PARTS].database)
    says = ours.read(purpose, token)
    return {name: str(value) for name, value in says.items()} if says else None


def remembered_address(says: dict[str, str]) -> CodeAddress:
    """The address in what was remembered."""
    return CodeAddress(ContactKind(says["kind"]), says["value"])
