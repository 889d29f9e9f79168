"""Agents in their queues: signing in, pausing, wrapping up, by telling Asterisk and nobody else.

Owns the commands that move an agent and the clock of wrap-up. The state itself is Asterisk's (see
queue_model): an agent who wraps up is paused there with a reason that says until when (see
pause_reasons), so it survives our restart and no queue offers anything meanwhile. Refuses to know
customers, pages and the store.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crm_store.signals import (
    AgentState,
    AgentStateChanged,
    CallAnswered,
    CallMerged,
    Direction,
    PbxLinkChanged,
    Signal,
)
from cti.agents.pause_reasons import WrapUp, wrap_up_of
from cti.agents.queue_model import Member, QueueModel
from cti.ami.actions import ActionFailed

log = logging.getLogger(__name__)

Action = Callable[..., Awaitable[object]]
"""`AmiLink.action`: a name and headers; raises when Asterisk refuses or the link is down."""


@dataclass(frozen=True, slots=True)
class WrapUpLimit:
    """How long agents may write up a call, and by how much they may lengthen that; in seconds."""

    seconds: int = 30
    extra_seconds: int = 300


DEFAULT_WRAP_UP = WrapUpLimit()


@dataclass(frozen=True, slots=True)
class AgentSeat:
    """Where an agent sits: their phone, and the penalty they have in each queue they may serve."""

    login: str
    endpoint: str
    penalties: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServedCall:
    """A call in progress: the queue from which it was answered first, "" for none, and the
    endpoints that talk in it."""

    queue: str = ""
    talking: tuple[str, ...] = ()


class UnknownAgent(LookupError):
    """No agent with a phone has this login."""


class Agents:
    """Moves the agents of one PBX. The result of each command is heard from the queue model."""

    def __init__(
        self,
        action: Action,
        queues: QueueModel,
        wrap_up: Mapping[str, WrapUpLimit],
        default_wrap_up: WrapUpLimit = DEFAULT_WRAP_UP,
        *,
        look_at: Callable[[str], ServedCall] = lambda call: ServedCall(),
    ) -> None:
        self._action = action
        self._look_at = look_at
        self._queues = queues
        self._wrap_up = wrap_up
        self._default_wrap_up = default_wrap_up
        self._pbx_is_ahead = 0.0
        self._to_leave: set[tuple[str, str]] = set()
        self._seats: dict[str, AgentSeat] = {}
        self._endpoints: set[str] = set()
        self._wrap_up_timers: dict[str, asyncio.TimerHandle] = {}
        self._running: set[asyncio.Task[None]] = set()

    def seat(self, seats: Sequence[AgentSeat]) -> None:
        """Name all agents who have a phone here; replaces what was named before."""
        self._seats = {seat.login: seat for seat in seats}
        self._endpoints = {seat.endpoint for seat in seats}

    def limit_wrap_up(self, wrap_up: Mapping[str, WrapUpLimit]) -> None:
        """Wrap-ups that are reserved from now on last as long as their queue says here."""
        self._wrap_up = wrap_up

    async def take_seats(self, seats: Sequence[AgentSeat]) -> None:
        """Name all agents anew, also to Asterisk: who may serve a queue no more leaves it, and
        other penalties hold at once. Raises what the AMI link raises."""
        before = self._seats
        self.seat(seats)
        for login, former in before.items():
            now = self._seats.get(login)
            for queue, member in self._queues.places_of(login).items():
                moved = now is None or now.endpoint != former.endpoint
                barred = now is None or queue not in now.penalties
                if moved or (barred and queue in former.penalties):
                    self._to_leave.add((queue, member.endpoint))
        await self.correct_places()

    async def correct_places(self) -> None:
        """Take members out who may not stay, and give the others the penalties of their seats.

        Raises what the AMI link raises; what was not done yet is done the next time.
        """
        for place in sorted(self._to_leave):
            queue, endpoint = place
            if endpoint in self._queues.members.get(queue, ()):
                await self._action("QueueRemove", Queue=queue, Interface=endpoint)
            self._to_leave.discard(place)
        for login, seat in self._seats.items():
            for queue, member in self._queues.places_of(login).items():
                penalty = str(seat.penalties.get(queue, member.penalty))
                if penalty != member.penalty:
                    await self._action(
                        "QueuePenalty", Queue=queue, Interface=member.endpoint, Penalty=penalty
                    )

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
        reason = self._queues.reason_of(login)
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
                    Paused="false" if reason is None else "true",
                )
        if reason is not None and not set(queues) <= set(now):
            await self._set_paused(login, True, reason)

    async def sign_out(self, login: str) -> None:
        """Leave all queues."""
        seat = self._seat_of(login)
        for queue in self._queues.queues_of(login):
            await self._action("QueueRemove", Queue=queue, Interface=seat.endpoint)

    async def pause(self, login: str, reason: str) -> None:
        """Be offered nothing by any queue until `unpause`; `reason` is the pause reason's code.

        While a call lasts whose wrap-up is reserved, the pause follows that wrap-up.
        """
        reserved = self._reserved_wrap_up(login)
        if reserved is not None:
            reason = replace(reserved, then=reason).as_reason()
        await self._set_paused(login, True, reason)

    async def unpause(self, login: str) -> None:
        """Available again; while a call lasts, after its wrap-up."""
        reserved = self._reserved_wrap_up(login)
        if reserved is not None:
            await self._set_paused(login, True, replace(reserved, then="").as_reason())
        else:
            await self._set_paused(login, False, "")

    async def finish_wrap_up(self, login: str) -> None:
        """Available again, or on the pause that was to follow; nothing happens to an agent who does
        not wrap up."""
        if self.state_of(login).state is AgentState.WRAP_UP:
            wrap_up = wrap_up_of(self._queues.reason_of(login) or "")
            then = wrap_up.then if wrap_up else ""
            await self._set_paused(login, bool(then), then)

    async def extend_wrap_up(self, login: str, seconds: int) -> None:
        """Let the wrap-up last longer, by no more than is left to it; nothing happens to an agent
        who does not wrap up."""
        wrap_up = wrap_up_of(self._queues.reason_of(login) or "")
        state = self.state_of(login)
        if wrap_up is None or state.state is not AgentState.WRAP_UP:
            return
        more = min(seconds, wrap_up.extendable)
        running = self._running_from(wrap_up, state)
        assert running.ends_at is not None
        longer = replace(
            running, ends_at=running.ends_at + more, extendable=wrap_up.extendable - more
        )
        await self._set_paused(login, True, longer.as_reason())

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
            if signal.agent in self._seats:
                self._on_answer(signal)
        elif isinstance(signal, CallMerged):
            if signal.pbx == self._queues.pbx:
                self._on_merge(signal)
        elif isinstance(signal, AgentStateChanged):
            if signal.pbx == self._queues.pbx:
                if signal.at is not None:
                    self._pbx_is_ahead = signal.at - time.time()
                self._run_clock(signal)
        elif isinstance(signal, PbxLinkChanged) and signal.up and signal.pbx == self._queues.pbx:
            self._start(self.correct_places(), "all agents")
            for login in self._seats:
                # What a clock said while the link was down was not heard.
                self._run_clock(self.state_of(login))

    async def close(self) -> None:
        """Stop the clocks; what Asterisk holds stays as it is."""
        for timer in self._wrap_up_timers.values():
            timer.cancel()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _on_answer(self, answer: CallAnswered) -> None:
        queue = answer.queue
        if not queue and answer.pbx == self._queues.pbx and answer.direction is Direction.INBOUND:
            # Given to this agent by another one: by transfer, or out of a parking space.
            queue = self._look_at(answer.call).queue
        if queue:
            self._reserve_wrap_up(answer.agent, self._wrap_up.get(queue, self._default_wrap_up))
        elif answer.direction is Direction.OUTBOUND and not self._has_reserved(answer.agent):
            # Beside a call from a queue, that one's wrap-up is enough.
            self._reserve_wrap_up(answer.agent, self._default_wrap_up)

    def _on_merge(self, merge: CallMerged) -> None:
        """Who was asked first, and speaks with the customer now, wraps up as well."""
        call = self._look_at(merge.call)
        if not call.queue:
            return
        for login, seat in self._seats.items():
            if seat.endpoint in call.talking and not self._has_reserved(login):
                self._reserve_wrap_up(login, self._wrap_up.get(call.queue, self._default_wrap_up))

    def _has_reserved(self, login: str) -> bool:
        wrap_up = wrap_up_of(self._queues.reason_of(login) or "")
        return wrap_up is not None and wrap_up.ends_at is None

    def _reserve_wrap_up(self, login: str, limit: WrapUpLimit) -> None:
        """Pause while the call lasts already: no queue can slip a call in between."""
        if not limit.seconds or not self._queues.queues_of(login):
            return
        now = self._queues.reason_of(login) or ""
        earlier = wrap_up_of(now)
        wrap_up = WrapUp(limit.seconds, limit.extra_seconds, then=earlier.then if earlier else now)
        self._start(self._set_paused(login, True, wrap_up.as_reason()), login)

    def _reserved_wrap_up(self, login: str) -> WrapUp | None:
        """The wrap-up of a call that goes on."""
        if self.state_of(login).state is not AgentState.ON_CALL:
            return None
        return wrap_up_of(self._queues.reason_of(login) or "")

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

    def _run_clock(self, state: AgentStateChanged) -> None:
        login = state.agent
        self._stop_wrap_up_clock(login)
        wrap_up = wrap_up_of(self._queues.reason_of(login) or "")
        if state.state is not AgentState.WRAP_UP or wrap_up is None or login not in self._seats:
            return
        running = self._running_from(wrap_up, state)
        if wrap_up.ends_at is None:
            # From here Asterisk knows the end, should we be started again.
            self._start(self._set_paused(login, True, running.as_reason()), login)
        assert running.ends_at is not None
        left = running.ends_at - (time.time() + self._pbx_is_ahead)
        self._wrap_up_timers[login] = asyncio.get_running_loop().call_later(
            max(0.0, left), lambda: self._start(self.finish_wrap_up(login), login)
        )

    def _running_from(self, wrap_up: WrapUp, state: AgentStateChanged) -> WrapUp:
        """The wrap-up with its beginning and end; it begins now, where nobody knows better."""
        if wrap_up.ends_at is not None:
            return wrap_up
        begun = round(state.since or time.time() + self._pbx_is_ahead)
        return replace(wrap_up, begun=begun, ends_at=begun + wrap_up.seconds)

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
            log.warning("the state of %s could not be told to the PBX: %s", login, error)
