"""A hundred live calls by a few SIPp processes, and what Asterisk and the store say of them.

Owns the crowd (who waits, who talks) and the two comparisons that every fault ends with: the
service's live calls against Asterisk's own lists, and the store's rows against the calls placed.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import select

from crm_store.database import Database
from crm_store.models import Call, CallState, Interaction
from cti.ami.link import AmiLink
from cti.telephone_network.call import FAILURES
from cti.telephone_network.network import SipNetwork, SipPhone
from cti.telephone_network.sipp import SipMessage, Sipp, render_scenario
from tests.service_fixtures import DeskSession, RunningService, until

AGENTS = {"lin": "1001", "maria": "1002", "james": "1004"}
"""Who serves the sales queue in these tests, and their phones."""

TALKER = "1006"
"""One phone that answers every call at once: as many conversations as one likes."""

Shown = dict[str, str]


@dataclass(eq=False)
class Callers:
    """Calls to one number from one SIPp process, each from a number of its own."""

    sipp: Sipp
    count: int
    sink: socket.socket
    states: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def call(
        cls, network: SipNetwork, to: str, count: int, *, first: int, rate: int = 25
    ) -> Self:
        """Place `count` calls; their numbers count up from +86139 and `first`."""
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink.bind((network.trunk_address, 0))
        callers = cls(network.sipp(network.trunk_address), count, sink)
        scenario = render_scenario(
            "caller",
            {
                "to": to,
                "user": "crowd",
                "secret": "",
                "extra_headers": "",
                "failures": FAILURES,
                "codecs": "0",
                "media_address": network.trunk_address,
                "media_port": sink.getsockname()[1],
            },
        ).replace("[calling_party]", f"<sip:[field0]@{network.trunk_address}>")
        numbers = network_folder(network) / f"numbers-{time.monotonic_ns()}.csv"
        numbers.write_text(
            "SEQUENTIAL\n" + "".join(f"+86139{first + n:08d}\n" for n in range(count))
        )
        arguments = ["-inf", str(numbers), "-m", str(count), "-l", str(count), "-r", str(rate)]
        await callers.sipp.start(scenario, callers._hear, arguments=arguments)
        return callers

    def _hear(self, message: SipMessage) -> None:
        if message.method.startswith("X"):
            return
        call = message.call_id
        if message.method == "INVITE":
            self.states.setdefault(call, "calling")
        elif message.asked == "INVITE" and message.code >= 200:
            self.states[call] = "answered" if message.code < 300 else f"refused {message.code}"
        elif message.method == "BYE" or message.asked in ("BYE", "CANCEL"):
            self.states[call] = "ended"

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.states.values())

    async def all_answered(self, within: float = 40.0) -> None:
        await until(
            lambda: self.counts["answered"] == self.count, within, f"answered: {self.counts}"
        )

    async def hang_up(self, count: int | None = None, within: float = 30.0) -> None:
        """Hang `count` (all) of the answered calls up; returns when they are over."""
        chosen = [call for call, state in self.states.items() if state == "answered"][:count]

        def left() -> list[str]:
            return [call for call in chosen if self.states[call] != "ended"]

        async with asyncio.timeout(within):
            number = 1
            while left():
                for call in left():
                    number += 1
                    self.sipp.steer(call, "XBYE", number)
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.2)

    async def vanish(self) -> None:
        """Die without a word, as when the network fails."""
        await self.sipp.kill()
        self.sink.close()


def network_folder(network: SipNetwork) -> Path:
    folder = network._folder
    assert folder is not None
    return folder


@dataclass(eq=False)
class Crowd:
    """`async with Crowd(service, network) as crowd`: who waits, who talks, and the agents."""

    service: RunningService
    network: SipNetwork
    waiting_count: int = 64
    talking_count: int = 36
    desks: dict[str, DeskSession] = field(default_factory=dict)
    phones: dict[str, SipPhone] = field(default_factory=dict)
    callers: list[Callers] = field(default_factory=list)

    async def call(self, to: str, count: int, *, first: int) -> Callers:
        """More callers, who vanish with the crowd; returns when all are answered."""
        self.callers.append(await Callers.call(self.network, to, count, first=first))
        await self.callers[-1].all_answered()
        return self.callers[-1]

    async def __aenter__(self) -> Self:
        try:
            await self._gather()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _gather(self) -> None:
        for login, extension in AGENTS.items():
            self.phones[login] = await self.service.phone(self.network, extension, answer_after=0.0)
            desk = self.desks[login] = await self.service.sign_in(login)
            await desk.follow(f"agent:{login}")
            await desk.serve("sales")
        self.phones["emma"] = await self.service.phone(self.network, TALKER, answer_after=0.0)
        self.phones["emma"].busy_while_talking = False
        self.waiting = await self.call("600", self.waiting_count, first=1)
        self.talking = await self.call(TALKER, self.talking_count, first=5_000)
        for desk in self.desks.values():
            await desk.shows_state("on_call")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for desk in self.desks.values():
            await desk.close()
        for callers in self.callers:
            await callers.vanish()

    async def hang_up(self) -> None:
        """Everybody hangs up."""
        await self.talking.hang_up()
        # With each agent that becomes free the next one is rung: those in the queue go first.
        await self.waiting.hang_up()


async def as_asterisk_says(ami: AmiLink) -> Shown:
    """Each live call by Linkedid: "queued" in a queue, "talking" when two are bridged, or ""."""
    channels = await ami.list_action("CoreShowChannels")
    entries = await ami.list_action("QueueStatus")
    shown: Shown = {}
    bridges: Counter[tuple[str, str]] = Counter()
    call_of: dict[str, str] = {}
    for row in channels:
        call_of[row["Uniqueid"]] = row["Linkedid"]
        shown.setdefault(row["Linkedid"], "")
        if row.get("BridgeId"):
            bridges[row["Linkedid"], row["BridgeId"]] += 1
    for (linkedid, _), legs in bridges.items():
        if legs > 1:
            shown[linkedid] = "talking"
    for row in entries:
        linkedid = call_of.get(row.get("Uniqueid", ""), "")
        if row.get("Event") == "QueueEntry" and shown.get(linkedid) == "":
            shown[linkedid] = "queued"
    return shown


def as_the_desk_says(desk: DeskSession) -> Shown:
    """The same of the push topic `calls`."""
    words = {"queued": "queued", "ringing": "queued", "answered": "talking", "held": "talking"}
    return {
        document["call"]: words.get(document["state"], "")
        for document in desk.state["calls"].values()
    }


async def the_model_equals_asterisk(
    desk: DeskSession, ami: AmiLink, fits: Callable[[Shown], bool] = bool, within: float = 20.0
) -> Shown:
    """Wait until the supervisor's desk shows just what Asterisk lists, and `fits` holds for it."""
    deadline = time.monotonic() + within
    while True:
        truth, shown = await as_asterisk_says(ami), as_the_desk_says(desk)
        if truth == shown and fits(truth):
            return truth
        if time.monotonic() > deadline:
            wrong = {
                call: (truth.get(call), shown.get(call))
                for call in truth.keys() | shown.keys()
                if truth.get(call) != shown.get(call)
            }
            raise AssertionError(
                f"Asterisk has {Counter(truth.values())}, the desk {Counter(shown.values())}; "
                f"by call (Asterisk, desk): {wrong}"
            )
        await asyncio.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Rows:
    """What the store has: each call's row with its interactions."""

    calls: tuple[Call, ...]
    interactions: tuple[Interaction, ...]

    def from_crowd(self) -> list[Call]:
        return [call for call in self.calls if call.caller.startswith("+86139")]

    @property
    def outcomes(self) -> Counter[str | None]:
        return Counter(call.outcome for call in self.from_crowd())


