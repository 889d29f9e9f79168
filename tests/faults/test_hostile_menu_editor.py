"""Trees that attack the menu editor: the server answers, and Chromium shows texts as texts."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from playwright.async_api import Dialog, expect

from crm_store.phone_menus import menus
from ivr import prompts
from tests.agent_desk.browser_fixtures import Chromium, chrome
from tests.agent_desk.conftest import (
    RunningDesk,
    Visitor,
    desk,
    peopled_template,
    sara,
    sqlite_template,
)
from tests.agent_desk.setup.test_menu_editor import address_of, with_menu
from tests.agent_desk.setup.test_menu_pages import TITLES, TREE, new_menu

__all__ = ["chrome", "desk", "peopled_template", "sara", "sqlite_template", "with_menu"]

pytestmark = [pytest.mark.db, pytest.mark.browser]

HTML = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


def say(text: str, **more: Any) -> dict[str, Any]:
    node = {"kind": "say", "id": "welcome", "texts": {"en": text}, "to": "people", **more}
    return deepcopy(TREE) | {"nodes": [node, {"kind": "queue", "id": "people"}]}


HOSTILE: dict[str, str] = {
    "NUL": json.dumps(say("a\0b")),
    "a lone surrogate": json.dumps(say("x")).replace('"x"', '"\\ud800"'),
    "deep": "[" * 5_000 + "]" * 5_000,
    "a deep object": '{"nodes":' * 3_000 + "1" + "}" * 3_000,
    "10,000 nodes": json.dumps(
        deepcopy(TREE)
        | {"nodes": [{"kind": "goto", "id": f"n{i}", "to": f"n{i + 1}"} for i in range(5_000)]}
    ),
    "200 nodes in circles": json.dumps(
        deepcopy(TREE)
        | {
            "nodes": [
                {
                    "kind": "hours",
                    "id": f"n{i}",
                    "calendar": "house",
                    "open": f"n{(i * 7 + 1) % 200}",
                    "closed": f"n{(i * 13 + 5) % 200}",
                }
                for i in range(200)
            ]
        }
    ),
    "a long text": json.dumps(say("x" * 1_000_000)),
    "a huge number": '{"languages": 1e999, "start": 123456789012345678901234567890}',
    "a code with slashes": json.dumps(say("x", id="../../x")),
    "no JSON": "{",
    "a surplus of languages": json.dumps(deepcopy(TREE) | {"languages": ["xx"] * 21}),
    "a queue that is SQL": json.dumps(deepcopy(TREE) | {"agents": {"queue": "x'; DROP TABLE--"}}),
    "format strings": json.dumps(say("{__class__.__mro__} {0} {} %s %(x)s ${SHELL(id)} {{7*7}}")),
}


@pytest.mark.parametrize("attack", HOSTILE)
async def test_no_tree_breaks_the_pages(desk: RunningDesk, sara: Visitor, attack: str) -> None:
    here = await new_menu(sara)
    status, _ = await sara.send_form(here, tree=HOSTILE[attack], publish="1", **TITLES)
    assert status in (200, 303, 400, 413), status
    status, _ = await sara.get(here)
    assert status == 200
    assert "main" not in await menus.MENUS.used_now(desk.database), "nobody hears it"
    for row in await desk.database.fetch("SELECT tree FROM phone_menu_versions"):
        assert "\\u0000" not in str(row[0]), "PostgreSQL could not keep it"


def test_placeholders_are_names_and_nothing_else() -> None:
    for text in (
        "{__class__}",
        "{0}",
        "{}",
        "{a.b}",
        "{a[0]}",
        "{a!r}",
        "{a:>9999999999}",
        "{{x}}",
    ):
        assert prompts.mistakes("", text), text
        assert "".join(piece.text for piece in prompts.pieces(text) if not piece.is_value) or text
    # What is said is never formatted: a value's braces stay braces.
    said = prompts.Prompts({"x": {"en": "For {label}"}})
    assert said.choice("{key}{label}{__class__}", "1", "en").count("__class__") == 1


async def test_html_in_a_tree_is_text_in_the_picture_and_the_trial(
    chrome: Chromium, with_menu: RunningDesk
) -> None:
    page = await chrome.window("sara")
    problems: list[str] = []

    async def dismiss(dialog: Dialog) -> None:
        problems.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("pageerror", lambda error: problems.append(str(error)))
    found = await menus.MENUS.of_code(with_menu.database, "main")
    assert found is not None
    tree = say(HTML)
    tree["agents"] = {"queue": HTML}
    tree["nodes"].append(
        {
            "kind": "menu",
            "id": "constructor",
            "texts": {"en": HTML, "__proto__": HTML},
            "choices": [{"key": HTML, "texts": {"en": HTML}, "to": HTML}],
        }
    )
    tree["nodes"].append({"kind": "function", "id": "__proto__".strip("_"), "function": HTML})
    async with with_menu.database.transaction() as transaction:
        await menus.MENUS.add_version(transaction, found.id, tree, actor=HTML)
    await page.goto(await address_of(with_menu))
    await expect(page.locator(".editor-faults li").first).to_be_visible()
    assert await page.locator("[data-node]").count() == 4
    assert HTML[:15] in await page.locator(".editor-flow").inner_text()
    for line in await page.locator(".editor-steps button").all():
        await line.click()
    await page.get_by_role("button", name="Try it here").click()
    await expect(page.locator(".trial-heard").first).to_be_visible()
    assert await page.locator("img[src=x]").count() == 0
    assert not problems
