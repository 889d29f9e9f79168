"""Live calls: what can happen to a call, and the signals that say so.

Owns the calls, channels and bridges of one PBX at this moment, and keeps them whole: a call lives
as long as a channel of it, an offer ends once, an answer is told once. Refuses to know how Asterisk
words its events (call_model does) and what a signal is used for.
"""

from __future__ import annotations

from enum import StrEnum
from math import isfinite, nan
from typing import Any, Final

from crm_store.signals import (
    CallAnswered,
    CallEnded,
    CallLeft,
    CallLeftQueue,
    CallMerged,
    CallOffered,
    CallOfferEnded,
    CallQueued,
    CallResumed,
    CallStarted,
    CallSummary,
    CallTransferred,
    Direction,
    Outcome,
    Signal,
)
from cti.calls.call_state import (
    Call,
    CallNow,
    Channel,
    ChannelSnapshot,
    Offer,
    PartyGuess,
    RecentlyEnded,
    age_of,
    outcome_of,
    span,
)

DECLINE_CAUSES = ("17", "21")
"""Q.850 user busy and call rejected: what a phone answers when its user presses decline."""


class CallLeave(StrEnum):
    """Why a caller waits no more in a queue."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    TIMEOUT = "timeout"
    EXIT = "exit"
    TRANSFERRED = "transferred"


QUEUE_EXITS: Final = {
    CallLeave.ABANDONED: Outcome.ABANDONED,
    CallLeave.TIMEOUT: Outcome.TIMEOUT,
    CallLeave.EXIT: Outcome.EXIT,
}
"""What leaving the queue makes of a call that nobody answers afterwards."""

UNTOLD_OF_STAND_INS: Final = (CallQueued, CallLeftQueue, CallEnded, CallSummary)
"""What is told of a customer's stand-in only if an agent was rung for it: before that it is a place
in a queue, and no call."""


class LiveCalls:
    """The calls of one PBX. `at` is the moment of what is being told; `signals` what it means."""

    def __init__(self, pbx: str, parties: PartyGuess) -> None:
        self.pbx = pbx
        self.parties = parties
        self.stamp: float | str | None = None
        """`at` as it was given: most messages' clocks nobody asks for."""
        self.signals: list[Signal] = []
        self.calls: dict[str, Call] = {}
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, dict[str, Channel]] = {}
        self.merged: dict[str, str] = {}
        """Linkedids that became part of another call, with that call's."""
        self.ended_channels = RecentlyEnded()
        self.ended_calls = RecentlyEnded()

    @property
    def at(self) -> float | None:
        """The moment of what is being told, None if the PBX did not say."""
        if isinstance(self.stamp, str):
            try:
                moment = float(self.stamp)
            except ValueError:
                moment = nan
            self.stamp = moment if isfinite(moment) else None
        return self.stamp

    def take_signals(self) -> list[Signal]:
        """What happened since this was last asked, in order."""
        signals, self.signals = self.signals, []
        return signals

    def now(self, call: Call) -> CallNow:
        """The call as it is at this moment."""
        talking = [
            channel
            for channel in call.channels.values()
            if not channel.local and len(self.bridges.get(channel.bridge, ())) > 1
        ]
        ringing = tuple(offer for offer in call.offers.values() if offer.open)
        if call.parked:
            state = "parked"
        elif talking:
            state = "held" if any(channel.held for channel in talking) else "answered"
        elif ringing:
            state = "ringing"
        else:
            state = "queued" if call.waiting else "started"
        return CallNow(
            call=call.linkedid,
            direction=self.parties.direction(call),
            caller=call.caller,
            caller_name=call.caller_name,
            callee=self.parties.callee(call),
            state=state,
            queue=call.queue,
            ringing=ringing,
            talking=tuple(talking),
            parked=call.parked,
            parked_by=call.parked_by,
            started_at=call.started_at,
            waiting_since=call.joined_at if call.waiting else None,
            answered_at=call.answered_at,
        )

    def add_channel(self, seen: ChannelSnapshot) -> Channel:
        """A leg that is news; the first of a Linkedid starts a call."""
        channel = Channel(seen.uniqueid, seen.name, seen.number, seen.context, seen.up)
        self.channels[seen.uniqueid] = channel
        call = self.calls.get(seen.linkedid)
        if call is None:
            call = self.start_call(channel, seen)
        elif seen.uniqueid == seen.linkedid and not call.originated:
            # The leg that the call is named for: the stream began in the middle of the call.
            call.begin_with(channel)
            call.callee, call.caller_name = seen.exten, seen.caller_name
        channel.call = call
        call.channels[seen.uniqueid] = channel
        return channel

    def start_call(self, first: Channel, seen: ChannelSnapshot) -> Call:
        call = Call(seen.linkedid, first, seen.exten, seen.caller_name)
        call.started_at = self.at
        # Nobody calls in by a Local channel, or on a channel that is still down.
        call.originated = call.untold = first.local or seen.down
        self.calls[seen.linkedid] = call
        if not call.untold:
            self.tell_started(call)
        return call

    def tell_started(self, call: Call) -> None:
        call.untold = False
        endpoint = self.parties.dialling_phone(call)
        self.emit(
            CallStarted,
            call,
            direction=self.parties.direction(call),
            caller=call.caller,
            caller_name=call.caller_name,
            callee=self.parties.callee(call),
            endpoint=endpoint,
            agent=self.parties.members.get(endpoint, ""),
            callback_id=call.callback_id,
        )
        if call.callback_id is not None and call.waiting:
            self.emit(CallQueued, call, queue=call.queue, caller=self.customer(call), position=1)

    def customer(self, call: Call) -> str:
        """The number of who is served: the caller's, or whom Asterisk calls back."""
        return call.caller if call.callback_id is None else self.parties.callee(call)

    def originated(self, channel: Channel, is_phone: bool, number: str) -> None:
        """Asterisk itself rings this leg, as the first party of the call."""
        call = channel.call
        if channel.uniqueid != call.first_uniqueid:
            call.begin_with(channel)
            call.callee = ""
        call.originated = channel.originated = True
        call.first_is_phone = is_phone
        if not is_phone:
            call.dialled_number, call.caller = number, ""

    def move_channel(self, channel: Channel, seen: ChannelSnapshot) -> None:
        """Asterisk gave the channel another Linkedid: it belongs to another call now."""
        if seen.linkedid in self.ended_calls:
            return
        old = channel.call
        new = self.calls.get(seen.linkedid) or self.start_call(channel, seen)
        if new is old:
            return
        del old.channels[channel.uniqueid]
        new.channels[channel.uniqueid] = channel
        channel.call = new
        offer = old.offers.pop(channel.uniqueid, None)
        if offer is not None:
            new.offers[channel.uniqueid] = offer
        if sum(not other.local for other in old.channels.values()) < 2:
            self.merge(old, new)

    def merge(self, old: Call, new: Call) -> None:
        """What is left of `old` can be no conversation of its own: it is part of `new`."""
        if old is new:
            return
        if old.untold:
            self.tell_started(old)
        for channel in old.channels.values():
            channel.call = new
        new.channels.update(old.channels)
        new.offers.update(old.offers)
        new.rang.extend(endpoint for endpoint in old.rang if endpoint not in new.rang)
        new.dialled_phone |= old.dialled_phone
        inside = self.parties.direction(new) is Direction.INTERNAL
        if inside and self.parties.direction(old) is not Direction.INTERNAL:
            new.take_story_of(old)
        elif old.answered and not new.answered and not new.waiting and not new.parked:
            new.answered, new.answered_by = True, old.answered_by
            new.answered_at = old.answered_at
        old.channels = {}
        del self.calls[old.linkedid]
        self.merged[old.linkedid] = new.linkedid
        for linkedid, target in list(self.merged.items()):
            if target == old.linkedid:
                self.merged[linkedid] = new.linkedid
        self.emit(CallMerged, new, merged=old.linkedid)

    def take_over(self, replaced: Channel, channel: Channel) -> None:
        """The same phone goes on with the call on a new leg: its page was loaded anew."""
        call = replaced.call
        self.merge(channel.call, call)
        offer = call.offers.pop(replaced.uniqueid, None)
        if offer is not None:
            call.offers[channel.uniqueid] = offer
        if call.first_uniqueid == replaced.uniqueid:
            call.first_uniqueid = channel.uniqueid
        if replaced.held:
            replaced.held = False
            self.emit(CallResumed, call, endpoint=channel.endpoint)

    def drop_channel(self, channel: Channel, cause: str, cause_number: str) -> None:
        call = channel.call
        offer = call.offers.pop(channel.uniqueid, None)
        if offer is not None:
            if offer.open:
                self.end_offer(call, offer, self.why_not_answered(channel, offer, ""))
            elif offer.answered and not channel.hangup_cause and not call.first_hung_up:
                goes_on = channel.uniqueid != call.first_uniqueid and call.first is not None
                if goes_on and not call.talking:
                    call.left_by = offer.endpoint
            kept = call.transferred_to in ("", offer.endpoint)
            if offer.answered and kept and not channel.left_others:
                call.left_alone_by[offer.endpoint] = offer.agent
                if call.goes_on_alone:
                    self.goes_on_alone(call)
        self.leave_bridge(channel)
        self.channels.pop(channel.uniqueid, None)
        self.ended_channels.add(channel.uniqueid)
        call.channels.pop(channel.uniqueid, None)
        here = {other.endpoint for other in call.channels.values()}
        if channel.left_others and here and channel.endpoint not in here:
            agent = self.parties.members.get(channel.endpoint, "")
            self.emit(CallLeft, call, endpoint=channel.endpoint, agent=agent)
        if channel.uniqueid == call.first_uniqueid:
            call.cause = cause
            call.hangup_cause = cause_number
        if not call.channels:
            self.end_call(call, cause)

    def goes_on_alone(self, call: Call) -> None:
        """The caller stays on the line after the agent: for the agent the call is over."""
        if not call.goes_on_alone:
            call.goes_on_alone, call.goes_on_at = True, self.at
        left, call.left_alone_by, call.left_by = call.left_alone_by, {}, ""
        for endpoint, agent in left.items():
            self.emit(CallLeft, call, endpoint=endpoint, agent=agent)

    def end_call(self, call: Call, cause: str) -> None:
        if call.waiting:
            self.leave_queue(call, CallLeave.ABANDONED)
        del self.calls[call.linkedid]
        self.ended_calls.add(call.linkedid)
        for old in [old for old, new in self.merged.items() if new == call.linkedid]:
            del self.merged[old]
            self.ended_calls.add(old)
        direction = self.parties.direction(call)
        callee = self.parties.callee(call) or call.dialled_number
        self.emit(CallEnded, call, cause=call.cause or cause, caller=call.caller, callee=callee)
        outcome = outcome_of(call, direction, call.hangup_cause)
        if outcome is Outcome.ANSWERED and not call.answered:
            call.answered, call.answered_by = True, call.first_endpoint
            call.answered_at = call.first_leg_answered_at
        queue, waited = call.waited_in_queue()
        self.emit(
            CallSummary,
            call,
            direction=direction,
            outcome=outcome,
            queue=queue or None,
            rang=call.rang,
            answered_by=call.answered_by or None,
            transferred_to=call.transferred_to or None,
            wait_s=waited,
            talk_s=call.talk_seconds(self.at),
            keyed=call.keyed,
            caller=call.caller,
            callee=callee,
            started_at=call.started_at,
            ended_at=self.at,
        )

    def offer(self, channel: Channel, queue: str, agent: str, via: str = "") -> None:
        call = channel.call
        if not queue:
            queue = call.queue if call.waiting else call.preferred_queue
        endpoint = channel.endpoint
        agent = agent or self.parties.members.get(endpoint, "")
        call.offers[channel.uniqueid] = Offer(endpoint, agent, queue, via)
        if channel.uniqueid != call.first_uniqueid:
            call.dialled_phone = True
        if endpoint not in call.rang:
            call.rang.append(endpoint)
        self.emit(
            CallOffered,
            call,
            endpoint=endpoint,
            agent=agent,
            queue=queue,
            caller=self.customer(call),
            callee=self.parties.callee(call),
        )

    def end_offer(self, call: Call, offer: Offer, cause: str) -> None:
        offer.open = False
        if call.preferred_queue and cause == "no_answer":
            cause = "passed_on"
        self.emit(
            CallOfferEnded,
            call,
            endpoint=offer.endpoint,
            agent=offer.agent,
            queue=offer.queue,
            cause=cause,
        )

    def why_not_answered(self, channel: Channel, offer: Offer, dial_status: str) -> str:
        call = channel.call
        if channel.hangup_cause in DECLINE_CAUSES or dial_status == "BUSY":
            return "declined" if channel.ringing else "busy"
        if dial_status in ("CHANUNAVAIL", "CONGESTION"):
            return "declined" if channel.ringing else "unreachable"
        if dial_status == "NOANSWER":
            return "unreachable" if channel.hangup_cause else "no_answer"
        for uniqueid, other in call.offers.items():
            up = uniqueid in call.channels and call.channels[uniqueid].up
            if other is not offer and (other.answered or up) and other.rings_with(offer):
                return "answered_elsewhere"
        if call.first_hung_up or call.first is None or dial_status == "CANCEL":
            return "caller_gone"
        return "unreachable" if channel.hangup_cause else "no_answer"

    def answered(self, channel: Channel) -> None:
        """A person took the call on `channel`; said twice, it is heard once."""
        call = channel.call
        offer = call.offers.get(channel.uniqueid)
        if offer is not None and offer.answered:
            return
        calls_back = call.callback_id is not None and not call.answered
        if offer is None:
            agent = self.parties.members.get(channel.endpoint, "")
            served = calls_back and channel.endpoint in self.parties.members
            queue = call.queue if call.waiting or served else ""
            offer = call.offers[channel.uniqueid] = Offer(channel.endpoint, agent, queue)
        offer.open, offer.answered = False, True
        call.goes_on_alone = False
        if channel.originated and channel.uniqueid == call.first_uniqueid:
            call.first_leg_answered, call.first_leg_answered_at = True, self.at
        elif calls_back and offer.queue:
            # The agent hears the customer's phone ring.
            call.first_leg_answered, call.first_leg_answered_at = True, self.at
            call.last_talker, call.dial_status = offer.endpoint, ""
        else:
            self._first_answer(call, offer)
            self._handed_to(call, offer.endpoint)
            call.last_talker = offer.endpoint
        self._tell_answered(call, offer.endpoint, offer.agent, offer.queue)
        for other in call.offers.values():
            if other.open and other.rings_with(offer):
                self.end_offer(call, other, "answered_elsewhere")

    def met(self, call: Call, other: Channel) -> None:
        """In a conference, where each keeps a call of their own, the call's party met another."""
        if not call.answered:
            agent = self.parties.members.get(other.endpoint, "")
            self._first_answer(call, Offer(other.endpoint, agent, ""))
            self._tell_answered(call, other.endpoint, agent, "")
        self._handed_to(call, other.endpoint)

    def _tell_answered(self, call: Call, endpoint: str, agent: str, queue: str) -> None:
        direction = self.parties.direction(call)
        if direction is Direction.OUTBOUND and endpoint not in self.parties.members:
            dialler = self.parties.dialling_phone(call)
            agent = agent or self.parties.members.get(dialler, "")
        self.emit(
            CallAnswered,
            call,
            endpoint=endpoint,
            agent=agent,
            queue=queue,
            caller=self.customer(call),
            callee=self.parties.callee(call),
            direction=direction,
        )

    def _first_answer(self, call: Call, offer: Offer) -> None:
        if call.answered:
            return
        call.answered, call.answered_by, call.answered_at = True, offer.endpoint, self.at
        if offer.queue == call.preferred_queue != "":
            call.answered_queue = offer.queue
        elif call.queue:
            call.answered_queue = call.queue
            until = self.at if call.left_at is None else call.left_at
            call.answered_wait = span(call.joined_at, until)

    def _handed_to(self, call: Call, endpoint: str) -> None:
        """Whoever answers after a transfer, or after Asterisk took the first phone away, has it."""
        if call.transfer_open:
            call.transferred_to, call.transfer_open = endpoint, False
        elif call.left_by and endpoint != call.left_by:
            self.transferred(call, call.left_by, endpoint, "blind")
        call.left_by = ""

    def join_queue(self, call: Call, queue: str, exten: str = "") -> None:
        self.goes_on(call)
        call.queue, call.waiting = queue, True
        call.preferred_queue, call.in_menu, call.goes_on_alone = "", False, False
        call.joined_at, call.left_at = self.at, None
        call.joined_exten = exten
        call.queue_exit, call.abandon_seen = None, False

    def leave_queue(self, call: Call, why: CallLeave) -> None:
        call.waiting, call.leave_unexplained = False, False
        if call.left_at is None:
            call.left_at = self.at
        call.queue_exit = QUEUE_EXITS.get(why)
        self.emit(CallLeftQueue, call, queue=call.queue, cause=str(why))

    def leave_queue_for_now(self, call: Call) -> None:
        """Left without a hangup that was seen; the next thing that happens tells why."""
        call.waiting, call.leave_unexplained, call.left_at = False, True, self.at

    def goes_on(self, call: Call) -> None:
        """The caller does something else after the queue raised an abandon: it was its timeout."""
        if call.leave_unexplained:
            self.leave_queue(call, CallLeave.TIMEOUT)

    def enter_bridge(self, channel: Channel, bridge: str, conference: bool = False) -> None:
        """The leg hears the others in the bridge; whoever was not dialled has answered by it."""
        if channel.bridge != bridge:
            self.leave_bridge(channel)
        channel.bridge, channel.left_others = bridge, False
        members = self.bridges.setdefault(bridge, {})
        members[channel.uniqueid] = channel
        if not conference:
            self._join_third(channel, members)
        call = channel.call
        self.goes_on(call)
        if channel.local:
            return
        offer = call.offers.get(channel.uniqueid)
        if offer is not None and not offer.answered:
            self.answered(channel)
            return
        for other in members.values():
            if other is channel or other.local:
                continue
            if other.call is call:
                if not call.answered:
                    self.answered(other if channel.uniqueid == call.first_uniqueid else channel)
            elif conference:
                self.met(other.call, channel)
                self.met(call, other)
            break

    def _join_third(self, channel: Channel, members: dict[str, Channel]) -> None:
        """Whoever joins two who talk is part of their call; Asterisk says so only later."""
        others = [m.call for m in members.values() if m is not channel and not m.local]
        if len(others) < 2 or channel.local or others[0] is not others[1]:
            return
        older, younger = sorted((others[0], channel.call), key=lambda c: age_of(c.linkedid))
        self.merge(younger, older)
        older.left_by = ""
        for member in members.values():
            if member.uniqueid not in older.offers and member.uniqueid != older.first_uniqueid:
                agent = self.parties.members.get(member.endpoint, "")
                offer = older.offers[member.uniqueid] = Offer(member.endpoint, agent, "")
                offer.open, offer.answered = False, True

    def leave_bridge(self, channel: Channel) -> None:
        bridge, channel.bridge = channel.bridge, ""
        members = self.bridges.get(bridge)
        if members is not None:
            members.pop(channel.uniqueid, None)
            channel.left_others = sum(not other.local for other in members.values()) > 1
            if not members:
                del self.bridges[bridge]

    def transferred(self, call: Call, endpoint: str, target: str, cause: str) -> None:
        call.transferred_to, call.left_by = target, ""
        self.emit(CallTransferred, call, endpoint=endpoint, target=target, cause=cause)

    def emit(self, kind: type[Any], call: Call, **values: object) -> None:
        if call.untold:
            if call.callback_id is not None and kind in UNTOLD_OF_STAND_INS:
                return
            self.tell_started(call)
        self.signals.append(kind(pbx=self.pbx, at=self.at, call=call.linkedid, **values))
