from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import insert, select, text, update

from crm_store import audit
from crm_store import text_search as words
from crm_store.contacts import (
    attachments,
    callbacks,
    conversations,
    interactions,
    messages,
    outbox,
    surveys,
    tasks,
)
from crm_store.contacts.attachments import NewFile
from crm_store.contacts.callbacks import NewCallback
from crm_store.contacts.conversations import NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.contacts.tasks import NewTask
from crm_store.database import Database, Transaction
from crm_store.models import (
    AnswerDraft,
    Call,
    CallState,
    Card,
    Channel,
    ChatSession,
    ContactKind,
    FactRow,
    IdentitySuggestion,
    Interaction,
    MessageState,
    OutboxMessage,
    Recording,
    Script,
    ScriptRun,
    ScriptVersion,
    SmsPart,
    SurveyAnswer,
    Table,
)
from crm_store.people import (
    cards,
    complaints,
    customers,
    hall_sessions,
    merging,
    personal_data,
    points,
    preferences,
    sign_in_codes,
    visits,
)
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.people.personal_rows import HELD_OTHERWISE, NOTHING_PERSONAL, PARTS
from crm_store.people.preferences import Subject
from crm_store.people.sign_in_codes import CodePurpose
from crm_store.phone_menus import menu_visits
from crm_store.phone_menus.menu_visits import MenuVisit, Step
from crm_store.shop import orders
from crm_store.shop.orders import Line, NewOrder
from crm_store.signals import Direction
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NAME, SECRET = "Zenobia Quux", "zyzzyva"
MAIL, PHONE, SHARED = "zenobia@quux.example", "+8613911122233", "+34912345678"


async def _everything(
    transaction: Transaction, name: str, mark: str, ways: Sequence[ContactWay]
) -> int:
    """A customer with a row in every table; everything personal in them says `mark`."""
    session = transaction.session
    mail, phone = ways[0].value, ways[1].value
    customer_id = await customers.create(
        transaction,
        NewCustomer(name, reference=f"R {mark}", notes=mark, contact_points=ways),
        actor="ann",
    )
    await queues.save(transaction, QueueRecord(name="service", number="601", titles={}))
    digits = f"880010000{customer_id:06d}"
    number = digits + cards.check_digit(digits)
    card_id = await cards.open_card(transaction, customer_id, number)
    await session.execute(update(Card).where(Card.id == card_id).values(pin_hash=mark))
    await points.add(
        transaction, card_id, 100, reason="gift", idempotency_key=number, made_by="ann"
    )
    call_id: Any = await session.scalar(
        insert(Call).values(
            pbx="main", linkedid=f"{customer_id}.1", state=CallState.ENDED, rang=[],
            direction=Direction.INBOUND, caller=phone, callee="600", started_at=NOW,
            customer_id=customer_id,
        ).returning(Call.id)
    )  # fmt: skip
    await session.execute(
        insert(Call).values(
            pbx="main", linkedid=f"{customer_id}.2", state=CallState.ENDED, rang=[],
            direction=Direction.OUTBOUND, caller="1001", callee=phone, started_at=NOW,
        )
    )  # fmt: skip
    await session.execute(
        insert(Recording).values(
            pbx="main", linkedid=f"{customer_id}.1", file=f"{customer_id}.wav", started_by="lin",
            started_at=NOW, ended_at=NOW, marks=[],
        )
    )  # fmt: skip
    contact = await interactions.open_interaction(
        transaction, channel=Channel.PHONE, direction=Direction.INBOUND, customer_id=customer_id,
        address=phone, summary=mark, keyed=[mark], at=NOW,
    )  # fmt: skip
    await session.execute(
        update(Interaction).where(Interaction.id == contact).values(call_id=call_id)
    )
    await interactions.close(transaction, contact, disposition="solved", agent="lin", note=mark)
    await _answer_the_script(transaction, contact, mark)
    await tasks.create(
        transaction,
        NewTask(title=mark, text=mark, number=phone, due_at=NOW, customer_id=customer_id,
                interaction_id=contact),
        actor="ann",
    )  # fmt: skip
    await callbacks.request(
        transaction,
        NewCallback(queue="service", number=phone, name=mark, arrived_at=NOW, pbx="main",
                    customer_id=customer_id, linkedid=f"{customer_id}.1"),
    )  # fmt: skip
    await visits.plan(transaction, customer_id, NOW, actor="ann", purpose=mark, place=mark)
    await complaints.file(
        transaction, mark, actor="ann", customer_id=customer_id, interaction_id=contact
    )
    await orders.place(
        transaction,
        NewOrder(lines=[Line("1001", {"en": "armchair"}, 1, 100)], currency="CNY",
                 idempotency_key=str(customer_id), customer_id=customer_id),
        actor="ann",
    )  # fmt: skip
    await menu_visits.write(
        transaction,
        MenuVisit(pbx="main", linkedid=f"{customer_id}.1", menu="main", language="en",
                  entered_at=NOW, left_at=NOW, customer_id=customer_id, number=phone,
                  trail=[Step(0.0, "menu", "hello", mark, "en")]),
    )  # fmt: skip
    survey = await surveys.ask(
        transaction, pbx="main", linkedid=f"{customer_id}.1", customer_id=customer_id,
        number=phone, queue="service", agent="ann", language="en",
    )  # fmt: skip
    await session.execute(
        insert(SurveyAnswer).values(survey_id=survey, question="friendly", value=5, at=NOW)
    )
    await outbox.write(
        transaction, channel=Channel.SMS, to=phone, text=mark, customer_id=customer_id,
        due_at=NOW + timedelta(days=3650),
    )  # fmt: skip
    await _converse(transaction, customer_id, mark, mail)
    await _be_a_guest(transaction, customer_id, mail, phone)
    return customer_id


