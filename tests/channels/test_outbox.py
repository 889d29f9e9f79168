"""The outbox on the real store, with an other side that does as each test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from channels.attachments import AttachmentFiles
from channels.outbox import Outbox
from channels.senders import Accepted, NotNow, Outgoing, Refused, mail_message_id
from crm_store.contacts import attachments, outbox, sending
from crm_store.contacts.attachments import NewFile
from crm_store.contacts.outbox import OutboxRecord
from crm_store.database import Database
from crm_store.models import (
    Channel,
    ContactKind,
    ContactPoint,
    MessageState,
    OutboxMessage,
    Purpose,
)
from crm_store.people import customers, preferences
from crm_store.people.customers import ContactWay, NewCustomer

pytestmark = pytest.mark.db

Reply = Callable[[Outgoing], Awaitable[Accepted]]


class OtherSide:
    """Takes messages, or does what `reply` says."""

    channel = Channel.MAIL

    def __init__(self, reply: Reply | None = None, *, at_once: int = 4) -> None:
        self.at_once = at_once
        self.recognises_repeats = False
        self.got: list[Outgoing] = []
        self.most_at_once = 0
        self.is_closed = False
        self._reply = reply
        self._now = 0

    async def send(self, message: Outgoing) -> Accepted:
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            if self._reply is not None:
                accepted = await self._reply(message)
            else:
                await asyncio.sleep(0)
                accepted = Accepted(provider_id=f"their-{message.id}", segments=2)
        finally:
            self._now -= 1
        self.got.append(message)
        return accepted

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def files(tmp_path: Path) -> AttachmentFiles:
    return AttachmentFiles(tmp_path / "attachments")


@asynccontextmanager
async def carrying(
    database: Database, files: AttachmentFiles, side: OtherSide, **settings: float
) -> AsyncIterator[Outbox]:
    carried = Outbox(database, files, {Channel.MAIL: side}, **settings)
    running = asyncio.create_task(carried.run())
    try:
        yield carried
    finally:
        running.cancel()
        await asyncio.wait([running])
        files.close()


async def write(database: Database, to: str = "wang@example.com", **values: object) -> int:
    async with database.transaction() as transaction:
        return await outbox.write(
            transaction, channel=Channel.MAIL, to=to, text="Your order is here.", **values
        )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def settled(database: Database, outbox_id: int, *states: MessageState) -> OutboxRecord:
    """The row, once it is in one of the states."""
    async with asyncio.timeout(30):
        while True:
            row = await outbox.find(database, outbox_id)
            assert row is not None
            if row.state in states:
                return row
            await asyncio.sleep(0.01)


async def test_what_is_written_goes_out_once_and_its_outcome_is_kept(
    database: Database, files: AttachmentFiles
) -> None:
    side = OtherSide()
    early = await write(database, idempotency_key="first", subject="Hello", language="zh")
    async with carrying(database, files, side, poll_s=30) as carried:
        row = await settled(database, early, MessageState.SENT)
        assert (row.provider_id, row.segments, row.attempts) == (f"their-{early}", 2, 1)
        assert row.sent_at is not None
        # Written while it runs: the fact wakes it, long before it would look by itself.
        late = await write(database)
        await settled(database, late, MessageState.SENT)
        await write(database, idempotency_key="first")
        assert carried.figures[Channel.MAIL].accepted == 2
    assert [message.id for message in side.got] == [early, late]
    first = side.got[0]
    assert (first.subject, first.language, first.is_repeat) == ("Hello", "zh", False)
    assert first.message_id == mail_message_id("first", "")
    assert side.is_closed


async def test_a_crowd_goes_out_in_batches_never_more_at_once_than_the_sender_takes(
    database: Database, files: AttachmentFiles
) -> None:
    side = OtherSide(at_once=7)
    async with database.transaction() as transaction:
        for number in range(100):
            await outbox.write(
                transaction, channel=Channel.MAIL, to=f"c{number}@example.com", text="Hello"
            )
    async with carrying(database, files, side) as carried:
        await until(lambda: carried.figures[Channel.MAIL].accepted >= 100)
    assert len(side.got) == len({message.id for message in side.got}) == 100
    assert side.most_at_once <= 7
    assert not await outbox.waiting(database)


async def test_what_is_certain_not_to_be_accepted_is_tried_again(
    database: Database, files: AttachmentFiles
) -> None:
    tries = 0

    async def busy_at_first(message: Outgoing) -> Accepted:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise NotNow(0.01, "greylisted")
        return Accepted()

    side = OtherSide(busy_at_first)
    outbox_id = await write(database)
    async with carrying(database, files, side, poll_s=0.01) as carried:
        row = await settled(database, outbox_id, MessageState.SENT)
        assert carried.figures[Channel.MAIL].put_off == 2
    assert (row.attempts, row.repeats) == (3, 0)
    assert [message.is_repeat for message in side.got] == [False]


async def test_after_days_of_trying_people_are_told(
    database: Database, files: AttachmentFiles
) -> None:
    async def never(_message: Outgoing) -> Accepted:
        raise NotNow(0.01, "the mailbox is full")

    code = await write(database, purpose=Purpose.CODE, is_secret=True)
    old = await write(database)
    async with database.transaction() as transaction:
        for outbox_id, age in ((code, timedelta(minutes=11)), (old, timedelta(days=3))):
            await transaction.session.execute(
                update(OutboxMessage)
                .where(OutboxMessage.id == outbox_id)
                .values(written_at=datetime.now(UTC) - age)
            )
    async with carrying(database, files, OtherSide(never)):
        row = await settled(database, old, MessageState.FAILED)
        assert row.error == "the mailbox is full"
        row = await settled(database, code, MessageState.FAILED)
        assert row.text == ""


async def test_what_is_refused_is_not_tried_again_and_a_wrong_address_is_marked(
    database: Database, files: AttachmentFiles
) -> None:
    async with database.transaction() as transaction:
        customer_id = await customers.create(
            transaction,
            NewCustomer("Wang", contact_points=(ContactWay(ContactKind.MAIL, "wang@example.com"),)),
            actor="lin",
        )

    async def unknown(_message: Outgoing) -> Accepted:
        raise Refused("550 no such user", bad_address=True)

    outbox_id = await write(database)
    async with carrying(database, files, OtherSide(unknown)):
        row = await settled(database, outbox_id, MessageState.FAILED)
    assert (row.error, row.attempts) == ("550 no such user", 1)
    async with database.reading() as session:
        trouble = await session.scalar(
            select(ContactPoint.trouble).where(ContactPoint.customer_id == customer_id)
        )
    assert trouble == "invalid"


@pytest.mark.parametrize("recognises_repeats", [False, True])
async def test_what_nobody_knows_is_repeated_once_and_then_left_to_people(
    database: Database,
    files: AttachmentFiles,
    recognises_repeats: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("channels.carrier.AFTER_UNSURE_S", 0.0)
    seen = []

    async def gone(message: Outgoing) -> Accepted:
        seen.append(message.is_repeat)
        if len(seen) == 4:
            return Accepted()
        raise ConnectionResetError("after the final dot")

    side = OtherSide(gone)
    side.recognises_repeats = recognises_repeats
    outbox_id = await write(database)
    async with carrying(database, files, side, poll_s=0.01):
        row = await settled(database, outbox_id, MessageState.UNCERTAIN, MessageState.SENT)
    if recognises_repeats:
        assert (row.state, seen) == (MessageState.SENT, [False, True, True, True])
    else:
        assert (row.state, seen) == (MessageState.UNCERTAIN, [False, True])
        assert row.error == "ConnectionResetError: after the final dot"


async def test_a_sender_that_never_comes_back_leaves_it_unknown(
    database: Database, files: AttachmentFiles
) -> None:
    async def for_ever(_message: Outgoing) -> Accepted:
        await asyncio.Event().wait()
        raise AssertionError

    outbox_id = await write(database)
    async with carrying(database, files, OtherSide(for_ever), longest_send_s=0.05) as carried:
        await until(lambda: carried.figures[Channel.MAIL].unsure > 0)
        row = await outbox.find(database, outbox_id)
    assert row is not None
    assert (row.state, row.repeats) == (MessageState.WAITING, 1)


async def test_what_a_killed_process_was_sending_is_taken_up_after_its_lease(
    database: Database, files: AttachmentFiles
) -> None:
    outbox_id = await write(database)
    async with database.transaction() as transaction:
        await sending.claim(transaction, Channel.MAIL, "the dead", limit=5, lease_s=0.0)
    side = OtherSide()
    async with carrying(database, files, side, poll_s=0.05, lease_s=1.0):
        row = await settled(database, outbox_id, MessageState.SENT)
    assert (row.repeats, row.attempts) == (1, 2)
    assert [message.is_repeat for message in side.got] == [True]


async def test_a_living_process_keeps_what_takes_long(
    database: Database, files: AttachmentFiles
) -> None:
    let_go = asyncio.Event()

    async def slow(_message: Outgoing) -> Accepted:
        await let_go.wait()
        return Accepted()

    outbox_id = await write(database)
    side = OtherSide(slow)
    other = OtherSide()
    async with carrying(database, files, side, lease_s=0.6, poll_s=0.05) as carried:
        await until(lambda: carried.figures[Channel.MAIL].sending > 0)
        first = await outbox.find(database, outbox_id)
        async with carrying(database, files, other, lease_s=0.6, poll_s=0.05):
            # Its claim is prolonged beyond the first one's end, so the other process leaves it.
            async with database.reading() as session:
                first_end = await session.scalar(_CLAIMED_UNTIL)
            async with asyncio.timeout(30):
                while True:
                    async with database.reading() as session:
                        end = await session.scalar(_CLAIMED_UNTIL)
                    assert first_end is not None
                    assert end is not None
                    if end > first_end + timedelta(seconds=1):
                        break
                    await asyncio.sleep(0.05)
        let_go.set()
        row = await settled(database, outbox_id, MessageState.SENT)
    assert first is not None
    assert (row.attempts, other.got) == (1, [])


_CLAIMED_UNTIL = select(OutboxMessage.claimed_until)


async def test_a_quiet_stop_lets_arrive_what_is_on_its_way(
    database: Database, files: AttachmentFiles
) -> None:
    started = asyncio.Event()
    let_go = asyncio.Event()

    async def slow(_message: Outgoing) -> Accepted:
        started.set()
        await let_go.wait()
        return Accepted()

    outbox_id = await write(database)
    carried = Outbox(database, files, {Channel.MAIL: OtherSide(slow)})
    running = asyncio.create_task(carried.run())
    await started.wait()
    running.cancel()
    asyncio.get_running_loop().call_later(0.05, let_go.set)
    await asyncio.wait([running])
    row = await outbox.find(database, outbox_id)
    assert row is not None
    assert row.state is MessageState.SENT
    files.close()


async def test_what_does_not_arrive_before_the_stop_is_known_by_its_lease(
    database: Database, files: AttachmentFiles
) -> None:
    started = asyncio.Event()

    async def for_ever(_message: Outgoing) -> Accepted:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    outbox_id = await write(database)
    side = OtherSide(for_ever)
    carried = Outbox(database, files, {Channel.MAIL: side}, longest_stop_s=0.05)
    running = asyncio.create_task(carried.run())
    await started.wait()
    running.cancel()
    await asyncio.wait([running])
    row = await outbox.find(database, outbox_id)
    assert row is not None
    assert row.state is MessageState.SENDING
    assert side.is_closed
    files.close()


async def test_whoever_opted_out_a_moment_ago_gets_no_promotion_but_their_answer(
    database: Database, files: AttachmentFiles
) -> None:
    promotion = await write(database, purpose=Purpose.PROMOTION)
    answer = await write(database, purpose=Purpose.ANSWER)
    other = await write(database, "li@example.com", purpose=Purpose.PROMOTION)
    notice = await write(database, "li@example.com", purpose=Purpose.NOTICE)
    async with database.transaction() as transaction:
        await preferences.opt_out(transaction, Channel.MAIL, "wang@example.com", by="customer")
        await preferences.opt_out(
            transaction,
            Channel.MAIL,
            "li@example.com",
            subject=preferences.Subject.PROMOTIONS,
            by="customer",
        )
    side = OtherSide()
    async with carrying(database, files, side):
        assert (await settled(database, promotion, MessageState.FAILED)).error == "opted_out"
        assert (await settled(database, other, MessageState.FAILED)).error == "opted_out"
        await settled(database, answer, MessageState.SENT)
        await settled(database, notice, MessageState.SENT)
    assert {message.id for message in side.got} == {answer, notice}


async def test_files_go_along_and_what_is_gone_is_said(
    database: Database, files: AttachmentFiles
) -> None:
    (kept,) = await files.keep([("bill.txt", b"24.95")])
    async with database.transaction() as transaction:
        (number,) = await attachments.add(
            transaction,
            None,
            [
                NewFile(
                    name=kept.name,
                    media_type=kept.media_type,
                    size=kept.size,
                    sha256=kept.sha256,
                    file=kept.file,
                )
            ],
        )
    whole = await write(database, attachment_ids=[number])
    partly = await write(database, attachment_ids=[number, number + 1])
    side = OtherSide()
    async with carrying(database, files, side):
        await settled(database, whole, MessageState.SENT)
        assert (await settled(database, partly, MessageState.FAILED)).error == "no_file"
    (message,) = side.got
    assert [(file.name, file.path.read_bytes()) for file in message.files] == [
        ("bill.txt", b"24.95")
    ]


async def test_a_side_that_takes_nothing_is_not_asked_about_every_message(
    database: Database, files: AttachmentFiles
) -> None:
    asked = 0

    async def away(_message: Outgoing) -> Accepted:
        nonlocal asked
        asked += 1
        raise NotNow(20, "connection refused")

    for number in range(20):
        await write(database, f"c{number}@example.com")
    async with carrying(database, files, OtherSide(away), poll_s=0.01) as carried:
        await until(lambda: carried.figures[Channel.MAIL].put_off >= 4)
        for _ in range(20):
            carried.wake()
            await asyncio.sleep(0)
    assert asked < 20


async def test_codes_go_before_what_waits_already(
    database: Database, files: AttachmentFiles
) -> None:
    for number in range(10):
        await write(database, f"c{number}@example.com", purpose=Purpose.PROMOTION)
    code = await write(database, purpose=Purpose.CODE, is_secret=True)
    side = OtherSide(at_once=1)
    async with carrying(database, files, side):
        row = await settled(database, code, MessageState.SENT)
    assert side.got[0].id == code
    assert row.text == ""
