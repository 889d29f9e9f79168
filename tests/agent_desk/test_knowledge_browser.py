"""Scripts, texts and articles in a real browser: used beside a call, written by a supervisor."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from crm_store.contacts import interactions
from crm_store.knowledge import articles, script_steps, scripts
from crm_store.people import customers
from tests.agent_desk.browser_fixtures import Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.knowledge_stage import (
    add_article,
    add_script,
    add_text,
    wang_rings,
    wang_talks,
)
from tests.agent_desk.test_pages import find_faults

__all__ = ["chrome"]

pytestmark = pytest.mark.browser


async def look(page: Page, name: str) -> None:
    """Keep a picture, if DESKBELL_SCREENSHOTS names a folder."""
    folder = os.environ.get("DESKBELL_SCREENSHOTS")
    if folder:
        await page.screenshot(path=str(Path(folder) / f"{name}.png"))


async def open_desk(chrome: Chromium, **how: str) -> Page:
    page = await chrome.window("lin", **how)  # type: ignore[arg-type]
    await page.goto("/desk")
    await expect(page.locator("html")).to_have_attribute("data-connection", "connected")
    # The panels come after the first picture, and their keys with them.
    for panel in ("knowledge", "texts"):
        await expect(page.locator(f"[data-{panel}-list] > li").first).to_be_attached()
    return page


async def until_kept(desk: RunningDesk, field: str, answer: str) -> None:
    """Return when Lin's run has this answer."""
    found = await interactions.of_call(desk.database, "main", "1.1")
    assert found is not None
    while True:
        run = await scripts.run_of(desk.database, found.id, "lin")
        if run is not None and run.answers.get(field) == answer:
            return
        await asyncio.sleep(0.05)


async def test_a_script_from_greeting_to_disposition(chrome: Chromium, desk: RunningDesk) -> None:
    await add_script(desk)
    page = await open_desk(chrome)
    panel = page.locator("[data-panel=script]")
    await expect(panel).to_be_hidden()
    await wang_rings(desk)
    await expect(panel.locator(".script-text")).to_contain_text("王芳您好")
    await expect(panel.locator("[data-next]")).to_have_count(0)

    await wang_talks(desk)
    await expect(panel.locator("[data-next]")).to_be_visible()
    await panel.locator("[data-script-language]").select_option("en")
    await expect(panel.locator(".script-text")).to_have_text("Hello 王芳, this is Lin Xiaoyu.")
    await panel.locator("h3").click()
    await page.keyboard.press(".")
    await expect(panel.locator("[role=alert]")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await panel.locator(".script-pill", has_text="English").click()
    await panel.locator("[data-next]").click()
    await expect(panel.locator("form")).to_have_attribute("data-step", "english")
    await expect(page.locator(".customer-head")).to_contain_text("English")
    await panel.locator("[data-next]").click()
    await expect(panel.locator("form")).to_have_attribute("data-step", "about")
    await panel.locator("[name=summary]").fill("Wants blue shoes")
    await look(page, "script")

    await until_kept(desk, "summary", "Wants blue shoes")
    await page.reload()
    await expect(panel.locator("[name=summary]")).to_have_value("Wants blue shoes")
    await panel.locator("[data-next]").click()
    await expect(panel.locator("[role=status]")).to_be_visible()
    await expect(panel.locator(".script-proposed strong")).to_have_text("Solved")
    await look(page, "script-done")
    await expect(page.locator("[data-toasts]")).to_contain_text("Solved")
    card = await customers.card(desk.database, desk.customers["wang"])
    assert card is not None
    assert card.language == "en"
    chrome.problems.clear()  # Chromium's own word on the answer 400.


async def test_a_text_by_its_code_in_the_note(chrome: Chromium, desk: RunningDesk) -> None:
    await add_text(desk, "hello", {"en": "Dear {customer.name}", "zh": "{customer.name}您好"})
    await wang_talks(desk)
    page = await open_desk(chrome)
    note = page.locator("[data-note]")
    await note.click()
    await expect(page.locator("[data-panel=texts] .canned")).to_have_count(1)
    await page.keyboard.type("First ;hello now")
    await expect(note).to_have_value("First 王芳您好now")


async def test_texts_are_found_filled_and_put_into_the_note(
    chrome: Chromium, desk: RunningDesk
) -> None:
    await add_text(desk, "hello", {"en": "Dear {customer.name}, {points}", "zh": "您好"})
    await add_text(desk, "other", {"en": "Something <b>else</b>"})
    await wang_talks(desk)
    page = await open_desk(chrome)
    panel = page.locator("[data-panel=texts]")
    await expect(panel.locator(".canned")).to_have_count(2)
    await page.keyboard.press("i")
    await expect(panel.locator("[data-texts-find]")).to_be_focused()
    await page.keyboard.type("else")
    await expect(panel.locator(".canned")).to_have_count(1)
    await expect(panel.locator(".canned-text")).to_have_text("Something <b>else</b>")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-note]")).to_have_value("Something <b>else</b>")
    await look(page, "texts")


