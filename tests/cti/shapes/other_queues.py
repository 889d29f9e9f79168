"""Queues and menus on another company's PBX: members by Local channels, linear, leaving empty."""

from __future__ import annotations

from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import other


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
