"""The knowledge base in the store: languages, votes, flags, and what is found first."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store import audit
from crm_store.database import Database
from crm_store.knowledge import article_search, articles
from crm_store.knowledge.articles import ArticleRecord, ArticleWords

DAY = date(2026, 11, 1)


async def save(database: Database, words: dict[str, tuple[str, str]], **values: Any) -> int:
    async with database.transaction() as transaction:
        return await articles.save(
            transaction,
            **{
                "owner": "lin",
                "review_on": DAY,
                "words": {code: ArticleWords(*text) for code, text in words.items()},
                "actor": "sara",
                **values,
            },
        )


RETURNS = {
    "en": ("Returning goods", "Within thirty days, with the receipt."),
    "zh": ("退货", "三十天内凭小票可以退货。"),
}
HOURS = {"en": ("Opening hours", "Open from ten to ten, also on Sunday.")}
PARKING = {"es": ("Aparcamiento", "Tres horas gratis con la tarjeta de socio.")}


async def found(database: Database, words: str, *languages: str, queue: str | None = None) -> Any:
    lines = await article_search.search(
        database, words, languages=languages or ("en",), queue=queue
    )
    return [(article.id, language) for article, language in lines]


@pytest.mark.db
async def test_found_in_any_language_the_one_asked_for_first(database: Database) -> None:
    returns = await save(database, RETURNS)
    hours = await save(database, HOURS)
    parking = await save(database, PARKING)
    also = await save(database, {"en": ("Receipts", "A receipt is printed again for a member.")})
    assert await found(database, "退货", "en") == [(returns, "zh")]
    assert await found(database, "receip", "en") == [(also, "en"), (returns, "en")]
    assert await found(database, "tarjeta", "zh", "en") == [(parking, "es")]
    assert await found(database, "sunday") == [(hours, "en")]
    assert await found(database, "zebra") == []


@pytest.mark.db
async def test_found_no_more_when_retired_or_without_that_language(database: Database) -> None:
    returns = await save(database, RETURNS)
    await save(database, {"en": RETURNS["en"]}, article_id=returns)
    assert await found(database, "退货", "zh") == []
    assert await found(database, "receipt") == [(returns, "en")]
    await save(database, {"en": RETURNS["en"]}, article_id=returns, active=False)
    assert await found(database, "receipt") == []
    await save(database, RETURNS, article_id=returns)
    assert await found(database, "退货", "zh") == [(returns, "zh")]


@pytest.mark.db
async def test_votes_and_use_put_the_best_first(database: Database) -> None:
    first = await save(database, {"en": ("Gift cards", "Sold at the counter.")})
    second = await save(database, {"en": ("Gift cards", "Sold at the till.")})
    assert await found(database, "gift") == [(first, "en"), (second, "en")]
    async with database.transaction() as transaction:
        await articles.vote(transaction, second, "lin", helpful=False)
        await articles.vote(transaction, second, "lin", helpful=True)
        await articles.vote(transaction, first, "maria", helpful=False)
        await articles.count_use(transaction, second)
    assert await found(database, "gift") == [(second, "en"), (first, "en")]
    article = await articles.find(database, second)
    assert article is not None
    assert (article.helpful, article.unhelpful, article.uses) == (1, 0, 1)
    assert await articles.vote_of(database, second, "lin") is True
    assert await articles.vote_of(database, second, "maria") is None
    async with database.transaction() as transaction:
        with pytest.raises(LookupError):
            await articles.vote(transaction, 999, "lin", helpful=True)


@pytest.mark.db
async def test_suggested_by_the_queue_and_the_note(database: Database) -> None:
    returns = await save(database, RETURNS)
    hours = await save(database, HOURS, queues=["sales"])
    parking = await save(database, PARKING, queues=["service"])

    async def suggested(note: str, queue: str | None, *languages: str) -> list[tuple[int, str]]:
        lines = await article_search.suggest(
            database, note, languages=languages or ("en",), queue=queue
        )
        return [(article.id, language) for article, language in lines]

    assert await suggested("", "sales") == [(hours, "en"), (returns, "en")]
    assert await suggested("", "service") == [(parking, "es"), (returns, "en")]
    assert (await suggested("Customer has no receipt", None))[0] == (returns, "en")
    assert (await suggested("顾客说要退货, 没有小票", "sales", "zh"))[0] == (returns, "zh")
    assert await suggested("open on sunday?", "service") == []


@pytest.mark.db
async def test_reviews_that_are_due(database: Database) -> None:
    due = await save(database, RETURNS)
    await save(database, HOURS, review_on=date(2027, 1, 1))
    await save(database, PARKING, owner="maria")
    await save(database, PARKING, active=False)
    lines = await articles.due_for_review(database, "lin", DAY)
    assert [article.id for article in lines] == [due]
    assert await articles.due_for_review(database, "lin", date(2026, 10, 31)) == []


@pytest.mark.db
async def test_a_flag_is_seen_by_the_owner_and_answered(database: Database) -> None:
    article = await save(database, RETURNS)
    async with database.transaction() as transaction:
        wrong = await articles.flag(transaction, article, "wrong", " It is 14 days ", agent="maria")
        missing = await articles.flag(transaction, None, "missing", "wheelchairs", agent="maria")
        for kind, text in (("strange", "x"), ("wrong", " ")):
            with pytest.raises(ValueError, match="wrong or missing"):
                await articles.flag(transaction, article, kind, text, agent="maria")
        with pytest.raises(LookupError):
            await articles.flag(transaction, 999, "wrong", "x", agent="maria")
    assert [one.id for one in await articles.open_flags(database, owner="lin")] == [wrong]
    assert [one.id for one in await articles.open_flags(database)] == [wrong, missing]
    assert await articles.open_flags(database, owner="maria") == []
    async with database.transaction() as transaction:
        assert await articles.settle(transaction, wrong, "Mended", actor="lin")
        assert not await articles.settle(transaction, wrong, "Again", actor="sara")
        with pytest.raises(LookupError):
            await articles.settle(transaction, 999, "", actor="sara")
    answered = await articles.answered_flags(database, "maria")
    assert [(one.answer, one.settled_by, one.text) for one in answered] == [
        ("Mended", "lin", "It is 14 days")
    ]
    record = await articles.find(database, article)
    assert record is not None
    assert record.open_flags == 0


@pytest.mark.db
async def test_what_cannot_be_kept(database: Database) -> None:
    for words in ({}, {"en": ("", "text")}, {"en": ("title", "")}, {"en": ("x" * 201, "text")}):
        with pytest.raises(ValueError, match="article needs"):
            await save(database, words)
    with pytest.raises(LookupError):
        await save(database, RETURNS, article_id=999)
    assert await articles.all_articles(database) == []


@pytest.mark.db
async def test_a_change_says_which_languages(database: Database) -> None:
    article = await save(database, RETURNS)
    await save(database, {**RETURNS, "zh": ("退换货", "三十天内。")}, article_id=article)
    lines = await audit.entries(database, subject_kind="article", subject_id=article)
    assert [(line.action, line.fields) for line in lines] == [
        ("changed", ["zh"]),
        ("created", ["en", "zh"]),
    ]


@pytest.mark.unit
@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 10_000))
def test_a_helpful_vote_raises_and_the_other_lowers(yes: int, no: int, uses: int) -> None:
    def usefulness(helpful: int, unhelpful: int) -> float:
        return ArticleRecord(1, "lin", DAY, (), True, uses, {}, helpful, unhelpful).usefulness

    assert usefulness(yes + 1, no) > usefulness(yes, no) > usefulness(yes, no + 1)