async def test_a_missing_value_is_asked_for(chrome: Chromium, desk: RunningDesk) -> None:
    await add_text(desk, "hello", {"en": "Dear {customer.name}"})
    page = await open_desk(chrome)
    await page.keyboard.press("i")
    panel = page.locator("[data-panel=texts]")
    await expect(panel.locator(".script-missing")).to_contain_text("customer's name")
    await look(page, "texts-missing")
    await panel.get_by_role("button", name="Into the note").click()
    await expect(panel.locator("[role=alert]")).to_be_visible()
    await expect(panel.get_by_label("customer's name")).to_be_focused()
    chrome.problems.clear()  # Chromium's own word on the answer 409.


async def test_an_article_found_read_judged_and_flagged(
    chrome: Chromium, desk: RunningDesk
) -> None:
    returns = await add_article(
        desk,
        {
            "en": (
                "Returning goods",
                "# Rules\n\n- thirty **days**\n\n<img src=x onerror=alert(1)>",
            ),
            "zh": ("退货", "三十天内可以退货。"),
        },
        owner="lin",
    )
    await add_article(desk, {"es": ("Aparcamiento", "Tres horas gratis.")}, queues=["service"])
    await wang_talks(desk)
    page = await open_desk(chrome)
    panel = page.locator("[data-panel=knowledge]")
    await page.keyboard.press("b")
    await expect(panel.locator(".article-line")).to_have_count(1)
    await page.keyboard.type("gratis")
    await expect(panel.locator(".article-line .badge")).to_have_text("Español")
    await panel.locator("[data-knowledge-find]").fill("thirty")
    await expect(panel.locator(".article-title")).to_have_text("Returning goods")
    await look(page, "knowledge")
    await page.keyboard.press("Enter")
    reader = panel.locator("[data-knowledge-article]")
    await expect(reader.locator("h2")).to_be_focused()
    await expect(reader.locator(".article-body li strong")).to_have_text("days")
    await expect(reader.locator(".article-body img")).to_have_count(0)
    await reader.get_by_role("button", name="Yes", exact=True).click()
    await expect(reader.locator(".article-votes [role=status]")).to_have_text("yes 1, no 0")
    await reader.locator("summary").click()
    await reader.locator("textarea").fill("It is fourteen days")
    await reader.get_by_role("button", name="Tell the owner").click()
    await expect(reader.locator(".article-flag-form [role=status]")).to_contain_text("Thank you")
    await look(page, "article")
    await reader.locator("select").first.select_option("zh")
    await expect(reader.locator("h2")).to_have_text("退货")
    await reader.get_by_role("button", name="Back").click()
    await expect(panel.locator(".article-line").first).to_be_focused()
    article = await articles.find(desk.database, returns)
    assert article is not None
    assert (article.helpful, article.open_flags) == (1, 1)


