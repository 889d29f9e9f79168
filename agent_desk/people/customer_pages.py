"""The customers' pages: find one, all of one in one page, make and change one.

Owns the service-manager view (profile, cards with their ledger, visits, complaints, satisfaction,
story) and its forms. Every form works without a script; the story and editing in place need one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from babel.numbers import format_decimal

from agent_desk.desk.desk_texts import desk_texts
from agent_desk.desk.menu_topics import menu_topics
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, id_in, json_answer, language_of, signed_in, wish_of
from agent_desk.live.caller_display import guessed_language
from agent_desk.people import customer_records
from agent_desk.people.customer_records import WrongField, checked_fields, customer_id_of
from agent_desk.rendering import page
from crm_store.contacts import story
from crm_store.models import Channel, Severity
from crm_store.people import complaints, points, visits
from crm_store.people.customers import CustomerCard
from crm_store.people.phone_numbers import to_e164
from crm_store.people.visits import VisitIsOver
from crm_store.staff import agents, queues

LEDGER_LINES = 12
LONGEST_TEXT = 20_000
FURTHEST_ZONE_MINUTES = 14 * 60


async def find_customers(request: web.Request) -> web.StreamResponse:
    """GET /customers?find=text."""
    text = request.query.get("find", "").strip()
    found = await customer_records.find_people(request, text) if text else []
    return page(request, "customers.html", find=text, found=found)


async def show_customer(request: web.Request) -> web.StreamResponse:
    """GET /customers/{id}: everything about one customer. Audited."""
    return await _show(request)


async def _show(
    request: web.Request, *, error: str = "", form: Mapping[str, str] | None = None
) -> web.StreamResponse:
    customer_id = customer_id_of(request)
    card = await customer_records.seen_card(request, customer_id)
    if card.id != customer_id:
        raise web.HTTPSeeOther(f"/customers/{card.id}")
    database = request.app[PARTS].database
    _ = language_of(request)
    words = await story.count_satisfaction(database, card.id)
    every_queue = await queues.all_queues(database)
    return page(
        request,
        "customer.html",
        error_status=400 if error else 200,
        card=card,
        error=error,
        form=form or {},
        ledgers=await points.ledgers(database, card.id, lines=LEDGER_LINES),
        visits=await visits.of_customer(database, card.id),
        complaints=await complaints.of_customer(database, card.id),
        shown_complaint=complaints.shown_number,
        categories=category_titles(_),
        severities=severity_titles(_),
        satisfaction=words[:12][::-1],
        satisfaction_average=_average(words, _.code),
        everybody=[
            (agent.login, agent.display_name)
            for agent in await agents.all_agents(database)
            if agent.active
        ],
        now=datetime.now(UTC),
        texts=desk_texts(_)
        | {
            "me": signed_in(request).agent.login,
            "now": time.time(),
            "customer": card.id,
            "queues": {queue.name: queue.title(_.code) for queue in every_queue},
            "dispositions": await queues.disposition_titles(database, _.code),
            "menu_topics": await menu_topics(database, _),
        },
    )


async def new_customer(request: web.Request) -> web.StreamResponse:
    """GET /customers/new?phone=…: the empty form, with what is known."""
    phone = request.query.get("phone", "")[:64]
    language = guessed_language(to_e164(phone, request.app[PARTS].region)) if phone else "en"
    return _form(request, None, {"phone": phone, "language": language}, None)


async def create_customer(request: web.Request) -> web.StreamResponse:
    """POST /customers/new: makes the customer, or shows the form with what is wrong."""
    form = _texts(await request.post())
    try:
        fields = checked_fields(form, request.app[PARTS].region, language_of(request))
    except WrongField as error:
        return _form(request, None, form, error)
    customer_id = await customer_records.create(request, fields)
    raise web.HTTPSeeOther(f"/customers/{customer_id}")


async def edit_customer(request: web.Request) -> web.StreamResponse:
    """GET /customers/{id}/edit."""
    card = await customer_records.seen_card(request, customer_id_of(request))
    return _form(request, card, _values(card), None)


async def change_customer(request: web.Request) -> web.StreamResponse:
    """POST /customers/{id}/edit."""
    customer_id = customer_id_of(request)
    form = _texts(await request.post())
    try:
        fields = checked_fields(form, request.app[PARTS].region, language_of(request))
    except WrongField as error:
        return _form(request, await customer_records.seen_card(request, customer_id), form, error)
    await customer_records.change(request, customer_id, fields)
    raise web.HTTPSeeOther(f"/customers/{customer_id}")


async def change_field(request: web.Request) -> web.StreamResponse:
    """POST /api/customers/{id} {one or several of "name", "language", "segment",
    "preferred_channel", "notes", "phone", "mail"}: the card as it is; 400 {"error", "field"}."""
    card = await customer_records.seen_card(request, customer_id_of(request))
    wish = await wish_of(request)
    known = {**_values(card), "phone": "", "mail": ""}
    if not wish or not set(wish) <= set(known):
        raise web.HTTPBadRequest
    try:
        fields = checked_fields(known | wish, request.app[PARTS].region, language_of(request))
    except WrongField as error:
        return json_answer({"error": str(error), "field": error.field}, 400)
    await customer_records.change(request, card.id, fields)
    fresh = await customer_records.seen_card(request, card.id)
    return json_answer(fresh.as_dict())


async def write_visit(request: web.Request) -> web.StreamResponse:
    """POST /customers/{id}/visits: plan one ("what": "plan", with "agent") or log one ("log")."""
    _ = language_of(request)
    customer_id = customer_id_of(request)
    form = _texts(await request.post())
    actor = signed_in(request).agent.login
    at = _local_moment(form)
    plans = form.get("what") != "log"
    if at is None:
        said = _("Choose when the visit will be.") if plans else _("Choose when the visit was.")
        return await _show(request, error=said, form=form)
    place, purpose = form.get("place", "")[:300], form.get("purpose", "")[:300]
    known = {agent.login for agent in await agents.all_agents(request.app[PARTS].database)}
    agent = form.get("agent") or actor
    if agent not in known:
        raise web.HTTPBadRequest
    async with request.app[PARTS].database.transaction() as transaction:
        try:
            if plans:
                await visits.plan(
                    transaction,
                    customer_id,
                    at,
                    actor=actor,
                    agent=agent,
                    place=place,
                    purpose=purpose,
                )
            else:
                outcome = form.get("outcome", "")[:LONGEST_TEXT]
                await visits.log(
                    transaction,
                    customer_id,
                    at,
                    actor=actor,
                    outcome=outcome,
                    place=place,
                    purpose=purpose,
                )
        except LookupError as error:
            raise web.HTTPNotFound from error
    raise web.HTTPSeeOther(f"/customers/{customer_id}#visits")


async def change_visit(request: web.Request) -> web.StreamResponse:
    """POST /customers/{id}/visits/{visit}: it took place ("hold") or will not ("cancel")."""
    _ = language_of(request)
    customer_id = customer_id_of(request)
    form = _texts(await request.post())
    database = request.app[PARTS].database
    visit = await visits.find(database, id_in(request, "visit_id"))
    if visit is None or visit.customer_id != customer_id:
        raise web.HTTPNotFound
    outcome = form.get("outcome", "")[:LONGEST_TEXT]
    actor = signed_in(request).agent.login
    try:
        async with database.transaction() as transaction:
            if form.get("what") == "cancel":
                await visits.cancel(transaction, visit.id, actor=actor, reason=outcome)
            else:
                await visits.hold(transaction, visit.id, actor=actor, outcome=outcome)
    except VisitIsOver:
        return await _show(request, error=_("This visit was settled meanwhile."))
    raise web.HTTPSeeOther(f"/customers/{customer_id}#visits")


async def file_complaint(request: web.Request) -> web.StreamResponse:
    """POST /customers/{id}/complaints."""
    _ = language_of(request)
    customer_id = customer_id_of(request)
    form = _texts(await request.post())
    category, severity = form.get("category", "other"), form.get("severity", Severity.NORMAL)
    if category not in complaints.CATEGORIES or severity not in list(Severity):
        raise web.HTTPBadRequest
    text = form.get("text", "").strip()[:LONGEST_TEXT]
    if not text:
        return await _show(request, error=_("Write what the customer says."), form=form)
    async with request.app[PARTS].database.transaction() as transaction:
        try:
            await complaints.file(
                transaction,
                text,
                actor=signed_in(request).agent.login,
                customer_id=customer_id,
                category=category,
                severity=Severity(severity),
                subject=form.get("subject", ""),
            )
        except LookupError as error:
            raise web.HTTPNotFound from error
    raise web.HTTPSeeOther(f"/customers/{customer_id}#complaints")


def category_titles(_: Any) -> dict[str, str]:
    return {
        "product": _("Product"),
        "delivery": _("Delivery"),
        "staff": _("Staff"),
        "billing": _("Billing"),
        "premises": _("Premises"),
        "other": _("Other"),
    }


def severity_titles(_: Any) -> dict[str, str]:
    return {"low": _("minor"), "normal": _("ordinary"), "high": _("serious")}


def _average(words: Sequence[tuple[datetime, int, Channel]], code: str) -> str:
    if not words:
        return ""
    mean = sum(one[1] for one in words) / len(words)
    return format_decimal(mean, "0.0", code, numbering_system="default")


def _local_moment(form: Mapping[str, str]) -> datetime | None:
    """The moment of an `<input type="datetime-local">` in the zone that the form tells."""
    try:
        at = datetime.fromisoformat(form.get("at", ""))
        minutes = int(form.get("zone") or 0)
    except ValueError:
        return None
    if at.tzinfo is not None or abs(minutes) > FURTHEST_ZONE_MINUTES or not 2000 < at.year < 2200:
        return None
    return (at - timedelta(minutes=minutes)).replace(tzinfo=UTC)


def _values(card: CustomerCard) -> dict[str, str]:
    return {
        "name": card.name,
        "language": card.language,
        "segment": card.segment.value,
        "preferred_channel": card.preferred_channel.value if card.preferred_channel else "",
        "notes": card.notes,
    }


def _form(
    request: web.Request,
    card: CustomerCard | None,
    values: Mapping[str, str],
    error: WrongField | None,
) -> web.Response:
    return page(
        request,
        "customer_form.html",
        error_status=400 if error else 200,
        card=card,
        values=values,
        error=error,
        texts=desk_texts(language_of(request)),
    )


def _texts(form: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


ROUTES = (
    Route("GET", "/customers", find_customers, Access.AGENTS),
    Route("GET", "/customers/new", new_customer, Access.AGENTS),
    Route("POST", "/customers/new", create_customer, Access.AGENTS),
    Route("GET", "/customers/{customer_id}", show_customer, Access.AGENTS),
    Route("GET", "/customers/{customer_id}/edit", edit_customer, Access.AGENTS),
    Route("POST", "/customers/{customer_id}/edit", change_customer, Access.AGENTS),
    Route("POST", "/customers/{customer_id}/visits", write_visit, Access.AGENTS),
    Route("POST", "/customers/{customer_id}/visits/{visit_id}", change_visit, Access.AGENTS),
    Route("POST", "/customers/{customer_id}/complaints", file_complaint, Access.AGENTS),
    Route("POST", "/api/customers/{customer_id}", change_field, Access.AGENTS),
)
