"""What becomes of phone, state, calls and notes when the way, the PBX or the service is gone.

Each time: what the page shows is held against what Asterisk itself says, from the moment at which
connections are possible again, and nothing of a half-written note is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from cti.agents.pause_reasons import WRAP_UP
from cti.ami.link import AmiError
from cti.telephone_network.network import SipCall
from tests.desk.closable_way import ClosableWay
from tests.desk_stage import (
    AgentWindow,
    Stage,
    eventually,
    opened_stage,
    prepare_mall,
)
from tests.service_fixtures import mall_template

__all__ = ["mall_template"]

log = logging.getLogger(__name__)
pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]

PROMISED_SECONDS = 3.0
NOTE = "she asked for the coat in 42, and"

UNREACHABLE = {"0", "4", "5"}
"""Asterisk's states of a member's phone (Status in QueueStatus): unknown, invalid, unavailable."""

SHOWN = """
() => ({
  connected: document.documentElement.dataset.connection === "connected",
  phone: document.querySelector("[data-phone-menu] summary").dataset.phone === "ready",
  state: document.querySelector("[data-state-switch]").dataset.state,
  legs: [...document.querySelectorAll("[data-legs] .leg")].map((leg) => leg.dataset.state).sort(),
  call: document.querySelector("[data-call]").dataset.state,
})
"""


@dataclass
class FaultStage:
    """The stage, with a way to the desk that can be closed."""

    stage: Stage
    way: ClosableWay


@pytest_asyncio.fixture(loop_scope="module")
async def faulty(mall_template: Path, tmp_path: Path) -> AsyncIterator[FaultStage]:
    """A stage of the test's own: what it breaks is nobody else's."""
    way = ClosableWay()
    url = await prepare_mall(mall_template, tmp_path)
    try:
        async with opened_stage(tmp_path, url, way=way.open_to) as stage:
            yield FaultStage(stage, way)
    finally:
        await way.close()


async def as_asterisk_has_it(stage: Stage, agent: AgentWindow) -> dict[str, Any]:
    """What the page must show, by Asterisk's own lists."""
    members = await stage.asterisk.members(agent.extension)
    legs = await stage.asterisk.channels_of(agent.extension)
    up = [leg for leg in legs if leg["ChannelStateDesc"] == "Up"]
    (member,) = [*members.values()][:1] or [{"Status": "0", "Paused": "0", "PausedReason": ""}]
    if not members:
        state = "offline"
    elif up:
        state = "on_call"
    elif member["Paused"] == "1":
        state = "wrap_up" if member["PausedReason"].startswith(WRAP_UP) else "paused"
    else:
        state = "available"
    return {
        "connected": True,
        "phone": not members or member["Status"] not in UNREACHABLE,
        "state": state,
        "legs": ["answered"] * len(up),
        "call": "answered" if up else None,
    }


async def equals_asterisk(stage: Stage, agent: AgentWindow, since: float) -> float:
    """Wait until page and Asterisk say the same; the seconds since `since` that it took."""
    shown: dict[str, Any] = {}
    truth: dict[str, Any] = {}

    async def ask() -> bool:
        nonlocal shown, truth
        shown = await agent.page.evaluate(SHOWN)
        try:
            truth = await as_asterisk_has_it(stage, agent)
        except AmiError:
            return False
        call = shown.pop("call")
        wanted = truth.pop("call")
        return shown == truth and (call == wanted or (wanted is None and call in ("none", "ended")))

    try:
        await eventually(ask, "page and Asterisk say the same", within=60)
    except AssertionError:
        raise AssertionError(f"the page shows {shown}, Asterisk has {truth}") from None
    took = time.monotonic() - since
    log.warning("page and Asterisk say the same after %.2f s", took)
    return took


async def in_call(stage: Stage) -> SipCall:
    """A customer who speaks with lin, and half a note about it."""
    caller = await stage.in_call()
    await stage.lin.page.locator("[data-note]").fill(NOTE)
    return caller


async def note_is_there(agent: AgentWindow) -> None:
    await expect(agent.page.locator("[data-note]")).to_have_value(NOTE)


