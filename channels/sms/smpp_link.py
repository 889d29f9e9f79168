"""The link to a message centre by SMPP 3.4: bound as a transceiver, bound again when it is lost.

Owns the connection, its signs of life, and which answer belongs to which request. smpplib makes and
reads the PDUs (its own client blocks). Refuses to know what a message says or where it is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smpplib import command, command_codes, consts, exceptions, smpp

log = logging.getLogger(__name__)

LARGEST_PDU = 65_536
"""Bytes; a centre that says more has lost its place in the stream, or is none."""

WAITING_DELIVERIES = 100
"""So many messages may wait to be stored; further ones are put off at the centre."""

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0

INTERNATIONAL = 1
ALPHANUMERIC = 5
E164 = 1

TEMPORARY_ERROR = 0x64
"""ESME_RX_T_APPN: the centre keeps the message and tries again."""

# Optional parameters (SMPP 3.4, 5.3.2).
MESSAGE_PAYLOAD = 0x0424
RECEIPTED_MESSAGE_ID = 0x001E
MESSAGE_STATE = 0x0427
JOIN_REFERENCE = 0x020C
JOIN_TOTAL = 0x020E
JOIN_NUMBER = 0x020F

_HEADER = struct.Struct(">LLLL")
_RESPONSE = 0x8000_0000
_GENERIC_NACK = 0x8000_0000
_NOT_UNDERSTOOD = 0x03
"""ESME_RINVCMDID."""


class LinkDown(Exception):
    """There is no bound link. `was_written`: whether the request may have reached the centre."""

    def __init__(self, why: str, *, was_written: bool) -> None:
        super().__init__(why)
        self.was_written = was_written


class SubmitRefused(Exception):
    """The centre answered with an error: `status` is SMPP's command_status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"SMPP status 0x{status:02x}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCentre:
    """Where a message centre is and who we are there. `tls` is how to check its certificate."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    system_type: str = ""
    tls: ssl.SSLContext | None = None
    answer_s: float = 10.0
    """An answer that takes longer is none."""

    idle_s: float = 30.0
    """After so long a silence it is asked whether it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A deliver_sm: a customer's message, or a receipt for one of ours."""

    source: str
    source_ton: int
    destination: str
    esm_class: int
    data_coding: int
    content: bytes
    parameters: Mapping[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A submit_sm. With `wants_receipt` the centre tells whether it was delivered."""

    source: str
    destination: str
    content: bytes
    data_coding: int
    esm_class: int = 0
    wants_receipt: bool = True


class SmppLink:
    """Keeps one bind up while `run` runs. `deliver` gets each deliver_sm, in order; the centre is
    told that we have it when that returns, and keeps it if that raises. `bound_at` is when the
    present bind, or the last one, began."""

    def __init__(
        self, centre: MessageCentre, deliver: Callable[[Delivery], Awaitable[None]]
    ) -> None:
        self.bound = asyncio.Event()
        self.bound_at = datetime.min.replace(tzinfo=UTC)
        self._centre = centre
        self._deliver = deliver
        self._sequence = _Sequence()
        self._writer: asyncio.StreamWriter | None = None
        # By its number, which answer a request has, and who waits for it.
        self._asked: dict[int, tuple[int, asyncio.Future[tuple[int, bytes]]]] = {}

    async def run(self) -> None:
        """Bind, and again whenever the link is lost, until cancelled."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                await self._live()
            except* (OSError, EOFError, LinkDown, SubmitRefused) as group:
                if self.bound.is_set():
                    wait_s = FIRST_WAIT_S
                causes = {str(error) or type(error).__name__ for error in group.exceptions}
                log.warning("no link to the message centre: %s", "; ".join(sorted(causes)))
            finally:
                self._lose()
            # A group whose members fail while it is cancelled forgets that it was (Python 3.11).
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load only
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)

    async def submit(self, submission: Submission) -> str:
        """The centre's id of the message. Raises LinkDown, SubmitRefused or TimeoutError."""
        if not self.bound.is_set():
            raise LinkDown("the message centre is not bound", was_written=False)
        pdu = smpp.make_pdu(
            "submit_sm",
            client=self._sequence,
            source_addr_ton=INTERNATIONAL if submission.source.isdigit() else ALPHANUMERIC,
            source_addr_npi=E164 if submission.source.isdigit() else 0,
            source_addr=submission.source,
            dest_addr_ton=INTERNATIONAL,
            dest_addr_npi=E164,
            destination_addr=submission.destination,
            esm_class=submission.esm_class,
            data_coding=submission.data_coding,
            registered_delivery=int(submission.wants_receipt),
            short_message=submission.content,
        )
        body = await self._ask(pdu)
        return body.partition(b"\0")[0].decode("ascii", "replace")

    async def _live(self) -> None:
        """One connection, from its opening to its loss."""
        centre = self._centre
        async with asyncio.timeout(centre.answer_s):
            reader, self._writer = await asyncio.open_connection(
                centre.host, centre.port, ssl=centre.tls
            )
        deliveries: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(WAITING_DELIVERIES)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(reader, deliveries), name="smpp reading")
            group.create_task(self._hand_over(deliveries), name="smpp deliveries")
            bind = smpp.make_pdu(
                "bind_transceiver",
                client=self._sequence,
                system_id=centre.user,
                password=centre.password,
                system_type=centre.system_type,
            )
            await self._ask(bind)
            self.bound_at = datetime.now(UTC)
            self.bound.set()
            log.info("bound to the message centre")
            while True:
                await asyncio.wait([reading], timeout=centre.idle_s)
                await self._ask(smpp.make_pdu("enquire_link", client=self._sequence))

    async def _ask(self, pdu: Any) -> bytes:
        """Send a request; the body of its answer."""
        if self._writer is None:
            raise LinkDown("the message centre is not connected", was_written=False)
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        code = int(command_codes.get_command_code(pdu.command)) | _RESPONSE
        self._asked[pdu.sequence] = (code, answer)
        try:
            self._writer.write(pdu.generate())
            async with asyncio.timeout(self._centre.answer_s):
                await self._writer.drain()
                status, body = await answer
        finally:
            self._asked.pop(pdu.sequence, None)
        if status != consts.SMPP_ESME_ROK:
            raise SubmitRefused(status)
        return body

    async def _read(
        self, reader: asyncio.StreamReader, deliveries: asyncio.Queue[tuple[int, bytes]]
    ) -> None:
        while True:
            header = await reader.readexactly(_HEADER.size)
            length, code, status, sequence = _HEADER.unpack(header)
            if not _HEADER.size <= length <= LARGEST_PDU:
                raise LinkDown("the centre said nonsense", was_written=True)
            body = await reader.readexactly(length - _HEADER.size)
            name = _name_of(code)
            if code & _RESPONSE:
                self._hear_answer(code, sequence, status, body)
            elif name == "deliver_sm":
                try:
                    deliveries.put_nowait((sequence, header + body))
                except asyncio.QueueFull:
                    self._answer("deliver_sm_resp", sequence, TEMPORARY_ERROR)
            elif name == "enquire_link":
                self._answer("enquire_link_resp", sequence)
            elif name == "unbind":
                self._answer("unbind_resp", sequence)
                raise LinkDown("the centre has unbound us", was_written=True)
            elif name != "alert_notification":
                self._answer("generic_nack", sequence, consts.SMPP_ESME_RINVCMDID)

    def _hear_answer(self, code: int, sequence: int, status: int, body: bytes) -> None:
        expected, answer = self._asked.get(sequence, (code, None))
        if code not in (expected, _GENERIC_NACK):
            raise LinkDown("the centre answers what was not asked", was_written=True)
        if answer is not None and not answer.done():
            if code == _GENERIC_NACK:
                status = status or _NOT_UNDERSTOOD
            answer.set_result((status, body))

    async def _hand_over(self, deliveries: asyncio.Queue[tuple[int, bytes]]) -> None:
        while True:
            sequence, pdu = await deliveries.get()
            try:
                delivery = _delivery_of(pdu)
            except (ValueError, struct.error, exceptions.PDUError) as error:
                log.warning("a message from the centre cannot be read: %s", type(error).__name__)
                self._answer("deliver_sm_resp", sequence, consts.SMPP_ESME_RINVMSGLEN)
                continue
            try:
                await self._deliver(delivery)
            except Exception:
                log.exception("a message from the centre could not be kept; it keeps it")
                self._answer("deliver_sm_resp", sequence, TEMPORARY_ERROR)
            else:
                self._answer("deliver_sm_resp", sequence)

    def _answer(self, name: str, sequence: int, status: int = consts.SMPP_ESME_ROK) -> None:
        if self._writer is not None:
            pdu = smpp.make_pdu(name, client=self._sequence, status=status)
            pdu.sequence = sequence
            self._writer.write(pdu.generate())

    def _lose(self) -> None:
        self.bound.clear()
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None
        for _, answer in self._asked.values():
            if not answer.done():
                answer.set_exception(LinkDown("the link was lost", was_written=True))
        self._asked.clear()

    async def unbind(self) -> None:
        """Tell the centre that we go. Whether it hears it is not waited for long."""
        if self.bound.is_set():
            with contextlib.suppress(LinkDown, SubmitRefused, TimeoutError, OSError):
                async with asyncio.timeout(2.0):
                    await self._ask(smpp.make_pdu("unbind", client=self._sequence))


