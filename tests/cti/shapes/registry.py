"""The register of shapes: which PBX each is played on, and what many of them begin with.

A shape is a short play; its function's name is its recording's. `OURS` run on Deskbell's own PBX,
`OTHER` on another company's. Owns what people do; what the PBX makes of it gets recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cti.telephone_network.call import SipCall
from cti.telephone_network.phone import SipPhone
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


async def talk_from_queue(on: Stage, extension: str = "1001") -> tuple[SipCall, SipCall, SipPhone]:
    """A customer talks with an agent through queue service: both ends and the phone."""
    await on.join("service", extension)
    phone = await on.phone(extension)
    customer = await on.call("600")
    agent = await phone.answer(await phone.next_call())
    await on.talking(2)
    return customer, agent, phone


async def other_talk(on: Stage) -> tuple[SipCall, SipCall, SipPhone]:
    alice = await on.phone("alice")
    customer = await on.call("5550101")
    agent = await alice.answer(await alice.next_call())
    await on.talking(2)
    return customer, agent, alice
