"""One PBX as Deskbell sees it: its AMI link, calls, queues, faxes, and its agents' places.

Owns the order of things: a message goes to the call model, then to the queue model, and what they
say to the bus, all before the next message; after each connect both are rebuilt from Asterisk's own
lists before anything newer is believed. Refuses to know customers, pages and the store.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from crm_store.bus import Bus
from crm_store.signals import CallOffered, PbxLinkChanged, ScreenPop, Signal
from cti.agents.queue_lines import LINE_HEADERS, QueueLines
from cti.agents.queue_model import QUEUE_EVENTS, QUEUE_HEADERS, Member, QueueModel
from cti.agents.seats import DEFAULT_WRAP_UP, Agents, AgentSeat, ServedCall, WrapUpLimit
from cti.ami.link import ActionFailed, ActionTimeout, AmiError, AmiLink, AmiResponse, LinkState
from cti.calls.call_model import ONLY_WITH, READ_HEADERS, WANTED_EVENTS, CallModel
from cti.calls.call_rebuild import AsteriskLists
from cti.calls.call_recovery import CallRecovery
from cti.calls.call_state import CallNow
from cti.faxes import arrivals
from cti.faxes.fax_calls import (
    FAX_CALL_EVENTS,
    FAX_CALL_HEADERS,
    FAX_CALL_ONLY_WITH,
    FaxCalls,
)
from cti.pbx.configuration import OUTSIDE_LINE

log = logging.getLogger(__name__)

Message = dict[str, str]

ON_SCREEN_VARIABLE = "DESKBELL_ON_SCREEN"
"""Set on a leg when its agent's screen has the call; until then the dialplan lets it not ring."""

