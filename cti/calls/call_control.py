"""What only the PBX can do to a call in progress: conference, parking, sending it elsewhere.

A SIP phone answers, holds and transfers by itself; these are the verbs that it has not. Owns how
each is said over AMI, and which legs it is said of. Refuses to know who may do it (the desk does)
and how a leg is found in the stream (the call model does). The same for every phone: it is told the
endpoint whose call it is.
"""

from __future__ import annotations

import asyncio
from typing import Final

from crm_store.bus import Bus
from crm_store.signals import CallParked
from cti.calls.call_state import Call, Channel
from cti.switchboard import Switchboard

JOINING_CONTEXT: Final = "joining-a-call"
JOINS_VARIABLE: Final = "DESKBELL_JOINS"
PHONES_CONTEXT: Final = "from-agents"
"""In this context of the dialplan stands all that an agent's phone may dial."""

PARKED_SECONDS: Final = 5.0
"""How long Asterisk may take to say where it has parked a call."""


class NotInTheCall(LookupError):
    """The call is over, or this phone does not talk in it, or with nobody, or with too many."""


class CallControl:
    """The verbs on one PBX's calls. Each raises NotInTheCall, or what the AMI link raises."""

    def __init__(self, board: Switchboard, bus: Bus) -> None:
        self._board = board
        self._parking: dict[str, asyncio.Future[str]] = {}
        bus.listen(self._on_parked, CallParked)

    async def join(self, call: str, other: str, endpoint: str) -> None:
        """Make one conversation of the two that `endpoint` has, in `call` and in `other`.

        The phone's leg that is on hold ends; the other one goes on with all of them.

        All are then in one ordinary bridge: whoever hangs up leaves it, it goes on while there are
        two in it, and nobody is ever left alone in it.
        """
        if call == other:
            raise NotInTheCall("a call cannot be joined to itself")
        stays, leaves = self._leg(call, endpoint), self._leg(other, endpoint)
        if stays.held and not leaves.held:
            stays, leaves = leaves, stays
        moving = self._others(leaves)
        if not moving:
            raise NotInTheCall("nobody is on the other line")
        for leg in moving:
            await self._board.action(
                "Setvar", Channel=leg.name, Variable=JOINS_VARIABLE, Value=stays.name
            )
        for leg in moving:
            await self._board.action(
                "Redirect", Channel=leg.name, Context=JOINING_CONTEXT, Exten="s", Priority=1
            )

    async def park(self, call: str, endpoint: str) -> str:
        """Let the other party of `endpoint` wait in a parking space; which, as a number to dial."""
        others = self._others(self._leg(call, endpoint))
        if len(others) != 1:
            raise NotInTheCall("only one other party can be parked")
        waiting = self._parking.setdefault(call, asyncio.get_running_loop().create_future())
        try:
            # Whom to ring when nobody has taken the call out in time.
            await self._board.action("Park", Channel=others[0].name, TimeoutChannel=endpoint)
            async with asyncio.timeout(PARKED_SECONDS):
                return await asyncio.shield(waiting)
        except TimeoutError:
            raise NotInTheCall("the call was not parked") from None
        finally:
            self._parking.pop(call, None)

    async def transfer(self, call: str, endpoint: str, extension: str) -> None:
        """Blind transfer, for a phone that cannot do it: the other party goes to `extension`."""
        leg = self._leg(call, endpoint)
        await self._board.action(
            "BlindTransfer", Channel=leg.name, Context=PHONES_CONTEXT, Exten=extension
        )

    async def hang_up(self, call: str, endpoint: str) -> None:
        """End this phone's leg."""
        await self._board.action("Hangup", Channel=self._leg(call, endpoint).name, Cause=16)

    def _on_parked(self, signal: object) -> None:
        if isinstance(signal, CallParked) and signal.pbx == self._board.name:
            waiting = self._parking.get(signal.call)
            if waiting is not None and not waiting.done():
                waiting.set_result(signal.space)

    def _call(self, linkedid: str) -> Call:
        call = self._board.calls.calls.get(linkedid)
        if call is None:
            raise NotInTheCall("the call is over")
        return call

    def _leg(self, linkedid: str, endpoint: str) -> Channel:
        """The newest leg with which the phone talks in the call."""
        legs = [
            channel
            for channel in self._call(linkedid).channels.values()
            if channel.endpoint == endpoint and channel.bridge
        ]
        if not legs:
            raise NotInTheCall(f"{endpoint} does not talk in the call")
        return legs[-1]

    def _others(self, leg: Channel) -> list[Channel]:
        return [
            channel
            for channel in leg.call.channels.values()
            if channel.bridge == leg.bridge
            and channel.endpoint != leg.endpoint
            and not channel.local
        ]
