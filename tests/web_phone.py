"""A telephone over WebSocket, as small as tests need it: it registers, answers, and takes a leg.

Owns the SIP that it speaks. Its sound is a promise only: its session descriptions name a
fingerprint and a candidate that nobody answers for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import secrets
from types import TracebackType
from typing import Any, Self

import websockets

ANSWER_SECONDS = 20.0
FINGERPRINT = ":".join(["AB"] * 32)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def header(message: str, name: str) -> str:
    """The value of a header, "" if the message has none."""
    found = re.search(rf"^{name}: *(.*?)\r?$", message, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def status_of(answer: str) -> int:
    return int(answer.split(" ", 2)[1])


def session_description(setup: str) -> str:
    lines = (
        "v=0",
        f"o=- {secrets.randbelow(10**9)} 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0 101",
        "c=IN IP4 127.0.0.1",
        "a=candidate:1 1 udp 2113937151 127.0.0.1 9 typ host generation 0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        f"a=fingerprint:sha-256 {FINGERPRINT}",
        f"a=setup:{setup}",
        "a=mid:0",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "",
    )
    return "\r\n".join(lines)


class WebPhone:
    """`async with WebPhone(url, account, secret) as phone`; `cookie` as the desk wants it."""

    def __init__(
        self,
        url: str,
        account: str,
        secret: str,
        *,
        cookie: str = "",
        domain: str = "deskbell.invalid",
    ) -> None:
        self.url = url
        self.account = account
        self.secret = secret
        self.domain = domain
        self.cookie = cookie
        self.requests: asyncio.Queue[str] = asyncio.Queue()
        """What the PBX asked for, but for OPTIONS and NOTIFY, which are answered at once."""
        self.socket: websockets.ClientConnection
        self._answers: dict[str, asyncio.Queue[str]] = {}
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self.socket = await websockets.connect(
            self.url,
            subprotocols=[websockets.Subprotocol("sip")],
            proxy=None,
            compression=None,
            additional_headers={"Cookie": self.cookie} if self.cookie else {},
            close_timeout=1,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.socket.close()
        await self._reader

    async def closed(self) -> int | None:
        """The code with which the other side closed, waiting for it."""
        async with asyncio.timeout(ANSWER_SECONDS):
            await self.socket.wait_closed()
        return self.socket.close_code

    async def register(self, expires: int = 60) -> int:
        """The status of the registration, after the secret was asked for."""
        uri = f"sip:{self.domain}"
        answer = await self._asked_for_secret("REGISTER", uri, [f"Expires: {expires}"])
        return status_of(answer)

    async def take(self, leg: dict[str, Any]) -> int:
        """Take a leg's place in its call; `leg` as a claim's answer has it."""
        replaces = f"{leg['call_id']};to-tag={leg['local_tag']};from-tag={leg['remote_tag']}"
        more = [f"Replaces: {replaces}", "Content-Type: application/sdp"]
        uri = f"sip:{self.account}@{self.domain}"
        answer = await self._asked_for_secret("INVITE", uri, more, session_description("actpass"))
        return status_of(answer)

    async def ring(self) -> str:
        """Ring for the next call, and do no more; its INVITE."""
        invite = await self.next_request("INVITE")
        await self.socket.send(self._reply(invite, "180 Ringing", secrets.token_hex(4)))
        return invite

    async def answer(self) -> str:
        """Answer the next call that rings; its INVITE."""
        invite = await self.next_request("INVITE")
        tag = secrets.token_hex(4)
        await self.socket.send(self._reply(invite, "180 Ringing", tag))
        more = (f"Contact: {self._contact}", "Content-Type: application/sdp")
        body = session_description("active")
        await self.socket.send(self._reply(invite, "200 OK", tag, more, body))
        await self.next_request("ACK")
        return invite

    async def next_request(self, method: str) -> str:
        """The next request of that kind; others before it are passed over."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                request = await self.requests.get()
                if request.startswith(method + " "):
                    return request

    @property
    def _contact(self) -> str:
        return f"<sip:{self.account}@page.invalid;transport=ws>"

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in self.socket:
                text = message if isinstance(message, str) else message.decode()
                if text.startswith("SIP/2.0 "):
                    branch = re.search(r"branch=([^;\r]+)", text)
                    if branch and branch[1] in self._answers:
                        self._answers[branch[1]].put_nowait(text)
                elif text.startswith(("OPTIONS ", "NOTIFY ", "UPDATE ")):
                    await self.socket.send(self._reply(text, "200 OK", secrets.token_hex(4)))
                else:
                    self.requests.put_nowait(text)

    async def _asked_for_secret(
        self, method: str, uri: str, more: list[str], body: str = ""
    ) -> str:
        call_id, tag = secrets.token_hex(8), secrets.token_hex(4)
        dialog = (method, uri, call_id, tag)
        answer = await self._request(dialog, 1, more, body)
        if status_of(answer) != 401:
            return answer
        if method == "INVITE":
            await self._acknowledge(dialog, 1, answer)
        answer = await self._request(dialog, 2, [*more, self._digest(answer, method, uri)], body)
        if method == "INVITE":
            await self._acknowledge(dialog, 2, answer)
        return answer

    async def _request(
        self, dialog: tuple[str, str, str, str], number: int, more: list[str], body: str
    ) -> str:
        branch = "z9hG4bK" + secrets.token_hex(6)
        answers = self._answers[branch] = asyncio.Queue()
        method, uri, call_id, tag = dialog
        to = f"sip:{self.account}@{self.domain}"
        lines = (
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/WS page.invalid;branch={branch}",
            "Max-Forwards: 70",
            f"From: <sip:{self.account}@{self.domain}>;tag={tag}",
            f"To: <{to}>",
            f"Call-ID: {call_id}",
            f"CSeq: {number} {method}",
            f"Contact: {self._contact}",
            *more,
            f"Content-Length: {len(body)}",
            "",
            body,
        )
        await self.socket.send("\r\n".join(lines))
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                answer = await answers.get()
                if status_of(answer) >= 200:
                    return answer

    async def _acknowledge(
        self, dialog: tuple[str, str, str, str], number: int, answer: str
    ) -> None:
        _, uri, call_id, tag = dialog
        branch = re.search(r"branch=([^;\r]+)", answer)
        accepted = status_of(answer) < 300
        contact = re.search(r"<([^>]*)>", header(answer, "Contact"))
        assert branch is not None
        lines = (
            f"ACK {contact[1] if accepted and contact else uri} SIP/2.0",
            "Via: SIP/2.0/WS page.invalid;branch="
            + ("z9hG4bK" + secrets.token_hex(6) if accepted else branch[1]),
            "Max-Forwards: 70",
            f"From: <sip:{self.account}@{self.domain}>;tag={tag}",
            f"To: {header(answer, 'To')}",
            f"Call-ID: {call_id}",
            f"CSeq: {number} ACK",
            "Content-Length: 0",
            "",
            "",
        )
        await self.socket.send("\r\n".join(lines))

    def _reply(
        self, request: str, status: str, tag: str, more: tuple[str, ...] = (), body: str = ""
    ) -> str:
        head = request.partition("\r\n\r\n")[0].split("\r\n")[1:]
        kept = [line for line in head if re.match(r"(Via|From|Call-ID|CSeq|Record-Route):", line)]
        to = header(request, "To")
        to = to if ";tag=" in to else f"{to};tag={tag}"
        lines = (f"SIP/2.0 {status}", *kept, f"To: {to}", *more, f"Content-Length: {len(body)}")
        return "\r\n".join((*lines, "", body))

    def _digest(self, challenge: str, method: str, uri: str) -> str:
        asked = dict(re.findall(r'(\w+)="?([^",\r]+)"?', header(challenge, "WWW-Authenticate")))
        mine = _md5(f"{self.account}:{asked['realm']}:{self.secret}")
        response = _md5(f"{mine}:{asked['nonce']}:00000001:page:auth:{_md5(f'{method}:{uri}')}")
        return (
            f'Authorization: Digest username="{self.account}", realm="{asked["realm"]}", '
            f'nonce="{asked["nonce"]}", uri="{uri}", response="{response}", algorithm=MD5, '
            f'qop=auth, nc=00000001, cnonce="page", opaque="{asked.get("opaque", "")}"'
        )
