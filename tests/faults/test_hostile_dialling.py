"""What nobody may dial: a customer who was sent out again, and numbers that are no numbers."""

from __future__ import annotations

import asyncio
import hashlib
import re
from uuid import uuid4

import pytest

from cti.telephone_network.network import SipNetwork
from tests.asterisk_fixtures import SharedPbx, agent_phone, pbx, sip_network

pytestmark = pytest.mark.asterisk
__all__ = ["pbx", "sip_network"]

CUSTOMER = "+8613800138000"
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


class HandWritten(asyncio.DatagramProtocol):
    """A phone, or a trunk, whose requests are written by hand; `answers` are what came back."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self._to: asyncio.DatagramTransport

    @classmethod
    async def at(cls, address: str) -> HandWritten:
        loop = asyncio.get_running_loop()
        transport, phone = await loop.create_datagram_endpoint(cls, local_addr=(address, 0))
        phone._to = transport
        return phone

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        said = data.decode(errors="replace")
        if said.startswith("SIP/2.0 ") and not said.startswith("SIP/2.0 100"):
            self.answers.put_nowait(said)

    async def ask(
        self,
        pbx: SharedPbx,
        method: str,
        target: str,
        user: str,
        *,
        secret: str = "",
        headers: str = "",
        to: str = "",
    ) -> str:
        """The first final or provisional answer; with `secret`, to the request that has it."""
        call, authorisation = uuid4().hex, ""
        host, port = self._to.get_extra_info("sockname")
        uri = f"sip:{target}@{pbx.sip_address}:{pbx.sip_port}".replace("sip:@", "sip:")
        for number in (1, 2):
            body = SDP if method == "INVITE" else ""
            kind = "Content-Type: application/sdp\r\n" if body else ""
            self._to.sendto(
                (
                    f"{method} {uri} SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{uuid4().hex}\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:{user}@{host}>;tag={call}\r\n"
                    f"To: <sip:{to or target}@{pbx.sip_address}>\r\nCall-ID: {call}\r\n"
                    f"CSeq: {number} {method}\r\nContact: <sip:{user}@{host}:{port}>\r\n"
                    f"{authorisation}{headers}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
                ).encode(),
                (pbx.sip_address, pbx.sip_port),
            )
            answer = await asyncio.wait_for(self.answers.get(), 30)
            if not answer.startswith("SIP/2.0 401") or not secret or authorisation:
                return answer
            realm, nonce = (
                re.search(rf'{name}="([^"]*)"', answer)[1]  # type: ignore[index]
                for name in ("realm", "nonce")
            )
            who = _md5(f"{user}:{realm}:{secret}")
            digest = _md5(f"{who}:{nonce}:00000001:c:auth:{_md5(f'{method}:{uri}')}")
            authorisation = (
                f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", '
                f'uri="{uri}", qop=auth, nc=00000001, cnonce="c", response="{digest}"\r\n'
            )
        return answer

    def close(self) -> None:
        self._to.close()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - SIP's digest is this


async def dials(pbx: SharedPbx) -> list[str]:
    """What Dial is asked for at this moment, on all channels."""
    lines = (await pbx.console("core show channels concise")).splitlines()
    fields = [line.split("!") for line in lines]
    return [line[6] for line in fields if len(line) > 6 and line[5] == "Dial"]


async def test_an_agent_has_keys_outside_and_a_customer_sent_out_has_none(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    outside = await sip_network.subscriber()
    lin = await agent_phone(sip_network, pbx, "1001")
    own = await lin.dial("9123456")
    await own.wait("answered")
    assert await dials(pbx) == ["PJSIP/123456@trunk,10,TK"]
    await own.hang_up()
    await pbx.join_queue("1001", "service")
    customer = await sip_network.call(CUSTOMER, "600")
    at_lin = await lin.answer()
    await at_lin.hears(440)
    await at_lin.transfer("9654321")
    await at_lin.wait("ended")
    await customer.hears(440)
    assert len(outside.calls) == 2
    assert await dials(pbx) == ["PJSIP/654321@trunk,10,"]
    assert customer.state == "answered"


async def test_a_customer_whose_call_is_forwarded_outside_has_no_keys(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    outside = await sip_network.subscriber(answer_after=None)
    lin = await agent_phone(sip_network, pbx, "1001")
    await (await lin.dial("*729777")).wait("ended")
    try:
        await sip_network.call(CUSTOMER, "1001")
        await outside.next_call()
        assert "PJSIP/777@trunk,10," in await dials(pbx)
        assert not [said for said in await dials(pbx) if "TK" in said]
    finally:
        await (await lin.dial("*73")).wait("ended")


@pytest.mark.parametrize(
    "number",
    ["9123&PJSIP%2F1002", "9123,99,G(x)", "+123&Local%2F1002@from-agents", "00123)&PJSIP%2F1002"],
)
async def test_a_number_is_digits_to_dial(
    pbx: SharedPbx, sip_network: SipNetwork, number: str
) -> None:
    outside = await sip_network.subscriber(answer_after=None)
    wang = await agent_phone(sip_network, pbx, "1002")
    account = pbx.phone_account("1001")
    phone = await HandWritten.at(pbx.sip_address)
    try:
        await phone.ask(pbx, "INVITE", number.replace("@", "%40"), account[0], secret=account[1])
        ringing = await outside.next_call()
        assert re.fullmatch(r"PJSIP/[+0-9]+@trunk,10,TK", (await dials(pbx))[0])
        assert ringing.invite is not None
        assert re.match(r"INVITE sip:[+0-9]+@", ringing.invite.first_line)
        assert not wang.calls
    finally:
        phone.close()


async def test_an_account_is_good_for_its_own_extension_only(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    (user, secret), (other, _) = pbx.phone_account("1001"), pbx.phone_account("1002")
    phone = await HandWritten.at(pbx.sip_address)
    try:
        # Another's address of record, and another's name with one's own secret.
        answer = await phone.ask(pbx, "REGISTER", "", user, secret=secret, to=other)
        assert re.match(r"SIP/2\.0 40[34]", answer), answer
        answer = await phone.ask(pbx, "INVITE", "699", other, secret=secret)
        assert answer.startswith("SIP/2.0 401"), answer
    finally:
        phone.close()


async def test_a_dialog_cannot_be_guessed(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    await pbx.join_queue("1001", "service")
    customer = await sip_network.call(CUSTOMER, "600")
    at_lin = await lin.answer()
    await at_lin.hears(440)
    user, secret = pbx.phone_account("1002")
    for phone, as_whom, with_secret in (
        (await HandWritten.at(pbx.sip_address), user, secret),
        (await HandWritten.at(pbx.trunk_address), CUSTOMER, ""),
    ):
        # The Call-ID is known to whoever saw it once; the tags are known to the two ends alone.
        replaces = f"Replaces: {at_lin.call_id};to-tag=1;from-tag=1\r\n"
        answer = await phone.ask(
            pbx, "INVITE", "699", as_whom, secret=with_secret, headers=replaces
        )
        assert answer.startswith("SIP/2.0 481"), answer
        phone.close()
    await at_lin.hears(440)
    assert customer.state == "answered"


async def test_the_network_learns_and_moves_nothing(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    trunk = await HandWritten.at(pbx.trunk_address)
    try:
        answer = await trunk.ask(
            pbx,
            "SUBSCRIBE",
            "1001",
            CUSTOMER,
            headers="Event: dialog\r\nAccept: application/dialog-info+xml\r\nExpires: 60\r\n",
        )
        assert re.match(r"SIP/2\.0 (4|6)", answer), answer
        answer = await trunk.ask(
            pbx, "REFER", "600", CUSTOMER, headers="Refer-To: <sip:9123@x>\r\n"
        )
        assert re.match(r"SIP/2\.0 (4|5|6)", answer), answer
    finally:
        trunk.close()
