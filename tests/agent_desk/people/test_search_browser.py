"""Search and suggestions in a real browser: sound in all sizes, and found from the palette."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from crm_store.people import identity
from tests.agent_desk.browser_fixtures import NARROW, WIDE, Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.inbox.written import comes_in
from tests.agent_desk.people.test_search_pages import SHARED, person
from tests.agent_desk.test_browser import open_desk
from tests.agent_desk.test_pages import SMALL_TARGETS, find_faults, look
from tests.agent_desk.test_palette import ask

__all__ = ["chrome"]

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("fa", "dark")])
async def test_search_and_suggestions_are_sound(
    chrome: Chromium, desk: RunningDesk, language: str, theme: str
) -> None:
    await person(desk, "Ali Rezaei", SHARED)
    await person(desk, "Ali Rezaei", SHARED)
    await comes_in(desk, "Where is the teapot that Ali ordered?", sender=SHARED, sender_name="Ali")
    await identity.suggest_twins(desk.database)
    page = await chrome.window("lin", language=language, theme=theme)
    for address, name in (("/search?find=ali", "search"), ("/customers/suggestions", "who")):
        await page.goto(address)
        await expect(page.locator(".hit")).not_to_have_count(0)
        for size, dimensions in {"wide": WIDE, "narrow": NARROW}.items():
            await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
            await look(page, f"{name}-{language}-{theme}-{size}")
        assert await page.evaluate(SMALL_TARGETS) == []
        await find_faults(page, name)


async def test_what_was_written_is_found_from_the_palette(
    chrome: Chromium, desk: RunningDesk
) -> None:
    _, conversation = await comes_in(desk, "Where is my teapot?", sender_name="Omid")
    page = await open_desk(chrome)
    await ask(page, "teapot")
    found = page.locator("#palette [role=option]", has_text="Where is my teapot?")
    async with page.context.expect_page() as opened:
        await found.click()
    assert (await opened.value).url.endswith(f"/inbox#{conversation}")
    await ask(page, "teapot")
    async with page.context.expect_page() as opened:
        await page.locator("#palette [role=option]", has_text="Search everything").click()
    await expect((await opened.value).locator("mark")).to_have_text("teapot")
