"""The desk in a real browser: an agent's work from pop to wrap-up, hostile texts, reconnects."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Page, expect

from crm_store.contacts import calls, interactions
from crm_store.contacts.calls import CallRecord
from crm_store.models import CallState
from crm_store.people import customers
from crm_store.signals import AgentState, CallEnded, Direction, Signal
from tests.agent_desk.browser_fixtures import NARROW, Chromium, chrome
from tests.agent_desk.conftest import PASSWORD, RunningDesk
from tests.agent_desk.push_follow import until
from tests.agent_desk.signal_stories import declined_call, pop, queue_call

__all__ = ["chrome"]

pytestmark = pytest.mark.browser

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "\u202egnp.exe \u2066",
    "👩‍👩‍👧‍👦" * 20,
    "x" * 10_000,
    "a\r\nb\x00c",
    "{{7*7}} ${7*7}",
]


async def card_of(desk: RunningDesk, who: str) -> dict[str, Any]:
    card = await customers.card(desk.database, desk.customers[who])
    assert card is not None
    return card.as_dict()


async def ring(desk: RunningDesk, *matches: dict[str, Any], **values: Any) -> None:
    """A queue call is offered to Lin, with these customers' cards."""
    await desk.presence.sign_in("lin", ["sales"])
    for signal in queue_call()[:8]:
        if type(signal).__name__ == "ScreenPop":
            looking_up = getattr(signal, "looking_up", False)
            shown = () if looking_up else tuple(matches)
            desk.bus.publish(pop(matches=shown, looking_up=looking_up, **values))
        else:
            desk.bus.publish(signal)


def go_on(desk: RunningDesk, *kinds: str) -> None:
    """Publish the rest of the story's signals of these kinds, for Lin's part of it."""
    for signal in queue_call():
        if type(signal).__name__ in kinds and getattr(signal, "agent", "lin") in ("lin", ""):
            desk.bus.publish(signal)


def answer(desk: RunningDesk) -> None:
    story = queue_call()
    names = [type(signal).__name__ for signal in story]
    at = names.index("CallAnswered")
    for signal in story[at : at + 2]:
        desk.bus.publish(signal)


def end(desk: RunningDesk) -> None:
    ended: list[Signal] = [signal for signal in queue_call() if isinstance(signal, CallEnded)]
    desk.bus.publish(ended[0])
    desk.presence._become("lin", AgentState.WRAP_UP)


async def write_call(desk: RunningDesk, **values: Any) -> None:
    record = CallRecord(
        **{
            "pbx": "main",
            "linkedid": "1.1",
            "state": CallState.LIVE,
            "direction": Direction.INBOUND,
            "caller": "13800138000",
            "callee": "600",
            "agent": "lin",
            "queue": "sales",
            "started_at": datetime.now(UTC),
            **values,
        }
    )
    async with desk.database.transaction() as transaction:
        await calls.record_calls(transaction, [record])


async def note_of(desk: RunningDesk) -> str:
    found = await interactions.of_call(desk.database, "main", "1.1")
    return found.note if found else ""


async def until_note(desk: RunningDesk, note: str) -> None:
    while await note_of(desk) != note:  # noqa: ASYNC110 - the database has no event for it
        await asyncio.sleep(0.05)


async def open_desk(chrome: Chromium, **look: Any) -> Page:
    page = await chrome.window("lin", **look)
    await page.goto("/desk")
    await expect(page.locator("html")).to_have_attribute("data-connection", "connected")
    return page


async def test_a_call_from_sign_in_to_wrap_up_by_keyboard(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await chrome.window()
    await page.goto("/")
    await expect(page.locator("[name=login]")).to_be_focused()
    await page.keyboard.type("lin")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/desk")
    await expect(page.locator("html")).to_have_attribute("data-connection", "connected")

    await page.keyboard.press("s")
    await page.keyboard.press("Enter")
    switch = page.locator("[data-state-switch]")
    await expect(switch).to_have_attribute("data-state", "available")

    await ring(desk, await card_of(desk, "wang"))
    await expect(page.locator("[data-call-state]")).to_have_text("Incoming call")
    await expect(page.locator(".customer-card h2")).to_have_text("王芳")
    await expect(page.locator("[data-said]")).to_have_text("Incoming call from 王芳")
    assert "王芳" in await page.title()
    await expect(page.locator(".badge[data-segment=vip]")).to_be_visible()
    await expect(page.get_by_text("12,345.50 points")).to_be_visible()
    await expect(page.locator("[data-story-list]")).to_contain_text("问儿童鞋尺码")

    answer(desk)
    await write_call(desk)
    await expect(page.locator("[data-call-state]")).to_have_text("On the line")
    await page.keyboard.press("n")
    await page.keyboard.type("wants a larger size")
    await until_note(desk, "wants a larger size")
    await expect(page.locator("[data-note-state]")).to_have_text("Saved")

    end(desk)
    await expect(page.locator("[data-finish]")).to_be_enabled()
    await page.locator("[data-note]").blur()
    await page.keyboard.press("2")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("[data-call-state]")).to_have_text("No call")
    await expect(switch).to_have_attribute("data-state", "available")
    found = await interactions.of_call(desk.database, "main", "1.1")
    assert found is not None
    assert (found.disposition, found.note) == ("call_back", "wants a larger size")
    assert await page.evaluate("Object.keys(localStorage).length") == 0


