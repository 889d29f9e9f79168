"""From the caller's INVITE to two-way sound: the desk's phone beside a bare JsSIP page.

Owns one run: one Asterisk, the real service with its desk in one Chromium, and in another the
smallest page that can answer a call with the same JsSIP, straight on Asterisk's own WebSocket with
an account of its own. They take turns. Whoever answers clicks in the first frame in which the
button can be clicked. Sound is two-way once the agent's page plays the caller's tone and the caller
hears the agent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from aiohttp import web
from playwright.async_api import Page, async_playwright

from cti.pbx.embedded import EmbeddedPbx
from cti.telephone_network.network import CALLER_TONE, SipCall, SipNetwork
from tests.desk.phone_panel import ANSWER
from tests.desk_stage import LIN, LIN_TONE, AgentWindow, agent_window, eventually
from tests.service_fixtures import CUSTOMER, RunningService, fill_mall, mall_pbx
from tests.talking_browser import EARS, talking_browser

JSSIP = Path("agent_desk/static/vendor/jssip.js")
BARE_PAGE = Path(__file__).with_name("bare_phone.html")
BARE_USER = "bare"
BARE_NUMBER = "9001"
BARE_QUEUE_NUMBER = "9002"
QUEUE_NUMBER = "600"
SOUND_SECONDS = 15.0
NO_CLOCK = 999.0

ANSWER_AT_ONCE = """
(selector) => {
  const press = () => {
    const button = document.querySelector(selector);
    const box = button?.getBoundingClientRect();
    const there = box && box.width && !button.disabled;
    const over = there && document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    if (over && button.contains(over)) {
      window.pressedAt = performance.timeOrigin + performance.now();
      button.click();
    } else {
      requestAnimationFrame(press);
    }
  };
  window.pressedAt = null;
  requestAnimationFrame(press);
}
"""

BARE_ACCOUNT = """
[{user}]
type = endpoint
context = from-agents
transport = transport-ws
webrtc = yes
disallow = all
allow = opus,ulaw,alaw
auth = {user}
aors = {user}
media_address = 127.0.0.1
bind_rtp_to_media_address = yes

[{user}]
type = auth
auth_type = userpass
username = {user}
password = {secret}

[{user}]
type = aor
max_contacts = 1
remove_existing = yes
"""
BARE_DIALPLAN = """
[from-trunk](+)
exten => {number},1,Dial(PJSIP/{user},30)
 same => n,Hangup()
exten => {queue_number},1,Answer()
 same => n,Queue({user},tk,,,60)
 same => n,Hangup()
"""
BARE_QUEUE = """
[{user}]
strategy = ringall
timeout = 30
ringinuse = no
member => PJSIP/{user}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to be called: who answers, and at which number."""

    name: str
    number: str
    page: Page
    button: str
    tone: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Milliseconds of one call."""

    invite_to_click: float
    click_to_sound: float
    invite_to_sound: float


async def measure(folder: Path, calls: int) -> dict[str, Any]:
    """The figures of `calls` calls for each way, by the way's name.

    `folder` must be there, and empty.
    """
    database_url = f"sqlite:///{folder}/mall.db"
    await fill_mall(database_url)
    async with contextlib.AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(await mall_pbx(folder / "pbx", database_url))
        secret = await give_account(pbx)
        service = await stack.enter_async_context(
            RunningService(folder / "service", database_url, external=pbx)
        )
        playwright = await stack.enter_async_context(async_playwright())
        desk = await stack.enter_async_context(agent_window(playwright, service, folder, LIN))
        browser = await stack.enter_async_context(talking_browser(playwright, folder, LIN_TONE))
        bare = await browser.new_page()
        await bare.add_init_script(path=EARS)
        address = await stack.enter_async_context(bare_page())
        socket = f"ws://{pbx.sip_address}:{pbx.http_port}/ws"
        await bare.goto(f"{address}?user={BARE_USER}&secret={secret}&socket={socket}")
        await bare.wait_for_function("() => document.title === 'registered'")
        network = await stack.enter_async_context(service.network())
        await desk.serve("sales")
        ways = [
            Way("desk, queue", QUEUE_NUMBER, desk.page, ANSWER, LIN_TONE),
            Way("desk, extension", LIN.extension, desk.page, ANSWER, LIN_TONE),
            Way("bare, queue", BARE_QUEUE_NUMBER, bare, "[data-bare-answer]", LIN_TONE),
            Way("bare, extension", BARE_NUMBER, bare, "[data-bare-answer]", LIN_TONE),
        ]
        taken: dict[str, list[Answered]] = {way.name: [] for way in ways}
        for way in ways:  # once without counting: code is compiled, devices are opened
            await one_call(network, way, desk)
        for _ in range(calls):
            for way in random.sample(ways, len(ways)):
                taken[way.name].append(await one_call(network, way, desk))
    return {"calls": calls, "ways": {name: as_row(answers) for name, answers in taken.items()}}


