"""The supervisors' pages of scripts, under /setup/scripts.

Owns what their list and their editor's page show (static/script_editor.js fills it), and two
versions side by side. Drafts and publishing are versioned_pages.py's; what steps may be is
script_steps' in the store.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, language_of
from agent_desk.knowledge.script_view import fill_labels, placeholder_labels, problem_text
from agent_desk.languages import NAMES
from agent_desk.setup.pages import SetupForm, setup_page
from agent_desk.setup.versioned_pages import Editor, VersionedPages
from crm_store.database import Database
from crm_store.knowledge import script_steps, scripts
from crm_store.knowledge.script_steps import Steps
from crm_store.staff import queues

HERE = "/setup/scripts"
LONGEST_STEPS = 400_000


async def _show_list(request: web.Request, found: list[tuple[Any, ...]]) -> web.Response:
    """All of them, and the queues that follow each."""
    database = request.app[PARTS].database
    code = language_of(request).code
    return setup_page(
        request,
        "setup/scripts.html",
        HERE,
        found=[(*line, await scripts.used_by(database, line[0].code)) for line in found],
        queue_titles={queue.name: queue.title(code) for queue in await queues.all_queues(database)},
    )


async def _show_editor(request: web.Request, editor: Editor[Steps]) -> web.Response:
    _ = language_of(request)
    database = request.app[PARTS].database
    return setup_page(
        request,
        "setup/scripts_editor.html",
        HERE,
        script=editor.thing,
        title=editor.title,
        versions=editor.versions,
        shown=editor.shown,
        in_use=editor.in_use,
        used_by=await scripts.used_by(database, editor.thing.code),
        steps=json.dumps(script_steps.write(editor.content), ensure_ascii=False, indent=1),
        problems=[(one.step, problem_text(one, _)) for one in editor.problems],
        choices={
            "languages": [code for code in NAMES if code in editor.thing.titles],
            "names": dict(NAMES),
            "dispositions": {
                one.code: one.title(_.code) for one in await queues.dispositions(database)
            },
            "fills": fill_labels(_),
            "placeholders": placeholder_labels(_),
        },
        faults=editor.form.faults if editor.form else None,
    )


def _read(form: SetupForm) -> Steps:
    return script_steps.read(form.json("steps", longest=LONGEST_STEPS))


async def _put(database: Database, script_id: int, number: int, again: bool, actor: str) -> None:
    known = [choice.code for choice in await queues.dispositions(database)]
    put = scripts.roll_back if again else scripts.publish
    async with database.transaction() as transaction:
        await put(transaction, script_id, number, dispositions=known, actor=actor)


PAGES = VersionedPages(
    address=HERE,
    id_name="script_id",
    things=scripts.SCRIPTS,
    field="steps",
    empty=(),
    read=_read,
    new=("setup/scripts_new.html", lambda _: _("Another script has this code.")),
    show_list=_show_list,
    show_editor=_show_editor,
    put=_put,
)


async def compare(request: web.Request) -> web.StreamResponse:
    """GET /setup/scripts/{script_id}/compare?from=1&to=2: what became of each step."""
    script = await PAGES.thing_of(request)
    every = await scripts.SCRIPTS.versions(request.app[PARTS].database, script.id)
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
            for one in script_steps.compare(before.content, then.content)
        ],
    )


ROUTES = (
    *PAGES.routes(),
    Route("GET", HERE + "/{script_id}/compare", compare, Access.SUPERVISORS),
)


def _plain(value: Any) -> str:
    """A part of a step as text; "" for one that was not there."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
