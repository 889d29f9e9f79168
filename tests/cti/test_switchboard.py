"""The switchboard on a real Asterisk: links, agents' places, wrap-up, pops, in the right order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from crm_store.bus import Bus
from crm_store.people.phone_numbers import to_e164
from crm_store.signals import (
    AgentState,
    AgentStateChanged,
    CallAnswered,
    CallSummary,
    Outcome,
    PbxLinkChanged,
    ScreenPop,
    Signal,
)
from cti.agents.seats import AgentSeat, UnknownAgent, WrapUpLimit
from cti.ami.link import LinkDown
from cti.screen_pop import ScreenPops
from cti.switchboard import AmiAddress, Switchboard
from cti.telephone_network.network import SipNetwork
from tests.asterisk_fixtures import SharedPbx, agent_phone, pbx, sip_network

pytestmark = pytest.mark.asterisk
__all__ = ["pbx", "sip_network"]

SEATS = [AgentSeat("lin", "PJSIP/1001", {}), AgentSeat("sara", "PJSIP/1003", {})]


class Heard:
    """Every signal with the monotonic time it was published, and a way to wait for one."""

    def __init__(self, bus: Bus) -> None:
        self.signals: list[tuple[float, Signal]] = []
        self._news = asyncio.Event()
        bus.listen(self._hear)

    def _hear(self, signal: Signal) -> None:
        self.signals.append((time.monotonic(), signal))
        self._news.set()

    def all_of(self, kind: type[Signal]) -> list[Any]:
        return [signal for _, signal in self.signals if isinstance(signal, kind)]

    def when(self, kind: type[Signal]) -> float:
        return next(at for at, signal in self.signals if isinstance(signal, kind))

    async def wait(self, fits: Callable[[Any], bool], within: float = 15.0) -> Any:
        async with asyncio.timeout(within):
            seen = 0
            while True:
                for _, signal in self.signals[seen:]:
                    if fits(signal):
                        return signal
                seen = len(self.signals)
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def switchboard_of(
    pbx: SharedPbx, wrap_up: int = 60, seats: list[AgentSeat] = SEATS
) -> AsyncIterator[tuple[Switchboard, Heard, Bus]]:
    bus = Bus()
    heard = Heard(bus)
    board = Switchboard(
        "main",
        AmiAddress(host=pbx.ami_host, port=pbx.ami_port, user=pbx.ami_user, secret=pbx.ami_secret),
        bus,
        trunks=("PJSIP/trunk",),
        wrap_up={"service": WrapUpLimit(wrap_up)},
    )
    board.seat(seats)
    await board.start()
    try:
        await heard.wait(lambda s: isinstance(s, PbxLinkChanged) and s.up)
        yield board, heard, bus
    finally:
        await board.close()


def becomes(agent: str, state: AgentState) -> Callable[[Signal], bool]:
    return lambda s: isinstance(s, AgentStateChanged) and s.agent == agent and s.state is state


async def test_an_agent_signs_in_pauses_returns_and_leaves(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    await agent_phone(sip_network, pbx, "1001")
    async with switchboard_of(pbx) as (board, heard, _):
        agents = board.agents
        assert agents.state_of("lin").state is AgentState.OFFLINE
        await agents.sign_in("lin", ["service", "sales"])
        state = await heard.wait(becomes("lin", AgentState.AVAILABLE))
        await heard.wait(lambda s: becomes("lin", AgentState.AVAILABLE)(s) and len(s.queues) == 2)
        await agents.sign_in("lin", ["service", "sales"])
        await agents.pause("lin", "lunch")
        state = await heard.wait(becomes("lin", AgentState.PAUSED))
        assert state.reason == "lunch"
        before = len(heard.signals)
        await agents.unpause("lin")
        await heard.wait(
            lambda s: (
                becomes("lin", AgentState.AVAILABLE)(s)
                and any(s is later for _, later in heard.signals[before:])
            )
        )
        await agents.sign_in("lin", ["sales"])
        await heard.wait(lambda s: isinstance(s, AgentStateChanged) and s.queues == ("sales",))
        await agents.sign_out("lin")
        state = await heard.wait(lambda s: becomes("lin", AgentState.OFFLINE)(s) and s.queues == ())
        with pytest.raises(UnknownAgent):
            await agents.sign_in("nobody", ["service"])


async def test_a_phone_that_is_not_registered_is_told_truly(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    async with switchboard_of(pbx) as (board, heard, _):
        await board.agents.sign_in("sara", ["service"])
        state = await heard.wait(
            lambda s: isinstance(s, AgentStateChanged) and s.queues == ("service",)
        )
        assert (state.state, state.reason) == (AgentState.OFFLINE, "phone_unreachable")


async def test_wrap_up_is_offered_nothing_and_ends_by_hand_or_by_time(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    phone = await agent_phone(sip_network, pbx, "1001", answer_after=0)
    async with switchboard_of(pbx, wrap_up=60) as (board, heard, _):
        await board.agents.sign_in("lin", ["service"])
        await heard.wait(becomes("lin", AgentState.AVAILABLE))
        call = await sip_network.call("+8613800138000", "600")
        await heard.wait(lambda s: isinstance(s, CallAnswered) and s.agent == "lin")
        await heard.wait(becomes("lin", AgentState.ON_CALL))
        await call.hang_up()
        await heard.wait(becomes("lin", AgentState.WRAP_UP))
        rung = len(phone.calls)
        waiting = await sip_network.call("+34600111222", "600")
        await waiting.wait("answered")
        await asyncio.sleep(1.5)  # longer than the queue's retry: it would have rung by now
        assert len(phone.calls) == rung
        phone.answer_after = None  # answered before the caller is gone, it would be wrapped up
        await board.agents.finish_wrap_up("lin")
        ringing = await phone.next_call()
        await waiting.hang_up()
        await ringing.wait("ended")
        phone.answer_after = 0
    async with switchboard_of(pbx, wrap_up=1) as (board, heard, _):
        await heard.wait(lambda s: isinstance(s, AgentStateChanged) and s.agent == "lin")
        call = await sip_network.call("+8613800138000", "600")
        await heard.wait(lambda s: isinstance(s, CallAnswered))
        await call.hang_up()
        await heard.wait(becomes("lin", AgentState.WRAP_UP))
        wrapped = len(heard.signals)
        await heard.wait(
            lambda s: (
                becomes("lin", AgentState.AVAILABLE)(s)
                and any(s is later for _, later in heard.signals[wrapped:])
            )
        )


async def test_the_pop_is_out_before_the_phone_says_that_it_rings(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    phone = await agent_phone(sip_network, pbx, "1001", answer_after=0.2)

    async def look_up(number: str | int) -> tuple[dict[str, Any], ...]:
        return ({"id": 7, "name": "王芳", "number": number},)

    async with switchboard_of(pbx) as (board, heard, bus):
        pops = ScreenPops(
            bus,
            lambda text: to_e164(text, "CN"),
            look_up,
            lambda endpoint: {"PJSIP/1001": "lin"}.get(endpoint, ""),
            look_up_customer=look_up,
        )
        bus.listen(pops.on_signal)
        await board.agents.sign_in("lin", ["service"])
        await heard.wait(becomes("lin", AgentState.AVAILABLE))
        call = await sip_network.call("+8613800138000", "600")
        pop = await heard.wait(lambda s: isinstance(s, ScreenPop))
        assert (pop.agent, pop.number, pop.queue) == ("lin", "+8613800138000", "service")
        assert pop.matches[0]["name"] == "王芳"
        await heard.wait(lambda s: isinstance(s, CallAnswered))
        ringing_at = phone.calls[0].ringing_at
        assert ringing_at is not None
        assert heard.when(ScreenPop) < ringing_at
        await call.hang_up()
        summary = await heard.wait(lambda s: isinstance(s, CallSummary))
        assert (summary.outcome, summary.answered_by) == (Outcome.ANSWERED, "PJSIP/1001")
        assert (summary.queue, summary.rang) == ("service", ["PJSIP/1001"])
        await pops.close()


async def test_with_the_link_down_a_command_says_so_at_once(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    board = Switchboard("main", AmiAddress(host="127.0.0.1", port=9, user="u", secret="s"), Bus())
    board.seat(SEATS)
    await board.start()
    with pytest.raises(LinkDown):
        await board.agents.sign_in("lin", ["service"])
    await board.close()
