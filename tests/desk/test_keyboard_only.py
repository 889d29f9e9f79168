"""An agent's whole work without a mouse: from the sign-in to the next call, on a real Asterisk."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from agent_desk.entrance.visitor import SESSION_COOKIE
from crm_store.contacts import interactions, tasks
from crm_store.database import Database
from crm_store.models import TaskKind
from tests.desk_stage import LIN_TONE, Stage, caller_hears
from tests.service_fixtures import PASSWORD

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_from_the_sign_in_to_the_next_call(stage: Stage) -> None:
    lin = stage.lin
    page, keys = lin.page, lin.page.keyboard
    await lin.context.clear_cookies(name=SESSION_COOKIE)
    await page.goto(f"{lin.url}/sign-in")
    await expect(page.locator("[name=login]")).to_be_focused()
    await keys.type("lin")
    await keys.press("Tab")
    await keys.type(PASSWORD)
    await keys.press("Enter")
    await page.wait_for_url("**/desk")
    await lin.panel.is_ready()

    # Available: the state's menu, its queues as they are, Enter.
    await keys.press("s")
    await keys.press("Enter")
    await lin.is_in_state("available")
    await expect(page.locator("[data-state-switch]")).to_have_attribute("data-state", "available")

    caller = await stage.customer_calls()
    await lin.panel.has_leg("ringing")
    await keys.press("a")
    await lin.panel.has_leg("answered")
    await caller_hears(caller, LIN_TONE)
    call = await lin.has_call("answered", queue="sales")

    # The note; Escape gives the keys back to the page.
    await keys.press("n")
    await expect(page.locator("[data-note]")).to_be_focused()
    await keys.type("Asked for the blue armchair")
    await keys.press("Escape")
    await keys.press("x")
    await caller.wait("ended")
    await lin.is_in_state("wrap_up")

    await keys.press("2")
    await expect(page.get_by_role("radio", name="Question answered")).to_be_checked()
    # What follows is the next group of the form, its kinds chosen by the arrows.
    follow = page.locator("[name=follow-up]:focus")
    for _ in range(12):
        if await follow.count():
            break
        await keys.press("Tab")
    await expect(follow).to_have_count(1)
    await keys.press("ArrowRight")
    await expect(page.get_by_role("radio", name="Task", exact=True)).to_be_checked()
    await keys.press("Tab")
    await expect(page.locator("[name=follow-up-title]")).to_be_focused()
    await keys.type("Send the price of the armchair")
    await keys.press("Control+Enter")
    await expect(page.locator("[data-call-state]")).to_have_text("No call")
    await lin.session.until(lambda: not lin.calls)

    database = Database(stage.service.database_url)
    try:
        found = await interactions.of_call(database, "main", call["call"])
        written = await tasks.listed(database, agent="lin")
    finally:
        await database.close()
    assert found is not None
    assert (found.note, found.disposition) == ("Asked for the blue armchair", "answered")
    (task,) = [one for one in written if one.title == "Send the price of the armchair"]
    assert task.kind is TaskKind.TASK
    assert task.interaction_id == found.id


async def test_every_stop_of_the_tab_key_is_seen_and_named(stage: Stage) -> None:
    """In a call, Tab goes through the page from its top, and each stop has a ring and a name."""
    lin = stage.lin
    await stage.in_call()
    page = lin.page
    await page.locator(".skip").focus()
    places: list[str] = []
    for _ in range(90):
        await page.keyboard.press("Tab")
        stop = await page.evaluate(
            """() => {
              const one = document.activeElement;
              if (one === document.body) return null;
              const style = getComputedStyle(one);
              const pill = one.closest(".choice-pill");
              const ring = pill ? getComputedStyle(pill) : style;
              const part = one.closest(".topbar, .call, .column, .column-switch");
              return {
                part: part ? (part.dataset.of ?? part.classList[0]) : "",
                seen: ring.outlineStyle !== "none" || one.matches(".skip"),
                name: one.ariaLabel || one.labels?.[0]?.innerText || one.innerText || one.title
                  || one.placeholder || one.getAttribute("aria-labelledby") || "",
                html: one.outerHTML.slice(0, 160),
              };
            }"""
        )
        if stop is None:
            break
        assert stop["seen"], stop
        assert re.search(r"\w", stop["name"]), stop
        if stop["part"] and stop["part"] not in places:
            places.append(stop["part"])
    assert places == ["topbar", "call", "customer", "work", "side"]
