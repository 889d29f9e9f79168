"""Each shape of a call, driven by SIPp on a real Asterisk, seen from both ends."""

from __future__ import annotations

import wave

import pytest

from cti.telephone_network.audio import loudness_at
from cti.telephone_network.network import SipNetwork, SippFailed
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


async def test_ring_all_rings_two_and_the_other_stops_on_answer(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002")
    await pbx.join_queue("1001", "service")
    await pbx.join_queue("1002", "service")
    await sip_network.call("+8613800138000", "600")
    at_lin, at_wang = await lin.next_call(), await wang.next_call()
    await lin.answer(at_lin)
    await at_wang.wait("ended")
    assert at_wang.code == 487


async def test_declined_calls_are_offered_again(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    await pbx.join_queue("1001", "service")
    await sip_network.call("+8613800138000", "600")
    first = await lin.next_call()
    await lin.refuse(first, 603)
    second = await lin.next_call()
    assert second.call_id != first.call_id
    await lin.answer(second)


async def test_linear_tries_the_next_when_the_first_does_not_answer(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002")
    await pbx.join_queue("1001", "linear")
    await pbx.join_queue("1002", "linear")
    await sip_network.call("+8613800138000", "602")
    unanswered = await lin.next_call()
    answered = await wang.answer(await wang.next_call())
    await unanswered.wait("ended")
    assert unanswered.ended_at <= answered.ringing_at


async def test_an_unanswered_queue_overflows_to_a_second_and_to_voicemail(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    wang = await agent_phone(sip_network, pbx, "1002")
    await pbx.join_queue("1002", "second")
    call = await sip_network.call("+8613800138000", "603")
    at_second = await wang.next_call()
    await at_second.wait("ended")
    await call.wait("answered")
    while "VoiceMail" not in await pbx.console("core show channels concise"):
        assert call.state == "answered"
    await call.hang_up()


async def test_a_queue_without_overflow_hangs_up_at_its_limit(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    report = await sip_network.place_call("+8613800138000", "605", hold_seconds=None)
    assert report.ended_by == "them"
    assert report.talked is not None
    assert report.talked >= 2


async def test_a_key_leads_out_of_the_queue(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    sara = await agent_phone(sip_network, pbx, "1003")
    call = await sip_network.call("+8613800138000", "601")
    await call.press("0")
    await sara.answer()
    await call.hears(660)


async def test_a_direct_call_rings_then_goes_to_voicemail(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    call = await sip_network.call("+8613800138000", "1001")
    ringing = await lin.next_call()
    await call.wait("ringing")
    await ringing.wait("ended")
    await call.wait("answered")
    assert "VoiceMail" in await pbx.console("core show channels concise")
    await call.hang_up()


async def test_a_message_is_left_in_the_mailbox(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    call = await sip_network.call("+8613800138000", "1004")
    await call.wait("answered")
    await call.press("#,,,")  # past the greeting, then three seconds of message
    await call.hang_up()
    inbox = pbx.folder / "spool/voicemail/deskbell/1004/INBOX"
    while not list(inbox.glob("msg*.txt")):
        await pbx.console("core show uptime")
    with wave.open(str(next(iter(inbox.glob("msg*.wav"))))) as message:
        assert message.getnframes() > 8_000


async def test_agents_call_each_other(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002", answer_after=0)
    call = await lin.dial("1002")
    await call.wait("answered")
    (at_wang,) = wang.calls
    assert at_wang.caller == "1001"
    await at_wang.hang_up()
    await call.wait("ended")
    assert call.ended_by == "them"


@pytest.mark.parametrize("way", ["REFER", "keys"])
async def test_a_blind_transfer(pbx: SharedPbx, sip_network: SipNetwork, way: str) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002")
    await pbx.join_queue("1001", "service")
    call = await sip_network.call("+8613800138000", "600")
    at_lin = await lin.answer()
    await at_lin.hears(440)
    if way == "REFER":
        await at_lin.transfer("1002")
    else:
        await at_lin.press("##1002")
    at_wang = await wang.answer()
    await at_lin.wait("ended")
    await call.hears(660)
    await at_wang.hears(440)


@pytest.mark.parametrize("way", ["REFER", "keys"])
async def test_an_attended_transfer(pbx: SharedPbx, sip_network: SipNetwork, way: str) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002")
    await pbx.join_queue("1001", "service")
    call = await sip_network.call("+8613800138000", "600")
    at_lin = await lin.answer()
    await at_lin.hears(440)
    if way == "REFER":
        await at_lin.hold()
        consultation = await lin.dial("1002")
        at_wang = await wang.answer()
        await at_wang.hears(660)
        await at_lin.transfer_to_call(consultation)
        await consultation.wait("ended")
    else:
        await at_lin.press("*2,1002")
        at_wang = await wang.answer()
        await at_wang.hears(660)
        await at_lin.hang_up()
    await at_lin.wait("ended")
    await at_wang.hears(440)
    await call.hang_up()
    await at_wang.wait("ended")


@pytest.mark.parametrize("way", ["REFER", "keys"])
async def test_a_blonde_transfer(pbx: SharedPbx, sip_network: SipNetwork, way: str) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002")
    await pbx.join_queue("1001", "service")
    call = await sip_network.call("+8613800138000", "600")
    at_lin = await lin.answer()
    await at_lin.hears(440)
    if way == "REFER":
        consultation = await lin.dial("1002")
        ringing = await wang.next_call()
        await consultation.wait("ringing")
        await at_lin.transfer_to_call(consultation)
    else:
        await at_lin.press("*2,1002")
        ringing = await wang.next_call()
        await at_lin.hang_up()
    await at_lin.wait("ended")
    at_wang = await wang.answer(ringing if ringing.state == "ringing" else None)
    await at_wang.hears(440)
    await call.hears(660)


async def test_hold_is_music_and_resume_the_voice(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    call = await sip_network.call("+8613800138000", "1001")
    at_lin = await lin.answer()
    await at_lin.hears(440)
    await call.hears(660)
    await at_lin.hold()
    while "MusicOnHold" not in await pbx.console("core show channels concise"):
        if call.audio.packets_heard and loudness_at(call.audio.heard(0.4), 660) < 0.2:
            break
    await at_lin.resume()
    await call.hears(660)


async def test_parking_by_keys_and_by_refer_and_retrieving(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002")
    for way in ("keys", "REFER"):
        call = await sip_network.call("+8613800138000", "1001")
        at_lin = await lin.answer()
        await at_lin.hears(440)
        if way == "keys":
            await at_lin.press("#72")
        else:
            await at_lin.transfer("700")
        while "PJSIP/trunk" not in await pbx.console("parking show default"):
            assert call.state == "answered"
        if at_lin.state == "answered":
            await at_lin.hang_up()
        retrieved = await wang.dial("701")
        await retrieved.hears(440)
        await call.hang_up()
        await retrieved.wait("ended")


async def test_a_parked_call_comes_back_to_who_parked_it(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    call = await sip_network.call("+8613800138000", "1001")
    at_lin = await lin.answer()
    await at_lin.hears(440)
    await at_lin.transfer("700")
    await at_lin.wait("ended")
    again = await lin.answer()
    await again.hears(440)
    await call.hang_up()


async def test_pickup_of_a_colleagues_ringing_call(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002")
    for code in ("*8", "*81001"):
        call = await sip_network.call("+8613800138000", "1001")
        ringing = await lin.next_call()
        taken = await wang.dial(code)
        await taken.hears(440)
        await ringing.wait("ended")
        await call.hang_up()


async def test_forwarding_by_code_and_by_phone(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002", answer_after=0)
    await (await lin.dial("*721002")).wait("ended")
    call = await sip_network.call("+8613800138000", "1001")
    await call.hears(660)
    assert lin.calls == []
    await call.hang_up()
    await (await lin.dial("*73")).wait("ended")
    lin.refuse_with, lin.forward_to = 302, "1002"
    call = await sip_network.call("+8613800138000", "1001")
    await call.hears(660)
    assert len(wang.calls) == 2


async def test_a_conference_mixes_three(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002")
    first, second = await lin.dial("800"), await wang.dial("800")
    customer = await sip_network.call("+8613800138000", "800")
    await first.hears(440, share=0.3)
    await second.hears(440, share=0.3)
    await customer.hears(660, share=0.5)


async def test_a_menu_leads_to_the_queue_by_a_key(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    sara = await agent_phone(sip_network, pbx, "1003")
    await pbx.join_queue("1003", "sales")
    call = await sip_network.call("+8613800138000", "610")
    await call.press("2")
    await sara.answer()
    await call.hears(660)


async def test_an_agent_calls_out_through_the_trunk(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    outside = await sip_network.subscriber(answer_after=None)
    lin = await agent_phone(sip_network, pbx, "1001")
    for dialled, arrives in (("9123456", "123456"), ("+8613800138000", "+8613800138000")):
        call = await lin.dial(dialled)
        ringing = await outside.next_call()
        assert f"sip:{arrives}@" in ringing.invite.first_line
        await outside.answer(ringing)
        await call.hears(440)
        await call.hang_up()
        await ringing.wait("ended")


async def test_a_customer_cannot_call_out_again(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    outside = await sip_network.subscriber()
    for number in ("9123456", "+442071234567", "00442071234567", "*97", "*721002", "701"):
        report = await sip_network.place_call("+8613800138000", number)
        assert (report.code, report.answered_after) == (404, None), number
    assert outside.calls == []


async def test_a_phone_that_vanishes_is_passed_over(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    wang = await agent_phone(sip_network, pbx, "1002")
    await pbx.join_queue("1001", "linear")
    await pbx.join_queue("1002", "linear")
    await lin.vanish()
    call = await sip_network.call("+8613800138000", "602")
    await wang.answer()
    await call.hears(660)


async def test_a_wrong_secret_is_refused(pbx: SharedPbx, sip_network: SipNetwork) -> None:
    with pytest.raises(SippFailed, match="401"):
        await sip_network.phone("1001", "guessed")


async def test_withheld_and_hostile_callers_reach_the_phone_as_sent(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    lin = await agent_phone(sip_network, pbx, "1001")
    names = [
        "<b>x</b>",
        "😀 [call_id] سلام",
        "x" * 900,
        b"Jos\xe9".decode("utf-8", "surrogateescape"),
    ]
    for name in names:
        call = await sip_network.call("+8613800138000", "1001", name=name)
        ringing = await lin.next_call()
        if name.isascii():
            assert name[:70] in ringing.invite.header("From")
        await call.hang_up()
        await ringing.wait("ended")
    call = await sip_network.call("anonymous", "1001", name="Anonymous")
    assert (await lin.next_call()).caller in ("anonymous", "asterisk")
    with pytest.raises(ValueError, match="line ends"):
        await sip_network.call("1", "600", name="x\r\nX-Evil: 1")
