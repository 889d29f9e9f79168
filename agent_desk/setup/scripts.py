"""The supervisors' pages of scripts, under /setup/scripts.

Owns the list, the editor's page (static/script_editor.js fills it), the versions with publishing
and going back, and two versions side by side. What steps may be is script_steps' in the store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from sqlalchemy.exc import IntegrityError

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, id_in, language_of, signed_in
from agent_desk.knowledge.script_view import fill_labels, placeholder_labels, problem_text
from agent_desk.languages import NAMES
from agent_desk.setup.pages import SetupForm, done, form_of, setup_page
from crm_store.knowledge import script_steps, scripts
from crm_store.knowledge.script_problems import Problem
from crm_store.knowledge.script_steps import MalformedSteps, Steps
from crm_store.knowledge.scripts import ScriptRecord, Unpublishable, VersionRecord
from crm_store.staff import queues

HERE = "/setup/scripts"
LONGEST_STEPS = 400_000


async def show_scripts(request: web.Request) -> web.StreamResponse:
    """GET /setup/scripts: all of them, with the version in use and the queues that follow it."""
    database = request.app[PARTS].database
    code = language_of(request).code
    found = []
    for script in await scripts.all_scripts(database):
        every = await scripts.versions(database, script.id)
        newest = every[0] if every else None
        used_by = await scripts.used_by(database, script.code)
        found.append((script, script.title(code), scripts.in_use(every), newest, used_by))
    return setup_page(
        request,
        "setup/scripts.html",
        HERE,
        found=found,
        queue_titles={queue.name: queue.title(code) for queue in await queues.all_queues(database)},
    )


async def new_script(request: web.Request) -> web.StreamResponse:
    """GET /setup/scripts/new."""
    return _new_form(request, {"code": "", "titles": {}}, None)


async def add_script(request: web.Request) -> web.StreamResponse:
    """POST /setup/scripts/new: the script, then its editor."""
    _ = language_of(request)
    form = await form_of(request)
    values: dict[str, Any] = {"code": form.code("code"), "titles": form.titles()}
    if form.faults:
        return _new_form(request, values, form)
    try:
        async with request.app[PARTS].database.transaction() as transaction:
            script_id = await scripts.create(
                transaction,
                values["code"],
                values["titles"],
                actor=signed_in(request).agent.login,
            )
    except IntegrityError:
        form.faults.say("code", _("Another script has this code."))
        return _new_form(request, values, form)
    raise done(f"{HERE}/{script_id}", "added")


async def show_script(request: web.Request) -> web.StreamResponse:
    """GET /setup/scripts/{script_id}?version=: the editor with that version's steps, or with the
    newest."""
    script = await _script(request)
    every = await scripts.versions(request.app[PARTS].database, script.id)
    wanted = request.query.get("version", "")
    shown = next((one for one in every if str(one.number) == wanted), every[0] if every else None)
    return await _editor(request, script, every, shown, shown.steps if shown else ())


async def save_script(request: web.Request) -> web.StreamResponse:
    """POST /setup/scripts/{script_id} with `title.*` and `steps` (JSON): a new version of the
    steps if they differ; with `publish` that version is put into use."""
    _ = language_of(request)
    script = await _script(request)
    database = request.app[PARTS].database
    actor = signed_in(request).agent.login
    form = await form_of(request)
    titles = form.titles()
    every = await scripts.versions(database, script.id)
    newest = every[0] if every else None
    try:
        steps = script_steps.read(form.json("steps", longest=LONGEST_STEPS))
    except (MalformedSteps, ValueError) as error:
        form.faults.say("steps", str(error))
        steps = newest.steps if newest else ()
    if form.faults:
        return await _editor(request, script, every, newest, steps, form=form)
    async with database.transaction() as transaction:
        await scripts.change(
            transaction, script.id, titles=titles, active=script.active, actor=actor
        )
        number = newest.number if newest else 0
        if newest is None or newest.steps != steps:
            number = await scripts.add_version(transaction, script.id, steps, actor=actor)
    if form.ticked("publish"):
        return await _publish(request, script.id, number, again=False)
    raise done(f"{HERE}/{script.id}", "saved")


async def publish(request: web.Request) -> web.StreamResponse:
    """POST /setup/scripts/{script_id}/publish {"number"}: put that version into use; an older one
    that was in use before comes back as a new version."""
    script = await _script(request)
    form = await form_of(request)
    number = form.number("number", 1, 999_999)
    every = await scripts.versions(request.app[PARTS].database, script.id)
    again = any(one.number == number and one.published_at is not None for one in every)
    return await _publish(request, script.id, number, again=again)


async def switch_script(request: web.Request) -> web.StreamResponse:
    """POST /setup/scripts/{script_id}/switch: retired, or back."""
    script = await _script(request)
    async with request.app[PARTS].database.transaction() as transaction:
        await scripts.change(
            transaction,
            script.id,
            titles=script.titles,
            active=not script.active,
            actor=signed_in(request).agent.login,
        )
    raise done(HERE, "retired" if script.active else "back", script.id)


async def compare(request: web.Request) -> web.StreamResponse:
    """GET /setup/scripts/{script_id}/compare?from=1&to=2: what became of each step."""
    script = await _script(request)
    every = await scripts.versions(request.app[PARTS].database, script.id)
    by_number = {str(one.number): one for one in every}
    then = by_number.get(request.query.get("to", "")) or (every[0] if every else None)
    before = by_number.get(request.query.get("from", "")) or (every[-1] if every else None)
    if then is None or before is None:
        raise web.HTTPNotFound
    return setup_page(
        request,
        "setup/scripts_compare.html",
        HERE,
        script=script,
        title=script.title(language_of(request).code),
        versions=every,
        before=before,
        then=then,
        differences=[
            (one.step, one.kind, [(what, _plain(old), _plain(new)) for what, old, new in one.parts])
            for one in script_steps.compare(before.steps, then.steps)
        ],
    )


ROUTES = (
    Route("GET", HERE, show_scripts, Access.SUPERVISORS),
    Route("GET", f"{HERE}/new", new_script, Access.SUPERVISORS),
    Route("POST", f"{HERE}/new", add_script, Access.SUPERVISORS),
    Route("GET", HERE + "/{script_id}", show_script, Access.SUPERVISORS),
    Route("POST", HERE + "/{script_id}", save_script, Access.SUPERVISORS),
    Route("POST", HERE + "/{script_id}/publish", publish, Access.SUPERVISORS),
    Route("POST", HERE + "/{script_id}/switch", switch_script, Access.SUPERVISORS),
    Route("GET", HERE + "/{script_id}/compare", compare, Access.SUPERVISORS),
)


async def _script(request: web.Request) -> ScriptRecord:
    found = await scripts.find(request.app[PARTS].database, id_in(request, "script_id"))
    if found is None:
        raise web.HTTPNotFound
    return found


async def _publish(
    request: web.Request, script_id: int, number: int, *, again: bool
) -> web.StreamResponse:
    _ = language_of(request)
    database = request.app[PARTS].database
    known = [choice.code for choice in await queues.dispositions(database)]
    actor = signed_in(request).agent.login
    put = scripts.roll_back if again else scripts.publish
    try:
        async with database.transaction() as transaction:
            await put(transaction, script_id, number, dispositions=known, actor=actor)
    except LookupError as error:
        raise web.HTTPNotFound from error
    except Unpublishable as error:
        script = await scripts.find(database, script_id)
        every = await scripts.versions(database, script_id)
        shown = next((one for one in every if one.number == number), None)
        if script is None or shown is None:
            raise web.HTTPNotFound from error
        return await _editor(request, script, every, shown, shown.steps, problems=error.problems)
    raise done(f"{HERE}/{script_id}", "saved")


def _new_form(
    request: web.Request, values: Mapping[str, Any], form: SetupForm | None
) -> web.Response:
    return setup_page(
        request,
        "setup/scripts_new.html",
        HERE,
        values=values,
        faults=form.faults if form else None,
    )


async def _editor(
    request: web.Request,
    script: ScriptRecord,
    every: list[VersionRecord],
    shown: VersionRecord | None,
    steps: Steps,
    *,
    form: SetupForm | None = None,
    problems: list[Problem] | None = None,
) -> web.Response:
    _ = language_of(request)
    database = request.app[PARTS].database
    return setup_page(
        request,
        "setup/scripts_editor.html",
        HERE,
        script=script,
        title=script.title(_.code),
        versions=every,
        shown=shown,
        in_use=scripts.in_use(every),
        used_by=await scripts.used_by(database, script.code),
        steps=json.dumps(script_steps.write(steps), ensure_ascii=False, indent=1),
        problems=[(one.step, problem_text(one, _)) for one in problems or ()],
        choices={
            "languages": [code for code in NAMES if code in script.titles],
            "names": dict(NAMES),
            "dispositions": {
                one.code: one.title(_.code) for one in await queues.dispositions(database)
            },
            "fills": fill_labels(_),
            "placeholders": placeholder_labels(_),
        },
        faults=form.faults if form else None,
    )


def _plain(value: Any) -> str:
    """A part of a step as text; "" for one that was not there."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
