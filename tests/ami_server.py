"""A scripted AMI server on a real socket, for the faults a real Asterisk cannot be told to make.

Owns one listening port and the connections to it; answers log in and ping as Asterisk does unless
told otherwise, writes down every action it is sent, and lets a test say, cut and stop the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

Action = dict[str, str]
Answer = Callable[[Action], bytes | None]

BANNER = b"Asterisk Call Manager/11.0.0\r\n"


def block(*headers: tuple[str, str] | str) -> bytes:
    """One AMI message from (name, value) pairs or whole lines."""
    lines = [header if isinstance(header, str) else ": ".join(header) for header in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def event(name: str, **headers: str) -> bytes:
    return block(("Event", name), *headers.items())


def success(action: Action, message: str = "", **headers: str) -> bytes:
    return _response("Success", action, message, headers)


def error(action: Action, message: str = "") -> bytes:
    return _response("Error", action, message, {})


def _response(kind: str, action: Action, message: str, headers: dict[str, str]) -> bytes:
    said = {"ActionID": action["ActionID"], **headers} if "ActionID" in action else headers
    return block(("Response", kind), *said.items(), *([("Message", message)] if message else []))


def event_list(action: Action, name: str, items: list[dict[str, str]]) -> bytes:
    """A list as Asterisk answers it: the start, one event an item, and the end."""
    start = success(action, f"{name} list will follow", EventList="start")
    said = {"ActionID": action["ActionID"]}
    events = b"".join(event(name, **said, **item) for item in items)
    end = event(f"{name}Complete", **said, EventList="Complete", ListItems=str(len(items)))
    return start + events + end


class AmiServer:
    """`async with AmiServer() as server`, then `server.port`.

    `answers[action name in lower case]` makes the bytes to answer with; None keeps silent. Actions
    without one are kept silent too, but for login and ping. `fully_booted` is what follows a login.
    `actions` are those received on all connections, oldest first; `heard` are the same for each
    connection by itself.
    """

    def __init__(self, *, fully_booted: bool = True, silent: bool = False) -> None:
        self.fully_booted = fully_booted
        self.silent = silent
        self.refuse = ""
        self.answers: dict[str, Answer] = {}
        self.actions: list[Action] = []
        self.heard: list[list[Action]] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return len(self.heard)

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection and accept no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Cut every connection without a word."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def say(self, data: bytes) -> None:
        """Write to the newest connection."""
        self._writers[-1].write(data)
        await self._writers[-1].drain()

    def named(self, name: str) -> list[Action]:
        """The actions of one name received so far."""
        return [action for action in self.actions if action["Action"].lower() == name.lower()]

    async def received(self, name: str, count: int = 1) -> list[Action]:
        """Wait until `count` actions of one name have come; they are returned."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.named(name)) >= count)
        return self.named(name)

    async def connected(self, count: int) -> None:
        """Wait for the `count`-th connection."""
        async with self._news:
            await self._news.wait_for(lambda: self.connections >= count)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        heard: list[Action] = []
        self._writers.append(writer)
        writer.write(BANNER)
        async with self._news:
            self.heard.append(heard)
            self._news.notify_all()
        try:
            while True:
                text = (await reader.readuntil(b"\r\n\r\n")).decode()
                action: Action = {}
                for line in text.strip().split("\r\n"):
                    name, _, value = line.partition(": ")
                    action[name] = f"{action[name]}\n{value}" if name in action else value
                self.actions.append(action)
                heard.append(action)
                writer.write(self._answer(action))
                async with self._news:
                    self._news.notify_all()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    def _answer(self, action: Action) -> bytes:
        name = action["Action"].lower()
        if name in self.answers:
            return self.answers[name](action) or b""
        if self.silent:
            return b""
        if name == "login":
            if self.refuse:
                return error(action, self.refuse)
            booted = event("FullyBooted", Privilege="system,all", Status="Fully Booted")
            return success(action, "Authentication accepted") + (booted * self.fully_booted)
        if name == "ping":
            return success(action, Ping="Pong", Timestamp="1700000000.000000")
        return b""
