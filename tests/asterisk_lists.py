"""Asterisk's lists at any moment of a recorded stream, as it would have answered then.

A small tracker of the raw stream, independent of the call model: it knows no calls, only channels,
queue entries and parked calls, and answers as CoreShowChannels, QueueStatus and ParkedCalls do.
tests/cti/calls/test_call_rebuild.py holds it against lists that the real Asterisk gave.
"""

from __future__ import annotations

from collections.abc import Iterable

Message = dict[str, str]

ROLES = (
    *("", "Dest", "Parkee", "Parker", "Retriever", "Target", "LocalOne", "LocalTwo"),
    *("Transferer", "Transferee", "OrigTransferer", "SecondTransferer", "TransferTarget"),
)
CHANNEL_FIELDS = (
    *("Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "CallerIDName"),
    *("ConnectedLineNum", "ConnectedLineName", "Context", "Exten", "Priority"),
    *("Uniqueid", "Linkedid"),
)
PARKED_ENDS = ("UnParkedCall", "ParkedCallTimeOut", "ParkedCallGiveUp")


class Lists:
    """What Asterisk would list after the messages fed so far."""

    def __init__(self) -> None:
        self._channels: dict[str, Message] = {}
        self._gone: set[str] = set()
        self._bridges: dict[str, dict[str, str]] = {}
        self._technology: dict[str, str] = {}
        self._queues: dict[str, list[Message]] = {}
        self._members: dict[tuple[str, str], Message] = {}
        self._parked: dict[str, Message] = {}

    def feed(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if "Event" in message and "ActionID" not in message:
                self._take(message)

    def channels(self) -> list[Message]:
        """CoreShowChannels."""
        return [
            {
                "Event": "CoreShowChannel",
                **row,
                "BridgeId": self._bridge_of(uniqueid),
                "Duration": "00:00:00",
            }
            for uniqueid, row in self._channels.items()
        ]

    def queue_status(self) -> list[Message]:
        """QueueStatus: members, and the callers who wait."""
        rows = list(self._members.values())
        for queue, waiting in self._queues.items():
            for position, caller in enumerate(waiting, 1):
                rows.append(
                    {
                        "Event": "QueueEntry",
                        "Queue": queue,
                        "Position": str(position),
                        "Channel": caller["Channel"],
                        "Uniqueid": caller["Uniqueid"],
                        "CallerIDNum": caller.get("CallerIDNum", ""),
                        "Wait": "0",
                    }
                )
        return rows

    def parked_calls(self) -> list[Message]:
        """ParkedCalls."""
        return list(self._parked.values())

    def _take(self, message: Message) -> None:
        event = message["Event"]
        for role in ROLES:
            self._see(message, role)
        uniqueid = message.get("Uniqueid", "")
        if event == "Hangup":
            self._gone.add(uniqueid)
            self._channels.pop(uniqueid, None)
            self._leave_bridge(uniqueid)
        elif event == "Rename" and uniqueid in self._channels:
            self._channels[uniqueid]["Channel"] = message["Newname"]
        elif event == "Newexten" and uniqueid in self._channels:
            row = self._channels[uniqueid]
            row["Application"] = message.get("Application", "")
            row["ApplicationData"] = message.get("AppData", "")
        elif event == "BridgeEnter":
            self._enter_bridge(uniqueid, message)
        elif event == "BridgeLeave":
            self._leave_bridge(uniqueid)
        else:
            self._take_queue(message)
            self._take_parking(message)

    def _see(self, message: Message, role: str) -> None:
        uniqueid = message.get(f"{role}Uniqueid")
        if not uniqueid or uniqueid in self._gone or f"{role}ChannelState" not in message:
            return
        if role not in ("", "Dest") and uniqueid in self._channels:
            return  # a transfer's or a parking's event may show its parties as they were before
        row = self._channels.setdefault(uniqueid, {"Application": "", "ApplicationData": ""})
        for field in CHANNEL_FIELDS:
            if f"{role}{field}" in message:
                row[field] = message[f"{role}{field}"]

    def _bridge_of(self, uniqueid: str) -> str:
        return next((name for name, inside in self._bridges.items() if uniqueid in inside), "")

    def _enter_bridge(self, uniqueid: str, message: Message) -> None:
        bridge = message["BridgeUniqueid"]
        self._leave_bridge(uniqueid)
        inside = self._bridges.setdefault(bridge, {})
        inside[uniqueid] = message["Channel"]
        self._technology[bridge] = message["BridgeTechnology"]
        if message["Context"] == "joining-a-call":
            # Sent there by a Redirect, whose Newexten still names what it did before.
            self._channels[uniqueid]["Application"] = "BridgeAdd"
        if message["BridgeTechnology"] in ("simple_bridge", "native_rtp"):
            # Asterisk gives all in a bridge of two the oldest Linkedid.
            rows = [self._channels[leg] for leg in inside if leg in self._channels]
            oldest = min((row["Linkedid"] for row in rows), key=_age)
            for row in rows:
                row["Linkedid"] = oldest

    def _leave_bridge(self, uniqueid: str) -> None:
        for inside in self._bridges.values():
            inside.pop(uniqueid, None)

    def _take_queue(self, message: Message) -> None:
        event, queue = message["Event"], message.get("Queue", "")
        if event == "QueueCallerJoin":
            waiting = self._queues.setdefault(queue, [])
            waiting.insert(int(message["Position"]) - 1, message)
        elif event == "QueueCallerLeave":
            self._queues[queue] = [
                caller
                for caller in self._queues.get(queue, [])
                if caller["Uniqueid"] != message["Uniqueid"]
            ]
        elif event in ("QueueMemberAdded", "QueueMemberStatus"):
            self._members[queue, message["Interface"]] = {
                "Event": "QueueMember",
                "Queue": queue,
                "Name": message["MemberName"],
                "Location": message["Interface"],
                "StateInterface": message["StateInterface"],
                "Status": message["Status"],
                "Paused": message["Paused"],
            }
        elif event == "QueueMemberRemoved":
            self._members.pop((queue, message["Interface"]), None)

    def _take_parking(self, message: Message) -> None:
        event, uniqueid = message["Event"], message.get("ParkeeUniqueid", "")
        if event == "ParkedCall":
            self._parked[uniqueid] = message
        elif event in PARKED_ENDS:
            self._parked.pop(uniqueid, None)
        elif event == "DialBegin" and message.get("Context") == "park-dial":
            # Parked for too long: Asterisk dials whoever parked it, and says so by no Newexten.
            self._channels[message["Uniqueid"]]["Application"] = "Dial"


def _age(linkedid: str) -> tuple[float, int]:
    epoch, _, serial = linkedid.partition(".")
    return float(epoch), int(serial)
