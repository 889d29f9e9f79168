"""Phones that are gone in the middle of a call: the caller is kept, whatever became of the page.

Owns the time between a page's connection going away and what follows: nothing, if its sound still
comes; music for the caller when it does not; the call as it was when the page takes its leg back;
else, after a while, the front of the queue for the caller and a pause for the agent. The bridge
itself is left alone until then, so that an INVITE with Replaces finds the leg. Refuses to know
sockets and pages: it is told that a phone's connection came or went.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from cti.agents.pause_reasons import PHONE_LOST
from cti.agents.seats import UnknownAgent
from cti.ami.link import ActionFailed, AmiError
from cti.calls.call_state import Call, Channel
from cti.phones.phone_legs import ask_channel, channels_of
from cti.switchboard import Switchboard

log = logging.getLogger(__name__)

NOTICE_SECONDS: Final = 3.0
"""A page that is loaded anew is back sooner; so long its caller hears silence."""

LOOK_SECONDS: Final = 1.0
"""How often a leg is asked whether sound still comes."""

GIVE_UP_SECONDS: Final = 30.0
"""So long after the connection was gone, the caller goes back to the queue."""

CONTEXT: Final = "lost-phone"
MUSIC: Final = f"Local/music@{CONTEXT}"


@dataclass(slots=True)
class _Watch:
    """What is known of a phone without a connection; times are the event loop's."""

    gone_at: float
    connected: bool = False
    heard: dict[str, str] = field(default_factory=dict)
    """How many packets came from each leg at the last look."""

    comforted: set[str] = field(default_factory=set)
    """The calls whose other party was given music."""


@dataclass(frozen=True, slots=True)
class _LostLeg:
    """`others` are those who are in the call beside this leg."""

    call: Call
    channel: Channel
    others: tuple[Channel, ...]

    @property
    def customer(self) -> Channel | None:
        """The one who is alone with this leg."""
        return self.others[0] if len(self.others) == 1 else None


