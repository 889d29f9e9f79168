"""The command palette and the list of shortcuts, in a real browser, by keyboard only."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.agent_desk.browser_fixtures import Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.test_browser import open_desk
from tests.agent_desk.test_pages import find_faults, look

__all__ = ["chrome"]

pytestmark = pytest.mark.browser


async def ask(page: Page, words: str) -> None:
    await page.keyboard.press("Control+k")
    await expect(page.locator("#palette")).to_be_visible()
    await page.keyboard.type(words)


async def test_a_command_is_found_and_done(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    await desk.presence.sign_in("lin", ["sales"])
    await expect(page.locator("[data-state-switch]")).to_have_attribute("data-state", "available")
    await ask(page, "lunch")
    marked = page.locator("#palette [aria-selected=true]")
    await expect(marked).to_contain_text("Lunch")
    field = page.locator("#palette input")
    await expect(field).to_be_focused()
    option = await marked.get_attribute("id")
    await expect(field).to_have_attribute("aria-activedescendant", str(option))
    await find_faults(page, "palette")
    await look(page, "palette")
    await page.keyboard.press("Enter")
    await expect(page.locator("#palette")).to_be_hidden()
    await expect(page.locator("[data-state-switch]")).to_contain_text("Lunch")
    assert desk.presence.state_of("lin").reason == "lunch"


async def test_what_was_used_last_comes_first_and_leaves_with_the_agent(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await open_desk(chrome)
    await ask(page, "write the note")
    await page.keyboard.press("Enter")
    await ask(page, "")
    first = page.locator("#palette [role=option]").first
    await expect(first).to_contain_text("Write the note")
    await page.keyboard.press("Escape")
    await page.locator(".account summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/sign-in**")
    assert await page.evaluate("Object.keys(localStorage)") == []


@pytest.mark.parametrize(
    ("words", "found"),
    [("garc", "Lucía García"), ("王", "王芳"), ("13800138000", "王芳")],
)
async def test_customers_are_found_in_any_script(
    chrome: Chromium, desk: RunningDesk, words: str, found: str
) -> None:
    page = await open_desk(chrome)
    await ask(page, words)
    option = page.locator("#palette [role=option]", has_text=found).first
    await expect(option).to_be_visible()
    for _ in range(await page.locator("#palette [role=option]").count()):
        if await option.get_attribute("aria-selected") == "true":
            break
        await page.keyboard.press("ArrowDown")
    async with page.context.expect_page() as opened:
        await page.keyboard.press("Enter")
    other = await opened.value
    await expect(other.locator("h1")).to_contain_text(found)
    assert page.url.endswith("/desk")


async def test_colleagues_are_found_without_their_accents(chrome: Chromium) -> None:
    page = await open_desk(chrome)
    await expect(page.locator(".agent-line")).to_have_count(3)
    await ask(page, "garcia maria")
    await expect(page.locator("#palette [role=option]").first).to_contain_text("María García")


async def test_nothing_found_is_said(chrome: Chromium) -> None:
    page = await open_desk(chrome)
    await ask(page, "zzqq xx")
    await expect(page.locator("#palette [role=status]")).to_have_text("Nothing found.")
    await expect(page.locator("#palette .empty-line")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.locator("#palette")).to_be_visible()


async def test_the_palette_is_on_every_page(chrome: Chromium) -> None:
    page = await chrome.window("lin")
    await page.goto("/customers")
    await ask(page, "desk")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/desk")


async def test_shortcuts_are_those_of_the_commands(chrome: Chromium) -> None:
    page = await open_desk(chrome)
    # A panel brings its commands when it is there.
    await expect(page.locator("[data-panel][data-mounted]")).not_to_have_count(0)
    await expect(page.locator("[data-panel]:not(:empty):not([data-mounted])")).to_have_count(0)
    known = await page.evaluate(
        """async () => {
            const script = document.querySelector("script[type=module]").src;
            const { commands } = await import(new URL("commands.js", script));
            return commands().map(({ id, title, keys }) => ({ id, title, keys }));
        }"""
    )
    keys = [(key.lower(), one["id"]) for one in known for key in one["keys"]]
    twice = {key for key, _ in keys if [other for other, _ in keys].count(key) > 1}
    assert not twice, [pair for pair in keys if pair[0] in twice]
    await page.keyboard.press("?")
    lines = page.locator("#shortcuts dl > div")
    await expect(lines).to_have_count(sum(bool(one["keys"]) for one in known))


async def test_keys_do_nothing_while_somebody_writes(chrome: Chromium) -> None:
    page = await open_desk(chrome)
    search = page.locator("[data-shortcut='/']")
    await search.focus()
    await page.keyboard.type("s?n1")
    await expect(search).to_have_value("s?n1")
    await expect(page.locator("#shortcuts")).to_be_hidden()
    assert await page.locator("[data-state-menu]").get_attribute("open") is None


async def test_keys_are_commands_at_once_when_a_dialog_is_closed(chrome: Chromium) -> None:
    """Before the next frame is drawn the field of a closed dialog has the focus still."""
    page = await open_desk(chrome)
    await ask(page, "")
    had_focus = await page.evaluate(
        """() => {
            document.querySelector("#palette").close();
            const focused = document.activeElement;
            focused.dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true }));
            return focused.matches("#palette input");
        }"""
    )
    assert had_focus
    await expect(page.locator("#shortcuts")).to_be_visible()
