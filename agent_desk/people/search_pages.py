"""Search over everything: its page, and the same as data for the palette.

Owns the form of the question and where each hit leads. An agent finds in conversations what is
theirs to see. That somebody searched is written down with the first page, not their words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from agent_desk.desk.desk_texts import desk_texts
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, address_of, json_answer, language_of, signed_in
from agent_desk.inbox import whose
from agent_desk.languages import Language
from agent_desk.live.caller_display import shown_number
from agent_desk.rendering import page
from crm_store import audit, everything_search
from crm_store.everything_search import KINDS, LONGEST_QUESTION, FoundThings, Hit, Person, Wanted
from crm_store.models import Channel
from crm_store.people import complaints
from crm_store.shop import house
from crm_store.staff import agents
from crm_store.text_search import EntryKind

PAGE = 20
IN_PALETTE = 6
CHANNELS = tuple(channel for channel in Channel if channel not in (Channel.WEB, Channel.VISIT))


async def show_search(request: web.Request) -> web.StreamResponse:
    """GET /search?find=&kind=&channel=&agent=&since=&until=&before=: people, numbers, and what was
    written with the words, newest first. Days are the house's. Audited."""
    query = request.query
    database = request.app[PARTS].database
    _ = language_of(request)
    facts = await house.read(database)
    find = query.get("find", "").strip()[:LONGEST_QUESTION]
    found = FoundThings([], [], [], None)
    if find:
        try:
            since, until = _day(query.get("since", "")), _day(query.get("until", ""))
            found = await everything_search.search(
                database,
                find,
                region=request.app[PARTS].region,
                wanted=_wanted(
                    request,
                    since=since and datetime.combine(since, time(), facts.zone),
                    until=until and datetime.combine(until + timedelta(days=1), time(), facts.zone),
                ),
                before=query.get("before") or None,
                limit=PAGE,
            )
        except (ValueError, OverflowError) as error:
            raise web.HTTPBadRequest from error
        if "before" not in query:
            async with database.transaction() as transaction:
                await audit.record(
                    transaction,
                    actor=signed_in(request).agent.login,
                    action="searched",
                    subject_kind="everything",
                    subject_id="",
                    address=address_of(request),
                )
    texts = desk_texts(_)
    asked = {name: value for name, value in query.items() if name != "before" and value}
    return page(
        request,
        "search.html",
        find=find,
        query=query,
        people=found.people,
        exact=[_shown(hit, _) for hit in found.exact],
        hits=[_shown(hit, _) for hit in found.hits],
        older=urlencode(asked | {"before": found.older}) if found.older else "",
        is_first="before" not in query,
        kinds=[(kind.value, kind_titles(_)[kind]) for kind in KINDS],
        channels=[(channel.value, texts["channel"][channel.value]) for channel in CHANNELS],
        everybody=[
            (agent.login, agent.display_name)
            for agent in await agents.all_agents(database)
            if agent.active
        ],
        texts=texts,
    )


async def find_everything(request: web.Request) -> web.StreamResponse:
    """GET ?find=: {"people": [{"id", "name", "detail"}], "hits": [{"kind", "title", "detail",
    "address", "at"}]}, the best few of each."""
    find = request.query.get("find", "").strip()[:LONGEST_QUESTION]
    _ = language_of(request)
    try:
        wanted = _wanted(request)
    except ValueError:
        raise web.HTTPBadRequest from None
    found = await everything_search.search(
        request.app[PARTS].database,
        find,
        region=request.app[PARTS].region,
        wanted=wanted,
        limit=IN_PALETTE,
    )
    hits = [_shown(hit, _) for hit in (*found.exact, *found.hits)]
    return json_answer(
        {
            "people": [asdict(_with_shown_number(person)) for person in found.people],
            "hits": [
                {
                    "kind": hit["kind"],
                    "title": " · ".join(filter(None, (hit["title"], hit["who"]))),
                    "detail": "".join(text for text, _found in hit["pieces"]),
                    "address": hit["address"],
                    "at": hit["at"].timestamp(),
                }
                for hit in hits
                if hit["address"]
            ][:IN_PALETTE],
        }
    )


def kind_titles(_: Language) -> dict[EntryKind, str]:
    """What each kind of hit is called."""
    return {
        EntryKind.MESSAGE: _("Message"),
        EntryKind.INTERACTION: _("Contact"),
        EntryKind.TASK: _("Task"),
        EntryKind.VISIT: _("Visit"),
        EntryKind.COMPLAINT: _("Complaint"),
        EntryKind.ORDER: _("Order"),
    }


def _wanted(
    request: web.Request, *, since: datetime | None = None, until: datetime | None = None
) -> Wanted:
    """Raises ValueError for a kind or channel that there is not."""
    query = request.query
    return Wanted(
        kinds=[EntryKind(query["kind"])] if query.get("kind") else [],
        channel=Channel(query["channel"]) if query.get("channel") else None,
        agent=query.get("agent", "")[:100],
        since=since,
        until=until,
        seen_by=whose.seen_by(request),
    )


def _day(text: str) -> Any:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date() if text else None


def _shown(hit: Hit, _: Language) -> Mapping[str, Any]:
    number = hit.number
    if hit.kind is EntryKind.COMPLAINT and number:
        number = complaints.shown_number(number)
    return {
        "kind": hit.kind.value,
        "title": " ".join(filter(None, (kind_titles(_)[hit.kind], number))),
        "at": hit.at,
        "who": hit.who,
        "customer_id": hit.customer_id,
        "customer_name": hit.customer_name,
        "channel": hit.channel.value if hit.channel else "",
        "pieces": hit.pieces,
        "address": _address_of(hit),
    }


def _address_of(hit: Hit) -> str:
    if hit.conversation_id is not None:
        return f"/inbox#{hit.conversation_id}"
    if hit.customer_id is not None:
        return f"/customers/{hit.customer_id}"
    return "/tasks" if hit.kind is EntryKind.TASK else ""


def _with_shown_number(person: Person) -> Person:
    if person.detail.startswith("+"):
        return Person(person.id, person.name, shown_number(person.detail))
    return person


ROUTES = (
    Route("GET", "/search", show_search, Access.AGENTS),
    Route("GET", "/api/search", find_everything, Access.AGENTS),
)
