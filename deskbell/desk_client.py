"""A desk's client for the terminal: signs in over HTTP and follows the push.

Owns the connection: sign-in, subscribing, resync after a gap, connecting again. What the frames
add up to is agent_desk.live.push_state's; showing it is watch.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import websockets

from agent_desk.live.push_state import PushState
from deskbell.failure import CommandFailed

CLOSE_SESSION_OVER = 4401
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
HTTP_SECONDS = 10.0

OnFrame = Callable[[dict[str, Any]], bool]
"""Hears a frame; True means that this was enough."""


class DeskUnreachable(Exception):
    """Nobody answers at the desk's address; the text says why."""


class DeskClient:
    """One signed-in person's view of a running desk.

    `state` is what all frames so far add up to. `connected` is False while it is being reached
    again, `cause` then says why.
    """

    def __init__(self, url: str, login: str, password: str) -> None:
        self.url = url.rstrip("/")
        self.state = PushState()
        self.connected = False
        self.cause = ""
        self._login = login
        self._password = password
        self._cookie = ""

    async def sign_in(self) -> None:
        """Raises CommandFailed if the desk refuses, DeskUnreachable if nobody answers."""
        wish = {"login": self._login, "password": self._password}
        timeout = aiohttp.ClientTimeout(total=HTTP_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(f"{self.url}/api/sign-in", json=wish) as answer,
            ):
                if answer.status != 200:
                    raise CommandFailed(f"{self.url} refused {self._login}: {await _said(answer)}")
                jar = SimpleCookie()
                for header in answer.headers.getall("Set-Cookie", []):
                    jar.load(header)
                self._cookie = "; ".join(f"{m.key}={m.value}" for m in jar.values() if m.value)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise DeskUnreachable(f"{self.url} does not answer: {_why(error)}") from None

    async def follow(
        self, topics: Sequence[str], on_frame: OnFrame, *, reconnect: bool = True
    ) -> None:
        """Give every frame of `topics`, applied to `state` first, to `on_frame` until it says True.

        A lost connection is made again for ever; with `reconnect` False it raises DeskUnreachable.
        Raises CommandFailed when the desk refuses.
        """
        wait_s = FIRST_WAIT_SECONDS
        while True:
            try:
                if not self._cookie:
                    await self.sign_in()
                if await self._one_connection(topics, on_frame):
                    return
            except (OSError, websockets.WebSocketException, DeskUnreachable, TimeoutError) as error:
                if self.connected:
                    wait_s = FIRST_WAIT_SECONDS
                self.connected = False
                self.cause = _why(error)
                if not reconnect:
                    raise DeskUnreachable(f"{self.url}/push: {self.cause}") from None
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_SECONDS)

    async def _one_connection(self, topics: Sequence[str], on_frame: OnFrame) -> bool:
        parts = urlsplit(self.url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        address = f"{scheme}://{parts.netloc}{parts.path}/push"
        try:
            async with websockets.connect(
                address,
                additional_headers={"Cookie": self._cookie},
                compression=None,
                proxy=None,
                max_size=None,
            ) as socket:
                self.connected, self.cause = True, ""
                await socket.send(orjson.dumps({"subscribe": list(topics)}).decode())
                while True:
                    frame: dict[str, Any] = orjson.loads(await socket.recv())
                    if "error" in frame:
                        raise CommandFailed(f"{self.url}/push: {frame['error']}")
                    gap = self.state.apply(frame)
                    if gap:
                        await socket.send(orjson.dumps({"resync": gap}).decode())
                    elif on_frame(frame):
                        return True
        except websockets.InvalidStatus as refusal:
            if refusal.response.status_code in (401, 403):
                self._cookie = ""
            raise
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == CLOSE_SESSION_OVER:
                self._cookie = ""
            raise


async def _said(answer: aiohttp.ClientResponse) -> str:
    try:
        return str(orjson.loads(await answer.read())["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status}; is this a Deskbell?"


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
