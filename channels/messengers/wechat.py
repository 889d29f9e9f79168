"""WeChat, by an official account: the second messenger, and the example of how one is added.

Owns WeChat's HTTP API (access tokens, customer service messages, files), what its errors mean for a
message, and the reading of what it posts to us. Refuses to know HTTP's server side:
agent_desk/webhooks has the route.

The account's server configuration is in plain text mode over TLS; its signature is over a moment
and a nonce and not over the body, so old ones are refused, and a message counts once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.parsers import expat

import aiohttp
import orjson

from channels.incoming import Incoming
from channels.late_files import FileAtProvider, GoneForEver, LateFiles
from channels.messengers.messenger import last_heard, pieces
from channels.senders import Accepted, NotNow, Outgoing, OutgoingFile, Refused
from crm_store.database import Database
from crm_store.models import Channel
from crm_store.people import preferences

OWN_URL = "https://api.weixin.qq.com"
PROVIDER = "wechat"
ANSWER_S = 20.0
LONGEST_TEXT = 2_000
"""Bytes; WeChat takes 2,048."""

LARGEST_FILE = 10_000_000
SESSION = timedelta(hours=48) - timedelta(minutes=5)
"""So long after the customer's last message we may write, less what it may be under way."""

SIGNATURE_HOLDS_S = 300
LARGEST_POST = 65_536
TOKEN_MARGIN_S = 300.0

# https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html
OLD_TOKEN = {40001, 40014, 42001}
NOT_NOW = {-1: 5.0, 45009: 3600.0, 45011: 60.0, 48001: 300.0, 40164: 300.0, 40125: 300.0}
NO_SUCH_PERSON = {40003, 43004, 43019}
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/bmp"}

_FILES = {"image": ".jpg", "voice": ".amr", "video": ".mp4", "shortvideo": ".mp4"}


class NotUnderstood(ValueError):
    """The post is signed, and is none that WeChat sends."""


class WeChatApi:
    """The account's API. `url` points elsewhere than to WeChat, for the tests."""

    def __init__(self, app_id: str, secret: str, *, url: str = "") -> None:
        self._app_id = app_id
        self._secret = secret
        self._url = (url or OWN_URL).rstrip("/")
        self._token = ""
        self._token_ends = 0.0
        self._asking = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None

    async def ask(self, path: str, *, json: object = None, form: Any = None) -> dict[str, Any]:
        """Post to the API; its answer. A token that has just ended is renewed once: WeChat looks at
        it before anything else. Raises NotNow if no token can be had, and what aiohttp raises."""
        answer: dict[str, Any] = {}
        for _ in range(2):
            token = await self._current_token()
            data = orjson.dumps(json) if json is not None else form() if form else None
            async with self._session().post(
                self._url + path, params={"access_token": token}, data=data
            ) as response:
                answer = orjson.loads(await response.read())
            if answer.get("errcode", 0) not in OLD_TOKEN:
                return answer
            self._token_ends = 0.0
        return answer

    async def fetch(self, media_id: str) -> bytes:
        """The content of a file that a customer sent; for LateFiles."""
        token = await self._current_token()
        async with self._session().get(
            self._url + "/cgi-bin/media/get",
            params={"access_token": token, "media_id": media_id},
            allow_redirects=False,
        ) as response:
            response.raise_for_status()
            content = await response.content.read(LARGEST_FILE + 1)
            while (more := await response.content.read(LARGEST_FILE)) and (
                len(content) <= LARGEST_FILE
            ):
                content += more
            is_answer = response.content_type in ("application/json", "text/plain")
        if len(content) > LARGEST_FILE:
            raise GoneForEver("it is too large")
        if is_answer:
            error = orjson.loads(content).get("errcode")
            if error in OLD_TOKEN:
                self._token_ends = 0.0
                raise OSError("the token had ended")
            raise GoneForEver(f"WeChat: error {error}")
        return bytes(content)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _current_token(self) -> str:
        """The stable token: asking for it elsewhere too does not end this one."""
        async with self._asking:
            if time.monotonic() < self._token_ends:
                return self._token
            wish = {
                "grant_type": "client_credential",
                "appid": self._app_id,
                "secret": self._secret,
            }
            try:
                async with self._session().post(
                    self._url + "/cgi-bin/stable_token", data=orjson.dumps(wish)
                ) as response:
                    answer = orjson.loads(await response.read())
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise NotNow(10.0, "WeChat gives no token") from error
            if "access_token" not in answer:
                raise NotNow(300.0, f"WeChat gives no token: error {answer.get('errcode')}")
            self._token = str(answer["access_token"])
            self._token_ends = time.monotonic() + answer.get("expires_in", 0) - TOKEN_MARGIN_S
            return self._token

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
        return self._http


