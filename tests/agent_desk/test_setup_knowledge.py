"""The supervisors' pages of scripts, texts and articles: forms, faults, versions, retiring."""

from __future__ import annotations

import json
from datetime import date

import pytest

from crm_store import audit
from crm_store.knowledge import articles, canned_texts, scripts
from crm_store.versions import in_use
from tests.agent_desk.conftest import RunningDesk, Visitor
from tests.agent_desk.knowledge_stage import STEPS, add_article, add_script, add_text

pytestmark = pytest.mark.db

TEXT = {
    "code": "hello",
    "queue": "",
    "title.en": "Hello",
    "text.en": "Dear {customer.name}",
    "text.zh": "您好",
}


async def test_a_text_is_written_changed_retired_and_brought_back(sara: Visitor) -> None:
    status, where = await sara.send_form("/setup/texts/new", **TEXT)
    assert (status, where.startswith("/setup/texts?done=added")) == (303, True)
    (text,) = await canned_texts.all_texts(sara.desk.database)
    assert dict(text.texts) == {"en": "Dear {customer.name}", "zh": "您好"}
    page = f"/setup/texts/{text.id}"
    assert "Dear {customer.name}" in (await sara.get(page))[1]
    status, _ = await sara.send_form(page, **{**TEXT, "queue": "sales", "text.zh": ""})
    assert status == 303
    for active in (False, True):
        await sara.send_form(f"{page}/switch")
        (text,) = await canned_texts.all_texts(sara.desk.database)
        assert (text.active, text.queue, list(text.texts)) == (active, "sales", ["en"])
    found = await audit.entries(sara.desk.database, actor="sara", subject_kind="canned text")
    assert len(found) == 4


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text.en": "Dear {name}"}, "{name} cannot be filled"),
        ({"code": "not a code"}, "Write small letters"),
        ({"code": "taken"}, "Another text has this code."),
        ({"text.en": "", "text.zh": ""}, "Write the text in one language"),
        ({"title.en": ""}, "Write an English title"),
        ({"queue": "nowhere"}, "Choose one of the list."),
    ],
)
async def test_a_text_that_cannot_be_kept_is_told_beside_its_field(
    sara: Visitor, fields: dict[str, str], said: str
) -> None:
    await add_text(sara.desk, "taken", {"en": "x"})
    status, page = await sara.send_form("/setup/texts/new", **{**TEXT, **fields})
    assert status == 400
    assert said in page
    assert 'aria-invalid="true"' in page
    assert len(await canned_texts.all_texts(sara.desk.database)) == 1


ARTICLE = {
    "owner": "maria",
    "review_on": "2027-05-01",
    "queue.sales": "on",
    "title.zh": "退货",
    "body.zh": "三十天 <b>内</b>",
}


async def test_an_article_is_written_changed_and_retired(sara: Visitor) -> None:
    status, where = await sara.send_form("/setup/articles/new", **ARTICLE)
    assert (status, where.startswith("/setup/articles?done=added")) == (303, True)
    (article,) = await articles.all_articles(sara.desk.database)
    assert (article.owner, list(article.queues), list(article.words)) == (
        "maria",
        ["sales"],
        ["zh"],
    )
    page = f"/setup/articles/{article.id}"
    shown = (await sara.get(page))[1]
    assert "三十天 &lt;b&gt;内&lt;/b&gt;" in shown
    await sara.send_form(page, **{**ARTICLE, "title.en": "Returns", "body.en": "Thirty days"})
    await sara.send_form(f"{page}/switch")
    (article,) = await articles.all_articles(sara.desk.database)
    assert (article.active, sorted(article.words)) == (False, ["en", "zh"])
    assert "Returns" in (await sara.get("/setup/articles"))[1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"body.zh": ""}, "Write both a title and a text"),
        ({"title.zh": "", "body.zh": ""}, "Write the article in one language"),
        ({"owner": "nobody"}, "Choose one of the list."),
        ({"review_on": "tomorrow"}, "Choose a day."),
    ],
)
async def test_an_article_that_cannot_be_kept(
    sara: Visitor, fields: dict[str, str], said: str
) -> None:
    status, page = await sara.send_form("/setup/articles/new", **{**ARTICLE, **fields})
    assert status == 400
    assert said in page
    assert await articles.all_articles(sara.desk.database) == []


