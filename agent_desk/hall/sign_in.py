"""Signing in to the hall by a code, joining as a new customer, and signing out.

Owns the way from an address to a session: the same answer whether the address is known or not, in
the same time; one code; and a second proof, the card's number, where several customers share the
address. Who may pass afterwards is the gate's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, address_of, language_of
from agent_desk.hall.codes import (
    ASKED_COOKIE,
    HALL_ACTOR,
    CodeAddress,
    is_code,
    read_address,
    remember,
    remembered,
    remembered_address,
    send_code,
)
from agent_desk.hall.frame import Faults, address_of_ours, done, form_of, hall_page
from agent_desk.hall.visitor import (
    HALL,
    HALL_COOKIE,
    customer,
    customer_if_any,
    forget_hall_cookie,
    give_session,
)
from crm_store.database import Transaction
from crm_store.models import Segment
from crm_store.people import cards, contact_points, customers, hall_sessions, identity
from crm_store.people.customers import ContactWay, FoundCustomer, NewCustomer
from crm_store.people.sign_in_codes import CodePurpose
from crm_store.phone_menus import guesses
from crm_store.phone_menus.guesses import GuessKind

log = logging.getLogger(__name__)

ASKED = "hall_code"
"""What is remembered between an address and its code."""

CHOICE = "hall_choice"
"""What is remembered of an address that is proven and is several people's."""

ANSWER_S = 0.4
"""Asking for a code takes as long, whether the address is known or not."""


# ---- asking for a code ---------------------------------------------------------------------------


async def show_sign_in(request: web.Request) -> web.StreamResponse:
    """GET /hall/sign-in ?next=: the form, or the hall for who is signed in already."""
    to = address_of_ours(request.query.get("next", ""), f"{HALL}/me")
    if customer_if_any(request):
        raise web.HTTPSeeOther(to)
    return hall_page(request, "sign_in.html", next=to, address="")


async def ask_code(request: web.Request) -> web.StreamResponse:
    """POST /hall/sign-in, fields `address` and `next`: a code goes there, if it is known."""
    form = await form_of(request)
    to = address_of_ours(form.text("next", longest=500), f"{HALL}/me")
    address = read_address(request, form)
    if address is None:
        return hall_page(
            request, "sign_in.html", faults=form.faults, next=to, address=form.text("address")
        )
    known = await contact_points.reached_at(
        request.app[PARTS].database, address.kind, address.value
    )
    return await _ask(
        request,
        address,
        {"next": to},
        known,
        template="sign_in.html",
        shown={"next": to, "address": form.text("address")},
    )


async def show_join(request: web.Request) -> web.StreamResponse:
    """GET /hall/join: the form of a new member."""
    return hall_page(request, "join.html", name="", address="")


async def ask_join(request: web.Request) -> web.StreamResponse:
    """POST /hall/join, fields `name` and `address`: a code goes there; who gives it is a member."""
    form = await form_of(request)
    _ = form.language
    name = form.needed("name", _("Write your name."), longest=customers.LONGEST_NAME)
    address = read_address(request, form)
    shown = {"name": name, "address": form.text("address")}
    if name and not any(letter.isprintable() and not letter.isspace() for letter in name):
        form.faults.say("name", _("Write your name."))
    if address is None or form.faults:
        return hall_page(request, "join.html", faults=form.faults, **dict[str, Any](shown))
    known = await contact_points.reached_at(
        request.app[PARTS].database, address.kind, address.value
    )
    # Somebody new is sent a code, too: there is nothing to hide, both are.
    return await _ask(
        request,
        address,
        {"next": f"{HALL}/card", "name": name},
        known,
        is_sent=True,
        template="join.html",
        shown=shown,
    )


async def _ask(
    request: web.Request,
    address: CodeAddress,
    says: dict[str, str],
    known: Sequence[FoundCustomer],
    *,
    template: str,
    shown: Mapping[str, str],
    is_sent: bool | None = None,
) -> web.Response:
    """Send a code and go to where it is typed; the form again after too many of them."""
    begun = asyncio.get_running_loop().time()
    is_made = await send_code(
        request,
        address,
        CodePurpose.HALL,
        is_sent=bool(known) if is_sent is None else is_sent,
        customer_id=known[0].id if len(known) == 1 else None,
    )
    await asyncio.sleep(max(0.0, begun + ANSWER_S - asyncio.get_running_loop().time()))
    if not is_made:
        _ = language_of(request)
        log.warning("too many codes were asked for from %s", address_of(request))
        faults = Faults()
        faults.say("address", _("Too many codes were asked for. Try again in an hour."))
        return hall_page(request, template, status=429, faults=faults, **dict[str, Any](shown))
    response = web.HTTPSeeOther(f"{HALL}/sign-in/code")
    says |= {"kind": address.kind.value, "value": address.value}
    await remember(request, response, ASKED, says)
    raise response


# ---- giving it -----------------------------------------------------------------------------------


async def show_code(request: web.Request) -> web.StreamResponse:
    """GET /hall/sign-in/code: where the code is typed."""
    asked = await remembered(request, ASKED)
    if asked is None:
        raise web.HTTPSeeOther(f"{HALL}/sign-in")
    return hall_page(request, "code.html", address=asked["value"], is_new="name" in asked)


