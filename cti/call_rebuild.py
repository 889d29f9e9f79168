"""The calls as Asterisk lists them: what a model is rebuilt from after each connect.

Asterisk replays nothing, so recovery is the start path: CoreShowChannels, QueueStatus and
ParkedCalls say what is. What they cannot say (who was rung before, since when somebody talks) is
kept of calls that were known before, and guessed from a channel's age for the others. Owns the
reading of those lists; what follows from them happens in live_calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from crm_store.signals import CallQueued
from cti.call_state import Call, Channel
from cti.live_calls import CallLeave, LiveCalls

Message = Mapping[str, str]
Resolve = Callable[[Message], Channel | None]

OUTGOING_APPLICATIONS = ("AppDial", "AppDial2", "AppQueue")
"""What the leg that was dialled runs; the leg that dials runs Dial or Queue."""
UNKNOWN_CAUSE = "ended while the link was down"


def rebuild(
    live: LiveCalls, resolve: Resolve, channels: Iterable[Message], queue_status: Iterable[Message]
) -> None:
    """Make `live` what the lists say; signals are gathered there. `live.at` is the time now."""
    rows = [row for row in channels if row.get("Uniqueid")]
    rows.sort(key=lambda row: row["Uniqueid"] != row.get("Linkedid"))
    alive = {row["Uniqueid"] for row in rows}
    for channel in list(live.channels.values()):
        if channel.uniqueid not in alive:
            live.drop_channel(channel, UNKNOWN_CAUSE, "")
    pairs: list[tuple[Channel, Message]] = []
    for row in rows:
        live.ended_channels.discard(row["Uniqueid"])
        live.ended_calls.discard(row.get("Linkedid", ""))
        seen = resolve(row)
        if seen is not None:
            pairs.append((seen, row))
    for channel, row in pairs:
        _see_channel(live, channel, row)
    _see_queues(live, [row for row in queue_status if row.get("Event") == "QueueEntry"])
    for channel, row in pairs:
        _see_offer(live, channel, row)
    for channel, row in pairs:
        _see_bridge(live, channel, row)


def _see_channel(live: LiveCalls, channel: Channel, row: Message) -> None:
    channel.rename(row.get("Channel", channel.name))
    channel.up = row.get("ChannelState") == "6"
    channel.ringing = row.get("ChannelState") == "5"
    channel.dialled = channel.dialled or row.get("Application") in OUTGOING_APPLICATIONS
    call = channel.call
    if channel.uniqueid == call.first_uniqueid:
        call.first_was_up = call.first_was_up or channel.up
        age = seconds_of(row.get("Duration", ""))
        if call.started_at == live.at and live.at is not None and age is not None:
            call.started_at = live.at - age


def _see_queues(live: LiveCalls, entries: Sequence[Message]) -> None:
    waiting: dict[str, Message] = {}
    for row in entries:
        channel = live.channels.get(row.get("Uniqueid", ""))
        if channel is not None:
            waiting[channel.call.linkedid] = row
    for call in list(live.calls.values()):
        entry = waiting.get(call.linkedid)
        if call.waiting and (entry is None or entry.get("Queue") != call.queue):
            talking = any(offer.answered for offer in call.offers.values())
            live.leave_queue(call, CallLeave.ANSWERED if talking else CallLeave.TIMEOUT)
        if entry is not None and not call.waiting:
            _join(live, call, entry)


def _join(live: LiveCalls, call: Call, entry: Message) -> None:
    waited = entry.get("Wait", "")
    position = entry.get("Position", "")
    live.join_queue(call, entry.get("Queue", ""))
    if live.at is not None and waited.isdecimal():
        call.joined_at = live.at - int(waited)
    live.emit(
        CallQueued,
        call,
        queue=call.queue,
        caller=call.caller,
        position=int(position) if position.isdecimal() else 0,
    )


def _see_offer(live: LiveCalls, channel: Channel, row: Message) -> None:
    call = channel.call
    if channel.local or not channel.dialled or channel.up or channel.uniqueid in call.offers:
        return
    dial = row.get("ApplicationData", "")
    if live.parties.is_dialled_phone(channel.endpoint, channel.number, dial.partition("(")[0]):
        live.offer(channel, "", "")
    else:
        call.dialled_number = call.dialled_number or channel.number


def _see_bridge(live: LiveCalls, channel: Channel, row: Message) -> None:
    bridge = row.get("BridgeId", "")
    if channel.bridge and channel.bridge != bridge:
        live.leave_bridge(channel)
    if bridge and not channel.call.parked and row.get("Application") != "Park":
        live.enter_bridge(channel, bridge)


def seconds_of(duration: str) -> int | None:
    """`01:02:03` as seconds; None for anything else."""
    parts = duration.split(":")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return None
    hours, minutes, seconds = map(int, parts)
    return hours * 3600 + minutes * 60 + seconds
