"""A desk with a chat: real inbox, hub and files, on the desk's own database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent_desk.chat.words import letter_words
from agent_desk.parts import ChatParts, DeskParts
from channels.answering import answer
from channels.attachments import AttachmentFiles
from channels.chat.chats import ChatHub
from channels.chat.leaving import Leaving
from channels.chat.proof import Proof
from channels.chat.topics import Topics
from channels.inbox import Inbox
from crm_store.contacts import chat_sessions
from tests.agent_desk.conftest import RunningDesk, running_desk

SITE = "https://shop.example"
FOREIGN = "https://evil.example"


@dataclass
class ShopSite:
    """A shop's own site on another origin, as strict with what it loads as it can be: nothing but
    the desk's script and connections to it."""

    origin: str = ""
    desk: str = ""

    async def show(self, request: web.Request) -> web.Response:
        socket = self.desk.replace("http", "ws", 1)
        policy = f"default-src 'none'; script-src {self.desk}; connect-src {self.desk} {socket}"
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Vases</title>'
        text = f'{head}<h1>Vases</h1><script src="{self.desk}/chat/widget.js" async></script>'
        headers = {"Content-Security-Policy": f"{policy}; require-trusted-types-for 'script'"}
        return web.Response(text=text, content_type="text/html", headers=headers)


@pytest.fixture
async def shop_site() -> AsyncIterator[ShopSite]:
    site = ShopSite()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.show)
    async with TestServer(app) as server:
        site.origin = str(server.make_url("")).rstrip("/")
        yield site


@pytest.fixture
async def desk(
    peopled_template: tuple[Path, dict[str, int]], tmp_path: Path, shop_site: ShopSite
) -> AsyncIterator[RunningDesk]:
    """In the place of the desk without a chat."""

    def fit(parts: DeskParts) -> DeskParts:
        files = AttachmentFiles(tmp_path / "attachments")
        inbox = Inbox(parts.database, files)
        chat = ChatParts(
            hub=ChatHub(
                parts.database, inbox.receive, parts.bus, Topics(parts.database, parts.bus)
            ),
            leaving=Leaving(parts.database, letter_words),
            proof=Proof(parts.database, letter_words),
            files=files,
            sites=frozenset({SITE, shop_site.origin}),
            demo_shop=True,
        )
        return replace(parts, chat=chat)

    async with running_desk(peopled_template, tmp_path, fit) as running:
        shop_site.desk = str(running.url).rstrip("/")
        chat = chat_of(running)
        at_work = asyncio.create_task(chat.hub.run())
        yield running
        at_work.cancel()
        await asyncio.gather(at_work, return_exceptions=True)
        chat.hub.close()
        chat.files.close()


def chat_of(desk: RunningDesk) -> ChatParts:
    assert desk.parts.chat is not None
    return desk.parts.chat


async def reply(desk: RunningDesk, conversation_id: int, text: str, author: str = "lin") -> int:
    async with desk.database.transaction() as transaction:
        return await answer(transaction, conversation_id, author=author, text=text)


@dataclass
class ChatPage:
    """A visitor's page, without a browser."""

    desk: RunningDesk
    http: aiohttp.ClientSession
    token: str = ""
    socket: aiohttp.ClientWebSocketResponse | None = None

    async def begin(self, **told: Any) -> int:
        """Start a chat; the answer's status."""
        wish = {"consent": True, "topic": "sales", "language": "en", **told}
        async with self.http.post(
            "/chat/sessions", json=wish, headers={"Origin": SITE}
        ) as response:
            answered = await response.json()
            self.token = answered.get("token", self.token)
            return response.status

    async def connect(self, origin: str = SITE, token: str | None = None) -> dict[str, Any]:
        """Open the socket; what it is welcomed with."""
        self.socket = await self.http.ws_connect("/chat/socket", headers={"Origin": origin})
        page = {"address": f"{SITE}/vase?secret=1", "title": "Vase"}
        await self.say(hello=self.token if token is None else token, page=page)
        return await self.next("welcome")

    async def say(self, **wish: Any) -> None:
        assert self.socket is not None
        await self.socket.send_json(wish)

    async def next(self, key: str) -> dict[str, Any]:
        """The next frame that has that key; {"close": code} if the connection is closed first."""
        assert self.socket is not None
        async for message in self.socket:
            frame: dict[str, Any] = json.loads(message.data)
            if key in frame:
                return frame
        return {"close": self.socket.close_code}

    async def write(self, text: str, key: str = "k1") -> dict[str, Any]:
        """Say something, and wait until it is kept."""
        await self.say(say=text, key=key)
        return await self.next("kept")

    async def fetch(self, file_id: int, token: str | None = None) -> tuple[int, bytes, str]:
        """A file: the status, its bytes and how it is to be taken."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        async with self.http.get(f"/chat/files/{file_id}", headers=headers) as response:
            return (
                response.status,
                await response.read(),
                response.headers.get("Content-Disposition", ""),
            )

    async def upload(
        self, name: str, content: bytes, key: str = "f1", origin: str = SITE
    ) -> tuple[int, dict[str, Any]]:
        headers = {
            "Origin": origin,
            "Authorization": f"Bearer {self.token}",
            "X-File-Name": name,
            "X-Key": key,
            "Content-Type": "application/octet-stream",
        }
        async with self.http.post("/chat/files", data=content, headers=headers) as response:
            return response.status, await response.json()

    async def conversation(self) -> int:
        session = await chat_sessions.of_token(self.desk.database, self.token)
        assert session is not None
        assert session.conversation_id is not None
        return session.conversation_id


@pytest.fixture
async def page(desk: RunningDesk) -> AsyncIterator[ChatPage]:
    async with aiohttp.ClientSession(base_url=desk.url) as http:
        yield ChatPage(desk, http)


@pytest.fixture
async def other_page(desk: RunningDesk) -> AsyncIterator[ChatPage]:
    async with aiohttp.ClientSession(base_url=desk.url) as http:
        yield ChatPage(desk, http)
