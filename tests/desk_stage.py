"""The stage of the end-to-end tests: two agents in two browsers, a caller, and Asterisk's own view.

Owns what it takes to say "this is so" from outside: which tone each of them hears, who is in a
bridge with whom as Asterisk lists it, how it sees its queue members, what its recordings hold.
Refuses to know how the desk's page looks; that is tests/desk/phone_panel.py.

Everybody says a tone of their own, so what one hears tells who speaks there.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
import wave
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from agent_desk.entrance.visitor import LANGUAGE_COOKIE
from crm_store.database import Database
from crm_store.models import RecordingPolicy
from crm_store.staff import queues
from cti.ami.link import AmiLink
from cti.pbx.embedded import EmbeddedPbx
from cti.telephone_network.audio import loudness_at
from cti.telephone_network.network import CALLER_TONE, SipCall, SipNetwork
from tests.desk.phone_panel import PhonePanel
from tests.service_fixtures import (
    CUSTOMER,
    DeskSession,
    RunningService,
    ami_of,
    mall_pbx,
    sign_in_page,
)
from tests.talking_browser import EARS, talking_browser

T = TypeVar("T")

LIN_TONE = 600
MARIA_TONE = 900
SECOND_CALLER_TONE = 1_250
"""All multiples of 50 Hz, none a note of the music on hold, none a harmonic of another."""

ALONE = 0.8
"""The share of the sound that one tone has when nothing else is heard."""
AMONG_OTHERS = 0.12
"""The share that one of two or three tones has at least."""
QUIET = 0.003
"""The loudness (root mean square, full scale is 1) below which there is silence."""
WIDE = {"width": 1440, "height": 900}


async def eventually(
    ask: Callable[[], Awaitable[T]], what: str, *, within: float = 20.0, every: float = 0.05
) -> T:
    """Ask until the answer is true, and return it. Raises AssertionError with the last answer."""
    deadline = time.monotonic() + within
    while True:
        last = await ask()
        if last:
            return last
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}; last: {last!r}")
        await asyncio.sleep(every)


# ---- what is heard -------------------------------------------------------------------------------


async def remote_sound(page: Page, *hertz: int) -> list[dict[str, Any]]:
    """What comes out of the page's calls now: for each `played`, `loudness` and `shares`."""
    found: list[dict[str, Any]] = await page.evaluate(
        "(hertz) => window.ears.remote(hertz)", list(hertz)
    )
    return found


async def hears(page: Page, *hertz: int, within: float = 20.0) -> None:
    """Wait until the agent hears just these tones, from one call."""
    least = ALONE if len(hertz) == 1 else AMONG_OTHERS

    async def ask() -> bool:
        sounds = await remote_sound(page, *hertz)
        return any(
            sound["played"]
            and sound["loudness"] > QUIET
            and min(sound["shares"].values()) > least
            and sum(sound["shares"].values()) > 0.6
            for sound in sounds
        )

    try:
        await eventually(ask, f"the agent hears {hertz} Hz", within=within)
    except AssertionError as error:
        heard = await remote_sound(page, CALLER_TONE, LIN_TONE, MARIA_TONE)
        raise AssertionError(f"{error}; heard {heard}") from None


async def hears_nothing(page: Page, within: float = 20.0) -> None:
    """Wait until the agent hears silence, or has no call that sounds."""

    async def ask() -> bool:
        sounds = await remote_sound(page)
        return not any(sound["played"] and sound["loudness"] > QUIET for sound in sounds)

    await eventually(ask, "the agent hears nothing", within=within)


async def caller_hears(call: SipCall, *hertz: int, within: float = 20.0) -> None:
    """Wait until just these tones come to the caller."""
    least = ALONE if len(hertz) == 1 else AMONG_OTHERS

    async def ask() -> bool:
        sound = await call.audio.next_heard(0.4)
        shares = [loudness_at(sound, tone) for tone in hertz]
        return min(shares) > least and sum(shares) > 0.6

    try:
        await asyncio.wait_for(eventually(ask, f"the caller hears {hertz} Hz"), within)
    except TimeoutError:
        heard = call.audio.heard(0.4)
        said = {tone: loudness_at(heard, tone) for tone in (440, LIN_TONE, MARIA_TONE)}
        raise AssertionError(
            f"the caller does not hear {hertz} Hz but {said}, {call.audio.packets_heard} packets"
        ) from None


async def caller_hears_music(call: SipCall, *agents: int, within: float = 20.0) -> None:
    """Wait until the caller hears something that is nobody's voice."""

    async def ask() -> bool:
        sound = await call.audio.next_heard(0.4)
        return _loudness(sound) > QUIET and all(loudness_at(sound, tone) < 0.1 for tone in agents)

    await asyncio.wait_for(eventually(ask, "the caller hears music"), within)


