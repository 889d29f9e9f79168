"""Webhooks: what Twilio and WeChat say comes in once, what others say in their name does not."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import func, select
from twilio.request_validator import RequestValidator

from agent_desk.parts import DeskParts
from agent_desk.webhooks.files import link_to
from agent_desk.webhooks.parts import WebhookParts
from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.late_files import LateFiles
from channels.messengers.wechat import PROVIDER as WECHAT
from channels.messengers.wechat import WeChatApi, WeChatWebhook
from channels.outbox import Outbox
from channels.senders import OutgoingFile
from channels.sms.twilio_account import TwilioAccount
from channels.sms.twilio_sender import TwilioSms
from channels.sms.twilio_webhooks import PROVIDER, TwilioWebhooks, twilio_fetch
from channels.sms.words import StopWords
from crm_store.contacts import messages, outbox
from crm_store.contacts.attachments import FileRecord
from crm_store.contacts.messages import MessageRecord
from crm_store.database import Database
from crm_store.job_worker import JobWorker
from crm_store.jobs import Subscribers
from crm_store.models import (
    Channel,
    Conversation,
    ConversationState,
    Message,
    MessageState,
    OptOut,
    OutboxMessage,
)
from crm_store.people.signed_links import Signer
from deskbell.outside.twilio import NOT_DELIVERED, OutsideFile
from deskbell.outside.world import OutsideCustomer, OutsideWorld
from tests.agent_desk.conftest import RunningDesk, running_desk

pytestmark = pytest.mark.db

CUSTOMER = "+8613911112222"
OURS = "+862155550600"
WECHAT_TOKEN = "spoken"
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc"
    b"\xf8\xcf\xc0\xf0\x1f\0\5\0\1\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82"
)


@dataclass
class Stage:
    """A desk with its webhooks, the world outside, and the store between them."""

    desk: RunningDesk
    world: OutsideWorld
    database: Database
    signer: Signer
    outbox: Outbox
    folder: Path

    def url(self, path: str) -> str:
        return str(self.desk.url).rstrip("/") + path

    async def messages(self) -> list[MessageRecord]:
        async with self.database.reading() as session:
            ids = (await session.scalars(select(Message.id).order_by(Message.id))).all()
        found = [await messages.find(self.database, one) for one in ids]
        return [one for one in found if one is not None]

    async def until_files(self) -> list[FileRecord]:
        """The first message's files, once it has some."""
        while True:
            (message, *_) = await self.messages()
            if message.files:
                return message.files
            await asyncio.sleep(0.01)

    async def until_all_is_said(self) -> None:
        """Nothing waits to go out, or for news of it: a stop interrupts nothing."""
        unsaid = select(func.count()).where(
            (OutboxMessage.segments.is_(None))
            | OutboxMessage.state.not_in((MessageState.DELIVERED, MessageState.FAILED))
        )
        while True:
            async with self.database.reading() as session:
                if not await session.scalar(unsaid):
                    return
            await asyncio.sleep(0.01)

    async def until_state(self, outbox_id: int, state: MessageState) -> OutboxMessage:
        """The row, once it is in that state, and the outbox has written what it knows."""
        while True:
            async with self.database.reading() as session:
                row = await session.get_one(OutboxMessage, outbox_id)
            if row.state is state and row.segments is not None:
                return row
            await asyncio.sleep(0.01)


@pytest.fixture
async def stage(
    peopled_template: tuple[Path, dict[str, int]], tmp_path: Path
) -> AsyncIterator[Stage]:
    """All real: webhooks, inbox, jobs, outbox; Twilio is an imitation over HTTP."""
    async with contextlib.AsyncExitStack() as stack:
        world = await stack.enter_async_context(
            OutsideWorld([OutsideCustomer("Li", CUSTOMER, "li@example.com")])
        )
        subscribers = Subscribers()
        files = AttachmentFiles(tmp_path / "attachments")
        signer = Signer(secrets.token_bytes(32))
        made: dict[str, Any] = {}

        def fit(parts: DeskParts) -> DeskParts:
            database = Database(
                parts.database.url.render_as_string(hide_password=False).replace("+aiosqlite", ""),
                subscribers,
                patience_s=60.0,
            )
            account = TwilioAccount(database, world.account, world.token, url=world.sms_url)
            inbox = Inbox(database, files, hooks=(StopWords("Mall"),))
            inbox.subscribe(subscribers)
            late = LateFiles(database, files, PROVIDER, twilio_fetch(account))
            late.subscribe(subscribers)
            api = WeChatApi("wx", "secret", url="http://127.0.0.1:1")
            pictures = LateFiles(database, files, WECHAT, api.fetch)
            pictures.subscribe(subscribers)
            made.update(database=database, account=account, inbox=inbox, api=api)
            return replace(
                parts,
                webhooks=WebhookParts(
                    twilio=TwilioWebhooks(
                        database, inbox.receive, late, account=world.account, token=world.token
                    ),
                    wechat=WeChatWebhook(database, inbox.receive, pictures, token=WECHAT_TOKEN),
                    signer=signer,
                    attachments_folder=tmp_path / "attachments",
                ),
            )

        desk = await stack.enter_async_context(running_desk(peopled_template, tmp_path, fit))
        database: Database = made["database"]
        stack.push_async_callback(database.close)
        stack.push_async_callback(made["account"].close)
        stack.push_async_callback(made["api"].close)
        world.connect(desk_url=str(desk.url), sms_number=OURS, whatsapp_number=OURS)
        base = str(desk.url).rstrip("/")
        sender = TwilioSms(
            database, made["account"], sender=OURS, status_url=f"{base}/hooks/twilio/status"
        )
        carrying = Outbox(database, files, {Channel.SMS: sender})
        for work in (carrying.run(), JobWorker(database).run()):
            task = asyncio.create_task(work)
            stack.push_async_callback(_ended, task)
        running = Stage(desk, world, database, signer, carrying, tmp_path / "attachments")
        yield running
        await running.until_all_is_said()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# ---- Twilio: in ----------------------------------------------------------------------------------


