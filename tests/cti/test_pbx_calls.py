"""Each shape of a call, driven by SIPp on a real Asterisk, seen from both ends."""

from __future__ import annotations

import pytest

from cti.sip_network import SipNetwork
from tests.asterisk_fixtures import SharedPbx, agent_phone

pytestmark = pytest.mark.asterisk


async def test_a_queue_call_is_answered_and_heard_both_ways(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    await pbx.join_queue("1001", "service")
    call = await sip_network.call("+8613800138000", "600")
    ringing = await lin.next_call()
    assert ringing.caller == "+8613800138000"
    answered = await lin.answer(ringing)
    await call.hears(660)
    await answered.hears(440)
    await call.hang_up()
    await answered.wait("ended")
    assert call.report().ended_by == "us"
    assert answered.report().ended_by == "them"
    assert answered.ringing_at < answered.answered_at < answered.ended_at


async def test_the_caller_gives_up_while_the_phone_rings(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    await pbx.join_queue("1001", "service")
    call = await sip_network.call("+8613800138000", "600")
    ringing = await lin.next_call()
    await call.hang_up()
    await ringing.wait("ended")
    assert (ringing.code, ringing.ended_by, ringing.answered_at) == (487, "them", None)