class _Sequence:
    """Numbers for requests, as smpplib asks its client for them."""

    def __init__(self) -> None:
        self.sequence = 0

    def next_sequence(self) -> int:
        self.sequence = self.sequence % 0x7FFF_FFFF + 1
        return self.sequence


class _DeliverSm(command.DeliverSM):  # type: ignore[misc]
    """smpplib reads optional parameters without regard to their length, and fails at those that it
    does not know of a deliver_sm: they are read here."""

    def __init__(self) -> None:
        super().__init__("deliver_sm", client=_Sequence())
        self.parameters: dict[int, bytes] = {}

    def parse_optional_params(self, data: bytes) -> None:
        at = 0
        while at + 4 <= len(data):
            tag, length = struct.unpack_from(">HH", data, at)
            self.parameters[tag] = data[at + 4 : at + 4 + length]
            at += 4 + length


def _delivery_of(pdu: bytes) -> Delivery:
    read = _DeliverSm()
    read.parse(pdu)
    if read.destination_addr is None or read.short_message is None:
        raise ValueError("the PDU is cut off")
    content = read.short_message or read.parameters.get(MESSAGE_PAYLOAD, b"")
    return Delivery(
        source=read.source_addr.decode("ascii", "replace"),
        source_ton=read.source_addr_ton,
        destination=read.destination_addr.decode("ascii", "replace"),
        esm_class=read.esm_class,
        data_coding=read.data_coding,
        content=bytes(content),
        parameters=read.parameters,
    )


def _name_of(code: int) -> str:
    try:
        return str(command_codes.get_command_name(code))
    except exceptions.UnknownCommandError:
        return ""