async def give_code(request: web.Request) -> web.StreamResponse:
    """POST /hall/sign-in/code, field `code`: signed in, or what is wrong."""
    asked = await remembered(request, ASKED)
    if asked is None:
        raise web.HTTPSeeOther(f"{HALL}/sign-in")
    form = await form_of(request)
    _ = form.language
    address = remembered_address(asked)
    database = request.app[PARTS].database
    if not await is_code(request, address, CodePurpose.HALL, form.text("code")):
        log.warning("a wrong code was given in the hall from %s", address_of(request))
        form.faults.say(
            "code",
            _("That is not the code, or it is too old. Check it, or have a new one sent."),
        )
        return hall_page(
            request,
            "code.html",
            faults=form.faults,
            address=address.value,
            is_new="name" in asked,
        )
    known = await contact_points.reached_at(database, address.kind, address.value)
    if len(known) > 1:
        response = web.HTTPSeeOther(f"{HALL}/sign-in/which")
        says = {
            "kind": address.kind.value,
            "value": address.value,
            "next": asked["next"],
        }
        await remember(request, response, CHOICE, says)
        raise response
    if known:
        raise await _let_in(request, known[0].id, address, asked["next"])
    if "name" not in asked:
        # Known when the code was asked for, and not any more.
        raise web.HTTPSeeOther(f"{HALL}/join")

    async def join(transaction: Transaction) -> int:
        customer_id = await customers.create(
            transaction,
            NewCustomer(
                asked["name"],
                _.code,
                Segment.MEMBER,
                contact_points=[ContactWay(address.kind, address.value)],
            ),
            actor=HALL_ACTOR,
        )
        await cards.open_new_card(transaction, customer_id)
        return customer_id

    customer_id = await database.run(join)
    log.info("customer %d joined in the hall", customer_id)
    raise await _let_in(request, customer_id, address, f"{HALL}/card?done=welcome")


async def show_which(request: web.Request) -> web.StreamResponse:
    """GET /hall/sign-in/which: several people share the address; the card's number says who."""
    if await remembered(request, CHOICE) is None:
        raise web.HTTPSeeOther(f"{HALL}/sign-in")
    return hall_page(request, "which.html", card="")


async def say_which(request: web.Request) -> web.StreamResponse:
    """POST /hall/sign-in/which, field `card`: signed in as the one whose card that is."""
    choice = await remembered(request, CHOICE)
    if choice is None:
        raise web.HTTPSeeOther(f"{HALL}/sign-in")
    form = await form_of(request)
    _ = form.language
    address = remembered_address(choice)
    database = request.app[PARTS].database
    typed = form.text("card", longest=40)
    subject = f"hall:{address.value}"
    if not await guesses.allowed(database, GuessKind.CALLER_CARDS, subject):
        form.faults.say("card", _("That was tried too often. Come to our service desk, please."))
        return hall_page(request, "which.html", status=429, faults=form.faults, card="")
    account = await cards.account(database, typed)
    sharing = await contact_points.reached_at(database, address.kind, address.value)
    if account is None or account.customer_id not in {one.id for one in sharing}:
        form.faults.say("card", _("That is no card of somebody with this address."))
        return hall_page(request, "which.html", faults=form.faults, card=typed)
    async with database.transaction() as transaction:
        await guesses.succeeded(transaction, GuessKind.CALLER_CARDS, subject)
    raise await _let_in(request, account.customer_id, address, choice["next"])


async def _let_in(
    request: web.Request, customer_id: int, address: CodeAddress, to: str
) -> web.HTTPSeeOther:
    """The address is this customer's, and they are signed in."""
    lasts = timedelta(days=request.app[PARTS].hall.session_days)
    before = customer_if_any(request)

    async def open_session(transaction: Transaction) -> str:
        if before is not None:
            await hall_sessions.close_session(transaction, before.session_id)
        await identity.prove(
            transaction, customer_id, address.kind, address.value, by="code", actor=HALL_ACTOR
        )
        return await hall_sessions.open_session(transaction, customer_id, lasts)

    token = await request.app[PARTS].database.run(open_session)
    log.info("customer %d signed in to the hall from %s", customer_id, address_of(request))
    response = web.HTTPSeeOther(to)
    give_session(request, response, token)
    forget_hall_cookie(response, ASKED_COOKIE)
    return response


# ---- signing out ---------------------------------------------------------------------------------


async def sign_out(request: web.Request) -> web.StreamResponse:
    """POST /hall/sign-out: this session ends."""
    async with request.app[PARTS].database.transaction() as transaction:
        await hall_sessions.close_session(transaction, customer(request).session_id)
    response = done(HALL, "signed-out")
    forget_hall_cookie(response, HALL_COOKIE)
    raise response


async def sign_out_everywhere(request: web.Request) -> web.StreamResponse:
    """POST /hall/sign-out-everywhere: all of the customer's sessions end."""
    database = request.app[PARTS].database
    person = await customers.same_person(database, customer(request).customer_id)
    async with database.transaction() as transaction:
        await hall_sessions.close_all(transaction, person)
    response = done(HALL, "signed-out-everywhere")
    forget_hall_cookie(response, HALL_COOKIE)
    raise response


ROUTES = (
    Route("GET", f"{HALL}/sign-in", show_sign_in, Access.EVERYBODY),
    Route("POST", f"{HALL}/sign-in", ask_code, Access.EVERYBODY),
    Route("GET", f"{HALL}/sign-in/code", show_code, Access.EVERYBODY),
    Route("POST", f"{HALL}/sign-in/code", give_code, Access.EVERYBODY),
    Route("GET", f"{HALL}/sign-in/which", show_which, Access.EVERYBODY),
    Route("POST", f"{HALL}/sign-in/which", say_which, Access.EVERYBODY),
    Route("GET", f"{HALL}/join", show_join, Access.EVERYBODY),
    Route("POST", f"{HALL}/join", ask_join, Access.EVERYBODY),
    Route("POST", f"{HALL}/sign-out", sign_out, Access.CUSTOMERS),
    Route("POST", f"{HALL}/sign-out-everywhere", sign_out_everywhere, Access.CUSTOMERS),
)
