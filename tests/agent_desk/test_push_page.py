"""The push as the page's own code speaks it: what it asks after a gap, and how often."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import WebSocketRoute, expect

from crm_store.signals import AgentState, CallHeld, CallResumed
from tests.agent_desk.browser_fixtures import Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.test_browser import answer, card_of, ring

__all__ = ["chrome"]

pytestmark = pytest.mark.browser

TOPIC = "agent:lin"


class Between:
    """Stands between the page and the push: loses a frame, and keeps the page's questions back."""

    def __init__(self) -> None:
        self.loses_next = False
        self.resyncs: list[str] = []
        self._server: WebSocketRoute | None = None

    def stand(self, page: WebSocketRoute) -> None:
        server = self._server = page.connect_to_server()

        def said_by_page(message: str | bytes) -> None:
            wish: dict[str, Any] = json.loads(message)
            if "resync" in wish:
                self.resyncs.append(wish["resync"])
            else:
                server.send(message)

        def said_by_server(message: str | bytes) -> None:
            frame: dict[str, Any] = json.loads(message)
            if self.loses_next and frame.get("topic") == TOPIC:
                self.loses_next = False
            else:
                page.send(message)

        page.on_message(said_by_page)
        server.on_message(said_by_server)

    def ask_now(self) -> None:
        """What the page asked for last goes to the server."""
        assert self._server is not None
        self._server.send(json.dumps({"resync": self.resyncs[-1]}))


async def test_a_gap_is_asked_about_once_until_its_snapshot_comes(
    chrome: Chromium, desk: RunningDesk
) -> None:
    between = Between()
    page = await chrome.window("lin")
    await page.route_web_socket("**/push", between.stand)
    await page.goto("/desk")
    call = page.locator("[data-call]")
    await ring(desk, await card_of(desk, "wang"))
    answer(desk)
    await expect(call).to_have_attribute("data-state", "answered")
    common = {"pbx": "main", "call": "1.1", "endpoint": "PJSIP/lin"}

    for gaps, state in enumerate((AgentState.PAUSED, AgentState.ON_CALL), start=1):
        between.loses_next = True
        for _ in range(4):
            desk.bus.publish(CallHeld(**common))  # type: ignore[arg-type]
            desk.bus.publish(CallResumed(**common))  # type: ignore[arg-type]
        desk.bus.publish(CallHeld(**common))  # type: ignore[arg-type]
        desk.presence._become("maria", state)
        # Once the colleague's news is there, all that came before it has been read.
        maria = page.locator("[data-agents] [data-key=maria]")
        await expect(maria).to_have_attribute("data-state", state)
        assert between.resyncs == [TOPIC] * gaps
        await expect(call).to_have_attribute("data-state", "answered")
        between.ask_now()
        await expect(call).to_have_attribute("data-state", "held")
        desk.bus.publish(CallResumed(**common))  # type: ignore[arg-type]
        await expect(call).to_have_attribute("data-state", "answered")
