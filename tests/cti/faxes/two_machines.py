"""Two fax machines, each an Asterisk: ours, and one out there that calls itself 86 21 5555 0199.

Each is the other's telephone network. Ours is watched by a Switchboard as in the service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from crm_store.bus import Bus
from cti.faxes.fax_calls import FaxLine
from cti.pbx.embedded import EmbeddedPbx, PbxConfiguration, PbxSettings
from cti.switchboard import AmiAddress, Switchboard

THEIRS, OURS = "+862155550199", "+862155550100"
THEIR_STATION = "+86 21 5555 0199"
LINE = FaxLine(
    trunk="PJSIP/trunk", shown_number=OURS, station="+86 21 5555 0100", header="Jade Mall"
)


@dataclass
class TwoMachines:
    ours: EmbeddedPbx
    theirs: EmbeddedPbx
    board: Switchboard

    def put(self, key: str) -> Path:
        """Where the pages of the fax `key` have to be."""
        return self.ours.folder / "spool/fax-out" / f"{key}.tif"

    def arrived(self) -> list[Path]:
        """What the other machine has received."""
        return sorted((self.theirs.folder / "spool/fax").iterdir())


@asynccontextmanager
async def two_machines(folder: Path) -> AsyncIterator[TwoMachines]:
    theirs = EmbeddedPbx(
        PbxSettings(
            folder=folder / "theirs",
            bind_address="127.0.0.2",
            configuration=PbxConfiguration(
                trunk_address="127.0.0.1",
                fax_station=THEIR_STATION,
                inbound_numbers={THEIRS: "698", "+862155550111": "699"},
            ),
        )
    )
    async with theirs:
        ours = EmbeddedPbx(
            PbxSettings(
                folder=folder / "ours",
                sip_port=theirs.trunk_port,
                configuration=PbxConfiguration(
                    trunk_address="127.0.0.2", trunk_port=theirs.sip_port
                ),
            )
        )
        async with ours, watched(ours) as board:
            yield TwoMachines(ours, theirs, board)


@asynccontextmanager
async def watched(pbx: EmbeddedPbx) -> AsyncIterator[Switchboard]:
    board = Switchboard(
        "main",
        AmiAddress(host=pbx.ami_host, port=pbx.ami_port, user=pbx.ami_user, secret=pbx.ami_secret),
        Bus(),
        trunks=("PJSIP/trunk",),
    )
    await board.start()
    try:
        await board.link.wait_up()
        yield board
    finally:
        await board.close()
