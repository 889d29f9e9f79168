"""The shapes of calls that the corpus holds, each a short play on one PBX.

`OURS` run on Deskbell's own embedded PBX, `OTHER` on another company's. A shape's name is its
recording's. Owns what people do; what the PBX makes of it is what gets recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from cti.sip_network import SipCall, SipPhone
from tests.cti.recording_stage import Stage

Shape = Callable[[Stage], Awaitable[None]]

OURS: dict[str, Shape] = {}
OTHER: dict[str, Shape] = {}

CUSTOMER = "+8613800138000"
OTHER_CUSTOMER = "+34911234567"


def ours(play: Shape) -> Shape:
    OURS[play.__name__] = play
    return play


def other(play: Shape) -> Shape:
    OTHER[play.__name__] = play
    return play


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


async def talk_from_queue(on: Stage, extension: str = "1001") -> tuple[SipCall, SipCall, SipPhone]:
    """A customer talks with an agent through queue service: both ends and the phone."""
    await on.join("service", extension)
    phone = await on.phone(extension)
    customer = await on.call("600")
    agent = await phone.answer(await phone.next_call())
    await on.talking(2)
    return customer, agent, phone


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


async def click_to_dial(on: Stage, to: str = "9" + OTHER_CUSTOMER[1:]) -> None:
    await on.action(
        "Originate",
        Channel="PJSIP/1001",
        Exten=to,
        Context="from-agents",
        Priority=1,
        CallerID=f"<{to}>",
        Timeout=2000,
        Async="true",
    )


@ours
async def originate_agent_first_answered(on: Stage) -> None:
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    await click_to_dial(on)
    agent = await lin.answer(await lin.next_call())
    await customer.answer(await customer.next_call())
    await on.talking(2)
    await on.see("talking")
    await agent.hang_up()


@ours
async def originate_agent_first_busy(on: Stage) -> None:
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    await click_to_dial(on)
    agent = await lin.answer(await lin.next_call())
    await customer.refuse(await customer.next_call(), code=486)
    await agent.wait("ended")


@ours
async def originate_agent_first_customer_gone(on: Stage) -> None:
    """The agent hangs up while the customer's phone rings."""
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    await click_to_dial(on)
    agent = await lin.answer(await lin.next_call())
    await customer.next_call()
    await agent.hang_up()


@ours
async def originate_agent_does_not_answer(on: Stage) -> None:
    lin = await on.phone("1001")
    await click_to_dial(on)
    await lin.next_call()
    await on.heard("OriginateResponse")


@ours
async def originate_agent_declines(on: Stage) -> None:
    lin = await on.phone("1001")
    await click_to_dial(on)
    await lin.refuse(code=486)
    await on.heard("OriginateResponse")


@ours
async def originate_agent_to_agent(on: Stage) -> None:
    lin, fang = await on.phone("1001"), await on.phone("1002")
    await click_to_dial(on, "1002")
    agent = await lin.answer(await lin.next_call())
    await fang.answer(await fang.next_call())
    await on.talking(2)
    await agent.hang_up()


async def dial_out(on: Stage, to: str) -> None:
    await on.action(
        "Originate",
        Channel=f"PJSIP/{OTHER_CUSTOMER}@trunk",
        Exten=to,
        Context="from-trunk",
        Priority=1,
        CallerID="<+862155550600>",
        Timeout=2000,
        Async="true",
    )


@ours
async def originate_customer_first_then_queue(on: Stage) -> None:
    await on.join("service", "1001")
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    await dial_out(on, "600")
    answered = await customer.answer(await customer.next_call())
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await on.see("talking")
    await answered.hang_up()


@ours
async def originate_customer_first_then_agent(on: Stage) -> None:
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    await dial_out(on, "1001")
    answered = await customer.answer(await customer.next_call())
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await answered.hang_up()


@ours
async def originate_customer_first_hangs_up_in_queue(on: Stage) -> None:
    customer = await on.network.subscriber(answer_after=None)
    await dial_out(on, "600")
    answered = await customer.answer(await customer.next_call())
    await on.heard("QueueCallerJoin")
    await answered.hang_up()


