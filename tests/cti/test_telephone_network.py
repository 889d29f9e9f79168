"""A hundred calls at once through a real queue, all of them answered."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from cti.pbx.embedded import EmbeddedPbx, PbxSettings, PhoneConfig
from cti.telephone_network.crowd import CrowdReport, SipCrowd
from tests.asterisk_fixtures import network_of

pytestmark = pytest.mark.asterisk


async def test_a_hundred_live_calls_are_answered_and_none_fails(pbx_settings: PbxSettings) -> None:
    phones = [
        PhoneConfig(extension=str(number), agent_name=f"Agent {number}")
        for number in range(1101, 1201)
    ]
    configuration = replace(pbx_settings.configuration, phones=phones, qualify_seconds=0)
    async with (
        EmbeddedPbx(replace(pbx_settings, configuration=configuration)) as pbx,
        network_of(pbx) as network,
    ):
        crowd = SipCrowd(network)
        await crowd.answer(dict(pbx.phone_account(phone.extension) for phone in phones))
        for phone in phones:
            await pbx.console(f"queue add member PJSIP/{phone.extension} to crowd")
        await crowd.call("608", 100, rate=25, hold_seconds=20)
        async with asyncio.timeout(60):
            while True:
                talking = await pbx.console("queue show crowd")
                if len(re.findall(r"\(in call\)", talking)) == 100:
                    break
                await asyncio.sleep(0.2)
        assert await crowd.finish() == CrowdReport(live=0, succeeded=100, failed=0)
