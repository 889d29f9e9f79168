"""Queue calls on our PBX: answered, declined, left in every way; menus, agents who vanish."""

from __future__ import annotations

from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import CUSTOMER, OTHER_CUSTOMER, ours, talk_from_queue


@ours
async def queue_one_member(on: Stage) -> None:
    await on.join("service", "1001")
    lin = await on.phone("1001")
    call = await on.call("600", name="王小明")
    ringing = await lin.next_call()
    await on.see("ringing")
    await lin.answer(ringing)
    await on.heard("BridgeEnter")
    await on.see("talking")
    await call.hang_up()
    await ringing.wait("ended")


@ours
async def queue_ring_all(on: Stage) -> None:
    phones = []
    for extension in ("1001", "1002", "1003"):
        await on.join("service", extension)
        phones.append(await on.phone(extension))
    call = await on.call("600")
    calls = [await phone.next_call() for phone in phones]
    await on.see("three phones ring")
    await phones[1].answer(calls[1])
    await calls[0].wait("ended")
    await calls[2].wait("ended")
    await on.see("one talks")
    await calls[1].hang_up()
    await call.wait("ended")


@ours
async def queue_linear_no_answer_then_next(on: Stage) -> None:
    first, second = await on.phone("1001"), await on.phone("1002")
    await on.join("linear", "1001")
    await on.join("linear", "1002")
    call = await on.call("602")
    await first.next_call()
    ringing = await second.next_call()
    await on.see("the second rings")
    await second.answer(ringing)
    await on.heard("AgentConnect")
    await call.hang_up()


@ours
async def queue_declined_and_requeued(on: Stage) -> None:
    lin = await on.phone("1001")
    await on.join("service", "1001")
    call = await on.call("600")
    await lin.refuse(code=603)
    ringing = await lin.next_call()
    await lin.answer(ringing)
    await call.wait("answered")
    await on.heard("AgentConnect")
    await call.hang_up()


@ours
async def queue_abandoned_while_waiting(on: Stage) -> None:
    call = await on.call("600")
    await on.heard("QueueCallerJoin")
    await on.see("waiting")
    await call.hang_up()


@ours
async def queue_abandoned_while_ringing(on: Stage) -> None:
    await on.join("service", "1001")
    lin = await on.phone("1001")
    call = await on.call("600")
    await lin.next_call()
    await call.hang_up()


@ours
async def queue_timeout(on: Stage) -> None:
    await on.join("short", "1001")
    lin = await on.phone("1001")
    call = await on.call("605")
    await lin.next_call()
    await call.wait("ended")


@ours
async def queue_key_exit_while_waiting(on: Stage) -> None:
    sara = await on.phone("1003")
    call = await on.call("601")
    await on.heard("QueueCallerJoin")
    await call.press("0")
    ringing = await sara.next_call()
    await on.see("the operator rings")
    await sara.answer(ringing)
    await on.heard("BridgeEnter")
    await call.hang_up()


@ours
async def queue_key_exit_while_ringing(on: Stage) -> None:
    await on.join("sales", "1001")
    lin, sara = await on.phone("1001"), await on.phone("1003")
    call = await on.call("601")
    await lin.next_call()
    await call.press("0")
    ringing = await sara.next_call()
    await sara.answer(ringing)
    await on.heard("BridgeEnter")
    await call.hang_up()


@ours
async def queue_overflow_answered_there(on: Stage) -> None:
    await on.join("hasty", "1001")
    await on.join("second", "1002")
    await on.phone("1001")
    fang = await on.phone("1002")
    call = await on.call("603")
    ringing = await fang.next_call()
    await fang.answer(ringing)
    await on.heard("AgentConnect")
    await on.see("talking after overflow")
    await call.hang_up()


@ours
async def queue_overflow_abandoned_there(on: Stage) -> None:
    call = await on.call("603")
    await on.heard("QueueCallerJoin", Queue="second")
    await call.hang_up()


@ours
async def queue_timeout_to_voicemail(on: Stage) -> None:
    call = await on.call("604")
    await on.heard("Newexten", Application="VoiceMail")
    await on.see("in voicemail")
    await on.heard("Newstate", ChannelStateDesc="Up")
    await call.wait("answered")
    await call.hang_up()


