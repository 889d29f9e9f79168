"""The JSON API of scripts: the step an agent is at, going on, and a supervisor's try-out.

Owns the form of each request and answer. A run is saved at every step, so that a reload finds it
again; answers that fill the record do so when their step is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from sqlalchemy.exc import IntegrityError

from agent_desk.desk.api import LIVE
from agent_desk.desk.call_at_hand import (
    LONGEST_KEY,
    call_shown,
    customer_of,
    language_to_speak,
    own_call,
    text_of,
    values_for,
)
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, json_answer, language_of, signed_in, wish_of
from agent_desk.knowledge.script_view import fill_labels, problem_text, step_view, wrong_answer
from agent_desk.languages import NAMES
from crm_store.contacts import interactions
from crm_store.knowledge import script_fills, script_problems, script_steps, scripts
from crm_store.knowledge.script_steps import MalformedSteps, Step, Steps, WrongAnswer
from crm_store.knowledge.scripts import Run
from crm_store.people import customers
from crm_store.staff import queues


async def show_script(request: web.Request) -> web.StreamResponse:
    """GET ?pbx=&call=&language=: {"script": {"code", "title", "version", "languages"}, "step": (as
    script_view has it), "finished", "preview"}; {"script": null} if the call's queue has none,
    and for a call that is not on my screen.

    While the phone rings, `preview` is the first step without a run. {"later": true}: the call is
    not written down yet, ask again.
    """
    if not text_of(request.query, "call", LONGEST_KEY):
        raise web.HTTPBadRequest
    call = call_shown(request, request.query)
    if call is None:
        return json_answer({"script": None})
    queue, login = call.get("queue"), signed_in(request).agent.login
    if not queue or call["direction"] == "internal":
        return json_answer({"script": None})
    database = request.app[PARTS].database
    if call["state"] == "offered":
        return await _preview(request, call)
    found = await interactions.of_call(database, call["pbx"], call["call"])
    if found is None:
        return json_answer({"script": None, "later": True})
    run = await scripts.run_of(database, found.id, login)
    if run is None:
        current = await scripts.of_queue(database, queue)
        if current is None:
            return json_answer({"script": None})
        try:
            async with database.transaction() as transaction:
                await scripts.begin(transaction, found.id, login, current[1])
        except IntegrityError:
            pass  # Another window of the same agent was first.
        run = await scripts.run_of(database, found.id, login)
    if run is None:
        return json_answer({"script": None})
    return await _answer(request, call, run, text_of(request.query, "language"))


async def go_on(request: web.Request) -> web.StreamResponse:
    """POST {"pbx", "call", "step", "answers": {field: value}, "to": "next", "back", "stay" or
    "first", "language"}: the step after that, as GET gives it, and "not_written": [titles of places
    that could not take an answer].

    400 {"error", "field"} for an answer that is missing or is none. If another window has gone on
    meanwhile, nothing is changed and the answer is where the run is now.
    """
    wish = await wish_of(request)
    call = own_call(request, wish)
    to, given = wish.get("to"), wish.get("answers") or {}
    if call is None or to not in ("next", "back", "stay", "first") or not isinstance(given, dict):
        raise web.HTTPBadRequest
    database = request.app[PARTS].database
    found = await interactions.of_call(database, call["pbx"], call["call"])
    login = signed_in(request).agent.login
    run = await scripts.run_of(database, found.id, login) if found else None
    if found is None or run is None:
        raise web.HTTPNotFound
    step = script_steps.find(run.version.content, run.step)
    if step is None or wish.get("step") != step.id:
        return await _answer(request, call, run, text_of(wish, "language"))
    try:
        own = script_steps.checked_answers(step, given, complete=to == "next")
    except WrongAnswer as error:
        said = wrong_answer(error.kind, language_of(request))
        return json_answer({"error": said, "field": error.field}, 400)
    answers = dict(run.answers) | own
    target, finished = _target(run.version.content, step, answers, to)
    refused: list[str] = []
    customer = customer_of(request, call)
    async with database.transaction() as transaction:
        if to == "next":
            fills = {
                field.fills: str(own[field.name])
                for field in step.fields
                if field.fills and own[field.name] is not None
            }
            refused = await script_fills.write(
                transaction,
                found.id,
                fills,
                customer_id=customer["id"] if customer else None,
                languages=frozenset(NAMES),
                region=request.app[PARTS].region,
                actor=login,
            )
            filled = [place for place in fills if place not in refused]
        else:
            filled = []
        await scripts.save(transaction, run.id, step=target, answers=answers, finished=finished)
    if customer and any(place.startswith("customer.") for place in filled):
        card = await customers.card(database, customer["id"])
        if card is not None:
            request.app[LIVE].screens.customer_chosen(
                login, call["pbx"], call["call"], card.as_dict()
            )
    saved = await scripts.run_of(database, found.id, login)
    labels = fill_labels(language_of(request))
    return await _answer(
        request,
        call,
        saved or run,
        text_of(wish, "language"),
        not_written=[labels[place] for place in refused],
    )


async def try_out(request: web.Request) -> web.StreamResponse:
    """POST {"steps", "step" ("" for the first), "answers", "to", "language"}: {"step", "answers",
    "finished"} with made-up values, and nothing kept. 400 as POST /api/script/step."""
    _ = language_of(request)
    wish = await wish_of(request)
    steps = _steps_of(wish)
    answers = wish.get("answers") or {}
    if not isinstance(answers, dict) or not steps:
        raise web.HTTPBadRequest(text=_("There is no step yet."))
    step = script_steps.find(steps, text_of(wish, "step")) or steps[0]
    to = text_of(wish, "to") or "stay"
    try:
        answers = {**answers, **script_steps.checked_answers(step, answers, complete=to == "next")}
    except WrongAnswer as error:
        return json_answer({"error": wrong_answer(error.kind, _), "field": error.field}, 400)
    target, finished = _target(steps, step, answers, to)
    language = text_of(wish, "language")
    view = step_view(
        steps,
        script_steps.find(steps, target) or step,
        answers,
        language=language if language in NAMES else _.code,
        values={
            "customer.name": _("Wang Fang"),
            "agent.name": signed_in(request).agent.display_name,
            "queue": _("Customer service"),
            "points": "12,345",
            "today": _("today"),
        },
        dispositions=await _dispositions(request),
        reader=_,
    )
    return json_answer({"step": view, "answers": answers, "finished": finished})


async def check(request: web.Request) -> web.StreamResponse:
    """POST {"steps", "languages": [codes]}: {"problems": [{"step", "text"}]}, none if they can be
    published."""
    wish = await wish_of(request)
    languages = wish.get("languages")
    if not isinstance(languages, list) or not set(map(str, languages)) <= set(NAMES):
        raise web.HTTPBadRequest
    found = script_problems.problems(_steps_of(wish), languages, await _dispositions(request))
    _ = language_of(request)
    return json_answer(
        {"problems": [{"step": one.step, "text": problem_text(one, _)} for one in found]}
    )


ROUTES = (
    Route("GET", "/api/script", show_script, Access.AGENTS),
    Route("POST", "/api/script/step", go_on, Access.AGENTS),
    Route("POST", "/api/scripts/try", try_out, Access.SUPERVISORS),
    Route("POST", "/api/scripts/check", check, Access.SUPERVISORS),
)


def _steps_of(wish: Mapping[str, Any]) -> Steps:
    try:
        return script_steps.read(wish.get("steps"))
    except MalformedSteps as error:
        raise web.HTTPBadRequest(text=str(error)) from error


def _target(steps: Steps, step: Step, answers: Mapping[str, Any], to: str) -> tuple[str, bool]:
    """The step that the agent is at then, and whether the script is over."""
    match to:
        case "first":
            return steps[0].id, False
        case "back":
            passed = script_steps.way(steps, answers, step.id)
            return passed[-2] if len(passed) > 1 else step.id, False
        case "next":
            target = script_steps.find(steps, script_steps.after(step, answers) or "")
            if target is None:
                return step.id, True
            return target.id, target.end and not target.fields
    return step.id, False


async def _dispositions(request: web.Request) -> dict[str, str]:
    code = language_of(request).code
    found = await queues.dispositions(request.app[PARTS].database)
    return {choice.code: choice.title(code) for choice in found}


async def _preview(request: web.Request, call: Mapping[str, Any]) -> web.StreamResponse:
    current = await scripts.of_queue(request.app[PARTS].database, call["queue"])
    if current is None or not current[1].content:
        return json_answer({"script": None})
    script, version = current
    run = Run(0, script, version, version.content[0].id, {}, None)
    return await _answer(request, call, run, text_of(request.query, "language"), preview=True)


async def _answer(
    request: web.Request, call: Mapping[str, Any], run: Run, language: str, **more: Any
) -> web.StreamResponse:
    reader = language_of(request)
    customer = customer_of(request, call)
    spoken = language if language in NAMES else language_to_speak(request, customer)
    steps = run.version.content
    step = script_steps.find(steps, run.step) or steps[0]
    return json_answer(
        {
            "script": {
                "code": run.script.code,
                "title": run.script.title(reader.code),
                "version": run.version.number,
                "languages": [code for code in NAMES if code in step.text],
            },
            "step": step_view(
                steps,
                step,
                run.answers,
                language=spoken,
                values=await values_for(request, call, customer, spoken),
                dispositions=await _dispositions(request),
                reader=reader,
            ),
            "finished": run.finished_at is not None,
            "preview": False,
            "not_written": [],
        }
        | more
    )
