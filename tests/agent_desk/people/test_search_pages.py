"""Search over everything and who may be who, asked by HTTP as people do."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from crm_store.contacts import conversations
from crm_store.models import AuditEntry, ContactKind
from crm_store.people import customers, identity
from crm_store.people.customers import ContactWay, NewCustomer
from tests.agent_desk.conftest import RunningDesk, Visitor
from tests.agent_desk.inbox.written import comes_in

pytestmark = pytest.mark.db

SHARED = "family@example.org"
XSS = "<img src=x onerror=alert(1)>"


async def person(desk: RunningDesk, name: str, *mails: str) -> int:
    ways = [ContactWay(ContactKind.MAIL, mail) for mail in mails]
    async with desk.database.transaction() as transaction:
        return await customers.create(
            transaction, NewCustomer(name, contact_points=ways), actor="test"
        )


async def test_what_was_written_is_found_with_its_words_marked(
    lin: Visitor, desk: RunningDesk
) -> None:
    _, conversation = await comes_in(desk, f"Where is my teapot? {XSS}", sender_name="Omid Rezaei")
    status, text = await lin.get("/search", params={"find": "teapot where"})
    assert status == 200
    assert "<mark>Where</mark>" in text
    assert "<mark>teapot</mark>" in text
    assert f'href="/inbox#{conversation}"' in text
    assert "Omid Rezaei" in text
    assert XSS not in text
    async with desk.database.reading() as session:
        query = select(func.count()).where(AuditEntry.action == "searched")
        assert await session.scalar(query) == 1


async def test_people_are_found_first_by_any_word_of_the_name(lin: Visitor) -> None:
    status, text = await lin.get("/search", params={"find": "garcía"})
    assert status == 200
    assert "Lucía García" in text
    status, answer = await lin.ask("/api/search", find="garcía")
    assert (status, [one["name"] for one in answer["people"]]) == (
        200,
        ["Lucía García", "Pablo García"],
    )


async def test_filters_and_pages_keep_the_question(lin: Visitor, desk: RunningDesk) -> None:
    for number in range(25):
        await comes_in(desk, f"teapot number {number}")
    status, text = await lin.get("/search", params={"find": "teapot", "channel": "mail"})
    assert status == 200
    assert text.count("<mark>teapot</mark>") == 20
    older = text.split('class="button" href="/search?')[1].split('"')[0].replace("&amp;", "&")
    assert "channel=mail" in older
    status, text = await lin.get(f"/search?{older}")
    assert (status, text.count("<mark>teapot</mark>")) == (200, 5)
    status, text = await lin.get("/search", params={"find": "teapot", "channel": "sms"})
    assert (status, text.count("<mark>")) == (200, 0)
    status, text = await lin.get("/search", params={"find": "teapot", "until": "2001-01-01"})
    assert (status, text.count("<mark>")) == (200, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "x"},
        {"channel": "x"},
        {"since": "tomorrow"},
        {"before": "x"},
        {"until": "0000-1-1"},
    ],
)
async def test_what_makes_no_sense_is_refused(lin: Visitor, wrong: dict[str, str]) -> None:
    assert (await lin.get("/search", params={"find": "tea", **wrong}))[0] == 400


async def test_other_queues_conversations_are_not_found(
    maria: Visitor, sara: Visitor, desk: RunningDesk
) -> None:
    """Maria serves sales only; Sara is a supervisor."""
    await comes_in(desk, "a hidden teapot", queue="service")
    assert "<mark>teapot" not in (await maria.get("/search", params={"find": "teapot"}))[1]
    assert (await maria.ask("/api/search", find="teapot"))[1]["hits"] == []
    assert "<mark>teapot" in (await sara.get("/search", params={"find": "teapot"}))[1]


async def test_who_is_probably_behind_a_conversation_is_asked_and_accepted(
    lin: Visitor, desk: RunningDesk
) -> None:
    first = await person(desk, f"Ali {XSS}", SHARED)
    second = await person(desk, "Sara", SHARED)
    _, conversation = await comes_in(desk, "hello", sender=SHARED)
    status, answer = await lin.ask(f"/api/conversations/{conversation}/suggestions")
    assert status == 200
    assert {one["customer_id"] for one in answer["suggestions"]} == {first, second}
    status, text = await lin.get("/customers/suggestions")
    assert status == 200
    assert "Several customers have this address" in text
    assert XSS not in text
    chosen = next(one for one in answer["suggestions"] if one["customer_id"] == second)
    status, answer = await lin.post(f"/api/suggestions/{chosen['id']}", accept=True)
    assert (status, answer) == (200, {"customer_id": second})
    found = await conversations.find(desk.database, conversation)
    assert found is not None
    assert found.customer_id == second
    assert (await lin.post(f"/api/suggestions/{chosen['id']}", accept=True))[0] == 409
    assert (await lin.ask(f"/api/conversations/{conversation}/suggestions"))[1] == {
        "suggestions": []
    }


async def test_two_customers_who_are_one_are_merged_from_the_page(
    lin: Visitor, desk: RunningDesk
) -> None:
    kept, twin = await person(desk, "Ali Rezaei", SHARED), await person(desk, "ali REZAEI", SHARED)
    await identity.suggest_twins(desk.database)
    status, text = await lin.get("/customers/suggestions")
    (one,) = await identity.open_suggestions(desk.database)
    assert f'action="/customers/suggestions/{one.id}"' in text
    address = f"/customers/suggestions/{one.id}"
    assert (await lin.send_form(address, decision="perhaps"))[0] == 400
    status, where = await lin.send_form(address, decision="accept")
    assert (status, where) == (303, f"/customers/{kept}/merge")
    card = await customers.card(desk.database, twin)
    assert card is not None
    assert card.id == kept
    status, text = await lin.send_form(address, decision="accept")
    assert status == 409
    assert "Somebody has decided this meanwhile." in text


async def test_a_suggestion_about_another_queue_s_conversation_is_not_ours(
    maria: Visitor, desk: RunningDesk
) -> None:
    await person(desk, "Ali", SHARED)
    await person(desk, "Sara", SHARED)
    _, conversation = await comes_in(desk, "hello", sender=SHARED, queue="service")
    one = (await identity.open_suggestions(desk.database))[0]
    assert "Ali" not in (await maria.get("/customers/suggestions"))[1]
    assert (await maria.ask(f"/api/conversations/{conversation}/suggestions"))[0] == 403
    assert (await maria.post(f"/api/suggestions/{one.id}", accept=True))[0] == 403
