from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from crm_store import text_search
from crm_store.contacts import attachments, conversations, interactions, messages, outbox
from crm_store.contacts.attachments import NewFile
from crm_store.contacts.conversations import ConversationRecord, NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.database import Database
from crm_store.facts import Fact, MessageReceived, MessageWritten
from crm_store.models import AttachmentState, Channel, ConversationState, MessageState, Purpose
from crm_store.signals import Direction
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MAIL = "wang@mail.example"
OURS = "service@mall.example"


@pytest.fixture
async def opened(database: Database) -> int:
    async with database.transaction() as transaction:
        return await conversations.open_conversation(
            transaction, NewConversation(channel=Channel.MAIL, address=MAIL, at=NOW)
        )


async def _write(database: Database, conversation_id: int, **values: object) -> tuple[int, bool]:
    given: dict[str, object] = {
        "conversation_id": conversation_id,
        "direction": Direction.INBOUND,
        "channel": Channel.MAIL,
        "text": "where is my order?",
        "sender": MAIL,
        "recipients": [OURS],
        "at": NOW,
    }
    if values.get("direction", Direction.INBOUND) is not Direction.INBOUND:
        given |= {"author": "lin", "sender": OURS, "recipients": [MAIL]}
    async with database.transaction() as transaction:
        return await messages.store(transaction, NewMessage(**(given | values)))  # type: ignore[arg-type]


async def _state(database: Database, conversation_id: int) -> ConversationRecord:
    found = await conversations.find(database, conversation_id)
    assert found is not None
    return found


async def test_a_key_is_one_message_however_often_and_at_once(
    database: Database, opened: int
) -> None:
    key = "<1@mail.example> " + MAIL
    written = await asyncio.gather(*(_write(database, opened, external_key=key) for _ in range(5)))
    assert len({message_id for message_id, _ in written}) == 1
    assert sum(is_new for _, is_new in written) == 1
    assert await messages.known(database, Channel.MAIL, key) == (written[0][0], opened)
    assert await messages.known(database, Channel.SMS, key) is None
    _, is_new = await _write(database, opened, external_key=key, channel=Channel.SMS)
    assert is_new
    long = "<" + "x" * 100_000 + "\0>"
    first, second = [await _write(database, opened, external_key=long) for _ in range(2)]
    assert (first[1], second) == (True, (first[0], False))
    without = [await _write(database, opened) for _ in range(2)]
    assert all(is_new for _, is_new in without)
    assert len(await messages.of_conversation(database, opened)) == 5


async def test_whose_turn_it_is_follows_from_who_wrote(database: Database, opened: int) -> None:
    heard: list[Fact] = []
    database.listen(heard.extend)
    theirs, _ = await _write(database, opened)
    state = await _state(database, opened)
    assert (state.state, state.waiting_since) == (ConversationState.OPEN, NOW)
    assert (state.preview, state.our_address) == ("where is my order?", OURS)
    await _write(database, opened, at=NOW + timedelta(minutes=1), text="hello?")
    assert (await _state(database, opened)).waiting_since == NOW

    ours, _ = await _write(
        database, opened, direction=Direction.OUTBOUND, at=NOW + timedelta(minutes=5), text="soon"
    )
    state = await _state(database, opened)
    assert (state.state, state.waiting_since) == (ConversationState.WAITING, None)
    assert (state.first_answered_at, state.preview) == (NOW + timedelta(minutes=5), "soon")
    note, _ = await _write(
        database, opened, direction=Direction.INTERNAL, at=NOW + timedelta(hours=1),
        text="@sara look", mentions=["sara", "sara"],
    )  # fmt: skip
    after = await _state(database, opened)
    assert (after.preview, after.last_message_at) == ("soon", state.last_message_at)
    assert after.version == state.version + 1
    kinds = [type(fact) for fact in heard]
    assert kinds == [MessageReceived, MessageReceived, MessageWritten, MessageWritten]
    assert heard[0] == MessageReceived(message_id=theirs, conversation_id=opened, channel="mail")
    assert heard[2] == MessageWritten(
        message_id=ours, conversation_id=opened, channel="mail", direction="outbound"
    )
    read = await messages.of_conversation(database, opened)
    assert read[0].id == note
    assert read[0].mentions == ["sara"]
    async with database.transaction() as transaction:
        assert await messages.mentions_seen(transaction, "sara", opened) == 1
        assert await messages.mentions_seen(transaction, "sara", opened) == 0


