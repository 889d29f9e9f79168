"""One call's sound: a UDP port that sends speech-like tones and keyed digits, and hears.

Owns RTP with G.711 µ-law and RFC 4733 digits. Refuses to know SIP: it is told where to send.
SIPp's own players either need raw sockets (pcap, play_dtmf) or cannot key digits (rtp_stream).
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import struct
import time
from collections import deque
from functools import lru_cache
from typing import cast

FRAME_SECONDS = 0.02
SAMPLES = 160
RATE = 8_000
PCMU = 0
TELEPHONE_EVENT = 101
DIGITS = "0123456789*#ABCD"
# RFC 4733 asks for about 40 ms at least; people press for longer.
DIGIT_FRAMES = 6
PAUSE_FRAMES = 6


def linear_to_ulaw(sample: int) -> int:
    """ITU-T G.711 µ-law of one 16-bit sample."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~(sign | (exponent << 4) | mantissa) & 0xFF


def ulaw_to_linear(value: int) -> int:
    value = ~value & 0xFF
    magnitude = (((value & 0x0F) << 3) + 132 << ((value & 0x70) >> 4)) - 132
    return -magnitude if value & 0x80 else magnitude


_TO_LINEAR = [ulaw_to_linear(value) for value in range(256)]


@lru_cache(maxsize=16)
def tone(frequency: int) -> bytes:
    """One second of a sine of `frequency` Hz, as µ-law."""
    return bytes(
        linear_to_ulaw(int(9_000 * math.sin(2 * math.pi * frequency * sample / RATE)))
        for sample in range(RATE)
    )


def loudness_at(ulaw: bytes, frequency: int) -> float:
    """The share of the sound's energy at `frequency` Hz, 0 to 1 (Goertzel)."""
    if not ulaw:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * frequency / RATE)
    before, last, energy = 0.0, 0.0, 0.0
    for value in ulaw:
        sample = _TO_LINEAR[value]
        energy += sample * sample
        before, last = last, sample + coefficient * last - before
    power = before * before + last * last - coefficient * before * last
    return 2 * power / (len(ulaw) * energy) if energy else 0.0


