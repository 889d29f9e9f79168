"""The stage on which call shapes are played: a real Asterisk, SIPp around it, and AMI recorders.

Owns what every shape needs: phones, callers, AMI actions, waiting for an event, and the bytes that
two AMI users read meanwhile: one without any filter, as on other people's PBXs, and Deskbell's own.
Refuses to know any one shape and what the call model makes of it.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, Self

from crm_store.bus import Bus
from cti.ami.framing import AmiFramer
from cti.pbx.embedded import EmbeddedPbx
from cti.switchboard import AmiAddress, Switchboard
from cti.telephone_network.network import SipCall, SipNetwork, SipPhone

Message = dict[str, str]

RECORDER = "recorder"
RECORDER_SECRET = token_hex(16)
QUIET_SECONDS = 0.25
LISTS = {"CoreShowChannels": "channels", "QueueStatus": "queues", "ParkedCalls": "parked"}


class Ear:
    """One AMI connection that keeps every byte it reads, and lets one wait for events in them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.data = bytearray()
        self.messages: list[Message] = []
        self.changed = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._framer = AmiFramer()
        self._actions = 0
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, pbx: EmbeddedPbx, user: str, secret: str, events: str = "on") -> Self:
        ear = cls(*await asyncio.open_connection(pbx.ami_host, pbx.ami_port))
        ear.send("Login", Username=user, Secret=secret, Events=events)
        await ear.until(lambda message: message.get("Response") == "Success")
        if events != "off":
            await ear.until(lambda message: message.get("Event") == "FullyBooted")
        return ear

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()

    def send(self, action: str, **headers: Any) -> str:
        self._actions += 1
        lines = [f"Action: {action}", f"ActionID: {action}-{self._actions}"]
        for name, value in headers.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"{name}: {one}" for one in values]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        return f"{action}-{self._actions}"

    async def until(
        self, wanted: Callable[[Message], bool], start: int = 0, within: float = 20.0
    ) -> Message:
        """The first message from index `start` on for which `wanted` holds."""
        async with asyncio.timeout(within):
            position = start
            while True:
                while position < len(self.messages):
                    position += 1
                    if wanted(self.messages[position - 1]):
                        return self.messages[position - 1]
                self.changed.clear()
                await self.changed.wait()

    async def quiet(self, seconds: float = QUIET_SECONDS) -> None:
        """Return when nothing has come for so long."""
        while True:
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), seconds)
            except TimeoutError:
                return

    async def answer(self, action: str, **headers: Any) -> list[Message]:
        """All messages that answer an action; a list's events included."""
        start = len(self.messages)
        action_id = self.send(action, **headers)

        def mine(message: Message) -> bool:
            return message.get("ActionID") == action_id

        response = await self.until(mine, start)
        if response.get("EventList") == "start":
            await self.until(lambda m: mine(m) and m.get("EventList") == "Complete", start)
        return [message for message in self.messages[start:] if mine(message)]

    async def _read(self) -> None:
        while data := await self._reader.read(1 << 16):
            self.data += data
            self.messages += self._framer.feed(data)
            self.changed.set()


