"""The widget in a real browser: a visitor's whole chat, on any site, in any language and width."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from PIL import Image
from playwright.async_api import Page, expect

from agent_desk.chat.socket import SOCKETS_OPEN
from crm_store.contacts import chat_sessions, messages
from tests.agent_desk.browser_fixtures import NARROW, WIDE, Chromium, chrome
from tests.agent_desk.chat.conftest import ShopSite, chat_of, reply
from tests.agent_desk.conftest import RunningDesk

__all__ = ["chrome"]

pytestmark = pytest.mark.browser

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    'https://x.example/"onmouseover=alert(1) <svg onload=alert(2)>',
    "\u202egnp.exe \u2066",
    "{{7*7}} ${7*7}",
]


def picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(made, "PNG")
    return made.getvalue()


async def open_widget(page: Page, address: str = "/demo/shop?language=en") -> None:
    await page.goto(address)
    await page.locator(".launcher").click()
    await expect(page.locator(".start")).to_be_visible()


async def start(page: Page, name: str = "") -> None:
    if name:
        await page.locator("input[autocomplete=name]").fill(name)
    await page.locator(".start .main").click()
    await expect(page.locator(".composer textarea")).to_be_focused()


async def write(page: Page, text: str) -> None:
    await page.locator(".composer textarea").fill(text)
    await page.keyboard.press("Enter")


async def newest_session(desk: RunningDesk) -> chat_sessions.ChatSessionRecord:
    rows = await desk.database.fetch("SELECT max(id) FROM chat_sessions")
    found = await chat_sessions.find(desk.database, rows[0][0])
    assert found is not None
    return found


async def conversation_of(desk: RunningDesk) -> int:
    session = await newest_session(desk)
    assert session.conversation_id is not None
    return session.conversation_id


async def kept_texts(desk: RunningDesk, conversation_id: int) -> list[str]:
    found = await messages.of_conversation(desk.database, conversation_id)
    return [message.text for message in reversed(found)]


async def test_two_visitors_chat_through_reloads_and_a_cut_network(
    chrome: Chromium, desk: RunningDesk
) -> None:
    await desk.presence.sign_in("lin", ["sales"])
    one, other = await chrome.window(), await chrome.window()
    await open_widget(one)
    await expect(one.locator(".topic").first).to_contain_text("Somebody is at the desk")
    await start(one, "Wang")
    await write(one, "Is the vase there?")
    await expect(one.locator(".message.mine:not(.unsent)")).to_have_count(1)
    first = await conversation_of(desk)
    await open_widget(other)
    await start(other)
    await write(other, "My parcel is late")
    await expect(other.locator(".message.mine:not(.unsent)")).to_have_count(1)
    second = await conversation_of(desk)

    chat_of(desk).hub.typing(first, "lin")
    await expect(one.locator(".typing")).to_have_text("\u2068Lin Xiaoyu\u2069 is writing…")
    await reply(desk, first, "Two of them: https://shop.example/vase.")
    await reply(desk, second, "It comes today.")
    await expect(one.locator(".message.theirs .text")).to_have_text(
        ["Two of them: https://shop.example/vase."]
    )
    await expect(one.locator(".message a")).to_have_attribute("href", "https://shop.example/vase")
    await expect(other.locator(".message.theirs .text")).to_have_text(["It comes today."])
    await until_seen(desk, first)

    # Another page of the shop: the chat is there, and closed; an answer shows on the button.
    await one.goto("/demo/shop?language=en")
    await reply(desk, first, "Shall I keep one?")
    await expect(one.locator(".badge")).to_have_text("1")
    await one.locator(".launcher").click()
    await expect(one.locator(".message .text")).to_have_text(
        ["Is the vase there?", "Two of them: https://shop.example/vase.", "Shall I keep one?"]
    )
    await expect(one.locator(".badge")).to_be_hidden()

    await one.context.set_offline(True)
    still_open: set[Any] = desk.app[SOCKETS_OPEN]
    for ws in list(still_open):
        await ws.close(code=1012)
    await expect(one.locator(".stand")).to_contain_text("No connection")
    await write(one, "Yes, please")
    await expect(one.locator(".message.unsent .state")).to_have_text("Sending…")
    await reply(desk, first, "Are you there?")
    await one.context.set_offline(False)
    await expect(one.locator(".message.unsent")).to_have_count(0)
    await expect(one.locator(".message.theirs .text").last).to_have_text("Are you there?")
    assert (await kept_texts(desk, first)).count("Yes, please") == 1
    await write(other, "Thank you")
    await expect(other.locator(".message.mine:not(.unsent)")).to_have_count(2)
    assert await kept_texts(desk, second) == ["My parcel is late", "It comes today.", "Thank you"]
    # Chromium's own words on what the cut network refused.
    chrome.problems[:] = [one for one in chrome.problems if "ERR_INTERNET" not in one]


async def until_seen(desk: RunningDesk, conversation_id: int) -> None:
    while True:
        (session,) = await chat_sessions.of_conversation(desk.database, conversation_id)
        if session.seen_message_id:
            return
        await asyncio.sleep(0.02)


async def test_nothing_is_kept_or_asked_before_they_agree(
    chrome: Chromium, desk: RunningDesk
) -> None:
    await desk.presence.sign_in("lin", ["sales"])
    page = await chrome.window()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto("/demo/shop?language=en")
    await expect(page.locator(".launcher")).to_be_visible()
    assert not [url for url in asked if "/chat/" in url and not url.endswith("/chat/widget.js")]
    await page.locator(".launcher").click()
    await expect(page.locator(".start")).to_be_visible()
    storage = "[localStorage.length, sessionStorage.length]"
    cookies = await page.context.cookies()
    assert await page.evaluate(storage) == [0, 0]
    assert await desk.database.fetch("SELECT count(*) FROM chat_sessions") == [(0,)]
    await start(page)
    assert await page.evaluate(storage) == [0, 1]
    await page.locator(".head .icon").first.click()
    await page.get_by_text("End the chat").click()
    await expect(page.locator(".ended")).to_be_visible()
    assert await page.evaluate(storage) == [0, 0]
    await page.get_by_text("Start a new chat").click()
    await page.locator(".remember input").check()
    await start(page)
    assert await page.evaluate(storage) == [1, 0]
    await write(page, "hello")
    await expect(page.locator(".message.mine:not(.unsent)")).to_have_count(1)
    assert await page.evaluate("Object.keys(localStorage)") == ["deskbell-chat"]
    assert await page.context.cookies() == cookies


async def test_on_a_telephone_in_persian_by_keyboard(chrome: Chromium, desk: RunningDesk) -> None:
    page = await chrome.window(language="fa", size=NARROW)
    await page.goto("/demo/shop?language=fa")
    await page.locator(".launcher").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".frame")).to_have_attribute("dir", "rtl")
    await expect(page.locator("input[autocomplete=name]")).to_be_focused()
    box = await page.locator(".panel").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (NARROW["width"], NARROW["height"])
    # Nobody is there: an address is needed, and what was typed stays.
    await page.keyboard.type("سارا")
    await page.locator(".start .main").click()
    await expect(page.locator(".start .problem")).not_to_be_empty()
    await page.locator(".start input[type=tel]").fill("12")
    await page.locator(".start .main").click()
    await expect(page.locator(".start input[type=tel]")).to_be_focused()
    await expect(page.locator("input[autocomplete=name]")).to_have_value("سارا")
    await page.locator(".start input[type=tel]").fill("+989121234567")
    await page.keyboard.press("Enter")
    await expect(page.locator(".composer textarea")).to_be_focused()
    await page.keyboard.type("سلام")
    await page.keyboard.press("Enter")
    await expect(page.locator(".message.mine:not(.unsent) .text")).to_have_text("سلام")
    session = await newest_session(desk)
    assert (session.name, session.phone, session.language) == ("سارا", "+989121234567", "fa")
    await no_axe_violations(page)
    for _ in range(12):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "deskbell-chat"
    await page.keyboard.press("Escape")
    await expect(page.locator(".panel")).to_be_hidden()
    await expect(page.locator(".launcher")).to_be_focused()
    # Chromium's own word on the number that was none.
    chrome.problems[:] = [one for one in chrome.problems if "400 (Bad Request)" not in one]


async def no_axe_violations(page: Page) -> None:
    found = await Axe().run(page)
    problems = [
        (violation["id"], [node["target"] for node in violation["nodes"]])
        for violation in found.response["violations"]
    ]
    assert problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_form_and_the_shop_are_clean(
    chrome: Chromium, desk: RunningDesk, theme: Any
) -> None:
    page = await chrome.window(size=WIDE)
    await page.emulate_media(color_scheme=theme)
    await open_widget(page)
    await page.locator(".kept summary").click()
    await no_axe_violations(page)


async def test_on_a_strict_site_hostile_words_stay_words(
    chrome: Chromium, desk: RunningDesk, shop_site: ShopSite
) -> None:
    await desk.presence.sign_in("lin", ["sales"])
    page = await chrome.window()
    await open_widget(page, f"{shop_site.origin}/vases?session=secret")
    await start(page, HOSTILE[0])
    for text in HOSTILE:
        await write(page, text)
    shown = page.locator(".message.mine:not(.unsent) .text")
    await expect(shown).to_have_count(len(HOSTILE))
    conversation_id = await conversation_of(desk)
    for text in HOSTILE:
        await reply(desk, conversation_id, text)
    await expect(page.locator(".message.theirs .text")).to_have_text(HOSTILE)
    await page.locator("input[type=file]").set_input_files(
        {"name": "<img src=x onerror=alert(3)>.png", "mimeType": "text/html", "buffer": picture()}
    )
    await expect(page.locator(".file canvas")).to_be_visible()
    assert await page.locator(".panel script, .panel img, .panel iframe").count() == 0
    async with page.expect_download() as downloading:
        await page.locator("button.file").click()
    assert (await downloading.value).suggested_filename.endswith(".png")
    session = await newest_session(desk)
    assert (session.page, session.page_title) == (f"{shop_site.origin}/vases", "Vases")


async def test_an_agent_asks_who_it_is(chrome: Chromium, desk: RunningDesk) -> None:
    await desk.presence.sign_in("lin", ["sales"])
    page = await chrome.window()
    await open_widget(page)
    await start(page)
    await write(page, "How many points have I?")
    await expect(page.locator(".message.mine:not(.unsent)")).to_have_count(1)
    conversation_id = await conversation_of(desk)
    for session_id in await chat_of(desk).proof.asked_by_agent(conversation_id):
        chat_of(desk).hub.tell_all(session_id, {"proof": "asked"})
    form = page.locator(".over form")
    await form.locator("input[type=email]").fill("wang@example.org")
    await form.locator(".main").click()
    await form.locator("input[inputmode=numeric]").fill("000000")
    await form.locator(".main").click()
    await expect(form.locator(".problem")).to_contain_text("not the code")
    rows = await desk.database.fetch("SELECT text FROM outbox_messages ORDER BY id DESC LIMIT 1")
    await form.locator("input[inputmode=numeric]").fill(rows[0][0].split()[0])
    await form.locator(".main").click()
    await expect(page.locator(".over")).to_be_hidden()
    await expect(page.locator(".head h2")).to_contain_text("✓")
    assert (await newest_session(desk)).customer_id == desk.customers["wang"]
