"""Callbacks on our PBX: the customer's stand-in waits in the queue, then they are dialled."""

from __future__ import annotations

from cti.telephone_network.phone import SipPhone
from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import CUSTOMER, OTHER_CUSTOMER, ours

PLACE = 383_000_000


async def stand_in(on: Stage, callback: int, queue: str = "linear", place: int = PLACE) -> None:
    """What cti.callbacks asks of Asterisk for a callback whose turn is near."""
    await on.action(
        "Originate",
        Channel=f"Local/{callback}@callback-place",
        Context="callback-customer",
        Exten=callback,
        Priority=1,
        Timeout=86_400_000,
        Async="true",
        Variable=[
            f"__DESKBELL_CUSTOMER={OTHER_CUSTOMER}",
            "__DESKBELL_CUSTOMER_NAME=Ana García",
            f"__DESKBELL_QUEUE={queue}",
            f"__DESKBELL_PLACE={place}",
            "__DESKBELL_CALLS_FROM=602",
        ],
    )


async def agent_and_customer(on: Stage, callback: int) -> tuple[SipPhone, SipPhone]:
    await on.join("linear", "1001")
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    await stand_in(on, callback)
    return lin, customer


@ours
async def callback_answered(on: Stage) -> None:
    lin, customer = await agent_and_customer(on, 41)
    ringing = await lin.next_call()
    await on.see("the agent rings")
    agent = await lin.answer(ringing)
    there = await customer.next_call()
    await on.see("the customer rings")
    await customer.answer(there)
    await on.talking(2)
    await on.see("talking")
    await agent.hang_up()


@ours
async def callback_customer_hangs_up(on: Stage) -> None:
    lin, customer = await agent_and_customer(on, 42)
    await lin.answer(await lin.next_call())
    there = await customer.answer(await customer.next_call())
    await on.talking(2)
    await there.hang_up()


@ours
async def callback_customer_busy(on: Stage) -> None:
    lin, customer = await agent_and_customer(on, 43)
    agent = await lin.answer(await lin.next_call())
    await customer.refuse(await customer.next_call(), code=486)
    await agent.wait("ended")


@ours
async def callback_customer_does_not_answer(on: Stage) -> None:
    lin, customer = await agent_and_customer(on, 44)
    agent = await lin.answer(await lin.next_call())
    await customer.next_call()
    await agent.wait("ended")


@ours
async def callback_agent_gives_up_on_the_ring(on: Stage) -> None:
    lin, customer = await agent_and_customer(on, 45)
    agent = await lin.answer(await lin.next_call())
    await customer.next_call()
    await agent.hang_up()


@ours
async def callback_declined_then_the_next(on: Stage) -> None:
    fang = await on.phone("1002")
    lin, customer = await agent_and_customer(on, 46)
    await on.join("linear", "1002")
    await lin.refuse(code=603)
    agent = await fang.answer(await fang.next_call())
    await customer.answer(await customer.next_call())
    await on.talking(2)
    await agent.hang_up()


@ours
async def callback_cancelled_while_it_waits(on: Stage) -> None:
    await stand_in(on, 47)
    await on.heard("QueueCallerJoin")
    await on.see("the stand-in waits")
    await on.action("Hangup", Channel=await on.channel("Local/47@callback-place"))


@ours
async def callback_cancelled_while_the_agent_rings(on: Stage) -> None:
    lin, _ = await agent_and_customer(on, 48)
    await lin.next_call()
    await on.action("Hangup", Channel=await on.channel("Local/48@callback-place"))


@ours
async def callback_asked_for_twice_has_one_stand_in(on: Stage) -> None:
    await stand_in(on, 49)
    await on.heard("QueueCallerJoin")
    await stand_in(on, 49)
    await on.heard("OriginateResponse", Response="Failure")
    await on.see("one waits")
    await on.action("Hangup", Channel=await on.channel("Local/49@callback-place"))


@ours
async def callback_between_two_callers(on: Stage) -> None:
    """The second of three, at home; one agent serves all in order."""
    first = await on.call("602", CUSTOMER)
    await on.heard("QueueCallerJoin", Position="1")
    third = await on.call("602", CUSTOMER)
    await on.heard("QueueCallerJoin", Position="2")
    # Between their moments: both came by now, and the stand-in before the third by its number.
    await stand_in(on, 50, place=2_000_000_000)
    await on.heard("QueueCallerJoin", Position="1")
    await on.see("three wait")
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    await on.join("linear", "1001")
    agent = await lin.answer(await lin.next_call())
    await customer.answer(await customer.next_call())
    await on.talking(2)
    await agent.hang_up()
    agent = await lin.answer(await lin.next_call())
    await first.wait("answered")
    await agent.hang_up()
    agent = await lin.answer(await lin.next_call())
    await third.wait("answered")
    await agent.hang_up()