async def caller_hears_nothing(call: SipCall, within: float = 20.0) -> None:
    """Wait until silence comes to the caller, or no sound at all any more."""

    async def ask() -> bool:
        try:
            return _loudness(await asyncio.wait_for(call.audio.next_heard(0.4), 2)) < QUIET
        except TimeoutError:
            return True

    await asyncio.wait_for(eventually(ask, "the caller hears silence"), within)


def _loudness(ulaw: bytes) -> float:
    from cti.telephone_network.audio import ulaw_to_linear  # noqa: PLC0415

    energy = sum(ulaw_to_linear(value) ** 2 for value in ulaw)
    return float((energy / max(1, len(ulaw))) ** 0.5 / 32_768)


# ---- a recording on disk -------------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """A WAV file of Asterisk's: what is in it, a fifth of a second at a time."""

    file: Path
    seconds: float
    rate: int
    samples: array[int]

    @classmethod
    def read(cls, file: Path) -> Recording:
        with wave.open(str(file)) as reader:
            assert reader.getsampwidth() == 2
            rate, frames = reader.getframerate(), reader.getnframes()
            samples = array("h", reader.readframes(frames))
            if reader.getnchannels() == 2:  # both directions, each on a side of its own
                samples = array("h", map(_mixed, samples[::2], samples[1::2]))
        return cls(file, frames / rate, rate, samples)

    def shares(self, hertz: int) -> list[float]:
        """The share of the sound at `hertz` in each fifth of a second; 0 where it is silent."""
        return [goertzel(window, self.rate, hertz) for window in self._windows()]

    def silent(self) -> list[bool]:
        """Whether each fifth of a second is silent."""
        return [
            (sum(sample * sample for sample in window) / len(window)) ** 0.5 / 32_768 < QUIET
            for window in self._windows()
        ]

    def _windows(self) -> list[array[int]]:
        step = self.rate // 5
        return [self.samples[at : at + step] for at in range(0, len(self.samples) - step + 1, step)]


def _mixed(one: int, other: int) -> int:
    return max(-32_768, min(32_767, one + other))


def goertzel(samples: array[int], rate: int, hertz: int) -> float:
    """The share of the energy at `hertz`, 0 to 1."""
    import math  # noqa: PLC0415

    coefficient = 2 * math.cos(2 * math.pi * hertz / rate)
    before, last, energy = 0.0, 0.0, 0.0
    for sample in samples:
        energy += sample * sample
        before, last = last, sample + coefficient * last - before
    power = before * before + last * last - coefficient * before * last
    return 2 * power / (len(samples) * energy) if energy else 0.0


# ---- Asterisk's own view -------------------------------------------------------------------------


class AsteriskView:
    """What Asterisk itself says, over an AMI link of the test's own."""

    def __init__(self, link: AmiLink) -> None:
        self.link = link

    async def channels(self) -> list[dict[str, str]]:
        """CoreShowChannels: each leg, with BridgeId and Linkedid. Local halves are left out."""
        rows = await self.link.list_action("CoreShowChannels")
        return [row for row in rows if not row["Channel"].startswith("Local/")]

    async def channels_of(self, endpoint: str) -> list[dict[str, str]]:
        """The legs of `1001`, or of `trunk`, in the order in which they came."""
        found = [
            row for row in await self.channels() if row["Channel"].startswith(f"PJSIP/{endpoint}-")
        ]
        return sorted(found, key=lambda row: float(row["Uniqueid"].rpartition("-")[2]))

    async def bridges(self) -> dict[str, list[str]]:
        """The endpoints in each bridge, by the bridge's id."""
        found: dict[str, list[str]] = {}
        for row in await self.channels():
            if row["BridgeId"]:
                found.setdefault(row["BridgeId"], []).append(endpoint_of(row["Channel"]))
        return {bridge: sorted(inside) for bridge, inside in found.items()}

    async def together(self, *endpoints: str, within: float = 20.0) -> None:
        """Wait until a bridge holds a leg of each of these and of nobody else."""
        wanted = sorted(endpoints)

        async def ask() -> bool:
            return wanted in (await self.bridges()).values()

        try:
            await eventually(ask, f"{wanted} in one bridge", within=within)
        except AssertionError as error:
            raise AssertionError(f"{error}; bridges: {await self.bridges()}") from None

    async def gone(self, endpoint: str, within: float = 20.0) -> None:
        """Wait until this endpoint has no leg."""

        async def ask() -> bool:
            return not await self.channels_of(endpoint)

        await eventually(ask, f"no leg of {endpoint}", within=within)

    async def members(self, extension: str) -> dict[str, dict[str, str]]:
        """QueueStatus: this phone as a member, by queue."""
        rows = await self.link.list_action("QueueStatus")
        return {
            row["Queue"]: row
            for row in rows
            if row["Event"] == "QueueMember" and row["Location"] == f"PJSIP/{extension}"
        }

    async def waiting(self, queue: str) -> list[dict[str, str]]:
        """QueueStatus: the callers who wait there, first one first."""
        rows = await self.link.list_action("QueueStatus", Queue=queue)
        return [row for row in rows if row["Event"] == "QueueEntry"]

    async def hang_up_everything(self) -> None:
        """No leg is left afterwards."""

        async def ask() -> bool:
            if not await self.link.list_action("CoreShowChannels"):
                return True
            with contextlib.suppress(Exception):
                await self.link.action("Hangup", Channel="/^.*$/")
            return False

        await eventually(ask, "all legs are gone", every=0.1)


