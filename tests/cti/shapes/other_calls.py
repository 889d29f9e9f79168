"""Calls on another company's PBX: direct, handed on, originated, parked, outbound."""

from __future__ import annotations

from tests.cti.recording_stage import Stage
from tests.cti.shapes.registry import OTHER_CUSTOMER, other, other_talk


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