async def test_an_sms_is_kept_once_however_often_it_is_said(stage: Stage) -> None:
    sid = "SM" + "1" * 32
    for _ in range(3):
        assert await stage.world.twilio.customer_writes(CUSTOMER, OURS, "在吗?", sid=sid) == 200
    (message,) = await stage.messages()
    assert (message.channel, message.sender, message.text) == (Channel.SMS, CUSTOMER, "在吗?")
    assert message.recipients == [OURS]


async def test_whatsapp_comes_with_a_name(stage: Stage) -> None:
    address = f"whatsapp:{CUSTOMER}"
    status = await stage.world.twilio.customer_writes(
        address, f"whatsapp:{OURS}", "Hello", name="Li\u202e\nNa"
    )
    assert status == 200
    (message,) = await stage.messages()
    assert (message.channel, message.sender) == (Channel.MESSENGER, address)
    assert message.sender_name == "Li Na"
    assert message.is_authenticated


async def test_a_picture_is_fetched_after_its_message_is_kept(stage: Stage) -> None:
    picture = OutsideFile(media_type="image/png", content=PNG)
    status = await stage.world.twilio.customer_writes(
        f"whatsapp:{CUSTOMER}", f"whatsapp:{OURS}", "", files=[picture]
    )
    assert status == 200
    files = await stage.until_files()
    assert [(file.media_type, file.size) for file in files] == [("image/png", len(PNG))]
    assert (stage.folder / files[0].file).read_bytes() == PNG


async def test_a_picture_on_a_strange_host_is_not_fetched(stage: Stage) -> None:
    fields = form() | {"NumMedia": "1", "MediaUrl0": "http://169.254.169.254/latest/"}
    assert await stage.world.twilio.post(stage.url("/hooks/twilio/messages"), fields) == 200
    files = await stage.until_files()
    assert [(file.file, file.reason) for file in files] == [("", "not_fetched")]


@pytest.mark.parametrize("word", ["STOP", "Help"])
async def test_a_word_is_heard_and_answered_once(stage: Stage, word: str) -> None:
    for _ in range(2):
        assert await stage.world.twilio.customer_writes(CUSTOMER, OURS, word) == 200
    async with stage.database.reading() as session:
        answers = (await session.scalars(select(OutboxMessage))).all()
        assert len(answers) == 1
        assert answers[0].recipient == CUSTOMER
        opted_out = (await session.scalars(select(OptOut))).all()
        assert [row.address for row in opted_out] == ([CUSTOMER] if word == "STOP" else [])
        conversation = (await session.scalars(select(Conversation))).one()
    assert conversation.state is ConversationState.CLOSED
    assert conversation.waiting_since is None
    await stage.until_state(answers[0].id, MessageState.DELIVERED)


async def test_start_takes_the_stop_back(stage: Stage) -> None:
    await stage.world.twilio.customer_writes(CUSTOMER, OURS, "退订")
    await stage.world.twilio.customer_writes(CUSTOMER, OURS, "恢复")
    async with stage.database.reading() as session:
        assert (await session.scalars(select(OptOut))).all() == []
        texts = (await session.scalars(select(OutboxMessage.text).order_by(OutboxMessage.id))).all()
    assert len(texts) == 2
    assert all("Mall" in text for text in texts)


