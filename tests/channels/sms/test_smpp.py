"""SMS by SMPP, against a foreign server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import smpp34
from sqlalchemy import select

from channels.incoming import Incoming
from channels.senders import NotNow, Outgoing, Refused
from channels.sms.segments import Alphabet, Price, decode_gsm, encode, split
from channels.sms.smpp_link import LinkDown, SubmitRefused
from channels.sms.smpp_messages import contents_of
from channels.sms.smpp_sender import SmppSms
from crm_store.contacts import outbox, sending
from crm_store.contacts.conversations import NewConversation, open_conversation
from crm_store.contacts.messages import NewMessage, store
from crm_store.contacts.sending import AcceptedMessage
from crm_store.database import Database
from crm_store.models import Channel, Message, MessageState, OutboxMessage, SmsPart
from crm_store.signals import Direction
from tests.channels.sms.message_centre import Centre, hanging_up, message_centre

pytestmark = pytest.mark.db

CUSTOMER = "+8613800138000"
OURS = "+862155550600"
RECEIPT = 0x04
HAS_HEADER = 0x40

keys = count(1)


def outgoing(text: str, *, to: str = CUSTOMER) -> Outgoing:
    number = next(keys)
    return Outgoing(
        id=number, channel=Channel.SMS, to=to, text=text, idempotency_key=f"key {number}"
    )


class Kept:
    """What came in, kept in the store as the inbox keeps it: once by its key."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.fails = 0

    async def receive(self, incoming: Incoming) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError("the database is away")
        async with self.database.transaction() as transaction:
            conversation_id = await open_conversation(
                transaction,
                NewConversation(channel=Channel.SMS, address=incoming.sender),
            )
            await store(
                transaction,
                NewMessage(
                    conversation_id=conversation_id,
                    direction=Direction.INBOUND,
                    channel=Channel.SMS,
                    external_key=incoming.external_key,
                    sender=incoming.sender,
                    recipients=[incoming.our_address],
                    text=incoming.text,
                    problems=incoming.problems,
                    automatic=incoming.automatic,
                    at=incoming.received_at,
                ),
            )

    async def messages(self) -> Sequence[Message]:
        async with self.database.reading() as session:
            return (await session.scalars(select(Message).order_by(Message.id))).all()

    async def texts(self) -> list[str]:
        return [message.text for message in await self.messages()]


@asynccontextmanager
async def running(database: Database, centre: Centre, kept: Kept) -> AsyncIterator[SmppSms]:
    sms = SmppSms(
        database, kept.receive, centre.at, sender=OURS, region="CN", price=Price(45_000, "CNY")
    )
    task = asyncio.create_task(sms.run())
    try:
        await sms.bound.wait()
        await centre.until(lambda: centre.session is not None)
        yield sms
    finally:
        await sms.close()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    async with message_centre() as running_centre:
        yield running_centre


@pytest.fixture
def kept(sqlite_database: Database) -> Kept:
    return Kept(sqlite_database)


@pytest.fixture
async def sms(centre: Centre, kept: Kept) -> AsyncIterator[SmppSms]:
    async with running(kept.database, centre, kept) as sms:
        yield sms


async def test_a_text_goes_out_in_the_gsm_alphabet(sms: SmppSms, centre: Centre) -> None:
    accepted = await sms.send(outgoing("Ready for pick-up: 5 € @ counter [2]"))
    (submitted,) = centre.submitted
    assert accepted.provider_id == submitted.message_id
    assert (submitted.source, submitted.destination) == (OURS[1:], CUSTOMER[1:])
    assert decode_gsm(submitted.content) == "Ready for pick-up: 5 € @ counter [2]"
    assert submitted.data_coding == 0
    assert submitted.wants_receipt
    assert (accepted.segments, accepted.cost_micros, accepted.cost_currency) == (1, 45_000, "CNY")


async def test_a_long_text_goes_out_in_parts_that_are_joined(sms: SmppSms, centre: Centre) -> None:
    text = "您的包裹已经到了😀" * 20
    accepted = await sms.send(outgoing(text))
    parts = centre.submitted
    assert accepted.segments == len(parts) == split(text).count
    headers = [part.content[:6] for part in parts]
    assert [header[:3] for header in headers] == [b"\x05\x00\x03"] * len(parts)
    assert len({header[3] for header in headers}) == 1
    assert [tuple(header[4:]) for header in headers] == [
        (len(parts), number) for number in range(1, len(parts) + 1)
    ]
    assert all(part.esm_class == HAS_HEADER and part.data_coding == 8 for part in parts)
    assert "".join(part.content[6:].decode("utf-16-be") for part in parts) == text
    assert all(len(part.content) <= 140 for part in parts)
    assert [part.wants_receipt for part in parts] == [False] * (len(parts) - 1) + [True]
    assert accepted.provider_id == parts[-1].message_id