async def test_the_lists_of_what_is_due_flagged_and_missing(
    desk: RunningDesk, sara: Visitor
) -> None:
    due = await add_article(desk, {"en": ("Old prices", "x")}, review_on=date(2020, 1, 1))
    await add_article(desk, {"en": ("Fresh prices", "x")}, owner="sara")
    async with desk.database.transaction() as transaction:
        wrong = await articles.flag(transaction, due, "wrong", "<i>no</i>", agent="lin")
        missing = await articles.flag(transaction, None, "missing", "wheelchairs", agent="lin")

    async def shown(only: str) -> tuple[bool, bool, bool]:
        page = (await sara.get(f"/setup/articles?only={only}"))[1]
        return "Old prices" in page, "Fresh prices" in page, "wheelchairs" in page

    assert await shown("") == (True, True, True)
    assert await shown("due") == (True, False, False)
    assert await shown("flagged") == (True, False, True)
    assert await shown("mine") == (False, True, False)
    assert "&lt;i&gt;no" in (await sara.get(f"/setup/articles/{due}"))[1]
    for flag, back in ((wrong, f"/setup/articles/{due}"), (missing, "/setup/articles")):
        status, where = await sara.send_form(f"/setup/articles/flags/{flag}", answer="Mended")
        assert (status, where.split("?")[0]) == (303, back)
    assert await articles.open_flags(desk.database) == []
    answered = await articles.answered_flags(desk.database, "lin")
    assert {one.answer for one in answered} == {"Mended"}
    assert "wheelchairs" in (await sara.get("/setup/articles/new?title=wheelchairs"))[1]


async def test_a_script_is_saved_in_versions_published_and_put_back(sara: Visitor) -> None:
    titles = {"title.en": "Sales", "title.zh": "销售"}
    status, where = await sara.send_form("/setup/scripts/new", code="sales", **titles)
    assert status == 303
    page = where.split("?")[0]
    script_id = int(page.rpartition("/")[2])

    async def save(steps: object, **more: str) -> tuple[int, str]:
        return await sara.send_form(page, steps=json.dumps(steps), **titles, **more)

    async def numbers() -> tuple[list[int], int | None]:
        every = await scripts.SCRIPTS.versions(sara.desk.database, script_id)
        used = in_use(every)
        return [one.number for one in every], used.number if used else None

    assert (await save(STEPS))[0] == 303
    assert await numbers() == ([1], None)
    # The same steps again are no new version.
    assert (await save(STEPS, publish="1"))[0] == 303
    assert await numbers() == ([1], 1)
    status, shown = await save(STEPS[:1], publish="1")
    assert status == 200
    assert "leads to “english”, which is no step" in shown
    assert await numbers() == ([2, 1], 1)
    assert (await save("rubbish"))[0] == 400
    assert (await save(STEPS[2:], publish="1"))[0] == 303
    assert await numbers() == ([3, 2, 1], 3)
    assert (await sara.send_form(f"{page}/publish", number="1"))[0] == 303
    assert await numbers() == ([4, 3, 2, 1], 4)
    status, compared = await sara.get(f"{page}/compare?from=3&to=4")
    assert status == 200
    assert "greeting" in compared
    assert "Added" in compared
    assert "Version 4 in use" in (await sara.get("/setup/scripts"))[1]
    await sara.send_form(f"{page}/switch")
    found = await scripts.SCRIPTS.find(sara.desk.database, script_id)
    assert found is not None
    assert not found.active


async def test_a_scripts_code_is_its_own(sara: Visitor) -> None:
    await add_script(sara.desk)
    status, page = await sara.send_form(
        "/setup/scripts/new", **{"code": "sales", "title.en": "Sales"}
    )
    assert status == 400
    assert "Another script has this code." in page


async def test_the_editor_shows_hostile_steps_as_text(sara: Visitor) -> None:
    hostile = [{**STEPS[3], "text": {"en": "</script><script>alert(1)</script></textarea>"}}]
    await add_script(sara.desk)
    await sara.send_form("/setup/scripts/1", **{"steps": json.dumps(hostile), "title.en": "x"})
    page = (await sara.get("/setup/scripts/1"))[1]
    assert "<script>alert" not in page
    assert "&lt;/script&gt;" in page
