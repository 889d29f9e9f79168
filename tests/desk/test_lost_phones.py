"""A browser that dies in the middle of a call: what the caller hears, and where the call goes."""

from __future__ import annotations

import pytest

from cti.telephone_network.network import CALLER_TONE, SipCall
from tests.desk_stage import (
    LIN_TONE,
    MARIA_TONE,
    SECOND_CALLER_TONE,
    Stage,
    caller_hears,
    caller_hears_music,
    eventually,
    hears,
)

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


async def in_call(stage: Stage) -> SipCall:
    """A customer of the queue sales who speaks with lin."""
    await stage.lin.serve("sales")
    caller = await stage.customer_calls()
    await stage.lin.panel.answer()
    await stage.asterisk.together("1001", "trunk")
    await caller_hears(caller, LIN_TONE)
    return caller


async def test_the_caller_hears_music_until_the_page_is_back(stage: Stage) -> None:
    lin = stage.lin
    caller = await in_call(stage)
    (before,) = await stage.asterisk.channels_of("trunk")
    await lin.page.close()
    await caller_hears_music(caller, LIN_TONE)
    (leg,) = await stage.asterisk.channels_of("1001")
    lin.page = await lin.new_page()
    await lin.page.goto(f"{lin.url}/desk")
    await caller_hears(caller, LIN_TONE)
    await hears(lin.page, CALLER_TONE)
    await stage.asterisk.together("1001", "trunk")
    assert [row["Channel"] for row in await stage.asterisk.channels_of("trunk")] == [
        before["Channel"]
    ]
    assert [row["Channel"] for row in await stage.asterisk.channels_of("1001")] != [leg["Channel"]]
    await lin.has_call("answered", call=before["Linkedid"])
    await lin.panel.hang_up()
    await caller.wait("ended")


async def test_a_phone_that_stays_away_gives_its_caller_to_the_next_agent(stage: Stage) -> None:
    lin, maria = stage.lin, stage.maria
    caller = await in_call(stage)
    second = await stage.customer_calls(caller="+8613900139000", tone=SECOND_CALLER_TONE)

    async def waits() -> bool:
        return len(await stage.asterisk.waiting("sales")) == 1

    await eventually(waits, "the second caller waits")
    await lin.page.close()
    await caller_hears_music(caller, LIN_TONE)

    async def is_first_again() -> bool:
        numbers = [row["CallerIDNum"] for row in await stage.asterisk.waiting("sales")]
        return numbers == [caller.caller, second.caller]

    await eventually(is_first_again, "the caller is the first in the queue", within=60)
    await stage.asterisk.gone("1001")
    # At once, or after the wrap-up of what was talked about.
    member = (await stage.asterisk.members("1001"))["sales"]
    assert member["Paused"] == "1"
    assert member["PausedReason"].endswith("phone-lost")
    await maria.serve("sales")
    await maria.panel.answer()
    await caller_hears(caller, MARIA_TONE)
    await caller.hang_up()
    await second.hang_up()
    lin.page = await lin.new_page()
    await lin.page.goto(f"{lin.url}/desk")
    await lin.panel.is_ready()