@pytest.mark.parametrize("status", [smpp34.ESME_RTHROTTLED, smpp34.ESME_RMSGQFUL])
async def test_a_busy_centre_is_asked_again_later(
    sms: SmppSms, centre: Centre, status: int
) -> None:
    centre.decide = lambda submitted: status
    with pytest.raises(NotNow):
        await sms.send(outgoing("Hello"))


async def test_a_wrong_number_is_refused_for_ever(sms: SmppSms, centre: Centre) -> None:
    centre.decide = lambda submitted: smpp34.ESME_RINVDSTADR
    with pytest.raises(Refused) as refused:
        await sms.send(outgoing("Hello"))
    assert refused.value.bad_address


async def test_of_a_message_whose_second_part_fails_nobody_knows(
    sms: SmppSms, centre: Centre
) -> None:
    centre.decide = lambda submitted: (
        smpp34.ESME_RSYSERR if submitted.content[5:6] == b"\x02" else 0
    )
    with pytest.raises(SubmitRefused):
        await sms.send(outgoing("a" * 200))


async def test_without_a_link_it_is_certain_that_nothing_went_out(kept: Kept) -> None:
    nowhere = Centre(1)
    sms = SmppSms(kept.database, kept.receive, nowhere.at, sender=OURS, region="CN")
    with pytest.raises(NotNow):
        await sms.send(outgoing("Hello"))


async def test_a_link_that_is_cut_in_the_middle_leaves_it_unknown(kept: Kept) -> None:
    async with hanging_up() as centre:
        sms = SmppSms(kept.database, kept.receive, centre, sender=OURS, region="CN")
        task = asyncio.create_task(sms.run())
        await sms.bound.wait()
        with pytest.raises(LinkDown) as lost:
            await sms.send(outgoing("Hello"))
        assert lost.value.was_written
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_receipt_says_that_it_was_delivered(
    sms: SmppSms, centre: Centre, kept: Kept
) -> None:
    async with kept.database.transaction() as transaction:
        outbox_id = await outbox.write(
            transaction, channel=Channel.SMS, to=CUSTOMER, text="Your parcel is here"
        )
        await sending.claim(transaction, Channel.SMS, "test", limit=1, lease_s=60)
        await sending.accepted(transaction, [AcceptedMessage(id=outbox_id, provider_id="000000ff")])
    # Taken as hexadecimal, told as decimal: so do many centres.
    assert await centre.deliver(
        b"id:255 sub:001 dlvrd:001 submit date:2611220500 done date:2611220501 "
        b"stat:DELIVRD err:000 text:Your parcel",
        esm_class=RECEIPT,
    )
    assert await state_of(kept.database, outbox_id) == (MessageState.DELIVERED, "")


async def test_a_receipt_by_parameters_says_that_it_failed(
    sms: SmppSms, centre: Centre, kept: Kept
) -> None:
    async with kept.database.transaction() as transaction:
        outbox_id = await outbox.write(
            transaction, channel=Channel.SMS, to=CUSTOMER, text="Your parcel is here"
        )
        await sending.claim(transaction, Channel.SMS, "test", limit=1, lease_s=60)
        await sending.accepted(transaction, [AcceptedMessage(id=outbox_id, provider_id="abc")])
    assert await centre.deliver(
        b"",
        esm_class=RECEIPT,
        tlvs=[
            smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, b"abc\0"),
            smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\x05"),
        ],
    )
    assert await state_of(kept.database, outbox_id) == (MessageState.FAILED, "SMPP: UNDELIV")


async def state_of(database: Database, outbox_id: int) -> tuple[MessageState, str]:
    async with database.reading() as session:
        row = await session.get_one(OutboxMessage, outbox_id)
        return row.state, row.error


async def test_what_customers_write_is_kept_before_the_centre_is_told(
    sms: SmppSms, centre: Centre, kept: Kept
) -> None:
    kept.fails = 1
    assert not await centre.deliver(b"Where is my parcel?")
    assert await kept.texts() == []
    assert await centre.deliver(b"Where is my parcel?")
    (message,) = await kept.messages()
    assert (message.text, message.sender, message.recipients) == (
        "Where is my parcel?",
        CUSTOMER,
        [OURS],
    )


@pytest.mark.parametrize(
    ("content", "data_coding", "text"),
    [
        (encode("5 € {ok} ñ", Alphabet.GSM), 0, "5 € {ok} ñ"),
        ("我的包裹在哪里?😀".encode("utf-16-be"), 8, "我的包裹在哪里?😀"),
        ("Está".encode("latin-1"), 3, "Está"),
        (b"plain", 1, "plain"),
        (b"flash", 0xF0, "flash"),
        (b"a\0b".replace(b"\0", b"\x1b\x1b"), 0, "a b"),
    ],
)
@pytest.mark.usefixtures("sms")
async def test_texts_in_all_codings(
    centre: Centre, kept: Kept, content: bytes, data_coding: int, text: str
) -> None:
    assert await centre.deliver(content, data_coding=data_coding)
    assert await kept.texts() == [text]