def endpoint_of(channel: str) -> str:
    """`1001` of `PJSIP/1001-0000002a`."""
    return channel.partition("/")[2].rpartition("-")[0]


# ---- the people ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """An agent of the sample mall, and the tone that is their voice."""

    login: str
    extension: str
    tone: int


LIN = Person("lin", "1001", LIN_TONE)
MARIA = Person("maria", "1002", MARIA_TONE)


@dataclass(eq=False)
class AgentWindow:
    """An agent at their desk: a browser with a voice of its own, and what the push tells."""

    person: Person
    browser: Browser
    url: str
    session: DeskSession
    page: Page = field(init=False)
    context: BrowserContext = field(init=False)
    problems: list[str] = field(default_factory=list)

    @property
    def login(self) -> str:
        return self.person.login

    @property
    def extension(self) -> str:
        return self.person.extension

    @property
    def tone(self) -> int:
        return self.person.tone

    async def open(self) -> None:
        """Sign in by the form, in a browser profile of one's own."""
        self.context = await self.browser.new_context(
            viewport=WIDE,  # type: ignore[arg-type]
            locale="en",
            reduced_motion="reduce",
            permissions=["microphone", "notifications"],
        )
        await self.context.add_init_script(path=EARS)
        await self.context.add_cookies([{"name": LANGUAGE_COOKIE, "value": "en", "url": self.url}])
        self.page = await self.new_page()
        await sign_in_page(self.page, self.url, self.login)
        await self.panel.is_ready()

    async def new_page(self) -> Page:
        """Another tab of the same browser."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on(
            "console",
            lambda said: (
                self.problems.append(f"console: {said.text} {said.location['url']}")
                if said.type == "error"
                else None
            ),
        )
        return page

    @property
    def panel(self) -> PhonePanel:
        """The phone in this agent's page."""
        return PhonePanel(self.page)

    @property
    def state(self) -> str:
        """The agent's state as the push tells it."""
        return str(self.session.own["state"]["state"])

    async def is_in_state(self, *states: str, within: float = 20.0) -> None:
        """Wait until the push tells one of these states."""
        await self.session.until(lambda: self.state in states, within)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """This agent's calls as the push tells them."""
        return [document for key, document in self.session.own.items() if key.startswith("call:")]

    async def has_call(self, state: str, within: float = 20.0, **fits: Any) -> dict[str, Any]:
        """Wait until the push tells a call in that state whose fields are `fits`; the call."""

        def found() -> list[dict[str, Any]]:
            return [
                call
                for call in self.calls
                if call["state"] == state and all(call.get(k) == v for k, v in fits.items())
            ]

        try:
            await self.session.until(found, within)
        except TimeoutError:
            raise AssertionError(
                f"no call of {self.login} is {state} with {fits}; there are {self.calls}"
            ) from None
        return found()[0]

    async def serve(self, *queues: str) -> None:
        """Take calls of these queues (none: leave all)."""
        if queues:
            await self.session.post("/api/agent/serve", {"queues": list(queues)})
            await self.session.serves(*queues)
        elif self.state != "offline":
            await self.session.post("/api/agent/leave", {})
            await self.is_in_state("offline")

    async def finish(self, disposition: str = "answered") -> None:
        """Settle every call that has ended, so that nothing of it is left on the screen."""
        for call in self.calls:
            if call["state"] == "ended":
                wish = {"pbx": call["pbx"], "call": call["call"], "note": ""}
                await self.session.try_post(
                    "/api/call/wrap-up", wish | {"disposition": disposition}
                )
        await self.session.until(lambda: not self.calls)
        if self.state not in ("offline", "available"):
            await self.session.try_post("/api/agent/unpause", {})


