"""An Asterisk that says what a test wants, for what a real one cannot be made to say.

Built on the scripted AMI server; its lists are true of the agents and calls it was given. Calls are
the recorded one with names of their own.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.ami_server import Action, AmiServer, event, event_list, success

RECORDING = Path(__file__).parents[1] / "recorded/queue_one_member.own.ami"
OWN_EVENTS = {
    "Newchannel", "Newstate", "QueueCallerJoin", "QueueCallerLeave", "AgentCalled", "AgentConnect",
    "DialBegin", "DialEnd", "BridgeEnter", "BridgeLeave", "HangupRequest", "Hangup",
}  # fmt: skip


MEMBER = {
    "Name": "lin",
    "Location": "PJSIP/1001",
    "StateInterface": "PJSIP/1001",
    "Status": "1",
    "Paused": "0",
}


class ScriptedPbx(AmiServer):
    """`async with ScriptedPbx() as pbx`; the service uses `pbx.port` as an external PBX's AMI.

    One agent, lin at PJSIP/1001, serves the queue "sales".
    """

    ami_host = "127.0.0.1"
    ami_user = "deskbell"
    ami_secret = "scripted"
    sip_address = "127.0.0.1"
    sip_port = 0
    trunk_address = "127.0.0.2"
    trunk_port = 0

    def __init__(self) -> None:
        super().__init__()
        self.answers = {
            "coreshowchannels": lambda action: event_list(action, "CoreShowChannel", []),
            "parkedcalls": lambda action: event_list(action, "ParkedCall", []),
            "queuestatus": self._queue_status,
            "corestatus": lambda action: success(
                action, CoreStartupDate="2026-01-01", CoreStartupTime="00:00:00"
            ),
            "setvar": success,
            "queuepause": success,
            "mixmonitor": success,
        }
        self._blocks = [
            block
            for block in RECORDING.read_bytes().split(b"\r\n\r\n")
            if (found := re.match(rb"Event: (\w+)", block)) and found[1].decode() in OWN_EVENTS
        ]
        channel = next(block for block in self._blocks if block.startswith(b"Event: Newchannel"))
        self._epoch = self._value(channel, b"Uniqueid").partition(b".")[0]
        self._caller = self._value(channel, b"CallerIDNum")
        joined = next(block for block in self._blocks if b"Event: QueueCallerJoin" in block)
        self._queue = self._value(joined, b"Queue")

    def phone_account(self, extension: str) -> tuple[str, str]:
        raise KeyError(extension)

    @property
    def ami_port(self) -> int:
        return self.port

    @staticmethod
    def _value(block: bytes, name: bytes) -> bytes:
        found = re.search(rb"^" + name + rb": ([^\r]*)", block, re.M)
        assert found
        return found[1]

    @staticmethod
    def _queue_status(action: Action) -> bytes:
        said = {"ActionID": action["ActionID"], "Queue": "sales"}
        return (
            success(action, "Queue status will follow", EventList="start")
            + event("QueueParams", **said, Calls="0")
            + event("QueueMember", **said, **MEMBER)
            + event("QueueStatusComplete", **said, EventList="Complete", ListItems="2")
        )

    async def say_until_ringing(self, messages: list[bytes]) -> list[bytes]:
        """Say what comes before the ringing, and return the rest."""
        ringing = next(i for i, said in enumerate(messages) if said.startswith(b"Event: DialBegin"))
        for message in messages[: ringing + 1]:
            await self.say(message)
        return messages[ringing + 1 :]

    def call(self, number: int, caller: str, name: bytes = b"") -> list[bytes]:
        """The messages of a whole queue call, answered by lin, as the `number`th one."""
        messages = []
        for block in self._blocks:
            said = block.replace(self._epoch + b".", b"%d." % (1_700_000_000 + number))
            said = said.replace(self._caller, caller.encode())
            said = said.replace(b"Queue: " + self._queue, b"Queue: sales")
            said = re.sub(rb"-0000000(\d)\b", b"-%07x\\1" % number, said)
            said = re.sub(rb"(?m)^MemberName: .*?\r?$", b"MemberName: lin\r", said)
            if name:
                line = b"CallerIDName: " + name + b"\r"
                said = re.sub(rb"(?m)^CallerIDName: .*?\r$", line.replace(b"\\", b"\\\\"), said)
            messages.append(said.strip(b"\r\n") + b"\r\n\r\n")
        return messages
