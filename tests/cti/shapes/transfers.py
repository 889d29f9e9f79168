"""Calls handed on, on our PBX: blind, attended and blonde transfers, pickups, forwarding."""

from __future__ import annotations

import contextlib

from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import OTHER_CUSTOMER, ours, talk_from_queue


@ours
async def blind_transfer_refer_to_agent(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await agent.transfer("1002")
    ringing = await fang.next_call()
    await on.see("transferred, ringing")
    await fang.answer(ringing)
    await on.talking(2)
    await on.see("transferred, talking")
    await customer.hang_up()


@ours
async def blind_transfer_refer_not_answered(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await agent.transfer("1002")
    await fang.next_call()
    await on.heard("Newexten", Application="VoiceMail")
    await customer.hang_up()


@ours
async def blind_transfer_refer_to_queue(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    await on.join("quick", "1002")
    fang = await on.phone("1002")
    await agent.transfer("606")
    ringing = await fang.next_call()
    await on.see("in the second queue")
    await fang.answer(ringing)
    await on.heard("AgentConnect", Queue="quick")
    await on.talking(2)
    await customer.hang_up()


@ours
async def blind_transfer_refer_to_nowhere(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    with contextlib.suppress(ConnectionError):
        await agent.transfer("555")
    await on.talking(2)
    await customer.hang_up()


@ours
async def blind_transfer_feature_code(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await agent.press("##")
    await on.heard("MusicOnHoldStart", Channel=await on.channel("PJSIP/trunk"))
    await agent.press("1002")
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await customer.hang_up()


@ours
async def blind_transfer_ami(on: Stage) -> None:
    customer, _, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await on.action(
        "BlindTransfer",
        Channel=await on.channel("PJSIP/1001"),
        Exten="1002",
        Context="from-agents",
    )
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await customer.hang_up()


@ours
async def redirect_while_talking(on: Stage) -> None:
    customer, _, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await on.action(
        "Redirect",
        Channel=await on.channel("PJSIP/trunk"),
        Exten="1002",
        Context="from-agents",
        Priority=1,
    )
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await customer.hang_up()


@ours
async def attended_transfer_refer(on: Stage) -> None:
    customer, agent, lin = await talk_from_queue(on)
    fang = await on.phone("1002")
    await agent.hold()
    consult = await lin.dial("1002")
    await fang.answer(await fang.next_call())
    await on.talking(4)
    await on.see("consulting")
    await agent.transfer_to_call(consult)
    await on.heard("AttendedTransfer")
    await on.talking(2)
    await on.see("transferred")
    await customer.hang_up()


@ours
async def attended_transfer_feature_code(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await agent.press("*2")
    await on.heard("MusicOnHoldStart", Channel=await on.channel("PJSIP/trunk"))
    await agent.press("1002")
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await on.see("consulting")
    await agent.hang_up()
    await on.heard("AttendedTransfer")
    await on.talking(2)
    await on.see("transferred")
    await customer.hang_up()


@ours
async def attended_transfer_ami(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await on.action(
        "Atxfer", Channel=await on.channel("PJSIP/1001"), Exten="1002", Context="from-agents"
    )
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await agent.hang_up()
    await on.heard("AttendedTransfer")
    await on.talking(2)
    await customer.hang_up()


@ours
async def attended_transfer_given_up(on: Stage) -> None:
    """The colleague does not want the call, and the agent takes the customer back."""
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await on.action(
        "Atxfer", Channel=await on.channel("PJSIP/1001"), Exten="1002", Context="from-agents"
    )
    consulted = await fang.answer(await fang.next_call())
    await on.talking(2)
    await consulted.hang_up()
    await on.talking(2)
    await customer.hang_up()
    await agent.wait("ended")


@ours
async def blonde_transfer_feature_code(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await agent.press("*2")
    await on.heard("MusicOnHoldStart", Channel=await on.channel("PJSIP/trunk"))
    await agent.press("1002")
    ringing = await fang.next_call()
    await agent.hang_up()
    await on.heard("AttendedTransfer")
    await on.see("handed on while it rings")
    await fang.answer(ringing)
    await on.talking(2)
    await on.see("answered")
    await customer.hang_up()


@ours
async def attended_transfer_into_queue(on: Stage) -> None:
    """The agent calls another queue, talks with whoever answers there, and hands over."""
    customer, agent, lin = await talk_from_queue(on)
    await on.join("quick", "1002")
    fang = await on.phone("1002")
    await agent.hold()
    consult = await lin.dial("606")
    await fang.answer(await fang.next_call())
    await on.talking(4)
    await agent.transfer_to_call(consult)
    await on.heard("AttendedTransfer")
    await on.talking(2)
    await customer.hang_up()


@ours
async def pickup_direct(on: Stage) -> None:
    lin, fang = await on.phone("1001"), await on.phone("1002")
    customer = await on.call("1001")
    await lin.next_call()
    picking = await fang.dial("*81001")
    await picking.wait("answered")
    await on.heard("Pickup")
    await on.talking(2)
    await on.see("picked up")
    await customer.hang_up()


@ours
async def pickup_queue(on: Stage) -> None:
    lin, fang = await on.phone("1001"), await on.phone("1002")
    await on.join("service", "1001")
    customer = await on.call("600")
    await lin.next_call()
    picking = await fang.dial("*81001")
    await picking.wait("answered")
    await on.heard("Pickup")
    await on.talking(2)
    await on.see("picked up")
    await picking.hang_up()
    await customer.wait("ended")


@ours
async def forwarded_by_the_phone(on: Stage) -> None:
    lin, fang = await on.phone("1001"), await on.phone("1002")
    customer = await on.call("1001")
    await lin.refuse(code=302, to="1002")
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await on.see("answered by the second")
    await customer.hang_up()


@ours
async def forwarded_in_the_dialplan(on: Stage) -> None:
    fang = await on.phone("1002")
    await on.action("DBPut", Family="forward", Key="1001", Val="1002")
    customer = await on.call("1001")
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await on.see("answered by the second")
    await customer.hang_up()
    await on.action("DBDel", Family="forward", Key="1001")


@ours
async def outbound_transferred(on: Stage) -> None:
    lin, fang = await on.phone("1001"), await on.phone("1002")
    customer = await on.network.subscriber(answer_after=None)
    call = await lin.dial(OTHER_CUSTOMER)
    outside = await customer.answer(await customer.next_call())
    await on.talking(2)
    await call.transfer("1002")
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await outside.hang_up()


@ours
async def blind_transfer_to_queue_abandoned(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    await agent.transfer("606")
    await on.heard("QueueCallerJoin", Queue="quick")
    await customer.hang_up()
