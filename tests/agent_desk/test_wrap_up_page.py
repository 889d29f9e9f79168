"""The wrap-up in a real browser: the tree by digits, what follows, and the time that is left."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from crm_store.contacts import interactions, tasks
from crm_store.models import TaskKind
from crm_store.signals import AgentState
from crm_store.staff import queues
from tests.agent_desk.browser_fixtures import Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.test_browser import answer, card_of, end, open_desk, ring, write_call
from tests.agent_desk.test_pages import find_faults, look

__all__ = ["chrome"]

pytestmark = pytest.mark.browser


async def grow_tree(desk: RunningDesk) -> None:
    """Sales offers "solved" and, under "complaint", "late" and "broken"; that is called back."""
    sales = await queues.find(desk.database, "sales")
    assert sales is not None
    async with desk.database.transaction() as transaction:
        for position, (code, follow_up) in enumerate({"late": "", "broken": "callback"}.items()):
            await queues.save_disposition(
                transaction,
                code,
                {"en": code.title()},
                position,
                parent="complaint",
                follow_up=follow_up,
            )
        await queues.save(transaction, replace(sales, dispositions=("solved", "complaint")))


async def talk_and_end(desk: RunningDesk, page: Page) -> None:
    await ring(desk, await card_of(desk, "wang"), number="+8613800138000")
    answer(desk)
    await write_call(desk)
    await expect(page.locator(".disposition").first).to_be_visible()
    end(desk)
    await expect(page.locator("[data-finish]")).to_be_enabled()


async def test_digits_go_down_the_tree_and_backspace_up(
    chrome: Chromium, desk: RunningDesk
) -> None:
    await grow_tree(desk)
    page = await open_desk(chrome)
    await talk_and_end(desk, page)
    choices = page.locator("[data-dispositions] .disposition")
    await page.keyboard.press("2")
    await expect(choices).to_have_text(["Late1", "Broken2"])
    await expect(page.locator("[data-trail]")).to_contain_text("Complaint")
    await page.keyboard.press("Backspace")
    await expect(choices.first).to_have_text("Solved1")
    await page.keyboard.press("2")
    await page.keyboard.press("1")
    await expect(page.get_by_role("radio", name="Late")).to_be_checked()
    await find_faults(page, "tree")
    await look(page, "tree")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("[data-call-state]")).to_have_text("No call")
    found = await interactions.of_call(desk.database, "main", "1.1")
    assert found is not None
    assert found.disposition == "late"
    assert await tasks.listed(desk.database, agent="lin") == []


async def test_a_disposition_proposes_what_follows(chrome: Chromium, desk: RunningDesk) -> None:
    await grow_tree(desk)
    page = await open_desk(chrome)
    await talk_and_end(desk, page)
    await page.keyboard.press("2")
    await page.keyboard.press("2")
    await expect(page.get_by_role("radio", name="Callback")).to_be_checked()
    await page.get_by_role("button", name="In 1 hour").click()
    await page.locator("[name=follow-up-title]").fill("Say when the new lamp comes")
    await find_faults(page, "follow-up")
    await look(page, "follow-up")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("[data-call-state]")).to_have_text("No call")
    (task,) = await tasks.listed(desk.database, agent="lin")
    assert (task.kind, task.title, task.number, task.customer_id) == (
        TaskKind.CALLBACK,
        "Say when the new lamp comes",
        "+8613800138000",
        desk.customers["wang"],
    )
    assert timedelta(minutes=50) < task.due_at - datetime.now(UTC) < timedelta(minutes=70)


async def test_without_a_choice_the_form_says_so(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    await talk_and_end(desk, page)
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("[data-wrap-up-error]")).to_contain_text("how the call was settled")
    await page.keyboard.press("1")
    await expect(page.locator("[data-wrap-up-error]")).to_be_hidden()


async def test_the_time_left_is_shown_and_more_is_asked_for_with_a_reason(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await open_desk(chrome)
    left = page.locator("[data-time-left]")
    await expect(left).to_be_hidden()
    now = time.time()
    desk.presence._become(
        "lin", AgentState.WRAP_UP, since=now, ends_at=now + 90, extendable_seconds=200
    )
    await expect(left).to_be_visible()
    await expect(left.locator("strong")).to_have_text(re.compile(r"1:[23]\d"))
    await find_faults(page, "time left")
    await look(page, "time left")
    await page.keyboard.press("e")
    await expect(page.locator("#more-time")).to_be_visible()
    await page.get_by_role("radio", name="2 minutes").check()
    await page.get_by_label("What takes longer?").fill("a long complaint")
    await find_faults(page, "more time")
    await look(page, "more time")
    await page.keyboard.press("Enter")
    await expect(page.locator("#more-time")).to_be_hidden()
    assert desk.presence.state_of("lin").extendable_seconds == 80


async def test_a_pause_that_was_not_chosen_says_why(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    await desk.presence.sign_in("lin", ["sales"])
    await expect(page.locator("[data-state-switch]")).to_have_attribute("data-state", "available")
    desk.presence._become("lin", AgentState.PAUSED, reason="missed-rings", missed_rings=3)
    await expect(page.locator("[data-call-name]")).to_contain_text("3 calls rang unanswered")
    await expect(page.locator("[data-toasts]")).to_contain_text("3 calls rang unanswered")
    await page.get_by_role("button", name="Available again").click()
    await expect(page.locator("[data-state-switch]")).to_have_attribute("data-state", "available")