@ours
async def originate_customer_busy(on: Stage) -> None:
    customer = await on.network.subscriber(answer_after=None)
    await dial_out(on, "600")
    await customer.refuse(await customer.next_call(), code=486)
    await on.heard("OriginateResponse")


@ours
async def originate_customer_does_not_answer(on: Stage) -> None:
    customer = await on.network.subscriber(answer_after=None)
    await dial_out(on, "600")
    await customer.next_call()
    await on.heard("OriginateResponse")


async def originate_local(on: Stage, channel: str) -> None:
    await on.action(
        "Originate",
        Channel=channel,
        Exten="9" + OTHER_CUSTOMER[1:],
        Context="from-agents",
        Priority=1,
        Timeout=5000,
        Async="true",
    )


@ours
async def originate_local_optimised(on: Stage) -> None:
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    await originate_local(on, "Local/1001@agent-leg")
    agent = await lin.answer(await lin.next_call())
    await customer.answer(await customer.next_call())
    await on.talking(2)
    await on.see("talking")
    await agent.hang_up()


@ours
async def originate_local_kept(on: Stage) -> None:
    lin, customer = await on.phone("1001"), await on.network.subscriber(answer_after=None)
    await originate_local(on, "Local/1001@agent-leg/n")
    await lin.answer(await lin.next_call())
    answered = await customer.answer(await customer.next_call())
    await on.talking(2)
    await on.see("talking")
    await answered.hang_up()


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
async def number_that_does_not_exist(on: Stage) -> None:
    call = await on.call("999")
    await call.wait("ended")


@ours
async def echo_test(on: Stage) -> None:
    call = await on.call("699")
    await call.wait("answered")
    await call.hang_up()


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


@ours
async def blind_transfer_to_queue_abandoned(on: Stage) -> None:
    customer, agent, _ = await talk_from_queue(on)
    await agent.transfer("606")
    await on.heard("QueueCallerJoin", Queue="quick")
    await customer.hang_up()


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


