"""What becomes of a message, on the real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from channels import answering
from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.incoming import Incoming, IncomingFile
from crm_store.contacts import (
    conversations,
    inbox_rules,
    messages,
    outbox,
    queue_places,
    tasks,
    threads,
)
from crm_store.contacts.conversations import ConversationRecord
from crm_store.contacts.inbox_rules import NewRule
from crm_store.database import Database, Transaction
from crm_store.job_worker import JobWorker
from crm_store.jobs import Subscribers
from crm_store.knowledge import canned_texts
from crm_store.models import (
    AttachmentState,
    Channel,
    ContactKind,
    Conversation,
    ConversationState,
    JobRow,
    JobState,
    RuleMoment,
    Segment,
)
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord
from tests.store_fixtures import DatabaseOpener

pytestmark = pytest.mark.db

NEXT_YEAR = datetime(2027, 12, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MAIL = Incoming(
    channel=Channel.MAIL,
    external_key="<1@example.com> wang@example.com",
    sender="wang@example.com",
    sender_name="Wang Fang",
    our_address="service@mall.example",
    recipients=("service@mall.example",),
    subject="Where is my order?",
    text="I have been waiting for a week.",
    message_id="<1@example.com>",
    received_at=NOON,
    raw=b"From: wang@example.com\r\n\r\nI have been waiting for a week.",
)
SMS = Incoming(
    channel=Channel.SMS,
    external_key="SM1",
    sender="+8613800138000",
    our_address="+8621000000",
    text="Where is my order?",
    received_at=NOON,
)


class House:
    """A store with two queues, an inbox, and the worker of its jobs."""

    def __init__(self, database: Database, folder: Path, subscribers: Subscribers) -> None:
        self.database = database
        self.files = AttachmentFiles(folder)
        self.inbox = Inbox(
            database,
            self.files,
            default_queue="service",
            own_addresses=["service@mall.example", "loop@mall.example"],
            language="es",
        )
        self.inbox.subscribe(subscribers)

    async def set_up(self) -> None:
        async with self.database.transaction() as transaction:
            await queues.save(transaction, QueueRecord("sales", "600", {"en": "Sales"}))
            await queues.save(transaction, QueueRecord("service", "601", {"en": "Service"}))
            await agents.save(transaction, login="lin", display_name="Lin")
            await opening_hours.write(
                transaction, "house", Calendar(on_holidays=None), actor="admin"
            )

    async def customer(self, *ways: tuple[ContactKind, str], **values: Any) -> int:
        points = tuple(ContactWay(kind, value) for kind, value in ways)
        async with self.database.transaction() as transaction:
            return await customers.create(
                transaction, NewCustomer("Wang Fang", contact_points=points, **values), actor="lin"
            )

    async def rule(
        self,
        conditions: list[dict[str, Any]],
        *actions: dict[str, Any],
        moment: RuleMoment = RuleMoment.RECEIVED,
    ) -> int:
        async with self.database.transaction() as transaction:
            return await inbox_rules.add(
                transaction,
                NewRule(
                    name="a rule",
                    moment=moment,
                    conditions=conditions,
                    actions=actions,
                    active=True,
                ),
                actor="admin",
            )

    async def text(self, code: str, **texts: str) -> None:
        async with self.database.transaction() as transaction:
            await canned_texts.save(
                transaction, code=code, titles={"en": code}, texts=texts, actor="admin"
            )

    async def receive(self, incoming: Incoming) -> ConversationRecord:
        received = await self.inbox.receive(incoming)
        assert received.is_new
        return await self.conversation(received.conversation_id)

    async def conversation(self, conversation_id: int) -> ConversationRecord:
        found = await conversations.find(self.database, conversation_id)
        assert found is not None
        return found

    async def answer(self, conversation_id: int, text: str = "It is on its way.") -> None:
        async with self.database.transaction() as transaction:
            await answering.answer(transaction, conversation_id, author="lin", text=text)

    async def do_jobs(self) -> None:
        """Every job, also those that are not due for days."""
        worker = asyncio.create_task(JobWorker(self.database, poll_s=0.01).run())
        async with asyncio.timeout(60):
            while True:
                async with self.database.transaction() as transaction:
                    await transaction.session.execute(
                        update(JobRow)
                        .where(JobRow.state == JobState.WAITING)
                        .values(due_at=datetime.now(UTC))
                    )
                    left = await transaction.session.scalar(
                        select(func.count()).where(
                            JobRow.state.in_([JobState.WAITING, JobState.RUNNING])
                        )
                    )
                if not left:
                    break
                self.database.job_written.set()
                await asyncio.sleep(0.01)
        worker.cancel()
        await asyncio.wait([worker])


@pytest.fixture
async def house(open_database: DatabaseOpener, tmp_path: Path) -> AsyncIterator[House]:
    subscribers = Subscribers()
    made = House(open_database(subscribers), tmp_path / "attachments", subscribers)
    await made.set_up()
    yield made
    made.files.close()


def again(incoming: Incoming, number: int, **values: Any) -> Incoming:
    name = f"<{number}@example.com>"
    values = {"external_key": f"{name} {incoming.sender}", "message_id": name} | values
    return replace(incoming, **values)


async def test_a_mail_is_kept_once_with_all_that_it_has(house: House) -> None:
    picture = IncomingFile(
        name="../../box.png", media_type="text/html", content=b"\x89PNG\r\n\x1a\n...",
        content_id="box@1",
    )  # fmt: skip
    program = IncomingFile(name="a.pdf", media_type="application/pdf", content=b"MZ....")
    mail = replace(MAIL, files=[picture, program], problems=["a part was cut off"])
    first = await house.inbox.receive(mail)
    second = await house.inbox.receive(mail)
    assert (first.is_new, second.is_new) == (True, False)
    assert (first.message_id, first.conversation_id) == (second.message_id, second.conversation_id)
    (kept,) = await messages.of_conversation(house.database, first.conversation_id)
    assert (kept.subject, kept.text, kept.problems) == (MAIL.subject, MAIL.text, mail.problems)
    assert house.files.path(kept.raw_file).read_bytes() == MAIL.raw
    shown, refused = kept.files
    assert (shown.name, shown.media_type, shown.content_id) == ("box.png", "image/png", "box@1")
    assert house.files.path(shown.file).read_bytes() == picture.content
    assert (refused.state, refused.reason) == (AttachmentState.REFUSED, "executable")
    conversation = await house.conversation(first.conversation_id)
    assert (conversation.queue, conversation.language) == ("service", "es")
    assert conversation.state is ConversationState.OPEN
    assert conversation.waiting_since == NOON
    assert conversation.first_answer_due_at == NOON + timedelta(minutes=60)
    assert conversation.resolution_due_at == NOON + timedelta(minutes=1440)


async def test_the_same_at_once_from_many_sides_is_one_message_of_one_conversation(
    house: House,
) -> None:
    received = await asyncio.gather(*(house.inbox.receive(MAIL) for _ in range(8)))
    assert sum(one.is_new for one in received) == 1
    assert len({one.message_id for one in received}) == 1
    others = [replace(SMS, external_key=f"SM{number}") for number in range(8)]
    received = await asyncio.gather(*(house.inbox.receive(one) for one in others))
    assert len({one.message_id for one in received}) == 8
    assert len({one.conversation_id for one in received}) == 1


async def test_who_writes_is_known_by_an_address_that_is_only_theirs(house: House) -> None:
    customer_id = await house.customer(
        (ContactKind.MAIL, MAIL.sender), (ContactKind.PHONE, SMS.sender),
        segment=Segment.VIP, language="zh",
    )  # fmt: skip
    by_mail, by_sms = await house.receive(MAIL), await house.receive(SMS)
    assert by_mail.customer_id == by_sms.customer_id == customer_id
    assert by_mail.language == "zh"
    # As if they had come three minutes earlier.
    assert by_mail.priority == queue_places.priority(NOON.timestamp(), 180)
    forged = again(MAIL, 2, is_authenticated=False)
    assert (await house.receive(forged)).customer_id is None


async def test_an_address_of_two_is_nobodys_until_one_has_proven_it(house: House) -> None:
    for _ in range(2):
        await house.customer((ContactKind.PHONE, SMS.sender))
    conversation = await house.receive(SMS)
    assert conversation.customer_id is None


@pytest.mark.parametrize(
    ("text", "language"),
    [("我的订单在哪里？", "zh"), ("سفارش من کجاست؟", "fa"), ("Where is it?", "es"), ("4711", "es")],
)
async def test_letters_tell_the_language_where_nobody_says_it(
    house: House, text: str, language: str
) -> None:
    assert (await house.receive(replace(SMS, text=text))).language == language


async def test_two_who_answer_one_letter_are_two(house: House) -> None:
    first = await house.receive(MAIL)
    await house.answer(first.id)
    (ours, _) = await messages.of_conversation(house.database, first.id)
    mine = await house.receive(again(MAIL, 2, reply_to=[ours.message_id]))
    stranger = await house.receive(
        again(MAIL, 3, reply_to=[ours.message_id], sender="li@example.com")
    )
    assert mine.id == first.id
    assert stranger.id != first.id
    assert (mine.state, mine.waiting_since) == (ConversationState.OPEN, NOON)


async def test_who_was_answered_and_writes_again_has_a_new_place(house: House) -> None:
    first = await house.receive(SMS)
    await house.answer(first.id)
    later = NOON + timedelta(hours=5)
    second = await house.receive(replace(SMS, external_key="SM2", received_at=later))
    assert second.id == first.id
    assert second.priority == queue_places.priority(later.timestamp())
    assert second.resolution_due_at == first.resolution_due_at
    async with house.database.transaction() as transaction:
        await conversations.close(transaction, first.id, actor="lin")
    third = await house.receive(replace(SMS, external_key="SM3", received_at=later))
    assert third.state is ConversationState.OPEN
    assert third.resolution_due_at == later + timedelta(minutes=1440)


async def test_rules_say_where_it_goes_from_the_first(house: House) -> None:
    subject = {"field": "subject", "operator": "word", "value": "order"}
    rule_id = await house.rule(
        [subject],
        {"do": "queue", "value": "sales"},
        {"do": "tag", "value": "order"},
        {"do": "assign", "value": "lin"},
        {"do": "priority", "value": "10"},
        {"do": "task", "value": "Ask the warehouse", "minutes": "30"},
    )
    conversation = await house.receive(MAIL)
    assert (conversation.queue, conversation.tags) == ("sales", ["order"])
    assert conversation.assigned_to == "lin"
    assert conversation.priority == queue_places.priority(NOON.timestamp(), 600)
    (task,) = await tasks.due(house.database, NEXT_YEAR)
    assert task.title == "Ask the warehouse"
    # The same of one that is there already.
    await house.rule([subject], {"do": "tag", "value": "second"}, {"do": "close"})
    await house.answer(conversation.id)
    reply = await house.receive(
        again(MAIL, 2, reply_to=["<1@example.com>"], subject="Re: Where is my order?")
    )
    assert (reply.id, reply.tags) == (conversation.id, ["order", "second"])
    assert reply.state is ConversationState.CLOSED
    await house.inbox.close()
    found = await inbox_rules.find(house.database, rule_id)
    assert found is not None
    assert found.hits == 2


async def test_a_rule_that_cannot_be_followed_never_keeps_a_message_out(house: House) -> None:
    await house.rule(
        [],
        {"do": "queue", "value": "nowhere"},
        {"do": "answer", "value": "nothing"},
        {"do": "task", "value": "Ask", "minutes": "5"},
        *({"do": "tag", "value": f"tag {number}"} for number in range(25)),
    )
    conversation = await house.receive(MAIL)
    assert conversation.queue == "service"
    assert len(conversation.tags) == conversations.MOST_TAGS
    await house.receive(again(MAIL, 2, reply_to=["<1@example.com>"]))


async def test_spam_waits_for_nobody(house: House) -> None:
    await house.rule(
        [{"field": "sender", "operator": "matches", "value": "*@example.com"}], {"do": "spam"}
    )
    conversation = await house.receive(MAIL)
    assert conversation.state is ConversationState.SPAM
    assert conversation.waiting_since is None


async def test_a_machine_answers_people_once_a_day_and_machines_never(house: House) -> None:
    await house.text("received", en="We have your message.", es="Hemos recibido su mensaje.")
    await house.rule([], {"do": "answer", "value": "received"})
    first = await house.receive(MAIL)
    (sent,) = await outbox.waiting(house.database)
    assert (sent.recipient, sent.text) == (MAIL.sender, "Hemos recibido su mensaje.")
    assert sent.headers["In-Reply-To"] == MAIL.message_id
    # It is a machine's: they still wait for a person.
    assert first.waiting_since == NOON
    assert first.first_answered_at is None
    # Again on the same day, from a machine, and from ourselves: no answer.
    await house.receive(again(MAIL, 2))
    for number, automatic in enumerate(["auto_reply", "list", "bounce", "complaint"], 3):
        await house.receive(
            again(MAIL, number, sender=f"robot{number}@example.com", automatic=automatic)
        )
    await house.receive(again(MAIL, 9, sender="loop@mall.example"))
    assert len(await outbox.waiting(house.database)) == 1


async def test_what_machines_report_opens_no_work(house: House) -> None:
    conversation = await house.receive(replace(MAIL, automatic="bounce"))
    assert conversation.state is ConversationState.CLOSED
    assert conversation.first_answer_due_at is None
    newsletter = await house.receive(again(MAIL, 2, automatic="list", sender="news@example.com"))
    assert newsletter.waiting_since is None


async def test_a_hook_has_the_first_look_in_the_same_transaction(house: House) -> None:
    seen: list[tuple[int, int]] = []

    async def stop_word(
        transaction: Transaction, incoming: Incoming, message_id: int, conversation_id: int
    ) -> bool:
        seen.append((message_id, conversation_id))
        if incoming.text == "fail":
            raise RuntimeError("the hook failed")
        return incoming.text == "STOP"

    await house.text("received", en="We have your message.")
    await house.rule([], {"do": "answer", "value": "received"})
    inbox = Inbox(house.database, house.files, hooks=[stop_word])
    received = await inbox.receive(replace(SMS, text="STOP"))
    assert seen == [(received.message_id, received.conversation_id)]
    assert await outbox.waiting(house.database) == []
    with pytest.raises(RuntimeError):
        await inbox.receive(replace(SMS, text="fail", external_key="SM2"))
    assert await messages.known(house.database, Channel.SMS, "SM2") is None


async def test_what_nobody_answers_is_brought_up_again(house: House) -> None:
    await house.rule(
        [{"field": "waiting_minutes", "operator": "is", "value": "30"}],
        {"do": "tag", "value": "late"},
        {"do": "task", "value": "Somebody waits", "minutes": "5"},
        moment=RuleMoment.UNANSWERED,
    )
    late = await house.receive(MAIL)
    answered = await house.receive(SMS)
    await house.answer(answered.id)
    async with house.database.reading() as session:
        timers = list(
            await session.scalars(select(JobRow).where(JobRow.handler == "inbox_unanswered"))
        )
    assert len(timers) == 2
    assert all(timer.due_at > datetime.now(UTC) + timedelta(minutes=29) for timer in timers)
    await house.do_jobs()
    assert (await house.conversation(late.id)).tags == ["late"]
    assert (await house.conversation(answered.id)).tags == []
    # However often the job runs, there is one task.
    async with house.database.transaction() as transaction:
        await transaction.session.execute(
            update(JobRow)
            .where(JobRow.handler == "inbox_unanswered")
            .values(state=JobState.WAITING, attempts=0)
        )
    await house.do_jobs()
    assert len(await tasks.due(house.database, NEXT_YEAR)) == 1


async def test_at_the_close_a_rule_may_say_good_bye(house: House) -> None:
    await house.text("goodbye", en="Thank you, {customer.name}.")
    await house.rule([], {"do": "answer", "value": "goodbye"}, moment=RuleMoment.CLOSED)
    customer_id = await house.customer((ContactKind.MAIL, MAIL.sender))
    conversation = await house.receive(MAIL)
    assert conversation.customer_id == customer_id
    stranger = await house.receive(SMS)
    async with house.database.transaction() as transaction:
        await conversations.close(transaction, conversation.id, actor="lin")
        await conversations.close(transaction, stranger.id, actor="lin")
    await house.do_jobs()
    # The stranger has no name: no text leaves with a hole in it.
    assert [row.text for row in await outbox.waiting(house.database)] == ["Thank you, Wang Fang."]
    assert (await house.conversation(conversation.id)).state is ConversationState.CLOSED


async def test_a_trial_says_what_a_rule_would_have_done_and_changes_nothing(house: House) -> None:
    first, second = await house.receive(MAIL), await house.receive(SMS)
    rule_id = await house.rule(
        [{"field": "channel", "operator": "is", "value": "sms"}], {"do": "spam"}
    )
    rule = await inbox_rules.find(house.database, rule_id)
    assert rule is not None
    by_sms, by_mail = await house.inbox.dry_run(rule)
    assert (by_sms.conversation_id, by_sms.verdict.holds) == (second.id, True)
    assert (by_mail.conversation_id, by_mail.verdict.failed) == (first.id, 0)
    for one in (first, second):
        assert await house.conversation(one.id) == one


async def test_what_was_merged_away_goes_on_in_what_it_became(house: House) -> None:
    first, second = await house.receive(SMS), await house.receive(MAIL)
    async with house.database.transaction() as transaction:
        await threads.merge(transaction, second.id, first.id, actor="lin")
    reply = await house.inbox.receive(again(MAIL, 2, reply_to=["<1@example.com>"]))
    assert reply.conversation_id == first.id
    told = await house.inbox.receive(replace(SMS, external_key="x", conversation_id=second.id))
    assert told.conversation_id == first.id
    with pytest.raises(LookupError):
        await house.inbox.receive(replace(SMS, external_key="y", conversation_id=4711))


async def test_a_queue_that_the_writer_chose_is_where_it_waits(house: House) -> None:
    chosen = replace(SMS, channel=Channel.CHAT, queue="sales", external_key="c1", sender="5")
    conversation = await house.receive(chosen)
    assert conversation.queue == "sales"
    # A chat's clock counts seconds.
    assert conversation.first_answer_due_at == NOON + timedelta(seconds=60)
    made_up = replace(chosen, queue="nowhere", external_key="c2", sender="6")
    assert (await house.receive(made_up)).queue == "service"


async def test_a_place_that_cannot_be_written_loses_nothing(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            await house.inbox.receive(MAIL)
    async with house.database.reading() as session:
        assert await session.scalar(select(func.count(Conversation.id))) == 0
    assert (await house.inbox.receive(MAIL)).is_new
