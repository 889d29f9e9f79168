"""The desk's page in a browser: how soon it is there, what it weighs, and a day's news in minutes.

Owns two measurements on the real desk, its push and Chromium. *Loads*: /desk with an empty cache,
again and again. *News*: one page gets as many frames as an hour at 20 a second brings, faster than
they would come, of calls that ring, are answered, held and settled, and of queues and colleagues.
The telephone side is played by signals on the bus. Refuses to know what the page shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, async_playwright
from yarl import URL

from agent_desk.app import create_app
from agent_desk.desk import api
from agent_desk.entrance.sign_in import HUB
from agent_desk.entrance.visitor import LANGUAGE_COOKIE, SESSION_COOKIE
from agent_desk.parts import DeskParts
from crm_store import signals as s
from crm_store.bus import Bus
from crm_store.database import Database
from crm_store.migrations import migrate
from crm_store.people import customers
from tests.agent_desk.conftest import Presence, RunningDesk, fill, open_session
from tests.agent_desk.signal_stories import PBX, pop
from tests.talking_browser import FLAGS, find_chromium

FRAMES_A_SECOND = 20
HOUR = 3_600
FASTER = 30
"""How much faster than in life the hour's frames come."""
WARM_UP_FRAMES = 2_000
SETTLE_SECONDS = 3.0
AGENT = "lin"
SIZE = {"width": 1440, "height": 900}

WATCH = """
(() => {
  window.seen = { longTasks: [], interactive: null };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.seen.longTasks.push(duration);
  }).observe({ type: "longtask", buffered: true });
  const look = () => {
    if (document.documentElement?.dataset.connection !== "connected") return;
    window.seen.interactive ??= performance.now();
  };
  new MutationObserver(look).observe(document, {
    subtree: true, attributes: true, attributeFilter: ["data-connection"],
  });
})();
"""


@dataclass(frozen=True, slots=True)
class Load:
    """One load with an empty cache: milliseconds from its begin; bytes with their headers."""

    first_paint: float
    interactive: float
    transferred: int
    requests: int
    longest_task: float