@pytest.mark.parametrize("automatic", ["auto_reply", "bounce", "complaint"])
async def test_what_a_machine_wrote_wakes_nobody(
    database: Database, opened: int, automatic: str
) -> None:
    await _write(database, opened)
    async with database.transaction() as transaction:
        await conversations.close(transaction, opened, actor="lin")
    await _write(database, opened, automatic=automatic, sender="mailer-daemon@mail.example")
    state = await _state(database, opened)
    assert (state.state, state.waiting_since, state.address) == (
        ConversationState.CLOSED, None, MAIL,
    )  # fmt: skip
    await _write(database, opened, direction=Direction.OUTBOUND, automatic="rule", author="system")
    assert (await _state(database, opened)).first_answered_at is None


async def test_a_person_opens_it_again_on_whatever_channel(database: Database, opened: int) -> None:
    async with database.transaction() as transaction:
        await conversations.close(transaction, opened, actor="lin")
    later = NOW + timedelta(days=1)
    await _write(database, opened, channel=Channel.SMS, sender="+8613800138000", at=later)
    state = await _state(database, opened)
    assert (state.state, state.closed_at, state.waiting_since) == (
        ConversationState.OPEN, None, later,
    )  # fmt: skip
    assert (state.channel, state.address) == (Channel.SMS, "+8613800138000")
    contact = await interactions.find(database, state.interaction_id)
    assert contact is not None
    assert contact.closed_at is None
    async with database.transaction() as transaction:
        await conversations.snooze(transaction, opened, later + timedelta(days=9), actor="lin")
    await _write(database, opened, at=later)
    assert (await _state(database, opened)).state is ConversationState.OPEN
    async with database.transaction() as transaction:
        await conversations.mark_spam(transaction, opened, actor="lin")
    await _write(database, opened, at=later)
    assert (await _state(database, opened)).state is ConversationState.SPAM
    with pytest.raises(LookupError):
        await _write(database, opened + 1)


async def test_an_old_message_that_comes_late_is_not_the_newest(
    database: Database, opened: int
) -> None:
    await _write(database, opened, text="second")
    await _write(database, opened, text="first", at=NOW - timedelta(days=1))
    state = await _state(database, opened)
    assert (state.preview, state.last_message_at) == ("second", NOW)
    read = await messages.of_conversation(database, opened, limit=1)
    assert [one.text for one in read] == ["second"]
    older = await messages.of_conversation(database, opened, before=(read[0].at, read[0].id))
    assert [one.text for one in older] == ["first"]


async def test_what_was_written_is_found(database: Database, opened: int) -> None:
    wanted, _ = await _write(
        database, opened, text="我的地毯还没到", sender_name="王芳", subject="سفارش فرش"
    )
    for question in ("地毯", "فرش", "王芳", MAIL):
        found = await text_search.search(database, question, kinds=[EntryKind.MESSAGE])
        assert [hit.row_id for hit in found] == [wanted]


async def test_files_and_what_became_of_it_come_along(database: Database, opened: int) -> None:
    async with database.transaction() as transaction:
        uploads = await attachments.add(
            transaction,
            None,
            [
                NewFile(
                    name="a.pdf", media_type="application/pdf", size=3, sha256="a" * 64, file="aa/a"
                )
            ],
            uploaded_by="lin",
            at=NOW,
        )
        [refused] = await attachments.add(
            transaction,
            None,
            [
                NewFile(
                    name="b.exe", media_type="application/x-dosexec", size=3, reason="executable"
                )
            ],
            uploaded_by="lin",
            at=NOW,
        )
    written, _ = await _write(database, opened, direction=Direction.OUTBOUND)
    for ids, agent in ((uploads, "sara"), ([refused], "lin"), ([999], "lin")):
        with pytest.raises(LookupError):
            async with database.transaction() as transaction:
                await attachments.give(transaction, ids, written, uploaded_by=agent)
    async with database.transaction() as transaction:
        await attachments.give(transaction, uploads, written, uploaded_by="lin")
        outbox_id = await outbox.write(
            transaction, channel=Channel.MAIL, to=MAIL, text="x", purpose=Purpose.ANSWER,
            message_id=written, attachment_ids=uploads,
        )  # fmt: skip
    one = await messages.find(database, written)
    assert one is not None
    assert [(file.name, file.state) for file in one.files] == [("a.pdf", AttachmentState.OK)]
    assert one.delivery is not None
    assert (one.delivery.outbox_id, one.delivery.state) == (outbox_id, MessageState.WAITING)
    async with database.transaction() as transaction:
        assert await attachments.forget_uploads(transaction, now=NOW) == []
        gone = await attachments.forget_uploads(transaction, now=NOW + timedelta(days=2))
        assert await attachments.unshared(transaction, ["aa/a", "bb/b", ""]) == ["bb/b"]
    assert gone == []
    assert await attachments.find(database, refused) is None
