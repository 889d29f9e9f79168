"""`deskbell call` and `deskbell phone`: the running demo's telephone network, from a terminal.

Owns what these commands say. The SIP calls are cti.telephone_network's; what became of a call in
the contact centre is heard from the desk's push, as a supervisor sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import typer

from crm_store.phone_menus import menu_visits
from crm_store.phone_menus.menu_visits import MenuVisit
from cti.telephone_network.network import SipCall, SipNetwork, SippFailed, SipPhone
from deskbell.administration import open_store
from deskbell.config import load_settings
from deskbell.desk_client import DeskClient, DeskUnreachable
from deskbell.event_loop import run
from deskbell.failure import CommandFailed, ExitCode
from deskbell.running_demo import DEMO_FOLDER, Demo, running

REGISTER_AGAIN_SECONDS = 60.0
LOOK_SECONDS = 0.05
# The desk hears of the end of a call a moment after the caller does.
DESK_LAST_WORD_SECONDS = 2.0

OUTSIDE = "outside"
"""Instead of an agent: whoever is called out there, such as a customer who is called back."""


@dataclass(slots=True)
class Teller:
    """Says what happens as it happens, with the seconds since the start."""

    quiet: bool = False
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str, at: float | None = None) -> None:
        if not self.quiet:
            seconds = (time.monotonic() if at is None else at) - self.started
            typer.echo(f"{max(seconds, 0):6.2f} s  {text}")

    def note(self, text: str) -> None:
        """Says something that belongs to what was said before."""
        if not self.quiet:
            typer.echo(f"          {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A call as somebody wants it placed; `keys` may have commas, each a second's pause."""

    caller: str
    called: str
    keys: str = ""
    hold_seconds: float = 10.0
    patience_seconds: float = 120.0
    name: str = ""


def call(wish: Wish, *, folder: Path | None, as_json: bool) -> None:
    """Place one call and say what happened. Raises CommandFailed if nobody answered it."""
    demo = running(folder or DEMO_FOLDER)
    try:
        told = run(_call(demo, wish, Teller(quiet=as_json)))
    except ValueError as error:
        raise CommandFailed(str(error), ExitCode.USAGE) from None
    except SippFailed as error:
        raise CommandFailed(str(error)) from None
    if as_json:
        typer.echo(orjson.dumps(told).decode())
    if told["answered_after"] is None:
        raise CommandFailed(f"not answered: {told['code']} {told['reason']}".rstrip())


async def _call(demo: Demo, wish: Wish, teller: Teller) -> dict[str, Any]:
    async with _network(demo, teller) as network, _desk_view(demo, wish.caller, teller) as view:
        teller.say(f"calling {wish.called} as {wish.caller}")
        placed = await network.call(wish.caller, wish.called, name=wish.name)
        # The end is said by the failure itself.
        with contextlib.suppress(ConnectionError):
            await _talk(placed, wish, teller)
        report = placed.report()
        if report.answered_after is not None:
            ender = {"us": "the caller hung up", "them": "the other side hung up"}
            teller.say(
                f"{ender.get(report.ended_by, 'the call ended')} after {report.talked or 0:.1f} s; "
                f"sound: {report.packets_sent} packets sent, {report.packets_heard} heard",
                placed.ended_at,
            )
        await view.last_word()
        visits = await _menu_visits(demo, view)
        for visit in visits:
            _tell_visit(visit, teller)
        return {**asdict(report), "desk": view.found, "menus": [asdict(one) for one in visits]}


async def _menu_visits(demo: Demo, view: _DeskView) -> list[MenuVisit]:
    """What our call heard and keyed in phone menus, as the history has it."""
    if view.found is None:
        return []
    pbx, linkedid = view.found["pbx"], view.found["call"]
    async with open_store(load_settings(Path(demo.config))) as database:
        return await menu_visits.of_call(database, pbx, linkedid)


def _tell_visit(visit: MenuVisit, teller: Teller) -> None:
    left = f", then to {visit.left_to}" if visit.left_to else ""
    teller.say(f"the menu {visit.menu}, {visit.seconds:.0f} s, in {visit.language}{left}:")
    for step in visit.trail:
        if step.heard:
            teller.note(f"{step.seconds:6.1f} s  {step.heard}")
        if step.keyed:
            teller.note(f"          keyed {step.keyed}")


async def _talk(placed: SipCall, wish: Wish, teller: Teller) -> None:
    """Wait for the answer, press keys, hold, hang up. Raises ConnectionError if refused."""
    try:
        await placed.wait("answered", wish.patience_seconds)
    except TimeoutError:
        teller.say(f"nobody answered in {wish.patience_seconds:g} s: giving up")
        await placed.hang_up()
        return
    teller.say("connected", placed.answered_at)
    with contextlib.suppress(TimeoutError, ConnectionError):
        if wish.keys:
            await asyncio.sleep(1)
            teller.say(f"pressing {wish.keys}")
            await placed.press(wish.keys)
        await placed.wait("ended", wish.hold_seconds)
    await placed.hang_up()


