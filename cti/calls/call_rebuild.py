"""The calls as Asterisk lists them: what a model is rebuilt from after each connect.

Asterisk replays nothing, so recovery is the start path: CoreShowChannels, QueueStatus and
ParkedCalls say what is. What they cannot say (who was rung before, since when somebody talks) is
kept of calls that were known before, and guessed from a channel's age for the others. Owns the
reading of those lists; what follows from them happens in live_calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crm_store.signals import CallQueued
from cti.calls.call_state import (
    STAND_IN_CONTEXT,
    STATE_DOWN,
    STATE_RINGING,
    STATE_UP,
    Call,
    Channel,
    age_of,
    known_number,
)
from cti.calls.live_calls import CallLeave, LiveCalls

Message = Mapping[str, str]
Resolve = Callable[[Message], Channel | None]

OUTGOING_APPLICATIONS: Final = ("AppDial", "AppDial2", "AppQueue")
"""What the leg that was dialled runs; the leg that dials runs Dial or Queue."""
WAITING_ROOMS: Final = ("Park", "Parked Call", "BridgeWait")
"""Applications whose bridges hold people who do not hear each other."""
VOICEMAIL_APPLICATIONS: Final = ("VoiceMail", "Voicemail")
MENU_APPLICATION: Final = "AGI"
"""What a caller runs who is in a phone menu of the service."""
UNKNOWN_CAUSE: Final = "ended while the link was down"


@dataclass(frozen=True, slots=True)
class AsteriskLists:
    """The events that CoreShowChannels, QueueStatus and ParkedCalls answer with."""

    channels: Sequence[Message]
    queue_status: Sequence[Message]
    parked_calls: Sequence[Message]


def rebuild(
    live: LiveCalls, resolve: Resolve, park: Callable[[Message], None], lists: AsteriskLists
) -> None:
    """Make `live` what the lists say; signals are gathered there. `live.at` is the time now."""
    for row in lists.queue_status:
        if row.get("Event") == "QueueMember":
            interface, name = row.get("Location", ""), row.get("Name", "")
            live.parties.learn(interface, name, row.get("StateInterface", ""))
    legs = _legs(live, resolve, lists.channels)
    for leg, row in legs:
        _see_channel(live, leg, row)
    _see_parked(live, lists.parked_calls, park)
    waiting = _waiting_calls(live, lists.queue_status)
    left = [c for c in live.calls.values() if c.waiting and c.linkedid not in waiting]
    for call in left:
        call.waiting = False
    for linkedid, entry in waiting.items():
        _see_waiting(live, live.calls[linkedid], entry)
    for leg, _ in legs:
        _see_dialled(live, leg)
    for leg, row in legs:
        _see_bridge(live, leg, row)
    for leg, _ in legs:
        _see_talking(live, leg)
    for call in left:
        live.leave_queue(call, CallLeave.ANSWERED if call.talking else CallLeave.TIMEOUT)
    for call in list(live.calls.values()):
        live.goes_on(call)
        if call.untold and call.callback_id is None:
            live.tell_started(call)


def _legs(
    live: LiveCalls, resolve: Resolve, channels: Iterable[Message]
) -> list[tuple[Channel, Message]]:
    """The channels listed, each with its row; those that are not listed have ended."""
    rows = sorted((row for row in channels if row.get("Uniqueid")), key=_oldest_first)
    legs: list[tuple[Channel, Message]] = []
    for row in rows:
        live.ended_channels.discard(row["Uniqueid"])
        live.ended_calls.discard(row.get("Linkedid", ""))
        leg = resolve(row)
        if leg is not None:
            legs.append((leg, row))
    # Only now: a call whose known legs have ended may go on with one that is news.
    alive = {row["Uniqueid"] for row in rows}
    for channel in list(live.channels.values()):
        if channel.uniqueid not in alive:
            live.drop_channel(channel, UNKNOWN_CAUSE, "")
    return legs


def _oldest_first(row: Message) -> tuple[bool, tuple[float, int]]:
    """A call's first leg is the one whose Uniqueid is the Linkedid, or the oldest one left."""
    return row["Uniqueid"] != row.get("Linkedid"), age_of(row["Uniqueid"])


