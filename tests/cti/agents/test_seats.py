"""Agents' states on a real Asterisk: wrap-up to its end over restarts, pauses, penalties, rings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crm_store.contacts import missed_rings
from crm_store.database import Database
from crm_store.signals import (
    AgentState,
    AgentStateChanged,
    CallAnswered,
    CallOfferEnded,
    Direction,
    PbxLinkChanged,
)
from cti.agents.missed_rings import MissedRings
from cti.agents.queue_model import QueueModel
from cti.agents.seats import Agents, AgentSeat, WrapUpLimit
from cti.switchboard import Switchboard
from cti.telephone_network.network import SipNetwork
from tests.asterisk_fixtures import SharedPbx, agent_phone, pbx, sip_network
from tests.cti.test_switchboard import Heard, becomes, switchboard_of
from tests.store_fixtures import sqlite_database, sqlite_template, sqlite_url

pytestmark = pytest.mark.asterisk
__all__ = ["pbx", "sip_network", "sqlite_database", "sqlite_template", "sqlite_url"]


async def serve(board: Switchboard, heard: Heard, *queues: str) -> None:
    await board.agents.sign_in("lin", queues)
    await heard.wait(
        lambda s: becomes("lin", AgentState.AVAILABLE)(s) and set(s.queues) == set(queues)
    )


async def talk(network: SipNetwork, heard: Heard) -> Any:
    """A customer's call to the service queue that Lin has answered."""
    call = await network.call("+8613800138000", "600")
    await heard.wait(lambda s: isinstance(s, CallAnswered) and s.agent == "lin")
    await heard.wait(
        lambda s: becomes("lin", AgentState.ON_CALL)(s) and s.extendable_seconds == 300
    )
    return call


