"""The supervisors' pages of phone menus, under /setup/menus.

Owns the list, the editor's page (static/menu_editor.js fills it), the versions with publishing and
going back. What a tree may be is ivr.menus'; trying one out is menu_trials.py's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from sqlalchemy.exc import IntegrityError

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    id_in,
    json_answer,
    language_of,
    signed_in,
    wish_of,
)
from agent_desk.languages import NAMES
from agent_desk.setup.menu_words import function_titles, kind_titles, problem_text
from agent_desk.setup.pages import SetupForm, done, form_of, setup_page
from crm_store.database import Transaction
from crm_store.phone_menus import menus, opening_hours
from crm_store.phone_menus.menus import MenuRecord, Unpublishable, VersionRecord
from crm_store.staff import queues
from ivr.menus import publishing
from ivr.menus import tree as trees
from ivr.menus.problems import Problem
from ivr.menus.tree import MalformedTree

HERE = "/setup/menus"
LONGEST_TREE = 400_000

EMPTY = {"languages": list(NAMES), "start": "", "agents": {"queue": ""}, "nodes": []}


async def show_menus(request: web.Request) -> web.StreamResponse:
    """GET /setup/menus: all of them, with the version in use."""
    database = request.app[PARTS].database
    code = language_of(request).code
    found = []
    for menu in await menus.all_menus(database):
        every = await menus.versions(database, menu.id)
        newest = every[0] if every else None
        found.append((menu, menu.title(code), menus.used_of(every), newest))
    return setup_page(request, "setup/menus.html", HERE, found=found)


async def new_menu(request: web.Request) -> web.StreamResponse:
    """GET /setup/menus/new."""
    return _new_form(request, {"code": "", "titles": {}}, None)


async def add_menu(request: web.Request) -> web.StreamResponse:
    """POST /setup/menus/new: the menu, then its editor."""
    _ = language_of(request)
    form = await form_of(request)
    values: dict[str, Any] = {"code": form.code("code"), "titles": form.titles()}
    if form.faults:
        return _new_form(request, values, form)
    try:
        async with request.app[PARTS].database.transaction() as transaction:
            menu_id = await menus.create(
                transaction,
                values["code"],
                values["titles"],
                actor=signed_in(request).agent.login,
            )
    except IntegrityError:
        form.faults.say("code", _("There is one with this code already."))
        return _new_form(request, values, form)
    raise done(f"{HERE}/{menu_id}", "added")


async def show_menu(request: web.Request) -> web.StreamResponse:
    """GET /setup/menus/{menu_id}?version=: the editor with that version's tree, or the newest's."""
    menu = await _menu(request)
    every = await menus.versions(request.app[PARTS].database, menu.id)
    wanted = request.query.get("version", "")
    shown = next((one for one in every if str(one.number) == wanted), every[0] if every else None)
    return await _editor(request, menu, every, shown, shown.tree if shown else EMPTY)


async def save_menu(request: web.Request) -> web.StreamResponse:
    """POST /setup/menus/{menu_id} with `title.*` and `tree` (JSON): a new version of the tree if it
    differs; with `publish` that version is put into use."""
    menu = await _menu(request)
    database = request.app[PARTS].database
    actor = signed_in(request).agent.login
    form = await form_of(request)
    titles = form.titles()
    every = await menus.versions(database, menu.id)
    newest = every[0] if every else None
    tree: Mapping[str, Any] = newest.tree if newest else EMPTY
    try:
        tree = trees.write(trees.read(form.json("tree", longest=LONGEST_TREE)))
    except (MalformedTree, ValueError) as error:
        form.faults.say("tree", str(error))
    if form.faults:
        return await _editor(request, menu, every, newest, tree, form=form)

    async def keep(transaction: Transaction) -> int:
        await menus.change(transaction, menu.id, titles=titles, active=menu.active, actor=actor)
        if newest is not None and newest.tree == tree:
            return newest.number
        return await menus.add_version(transaction, menu.id, tree, actor=actor)

    number = await database.run(keep)
    if form.ticked("publish"):
        return await _publish(request, menu, number)
    raise done(f"{HERE}/{menu.id}", "saved")


async def publish(request: web.Request) -> web.StreamResponse:
    """POST /setup/menus/{menu_id}/publish {"number"}: put that version into use; an older one that
    was in use before comes back as a new version."""
    menu = await _menu(request)
    form = await form_of(request)
    return await _publish(request, menu, form.number("number", 1, 999_999))


async def switch_menu(request: web.Request) -> web.StreamResponse:
    """POST /setup/menus/{menu_id}/switch: retired, or back."""
    menu = await _menu(request)
    async with request.app[PARTS].database.transaction() as transaction:
        await menus.change(
            transaction,
            menu.id,
            titles=menu.titles,
            active=not menu.active,
            actor=signed_in(request).agent.login,
        )
    await request.app[PARTS].menus.published()
    raise done(HERE, "retired" if menu.active else "back", menu.id)


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
    Route("GET", HERE, show_menus, Access.SUPERVISORS),
    Route("GET", f"{HERE}/new", new_menu, Access.SUPERVISORS),
    Route("POST", f"{HERE}/new", add_menu, Access.SUPERVISORS),
    Route("GET", HERE + "/{menu_id}", show_menu, Access.SUPERVISORS),
    Route("POST", HERE + "/{menu_id}", save_menu, Access.SUPERVISORS),
    Route("POST", HERE + "/{menu_id}/publish", publish, Access.SUPERVISORS),
    Route("POST", HERE + "/{menu_id}/switch", switch_menu, Access.SUPERVISORS),
    Route("POST", "/api/menus/check", check_menu, Access.SUPERVISORS),
)


async def _menu(request: web.Request) -> MenuRecord:
    found = await menus.find(request.app[PARTS].database, id_in(request, "menu_id"))
    if found is None:
        raise web.HTTPNotFound
    return found


async def _publish(request: web.Request, menu: MenuRecord, number: int) -> web.StreamResponse:
    database = request.app[PARTS].database
    actor = signed_in(request).agent.login
    every = await menus.versions(database, menu.id)
    shown = next((one for one in every if one.number == number), None)
    if shown is None:
        raise web.HTTPNotFound
    put = publishing.publish if shown.published_at is None else publishing.roll_back
    try:
        await put(database, menu.id, number, actor=actor)
    except Unpublishable as error:
        return await _editor(request, menu, every, shown, shown.tree, problems=error.problems)
    await request.app[PARTS].menus.published()
    raise done(f"{HERE}/{menu.id}", "saved")


def _new_form(
    request: web.Request, values: Mapping[str, Any], form: SetupForm | None
) -> web.Response:
    return setup_page(
        request, "setup/menus_new.html", HERE, values=values, faults=form.faults if form else None
    )


async def _editor(
    request: web.Request,
    menu: MenuRecord,
    every: Sequence[VersionRecord],
    shown: VersionRecord | None,
    tree: Mapping[str, Any],
    *,
    form: SetupForm | None = None,
    problems: Sequence[Problem] = (),
) -> web.Response:
    _ = language_of(request)
    database = request.app[PARTS].database
    calendars = await opening_hours.read_all(database)
    return setup_page(
        request,
        "setup/menus_editor.html",
        HERE,
        menu=menu,
        title=menu.title(_.code),
        versions=every,
        shown=shown,
        in_use=menus.used_of(every),
        tree=json.dumps(dict(tree), ensure_ascii=False, indent=1),
        problems=[(one.node, problem_text(one, _)) for one in problems],
        choices={
            "code": menu.code,
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
        faults=form.faults if form else None,
    )
