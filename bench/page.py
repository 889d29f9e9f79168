"""The desk's page in a browser: how soon it is there, what it weighs, and a day's news in minutes.

Owns two measurements on the real desk, its push and Chromium. *Loads*: /desk with an empty cache,
again and again. *News*: one page gets as many frames as an hour at 20 a second brings, faster than
they would come, of calls that ring, are answered, held and settled, and of queues and colleagues;
a bare page gets the same ones beside it. The telephone side is played by signals on the bus.
Refuses to know what the page shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, async_playwright

from agent_desk.desk import api
from agent_desk.entrance.visitor import LANGUAGE_COOKIE, SESSION_COOKIE
from agent_desk.live import push
from bench.page_desk import running_desk
from bench.page_tasks import Task, watched
from crm_store import signals as s
from crm_store.people import customers
from tests.agent_desk.conftest import RunningDesk, open_session
from tests.agent_desk.signal_stories import PBX, pop
from tests.talking_browser import FLAGS, find_chromium

FRAMES_A_SECOND = 20
HOUR = 3_600
FASTER = 30
"""How much faster than in life the hour's frames come at most."""
HOLDS = 20
"""How often each call is held and resumed: most frames are of a call that goes on."""
TENTHS = 10
LONG_TASK_MS = 50.0
SETTLE_SECONDS = 3.0
AGENT = "lin"
FOLLOWED = (f"agent:{AGENT}", "queues", "agents")
SIZE = {"width": 1440, "height": 900}

WATCH = """
(() => {
  window.seen = { longTasks: [], interactive: null, asking: 0 };
  const ask = window.fetch;
  window.fetch = (...asked) => {
    window.seen.asking += 1;
    return ask(...asked).finally(() => { window.seen.asking -= 1; });
  };
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

BARE = """
(topics) => {
  const shown = document.body.appendChild(document.createElement("p"));
  const socket = new WebSocket(`ws://${location.host}/push`);
  window.heard = 0;
  socket.onopen = () => socket.send(JSON.stringify({ subscribe: topics }));
  socket.onmessage = (message) => {
    if (JSON.parse(message.data).topic) shown.textContent = ++window.heard;
  };
}
"""
"""The least that a page can do with the push: read every frame, and show how many there were."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load with an empty cache: milliseconds from its begin; bytes with their headers."""

    first_paint: float
    interactive: float
    transferred: int
    requests: int
    longest_task: float