async def test_a_wrap_up_keeps_its_end_over_a_restart_of_ours(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    await agent_phone(sip_network, pbx, "1001", answer_after=0)
    async with switchboard_of(pbx, wrap_up=60) as (board, heard, _):
        await serve(board, heard, "service")
        call = await talk(sip_network, heard)
        await call.hang_up()
        over = await heard.wait(becomes("lin", AgentState.WRAP_UP))
        assert over.ends_at == round(over.since) + 60
        await board.agents.extend_wrap_up("lin", 20)
        longer = await heard.wait(
            lambda s: becomes("lin", AgentState.WRAP_UP)(s) and s.extendable_seconds == 280
        )
        assert longer.ends_at == over.ends_at + 20
        assert round(longer.since) == round(over.since)
        await board.agents.extend_wrap_up("lin", 9_999)
        longest = await heard.wait(
            lambda s: becomes("lin", AgentState.WRAP_UP)(s) and s.extendable_seconds == 0
        )
        assert longest.ends_at == over.ends_at + 300
    async with switchboard_of(pbx, wrap_up=5) as (board, heard, _):
        again = await heard.wait(becomes("lin", AgentState.WRAP_UP))
        assert (again.since, again.ends_at) == (round(over.since), over.ends_at + 300)
        await board.agents.finish_wrap_up("lin")
        await heard.wait(becomes("lin", AgentState.AVAILABLE))


async def test_a_wrap_up_that_began_while_we_were_away_ends_by_itself(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    await agent_phone(sip_network, pbx, "1001", answer_after=0)
    async with switchboard_of(pbx, wrap_up=2) as (board, heard, _):
        await serve(board, heard, "service")
        call = await talk(sip_network, heard)
    await call.hang_up()
    async with switchboard_of(pbx, wrap_up=60) as (board, heard, _):
        over = await heard.wait(
            lambda s: becomes("lin", AgentState.WRAP_UP)(s) and s.ends_at is not None
        )
        assert over.ends_at == over.since + 2
        await heard.wait(becomes("lin", AgentState.AVAILABLE))


async def test_a_pause_asked_for_in_a_call_follows_its_wrap_up(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    await agent_phone(sip_network, pbx, "1001", answer_after=0)
    async with switchboard_of(pbx, wrap_up=1) as (board, heard, _):
        await serve(board, heard, "service")
        call = await talk(sip_network, heard)
        await board.agents.pause("lin", "lunch")
        await heard.wait(lambda s: becomes("lin", AgentState.ON_CALL)(s) and s.next_pause)
        await board.agents.unpause("lin")
        before = len(heard.signals)
        await board.agents.pause("lin", "training")
        await heard.wait(
            lambda s: (
                becomes("lin", AgentState.ON_CALL)(s)
                and s.next_pause == "training"
                and any(s is later for _, later in heard.signals[before:])
            )
        )
        await call.hang_up()
        over = await heard.wait(becomes("lin", AgentState.WRAP_UP))
        assert over.next_pause == "training"
        pause = await heard.wait(becomes("lin", AgentState.PAUSED))
        assert pause.reason == "training"


async def test_who_joins_another_queue_in_a_wrap_up_is_offered_nothing_there(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    await agent_phone(sip_network, pbx, "1001", answer_after=0)
    async with switchboard_of(pbx, wrap_up=60) as (board, heard, _):
        await serve(board, heard, "service")
        call = await talk(sip_network, heard)
        await call.hang_up()
        over = await heard.wait(becomes("lin", AgentState.WRAP_UP))
        await board.agents.sign_in("lin", ["service", "sales"])
        now = await heard.wait(
            lambda s: becomes("lin", AgentState.WRAP_UP)(s) and len(s.queues) == 2
        )
        assert now.ends_at == over.ends_at
        assert "paused" in await pbx.console("queue show sales")


async def test_written_work_is_a_state_of_its_own(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    await agent_phone(sip_network, pbx, "1001")
    async with switchboard_of(pbx) as (board, heard, _):
        await serve(board, heard, "service")
        await board.agents.pause("lin", "written-work")
        await heard.wait(becomes("lin", AgentState.WRITTEN_WORK))
    async with switchboard_of(pbx) as (board, heard, _):
        state = await heard.wait(becomes("lin", AgentState.WRITTEN_WORK))
        assert state.since is not None


async def test_other_penalties_and_lost_queues_hold_at_once(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    await agent_phone(sip_network, pbx, "1001")

    def seats(**penalties: int) -> list[AgentSeat]:
        return [AgentSeat("lin", "PJSIP/1001", penalties)]

    async with switchboard_of(pbx, seats=seats(service=1, sales=2)) as (board, heard, _):
        await serve(board, heard, "service", "sales")
        assert "with penalty 2" in await pbx.console("queue show sales")
        await board.take_seats(seats(service=4))
        await heard.wait(lambda s: isinstance(s, AgentStateChanged) and s.queues == ("service",))
        assert "with penalty 4" in await pbx.console("queue show service")
        assert "PJSIP/1001" not in await pbx.console("queue show sales")
    # What changed while we were away holds from the next link on.
    async with switchboard_of(pbx, seats=seats(service=3)) as (board, _, _):
        while board.queues.places_of("lin")["service"].penalty != "3":
            await board.action("Ping")
        await board.take_seats([])
        assert "PJSIP/1001" not in await pbx.console("queue show service")


async def test_missed_rings_are_noted_and_pause_the_agent_and_the_caller_waits_on(
    pbx: SharedPbx, sip_network: SipNetwork, sqlite_database: Database
) -> None:
    await agent_phone(sip_network, pbx, "1001")
    async with switchboard_of(pbx) as (board, heard, bus):
        rings = MissedRings(sqlite_database, {"quick": 2}, board.agents.pause)
        bus.listen(rings.on_signal)
        await serve(board, heard, "quick")
        call = await sip_network.call("+8613800138000", "606")
        pause = await heard.wait(becomes("lin", AgentState.PAUSED))
        assert (pause.reason, pause.missed_rings) == ("missed-rings", 2)
        assert board.queues.waiting["quick"] == 1
        await call.hang_up()
        await rings.close()
        noted = await missed_rings.newest(sqlite_database, "lin")
        assert [(one.queue, one.cause) for one in noted] == [("quick", "no_answer")] * 2


def offer_ended(cause: str, queue: str = "service") -> CallOfferEnded:
    return CallOfferEnded(
        pbx="main", call="1.1", endpoint="PJSIP/1001", agent="lin", queue=queue, cause=cause
    )


async def test_only_unanswered_rings_in_a_row_count(sqlite_database: Database) -> None:
    paused: list[tuple[str, str]] = []

    async def pause(agent: str, reason: str) -> None:
        paused.append((agent, reason))

    rings = MissedRings(sqlite_database, {"service": 2, "sales": 0}, pause)
    answer = CallAnswered(
        pbx="main", call="1.1", endpoint="PJSIP/1001", agent="lin", queue="service", caller="1"
    )
    for signal in (
        offer_ended("no_answer"),
        offer_ended("declined"),
        offer_ended("unreachable"),
        offer_ended("answered_elsewhere"),
        offer_ended("passed_on"),
        offer_ended("no_answer", queue=""),
        answer,
        offer_ended("no_answer"),
        offer_ended("no_answer", queue="sales"),
    ):
        rings.on_signal(signal)
    await rings.close()
    assert paused == []
    rings.on_signal(offer_ended("no_answer"))
    await rings.close()
    assert paused == [("lin", "missed-rings 3")]
    noted = await missed_rings.newest(sqlite_database, "lin")
    assert sorted(one.cause for one in noted) == ["declined", *["no_answer"] * 4]


@pytest.mark.parametrize("way", ["blind", "attended", "only asked"])
async def test_who_is_given_a_queue_s_call_wraps_up_as_well(
    pbx: SharedPbx, sip_network: SipNetwork, way: str
) -> None:
    agent = await agent_phone(sip_network, pbx, "1001", answer_after=0)
    await agent_phone(sip_network, pbx, "1003", answer_after=0)
    async with switchboard_of(pbx, wrap_up=7) as (board, heard, _):
        await serve(board, heard, "service")
        await board.agents.sign_in("sara", ["sales"])
        await heard.wait(becomes("sara", AgentState.AVAILABLE))
        customer = await talk(sip_network, heard)
        (leg,) = agent.calls
        await leg.audio.next_heard(0.1)
        if way == "blind":
            await leg.transfer("1003")
        else:
            await leg.hold()
            asked = await agent.dial("1003")
            await heard.wait(lambda s: isinstance(s, CallAnswered) and s.agent == "sara")
            await asked.audio.next_heard(0.1)
        if way == "attended":
            await leg.transfer_to_call(asked)
        if way == "only asked":
            await heard.wait(becomes("sara", AgentState.ON_CALL))
            said = len(heard.signals)
            await asked.hang_up()
            await heard.wait(
                lambda s: (
                    isinstance(s, AgentStateChanged)
                    and s.agent == "sara"
                    and any(s is later for _, later in heard.signals[said:])
                )
            )
            assert board.agents.state_of("sara").state is AgentState.AVAILABLE
        else:
            await heard.wait(
                lambda s: becomes("sara", AgentState.ON_CALL)(s) and s.extendable_seconds == 300
            )
            assert "paused" in await pbx.console("queue show sales")
            await customer.hang_up()
            over = await heard.wait(becomes("sara", AgentState.WRAP_UP))
            assert over.ends_at == round(over.since) + 7
        await customer.hang_up()


async def test_a_wrap_up_that_ended_while_the_link_was_down_ends_with_the_link() -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    link_is_up = False

    async def action(name: str, **headers: str) -> None:
        heard.put_nowait((name, headers["Paused"]))
        if not link_is_up:
            raise ConnectionError

    model = QueueModel("main")
    agents = Agents(action, model, {})
    agents.seat([AgentSeat("lin", "PJSIP/1001")])
    (over, _) = model.feed(
        {
            "Event": "QueueMemberAdded",
            "Queue": "service",
            "Interface": "PJSIP/1001",
            "MemberName": "lin",
            "Status": "1",
            "Paused": "1",
            "PausedReason": "wrap-up 1000-1030+300",
        }
    )
    agents.on_signal(over)
    async with asyncio.timeout(10):
        assert await heard.get() == ("QueuePause", "false")
        link_is_up = True
        agents.on_signal(PbxLinkChanged(pbx="main", up=True))
        assert await heard.get() == ("QueuePause", "false")
    await agents.close()


@pytest.mark.parametrize(
    ("direction", "queue", "before", "expected"),
    [
        (Direction.OUTBOUND, "", "", "wrap-up for 40+300"),
        (Direction.OUTBOUND, "", "lunch", "wrap-up for 40+300 then lunch"),
        (Direction.OUTBOUND, "", "wrap-up for 7+1", None),
        (Direction.OUTBOUND, "", "wrap-up 1000-1030+0 then tea", "wrap-up for 40+300 then tea"),
        (Direction.INTERNAL, "", "", None),
        (Direction.INBOUND, "", "", None),
        (Direction.INBOUND, "service", "wrap-up for 7+1", "wrap-up for 30+60"),
        (Direction.INBOUND, "unknown", "", "wrap-up for 40+300"),
        (Direction.INBOUND, "hasty", "", None),
    ],
)
async def test_which_calls_are_written_up(
    direction: Direction, queue: str, before: str, expected: str | None
) -> None:
    said: list[str] = []

    async def action(name: str, **headers: str) -> None:
        assert name == "QueuePause"
        said.append(headers["Reason"])

    model = QueueModel("main")
    model.feed(
        {
            "Event": "QueueMemberAdded",
            "Queue": "service",
            "Interface": "PJSIP/1001",
            "MemberName": "lin",
            "Status": "2",
            "Paused": "1" if before else "0",
            "PausedReason": before,
        }
    )
    limits = {"service": WrapUpLimit(30, 60), "hasty": WrapUpLimit(0, 0)}
    agents = Agents(action, model, limits, WrapUpLimit(40))
    agents.seat([AgentSeat("lin", "PJSIP/1001")])
    agents.on_signal(
        CallAnswered(
            pbx="main",
            call="1.1",
            endpoint="PJSIP/1001",
            agent="lin",
            queue=queue,
            caller="1",
            direction=direction,
        )
    )
    await asyncio.sleep(0)  # the command's task has had its turn
    assert said == ([] if expected is None else [expected])