def _see_channel(live: LiveCalls, channel: Channel, row: Message) -> None:
    call = channel.call
    state, application = row.get("ChannelState"), row.get("Application", "")
    channel.rename(row.get("Channel", channel.name))
    channel.up = state == STATE_UP
    channel.ringing = state == STATE_RINGING
    first = channel.uniqueid == call.first_uniqueid
    if state == STATE_DOWN:
        # Only about to be rung, which is certain for a known phone alone.
        rung = not first and channel.endpoint in live.parties.members
    else:
        rung = application in OUTGOING_APPLICATIONS or channel.ringing
    channel.dialled = channel.dialled or rung
    if application in VOICEMAIL_APPLICATIONS:
        call.voicemail = True
    if first:
        call.in_menu = application == MENU_APPLICATION
    stands_in = call.callback_id is not None and row.get("Context") == STAND_IN_CONTEXT
    if stands_in:
        call.callee = known_number(row.get("CallerIDNum", "")) or call.callee
    if application == "Queue" and not call.queue and (first or stands_in):
        call.queue = row.get("ApplicationData", "").partition(",")[0]
    if not first:
        return
    call.first_was_up = call.first_was_up or channel.up
    age = seconds_of(row.get("Duration", ""))
    if call.started_at == live.at and live.at is not None and age is not None:
        call.started_at = live.at - age


def _see_parked(
    live: LiveCalls, parked_calls: Iterable[Message], park: Callable[[Message], None]
) -> None:
    parked = list(parked_calls)
    still_parked = {row.get("ParkeeUniqueid") for row in parked}
    for call in live.calls.values():
        if call.parked and not still_parked.intersection(call.channels):
            call.parked = call.parked_by = ""
    for row in parked:
        if row.get("ParkeeUniqueid") in live.channels:
            park(row)


def _waiting_calls(live: LiveCalls, queue_status: Iterable[Message]) -> dict[str, Message]:
    """The queue entries by the Linkedid of the call that waits."""
    waiting: dict[str, Message] = {}
    for row in queue_status:
        channel = live.channels.get(row.get("Uniqueid", ""))
        if row.get("Event") == "QueueEntry" and channel is not None:
            waiting[channel.call.linkedid] = row
    return waiting


def _see_waiting(live: LiveCalls, call: Call, entry: Message) -> None:
    queue, position = entry.get("Queue", ""), entry.get("Position", "")
    if call.waiting and call.queue == queue:
        return
    if call.waiting:
        live.leave_queue(call, CallLeave.TIMEOUT)
    live.join_queue(call, queue, call.callee)
    waited = entry.get("Wait", "")
    if live.at is not None and waited.isdecimal():
        call.joined_at = live.at - int(waited)
    live.emit(
        CallQueued,
        call,
        queue=call.queue,
        caller=live.customer(call),
        position=int(position) if position.isdecimal() else 0,
    )


def _see_dialled(live: LiveCalls, channel: Channel) -> None:
    call = channel.call
    if channel.local or not channel.dialled:
        return
    if channel.uniqueid in call.offers:
        if channel.up:
            live.answered(channel)
        return
    is_phone = live.parties.is_dialled_phone(channel.endpoint, channel.number, "")
    first = call.first
    began_here = first is channel or (first is not None and first.local and call.untold)
    began_here = began_here and call.callback_id is None
    if began_here and call.first_is_phone is None:
        live.originated(channel, is_phone, channel.number)
    elif not is_phone and not began_here:
        call.dialled_number = call.dialled_number or channel.number
    if is_phone and channel.up:
        if channel.endpoint not in call.rang:
            call.rang.append(channel.endpoint)
        call.dialled_phone = call.dialled_phone or channel.uniqueid != call.first_uniqueid
    elif is_phone:
        live.offer(channel, "", "")


def _see_bridge(live: LiveCalls, channel: Channel, row: Message) -> None:
    bridge, application = row.get("BridgeId", ""), row.get("Application")
    if channel.bridge and channel.bridge != bridge:
        live.leave_bridge(channel)
    if bridge and not channel.call.parked and application not in WAITING_ROOMS:
        live.enter_bridge(channel, bridge, application == "ConfBridge")


def _see_talking(live: LiveCalls, channel: Channel) -> None:
    """Whoever hears somebody of the call and was not there before has taken it."""
    call = channel.call
    if channel.local or channel.uniqueid == call.first_uniqueid or channel.uniqueid in call.offers:
        return
    others = live.bridges.get(channel.bridge, {}).values()
    if any(other is not channel and other.call is call for other in others):
        live.answered(channel)


def seconds_of(duration: str) -> int | None:
    """`01:02:03` as seconds; None for anything else."""
    parts = duration.split(":")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return None
    hours, minutes, seconds = map(int, parts)
    return hours * 3600 + minutes * 60 + seconds