async def rows_of(url: str) -> Rows:
    database = Database(url)
    try:
        async with database.reading() as session:
            calls = tuple(await session.scalars(select(Call).order_by(Call.id)))
            interactions = tuple(
                await session.scalars(select(Interaction).where(Interaction.call_id.is_not(None)))
            )
    finally:
        await database.close()
    return Rows(calls, interactions)


async def every_call_has_its_row(
    url: str, count: int, outcomes: dict[str, Any], within: float = 30.0
) -> Rows:
    """Wait until the crowd's `count` calls have ended in the store, one row and interaction each.

    `outcomes` says for each outcome how many there must be, or a test of the number.
    """
    deadline = time.monotonic() + within
    while True:
        rows = await rows_of(url)
        crowd = rows.from_crowd()
        callers = Counter(call.caller for call in crowd)
        ids = {call.id for call in crowd}
        interactions = Counter(i.call_id for i in rows.interactions if i.call_id in ids)
        problems = [
            f"{len(crowd)} rows for {count} calls" if len(crowd) != count else "",
            f"twice: {[c for c, n in callers.items() if n > 1]}" if len(callers) != count else "",
            f"still live: {sum(call.state is not CallState.ENDED for call in crowd)}"
            if any(call.state is not CallState.ENDED for call in crowd)
            else "",
            "a call without just one interaction"
            if set(interactions) != ids or set(interactions.values()) - {1}
            else "",
            f"outcomes {rows.outcomes}"
            if set(rows.outcomes) - set(outcomes)
            or not all(
                wanted(rows.outcomes[name]) if callable(wanted) else rows.outcomes[name] == wanted
                for name, wanted in outcomes.items()
            )
            else "",
            "an ended call without its end"
            if any(call.ended_at is None or call.ended_at < call.started_at for call in crowd)
            else "",
            "an answered call without its agent"
            if any(call.outcome == "answered" and not call.agent for call in crowd)
            else "",
            "nobody's interaction is open"
            if any(i.closed_at is None and not i.agent for i in rows.interactions)
            else "",
        ]
        if not any(problems):
            return rows
        if time.monotonic() > deadline:
            raise AssertionError("; ".join(filter(None, problems)))
        await asyncio.sleep(0.3)