async def _answer_the_script(transaction: Transaction, contact: int, mark: str) -> None:
    session = transaction.session
    script = await session.scalar(
        insert(Script).values(code=f"script {contact}", titles={}, active=True).returning(Script.id)
    )
    version = await session.scalar(
        insert(ScriptVersion)
        .values(script_id=script, number=1, steps=[], author="ann", created_at=NOW)
        .returning(ScriptVersion.id)
    )
    await session.execute(
        insert(ScriptRun).values(
            interaction_id=contact, script_version_id=version, agent="lin", step="1",
            answers={"name": mark}, saved_at=NOW,
        )
    )  # fmt: skip


async def _converse(transaction: Transaction, customer_id: int, mark: str, mail: str) -> None:
    """One conversation of theirs, and one of an address that only they have."""
    session = transaction.session
    for owner in (customer_id, None):
        conversation = await conversations.open_conversation(
            transaction,
            NewConversation(channel=Channel.MAIL, address=mail, customer_id=owner, subject=mark,
                            tags=[mark], at=NOW),
        )  # fmt: skip
        written, _ = await messages.store(
            transaction,
            NewMessage(
                conversation_id=conversation, direction=Direction.INBOUND, channel=Channel.MAIL,
                external_key=f"<{owner}@{mark}> {mail}", message_id=f"<{owner}@{mark}>",
                sender=mail, sender_name=mark, recipients=["service@mall.example", mail],
                subject=mark, text=mark, quoted=mark, html=mark, problems=[mark], at=NOW,
                raw_file=f"raw/{customer_id}-{owner}",
            ),
        )  # fmt: skip
        await attachments.add(
            transaction,
            written,
            [
                NewFile(name=mark, media_type="a/b", size=1, sha256="a", file=f"own/{customer_id}"),
                NewFile(name=mark, media_type="a/b", size=1, sha256="b", file="shared/by two"),
            ],
        )
        await outbox.write(
            transaction, channel=Channel.MAIL, to=mail, text=mark, subject=mark, html=mark,
            headers={"In-Reply-To": f"<{mark}>"}, message_id=written,
        )  # fmt: skip
        await session.execute(
            insert(AnswerDraft).values(
                conversation_id=conversation, agent="lin", answer=mark, note=mark, channel="mail",
                attachment_ids=[], saved_at=NOW,
            )
        )  # fmt: skip
        await session.execute(
            insert(ChatSession).values(
                token_hash=f"{mark} {owner}", conversation_id=conversation, customer_id=owner,
                name=mark, mail=mail, page=mark, page_title=mark, transcript_to=mail,
                created_at=NOW, seen_at=NOW,
            )
        )  # fmt: skip


