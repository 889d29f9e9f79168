"""Canned texts at the desk: found, filled, refused while something is missing."""

from __future__ import annotations

import pytest

from crm_store.knowledge import canned_texts
from tests.agent_desk.conftest import Visitor
from tests.agent_desk.knowledge_stage import CALL, add_text, wang_talks

pytestmark = pytest.mark.db

HELLO = {
    "en": "Dear {customer.name}, you have {points} points. {agent.name}",
    "zh": "{customer.name}您好, 您有 {points} 积分。",
}


async def test_texts_come_in_the_customers_language_and_filled(lin: Visitor) -> None:
    await add_text(lin.desk, "hello", HELLO)
    await add_text(lin.desk, "only-english", {"en": "See you at {queue}."})
    await wang_talks(lin.desk)
    _, answer = await lin.ask("/api/texts", find="", **CALL)
    assert answer["language"] == "zh"
    first, second = answer["texts"]
    assert "".join(part["text"] for part in first["parts"]) == "王芳您好, 您有 12,345.50 积分。"
    assert (first["missing"], first["languages"]) == ([], ["en", "zh"])
    assert second["language"] == "en"
    assert "".join(part["text"] for part in second["parts"]) == "See you at Sales."
    _, answer = await lin.ask("/api/texts", find="hel", language="en", **CALL)
    assert [one["code"] for one in answer["texts"]] == ["hello"]
    assert answer["texts"][0]["parts"][1]["text"] == "王芳"


async def test_a_text_is_given_out_whole_and_counted(lin: Visitor) -> None:
    text_id = await add_text(lin.desk, "hello", HELLO)
    await wang_talks(lin.desk)
    status, answer = await lin.post("/api/texts/use", code="HELLO", **CALL)
    assert (status, answer) == (
        200,
        {"text": "王芳您好, 您有 12,345.50 积分。", "language": "zh"},
    )
    text = await canned_texts.find(lin.desk.database, text_id)
    assert text is not None
    assert text.uses == 1


async def test_a_missing_value_is_asked_for_and_never_sent(lin: Visitor) -> None:
    text_id = await add_text(lin.desk, "hello", HELLO)
    status, answer = await lin.post("/api/texts/use", code="hello", language="en")
    assert status == 409
    assert answer["missing"] == [
        {"name": "customer.name", "label": "customer's name"},
        {"name": "points", "label": "points"},
    ]
    values = {"customer.name": "{points}", "points": " 7 ", "agent.name": "Somebody else"}
    status, answer = await lin.post("/api/texts/use", code="hello", language="en", values=values)
    assert (status, answer["text"]) == (200, "Dear {points}, you have 7 points. Lin Xiaoyu")
    text = await canned_texts.find(lin.desk.database, text_id)
    assert text is not None
    assert text.uses == 1


async def test_what_there_is_not_and_what_makes_no_sense(lin: Visitor, maria: Visitor) -> None:
    await add_text(lin.desk, "service-only", {"en": "Hello"}, queue="service")
    await wang_talks(lin.desk)
    assert (await lin.post("/api/texts/use", code="nothing"))[0] == 404
    # A text of another queue than the call's.
    assert (await lin.post("/api/texts/use", code="service-only", **CALL))[0] == 404
    _, answer = await lin.ask("/api/texts", find="", **CALL)
    assert answer["texts"] == []
    for body in ({"code": 7}, {"code": "x" * 300}, {"code": "a", "values": ["x"]}):
        assert (await lin.post("/api/texts/use", **body))[0] == 400
    # A colleague's call tells nothing of its customer.
    await add_text(lin.desk, "dear", {"en": "Dear {customer.name}"})
    _, of_lin = await lin.ask("/api/texts", find="", **CALL)
    _, of_no_call = await maria.ask("/api/texts", find="")
    assert [len(one["missing"]) for one in of_lin["texts"] + of_no_call["texts"]] == [0, 1]
    assert await maria.ask("/api/texts", find="", **CALL) == (200, of_no_call)
    assert (await maria.post("/api/texts/use", code="hello", **CALL))[0] == 403
