"""The telephone network for demos and tests: real SIP calls by SIPp, callers and agents' phones.

Owns what a caller, a called subscriber and an agent's phone do, and the record of what happened to
each call. Refuses to know Asterisk's inside: all it has is a SIP address, accounts, and the
address that the PBX takes for the network (its trunk).

SIPp plays one scenario a process; every verb is steered from here while the call lives, so a test
waits for conditions, never for time.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from cti.pbx.asterisk_program import default_cache
from cti.telephone_network.audio import AudioPeer
from cti.telephone_network.call import FAILURES, CallReport, SipCall, Step, sip_user
from cti.telephone_network.phone import PHONE_TONE, SipPhone
from cti.telephone_network.sipp import (
    SipMessage,
    Sipp,
    SippFailed,
    SippProgram,
    find_sipp,
    render_scenario,
)

__all__ = ["PHONE_TONE", "CallReport", "SipCall", "SipNetwork", "SipPhone", "SippFailed", "Step"]

CALLER_TONE = 440


def _party(name: str, user: str, host: str) -> str:
    """A From header with a display name, which may be hostile but is one line."""
    if re.search(r"[\r\n\x00]", name):
        raise ValueError("a caller's name cannot have line ends or NUL in it")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    display = f'"{quoted}" ' if name else ""
    return f"{display}<sip:{user}@{host}>"


class SipNetwork:
    """Callers, subscribers and phones around one PBX. Ends all of them when the block is left.

    `pbx` is the PBX's SIP address and port; `trunk_address` the address that it takes for the
    network, `trunk_port` where it sends outbound calls.
    """

    def __init__(
        self,
        pbx: tuple[str, int],
        trunk_address: str = "127.0.0.2",
        trunk_port: int = 0,
        *,
        phone_address: str = "127.0.0.1",
        cache: Path | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.pbx = pbx
        self.trunk_address = trunk_address
        self.trunk_port = trunk_port
        self.phone_address = phone_address
        self._cache = cache or default_cache()
        self._progress = progress
        self._program: SippProgram | None = None
        self._folder: Path | None = None
        self._phones: list[SipPhone] = []
        self._sipps: list[Sipp] = []
        self._calls: list[SipCall] = []

    async def __aenter__(self) -> Self:
        self._program = await asyncio.to_thread(find_sipp, self._cache, self._progress)
        self._folder = Path(tempfile.mkdtemp(prefix="deskbell-sip-"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.clear()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def clear(self) -> None:
        """Hang up every call and take every phone away."""
        live = [call for call in self._calls if call.state != "ended"]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                await asyncio.gather(
                    *(call.hang_up() for call in live if call.call_id), return_exceptions=True
                )
        await asyncio.gather(*(phone.close() for phone in self._phones))
        await asyncio.gather(*(sipp.kill() for sipp in self._sipps))
        for call in self._calls:
            call.over(time.monotonic(), "")
        self._phones.clear()
        self._sipps.clear()
        self._calls.clear()

    @property
    def folder(self) -> Path:
        """A private folder for SIPp's files; it goes when the block is left."""
        assert self._folder is not None, "use `async with SipNetwork(...)`"
        return self._folder

    def sipp(self, address: str) -> Sipp:
        """A SIPp of this network on `address`, not started yet."""
        assert self._program is not None, "use `async with SipNetwork(...)`"
        sipp = Sipp(self._program, self.folder, address, self.pbx)
        self._sipps.append(sipp)
        return sipp

    async def phone(
        self,
        extension: str,
        secret: str,
        *,
        answer_after: float | None = None,
        refuse_with: int | None = None,
        hang_up_after: float | None = None,
    ) -> SipPhone:
        """An agent's phone, registered. Raises SippFailed when the PBX refuses it."""
        phone = SipPhone(self, extension, secret, self.phone_address)
        phone.answer_after = answer_after
        phone.refuse_with = refuse_with
        phone.hang_up_after = hang_up_after
        self._phones.append(phone)
        await phone.start()
        await phone.register()
        return phone

    async def register(
        self, extension: str, secret: str, port: int, *, address: str = "", expires: int = 3_600
    ) -> None:
        """Tell the PBX that `extension` is reached at `port` of `address` (the phones' address).

        Raises SippFailed with the PBX's answer when it refuses.
        """
        address = address or self.phone_address
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        challenges: list[SipMessage] = []

        def hear(message: SipMessage) -> None:
            if message.sent or message.code < 200 or done.done():
                return
            if message.code == 401 and not challenges:
                challenges.append(message)
            else:
                done.set_result(message.code)

        values: dict[str, object] = {
            "user": sip_user(extension),
            "secret": secret,
            "contact": f"{address}:{port}",
            "expires": expires,
        }
        registrar = self.sipp(address)
        await registrar.start(render_scenario("register", values), hear, arguments=["-m", "1"])
        try:
            code = await asyncio.wait_for(done, 10)
        except TimeoutError:
            raise SippFailed(
                f"phone {extension} got no answer to its registration: {registrar.complaints()}"
            ) from None
        finally:
            await registrar.kill()
        if code != 200:
            raise SippFailed(f"the PBX refused phone {extension}'s registration ({code})")

    async def subscriber(self, *, answer_after: float | None = 0.0) -> SipPhone:
        """Whoever is called out there: all outbound calls of the PBX ring here."""
        phone = SipPhone(self, "subscriber", "", self.trunk_address)
        phone.answer_after = answer_after
        self._phones.append(phone)
        await phone.start(self.trunk_port, CALLER_TONE)
        return phone

    async def call(
        self,
        caller: str,
        callee: str,
        *,
        name: str = "",
        secret: str = "",
        tone: int = CALLER_TONE,
        headers: tuple[str, ...] = (),
    ) -> SipCall:
        """Begin a call and return at once. From the network, or with `secret` from a phone.

        `caller` "anonymous" withholds the number. `name` may hold anything but line ends and NUL;
        surrogate escapes go out as the raw bytes they stand for.
        """
        address = self.phone_address if secret else self.trunk_address
        host = "anonymous.invalid" if caller == "anonymous" else address
        audio = await AudioPeer.open(address, tone)
        sipp = self.sipp(address)
        call = SipCall(sipp, audio, caller, callee, outgoing=True)
        self._calls.append(call)
        for header in headers:
            if re.search(r"[\r\n\x00\[]|\]\]>", header):
                raise ValueError(f"{header!r} cannot be a SIP header here")
        scenario = render_scenario(
            "caller",
            {
                "to": sip_user(callee),
                "user": sip_user(caller),
                "secret": secret,
                "extra_headers": "".join(f"{header}\n" for header in headers),
                "failures": FAILURES,
                "codecs": "0",
                "media_address": address,
                "media_port": audio.port,
            },
        )

        def hear(message: SipMessage) -> None:
            call.call_id = call.call_id or message.call_id
            call.hear(message)

        # As a keyword, because SIPp reads marks of its own in a scenario's text.
        arguments = ["-m", "1", "-key", "calling_party", _party(name, sip_user(caller), host)]
        await sipp.start(scenario, hear, arguments=arguments)
        try:
            await call.wait_until(lambda: call.invited_at is not None, 10)
        except TimeoutError:
            raise SippFailed(f"SIPp placed no call: {sipp.complaints()}") from None
        return call

    async def place_call(
        self,
        caller: str,
        callee: str,
        *,
        press: str = "",
        hold_seconds: float | None = 5.0,
        cancel_after: float | None = None,
        name: str = "",
        within: float = 600.0,
    ) -> CallReport:
        """A whole call: `press` keys after the answer, talk `hold_seconds`, hang up.

        `hold_seconds` None: until the other side hangs up. `cancel_after`: give up when it is not
        answered by then, in seconds.
        """
        call = await self.call(caller, callee, name=name)
        with contextlib.suppress(ConnectionError):
            try:
                await call.wait("answered", within if cancel_after is None else cancel_after)
            except TimeoutError:
                await call.hang_up()
                return call.report()
            if press:
                await call.press(press)
            with contextlib.suppress(TimeoutError):
                await call.wait("ended", within if hold_seconds is None else hold_seconds)
            await call.hang_up()
        return call.report()
