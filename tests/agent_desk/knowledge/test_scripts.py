"""The script beside a call: each step is kept, branches lead on, answers fill the record."""

from __future__ import annotations

from typing import Any

import pytest

from crm_store import audit
from crm_store.contacts import interactions
from crm_store.knowledge import script_steps, scripts
from crm_store.people import customers
from tests.agent_desk.conftest import RunningDesk, Visitor
from tests.agent_desk.knowledge_stage import CALL, STEPS, add_script, wang_rings, wang_talks

pytestmark = pytest.mark.db


async def go(lin: Visitor, step: str, to: str, **answers: Any) -> tuple[int, Any]:
    return await lin.post("/api/script/step", **CALL, step=step, to=to, answers=answers)


def said(answer: dict[str, Any]) -> str:
    return "".join(part["text"] for part in answer["step"]["parts"])


async def test_a_call_begins_the_script_of_its_queue(lin: Visitor) -> None:
    await add_script(lin.desk)
    await wang_talks(lin.desk)
    status, answer = await lin.ask("/api/script", **CALL)
    assert status == 200
    assert answer["script"]["code"] == "sales"
    assert answer["step"]["id"] == "greeting"
    # The customer's language is spoken, the reader's is read.
    assert answer["step"]["language"] == "zh"
    assert said(answer) == "王芳您好，我是Lin Xiaoyu。"
    assert answer["step"]["title"] == "Greeting"
    assert [part["kind"] for part in answer["step"]["parts"]] == ["value", "text", "value", "text"]
    _, answer = await lin.ask("/api/script", **CALL, language="es")
    assert said(answer) == "Hola, 王芳, soy Lin Xiaoyu."


async def test_a_ringing_call_shows_the_first_step_without_a_run(lin: Visitor) -> None:
    await add_script(lin.desk)
    await wang_rings(lin.desk)
    _, answer = await lin.ask("/api/script", **CALL)
    assert (answer["preview"], answer["step"]["id"]) == (True, "greeting")
    status, _ = await go(lin, "greeting", "next", language="zh")
    assert status == 404


async def test_no_script_no_row_yet(lin: Visitor) -> None:
    await wang_rings(lin.desk)
    assert await lin.ask("/api/script", **CALL) == (200, {"script": None})


async def test_the_way_through_is_kept_at_each_step(lin: Visitor) -> None:
    await add_script(lin.desk)
    await wang_talks(lin.desk)
    await lin.ask("/api/script", **CALL)
    status, answer = await go(lin, "greeting", "next", language="en")
    assert (status, answer["step"]["id"]) == (200, "english")
    assert answer["step"]["passed"] == ["Greeting"]
    _, answer = await go(lin, "english", "next")
    _, answer = await go(lin, "about", "stay", summary="half a")
    _, answer = await lin.ask("/api/script", **CALL)
    assert answer["step"]["id"] == "about"
    assert answer["step"]["fields"][0]["value"] == "half a"
    assert answer["step"]["passed"] == ["Greeting", "In English"]
    _, answer = await go(lin, "about", "back", summary="half a")
    assert answer["step"]["id"] == "english"
    _, answer = await go(lin, "english", "first")
    assert (answer["step"]["id"], answer["step"]["fields"][0]["value"]) == ("greeting", "en")
    for step, answers in (("greeting", {"language": "zh"}), ("about", {"summary": "Asked"})):
        _, answer = await go(lin, step, "next", **answers)
    assert (answer["step"]["id"], answer["finished"]) == ("end", True)
    assert answer["step"]["disposition"] == {"code": "solved", "title": "Solved"}


async def test_an_answer_that_is_missing_or_wrong_is_told(lin: Visitor) -> None:
    await add_script(lin.desk)
    await wang_talks(lin.desk)
    await lin.ask("/api/script", **CALL)
    status, answer = await go(lin, "greeting", "next")
    assert (status, answer["field"]) == (400, "language")
    status, answer = await go(lin, "greeting", "next", language="tlh")
    assert (status, answer["field"]) == (400, "language")
    for body in ({"to": "away"}, {"to": "next", "answers": []}):
        status, _ = await lin.post("/api/script/step", **CALL, step="greeting", **body)
        assert status == 400
    status, answer = await lin.ask("/api/script", **CALL)
    assert answer["step"]["id"] == "greeting"


async def test_another_window_went_on_first(lin: Visitor) -> None:
    await add_script(lin.desk)
    await wang_talks(lin.desk)
    await lin.ask("/api/script", **CALL)
    await go(lin, "greeting", "next", language="zh")
    status, answer = await go(lin, "greeting", "next", language="en")
    assert (status, answer["step"]["id"]) == (200, "about")


