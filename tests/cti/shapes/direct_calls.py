"""Direct, internal and outbound calls on our PBX, and numbers that lead to no person."""

from __future__ import annotations

from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import OTHER_CUSTOMER, ours


@ours
async def direct_answered(on: Stage) -> None:
    lin = await on.phone("1001")
    call = await on.call("1001")
    ringing = await lin.next_call()
    await on.see("ringing")
    await lin.answer(ringing)
    await on.heard("BridgeEnter")
    await on.see("talking")
    await ringing.hang_up()
    await call.wait("ended")


@ours
async def direct_no_answer_then_voicemail(on: Stage) -> None:
    lin = await on.phone("1001")
    call = await on.call("1001")
    await lin.next_call()
    await on.heard("Newexten", Application="VoiceMail")
    await call.wait("answered")
    await call.hang_up()


@ours
async def direct_busy_then_voicemail(on: Stage) -> None:
    lin = await on.phone("1001")
    call = await on.call("1001")
    await lin.refuse(code=486)
    await call.wait("answered")
    await call.hang_up()


@ours
async def direct_declined(on: Stage) -> None:
    lin = await on.phone("1001")
    call = await on.call("1001")
    await lin.refuse(code=603)
    await call.wait("answered")
    await call.hang_up()


@ours
async def direct_caller_cancels(on: Stage) -> None:
    lin = await on.phone("1001")
    call = await on.call("1001")
    await lin.next_call()
    await call.hang_up()


@ours
async def direct_unregistered(on: Stage) -> None:
    call = await on.call("1005")
    await call.wait("answered")
    await call.hang_up()


@ours
async def agent_to_agent(on: Stage) -> None:
    lin, fang = await on.phone("1001"), await on.phone("1002")
    call = await lin.dial("1002")
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await on.see("two agents talk")
    await call.hang_up()


@ours
async def agent_to_agent_busy(on: Stage) -> None:
    lin, fang = await on.phone("1001"), await on.phone("1002")
    call = await lin.dial("1002")
    await fang.refuse(code=486)
    await call.wait("answered")
    await call.hang_up()


@ours
async def outbound_answered(on: Stage) -> None:
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    call = await lin.dial("9" + OTHER_CUSTOMER[1:])
    await customer.answer(await customer.next_call())
    await on.talking(2)
    await on.see("talking")
    await call.hang_up()


@ours
async def outbound_busy(on: Stage) -> None:
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    call = await lin.dial(OTHER_CUSTOMER)
    await customer.refuse(await customer.next_call(), code=486)
    await call.wait("ended")


@ours
async def outbound_given_up(on: Stage) -> None:
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    call = await lin.dial(OTHER_CUSTOMER)
    await customer.next_call()
    await call.hang_up()


@ours
async def number_that_does_not_exist(on: Stage) -> None:
    call = await on.call("999")
    await call.wait("ended")


@ours
async def echo_test(on: Stage) -> None:
    call = await on.call("699")
    await call.wait("answered")
    await call.hang_up()
