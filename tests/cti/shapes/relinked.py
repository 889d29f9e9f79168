"""Recordings of our own link, which was cut and came back, as `serve --record-ami` makes them."""

from __future__ import annotations

from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import OTHER_CUSTOMER, ours, talk_from_queue


@ours
async def relinked_while_talking(on: Stage) -> None:
    """Deskbell's own recording: the link is cut while an agent talks, and comes back."""
    async with on.live_link() as (switchboard, relay):
        customer, _, _ = await talk_from_queue(on)
        relay.cut()
        await on.talking(2)
        relay.mend()
        await switchboard.link.wait_up()
        await on.talking(2)
        await customer.hang_up()


@ours
async def relinked_after_the_call_ended(on: Stage) -> None:
    async with on.live_link() as (switchboard, relay):
        customer, _, _ = await talk_from_queue(on)
        relay.cut()
        await customer.hang_up()
        await on.no_channels()
        relay.mend()
        await switchboard.link.wait_up()


@ours
async def relinked_into_new_calls(on: Stage) -> None:
    """While the link is down one caller comes to ring, another to wait, and a third parks."""
    async with on.live_link() as (switchboard, relay):
        parked, agent, lin = await talk_from_queue(on)
        relay.cut()
        trunk = await on.channel("PJSIP/trunk")
        await on.action("Park", Channel=trunk, TimeoutChannel="PJSIP/1001", Timeout=30000)
        await agent.wait("ended")
        ringing = await on.call("600", OTHER_CUSTOMER)
        agent = await lin.next_call()
        waiting = await on.call("606", "+442079460000")
        await on.heard("QueueCallerJoin", Queue="quick")
        relay.mend()
        await switchboard.link.wait_up()
        await lin.answer(agent)
        await on.talking(2)
        await waiting.hang_up()
        await ringing.hang_up()
        await parked.hang_up()
