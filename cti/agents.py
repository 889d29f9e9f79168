"""Agents in their queues: signing in, pausing, wrapping up, by telling Asterisk and nobody else.

Owns the commands that move an agent and the clock of wrap-up. The state itself is Asterisk's (see
queue_model): an agent who wraps up is paused there with the reason "wrap-up", so it survives our
restart and no queue offers anything meanwhile. Refuses to know customers, pages and the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crm_store.signals import AgentState, AgentStateChanged, CallAnswered, Signal
from cti.ami_actions import ActionFailed
from cti.queue_model import WRAP_UP_REASON, Member, QueueModel

log = logging.getLogger(__name__)

Action = Callable[..., Awaitable[object]]
"""`AmiLink.action`: a name and headers; raises when Asterisk refuses or the link is down."""

DEFAULT_WRAP_UP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class AgentSeat:
    """Where an agent sits: their phone, and the penalty they have in each queue they may serve."""

    login: str
    endpoint: str
    penalties: Mapping[str, int] = field(default_factory=dict)


class UnknownAgent(LookupError):
    """No agent with a phone has this login."""


class Agents:
    """Moves the agents of one PBX. The result of each command is heard from the queue model."""

    def __init__(
        self,
        action: Action,
        queues: QueueModel,
        wrap_up_seconds: Mapping[str, float],
        default_wrap_up_seconds: float = DEFAULT_WRAP_UP_SECONDS,
    ) -> None:
        self._action = action
        self._queues = queues
        self._wrap_up_seconds = wrap_up_seconds
        self._default_wrap_up_seconds = default_wrap_up_seconds
        self._seats: dict[str, AgentSeat] = {}
        self._endpoints: set[str] = set()
        self._last_queue: dict[str, str] = {}
        self._wrap_up_timers: dict[str, asyncio.TimerHandle] = {}
        self._running: set[asyncio.Task[None]] = set()

    def seat(self, seats: Sequence[AgentSeat]) -> None:
        """Name all agents who have a phone here; replaces what was named before."""
        self._seats = {seat.login: seat for seat in seats}
        self._endpoints = {seat.endpoint for seat in seats}

    def sits_at(self, endpoint: str) -> bool:
        """Whether this phone is an agent's."""
        return endpoint in self._endpoints

    def state_of(self, login: str) -> AgentStateChanged:
        """The agent's state now; one who never joined a queue is offline."""
        known = self._queues.state_of(login)
        if known is not None:
            return known
        seat = self._seats.get(login)
        endpoint = seat.endpoint if seat else ""
        return AgentStateChanged(
            pbx=self._queues.pbx, agent=login, endpoint=endpoint, state=AgentState.OFFLINE
        )

    async def sign_in(self, login: str, queues: Sequence[str]) -> None:
        """Serve exactly these queues. Raises UnknownAgent, or what the AMI link raises."""
        seat = self._seat_of(login)
        now = self._queues.queues_of(login)
        paused = self.state_of(login).state is AgentState.PAUSED
        for queue in now:
            if queue not in queues:
                await self._action("QueueRemove", Queue=queue, Interface=seat.endpoint)
        for queue in queues:
            if queue not in now:
                await self._action(
                    "QueueAdd",
                    Queue=queue,
                    Interface=seat.endpoint,
                    StateInterface=seat.endpoint,
                    MemberName=login,
                    Penalty=str(seat.penalties.get(queue, 0)),
                    Paused="true" if paused else "false",
                )

    async def sign_out(self, login: str) -> None:
        """Leave all queues."""
        seat = self._seat_of(login)
        for queue in self._queues.queues_of(login):
            await self._action("QueueRemove", Queue=queue, Interface=seat.endpoint)

    async def pause(self, login: str, reason: str) -> None:
        """Be offered nothing by any queue until `unpause`; `reason` is the pause reason's code."""
        await self._set_paused(login, True, reason)

    async def unpause(self, login: str) -> None:
        await self._set_paused(login, False, "")

    async def finish_wrap_up(self, login: str) -> None:
        """Available again; nothing happens to an agent who does not wrap up."""
        if self.state_of(login).state is AgentState.WRAP_UP:
            await self._set_paused(login, False, "")

    async def take_places_again(self, places: Mapping[str, Mapping[str, Member]]) -> None:
        """Put agents back into their queues, paused as they were: the PBX forgot them.

        `places` are the members by queue and interface. A queue that is no more is left out.
        """
        for queue, members in places.items():
            for member in members.values():
                if member.agent in self._seats:
                    try:
                        await self._take_place(queue, member)
                    except ActionFailed as error:
                        log.warning("%s is not put back into %s: %s", member.agent, queue, error)

    async def _take_place(self, queue: str, member: Member) -> None:
        await self._action(
            "QueueAdd",
            Queue=queue,
            Interface=member.endpoint,
            StateInterface=member.endpoint,
            MemberName=member.agent,
            Penalty=str(self._seats[member.agent].penalties.get(queue, 0)),
            Paused="true" if member.paused else "false",
        )
        if member.paused:
            await self._action(
                "QueuePause",
                Queue=queue,
                Interface=member.endpoint,
                Paused="true",
                Reason=member.reason,
            )

    def on_signal(self, signal: Signal) -> None:
        """The bus's listener: an answer begins the wrap-up to be, a state its clock."""
        if isinstance(signal, CallAnswered):
            if signal.queue and signal.agent in self._seats:
                self._last_queue[signal.agent] = signal.queue
                self._start(self._reserve_wrap_up(signal.agent), signal.agent)
        elif isinstance(signal, AgentStateChanged):
            if signal.state is AgentState.WRAP_UP:
                self._start_wrap_up_clock(signal.agent)
            else:
                self._stop_wrap_up_clock(signal.agent)

    async def close(self) -> None:
        """Stop the clocks; what Asterisk holds stays as it is."""
        for timer in self._wrap_up_timers.values():
            timer.cancel()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _reserve_wrap_up(self, login: str) -> None:
        """Pause while the call lasts already: no queue can slip a call in between."""
        await self._set_paused(login, True, WRAP_UP_REASON)

    async def _set_paused(self, login: str, paused: bool, reason: str) -> None:
        seat = self._seat_of(login)
        await self._action(
            "QueuePause",
            Interface=seat.endpoint,
            Paused="true" if paused else "false",
            Reason=reason,
        )

    def _seat_of(self, login: str) -> AgentSeat:
        seat = self._seats.get(login)
        if seat is None:
            raise UnknownAgent(f"no agent {login!r} has a phone on this PBX")
        return seat

    def _start_wrap_up_clock(self, login: str) -> None:
        if login in self._wrap_up_timers:
            return
        self._wrap_up_timers[login] = asyncio.get_running_loop().call_later(
            self._seconds_to_wrap_up(login), lambda: self._start(self.finish_wrap_up(login), login)
        )

    def _seconds_to_wrap_up(self, login: str) -> float:
        """The last call's queue says; after a restart of ours, the most patient of the agent's."""
        queue = self._last_queue.get(login)
        queues = (queue,) if queue is not None else self._queues.queues_of(login)
        return max(
            (self._wrap_up_seconds.get(name, self._default_wrap_up_seconds) for name in queues),
            default=self._default_wrap_up_seconds,
        )

    def _stop_wrap_up_clock(self, login: str) -> None:
        timer = self._wrap_up_timers.pop(login, None)
        if timer is not None:
            timer.cancel()

    def _start(self, command: Coroutine[Any, Any, None], login: str) -> None:
        task = asyncio.ensure_future(self._logged(command, login))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _logged(self, command: Coroutine[Any, Any, None], login: str) -> None:
        try:
            await command
        except Exception as error:
            log.warning("the wrap-up of %s could not be told to the PBX: %s", login, error)