CORE_STATUS_SECONDS = 2.0
RECONCILE_SECONDS = 60.0
"""How often the models are held against Asterisk's own lists, should an event ever be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiAddress:
    """Where and as whom to reach the manager interface."""

    host: str
    port: int
    user: str
    secret: str


class Switchboard:
    """Everything live about one PBX. `start`, then listen to the bus; `close` at the end."""

    def __init__(
        self,
        name: str,
        address: AmiAddress,
        bus: Bus,
        *,
        trunks: Iterable[str] = (),
        wrap_up: Mapping[str, WrapUpLimit] | None = None,
        default_wrap_up: WrapUpLimit = DEFAULT_WRAP_UP,
        record: BinaryIO | None = None,
        reconcile_seconds: float = RECONCILE_SECONDS,
    ) -> None:
        self.name = name
        self.calls = CallModel(name, trunks=trunks, outside_line=OUTSIDE_LINE)
        self.queues = QueueModel(name)
        self.lines = QueueLines()
        self.agents = Agents(
            self.action, self.queues, wrap_up or {}, default_wrap_up, look_at=self._served_call
        )
        self.link = AmiLink(
            address.host,
            address.port,
            address.user,
            address.secret,
            wanted_events=WANTED_EVENTS | QUEUE_EVENTS | arrivals.FAX_EVENTS | FAX_CALL_EVENTS,
            only_with={**ONLY_WITH, **FAX_CALL_ONLY_WITH},
            headers=READ_HEADERS
            | QUEUE_HEADERS
            | LINE_HEADERS
            | arrivals.FAX_HEADERS
            | FAX_CALL_HEADERS,
            on_message=self._on_message,
            on_up=self._on_up,
            on_down=self._on_down,
            record=record,
        )
        self.faxes = FaxCalls(self.link)
        self._bus = bus
        self._recovery = CallRecovery(self._feed, self._become)
        self._recovery.keep_back()
        self._reconcile_seconds = reconcile_seconds
        self._reconciling: asyncio.Task[None] | None = None
        self._pbx_started = ""
        self._lost_places: Mapping[str, Mapping[str, Member]] = {}
        self._letting_ring: set[asyncio.Task[None]] = set()
        bus.listen(self.agents.on_signal)
        bus.listen(self._on_offer_or_pop, CallOffered, ScreenPop)

    def seat(self, seats: Sequence[AgentSeat]) -> None:
        """Name the agents who have a phone on this PBX."""
        self.agents.seat(seats)
        for seat in seats:
            self.calls.parties.learn(seat.endpoint, seat.login)

    async def take_seats(self, seats: Sequence[AgentSeat]) -> None:
        """Name the agents anew, also to Asterisk. Raises what `action` raises."""
        for seat in seats:
            self.calls.parties.learn(seat.endpoint, seat.login)
        await self.agents.take_seats(seats)

    async def start(self) -> None:
        """Begin to connect; returns at once, the link comes up when Asterisk is there."""
        self.link.start()
        self._reconciling = asyncio.create_task(self._reconcile_now_and_then())

    async def close(self) -> None:
        if self._reconciling is not None:
            self._reconciling.cancel()
            await asyncio.gather(self._reconciling, return_exceptions=True)
        for task in self._letting_ring:
            task.cancel()
        await self.agents.close()
        await self.faxes.close()
        await self.link.close()

    async def action(self, name: str, **headers: Any) -> AmiResponse:
        """One AMI action. Raises what `AmiLink.action` raises."""
        return await self.link.action(name, **headers)

    def live_calls(self) -> list[dict[str, Any]]:
        """The calls in progress as plain values, for a snapshot."""
        return [self._plain(call) for call in self.calls.now()]

    def _served_call(self, linkedid: str) -> ServedCall:
        call = self.calls.calls.get(linkedid)
        if call is None:
            return ServedCall()
        talking = [channel.endpoint for channel in call.channels.values() if channel.bridge]
        return ServedCall(call.answered_queue, tuple(talking))

    def _on_message(self, message: Message) -> None:
        self._publish(self._recovery.take(message))

    def _feed(self, message: Mapping[str, str]) -> list[Signal]:
        self.lines.feed(message)
        self.faxes.feed(message)
        return [
            *self.calls.feed(message),
            *self.queues.feed(message),
            *arrivals.feed(self.name, message),
        ]

    def _become(self, lists: AsteriskLists, at: float | None) -> list[Signal]:
        self.lines.rebuild(lists.queue_status)
        return [*self.calls.rebuild(lists, at), *self.queues.rebuild(lists.queue_status)]

    def _on_offer_or_pop(self, signal: Signal) -> None:
        """The leg may ring once the screen has the card; where no pop comes, at once."""
        if isinstance(signal, ScreenPop):
            may_ring = not signal.looking_up
        elif isinstance(signal, CallOffered):
            may_ring = not signal.agent and not self.agents.sits_at(signal.endpoint)
        else:
            return
        if may_ring and signal.pbx == self.name:
            # After all who listen: the desk has written the pop to its sockets by then.
            asyncio.get_running_loop().call_soon(self._let_ring, signal.call, signal.endpoint)

    def _let_ring(self, linkedid: str, endpoint: str) -> None:
        call = self.calls.calls.get(linkedid)
        if call is None:
            return
        for uniqueid, offer in call.offers.items():
            channel = call.channels.get(uniqueid)
            if channel is None or not offer.open or offer.endpoint != endpoint or channel.ringing:
                continue
            task = asyncio.ensure_future(self._say_on_screen(channel.name))
            self._letting_ring.add(task)
            task.add_done_callback(self._letting_ring.discard)

    async def _say_on_screen(self, channel: str) -> None:
        try:
            await self.action("Setvar", Channel=channel, Variable=ON_SCREEN_VARIABLE, Value="1")
        except (AmiError, ValueError) as error:
            # The leg is gone, or the link: it rings by itself a moment later.
            log.debug("PBX %s: %s was not told to ring: %s", self.name, channel, error)

    async def _on_up(self) -> None:
        """Rebuild from Asterisk's lists; what comes meanwhile is kept back and taken after them."""
        self._recovery.forget()
        await self._restore_places()
        await self._rebuild()
        self._publish([PbxLinkChanged(pbx=self.name, at=time.time(), up=True)])
        log.info(
            "PBX %s: link up, %d calls, %d queues",
            self.name,
            len(self.calls.calls),
            len(self.queues.members),
        )

    async def _restore_places(self) -> None:
        """Asterisk keeps no queue members over a restart: put those back whom it had before."""
        try:
            status = (await self.link.action("CoreStatus", CORE_STATUS_SECONDS)).headers
        except (ActionFailed, ActionTimeout) as error:
            log.warning("PBX %s does not say since when it runs: %s", self.name, error)
            return
        started = f"{status.get('CoreStartupDate')} {status.get('CoreStartupTime')}"
        if self._pbx_started not in ("", started):
            log.warning("PBX %s was started again: its calls are lost", self.name)
            self._lost_places = self._lost_places or dict(self.queues.members)
        self._pbx_started = started
        if self._lost_places:
            await self.agents.take_places_again(self._lost_places)
            self._lost_places = {}

    async def _rebuild(self) -> None:
        lists = AsteriskLists(
            channels=await self.link.list_action("CoreShowChannels"),
            queue_status=await self.link.list_action("QueueStatus"),
            parked_calls=await self._parked_calls(),
        )
        self._publish(self._recovery.become(lists, time.time()))

    async def _parked_calls(self) -> list[Message]:
        try:
            return list(await self.link.list_action("ParkedCalls"))
        except Exception as error:
            # A PBX without res_parking has no such action, and no parked calls.
            log.debug("PBX %s does not list parked calls: %s", self.name, error)
            return []

    def _on_down(self, cause: str) -> None:
        self._recovery.forget()
        self.faxes.link_down()
        log.warning("PBX %s: link down: %s", self.name, cause)
        self._publish([PbxLinkChanged(pbx=self.name, at=time.time(), up=False, cause=cause)])

    async def _reconcile_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._reconcile_seconds)
            if self.link.state is not LinkState.UP:
                continue
            self._recovery.keep_back()
            try:
                await self._rebuild()
            except Exception as error:
                log.warning("PBX %s could not be reconciled: %s", self.name, error)
                if self.link.state is LinkState.UP:
                    self._publish(self._recovery.go_on())

    def _publish(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            self._bus.publish(signal)

    def _plain(self, call: CallNow) -> dict[str, Any]:
        agents = self.calls.parties.agents_of(call)
        return {
            "pbx": self.name,
            "call": call.call,
            "direction": str(call.direction),
            "caller": call.caller,
            "caller_name": call.caller_name,
            "callee": call.callee,
            "state": call.state,
            "queue": call.queue,
            "agent": agents[-1] if agents else "",
            "rang": [offer.agent or offer.endpoint for offer in call.ringing],
            "space": call.parked,
            "parked_by": self.calls.parties.members.get(call.parked_by) or call.parked_by,
            "started_at": call.started_at,
            "waiting_since": call.waiting_since,
            "answered_at": call.answered_at,
        }
