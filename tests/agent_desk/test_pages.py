"""Every page in every language, both themes, wide and narrow: axe, overflow, and pictures.

With DESKBELL_SCREENSHOTS set to a folder, a picture of each is written there to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from playwright.async_api import Page, expect

from agent_desk.languages import DOMAIN, LOCALE_FOLDER, NAMES
from agent_desk.rendering import HERE
from crm_store.contacts import tasks
from crm_store.contacts.tasks import NewTask
from crm_store.models import ContactKind
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.signals import CallStarted, Direction
from tests.agent_desk.browser_fixtures import MEDIUM, NARROW, WIDE, Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.knowledge_stage import add_article, add_script, add_text, four
from tests.agent_desk.signal_stories import pop
from tests.agent_desk.test_browser import answer, card_of, end, ring, write_call

__all__ = ["chrome"]

pytestmark = pytest.mark.browser

LONG = "Write to the furniture house about the armchair, the lamp and the delivery of both"
SIZES = {"wide": WIDE, "medium": MEDIUM, "narrow": NARROW}


async def find_faults(page: Page, name: str) -> None:
    """Axe finds no serious fault, and did look."""
    found = await Axe().run(page)
    assert len(found.response["passes"]) > 5
    faults = [
        f"{fault['impact']}: {fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found.response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert faults == [], name


SMALL_TARGETS = """() => [...document.querySelectorAll("button, summary, select, input, a")]
  .map((one) => (one.matches("[type=radio], [type=checkbox]") && one.closest("label")) || one)
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".unseen"))
  .filter((one) => getComputedStyle(one).display !== "inline")
  .map((one) => [one.getBoundingClientRect(), one.outerHTML.slice(0, 120)])
  .filter(([box]) => box.width > 1 && (box.width < 24 || box.height < 24))
  .map(([box, html]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${html}`)"""
"""What is clicked and is smaller than WCAG 2.2 (2.5.8) asks for; links in a text are exempt."""


async def look(page: Page, name: str) -> None:
    """Nothing is wider than the window; a picture if one is wanted."""
    wide, window = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window, f"{name} is wider than its window"
    if folder := os.environ.get("DESKBELL_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", NAMES)
async def test_every_page_is_sound(
    chrome: Chromium, desk: RunningDesk, language: str, theme: str
) -> None:
    wang = desk.customers["wang"]
    desk_page = await chrome.window("lin", language=language, theme=theme)
    supervisor = await chrome.window("sara", language=language, theme=theme)
    stranger = await chrome.window(language=language, theme=theme)

    async def both_sizes(page: Page, name: str) -> None:
        for size, dimensions in SIZES.items():
            await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
            await look(page, f"{name}-{language}-{theme}-{size}")
            # Each language and page is checked at one size in light and at another in dark.
            if size == ("wide" if theme == "light" else "narrow"):
                await find_faults(page, name)
        # Where there is one column only, the others are a tap away.
        switches = page.locator("[data-column-switch] button")
        for switch in (await switches.all())[1:]:
            await switch.click()
            column = await switch.get_attribute("data-column")
            await look(page, f"{name}-{language}-{theme}-narrow-{column}")
        if await switches.count():
            await switches.first.click()
        await page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    await stranger.goto("/sign-in")
    await both_sizes(stranger, "sign-in")
    for name, path in (
        ("customers", "/customers"),
        ("found", "/customers?find=garc"),
        ("customer", f"/customers/{wang}"),
        ("form", f"/customers/{wang}/edit"),
        ("search", "/search?find=garc"),
        ("suggestions", "/customers/suggestions"),
        ("nothing", "/nowhere"),
    ):
        await supervisor.goto(path)
        await both_sizes(supervisor, name)

    await desk_page.goto("/desk")
    await expect(desk_page.locator(".queue-line")).to_have_count(2)
    await both_sizes(desk_page, "idle")
    await desk_page.locator("[data-state-switch]").click()
    await both_sizes(desk_page, "state")
    await desk_page.keyboard.press("Escape")
    await desk_page.locator(".account summary").click()
    await both_sizes(desk_page, "account")
    await desk_page.keyboard.press("Escape")

    steps: tuple[tuple[str, Callable[[], Awaitable[Any]], str], ...] = (
        ("offer", lambda: _ring(desk, "wang"), ".customer-card"),
        ("choice", lambda: _pop(desk, "garcia", "garcia_son"), ".choice"),
        ("new", lambda: _pop(desk), ".new-customer"),
        ("talking", lambda: _answer(desk), ".disposition"),
        ("over", lambda: _end(desk), "[data-finish]:enabled"),
    )
    for name, step, sign in steps:
        await step()
        await expect(desk_page.locator(sign).first).to_be_visible()
        await both_sizes(desk_page, name)
        if name == "talking":
            await supervisor.goto("/floor")
            await expect(supervisor.locator("[data-calls] tr")).to_have_count(1)
            await both_sizes(supervisor, "floor")
    chrome.problems.clear()  # Chromium itself says that /nowhere was 404.


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("language", "theme"), list(zip(NAMES, ["light", "dark", "dark", "light"], strict=True))
)
async def test_what_stands_beside_a_call_is_sound(
    chrome: Chromium, desk: RunningDesk, language: str, theme: str
) -> None:
    await add_script(desk)
    await add_text(desk, "hello", four("Dear {customer.name}, " + "welcome to the mall. " * 9))
    words = ("Returning goods", "# Rules\n\n- thirty **days**\n\n" + "a" * 90)
    await add_article(desk, dict.fromkeys(NAMES, words))
    async with desk.database.transaction() as transaction:
        for hours in (-1, 2):
            due = datetime.now(UTC) + timedelta(hours=hours)
            await tasks.create(transaction, NewTask(title=LONG, due_at=due), actor="lin")
    page = await chrome.window("lin", language=language, theme=theme)
    await page.goto("/desk")
    await expect(page.locator("[data-texts-list] > li").first).to_be_attached()
    await _answer(desk)
    await write_call(desk)
    await expect(page.locator("[data-panel=script] [data-next]")).to_be_visible()

    async def is_sound(name: str) -> None:
        for size, dimensions in SIZES.items():
            await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
            await look(page, f"{name}-{language}-{theme}-{size}")
            assert await page.evaluate(SMALL_TARGETS) == [], (name, size)
            if size != "medium":
                await find_faults(page, f"{name} {size}")
        await page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    await is_sound("script")
    for tab in ("tasks", "knowledge", "texts"):
        await page.locator(f"#tab-{tab}").click()
        await is_sound(tab)
        await page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        await page.locator("[data-column-switch] [data-column=side]").click()
        await is_sound(f"{tab}-alone")
    await page.locator("[data-knowledge-find]").evaluate("(field) => field.blur()")
    # Each opens over the page, whichever tab is in front.
    for name, keys, opened in (
        ("task-dialog", "Shift+T", "[data-task-dialog]"),
        ("palette", "Control+k", "#palette"),
        ("shortcuts", "?", "#shortcuts"),
    ):
        await page.keyboard.press(keys)
        await expect(page.locator(opened)).to_be_visible()
        await is_sound(name)
        await page.keyboard.press("Escape")
        await expect(page.locator(opened)).to_be_hidden()


@pytest.mark.parametrize(
    "name",
    [
        "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh-Montmorency the Third",
        "欧阳" * 30,
        "سید محمدرضا حسینی‌نژاد اصفهانی پورعبدالله زاده قزوینی تبریزی نیشابوری",
    ],
)
@pytest.mark.parametrize("language", ["en", "fa"])
async def test_long_names_stay_within_their_places(
    chrome: Chromium, desk: RunningDesk, name: str, language: str
) -> None:
    async with desk.database.transaction() as transaction:
        long = [
            await customers.create(
                transaction,
                NewCustomer(
                    name, contact_points=[ContactWay(ContactKind.MAIL, f"{'m' * 50}@a.org")]
                ),
                actor="import",
            )
            for _ in range(2)
        ]
    cards = [await customers.card(desk.database, one) for one in long]
    page = await chrome.window("lin", language=language, size=NARROW)
    await page.goto("/desk")
    await expect(page.locator("html")).to_have_attribute("data-connection", "connected")
    for matches, sign in ((cards[:1], ".customer-card"), (cards, ".choice")):
        await ring(desk, *[card.as_dict() for card in matches if card])
        await expect(page.locator(sign)).to_be_visible()
        for size, dimensions in SIZES.items():
            await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
            await look(page, f"long{sign}-{language}-{size}")
    await page.goto(f"/customers/{long[0]}")
    for size, dimensions in SIZES.items():
        await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
        await look(page, f"long-customer-{language}-{size}")


async def test_a_customer_stays_on_the_screen_while_a_colleague_is_asked(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await chrome.window("lin")
    await page.goto("/desk")
    await _answer(desk)
    card = page.locator(".customer-card h2")
    await expect(card).to_have_text("王芳")
    asked = CallStarted(
        pbx="main",
        call="2.1",
        at=2_000.0,
        direction=Direction.INTERNAL,
        caller="1001",
        callee="1002",
        endpoint="PJSIP/1001",
        agent="lin",
    )
    desk.bus.publish(asked)
    await expect(page.locator("[data-call-others] .chip")).to_contain_text("1002")
    await expect(card).to_have_text("王芳")
    end(desk)
    await expect(page.locator("[data-call-name]")).to_have_text("1002")
    await expect(page.locator("[data-customer]")).to_contain_text("No customer belongs to it")
    await find_faults(page, "a colleague")


async def _ring(desk: RunningDesk, who: str) -> None:
    await ring(desk, await card_of(desk, who))


async def _pop(desk: RunningDesk, *who: str) -> None:
    matches = tuple([await card_of(desk, name) for name in who])
    desk.bus.publish(pop(matches=matches, number="+34912345678", caller="0034912345678"))


async def _answer(desk: RunningDesk) -> None:
    await _ring(desk, "wang")
    answer(desk)


async def _end(desk: RunningDesk) -> None:
    end(desk)


@pytest.mark.parametrize("code", [code for code in NAMES if code != "en"])
def test_every_text_is_translated(code: str) -> None:
    with (LOCALE_FOLDER / code / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as lines:
        catalogue = read_po(lines, locale=code)
    used = {
        text if isinstance(text, str) else text[0]
        for folder in (HERE, HERE.parent / "deskbell/outside")
        for *_, text, _, _ in extract_from_dir(
            str(folder),
            method_map=[
                ("**.py", "python"),
                ("templates/**.html", "jinja2"),
                ("page/**.html", "jinja2"),
            ],
            keywords={"_": None, "count": (1, 2), "ngettext": (1, 2)},
        )
    }
    known = {message.id if isinstance(message.id, str) else message.id[0] for message in catalogue}
    assert used == known - {""}
    for message in catalogue:
        said = message.string or ""
        forms = [said] if isinstance(said, str) else list(said)
        assert all(forms), message.id
        assert not list(message.check(catalogue)), message.id