@other
async def other_queue_ring_all_local(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    call = await on.call("5550100")
    ringing = await alice.next_call()
    await bob.next_call()
    await on.see("two phones ring")
    await alice.answer(ringing)
    await on.heard("AgentConnect")
    await on.see("talking")
    await call.hang_up()


@other
async def other_queue_linear(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    call = await on.call("5550101")
    await alice.next_call()
    ringing = await bob.next_call()
    await bob.answer(ringing)
    await on.heard("AgentConnect")
    await call.hang_up()


@other
async def other_queue_declined_then_next(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    call = await on.call("5550101")
    await alice.refuse(code=486)
    await bob.answer(await bob.next_call())
    await on.talking(2)
    await call.hang_up()


@other
async def other_queue_abandoned(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    call = await on.call("5550100")
    await alice.next_call()
    await bob.next_call()
    await call.hang_up()


@other
async def other_queue_local_declined(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    call = await on.call("5550100")
    await alice.refuse(code=603)
    await bob.answer(await bob.next_call())
    await on.talking(2)
    await call.hang_up()


@other
async def other_queue_local_optimised(on: Stage) -> None:
    carol = await on.phone("carol")
    call = await on.call("5550104")
    ringing = await carol.next_call()
    await on.see("ringing")
    await carol.answer(ringing)
    await on.talking(2)
    await on.heard("LocalOptimizationEnd")
    await on.see("talking, the Local channel is gone")
    await call.hang_up()


@other
async def other_queue_overflow(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    call = await on.call("5550105")
    first = await alice.next_call()
    await first.wait("ended")
    await on.heard("QueueCallerJoin", Queue="support")
    await bob.answer(await bob.next_call())
    await on.talking(2)
    await call.hang_up()


@other
async def other_queue_timeout_to_voicemail(on: Stage) -> None:
    alice = await on.phone("alice")
    call = await on.call("5550108")
    await alice.next_call()
    await on.heard("Newexten", Application="VoiceMail")
    await call.hang_up()


@other
async def other_queue_leave_empty(on: Stage) -> None:
    carol = await on.phone("carol")
    call = await on.call("5550107")
    await carol.next_call()
    await on.action("QueuePause", Queue="guarded", Interface="PJSIP/carol", Paused="true")
    await on.heard("Newexten", Application="VoiceMail")
    await on.action("QueuePause", Queue="guarded", Interface="PJSIP/carol", Paused="false")
    await call.hang_up()


@other
async def other_queue_join_empty(on: Stage) -> None:
    await on.action("QueuePause", Queue="guarded", Interface="PJSIP/carol", Paused="true")
    call = await on.call("5550107")
    await on.heard("Newexten", Application="VoiceMail")
    await on.action("QueuePause", Queue="guarded", Interface="PJSIP/carol", Paused="false")
    await call.hang_up()


@other
async def other_direct_answered(on: Stage) -> None:
    alice = await on.phone("alice")
    call = await on.call("5550102")
    await alice.answer(await alice.next_call())
    await on.talking(2)
    await on.see("talking")
    await call.hang_up()


@other
async def other_direct_busy(on: Stage) -> None:
    alice = await on.phone("alice")
    call = await on.call("5550102")
    await alice.refuse(code=486)
    await call.wait("ended")


@other
async def other_direct_no_answer(on: Stage) -> None:
    alice = await on.phone("alice")
    call = await on.call("5550102")
    await alice.next_call()
    await call.wait("ended")


@other
async def other_ring_group(on: Stage) -> None:
    phones = [await on.phone(name) for name in ("alice", "bob", "carol")]
    call = await on.call("5550106")
    calls = [await phone.next_call() for phone in phones]
    await on.see("three ring")
    await phones[2].answer(calls[2])
    await on.talking(2)
    await call.hang_up()


@other
async def other_ring_group_local(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    call = await on.call("5550111")
    await alice.next_call()
    ringing = await bob.next_call()
    await bob.answer(ringing)
    await on.talking(2)
    await on.see("talking")
    await call.hang_up()


@other
async def other_direct_then_queue(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    call = await on.call("5550112")
    await bob.next_call()
    await on.heard("QueueCallerJoin")
    await alice.answer(await alice.next_call())
    await on.talking(2)
    await call.hang_up()


@other
async def other_ivr_read_then_queue(on: Stage) -> None:
    alice = await on.phone("alice")
    call = await on.call("5550109")
    await call.press("2")
    await alice.answer(await alice.next_call())
    await on.talking(2)
    await call.hang_up()


@other
async def other_ivr_wrong_key(on: Stage) -> None:
    call = await on.call("5550103")
    await call.wait("answered")
    await call.press("7")
    await call.wait("ended")


async def other_talk(on: Stage) -> tuple[SipCall, SipCall, SipPhone]:
    alice = await on.phone("alice")
    customer = await on.call("5550101")
    agent = await alice.answer(await alice.next_call())
    await on.talking(2)
    return customer, agent, alice


@other
async def other_blind_transfer(on: Stage) -> None:
    customer, agent, _ = await other_talk(on)
    bob = await on.phone("bob")
    await agent.transfer("1002")
    await bob.answer(await bob.next_call())
    await on.talking(2)
    await customer.hang_up()


@other
async def other_blind_transfer_to_queue(on: Stage) -> None:
    customer, agent, _ = await other_talk(on)
    bob = await on.phone("bob")
    await agent.transfer("500")
    await bob.answer(await bob.next_call())
    await on.talking(2)
    await customer.hang_up()


@other
async def other_attended_transfer(on: Stage) -> None:
    customer, agent, alice = await other_talk(on)
    bob = await on.phone("bob")
    await agent.hold()
    consult = await alice.dial("1002")
    await bob.answer(await bob.next_call())
    await on.talking(4)
    await agent.transfer_to_call(consult)
    await on.heard("AttendedTransfer")
    await on.talking(2)
    await on.see("transferred")
    await customer.hang_up()


@other
async def other_attended_transfer_from_local_member(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    customer = await on.call("5550100")
    await bob.next_call()
    agent = await alice.answer(await alice.next_call())
    await on.talking(2)
    await agent.hold()
    consult = await alice.dial("1003")
    carol = await on.phone("carol")
    await consult.wait("ended")
    consult = await alice.dial("1003")
    await carol.answer(await carol.next_call())
    await on.talking(4)
    await agent.transfer_to_call(consult)
    await on.heard("AttendedTransfer")
    await on.talking(2)
    await on.see("transferred")
    await customer.hang_up()


@other
async def other_blonde_transfer(on: Stage) -> None:
    customer, agent, _ = await other_talk(on)
    bob = await on.phone("bob")
    await on.action(
        "Atxfer", Channel=await on.channel("PJSIP/alice"), Exten="1002", Context="default"
    )
    ringing = await bob.next_call()
    await agent.hang_up()
    await bob.answer(ringing)
    await on.talking(2)
    await customer.hang_up()


@other
async def other_pickup(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    customer = await on.call("5550102")
    await alice.next_call()
    picking = await bob.dial("*8")
    await picking.wait("answered")
    await on.talking(2)
    await customer.hang_up()


@other
async def other_click_to_dial(on: Stage) -> None:
    alice, customer = await on.phone("alice"), await on.network.subscriber(answer_after=None)
    await on.action(
        "Originate",
        Channel="PJSIP/alice",
        Exten="0" + OTHER_CUSTOMER[1:],
        Context="default",
        Priority=1,
        CallerID='"Click to dial" <5550100>',
        Async="true",
    )
    agent = await alice.answer(await alice.next_call())
    await customer.answer(await customer.next_call())
    await on.talking(2)
    await agent.hang_up()


@other
async def other_dialer_to_queue(on: Stage) -> None:
    alice, customer = await on.phone("alice"), await on.network.subscriber(answer_after=None)
    await on.action(
        "Originate",
        Channel=f"PJSIP/{OTHER_CUSTOMER[1:]}@carrier",
        Exten="5550101",
        Context="from-pstn",
        Priority=1,
        CallerID="<5550100>",
        Async="true",
    )
    answered = await customer.answer(await customer.next_call())
    await alice.answer(await alice.next_call())
    await on.talking(2)
    await answered.hang_up()


@other
async def other_originate_application(on: Stage) -> None:
    """Originate with an application instead of an extension: an announcement."""
    customer = await on.network.subscriber(answer_after=None)
    await on.action(
        "Originate",
        Channel=f"PJSIP/{OTHER_CUSTOMER[1:]}@carrier",
        Application="Playback",
        Data="vm-press",
        Async="true",
    )
    await customer.answer(await customer.next_call())


@other
async def other_outbound(on: Stage) -> None:
    alice, customer = await on.phone("alice"), await on.network.subscriber(answer_after=None)
    call = await alice.dial("0" + OTHER_CUSTOMER[1:])
    await customer.answer(await customer.next_call())
    await on.talking(2)
    await call.hang_up()


@other
async def other_outbound_no_answer(on: Stage) -> None:
    alice, customer = await on.phone("alice"), await on.network.subscriber(answer_after=None)
    call = await alice.dial("0" + OTHER_CUSTOMER[1:])
    await customer.next_call()
    await call.wait("ended")


@other
async def other_internal(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    call = await alice.dial("1002")
    await bob.answer(await bob.next_call())
    await on.talking(2)
    await call.hang_up()


@other
async def other_parked(on: Stage) -> None:
    customer, agent, _ = await other_talk(on)
    bob = await on.phone("bob")
    await agent.transfer("700")
    await on.heard("ParkedCall")
    taking = await bob.dial("701")
    await taking.wait("answered")
    await on.talking(2)
    await customer.hang_up()


@other
async def other_conference(on: Stage) -> None:
    alice, bob = await on.phone("alice"), await on.phone("bob")
    one = await alice.dial("900")
    await one.wait("answered")
    two = await bob.dial("900")
    await two.wait("answered")
    await on.talking(2)
    await one.hang_up()
    await two.hang_up()


@other
async def other_goes_on_after_the_agent(on: Stage) -> None:
    """The dialplan goes on after the queue's call: a second person, but no transfer."""
    alice, carol = await on.phone("alice"), await on.phone("carol")
    call = await on.call("5550110")
    agent = await alice.answer(await alice.next_call())
    await on.talking(2)
    await agent.hang_up()
    await carol.answer(await carol.next_call())
    await on.talking(2)
    await call.hang_up()
