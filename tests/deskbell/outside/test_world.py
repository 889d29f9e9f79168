"""The outside world: what Twilio, the telephones and the mailboxes do, and the page of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiohttp
import aiosmtplib
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from twilio.request_validator import RequestValidator

from deskbell import running_demo, sms_command
from deskbell.failure import CommandFailed
from deskbell.outside.page import HEADER
from deskbell.outside.twilio import API
from deskbell.outside.world import OutsideCustomer, OutsideWorld
from deskbell.running_demo import Demo

pytestmark = pytest.mark.db

LI = OutsideCustomer("Li Na", "+8613800138000", "li@mail.example", "zh")
OURS = "+862155550600"
HOUSE = "service@mall.example"


class Desk:
    """What the webhooks of a desk hear; each is answered with `status`."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], str]] = []
        self.status = 200
        self.changed = asyncio.Condition()

    async def hear(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        fields = {name: str(value) for name, value in form.items()}
        signature = request.headers["X-Twilio-Signature"]
        async with self.changed:
            self.heard.append((str(request.url), fields, signature))
            self.changed.notify_all()
        return web.Response(status=self.status)

    async def until(self, number: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.heard) >= number)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def world(desk: Desk) -> AsyncIterator[OutsideWorld]:
    app = web.Application()
    app.router.add_post("/{way:.*}", desk.hear)
    async with TestServer(app) as server, OutsideWorld([LI]) as running:
        running.connect(
            desk_url=str(server.make_url("")),
            sms_number=OURS,
            whatsapp_number=OURS,
            mail_address=HOUSE,
            inbox_port=running.smtp_port,
        )
        yield running


@pytest.fixture
async def http(world: OutsideWorld) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(world.page_url) as session:
        yield session


async def test_states_are_told_in_order_and_signed(
    world: OutsideWorld, desk: Desk, http: aiohttp.ClientSession
) -> None:
    callback = world.twilio.messages_url.replace("messages", "status?message=7")
    async with http.post(
        f"{API}/{world.account}/Messages.json",
        data={"To": LI.number, "From": OURS, "Body": "Hello", "StatusCallback": callback},
        headers={"Authorization": aiohttp.encode_basic_auth(world.account, world.token)},
    ) as answer:
        assert answer.status == 201
        made = await answer.json()
    await desk.until(2)
    validator = RequestValidator(world.token)
    assert [fields["MessageStatus"] for _, fields, _ in desk.heard] == ["sent", "delivered"]
    for url, fields, signature in desk.heard:
        assert url == callback
        assert fields["MessageSid"] == made["sid"]
        assert validator.validate(url, fields, signature)


async def test_no_api_without_the_accounts_token(
    world: OutsideWorld, http: aiohttp.ClientSession
) -> None:
    wrong = aiohttp.encode_basic_auth(world.account, "wrong")
    path = f"{API}/{world.account}/Messages.json"
    for headers in ({}, {"Authorization": wrong}):
        async with http.get(path, headers=headers) as answer:
            assert answer.status == 401
            assert (await answer.json())["code"] == 20003
        async with http.post(path, headers=headers, data={"To": LI.number}) as answer:
            assert answer.status == 401


async def test_whatsapp_after_a_day_fails_as_twilio_says(
    world: OutsideWorld, desk: Desk, http: aiohttp.ClientSession
) -> None:
    async with http.post(
        f"{API}/{world.account}/Messages.json",
        data={
            "To": f"whatsapp:{LI.number}",
            "From": f"whatsapp:{OURS}",
            "Body": "Hello",
            "StatusCallback": world.twilio.messages_url,
        },
        headers={"Authorization": aiohttp.encode_basic_auth(world.account, world.token)},
    ) as answer:
        assert answer.status == 201
    await desk.until(1)
    fields = desk.heard[0][1]
    assert (fields["MessageStatus"], fields["ErrorCode"]) == ("failed", "63016")


# ---- mailboxes -----------------------------------------------------------------------------------


async def test_mails_are_kept_and_answered_in_their_thread(world: OutsideWorld) -> None:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = HOUSE, LI.mail, "您的订单"
    letter["Message-ID"] = "<1@mall.example>"
    letter.set_content("已经到了。\n")
    letter.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="a.pdf")
    await aiosmtplib.send(letter, hostname="127.0.0.1", port=world.smtp_port, start_tls=False)
    (mail,) = world.mailbox.mails
    assert (mail.owner, mail.subject, mail.text.strip()) == (LI.mail, "您的订单", "已经到了。")
    # The house's inbox is this server too, here.
    await world.mailbox.customer_writes(
        LI.mail, HOUSE, subject="Re: 您的订单", text="谢谢", answers=mail
    )
    to_house = next(one for one in world.mailbox.mails if one.owner == HOUSE)
    assert to_house.message["In-Reply-To"] == "<1@mall.example>"
    assert "> 已经到了。" in to_house.text


