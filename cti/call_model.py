"""The call model: AMI messages in, signals out; one call per Linkedid, merged as Asterisk does.

Owns what is true of every call in progress on one PBX. It is sans-IO: no socket, no clock, no
database, so a recorded stream replays exactly. It refuses to know customers, agents' states and
queues' numbers. A message that is odd, repeated or missing costs a detail, never the model: nothing
raises, and a call whose channels are gone is gone.

Asterisk's own words are kept: a *channel* is one leg, a *call* all channels with one Linkedid, an
*offer* an agent's phone being rung for a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from crm_store.signals import (
    CallHeld,
    CallParked,
    CallQueued,
    CallResumed,
    Outcome,
    Signal,
)
from cti.call_rebuild import rebuild
from cti.call_state import (
    MAX_KEYED,
    Call,
    Channel,
    ChannelSnapshot,
    Offer,
    PartyGuess,
    known_number,
)
from cti.live_calls import LiveCalls

Message = Mapping[str, str]

STATE_DOWN: Final = "0"
STATE_RINGING: Final = "5"
STATE_UP: Final = "6"
VOICEMAIL_APPLICATIONS: Final = ("VoiceMail", "Voicemail")
QUEUE_RESULTS: Final = {
    "TIMEOUT": Outcome.TIMEOUT,
    "FULL": Outcome.EXIT,
    "JOINEMPTY": Outcome.EXIT,
    "JOINUNAVAIL": Outcome.EXIT,
    "LEAVEEMPTY": Outcome.EXIT,
    "LEAVEUNAVAIL": Outcome.EXIT,
    "WITHDRAW": Outcome.EXIT,
}
NO_SIGNALS: Final[Sequence[Signal]] = ()


class CallModel:
    """All calls of one PBX. Feed it messages in the order they were read.

    `phones` and `trunks` are endpoints known from configuration; without them the model tells
    agents' phones from the telephone network as well as names and numbers allow.
    """

    def __init__(
        self, pbx: str = "", phones: Mapping[str, str] | None = None, trunks: Iterable[str] = ()
    ) -> None:
        self.parties = PartyGuess(phones or {}, trunks)
        self._live = LiveCalls(pbx, self.parties)
        self._hangup_requests_seen = False
        self._handlers: dict[str, Callable[[Message], None]] = {
            event: getattr(self, f"_on_{name}") for event, name in EVENTS.items()
        }

    @property
    def calls(self) -> Mapping[str, Call]:
        """The calls in progress, by Linkedid. Only look."""
        return self._live.calls

    def feed(self, message: Message) -> Sequence[Signal]:
        """Take one AMI message; return what it means, in order. Never raises on any message."""
        handler = self._handlers.get(message.get("Event", ""))
        if handler is None:
            return NO_SIGNALS
        stamp = message.get("Timestamp")
        try:
            self._live.at = float(stamp) if stamp else None
        except ValueError:
            self._live.at = None
        handler(message)
        return self._live.take_signals() if self._live.signals else NO_SIGNALS

    def rebuild(
        self,
        channels: Iterable[Message],
        queue_status: Iterable[Message],
        parked_calls: Iterable[Message],
        at: float | None,
    ) -> Sequence[Signal]:
        """Become what Asterisk lists; what it can't say is kept of the calls known before.

        The arguments are the events that CoreShowChannels, QueueStatus and ParkedCalls answer with.
        """
        self._live.at = at
        parked = list(parked_calls)
        still_parked = {row.get("ParkeeUniqueid") for row in parked}
        for call in self._live.calls.values():
            if call.parked and not still_parked.intersection(call.channels):
                call.parked = call.parked_by = ""
        for row in parked:
            self._on_parked(row)
        rebuild(self._live, self._channel, channels, queue_status)
        return self._live.take_signals()

    def finish(self, cause: str = "the stream ended") -> Sequence[Signal]:
        """End every call that is still open: the stream, or the PBX, is gone."""
        for channel in list(self._live.channels.values()):
            self._live.drop_channel(channel, cause, "")
        return self._live.take_signals()

    def _channel(self, message: Message, role: str = "") -> Channel | None:
        """The channel that a message speaks of in a role ("", "Dest", …), made if it is news.

        Each such message is a whole snapshot, so a lost Newchannel costs nothing; and it carries
        the Linkedid as it is now, so merges are seen at once.
        """
        live = self._live
        uniqueid = message.get(role + "Uniqueid")
        if not uniqueid or uniqueid in live.ended_channels:
            return None
        linkedid = message.get(role + "Linkedid") or uniqueid
        channel = live.channels.get(uniqueid)
        if channel is not None and channel.call.linkedid == linkedid:
            return channel
        linkedid = live.merged.get(linkedid, linkedid)
        if channel is None:
            if linkedid in live.ended_calls:
                return None
            return live.add_channel(snapshot_of(message, role, uniqueid, linkedid))
        if channel.call.linkedid != linkedid:
            live.move_channel(channel, snapshot_of(message, role, uniqueid, linkedid))
        return channel

    def _on_channel_created(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None or channel.dialled:
            return
        call = channel.call
        if message.get("ChannelState") != STATE_DOWN:
            return
        if channel.uniqueid == call.first_uniqueid:
            call.originated = channel.originated = not channel.local
        elif channel.endpoint in self._live.parties.members:
            # Created to be rung: this event leaves Asterisk before the INVITE does.
            channel.dialled = True
            self._live.offer(channel, "", "")

    def _on_state(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None:
            return
        state = message.get("ChannelState")
        if state == STATE_RINGING:
            channel.ringing = True
        elif state == STATE_UP:
            channel.up = True
            if channel.uniqueid == channel.call.first_uniqueid:
                channel.call.first_was_up = True

    def _on_rename(self, message: Message) -> None:
        channel = self._live.channels.get(message.get("Uniqueid", ""))
        if channel is not None:
            channel.rename(message.get("Newname", channel.name))

    def _on_hangup_request(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None:
            return
        self._hangup_requests_seen = True
        channel.hangup_cause = message.get("Cause") or "16"
        if channel.uniqueid == channel.call.first_uniqueid:
            channel.call.first_hung_up = True

    def _on_hangup(self, message: Message) -> None:
        channel = self._live.channels.get(message.get("Uniqueid", ""))
        if channel is None:
            self._live.ended_channels.add(message.get("Uniqueid", ""))
            return
        self._channel(message)
        self._live.drop_channel(channel, message.get("Cause-txt", ""), message.get("Cause", ""))

    def _on_dial_begin(self, message: Message) -> None:
        dialler = self._channel(message)
        channel = self._channel(message, "Dest")
        if channel is None:
            return
        call = channel.call
        self._live.still_alive(call)
        channel.originated = dialler is None
        if channel.local:
            channel.dialled = True
            return
        dial_string = message.get("DialString", "")
        if self._live.parties.is_dialled_phone(channel.endpoint, channel.number, dial_string):
            queue, agent = self._local_member(dialler)
            if not channel.dialled or channel.uniqueid not in call.offers:
                self._live.offer(channel, queue, agent)
        else:
            number = dial_string.rpartition("/")[2].partition("@")[0]
            call.dialled_number = number or channel.number or channel.endpoint
        channel.dialled = True

    def _on_dial_end(self, message: Message) -> None:
        self._channel(message)
        channel = self._channel(message, "Dest")
        if channel is None:
            return
        call = channel.call
        status = message.get("DialStatus", "")
        if status == "ANSWER":
            channel.up = True
            if not channel.local:
                self._live.answered(channel)
            return
        if not channel.originated or call.dial_status == "":
            call.dial_status = status
        offer = call.offers.get(channel.uniqueid)
        if offer is not None and offer.open:
            forwarded = bool(message.get("Forward"))
            cause = "forwarded" if forwarded else self._live.why_not_answered(channel, status)
            self._live.end_offer(call, offer, cause)

    def _on_queue_join(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None:
            return
        call, queue = channel.call, message.get("Queue", "")
        if call.waiting and call.queue == queue:
            return
        self._live.join_queue(call, queue)
        position = message.get("Position", "")
        self._live.emit(
            CallQueued,
            call,
            queue=queue,
            caller=call.caller,
            position=int(position) if position.isdecimal() else 0,
        )

    def _on_queue_abandon(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is not None:
            channel.call.abandon_seen = True

    def _on_queue_leave(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None or not channel.call.waiting:
            return
        call = channel.call
        if any(offer.answered and offer.queue == call.queue for offer in call.offers.values()):
            self._live.leave_queue(call, Outcome.ANSWERED)
        elif not call.abandon_seen:
            self._live.leave_queue(call, Outcome.EXIT)
        elif call.first_hung_up or not self._hangup_requests_seen:
            self._live.leave_queue(call, Outcome.ABANDONED)
        else:
            self._live.leave_queue(call, Outcome.TIMEOUT)

    def _on_variable(self, message: Message) -> None:
        if message.get("Variable") != "QUEUESTATUS":
            return
        channel = self._channel(message)
        result = QUEUE_RESULTS.get(message.get("Value", ""))
        if channel is not None and result is not None:
            channel.call.queue_exit = result

    def _on_agent_called(self, message: Message) -> None:
        self._channel(message)
        channel = self._channel(message, "Dest")
        if channel is None:
            return
        queue, interface = message.get("Queue", ""), message.get("Interface", "")
        agent = message.get("MemberName", "")
        agent = "" if agent == interface else agent
        self._live.parties.learn(interface, agent)
        if channel.local:
            channel.call.local_members[_local_pair(channel.name)] = (queue, agent)
        elif channel.uniqueid not in channel.call.offers:
            channel.dialled = True
            self._live.offer(channel, queue, agent)

    def _local_member(self, dialler: Channel | None) -> tuple[str, str]:
        """Queue and agent of the member whose Local channel dials the real phone."""
        if dialler is None or not dialler.local:
            return "", ""
        return dialler.call.local_members.get(_local_pair(dialler.name), ("", ""))

    def _on_agent_connect(self, message: Message) -> None:
        self._channel(message)
        channel = self._channel(message, "Dest")
        if channel is not None and not channel.local:
            if channel.uniqueid not in channel.call.offers:
                agent = message.get("MemberName", "")
                self._live.offer(channel, message.get("Queue", ""), agent)
            self._live.answered(channel)

    def _on_ring_no_answer(self, message: Message) -> None:
        channel = self._channel(message, "Dest")
        offer = channel.call.offers.get(channel.uniqueid) if channel is not None else None
        if channel is not None and offer is not None and offer.open:
            self._live.end_offer(
                channel.call, offer, self._live.why_not_answered(channel, "NOANSWER")
            )

    def _on_member(self, message: Message) -> None:
        self._live.parties.learn(message.get("Interface", ""), message.get("MemberName", ""))

    def _on_bridge_enter(self, message: Message) -> None:
        channel = self._channel(message)
        bridge = message.get("BridgeUniqueid", "")
        if channel is not None and bridge and message.get("BridgeTechnology") != "holding_bridge":
            self._live.enter_bridge(channel, bridge)

    def _on_bridge_leave(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is not None and channel.bridge == message.get("BridgeUniqueid"):
            self._live.leave_bridge(channel)

    def _on_hold(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is not None and not channel.held:
            channel.held = True
            self._live.emit(CallHeld, channel.call, endpoint=channel.endpoint)

    def _on_unhold(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is not None and channel.held:
            channel.held = False
            self._live.emit(CallResumed, channel.call, endpoint=channel.endpoint)

    def _on_parked(self, message: Message) -> None:
        channel = self._channel(message, "Parkee")
        space = message.get("ParkingSpace", "")
        if channel is None or channel.call.parked == space:
            return
        call = channel.call
        call.parked = space
        call.parked_by = message.get("ParkerDialString", "").replace("local:", "")
        self._live.emit(CallParked, call, endpoint=call.parked_by, space=space)

    def _on_unparked(self, message: Message) -> None:
        channel = self._channel(message, "Parkee")
        if channel is None:
            return
        call = channel.call
        retriever = self._channel(message, "Retriever")
        if call.parked and retriever is not None and retriever.endpoint != call.parked_by:
            self._live.transferred(call, call.parked_by, retriever.endpoint, "parked")
        call.parked = call.parked_by = ""

    def _on_parking_ended(self, message: Message) -> None:
        channel = self._channel(message, "Parkee")
        if channel is not None:
            channel.call.parked = channel.call.parked_by = ""

    def _on_blind_transfer(self, message: Message) -> None:
        transferer = self._channel(message, "Transferer")
        transferee = self._channel(message, "Transferee")
        if message.get("Result", "Success") != "Success":
            return
        channel = transferee or transferer
        if channel is not None:
            endpoint = transferer.endpoint if transferer is not None else ""
            self._live.transferred(channel.call, endpoint, message.get("Extension", ""), "blind")
            channel.call.transfer_open = True

    def _on_attended_transfer(self, message: Message) -> None:
        first = self._channel(message, "OrigTransferer")
        second = self._channel(message, "SecondTransferer")
        transferee = self._channel(message, "Transferee")
        target = self._channel(message, "TransferTarget")
        if message.get("Result", "Success") != "Success":
            return
        channel = transferee or first
        if channel is None:
            return
        consulted = second.call if second is not None else channel.call
        endpoint = first.endpoint if first is not None else ""
        offers = [offer for offer in consulted.offers.values() if offer.endpoint != endpoint]
        if target is not None and not target.local:
            reached = target.endpoint
        else:
            reached = offers[-1].endpoint if offers else consulted.callee
        talking = any(offer.answered for offer in offers)
        self._live.transferred(
            channel.call, endpoint, reached, "attended" if talking or not offers else "blonde"
        )

    def _on_pickup(self, message: Message) -> None:
        picker = self._channel(message)
        target = self._channel(message, "Target")
        if target is None or picker is None:
            return
        call = target.call
        offer = call.offers.get(target.uniqueid)
        if offer is not None and offer.open:
            self._live.end_offer(call, offer, "answered_elsewhere")
        queue = offer.queue if offer is not None else ""
        agent = self._live.parties.members.get(picker.endpoint, "")
        call.offers[target.uniqueid] = Offer(picker.endpoint, agent, queue)
        self._live.answered(target)

    def _on_digit(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None or message.get("Direction") != "Received" or channel.bridge:
            return
        call = channel.call
        if channel.uniqueid == call.first_uniqueid and len(call.keyed) < MAX_KEYED:
            call.keyed += message.get("Digit", "")

    def _on_application(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None:
            return
        if message.get("Application") in VOICEMAIL_APPLICATIONS:
            channel.call.voicemail = True
        self._live.still_alive(channel.call)


def snapshot_of(message: Message, role: str, uniqueid: str, linkedid: str) -> ChannelSnapshot:
    """A channel as Asterisk describes it in the headers of one role."""
    exten = message.get(role + "Exten", "")
    state = message.get(role + "ChannelState")
    return ChannelSnapshot(
        uniqueid=uniqueid,
        linkedid=linkedid,
        name=message.get(role + "Channel", ""),
        number=known_number(message.get(role + "CallerIDNum", "")),
        caller_name=known_number(message.get(role + "CallerIDName", "")),
        context=message.get(role + "Context", ""),
        exten="" if exten == "s" else exten,
        down=state == STATE_DOWN,
        up=state == STATE_UP,
    )


def _local_pair(name: str) -> str:
    """Both halves of a Local channel share their name up to `;1` and `;2`."""
    return name.rpartition(";")[0]


EVENTS: Final = {
    "Newchannel": "channel_created",
    "Newstate": "state",
    "Rename": "rename",
    "HangupRequest": "hangup_request",
    "SoftHangupRequest": "hangup_request",
    "Hangup": "hangup",
    "DialBegin": "dial_begin",
    "DialEnd": "dial_end",
    "QueueCallerJoin": "queue_join",
    "QueueCallerAbandon": "queue_abandon",
    "QueueCallerLeave": "queue_leave",
    "VarSet": "variable",
    "AgentCalled": "agent_called",
    "AgentConnect": "agent_connect",
    "AgentRingNoAnswer": "ring_no_answer",
    "QueueMember": "member",
    "QueueMemberAdded": "member",
    "QueueMemberStatus": "member",
    "BridgeEnter": "bridge_enter",
    "BridgeLeave": "bridge_leave",
    "Hold": "hold",
    "Unhold": "unhold",
    "ParkedCall": "parked",
    "UnParkedCall": "unparked",
    "ParkedCallTimeOut": "parking_ended",
    "ParkedCallGiveUp": "parking_ended",
    "BlindTransfer": "blind_transfer",
    "AttendedTransfer": "attended_transfer",
    "Pickup": "pickup",
    "DTMFEnd": "digit",
    "Newexten": "application",
}
WANTED_EVENTS: Final = frozenset(EVENTS)
"""The names of the events that the model reads; all others may be dropped unparsed."""
