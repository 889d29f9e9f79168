"""The JSON API of conversations: lists, one with its line of time, and what is done with it.

Owns the form of each request and answer. Every change names the `version` that the page shows: if
the conversation has moved on since, nothing is done and the answer is 409. Opening one is audited.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    address_of,
    json_answer,
    language_of,
    row_id,
    signed_in,
    wish_of,
)
from agent_desk.inbox import whose
from agent_desk.inbox.conversation_document import NEWEST, conversation_document, entries_of
from agent_desk.inbox.documents import line_document
from agent_desk.languages import Language
from channels import routing
from crm_store import audit
from crm_store.contacts import (
    conversation_lists,
    conversation_search,
    conversations,
    messages,
    threads,
)
from crm_store.contacts.conversation_lists import InboxView, SeenBy
from crm_store.contacts.conversations import Conflict, ConversationRecord
from crm_store.database import Transaction
from crm_store.models import ConversationState
from crm_store.people import customers, identity
from crm_store.staff import agents, queues

PAGE = 50
MOST_LINES = 200
LONGEST_QUESTION = 200
LONGEST_NOTE = 20_000
MOST_SIGHTINGS = 10_000
OPENED_FOR_S = 600.0
"""An agent who reads a conversation anew within this time still has it open."""

FURTHEST_SNOOZE = timedelta(days=366)

_UNSETTLED = (ConversationState.OPEN, ConversationState.WAITING, ConversationState.SNOOZED)


def views(login: str, seen: SeenBy | None, own_queues: Sequence[str]) -> dict[str, InboxView]:
    """The views of an agent by name; `seen` is what they may see at all."""
    return {
        "mine": InboxView(assigned_to=login, states=[ConversationState.OPEN]),
        "unassigned": InboxView(
            queues=own_queues or ["-"],
            is_unassigned=True,
            states=[ConversationState.OPEN],
            order="place",
        ),
        "mentions": InboxView(mentions_of=login),
        "waiting": InboxView(assigned_to=login, states=[ConversationState.WAITING]),
        "snoozed": InboxView(seen_by=seen, states=[ConversationState.SNOOZED]),
        "closed": InboxView(seen_by=seen, states=[ConversationState.CLOSED]),
        "spam": InboxView(seen_by=seen, states=[ConversationState.SPAM]),
        "all": InboxView(seen_by=seen, states=_UNSETTLED),
    }


# ---- reading -------------------------------------------------------------------------------------


async def list_conversations(request: web.Request) -> web.StreamResponse:
    """GET ?view=&queue=&find=&before=&limit=: {"conversations": [line_document], "older": cursor or
    null}. The views are mine, unassigned, mentions, waiting, snoozed, closed, spam and all; `find`
    looks for words in all that the agent may see, whatever the view."""
    session = signed_in(request)
    query = request.query
    seen = whose.seen_by(request)
    view = views(session.agent.login, seen, list(session.agent.queues)).get(
        query.get("view") or "mine"
    )
    if view is None:
        raise web.HTTPBadRequest
    limit = min(row_id(query.get("limit", "")) or PAGE, MOST_LINES)
    find = query.get("find", "").strip()[:LONGEST_QUESTION]
    queue = query.get("queue", "")
    database = request.app[PARTS].database
    try:
        if find:
            lines, older = await conversation_search.found(
                database,
                find,
                seen_by=seen,
                queues=[queue] if queue else [],
                before=query.get("before") or None,
                limit=limit,
            )
        else:
            if queue:
                view = InboxView(
                    queues=[queue], states=[ConversationState.OPEN], seen_by=seen, order="place"
                )
            page = await conversation_lists.listed(
                database, view, before=query.get("before") or None, limit=limit + 1
            )
            lines = page[:limit]
            older = lines[-1].cursor(view.order) if len(page) > limit else None
    except ValueError as error:
        raise web.HTTPBadRequest from error
    return json_answer({"conversations": [line_document(line) for line in lines], "older": older})


async def show_conversation(request: web.Request) -> web.StreamResponse:
    """GET ?before=cursor: {"conversation": as conversation_document says, "entries": [messages and
    calls, oldest first], "older": cursor or null}. One that was merged away is only {"id",
    "merged_into"}. Opening it is audited; notes that name the agent have been seen then."""
    record = await whose.conversation_of(request)
    if record.merged_into is not None:
        merged = {"id": record.id, "merged_into": record.merged_into, "version": record.version}
        return json_answer({"conversation": merged, "entries": [], "older": None})
    before = request.query.get("before")
    whole = await _whole(request, record, before)
    await _write_down(request, record)
    await _read_mentions(request, whole)
    return json_answer(whole)


async def _whole(
    request: web.Request, record: ConversationRecord, before: str | None = None
) -> dict[str, Any]:
    line = await whose.line_of(request, record.id)
    try:
        entries, older = await entries_of(request, line.conversation, before)
    except ValueError as error:
        raise web.HTTPBadRequest from error
    document = await conversation_document(request, line)
    return {"conversation": document, "entries": entries, "older": older}


class Sightings:
    """Who opened which conversation lately: a page that reads it anew at every change has opened it
    once."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, int], float] = {}

    def is_new(self, login: str, conversation_id: int) -> bool:
        now, key = time.monotonic(), (login, conversation_id)
        known = self._at.pop(key, None)
        self._at[key] = now
        while len(self._at) > MOST_SIGHTINGS:
            del self._at[next(iter(self._at))]
        return known is None or now - known > OPENED_FOR_S


