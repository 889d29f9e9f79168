"""What others may say to us by SMS's ways: any form, any XML, any bytes of a message centre."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import example, given
from hypothesis import strategies as st

from channels.messengers import wechat
from channels.sms import twilio_webhooks
from channels.sms.smpp_link import Delivery, MessageCentre, SmppLink, _delivery_of
from channels.sms.smpp_messages import part_in, receipt_in, text_of
from channels.sms.twilio_account import NotOurFile, TwilioAccount
from crm_store.database import Database
from crm_store.models import Channel

pytestmark = pytest.mark.db

TEXTS = st.text(max_size=60)
SID = "SM" + "a" * 32
FIELDS = ("MessageSid", "From", "To", "Body", "ProfileName", "MediaUrl0", "MediaContentType0")
FORMS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FIELDS, TEXTS),
        "MessageSid": st.just(SID) | TEXTS,
        "From": st.sampled_from(["+8613800138000", "whatsapp:+8613800138000", "Bank"]) | TEXTS,
    },
)


@given(FORMS)
@example({"MessageSid": SID, "From": "+8613800138000", "Body": "\0\u202e\ud7ff" * 9_000})
@example({"MessageSid": SID, "From": "whatsapp:+8613800138000", "ProfileName": "a\r\nb\u2066" * 99})
def test_any_form_is_a_message_or_none(form: dict[str, str]) -> None:
    files = twilio_webhooks.files_in(form)
    assert all(file.name.isprintable() and "/" not in file.name for file in files)
    try:
        incoming = twilio_webhooks.message_in(form)
    except twilio_webhooks.NotUnderstood:
        return
    assert incoming.channel in (Channel.SMS, Channel.MESSENGER)
    assert "\0" not in incoming.text
    assert len(incoming.text) <= twilio_webhooks.LONGEST_TEXT
    assert incoming.sender_name.isprintable()
    assert incoming.our_address.isprintable()
    assert incoming.sender.isprintable()
    assert len(incoming.sender) <= 40


@given(st.binary(max_size=400))
@example(b"<xml>" + b"<a>" * 60_000)
@example(b"<xml>" + b"a" * 70_000 + b"</xml>")
@example(b'<?xml version="1.0" encoding="utf-7"?><xml/>')
@example(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><MsgId>&x;</MsgId></xml>')
@example(b"<xml><FromUserName>a</FromUserName><MsgId>1</MsgId><Content>&#0;</Content></xml>")
def test_any_post_is_understood_or_not(post: bytes) -> None:
    with contextlib.suppress(wechat.NotUnderstood):
        wechat.message_in({"FromUserName": "o", **wechat.fields_in(post)})


@given(
    st.builds(
        Delivery,
        source=TEXTS,
        source_ton=st.integers(0, 255),
        destination=TEXTS,
        esm_class=st.integers(0, 255),
        data_coding=st.integers(0, 255),
        content=st.binary(max_size=160),
        parameters=st.dictionaries(
            st.sampled_from([0x1E, 0x427, 0x20C, 0x20E, 0x20F]), st.binary(max_size=6)
        ),
    )
)
def test_any_delivery_is_a_receipt_or_a_part_or_a_message(delivery: Delivery) -> None:
    receipt = receipt_in(delivery)
    assert receipt is None or len(receipt.error) < 40
    content, place = part_in(delivery)
    assert place is None or 1 <= place.number <= place.total <= 255
    text = text_of(content, delivery.data_coding)
    assert text is None or len(text) <= len(content)


@given(st.binary(max_size=200))
def test_any_body_is_a_delivery_or_an_error(body: bytes) -> None:
    with contextlib.suppress(ValueError, struct.error):
        _delivery_of(struct.pack(">LLLL", 16 + len(body), 5, 0, 1) + body)


# ---- a message centre that is none ---------------------------------------------------------------

BOUND = struct.pack(">LLLL", 18, 0x80000009, 0, 1) + b"C\0"


@asynccontextmanager
async def centre_that_says(*said: bytes) -> AsyncIterator[tuple[MessageCentre, list[bytes]]]:
    """A server that says these bytes, and hangs up; what it has heard, for each connection."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            for piece in said:
                writer.write(piece)
                await writer.drain()
                heard.append(await reader.read(4_096))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield (
            MessageCentre(host="127.0.0.1", port=port, user="u", password="p", answer_s=0.3),
            heard,
        )


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3,
        struct.pack(">LLLL", 0, 0, 0, 0),
        struct.pack(">LLLL", 0xFFFFFFFF, 5, 0, 1),
        struct.pack(">LLLL", 16, 0xDEADBEEF, 0, 1),
        BOUND + struct.pack(">LLLL", 16, 5, 0, 2),
        BOUND + struct.pack(">LLLL", 20, 5, 0, 2) + b"\0\0\0\0",
        struct.pack(">LLLL", 16, 0x80000009, 0x0E, 1),
    ],
)
async def test_nonsense_ends_a_link_and_not_the_service(said: bytes) -> None:
    async def deliver(delivery: Delivery) -> None:
        raise AssertionError("there is nothing to deliver")

    async with centre_that_says(said, b"") as (centre, heard):
        task = asyncio.create_task(SmppLink(centre, deliver).run())
        while len(heard) < 3 and not task.done():  # noqa: ASYNC110 - the server's own tasks append
            await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ---- where files are said to be ------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:1/secret",
        "https://127.0.0.1/secret",
        "https://evil.example/a",
        "https://nottwiliocdn.com/a",
        "https://media.twiliocdn.com.evil.example/a",
        "https://media.twiliocdn.com:22/a",
        "http://media.twiliocdn.com/a",
        "file:///etc/passwd",
        "",
    ],
)
async def test_a_file_that_is_said_to_be_elsewhere_is_not_fetched(
    sqlite_database: Database, place: str
) -> None:
    async def send_on(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": place})

    app = web.Application()
    app.router.add_get("/{way:.*}", send_on)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        account = TwilioAccount(sqlite_database, "AC" + "0" * 32, "token", url=url)
        zeros = "0" * 32
        with pytest.raises(NotOurFile):
            await account.fetch_file(
                f"{url}/2010-04-01/Accounts/AC{zeros}/Messages/MM{zeros}/Media/ME{zeros}"
            )
        await account.close()


def test_secrets_are_not_shown() -> None:
    centre = MessageCentre(host="h", port=1, user="u", password="hidden")
    assert "hidden" not in repr(centre)
