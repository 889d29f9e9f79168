"""The screen pop: who is calling, on the right agent's screen, before the phone rings.

Owns the look-up of each call's customer (begun at the call's first signal, kept while it lives) and
the ScreenPop signal. A slow store delays the card, never the pop: after a short grace it goes out
with the number alone and again with the card. Refuses to know where customers are kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from crm_store.bus import Bus
from crm_store.contacts.callbacks import CallbackRecord
from crm_store.signals import (
    CallAnswered,
    CallEnded,
    CallerIdentified,
    CallerRecognised,
    CallMerged,
    CallOffered,
    CallOfferEnded,
    CallStarted,
    CallTransferred,
    Direction,
    ScreenPop,
    Signal,
)

log = logging.getLogger(__name__)

Cards = tuple[dict[str, Any], ...]
LookUp = Callable[[str], Awaitable[Cards]]
"""From an E.164 number to the cards of all who have it, most recent first."""
LookUpCustomer = Callable[[int], Awaitable[Cards]]
"""From a customer's id to that one card; none if there is no such customer."""

GRACE_SECONDS: Final = 0.03
"""How long a pop waits for its card before it goes out without."""
ATTEMPT_SECONDS: Final = 2.0
"""A look-up that takes longer is asked anew; the store may be locked."""
RETRY_SECONDS: Final = 0.5
FRESH_SECONDS: Final = 1.0
"""An offer later than this looks again: the agent before may have said who the caller is."""


@dataclass(slots=True)
class CallerLookUp:
    """What is known of the person at the other end of one call."""

    pbx: str
    call: str
    caller: str
    caller_name: str
    number: str | None
    customer_id: int | None = None
    """Whom the caller has shown to be: it counts before the number."""
    callback: CallbackRecord | None = None
    cards: Cards = ()
    done: bool = False
    found_at: float = 0.0
    task: asyncio.Task[None] | None = None
    waiting: dict[str, tuple[CallOffered, asyncio.TimerHandle | None]] = field(default_factory=dict)
    popped: set[str] = field(default_factory=set)
    """The agents whose screens have had it."""


