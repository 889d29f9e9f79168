"""Phones in browsers, put together: the PBX that has them, their accounts, and their legs.

Owns the choice of the PBX (the first that ARI is known for), what its phones are while no page
holds them, and that they are told again after a restart. What a phone is, is browser_phones'.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from agent_desk.parts import AgentActionRefused, PhoneControl
from crm_store.bus import Bus
from crm_store.signals import PbxLinkChanged, Signal
from crm_store.staff.agents import AgentRecord
from cti.ami.link import AmiError, LinkState
from cti.pbx.ari import Ari, AriAddress, AriFailed, HeldByFile
from cti.pbx.configuration import PhoneConfig
from cti.pbx.embedded import EmbeddedPbx
from cti.phones.browser_phones import SIP_DOMAIN, BrowserPhones, DeskAccount, PhoneMedia
from cti.phones.lost_phones import LostPhones
from cti.phones.phone_legs import PhoneLeg, legs_of
from cti.phones.unheard_rings import end_unheard_rings
from cti.switchboard import Switchboard

log = logging.getLogger(__name__)


class Phones:
    """The browsers' phones of one PBX; made within the event loop, `close` at the end.

    `chosen` is called when the PBX must be told of agents anew: one chose another kind of phone,
    or came while the service runs. `queue_number(name)` is a queue's extension, "" if it has none;
    `echo_number` says back what it hears.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        address: AriAddress,
        bus: Bus,
        *,
        embedded: EmbeddedPbx | None = None,
        media_address: str = "",
        echo_number: str,
        queue_number: Callable[[str], str],
        chosen: Callable[[], Awaitable[None]],
    ) -> None:
        self._switchboard = switchboard
        self._embedded = embedded
        self._ari = Ari(address)
        self._phones = BrowserPhones(self._ari, PhoneMedia(address=media_address))
        self._lost = LostPhones(switchboard, queue_number)
        self._chosen = chosen
        self._echo_number = echo_number
        self._endpoints: list[str] = []
        self._restoring: asyncio.Task[None] | None = None
        self._ending_rings: set[asyncio.Task[None]] = set()
        bus.listen(self._on_signal, PbxLinkChanged)

    def control(self) -> PhoneControl:
        """What the desk may do."""
        return PhoneControl(
            claim=self._claim,
            release=self._release,
            legs=self._legs,
            chosen=self._chosen,
            web_socket=lambda: self._phones.web_socket,
            connected=self._connected,
        )

    def know(self, agents: Sequence[AgentRecord]) -> None:
        """These agents have phones; our own Asterisk's desk phones keep a standing account."""
        with_phone = [agent for agent in agents if agent.extension]
        self._endpoints = [f"PJSIP/{agent.extension}" for agent in with_phone]
        resting = {}
        if self._embedded is not None:
            for agent in with_phone:
                phone = PhoneConfig(extension=agent.extension or "", agent_name=agent.display_name)
                resting[phone.extension] = DeskAccount(
                    extension=phone.extension,
                    caller_name=phone.caller_name,
                    secret=self._embedded.desk_phone_secret(phone.extension),
                )
        self._phones.know([agent.extension or "" for agent in with_phone], resting)

    async def restore(self) -> None:
        """Make Asterisk have the phones that it shall have; later, if it is away."""
        try:
            await self._phones.restore()
        except AriFailed as error:
            log.warning("the phones are not told to PBX %s: %s", self._switchboard.name, error)

    async def close(self) -> None:
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.gather(self._restoring, return_exceptions=True)
        await asyncio.gather(*self._ending_rings)
        await self._lost.close()
        await self._ari.close()

    def _on_signal(self, signal: Signal) -> None:
        if not isinstance(signal, PbxLinkChanged) or not signal.up:
            return
        if signal.pbx == self._switchboard.name:
            self._restoring = asyncio.ensure_future(self.restore())
            # After the model was rebuilt: it is told before this signal.
            self._lost.look_for_all(self._endpoints)

    def _connected(self, extension: str, there: bool) -> None:
        """The page's connection came, or went."""
        endpoint = f"PJSIP/{extension}"
        self._lost.connected(endpoint, there)
        if not there:
            task = asyncio.create_task(self._ring_anew(endpoint))
            self._ending_rings.add(task)
            task.add_done_callback(self._ending_rings.discard)

    async def _ring_anew(self, endpoint: str) -> None:
        try:
            await end_unheard_rings(self._switchboard, endpoint)
        except AmiError as error:
            log.info("what rings at %s is left to ring out: %s", endpoint, error)

    async def _claim(self, extension: str, name: str) -> dict[str, Any]:
        phone = PhoneConfig(extension=extension, agent_name=name)
        if f"PJSIP/{extension}" not in self._endpoints:
            # An agent whom another process added: the dialplan and the queues must know them.
            await self._chosen()
        try:
            claim = await self._phones.claim(extension, phone.caller_name)
        except HeldByFile:
            raise AgentActionRefused(
                "The telephone system has a desk phone under your extension. Ask whoever runs it "
                "to take that out of its files, or choose the desk phone."
            ) from None
        except AriFailed as error:
            # That the PBX is away is told by its link, once; each page asks again and again.
            level = (
                logging.WARNING if self._switchboard.link.state is LinkState.UP else logging.DEBUG
            )
            log.log(level, "the phone of %s cannot be claimed: %s", extension, error)
            raise AgentActionRefused(
                "The telephone system is away. Your phone comes back with it."
            ) from None
        # What rings now rings at the page before this one.
        await self._ring_anew(f"PJSIP/{extension}")
        return {
            "pbx": self._switchboard.name,
            "account": extension,
            "secret": claim.secret,
            "domain": SIP_DOMAIN,
            "display_name": name,
            "echo": self._echo_number,
            "calls": [
                asdict(leg) for leg in await self._legs_now(extension) if leg.state != "ringing"
            ],
        }

    async def _release(self, extension: str) -> None:
        try:
            await self._phones.release(extension)
        except AriFailed as error:
            raise AgentActionRefused(str(error)) from None

    async def _legs(self, extension: str) -> list[dict[str, Any]]:
        return [asdict(leg) for leg in await self._legs_now(extension)]

    async def _legs_now(self, extension: str) -> list[PhoneLeg]:
        try:
            return await legs_of(self._switchboard, f"PJSIP/{extension}")
        except AmiError as error:
            raise AgentActionRefused(
                f"The telephone system does not answer ({error}). Try again in a moment."
            ) from None
