"""A fax machine out there: a second Asterisk that calls ours and sends pages, with real modems.

It is bound to the telephone network's address, so that our PBX takes it for a customer.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cti.pbx.embedded import EmbeddedPbx, PbxConfiguration, PbxSettings
from tests.service_fixtures import RunningService, ami_of

WIDTH, HEIGHT = 1_728, 400
ACROSS_PER_INCH, DOWN_PER_INCH = 204, 98


def write_blank_pages(file: Path, pages: int) -> None:
    """White pages as fax machines write them: TIFF in ITU-T T.6, a white line is one bit."""
    image = b"\xff" * (HEIGHT // 8) + bytes.fromhex("001001")
    data = bytearray(b"II*\0" + struct.pack("<I", 0))
    link = 4
    for page in range(pages):
        image_at = len(data)
        data += image + b"\0" * (len(image) % 2)
        rationals_at = len(data)
        data += struct.pack("<4I", ACROSS_PER_INCH, 1, DOWN_PER_INCH, 1)
        entries = [
            (254, 4, 1, 2), (256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, 1, 1),
            (259, 3, 1, 4), (262, 3, 1, 0), (266, 3, 1, 1), (273, 4, 1, image_at),
            (277, 3, 1, 1), (278, 4, 1, HEIGHT), (279, 4, 1, len(image)),
            (282, 5, 1, rationals_at), (283, 5, 1, rationals_at + 8), (293, 4, 1, 0),
            (296, 3, 1, 2), (297, 3, 2, page | pages << 16),
        ]  # fmt: skip
        struct.pack_into("<I", data, link, len(data))
        data += struct.pack("<H", len(entries))
        for entry in entries:
            data += struct.pack("<HHII", *entry)
        link = len(data)
        data += struct.pack("<I", 0)
    file.write_bytes(data)


def pages_in(file: Path) -> int:
    """How many pages the TIFF has."""
    data = file.read_bytes()
    assert data[:4] == b"II*\0", data[:4]
    (at,) = struct.unpack_from("<I", data, 4)
    pages = 0
    while at:
        (entries,) = struct.unpack_from("<H", data, at)
        (at,) = struct.unpack_from("<I", data, at + 2 + 12 * entries)
        pages += 1
    return pages


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
