"""What the sample mall says and knows: whole in every language, written once."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from crm_store.database import Database
from crm_store.knowledge import article_search, articles, canned_texts, placeholders, scripts
from crm_store.models import Script
from crm_store.sample.articles import ARTICLES, TEXTS
from crm_store.sample.desk import fill_desk
from crm_store.sample.knowledge import fill_knowledge

LANGUAGES = {"en", "zh", "es", "fa"}


@pytest.mark.unit
def test_every_language_is_there() -> None:
    assert all(set(article.words) == LANGUAGES for article in ARTICLES)
    for code, _, titles, texts in TEXTS:
        assert set(titles) == set(texts) == LANGUAGES, code
        names = {tuple(sorted(placeholders.names_in(text))) for text in texts.values()}
        assert len(names) == 1, code


@pytest.mark.db
async def test_written_once_and_left_as_somebody_changed_it(database: Database) -> None:
    for _ in range(2):
        async with database.transaction() as transaction:
            await fill_desk(transaction)
            await fill_knowledge(transaction)
            await transaction.session.execute(
                update(Script).where(Script.code == "sales-call").values(titles={"en": "Mine"})
            )
    assert len(await articles.all_articles(database)) == len(ARTICLES)
    assert len(await canned_texts.all_texts(database)) == len(TEXTS)
    found = await scripts.SCRIPTS.everything(database)
    assert [(one.code, one.title("zh")) for one in found] == [
        ("sales-call", "Mine"),
        ("service-call", "客服来电"),
    ]
    current = await scripts.of_queue(database, "service")
    assert current is not None
    assert current[1].number == 1
    lines = await article_search.search(database, "退货", languages=["zh"])
    assert lines[0][0].words["zh"].title == "退货与换货"
    assert await articles.open_flags(database)
