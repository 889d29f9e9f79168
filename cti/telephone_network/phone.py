"""A phone played by SIPp: it registers, rings, and does what it is told with each call.

Owns what an agent's phone, or a subscriber of the network, does by itself and on command. Refuses
to know the PBX beyond its SIP address.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING

from cti.telephone_network.audio import AudioPeer
from cti.telephone_network.call import FAILURES, SipCall, sip_user
from cti.telephone_network.sipp import SipMessage, render_scenario

if TYPE_CHECKING:
    from cti.telephone_network.network import SipNetwork

PHONE_TONE = 660
DECLINES = {
    302: "302 Moved Temporarily",
    480: "480 Temporarily Unavailable",
    486: "486 Busy Here",
    500: "500 Server Internal Error",
    603: "603 Decline",
}


class SipPhone:
    """A phone that is called: an agent's, registered, or a subscriber of the network.

    It rings at once, then does what `answer_after` (seconds, None: ring on), `refuse_with` (a SIP
    code) and `hang_up_after` (seconds after the answer) say; change them at any time. `calls` are
    all calls so far, latest last.
    """

    def __init__(self, network: SipNetwork, user: str, secret: str, address: str) -> None:
        self.user = user
        self.calls: list[SipCall] = []
        self.answer_after: float | None = None
        self.refuse_with: int | None = None
        self.forward_to = ""
        self.hang_up_after: float | None = None
        self.busy_while_talking = True
        self._network = network
        self._secret = secret
        self._address = address
        self._sipp = network.sipp(address)
        self._by_id: dict[str, SipCall] = {}
        self._new_call = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._audio: AudioPeer | None = None

    @property
    def port(self) -> int:
        return self._sipp.port

    async def start(self, port: int = 0, tone: int = PHONE_TONE) -> None:
        """Be there to be called (not registered yet)."""
        self._audio = await AudioPeer.open(self._address, tone)
        scenario = render_scenario(
            "phone",
            {
                "user": sip_user(self.user),
                "media_address": self._address,
                "media_port": self._audio.port,
                "codecs": "0",
                "failures": FAILURES,
                "declines": tuple(DECLINES.values()),
            },
        )
        await self._sipp.start(scenario, self._hear, port)

    async def register(self, expires: int = 3_600) -> None:
        """Register at the PBX. Raises SippFailed with the PBX's answer when it refuses."""
        await self._network.register(
            self.user, self._secret, self.port, address=self._address, expires=expires
        )

    async def unregister(self) -> None:
        await self.register(expires=0)

    async def next_call(self, within: float = 30.0) -> SipCall:
        """The next call that rings here, or one that rings already."""
        async with asyncio.timeout(within):
            while True:
                for call in self.calls:
                    if call.state in ("calling", "ringing"):
                        return await call.wait("ringing")
                self._new_call.clear()
                await self._new_call.wait()

    async def answer(self, call: SipCall | None = None) -> SipCall:
        """Answer `call`, or the one that rings next; returns when it is answered."""
        call = call or await self.next_call()
        await call.decide(200)
        return await call.wait("answered")

    async def refuse(self, call: SipCall | None = None, code: int = 486, to: str = "") -> SipCall:
        """Refuse with 486, 603, 480, 500, or 302 (moved to extension `to`)."""
        if code not in DECLINES:
            raise ValueError(f"a phone cannot refuse with {code}, only with {sorted(DECLINES)}")
        call = call or await self.next_call()
        host, port = self._sipp.remote
        await call.decide(code, f"<sip:{sip_user(to)}@{host}:{port}>" if to else "")
        return await call.wait("ended")

    async def dial(self, to: str) -> SipCall:
        """Call `to` from this phone, on another line; returns at once."""
        return await self._network.call(self.user, to, secret=self._secret, tone=PHONE_TONE)

    async def vanish(self) -> None:
        """Die as a phone does that loses its power: no BYE, no unregistering."""
        await self._stop()

    async def close(self) -> None:
        """Hang up what is answered, refuse what rings, and go."""
        for call in self.calls:
            with contextlib.suppress(TimeoutError, ConnectionError):
                if call.state == "answered":
                    await asyncio.wait_for(call.hang_up(), 2)
                elif call.state in ("calling", "ringing"):
                    await asyncio.wait_for(self.refuse(call, 480), 2)
        await self._stop()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sipp.kill()
        for call in self.calls:
            call.over(time.monotonic(), "")
        if self._audio:
            self._audio.close()

    def _hear(self, message: SipMessage) -> None:
        call = self._by_id.get(message.call_id)
        if call is None:
            if message.method != "INVITE" or message.sent:
                return
            assert self._audio is not None
            caller = re.search(r"sip:([^@>]*)@", message.header("From"))
            call = SipCall(
                self._sipp, self._audio, caller[1] if caller else "", self.user, outgoing=False
            )
            call.call_id = message.call_id
            self._by_id[message.call_id] = call
            self.calls.append(call)
            self._new_call.set()
        was = call.state
        call.hear(message)
        if was != "ringing" and call.state == "ringing":
            self._spawn(self._behave(call))
        if was != "answered" and call.state == "answered" and self.hang_up_after is not None:
            self._spawn(self._hang_up_later(call, self.hang_up_after))

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _behave(self, call: SipCall) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            others = [one for one in self.calls if one is not call and one.state == "answered"]
            if others and self.busy_while_talking:
                await self.refuse(call, 486)
            elif self.refuse_with is not None:
                await self.refuse(call, self.refuse_with, self.forward_to)
            elif self.answer_after is not None:
                await asyncio.sleep(self.answer_after)
                if call.state == "ringing":
                    await self.answer(call)

    @staticmethod
    async def _hang_up_later(call: SipCall, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await call.hang_up()
