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
    CallQueued,
    CallResumed,
    Signal,
)
from cti.calls.call_rebuild import (
    MENU_APPLICATION,
    VOICEMAIL_APPLICATIONS,
    AsteriskLists,
    rebuild,
)
from cti.calls.call_state import (
    FAX_PREFIX,
    MAX_KEYED,
    PREFERRED_CONTEXT,
    STATE_DOWN,
    STATE_RINGING,
    STATE_UP,
    Call,
    CallNow,
    Channel,
    PartyGuess,
    age_of,
    known_number,
    local_pair,
    snapshot_of,
)
from cti.calls.handovers import Handovers
from cti.calls.live_calls import QUEUE_EXITS, CallLeave, LiveCalls

Message = Mapping[str, str]

QUEUE_RESULTS: Final = {
    "TIMEOUT": CallLeave.TIMEOUT,
    "FULL": CallLeave.EXIT,
    "JOINEMPTY": CallLeave.EXIT,
    "JOINUNAVAIL": CallLeave.EXIT,
    "LEAVEEMPTY": CallLeave.EXIT,
    "LEAVEUNAVAIL": CallLeave.EXIT,
    "WITHDRAW": CallLeave.EXIT,
}
PLACE_VARIABLE: Final = "QUEUE_PRIO"
"""A caller's place in a queue, set before they come to it."""

NO_SIGNALS: Final[Sequence[Signal]] = ()


