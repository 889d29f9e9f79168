"""Callbacks on a real Asterisk: who is served when, what is written, and what outlives whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from crm_store.contacts import callbacks as rows
from crm_store.contacts import queue_places, tasks
from crm_store.database import Database
from crm_store.models import Callback, CallbackState, ContactKind, TaskState
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.signals import CallStarted, ScreenPop
from cti.pbx.embedded import EmbeddedPbx, PbxSettings
from cti.telephone_network.network import SipNetwork, SipPhone
from tests.asterisk_fixtures import SharedPbx, agent_phone, network_of
from tests.cti.callbacks.room import (
    CUSTOMER,
    QUEUE,
    eventually,
    fill,
    room_at,
    the_next_second,
)

pytestmark = pytest.mark.asterisk

FIRST, THIRD = "+8613800138000", "+8613900139000"


@pytest.fixture
async def store(sqlite_database: Database) -> Database:
    await fill(sqlite_database)
    return sqlite_database


async def lin_was_rung(lin: SipPhone) -> None:
    async def is_so() -> bool:
        return bool(lin.calls)

    await eventually(is_so, "lin's phone was rung")


async def test_three_callers_one_at_home_are_served_in_the_order_in_which_they_came(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database
) -> None:
    async with room_at(pbx, store) as room:
        first = await sip_network.call(FIRST, "600")
        await room.waits(FIRST)
        await the_next_second()
        second = await sip_network.call(CUSTOMER, "600")
        await room.waits(FIRST, CUSTOMER)
        place = await room.place_of(CUSTOMER)
        await the_next_second()
        third = await sip_network.call(THIRD, "600")
        await room.waits(FIRST, CUSTOMER, THIRD)
        await second.hang_up()
        await room.waits(FIRST, THIRD)
        arrived = datetime.fromtimestamp(queue_places.stood_since(place), UTC)
        callback = await room.asks(arrived_at=arrived)
        await room.waits(FIRST, CUSTOMER, THIRD)

        home = await sip_network.subscriber(answer_after=None)
        lin = await agent_phone(sip_network, pbx, "1001")
        await room.board.agents.sign_in("lin", [QUEUE])
        served = await lin.answer(await lin.next_call())
        await served.hang_up()
        await first.wait("ended")
        ringing = await lin.next_call()
        assert ringing.caller == CUSTOMER
        assert not home.calls, "the customer's phone rings before an agent has answered"
        served = await lin.answer(ringing)
        await room.becomes(callback, CallbackState.ANSWERED)
        there = await home.next_call()
        await home.answer(there)
        row = await room.becomes(callback, CallbackState.DONE)
        assert (row.agent, row.outcome) == ("lin", "answered")
        # The customer's own leg is recorded, as of a queue's call.
        (call,) = [c for c in room.board.calls.calls.values() if c.callback_id == callback]
        customer = next(c for c in call.channels.values() if c.endpoint == "PJSIP/trunk")

        async def is_recorded() -> bool:
            asked = f"core show channel {customer.name}"
            return "MIXMONITOR_FILENAME" in await pbx.console(asked)

        await eventually(is_recorded, "the customer's leg is recorded")
        await there.hears(660)
        await served.hears(440)
        await served.hang_up()
        await there.wait("ended")
        served = await lin.answer(await lin.next_call())
        await third.hears(660)
        assert [call.caller for call in lin.calls] == [FIRST, CUSTOMER, THIRD]
        assert (await room.task_of(callback)).state is TaskState.DONE


async def test_the_agents_pop_is_of_the_customer_who_asked(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database
) -> None:
    """Two customers have the number; the callback says which of them it is, and since when."""
    ways = [ContactWay(ContactKind.PHONE, CUSTOMER)]
    async with store.transaction() as transaction:
        ids = [
            await customers.create(
                transaction, NewCustomer(name=name, contact_points=ways), actor="lin"
            )
            for name in ("Ana García", "Luis García")
        ]
    async with room_at(pbx, store) as room:
        lin = await agent_phone(sip_network, pbx, "1001")
        callback = await room.asks(customer_id=ids[1], name='Luis "El, Rápido"\t<García>')
        await room.waits(CUSTOMER)
        asked = (await room.row(callback)).requested_at
        await room.board.agents.sign_in("lin", [QUEUE])
        pop = await room.heard.wait(lambda s: isinstance(s, ScreenPop) and not s.looking_up)
        ringing = await lin.next_call()
        assert ringing.invite is not None
        assert "Luis El Rápido García" in ringing.invite.header("From")
        assert (pop.agent, pop.queue, pop.number) == ("lin", QUEUE, CUSTOMER)
        assert (pop.callback_id, pop.callback_asked_at) == (callback, asked.timestamp())
        assert [card["id"] for card in pop.matches] == [ids[1]]


async def test_a_customer_who_does_not_answer_is_tried_three_times_then_left_to_people(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database
) -> None:
    async with room_at(pbx, store) as room:
        home = await sip_network.subscriber(answer_after=None)
        lin = await agent_phone(sip_network, pbx, "1001")
        await room.board.agents.sign_in("lin", [QUEUE])
        callback = await room.asks()
        place = (await room.row(callback)).priority
        for tries in (1, 2):
            agent = await lin.answer(await lin.next_call())
            await home.refuse(await home.next_call(), code=486)
            await agent.wait("ended")
            row = await room.becomes(callback, CallbackState.WAITING)
            assert (row.tries, row.outcome, row.priority) == (tries, "busy", place)
            assert row.not_before > datetime.now(UTC) + timedelta(minutes=9)
            assert await room.stand_ins() == []
            await room.try_now(callback)
        await lin.answer(await lin.next_call())
        await home.refuse(await home.next_call(), code=486)
        await room.becomes(callback, CallbackState.GIVEN_UP)
        assert (await room.task_of(callback)).state is TaskState.OPEN


async def test_an_agent_who_declines_leaves_it_to_the_next(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database
) -> None:
    async with room_at(pbx, store) as room:
        await sip_network.subscriber(answer_after=0.0)
        lin = await agent_phone(sip_network, pbx, "1001", refuse_with=603)
        await room.board.agents.sign_in("lin", [QUEUE])
        callback = await room.asks()
        await lin_was_rung(lin)
        fang = await agent_phone(sip_network, pbx, "1002")
        await room.board.agents.sign_in("fang", [QUEUE])
        await fang.answer(await fang.next_call())
        assert (await room.becomes(callback, CallbackState.DONE)).agent == "fang"


async def test_a_customer_who_calls_in_and_reaches_an_agent_is_not_called_back(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database
) -> None:
    async with room_at(pbx, store) as room:
        callback = await room.asks()
        await room.waits(CUSTOMER)
        fang = await agent_phone(sip_network, pbx, "1002")
        call = await sip_network.call(CUSTOMER, "1002")
        await fang.answer(await fang.next_call())
        await call.wait("answered")
        row = await room.becomes(callback, CallbackState.CANCELLED)
        assert row.outcome == "called_in"
        assert (await room.task_of(callback)).state is TaskState.CANCELLED
        await room.waits()


async def test_a_person_who_takes_or_ends_its_task_has_it(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database
) -> None:
    async with room_at(pbx, store) as room:
        taken, cancelled = await room.asks(), await room.asks(THIRD)
        await room.waits(CUSTOMER, THIRD)
        async with store.transaction() as transaction:
            await tasks.claim(transaction, (await room.row(taken)).task_id, actor="lin")
        await room.becomes(taken, CallbackState.TAKEN_OVER)
        await room.waits(THIRD)
        async with store.transaction() as transaction:
            await rows.cancel(transaction, cancelled, actor="lin")
        room.callbacks.look()
        await room.waits()


async def test_an_hour_that_was_asked_for_is_when_it_comes(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database
) -> None:
    async with room_at(pbx, store) as room:
        at = datetime.now(UTC) + timedelta(hours=1)
        later = await room.asks(at=at)
        now = await room.asks(THIRD)
        await room.waits(THIRD)
        assert (await room.row(later)).priority == queue_places.priority(at.timestamp())
        assert (await room.row(now)).state is CallbackState.JOINED
        await room.try_now(later)
        await room.waits(THIRD, CUSTOMER)


async def test_what_cannot_be_dialled_never_comes_near_the_dialplan(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database
) -> None:
    async with room_at(pbx, store) as room:
        callback = await room.asks(at=datetime.now(UTC) + timedelta(hours=1))
        async with store.transaction() as transaction:
            await transaction.session.execute(
                update(Callback).values(number="600,1)&Local/1001@from-agents")
            )
        await room.try_now(callback)
        assert (await room.becomes(callback, CallbackState.CANCELLED)).outcome == "undiallable"
        assert not room.heard.all_of(CallStarted)


async def test_another_deskbell_finds_the_stand_ins_and_makes_no_second(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database
) -> None:
    async with room_at(pbx, store) as room:
        await room.asks()
        await room.waits(CUSTOMER)
        before = await room.stand_ins()
    async with room_at(pbx, store) as room:
        second = await room.asks(THIRD)
        await room.becomes(second, CallbackState.JOINED)
        await room.waits(CUSTOMER, THIRD)
        assert len(before) == 1
        assert set(before) < set(await room.stand_ins())


@pytest.mark.parametrize("until", ["the customer rings", "they talk", "it is over", "never"])
async def test_what_happens_while_deskbell_is_away_is_known_when_it_is_back(
    pbx: SharedPbx, sip_network: SipNetwork, store: Database, until: str
) -> None:
    home = await sip_network.subscriber(answer_after=None)
    lin = await agent_phone(sip_network, pbx, "1001")
    async with room_at(pbx, store) as room:
        callback = await room.asks()
        await room.waits(CUSTOMER)
    await pbx.join_queue("1001", QUEUE, name="lin")
    agent = await lin.answer(await lin.next_call())
    there = await home.next_call()
    if until == "never":
        await home.refuse(there, code=486)
        await agent.wait("ended")
    elif until != "the customer rings":
        await home.answer(there)
        await agent.hears(440)
    if until == "it is over":
        await agent.hang_up()
        await there.wait("ended")
    async with room_at(pbx, store) as room:
        if until == "never":
            row = await room.becomes(callback, CallbackState.WAITING)
            assert row.tries == 1
        else:
            if until == "the customer rings":
                await room.becomes(callback, CallbackState.ANSWERED)
                await home.answer(there)
            await room.becomes(callback, CallbackState.DONE)
        assert len(home.calls) == 1


async def test_asterisk_that_was_killed_has_its_stand_ins_again(
    pbx_settings: PbxSettings, store: Database
) -> None:
    async with (
        EmbeddedPbx(pbx_settings) as own,
        network_of(own) as network,
        room_at(own, store) as room,
    ):
        callback = await room.asks()
        await room.waits(CUSTOMER)
        await own.kill()
        await room.heard.wait(lambda s: type(s).__name__ == "PbxLinkChanged" and not s.up)
        await room.board.link.wait_up()
        await room.waits(CUSTOMER)
        assert len(await room.stand_ins()) == 1
        home = await network.subscriber(answer_after=0.0)
        lin = await agent_phone(network, own, "1001", answer_after=0.0)
        await room.board.agents.sign_in("lin", [QUEUE])
        await room.becomes(callback, CallbackState.DONE)
        assert len(home.calls) == len(lin.calls) == 1
