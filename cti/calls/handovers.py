"""Handing a call on, as Asterisk words it: transfers, pickups and parking.

Owns the events in which a call goes from one phone to another. Refuses to know how a channel is
found (call_model does) and what follows for the call (live_calls does).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from crm_store.signals import CallParked
from cti.calls.call_state import Channel, Offer
from cti.calls.live_calls import LiveCalls

Message = Mapping[str, str]


class FindChannel(Protocol):
    """The channel that a message speaks of in a role ("Parkee", "Transferer", …)."""

    def __call__(self, message: Message, role: str = "") -> Channel | None: ...


class Handovers:
    """Reads the events of handing on, for the calls in `live`."""

    def __init__(self, live: LiveCalls, channel: FindChannel) -> None:
        self._live = live
        self._channel = channel

    def on_parked(self, message: Message) -> None:
        channel = self._channel(message, "Parkee")
        space = message.get("ParkingSpace", "")
        if channel is None or channel.call.parked == space:
            return
        call = channel.call
        call.parked = space
        call.parked_by = message.get("ParkerDialString", "").replace("local:", "")
        if call.parked_by in ("", channel.endpoint):
            # Parked by AMI, which names the caller as the one who parks.
            call.parked_by = call.last_talker
        if call.transfer_open:
            # A transfer to the parking extension hands the call to nobody.
            call.transfer_open, call.transferred_to = False, ""
        self._live.emit(CallParked, call, endpoint=call.parked_by, space=space)

    def on_unparked(self, message: Message) -> None:
        channel = self._channel(message, "Parkee")
        if channel is None:
            return
        retriever = self._channel(message, "Retriever")
        call = channel.call
        parked_by, call.parked, call.parked_by = call.parked_by, "", ""
        if retriever is None:
            return
        self._live.merge(retriever.call, call)
        if retriever.endpoint != parked_by:
            self._live.transferred(call, parked_by, retriever.endpoint, "parked")
        call.left_by = ""
        self._live.answered(retriever)

    def on_parking_ended(self, message: Message) -> None:
        channel = self._channel(message, "Parkee")
        if channel is not None:
            channel.call.parked = channel.call.parked_by = ""

    def on_blind_transfer(self, message: Message) -> None:
        transferer = self._channel(message, "Transferer")
        transferee = self._channel(message, "Transferee")
        if message.get("Result", "Success") != "Success":
            return
        channel = transferee or transferer
        # Transferred to the parking extension, it may be parked before this is told.
        if channel is not None and not channel.call.parked:
            endpoint = transferer.endpoint if transferer is not None else ""
            self._live.transferred(channel.call, endpoint, message.get("Extension", ""), "blind")
            channel.call.transfer_open = True

    def on_attended_transfer(self, message: Message) -> None:
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
        ringing = offers and not any(offer.answered for offer in offers)
        # Asterisk may join the two bridges without ever saying that the calls are one now.
        self._live.merge(consulted, channel.call)
        self._live.transferred(channel.call, endpoint, reached, "blonde" if ringing else "attended")

    def on_pickup(self, message: Message) -> None:
        picker = self._channel(message)
        target = self._channel(message, "Target")
        if target is None or picker is None:
            return
        self._live.merge(picker.call, target.call)
        call = target.call
        offer = call.offers.get(target.uniqueid)
        if offer is not None and picker.uniqueid not in call.offers:
            agent = self._live.parties.members.get(picker.endpoint, "")
            taken = Offer(picker.endpoint, agent, offer.queue, offer.via)
            call.offers[picker.uniqueid] = taken
        self._live.answered(picker)
