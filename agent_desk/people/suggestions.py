"""Who may be who: the page and the API of suggestions, which people accept or decline.

Owns who may decide: an agent about the conversations that they may see and about customers, as they
may merge these by hand. What is suggested, and what deciding does, is crm_store.people.identity's.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    id_in,
    json_answer,
    language_of,
    signed_in,
    wish_of,
)
from agent_desk.inbox import whose
from agent_desk.languages import Language
from agent_desk.people import merge_pages
from agent_desk.rendering import page
from crm_store.contacts import conversations
from crm_store.people import identity
from crm_store.people.identity import Reason, Suggestion
from crm_store.people.merging import MoveRefused

PAGE = 50


async def show_suggestions(request: web.Request) -> web.StreamResponse:
    """GET /customers/suggestions: who is probably who, with why, and a word to say about each."""
    return await _show(request)


async def _show(request: web.Request, error: str = "") -> web.StreamResponse:
    _ = language_of(request)
    before = request.query.get("before", "")
    if before and not (before.isascii() and before.isdecimal() and len(before) < 19):
        raise web.HTTPBadRequest
    found = await identity.open_suggestions(
        request.app[PARTS].database, before=int(before) if before else None, limit=PAGE
    )
    return page(
        request,
        "suggestions.html",
        error_status=409 if error else 200,
        error=error,
        suggestions=[one for one in found if await _may_decide(request, one)],
        reasons=reason_texts(_),
        older=found[-1].id if len(found) == PAGE else None,
    )


async def decide_on_page(request: web.Request) -> web.StreamResponse:
    """POST /customers/suggestions/{id}: `decision` is "accept" or "decline"."""
    form = await request.post()
    is_accepted = form.get("decision") == "accept"
    if not is_accepted and form.get("decision") != "decline":
        raise web.HTTPBadRequest
    try:
        one = await _decided(request, is_accepted=is_accepted)
    except web.HTTPConflict as conflict:
        return await _show(request, conflict.text or "")
    if is_accepted and one.other_id is not None:
        # There is how it is undone.
        raise web.HTTPSeeOther(f"/customers/{one.customer_id}/merge")
    raise web.HTTPSeeOther("/customers/suggestions")


async def list_suggestions(request: web.Request) -> web.StreamResponse:
    """GET /api/conversations/{id}/suggestions: {"suggestions": [{"id", "customer_id",
    "customer_name", "reason", "because"}]}: who is probably behind it."""
    found = await whose.conversation_of(request)
    _ = language_of(request)
    suggestions = await identity.open_suggestions(
        request.app[PARTS].database, conversation_id=found.id
    )
    return json_answer({"suggestions": [_document(one, _) for one in suggestions]})


async def decide(request: web.Request) -> web.StreamResponse:
    """POST /api/suggestions/{id} {"accept": bool}: {"customer_id"}, or 409 if somebody has decided
    it meanwhile."""
    wish = await wish_of(request)
    if not isinstance(wish.get("accept"), bool):
        raise web.HTTPBadRequest
    one = await _decided(request, is_accepted=wish["accept"])
    return json_answer({"customer_id": one.customer_id})


async def _decided(request: web.Request, *, is_accepted: bool) -> Suggestion:
    """Raises HTTPNotFound, HTTPForbidden, HTTPConflict with what to say."""
    _ = language_of(request)
    database = request.app[PARTS].database
    suggestion_id = id_in(request, "suggestion_id")
    found = await identity.open_suggestions(database, suggestion_id=suggestion_id)
    if not found:
        raise web.HTTPConflict(text=_("Somebody has decided this meanwhile."))
    if not await _may_decide(request, found[0]):
        raise web.HTTPForbidden(text=_("This conversation is in a queue that is not yours."))
    try:
        async with database.transaction() as transaction:
            await identity.decide(
                transaction,
                suggestion_id,
                is_accepted=is_accepted,
                actor=signed_in(request).agent.login,
            )
    except (MoveRefused, LookupError):
        raise web.HTTPConflict(text=_("Somebody has decided this meanwhile.")) from None
    if is_accepted and found[0].other_id is not None:
        await merge_pages.show_on_screens(request, found[0].customer_id, found[0].other_id)
    return found[0]


async def _may_decide(request: web.Request, one: Suggestion) -> bool:
    if one.conversation_id is None:
        return True
    found = await conversations.find(request.app[PARTS].database, one.conversation_id)
    return found is not None and await whose.may_see(request, found)


def reason_texts(_: Language) -> dict[Reason, str]:
    """Why something was suggested, as a sentence."""
    return {
        Reason.SHARED_ADDRESS: _("Several customers have this address; this is one of them."),
        Reason.UNPROVEN_SENDER: _(
            "It is this customer's address, but the mail may have been sent by somebody else."
        ),
        Reason.TYPED_ADDRESS: _("The visitor wrote this customer's mail address or number."),
        Reason.CARD_NUMBER: _("This customer's card number is in the message."),
        Reason.ORDER_NUMBER: _("The number of this customer's order is in the message."),
        Reason.SAME_NAME_AND_ADDRESS: _("The same name, and a number or mail address in common."),
    }


def _document(one: Suggestion, _: Language) -> dict[str, Any]:
    return {
        "id": one.id,
        "customer_id": one.customer_id,
        "customer_name": one.customer_name,
        "reason": one.reason.value,
        "because": reason_texts(_)[one.reason],
    }


ROUTES = (
    Route("GET", "/customers/suggestions", show_suggestions, Access.AGENTS),
    Route("POST", "/customers/suggestions/{suggestion_id}", decide_on_page, Access.AGENTS),
    Route(
        "GET",
        "/api/conversations/{conversation_id}/suggestions",
        list_suggestions,
        Access.AGENTS,
    ),
    Route("POST", "/api/suggestions/{suggestion_id}", decide, Access.AGENTS),
)
