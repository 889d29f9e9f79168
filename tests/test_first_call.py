"""The main job, with real parts: a customer calls, and the right agent's screen says who it is.

SIPp is the caller and the agent's phone, Asterisk the PBX, Chromium the desk.
"""

from __future__ import annotations

import logging
import time

import pytest
from playwright.async_api import Browser, Page, expect

from crm_store.sample.desk import DISPOSITIONS
from tests.service_fixtures import (
    CUSTOMER,
    RunningService,
    chromium,
    mall_template,
    mall_url,
    service,
    sign_in_page,
)
from tests.stopwatch import Stopwatch

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.asterisk, pytest.mark.browser]
__all__ = ["chromium", "mall_template", "mall_url", "service"]

NOTE = "问了积分余额 <b>and</b> the coat in size 42"

# The wall clock at which each frame reached the page, before any of the page's own code saw it.
WATCH_FRAMES = """
window.framesSeen = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", (event) => {
      window.framesSeen.push([performance.timeOrigin + performance.now(), event.data]);
    });
  }
};
"""
FIRST_POP = """
() => (window.framesSeen.find(([at, text]) => text.includes('"pop:')) ?? [null])[0]
"""


async def test_the_customer_is_on_the_screen_before_the_phone_rings(
    service: RunningService, chromium: Browser
) -> None:
    page = await chromium.new_page(locale="en")
    await page.add_init_script(WATCH_FRAMES)
    observer = await service.sign_in("lin")
    await observer.has_desk_phone()
    await observer.follow("agent:lin")
    async with service.network() as network, Stopwatch(observer) as stopwatch:
        phone = await service.phone(network, "1001")
        await sign_in_page(page, service.url, "lin")
        await _serve(page)
        await observer.until(lambda: observer.own["state"]["state"] == "available")

        caller = await network.call(CUSTOMER, "600")
        ringing = await phone.next_call()
        rang_at = ringing.ringing_at
        assert rang_at is not None
        pop_at = await stopwatch.pop_of("王芳")
        assert pop_at < rang_at, f"the pop came {(pop_at - rang_at) * 1000:.1f} ms after the ring"
        # Told, not judged: how soon the page runs is this machine's load, not the desk's doing.
        in_browser = await (await page.wait_for_function(FIRST_POP)).json_value()
        in_browser_at = in_browser / 1000 - (time.time() - time.monotonic())
        log.info(
            "before the ring: the frame %.1f ms, the page %.1f ms",
            (rang_at - pop_at) * 1000,
            (rang_at - in_browser_at) * 1000,
        )
        customer = page.locator("[data-customer]")
        await expect(customer).to_contain_text("王芳")

        await phone.answer(ringing)
        await expect(page.locator("[data-call]")).to_have_attribute("data-state", "answered")
        await page.locator("[data-note]").fill(NOTE)
        await caller.hang_up()
        await expect(page.locator("[data-call]")).to_have_attribute("data-state", "ended")
        await page.locator("[data-dispositions] input[value=answered]").check()
        await page.locator("[data-finish]").click()
        await expect(page.locator("[data-call]")).to_have_attribute("data-state", "none")
        await observer.until(lambda: observer.own["state"]["state"] == "available")
    await observer.close()

    await service.stop()
    await service.start()
    await page.goto(f"{service.url}/customers?find=%2B8613800138000")
    await page.get_by_role("link", name="王芳").first.click()
    history = page.locator("main")
    await expect(history).to_contain_text(NOTE)
    await expect(history).to_contain_text(DISPOSITIONS["answered"]["zh"])
    await page.close()


async def _serve(page: Page) -> None:
    switch = page.locator("[data-state-switch]")
    await switch.click()
    await page.locator("[data-serve] button[type=submit]").click()
    await expect(switch).to_have_attribute("data-state", "available")
