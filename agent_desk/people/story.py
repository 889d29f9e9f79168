"""The JSON API of a customer's story: its pages, filters and search.

Owns the form of the request and answer. That an agent saw a story is written down when they open
it, not for each page and letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    address_of,
    json_answer,
    language_of,
    signed_in,
)
from agent_desk.live.caller_display import shown_number
from agent_desk.people.customer_records import customer_id_of
from crm_store import audit
from crm_store.contacts import story
from crm_store.contacts.story import StoryEntry, StoryFilter
from crm_store.database import Database
from crm_store.models import Channel
from crm_store.people import complaints, customers
from crm_store.shop import house, orders
from crm_store.staff import agents, queues
from crm_store.text_search import EntryKind

PAGE = 25
LONGEST_QUESTION = 200


async def show_story(request: web.Request) -> web.StreamResponse:
    """GET ?before=&kind=&channel=&agent=&since=&until=&find=: {"entries": [{"kind", "id", "at",
    "agent", "channel", ...}], "older": cursor or null}, newest first.

    `kind` and `channel` take several, with commas. What each kind says of itself is in
    crm_store/contacts/story.py. Opening it is audited.
    """
    database = request.app[PARTS].database
    customer_id = customer_id_of(request)
    person = await customers.same_person(database, customer_id)
    if not person:
        raise web.HTTPNotFound
    query = request.query
    find = query.get("find", "")[:LONGEST_QUESTION]
    try:
        page = await story.read(
            database,
            person[0],
            wanted=StoryFilter(
                kinds=[EntryKind(kind) for kind in _several(query.get("kind", ""))],
                channels=[Channel(channel) for channel in _several(query.get("channel", ""))],
                agent=query.get("agent") or None,
                since=_moment(query.get("since", "")),
                until=_moment(query.get("until", "")),
            ),
            find=find,
            before=query.get("before") or None,
            limit=PAGE,
        )
    except (ValueError, KeyError) as error:
        raise web.HTTPBadRequest from error
    if not find and "before" not in query:
        async with database.transaction() as transaction:
            await audit.record(
                transaction,
                actor=signed_in(request).agent.login,
                action="saw",
                subject_kind="customer",
                subject_id=person[0],
                address=address_of(request),
                reason="story",
            )
    language = language_of(request).code
    names = await _names(database, language)
    questions = await _questions(database, page.entries, language)
    entries = [_shown(entry, names, questions, language) for entry in page.entries]
    return json_answer({"entries": entries, "older": page.older})


async def _names(database: Database, language: str) -> dict[str, str]:
    """Who or what a call can be transferred to: names by endpoint, extension and number."""
    names = {queue.number: queue.title(language) for queue in await queues.all_queues(database)}
    for agent in await agents.all_agents(database, also_inactive=True):
        if agent.extension:
            names |= dict.fromkeys(
                (agent.extension, f"PJSIP/{agent.extension}"), agent.display_name
            )
    return names


async def _questions(
    database: Database, entries: Sequence[StoryEntry], language: str
) -> dict[str, str]:
    """The survey's questions by code, as the reader's language says them."""
    if not any(entry.details.get("survey") for entry in entries):
        return {}
    asked = (await house.read(database)).survey
    return {one.code: queues.title(one.texts, language, one.code) for one in asked}


def _shown(
    entry: StoryEntry, names: Mapping[str, str], questions: Mapping[str, str], language: str
) -> dict[str, Any]:
    details = dict(entry.details)
    if survey := details.get("survey"):
        details["survey"] = survey | {
            "answers": [(questions.get(code, code), to) for code, to in survey["answers"].items()]
        }
    call = details.get("call")
    if call and call["transferred_to"]:
        details["call"] = call | {
            "transferred_to": names.get(call["transferred_to"], call["transferred_to"])
        }
    if entry.kind is EntryKind.COMPLAINT:
        details["shown_number"] = complaints.shown_number(details["number"])
    elif entry.kind is EntryKind.TASK:
        details["shown_number"] = shown_number(details["number"]) if details["number"] else ""
    elif entry.kind is EntryKind.ORDER:
        details["shown_number"] = orders.shown_number(details["number"])
        details["shown_total"] = orders.shown_money(
            details["total_minor"], details["currency"], language
        )
        details["lines"] = [
            {
                "title": queues.title(line["names"], language, line["item_number"]),
                "quantity": line["quantity"],
                "shown_price": orders.shown_money(
                    line["price_minor"], details["currency"], language
                ),
            }
            for line in details["lines"]
        ]
    elif details.get("address", "").startswith("+"):
        details["shown_address"] = shown_number(details["address"])
    return details | {
        "kind": entry.kind,
        "id": entry.id,
        "at": entry.at,
        "agent": entry.agent,
        "channel": entry.channel,
    }


def _several(text: str) -> list[str]:
    return [part for part in text.split(",") if part][:20]


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return at


ROUTES = (Route("GET", "/api/customers/{customer_id}/story", show_story, Access.AGENTS),)