async def test_a_text_beyond_254_bytes_comes_as_a_parameter(
    sms: SmppSms, centre: Centre, kept: Kept
) -> None:
    payload = smpp34.Tlv(smpp34.TLV_MESSAGE_PAYLOAD, ("长" * 300).encode("utf-16-be"))
    # A parameter that nobody knows stands before it.
    assert await centre.deliver(b"", data_coding=8, tlvs=[smpp34.Tlv(0x1403, b"\1\2\3"), payload])
    assert await kept.texts() == ["长" * 300]


async def test_a_ring_tone_is_told_of_and_not_shown(
    sms: SmppSms, centre: Centre, kept: Kept
) -> None:
    assert await centre.deliver(b"\x02\x4a\x3a", data_coding=4)
    (message,) = await kept.messages()
    assert message.text == ""
    assert message.problems


async def test_a_name_or_a_short_number_is_nobody_to_answer_by_itself(
    sms: SmppSms, centre: Centre, kept: Kept
) -> None:
    assert await centre.deliver(b"Your code is 1", source_addr="BANK", source_addr_ton=5)
    assert await centre.deliver(b"Top up now", source_addr="10086", source_addr_ton=3)
    assert [(m.sender, m.automatic) for m in await kept.messages()] == [
        ("BANK", "list"),
        ("10086", "list"),
    ]


async def test_parts_in_any_order_are_one_message(sms: SmppSms, centre: Centre, kept: Kept) -> None:
    text = "我的订单还没有到,请问现在到哪里了?" * 9
    parts = contents_of(split(text), 7)
    for part in reversed(parts):
        assert await kept.texts() == []
        assert await centre.deliver(part, data_coding=8, esm_class=HAS_HEADER)
    assert await kept.texts() == [text]
    async with kept.database.reading() as session:
        assert (await session.scalars(select(SmsPart))).all() == []
    # The same reference again is another message.
    for part in parts:
        assert await centre.deliver(part, data_coding=8, esm_class=HAS_HEADER)
    assert await kept.texts() == [text, text]


async def test_parts_by_parameters_are_one_message(
    sms: SmppSms, centre: Centre, kept: Kept
) -> None:
    for number, part in enumerate((b"one ", b"two ", b"three"), start=1):
        tlvs = [
            smpp34.Tlv(smpp34.TLV_SAR_MSG_REF_NUM, b"\x01\x02"),
            smpp34.Tlv(smpp34.TLV_SAR_TOTAL_SEGMENTS, b"\x03"),
            smpp34.Tlv(smpp34.TLV_SAR_SEGMENT_SEQNUM, bytes([number])),
        ]
        assert await centre.deliver(part, tlvs=tlvs)
    assert await kept.texts() == ["one two three"]


async def test_a_message_that_does_not_become_whole_is_shown_without_its_parts(
    sms: SmppSms, centre: Centre, kept: Kept
) -> None:
    parts = contents_of(split("a" * 153 + "b" * 153 + "c"), 9)
    assert await centre.deliver(parts[0], esm_class=HAS_HEADER)
    assert await centre.deliver(parts[2], esm_class=HAS_HEADER)
    await sms.show_late_parts(datetime.now(UTC) - timedelta(hours=1))
    assert await kept.texts() == []
    await sms.show_late_parts(datetime.now(UTC) + timedelta(hours=1))
    (message,) = await kept.messages()
    assert message.text == "a" * 153 + "c"
    assert message.problems == ["only 2 of 3 parts have arrived"]


async def test_a_reference_that_is_used_again_mixes_no_messages(
    sms: SmppSms, centre: Centre, kept: Kept
) -> None:
    former = contents_of(split("a" * 200), 5)
    later = contents_of(split("b" * 200), 5)
    assert await centre.deliver(former[0], esm_class=HAS_HEADER)
    for part in later:
        assert await centre.deliver(part, esm_class=HAS_HEADER)
    assert await kept.texts() == ["a" * 153, "b" * 200]


async def test_after_a_lost_link_what_is_said_again_is_known(centre: Centre, kept: Kept) -> None:
    async with running(kept.database, centre, kept):
        assert await centre.deliver(b"Hello?")
        assert await centre.deliver(b"Hello?")
        assert await kept.texts() == ["Hello?", "Hello?"]
    async with running(kept.database, centre, kept):
        assert await centre.deliver(b"Hello?")
        assert await centre.deliver(b"Hello!")
    assert await kept.texts() == ["Hello?", "Hello?", "Hello!"]


async def test_it_binds_again_after_a_lost_link(kept: Kept) -> None:
    async with hanging_up() as centre:
        sms = SmppSms(kept.database, kept.receive, centre, sender=OURS, region="CN")
        task = asyncio.create_task(sms.run())
        for _ in range(2):
            await sms.bound.wait()
            with pytest.raises(LinkDown):
                await sms.send(outgoing("Hello"))
            assert not sms.bound.is_set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
