"""A phone's legs as Asterisk has them: which calls they belong to, and the SIP dialog of each.

Owns the questions to Asterisk about a leg: its dialog and its codec. With a dialog's three names a
page that lost a leg (it was loaded anew, or its network changed) takes it back by an INVITE with
Replaces (RFC 3891). Refuses to know who the page is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cti.ami.link import ActionFailed, ActionTimeout
from cti.calls.call_state import Call, Channel
from cti.switchboard import Switchboard

NATIVE_CODECS: Final = "audionativeformat"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneLeg:
    """One leg. `local_tag` is Asterisk's own: the `to-tag` of a Replaces that is sent to it.

    `codec` is what it speaks, as Asterisk names it (opus, ulaw, alaw). `state` is ringing, answered
    or held; `number` the other party's, as the network sent it.
    """

    pbx: str
    call: str
    channel: str
    call_id: str
    local_tag: str
    remote_tag: str
    codec: str
    state: str
    number: str


def channels_of(switchboard: Switchboard, endpoint: str) -> Iterator[tuple[Call, Channel]]:
    """The phone's channels, with their calls, as the call model knows them."""
    for call in switchboard.calls.calls.values():
        for channel in call.channels.values():
            if channel.endpoint == endpoint:
                yield call, channel


async def legs_of(switchboard: Switchboard, endpoint: str) -> list[PhoneLeg]:
    """The phone's legs with their dialogs; one that ends meanwhile is left out.

    Raises LinkDown when Asterisk cannot be asked.
    """
    found = await asyncio.gather(
        *(
            _leg(switchboard, call, channel)
            for call, channel in list(channels_of(switchboard, endpoint))
        )
    )
    return [leg for leg in found if leg is not None]


async def _leg(switchboard: Switchboard, call: Call, channel: Channel) -> PhoneLeg | None:
    try:
        call_id, local_tag, remote_tag, codecs = await asyncio.gather(
            *(
                ask_channel(switchboard, channel.name, f"CHANNEL({what})")
                for what in ("pjsip,call-id", "pjsip,local_tag", "pjsip,remote_tag", NATIVE_CODECS)
            )
        )
    except (ActionFailed, ActionTimeout):
        return None
    calls_itself = channel.uniqueid == call.first_uniqueid
    return PhoneLeg(
        pbx=switchboard.name,
        call=call.linkedid,
        channel=channel.name,
        call_id=call_id,
        local_tag=local_tag,
        remote_tag=remote_tag,
        codec=codecs.strip("()").partition("|")[0],
        state="held" if channel.held else "answered" if channel.up else "ringing",
        number=switchboard.calls.parties.callee(call) if calls_itself else call.caller,
    )


async def ask_channel(switchboard: Switchboard, channel: str, what: str) -> str:
    """A variable or function of a channel, "" if it has none. Raises AmiError."""
    answer: Any = await switchboard.action("Getvar", Channel=channel, Variable=what)
    return str(answer.headers.get("Value", ""))
