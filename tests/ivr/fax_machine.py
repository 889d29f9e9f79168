"""A fax machine out there: a second Asterisk that calls ours and sends pages, with real modems.

It is bound to the telephone network's address, so that our PBX takes it for a customer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cti.pbx.embedded import EmbeddedPbx, PbxConfiguration, PbxSettings
from tests.service_fixtures import RunningService, ami_of


@asynccontextmanager
async def fax_machine(folder: Path, around: RunningService) -> AsyncIterator[EmbeddedPbx]:
    """The machine, at the address where the service's PBX sends outbound calls to."""
    settings = PbxSettings(
        folder=folder,
        bind_address=around.trunk_address,
        sip_port=around.trunk_port,
        configuration=PbxConfiguration(
            trunk_address=around.sip_address, trunk_port=around.sip_port
        ),
    )
    async with EmbeddedPbx(settings) as machine:
        yield machine


async def send(machine: EmbeddedPbx, number: str, pages: Path) -> None:
    """Begin to call `number` and send the pages; returns when the number has answered."""
    async with ami_of(machine) as link:
        await link.action(
            "Originate",
            60.0,
            Channel=f"PJSIP/{number}@trunk",
            Application="SendFAX",
            Data=f"{pages},fz",
            CallerID="<+862155550123>",
            Timeout=30_000,
        )