async def test_answers_fill_the_record_and_the_screen(lin: Visitor) -> None:
    await add_script(lin.desk)
    await wang_talks(lin.desk)
    await lin.ask("/api/script", **CALL)
    await go(lin, "greeting", "next", language="en")
    wang = lin.desk.customers["wang"]
    card = await customers.card(lin.desk.database, wang)
    assert card is not None
    assert card.language == "en"
    on_screen = lin.desk.live.screens.pop_on_screen("lin", "main", "1.1")
    assert on_screen is not None
    assert on_screen["matches"][0]["language"] == "en"
    await go(lin, "english", "next")
    await go(lin, "about", "next", summary="Asked for <b>shoes</b>")
    found = await interactions.of_call(lin.desk.database, "main", "1.1")
    assert found is not None
    assert found.summary == "Asked for <b>shoes</b>"
    by_lin = await audit.entries(lin.desk.database, actor="lin", subject_kind="customer")
    assert any(line.fields == ["language"] for line in by_lin)


async def test_without_a_customer_nothing_is_lost_and_it_is_said(
    desk: RunningDesk, lin: Visitor
) -> None:
    await add_script(desk)
    await wang_talks(desk)
    topic = desk.live.screens.topic_for("lin")
    key = "pop:main/1.1"
    topic.change("test", None, {key: {**topic.documents[key], "matches": []}})
    _, answer = await lin.ask("/api/script", **CALL)
    assert {"kind": "missing", "text": "customer's name"} in answer["step"]["parts"]
    status, answer = await go(lin, "greeting", "next", language="en")
    assert status == 200
    assert answer["not_written"] == ["the customer's language"]


async def test_a_colleagues_call_is_not_mine(maria: Visitor) -> None:
    await add_script(maria.desk)
    await wang_talks(maria.desk)
    assert await maria.ask("/api/script", **CALL) == (200, {"script": None})
    status, _ = await maria.post("/api/script/step", **CALL, step="greeting", to="next")
    assert status == 403


async def test_each_agent_has_a_run_of_their_own(lin: Visitor) -> None:
    await add_script(lin.desk)
    await wang_talks(lin.desk)
    await lin.ask("/api/script", **CALL)
    found = await interactions.of_call(lin.desk.database, "main", "1.1")
    assert found is not None
    assert await scripts.run_of(lin.desk.database, found.id, "lin") is not None
    assert await scripts.run_of(lin.desk.database, found.id, "maria") is None


async def test_supervisors_try_it_out_and_nothing_is_kept(sara: Visitor, lin: Visitor) -> None:
    status, answer = await sara.post("/api/scripts/try", steps=STEPS, step="", language="fa")
    assert status == 200
    assert answer["step"]["id"] == "greeting"
    assert answer["step"]["language"] == "fa"
    assert "Wang Fang" in said(answer)
    status, answer = await sara.post(
        "/api/scripts/try", steps=STEPS, step="greeting", answers={"language": "zh"}, to="next"
    )
    assert (answer["step"]["id"], answer["answers"]) == ("about", {"language": "zh"})
    status, answer = await sara.post("/api/scripts/try", steps=STEPS, step="greeting", to="next")
    assert (status, answer["field"]) == (400, "language")
    assert (await sara.post("/api/scripts/try", steps=[]))[0] == 400
    assert (await sara.post("/api/scripts/try", steps=[{"id": 1}]))[0] == 400
    assert (await lin.post("/api/scripts/try", steps=STEPS))[0] == 403


async def test_supervisors_read_what_is_wrong(sara: Visitor) -> None:
    languages = ["en", "zh", "es", "fa"]
    status, answer = await sara.post("/api/scripts/check", steps=STEPS, languages=languages)
    assert (status, answer) == (200, {"problems": []})
    broken = [{**STEPS[0], "text": {"en": "Hi"}, "next": []}, *STEPS[1:]]
    _, answer = await sara.post("/api/scripts/check", steps=broken, languages=languages)
    told = [(one["step"], one["text"]) for one in answer["problems"]]
    assert ("greeting", "A text is missing in فارسی.") in told
    assert ("english", "Nothing leads to this step.") in told
    status, _ = await sara.post("/api/scripts/check", steps=STEPS, languages=["tlh"])
    assert status == 400


def test_the_stages_script_is_sound() -> None:
    assert script_steps.read(STEPS)
