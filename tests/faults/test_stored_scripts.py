"""What comes in by any channel, and what the house writes itself, runs nowhere: in the story and
the search of the desk, in the hall, in the widget, and in the demo's outside world.

The inbox and the rules are in tests/agent_desk/inbox/test_hostile_messages.py, the other pages of
the desk in tests/agent_desk/test_hostile_texts.py.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import aiosmtplib
import pytest
from playwright.async_api import Page, expect

from agent_desk.chat.words import letter_words
from agent_desk.hall.visitor import HALL_COOKIE
from agent_desk.parts import ChatParts, DeskParts, HallParts
from channels.answering import answer
from channels.attachments import AttachmentFiles
from channels.chat.chats import ChatHub
from channels.chat.leaving import Leaving
from channels.chat.proof import Proof
from channels.chat.topics import Topics
from channels.inbox import Inbox
from channels.incoming import Incoming, IncomingFile
from crm_store.contacts import conversations
from crm_store.models import Channel, ContactKind
from crm_store.people import complaints, customers, hall_sessions
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.shop import catalogue, house, orders
from crm_store.shop.house import House
from crm_store.shop.orders import Line, NewOrder
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord
from deskbell.outside.twilio import API
from deskbell.outside.world import OutsideCustomer, OutsideWorld
from tests.agent_desk.browser_fixtures import Chromium, chrome
from tests.agent_desk.conftest import (
    RunningDesk,
    peopled_template,
    running_desk,
    sqlite_template,
)
from tests.agent_desk.inbox.test_hostile_messages import PAYLOADS
from tests.agent_desk.test_browser import card_of, open_desk, ring
from tests.agent_desk.test_hostile_texts import Watch, hostile

__all__ = ["chrome", "peopled_template", "sqlite_template"]

pytestmark = pytest.mark.browser

OURS = "+862155550600"

RUNS_ANYWHERE = """() => {
  const found = [];
  const look = (root) => {
    for (const one of root.querySelectorAll("*")) {
      if (one.shadowRoot) look(one.shadowRoot);
      const evil = [...one.attributes].some(({ name, value }) =>
        name.startsWith("on") || /^\\s*(javascript|data:text)/i.test(value) ||
        (/^(src|href|action|srcdoc)$/.test(name) && value.includes("evil.example")));
      const never = /^(IMG|IFRAME|OBJECT|EMBED|BASE|MARQUEE|VIDEO|MATH)$/i;
      if (evil || never.test(one.tagName)) found.push(one.outerHTML.slice(0, 200));
    }
  };
  look(document);
  return found;
}"""
"""What a text may never become, in the page and in what stands apart from it (the widget)."""


async def nothing_runs(page: Page, where: str, *shown: str) -> None:
    """Each of `shown` is there to be read as it was written, and is nothing else."""
    for what in shown:
        await expect(page.locator("body"), f"{where}: {what}").to_contain_text(
            f"{what} <img src=//evil.example/{what} onerror="
        )
    assert await page.evaluate("[window.hacked, top.hacked]") == [None, None], where
    assert await page.evaluate(RUNS_ANYWHERE) == [], where


def watched(page: Page, *own: str) -> Watch:
    watch = Watch(urlsplit(own[0]).netloc)
    watch.over(page.context)
    return watch


@pytest.fixture
async def desk(
    peopled_template: tuple[Path, dict[str, int]], tmp_path: Path
) -> AsyncIterator[RunningDesk]:
    """A desk with a hall and a chat, whose own texts are hostile, too: an import, or somebody who
    may write but one of them, must not become everybody."""
    files = AttachmentFiles(tmp_path / "attachments")

    def fit(parts: DeskParts) -> DeskParts:
        inbox = Inbox(parts.database, files)
        chat = ChatParts(
            hub=ChatHub(
                parts.database, inbox.receive, parts.bus, Topics(parts.database, parts.bus)
            ),
            leaving=Leaving(parts.database, letter_words),
            proof=Proof(parts.database, letter_words),
            files=files,
            demo_shop=True,
        )
        hall = HallParts(receive=inbox.receive, attachments_folder=tmp_path / "attachments")
        return replace(parts, chat=chat, hall=hall)

    async with running_desk(peopled_template, tmp_path, fit) as running:
        await _write_the_house(running)
        assert running.parts.chat is not None
        hub = running.parts.chat.hub
        at_work = asyncio.create_task(hub.run())
        yield running
        at_work.cancel()
        await asyncio.gather(at_work, return_exceptions=True)
        hub.close()
        files.close()


async def _write_the_house(desk: RunningDesk) -> None:
    async with desk.database.transaction() as transaction:
        await house.write(
            transaction,
            House(
                names={"en": hostile("house")},
                currency="CNY",
                time_zone="Asia/Shanghai",
                texts={"parking": {"en": hostile("parking")}},
            ),
            actor="sara",
        )
        await catalogue.save(
            transaction,
            item="1001",
            names={"en": hostile("product")},
            price_minor=5,
            currency="CNY",
            actor="sara",
        )
        await queues.save(transaction, QueueRecord("sales", "600", {"en": hostile("queue")}))
        await agents.save(
            transaction, login="maria", display_name=hostile("maria"), queues=("sales",)
        )


async def _write_in(desk: RunningDesk) -> tuple[int, dict[str, int], str]:
    """Somebody hostile who has written by every channel; them, their conversations, an order."""
    inbox = Inbox(desk.database, AttachmentFiles(desk.parts.hall.attachments_folder or Path()))
    async with desk.database.transaction() as transaction:
        person = await customers.create(
            transaction,
            NewCustomer(
                hostile("person"),
                "en",
                contact_points=[
                    ContactWay(ContactKind.PHONE, "+442079460001", hostile("label")),
                    ContactWay(ContactKind.MAIL, "evil@example.org"),
                ],
            ),
            actor="import",
        )
        number = await orders.place(
            transaction,
            NewOrder(
                lines=[Line("1001", {"en": hostile("line")}, 1, 5)],
                currency="CNY",
                idempotency_key="evil",
                customer_id=person,
            ),
            actor="lin",
        )
        await complaints.file(
            transaction,
            hostile("complaint"),
            actor="lin",
            customer_id=person,
            subject=hostile("about"),
        )
    desk.customers["person"] = person
    found = {}
    for channel in (*messages_channels(),):
        received = await inbox.receive(
            Incoming(
                channel=channel,
                external_key=f"evil-{channel}",
                sender={Channel.MAIL: "evil@example.org", Channel.WEB: f"customer:{person}"}.get(
                    channel, "+442079460001"
                ),
                sender_name=hostile("name"),
                our_address=hostile("ours")[:40],
                subject=hostile(f"subject-{channel}"),
                text=f"{hostile(f'text-{channel}')} {''.join(PAYLOADS)}",
                quoted=hostile("quoted"),
                html=f"<p>{''.join(PAYLOADS[:1])}</p>" if channel is Channel.MAIL else "",
                received_at=datetime.now(UTC),
                customer_id=person,
                queue="sales",
                problems=[hostile("problem")],
                files=[
                    IncomingFile(
                        name=hostile("file"), media_type=hostile("type"), content=b"<b>hello</b>"
                    )
                ],
            )
        )
        found[channel.value] = received.conversation_id
    for conversation in set(found.values()):
        async with desk.database.transaction() as transaction:
            await conversations.add_tags(
                transaction, conversation, [hostile("tag")[:50]], actor="lin"
            )
            await answer(
                transaction, conversation, author="maria", text=hostile("answer"), channel=None
            )
    return person, found, number


def messages_channels() -> tuple[Channel, ...]:
    return (Channel.MAIL, Channel.SMS, Channel.MESSENGER, Channel.WEB, Channel.FAX, Channel.CHAT)


@pytest.mark.timeout(300)
async def test_in_the_story_and_the_search_of_the_desk(chrome: Chromium, desk: RunningDesk) -> None:
    person, found, _ = await _write_in(desk)
    page = await chrome.window("lin")
    watch = watched(page, str(desk.url))
    await page.goto(f"/customers/{person}")
    await expect(page.locator("body")).to_contain_text("person <img")
    await nothing_runs(page, "customer", "person")
    for channel in found:
        for words in (f"text-{channel}", f'"text-{channel} <img"', "<script>"):
            await page.goto(f"/search?find={quote(words)}&channel={channel}")
            await nothing_runs(page, f"search {words}")
        await page.goto(f"/search?find=text-{channel}")
        await nothing_runs(page, f"search {channel}", f"text-{channel}")
    await page.goto(f"/search?find={quote(hostile('nothing'))}")
    await nothing_runs(page, "asked")

    page = await open_desk(chrome)
    watch_desk = watched(page, str(desk.url))
    await ring(desk, await card_of(desk, "person"), caller_name=hostile("caller"))
    await expect(page.locator(".customer-card h2")).to_contain_text("person <img")
    await expect(page.locator(".story-entry").first).to_be_visible()
    await nothing_runs(page, "desk")
    await page.locator("body").press("Control+k")
    for words in ("text-mail", "subject-sms", "person"):
        await page.locator("#palette input").fill(words)
        await expect(page.locator("#palette [role=option]").first).to_contain_text("<img")
        await nothing_runs(page, f"palette {words}")
    assert watch.foreign + watch_desk.foreign == []


@pytest.mark.timeout(300)
async def test_in_the_hall(chrome: Chromium, desk: RunningDesk) -> None:
    person, found, number = await _write_in(desk)
    page = await chrome.window()
    watch = watched(page, str(desk.url))
    for path, *shown in (
        ("", "house"),
        ("/house", "parking"),
        ("/products", "product"),
        ("/products/1001", "product"),
        (f"/products?find={quote(hostile('asked'))}",),
        (f"/sign-in?next={quote('javascript:top.hacked=1')}",),
        ("/join",),
    ):
        await page.goto(f"/hall{path}")
        await nothing_runs(page, path, *shown)
    async with desk.database.transaction() as transaction:
        token = await hall_sessions.open_session(transaction, person, timedelta(hours=1))
    await page.context.add_cookies(
        [{"name": HALL_COOKIE, "value": token, "url": str(desk.url / "hall")}]
    )
    conversation_pages = [(f"/messages/{one}", "answer") for one in set(found.values())]
    pages: tuple[tuple[str, ...], ...] = (
        ("/me", "person"),
        ("/orders",),
        (f"/orders/{number}", "line"),
        ("/messages", "subject-mail"),
        *conversation_pages,
        (f"/messages?about={quote(hostile('asked'))}",),
        ("/complaints", "about"),
        ("/callback", "queue"),
        ("/preferences",),
        ("/profile",),
        ("/privacy",),
        ("/card",),
    )
    for path, *shown in pages:
        await page.goto(f"/hall{path}")
        await nothing_runs(page, path, *shown)
    assert watch.foreign == []


@pytest.mark.timeout(300)
async def test_in_the_widget(chrome: Chromium, desk: RunningDesk) -> None:
    await desk.presence.sign_in("maria", ["sales"])
    page = await chrome.window()
    watch = watched(page, str(desk.url))
    await page.goto("/demo/shop?language=en")
    await page.locator(".launcher").click()
    await expect(page.locator(".topic").first).to_contain_text("queue <img")
    await nothing_runs(page, "topics")
    await page.locator("input[autocomplete=name]").fill(hostile("visitor"))
    await page.locator(".start .main").click()
    await page.locator(".composer textarea").fill(hostile("said"))
    await page.keyboard.press("Enter")
    await expect(page.locator(".message.mine:not(.unsent)")).to_have_count(1)
    [(conversation,)] = await desk.database.fetch("SELECT conversation_id FROM chat_sessions")
    assert desk.parts.chat is not None
    desk.parts.chat.hub.typing(conversation, "maria")
    await expect(page.locator(".typing")).to_contain_text("maria <img")
    await nothing_runs(page, "typing")
    links = 'https://evil.example/"onclick=top.hacked=1 javascript:top.hacked=1 data:text/html,x'
    for text in (*PAYLOADS, links):
        async with desk.database.transaction() as transaction:
            await answer(transaction, conversation, author="maria", text=text)
    await expect(page.locator(".message.theirs .text")).to_have_count(len(PAYLOADS) + 1)
    for link in await page.locator(".message a").all():
        assert re.match(r"https?://", await link.get_attribute("href") or "")
        assert "noopener" in (await link.get_attribute("rel") or "")
    assert await page.evaluate("[window.hacked, top.hacked]") == [None, None]
    # The agent sees who it is said to be.
    agent = await chrome.window("lin")
    await agent.goto(f"/inbox?view=all#{conversation}")
    await expect(agent.locator(".message").first).to_be_visible()
    await nothing_runs(agent, "inbox", "said")
    assert watch.foreign == []


@pytest.mark.timeout(300)
async def test_in_the_outside_world(chrome: Chromium) -> None:
    evil = OutsideCustomer(hostile("customer"), "+442079460001", "evil@mail.example")
    async with OutsideWorld([evil]) as world:
        world.connect(desk_url=world.page_url, sms_number=OURS, whatsapp_number=OURS,
                      mail_address="service@mall.example", inbox_port=world.smtp_port)  # fmt: skip
        authorization = aiohttp.encode_basic_auth(world.account, world.token)
        async with aiohttp.ClientSession(world.page_url) as http:
            for to in (evil.number, f"whatsapp:{evil.number}"):
                wish = {
                    "To": to,
                    "From": to.replace(evil.number, OURS),
                    "Body": hostile("sms") + PAYLOADS[1],
                }
                path = f"{API}/{world.account}/Messages.json"
                headers = {"Authorization": authorization}
                async with http.post(path, data=wish, headers=headers) as answered:
                    assert answered.status == 201
        mail = EmailMessage()
        mail["From"] = f"{hostile('from').replace(chr(34), '')!r} <service@mall.example>"
        mail["Subject"] = hostile("subject")
        mail.set_content(
            f"<!doctype html><p>{hostile('letter')}{''.join(PAYLOADS)}", subtype="html"
        )
        mail.add_attachment(b"x", maintype="text", subtype="html", filename=hostile("file")[:100])
        await aiosmtplib.send(
            mail,
            sender="service@mall.example",
            recipients=[evil.mail],
            hostname="127.0.0.1",
            port=world.smtp_port,
            start_tls=False,
        )
        page = await (await chrome.browser.new_context()).new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        watch = watched(page, world.page_url)
        await page.goto(world.page_url)
        await expect(page.locator("#sms li")).to_contain_text("sms <img")
        await expect(page.locator("#whatsapp li")).to_contain_text("sms <img")
        await expect(page.locator("#mail li")).to_contain_text("letter <img")
        await nothing_runs(page, "outside", "subject")
        await page.locator("#mail li button").click()
        await expect(page.locator(".answering")).to_contain_text("subject <img")
        await nothing_runs(page, "answering")
        assert (errors, watch.foreign) == ([], [])
        await page.context.close()