@ours
async def queue_join_empty(on: Stage) -> None:
    call = await on.call("607")
    await call.wait("ended")


@ours
async def queue_caller_hangs_up_while_agent_is_declined(on: Stage) -> None:
    await on.join("quick", "1001")
    lin = await on.phone("1001")
    call = await on.call("606")
    await lin.refuse(code=486)
    await on.heard("AgentRingNoAnswer")
    await call.hang_up()


@ours
async def ivr_then_queue(on: Stage) -> None:
    await on.join("service", "1001")
    lin = await on.phone("1001")
    call = await on.call("610")
    await call.press("1")
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await call.hang_up()


@ours
async def ivr_hangup(on: Stage) -> None:
    call = await on.call("610")
    await call.wait("answered")
    await on.heard("Newexten", Application="BackGround")
    await on.see("in the menu")
    await call.hang_up()


@ours
async def ivr_times_out(on: Stage) -> None:
    call = await on.call("610")
    await call.wait("ended")


@ours
async def phone_vanishes_while_talking(on: Stage) -> None:
    customer, _, lin = await talk_from_queue(on)
    await lin.vanish()
    await customer.hang_up()


@ours
async def phone_vanishes_while_ringing(on: Stage) -> None:
    lin, fang = await on.phone("1001"), await on.phone("1002")
    await on.join("linear", "1001")
    await on.join("linear", "1002")
    customer = await on.call("602")
    await lin.next_call()
    await lin.vanish()
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await customer.hang_up()


@ours
async def agent_is_hung_up_by_ami(on: Stage) -> None:
    customer, _, _ = await talk_from_queue(on)
    await on.action("Hangup", Channel=await on.channel("PJSIP/1001"), Cause=16)
    await customer.wait("ended")


@ours
async def withheld_number(on: Stage) -> None:
    await on.join("service", "1001")
    lin = await on.phone("1001")
    call = await on.call("600", "anonymous")
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await call.hang_up()


@ours
async def two_calls_interleaved(on: Stage) -> None:
    for extension in ("1001", "1002"):
        await on.join("linear", extension)
    lin, fang = await on.phone("1001"), await on.phone("1002")
    first = await on.call("602")
    one = await lin.next_call()
    second = await on.call("602", OTHER_CUSTOMER)
    two = await fang.next_call()
    await on.see("two ring")
    await lin.answer(one)
    await fang.answer(two)
    await on.talking(4)
    await on.see("two talk")
    await second.hang_up()
    await first.hang_up()


@ours
async def redirect_out_of_queue(on: Stage) -> None:
    fang = await on.phone("1002")
    customer = await on.call("600")
    await on.heard("QueueCallerJoin")
    await on.action(
        "Redirect",
        Channel=await on.channel("PJSIP/trunk"),
        Exten="1002",
        Context="from-agents",
        Priority=1,
    )
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await on.see("answered elsewhere than in the queue")
    await customer.hang_up()


@ours
async def queue_called_by_an_agent(on: Stage) -> None:
    await on.join("service", "1001")
    lin, fang = await on.phone("1001"), await on.phone("1002")
    call = await fang.dial("600")
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await call.hang_up()


@ours
async def queue_two_wait_one_agent(on: Stage) -> None:
    await on.join("service", "1001")
    lin = await on.phone("1001")
    first = await on.call("600")
    one = await lin.answer(await lin.next_call())
    await on.talking(2)
    second = await on.call("600", OTHER_CUSTOMER)
    await on.heard("QueueCallerJoin", CallerIDNum=OTHER_CUSTOMER)
    third = await on.call("600", CUSTOMER)
    await on.heard("QueueCallerJoin", Position="2")
    await on.see("two wait")
    await second.hang_up()
    await one.hang_up()
    await first.wait("ended")
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await third.hang_up()


@ours
async def queue_member_forwards(on: Stage) -> None:
    await on.join("service", "1001")
    lin, fang = await on.phone("1001"), await on.phone("1002")
    call = await on.call("600")
    await lin.refuse(code=302, to="1002")
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await call.hang_up()


@ours
async def queue_no_answer_then_the_same_again(on: Stage) -> None:
    await on.join("quick", "1001")
    lin = await on.phone("1001")
    call = await on.call("606")
    first = await lin.next_call()
    await first.wait("ended")
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await call.hang_up()
