"""What strangers write on every channel is only text in the inbox, on the desk and in the rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from channels import answering
from channels.inbox import Inbox
from channels.incoming import IncomingFile
from channels.mail.parsing import parse
from crm_store.contacts import conversations, inbox_rules
from crm_store.contacts.inbox_rules import NewRule
from crm_store.knowledge import canned_texts
from crm_store.models import Channel, RuleMoment
from crm_store.staff import agents
from tests.agent_desk.browser_fixtures import NARROW, Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.inbox.written import comes_in, files_of
from tests.agent_desk.test_hostile_texts import TURNED, WIDER, Watch, hostile

__all__ = ["chrome"]

pytestmark = pytest.mark.browser

PAYLOADS = (
    "<script>top.hacked=1</script>",
    "<img src=x onerror=top.hacked=1>",
    "<svg/onload=top.hacked=1>",
    "<iframe srcdoc='<script>top.hacked=1</script>'></iframe>",
    "<iframe src='javascript:top.hacked=1'></iframe>",
    "<a href='javascript:top.hacked=1' id=click>click</a>",
    "<a href='&#106;avascript:top.hacked=1'>click</a>",
    "<form action='javascript:top.hacked=1'><button>go</button></form>",
    "<math><mi//xlink:href='data:x,<script>top.hacked=1</script>'>",
    "<style>@import '//evil.example/x.css'; body{background:url(//evil.example/b)}</style>",
    "<div style='background:url(//evil.example/c)' onclick=top.hacked=1>x</div>",
    "<base href='//evil.example/'><link rel=stylesheet href='//evil.example/d.css'>",
    "<meta http-equiv=refresh content='0;url=//evil.example/e'>",
    "<img src='//evil.example/f.gif'><img srcset='//evil.example/g.gif 1x'>",
    "<noscript><p title='</noscript><img src=x onerror=top.hacked=1>'></noscript>",
    "<template><img src=x onerror=top.hacked=1></template>",
    "<video poster='//evil.example/h'><source onerror=top.hacked=1></video>",
    "<details open ontoggle=top.hacked=1>x</details>",
    "<input autofocus onfocus=top.hacked=1>",
    "]]><!--<img src=x onerror=top.hacked=1>-->",
    "{{7*7}} ${7*7} %(who)s %s",
)

BECAME = """() => [
  ...document.querySelectorAll("img, iframe, object, embed, base, form[action^=javascript]"),
  ...[...document.querySelectorAll("*")].filter((one) =>
    [...one.attributes].some(({ name, value }) =>
      name.startsWith("on") || /^\\s*(javascript|data):/i.test(value))),
].filter((one) => !one.matches(".letter-frame")).map((one) => one.outerHTML.slice(0, 200))"""

IN_THE_LETTER = """(body) => [...body.ownerDocument.querySelectorAll("*")].filter((one) =>
  /^(SCRIPT|IFRAME|FORM|OBJECT|EMBED|BASE|LINK|SVG|MATH|INPUT|VIDEO)$/i.test(one.tagName) ||
  (one.tagName === "META" && !one.hasAttribute("charset")) ||
  [...one.attributes].some(({ name, value }) =>
    name.startsWith("on") || /^\\s*(javascript|data):/i.test(value)))
  .map((one) => one.outerHTML.slice(0, 200))"""


async def harmless(page: Page, name: str, *shown: str) -> None:
    """All of `shown` is there to be read, and nothing of it became anything else."""
    for what in shown:
        await expect(page.locator("body"), f"{name}: {what}").to_contain_text(
            f"{what} <img src=//evil.example/{what} onerror="
        )
    assert await page.evaluate("window.hacked") is None, name
    assert await page.evaluate(BECAME) == [], name
    turned = await page.evaluate(TURNED)
    assert turned == [], f"{name}: " + "\n".join(turned)
    before = page.viewport_size
    await page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= NARROW["width"], f"{name} is {wide} wide: {await page.evaluate(WIDER)}"
    if before:
        await page.set_viewport_size(before)


async def _evil_mail(desk: RunningDesk, payload: str) -> tuple[int, int]:
    """A mail as its reader hands it over: hostile in its headers, both texts and a file's name."""
    mail = EmailMessage()
    mail["From"] = f'"{hostile("sender").replace(chr(34), "")}" <wang@example.org>'
    mail["To"] = "service@mall.example"
    mail["Subject"] = hostile("subject")
    mail["Message-ID"] = f"<evil-{abs(hash(payload))}@example.org>"
    mail.set_content(f"{hostile('mailtext')}\n{payload}\n\n> {hostile('quoted')}\n")
    mail.add_alternative(f"<p>the letter</p><p>{payload}</p>", subtype="html")
    mail.add_attachment(b"text", maintype="text", subtype="plain", filename=hostile("file")[:120])
    read = parse(bytes(mail), received_at=datetime.now(UTC), our_addresses=[])
    inbox = Inbox(desk.database, files_of(desk))
    received = await inbox.receive(replace(read, queue="sales", sender="wang@example.org"))
    return received.message_id, received.conversation_id