async def _be_a_guest(transaction: Transaction, customer_id: int, mail: str, phone: str) -> None:
    session = transaction.session
    await session.execute(
        insert(IdentitySuggestion).values(
            kind="customers", customer_id=customer_id, other_id=customer_id, reason="name", at=NOW
        )
    )
    await session.execute(
        insert(SmsPart).values(
            sender=phone, our_address="+1", reference=1, total=2, number=1, data_coding=0,
            content="x", at=NOW,
        )
    )  # fmt: skip
    await hall_sessions.open_session(transaction, customer_id, timedelta(days=1))
    await preferences.prefer(
        transaction, customer_id, Subject.ORDERS, Channel.MAIL, True, by="customer"
    )
    await preferences.opt_out(transaction, Channel.MAIL, mail, by="customer")
    await sign_in_codes.make(
        transaction, ContactKind.MAIL, mail, CodePurpose.HALL, client_address="192.0.2.1"
    )


@pytest.fixture
async def zenobia(database: Database) -> int:
    ways = [
        ContactWay(ContactKind.MAIL, MAIL),
        ContactWay(ContactKind.PHONE, PHONE),
        ContactWay(ContactKind.PHONE, SHARED),
    ]
    async with database.transaction() as transaction:
        return await _everything(transaction, NAME, SECRET, ways)


@pytest.fixture
async def leila(database: Database) -> int:
    """Another customer, with a number that both have."""
    ways = [
        ContactWay(ContactKind.MAIL, "leila@mail.example"),
        ContactWay(ContactKind.PHONE, SHARED),
    ]
    async with database.transaction() as transaction:
        return await _everything(transaction, "Leila", "syzygy", ways)


async def _dump(database: Database) -> dict[str, str]:
    """All that every table holds, the full-text index too."""
    found = {}
    async with database.reading() as session:
        for name in [*Table.metadata.tables, "search_words"]:
            rows = (await session.execute(text(f"SELECT * FROM {name}"))).all()  # noqa: S608
            found[name] = repr([tuple(row) for row in rows]).casefold()
    return found


async def _erase(database: Database, customer_id: int) -> personal_data.FilesToDelete:
    async with database.transaction() as transaction:
        return await personal_data.erase(transaction, customer_id, actor="sara", now=NOW)


def test_every_table_says_whether_it_holds_something_of_a_person() -> None:
    parts = {part.name for part in PARTS}
    assert not parts & NOTHING_PERSONAL
    assert parts | NOTHING_PERSONAL | HELD_OTHERWISE == set(Table.metadata.tables)
    whose = {
        table.name
        for table in Table.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "customers" or table.name == "customers"
    }
    assert whose - {"search_entries"} <= parts


async def test_a_person_is_told_all_and_nothing_of_others(
    database: Database, zenobia: int, leila: int
) -> None:
    told = await personal_data.export(database, zenobia)
    # Nobody was merged here.
    held = {part.name for part in PARTS} - {"customer_moves"} | {"recordings"}
    assert set(told.tables) == held
    as_text = orjson.dumps(told.tables).decode()
    for known in (NAME, SECRET, MAIL, PHONE, SHARED):
        assert known in as_text
    for hidden in ("Leila", "syzygy", "leila@mail.example", "token_hash", "code_hash", "pin_hash"):
        assert hidden not in as_text
    assert [row["name"] for row in told.tables["customers"]] == [NAME]
    assert len(told.tables["calls"]) == 2
    assert len(told.tables["conversations"]) == 2
    assert {file.file for file in told.attachments} == {f"own/{zenobia}", "shared/by two"}
    assert [file.file for file in told.recordings] == [f"{zenobia}.wav"]
    with pytest.raises(LookupError):
        await personal_data.export(database, 999)


