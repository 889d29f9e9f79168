"""Callers who attack through the phone menus' door, on a real Asterisk: forged messages, and the
key that the door answers to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cti.pbx.asterisk_program import free_port
from cti.telephone_network.network import SipNetwork
from tests.asterisk_fixtures import SharedPbx, network_of
from tests.cti.pbx.agi_peer import AgiCaller, AgiPeer
from tests.faults.raw_caller import RawCaller
from tests.ivr.agi.asterisk_side import KEY
from tests.ivr.agi.phone_stage import MENU, settings
from tests.service_fixtures import until

pytestmark = pytest.mark.asterisk

HONEST = "+8613800138000"

FORGING = (
    "1%0d%0a%0d%0aEvent%3a%20Hangup%0d%0aX%3a%20y",
    "1%0a%0a200%20result=1%20(forged)",
    "1%0aagi_network_script%3a%20trial",
    "1%0D%0A",
    "1%00",
    "1%1b%7f",
    "1:pass%0d%0aword",
)


@pytest.fixture(scope="module")
def menu_port() -> int:
    return free_port("127.0.0.1")


@pytest.fixture(scope="module")
def menu_pbx(tmp_path_factory: pytest.TempPathFactory, menu_port: int) -> Iterator[SharedPbx]:
    shared = SharedPbx(settings(tmp_path_factory.mktemp("pbx"), menu_port))
    yield shared
    shared.close()


@pytest.fixture
async def network(menu_pbx: SharedPbx) -> AsyncIterator[SipNetwork]:
    async with network_of(menu_pbx) as network:
        yield network
    await menu_pbx.clean()


class EveryAmiByte:
    """All that Asterisk says to an AMI client of its own."""

    def __init__(self) -> None:
        self.heard = bytearray()

    async def listen(self, pbx: SharedPbx) -> None:
        reader, writer = await asyncio.open_connection(pbx.ami_host, pbx.ami_port)
        login = f"Action: Login\r\nUsername: {pbx.ami_user}\r\nSecret: {pbx.ami_secret}\r\n\r\n"
        writer.write(login.encode())
        try:
            while chunk := await reader.read(65_536):
                self.heard += chunk
        finally:
            writer.close()


@pytest.mark.parametrize("number", FORGING)
async def test_a_number_that_holds_line_ends_is_refused_before_it_is_a_call(
    menu_pbx: SharedPbx, menu_port: int, network: SipNetwork, number: str
) -> None:
    async def talk(caller: AgiCaller) -> None:
        await caller.go("hangup")

    ami = EveryAmiByte()
    listening = asyncio.create_task(ami.listen(menu_pbx))
    await until(lambda: b"FullyBooted" in ami.heard)
    async with AgiPeer(talk, menu_port) as peer:
        async with RawCaller(menu_pbx, b"evil", MENU, number) as caller:
            await until(lambda: caller.refused != 0)
            assert caller.refused in (401, 403)
        # Whoever calls honestly then is served, and is the only one that there was.
        honest = await network.call(HONEST, MENU)
        await honest.wait("ended")
        await until(lambda: b"Event: Hangup" in ami.heard)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert [one.header["agi_callerid"] for one in peer.callers] == [HONEST]
    assert ami.heard.count(b"Event: Newchannel") == 1
    assert b"Forged" not in ami.heard
    assert b"X: y" not in ami.heard


@pytest.mark.parametrize(
    "name",
    [
        b"evil\rEvent: Hangup",
        rb"a\"b\\",
        b"${SHELL(id)}),System(id",
        b"x,y&Local/1001@from-agents",
        b"Jos\xe9",
        b"A" * 10_000,
        b"now 10%0ff, %7f",
    ],
    ids=["CR", "quotes", "template", "Dial's own", "Latin-1", "10 kB", "per cent"],
)
async def test_a_hostile_name_reaches_the_menu_as_a_line(
    menu_pbx: SharedPbx, menu_port: int, network: SipNetwork, name: bytes
) -> None:
    async def talk(caller: AgiCaller) -> None:
        assert caller.header["agi_arg_1"] == KEY
        assert caller.header["agi_callerid"] == HONEST
        await caller.go("hangup")

    async with (
        AgiPeer(talk, menu_port) as peer,
        RawCaller(menu_pbx, name, MENU, HONEST) as caller,
    ):
        await caller.answered.wait()
        await until(lambda: bool(peer.callers))


async def test_the_key_is_in_no_log_when_nobody_answers(
    menu_pbx: SharedPbx, network: SipNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    while "failed for url" not in caplog.text:
        before = caplog.text.count("FastAGI failed")
        await network.call(HONEST, MENU)
        await until(lambda: caplog.text.count("FastAGI failed") > before)  # noqa: B023
    assert KEY not in caplog.text


def test_the_key_is_for_the_pbx_own_user_only(menu_pbx: SharedPbx) -> None:
    folder = Path(menu_pbx.embedded.folder)
    found = [
        file
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink() and KEY.encode() in file.read_bytes()
    ]
    assert [file.name for file in found] == ["extensions.conf"]
    assert found[0].stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "number",
    [
        "9+8613900000000", "+8613900000000", "008613900000000", "110", "911", "112",
        "7%40callback-place", "callback-customer", "s", "1001%40agent-leg", "trial", "people",
        "*721001", "*81001", "*97", "700", "701", "fax-receiver", "h", "i", "t", "T",
    ],
)  # fmt: skip
async def test_nothing_that_a_customer_dials_leads_out(
    menu_pbx: SharedPbx, network: SipNetwork, number: str
) -> None:
    async with RawCaller(menu_pbx, b"evil", number, HONEST) as caller:
        await until(lambda: caller.refused != 0 or caller.answered.is_set())
        assert caller.refused in (400, 401, 403, 404, 484), "somebody has answered"


async def test_no_context_of_customers_leads_to_the_trunk(menu_pbx: SharedPbx) -> None:
    said = await menu_pbx.console("dialplan show from-trunk")
    for context in ("outbound", "to-trunk", "callback", "agent-leg", "agent-services", "trial"):
        assert f"context '{context}" not in said
    for number in ("9123456", "+49301234", "0049301234"):
        found = await menu_pbx.console(f"dialplan show {number}@from-trunk")
        assert "to-trunk" not in found