SIGHTINGS = web.AppKey("sightings", Sightings)


async def _write_down(request: web.Request, record: ConversationRecord) -> None:
    login = signed_in(request).agent.login
    if not request.app[SIGHTINGS].is_new(login, record.id):
        return
    subjects = [("conversation", record.id, "")]
    if record.customer_id is not None:
        subjects.append(("customer", record.customer_id, "conversation"))
    async with request.app[PARTS].database.transaction() as transaction:
        for kind, subject, reason in subjects:
            await audit.record(
                transaction,
                actor=login,
                action="saw",
                subject_kind=kind,
                subject_id=subject,
                address=address_of(request),
                reason=reason,
            )


async def _read_mentions(request: web.Request, whole: Mapping[str, Any]) -> None:
    """What names the agent here has been seen."""
    login = signed_in(request).agent.login
    if any(login in entry.get("mentions", ()) for entry in whole["entries"]):
        async with request.app[PARTS].database.transaction() as transaction:
            await messages.mentions_seen(transaction, login, whole["conversation"]["id"])


async def list_beside(request: web.Request) -> web.StreamResponse:
    """GET: {"conversations": [line_document]}: those that this one may be joined with: of the same
    customer, or with the same address, the newest first."""
    record = await whose.conversation_of(request)
    lines = await conversation_search.beside(request.app[PARTS].database, record, limit=NEWEST)
    seen = [line for line in lines if await whose.may_see(request, line.conversation)]
    return json_answer({"conversations": [line_document(line) for line in seen]})


# ---- doing ---------------------------------------------------------------------------------------


async def act(request: web.Request) -> web.StreamResponse:
    """POST {"action", "version"} and: assign {"to": login or null}; queue {"queue"}; snooze
    {"until": seconds}; wake; close {"disposition", "note"}; reopen; spam; tag {"add", "remove":
    [texts]}; customer {"customer"}; merge {"into"}; unmerge
    {"from"}; accept (what is offered): the conversation as it is now, as GET gives it.

    400 for what makes no sense, 409 when somebody else has changed it since.
    """
    _ = language_of(request)
    record = await whose.conversation_of(request)
    wish = await wish_of(request)
    version = wish.get("version", record.version)
    verb = VERBS.get(_text(wish, "action", 20))
    if type(version) is not int or verb is None:
        raise web.HTTPBadRequest
    database = request.app[PARTS].database
    await _check(request, record.id, wish)
    try:
        async with database.transaction() as transaction:
            how = {"actor": signed_in(request).agent.login, "expected_version": version}
            await verb(_Doing(request, transaction, record.id, wish, how))
    except (Conflict, LookupError) as error:
        raise web.HTTPConflict(text=moved_on(_)) from error
    except ValueError as error:
        raise web.HTTPBadRequest(text=_said(error, _)) from error
    fresh = await conversations.find(database, record.id)
    assert fresh is not None
    if fresh.merged_into is not None:
        merged = {"id": fresh.id, "merged_into": fresh.merged_into, "version": fresh.version}
        return json_answer({"conversation": merged, "entries": [], "older": None})
    if not await whose.may_see(request, fresh):
        # Given into a queue of others: the list shows that it has left.
        return json_answer({"conversation": None, "entries": [], "older": None})
    return json_answer(await _whole(request, fresh))