class LostPhones:
    """Watches the phones in browsers of one PBX.

    `queue_number(name)` is the extension of a queue, "" for one that there is no more.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        queue_number: Callable[[str], str],
        *,
        notice_seconds: float = NOTICE_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        self._switchboard = switchboard
        self._queue_number = queue_number
        self._notice_seconds = notice_seconds
        self._look_seconds = look_seconds
        self._give_up_seconds = give_up_seconds
        self._watches: dict[str, _Watch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connected: set[str] = set()

    def connected(self, endpoint: str, connected: bool) -> None:
        """The page's connection came, or went. Never blocks."""
        if connected:
            self._connected.add(endpoint)
            if endpoint in self._watches:
                self._watches[endpoint].connected = True
        else:
            self._connected.discard(endpoint)
            self.look_for(endpoint)

    def look_for_all(self, endpoints: Iterable[str]) -> None:
        """The service, or the link, is new: these may have been lost meanwhile."""
        for endpoint in endpoints:
            if endpoint not in self._connected:
                self.look_for(endpoint)

    def look_for(self, endpoint: str) -> None:
        """Watch a phone that has no connection, as long as it has legs."""
        watch = self._watches.get(endpoint)
        if watch is not None:
            watch.connected = False
            return
        watch = self._watches[endpoint] = _Watch(asyncio.get_running_loop().time())
        task = asyncio.create_task(self._follow(endpoint, watch), name=f"lost phone {endpoint}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop watching; music that plays ends by itself."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, endpoint: str, watch: _Watch) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(max(0.0, self._notice_seconds - self._look_seconds))
            while any(channel.up for _, channel in channels_of(self._switchboard, endpoint)):
                try:
                    silent = await self._silent_legs(endpoint, watch)
                    if watch.connected and not silent:
                        break
                    if silent and loop.time() - watch.gone_at >= self._give_up_seconds:
                        await self._give_up(endpoint, silent)
                        break
                    await self._comfort(silent, watch)
                except AmiError as error:
                    log.info("the lost phone %s cannot be looked at: %s", endpoint, error)
                await asyncio.sleep(self._look_seconds)
        finally:
            del self._watches[endpoint]
            if watch.connected and watch.comforted:
                log.info("the phone %s is back in its call", endpoint)
        await self._end_music(watch, set())

    async def _silent_legs(self, endpoint: str, watch: _Watch) -> list[_LostLeg]:
        """The legs of this phone from which no sound came since the last look."""
        silent = []
        heard: dict[str, str] = {}
        for call, channel in list(channels_of(self._switchboard, endpoint)):
            if not channel.up:
                continue
            try:
                # A desk phone's sound is not encrypted: it needs no page.
                if await ask_channel(self._switchboard, channel.name, "CHANNEL(rtp,secure)") != "1":
                    continue
                count = await ask_channel(
                    self._switchboard, channel.name, "CHANNEL(rtcp,rxcount,audio)"
                )
            except ActionFailed:
                continue
            heard[channel.name] = count
            if watch.heard.get(channel.name) == count and not (channel.held and watch.connected):
                silent.append(_LostLeg(call, channel, _others(call, channel)))
        watch.heard = heard
        return silent

    async def _comfort(self, silent: list[_LostLeg], watch: _Watch) -> None:
        lost = {leg.call.linkedid for leg in silent if leg.customer is not None}
        await self._end_music(watch, lost)
        for leg in silent:
            customer, linkedid = leg.customer, leg.call.linkedid
            # Who is on hold hears music already.
            if customer is None or leg.channel.held or linkedid in watch.comforted:
                continue
            watch.comforted.add(linkedid)
            log.warning("%s is gone in a call: the other party waits", leg.channel.endpoint)
            await self._switchboard.action(
                "Originate", Channel=MUSIC, Application="BridgeAdd", Data=customer.name
            )

    async def _end_music(self, watch: _Watch, still_lost: set[str]) -> None:
        for linkedid in watch.comforted - still_lost:
            watch.comforted.discard(linkedid)
            call = self._switchboard.calls.calls.get(linkedid)
            for channel in list(call.channels.values()) if call else ():
                if channel.name.startswith(MUSIC):
                    await self._hang_up(channel)

    async def _give_up(self, endpoint: str, silent: list[_LostLeg]) -> None:
        """The callers go back to the front of their queues; the agent is offered nothing more."""
        login = self._switchboard.calls.parties.members.get(endpoint, "")
        try:
            await self._switchboard.agents.pause(login, PHONE_LOST)
        except (UnknownAgent, ActionFailed) as error:
            log.info("%s, whose phone is lost, is not paused: %s", login, error)
        for leg in silent:
            number = self._queue_number(leg.call.answered_queue or leg.call.queue)
            customer = leg.customer
            if customer is not None and self._switchboard.agents.sits_at(customer.endpoint):
                continue  # a colleague, who can hang up
            if customer is not None and number:
                log.warning("%s did not come back: its caller queues again", endpoint)
                await self._redirect(customer, number)
            if not leg.others or (customer is not None and number):
                await self._hang_up(leg.channel)

    async def _redirect(self, customer: Channel, number: str) -> None:
        try:
            await self._switchboard.action(
                "Redirect", Channel=customer.name, Context=CONTEXT, Exten=number, Priority="1"
            )
        except ActionFailed as error:
            log.info("a caller is gone before they could queue again: %s", error)

    async def _hang_up(self, channel: Channel) -> None:
        try:
            await self._switchboard.action("Hangup", Channel=channel.name)
        except ActionFailed:
            log.debug("%s was gone already", channel.name)


def _others(call: Call, leg: Channel) -> tuple[Channel, ...]:
    return tuple(
        channel
        for channel in call.channels.values()
        if channel is not leg and channel.up and not channel.local
    )
