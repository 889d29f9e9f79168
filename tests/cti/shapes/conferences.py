"""A consultation that becomes a conference, as cti/calls/call_control.py makes it."""

from __future__ import annotations

from cti.telephone_network.call import SipCall
from cti.telephone_network.phone import SipPhone
from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import ours, talk_from_queue
from tests.cti.shapes.taken_over import take_over


async def join(on: Stage, leg: str, joined: str) -> None:
    await on.action("Setvar", Channel=leg, Variable="DESKBELL_JOINS", Value=joined)
    await on.action("Redirect", Channel=leg, Context="joining-a-call", Exten="s", Priority=1)


async def three_talk(on: Stage) -> tuple[SipCall, SipCall, SipCall, SipPhone]:
    """Customer, the agent's consultation, whom they consulted, and the agent's phone."""
    customer, agent, lin = await talk_from_queue(on)
    fang = await on.phone("1002")
    await agent.hold()
    consult = await lin.dial("1002")
    third = await fang.answer(await fang.next_call())
    await on.talking(4)
    await join(on, await on.channel("PJSIP/trunk"), await on.channel("PJSIP/1001"))
    await agent.wait("ended")
    await on.talking(3)
    return customer, consult, third, lin


@ours
async def conference_from_a_consultation(on: Stage) -> None:
    customer, consult, third, _ = await three_talk(on)
    await on.see("three talk")
    await consult.hang_up()
    await on.talking(2)
    await on.see("the agent has left")
    await third.hang_up()
    await customer.wait("ended")


@ours
async def conference_that_the_customer_leaves(on: Stage) -> None:
    customer, consult, third, _ = await three_talk(on)
    await customer.hang_up()
    await on.talking(2)
    await consult.hang_up()
    await third.wait("ended")


@ours
async def conference_with_a_third_party_outside(on: Stage) -> None:
    subscriber = await on.network.subscriber(answer_after=None)
    customer, agent, lin = await talk_from_queue(on)
    trunk = await on.channel("PJSIP/trunk")
    consult = await lin.dial("+34911234567")
    third = await subscriber.answer(await subscriber.next_call())
    await on.talking(4)
    # Not on hold: the consulted party joins the first call.
    other_trunk = await on.channel("PJSIP/trunk")
    await join(on, other_trunk, trunk)
    await consult.wait("ended")
    await on.talking(3)
    await agent.hang_up()
    await on.talking(2)
    await customer.hang_up()
    await third.wait("ended")


@ours
async def conference_leg_taken_over(on: Stage) -> None:
    customer, consult, third, _ = await three_talk(on)
    again = await take_over(on, consult)
    await on.talking(3)
    await on.see("taken over")
    await third.hang_up()
    await on.talking(2)
    await again.hang_up()
    await customer.wait("ended")