async def test_erased_nothing_says_who_it_was_and_the_others_are_as_before(
    database: Database, zenobia: int, leila: int
) -> None:
    others = await personal_data.export(database, leila)
    gone = await _erase(database, zenobia)
    assert gone.attachments == sorted(
        [f"own/{zenobia}", f"raw/{zenobia}-None", f"raw/{zenobia}-{zenobia}"]
    )
    assert gone.recordings == [f"{zenobia}.wav"]
    assert ("main", f"{zenobia}.1") in gone.calls
    for table, content in (await _dump(database)).items():
        for known in (NAME, SECRET, PHONE.removeprefix("+")):
            assert known.casefold() not in content, table
        assert MAIL not in content or table == "opt_outs", table
    after = await personal_data.export(database, leila)
    # The number of both is hers alone now, and what nobody was known by before.
    for table, rows in others.tables.items():
        assert [row for row in rows if row not in after.tables[table]] == [], table
    assert await customers.search_by_name(database, "zenobia") == []
    assert await customers.find_by_phone(database, PHONE) == []
    card = await customers.card(database, zenobia)
    assert card is not None
    assert (card.name, card.contact_points, card.cards) == (f"#{zenobia}", (), ())
    assert await words.search(database, SECRET) == []
    with pytest.raises(LookupError):
        await _erase(database, 999)


async def test_erased_what_must_stay_stays_and_what_waited_is_over(
    database: Database, zenobia: int
) -> None:
    await _erase(database, zenobia)
    async with database.reading() as session:
        card_id = await session.scalar(select(Card.id).where(Card.customer_id == zenobia))
        states = list(await session.scalars(select(OutboxMessage.state)))
        kinds = list(await session.scalars(select(FactRow.kind)))
    assert card_id is not None
    assert await points.balance(database, card_id) == 100
    [order] = await orders.of_customer(database, zenobia)
    assert order.lines[0].names == {"en": "armchair"}
    assert set(states) == {MessageState.CANCELLED}
    assert "CustomerErased" in kinds
    assert await callbacks.waiting(database) == []
    assert await tasks.due(database, NOW + timedelta(days=1)) == []
    verdict = await preferences.may_write(database, None, Channel.MAIL, MAIL)
    assert verdict.reason == "opted_out"
    [entry, *_] = await audit.entries(database, subject_kind="customer", subject_id=zenobia)
    assert (entry.actor, entry.action) == ("sara", "erased")
    # Erasing again finds nothing more.
    again = await _erase(database, zenobia)
    assert (again.attachments, again.recordings) == ([], [])


async def test_a_mail_of_theirs_that_is_fetched_again_is_known(
    database: Database, zenobia: int
) -> None:
    key = f"<{zenobia}@{SECRET}> {MAIL}"
    before = await messages.known(database, Channel.MAIL, key)
    assert before is not None
    await _erase(database, zenobia)
    assert await messages.known(database, Channel.MAIL, key) == before


async def test_who_was_merged_is_erased_with_the_kept_one(
    database: Database, zenobia: int, leila: int
) -> None:
    async with database.transaction() as transaction:
        await merging.merge(
            transaction, zenobia, leila, actor="sara", fields={"name": NAME}, reason=SECRET
        )
    told = await personal_data.export(database, zenobia)
    assert told.customer_id == leila
    assert len(told.tables["customers"]) == 2
    await _erase(database, zenobia)
    for table, content in (await _dump(database)).items():
        for known in (NAME, "leila", PHONE.removeprefix("+"), SHARED.removeprefix("+")):
            if table != "opt_outs":
                assert known.casefold() not in content, table
    assert await words.search(database, "syzygy", kinds=[EntryKind.MESSAGE]) == []