@dataclass(eq=False)
class Stage:
    """Everybody and everything of one test."""

    pbx: EmbeddedPbx
    service: RunningService
    asterisk: AsteriskView
    network: SipNetwork
    lin: AgentWindow
    maria: AgentWindow

    @property
    def agents(self) -> tuple[AgentWindow, AgentWindow]:
        return self.lin, self.maria

    async def customer_calls(
        self, number: str = "600", caller: str = CUSTOMER, tone: int = CALLER_TONE
    ) -> SipCall:
        """Somebody calls from the telephone network; returns at once."""
        return await self.network.call(caller, number, tone=tone)

    async def in_call(self, number: str = "600") -> SipCall:
        """A customer who called there and speaks with lin: both hear each other."""
        await self.lin.serve("sales", "service")
        caller = await self.customer_calls(number)
        await self.lin.panel.answer()
        await self.lin_speaks_with(caller)
        return caller

    async def lin_speaks_with(self, caller: SipCall) -> None:
        """Wait until they are in one bridge and hear each other."""
        await self.asterisk.together("1001", "trunk")
        await caller_hears(caller, LIN_TONE)
        await hears(self.lin.page, CALLER_TONE)

    async def picture(self) -> str:
        """What everybody sees now, and what Asterisk has, for who reads why a test failed."""
        lines = [f"bridges: {await self.asterisk.bridges()}"]
        for agent in self.agents:
            members = await self.asterisk.members(agent.extension)
            lines.append(f"{agent.login}: {agent.session.own}; {agent.problems}; {members}")
            lines.append(await agent.page.locator("body").aria_snapshot())
        return "\n".join([*lines, *self.service.log().splitlines()[-40:]])

    async def fresh_pages(self) -> None:
        """Both desks as they are after a load, their phones ready."""
        for agent in self.agents:
            await agent.page.goto(f"{agent.url}/desk")
        for agent in self.agents:
            await agent.panel.is_ready()
            agent.problems.clear()

    async def clear(self) -> None:
        """No call, nobody in a queue, nothing on a screen."""
        await self.network.clear()
        await self.asterisk.hang_up_everything()
        for agent in self.agents:
            await agent.session.until(
                lambda agent=agent: all(  # type: ignore[misc]
                    call["state"] == "ended" for call in agent.calls
                )
            )
            await agent.finish()
            await agent.serve()


async def prepare_mall(template: Path, folder: Path) -> str:
    """A copy of the sample mall whose queues show every policy within seconds; its URL.

    *vip* answers by itself; *service* rings for 2 s and pauses after two missed rings; *sales*
    records when asked.
    """
    copy = folder / "mall.db"
    shutil.copy(template, copy)
    url = f"sqlite:///{copy}"
    database = Database(url)
    policies: dict[str, dict[str, Any]] = {
        "sales": {"recording": RecordingPolicy.ASKED, "ring_seconds": 20, "missed_rings": 0},
        "service": {"ring_seconds": 2, "missed_rings": 2},
        "vip": {"auto_answer": True},
    }
    try:
        for queue in await queues.all_queues(database):
            async with database.transaction() as transaction:
                changed = replace(queue, **policies.get(queue.name, {}), script=None)
                await queues.save(transaction, changed)
    finally:
        await database.close()
    return url


@contextlib.asynccontextmanager
async def agent_window(
    playwright: Playwright, service: RunningService, folder: Path, person: Person, url: str = ""
) -> AsyncIterator[AgentWindow]:
    """An agent signed in at `url` (the service's own, if not given), in a browser of their own."""
    async with talking_browser(playwright, folder, person.tone) as browser:
        session = await service.sign_in(person.login)
        await session.follow(f"agent:{person.login}", "agents", "queues")
        window = AgentWindow(person, browser, url or service.url, session)
        await window.open()
        try:
            yield window
        finally:
            await session.close()


@contextlib.asynccontextmanager
async def opened_stage(
    folder: Path, database_url: str, *, way: Callable[[str], Awaitable[str]] | None = None
) -> AsyncIterator[Stage]:
    """The stage with both agents at their desks, reached by `way(service url)` if given."""
    async with contextlib.AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(await mall_pbx(folder / "pbx", database_url))
        service = await stack.enter_async_context(
            RunningService(folder / "service", database_url, external=pbx)
        )
        asterisk = AsteriskView(await stack.enter_async_context(ami_of(pbx)))
        network = await stack.enter_async_context(service.network())
        playwright = await stack.enter_async_context(async_playwright())
        url = await way(service.url) if way else service.url
        lin, maria = [
            await stack.enter_async_context(agent_window(playwright, service, folder, person, url))
            for person in (LIN, MARIA)
        ]
        yield Stage(pbx, service, asterisk, network, lin, maria)
