"""The phone in the page, by its buttons: Chromium on a running Deskbell, a real Asterisk, a caller.

What is true is asked of Asterisk, and of what each side hears.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from crm_store.database import Database
from crm_store.models import PhoneKind
from crm_store.staff import agents, queues
from cti.pbx.embedded import EmbeddedPbx
from cti.telephone_network.network import CALLER_TONE, SipCall, SipNetwork
from tests.desk_stage import (
    LIN,
    MARIA,
    AgentWindow,
    AsteriskView,
    agent_window,
    caller_hears,
    caller_hears_music,
    caller_hears_nothing,
    eventually,
    hears,
)
from tests.service_fixtures import (
    CUSTOMER,
    RunningService,
    ami_of,
    chromium,
    mall_pbx,
    mall_template,
    mall_url,
    sign_in_page,
)
from tests.talking_browser import EARS

__all__ = ["chromium", "mall_template", "mall_url"]

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Scene:
    """One agent at her desk, and a telephone network with customers."""

    pbx: EmbeddedPbx
    service: RunningService
    asterisk: AsteriskView
    network: SipNetwork
    lin: AgentWindow

    @property
    def page(self) -> Page:
        return self.lin.page

    async def call_lin(self) -> SipCall:
        """A customer calls the sales queue, which Lin serves."""
        return await self.network.call(CUSTOMER, "600", tone=CALLER_TONE)

    async def codec(self) -> str:
        """What Lin's newest leg speaks, as Asterisk says it."""
        leg = (await self.asterisk.channels_of("1001"))[-1]["Channel"]
        answer = await self.asterisk.link.action(
            "Getvar", Channel=leg, Variable="CHANNEL(audionativeformat)"
        )
        return str(answer.headers["Value"])

    async def press(self, verb: str, page: Page | None = None) -> None:
        await (page or self.page).locator(f"[data-verb={verb}]").click()

    async def answered(self) -> SipCall:
        """A customer who speaks with Lin."""
        call = await self.call_lin()
        await self.press("answer")
        await self.asterisk.together("1001", "trunk")
        await hears(self.page, CALLER_TONE)
        return call


async def reachable(page: Page) -> None:
    await expect(page.locator("[data-phone-menu] summary")).to_have_attribute(
        "data-phone", "ready", timeout=20_000
    )


@pytest.fixture
async def scene(tmp_path: Path, mall_url: str) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(await mall_pbx(tmp_path / "pbx", mall_url))
        service = await stack.enter_async_context(
            RunningService(tmp_path / "service", mall_url, external=pbx)
        )
        network = await stack.enter_async_context(service.network())
        link = await stack.enter_async_context(ami_of(pbx))
        playwright = await stack.enter_async_context(async_playwright())
        lin = await stack.enter_async_context(agent_window(playwright, service, tmp_path, LIN))
        await reachable(lin.page)
        await lin.serve("sales")
        yield Scene(pbx, service, AsteriskView(link), network, lin)
    assert lin.problems == []


async def test_answer_hold_mute_keypad_and_hang_up(scene: Scene) -> None:
    call = await scene.answered()
    await caller_hears(call, LIN.tone)

    await scene.press("hold")
    await caller_hears_music(call, LIN.tone)
    await scene.press("hold")
    await caller_hears(call, LIN.tone)

    await scene.press("mute")
    await caller_hears_nothing(call)
    await scene.press("mute")
    await caller_hears(call, LIN.tone)

    await scene.press("hang_up")
    await scene.asterisk.gone("1001")
    await scene.asterisk.gone("trunk")
    await expect(scene.page.locator(".leg")).to_have_count(0)


