"""The chat's socket: a visitor's page and the desk, in JSON (docs/chat.md has the frames).

Owns one connection: the token comes first, in a frame and not in an address that is logged; what is
said is kept before it is acknowledged; who says too much is slowed down, then closed. Refuses to
know what becomes of what was said: the hub does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from agent_desk.chat.door import DOOR, chat_of, session_of, site_of
from agent_desk.entrance.visitor import PARTS, address_of, is_storable
from agent_desk.live.push_allowance import Allowance
from agent_desk.parts import ChatParts
from channels.chat import visitors
from channels.chat.chats import CannotWrite, ChatHub, Visit
from channels.chat.shown import Document, me
from crm_store.contacts import chat_sessions
from crm_store.database import is_away
from crm_store.people.customers import mail_address

log = logging.getLogger(__name__)

MESSAGE_BYTES = 65_536
"""4,000 characters, each escaped, and some room."""

BEAT_SECONDS = 20.0
HELLO_SECONDS = 15.0
MOST_UNREAD = 500
"""Frames that a page has not taken; then it is cut off, comes again and gets what it needs."""

SOCKETS_OF_ADDRESS = 100
SOCKETS_OF_VISITOR = 8
SOCKETS = 5_000

CLOSE_OVER = 4401
CLOSE_TOO_MANY = 4429

FRAMES_AT_ONCE = 60
FRAMES_PER_SECOND = 5.0
WRITTEN_AT_ONCE = 10
WRITTEN_PER_SECOND = 0.5
TRY_AGAIN_S = 5.0

SOCKETS_OPEN = web.AppKey("chat_sockets", set[Any])


async def open_socket(request: web.Request) -> web.StreamResponse:
    """GET /chat/socket: the WebSocket of docs/chat.md."""
    if "Origin" not in request.headers:
        raise web.HTTPForbidden(text="This WebSocket is for pages of the shop's sites.")
    origin = site_of(request)
    chat = chat_of(request)
    ws = web.WebSocketResponse(
        compress=False, heartbeat=2 * BEAT_SECONDS, max_msg_size=MESSAGE_BYTES, timeout=2.0
    )
    await ws.prepare(request)
    sockets = request.app[DOOR].sockets
    address = address_of(request)
    if sockets.get(address, 0) >= SOCKETS_OF_ADDRESS or sum(sockets.values()) >= SOCKETS:
        await ws.close(code=CLOSE_TOO_MANY, message=b"too many connections")
        return ws
    sockets[address] = sockets.get(address, 0) + 1
    line = _Line(ws, request, chat, address)
    request.app[SOCKETS_OPEN].add(ws)
    try:
        await line.talk(origin)
    except ConnectionResetError:
        log.debug("chat: a visitor went away")
    finally:
        request.app[SOCKETS_OPEN].discard(ws)
        sockets[address] -= 1
        if not sockets[address]:
            del sockets[address]
    return ws


async def close_sockets(app: web.Application) -> None:
    """The service stops: pages come again by themselves."""
    still_open: set[Any] = app[SOCKETS_OPEN]
    for ws in list(still_open):
        await ws.close(code=1001, message=b"the service stops")


class _Line:
    """One connection."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        request: web.Request,
        chat: ChatParts,
        address: str,
    ) -> None:
        self._ws = ws
        self._request = request
        self._transport = request.transport
        self._chat = chat
        self._address = address
        self._database = request.app[PARTS].database
        self._region = request.app[PARTS].region
        self._waiting: asyncio.Queue[Document] = asyncio.Queue(MOST_UNREAD)
        now = asyncio.get_running_loop().time()
        self._frames = Allowance(FRAMES_AT_ONCE, FRAMES_PER_SECOND, now)
        self._written = Allowance(WRITTEN_AT_ONCE, WRITTEN_PER_SECOND, now)

    @property
    def _hub(self) -> ChatHub:
        return self._chat.hub

    def tell(self, document: Document) -> None:
        """Send it as soon as may be; a page that does not read is cut off."""
        try:
            self._waiting.put_nowait(document)
        except asyncio.QueueFull:
            log.warning("chat: a visitor's page does not read; connection dropped")
            if self._transport is not None:
                self._transport.abort()

    async def talk(self, origin: str) -> None:
        session = None
        with suppress(TimeoutError):
            async with asyncio.timeout(HELLO_SECONDS):
                hello = _frame(await self._ws.receive())
                session = await session_of(self._request, str(hello.get("hello", "")))
        if session is None or self._hub.connections_of(session.id) >= SOCKETS_OF_VISITOR:
            await self._ws.close(code=CLOSE_OVER if session is None else CLOSE_TOO_MANY)
            return
        page, title = visitors.page_of(hello.get("page"), origin)
        if page and page != session.page:
            async with self._database.transaction() as transaction:
                await chat_sessions.change(transaction, session.id, page=page, page_title=title)
        speaking = asyncio.create_task(self._speak(), name="chat line")
        visit = None
        try:
            visit = await self._hub.join(session, self.tell)
            if session.proof_asked_at is not None:
                self.tell({"proof": "asked"})
            await self._listen(visit)
        finally:
            if visit is not None:
                self._hub.leave(visit)
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            try:
                await self._hub.has_left(session.id)
            except Exception as error:
                # Their last sign of life says the same a little later.
                log.warning("chat: who left cannot be written down: %s", type(error).__name__)

    async def _speak(self) -> None:
        while True:
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    document = await self._waiting.get()
            except TimeoutError:
                document = {"beat": BEAT_SECONDS}
            try:
                await self._ws.send_str(orjson.dumps(document).decode())
            except ConnectionError:
                return

    async def _listen(self, visit: Visit) -> None:
        loop = asyncio.get_running_loop()
        async for message in self._ws:
            wish = _frame(message)
            if self._frames.take(loop.time()) > FRAMES_AT_ONCE / FRAMES_PER_SECOND:
                log.warning("chat: a visitor says too much; connection closed")
                await self._ws.close(code=1008, message=b"too much at once")
                return
            if not wish:
                self.tell({"error": "send a JSON object in a text frame"})
                continue
            try:
                await self._obey(visit, wish)
            except Exception as error:
                if not is_away(error):
                    log.exception("chat: a frame could not be served")
                self.tell({"refused": wish.get("key", ""), "why": "away", "wait_s": TRY_AGAIN_S})
            if self._ws.closed:
                return

    async def _obey(self, visit: Visit, wish: Mapping[str, Any]) -> None:
        match wish:
            case {"say": str(text), "key": str(key)}:
                await self._say(visit, key, text)
            case {"typing": bool(typing)}:
                self._hub.types(visit, typing)
            case {"seen": int(message_id)}:
                await self._hub.has_seen(visit, message_id)
            case {"reach": dict(told)}:
                await self._reach(visit, told)
            case {"transcript": str(mail)}:
                await self._transcript(visit, mail)
            case {"prove": dict(told)}:
                said = await self._chat.proof.ask(
                    visit.session_id, told, region=self._region, client_address=self._address
                )
                self.tell({"proof": said})
            case {"code": str(code), "of": dict(told)}:
                said = await self._chat.proof.give(
                    visit.session_id,
                    told,
                    code,
                    region=self._region,
                    client_address=self._address,
                )
                self.tell({"proof": said})
                await self._tell_me(visit.session_id)
            case {"end": True}:
                await self._end(visit)
            case _:
                self.tell({"error": "there is no such wish"})

    async def _say(self, visit: Visit, key: str, text: str) -> None:
        if early := self._written.take(asyncio.get_running_loop().time()):
            # Said again later, it is still the same message.
            self.tell({"refused": key, "why": "too_fast", "wait_s": round(early + 1, 1)})
            return
        try:
            message = await self._hub.write(visit.session_id, key, text)
        except CannotWrite as refusal:
            self.tell({"refused": key[:100], "why": refusal.why})
            return
        self.tell({"kept": key, "id": message["id"]})

    async def _reach(self, visit: Visit, told: Mapping[str, Any]) -> None:
        try:
            reach = visitors.reach_of(told, self._region)
        except visitors.NotUnderstood as wrong:
            self.tell({"reach": wrong.field})
            return
        await visitors.reached_at(self._database, visit.session_id, reach)
        await self._tell_me(visit.session_id)
        self.tell({"reach": "done"})

    async def _transcript(self, visit: Visit, mail: str) -> None:
        to = mail_address(mail)
        session = await chat_sessions.find(self._database, visit.session_id)
        if to is None or session is None:
            self.tell({"transcript": "mail"})
        elif session.transcript_to not in ("", to):
            self.tell({"transcript": "address"})
        elif self._request.app[DOOR].letters.take(str(visit.session_id)) > 0:
            self.tell({"transcript": "too_fast"})
        else:
            sent = await self._chat.leaving.transcript(session.id, to)
            self.tell({"transcript": "done" if sent else "empty"})

    async def _tell_me(self, session_id: int) -> None:
        session = await chat_sessions.find(self._database, session_id)
        if session is not None:
            self._hub.tell_all(session_id, {"me": me(session)})

    async def _end(self, visit: Visit) -> None:
        async with self._database.transaction() as transaction:
            await chat_sessions.end(transaction, visit.session_id)
        self._hub.tell_all(visit.session_id, {"over": True})


def _frame(message: Any) -> dict[str, Any]:
    """The object in a text frame; empty for anything else, and for what no database can keep."""
    if message.type is not WSMsgType.TEXT:
        return {}
    try:
        wish = orjson.loads(message.data)
    except ValueError:
        return {}
    return wish if isinstance(wish, dict) and is_storable(wish) else {}
