"""Canned texts in the store: what may be kept, finding one, counting its use."""

from __future__ import annotations

from typing import Any

import pytest

from crm_store import audit
from crm_store.database import Database
from crm_store.knowledge import canned_texts
from crm_store.knowledge.canned_texts import UnusableText

pytestmark = pytest.mark.db


async def save(database: Database, code: str, **values: Any) -> int:
    async with database.transaction() as transaction:
        return await canned_texts.save(
            transaction,
            **{
                "code": code,
                "titles": {"en": code.title()},
                "texts": {"en": f"Text of {code}"},
                "actor": "sara",
                **values,
            },
        )


async def codes(database: Database, words: str, queue: str | None = None) -> list[str]:
    return [text.code for text in await canned_texts.search(database, words, queue=queue)]


async def test_found_by_code_title_and_words_in_any_language(database: Database) -> None:
    await save(database, "hours", texts={"en": "We are open until ten", "zh": "我们营业到晚上十点"})
    await save(database, "return", titles={"en": "Returns", "es": "Devolución de artículos"})
    await save(database, "hello", texts={"fa": "سلام، وقت بخیر"})
    await save(database, "sales-only", queue="sales")
    retired = await save(database, "old", active=False)
    assert await codes(database, ";ho") == ["hours"]
    assert await codes(database, "营业") == ["hours"]
    assert await codes(database, "devolucion") == ["return"]
    assert await codes(database, "وقت بخير") == ["hello"]
    assert await codes(database, "open hours") == ["hours"]
    assert await codes(database, "") == ["hello", "hours", "return"]
    assert await codes(database, "text", "sales") == ["return", "sales-only"]
    assert await codes(database, "nothing") == []
    assert await canned_texts.find_by_code(database, "old") is None
    text = await canned_texts.find(database, retired)
    assert text is not None
    assert text.code == "old"


async def test_the_most_used_comes_first(database: Database) -> None:
    await save(database, "a")
    often = await save(database, "b")
    for _ in range(2):
        async with database.transaction() as transaction:
            await canned_texts.count_use(transaction, often)
    assert await codes(database, "") == ["b", "a"]
    text = await canned_texts.find_by_code(database, "B")
    assert text is not None
    assert text.uses == 2


@pytest.mark.parametrize(
    ("values", "kind", "detail"),
    [
        ({"code": "No Code"}, "code", "No Code"),
        ({"code": ""}, "code", ""),
        ({"texts": {"en": " "}}, "no_text", ""),
        ({"texts": {"en": "x" * 4_001}}, "too_long", ""),
        ({"texts": {"en": "Dear {name}"}}, "placeholder", "{name}"),
        ({"texts": {"en": "Dear {customer.name"}}, "placeholder", "{"),
        ({"code": "taken"}, "code_taken", "taken"),
    ],
)
async def test_what_cannot_be_kept(
    database: Database, values: dict[str, Any], kind: str, detail: str
) -> None:
    await save(database, "taken")
    with pytest.raises(UnusableText) as refused:
        await save(database, **{"code": "fresh", **values})
    assert (refused.value.kind, refused.value.detail) == (kind, detail)
    assert await codes(database, "fresh") == []


async def test_changed_in_place_with_audit(database: Database) -> None:
    text_id = await save(database, "hello")
    await save(database, "hello", text_id=text_id, texts={"zh": "您好", "en": ""})
    text = await canned_texts.find(database, text_id)
    assert text is not None
    assert (dict(text.texts), text.changed_by) == ({"zh": "您好"}, "sara")
    assert text.language_for("es") == "zh"
    with pytest.raises(LookupError):
        await save(database, "other", text_id=999)
    found = await audit.entries(database, subject_kind="canned text", subject_id=text_id)
    assert [line.action for line in found] == ["changed", "created"]
