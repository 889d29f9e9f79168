"""A page that is loaded anew in a queue's call, or while it rings: what the queues make of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace

import pytest

from crm_store.bus import Bus
from crm_store.signals import (
    AgentState,
    AgentStateChanged,
    CallAnswered,
    CallOffered,
    CallOfferEnded,
    CallStarted,
)
from cti.agents.missed_rings import NOTED
from cti.agents.seats import AgentSeat, WrapUpLimit
from cti.pbx.ari import Ari, AriAddress
from cti.pbx.embedded import EmbeddedPbx, PbxSettings
from cti.phones.browser_phones import BrowserPhones
from cti.phones.phone_legs import legs_of
from cti.phones.unheard_rings import end_unheard_rings
from cti.switchboard import AmiAddress, Switchboard
from cti.telephone_network.network import SipCall, SipNetwork
from tests.asterisk_fixtures import network_of, pbx_settings
from tests.cti.test_switchboard import Heard, becomes
from tests.service_fixtures import until
from tests.web_phone import WebPhone

pytestmark = pytest.mark.asterisk
__all__ = ["pbx_settings"]

FOR_EVER = 300
"""Longer than any test: no ring ends by itself."""


@dataclass
class Stage:
    phones: BrowserPhones
    board: Switchboard
    heard: Heard
    network: SipNetwork

    async def page(self, extension: str) -> WebPhone:
        """A page that has just claimed the phone; enter it, and register."""
        claim = await self.phones.claim(extension, "Lin")
        return WebPhone(self.phones.web_socket, extension, claim.secret)

    async def call(self, caller: str, number: str) -> tuple[SipCall, str]:
        """Somebody calls; with the Linkedid."""
        call = await self.network.call(caller, number)
        started = await self.heard.wait(lambda s: isinstance(s, CallStarted) and s.caller == caller)
        return call, started.call

    def place(self, kind: type, **values: object) -> int:
        """Where among all signals the first of this kind with these values is."""
        return next(
            index
            for index, (_, signal) in enumerate(self.heard.signals)
            if isinstance(signal, kind)
            and all(getattr(signal, name) == value for name, value in values.items())
        )


@pytest.fixture
async def stage(pbx_settings: PbxSettings) -> AsyncIterator[Stage]:
    """Lin's phone is in a browser; `service` allows 1 s of wrap-up, `second` none."""
    given = pbx_settings.configuration
    configuration = replace(
        given,
        phones=[replace(phone, account_in_file=False) for phone in given.phones],
        queues=[replace(queue, ring_seconds=FOR_EVER) for queue in given.queues],
        direct_ring_seconds=FOR_EVER,
    )
    async with EmbeddedPbx(replace(pbx_settings, configuration=configuration)) as pbx:
        ari = Ari(AriAddress(url=pbx.http_url, user=pbx.ari_user, secret=pbx.ari_secret))
        bus = Bus()
        heard = Heard(bus)
        address = AmiAddress(
            host=pbx.ami_host, port=pbx.ami_port, user=pbx.ami_user, secret=pbx.ami_secret
        )
        limits = {"service": WrapUpLimit(1), "crowd": WrapUpLimit(0)}
        board = Switchboard("main", address, bus, trunks=("PJSIP/trunk",), wrap_up=limits)
        board.seat([AgentSeat("lin", "PJSIP/1001")])
        await board.start()
        await board.link.wait_up()
        await board.agents.sign_in("lin", ["service", "crowd", "sales"])
        async with network_of(pbx) as network:
            yield Stage(BrowserPhones(ari), board, heard, network)
        await board.close()
        await ari.close()


@pytest.mark.parametrize("number", ["600", "608"], ids=["wrap-up", "no wrap-up"])
async def test_the_queue_s_call_goes_on_until_it_ends(stage: Stage, number: str) -> None:
    """app_queue takes the call for ended when the old leg goes; no queue offers another one."""
    async with await stage.page("1001") as page:
        assert await page.register() == 200
        await stage.heard.wait(becomes("lin", AgentState.AVAILABLE))
        caller, call = await stage.call("+8613800138000", number)
        await page.answer()
        await stage.heard.wait(becomes("lin", AgentState.ON_CALL))
        (leg,) = await legs_of(stage.board, "PJSIP/1001")
    async with await stage.page("1001") as page:
        assert await page.register() == 200
        assert await page.take(asdict(leg)) == 200
        names = stage.board.calls.calls[call].channels
        await until(
            lambda: leg.channel not in [channel.name for channel in names.values()],
            what="the old leg is gone",
        )
        other, waits = await stage.call("+8613900139000", "601")
        assert stage.board.agents.state_of("lin").state is AgentState.ON_CALL
        ended = len(stage.heard.signals)
        await caller.hang_up()
        await stage.heard.wait(lambda s: isinstance(s, CallOffered) and s.call == waits)
        assert ended < stage.place(CallOffered, call=waits)
        begun = stage.place(AgentStateChanged, agent="lin", state=AgentState.ON_CALL)
        states = {
            signal.state
            for _, signal in stage.heard.signals[begun:ended]
            if isinstance(signal, AgentStateChanged)
        }
        assert states == {AgentState.ON_CALL}
        if number == "600":
            over = stage.place(AgentStateChanged, agent="lin", state=AgentState.WRAP_UP)
            assert ended < over < stage.place(CallOffered, call=waits)
            wrap_up = stage.heard.signals[over][1]
            assert isinstance(wrap_up, AgentStateChanged)
            assert wrap_up.ends_at == round(wrap_up.since or 0) + 1
        await other.hang_up()


@pytest.mark.parametrize("number", ["600", "1001"], ids=["queue", "direct"])
async def test_a_ring_that_nobody_hears_comes_anew(stage: Stage, number: str) -> None:
    async with await stage.page("1001") as page:
        assert await page.register() == 200
        await stage.heard.wait(becomes("lin", AgentState.AVAILABLE))
        caller, call = await stage.call("+8613800138000", number)
        await page.ring()
        await stage.heard.wait(becomes("lin", AgentState.RINGING))
    claim = await stage.page("1001")
    await end_unheard_rings(stage.board, "PJSIP/1001")
    async with claim as page:
        assert await page.register() == 200
        await page.answer()
        answer = await stage.heard.wait(lambda s: isinstance(s, CallAnswered))
        assert (answer.call, answer.agent) == (call, "lin")
        ends = {signal.cause for signal in stage.heard.all_of(CallOfferEnded)}
        assert ends == {"unreachable"}
        assert not ends & NOTED
        await caller.wait("answered")
        await caller.hang_up()
