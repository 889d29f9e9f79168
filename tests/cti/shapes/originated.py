"""Calls that Asterisk begins, on our PBX: the agent first, the customer first, by Local."""

from __future__ import annotations

from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import OTHER_CUSTOMER, ours


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