async def test_an_empty_search_tells_what_is_missing(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    await page.keyboard.press("b")
    panel = page.locator("[data-panel=knowledge]")
    await page.keyboard.type("wheelchair")
    form = panel.locator(".article-flag-form")
    await expect(form.locator("textarea")).to_have_value("wheelchair")
    await form.get_by_role("button").click()
    await expect(form.locator("[role=status]")).to_contain_text("supervisor")
    waiting = await articles.open_flags(desk.database)
    assert [(one.kind, one.text) for one in waiting] == [("missing", "wheelchair")]


async def test_the_note_brings_suggestions(chrome: Chromium, desk: RunningDesk) -> None:
    await add_article(desk, {"en": ("Parking", "Three hours are free.")})
    await add_article(desk, {"en": ("Wheelchairs", "At the south door.")})
    await wang_talks(desk)
    page = await open_desk(chrome)
    await page.locator("[data-note]").fill("She needs wheelchairs for two")
    await page.keyboard.press("b")
    lines = page.locator("[data-panel=knowledge] .article-title")
    await expect(lines).to_have_text(["Wheelchairs"])


async def test_a_supervisor_writes_tries_and_publishes_a_script(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await chrome.window("sara")
    await page.goto("/setup/scripts/new")
    await page.locator("[name=code]").fill("parking")
    await page.locator("[name='title.en']").fill("Parking")
    await page.get_by_role("button", name="Save").click()
    editor = page.locator("[data-script-editor]")
    await expect(editor).to_be_visible()
    await page.get_by_role("button", name="Add a step").click()
    step = page.locator(".editor-step")
    await step.get_by_label("Title: English").fill("Greeting")
    await step.get_by_label("What the agent says: English").fill("Good day {customer.nam}")
    await expect(page.locator(".editor-faults")).to_contain_text("{customer.nam}")
    await step.get_by_label("What the agent says: English").fill("Good day {customer.name}")
    await expect(page.locator(".editor-right")).to_be_visible()
    await step.get_by_role("button", name="Add a field").click()
    await step.get_by_label("Kind").select_option("yes_no")
    await step.get_by_label("Label: English").fill("By car?")
    await page.get_by_role("button", name="Add a step").click()
    await step.get_by_label("Title: English").fill("Parked")
    await step.get_by_label("What the agent says: English").fill("Three hours are free.")
    await page.locator(".editor-steps button").first.click()
    await step.get_by_role("button", name="Add a branch").click()
    await step.locator(".editor-part select").nth(4).select_option("true")
    await step.locator(".editor-part select").nth(5).select_option("step-2")
    await expect(page.locator(".flow-step")).to_have_count(2)
    await expect(page.locator(".editor-right")).to_be_visible()
    await look(page, "script-editor")
    await page.get_by_role("button", name="Try it").click()
    trial = page.locator(".editor-try")
    await expect(trial.locator(".script-text")).to_have_text("Good day Wang Fang")
    await trial.get_by_text("Yes", exact=True).click()
    await trial.get_by_role("button", name="Next").click()
    await expect(trial.locator(".script-text")).to_have_text("Three hours are free.")
    await page.get_by_role("button", name="Save and publish").click()
    await expect(page.get_by_text("Version 1 in use")).to_be_visible()
    await look(page, "script-published")
    (script,) = await scripts.SCRIPTS.everything(desk.database)
    (version,) = await scripts.SCRIPTS.versions(desk.database, script.id)
    assert version.published_at is not None
    first = version.content[0]
    assert script_steps.after(first, {"answer-1": True}) == "step-2"


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("fa", "dark")])
async def test_the_pages_have_no_faults_that_axe_knows(
    chrome: Chromium, desk: RunningDesk, language: str, theme: str
) -> None:
    await add_script(desk)
    await add_text(desk, "hello", {"en": "Dear {customer.name}"})
    article = await add_article(desk, {"en": ("Returning goods", "# Rules\n\n- thirty **days**")})
    async with desk.database.transaction() as transaction:
        await articles.flag(transaction, article, "wrong", "Fourteen", agent="lin")
        await articles.flag(transaction, None, "missing", "wheelchairs", agent="lin")
    page = await chrome.window("sara", language=language, theme=theme)
    for name, path in (
        ("scripts", "/setup/scripts"),
        ("script", "/setup/scripts/1"),
        ("compare", "/setup/scripts/1/compare"),
        ("texts", "/setup/texts"),
        ("text", "/setup/texts/1"),
        ("articles", "/setup/articles"),
        ("article", f"/setup/articles/{article}"),
    ):
        await page.goto(path)
        await look(page, f"setup-{name}-{language}")
        await find_faults(page, f"{name} {language}")
