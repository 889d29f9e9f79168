"""The supervisors' pages of canned texts, under /setup/texts.

Owns the list and the form of one, with what is wrong told beside its field. What a text may be is
crm_store.knowledge.canned_texts'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, id_in, language_of, signed_in
from agent_desk.knowledge.script_view import placeholder_labels
from agent_desk.languages import NAMES, Language
from agent_desk.setup.pages import SetupForm, done, form_of, setup_page
from crm_store.knowledge import canned_texts
from crm_store.knowledge.canned_texts import LONGEST_TEXT, CannedTextRecord, UnusableText
from crm_store.staff import queues

HERE = "/setup/texts"


async def show_texts(request: web.Request) -> web.StreamResponse:
    """GET /setup/texts: all of them, with how often each was used."""
    code = language_of(request).code
    found = await canned_texts.all_texts(request.app[PARTS].database)
    return setup_page(
        request,
        "setup/texts.html",
        HERE,
        found=[(text, text.title(code)) for text in found],
        queue_titles=await _queue_titles(request),
    )


async def new_text(request: web.Request) -> web.StreamResponse:
    """GET /setup/texts/new."""
    return await _form(request, None, {"code": "", "titles": {}, "texts": {}, "queue": ""}, None)


async def add_text(request: web.Request) -> web.StreamResponse:
    """POST /setup/texts/new."""
    return await _save(request, None)


async def edit_text(request: web.Request) -> web.StreamResponse:
    """GET /setup/texts/{text_id}."""
    text = await _text(request)
    values = {
        "code": text.code,
        "titles": text.titles,
        "texts": text.texts,
        "queue": text.queue or "",
    }
    return await _form(request, text, values, None)


async def change_text(request: web.Request) -> web.StreamResponse:
    """POST /setup/texts/{text_id}."""
    return await _save(request, await _text(request))


async def switch_text(request: web.Request) -> web.StreamResponse:
    """POST /setup/texts/{text_id}/switch: retired, or back."""
    text = await _text(request)
    async with request.app[PARTS].database.transaction() as transaction:
        await canned_texts.save(
            transaction,
            code=text.code,
            titles=text.titles,
            texts=text.texts,
            queue=text.queue,
            active=not text.active,
            text_id=text.id,
            actor=signed_in(request).agent.login,
        )
    raise done(HERE, "retired" if text.active else "back", text.id)


ROUTES = (
    Route("GET", HERE, show_texts, Access.SUPERVISORS),
    Route("GET", f"{HERE}/new", new_text, Access.SUPERVISORS),
    Route("POST", f"{HERE}/new", add_text, Access.SUPERVISORS),
    Route("GET", HERE + "/{text_id}", edit_text, Access.SUPERVISORS),
    Route("POST", HERE + "/{text_id}", change_text, Access.SUPERVISORS),
    Route("POST", HERE + "/{text_id}/switch", switch_text, Access.SUPERVISORS),
)


async def _text(request: web.Request) -> CannedTextRecord:
    found = await canned_texts.find(request.app[PARTS].database, id_in(request, "text_id"))
    if found is None:
        raise web.HTTPNotFound
    return found


async def _queue_titles(request: web.Request) -> dict[str, str]:
    code = language_of(request).code
    found = await queues.all_queues(request.app[PARTS].database)
    return {queue.name: queue.title(code) for queue in found}


async def _save(request: web.Request, text: CannedTextRecord | None) -> web.StreamResponse:
    _ = language_of(request)
    form = await form_of(request)
    texts = {code: form.text(f"text.{code}", longest=LONGEST_TEXT) for code in NAMES}
    values: dict[str, Any] = {
        "code": form.text("code", longest=40).lower(),
        "titles": form.titles(),
        "texts": texts,
        "queue": form.choice("queue", {"": "", **await _queue_titles(request)}),
    }
    if form.faults:
        return await _form(request, text, values, form)
    try:
        async with request.app[PARTS].database.transaction() as transaction:
            kept = await canned_texts.save(
                transaction,
                code=values["code"],
                titles=values["titles"],
                texts=texts,
                queue=values["queue"] or None,
                active=text.active if text is not None else True,
                text_id=text.id if text is not None else None,
                actor=signed_in(request).agent.login,
            )
    except UnusableText as error:
        form.faults.say(*_fault(error, _))
        return await _form(request, text, values, form)
    raise done(HERE, "added" if text is None else "saved", kept)


def _fault(error: UnusableText, _: Language) -> tuple[str, str]:
    """The field that is wrong, and what to do about it."""
    match error.kind:
        case "code":
            return "code", _("Write small letters, digits and -, beginning with a letter or digit.")
        case "code_taken":
            return "code", _("Another text has this code.")
        case "placeholder":
            return f"text.{error.language}", _(
                "%s cannot be filled. Choose one of the placeholders."
            ) % error.detail
        case "too_long":
            return f"text.{error.language}", _("This is too long: at most %d characters.") % (
                LONGEST_TEXT
            )
    return "text.en", _("Write the text in one language at least.")


async def _form(
    request: web.Request,
    text: CannedTextRecord | None,
    values: Mapping[str, Any],
    form: SetupForm | None,
) -> web.Response:
    return setup_page(
        request,
        "setup/texts_form.html",
        HERE,
        text=text,
        values=values,
        queue_titles=await _queue_titles(request),
        placeholders=placeholder_labels(language_of(request)),
        longest=LONGEST_TEXT,
        faults=form.faults if form else None,
    )
