"""A page that was loaded anew: its phone takes its own leg over, by INVITE with Replaces."""

from __future__ import annotations

from cti.telephone_network.call import SipCall
from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import ours, talk_from_queue


async def take_over(on: Stage, leg: SipCall, extension: str = "1001") -> SipCall:
    """The page is back: its new leg takes the place of the one that the old page had."""
    _, secret = on.pbx.phone_account(extension)
    new = await on.network.call(extension, extension, secret=secret, headers=(leg.replaces,))
    await new.wait("answered")
    await leg.wait("ended")
    return new


@ours
async def taken_over_by_its_own_phone(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    await take_over(on, agent)
    await on.talking(2)
    await on.see("taken over")
    await customer.hang_up()


@ours
async def taken_over_twice(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    second = await take_over(on, agent)
    await on.talking(2)
    third = await take_over(on, second)
    await on.talking(2)
    await third.hang_up()
    await customer.wait("ended")


@ours
async def taken_over_while_held(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    await agent.hold()
    await on.heard("Hold")
    again = await take_over(on, agent)
    await on.talking(2)
    await again.hold()
    await again.resume()
    await customer.hang_up()


@ours
async def taken_over_after_dialling_out(on: Stage) -> None:
    subscriber = await on.network.subscriber()
    lin = await on.phone("1001")
    leg = await lin.dial("+34911234567")
    await leg.wait("answered")
    await on.talking(2)
    await take_over(on, leg)
    await on.talking(2)
    await on.see("taken over")
    await subscriber.calls[0].hang_up()


@ours
async def taken_over_then_transferred(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    again = await take_over(on, agent)
    await on.talking(2)
    await again.transfer("1002")
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await customer.hang_up()
