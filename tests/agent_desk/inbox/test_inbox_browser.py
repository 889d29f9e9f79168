"""The inbox in a real browser: seen live by two, collisions, answers, keys, languages, widths."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from channels import answering
from channels.incoming import IncomingFile
from crm_store.contacts import conversations, messages, sending
from crm_store.contacts.sending import AcceptedMessage
from crm_store.knowledge import canned_texts
from crm_store.models import Channel, ConversationState
from tests.agent_desk.browser_fixtures import NARROW, Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.inbox.test_conversations import PNG
from tests.agent_desk.inbox.written import comes_in
from tests.agent_desk.test_pages import SIZES, SMALL_TARGETS, find_faults, look

__all__ = ["chrome"]

pytestmark = pytest.mark.browser


async def open_inbox(chrome: Chromium, login: str = "lin", path: str = "", **look: object) -> Page:
    page = await chrome.window(login, **look)  # type: ignore[arg-type]
    await page.goto(f"/inbox{path or '?view=all'}")
    await expect(page.locator("html")).to_have_attribute("data-connection", "connected")
    await expect(page.locator(".inbox-lines")).not_to_have_attribute("aria-busy", "true")
    return page


async def goes_out(desk: RunningDesk, channel: Channel) -> int:
    """The sender of that channel takes what waits, as if its seconds were over."""
    in_time = datetime.now(UTC) + timedelta(minutes=1)
    async with desk.database.transaction() as transaction:
        taken = await sending.claim(
            transaction, channel, "worker", limit=10, lease_s=60, now=in_time
        )
    async with desk.database.transaction() as transaction:
        await sending.accepted(
            transaction, [AcceptedMessage(id=row.id, provider_id=f"p{row.id}") for row in taken]
        )
    return len(taken)


async def test_a_mail_is_seen_by_two_and_answered_by_one(
    chrome: Chromium, desk: RunningDesk
) -> None:
    lin = await open_inbox(chrome)
    maria = await open_inbox(chrome, "maria")
    await expect(lin.locator(".inbox-lines")).to_contain_text("Nothing is here")
    file = IncomingFile(name="plan.png", media_type="image/png", content=PNG)
    message_id, _ = await comes_in(
        desk,
        "When will the blue armchair come?",
        subject="The armchair",
        sender_name="Wang Fang",
        quoted="> We have your order.",
        html='<p>When will the <b>blue armchair</b> come?</p><img data-src="https://x.example/p">',
        files=[file],
    )
    for page in (lin, maria):
        line = page.locator(".inbox-line")
        await expect(line).to_contain_text("王芳")
        await expect(line.locator(".clock")).to_contain_text("answer within")
        await expect(page.locator("[data-view=sales]")).to_have_text("1")

    # The letter as it was laid out stands in a frame that fetches nothing by itself.
    await lin.keyboard.press("j")
    message = lin.locator(f"[data-message='{message_id}']")
    await expect(message).to_contain_text("When will the blue armchair come?")
    await message.get_by_text("As it was laid out").click()
    frame = message.frame_locator("iframe")
    await expect(frame.locator("b")).to_have_text("blue armchair")
    await expect(frame.locator("img")).not_to_have_attribute("src", re.compile("x.example"))
    await expect(message.locator(".letter-blocked")).to_contain_text("tells the sender")
    await expect(message.locator(".file-picture img")).to_have_js_property("naturalWidth", 1)

    # Both have it open and see each other; one sees the other writing.
    await maria.locator(".inbox-line a").click()
    await expect(lin.locator("[data-others]")).to_contain_text("María García has this open")
    await maria.locator("[data-answer-text]").fill("I begin to write")
    await expect(lin.locator("[data-others]")).to_contain_text("María García is writing here")
    await expect(lin.locator(".avatar-small[data-doing=typing]")).to_be_visible()

    # Lin answers first; Maria's text stays, and she is told.
    await lin.keyboard.press("r")
    await lin.keyboard.type("On Tuesday, before noon.")
    await lin.keyboard.press("Control+Enter")
    await expect(lin.locator("[data-answer-text]")).to_have_value("")
    await expect(lin.locator("[data-delivery=waiting]")).to_contain_text("goes out in a moment")
    await expect(maria.locator(".notice-meanwhile")).to_contain_text("Lin Xiaoyu answered")
    await expect(maria.locator("[data-answer-text]")).to_have_value("I begin to write")
    await expect(maria.locator(".message[data-direction=outbound]")).to_contain_text("On Tuesday")

    # Taken back, the words stand in the field again; sent again, they go.
    await lin.get_by_role("button", name="Undo").click()
    await expect(lin.locator("[data-answer-text]")).to_have_value("On Tuesday, before noon.")
    await expect(lin.locator(".message[data-direction=outbound]")).to_have_count(0)
    await lin.locator("[data-answer-text]").press("Control+Enter")
    await expect(lin.locator("[data-delivery=waiting]")).to_be_visible()
    assert await goes_out(desk, Channel.MAIL) == 1
    await expect(lin.locator("[data-delivery=sent]")).to_be_visible()
    await expect(maria.locator("[data-delivery=sent]")).to_be_visible()
    await expect(lin.locator("[data-conversation-state=waiting]")).to_be_visible()


async def test_a_refused_change_says_what_changed_and_loses_nothing(
    chrome: Chromium, desk: RunningDesk
) -> None:
    _, one = await comes_in(desk, "hello")
    page = await open_inbox(chrome, path=f"?view=all#{one}")
    await expect(page.locator(".message")).to_have_count(1)
    await page.locator("[data-answer-text]").fill("My careful answer")
    # The page hears nothing for a while: what it shows is old.
    await page.context.set_offline(True)
    for window in list(desk.hub.desks):
        window.transport.abort()
    async with desk.database.transaction() as transaction:
        await conversations.assign(transaction, one, "maria", actor="maria")
        await conversations.add_tags(transaction, one, ["urgent"], actor="maria")
    await page.route("**/api/me", lambda route: route.abort())
    await page.context.set_offline(False)
    await page.locator("[data-send]").click()
    notice = page.locator(".notice-meanwhile").first
    await expect(notice).to_contain_text("Your text is still here")
    await expect(notice).to_contain_text("María García")
    await expect(notice).to_contain_text("urgent")
    await expect(page.locator("[data-answer-text]")).to_have_value("My careful answer")
    await page.locator("[data-send]").click()
    await expect(page.locator(".message[data-direction=outbound]")).to_have_count(1)
    chrome.problems.clear()  # Chromium itself says that it was offline, and that an answer was 409.


async def test_by_keyboard_alone(chrome: Chromium, desk: RunningDesk) -> None:
    _, first = await comes_in(desk, "first", sender="a@example.org")
    _, second = await comes_in(desk, "second", sender="b@example.org")
    async with desk.database.transaction() as transaction:
        await canned_texts.save(
            transaction,
            code="hours",
            titles={"en": "Opening hours"},
            texts={"en": "We open at ten."},
            actor="sara",
        )
    page = await open_inbox(chrome)
    await page.keyboard.press("j")
    await expect(page.locator(".inbox-line a[aria-current]")).to_contain_text("second")
    await page.keyboard.press("j")
    await expect(page.locator(".message")).to_contain_text("first")
    await page.keyboard.press("a")
    await expect(page.locator(".conversation-state .avatar-small")).to_have_attribute(
        "aria-label", "Lin Xiaoyu has it"
    )
    await page.keyboard.press("n")
    await page.keyboard.type("@mar")
    await expect(page.locator(".answer-choice")).to_contain_text("María García")
    await page.keyboard.press("Enter")
    await page.keyboard.type("look at this")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".message[data-direction=internal]")).to_contain_text("@maria look")
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await page.keyboard.type("Hello. /hou")
    await expect(page.locator(".answer-choice")).to_contain_text("We open at ten.")
    await page.keyboard.press("Tab")
    await expect(page.locator("[data-answer-text]")).to_have_value("Hello. We open at ten.")
    await page.keyboard.press("Escape")
    await page.keyboard.press("t")
    await page.keyboard.type("hours")
    await page.keyboard.press("Enter")
    await expect(page.locator(".conversation-state .tag")).to_have_text("hours")
    await page.keyboard.press("Escape")
    await page.keyboard.press("z")
    await expect(page.locator(".snooze-choices button").first).to_be_focused()
    await page.keyboard.press("Enter")
    # What is put off leaves for the next of the list.
    await expect(page.locator("[data-timeline]")).to_contain_text("second")
    record = await conversations.find(desk.database, first)
    assert record is not None
    assert (record.state, record.assigned_to) == (ConversationState.SNOOZED, "lin")
    await page.keyboard.press("e")
    await expect(page.locator("#conversation-close [type=radio]").first).to_be_focused()
    await page.keyboard.press("1")
    await page.keyboard.press("Control+Enter")
    # What is settled leaves for the next of the list too.
    await expect(page.locator("[data-timeline]")).to_contain_text("first")
    await page.keyboard.press("u")
    await expect(page.locator("[data-nothing-open]")).to_be_visible()
    record = await conversations.find(desk.database, second)
    assert record is not None
    assert record.state is ConversationState.CLOSED
    assert record.interaction_id > 0


async def test_a_draft_survives_a_reload_and_another_computer(
    chrome: Chromium, desk: RunningDesk
) -> None:
    _, one = await comes_in(desk, "hello")
    page = await open_inbox(chrome, path=f"?view=all#{one}")
    await page.locator("[data-answer-text]").fill("Half a sentence")
    await expect(page.locator("[data-draft-state]")).to_have_text("Saved")
    await page.reload()
    await expect(page.locator("[data-answer-text]")).to_have_value("Half a sentence")
    elsewhere = await open_inbox(chrome, path=f"?view=all#{one}")
    await expect(elsewhere.locator("[data-answer-text]")).to_have_value("Half a sentence")


async def test_a_file_is_dropped_and_goes_along(chrome: Chromium, desk: RunningDesk) -> None:
    _, one = await comes_in(desk, "hello")
    page = await open_inbox(chrome, path=f"?view=all#{one}")
    await expect(page.locator("[data-attach]")).to_be_enabled()
    await page.locator("[data-attach]").set_input_files(
        {"name": "plan.png", "mimeType": "image/png", "buffer": PNG}
    )
    await expect(page.locator(".answer-file[data-state=ok]")).to_contain_text("plan.png")
    await page.locator("[data-answer-text]").fill("Here it is.")
    await page.locator("[data-send]").click()
    await expect(page.locator(".message .file-picture")).to_be_visible()
    sent = await messages.of_conversation(desk.database, one)
    assert [file.name for file in sent[0].files] == ["plan.png"]


async def test_joined_and_parted_by_the_dialogs(chrome: Chromium, desk: RunningDesk) -> None:
    _, sms = await comes_in(desk, "by sms", channel=Channel.SMS, sender="+8613800138000")
    _, mail = await comes_in(desk, "by mail", subject="Order")
    page = await open_inbox(chrome, path=f"?view=all#{sms}")
    await page.locator(".conversation-more summary").click()
    await page.get_by_role("button", name="Join with another…").click()
    await page.locator(".merge-choice", has_text="Order").click()
    await page.locator("#conversation-merge [type=submit]").click()
    await expect(page.locator(".message")).to_have_count(2)
    assert page.url.endswith(f"#{mail}")
    await page.locator(".conversation-more summary").click()
    await page.get_by_role("button", name="Part messages off…").click()
    await page.locator(".merge-choice", has_text="by sms").click()
    await page.get_by_role("button", name="Part off", exact=True).click()
    await expect(page.locator(".message")).to_have_count(1)
    await expect(page.locator(".message")).to_contain_text("by sms")


async def test_what_else_is_open_with_them_is_offered_read_and_joined(
    chrome: Chromium, desk: RunningDesk
) -> None:
    _, sms = await comes_in(desk, "by sms", channel=Channel.SMS, sender="+8613800138000")
    _, mail = await comes_in(desk, "by mail", subject="Order")
    page = await open_inbox(chrome, path=f"?view=all#{sms}")
    also_open = page.locator("[data-also-open]")
    await also_open.get_by_role("link", name="Order").click()
    await expect(page.locator(".message")).to_contain_text("by mail")
    assert page.url.endswith(f"#{mail}")
    # The newer becomes part of the older, from wherever it is asked.
    await also_open.get_by_role("button", name="Join").click()
    await expect(page.locator(".message")).to_have_count(2)
    assert page.url.endswith(f"#{sms}")
    await expect(also_open).to_have_count(0)
    await page.locator(".conversation-more summary").click()
    await page.get_by_role("button", name="Undo the last joining").click()
    await expect(page.locator(".message")).to_have_count(1)
    await also_open.get_by_role("button", name="Join").click()
    await expect(page.locator(".message")).to_have_count(2)
    assert page.url.endswith(f"#{sms}")


async def test_on_the_desk_what_one_has_is_listed_and_counted(
    chrome: Chromium, desk: RunningDesk
) -> None:
    page = await chrome.window("lin")
    await page.goto("/desk")
    await expect(page.locator("html")).to_have_attribute("data-connection", "connected")
    await page.locator("#tab-conversations").click()
    await expect(page.locator("[data-own-conversations]")).to_contain_text("Nothing is here")
    _, one = await comes_in(desk, "hello there")
    async with desk.database.transaction() as transaction:
        await conversations.assign(transaction, one, "lin", actor="lin")
    await expect(page.locator("[data-tab-count=conversations]")).to_have_text("1")
    await expect(page.locator("[data-own-conversations]")).to_contain_text("王芳")
    await comes_in(desk, "are you there?", conversation_id=one)
    await expect(page.locator(".toast", has_text="are you there?")).to_be_visible()


@pytest.mark.parametrize("language", ["fa", "zh"])
async def test_it_reads_in_other_languages_and_directions(
    chrome: Chromium, desk: RunningDesk, language: str
) -> None:
    _, one = await comes_in(desk, "سلام، سفارش من کجاست؟", sender_name="رضا", language="fa")
    page = await open_inbox(chrome, path=f"?view=all#{one}", language=language, theme="dark")
    await expect(page.locator(".message .free-text")).to_have_attribute("dir", "auto")
    expected = "rtl" if language == "fa" else "ltr"
    assert await page.evaluate("getComputedStyle(document.body).direction") == expected
    inbound = page.locator(".message")
    box, place = await inbound.bounding_box(), await page.locator("[data-timeline]").bounding_box()
    assert box is not None
    assert place is not None
    left, right = box["x"] - place["x"], place["x"] + place["width"] - box["x"] - box["width"]
    assert (right < left) is (language == "fa")


async def test_on_a_narrow_window_list_and_conversation_take_turns(
    chrome: Chromium, desk: RunningDesk
) -> None:
    await comes_in(desk, "x" * 400, subject="y" * 300, sender_name="z" * 100)
    page = await open_inbox(chrome, size={"width": 360, "height": 780})
    await expect(page.locator(".inbox-conversation")).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.locator(".inbox-line a").click()
    await expect(page.locator(".message")).to_be_visible()
    await expect(page.locator(".inbox-list")).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.locator(".conversation-back").click()
    await expect(page.locator(".inbox-list")).to_be_visible()


async def test_the_supervisors_rule_is_made_by_menus_and_tried(
    chrome: Chromium, desk: RunningDesk
) -> None:
    await comes_in(desk, "about my invoice", subject="Invoice 7")
    await comes_in(desk, "about a chair", subject="Chair", sender="x@example.org")
    page = await chrome.window("sara", size=NARROW)
    await page.goto("/setup/rules/new")
    await page.locator("[name=name]").fill("Invoices")
    await page.get_by_role("button", name="Add a condition").click()
    await page.locator(".rule-row input[placeholder]").fill("invoice | bill")
    await page.get_by_role("combobox", name="With what").select_option("service")
    await page.locator("[data-try]").click()
    await expect(page.locator(".rule-trial-head")).to_have_text(
        "It would have held for 1 of 2 messages."
    )
    await expect(page.locator(".rule-trial tr[data-holds=false]")).to_contain_text("not so:")
    await page.get_by_role("button", name="Save and switch on").click()
    await expect(page.locator(".rule-said")).to_contain_text(
        "When a message comes, if the subject contains “invoice” or “bill”, then: put it into the"
        " queue Customer service."
    )
    _, moved = await comes_in(desk, "again", subject="A bill", sender="y@example.org", queue="")
    record = await conversations.find(desk.database, moved)
    assert record is not None
    assert record.queue == "service"
    await page.get_by_role("button", name="Switch off").click()
    await page.get_by_role("button", name="Undo", exact=True).click()
    await expect(page.locator(".rule-line .badge")).to_have_text("on")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("language", "theme"), [("en", "light"), ("fa", "dark"), ("es", "light"), ("zh", "dark")]
)
async def test_the_pages_are_sound(
    chrome: Chromium, desk: RunningDesk, language: str, theme: str
) -> None:
    _, one = await comes_in(desk, "By mail " * 20, subject="Order " * 20, html="<p>By mail</p>")
    await comes_in(desk, "hello", sender="x@example.org", problems=["broken"], quoted="> what")
    async with desk.database.transaction() as transaction:
        await conversations.add_tags(transaction, one, ["a tag", "another"], actor="lin")
        await conversations.assign(transaction, one, "maria", actor="maria")
        await answering.note(transaction, one, author="maria", text="@lin look at this")
        await answering.answer(transaction, one, author="maria", text="We come on Tuesday.")
    page = await open_inbox(chrome, language=language, theme=theme)
    await expect(page.locator(".inbox-line")).to_have_count(2)
    supervisor = await chrome.window("sara", language=language, theme=theme)
    await supervisor.goto("/setup/rules/new")
    for size, dimensions in SIZES.items():
        for window in (page, supervisor):
            await window.set_viewport_size(dimensions)  # type: ignore[arg-type]
        await page.goto("/inbox?view=all")
        await expect(page.locator(".inbox-line")).to_have_count(2)
        await look(page, f"inbox-{language}-{theme}-{size}")
        await page.goto(f"/inbox?view=all#{one}")
        await expect(page.locator(".message")).to_have_count(3)
        await look(page, f"conversation-{language}-{theme}-{size}")
        await look(supervisor, f"rule-{language}-{theme}-{size}")
        assert await page.evaluate(SMALL_TARGETS) == [], size
        if size == ("wide" if theme == "light" else "narrow"):
            await find_faults(page, f"conversation {size}")
            await find_faults(supervisor, f"rule {size}")
            await page.keyboard.press("z")
            await expect(page.locator("#conversation-snooze")).to_be_visible()
            await find_faults(page, f"snooze {size}")
            await page.keyboard.press("Escape")