class Relay:
    """A way to the AMI that can be cut and closed, as a network does."""

    def __init__(self, pbx: EmbeddedPbx) -> None:
        self._pbx = pbx
        self._writers: list[asyncio.StreamWriter] = []
        self._open = True

    async def start(self) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Drop the link, and let no new one through until `mend`."""
        self._open = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def mend(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._server.close()
        self.cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        to_pbx = await asyncio.open_connection(self._pbx.ami_host, self._pbx.ami_port)
        self._writers += [writer, to_pbx[1]]
        await asyncio.gather(
            self._copy(reader, to_pbx[1]), self._copy(to_pbx[0], writer), return_exceptions=True
        )

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()


class Stage:
    """One PBX while shapes are played on it, one after the other."""

    def __init__(self, pbx: EmbeddedPbx, network: SipNetwork, hand: Ear, folder: Path) -> None:
        self.pbx = pbx
        self.network = network
        self.folder = folder
        self.lists: list[dict[str, Any]] = []
        self._hand = hand
        self._added: list[tuple[str, str]] = []
        self._linked: io.BytesIO | None = None
        self._everything: Ear
        self._own: Ear

    @property
    def has_own_user(self) -> bool:
        return "deskbell" in (self.pbx.folder / "etc/manager.conf").read_text()

    async def record(self, name: str, play: Callable[[Stage], Any]) -> None:
        """Play one shape and keep what was heard as `<name>.*` in the folder of recordings."""
        queue_log = self.pbx.folder / "log/queue_log"
        before = len(queue_log.read_text()) if queue_log.exists() else 0
        self.lists = []
        self._everything = await Ear.open(self.pbx, RECORDER, RECORDER_SECRET)
        self._own = self._everything
        if self.has_own_user:
            self._own = await Ear.open(self.pbx, self.pbx.ami_user, self.pbx.ami_secret)
        try:
            await play(self)
            await self.no_channels()
            await self._everything.quiet()
        finally:
            await self.clean()
            await self._everything.close()
            await self._own.close()
        log = queue_log.read_text()[before:] if queue_log.exists() else ""
        (self.folder / f"{name}.queue_log").write_text(log)
        if self._linked is not None:
            (self.folder / f"{name}.own.ami").write_bytes(self._linked.getvalue())
            self._linked = None
            return
        (self.folder / f"{name}.ami").write_bytes(self._everything.data)
        if self.has_own_user:
            (self.folder / f"{name}.own.ami").write_bytes(self._own.data)
        lists = self.folder / f"{name}.lists.json"
        lists.unlink(missing_ok=True)
        if self.lists:
            lists.write_text(json.dumps(self.lists, indent=1) + "\n")

    @asynccontextmanager
    async def live_link(self) -> AsyncIterator[tuple[Switchboard, Relay]]:
        """A real switchboard behind a relay; what its link reads becomes the recording."""
        relay = Relay(self.pbx)
        self._linked = io.BytesIO()
        address = AmiAddress(
            host="127.0.0.1",
            port=await relay.start(),
            user=self.pbx.ami_user,
            secret=self.pbx.ami_secret,
        )
        switchboard = Switchboard("pbx", address, Bus(), record=self._linked)
        await switchboard.start()
        await switchboard.link.wait_up()
        try:
            yield switchboard, relay
            await self.no_channels()
            await self._everything.quiet()
        finally:
            await switchboard.close()
            await relay.close()

    async def clean(self) -> None:
        await self.network.clear()
        for queue, interface in self._added:
            await self.action("QueueRemove", Queue=queue, Interface=interface)
        self._added.clear()
        await self.no_channels(hang_up=True)

    async def no_channels(self, hang_up: bool = False) -> None:
        async with asyncio.timeout(40):
            while True:
                rows = await self._hand.answer("CoreShowChannels")
                names = [row["Channel"] for row in rows if "Channel" in row]
                if not names:
                    return
                for name in names if hang_up else ():
                    await self._hand.answer("Hangup", Channel=name)
                await asyncio.sleep(0.05)

    async def action(self, name: str, **headers: Any) -> list[Message]:
        """An AMI action by a third user, who hears no events: nothing of it is in the streams."""
        return await self._hand.answer(name, **headers)

    async def join(self, queue: str, extension: str, penalty: int = 0) -> None:
        names = {phone.extension: phone.agent_name for phone in self.pbx.configuration.phones}
        interface = f"PJSIP/{extension}"
        await self.action(
            "QueueAdd",
            Queue=queue,
            Interface=interface,
            StateInterface=interface,
            MemberName=names.get(extension, extension),
            Penalty=penalty,
        )
        self._added.append((queue, interface))

    async def phone(self, extension: str, **behaviour: Any) -> SipPhone:
        return await self.network.phone(*self.pbx.phone_account(extension), **behaviour)

    async def call(self, to: str, caller: str = "+8613800138000", **options: Any) -> SipCall:
        return await self.network.call(caller, to, **options)

    async def heard(self, event: str, **headers: str) -> Message:
        """Wait for an event with these headers, since the shape began."""

        def wanted(message: Message) -> bool:
            return message.get("Event") == event and all(
                message.get(name) == value for name, value in headers.items()
            )

        return await self._everything.until(wanted)

    async def talking(self, legs: int) -> None:
        """Wait until so many phones are in bridges with somebody else."""

        async def bridged() -> int:
            rows = [
                row for row in await self._hand.answer("CoreShowChannels") if row.get("BridgeId")
            ]
            bridges = [row["BridgeId"] for row in rows]
            real = [row for row in rows if not row["Channel"].startswith("Local/")]
            return sum(bridges.count(row["BridgeId"]) > 1 for row in real)

        async with asyncio.timeout(20):
            while await bridged() < legs:  # noqa: ASYNC110 - Asterisk has no event for it
                await asyncio.sleep(0.03)
        await self._everything.quiet(0.1)

    async def channel(self, endpoint: str) -> str:
        """The name of the channel that `endpoint` ("PJSIP/1001") has now, the latest one."""
        rows = await self._hand.answer("CoreShowChannels")
        names = [row["Channel"] for row in rows if "Channel" in row]
        return max(name for name in names if name.startswith(endpoint + "-"))

    async def see(self, moment: str) -> None:
        """Keep Asterisk's own lists as they are now, with the place in both streams."""
        await self._everything.quiet()
        answers: dict[str, list[Message]] = {}
        for action, name in LISTS.items():
            rows = await self._hand.answer(action)
            answers[name] = [row for row in rows if "Event" in row]
        place = {"everything": len(self._everything.data), "own": len(self._own.data)}
        self.lists.append({"moment": moment, **place, **answers})
