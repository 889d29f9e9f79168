"""Who chats on the demo's sample shop page, without a browser; and what their telephone shows."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from deskbell.running_demo import Demo

LONGEST_WAIT_S = 30.0


@dataclass
class ShopVisitor:
    """A chat that has begun."""

    socket: aiohttp.ClientWebSocketResponse

    async def write(self, text: str) -> None:
        """Say something; the desk has kept it when this returns."""
        await self.ask("kept", say=text, key=secrets.token_hex(12))

    async def ask(self, answer: str, **wish: Any) -> Any:
        """Say that to the desk; what the next frame of that name says."""
        await self.socket.send_json(wish)
        async for message in self.socket:
            frame = json.loads(message.data)
            assert not {"refused", "error"} & frame.keys(), frame
            if answer in frame:
                return frame[answer]
        raise AssertionError(f"closed with {self.socket.close_code} before it said {answer}")


@asynccontextmanager
async def shop_visitor(demo: Demo) -> AsyncIterator[ShopVisitor]:
    """Open the sample shop page, and begin a chat as its one line of script would."""
    async with aiohttp.ClientSession(demo.url, headers={"Origin": demo.url}) as http:
        async with http.get("/demo/shop") as page:
            assert page.status == 200
            assert "/chat/widget.js" in await page.text()
        async with http.get("/chat/opening", params={"language": "en"}) as opening:
            topics = (await opening.json())["topics"]
        wish = {"consent": True, "topic": topics[0]["code"], "language": "en"}
        async with http.post("/chat/sessions", json=wish) as begun:
            assert begun.status == 200, await begun.text()
            token = (await begun.json())["token"]
        async with http.ws_connect("/chat/socket") as socket:
            visitor = ShopVisitor(socket)
            page_seen = {"address": f"{demo.url}/demo/shop", "title": "Shop"}
            await visitor.ask("welcome", hello=token, page=page_seen)
            yield visitor


async def code_on_the_telephone(demo: Demo, place: int) -> str:
    """The six digits in the newest SMS to the customer at that place of the outside world's page,
    once there is one. Raises TimeoutError if none comes."""
    async with asyncio.timeout(LONGEST_WAIT_S), aiohttp.ClientSession(demo.outside_url) as http:
        while True:
            async with http.get(f"/customers/{place}") as answer:
                messages = (await answer.json())["sms"]
            for message in reversed(messages):
                found = re.search(r"\b\d{6}\b", message["text"])
                if found and not message["mine"]:
                    return found[0]
            await asyncio.sleep(0.1)