class AudioPeer(asyncio.DatagramProtocol):
    """Sends `frequency` Hz once it is told where; keeps what it hears for five seconds.

    With `frequency` 0 it sends nothing but digits. `digits_heard` are the keys that came as
    RFC 4733 events, each once.
    """

    def __init__(self, frequency: int) -> None:
        self.frequency = frequency
        self.packets_heard = 0
        self.packets_sent = 0
        self.digits_heard = ""
        self._last_digit = (0, 0)
        self._heard: deque[tuple[float, bytes]] = deque(maxlen=250)
        self._digits: deque[str] = deque()
        self._remote: tuple[str, int] | None = None
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._source = random.getrandbits(32)
        self._sequence = 0
        self._clock = 0
        self._packet = asyncio.Event()
        self._keyed = asyncio.Event()
        self._keyed.set()

    @classmethod
    async def open(cls, address: str, frequency: int) -> AudioPeer:
        """A peer on a free even port of `address`."""
        loop = asyncio.get_running_loop()
        for _ in range(100):
            port = random.randrange(10_000, 19_998, 2)  # noqa: S311
            peer = cls(frequency)
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                await loop.create_datagram_endpoint(
                    lambda peer=peer: peer,  # type: ignore[misc]
                    local_addr=(address, port),
                    family=family,
                )
            except OSError:
                continue
            return peer
        raise OSError(f"no free RTP port on {address}")

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def send_to(self, address: str, port: int) -> None:
        """Start sending there (or send there from now on)."""
        self._remote = (address, port)
        if self._task is None:
            self._task = asyncio.create_task(self._send_frames(), name="rtp")

    def stop_sending(self) -> None:
        if self._task:
            self._task.cancel()
            self._task = None
        self._digits.clear()
        self._keyed.set()

    async def press(self, digits: str) -> None:
        """Key `digits` (a comma is a second's pause) and return when the last one is sent."""
        for digit in digits:
            if digit != "," and digit not in DIGITS:
                raise ValueError(f"{digit!r} is no key of a telephone")
        self._keyed.clear()
        self._digits.extend(digits)
        if self._task is None:
            raise RuntimeError("the call has no sound yet: digits go out after the answer")
        await self._keyed.wait()

    def heard(self, seconds: float = 1.0) -> bytes:
        """The last `seconds` heard, as µ-law."""
        return b"".join([sound for _, sound in self._heard][-int(seconds / FRAME_SECONDS) :])

    def first_heard(self, frequency: int, since: float = 0.0) -> float | None:
        """The monotonic time of the first packet after `since` that was a tone of `frequency` Hz.

        None if there is none among the last five seconds.
        """
        tones = (
            at for at, sound in self._heard if at > since and loudness_at(sound, frequency) > 0.5
        )
        return next(tones, None)

    async def next_heard(self, seconds: float) -> bytes:
        """The next `seconds` of sound from now on, as µ-law."""
        wanted = self.packets_heard + int(seconds / FRAME_SECONDS)
        while self.packets_heard < wanted:
            self._packet.clear()
            await self._packet.wait()
        return self.heard(seconds)

    def close(self) -> None:
        self.stop_sending()
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if len(data) <= 12 or data[0] >> 6 != 2:
            return
        if data[1] & 0x7F == PCMU:
            self.packets_heard += 1
            self._heard.append((time.monotonic(), data[12:]))
            self._packet.set()
        elif data[1] & 0x7F == TELEPHONE_EVENT and len(data) >= 16:
            self._hear_digit(data)

    def _hear_digit(self, data: bytes) -> None:
        """A key's packets share their clock and source; one of them makes the digit."""
        clock, source = struct.unpack_from("!II", data, 4)
        if data[12] < len(DIGITS) and (clock, source) != self._last_digit:
            self._last_digit = (clock, source)
            self.digits_heard += DIGITS[data[12]]

    async def _send_frames(self) -> None:
        sound, position = tone(self.frequency) if self.frequency else b"", 0
        due = time.monotonic()
        pause = 0
        while True:
            if self._digits and not pause:
                digit = self._digits.popleft()
                if digit == ",":
                    pause = 50
                else:
                    due = await self._send_digit(digit, due)
                    pause = PAUSE_FRAMES
            pause = max(0, pause - 1)
            if not self._digits and not pause:
                self._keyed.set()
            if sound:
                self._send(PCMU, sound[position : position + SAMPLES], marker=not self.packets_sent)
                position = (position + SAMPLES) % len(sound)
            self._clock += SAMPLES
            due = await self._next_frame(due)

    async def _send_digit(self, digit: str, due: float) -> float:
        event, begin = DIGITS.index(digit), self._clock
        for frame in range(1, DIGIT_FRAMES + 1):
            body = struct.pack("!BBH", event, 10, frame * SAMPLES)
            self._send(TELEPHONE_EVENT, body, marker=frame == 1, clock=begin)
            self._clock += SAMPLES
            due = await self._next_frame(due)
        for _ in range(3):  # the end is sent three times: a packet may be lost
            body = struct.pack("!BBH", event, 0x8A, DIGIT_FRAMES * SAMPLES)
            self._send(TELEPHONE_EVENT, body, clock=begin)
        return due

    async def _next_frame(self, due: float) -> float:
        due += FRAME_SECONDS
        late = time.monotonic() - due
        if late > 0.5:  # the machine stood still: go on from now, never in a burst
            due += late
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        return due

    def _send(
        self, payload_type: int, body: bytes, marker: bool = False, clock: int | None = None
    ) -> None:
        if self._transport is None or self._transport.is_closing() or self._remote is None:
            return
        header = struct.pack(
            "!BBHII",
            0x80,
            payload_type | (0x80 if marker else 0),
            self._sequence & 0xFFFF,
            (self._clock if clock is None else clock) & 0xFFFFFFFF,
            self._source,
        )
        self._sequence += 1
        self.packets_sent += 1
        self._transport.sendto(header + body, self._remote)
