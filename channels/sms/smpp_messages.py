"""What an SMS is in SMPP: texts as they are carried, parts of long ones, receipts.

Owns the reading of a Delivery's bytes and the writing of a Submission's. Pure: knows no link and
no store.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from channels.sms.segments import Alphabet, Segments, decode_gsm, encode
from channels.sms.smpp_link import (
    JOIN_NUMBER,
    JOIN_REFERENCE,
    JOIN_TOTAL,
    MESSAGE_STATE,
    RECEIPTED_MESSAGE_ID,
    Delivery,
)
from crm_store.models import MessageState

HAS_HEADER = 0x40
"""esm_class: the content begins with a user data header (3GPP TS 23.040, 9.2.3.24)."""

_TYPE_MASK = 0x3C
_RECEIPT = 0x04
UCS2 = 8
_CODECS = {1: "ascii", 3: "latin-1", 5: "shift_jis", 6: "cyrillic", 7: "hebrew", 14: "euc-kr"}

_STATES = {
    "DELIVRD": MessageState.DELIVERED,
    "EXPIRED": MessageState.FAILED,
    "DELETED": MessageState.FAILED,
    "UNDELIV": MessageState.FAILED,
    "REJECTD": MessageState.FAILED,
}
_STATE_NUMBERS = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 8: "REJECTD"}

_RECEIPT_ID = re.compile(rb"\bid:([0-9A-Za-z-]{1,64})")
_RECEIPT_STATE = re.compile(rb"\bstat:([A-Z]{5,7})")
_RECEIPT_ERROR = re.compile(rb"\berr:([0-9A-Za-z]{1,10})")


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of which long message this is; `number` counts from 1."""

    reference: int
    total: int
    number: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the message that the centre calls `message_id`; `state` is None while it is on
    its way."""

    message_id: str
    state: MessageState | None
    error: str


def receipt_in(delivery: Delivery) -> Receipt | None:
    """The receipt that this is, by its parameters or else by the text that SMPP 3.4 (appendix B)
    suggests. None if it is a message."""
    if delivery.esm_class & _TYPE_MASK != _RECEIPT:
        return None
    said = _RECEIPT_ID.search(delivery.content)
    message_id = delivery.parameters.get(RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0")
    if not message_id and said is not None:
        message_id = said[1]
    number = delivery.parameters.get(MESSAGE_STATE, b"")
    stated = _RECEIPT_STATE.search(delivery.content)
    state = _STATE_NUMBERS.get(number[0], "") if number else stated[1].decode() if stated else ""
    cause = _RECEIPT_ERROR.search(delivery.content)
    error = f"{state} {cause[1].decode()}" if cause else state
    return Receipt(message_id.decode("ascii", "replace"), _STATES.get(state), error)


def part_in(delivery: Delivery) -> tuple[bytes, Place | None]:
    """The content without its header, and its place in a long message, None if it is whole."""
    content, place = delivery.content, _place_by_parameters(delivery)
    if not delivery.esm_class & HAS_HEADER or not content:
        return content, place
    length = content[0]
    header, rest = content[1 : 1 + length], content[1 + length :]
    at = 0
    while at + 2 <= len(header):
        kind, size = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + size]
        if kind == 0x00 and len(value) == 3:
            place = Place(value[0], value[1], value[2])
        elif kind == 0x08 and len(value) == 4:
            place = Place(int.from_bytes(value[:2], "big"), value[2], value[3])
        at += 2 + size
    return rest, place if place and 1 <= place.number <= place.total and place.total > 1 else None


def text_of(content: bytes, data_coding: int) -> str | None:
    """The text, or None if it is no text but a ring tone, say."""
    if data_coding & 0xF0 == 0xF0:
        # By 3GPP TS 23.038, 4: the last bits say the alphabet, 7 bits or 8.
        return None if data_coding & 0x04 else decode_gsm(content)
    if data_coding == UCS2:
        return content.decode("utf-16-be", "replace")
    if data_coding in (2, 4):
        return None
    codec = _CODECS.get(data_coding)
    return decode_gsm(content) if codec is None else content.decode(codec, "replace")


def contents_of(segments: Segments, reference: int) -> Sequence[bytes]:
    """Each segment's content as it is carried, with the header that joins a long one's; `reference`
    is 0 to 255."""
    if segments.count == 1:
        return [encode(segments.parts[0], segments.alphabet)]
    return [
        bytes([5, 0, 3, reference, segments.count, number]) + encode(part, segments.alphabet)
        for number, part in enumerate(segments.parts, start=1)
    ]


def coding_of(alphabet: Alphabet) -> int:
    return 0 if alphabet is Alphabet.GSM else UCS2


def _place_by_parameters(delivery: Delivery) -> Place | None:
    values = [
        int.from_bytes(delivery.parameters.get(tag, b""), "big")
        for tag in (JOIN_REFERENCE, JOIN_TOTAL, JOIN_NUMBER)
    ]
    place = Place(*values)
    return place if place.total > 1 and 1 <= place.number <= place.total <= 255 else None
