"""WeChat's customer service messages, against a stand-in for its HTTP API."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.late_files import GoneForEver
from channels.messengers.messenger import MessengerSender
from channels.messengers.wechat import WeChat, WeChatApi, fields_in, message_in
from channels.senders import NotNow, Outgoing, OutgoingFile, Refused
from crm_store.contacts.conversations import NewConversation, open_conversation
from crm_store.contacts.messages import NewMessage, store
from crm_store.database import Database
from crm_store.models import Channel
from crm_store.signals import Direction

pytestmark = pytest.mark.db

WHO = "oAbc-1_2"
ADDRESS = f"wechat:{WHO}"


class WeChatServer:
    """What WeChat answers: `errors` come first, one for each message."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.errors: list[int] = []
        self.tokens = itertools.count(1)
        self.token = ""
        self.lives_s = 7_200
        self.files = {"here": ("image/jpeg", b"\xff\xd8\xff picture")}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/cgi-bin/stable_token", self.give_token)
        app.router.add_post("/cgi-bin/message/custom/send", self.take)
        app.router.add_post("/cgi-bin/media/upload", self.take_file)
        app.router.add_get("/cgi-bin/media/get", self.give_file)
        return app

    async def give_token(self, request: web.Request) -> web.StreamResponse:
        asked = orjson.loads(await request.read())
        if (asked["appid"], asked["secret"]) != ("wx1", "secret"):
            return web.json_response({"errcode": 40125})
        self.token = f"token {next(self.tokens)}"
        return web.json_response({"access_token": self.token, "expires_in": self.lives_s})

    async def take(self, request: web.Request) -> web.StreamResponse:
        if request.query["access_token"] != self.token:
            return web.json_response({"errcode": 42001})
        if self.errors and (error := self.errors.pop(0)):
            return web.json_response({"errcode": error})
        self.sent.append(orjson.loads(await request.read()))
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    async def take_file(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        assert isinstance(form["media"], web.FileField)
        return web.json_response({"type": "image", "media_id": "uploaded"})

    async def give_file(self, request: web.Request) -> web.StreamResponse:
        found = self.files.get(request.query["media_id"])
        if found is None:
            return web.json_response({"errcode": 40007})
        return web.Response(body=found[1], content_type=found[0])


@pytest.fixture
def server() -> WeChatServer:
    return WeChatServer()


@pytest.fixture
async def api(server: WeChatServer) -> AsyncIterator[WeChatApi]:
    async with TestServer(server.app()) as running:
        api = WeChatApi("wx1", "secret", url=str(running.make_url("/")))
        yield api
        await api.close()


@pytest.fixture
async def wechat(sqlite_database: Database, api: WeChatApi) -> MessengerSender:
    await written(sqlite_database, datetime.now(UTC))
    return MessengerSender([WeChat(sqlite_database, api)])


async def written(database: Database, at: datetime) -> None:
    async with database.transaction() as transaction:
        conversation_id = await open_conversation(
            transaction, NewConversation(channel=Channel.MESSENGER, address=ADDRESS, at=at)
        )
        await store(
            transaction,
            NewMessage(
                conversation_id=conversation_id,
                direction=Direction.INBOUND,
                channel=Channel.MESSENGER,
                external_key=f"wechat {at.timestamp()}",
                sender=ADDRESS,
                text="您好",
                at=at,
            ),
        )


def outgoing(text: str, *files: OutgoingFile) -> Outgoing:
    return Outgoing(
        id=1, channel=Channel.MESSENGER, to=ADDRESS, text=text, idempotency_key="1", files=files
    )


async def test_texts_and_pictures(
    wechat: MessengerSender, server: WeChatServer, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"\x89PNG")
    picture = OutgoingFile(name="a.png", media_type="image/png", path=tmp_path / "a")
    await wechat.send(outgoing("在这里", picture))
    assert server.sent == [
        {"touser": WHO, "msgtype": "text", "text": {"content": "在这里"}},
        {"touser": WHO, "msgtype": "image", "image": {"media_id": "uploaded"}},
    ]


async def test_a_long_text_is_several_messages(
    wechat: MessengerSender, server: WeChatServer
) -> None:
    text = "您的包裹已经到了。" * 200
    await wechat.send(outgoing(text))
    texts = [one["text"]["content"] for one in server.sent]
    assert "".join(texts) == text
    assert all(len(one.encode()) <= 2_048 for one in texts)


async def test_one_token_is_asked_for_and_renewed_when_it_ends(
    wechat: MessengerSender, server: WeChatServer
) -> None:
    await wechat.send(outgoing("one"))
    await wechat.send(outgoing("two"))
    assert server.token == "token 1"
    # Ended earlier than was said, as when somebody presses "reset" over there.
    server.token = "another"
    await wechat.send(outgoing("three"))
    assert server.token == "token 2"
    assert len(server.sent) == 3


async def test_a_token_that_lives_no_longer_is_asked_for_again(
    wechat: MessengerSender, server: WeChatServer
) -> None:
    server.lives_s = 60
    await wechat.send(outgoing("one"))
    await wechat.send(outgoing("two"))
    assert server.token == "token 2"


@pytest.mark.parametrize(
    ("error", "kind", "bad_address"),
    [
        (-1, NotNow, False),
        (45009, NotNow, False),
        (45015, Refused, False),
        (40003, Refused, True),
        (43004, Refused, True),
        (99999, Refused, False),
    ],
)
async def test_what_wechats_errors_mean(
    wechat: MessengerSender,
    server: WeChatServer,
    error: int,
    kind: type[Exception],
    bad_address: bool,
) -> None:
    server.errors = [error]
    with pytest.raises(kind) as raised:
        await wechat.send(outgoing("Hello"))
    assert getattr(raised.value, "bad_address", False) is bad_address
    assert server.sent == []


async def test_a_message_of_which_a_part_is_there_is_not_certain(
    wechat: MessengerSender, server: WeChatServer
) -> None:
    server.errors = [0, -1]
    with pytest.raises(RuntimeError):
        await wechat.send(outgoing("您的包裹已经到了。" * 200))
    assert len(server.sent) == 1


async def test_wrong_secrets_are_not_the_messages_fault(sqlite_database: Database) -> None:
    await written(sqlite_database, datetime.now(UTC))
    server = WeChatServer()
    async with TestServer(server.app()) as running:
        api = WeChatApi("wx1", "wrong", url=str(running.make_url("/")))
        with pytest.raises(NotNow):
            await MessengerSender([WeChat(sqlite_database, api)]).send(outgoing("Hello"))
        await api.close()


async def test_after_two_days_of_silence_nothing_may_be_written(
    sqlite_database: Database, api: WeChatApi, server: WeChatServer
) -> None:
    await written(sqlite_database, datetime.now(UTC) - timedelta(hours=49))
    with pytest.raises(Refused, match="48 hours"):
        await MessengerSender([WeChat(sqlite_database, api)]).send(outgoing("Hello"))
    assert server.sent == []


async def test_other_files_than_pictures_are_refused(
    wechat: MessengerSender, server: WeChatServer, tmp_path: Path
) -> None:
    letter = OutgoingFile(name="a.pdf", media_type="application/pdf", path=tmp_path / "a")
    with pytest.raises(Refused):
        await wechat.send(outgoing("Here", letter))
    assert server.sent == []


async def test_customers_files_are_fetched(api: WeChatApi) -> None:
    assert await api.fetch("here") == b"\xff\xd8\xff picture"
    with pytest.raises(GoneForEver):
        await api.fetch("gone")


@pytest.mark.parametrize(
    ("inner", "text", "problems"),
    [
        ("<MsgType>text</MsgType><Content>a &lt;b&gt;</Content>", "a <b>", 0),
        ("<MsgType>voice</MsgType><Recognition>你好</Recognition>", "你好", 0),
        ("<MsgType>image</MsgType><MediaId>m</MediaId>", "", 0),
        (
            "<MsgType>location</MsgType><Location_X>31.2</Location_X><Label>上海</Label>",
            "上海 31.2",
            0,
        ),
        (
            "<MsgType>link</MsgType><Title>T</Title><Url>https://example.com</Url>",
            "T\nhttps://example.com",
            0,
        ),
        ("<MsgType>hologram</MsgType>", "", 1),
    ],
)
def test_all_kinds_of_messages_are_read(inner: str, text: str, problems: int) -> None:
    post = f"<xml><FromUserName>{WHO}</FromUserName><MsgId>12</MsgId>{inner}</xml>"
    incoming = message_in(fields_in(post.encode()))
    assert (incoming.text, len(incoming.problems)) == (text, problems)
    assert incoming.external_key == "wechat 12"
