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
import itertools
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from cti.pbx import default_cache, free_port
from cti.sip_audio import AudioPeer, loudness_at
from cti.sipp import SipMessage, Sipp, SippFailed, SippProgram, find_sipp, render_scenario

__all__ = ["CallReport", "SipCall", "SipNetwork", "SipPhone", "SippFailed", "Step"]

CALLER_TONE = 440
PHONE_TONE = 660
FAILURES = (
    *(300, 301, 302, 400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 415, 420, 423, 480, 481),
    *(482, 483, 484, 485, 486, 487, 488, 489, 491, 500, 501, 502, 503, 504, 600, 603, 604, 606),
)
DECLINES = {
    302: "302 Moved Temporarily",
    480: "480 Temporarily Unavailable",
    486: "486 Busy Here",
    500: "500 Server Internal Error",
    603: "603 Decline",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a call. `at` is monotonic time in seconds."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """What happened to a call, seen from its caller. Seconds count from the INVITE.

    `code` and `reason` are the last SIP answer to the INVITE. `ended_by` is "us", "them" or ""
    (nobody: it never came about, or the phone died).
    """

    caller: str
    callee: str
    code: int
    reason: str
    ringing_after: float | None
    answered_after: float | None
    ended_after: float | None
    ended_by: str
    talked: float | None
    packets_sent: int
    packets_heard: int
    steps: tuple[tuple[float, str], ...]


@dataclass(eq=False)
class SipCall:
    """A call at one SIPp. Times are monotonic, None until it happened."""

    sipp: Sipp
    audio: AudioPeer
    caller: str
    callee: str
    outgoing: bool
    call_id: str = ""
    invited_at: float | None = None
    trying_at: float | None = None
    ringing_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    ended_by: str = ""
    code: int = 0
    reason: str = ""
    on_hold: bool = False
    transfer_answers: list[str] = field(default_factory=list)
    messages: list[SipMessage] = field(default_factory=list)
    invite: SipMessage | None = None
    _challenged: bool = False
    _tags: tuple[str, str] = ("", "")
    _sound_at: tuple[str, int] | None = None
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(101))
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def state(self) -> str:
        """calling, trying, ringing, answered or ended."""
        for name in ("ended", "answered", "ringing", "trying"):
            if getattr(self, f"{name}_at") is not None:
                return name
        return "calling"

    @property
    def steps(self) -> list[Step]:
        """What was sent and received so far."""
        return [
            Step(message.at, f"{'sent' if message.sent else 'received'} {message.first_line}")
            for message in self.messages
        ]

    async def wait(self, state: str, within: float = 30.0) -> Self:
        """Wait until the call is (or was) ringing, answered or ended.

        Raises TimeoutError, and ConnectionError when it ended before.
        """
        return await self.wait_until(lambda: getattr(self, f"{state}_at") is not None, within)

    async def wait_until(self, condition: Callable[[], bool], within: float = 30.0) -> Self:
        """Wait until `condition()` holds; it is asked after each SIP message."""
        async with asyncio.timeout(within):
            while not condition():
                if self.state == "ended":
                    story = "; ".join(f"{after} s {text}" for after, text in self.report().steps)
                    raise ConnectionError(f"the call ended: {story}")
                self._news.clear()
                await self._news.wait()
        return self

    async def hang_up(self) -> None:
        """End it: BYE when answered, CANCEL while it is being set up. Returns when it is over."""
        if self.state != "ended":
            with contextlib.suppress(ConnectionError):
                await self._steer("XBYE", lambda sent: sent.method in ("BYE", "CANCEL"))
                await self.wait("ended")

    async def press(self, digits: str) -> None:
        """Key `digits` as RFC 4733 tones; a comma is a second's pause."""
        await self.wait("answered")
        await self.audio.press(digits)

    async def hears(self, frequency: int, share: float = 0.8, within: float = 10.0) -> None:
        """Wait until `share` of 0.4 s of sound is a tone of `frequency` Hz. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while loudness_at(await self.audio.next_heard(0.4), frequency) < share:
                pass

    async def hold(self) -> None:
        """Put the other on hold (re-INVITE, sendonly)."""
        await self._renegotiate("XHOLD", True)

    async def resume(self) -> None:
        await self._renegotiate("XRESUME", False)

    async def transfer(self, target: str) -> None:
        """Blind transfer: REFER to extension `target`, and hang up when the PBX takes it.

        Raises ConnectionError with the PBX's answer when it refuses.
        """
        host, port = self.sipp.remote
        await self._refer(f"<sip:{_user(target)}@{host}:{port}>")

    async def transfer_to_call(self, other: SipCall) -> None:
        """Attended transfer: REFER with Replaces, joining this call's party to `other`'s.

        Both legs of this phone then end. While `other` still rings, it is a blonde transfer.
        Raises ConnectionError with the PBX's answer when it refuses.
        """
        host, port = self.sipp.remote
        theirs, ours = other._tags
        replaces = quote(f"{other.call_id};to-tag={theirs};from-tag={ours}", safe="")
        await self._refer(f"<sip:{_user(other.callee)}@{host}:{port}?Replaces={replaces}>")

    def report(self) -> CallReport:
        start = self.invited_at or 0.0

        def after(moment: float | None) -> float | None:
            return None if moment is None else round(moment - start, 3)

        talked = None
        if self.answered_at is not None and self.ended_at is not None:
            talked = round(self.ended_at - self.answered_at, 3)
        return CallReport(
            caller=self.caller,
            callee=self.callee,
            code=self.code,
            reason=self.reason,
            ringing_after=after(self.ringing_at),
            answered_after=after(self.answered_at),
            ended_after=after(self.ended_at),
            ended_by=self.ended_by,
            talked=talked,
            packets_sent=self.audio.packets_sent,
            packets_heard=self.audio.packets_heard,
            steps=tuple((round(step.at - start, 3), step.text) for step in self.steps),
        )

    async def _refer(self, target: str) -> None:
        await self.wait("answered")
        before = len(self.transfer_answers)
        await self._steer("XREFER", lambda sent: sent.method == "REFER", target)
        with contextlib.suppress(ConnectionError):  # a PBX may hang up before it tells
            await self.wait_until(lambda: len(self.transfer_answers) > before)
        answers = self.transfer_answers[before:]
        if answers and re.match(r"SIP/2\.0 [3-6]", answers[-1]):
            raise ConnectionError(f"the transfer was refused: {answers[-1]}")
        await self.hang_up()

    async def _renegotiate(self, request: str, on_hold: bool) -> None:
        await self.wait("answered")
        await self._steer(request, lambda sent: sent.method == "INVITE")
        await self.wait_until(lambda: self.on_hold is on_hold)

    async def decide(self, code: int, target: str = "") -> None:
        """Let a ringing phone answer (200) or refuse (see DECLINES)."""
        request = "XANSWER" if code == 200 else f"X{code}"
        await self._steer(request, lambda sent: sent.code == code, target)

    async def _steer(
        self, request: str, done: Callable[[SipMessage], bool], target: str = ""
    ) -> None:
        """Have the scenario branch; returns when SIPp has sent a message that is `done`.

        Asked again and again, because a scenario that is about to send something does not listen.
        """
        number, before = next(self._numbers), len(self.messages)

        def has_acted() -> bool:
            return any(message.sent and done(message) for message in self.messages[before:])

        async with asyncio.timeout(10):
            while not has_acted():
                self.sipp.steer(self.call_id, request, number, target)
                with contextlib.suppress(TimeoutError):
                    await self.wait_until(has_acted, 0.2)

    def hear(self, message: SipMessage) -> None:
        """Take one message of this call into the record."""
        if message.method.startswith("X"):
            return
        self.messages.append(message)
        if message.method:
            self._hear_request(message)
        else:
            self._hear_answer(message)
        if not message.sent and message.sound_at and message.sound_at[1]:
            self._sound_at = message.sound_at
        if self.state == "answered" and self._sound_at:
            self.audio.send_to(*self._sound_at)
        self._news.set()

    def over(self, at: float, by: str) -> None:
        """The call ended at `at`; the first word on it counts."""
        if self.ended_at is None:
            self.ended_at, self.ended_by = at, by
            if self.outgoing:
                self.audio.close()
            else:
                self.audio.stop_sending()  # the phone's next call speaks through it too
            self._news.set()

    def _hear_request(self, message: SipMessage) -> None:
        who = "us" if message.sent else "them"
        match message.method:
            case "INVITE" if self.invite is None or message.sent is not self.invite.sent:
                if self.invite is None:
                    self.invite, self.invited_at = message, message.at
            case "BYE":
                if not message.sent:
                    self.over(message.at, who)
                else:
                    self.ended_by = "us"
            case "CANCEL":
                self.ended_by = who
            case "NOTIFY" if not message.sent and "sipfrag" in message.header("Content-Type"):
                self.transfer_answers.append(message.text.rpartition("\r\n\r\n")[2].strip())

    def _hear_answer(self, message: SipMessage) -> None:
        asked, code = message.asked, message.code
        if asked == "BYE" and not message.sent and code >= 200:
            self.over(message.at, "us")
        elif asked == "REFER" and code >= 300:
            self.transfer_answers.append(message.first_line)
        elif asked == "INVITE" and self.answered_at is None:
            self._hear_invite_answer(message)
        elif asked == "INVITE" and not message.sent and code == 200:
            self.on_hold = bool(re.search(r"^a=(recvonly|inactive)", message.text, re.M))

    def _hear_invite_answer(self, message: SipMessage) -> None:
        code = message.code
        if code in (401, 407) and self.outgoing and not self._challenged:
            self._challenged = True
            return
        self.code, self.reason = code, message.first_line.split(" ", 2)[-1]
        ours, theirs = ("From", "To") if self.outgoing else ("To", "From")
        self._tags = (_tag(message.header(theirs)), _tag(message.header(ours)))
        if code == 100:
            self.trying_at = self.trying_at or message.at
        elif code < 200:
            self.ringing_at = self.ringing_at or message.at
        elif code < 300:
            self.answered_at = message.at
        else:
            self.over(message.at, self.ended_by or ("us" if message.sent else "them"))


def _tag(party: str) -> str:
    found = re.search(r";tag=([^;\s>]+)", party)
    return found[1] if found else ""


def _user(number: str) -> str:
    """`number` as the user part of a SIP address. ValueError for what none can be."""
    if not re.fullmatch(r"[0-9A-Za-z+*#._-]{1,80}", number):
        raise ValueError(f"{number!r} cannot be dialled")
    return number.replace("#", "%23")


def _party(name: str, user: str, host: str) -> str:
    """A From header with a display name, which may be hostile but is one line."""
    if re.search(r"[\r\n\x00]", name):
        raise ValueError("a caller's name cannot have line ends or NUL in it")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    display = f'"{quoted}" ' if name else ""
    return f"{display}<sip:{user}@{host}>"


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
                "user": _user(self.user),
                "media_address": self._address,
                "media_port": self._audio.port,
                "codecs": "0",
                "failures": FAILURES,
                "declines": tuple(DECLINES.values()),
            },
        )
        port = port or free_port(self._address, socket.SOCK_DGRAM)
        await self._sipp.start(scenario, self._hear, port)
        await self._sipp.wait_listening()

    async def register(self, expires: int = 3_600) -> None:
        """Register at the PBX. Raises SippFailed with the PBX's answer when it refuses."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        codes: list[int] = []

        def hear(message: SipMessage) -> None:
            if message.code >= 200 and not message.sent:
                codes.append(message.code)
                final = message.code != 401 or codes.count(401) > 1
                if final and not done.done():
                    done.set_result(message.code)

        registrar = self._network.sipp(self._address)
        contact = f"{self._address}:{self.port}"
        values: dict[str, object] = {
            "user": _user(self.user),
            "secret": self._secret,
            "contact": contact,
            "expires": expires,
        }
        await registrar.start(render_scenario("register", values), hear, arguments=["-m", "1"])
        try:
            code = await asyncio.wait_for(done, 10)
        except TimeoutError:
            raise SippFailed(
                f"phone {self.user} got no answer to its registration: {registrar.complaints()}"
            ) from None
        finally:
            await registrar.kill()
        if code != 200:
            raise SippFailed(f"the PBX refused phone {self.user}'s registration ({code})")

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
        await call.decide(code, f"<sip:{_user(to)}@{host}:{port}>" if to else "")
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

    def sipp(self, address: str) -> Sipp:
        """A SIPp of this network on `address`, not started yet."""
        assert self._program is not None, "use `async with SipNetwork(...)`"
        assert self._folder is not None
        sipp = Sipp(self._program, self._folder, address, self.pbx)
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
                "to": _user(callee),
                "user": _user(caller),
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
        arguments = ["-m", "1", "-key", "calling_party", _party(name, _user(caller), host)]
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