async def test_an_address_can_be_refused() -> None:
    world = OutsideWorld()
    world.mailbox._refuse = lambda recipient: "550 5.1.1 nobody" if "gone" in recipient else ""
    async with world:
        letter = EmailMessage()
        letter["From"], letter["To"] = HOUSE, "gone@mail.example"
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await aiosmtplib.send(
                letter, hostname="127.0.0.1", port=world.smtp_port, start_tls=False
            )
    assert world.mailbox.mails == []


# ---- the page ------------------------------------------------------------------------------------


async def test_the_page_shows_what_the_customer_has(
    world: OutsideWorld, http: aiohttp.ClientSession
) -> None:
    async with http.get("/", headers={"Accept-Language": "zh"}) as answer:
        assert answer.status == 200
        text = await answer.text()
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "Li Na" in text
    for name in ("page.css", "page.js", "tokens.css"):
        async with http.get(f"/page/{name}") as answer:
            assert answer.status == 200
    await world.twilio.customer_writes(LI.number, OURS, "Hello")
    async with http.get("/customers/0") as answer:
        held = await answer.json()
    assert [(one["mine"], one["text"]) for one in held["sms"]] == [(True, "Hello")]
    async with http.get("/customers/0", params={"version": held["version"]}) as answer:
        assert answer.status == 204
    for missing in ("/customers/1", "/customers/x", "/page/../page.py", "/page/secrets"):
        async with http.get(missing) as answer:
            assert answer.status == 404


@pytest.mark.parametrize("by", ["sms", "whatsapp", "mail"])
async def test_the_customer_writes(
    world: OutsideWorld, desk: Desk, http: aiohttp.ClientSession, by: str
) -> None:
    wish = {"by": by, "text": "Where is it?", "subject": "My order"}
    async with http.post("/customers/0/write", json=wish, headers={HEADER: "page"}) as answer:
        assert answer.status == 200
    if by == "mail":
        assert [(one.owner, one.subject) for one in world.mailbox.mails] == [
            (HOUSE, "My order"),
            (LI.mail, "My order"),
        ]
        return
    fields = desk.heard[0][1]
    prefix = "whatsapp:" if by == "whatsapp" else ""
    assert (fields["From"], fields["To"]) == (prefix + LI.number, prefix + OURS)
    assert fields["Body"] == "Where is it?"


async def test_a_desk_that_does_not_take_it_is_told_of(
    desk: Desk, http: aiohttp.ClientSession
) -> None:
    desk.status = 503
    wish = {"by": "sms", "text": "Where is it?"}
    async with http.post("/customers/0/write", json=wish, headers={HEADER: "page"}) as answer:
        assert answer.status == 502


async def test_other_sites_pages_have_no_say(
    world: OutsideWorld, desk: Desk, http: aiohttp.ClientSession
) -> None:
    wish = {"by": "sms", "text": "Where is it?"}
    async with http.post("/customers/0/write", json=wish) as answer:
        assert answer.status == 403
    rebound = {HEADER: "page", "Host": "evil.example"}
    for path in ("/customers/0/write", "/sms"):
        async with http.post(path, json=wish, headers=rebound) as answer:
            assert answer.status == 403
    async with http.get("/customers/0", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
    assert desk.heard == []
    assert world.twilio.messages == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"by": "sms", "text": " "}', b"\xff"])
async def test_nonsense_is_told_so(http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.post("/customers/0/write", data=body, headers={HEADER: "page"}) as answer:
        assert answer.status == 400


# ---- deskbell sms --------------------------------------------------------------------------------


async def test_the_command_writes_through_the_running_demo(
    world: OutsideWorld, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = Demo(
        pid=1,
        url="http://127.0.0.1:8080",
        config="",
        sip_address="",
        sip_port=0,
        trunk_address="",
        trunk_port=0,
        http_port=0,
        outside_url=world.page_url,
    )
    running_demo.write(demo, tmp_path)
    lock = running_demo.hold(tmp_path)
    assert lock is not None
    with contextlib.closing(lock):
        await asyncio.to_thread(sms_command.send, "138 0013 8000", "On my way.", tmp_path)
        for sender, text in (("me", "Hello"), ("+8613800138000", " ")):
            with pytest.raises(CommandFailed):
                await asyncio.to_thread(sms_command.send, sender, text, tmp_path)
    assert desk.heard[0][1]["From"] == "+8613800138000"
    assert desk.heard[0][1]["Body"] == "On my way."
    assert world.page_url in capsys.readouterr().out


def test_the_command_needs_a_demo(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no demo"):
        sms_command.send("+8613800138000", "Hello", tmp_path)
