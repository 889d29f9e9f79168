"""Before the queue and after the agent: who is tried first, who stays on for the survey."""

from __future__ import annotations

from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import ours


@ours
async def survey_after_the_agent(on: Stage) -> None:
    await on.join("surveyed", "1001")
    lin = await on.phone("1001")
    call = await on.call("609")
    agent = await lin.answer(await lin.next_call())
    await on.talking(2)
    await agent.hang_up()
    await on.heard("Newexten", Application="AGI")
    await on.see("in the survey")
    await call.press("5")
    await call.wait("ended")


@ours
async def survey_caller_hangs_up_with_the_agent(on: Stage) -> None:
    await on.join("surveyed", "1001")
    lin = await on.phone("1001")
    call = await on.call("609")
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await call.hang_up()


@ours
async def survey_caller_hangs_up_in_it(on: Stage) -> None:
    await on.join("surveyed", "1001")
    lin = await on.phone("1001")
    call = await on.call("609")
    agent = await lin.answer(await lin.next_call())
    await on.talking(2)
    await agent.hang_up()
    await on.heard("Newexten", Application="AGI")
    await call.hang_up()


@ours
async def survey_after_a_transfer(on: Stage) -> None:
    await on.join("surveyed", "1001")
    lin, fang = await on.phone("1001"), await on.phone("1002")
    call = await on.call("609")
    agent = await lin.answer(await lin.next_call())
    await on.talking(2)
    asked = await lin.dial("1002")
    second = await fang.answer(await fang.next_call())
    await asked.wait("answered")
    await on.talking(4)
    await agent.transfer_to_call(asked)
    await on.heard("AttendedTransfer")
    await on.talking(2)
    await second.hang_up()
    await on.heard("Newexten", Application="AGI")
    await call.press("4")
    await call.wait("ended")


@ours
async def preferred_agent_answers(on: Stage) -> None:
    for extension in ("1001", "1002"):
        await on.join("surveyed", extension)
    _, fang = await on.phone("1001"), await on.phone("1002")
    call = await on.call("611")
    agent = await fang.answer(await fang.next_call())
    await on.talking(2)
    await on.see("talking with the preferred agent")
    await agent.hang_up()
    await on.heard("Newexten", AppData="DESKBELL_ASKS=survey?why=answered&queue=surveyed")
    await call.press("3")
    await call.wait("ended")


@ours
async def preferred_agent_does_not_answer_then_queue(on: Stage) -> None:
    for extension in ("1001", "1002"):
        await on.join("surveyed", extension)
    lin, fang = await on.phone("1001"), await on.phone("1002")
    call = await on.call("611")
    await (await fang.next_call()).wait("ended")
    await lin.answer(await lin.next_call())
    await on.talking(2)
    await call.hang_up()


@ours
async def preferred_agent_is_passed_over_while_others_wait(on: Stage) -> None:
    await on.join("surveyed", "1002")
    fang = await on.phone("1002")
    fang.refuse_with = 486
    first = await on.call("609")
    await on.heard("AgentRingNoAnswer")
    second = await on.call("611", "+34911234567")
    await on.heard("QueueCallerJoin", Position="2")
    await first.hang_up()
    await second.hang_up()
