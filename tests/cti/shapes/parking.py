"""Calls kept aside or joined, on our PBX: hold, parking, conferences."""

from __future__ import annotations

from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import OTHER_CUSTOMER, ours, talk_from_queue


@ours
async def conference(on: Stage) -> None:
    lin, fang = await on.phone("1001"), await on.phone("1002")
    customer = await on.call("800")
    await customer.wait("answered")
    one = await lin.dial("800")
    await one.wait("answered")
    other_one = await fang.dial("800")
    await other_one.wait("answered")
    await on.heard("ConfbridgeJoin", CallerIDNum="1002")
    await on.see("three parties")
    await one.hang_up()
    await customer.hang_up()
    await other_one.hang_up()


@ours
async def conference_by_transfer(on: Stage) -> None:
    customer, agent, lin = await talk_from_queue(on)
    await agent.transfer("800")
    await on.heard("ConfbridgeJoin")
    back = await lin.dial("800")
    await back.wait("answered")
    await on.heard("ConfbridgeJoin", CallerIDNum="1001")
    await customer.hang_up()
    await back.hang_up()


@ours
async def hold_and_resume(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    await agent.hold()
    await on.heard("Hold")
    await on.see("held")
    await agent.resume()
    await on.heard("Unhold")
    await customer.hang_up()


@ours
async def hold_and_caller_hangs_up(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    await agent.hold()
    await on.heard("Hold")
    await customer.hang_up()


@ours
async def parked_and_taken_by_another(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await agent.transfer("700")
    await on.heard("ParkedCall")
    await on.see("parked")
    taking = await fang.dial("701")
    await taking.wait("answered")
    await on.heard("UnParkedCall")
    await on.talking(2)
    await on.see("taken")
    await customer.hang_up()


@ours
async def parked_and_taken_by_the_same(on: Stage) -> None:
    customer, _, lin = await talk_from_queue(on)
    await on.action("Park", Channel=await on.channel("PJSIP/trunk"), Timeout=30000)
    await on.heard("ParkedCall")
    await on.see("parked")
    taking = await lin.dial("701")
    await taking.wait("answered")
    await on.heard("UnParkedCall")
    await on.talking(2)
    await customer.hang_up()


@ours
async def parked_by_feature_code(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    fang = await on.phone("1002")
    await agent.press("#72")
    await on.heard("ParkedCall")
    taking = await fang.dial("701")
    await taking.wait("answered")
    await on.talking(2)
    await taking.hang_up()
    await customer.wait("ended")


@ours
async def parking_times_out(on: Stage) -> None:
    customer, agent, lin = await talk_from_queue(on)
    await agent.transfer("700")
    await on.heard("ParkedCallTimeOut")
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await on.see("back at the agent")
    await customer.hang_up()


@ours
async def parked_caller_hangs_up(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    await agent.transfer("700")
    await on.heard("ParkedCall")
    await customer.hang_up()


@ours
async def two_customers_parked(on: Stage) -> None:
    first, agent, lin = await talk_from_queue(on)
    trunk = await on.channel("PJSIP/trunk")
    await on.action("Park", Channel=trunk, TimeoutChannel="PJSIP/1001", Timeout=30000)
    await on.heard("ParkedCall", ParkingSpace="701")
    await agent.wait("ended")
    second = await on.call("600", OTHER_CUSTOMER)
    await lin.answer(await lin.next_call())
    await on.talking(2)
    trunk = await on.channel("PJSIP/trunk")
    await on.action("Park", Channel=trunk, TimeoutChannel="PJSIP/1001", Timeout=30000)
    await on.heard("ParkedCall", ParkingSpace="702")
    await on.see("two are parked")
    taking = await lin.dial("702")
    await taking.wait("answered")
    await on.heard("UnParkedCall")
    await on.talking(2)
    await second.hang_up()
    await first.hang_up()
