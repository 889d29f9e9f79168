"""One call at one SIPp: what is done to it, and the record of what happened.

Owns the call's state as its SIP messages tell it, and the verbs of a call in progress. Refuses to
know who placed or took the call and how its SIPp was started.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote

from cti.telephone_network.audio import AudioPeer, loudness_at
from cti.telephone_network.sipp import SipMessage, Sipp

FAILURES = (
    *(300, 301, 302, 400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 415, 420, 423, 480, 481),
    *(482, 483, 484, 485, 486, 487, 488, 489, 491, 500, 501, 502, 503, 504, 600, 603, 604, 606),
)


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

    @property
    def replaces(self) -> str:
        """The header with which a new INVITE takes this call's place (RFC 3891)."""
        theirs, ours = self._tags
        return f"Replaces: {self.call_id};to-tag={theirs};from-tag={ours}"

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

        Raises ConnectionError with the PBX's answer when it refuses: Asterisk does (400) until it
        has bridged the call, a moment after the answer; wait for `hears` first.
        """
        host, port = self.sipp.remote
        await self._refer(f"<sip:{sip_user(target)}@{host}:{port}>")

    async def transfer_to_call(self, other: SipCall) -> None:
        """Attended transfer: REFER with Replaces, joining this call's party to `other`'s.

        Both legs of this phone then end. While `other` still rings, it is a blonde transfer.
        Raises ConnectionError with the PBX's answer when it refuses.
        """
        host, port = self.sipp.remote
        theirs, ours = other._tags
        replaces = quote(f"{other.call_id};to-tag={theirs};from-tag={ours}", safe="")
        await self._refer(f"<sip:{sip_user(other.callee)}@{host}:{port}?Replaces={replaces}>")

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
        await self._steer(
            request, lambda sent: sent.code == code and sent.asked == "INVITE", target
        )

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


def sip_user(number: str) -> str:
    """`number` as the user part of a SIP address. ValueError for what none can be."""
    if not re.fullmatch(r"[0-9A-Za-z+*#._-]{1,80}", number):
        raise ValueError(f"{number!r} cannot be dialled")
    return number.replace("#", "%23")
