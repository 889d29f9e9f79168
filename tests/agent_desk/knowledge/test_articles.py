"""The knowledge base at the desk: found, read, judged, flagged and answered."""

from __future__ import annotations

from datetime import date

import pytest

from crm_store.knowledge import articles
from tests.agent_desk.conftest import Visitor
from tests.agent_desk.knowledge_stage import CALL, add_article, wang_talks

pytestmark = pytest.mark.db

RETURNS = {
    "en": ("Returning goods", "# Rules\n\nWithin **thirty days**, with the receipt."),
    "zh": ("退货", "三十天内凭小票可以退货。"),
}


async def test_found_as_one_types_and_marked_if_in_another_language(lin: Visitor) -> None:
    returns = await add_article(lin.desk, RETURNS)
    parking = await add_article(lin.desk, {"es": ("Aparcamiento", "Tres horas gratis.")})
    _, answer = await lin.ask("/api/articles", find="recei")
    assert answer["articles"] == [
        {
            "id": returns,
            "title": "Returning goods",
            "summary": "Within thirty days, with the receipt.",
            "language": "en",
            "wished": True,
            "review_on": "2099-01-01",
        }
    ]
    _, answer = await lin.ask("/api/articles", find="gratis")
    assert [(one["id"], one["wished"]) for one in answer["articles"]] == [(parking, False)]
    # The customer speaks Chinese, which is asked for, too.
    await wang_talks(lin.desk)
    _, answer = await lin.ask("/api/articles", find="小票", **CALL)
    assert [(one["language"], one["wished"]) for one in answer["articles"]] == [("zh", True)]


async def test_suggested_for_the_note(lin: Visitor) -> None:
    returns = await add_article(lin.desk, RETURNS)
    await add_article(lin.desk, {"en": ("Opening hours", "From ten to ten.")}, queues=["service"])
    await wang_talks(lin.desk)
    _, answer = await lin.post("/api/articles/suggest", note="lost the receipt", **CALL)
    assert [one["id"] for one in answer["articles"]] == [returns]
    _, answer = await lin.post("/api/articles/suggest", note="", **CALL)
    assert [one["id"] for one in answer["articles"]] == [returns]
    assert (await lin.post("/api/articles/suggest", note="x" * 20_001))[0] == 400


async def test_read_voted_and_counted(lin: Visitor, maria: Visitor) -> None:
    returns = await add_article(lin.desk, RETURNS)
    _, answer = await lin.ask(f"/api/articles/{returns}")
    assert (answer["title"], answer["language"], answer["languages"]) == (
        "Returning goods",
        "en",
        ["en", "zh"],
    )
    assert answer["body"][0] == {"tag": "h3", "children": ["Rules"]}
    assert (answer["vote"], answer["may_edit"], answer["due"]) == (None, False, False)
    assert (await lin.post(f"/api/articles/{returns}/vote", helpful=True))[0] == 200
    _, votes = await maria.post(f"/api/articles/{returns}/vote", helpful=False)
    assert votes == {"helpful": 1, "unhelpful": 1}
    _, answer = await lin.ask(f"/api/articles/{returns}", language="zh")
    assert (answer["title"], answer["vote"], answer["helpful"]) == ("退货", True, 1)
    article = await articles.find(lin.desk.database, returns)
    assert article is not None
    assert article.uses == 2
    assert (await lin.post(f"/api/articles/{returns}/vote", helpful="yes"))[0] == 400
    assert (await lin.post("/api/articles/999/vote", helpful=True))[0] == 404


async def test_a_retired_article_is_not_read(lin: Visitor) -> None:
    returns = await add_article(lin.desk, RETURNS, active=False)
    assert (await lin.ask(f"/api/articles/{returns}"))[0] == 404
    assert (await lin.ask("/api/articles/wrong"))[0] == 404


async def test_a_flag_goes_to_the_owner_who_answers(
    lin: Visitor, maria: Visitor, sara: Visitor
) -> None:
    returns = await add_article(lin.desk, RETURNS, review_on=date(2020, 1, 1))
    status, answer = await lin.post(
        "/api/articles/flags", article=returns, kind="wrong", text="It is <b>14</b> days"
    )
    assert status == 201
    flag = answer["id"]
    _, mine = await maria.ask("/api/articles/mine")
    assert [one["id"] for one in mine["due"]] == [returns]
    assert [(one["id"], one["title"]) for one in mine["flags"]] == [(flag, "Returning goods")]
    _, of_lin = await lin.ask("/api/articles/mine")
    assert (of_lin["due"], of_lin["flags"]) == ([], [])
    _, of_sara = await sara.ask("/api/articles/mine")
    assert [one["id"] for one in of_sara["flags"]] == [flag]
    # Neither the agent who flagged it nor a stranger settles it.
    assert (await lin.post(f"/api/articles/flags/{flag}/settle", answer="no"))[0] == 403
    assert (await maria.post(f"/api/articles/flags/{flag}/settle", answer="Mended"))[0] == 200
    assert (await sara.post(f"/api/articles/flags/{flag}/settle", answer="Again"))[0] == 409
    assert (await sara.post("/api/articles/flags/999/settle", answer=""))[0] == 404
    _, of_lin = await lin.ask("/api/articles/mine")
    assert [(one["answer"], one["settled_by"]) for one in of_lin["answered"]] == [
        ("Mended", "maria")
    ]


async def test_what_is_missing_goes_to_the_supervisors(
    lin: Visitor, maria: Visitor, sara: Visitor
) -> None:
    status, answer = await lin.post("/api/articles/flags", article=None, text="wheelchairs")
    assert status == 201
    flag = answer["id"]
    assert (await maria.ask("/api/articles/mine"))[1]["flags"] == []
    assert (await sara.ask("/api/articles/mine"))[1]["flags"][0]["text"] == "wheelchairs"
    assert (await maria.post(f"/api/articles/flags/{flag}/settle", answer="x"))[0] == 403
    assert (await sara.post(f"/api/articles/flags/{flag}/settle", answer="Soon"))[0] == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"article": None, "text": " "}, 400),
        ({"article": None, "text": "x" * 2_001}, 400),
        ({"article": "1", "kind": "wrong", "text": "x"}, 400),
        ({"article": True, "kind": "wrong", "text": "x"}, 400),
        ({"article": 999, "kind": "wrong", "text": "x"}, 404),
    ],
)
async def test_a_flag_that_makes_no_sense(
    lin: Visitor, body: dict[str, object], status: int
) -> None:
    assert (await lin.post("/api/articles/flags", **body))[0] == status
    assert await articles.open_flags(lin.desk.database) == []


async def test_supervisors_see_what_agents_will_see(sara: Visitor) -> None:
    _, answer = await sara.post("/api/articles/preview", body="<script>x</script>")
    assert answer["body"] == [{"tag": "p", "children": ["<script>x</script>"]}]