@pytest.mark.parametrize("seconds", [5, 60])
async def test_the_way_to_the_desk_is_cut_in_a_call(faulty: FaultStage, seconds: int) -> None:
    stage, way = faulty.stage, faulty.way
    caller = await in_call(stage)
    await way.close()
    await expect(stage.lin.page.locator("html")).to_have_attribute("data-connection", "lost")
    await asyncio.sleep(seconds)  # the fault's own length
    assert caller.state == "answered"
    await way.open()
    took = await equals_asterisk(stage, stage.lin, way.opened_at)
    assert took <= PROMISED_SECONDS
    await stage.lin_speaks_with(caller)
    await note_is_there(stage.lin)
    await stage.lin.panel.hang_up()
    await caller.wait("ended")


@pytest.mark.parametrize("seconds", [5, 60])
async def test_the_way_to_the_desk_is_cut_while_idle(faulty: FaultStage, seconds: int) -> None:
    stage, way = faulty.stage, faulty.way
    await stage.lin.serve("sales")
    await way.close()
    await asyncio.sleep(seconds)  # the fault's own length
    await way.open()
    took = await equals_asterisk(stage, stage.lin, way.opened_at)
    assert took <= PROMISED_SECONDS
    caller = await stage.customer_calls()
    await stage.lin.panel.answer()
    await stage.lin_speaks_with(caller)


async def test_the_customer_hangs_up_while_the_way_is_cut(faulty: FaultStage) -> None:
    stage, way = faulty.stage, faulty.way
    caller = await in_call(stage)
    await way.close()
    await caller.hang_up()
    await stage.asterisk.gone("trunk")
    await way.open()
    took = await equals_asterisk(stage, stage.lin, way.opened_at)
    assert took <= PROMISED_SECONDS
    assert (await stage.lin.page.evaluate(SHOWN))["state"] == "wrap_up"
    await note_is_there(stage.lin)


async def test_asterisk_starts_again_while_idle(faulty: FaultStage) -> None:
    stage = faulty.stage
    await stage.lin.serve("sales")
    await stage.pbx.kill()
    await stage.pbx.booted.wait()
    took = await equals_asterisk(stage, stage.lin, time.monotonic())
    assert took <= PROMISED_SECONDS
    assert (await stage.lin.page.evaluate(SHOWN))["state"] == "available"
    caller = await stage.customer_calls()
    await stage.lin.panel.answer()
    await stage.lin_speaks_with(caller)


async def test_asterisk_starts_again_in_a_call(faulty: FaultStage) -> None:
    stage = faulty.stage
    await in_call(stage)
    await stage.pbx.kill()
    await stage.pbx.booted.wait()
    took = await equals_asterisk(stage, stage.lin, time.monotonic())
    assert took <= PROMISED_SECONDS
    await note_is_there(stage.lin)
    await stage.lin.panel.has_no_leg()


async def test_the_browser_is_offline_and_comes_back(faulty: FaultStage) -> None:
    """Sleep and wake: the browser's network is gone, and so is what was open in it."""
    stage, way = faulty.stage, faulty.way
    caller = await in_call(stage)
    await stage.lin.context.set_offline(True)
    await way.close()
    await asyncio.sleep(8)  # the fault's own length
    await way.open()
    await stage.lin.context.set_offline(False)
    took = await equals_asterisk(stage, stage.lin, time.monotonic())
    assert took <= PROMISED_SECONDS
    await stage.lin_speaks_with(caller)
    await note_is_there(stage.lin)


async def test_the_service_is_killed_in_a_call(faulty: FaultStage) -> None:
    stage = faulty.stage
    caller = await in_call(stage)
    (before,) = await stage.asterisk.channels_of("trunk")
    await stage.service.kill()
    await expect(stage.lin.page.locator("html")).to_have_attribute("data-connection", "lost")
    assert caller.state == "answered"
    await stage.service.start()
    took = await equals_asterisk(stage, stage.lin, time.monotonic())
    assert took <= PROMISED_SECONDS
    await stage.lin_speaks_with(caller)
    await note_is_there(stage.lin)
    (after,) = await stage.asterisk.channels_of("trunk")
    assert after["Channel"] == before["Channel"]