async def test_several_matches_are_a_choice(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    await ring(desk, await card_of(desk, "garcia"), await card_of(desk, "garcia_son"))
    answer(desk)
    await write_call(desk)
    await page.get_by_role("button", name="Pablo García").click()
    await expect(page.locator(".customer-card h2")).to_have_text("Pablo García")
    # The screen is right at once; the store a moment later.
    async with asyncio.timeout(5):
        while True:
            found = await interactions.of_call(desk.database, "main", "1.1")
            assert found is not None
            if found.customer_id is not None:
                break
    assert found.customer_id == desk.customers["garcia_son"]


async def test_nobody_known_is_a_form_prefilled(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    await ring(desk, number="+989123456789", caller="00989123456789", caller_name="رضا")
    answer(desk)
    await write_call(desk)
    form = page.locator("[data-customer-form]")
    await expect(form.locator("[name=phone]")).to_have_value("+98 912 345 6789")
    await expect(form.locator("[name=language]")).to_have_value("fa")
    await form.locator("[name=name]").fill("رضا کریمی")
    await form.locator("[name=mail]").fill("not-a-mail@x")
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_contain_text("name@example.org")
    await form.locator("[name=mail]").fill("")
    await form.get_by_role("button").click()
    await expect(page.locator(".customer-card h2")).to_have_text("رضا کریمی")
    (known,) = await customers.find_by_phone(desk.database, "+989123456789")
    assert known.language == "fa"
    chrome.problems.clear()  # Chromium itself says that the first answer was 400.


async def test_what_is_being_written_into_the_form_stays_when_the_call_is_answered(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await open_desk(chrome)
    await ring(desk, number="+442079461111", caller="+442079461111")
    await page.locator("[name=name]").last.fill("Half a na")
    answer(desk)
    await expect(page.locator("[data-call-state]")).to_have_text("On the line")
    await expect(page.locator("[data-customer-form] [name=name]")).to_have_value("Half a na")


async def test_a_withheld_number_is_said_to_be_withheld(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await open_desk(chrome)
    for signal in declined_call()[:4]:
        desk.bus.publish(signal)
    await expect(page.locator("[data-call-name]")).to_have_text("Number withheld")
    await expect(page.locator("[data-customer]")).to_contain_text("The number is withheld")


async def test_a_half_written_note_survives_reload_and_reconnect(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await open_desk(chrome)
    await ring(desk, await card_of(desk, "wang"))
    answer(desk)
    note = page.locator("[data-note]")
    # The call has no row yet: the server cannot keep the note, the computer does.
    await note.fill("first words")
    await expect(page.locator("[data-note-state]")).to_contain_text("Kept on this computer")
    await page.reload()
    await expect(note).to_have_value("first words")
    await write_call(desk)
    await until_note(desk, "first words")

    for one in list(desk.hub.desks):
        one.transport.abort()
    await note.fill("first words and more")
    await expect(page.locator("html")).to_have_attribute("data-connection", "connected")
    await until_note(desk, "first words and more")
    await page.evaluate("localStorage.clear()")
    await page.reload()
    await expect(note).to_have_value("first words and more")


async def test_a_lost_connection_is_said_and_mended(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    banner = page.locator("[data-banner]")
    await expect(banner).to_be_hidden()
    await page.context.set_offline(True)
    for one in list(desk.hub.desks):
        one.transport.abort()
    await expect(banner).to_contain_text("Not connected")
    await desk.presence.sign_in("lin", ["sales"])
    await page.context.set_offline(False)
    await expect(banner).to_be_hidden(timeout=15_000)
    await expect(page.locator("[data-state-switch]")).to_have_attribute("data-state", "available")
    chrome.problems.clear()  # Chromium itself says that it was offline.


async def test_a_session_that_ends_elsewhere_leads_to_the_sign_in(
    chrome: Chromium, desk: RunningDesk
) -> None:
    first = await open_desk(chrome)
    second = await first.context.new_page()
    await second.goto("/desk")
    await second.locator(".account summary").click()
    await second.get_by_role("button", name="Sign out").click()
    await first.wait_for_url("**/sign-in**")


async def test_nothing_jumps_when_a_call_arrives(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    await expect(page.locator(".queue-line")).to_have_count(2)
    # The phone has said what it has to say: that there is no telephone system, and no microphone.
    await expect(page.locator(".phone-notice")).to_have_count(2)
    places = [
        "[data-call]",
        ".column-customer",
        "[data-note]",
        "[data-finish]",
        "[data-queues]",
        "[data-agents]",
        "[data-state-switch]",
    ]

    async def boxes() -> list[Any]:
        found = [await page.locator(place).bounding_box() for place in places]
        return [box and (round(box["x"]), round(box["y"]), round(box["height"])) for box in found]

    await desk.presence.sign_in("lin", ["sales"])
    await expect(page.locator("[data-state-switch]")).to_have_attribute("data-state", "available")
    before = await boxes()
    await ring(desk, await card_of(desk, "garcia"))
    await expect(page.locator(".customer-card")).to_be_visible()
    assert (await boxes())[:6] == before[:6]
    answer(desk)
    await expect(page.locator(".disposition")).to_have_count(2)
    assert (await boxes())[:6] == before[:6]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: repr(text[:12]))
async def test_a_strangers_text_is_only_text(
    chrome: Chromium, desk: RunningDesk, hostile: str
) -> None:
    page = await open_desk(chrome, size=NARROW)
    await ring(desk, caller_name=hostile, number="+442079461111", caller="+442079461111")
    await expect(page.locator(".new-customer")).to_be_visible()
    answer(desk)
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= NARROW["width"]
    floor = await chrome.window("sara")
    await floor.goto("/floor")
    await expect(floor.locator("[data-calls] tr")).to_have_count(1)
    assert await page.locator("img, [data-customer] script").count() == 0


async def test_a_hostile_customer_record_is_only_text(chrome: Chromium, desk: RunningDesk) -> None:
    hostile = desk.customers["hostile"]
    page = await open_desk(chrome)
    await ring(desk, await card_of(desk, "hostile"))
    await expect(page.locator(".customer-card h2")).to_have_text("<img src=x onerror=alert(1)>")
    for path in (f"/customers/{hostile}", f"/customers/{hostile}/edit", "/customers?find=<img"):
        await page.goto(path)
        await expect(page.locator("#main")).to_contain_text("<img src=x onerror=alert(1)>")
        assert await page.locator("img").count() == 0
        assert "49" not in await page.locator("#main").inner_text()


async def test_the_state_menu_pauses_with_a_reason(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    switch = page.locator("[data-state-switch]")
    await switch.click()
    await page.get_by_role("button", name="Available").click()
    await expect(switch).to_have_attribute("data-state", "available")
    await switch.click()
    await page.get_by_role("button", name="Lunch").click()
    await expect(switch).to_contain_text("Lunch")
    assert desk.presence.state_of("lin").reason == "lunch"
    desk.presence.link_is_up = False
    await switch.click()
    await page.get_by_role("button", name="Leave all queues").click()
    await expect(page.locator("[data-state-error]")).to_contain_text("telephone system is away")
    chrome.problems.clear()  # Chromium itself says that the answer was 503.


async def test_colleagues_and_queues_are_live(chrome: Chromium, desk: RunningDesk) -> None:
    page = await open_desk(chrome)
    await desk.presence.sign_in("maria", ["sales"])
    maria = page.locator(".agent-line", has_text="María García")
    await expect(maria).to_have_attribute("data-state", "available")
    for signal in queue_call()[:4]:
        desk.bus.publish(signal)
    sales = page.locator(".queue-line", has_text="Sales")
    await expect(sales.locator(".queue-waiting")).to_have_text("1")
    await expect(sales.locator(".timer")).to_have_text(re.compile(r"\d:\d\d"))


async def test_the_list_of_shortcuts(chrome: Chromium) -> None:
    page = await open_desk(chrome)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await page.keyboard.press("/")
    await page.keyboard.type("王芳")
    await page.keyboard.press("Enter")
    await expect(page.locator(".person")).to_have_count(1)


async def test_language_and_colours_are_changed_in_the_menu(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await open_desk(chrome)
    await page.locator(".account summary").click()
    await page.get_by_role("button", name="فارسی").click()
    await expect(page.locator("html")).to_have_attribute("dir", "rtl")
    await page.locator(".account summary").click()
    await page.get_by_role("button", name="تیره").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await until(lambda: len(desk.hub.desks) == 1)


async def test_the_two_reducers_agree(chrome: Chromium, desk: RunningDesk) -> None:
    page = await chrome.window("sara")
    await page.goto("/floor")
    frames: list[dict[str, Any]] = [
        {"topic": "t", "n": 3, "set": {"x": {}}, "gone": []},
        {"topic": "t", "n": 1, "snapshot": {"a": {"v": 1}, "b": {"v": 2}}},
        {"topic": "t", "n": 2, "set": {"a": {"v": 9}}, "gone": ["b", "zz"]},
        {"topic": "t", "n": 2, "set": {"old": {}}, "gone": ["a"]},
        {"topic": "t", "n": 4, "set": {"late": {}}, "gone": []},
        {"beat": 15},
        {"topic": "t", "n": 5, "snapshot": {"c": {}}},
        {"topic": "u", "n": 0, "snapshot": {}},
        {"topic": "t", "n": 6, "set": {"c": {"v": 3}}, "gone": []},
    ]
    in_browser = await page.evaluate(
        """async (frames) => {
            const { PushState } = await import("/static/push_state.js");
            const state = new PushState();
            return frames.map((frame) => [
                state.apply(frame), Object.fromEntries(state.documents("t"))]);
        }""",
        frames,
    )
    from agent_desk.live.push_state import PushState  # noqa: PLC0415

    state = PushState()
    assert in_browser == [[state.apply(frame), dict(state["t"])] for frame in frames]
