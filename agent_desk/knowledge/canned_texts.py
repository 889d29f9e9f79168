"""The JSON API of canned texts: find one, and take it with its placeholders filled.

Owns the form of each request and answer. A text is only given out whole: while a value is missing,
the answer says which, and the agent writes it or chooses another text.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from agent_desk.desk.call_at_hand import (
    call_shown,
    customer_of,
    language_to_speak,
    own_call,
    text_of,
    values_for,
)
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, json_answer, language_of, row_id, wish_of
from agent_desk.inbox.whose import about_conversation
from agent_desk.knowledge.script_view import placeholder_labels
from agent_desk.languages import NAMES
from crm_store.knowledge import canned_texts, placeholders

LONGEST_VALUE = 200


async def find_texts(request: web.Request) -> web.StreamResponse:
    """GET ?find=&language=&pbx=&call=&conversation=: {"language", "texts": [{"code", "title",
    "language", "languages", "parts", "missing": [{"name", "label"}]}]}.

    A call that is not on my screen is as none. Without a language, that of the call's customer. A
    text that is not there in it comes in another, which it says.
    """
    call, customer = await _at_hand(request, request.query.get("conversation", ""))
    if call is None:
        call = call_shown(request, request.query)
        customer = customer_of(request, call)
    wished = text_of(request.query, "language")
    language = wished if wished in NAMES else language_to_speak(request, customer)
    reader = language_of(request)
    labels = placeholder_labels(reader)
    found = await canned_texts.search(
        request.app[PARTS].database,
        text_of(request.query, "find"),
        queue=(call.get("queue") or None) if call else None,
    )
    known: dict[str, dict[str, str]] = {}
    answer: list[dict[str, Any]] = []
    for text in found:
        shown = text.language_for(language, reader.code)
        if shown not in known:
            known[shown] = await values_for(request, call, customer, shown)
        cut = placeholders.parts(text.texts.get(shown, ""), known[shown])
        answer.append(
            {
                "code": text.code,
                "title": text.title(reader.code),
                "language": shown,
                "languages": [code for code in NAMES if code in text.texts],
                "parts": [
                    {
                        "kind": part.kind,
                        "text": labels.get(part.text, part.text)
                        if part.kind == "missing"
                        else part.text,
                    }
                    for part in cut
                ],
                "missing": [
                    {"name": name, "label": labels[name]}
                    for name in dict.fromkeys(p.text for p in cut if p.kind == "missing")
                ],
            }
        )
    return json_answer({"language": language, "texts": answer})


async def use_text(request: web.Request) -> web.StreamResponse:
    """POST {"code", "language", "pbx", "call", "conversation", "values": {placeholder: text}}:
    {"text", "language"}, and the use is counted. 404 for no such code; 409 {"error", "missing":
    [{"name", "label"}]} while a value is missing: send it in `values`."""
    _ = language_of(request)
    wish = await wish_of(request)
    call, customer = await _at_hand(request, str(wish.get("conversation") or ""))
    if call is None:
        call = own_call(request, wish)
        customer = customer_of(request, call)
    own = wish.get("values") or {}
    if not isinstance(own, dict):
        raise web.HTTPBadRequest
    database = request.app[PARTS].database
    text = await canned_texts.find_by_code(database, text_of(wish, "code"))
    if text is None or (text.queue is not None and call and call.get("queue") != text.queue):
        raise web.HTTPNotFound
    wished = text_of(wish, "language")
    language = text.language_for(
        wished if wished in text.texts else language_to_speak(request, customer), _.code
    )
    values = await values_for(request, call, customer, language)
    for name in placeholders.NAMES:
        values[name] = values[name] or text_of(own, name, LONGEST_VALUE).strip()
    whole, missing = placeholders.filled(text.texts[language], values)
    if missing:
        labels = placeholder_labels(_)
        return json_answer(
            {
                "error": _("Something is missing in this text."),
                "missing": [{"name": name, "label": labels[name]} for name in missing],
            },
            409,
        )
    async with database.transaction() as transaction:
        await canned_texts.count_use(transaction, text.id)
    return json_answer({"text": whole, "language": language})


async def _at_hand(
    request: web.Request, conversation: str
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """What an answer in that conversation is about; a pair of None for none."""
    number = row_id(conversation)
    found = await about_conversation(request, number) if number is not None else None
    return found or (None, None)


ROUTES = (
    Route("GET", "/api/texts", find_texts, Access.AGENTS),
    Route("POST", "/api/texts/use", use_text, Access.AGENTS),
)
