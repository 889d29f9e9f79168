"""The keys and ears of a crowd: many callers' sound in one process, without a tone of their own.

Owns RTP at its smallest: RFC 4733 digits out, and when sound came in. A caller whose prompt is over
hears silence, which is when people press. Refuses to know SIP (see crowd).
"""

from __future__ import annotations

import asyncio
import random
import struct
import time
from typing import cast

from cti.telephone_network.audio import (
    DIGIT_FRAMES,
    DIGITS,
    FRAME_SECONDS,
    PCMU,
    SAMPLES,
    TELEPHONE_EVENT,
)

FIRST_PORT, LAST_PORT = 20_000, 31_998


class Keypad(asyncio.DatagramProtocol):
    """One caller's: where to send is learnt from the first sound that comes.

    `last_at` is when sound was last heard, `resumed_at` when the first came after the last key;
    monotonic seconds, 0 for never. With `keep` what is heard is in `sound`, as µ-law.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.last_at = 0.0
        self.resumed_at = 0.0
        self.packets = 0
        self.sound = bytearray()
        self._keep = keep
        self._pressed_at = 0.0
        self._remote: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._resumed = asyncio.Event()
        self._source = random.getrandbits(32)
        self._sequence = 0
        self._clock = 0

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if len(data) <= 12 or data[1] & 0x7F != PCMU:
            return
        self.last_at = time.monotonic()
        self.packets += 1
        self._remote = cast(tuple[str, int], addr)
        if self._keep:
            self.sound += data[12:]
        if not self._resumed.is_set():
            self.resumed_at = self.last_at
            self._resumed.set()

    async def hears(self, within: float = 60.0) -> float:
        """Wait for sound after the last key (or at all). Raises TimeoutError."""
        async with asyncio.timeout(within):
            await self._resumed.wait()
        return self.resumed_at

    async def quiet(self, seconds: float, within: float = 120.0) -> None:
        """Return when nothing was heard for so long. Raises TimeoutError."""
        async with asyncio.timeout(within):
            # Each packet would wake it: looking again when the time would be up costs less.
            while (left := self.last_at + seconds - time.monotonic()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(left)

    async def press(self, digit: str) -> float:
        """Key one digit; the moment of its end."""
        assert self._remote is not None, "there was no sound yet, so nobody knows where to send"
        event, begin = DIGITS.index(digit), self._clock
        for frame in range(1, DIGIT_FRAMES + 1):
            self._send(struct.pack("!BBH", event, 10, frame * SAMPLES), begin, marker=frame == 1)
            self._clock += SAMPLES
            await asyncio.sleep(FRAME_SECONDS)
        self._resumed.clear()
        self._pressed_at = time.monotonic()
        for _ in range(3):
            self._send(struct.pack("!BBH", event, 0x8A, DIGIT_FRAMES * SAMPLES), begin)
        self._clock += 10 * SAMPLES
        return self._pressed_at

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _send(self, body: bytes, clock: int, *, marker: bool = False) -> None:
        assert self._transport is not None
        kind = TELEPHONE_EVENT | (0x80 if marker else 0)
        numbers = self._sequence & 0xFFFF, clock & 0xFFFFFFFF, self._source
        self._sequence += 1
        self._transport.sendto(struct.pack("!BBHII", 0x80, kind, *numbers) + body, self._remote)


async def open_keypads(address: str, count: int, *, keep: bool = False) -> list[Keypad]:
    """Keypads on free even ports of `address`. Raises OSError when there are not enough."""
    loop = asyncio.get_running_loop()
    found: list[Keypad] = []
    first = random.randrange(FIRST_PORT, LAST_PORT, 2)  # noqa: S311
    for step in range(0, LAST_PORT - FIRST_PORT, 2):
        if len(found) == count:
            return found
        keypad = Keypad(keep=keep)
        port = FIRST_PORT + (first - FIRST_PORT + step) % (LAST_PORT - FIRST_PORT)
        try:
            await loop.create_datagram_endpoint(
                lambda keypad=keypad: keypad,  # type: ignore[misc]
                local_addr=(address, port),
            )
        except OSError:
            continue
        found.append(keypad)
    raise OSError(f"no {count} free ports on {address}")
