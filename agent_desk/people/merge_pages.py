"""The pages that make one customer of two, or part one, and undo it.

Owns the choice of the other customer and of the fields that stay, and that agents who have one of
the two on their screen see the right card at once. What moves and how it is undone is the store's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from agent_desk.desk import api
from agent_desk.desk.desk_texts import desk_texts
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.sign_in import HUB
from agent_desk.entrance.visitor import PARTS, language_of, row_id, signed_in
from agent_desk.languages import Language
from agent_desk.people import customer_records
from agent_desk.people.customer_records import customer_id_of
from agent_desk.rendering import page
from crm_store.people import customers, merging
from crm_store.people.customers import CustomerCard, NewCustomer
from crm_store.people.merging import FIELDS, MoveRefused

LONGEST_REASON = 300
PARTED = ("interactions", "contact_points", "cards")


async def show_merge(request: web.Request) -> web.StreamResponse:
    """GET /customers/{id}/merge?find=&other=: find the other one, see both. Audited."""
    return await _show(request)


async def _show(request: web.Request, error: str = "") -> web.StreamResponse:
    card = await customer_records.seen_card(request, customer_id_of(request))
    if card.id != customer_id_of(request):
        raise web.HTTPSeeOther(f"/customers/{card.id}/merge")
    database = request.app[PARTS].database
    find = request.query.get("find", "").strip()
    other_id = row_id(request.query.get("other", ""))
    other = await customer_records.seen_card(request, other_id) if other_id else None
    if other is not None and other.id == card.id:
        other = None
    found = await customer_records.find_people(request, find) if find else []
    moves = await merging.moves_of(database, card.id)
    names = {}
    for move in moves:
        for customer_id in (move.from_id, move.to_id):
            names[customer_id] = await customers.name_of(database, customer_id)
    return page(
        request,
        "merge.html",
        error_status=409 if error else 200,
        error=error,
        card=card,
        other=other,
        find=find,
        found=[person for person in found if person.id != card.id],
        fields=_both_sides(card, other) if other else {},
        parts=await merging.parts_of(database, card.id),
        moves=moves,
        names=names,
        texts=desk_texts(language_of(request)),
    )


async def merge(request: web.Request) -> web.StreamResponse:
    """POST /customers/{id}/merge: the form's `other` becomes this one; for each of FIELDS the form
    says "other", "kept", or for the notes "both"."""
    _ = language_of(request)
    kept_id = customer_id_of(request)
    form = _texts(await request.post())
    database = request.app[PARTS].database
    other_id = row_id(form.get("other", ""))
    kept = await customers.card(database, kept_id)
    other = await customers.card(database, other_id) if other_id else None
    if kept is None or other is None or kept.id != kept_id or other.id != other_id:
        raise web.HTTPNotFound
    fields: dict[str, Any] = {
        name: getattr(other, name) for name in FIELDS if form.get(name) == "other"
    }
    if form.get("notes") == "both":
        fields["notes"] = "\n\n".join(filter(None, (kept.notes, other.notes)))
    try:
        async with database.transaction() as transaction:
            await merging.merge(
                transaction,
                other.id,
                kept_id,
                actor=signed_in(request).agent.login,
                fields=fields,
                reason=form.get("reason", "")[:LONGEST_REASON],
            )
    except MoveRefused as refused:
        return await _show(request, _refusal(refused, _))
    await show_on_screens(request, kept_id, other.id)
    raise web.HTTPSeeOther(f"/customers/{kept_id}")


async def split(request: web.Request) -> web.StreamResponse:
    """POST /customers/{id}/split: the chosen `interactions`, `contact_points` and `cards` are the
    customer `other`'s, or a new one's with this `name`."""
    _ = language_of(request)
    from_id = customer_id_of(request)
    form = await request.post()
    database = request.app[PARTS].database
    actor = signed_in(request).agent.login
    rows = {
        name: [number for text in form.getall(name, []) if (number := row_id(str(text)))]
        for name in PARTED
    }
    card = await customers.card(database, from_id)
    if card is None or card.id != from_id:
        raise web.HTTPNotFound
    name, other = str(form.get("name", "")).strip(), row_id(str(form.get("other", "")))
    if not name and not other:
        return await _show(request, _("Choose who it belongs to, or write a new customer's name."))
    try:
        async with database.transaction() as transaction:
            to_id = other or await customers.create(
                transaction, NewCustomer(name, card.language), actor=actor
            )
            await merging.split(
                transaction,
                from_id,
                to_id,
                rows,
                actor=actor,
                reason=str(form.get("reason", ""))[:LONGEST_REASON],
                is_new=not other,
            )
    except MoveRefused as refused:
        return await _show(request, _refusal(refused, _))
    except ValueError:
        return await _show(request, _("Write the customer's name."))
    await show_on_screens(request, from_id, to_id)
    raise web.HTTPSeeOther(f"/customers/{from_id}/merge")


async def undo(request: web.Request) -> web.StreamResponse:
    """POST /customers/{id}/moves/{move}/undo: put back what that merge or split moved."""
    _ = language_of(request)
    customer_id = customer_id_of(request)
    database = request.app[PARTS].database
    move_id = row_id(request.match_info["move_id"])
    move = await merging.find(database, move_id) if move_id else None
    if move is None or customer_id not in (move.from_id, move.to_id):
        raise web.HTTPNotFound
    try:
        async with database.transaction() as transaction:
            await merging.undo(transaction, move.id, actor=signed_in(request).agent.login)
    except MoveRefused as refused:
        return await _show(request, _refusal(refused, _))
    await show_on_screens(request, move.from_id, move.to_id)
    raise web.HTTPSeeOther(f"/customers/{customer_id}/merge")


async def show_on_screens(request: web.Request, *customer_ids: int) -> None:
    """Calls that show one of these show the card as it is now, or that of the one that is kept."""
    database = request.app[PARTS].database
    screens = request.app[api.LIVE].screens
    cards = {row_id: await customers.card(database, row_id) for row_id in customer_ids}
    for topic in list(request.app[HUB].topics.values()):
        agent = topic.name.removeprefix("agent:")
        if agent == topic.name:
            continue
        for key, pop in list(topic.documents.items()):
            if not key.startswith("pop:") or len(pop["matches"]) != 1:
                continue
            card = cards.get(pop["matches"][0]["id"])
            if card is not None:
                screens.customer_chosen(agent, pop["pbx"], pop["call"], card.as_dict())


def _both_sides(card: CustomerCard, other: CustomerCard) -> dict[str, tuple[Any, Any]]:
    """The fields in which the two differ: this one's and the other's."""
    return {
        name: (getattr(card, name), getattr(other, name))
        for name in FIELDS
        if getattr(card, name) != getattr(other, name)
    }


def _refusal(refused: MoveRefused, _: Language) -> str:
    return {
        "same": _("That is one and the same customer."),
        "merged": _("One of the two was merged away meanwhile. Look again."),
        "undone": _("That was undone before."),
        "covered": _("Something later builds upon this. Undo the later one first."),
        "nothing": _("Choose what belongs to somebody else."),
    }.get(refused.why, _("There is no such customer any more."))


def _texts(form: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


ROUTES = (
    Route("GET", "/customers/{customer_id}/merge", show_merge, Access.AGENTS),
    Route("POST", "/customers/{customer_id}/merge", merge, Access.AGENTS),
    Route("POST", "/customers/{customer_id}/split", split, Access.AGENTS),
    Route("POST", "/customers/{customer_id}/moves/{move_id}/undo", undo, Access.AGENTS),
)
