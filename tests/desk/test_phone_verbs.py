"""Every verb of the phone, done by clicking in the desk, checked on Asterisk's side and by ear."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from cti.telephone_network.network import CALLER_TONE
from tests.desk.phone_panel import PhonePanel
from tests.desk_stage import (
    LIN_TONE,
    MARIA_TONE,
    SECOND_CALLER_TONE,
    Stage,
    caller_hears,
    caller_hears_music,
    caller_hears_nothing,
    eventually,
    hears,
    hears_nothing,
)
from tests.service_fixtures import CUSTOMER

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]

OUTSIDE = "+442079460958"


async def test_a_call_rings_in_every_way(stage: Stage) -> None:
    lin = stage.lin
    await lin.serve("sales")
    # Nobody looks at the page: a browser without a screen does not know of itself.
    await lin.page.evaluate(
        "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })"
    )
    await stage.customer_calls()
    await expect(lin.panel.leg("ringing")).to_contain_text("Rings")
    await expect(lin.page).to_have_title(re.compile("● .*王芳"))

    async def rings() -> bool:
        legs = await stage.asterisk.channels_of("1001")
        return [leg["ChannelStateDesc"] for leg in legs] == ["Ringing"]

    await eventually(rings, "Asterisk sees the phone ring")
    await eventually(lambda: lin.page.evaluate("ears.own() > 0.01"), "the phone sounds")
    (notification,) = await eventually(
        lambda: lin.page.evaluate("ears.notifications"), "the browser notifies"
    )
    assert "王芳" in notification["title"]
    await lin.page.evaluate("delete document.hidden")
    await lin.panel.decline()


async def test_answer_and_hang_up(stage: Stage) -> None:
    caller = await stage.in_call()
    lin = stage.lin
    call = await lin.has_call("answered", queue="sales")
    (leg,) = await stage.asterisk.channels_of("1001")
    assert leg["Linkedid"] == call["call"]
    members = await stage.asterisk.members("1001")
    assert members["sales"]["InCall"] == "1"
    await lin.panel.hang_up()
    await caller.wait("ended")
    assert caller.ended_by == "them"
    await stage.asterisk.gone("1001")
    await lin.panel.has_no_leg()
    await hears_nothing(lin.page)


async def test_the_customer_hangs_up(stage: Stage) -> None:
    caller = await stage.in_call()
    await caller.hang_up()
    await stage.lin.panel.has_no_leg()
    await stage.lin.is_in_state("wrap_up")
    await stage.asterisk.gone("1001")


async def test_a_declined_call_goes_back_to_its_queue_and_to_the_next(stage: Stage) -> None:
    lin, maria = stage.agents
    await lin.serve("sales")
    caller = await stage.customer_calls()
    await lin.panel.has_leg("ringing")
    await maria.serve("sales")
    await lin.panel.decline()
    await lin.panel.has_no_leg()
    await maria.panel.has_leg("ringing")
    assert caller.state == "answered"  # by the queue, which it has not left
    await maria.panel.answer()
    await stage.asterisk.together("1002", "trunk")
    await caller_hears(caller, MARIA_TONE)


async def test_hold_and_resume(stage: Stage) -> None:
    caller = await stage.in_call()
    lin = stage.lin
    await lin.panel.hold()
    await caller_hears_music(caller, LIN_TONE)
    await hears_nothing(lin.page)
    await lin.has_call("held")
    await lin.panel.resume()
    await caller_hears(caller, LIN_TONE)
    await hears(lin.page, CALLER_TONE)
    await lin.has_call("answered")


async def test_mute(stage: Stage) -> None:
    caller = await stage.in_call()
    await stage.lin.panel.mute()
    await caller_hears_nothing(caller)
    await hears(stage.lin.page, CALLER_TONE)
    await stage.lin.panel.mute()
    await caller_hears(caller, LIN_TONE)


async def test_keys_reach_the_other_side_as_rfc_4733(stage: Stage) -> None:
    caller = await stage.in_call()
    await stage.lin.panel.key("19*0#")

    async def keyed() -> bool:
        return caller.audio.digits_heard == "19*0#"

    await eventually(keyed, "the caller's phone gets the keys")


async def test_blind_transfer_to_a_colleague(stage: Stage) -> None:
    caller = await stage.in_call()
    lin, maria = stage.agents
    await lin.panel.transfer("maria")
    await maria.panel.answer()
    await stage.asterisk.together("1002", "trunk")
    await stage.asterisk.gone("1001")
    await caller_hears(caller, MARIA_TONE)
    await hears(maria.page, CALLER_TONE)
    await lin.panel.has_no_leg()
    await lin.has_call("ended")
    await maria.has_call("answered")
    await expect(maria.page.locator("[data-customer]")).to_contain_text("王芳")


async def test_blind_transfer_to_a_queue(stage: Stage) -> None:
    caller = await stage.in_call()
    lin, maria = stage.agents
    await maria.serve("service")
    await lin.panel.transfer("601")
    await stage.asterisk.gone("1001")
    await maria.panel.answer()
    await stage.asterisk.together("1002", "trunk")
    await maria.has_call("answered", queue="service")
    await caller_hears(caller, MARIA_TONE)


async def test_blind_transfer_outside(stage: Stage) -> None:
    caller = await stage.in_call()
    subscriber = await stage.network.subscriber(answer_after=None)
    await stage.lin.panel.transfer(OUTSIDE)
    await subscriber.answer()
    await stage.asterisk.together("trunk", "trunk")
    await stage.asterisk.gone("1001")
    await caller_hears(caller, CALLER_TONE)  # which is every subscriber's


async def test_attended_transfer_is_completed(stage: Stage) -> None:
    caller = await stage.in_call()
    lin, maria = stage.agents
    await lin.panel.consult("maria")
    await caller_hears_music(caller, LIN_TONE, MARIA_TONE)
    await maria.panel.answer()
    await stage.asterisk.together("1001", "1002")
    await hears(lin.page, MARIA_TONE)
    await hears(maria.page, LIN_TONE)
    await lin.panel.complete()
    await stage.asterisk.together("1002", "trunk")
    await stage.asterisk.gone("1001")
    await caller_hears(caller, MARIA_TONE)
    await hears(maria.page, CALLER_TONE)
    await maria.has_call("answered")
    await lin.has_call("ended")
    await expect(maria.page.locator("[data-customer]")).to_contain_text("王芳")


async def test_attended_transfer_is_taken_back(stage: Stage) -> None:
    caller = await stage.in_call()
    lin, maria = stage.agents
    await lin.panel.consult("maria")
    await maria.panel.answer()
    await hears(lin.page, MARIA_TONE)
    await lin.panel.take_back()
    await stage.asterisk.together("1001", "trunk")
    await stage.asterisk.gone("1002")
    await caller_hears(caller, LIN_TONE)
    await hears(lin.page, CALLER_TONE)
    await maria.panel.has_no_leg()
    assert maria.state in ("offline", "available")  # a consultation has no wrap-up


async def test_switching_between_customer_and_colleague(stage: Stage) -> None:
    caller = await stage.in_call()
    lin, maria = stage.agents
    await lin.panel.consult("maria")
    await maria.panel.answer()
    await hears(lin.page, MARIA_TONE)
    await lin.panel.resume()
    await caller_hears(caller, LIN_TONE)
    await hears(lin.page, CALLER_TONE)
    await lin.panel.resume()
    await hears(lin.page, MARIA_TONE)
    await caller_hears_music(caller, LIN_TONE, MARIA_TONE)


async def test_three_speak_with_each_other(stage: Stage) -> None:
    caller = await stage.in_call()
    lin, maria = stage.agents
    await lin.panel.consult("maria")
    await maria.panel.answer()
    await hears(lin.page, MARIA_TONE)
    await lin.panel.conference()
    await stage.asterisk.together("1001", "1002", "trunk")
    await caller_hears(caller, LIN_TONE, MARIA_TONE)
    await hears(lin.page, CALLER_TONE, MARIA_TONE)
    await hears(maria.page, CALLER_TONE, LIN_TONE)
    # Whoever brought them together may go: the other two go on.
    await lin.panel.hang_up()
    await stage.asterisk.together("1002", "trunk")
    await caller_hears(caller, MARIA_TONE)
    await hears(maria.page, CALLER_TONE)


async def test_a_customers_number_is_called_by_a_click(stage: Stage) -> None:
    lin = stage.lin
    subscriber = await stage.network.subscriber(answer_after=None)
    await lin.page.goto(f"{lin.url}/desk")
    await lin.panel.is_ready()
    await lin.page.evaluate("document.querySelector('[data-phone-menu]').open = false")
    await lin.panel.dial(CUSTOMER)
    call = await subscriber.next_call()
    await lin.panel.has_leg("calling")
    await expect(lin.page.locator("[data-customer]")).to_contain_text("王芳")
    await subscriber.answer(call)
    await stage.asterisk.together("1001", "trunk")
    await hears(lin.page, CALLER_TONE)
    await call.hears(LIN_TONE)
    await lin.panel.hang_up()
    await call.wait("ended")
    await lin.panel.has_no_leg()

    on_card = lin.page.locator(f'[data-customer] [data-dial="{CUSTOMER}"]').first.click
    for dial_again in (on_card, lin.panel.redial):
        await dial_again()
        again = await subscriber.next_call()
        await subscriber.answer(again)
        await stage.asterisk.together("1001", "trunk")
        await lin.panel.hang_up()
        await again.wait("ended")
        await lin.panel.has_no_leg()


async def test_colleagues_are_shown_as_they_are_and_called_by_a_click(stage: Stage) -> None:
    lin, maria = stage.agents
    colleague = lin.page.locator("[data-agents] .agent-line", has_text="María")
    await expect(colleague).to_have_attribute("data-state", "offline")
    await maria.serve("service")
    await expect(colleague).to_have_attribute("data-state", "available")
    await lin.panel.dial("maria")
    await maria.panel.has_leg("ringing")
    await maria.panel.answer()
    await stage.asterisk.together("1001", "1002")
    await hears(maria.page, LIN_TONE)
    await hears(lin.page, MARIA_TONE)
    await expect(colleague).to_have_attribute("data-state", "on_call")
    await lin.panel.hang_up()
    await maria.panel.has_no_leg()


async def test_park_and_pick_up_by_a_colleague(stage: Stage) -> None:
    caller = await stage.in_call()
    lin, maria = stage.agents
    await lin.panel.park()
    await lin.panel.has_no_leg()
    await caller_hears_music(caller, LIN_TONE, MARIA_TONE)
    await stage.asterisk.gone("1001")
    await maria.panel.pick_up()
    await stage.asterisk.together("1002", "trunk")
    await caller_hears(caller, MARIA_TONE)
    await hears(maria.page, CALLER_TONE)
    await maria.has_call("answered")


async def test_two_tabs_do_not_fight(stage: Stage) -> None:
    lin = stage.lin
    tab = await lin.new_page()
    await tab.goto(f"{lin.url}/desk")
    second = PhonePanel(tab)
    await expect(second.notices).to_contain_text("Another tab")
    await expect(second.chip).to_have_attribute("data-phone", "elsewhere")
    await lin.panel.is_ready()
    await second.use_here()
    await second.is_ready()
    await expect(lin.panel.chip).to_have_attribute("data-phone", "elsewhere")
    await lin.serve("sales")
    caller = await stage.customer_calls()
    await second.answer()
    await caller_hears(caller, LIN_TONE)
    await lin.panel.has_no_leg()
    await caller.hang_up()
    await tab.close()
    await lin.panel.is_ready()


async def test_a_reload_keeps_the_call(stage: Stage) -> None:
    caller = await stage.in_call()
    (before,) = await stage.asterisk.channels_of("trunk")
    await stage.lin.page.reload()
    await stage.lin.panel.has_leg("answered")
    await caller_hears(caller, LIN_TONE)
    await hears(stage.lin.page, CALLER_TONE)
    await stage.asterisk.together("1001", "trunk")
    (after,) = await stage.asterisk.channels_of("trunk")
    assert (after["Channel"], after["Linkedid"]) == (before["Channel"], before["Linkedid"])
    call = await stage.lin.has_call("answered", queue="sales")
    assert call["call"] == before["Linkedid"]
    assert caller.state == "answered"
    # It can still be done with as before.
    await stage.lin.panel.hold()
    await caller_hears_music(caller, LIN_TONE)
    await stage.lin.panel.resume()
    await caller_hears(caller, LIN_TONE)
    await stage.lin.panel.hang_up()
    await caller.wait("ended")


async def test_a_reload_while_on_hold_keeps_it_on_hold(stage: Stage) -> None:
    caller = await stage.in_call()
    await stage.lin.panel.hold()
    await caller_hears_music(caller, LIN_TONE)
    await stage.lin.page.reload()
    await stage.lin.panel.has_leg("held")
    await stage.asterisk.together("1001", "trunk")
    await caller_hears_music(caller, LIN_TONE)
    await stage.lin.has_call("held")
    await stage.lin.panel.resume()
    await caller_hears(caller, LIN_TONE)
    await hears(stage.lin.page, CALLER_TONE)


async def test_a_muted_call_stays_muted_over_a_reload(stage: Stage) -> None:
    caller = await stage.in_call()
    await stage.lin.panel.mute()
    await caller_hears_nothing(caller)
    await stage.lin.page.reload()
    await stage.lin.panel.has_leg("answered")
    await hears(stage.lin.page, CALLER_TONE)
    await caller_hears_nothing(caller)
    await stage.lin.panel.mute()
    await caller_hears(caller, LIN_TONE)


async def test_a_queue_that_answers_by_itself(stage: Stage) -> None:
    lin = stage.lin
    await lin.serve("vip")
    caller = await stage.customer_calls("602")
    await lin.panel.has_leg("answered")
    await caller_hears(caller, LIN_TONE)
    await hears(lin.page, CALLER_TONE)
    await stage.asterisk.together("1001", "trunk")


async def test_rings_that_are_missed_pause_the_agent(stage: Stage) -> None:
    lin = stage.lin
    await lin.serve("service")
    caller = await stage.customer_calls("601")
    await lin.is_in_state("paused", within=60)
    assert lin.session.own["state"]["reason"] == "missed-rings"
    members = await stage.asterisk.members("1001")
    assert members["service"]["Paused"] == "1"
    assert caller.state == "answered"
    assert len(await stage.asterisk.waiting("service")) == 1
    await expect(lin.page.locator("[data-state-switch]")).to_have_attribute("data-state", "paused")
    maria = stage.maria
    await maria.serve("service")
    await maria.panel.answer()
    await caller_hears(caller, MARIA_TONE)


async def test_nothing_is_offered_in_wrap_up(stage: Stage) -> None:
    caller = await stage.in_call()
    lin = stage.lin
    await caller.hang_up()
    await lin.is_in_state("wrap_up")
    members = await stage.asterisk.members("1001")
    assert {member["Paused"] for member in members.values()} == {"1"}
    second = await stage.customer_calls("601", caller="+8613900139000", tone=SECOND_CALLER_TONE)
    await second.wait("answered")

    async def waits() -> bool:
        return len(await stage.asterisk.waiting("service")) == 1

    await eventually(waits, "the second caller waits")
    ends_at = lin.session.own["state"]["ends_at"]
    await lin.page.locator("[data-time-more]").click()
    more_time = lin.page.get_by_role("dialog", name="More time for the wrap-up")
    await more_time.get_by_label("What takes longer?").fill("long story")
    await more_time.get_by_role("button", name="More time").click()
    await expect(more_time).to_be_hidden()
    await lin.session.until(lambda: lin.session.own["state"]["ends_at"] > ends_at)
    assert await stage.asterisk.channels_of("1001") == []
    await lin.page.locator("[data-dispositions] label", has_text="Question answered").click()
    await lin.page.locator("[data-finish]").click()
    await lin.panel.answer()
    await caller_hears(second, LIN_TONE)
    await hears(lin.page, SECOND_CALLER_TONE)
