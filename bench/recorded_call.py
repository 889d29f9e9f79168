"""One recorded queue call as a template: the same messages again, as another call.

Owns what in a recording belongs to that one call (identifiers, numbers, names, moments) and the
gaps between its messages. Everything else stays byte for byte as Asterisk wrote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from crm_store.sample.crowd import crowd_number

BLOCK_END = b"\r\n\r\n"
FIRST_EPOCH = 1_800_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """One message: `after` seconds from the call's first, and its text with places to fill in."""

    after: float
    event: str
    template: bytes
    is_agents: bool
    """It speaks of the agent's channel and not of the caller's."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """`pops_at` is the step whose arrival makes the screen pop possible: the agent's Newchannel.
    `rings_at` is the step by which the agent's phone rings."""

    steps: tuple[Step, ...]
    pops_at: int
    rings_at: int

    @property
    def seconds(self) -> float:
        return self.steps[-1].after

    def at_once(self) -> RecordedCall:
        """The same call, but all that comes before the ringing leaves in one moment."""
        offset = self.steps[self.rings_at].after
        steps = tuple(
            Step(max(0.0, step.after - offset), step.event, step.template, step.is_agents)
            for step in self.steps
        )
        return RecordedCall(steps, self.pops_at, self.rings_at)


@dataclass(frozen=True, slots=True)
class Names:
    """What one call is called: as a client of the push and as the PBX know it."""

    number: int
    linkedid: str
    agent_id: str
    trunk: str
    phone: str
    endpoint: str
    extension: str
    login: str
    caller: str
    bridge: str

    def filling(self) -> dict[bytes, bytes]:
        return {
            name.encode(): getattr(self, name).encode()
            for name in self.__dataclass_fields__
            if name != "number"
        }


def names_of(number: int, customer: int, login: str, extension: str) -> Names:
    """The names of call `number` from the customer at position `customer` to that agent."""
    return Names(
        number=number,
        linkedid=f"{FIRST_EPOCH}.{2 * number}",
        agent_id=f"{FIRST_EPOCH}.{2 * number + 1}",
        trunk=f"PJSIP/trunk-{2 * number:08x}",
        phone=f"PJSIP/{extension}-{2 * number + 1:08x}",
        endpoint=f"PJSIP/{extension}",
        extension=extension,
        login=login,
        caller=crowd_number(customer),
        bridge=f"274a4ecc-c785-4985-8564-{number:012x}",
    )


def call_number(linkedid: str) -> int:
    """Which call a Linkedid made by `names_of` is."""
    return int(linkedid.partition(".")[2]) // 2


def read_recording(file: Path, *, talk_seconds: float) -> RecordedCall:
    """The one queue call in `file` from its first Newchannel to its last channel's end.

    The conversation is lengthened to `talk_seconds`; all other gaps are the recorded ones. Raises
    ValueError if it is not a call to a queue that one agent answers.
    """
    blocks = [block.strip() for block in file.read_bytes().split(BLOCK_END)]
    messages = [(block, _headers(block)) for block in blocks if b"Event: " in block]
    channels = [m for _, m in messages if m["Event"] == "Newchannel"]
    called = [m for _, m in messages if m["Event"] == "AgentCalled"]
    connected = [m for _, m in messages if m["Event"] == "AgentConnect"]
    if len(channels) != 2 or len(called) != 1 or len(connected) != 1:
        raise ValueError(f"{file} is not one queue call that one agent answers")
    caller, agent = channels
    first = next(i for i, (_, m) in enumerate(messages) if m is caller)
    last = max(i for i, (_, m) in enumerate(messages) if m["Event"] == "Hangup")
    # What Asterisk says of the agent's place after the call belongs to it.
    while last + 1 < len(messages) and messages[last + 1][1]["Event"] in (
        "QueueMemberStatus",
        "DeviceStateChange",
    ):
        last += 1
    bridge = next(m["BridgeUniqueid"] for _, m in messages if m["Event"] == "BridgeEnter")
    known = {
        caller["Uniqueid"]: b"%(linkedid)s",
        agent["Uniqueid"]: b"%(agent_id)s",
        caller["Channel"]: b"%(trunk)s",
        agent["Channel"]: b"%(phone)s",
        called[0]["Interface"]: b"%(endpoint)s",
        called[0]["Interface"].rpartition("/")[2]: b"%(extension)s",
        called[0]["MemberName"]: b"%(login)s",
        caller["CallerIDNum"]: b"%(caller)s",
        bridge: b"%(bridge)s",
    }
    steps: list[Step] = []
    started = float(caller["Timestamp"])
    lengthened = 0.0
    for block, message in messages[first : last + 1]:
        after = float(message["Timestamp"]) - started
        if message["Event"] == "HangupRequest" and not lengthened:
            lengthened = max(0.0, talk_seconds - (after - steps[-1].after))
        about = message.get("Uniqueid") or message.get("DestUniqueid")
        steps.append(
            Step(
                after + lengthened,
                message["Event"],
                _template(block, message["Event"], known),
                about == agent["Uniqueid"],
            )
        )
    pops_at = next(i for i, step in enumerate(steps) if step.event == "Newchannel" and i > 0)
    rings_at = next(i for i, step in enumerate(steps) if step.event == "DialState")
    return RecordedCall(tuple(steps), pops_at, rings_at)


def _headers(block: bytes) -> dict[str, str]:
    lines = (line.partition(": ") for line in block.decode().split("\r\n"))
    return {name: value for name, _, value in lines}


def _template(block: bytes, event: str, known: dict[str, bytes]) -> bytes:
    longest_first = sorted(known, key=len, reverse=True)
    pattern = re.compile(
        rb"(?<![\w.+])(" + b"|".join(re.escape(value.encode()) for value in longest_first)
        + rb")(?![\w.])"
    )  # fmt: skip
    lines = []
    for line in block.replace(b"%", b"%%").split(b"\r\n"):
        name, _, _ = line.partition(b": ")
        if name == b"Timestamp":
            lines.append(b"Timestamp: %(at)s")
        elif name == b"Count" and event.startswith("QueueCaller"):
            lines.append(b"Count: %(waiting)s")
        elif name == b"Paused":
            lines.append(b"Paused: %(paused)s")
        elif name == b"PausedReason":
            lines.append(b"PausedReason: %(reason)s")
        else:
            lines.append(pattern.sub(lambda found: known[found[1].decode()], line))
    return b"\r\n".join(lines) + BLOCK_END