class WeChat:
    """Customer service messages: texts and pictures, within 48 hours of theirs."""

    name = "wechat"

    def __init__(self, database: Database, api: WeChatApi) -> None:
        self._database = database
        self._api = api

    async def send(self, message: Outgoing, who: str) -> Accepted:
        heard = await last_heard(self._database, message.to)
        if heard is None or datetime.now(UTC) - heard > SESSION:
            raise Refused("WeChat: more than 48 hours after their last message")
        if any(file.media_type not in PICTURES for file in message.files):
            raise Refused("WeChat carries pictures only")
        parts = [
            {"msgtype": "text", "text": {"content": text}}
            for text in pieces(message.text, LONGEST_TEXT)
        ]
        for file in message.files:
            media_id = await self._upload(file)
            parts.append({"msgtype": "image", "image": {"media_id": media_id}})
        for number, part in enumerate(parts):
            answer = await self._api.ask(
                "/cgi-bin/message/custom/send", json={"touser": who, **part}
            )
            if error := answer.get("errcode", 0):
                if number:
                    raise RuntimeError("WeChat has taken a part of the message only")
                raise _meaning_of(error)
        return Accepted()

    async def close(self) -> None:
        await self._api.close()

    async def _upload(self, file: OutgoingFile) -> str:
        content = await asyncio.to_thread(file.path.read_bytes)

        def form() -> aiohttp.FormData:
            data = aiohttp.FormData()
            data.add_field("media", content, filename="picture", content_type=file.media_type)
            return data

        try:
            answer = await self._api.ask("/cgi-bin/media/upload?type=image", form=form)
        except aiohttp.ClientError as error:
            # A file alone is no message.
            raise NotNow(10.0, "WeChat takes no file now") from error
        if "media_id" not in answer:
            raise _meaning_of(answer.get("errcode", 0))
        return str(answer["media_id"])


class WeChatWebhook:
    """What WeChat posts. `token` is the one of the account's server configuration."""

    def __init__(
        self,
        database: Database,
        receive: Callable[[Incoming], Awaitable[object]],
        files: LateFiles,
        *,
        token: str,
    ) -> None:
        self._database = database
        self._receive = receive
        self._files = files
        self._token = token

    def is_genuine(self, query: Mapping[str, str], now: float | None = None) -> bool:
        """Whether WeChat has signed this request lately."""
        moment, nonce = query.get("timestamp", ""), query.get("nonce", "")
        if not (moment.isascii() and moment.isdigit() and len(moment) < 12):
            return False
        if abs((now or time.time()) - int(moment)) > SIGNATURE_HOLDS_S:
            return False
        signed = "".join(sorted((self._token, moment, nonce)))
        expected = hashlib.sha1(signed.encode()).hexdigest()  # noqa: S324 - WeChat's choice
        return hmac.compare_digest(expected.encode(), query.get("signature", "").encode())

    async def take(self, post: bytes) -> None:
        """A message or an event; it is committed when this returns. Raises NotUnderstood, and what
        the inbox raises."""
        fields = fields_in(post)
        who = fields.get("FromUserName", "")
        if not (0 < len(who) <= 64 and who.isascii() and who.isprintable()):
            raise NotUnderstood("FromUserName")
        if fields.get("MsgType") == "event":
            await self._take_event(f"wechat:{who}", fields.get("Event", ""))
            return
        incoming = message_in(fields)
        kind, media_id = fields.get("MsgType", ""), fields.get("MediaId", "")
        if kind in _FILES and 0 < len(media_id) <= 200:
            async with self._database.transaction() as transaction:
                await self._files.expect(
                    transaction,
                    Channel.MESSENGER,
                    incoming.external_key,
                    [FileAtProvider(media_id, kind + _FILES[kind])],
                )
        await self._receive(incoming)

    async def _take_event(self, address: str, event: str) -> None:
        async with self._database.transaction() as transaction:
            if event == "unsubscribe":
                await preferences.opt_out(
                    transaction, Channel.MESSENGER, address, by="customer", reason="unfollowed"
                )
            elif event == "subscribe":
                await preferences.opt_in(transaction, Channel.MESSENGER, address, by="customer")


def message_in(fields: Mapping[str, str]) -> Incoming:
    """The message that a post tells of. Raises NotUnderstood."""
    message_id = fields.get("MsgId", "")
    if not (message_id.isascii() and message_id.isdigit() and len(message_id) <= 30):
        raise NotUnderstood("MsgId")
    kind = fields.get("MsgType", "")
    texts = {
        "text": fields.get("Content", ""),
        "voice": fields.get("Recognition", ""),
        "location": " ".join(
            fields.get(name, "") for name in ("Label", "Location_X", "Location_Y")
        ).strip(),
        "link": "\n".join(fields.get(name, "") for name in ("Title", "Url")).strip(),
    }
    known = kind in texts or kind in _FILES
    return Incoming(
        channel=Channel.MESSENGER,
        external_key=f"wechat {message_id}",
        sender=f"wechat:{fields['FromUserName']}",
        our_address=fields.get("ToUserName", "")[:64],
        text=texts.get(kind, ""),
        language="zh",
        received_at=datetime.now(UTC),
        problems=() if known else (f"it is something else than a text: {kind[:20]}",),
        is_authenticated=True,
    )


def fields_in(post: bytes) -> dict[str, str]:
    """The texts of the document's elements. Raises NotUnderstood for what is no such document."""
    if len(post) > LARGEST_POST:
        raise NotUnderstood("it is too long")
    found: dict[str, str] = {}
    path: list[str] = []

    def begin(name: str, attributes: object) -> None:
        path.append(name)
        if len(path) > 4:
            raise NotUnderstood("it is too deep")

    def text(content: str) -> None:
        if len(path) == 2:
            found[path[1]] = found.get(path[1], "") + content.replace("\0", "")

    def refuse(*of_document_type: object) -> None:
        raise NotUnderstood("it has a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda name: path.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(post, True)
    except NotUnderstood:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:
        # Of an encoding that it has not, expat's binding says so by a bare ValueError.
        raise NotUnderstood("it is no XML") from error
    return found


def _meaning_of(error: int) -> Exception:
    why = f"WeChat: error {error}"
    if error in OLD_TOKEN:
        return NotNow(60.0, why)
    if error in NOT_NOW:
        return NotNow(NOT_NOW[error], why)
    return Refused(why, bad_address=error in NO_SUCH_PERSON)