class ScreenPops:
    """Turns offers into pops. `to_number` is None for withheld numbers and extensions."""

    def __init__(
        self,
        bus: Bus,
        to_number: Callable[[str], str | None],
        look_up: LookUp,
        agent_of: Callable[[str], str],
        *,
        look_up_customer: LookUpCustomer,
        callback_of: Callable[[int], CallbackRecord | None] = lambda callback: None,
        grace_seconds: float = GRACE_SECONDS,
        fresh_seconds: float = FRESH_SECONDS,
    ) -> None:
        self._bus = bus
        self._to_number = to_number
        self._look_up = look_up
        self._look_up_customer = look_up_customer
        self._callback_of = callback_of
        self._agent_of = agent_of
        self._grace_seconds = grace_seconds
        self._fresh_seconds = fresh_seconds
        self._calls: dict[tuple[str, str], CallerLookUp] = {}
        self._handlers: dict[type[Signal], Callable[[Any], None]] = {
            CallStarted: self._on_started,
            CallerIdentified: self._on_identified,
            CallOffered: self._on_offered,
            CallOfferEnded: self._on_offer_ended,
            CallAnswered: self._on_answered,
            CallTransferred: self._on_transferred,
            CallMerged: self._on_merged,
            CallEnded: self._on_ended,
        }

    def on_signal(self, signal: Signal) -> None:
        """The bus's listener."""
        handler = self._handlers.get(type(signal))
        if handler is not None:
            handler(signal)

    async def close(self) -> None:
        tasks = [known.task for known in self._calls.values() if known.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_started(self, signal: CallStarted) -> None:
        other = signal.callee if signal.direction is Direction.OUTBOUND else signal.caller
        outbound = signal.direction is Direction.OUTBOUND
        known = self._known(signal.pbx, signal.call, other, "" if outbound else signal.caller_name)
        callback = None if signal.callback_id is None else self._callback_of(signal.callback_id)
        if callback is not None:
            # Whoever else has this number: it is this customer who asked.
            known.callback = callback
            if callback.customer_id is not None and callback.customer_id != known.customer_id:
                known.customer_id = callback.customer_id
                self._start(known)
        if outbound and signal.agent:
            self._on_offered(_as_offer(signal))

    def _on_identified(self, signal: CallerIdentified) -> None:
        known = self._calls.get((signal.pbx, signal.call))
        if known is not None and known.customer_id != signal.customer_id:
            known.customer_id = signal.customer_id
            self._start(known)

    def _on_answered(self, signal: CallAnswered) -> None:
        """Picked up or taken out of parking: this phone never rang with it."""
        known = self._calls.get((signal.pbx, signal.call))
        if known is not None and signal.agent and signal.agent not in known.popped:
            self._on_offered(_as_offer(signal))

    def _on_offered(self, signal: CallOffered) -> None:
        known = self._known(signal.pbx, signal.call, signal.caller, "")
        loop = asyncio.get_running_loop()
        nameable = known.number or known.customer_id
        if known.done and nameable and loop.time() - known.found_at > self._fresh_seconds:
            self._start(known)
        if known.done:
            self._pop(signal, known)
            return
        timer = loop.call_later(self._grace_seconds, self._pop_without_card, signal, known)
        known.waiting[signal.endpoint] = (signal, timer)

    def _on_offer_ended(self, signal: CallOfferEnded) -> None:
        known = self._calls.get((signal.pbx, signal.call))
        if known is not None:
            self._forget_waiting(known, signal.endpoint)

    def _on_transferred(self, signal: CallTransferred) -> None:
        """A transfer takes the pop along to the phone that has the call now."""
        if signal.cause == "blind":
            return
        self._on_offered(
            CallOffered(
                pbx=signal.pbx, at=signal.at, call=signal.call, endpoint=signal.target, caller=""
            )
        )

    def _on_merged(self, signal: CallMerged) -> None:
        merged = self._calls.pop((signal.pbx, signal.merged), None)
        if merged is not None:
            for endpoint in list(merged.waiting):
                self._forget_waiting(merged, endpoint)

    def _on_ended(self, signal: CallEnded) -> None:
        known = self._calls.pop((signal.pbx, signal.call), None)
        if known is None:
            return
        for endpoint in list(known.waiting):
            self._forget_waiting(known, endpoint)
        if known.task is not None:
            known.task.cancel()

    def _known(self, pbx: str, call: str, caller: str, caller_name: str) -> CallerLookUp:
        key = (pbx, call)
        known = self._calls.get(key)
        if known is None:
            number = self._to_number(caller)
            known = self._calls[key] = CallerLookUp(pbx, call, caller, caller_name, number)
            if number is None:
                known.done = True
            else:
                self._start(known)
        return known

    def _start(self, known: CallerLookUp) -> None:
        if known.task is not None:
            known.task.cancel()
        known.done = False
        known.task = asyncio.get_running_loop().create_task(self._find(known))

    async def _find(self, known: CallerLookUp) -> None:
        while True:
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    known.cards = await self._cards_of(known)
            except Exception as error:
                log.warning("a caller could not be looked up yet: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
        known.done = True
        known.found_at = asyncio.get_running_loop().time()
        self._bus.publish(
            CallerRecognised(
                pbx=known.pbx, call=known.call, number=known.number, matches=known.cards
            )
        )
        for endpoint, (signal, _) in list(known.waiting.items()):
            self._forget_waiting(known, endpoint)
            self._pop(signal, known)

    async def _cards_of(self, known: CallerLookUp) -> Cards:
        if known.customer_id is not None:
            return await self._look_up_customer(known.customer_id)
        return await self._look_up(known.number) if known.number is not None else ()

    def _forget_waiting(self, known: CallerLookUp, endpoint: str) -> None:
        _, timer = known.waiting.pop(endpoint, (None, None))
        if timer is not None:
            timer.cancel()

    def _pop_without_card(self, signal: CallOffered, known: CallerLookUp) -> None:
        known.waiting[signal.endpoint] = (signal, None)
        self._pop(signal, known)

    def _pop(self, signal: CallOffered, known: CallerLookUp) -> None:
        agent = self._agent_of(signal.endpoint) or signal.agent
        if not agent:
            return
        known.popped.add(agent)
        callback = known.callback
        self._bus.publish(
            ScreenPop(
                pbx=signal.pbx,
                at=signal.at,
                call=signal.call,
                agent=agent,
                endpoint=signal.endpoint,
                queue=signal.queue,
                caller=known.caller,
                caller_name=known.caller_name,
                number=known.number,
                matches=known.cards,
                looking_up=not known.done,
                callback_id=callback.id if callback else None,
                callback_asked_at=callback.requested_at.timestamp() if callback else None,
            )
        )


def _as_offer(signal: CallStarted | CallAnswered) -> CallOffered:
    """For the screen, an agent who dials or takes a call is as one to whom it is offered."""
    return CallOffered(
        pbx=signal.pbx,
        at=signal.at,
        call=signal.call,
        endpoint=signal.endpoint,
        agent=signal.agent,
        queue=signal.queue if isinstance(signal, CallAnswered) else "",
        caller=signal.caller,
    )