def moved_on(_: Language) -> str:
    return _("Somebody else changed this conversation meanwhile. This is how it is now.")


def _said(error: ValueError, _: Language) -> str:
    text = str(error)
    if "two customers" in text:
        return _("They are of two customers. Merge the customers first.")
    if "tag" in text:
        return _("A conversation has at most twenty tags, each with a name.")
    return _("That cannot be done with this conversation.")


async def _check(request: web.Request, conversation_id: int, wish: Mapping[str, Any]) -> None:
    """The names in the wish are those of somebody and something, and another conversation is the
    agent's to see as well: what is put into one that is not would open it to them.

    Raises HTTPBadRequest, HTTPForbidden.
    """
    _ = language_of(request)
    database = request.app[PARTS].database
    if wish.get("action") == "merge":
        other = await conversations.find(database, _number(wish, "into"))
        if other is not None and not await whose.may_see(request, other):
            raise web.HTTPForbidden(text=_("This conversation is in a queue that is not yours."))
    if wish.get("action") == "unmerge":
        other = await conversations.find(database, _number(wish, "from"))
        if other is None or other.merged_into not in (None, conversation_id):
            raise web.HTTPBadRequest(text=_("That cannot be done with this conversation."))
    if wish.get("action") == "assign" and wish.get("to") is not None:
        agent = await agents.find(database, str(wish["to"]))
        if agent is None or not agent.active:
            raise web.HTTPBadRequest(text=_("That agent is not there."))
    queue = wish.get("queue") if wish.get("action") == "queue" else None
    if queue is not None and await queues.find(database, str(queue)) is None:
        raise web.HTTPBadRequest(text=_("That queue is not there."))
    if wish.get("action") == "close" and wish.get("disposition"):
        known = {one.code for one in await queues.dispositions(database)}
        if wish["disposition"] not in known:
            raise web.HTTPBadRequest(text=_("Choose how it was settled."))
    if wish.get("action") == "customer":
        customer = wish.get("customer")
        if type(customer) is not int or await customers.card(database, customer) is None:
            raise web.HTTPBadRequest(text=_("That customer is not there."))


@dataclass(frozen=True, slots=True)
class _Doing:
    """One thing that is done to a conversation, and what each needs for it."""

    request: web.Request
    transaction: Transaction
    conversation_id: int
    wish: Mapping[str, Any]
    how: Mapping[str, Any]
    """`actor` and `expected_version`."""


async def _assign(one: _Doing) -> None:
    to = one.wish.get("to")
    await conversations.assign(one.transaction, one.conversation_id, to, **one.how)


async def _queue(one: _Doing) -> None:
    queue = one.wish.get("queue")
    await conversations.set_queue(one.transaction, one.conversation_id, queue, **one.how)


async def _snooze(one: _Doing) -> None:
    until = _until(one.request, one.wish)
    await conversations.snooze(one.transaction, one.conversation_id, until, **one.how)


async def _reopen(one: _Doing) -> None:
    await conversations.reopen(one.transaction, one.conversation_id, **one.how)


async def _close(one: _Doing) -> None:
    note = _text(one.wish, "note", LONGEST_NOTE).strip() or None
    code = _text(one.wish, "disposition", 100) or None
    await conversations.close(
        one.transaction, one.conversation_id, disposition=code, note=note, **one.how
    )


async def _spam(one: _Doing) -> None:
    await conversations.mark_spam(one.transaction, one.conversation_id, **one.how)


async def _tag(one: _Doing) -> None:
    add, remove = _texts(one.wish, "add"), _texts(one.wish, "remove")
    change = conversations.add_tags if add else conversations.remove_tags
    await change(one.transaction, one.conversation_id, add or remove, **one.how)


async def _give(one: _Doing) -> None:
    customer = int(one.wish["customer"])
    await conversations.give_to_customer(one.transaction, one.conversation_id, customer, **one.how)


async def _merge(one: _Doing) -> None:
    into = _number(one.wish, "into")
    await threads.merge(one.transaction, one.conversation_id, into, **one.how)