async def _others(desk: RunningDesk) -> dict[str, int]:
    """A conversation on each of the other channels, hostile in all that can be said there."""
    file = IncomingFile(name=hostile("upload"), media_type="text/html", content=b"<b>hello</b>")
    common: dict[str, Any] = {"text": hostile("text") + "".join(PAYLOADS), "files": [file]}
    return {
        channel.value: (
            await comes_in(
                desk,
                channel=channel,
                sender=sender,
                sender_name=hostile("name"),
                problems=[hostile("problem")],
                **common,
            )
        )[1]
        for channel, sender in (
            (Channel.CHAT, "visitor-1"),
            (Channel.SMS, "+34600000001"),
            (Channel.MESSENGER, "whatsapp:+34600000002"),
            (Channel.WEB, "hall-1"),
            (Channel.FAX, "+34600000003"),
        )
    }


@pytest.mark.timeout(300)
async def test_nothing_that_is_written_becomes_more_than_text(
    chrome: Chromium, desk: RunningDesk
) -> None:
    async with desk.database.transaction() as transaction:
        await agents.save(
            transaction, login="maria", display_name=hostile("maria"), queues=("sales",)
        )
        await canned_texts.save(
            transaction,
            code="hello",
            titles={"en": hostile("named")},
            texts={"en": hostile("canned")},
            actor="sara",
        )
        await inbox_rules.add(
            transaction,
            NewRule(
                name=hostile("rule"),
                moment=RuleMoment.CLOSED,
                conditions=[
                    {"field": "subject", "operator": "contains", "value": [hostile("asked")]}
                ],
                actions=[{"do": "tag", "value": hostile("does")[:50]}],
            ),
            actor="sara",
        )
    found = await _others(desk)
    page = await chrome.window("lin")
    watch = Watch(urlsplit(str(desk.url)).netloc)
    watch.over(page.context)
    for channel, conversation in found.items():
        async with desk.database.transaction() as transaction:
            await conversations.add_tags(
                transaction, conversation, [hostile("tag")[:50]], actor="lin"
            )
            await answering.note(transaction, conversation, author="maria", text=hostile("note"))
            await conversations.assign(transaction, conversation, "maria", actor="maria")
        await page.goto(f"/inbox?view=all#{conversation}")
        await expect(page.locator(".message")).to_have_count(2)
        await expect(page.locator(".message-file")).to_have_count(1)
        await harmless(page, channel, "name", "text", "problem", "note", "maria")
        await expect(page.locator(".conversation-state .tag")).to_contain_text("tag <img")
    await page.keyboard.press("r")
    await page.keyboard.type("/hel")
    await expect(page.locator(".answer-choice")).to_contain_text("canned <img")
    await harmless(page, "canned", "named")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-answer-text]")).to_have_value(hostile("canned"))
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".message[data-direction=outbound]")).to_contain_text("canned <img")
    await harmless(page, "answered", "canned")

    await page.goto("/desk")
    async with desk.database.transaction() as transaction:
        await conversations.assign(transaction, found["sms"], "lin", actor="lin")
    await page.locator("#tab-conversations").click()
    await expect(page.locator("[data-own-conversations]")).to_contain_text("name <img")
    await harmless(page, "desk", "name")
    supervisor = await chrome.window("sara")
    for path, *shown in (("/setup/rules", "rule", "asked"), ("/setup/rules/1",)):
        await supervisor.goto(path)
        await harmless(supervisor, path, *shown)
    await supervisor.locator("[data-try]").click()
    await expect(supervisor.locator(".rule-trial-head")).to_be_visible()
    await harmless(supervisor, "trial", "name")
    assert watch.foreign == []


@pytest.mark.timeout(300)
async def test_a_letter_runs_nothing_and_asks_nobody(chrome: Chromium, desk: RunningDesk) -> None:
    page = await chrome.window("lin")
    watch = Watch(urlsplit(str(desk.url)).netloc)
    watch.over(page.context)
    for payload in PAYLOADS:
        message_id, conversation = await _evil_mail(desk, payload)
        await page.goto(f"/inbox?view=all#{conversation}")
        message = page.locator(f"[data-message='{message_id}']")
        await expect(message).to_contain_text("mailtext <img")
        await message.get_by_text("As it was laid out").click()
        body = message.frame_locator("iframe").locator("body")
        await expect(body).to_contain_text("the letter")
        assert await body.evaluate(IN_THE_LETTER) == [], payload
        for link in await body.locator("a, details, button").all():
            await link.click()
        await harmless(page, payload, "sender", "subject", "mailtext")
    assert watch.foreign == []
    # The driver's own listeners for clicks are kept from running in the frame, as anybody's are.
    blocked = [one for one in chrome.problems if "frame is sandboxed" in one]
    chrome.problems[:] = [one for one in chrome.problems if one not in blocked]
    assert blocked