async def test_a_word_leaves_what_waits_for_an_agent_alone(stage: Stage) -> None:
    await stage.world.twilio.customer_writes(CUSTOMER, OURS, "Where is my parcel?")
    await stage.world.twilio.customer_writes(CUSTOMER, OURS, "STOP")
    async with stage.database.reading() as session:
        conversation = (await session.scalars(select(Conversation))).one()
    assert conversation.state is ConversationState.OPEN
    assert conversation.waiting_since is not None


# ---- Twilio: news of ours ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "state", "error"),
    [
        (CUSTOMER, MessageState.DELIVERED, ""),
        (NOT_DELIVERED, MessageState.FAILED, "Twilio: error 30003"),
    ],
)
async def test_delivery_is_followed(stage: Stage, to: str, state: MessageState, error: str) -> None:
    async with stage.database.transaction() as transaction:
        outbox_id = await outbox.write(
            transaction, channel=Channel.SMS, to=to, text="Your parcel is here"
        )
    row = await stage.until_state(outbox_id, state)
    assert row.error == error
    assert row.provider_id == stage.world.twilio.messages[0].sid


async def test_old_news_change_nothing(stage: Stage) -> None:
    async with stage.database.transaction() as transaction:
        outbox_id = await outbox.write(
            transaction, channel=Channel.SMS, to=CUSTOMER, text="Your parcel is here"
        )
    row = await stage.until_state(outbox_id, MessageState.DELIVERED)
    fields = form() | {"MessageSid": row.provider_id, "MessageStatus": "sent"}
    assert await stage.world.twilio.post(stage.url("/hooks/twilio/status"), fields) == 204
    assert (await stage.until_state(outbox_id, MessageState.DELIVERED)).delivered_at


# ---- others in Twilio's name ---------------------------------------------------------------------


def form(**more: str) -> dict[str, str]:
    return {
        "MessageSid": "SM" + secrets.token_hex(16),
        "AccountSid": "AC" + "0" * 32,
        "From": CUSTOMER,
        "To": OURS,
        "Body": "Hello",
        "NumMedia": "0",
    } | more


async def posted(stage: Stage, path: str, fields: dict[str, str], signature: str | None) -> int:
    headers = {} if signature is None else {"X-Twilio-Signature": signature}
    async with (
        aiohttp.ClientSession() as http,
        http.post(stage.url(path), data=fields, headers=headers) as answer,
    ):
        return answer.status


@pytest.mark.parametrize("path", ["/hooks/twilio/messages", "/hooks/twilio/status"])
async def test_what_twilio_has_not_signed_is_refused(stage: Stage, path: str) -> None:
    fields = form(MessageStatus="delivered")
    validator = RequestValidator(stage.world.token)
    right = validator.compute_signature(stage.url(path), fields)
    other = RequestValidator("another token").compute_signature(stage.url(path), fields)
    elsewhere = validator.compute_signature("https://evil.example" + path, fields)
    for signature in (None, "", "x", "é" * 28, other, elsewhere):
        assert await posted(stage, path, fields, signature) == 403
    # A right signature is right for these fields at this address only.
    assert await posted(stage, path, fields | {"Body": "Pay here"}, right) == 403
    assert await posted(stage, path + "?message=1", fields, right) == 403
    theirs = form(AccountSid="AC" + "1" * 32)
    signed = validator.compute_signature(stage.url(path), theirs)
    assert await posted(stage, path, theirs, signed) == 403
    assert await stage.messages() == []
    assert await posted(stage, path, fields, right) in (200, 204)


async def test_a_signature_of_one_address_is_none_of_another(stage: Stage) -> None:
    fields = form(MessageStatus="delivered")
    signature = RequestValidator(stage.world.token).compute_signature(
        stage.url("/hooks/twilio/messages"), fields
    )
    assert await posted(stage, "/hooks/twilio/status", fields, signature) == 403


async def test_too_large_a_form_is_refused(stage: Stage) -> None:
    fields = form(Body="a" * 70_000)
    assert await stage.world.twilio.post(stage.url("/hooks/twilio/messages"), fields) == 413


@pytest.mark.parametrize(
    "more",
    [
        {"MessageSid": ""},
        {"MessageSid": "SM" + "0" * 33},
        {"MessageSid": "../../etc"},
        {"From": ""},
        {"From": "<script>"},
        {"From": "whatsapp:bank"},
        {"From": "whatsapp:+1 (555) 123"},
        {"From": "+" + "1" * 200},
    ],
)
async def test_signed_nonsense_is_told_so(stage: Stage, more: dict[str, str]) -> None:
    fields = form(**more)
    assert await stage.world.twilio.post(stage.url("/hooks/twilio/messages"), fields) == 400
    assert await stage.messages() == []


async def test_a_bank_by_name_waits_for_no_answer(stage: Stage) -> None:
    fields = form(From="My Bank", Body="Your code is 123456")
    assert await stage.world.twilio.post(stage.url("/hooks/twilio/messages"), fields) == 200
    (message,) = await stage.messages()
    assert message.automatic == "list"