async def measure(folder: Path, loads: int, seconds: int = HOUR) -> dict[str, Any]:
    """The figures of `loads` cold loads, and of the news of so many seconds.

    `folder` must be there, and nothing in it called page.db.
    """
    async with (
        running_desk(f"sqlite:///{folder}/page.db") as desk,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        try:
            await load_once(browser, desk)  # the server's own first time does not count
            taken = [await load_once(browser, desk) for _ in range(loads)]
            news = await hear_the_news(browser, desk, seconds * FRAMES_A_SECOND)
        finally:
            await browser.close()
    return {"loads": loads, "load": as_row(taken), "news": news}


def as_row(taken: list[Load]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in Load.__slots__:
        values = sorted(getattr(load, name) for load in taken)
        row[name] = {"median": round(median(values), 1), "most": round(values[-1], 1)}
    return row


@contextlib.asynccontextmanager
async def running_desk(database_url: str) -> AsyncIterator[RunningDesk]:
    """The real desk on a store with a few people, its telephone side played by Presence."""
    await migrate(database_url)
    database = Database(database_url)
    try:
        people = await fill(database)
        bus = Bus()
        presence = Presence(bus)
        parts = DeskParts(database=database, bus=bus, agents=presence.control())
        app = create_app(parts)
        # One frame a second in life.
        app[HUB].coalesce_seconds = 1 / FASTER
        async with TestServer(app) as server:
            url = URL(str(server.make_url("/")))
            yield RunningDesk(app, parts, presence, database, bus, url, people)
    finally:
        await database.close()


async def signed_in(browser: Browser, desk: RunningDesk) -> BrowserContext:
    context = await browser.new_context(
        base_url=str(desk.url),
        viewport=SIZE,  # type: ignore[arg-type]
        locale="en",
        permissions=["microphone", "notifications"],
    )
    cookies = {LANGUAGE_COOKIE: "en", SESSION_COOKIE: await open_session(desk, AGENT)}
    await context.add_cookies(
        [{"name": name, "value": value, "url": str(desk.url)} for name, value in cookies.items()]
    )
    await context.add_init_script(WATCH)
    return context


async def load_once(browser: Browser, desk: RunningDesk) -> Load:
    """One load in a profile of its own."""
    context = await signed_in(browser, desk)
    page = await context.new_page()
    devtools = await context.new_cdp_session(page)
    await devtools.send("Network.enable")
    sizes: list[int] = []
    devtools.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
    await page.goto("/desk")
    await page.wait_for_function("() => window.seen.interactive !== null")
    await page.wait_for_load_state("networkidle")
    seen = await page.evaluate(
        """() => ({
            ...window.seen,
            paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
        })"""
    )
    await context.close()
    return Load(
        first_paint=seen["paint"],
        interactive=seen["interactive"],
        transferred=round(sum(sizes)),
        requests=len(sizes),
        longest_task=max(seen["longTasks"], default=0.0),
    )


async def hear_the_news(browser: Browser, desk: RunningDesk, frames: int) -> dict[str, Any]:
    """Send so many frames to one page; how it bore them."""
    context = await signed_in(browser, desk)
    page = await context.new_page()
    devtools = await context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    await page.goto("/desk")
    await page.wait_for_function("() => window.seen.interactive !== null")
    await page.wait_for_load_state("networkidle")
    calls = itertools.count(1)
    await send(desk, WARM_UP_FRAMES, calls)
    before = await weight(page, devtools)
    await page.evaluate("window.seen.longTasks.length = 0")
    took, sent = await send(desk, frames, calls)
    await caught_up(desk, page)
    tasks = await page.evaluate("window.seen.longTasks")
    after = await weight(page, devtools)
    await context.close()
    return {
        "frames": sent,
        "seconds": round(took, 1),
        "long_tasks": len(tasks),
        "longest_task": round(max(tasks, default=0.0), 1),
        "before": before,
        "after": after,
    }


async def send(desk: RunningDesk, frames: int, calls: itertools.count[int]) -> tuple[float, int]:
    """Publish calls until the desk was sent so many frames; the seconds it took, and how many."""
    hub = desk.hub
    screens = desk.app[api.LIVE].screens
    found = await customers.card(desk.database, desk.customers["wang"])
    assert found is not None
    card = found.as_dict()
    loop = asyncio.get_running_loop()
    begun, first = loop.time(), hub.counters.frames
    pace = FRAMES_A_SECOND * FASTER
    while (sent := hub.counters.frames - first) < frames:
        number = next(calls)
        for signal in whole_call(number, card):
            if signal is None:
                screens.wrapped_up(AGENT, PBX, f"{number}.1")
            else:
                desk.bus.publish(signal)
            behind = begun + (hub.counters.frames - first) / pace - loop.time()
            await asyncio.sleep(max(0.0, behind))
    return loop.time() - begun, sent


def whole_call(number: int, card: dict[str, Any]) -> list[s.Signal | None]:
    """A call at the agent from ring to wrap-up (None), while queues and colleagues move."""
    call = f"{number}.1"
    common: dict[str, Any] = {"pbx": PBX, "call": call, "at": s_at(number)}
    at_agent: dict[str, Any] = {**common, "endpoint": f"PJSIP/{AGENT}", "agent": AGENT}
    caller = f"+86138{number % 10**8:08d}"

    def becomes(agent: str, state: s.AgentState) -> s.Signal:
        return s.AgentStateChanged(
            agent=agent, endpoint=f"PJSIP/{agent}", state=state, at=s_at(number), queues=("sales",)
        )

    def queue(waiting: int) -> s.Signal:
        return s.QueueChanged(
            pbx=PBX, at=s_at(number), queue="sales", waiting=waiting, available=1, paused=0, busy=1
        )

    holds: list[s.Signal | None] = []
    for _ in range(3):
        holds += [
            s.CallHeld(**common, endpoint=f"PJSIP/{AGENT}"),
            becomes("maria", s.AgentState.RINGING),
            s.CallResumed(**common, endpoint=f"PJSIP/{AGENT}"),
            becomes("maria", s.AgentState.ON_CALL),
            queue(number % 7),
        ]
    return [
        s.CallStarted(**common, direction=s.Direction.INBOUND, caller=caller, callee="600"),
        s.CallQueued(**common, queue="sales", caller=caller, position=1),
        queue(1),
        pop(AGENT, call, caller=caller, number=caller, matches=(), looking_up=True),
        s.CallOffered(**at_agent, queue="sales", caller=caller, callee="600"),
        becomes(AGENT, s.AgentState.RINGING),
        pop(AGENT, call, caller=caller, number=caller, matches=(card,)),
        s.CallLeftQueue(**common, queue="sales", cause="answered"),
        s.CallAnswered(**at_agent, queue="sales", caller=caller, callee="600"),
        becomes(AGENT, s.AgentState.ON_CALL),
        *holds,
        s.CallEnded(**common, cause="Normal Clearing", caller=caller, callee="600"),
        becomes(AGENT, s.AgentState.WRAP_UP),
        None,
        becomes(AGENT, s.AgentState.AVAILABLE),
    ]


def s_at(number: int) -> float:
    """A moment for the call of this number, in seconds since 1970."""
    return 1_795_255_200.0 + number


async def caught_up(desk: RunningDesk, page: Page) -> None:
    """Wait until the page has taken what was sent: its socket is empty and it draws again."""
    await asyncio.sleep(SETTLE_SECONDS)
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


async def weight(page: Page, devtools: CDPSession) -> dict[str, int]:
    """Bytes of JavaScript's heap, DOM nodes and listeners, after the garbage is gone."""
    await asyncio.sleep(SETTLE_SECONDS)
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    for _ in range(3):
        await devtools.send("HeapProfiler.collectGarbage")
    metrics = {
        one["name"]: one["value"]
        for one in (await devtools.send("Performance.getMetrics"))["metrics"]
    }
    names = {"heap": "JSHeapUsedSize", "nodes": "Nodes", "listeners": "JSEventListeners"}
    return {name: round(metrics[metric]) for name, metric in names.items()}
