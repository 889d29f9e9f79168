"""The customer's profile: name, language, and the ways to be reached.

Owns those pages. A new address counts from the moment that its code was given, not before; the last
way to be reached cannot be taken away, for it is how one signs in.
"""

from __future__ import annotations

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import LANGUAGE_COOKIE, PARTS, id_in, language_of
from agent_desk.hall.account import person_of
from agent_desk.hall.codes import (
    ASKED_COOKIE,
    HALL_ACTOR,
    is_code,
    read_address,
    remember,
    remembered,
    remembered_address,
    send_code,
)
from agent_desk.hall.frame import Form, done, form_of, hall_page
from agent_desk.hall.visitor import HALL, customer, forget_hall_cookie
from agent_desk.languages import NAMES
from crm_store.database import Transaction
from crm_store.models import ContactKind
from crm_store.people import contact_points, customers, identity
from crm_store.people.sign_in_codes import CodePurpose

HERE = f"{HALL}/profile"
ADDRESS = "hall_address"
"""What is remembered of a new address until its code is given."""

MOST_ADDRESSES = 12


async def show_profile(request: web.Request) -> web.StreamResponse:
    """GET /hall/profile."""
    return await _profile(request, Form({}, language_of(request)))


async def change_profile(request: web.Request) -> web.StreamResponse:
    """POST /hall/profile, fields `name` and `language`."""
    form = await form_of(request)
    _ = form.language
    name = form.needed("name", _("Write your name."), longest=customers.LONGEST_NAME)
    if name and not any(letter.isprintable() and not letter.isspace() for letter in name):
        form.faults.say("name", _("Write your name."))
    language = form.choice("language", NAMES)
    if form.faults:
        return await _profile(request, form)
    async with request.app[PARTS].database.transaction() as transaction:
        await customers.update(
            transaction,
            customer(request).customer_id,
            actor=HALL_ACTOR,
            name=name,
            language=language,
        )
    response = done(HERE, "saved")
    # What was picked for this browser would hide what was just chosen.
    response.del_cookie(LANGUAGE_COOKIE, path="/")
    raise response


async def ask_address(request: web.Request) -> web.StreamResponse:
    """POST /hall/profile/address, field `address`: a code goes there."""
    form = await form_of(request)
    _ = form.language
    person = await person_of(request)
    address = read_address(request, form)
    if len(person.contact_points) >= MOST_ADDRESSES:
        form.faults.say("address", _("These are enough: remove one first."))
    if address is None or form.faults:
        return await _profile(request, form)
    if not await send_code(request, address, CodePurpose.PROOF, customer_id=person.id):
        form.faults.say("address", _("Too many codes were asked for. Try again in an hour."))
        return await _profile(request, form, status=429)
    response = web.HTTPSeeOther(f"{HERE}/address/code")
    says = {
        "kind": address.kind.value,
        "value": address.value,
        "customer": str(person.id),
    }
    await remember(request, response, ADDRESS, says)
    raise response


async def show_address_code(request: web.Request) -> web.StreamResponse:
    """GET /hall/profile/address/code: where the new address's code is typed."""
    asked = await _asked(request)
    return hall_page(request, "address_code.html", address=asked["value"])


async def give_address_code(request: web.Request) -> web.StreamResponse:
    """POST /hall/profile/address/code, field `code`: the address is the customer's."""
    asked = await _asked(request)
    form = await form_of(request)
    _ = form.language
    address = remembered_address(asked)
    if not await is_code(request, address, CodePurpose.PROOF, form.text("code")):
        form.faults.say(
            "code",
            _("That is not the code, or it is too old. Check it, or have a new one sent."),
        )
        return hall_page(request, "address_code.html", faults=form.faults, address=address.value)

    async def add(transaction: Transaction) -> None:
        await identity.prove(
            transaction,
            customer(request).customer_id,
            address.kind,
            address.value,
            by="code",
            actor=HALL_ACTOR,
        )

    await request.app[PARTS].database.run(add)
    response = done(HERE, "added")
    forget_hall_cookie(response, ASKED_COOKIE)
    raise response


async def remove_address(request: web.Request) -> web.StreamResponse:
    """POST /hall/profile/address/{point_id}/remove: the customer is not reached there any more."""
    form = await form_of(request)
    _ = form.language
    person = await person_of(request)
    database = request.app[PARTS].database
    point_id = id_in(request, "point_id")
    points = await contact_points.of_customer(database, person.id)
    found = next((one for one in points if one.id == point_id), None)
    if found is None:
        raise web.HTTPNotFound
    signs_in = (ContactKind.PHONE, ContactKind.MAIL)
    if found.kind in signs_in and sum(one.kind in signs_in for one in points) < 2:
        form.faults.say(
            "address", _("This is the only way to reach you and to sign in. Add another one first.")
        )
        return await _profile(request, form, status=409)
    async with database.transaction() as transaction:
        await contact_points.remove(transaction, person.id, point_id, actor=HALL_ACTOR)
    raise done(HERE, "removed")


async def _asked(request: web.Request) -> dict[str, str]:
    asked = await remembered(request, ADDRESS)
    if asked is None or asked["customer"] != str(customer(request).customer_id):
        raise web.HTTPSeeOther(HERE)
    return asked


async def _profile(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    person = await person_of(request)
    return hall_page(
        request,
        "profile.html",
        status=status,
        faults=form.faults,
        name=form.text("name") or person.name,
        spoken=form.text("language") or person.language,
        address=form.text("address", longest=254),
        ways=await contact_points.of_customer(request.app[PARTS].database, person.id),
    )


ROUTES = (
    Route("GET", HERE, show_profile, Access.CUSTOMERS),
    Route("POST", HERE, change_profile, Access.CUSTOMERS),
    Route("POST", f"{HERE}/address", ask_address, Access.CUSTOMERS),
    Route("GET", f"{HERE}/address/code", show_address_code, Access.CUSTOMERS),
    Route("POST", f"{HERE}/address/code", give_address_code, Access.CUSTOMERS),
    Route("POST", f"{HERE}/address/{{point_id}}/remove", remove_address, Access.CUSTOMERS),
)