# ---- WeChat --------------------------------------------------------------------------------------


def signed(
    moment: float | None = None, token: str = WECHAT_TOKEN, nonce: str = "n"
) -> dict[str, str]:
    timestamp = str(int(moment or time.time()))
    text = "".join(sorted((token, timestamp, nonce)))
    return {
        "timestamp": timestamp,
        "nonce": nonce,
        "signature": hashlib.sha1(text.encode()).hexdigest(),  # noqa: S324 - WeChat's choice
    }


def wechat_xml(content: str = "您好", **more: str) -> bytes:
    fields = {
        "ToUserName": "gh_1",
        "FromUserName": "oAbc-1_2",
        "CreateTime": "1348831860",
        "MsgType": "text",
        "Content": content,
        "MsgId": "1234567890123456",
    } | more
    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())
    return f"<xml>{inner}</xml>".encode()


async def to_wechat(
    stage: Stage, method: str, query: dict[str, str], body: bytes = b""
) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as http,
        http.request(
            method,
            stage.url("/hooks/wechat"),
            params=query,
            data=body or None,
            headers={"Content-Type": "text/xml"} if body else {},
        ) as answer,
    ):
        return answer.status, await answer.text()


async def test_wechat_checks_our_address(stage: Stage) -> None:
    assert await to_wechat(stage, "GET", signed() | {"echostr": "5837"}) == (200, "5837")


async def test_a_wechat_message_is_kept_once(stage: Stage) -> None:
    for _ in range(2):
        assert await to_wechat(stage, "POST", signed(), wechat_xml()) == (200, "success")
    (message,) = await stage.messages()
    assert (message.channel, message.sender) == (Channel.MESSENGER, "wechat:oAbc-1_2")
    assert (message.text, message.language) == ("您好", "zh")


async def test_who_follows_no_more_is_not_written_to(stage: Stage) -> None:
    event = wechat_xml(MsgType="event", Event="unsubscribe")
    assert (await to_wechat(stage, "POST", signed(), event))[0] == 200
    async with stage.database.reading() as session:
        row = (await session.scalars(select(OptOut))).one()
        assert (row.channel, row.address) == (Channel.MESSENGER, "wechat:oAbc-1_2")
        assert await session.scalar(select(func.count()).select_from(Message)) == 0


async def test_what_wechat_has_not_signed_lately_is_refused(stage: Stage) -> None:
    hour = 3_600
    for query in (
        {},
        signed(token="guessed"),
        signed(time.time() - hour),
        signed(time.time() + hour),
        signed() | {"nonce": "m"},
        signed() | {"signature": ""},
        signed() | {"timestamp": "nan"},
        signed() | {"timestamp": "9" * 400},
    ):
        assert (await to_wechat(stage, "POST", query, wechat_xml()))[0] == 403
        assert (await to_wechat(stage, "GET", query | {"echostr": "1"}))[0] == 403
    assert await stage.messages() == []


@pytest.mark.parametrize(
    "body",
    [
        b"<xml>",
        b"\xff\xfe",
        b"<!DOCTYPE xml [<!ENTITY a 'aaaa'>]><xml><MsgId>&a;</MsgId></xml>",
        b"<a>" * 5 + b"</a>" * 5,
        wechat_xml(MsgId="x"),
        wechat_xml(FromUserName=""),
        wechat_xml(FromUserName="a b\n"),
    ],
)
async def test_signed_xml_that_is_none_of_wechats(stage: Stage, body: bytes) -> None:
    assert (await to_wechat(stage, "POST", signed(), body))[0] == 400
    assert await stage.messages() == []


# ---- files for providers -------------------------------------------------------------------------


async def test_a_file_is_shown_by_its_link_only(stage: Stage) -> None:
    files = AttachmentFiles(stage.folder)
    (kept,) = await files.keep([("a.png", PNG)])
    file = OutgoingFile(name="a.png", media_type="image/png", path=files.path(kept.file))
    link = link_to(file, public_url=str(stage.desk.url), signer=stage.signer)
    forged = link_to(file, public_url=str(stage.desk.url), signer=Signer(secrets.token_bytes(32)))
    other_purpose = stage.url(
        "/hooks/files/" + stage.signer.sign("opt_out", {"file": kept.file}, holds=timedelta(days=1))
    )
    async with aiohttp.ClientSession() as http:
        async with http.get(link) as answer:
            assert answer.status == 200
            assert answer.content_type == "image/png"
            assert await answer.read() == PNG
            assert answer.headers["Content-Disposition"] == "attachment"
        for wrong in (forged, other_purpose, stage.url("/hooks/files/x")):
            async with http.get(wrong) as answer:
                assert answer.status == 403
