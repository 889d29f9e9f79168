from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from crm_store import text_search
from crm_store.contacts import interactions
from crm_store.database import Database
from crm_store.models import Channel, WrapUp
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.search_terms import LONGEST_TERM, parse, terms
from crm_store.signals import Direction
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


async def _write(
    database: Database,
    *texts: str,
    row_id: int = 1,
    customer_id: int | None = None,
    at: datetime = NOW,
    kind: EntryKind = EntryKind.TASK,
) -> None:
    async with database.transaction() as transaction:
        await text_search.index(
            transaction, kind, row_id, customer_id=customer_id, at=at, texts=texts
        )


async def _rows(database: Database, question: str, **bounds: object) -> list[int]:
    found = await text_search.search(database, question, **bounds)  # type: ignore[arg-type]
    return [entry.row_id for entry in found]


@pytest.mark.parametrize(
    ("written", "questions", "not_found"),
    [
        (
            "Delivery came late, twice. Straße 5",
            ["late", "LATE", "deli", "twice late", '"came late"', "strasse", "lat"],
            ["ate", '"late came"', "early", "late early", "lat ", '"deli"'],
        ),
        (
            "客户投诉送货太慢。",
            ["投诉", "客户投诉", "诉", "慢", "客", '"送货太慢"', "送货 投诉"],
            ["货送", "客投", "快"],
        ),
        ("iPhone手机壳坏了", ["iphone", "手机", "iphone手机", "壳", "坏了"], ["机手", "phone"]),
        (
            "می‌خواهم كتاب را پس بدهم، شمارهٔ ۱۲۳۴۵",
            ["میخواهم", "می‌خواهم", "کتاب", "كتاب", "شماره", "12345", "۱۲۳۴۵", "کتا"],
            ["کتابخانه", "54321"],
        ),
        ("Café señor Muñoz", ["cafe", "CAFÉ", "munoz", "señor", "senor mu"], ["cafes"]),
        (
            "call +44 20 7946 0958 back",
            ["020-7946-0958", "7946 0958", "442079460958", "+442079460958", "02079460958", "4420"],
            ["7946 1958", "02079460959"],
        ),
        (
            "card 6200000000019",
            ["6200 0000 0001 9", "6200000000019", "62000000"],
            ["6200000000018"],
        ),
        ("کودک ۲ ساله", ["کودک", "2 ساله"], ["3"]),
    ],
)
async def test_what_is_written_is_found_as_it_is_typed(
    database: Database, written: str, questions: list[str], not_found: list[str]
) -> None:
    await _write(database, "something else 别的", row_id=2)
    await _write(database, written)
    assert {question: await _rows(database, question) for question in questions} == {
        question: [1] for question in questions
    }
    assert {question: await _rows(database, question) for question in not_found} == {
        question: [] for question in not_found
    }


async def test_newest_first_and_page_by_page_whenever_it_was_written(database: Database) -> None:
    for row_id in (4, 1, 3, 2, 5):
        await _write(database, "late delivery", row_id=row_id, at=NOW + timedelta(days=row_id))
    first = await text_search.search(database, "late", limit=2)
    assert [entry.row_id for entry in first] == [5, 4]
    assert first[0].at == NOW + timedelta(days=5)
    assert await _rows(database, "late", before=first[-1].entry, limit=2) == [3, 2]
    assert await _rows(database, "late", since=NOW + timedelta(days=4)) == [5, 4]
    assert await _rows(database, "late", until=NOW + timedelta(days=2)) == [1]


async def test_rows_of_one_second_do_not_push_each_other_out(database: Database) -> None:
    rows = [7, 7 + (1 << 20), 7 + (2 << 20)]
    for row_id in rows:
        await _write(database, "late", row_id=row_id)
    await _write(database, "late", row_id=7, kind=EntryKind.VISIT)
    assert sorted(await _rows(database, "late")) == sorted([7, *rows])


async def test_only_of_one_customer_and_one_kind(database: Database) -> None:
    async with database.transaction() as transaction:
        lin = await customers.create(transaction, NewCustomer("Lin"), actor="ann")
        ada = await customers.create(transaction, NewCustomer("Ada"), actor="ann")
    await _write(database, "late", row_id=1, customer_id=lin)
    await _write(database, "late", row_id=2, customer_id=ada)
    await _write(database, "late", row_id=3, customer_id=lin, kind=EntryKind.VISIT)
    await _write(database, "late", row_id=4)
    assert sorted(await _rows(database, "late", customer_ids=[lin])) == [1, 3]
    assert sorted(await _rows(database, "late", customer_ids=[lin, ada])) == [1, 2, 3]
    assert await _rows(database, "late", kinds=[EntryKind.VISIT]) == [3]
    kinds = [EntryKind.VISIT, EntryKind.TASK]
    assert len(await _rows(database, "late", kinds=kinds)) == 4
    assert await _rows(database, f"late customer{lin}") == []