async def measure(
    folder: Path, loads: int, seconds: int = HOUR, *, real_time: bool = False
) -> dict[str, Any]:
    """The figures of `loads` cold loads, and of the news of so many seconds.

    `folder` must be there, and nothing in it called page.db. With `real_time` the pages that hear
    the news go before all else on the machine (root).
    """
    async with (
        running_desk(f"sqlite:///{folder}/page.db", faster=FASTER) as desk,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        try:
            await load_once(browser, desk)  # the server's own first time does not count
            taken = [await load_once(browser, desk) for _ in range(loads)]
            news = await hear_the_news(browser, desk, seconds * FRAMES_A_SECOND, real_time)
        finally:
            await browser.close()
    return {"loads": loads, "load": as_row(taken), "news": news}


def as_row(taken: list[Load]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in Load.__slots__:
        values = sorted(getattr(load, name) for load in taken)
        row[name] = {"median": round(median(values), 1), "most": round(values[-1], 1)}
    return row


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


async def hear_the_news(
    browser: Browser, desk: RunningDesk, frames: int, real_time: bool
) -> dict[str, Any]:
    """Send so many frames to one page, and to a bare one beside it; how they bore them."""
    with faster_limits():
        context = await signed_in(browser, desk)
        page = await context.new_page()
        devtools = await context.new_cdp_session(page)
        await devtools.send("Performance.enable")
        await page.goto("/desk")
        await page.wait_for_function("() => window.seen.interactive !== null")
        await page.wait_for_load_state("networkidle")
        bare_context = await signed_in(browser, desk)
        bare = await open_bare(bare_context)
        if real_time:
            await go_first(browser)
        calls = itertools.count(1)
        took, sent = 0.0, 0
        weights: list[dict[str, int]] = []
        tasks: list[Task] = []
        bare_tasks: list[Task] = []
        for _ in range(TENTHS):
            async with watched(browser, (page, bare)) as watch:
                more_took, more = await send(desk, page, -(-frames // TENTHS), calls)
            tasks += watch[0]
            bare_tasks += watch[1]
            took, sent = took + more_took, sent + more
            weights.append(await weight(page, devtools))
        heard = await bare.evaluate("window.heard")
        await context.close()
        await bare_context.close()
    return {
        "frames": sent,
        "calls": next(calls) - 1,
        "seconds": round(took, 1),
        "faster": FASTER,
        "machine_load": round(os.getloadavg()[1], 1),
        "real_time": real_time,
        "desk": as_tasks(tasks),
        "bare": {**as_tasks(bare_tasks), "frames": heard},
        "before": weights[0],
        "after": weights[-1],
        "heaps": [one["heap"] for one in weights],
    }


@contextlib.contextmanager
def faster_limits() -> Iterator[None]:
    """A connection may ask for as much in the compressed second as in all of it in life."""
    in_life = push.SNAPSHOTS_PER_SECOND
    push.SNAPSHOTS_PER_SECOND = in_life * FASTER
    try:
        yield
    finally:
        push.SNAPSHOTS_PER_SECOND = in_life


async def open_bare(context: BrowserContext) -> Page:
    """A page on the desk's origin that only reads the push."""
    page = await context.new_page()
    await page.goto("/api/me")
    await page.evaluate(BARE, FOLLOWED)
    await page.wait_for_function(f"() => window.heard >= {len(FOLLOWED)}")
    return page


async def go_first(browser: Browser) -> None:
    """Real-time scheduling for the browser's pages. Raises PermissionError."""
    devtools = await browser.new_browser_cdp_session()
    processes = (await devtools.send("SystemInfo.getProcessInfo"))["processInfo"]
    await devtools.detach()
    for process in processes:
        if process["type"] == "renderer":
            for thread in psutil.Process(process["id"]).threads():
                os.sched_setscheduler(thread.id, os.SCHED_RR, os.sched_param(1))


def as_tasks(tasks: Sequence[Task]) -> dict[str, Any]:
    """How many tasks were long, and the longest, by the clock and by what they ran themselves."""
    return {
        "tasks": len(tasks),
        "long_tasks": sum(task.took > LONG_TASK_MS for task in tasks),
        "longest_task": round(max((task.took for task in tasks), default=0.0), 1),
        "long_runs": sum(task.ran > LONG_TASK_MS for task in tasks),
        "longest_run": round(max((task.ran for task in tasks), default=0.0), 1),
    }


async def send(
    desk: RunningDesk, page: Page, frames: int, calls: itertools.count[int]
) -> tuple[float, int]:
    """Publish calls until the page was sent so many frames; the seconds it took, and how many.

    A call comes once the page has asked all that it wants to know of the one before, and has drawn
    it: in life a call lasts minutes, and all of it is seen.
    """
    topics = [desk.hub.topic(name) for name in FOLLOWED]
    screens = desk.app[api.LIVE].screens
    found = await customers.card(desk.database, desk.customers["wang"])
    assert found is not None
    card = found.as_dict()
    loop = asyncio.get_running_loop()
    begun, first = loop.time(), sum(topic.n for topic in topics)
    sent = 0
    while sent < frames:
        number = next(calls)
        due = loop.time()
        for signal in whole_call(number, card):
            before = sum(topic.n for topic in topics)
            if signal is None:
                await settled(page)
                screens.wrapped_up(AGENT, PBX, f"{number}.1")
            else:
                desk.bus.publish(signal)
            due += (sum(topic.n for topic in topics) - before) / (FRAMES_A_SECOND * FASTER)
            await asyncio.sleep(max(0.0, due - loop.time()))
        await settled(page)
        sent = sum(topic.n for topic in topics) - first
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
    for _ in range(HOLDS):
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


async def settled(page: Page) -> None:
    """Wait until the page waits for no answer and has drawn."""
    await page.wait_for_function("() => window.seen.asking === 0")


async def weight(page: Page, devtools: CDPSession) -> dict[str, int]:
    """Bytes of JavaScript's heap, DOM nodes and listeners, after the garbage is gone."""
    await asyncio.sleep(SETTLE_SECONDS)
    await settled(page)
    for _ in range(3):
        await devtools.send("HeapProfiler.collectGarbage")
    metrics = {
        one["name"]: one["value"]
        for one in (await devtools.send("Performance.getMetrics"))["metrics"]
    }
    names = {"heap": "JSHeapUsedSize", "nodes": "Nodes", "listeners": "JSEventListeners"}
    return {name: round(metrics[metric]) for name, metric in names.items()}