async def test_a_reload_in_a_call_brings_it_back(scene: Scene) -> None:
    call = await scene.answered()
    await scene.press("mute")
    await caller_hears_nothing(call)

    await scene.page.reload()
    mute = scene.page.locator("[data-verb=mute]")
    await expect(mute).to_have_attribute("aria-pressed", "true")
    await hears(scene.page, CALLER_TONE)
    await scene.press("mute")
    await caller_hears(call, LIN.tone)
    await scene.asterisk.together("1001", "trunk")

    await scene.press("hold")
    await caller_hears_music(call, LIN.tone)
    await scene.page.reload()
    await expect(scene.page.locator(".leg[data-state=held]")).to_have_count(1)
    await scene.press("hold")
    await caller_hears(call, LIN.tone)
    await hears(scene.page, CALLER_TONE)


async def test_a_reload_while_it_rings_lets_it_ring_anew(scene: Scene) -> None:
    """A call to the person: were its ring lost, the caller would be with the voicemail."""
    call = await scene.network.call(CUSTOMER, "1001", tone=CALLER_TONE)
    await expect(scene.page.locator(".leg[data-state=ringing]")).to_have_count(1)
    await scene.page.reload()
    await scene.press("answer")
    await scene.asterisk.together("1001", "trunk")
    await caller_hears(call, LIN.tone)
    await hears(scene.page, CALLER_TONE)


async def test_keys_are_heard_as_keys(scene: Scene) -> None:
    call = await scene.answered()
    await scene.page.keyboard.press("k")
    await scene.page.locator("[data-keypad] [data-key='5']").click()
    await scene.page.keyboard.press("0")
    await scene.page.keyboard.press("#")
    await expect(scene.page.locator("[data-keypad-typed]")).to_have_text("50#")

    async def heard() -> bool:
        return call.audio.digits_heard == "50#"

    await eventually(heard, "the caller hears the keys")


async def test_a_queue_that_wants_it_is_answered_by_the_phone(scene: Scene) -> None:
    database = Database(scene.service.database_url)
    try:
        sales = await queues.find(database, "sales")
        assert sales is not None
        async with database.transaction() as transaction:
            await queues.save(transaction, replace(sales, auto_answer=True))
    finally:
        await database.close()
    await scene.page.reload()
    await reachable(scene.page)
    call = await scene.call_lin()
    await scene.asterisk.together("1001", "trunk")
    await caller_hears(call, LIN.tone)
    await hears(scene.page, CALLER_TONE)


async def test_a_test_call_is_heard_by_oneself(scene: Scene) -> None:
    await scene.page.locator("[data-phone-menu] summary").click()
    await scene.page.locator("[data-phone-test]").click()
    await hears(scene.page, LIN.tone)
    await scene.press("hang_up")
    await scene.asterisk.gone("1001")


async def test_declined_it_rings_no_more(scene: Scene) -> None:
    await scene.call_lin()
    await expect(scene.page.locator(".leg[data-state=ringing]")).to_have_count(1)
    await scene.page.keyboard.press("d")
    await expect(scene.page.locator(".leg")).to_have_count(0)


async def test_another_tab_takes_the_phone_and_the_call(scene: Scene) -> None:
    call = await scene.answered()
    other = await scene.lin.new_page()
    await other.goto(f"{scene.service.url}/desk")
    await expect(other.locator(".phone-notice")).to_contain_text("Another tab")
    await hears(scene.page, CALLER_TONE)

    await other.locator(".phone-notice button").click()
    await reachable(other)
    await hears(other, CALLER_TONE)
    await caller_hears(call, LIN.tone)
    await scene.asterisk.together("1001", "trunk")
    await expect(scene.page.locator(".phone-notice")).to_contain_text("Another tab")
    await expect(scene.page.locator(".leg")).to_have_count(0)

    await other.close()
    await reachable(scene.page)
    await hears(scene.page, CALLER_TONE)
    await caller_hears(call, LIN.tone)


