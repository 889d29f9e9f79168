"""Phones in browsers on a real Asterisk: their secrets, their legs, and what survives what."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, replace

import pytest

from crm_store.bus import Bus
from cti.agents.seats import AgentSeat
from cti.pbx.ari import Ari, AriAddress, AriFailed, HeldByFile
from cti.pbx.embedded import EmbeddedPbx, PbxSettings
from cti.phones.browser_phones import BrowserPhones, DeskAccount
from cti.phones.phone_legs import channels_of, legs_of
from cti.switchboard import AmiAddress, Switchboard
from tests.asterisk_fixtures import network_of
from tests.service_fixtures import until
from tests.web_phone import WebPhone, header

pytestmark = pytest.mark.asterisk

DESK_SECRET = "the desk phone's own secret"


@dataclass
class Stage:
    pbx: EmbeddedPbx
    ari: Ari
    phones: BrowserPhones
    board: Switchboard

    def page(self, account: str, secret: str) -> WebPhone:
        return WebPhone(self.phones.web_socket, account, secret)

    async def registers(self, account: str, secret: str) -> int:
        async with self.page(account, secret) as phone:
            return await phone.register()

    async def state(self) -> str:
        """What the queue takes PJSIP/1001 to be."""
        return await self.pbx.console("queue show service")


@pytest.fixture
async def stage(pbx_settings: PbxSettings) -> AsyncIterator[Stage]:
    """1001 may be in a browser, 1002 is a desk phone in pjsip.conf."""
    phones = [
        replace(phone, account_in_file=phone.extension != "1001")
        for phone in pbx_settings.configuration.phones
    ]
    configuration = replace(pbx_settings.configuration, phones=phones)
    async with EmbeddedPbx(replace(pbx_settings, configuration=configuration)) as pbx:
        ari = Ari(AriAddress(url=pbx.http_url, user=pbx.ari_user, secret=pbx.ari_secret))
        browser_phones = BrowserPhones(ari)
        address = AmiAddress(
            host=pbx.ami_host, port=pbx.ami_port, user=pbx.ami_user, secret=pbx.ami_secret
        )
        board = Switchboard("main", address, Bus(), trunks=("PJSIP/trunk",))
        board.seat([AgentSeat("lin", "PJSIP/1001", {"service": 0})])
        await board.start()
        await board.link.wait_up()
        yield Stage(pbx, ari, browser_phones, board)
        await board.close()
        await ari.close()


async def test_only_the_last_claim_can_register(stage: Stage) -> None:
    first = await stage.phones.claim("1001", "Lin")
    assert await stage.registers("1001", first.secret) == 200
    second = await stage.phones.claim("1001", "Lin")
    assert first.secret != second.secret
    assert len(second.secret) >= 40
    assert await stage.registers("1001", first.secret) == 401
    assert await stage.registers("1001", second.secret) == 200
    assert await stage.registers("1002", second.secret) == 401
    await stage.phones.release("1001")
    assert not stage.phones.holds("1001")
    assert await stage.registers("1001", second.secret) == 401


async def test_a_desk_phone_is_there_while_no_page_is(stage: Stage) -> None:
    desk = DeskAccount(extension="1001", caller_name="Lin", secret=DESK_SECRET)
    stage.phones.know(["1001"], {"1001": desk})
    await stage.phones.restore()
    assert await stage.registers("1001", DESK_SECRET) == 200
    claim = await stage.phones.claim("1001", "Lin")
    assert "1001@" not in await stage.pbx.console("pjsip show contacts")
    assert await stage.registers("1001", DESK_SECRET) == 401
    assert await stage.registers("1001", claim.secret) == 200
    await stage.phones.release("1001")
    assert await stage.registers("1001", claim.secret) == 401
    assert await stage.registers("1001", DESK_SECRET) == 200


async def test_an_account_in_the_pbx_s_own_files_is_not_taken(stage: Stage) -> None:
    with pytest.raises(HeldByFile):
        await stage.phones.claim("1002", "王芳")
    assert not stage.phones.holds("1002")
    account, secret = stage.pbx.phone_account("1002")
    assert await stage.registers(account, secret) == 200


async def test_a_registered_page_can_be_called_and_one_that_left_cannot(stage: Stage) -> None:
    await stage.board.agents.sign_in("lin", ["service"])
    claim = await stage.phones.claim("1001", "Lin")
    async with stage.page("1001", claim.secret) as phone:
        assert await phone.register() == 200
        await said(stage.state, "(Not in use)")
        # Another secret, and other queues and numbers, do not take the page off.
        await stage.phones.claim("1001", "Lin")
        configuration = stage.pbx.configuration
        await stage.pbx.reload(configuration.queues, configuration.phones)
        assert "(Not in use)" in await stage.state()
    await said(stage.state, "(Unavailable)")


async def test_a_claim_outlives_asterisk_s_restart_and_not_ours(stage: Stage) -> None:
    stage.phones.know(["1001", "1002"], {})
    claim = await stage.phones.claim("1001", "Lin")
    async with stage.page("1001", claim.secret) as phone:
        assert await phone.register() == 200
        await stage.phones.restore()
        assert "1001/sip:" in await stage.pbx.console("pjsip show contacts")
    await stage.pbx.kill()
    await stage.pbx.booted.wait()
    assert await stage.registers("1001", claim.secret) == 401
    await stage.phones.restore()
    assert await stage.registers("1001", claim.secret) == 200
    # Another process of ours knows nothing of the claim.
    later = BrowserPhones(stage.ari)
    later.know(["1001", "1002"], {})
    await later.restore()
    assert await stage.registers("1001", claim.secret) == 401


async def test_a_claim_fails_while_asterisk_is_away(stage: Stage) -> None:
    await stage.pbx.stop()
    with pytest.raises(AriFailed) as refused:
        await stage.phones.claim("1001", "Lin")
    assert stage.pbx.ari_secret not in str(refused.value)
    assert not stage.phones.holds("1001")


async def test_a_page_that_comes_back_takes_its_leg(stage: Stage) -> None:
    await stage.board.agents.sign_in("lin", ["service"])
    claim = await stage.phones.claim("1001", "Lin")
    async with network_of(stage.pbx) as network:
        async with stage.page("1001", claim.secret) as page:
            assert await page.register() == 200
            caller = await network.call("+8613800138000", "600")
            invite = await page.answer()
            await caller.wait("answered", 20)
            await until(lambda: talks(stage, "PJSIP/1001"), what="the model has the answer")
            (leg,) = await legs_of(stage.board, "PJSIP/1001")
            assert header(invite, "X-Deskbell-Call") == leg.call
            assert (leg.state, leg.number) == ("answered", "+8613800138000")
            assert leg.codec == "ulaw"
            assert leg.call_id == header(invite, "Call-ID")
        claim = await stage.phones.claim("1001", "Lin")
        async with stage.page("1001", claim.secret) as page:
            assert await page.register() == 200
            assert await page.take(asdict(leg)) == 200
            await until(lambda: leg.channel not in channels(stage), what="the old leg is gone")
            await until(lambda: talks(stage, "PJSIP/1001"), what="the new leg is up")
            (taken,) = await legs_of(stage.board, "PJSIP/1001")
            assert (taken.call, taken.state) == (leg.call, "answered")
            assert taken.call_id != leg.call_id
            trunk = [name for name in channels(stage) if name.startswith("PJSIP/trunk")]
            assert len(trunk) == 1
            assert caller.ended_at is None
            await caller.hang_up()


async def test_no_secret_is_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        claim = await stage.phones.claim("1001", "Lin")
        assert await stage.registers("1001", claim.secret) == 200
        assert await stage.registers("1001", "wrong") == 401
    for secret in (claim.secret, stage.pbx.ari_secret):
        assert secret not in caplog.text
        assert secret not in repr(claim)


def talks(stage: Stage, endpoint: str) -> bool:
    return any(channel.up for _, channel in channels_of(stage.board, endpoint))


def channels(stage: Stage) -> list[str]:
    return [
        channel.name
        for call in stage.board.calls.calls.values()
        for channel in call.channels.values()
    ]


async def said(ask: Callable[[], Awaitable[str]], wanted: str) -> None:
    """Wait until Asterisk's console says it."""
    async with asyncio.timeout(20):
        while wanted not in await ask():
            pass
