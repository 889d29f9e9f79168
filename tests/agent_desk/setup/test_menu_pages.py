"""Phone menus are edited, tried, published and taken back; none leaves callers in a dead end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from agent_desk.languages import NAMES
from agent_desk.languages import language as language_named
from agent_desk.parts import MenuControl
from agent_desk.setup.menu_words import function_titles, kind_titles, problem_text
from crm_store.phone_menus import menus
from ivr.conversation.conversation import Step
from ivr.conversation.line import HangUp, Line, Spoken, ToQueue
from ivr.menus.problems import KINDS, Problem
from ivr.menus.tree import FUNCTIONS, Tree
from tests.agent_desk.conftest import RunningDesk, Visitor, signed_in_visitor

pytestmark = pytest.mark.db

TITLES = {"title.en": "Main menu", "title.fa": "منوی اصلی"}
TREE: dict[str, Any] = {
    "languages": ["en"],
    "start": "welcome",
    "agents": {"queue": "service"},
    "nodes": [
        {"kind": "say", "id": "welcome", "texts": {"en": "Welcome."}, "to": "people"},
        {"kind": "queue", "id": "people"},
    ],
}


def tree(**changes: Any) -> str:
    return json.dumps(deepcopy(TREE) | changes)


DEAD_END = tree(nodes=[{"kind": "say", "id": "welcome", "texts": {"en": "Hello."}, "to": ""}])


async def new_menu(sara: Visitor, code: str = "main") -> str:
    status, where = await sara.send_form("/setup/menus/new", code=code, **TITLES)
    assert status == 303
    return where.partition("?")[0]


async def in_use(desk: RunningDesk) -> int | None:
    found = (await menus.MENUS.used_now(desk.database)).get("main")
    return found.number if found else None


async def test_a_menu_is_kept_as_a_draft_and_published_when_it_is_sound(
    desk: RunningDesk, sara: Visitor
) -> None:
    here = await new_menu(sara)
    assert (await sara.send_form(here, tree=tree(), **TITLES))[0] == 303
    assert await in_use(desk) is None
    assert (await sara.send_form(f"{here}/publish", number="1"))[0] == 303
    assert await in_use(desk) == 1
    status, text = await sara.get(here)
    assert status == 200
    assert "Version 1 in use" in text


async def test_a_dead_end_is_never_published(desk: RunningDesk, sara: Visitor) -> None:
    here = await new_menu(sara)
    await sara.send_form(here, tree=tree(), publish="1", **TITLES)
    status, text = await sara.send_form(here, tree=DEAD_END, publish="1", **TITLES)
    assert status == 200
    assert "leads nowhere" in text
    # It is kept as a draft, and callers hear what they heard before.
    assert await in_use(desk) == 1
    assert (await sara.send_form(f"{here}/publish", number="2"))[0] == 200
    assert await in_use(desk) == 1


async def test_an_older_version_comes_back_as_a_new_one(desk: RunningDesk, sara: Visitor) -> None:
    here = await new_menu(sara)
    await sara.send_form(here, tree=tree(), publish="1", **TITLES)
    other = json.loads(tree())
    other["nodes"][0]["texts"]["en"] = "Good day."
    await sara.send_form(here, tree=json.dumps(other), publish="1", **TITLES)
    assert await in_use(desk) == 2
    assert (await sara.send_form(f"{here}/publish", number="1"))[0] == 303
    found = (await menus.MENUS.used_now(desk.database))["main"]
    assert found.number == 3
    assert found.content["nodes"][0]["texts"]["en"] == "Welcome."


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nodes": 7}', tree(nodes=[{"kind": "spell"}])])
async def test_what_is_no_tree_is_told_and_nothing_is_lost(
    desk: RunningDesk, sara: Visitor, text: str
) -> None:
    here = await new_menu(sara)
    await sara.send_form(here, tree=tree(), **TITLES)
    status, shown = await sara.send_form(here, tree=text, **TITLES)
    assert status == 400
    assert "fault-tree" in shown
    assert "Welcome." in shown


async def test_the_editor_is_told_what_is_wrong_where(sara: Visitor) -> None:
    status, answer = await sara.post("/api/menus/check", tree=json.loads(DEAD_END))
    assert status == 200
    assert [one["node"] for one in answer["problems"]] == ["welcome"]
    assert (await sara.post("/api/menus/check", tree="soup"))[0] == 400


async def greet(line: Line, code: str, tree: Tree, number: str, report: Any) -> None:
    """A menu of two sentences that ends where the caller says."""
    report(Step(datetime.now(UTC), "welcome", "en", heard="Welcome"))
    await line.play([Spoken(f"Welcome {number} to {code}.", "en")], "")
    key = await line.key(5)
    await line.leave(ToQueue("service", 1) if key == "0" else HangUp(), "en")


@pytest.fixture
async def chief(desk: RunningDesk) -> AsyncIterator[Visitor]:
    async for one in signed_in_visitor(desk, "root"):
        yield one


@pytest.fixture
def trying(desk: RunningDesk) -> RunningDesk:
    object.__setattr__(desk.parts, "menus", MenuControl(try_out=greet))
    return desk


async def test_a_menu_is_tried_by_clicking(trying: RunningDesk, sara: Visitor) -> None:
    wish = {"code": "main", "tree": TREE, "number": "138 0013 8000"}
    status, begun = await sara.post("/api/menus/trials", **wish)
    assert status == 201
    here = f"/api/menus/trials/{begun['trial']}"
    status, news = await sara.ask(here, after="0")
    assert news["events"] == [
        {
            "kind": "say",
            "number": 1,
            "place": "welcome",
            "stop_keys": "",
            "parts": [{"text": "Welcome +8613800138000 to main.", "language": "en"}],
        }
    ]
    await sara.post(here, heard=1)
    status, news = await sara.ask(here, after=str(news["next"]))
    assert [one["kind"] for one in news["events"]] == ["ask"]
    assert (await sara.post(here, press="x"))[0] == 400
    assert (await sara.post(here, press="0"))[0] == 200
    status, news = await sara.ask(here, after=str(news["next"]))
    (last,) = news["events"]
    assert (last["kind"], last["to"], last["name"]) == ("gone", "queue", "service")


async def test_a_trial_is_its_own_persons_and_ends_with_the_next(
    trying: RunningDesk, sara: Visitor, chief: Visitor
) -> None:
    wish = {"code": "main", "tree": TREE, "number": ""}
    first = (await sara.post("/api/menus/trials", **wish))[1]["trial"]
    assert (await chief.ask(f"/api/menus/trials/{first}", after="0"))[0] == 404
    assert (await chief.post(f"/api/menus/trials/{first}", hang_up=True))[0] == 404
    second = (await sara.post("/api/menus/trials", **wish))[1]["trial"]
    assert (await sara.ask(f"/api/menus/trials/{first}", after="0"))[0] == 404
    assert (await sara.post(f"/api/menus/trials/{second}", hang_up=True))[0] == 200
    news = (await sara.ask(f"/api/menus/trials/{second}", after="1"))[1]
    assert news["events"][-1]["kind"] == "over"
    assert (await sara.ask(f"/api/menus/trials/{second}", after="x"))[0] == 400


@pytest.mark.parametrize("language", NAMES)
def test_everything_of_a_menu_has_a_name(language: str) -> None:
    _ = language_named(language)
    assert set(function_titles(_)) == set(FUNCTIONS)
    assert set(kind_titles(_)) == {
        "menu", "say", "hours", "function", "queue", "message", "goto", "hang_up",
    }  # fmt: skip
    for kind in KINDS:
        assert "%" not in problem_text(Problem(kind, "main", "service"), _)
