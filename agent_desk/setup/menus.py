"""The supervisors' pages of phone menus, under /setup/menus.

Owns what their list and their editor's page show (static/menu_editor.js fills it). Drafts and
publishing are versioned_pages.py's, what a tree may be is ivr.menus'; trying one out is
menu_trials.py's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, json_answer, language_of, wish_of
from agent_desk.languages import NAMES
from agent_desk.setup.menu_words import function_titles, kind_titles, problem_text
from agent_desk.setup.pages import SetupForm, setup_page
from agent_desk.setup.versioned_pages import Editor, VersionedPages
from crm_store.database import Database
from crm_store.phone_menus import menus, opening_hours
from crm_store.staff import queues
from ivr.menus import publishing
from ivr.menus import tree as trees
from ivr.menus.tree import MalformedTree

HERE = "/setup/menus"
LONGEST_TREE = 400_000

EMPTY = {"languages": list(NAMES), "start": "", "agents": {"queue": ""}, "nodes": []}


async def _show_list(request: web.Request, found: list[tuple[Any, ...]]) -> web.Response:
    return setup_page(request, "setup/menus.html", HERE, found=found)


async def _show_editor(request: web.Request, editor: Editor[Mapping[str, Any]]) -> web.Response:
    _ = language_of(request)
    database = request.app[PARTS].database
    calendars = await opening_hours.read_all(database)
    return setup_page(
        request,
        "setup/menus_editor.html",
        HERE,
        menu=editor.thing,
        title=editor.title,
        versions=editor.versions,
        shown=editor.shown,
        in_use=editor.in_use,
        tree=json.dumps(dict(editor.content), ensure_ascii=False, indent=1),
        problems=[(one.node, problem_text(one, _)) for one in editor.problems],
        choices={
            "code": editor.thing.code,
            "names": dict(NAMES),
            "kinds": kind_titles(_),
            "functions": function_titles(_),
            "endings": sorted(trees.ENDING_FUNCTIONS),
            "queues": {one.name: one.title(_.code) for one in await queues.all_queues(database)},
            "calendars": {
                opening_hours.HOUSE: _("The house"),
                **{
                    code: one.titles.get(_.code) or one.titles.get("en") or code
                    for code, one in calendars.items()
                },
            },
        },
        faults=editor.form.faults if editor.form else None,
    )


def _read(form: SetupForm) -> Mapping[str, Any]:
    return trees.write(trees.read(form.json("tree", longest=LONGEST_TREE)))


async def _put(database: Database, menu_id: int, number: int, again: bool, actor: str) -> None:
    put = publishing.roll_back if again else publishing.publish
    await put(database, menu_id, number, actor=actor)


async def _changed(request: web.Request) -> None:
    await request.app[PARTS].menus.published()


PAGES = VersionedPages(
    address=HERE,
    id_name="menu_id",
    things=menus.MENUS,
    field="tree",
    empty=EMPTY,
    read=_read,
    new=("setup/menus_new.html", lambda _: _("There is one with this code already.")),
    show_list=_show_list,
    show_editor=_show_editor,
    put=_put,
    changed=_changed,
)


async def check_menu(request: web.Request) -> web.StreamResponse:
    """POST {"tree"}: {"problems": [{"node": id or "", "text"}]}, what keeps it from being
    published. 400 for what is no tree."""
    _ = language_of(request)
    try:
        tree = trees.read((await wish_of(request)).get("tree"))
    except MalformedTree as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    found = await publishing.check(request.app[PARTS].database, tree)
    return json_answer({"problems": [{"node": p.node, "text": problem_text(p, _)} for p in found]})


ROUTES = (
    *PAGES.routes(),
    Route("POST", "/api/menus/check", check_menu, Access.SUPERVISORS),
)