async def test_a_call_taken_over_twice_is_heard_both_ways(scene: Scene) -> None:
    """Of two opus legs in a row, Debian's Asterisk drops the second one's sound at random."""
    call = await scene.answered()
    other = await scene.lin.new_page()
    await other.goto(f"{scene.service.url}/desk")
    await other.locator(".phone-notice button").click()
    await reachable(other)
    await caller_hears(call, LIN.tone)
    codec = await scene.codec()
    await other.close()
    await reachable(scene.page)
    await hears(scene.page, CALLER_TONE)
    await caller_hears(call, LIN.tone)
    assert await scene.codec() != codec


async def test_another_computer_takes_the_phone_and_sleep_does_not_take_it_back(
    scene: Scene,
) -> None:
    call = await scene.answered()
    await scene.lin.context.set_offline(True)
    async with AsyncExitStack() as stack:
        context = await scene.lin.browser.new_context(permissions=["microphone"])
        stack.push_async_callback(context.close)
        await context.add_init_script(path=EARS)
        other = await context.new_page()
        await sign_in_page(other, scene.service.url, LIN.login)
        await reachable(other)
        await hears(other, CALLER_TONE)
        await caller_hears(call, LIN.tone)

        await scene.lin.context.set_offline(False)
        await expect(scene.page.locator(".phone-notice")).to_contain_text("another computer")
        await caller_hears(call, LIN.tone)
        await reachable(other)
        scene.lin.problems.clear()  # requests while offline

    await scene.page.locator(".phone-notice button").click()
    await reachable(scene.page)
    await hears(scene.page, CALLER_TONE)
    await caller_hears(call, LIN.tone)


async def test_a_cut_connection_comes_back_and_the_call_with_it(scene: Scene) -> None:
    call = await scene.answered()
    await scene.lin.context.set_offline(True)
    await expect(scene.page.locator("[data-phone-menu] summary")).to_have_attribute(
        "data-phone", "away", timeout=40_000
    )
    await scene.lin.context.set_offline(False)
    await reachable(scene.page)
    await caller_hears(call, LIN.tone)
    await hears(scene.page, CALLER_TONE)
    await scene.press("hold")
    await caller_hears_music(call, LIN.tone)
    await scene.press("hold")
    await scene.press("hang_up")
    await scene.asterisk.gone("trunk")
    scene.lin.problems.clear()


async def test_a_desk_phone_s_call_is_given_away_and_ended_by_clicking(
    tmp_path: Path, mall_url: str, chromium: Browser
) -> None:
    database = Database(mall_url)
    async with database.transaction() as transaction:
        for login in (LIN.login, MARIA.login):
            await agents.set_phone(transaction, login, PhoneKind.DESK)
    await database.close()
    async with AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(
            await mall_pbx(tmp_path / "pbx", mall_url, desk_phones=True)
        )
        service = await stack.enter_async_context(
            RunningService(tmp_path / "service", mall_url, external=pbx)
        )
        network = await stack.enter_async_context(service.network())
        asterisk = AsteriskView(await stack.enter_async_context(ami_of(pbx)))
        await service.phone(network, LIN.extension, answer_after=0)
        await service.phone(network, MARIA.extension, answer_after=0)
        lin = await service.sign_in(LIN.login)
        stack.push_async_callback(lin.close)
        await lin.follow("agent:lin")
        await lin.serve("sales")
        page = await chromium.new_page()
        await sign_in_page(page, service.url, LIN.login)
        await expect(page.locator("[data-phone-menu] summary")).to_have_attribute(
            "data-phone", "desk"
        )
        await network.call(CUSTOMER, "600")
        await asterisk.together("1001", "trunk")
        await page.locator("[data-verb=transfer]").click()
        dialog = page.locator("[data-phone-to]")
        await dialog.locator("[data-to-field]").fill("1002")
        await dialog.locator("[data-to-verb=transfer_now]").first.click()
        await asterisk.together("1002", "trunk")
        await asterisk.gone("1001")
        await network.call(CUSTOMER, "1001")
        await asterisk.together("1001", "trunk")
        await page.locator("[data-verb=hang_up]").click()
        await asterisk.gone("1001")
