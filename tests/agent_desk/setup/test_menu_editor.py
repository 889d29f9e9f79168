"""The editor of phone menus in a browser: written, seen as a picture, mended, tried by its keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import expect

from agent_desk.languages import NAMES
from agent_desk.parts import MenuControl
from crm_store.models import Role
from crm_store.phone_menus import menus
from crm_store.sample import desk as sample_desk
from crm_store.sample import phone_menu, shop
from crm_store.staff import agents
from ivr.conversation.conversation import Step
from ivr.conversation.line import HangUp, Line, Spoken
from ivr.menus.tree import Tree
from tests.agent_desk.browser_fixtures import NARROW, WIDE, Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.test_pages import find_faults, look

__all__ = ["chrome"]

pytestmark = pytest.mark.browser


async def two_questions(line: Line, code: str, tree: Tree, number: str, report: Any) -> None:
    """A caller is greeted at the tree's start, asked for a key, told it, and let go."""
    report(Step(datetime.now(UTC), tree.start, "en", heard="Welcome"))
    await line.play([Spoken(f"Welcome to {code}. Press a key.", "en")], "")
    key = await line.key(5)
    await line.play([Spoken(f"That was {key}.", "en")], "")
    await line.leave(HangUp(), "en")


@pytest.fixture
async def with_menu(desk: RunningDesk) -> RunningDesk:
    """A desk whose house has the sample's main menu."""
    async with desk.database.transaction() as transaction:
        # The sample's James has this extension.
        await agents.save(transaction, login="root", display_name="Root", role=Role.ADMIN)
        await sample_desk.fill_desk(transaction)
        await shop.fill_shop(transaction, datetime.now(UTC))
        await phone_menu.fill_phone_menu(transaction)
    object.__setattr__(desk.parts, "menus", MenuControl(try_out=two_questions))
    return desk


async def address_of(desk: RunningDesk) -> str:
    menu = await menus.MENUS.of_code(desk.database, "main")
    assert menu is not None
    return f"/setup/menus/{menu.id}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("language", "theme"), list(zip(NAMES, ["light", "dark", "light", "dark"], strict=True))
)
async def test_the_editor_is_sound(
    chrome: Chromium, with_menu: RunningDesk, language: str, theme: str
) -> None:
    page = await chrome.window("sara", language=language, theme=theme)
    for name, path in (("menus", "/setup/menus"), ("menu", await address_of(with_menu))):
        await page.goto(path)
        if name == "menu":
            await expect(page.locator(".editor-right, .editor-faults li").first).to_be_visible()
        for size, dimensions in (("wide", WIDE), ("narrow", NARROW)):
            await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
            await look(page, f"setup-{name}-{language}-{theme}-{size}")
            await find_faults(page, f"{name} {size}")
        await page.set_viewport_size(WIDE)  # type: ignore[arg-type]


async def test_the_sample_menu_can_be_published(chrome: Chromium, with_menu: RunningDesk) -> None:
    page = await chrome.window("sara")
    await page.goto(await address_of(with_menu))
    await expect(page.locator(".editor-right")).to_be_visible()
    assert (
        await page.locator("[data-node]").count() == await page.locator(".editor-steps li").count()
    )


async def test_a_choice_is_added_mended_and_published(
    chrome: Chromium, with_menu: RunningDesk
) -> None:
    page = await chrome.window("sara")
    await page.goto(await address_of(with_menu))
    await expect(page.locator(".editor-right")).to_be_visible()
    # A new part leads nowhere, and nothing leads to it: both are said, where they are.
    await page.get_by_role("button", name="Add a part").click()
    await expect(page.locator(".editor-faults li")).not_to_have_count(0)
    await expect(page.locator(".flow-wrong")).not_to_have_count(0)
    for code, title in NAMES.items():
        await page.get_by_label(f"What is said: {title}").fill(
            f"The fair is on level two ({code})."
        )
    await page.locator(".editor-step").get_by_label("Then").select_option("main")
    await page.get_by_role("button", name=re.compile("^Choice by keys: mall$")).first.click()
    await page.get_by_role("button", name="Add a choice").click()
    added = page.locator(".editor-part").last
    await added.get_by_label("leads to").select_option(label="The fair is on level two (en).")
    for title in NAMES.values():
        await added.get_by_label(re.compile(f": {title}$")).fill("For the fair")
    await expect(page.locator(".editor-right")).to_be_visible()
    await page.get_by_role("button", name="Save and publish").click()
    await expect(page.get_by_role("status").first).to_contain_text("Saved.")
    used = (await menus.MENUS.used_now(with_menu.database))["main"]
    assert used.number == 2
    assert any(
        node.get("texts", {}).get("en", "").startswith("The fair") for node in used.content["nodes"]
    )


async def test_it_is_tried_with_the_keys_of_the_page(
    chrome: Chromium, with_menu: RunningDesk
) -> None:
    page = await chrome.window("sara")
    await page.goto(await address_of(with_menu))
    await page.get_by_role("button", name="Try it here").click()
    await expect(page.locator(".trial-heard")).to_have_text(re.compile("Welcome to main"))
    await expect(page.locator(".flow-tried")).to_have_count(1)
    await page.locator(".trial-key", has_text="7").click()
    await expect(page.locator(".trial-heard").last).to_have_text(re.compile("That was 7"))
    await expect(page.locator(".trial-note")).to_have_text("The call ends")
    await find_faults(page, "trial")
