"""A caller who writes SIP by hand, for bytes that no well-behaved caller sends."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import Self

from tests.asterisk_fixtures import SharedPbx
from tests.service_fixtures import RunningService

SDP = (
    "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


class RawCaller(asyncio.DatagramProtocol):
    """`async with RawCaller(service, name) as caller`: calls `to` with these bytes as its name.

    `name` stands in the From header between double quotes, just as it is, `number` in its address.
    `refused` is the answer that said no, 0 before.
    """

    def __init__(
        self, service: RunningService | SharedPbx, name: bytes, to: str, number: str
    ) -> None:
        self.name = name
        self.answered = asyncio.Event()
        self.refused = 0
        self._pbx = (service.sip_address, service.sip_port)
        self._address = service.trunk_address
        self._to = to
        self._number = number
        self._to_header = b""
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self._address, 0)
        )
        self._port = self._transport.get_extra_info("sockname")[1]
        self._send("INVITE", 1, SDP.format(self._address))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._transport is not None
        if self.answered.is_set():
            self._send("BYE", 2)
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        found = re.search(rb"^To: ([^\r]*)", data, re.M)
        if data.startswith(b"SIP/2.0 200") and b"INVITE" in data and found:
            self._to_header = found[1]
            self._send("ACK", 1)
            self.answered.set()
        refusal = re.match(rb"SIP/2\.0 ([4-6]\d\d)", data)
        if refusal:
            self.refused = int(refusal[1])

    def _send(self, method: str, number: int, body: str = "") -> None:
        host, port = self._pbx
        head = (
            f"{method} sip:{self._to}@{host}:{port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self._address}:{self._port};branch=z9hG4bK{method}{self._port}\r\n"
            "Max-Forwards: 70\r\n"
        )
        rest = (
            f"Call-ID: raw-{self._port}\r\n"
            f"CSeq: {number} {method}\r\n"
            f"Contact: <sip:raw@{self._address}:{self._port}>\r\n"
            + ("Content-Type: application/sdp\r\n" if body else "")
            + f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        sender = (
            b'From: "' + self.name + f'" <sip:{self._number}@{self._address}>;tag=r\r\n'.encode()
        )
        receiver = self._to_header or f"<sip:{self._to}@{host}>".encode()
        assert self._transport is not None
        self._transport.sendto(
            head.encode() + sender + b"To: " + receiver + b"\r\n" + rest.encode(), self._pbx
        )