async def test_rows_go_to_another_customer_with_their_words(database: Database) -> None:
    async with database.transaction() as transaction:
        lin = await customers.create(transaction, NewCustomer("Lin"), actor="ann")
        ada = await customers.create(transaction, NewCustomer("Ada"), actor="ann")
    await _write(database, "送货 late", row_id=1, customer_id=lin)
    await _write(database, "late", row_id=2, customer_id=lin)
    async with database.transaction() as transaction:
        await text_search.assign(transaction, EntryKind.TASK, [1, 9], ada)
    assert await _rows(database, "送货", customer_ids=[ada]) == [1]
    assert await _rows(database, "late", customer_ids=[lin]) == [2]
    async with database.transaction() as transaction:
        await text_search.assign(transaction, EntryKind.TASK, [1, 2], None)
    assert await _rows(database, "late", customer_ids=[ada]) == []
    assert sorted(await _rows(database, "late")) == [1, 2]


async def test_what_was_written_over_or_away_is_found_no_more(database: Database) -> None:
    await _write(database, "late")
    await _write(database, "early", at=NOW + timedelta(hours=1))
    assert await _rows(database, "late") == []
    assert await _rows(database, "early") == [1]
    async with database.transaction() as transaction:
        await text_search.forget(transaction, EntryKind.TASK, 1)
        await text_search.forget(transaction, EntryKind.TASK, 2)
    assert await _rows(database, "early") == []


async def test_a_transaction_that_fails_leaves_nothing_to_be_found(database: Database) -> None:
    with contextlib.suppress(RuntimeError):
        async with database.transaction() as transaction:
            await text_search.index(
                transaction, EntryKind.TASK, 1, customer_id=None, at=NOW, texts=["late"]
            )
            raise RuntimeError
    assert await _rows(database, "late") == []


async def test_an_interaction_is_found_by_all_that_was_written_of_it(database: Database) -> None:
    async with database.transaction() as transaction:
        lin = await customers.create(transaction, NewCustomer("Lin"), actor="ann")
        interaction = await interactions.open_interaction(
            transaction,
            channel=Channel.PHONE,
            direction=Direction.INBOUND,
            customer_id=lin,
            address="+442079460958",
            summary="asked for a refund",
            agent="ann",
        )
        await transaction.session.execute(
            insert(WrapUp).values(
                interaction_id=interaction, agent="bob", note="客户很高兴", saved_at=NOW
            )
        )
        await text_search.index_interaction(transaction, interaction)
        await text_search.index_interaction(transaction, interaction + 1)
    for question in ("refund", "高兴", "bob", "020 7946 0958"):
        [found] = await text_search.search(database, question, customer_ids=[lin])
        assert (found.kind, found.row_id) == (EntryKind.INTERACTION, interaction)


async def test_any_word_is_enough_when_so_asked(database: Database) -> None:
    await _write(database, "refund for shoes", row_id=1)
    await _write(database, "鞋子 refunds", row_id=2)
    assert await _rows(database, "鞋子 shoes") == []
    assert sorted(await _rows(database, "鞋子 shoes", any_word=True)) == [1, 2]


@given(question=st.text(max_size=60))
def test_any_question_can_be_asked(question: str) -> None:
    for clause in parse(question):
        for way in clause:
            for phrase in way:
                for term in phrase.terms:
                    assert term
                    assert not set(term) & set("\"'\\*: ¶()&|!<>")
                    assert len(term) <= LONGEST_TERM


@pytest.mark.parametrize(
    "question",
    [
        '"',
        "'",
        "\\",
        "a' OR 1=1 --",
        "NEAR(a b)",
        "a AND",
        ":*",
        "words:x",
        "x" * 500,
        "\x00a",
        "§",
    ],
)
async def test_hostile_questions_are_words_like_others(database: Database, question: str) -> None:
    await _write(database, question, "\x00'\"\\ ﷽ 🏬")
    await text_search.search(database, question)
    if terms([question]):
        assert await _rows(database, question + " ") == [1]


@pytest.mark.parametrize("written", ["word " * 50_000, "字" * 20_000, "123456 " * 10_000])
async def test_a_text_without_end_is_indexed_to_a_limit(database: Database, written: str) -> None:
    await _write(database, written)
    assert await _rows(database, written[:3]) == [1]


async def test_many_are_indexed_at_once(database: Database) -> None:
    new = [
        text_search.NewEntry(EntryKind.TASK, row, None, NOW, [f"late 送货 {row}"])
        for row in range(1, 40)
    ]
    async with database.transaction() as transaction:
        await text_search.index_new(transaction, [])
        await text_search.index_new(transaction, new)
    assert len(await _rows(database, "送货")) == 39
    assert await _rows(database, "late 7 ") == [7]
