"""Live calls: what can happen to a call, and the signals that say so.

Owns the calls, channels and bridges of one PBX at this moment, and keeps them whole: a call lives
as long as a channel of it, an offer ends once, an answer is told once. Refuses to know how Asterisk
words its events (call_model does) and what a signal is used for.
"""

from __future__ import annotations

from typing import Any

from crm_store.signals import (
    CallAnswered,
    CallEnded,
    CallLeftQueue,
    CallMerged,
    CallOffered,
    CallOfferEnded,
    CallStarted,
    CallSummary,
    CallTransferred,
    Outcome,
    Signal,
)
from cti.call_state import (
    Call,
    Channel,
    ChannelSnapshot,
    Offer,
    PartyGuess,
    RecentlyEnded,
    outcome_of,
)

DECLINE_CAUSES = ("17", "21")
"""Q.850 user busy and call rejected: what a phone answers when its user presses decline."""


class LiveCalls:
    """The calls of one PBX. `at` is the moment of what is being told; `signals` what it means."""

    def __init__(self, pbx: str, parties: PartyGuess) -> None:
        self.pbx = pbx
        self.parties = parties
        self.at: float | None = None
        self.signals: list[Signal] = []
        self.calls: dict[str, Call] = {}
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, dict[str, Channel]] = {}
        self.merged: dict[str, str] = {}
        """Linkedids that became part of another call, with that call's."""
        self.ended_channels = RecentlyEnded()
        self.ended_calls = RecentlyEnded()

    def take_signals(self) -> list[Signal]:
        """What happened since this was last asked, in order."""
        signals, self.signals = self.signals, []
        return signals

    def add_channel(self, seen: ChannelSnapshot) -> Channel:
        """A leg that is news; the first of a Linkedid starts a call."""
        channel = Channel(seen.uniqueid, seen.name, seen.number, seen.context, seen.up)
        self.channels[seen.uniqueid] = channel
        call = self.calls.get(seen.linkedid) or self.start_call(channel, seen)
        channel.call = call
        call.channels[seen.uniqueid] = channel
        return channel

    def start_call(self, first: Channel, seen: ChannelSnapshot) -> Call:
        call = Call(seen.linkedid, first, seen.exten, seen.caller_name)
        call.started_at = self.at
        call.originated = seen.down and not first.local
        self.calls[seen.linkedid] = call
        self.emit(
            CallStarted,
            call,
            direction=self.parties.direction(call),
            caller=call.caller,
            caller_name=call.caller_name,
            callee=call.callee,
        )
        return call

    def move_channel(self, channel: Channel, seen: ChannelSnapshot) -> None:
        """Asterisk gave the channel another Linkedid: it belongs to another call now."""
        if seen.linkedid in self.ended_calls:
            return
        old = channel.call
        new = self.calls.get(seen.linkedid) or self.start_call(channel, seen)
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
        for channel in old.channels.values():
            channel.call = new
        new.channels.update(old.channels)
        new.offers.update(old.offers)
        new.rang.extend(endpoint for endpoint in old.rang if endpoint not in new.rang)
        new.dialled_phone |= old.dialled_phone
        if old.answered and not new.answered and not new.waiting and not new.parked:
            new.answered, new.answered_by = True, old.answered_by
            new.answered_at = old.answered_at
        old.channels = {}
        del self.calls[old.linkedid]
        self.merged[old.linkedid] = new.linkedid
        for linkedid, target in list(self.merged.items()):
            if target == old.linkedid:
                self.merged[linkedid] = new.linkedid
        self.emit(CallMerged, new, merged=old.linkedid)

    def drop_channel(self, channel: Channel, cause: str, cause_number: str) -> None:
        call = channel.call
        offer = call.offers.get(channel.uniqueid)
        if offer is not None and offer.open:
            self.end_offer(call, offer, self.why_not_answered(channel, ""))
        self.leave_bridge(channel)
        self.channels.pop(channel.uniqueid, None)
        self.ended_channels.add(channel.uniqueid)
        call.channels.pop(channel.uniqueid, None)
        if channel.uniqueid == call.first_uniqueid:
            call.cause = cause
            call.hangup_cause = cause_number
        if not call.channels:
            self.end_call(call, cause)

    def end_call(self, call: Call, cause: str) -> None:
        if call.waiting:
            self.leave_queue(call, Outcome.ABANDONED)
        del self.calls[call.linkedid]
        self.ended_calls.add(call.linkedid)
        if self.merged:
            self.merged = {old: new for old, new in self.merged.items() if new != call.linkedid}
        direction = self.parties.direction(call)
        callee = call.callee or call.dialled_number
        self.emit(CallEnded, call, cause=call.cause or cause, caller=call.caller, callee=callee)
        outcome = outcome_of(call, direction, call.hangup_cause)
        if outcome is Outcome.ANSWERED and not call.answered:
            call.answered, call.answered_by = True, call.first_endpoint
            call.answered_at = call.first_leg_answered_at
        self.emit(
            CallSummary,
            call,
            direction=direction,
            outcome=outcome,
            queue=call.queue or None,
            rang=call.rang,
            answered_by=call.answered_by or None,
            transferred_to=call.transferred_to or None,
            wait_s=call.wait_seconds(),
            talk_s=call.talk_seconds(self.at),
            keyed=call.keyed,
            caller=call.caller,
            callee=callee,
            started_at=call.started_at,
            ended_at=self.at,
        )

    def offer(self, channel: Channel, queue: str, agent: str) -> None:
        call = channel.call
        if not queue and call.waiting:
            queue = call.queue
        endpoint = channel.endpoint
        agent = agent or self.parties.members.get(endpoint, "")
        call.offers[channel.uniqueid] = Offer(endpoint, agent, queue)
        call.dialled_phone = True
        if endpoint not in call.rang:
            call.rang.append(endpoint)
        self.emit(
            CallOffered,
            call,
            endpoint=endpoint,
            agent=agent,
            queue=queue,
            caller=call.caller,
            callee=call.callee,
        )

    def end_offer(self, call: Call, offer: Offer, cause: str) -> None:
        offer.open = False
        self.emit(
            CallOfferEnded,
            call,
            endpoint=offer.endpoint,
            agent=offer.agent,
            queue=offer.queue,
            cause=cause,
        )

    def why_not_answered(self, channel: Channel, dial_status: str) -> str:
        call = channel.call
        if channel.hangup_cause in DECLINE_CAUSES or dial_status == "BUSY":
            return "declined" if channel.ringing else "busy"
        if dial_status in ("CHANUNAVAIL", "CONGESTION"):
            return "declined" if channel.ringing else "unreachable"
        if dial_status == "NOANSWER":
            return "unreachable" if channel.hangup_cause else "no_answer"
        if any(offer.answered for offer in call.offers.values()):
            return "answered_elsewhere"
        if call.first_hung_up or call.first is None:
            return "caller_gone"
        return "unreachable" if channel.hangup_cause else "no_answer"

    def answered(self, channel: Channel) -> None:
        """A person took the call on `channel`; said twice, it is heard once."""
        call = channel.call
        offer = call.offers.get(channel.uniqueid)
        if offer is not None and offer.answered:
            return
        if offer is None:
            offer = call.offers[channel.uniqueid] = Offer(channel.endpoint, "", "")
        offer.open, offer.answered = False, True
        if channel.originated and channel.uniqueid == call.first_uniqueid:
            call.first_leg_answered_at = self.at
        elif not call.answered:
            call.answered, call.answered_by, call.answered_at = True, offer.endpoint, self.at
        if call.transfer_open:
            call.transferred_to, call.transfer_open = offer.endpoint, False
        self.emit(
            CallAnswered,
            call,
            endpoint=offer.endpoint,
            agent=offer.agent,
            queue=offer.queue,
            caller=call.caller,
            callee=call.callee,
        )
        for other in call.offers.values():
            if other.open and other.queue == offer.queue:
                self.end_offer(call, other, "answered_elsewhere")

    def join_queue(self, call: Call, queue: str) -> None:
        self.still_alive(call)
        call.queue, call.waiting = queue, True
        call.joined_at, call.left_at = self.at, None
        call.queue_exit, call.abandon_seen = None, False

    def leave_queue(self, call: Call, why: Outcome) -> None:
        call.waiting, call.left_at = False, self.at
        if why is not Outcome.ANSWERED:
            call.queue_exit = why
        self.emit(CallLeftQueue, call, queue=call.queue, cause=str(why))

    def still_alive(self, call: Call) -> None:
        """The caller goes on after the queue raised an abandon: it was the queue's timeout."""
        if call.queue_exit is Outcome.ABANDONED and not call.first_hung_up:
            call.queue_exit = Outcome.TIMEOUT

    def enter_bridge(self, channel: Channel, bridge: str) -> None:
        """The leg hears the others in the bridge; whoever was not dialled has answered by it."""
        if channel.bridge != bridge:
            self.leave_bridge(channel)
        channel.bridge = bridge
        members = self.bridges.setdefault(bridge, {})
        members[channel.uniqueid] = channel
        call = channel.call
        self.still_alive(call)
        if channel.local:
            return
        offer = call.offers.get(channel.uniqueid)
        if offer is not None and not offer.answered:
            self.answered(channel)
        elif not call.answered:
            for other in members.values():
                if other is not channel and not other.local:
                    first = channel.uniqueid == call.first_uniqueid
                    self.answered(other if first else channel)
                    break

    def leave_bridge(self, channel: Channel) -> None:
        members = self.bridges.get(channel.bridge)
        channel.bridge = ""
        if members is not None:
            members.pop(channel.uniqueid, None)
            if not members:
                self.bridges = {name: left for name, left in self.bridges.items() if left}

    def transferred(self, call: Call, endpoint: str, target: str, cause: str) -> None:
        call.transferred_to = target
        self.emit(CallTransferred, call, endpoint=endpoint, target=target, cause=cause)

    def emit(self, kind: type[Any], call: Call, **values: object) -> None:
        self.signals.append(kind(pbx=self.pbx, at=self.at, call=call.linkedid, **values))