@contextlib.asynccontextmanager
async def _network(demo: Demo, teller: Teller) -> AsyncIterator[SipNetwork]:
    network = SipNetwork(
        (demo.sip_address, demo.sip_port),
        demo.trunk_address,
        demo.trunk_port,
        phone_address=demo.sip_address,
        progress=teller.say,
    )
    async with network:
        yield network


class _DeskView:
    """What the desk shows of our call while it lives."""

    def __init__(self, caller: str, teller: Teller) -> None:
        self.found: dict[str, Any] | None = None
        self._caller = caller
        self._teller = teller
        self._key = ""
        self._known: set[str] = set()
        self._over = asyncio.Event()
        self.watching = asyncio.Event()

    def take(self, calls: dict[str, dict[str, Any]]) -> None:
        """Hear which calls there are now; ours is the new one from our number."""
        if not self.watching.is_set():
            self._known = set(calls)
            self.watching.set()
        for key, document in calls.items():
            ours = document["caller"] == self._caller and key not in self._known
            if key == self._key or (not self._key and ours):
                self._key = key
                self._tell(document)
        if self._key and self._key not in calls:
            self._over.set()

    def _tell(self, document: dict[str, Any]) -> None:
        before = self.found or {}
        self.found = document
        if document["queue"] and document["queue"] != before.get("queue"):
            self._teller.say(f"the desk: waiting in queue {document['queue']}")
        for agent in document["rang"]:
            if agent not in before.get("rang", ()):
                self._teller.say(f"the desk: ringing {agent}")
        if document["agent"] and document["agent"] != before.get("agent"):
            self._teller.say(f"the desk: answered by {document['agent']}")

    async def last_word(self) -> None:
        if self._key:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), DESK_LAST_WORD_SECONDS)


@contextlib.asynccontextmanager
async def _desk_view(demo: Demo, caller: str, teller: Teller) -> AsyncIterator[_DeskView]:
    """Follow the desk beside the call; a desk that can't be reached costs only its lines."""
    view = _DeskView(caller, teller)
    supervisor = demo.supervisor()
    client = DeskClient(demo.url, supervisor.login, supervisor.password)

    def take(frame: dict[str, Any]) -> bool:
        view.take(client.state["calls"])
        return False

    async def follow() -> None:
        try:
            await client.follow(["calls"], take, reconnect=False)
        except (DeskUnreachable, CommandFailed) as error:
            teller.say(f"the desk can't be watched: {error}")
        finally:
            view.watching.set()

    following = asyncio.create_task(follow())
    try:
        await view.watching.wait()
        yield view
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def phone(*, agent: str, answer_after: float, folder: Path | None) -> None:
    """Be an agent's phone, or all that is OUTSIDE, until Ctrl-C or SIGTERM."""
    demo = running(folder or DEMO_FOLDER)
    if agent == OUTSIDE:
        try:
            run(_outside(demo, answer_after))
        except SippFailed as error:
            raise CommandFailed(str(error)) from None
        return
    person = demo.person(agent)
    if not person.extension:
        raise CommandFailed(f"{person.login} has no phone")
    try:
        run(_phone(demo, person.extension, person.phone_secret, answer_after))
    except SippFailed as error:
        raise CommandFailed(
            f"{error}; where {person.login} is signed in at the desk, the browser is their phone"
        ) from None


async def _phone(demo: Demo, extension: str, secret: str, answer_after: float) -> None:
    teller = Teller()
    async with _network(demo, teller) as network:
        registered = await network.phone(extension, secret, answer_after=answer_after)
        teller.say(f"phone {extension} is registered; it answers after {answer_after:g} s")
        typer.echo("          Ctrl-C hangs up and ends")
        async with asyncio.TaskGroup() as both:
            both.create_task(_stay_registered(registered, teller))
            both.create_task(_tell_calls(registered, teller))


async def _outside(demo: Demo, answer_after: float) -> None:
    teller = Teller()
    async with _network(demo, teller) as network:
        subscriber = await network.subscriber(answer_after=answer_after)
        teller.say(f"all numbers out there ring here, and answer after {answer_after:g} s")
        typer.echo("          Ctrl-C hangs up and ends")
        await _tell_calls(subscriber, teller)


async def _stay_registered(registered: SipPhone, teller: Teller) -> None:
    """Register again now and then, for a PBX that was restarted has forgotten us."""
    lost = False
    while True:
        await asyncio.sleep(REGISTER_AGAIN_SECONDS)
        try:
            await registered.register()
        except SippFailed as error:
            lost = True
            teller.say(f"not registered: {error}")
        else:
            if lost:
                teller.say("registered again")
            lost = False


async def _tell_calls(registered: SipPhone, teller: Teller) -> None:
    told: dict[SipCall, set[str]] = {}
    words = {"ringing": "{0} is calling", "answered": "talking to {0}", "ended": "{0}: over"}
    while True:
        for one in registered.calls:
            said = told.setdefault(one, set())
            for state, words_of_it in words.items():
                at = getattr(one, f"{state}_at")
                if at is not None and state not in said:
                    said.add(state)
                    teller.say(words_of_it.format(one.caller), at)
        await asyncio.sleep(LOOK_SECONDS)