def as_row(answers: list[Answered]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in Answered.__slots__:
        values = sorted(getattr(answer, name) for answer in answers)
        row[name] = {
            "median": round(median(values), 1),
            "least": round(values[0], 1),
            "most": round(values[-1], 1),
        }
    return row


async def one_call(network: SipNetwork, way: Way, desk: AgentWindow) -> Answered:
    """A customer calls, the agent clicks as soon as can be, and both are heard."""
    wall_clock = await clock_of(way.page)
    await way.page.evaluate(ANSWER_AT_ONCE, way.button)
    call = await network.call(CUSTOMER, way.number)
    assert call.invited_at is not None
    clicked = await (await way.page.wait_for_function("() => window.pressedAt")).json_value()
    clicked_at = clicked / 1000 - wall_clock
    page_at, caller_at = await asyncio.gather(
        sound_in_page(way.page, clicked, wall_clock), sound_at_caller(call, way.tone, clicked_at)
    )
    await call.hang_up()
    await is_free(way, desk)
    sound_at = max(page_at, caller_at)
    return Answered(
        invite_to_click=(clicked_at - call.invited_at) * 1000,
        click_to_sound=(sound_at - clicked_at) * 1000,
        invite_to_sound=(sound_at - call.invited_at) * 1000,
    )


async def clock_of(page: Page) -> float:
    """What the page's wall clock has more than this process's monotonic clock, in seconds."""
    best, difference = NO_CLOCK, 0.0
    for _ in range(10):
        before = time.monotonic()
        said = await page.evaluate("performance.timeOrigin + performance.now()") / 1000
        took = time.monotonic() - before
        if took < best:
            best, difference = took, said - (before + took / 2)
    return difference


async def sound_in_page(page: Page, since: float, wall_clock: float) -> float:
    """The monotonic time at which the page first played the caller's tone."""
    first: float = await eventually(
        lambda: page.evaluate("([hertz, at]) => ears.first(hertz, at)", [CALLER_TONE, since]),
        "the agent hears the caller",
        within=SOUND_SECONDS,
    )
    return first / 1000 - wall_clock


async def sound_at_caller(call: SipCall, tone: int, since: float) -> float:
    """The monotonic time at which the caller first heard the agent."""

    async def ask() -> float | None:
        return call.audio.first_heard(tone, since)

    first = await eventually(ask, "the caller hears the agent", within=SOUND_SECONDS)
    assert first is not None
    return first


async def is_free(way: Way, desk: AgentWindow) -> None:
    """Wait until the next call may come."""
    if way.page is desk.page:
        await desk.has_call("ended")
        await desk.finish()
        await desk.is_in_state("available")
    await way.page.wait_for_function(
        """(selector) => {
            const button = document.querySelector(selector);
            return !button || button.disabled || !button.getBoundingClientRect().width;
        }""",
        arg=way.button,
    )


async def give_account(pbx: EmbeddedPbx) -> str:
    """An account, a number and a queue for the bare page, in Asterisk's own files; the secret."""
    secret = secrets.token_urlsafe(24)
    values = {
        "user": BARE_USER,
        "secret": secret,
        "number": BARE_NUMBER,
        "queue_number": BARE_QUEUE_NUMBER,
    }
    for name, text in (
        ("pjsip", BARE_ACCOUNT),
        ("extensions", BARE_DIALPLAN),
        ("queues", BARE_QUEUE),
    ):
        with (pbx.folder / f"etc/{name}.conf").open("a", encoding="utf-8") as file:
            file.write(text.format(**values))
    for command in ("module reload res_pjsip.so", "dialplan reload", "queue reload all"):
        await pbx.console(command)
    return secret


@contextlib.asynccontextmanager
async def bare_page() -> AsyncIterator[str]:
    """The bare phone's page, served on a free port; its address."""

    async def show_page(_: web.Request) -> web.FileResponse:
        return web.FileResponse(BARE_PAGE)

    async def show_jssip(_: web.Request) -> web.FileResponse:
        return web.FileResponse(JSSIP)

    application = web.Application()
    application.add_routes([web.get("/", show_page), web.get("/jssip.js", show_jssip)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