async def _unmerge(one: _Doing) -> None:
    await threads.undo_merge(one.transaction, _number(one.wish, "from"), actor=one.how["actor"])


async def _decide(one: _Doing) -> None:
    accepts, number = one.wish.get("accept"), _number(one.wish, "suggestion")
    database = one.request.app[PARTS].database
    open_ones = await identity.open_suggestions(database, conversation_id=one.conversation_id)
    if type(accepts) is not bool or number not in [suggestion.id for suggestion in open_ones]:
        raise web.HTTPBadRequest
    await identity.decide(one.transaction, number, is_accepted=accepts, actor=one.how["actor"])


async def _accept(one: _Doing) -> None:
    if not await routing.accept(one.transaction, one.conversation_id, one.how["actor"]):
        raise LookupError("somebody else has it")


VERBS: Mapping[str, Callable[[_Doing], Awaitable[None]]] = {
    "assign": _assign,
    "queue": _queue,
    "snooze": _snooze,
    "wake": _reopen,
    "reopen": _reopen,
    "close": _close,
    "spam": _spam,
    "tag": _tag,
    "customer": _give,
    "merge": _merge,
    "unmerge": _unmerge,
    "decide": _decide,
    "accept": _accept,
}


async def split(request: web.Request) -> web.StreamResponse:
    """POST {"messages": [ids], "version"}: {"id"} of the new conversation that they are now."""
    _ = language_of(request)
    record = await whose.conversation_of(request)
    wish = await wish_of(request)
    chosen = wish.get("messages")
    if not isinstance(chosen, list) or not all(type(one) is int for one in chosen):
        raise web.HTTPBadRequest
    try:
        async with request.app[PARTS].database.transaction() as transaction:
            new_id = await threads.split(
                transaction,
                record.id,
                chosen,
                actor=signed_in(request).agent.login,
                expected_version=wish.get("version"),
            )
    except (Conflict, LookupError) as error:
        raise web.HTTPConflict(text=moved_on(_)) from error
    except ValueError as error:
        raise web.HTTPBadRequest(text=_("Choose some of its messages, and not all.")) from error
    return json_answer({"id": new_id})


async def take_next(request: web.Request) -> web.StreamResponse:
    """POST {}: {"id"} of the conversation that is mine now: who waits first in my queues; null if
    nobody does."""
    await wish_of(request)
    agent = signed_in(request).agent
    passing = {
        one.conversation_id
        for one in request.app[PARTS].written.offers()
        if one.agent != agent.login
    }
    async with request.app[PARTS].database.transaction() as transaction:
        taken = await routing.take_next(
            transaction, agent.login, list(agent.queues), passing=passing
        )
    return json_answer({"id": taken})


# ---- how -----------------------------------------------------------------------------------------


def _until(request: web.Request, wish: Mapping[str, Any]) -> datetime:
    _ = language_of(request)
    given = wish.get("until")
    now = datetime.now(UTC)
    if isinstance(given, int | float) and not isinstance(given, bool):
        try:
            until = datetime.fromtimestamp(given, UTC)
        except (OverflowError, OSError, ValueError):
            until = now
        if now < until < now + FURTHEST_SNOOZE:
            return until
    raise web.HTTPBadRequest(text=_("Choose a moment within the next year."))


def _number(wish: Mapping[str, Any], name: str) -> int:
    value = wish.get(name)
    if type(value) is not int:
        raise web.HTTPBadRequest
    return value


def _text(wish: Mapping[str, Any], name: str, longest: int) -> str:
    value = wish.get(name) or ""
    if not isinstance(value, str) or len(value) > longest:
        raise web.HTTPBadRequest
    return value


def _texts(wish: Mapping[str, Any], name: str) -> list[str]:
    value = wish.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise web.HTTPBadRequest
    return value[:50]


ROUTES = (
    Route("GET", "/api/conversations", list_conversations, Access.AGENTS),
    Route("POST", "/api/conversations/next", take_next, Access.AGENTS),
    Route("GET", "/api/conversations/{conversation_id}", show_conversation, Access.AGENTS),
    Route("POST", "/api/conversations/{conversation_id}", act, Access.AGENTS),
    Route("GET", "/api/conversations/{conversation_id}/beside", list_beside, Access.AGENTS),
    Route("POST", "/api/conversations/{conversation_id}/split", split, Access.AGENTS),
)
