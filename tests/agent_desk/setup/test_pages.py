"""The set-up's pages in every language, wide and narrow: axe, overflow, and pictures."""

from __future__ import annotations

import pytest

from agent_desk.languages import NAMES
from crm_store.models import Role
from crm_store.sample import desk as sample_desk
from crm_store.sample.rules import fill_rules
from crm_store.staff import agents
from tests.agent_desk.browser_fixtures import NARROW, WIDE, Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.test_pages import find_faults, look

__all__ = ["chrome"]

pytestmark = pytest.mark.browser

PAGES = {
    "start": "/setup",
    "queues": "/setup/queues?done=saved&said=reload",
    "queue": "/setup/queues/vip",
    "agents": "/setup/agents",
    "agent": "/setup/agents/emma",
    "skills": "/setup/skills",
    "dispositions": "/setup/dispositions?done=retired&with=sold",
    "disposition": "/setup/dispositions/order_late",
    "pause-reason": "/setup/pause-reasons/new",
    "opening-hours": "/setup/opening-hours",
    "calendar": "/setup/opening-hours/house",
    "house": "/setup/house",
    "rules": "/setup/rules",
    "rule": "/setup/rules/new",
    "stuck": "/setup/stuck",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("language", "theme"), list(zip(NAMES, ["light", "dark", "light", "dark"], strict=True))
)
async def test_every_page_of_the_set_up_is_sound(
    chrome: Chromium, desk: RunningDesk, language: str, theme: str
) -> None:
    async with desk.database.transaction() as transaction:
        # The sample's James has this extension.
        await agents.save(transaction, login="root", display_name="Root", role=Role.ADMIN)
        await sample_desk.fill_desk(transaction)
        await fill_rules(transaction)
    page = await chrome.window("sara", language=language, theme=theme)
    for name, path in PAGES.items():
        await page.goto(path)
        for size, dimensions in (("wide", WIDE), ("narrow", NARROW)):
            await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
            await look(page, f"setup-{name}-{language}-{theme}-{size}")
        await find_faults(page, name)


async def test_what_is_wrong_is_shown_at_its_field(chrome: Chromium, desk: RunningDesk) -> None:
    page = await chrome.window("sara")
    await page.goto("/setup/queues/sales")
    await page.get_by_label("Ring for (seconds)").fill("0")
    await page.get_by_role("button", name="Save").click()
    field = page.get_by_label("Ring for (seconds)")
    assert await field.get_attribute("aria-invalid") == "true"
    assert await field.evaluate(
        "(one) => document.getElementById(one.getAttribute('aria-describedby')).innerText"
    )
    assert await page.get_by_role("alert").is_visible()
    await find_faults(page, "queue with faults")
    chrome.problems.clear()  # Chromium itself says that the answer was 400.