class CallModel:
    """All calls of one PBX. Feed it messages in the order they were read.

    `phones` and `trunks` are endpoints known from configuration; without them the model tells
    agents' phones from the telephone network as well as names and numbers allow.
    """

    def __init__(
        self,
        pbx: str = "",
        phones: Mapping[str, str] | None = None,
        trunks: Iterable[str] = (),
        outside_line: str = "",
    ) -> None:
        self.parties = PartyGuess(phones or {}, trunks, outside_line)
        self._live = LiveCalls(pbx, self.parties)
        self._hangup_requests_seen = False
        handovers = Handovers(self._live, self._channel)
        self._handlers: dict[str, Callable[[Message], None]] = {
            event: getattr(self, f"_on_{name}") for event, name in EVENTS.items()
        } | {event: getattr(handovers, f"on_{name}") for event, name in HANDOVERS.items()}
        self._on_parked = handovers.on_parked

    @property
    def calls(self) -> Mapping[str, Call]:
        """The calls in progress, by Linkedid. Only look."""
        return self._live.calls

    def now(self) -> list[CallNow]:
        """The calls in progress as they are at this moment."""
        return [self._live.now(call) for call in self._live.calls.values()]

    def feed(self, message: Message) -> Sequence[Signal]:
        """Take one AMI message; return what it means, in order. Never raises on any message."""
        handler = self._handlers.get(message.get("Event", ""))
        if handler is None:
            return NO_SIGNALS
        live = self._live
        live.stamp = message.get("Timestamp")
        handler(message)
        return live.take_signals() if live.signals else NO_SIGNALS

    def rebuild(self, lists: AsteriskLists, at: float | None = None) -> Sequence[Signal]:
        """Become what Asterisk lists; what it can't say is kept of the calls known before.

        `at` is the moment of the lists on the PBX's clock; None: that of the last message.
        """
        if at is not None:
            self._live.stamp = at
        rebuild(self._live, self._channel, self._on_parked, lists)
        return self._live.take_signals()

    def will_hang_up(self, channel: Channel, cause: int) -> None:
        """We hang this leg up ourselves, for that Q.850 cause: Asterisk names it too late to tell
        a ring that we ended from one that nobody answered."""
        channel.hangup_cause = str(cause)

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
        uniqueid = message.get(role + "Uniqueid", "")
        linkedid = message.get(role + "Linkedid")
        channel = live.channels.get(uniqueid)
        if channel is not None and (not linkedid or channel.call.linkedid == linkedid):
            return channel
        if not uniqueid or uniqueid in live.ended_channels or uniqueid.startswith(FAX_PREFIX):
            return None
        linkedid = live.merged.get(linkedid or uniqueid, linkedid or uniqueid)
        if channel is None:
            if linkedid in live.ended_calls:
                return None
            return live.add_channel(snapshot_of(message, role, uniqueid, linkedid))
        # Asterisk only ever gives a channel an older Linkedid; a younger one is yesterday's news.
        if channel.call.linkedid != linkedid and age_of(linkedid) <= age_of(channel.call.linkedid):
            live.move_channel(channel, snapshot_of(message, role, uniqueid, linkedid))
        return channel

    def _on_channel_created(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None or channel.dialled or message.get("ChannelState") != STATE_DOWN:
            return
        call = channel.call
        known = channel.endpoint in self._live.parties.members
        told = not call.untold or call.callback_id is not None
        if known and channel.uniqueid != call.first_uniqueid and told:
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
            if not channel.dialled and not channel.local:
                self._rings_unannounced(channel)
        elif state == STATE_UP:
            channel.up = True
            if channel.uniqueid == channel.call.first_uniqueid:
                channel.call.first_was_up = True

    def _rings_unannounced(self, channel: Channel) -> None:
        """A leg rings whose DialBegin was lost, or is still to come."""
        call = channel.call
        is_phone = self._live.parties.is_dialled_phone(channel.endpoint, channel.number, "")
        if channel.uniqueid == call.first_uniqueid:
            self._live.originated(channel, is_phone, channel.number)
        if is_phone:
            channel.dialled = True
            self._live.offer(channel, "", "")

    def _on_rename(self, message: Message) -> None:
        channel = self._live.channels.get(message.get("Uniqueid", ""))
        if channel is not None:
            channel.rename(message.get("Newname", channel.name))

    def _on_hangup_request(self, message: Message) -> None:
        """The far end of the leg hung up, or refused."""
        channel = self._channel(message)
        if channel is None:
            return
        self._hangup_requests_seen = True
        channel.hangup_cause = message.get("Cause") or "16"
        if channel.uniqueid == channel.call.first_uniqueid:
            channel.call.first_hung_up = True

    def _on_soft_hangup(self, message: Message) -> None:
        """Asterisk hangs the leg up: the dialplan ended, or somebody told it to."""
        channel = self._channel(message)
        if channel is None:
            return
        channel.hangup_cause = channel.hangup_cause or message.get("Cause") or "16"
        call = channel.call
        wanted = call.waiting or any(offer.open for offer in call.offers.values())
        if wanted and channel.uniqueid == call.first_uniqueid:
            call.first_hung_up = True

    def _on_hangup(self, message: Message) -> None:
        channel = self._live.channels.get(message.get("Uniqueid", ""))
        if channel is None:
            self._live.ended_channels.add(message.get("Uniqueid", ""))
            return
        self._channel(message)
        call = channel.call
        if call.leave_unexplained and channel.uniqueid == call.first_uniqueid:
            known = self._hangup_requests_seen
            self._live.leave_queue(call, CallLeave.TIMEOUT if known else CallLeave.ABANDONED)
        self._live.drop_channel(channel, message.get("Cause-txt", ""), message.get("Cause", ""))

    def _on_dial_begin(self, message: Message) -> None:
        dialler = self._channel(message)
        channel = self._channel(message, "Dest")
        if channel is None:
            return
        call = channel.call
        self._live.goes_on(call)
        already, channel.dialled = channel.dialled, True
        if channel.local:
            return
        dial_string = message.get("DialString", "")
        is_phone = self._live.parties.is_dialled_phone(
            channel.endpoint, channel.number, dial_string
        )
        number = dial_string.rpartition("/")[2].partition("@")[0].removeprefix("sip:")
        number = number or channel.number or channel.endpoint
        via = local_pair(dialler.name) if dialler is not None and dialler.local else ""
        if call.callback_id is not None:
            # A queue rings agents for the stand-in as for any caller.
            via = ""
        first = call.first
        if "Uniqueid" not in message or (
            via and first is not None and first.local and local_pair(first.name) == via
        ):
            self._live.originated(channel, is_phone, number)
        elif not is_phone:
            call.dialled_number = number
        if is_phone:
            queue, agent = call.local_members.get(via, ("", ""))
            offer = call.offers.get(channel.uniqueid) if already else None
            if offer is None:
                self._live.offer(channel, queue, agent, via)
            else:
                offer.via, offer.agent = via, offer.agent or agent
            if call.originated and not call.callee and channel.uniqueid != call.first_uniqueid:
                call.callee = channel.number
        if call.untold:
            self._live.tell_started(call)

    def _on_dial_end(self, message: Message) -> None:
        dialler = self._channel(message)
        channel = self._channel(message, "Dest")
        if channel is None:
            return
        if dialler is not None:
            # A picked-up call is answered by a leg that still has a Linkedid of its own.
            self._live.merge(channel.call, dialler.call)
        call = channel.call
        status = message.get("DialStatus", "")
        if status == "ANSWER":
            channel.up = True
            if not channel.local:
                first = call.first
                if call.originated and first is not None and not first.up and first.originated:
                    self._live.originated(channel, bool(call.first_is_phone), channel.number)
                self._live.answered(channel)
            return
        if not channel.originated or call.dial_status == "":
            call.dial_status = status
        offer = call.offers.get(channel.uniqueid)
        if offer is not None and offer.open:
            forwarded = bool(message.get("Forward"))
            why = self._live.why_not_answered(channel, offer, status)
            self._live.end_offer(call, offer, "forwarded" if forwarded else why)

    def _on_queue_join(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None:
            return
        call, queue = channel.call, message.get("Queue", "")
        if call.waiting and call.queue == queue:
            return
        if call.callback_id is not None:
            call.callee = known_number(message.get("CallerIDNum", "")) or call.callee
        self._live.join_queue(call, queue, message.get("Exten", ""))
        position = message.get("Position", "")
        self._live.emit(
            CallQueued,
            call,
            queue=queue,
            caller=self._live.customer(call),
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
        if any(offer.queue == call.queue for offer in call.talking):
            self._live.leave_queue(call, CallLeave.ANSWERED)
        elif not call.abandon_seen or call.callback_id is not None:
            self._live.leave_queue(call, CallLeave.EXIT)
        elif call.first_hung_up:
            self._live.leave_queue(call, CallLeave.ABANDONED)
        elif message.get("Exten", "") != call.joined_exten:
            self._live.leave_queue(call, CallLeave.TRANSFERRED)
        else:
            # Asterisk raises an abandon for a timeout too; it says which one a moment later.
            self._live.leave_queue_for_now(call)

    def _on_variable(self, message: Message) -> None:
        variable = message.get("Variable")
        if variable == PLACE_VARIABLE:
            self._on_place(message)
        if variable != "QUEUESTATUS":
            return
        channel = self._channel(message)
        if channel is None:
            return
        if message.get("Value") == "CONTINUE":
            if not channel.call.first_hung_up:
                self._live.goes_on_alone(channel.call)
            return
        result = QUEUE_RESULTS.get(message.get("Value", ""))
        if result is None:
            return
        if channel.call.leave_unexplained:
            self._live.leave_queue(channel.call, result)
        else:
            channel.call.queue_exit = QUEUE_EXITS[result]

    def _on_place(self, message: Message) -> None:
        """The caller is given a place: in a queue, or first to who served them last."""
        if message.get("Context") != PREFERRED_CONTEXT:
            return
        channel = self._channel(message)
        if channel is not None and not channel.call.waiting:
            channel.call.preferred_queue = message.get("Exten", "")

    def _on_agent_called(self, message: Message) -> None:
        self._channel(message)
        channel = self._channel(message, "Dest")
        if channel is None:
            return
        queue, interface = message.get("Queue", ""), message.get("Interface", "")
        agent = message.get("MemberName", "")
        agent = "" if agent == interface else agent
        self._live.parties.learn(interface, agent)
        call = channel.call
        if channel.local:
            via = local_pair(channel.name)
            call.local_members[via] = (queue, agent)
            for offer in call.offers.values():
                if offer.via == via:
                    offer.agent = offer.agent or agent
        elif channel.uniqueid not in call.offers:
            channel.dialled = True
            self._live.offer(channel, queue, agent)

    def _on_agent_connect(self, message: Message) -> None:
        caller = self._channel(message)
        channel = self._channel(message, "Dest")
        if channel is None or channel.local:
            return
        if caller is not None:
            self._live.merge(channel.call, caller.call)
        if channel.uniqueid not in channel.call.offers:
            self._live.offer(channel, message.get("Queue", ""), message.get("MemberName", ""))
        self._live.answered(channel)

    def _on_ring_no_answer(self, message: Message) -> None:
        channel = self._channel(message, "Dest")
        if channel is None:
            return
        call = channel.call
        via = local_pair(channel.name) if channel.local else None
        for uniqueid, offer in list(call.offers.items()):
            if offer.open and (offer.via == via or uniqueid == channel.uniqueid):
                leg = call.channels.get(uniqueid, channel)
                self._live.end_offer(
                    call, offer, self._live.why_not_answered(leg, offer, "NOANSWER")
                )

    def _on_member(self, message: Message) -> None:
        interface = message.get("Interface") or message.get("Location", "")
        name = message.get("MemberName") or message.get("Name", "")
        self._live.parties.learn(interface, name, message.get("StateInterface", ""))

    def _on_bridge_enter(self, message: Message) -> None:
        channel = self._channel(message)
        bridge = message.get("BridgeUniqueid", "")
        technology = message.get("BridgeTechnology")
        if channel is None or not bridge or technology == "holding_bridge":
            return
        replaced = self._live.channels.get(message.get("SwapUniqueid", ""))
        if replaced is not None and replaced.endpoint == channel.endpoint:
            self._live.take_over(replaced, channel)
        self._live.enter_bridge(channel, bridge, technology == "softmix")

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

    def _on_digit(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None or message.get("Direction") != "Received" or channel.bridge:
            return
        call = channel.call
        if call.in_menu:
            return
        if channel.uniqueid == call.first_uniqueid and len(call.keyed) < MAX_KEYED:
            call.keyed += message.get("Digit", "")

    def _on_application(self, message: Message) -> None:
        channel = self._channel(message)
        if channel is None:
            return
        application = message.get("Application")
        if application in VOICEMAIL_APPLICATIONS:
            channel.call.voicemail = True
        if application in VOICEMAIL_APPLICATIONS or application == MENU_APPLICATION:
            channel.call.in_menu = application == MENU_APPLICATION
        self._live.goes_on(channel.call)


EVENTS: Final = {
    "Newchannel": "channel_created",
    "Newstate": "state",
    "Rename": "rename",
    "HangupRequest": "hangup_request",
    "SoftHangupRequest": "soft_hangup",
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
    "DTMFEnd": "digit",
    "Newexten": "application",
}
HANDOVERS: Final = {
    "ParkedCall": "parked",
    "UnParkedCall": "unparked",
    "ParkedCallTimeOut": "parking_ended",
    "ParkedCallGiveUp": "parking_ended",
    "BlindTransfer": "blind_transfer",
    "AttendedTransfer": "attended_transfer",
    "Pickup": "pickup",
}
ROLES: Final = (
    "Dest",
    "Target",
    "Parkee",
    "Retriever",
    "Transferer",
    "Transferee",
    "OrigTransferer",
    "SecondTransferer",
    "TransferTarget",
)
"""Under these names an event describes its other channels."""
WANTED_EVENTS: Final = frozenset((*EVENTS, *HANDOVERS))
"""The names of the events that the model reads; all others may be dropped unparsed."""
ONLY_WITH: Final = {
    "VarSet": ("Variable: QUEUESTATUS", f"Variable: {PLACE_VARIABLE}"),
    "Newexten": tuple(
        f"Application: {name}" for name in (*VOICEMAIL_APPLICATIONS, MENU_APPLICATION)
    ),
}
"""Of these a PBX without event filters sends by far the most; a live link reads only these."""
READ_HEADERS: Final = frozenset(
    role + header
    for role in ("", *ROLES)
    for header in (
        "Uniqueid",
        "Linkedid",
        "Channel",
        "ChannelState",
        "CallerIDNum",
        "CallerIDName",
        "Context",
        "Exten",
    )
) | frozenset(
    (
        "Application",
        "BridgeTechnology",
        "BridgeUniqueid",
        "Cause",
        "Cause-txt",
        "DialStatus",
        "DialString",
        "Digit",
        "Direction",
        "Extension",
        "Forward",
        "Interface",
        "MemberName",
        "Newname",
        "ParkerDialString",
        "ParkingSpace",
        "Position",
        "Queue",
        "Result",
        "StateInterface",
        "SwapUniqueid",
        "Timestamp",
        "Value",
        "Variable",
    )
)
"""The headers that the model reads of any event."""
