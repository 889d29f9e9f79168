"""The JSON API: an agent's states, customers, notes and wrap-ups, on the real store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crm_store import audit
from crm_store.contacts import calls, interactions
from crm_store.contacts.calls import CallRecord
from crm_store.models import CallState
from crm_store.people import customers
from crm_store.signals import AgentState, Direction
from tests.agent_desk.conftest import CARD_NUMBER, RunningDesk, Visitor
from tests.agent_desk.push_client import connected
from tests.agent_desk.signal_stories import pop, queue_call

pytestmark = pytest.mark.db

CALL = {"pbx": "main", "call": "1.1"}


def answered_part() -> list[Any]:
    """The story up to Lin's answer and the end of Maria's ringing."""
    story = queue_call()
    names = [type(signal).__name__ for signal in story]
    return story[: names.index("CallHeld")]


async def write_call(desk: RunningDesk, **values: Any) -> None:
    """The call's row, which the telephone side writes beside the path."""
    record = CallRecord(
        **{
            "pbx": "main",
            "linkedid": "1.1",
            "state": CallState.LIVE,
            "direction": Direction.INBOUND,
            "caller": "13800138000",
            "callee": "600",
            "queue": "sales",
            "agent": "lin",
            "started_at": datetime.now(UTC),
            **values,
        }
    )
    async with desk.database.transaction() as transaction:
        await calls.record_calls(transaction, [record])


@pytest.fixture
async def talking(desk: RunningDesk) -> RunningDesk:
    """Lin talks to a caller; the call is written."""
    for signal in answered_part():
        desk.bus.publish(signal)
    await write_call(desk)
    return desk


def end_call(desk: RunningDesk) -> None:
    for signal in queue_call():
        if type(signal).__name__ == "CallEnded":
            desk.bus.publish(signal)


async def test_an_agent_goes_through_all_states(desk: RunningDesk, lin: Visitor) -> None:
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe("agent:lin")
        for path, wish, state in (
            ("/api/agent/serve", {"queues": ["sales", "service"]}, "available"),
            ("/api/agent/pause", {"reason": "lunch"}, "paused"),
            ("/api/agent/unpause", {}, "available"),
            ("/api/agent/leave", {}, "offline"),
        ):
            assert (await lin.post(path, **wish))[0] == 200
            await client.until_event("AgentStateChanged")
            assert client.state["agent:lin"]["state"]["state"] == state


async def test_unpause_ends_a_wrap_up_without_a_call(desk: RunningDesk, lin: Visitor) -> None:
    desk.presence._become("lin", AgentState.WRAP_UP)
    assert (await lin.post("/api/agent/unpause"))[0] == 200
    assert desk.presence.state_of("lin").state is AgentState.AVAILABLE


async def test_when_the_telephone_side_is_away_it_says_so(desk: RunningDesk, lin: Visitor) -> None:
    desk.presence.link_is_up = False
    status, answer = await lin.post("/api/agent/serve", queues=["sales"])
    assert status == 503
    assert "telephone system is away" in answer["error"]


@pytest.mark.parametrize(
    ("path", "wish"),
    [
        ("/api/agent/serve", {"queues": "sales"}),
        ("/api/agent/serve", {"queues": [1]}),
        ("/api/agent/serve", {"queues": []}),
        ("/api/agent/pause", {"reason": "because"}),
        ("/api/agent/pause", {"reason": ["lunch"]}),
        ("/api/customers", {"name": "\u200b  "}),
        ("/api/customers", {"name": "X", "phone": "not a number"}),
        ("/api/customers", {"name": "X", "mail": "nowhere"}),
        ("/api/customers", {"name": "X", "language": "tlh"}),
        ("/api/customers", {"name": "X", "segment": "king"}),
        ("/api/call/note", {"pbx": 1, "call": None}),
        ("/api/call/note", {"pbx": "x" * 400, "call": "1"}),
    ],
)
async def test_rubbish_is_refused_with_what_to_do(
    lin: Visitor, path: str, wish: dict[str, Any]
) -> None:
    status, answer = await lin.post(path, **wish)
    assert status == 400
    assert answer["error"]


async def test_errors_are_told_in_the_readers_language(lin: Visitor) -> None:
    lin.http.cookie_jar.update_cookies({"deskbell_language": "es"}, lin.desk.url)
    status, answer = await lin.post("/api/agent/serve", queues=[])
    assert (status, answer["error"]) == (400, "Elija al menos una cola.")


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("138 0013 8000", ["wang"]),
        ("+86 (138) 0013-8000", ["wang"]),
        ("王", ["wang"]),
        (CARD_NUMBER, ["wang"]),
        ("garcia", ["garcia", "garcia_son"]),
        ("+34 912 345 678", ["garcia", "garcia_son"]),
        ("<img", ["hostile"]),
        ("nobody", []),
        ("", []),
        ("%", []),
    ],
)
async def test_customers_are_found_by_number_card_and_name(
    lin: Visitor, text: str, who: list[str]
) -> None:
    status, answer = await lin.ask("/api/customers", find=text)
    assert status == 200
    found = {line["id"] for line in answer["found"]}
    assert found == {lin.desk.customers[name] for name in who}


async def test_seeing_a_customer_is_audited(lin: Visitor) -> None:
    wang = lin.desk.customers["wang"]
    status, card = await lin.ask(f"/api/customers/{wang}")
    assert status == 200
    assert card["points_hundredths"] == 1_234_550
    (entry,) = await audit.entries(lin.desk.database, actor="lin")
    assert (entry.action, entry.subject_id, entry.address) == ("saw", str(wang), "127.0.0.1")


async def test_a_screen_pop_is_audited_for_whom_it_was_shown(desk: RunningDesk) -> None:
    wang = desk.customers["wang"]
    card = await customers.card(desk.database, wang)
    assert card is not None
    for agent in ("lin", "maria"):
        desk.bus.publish(pop(agent, matches=(card.as_dict(),)))
    seen: list[Any] = []
    while len(seen) < 2:
        seen = [
            entry
            for entry in await audit.entries(desk.database, subject_id=wang)
            if entry.action == "saw"
        ]
    assert {entry.actor for entry in seen} == {"lin", "maria"}
    assert {entry.reason for entry in seen} == {"call main/1.1"}


async def test_a_customers_history_comes_in_pages(lin: Visitor) -> None:
    wang = lin.desk.customers["wang"]
    _, first = await lin.ask(f"/api/customers/{wang}/history")
    assert [line["channel"] for line in first["history"]] == ["phone", "mail", "visit"]
    _, rest = await lin.ask(f"/api/customers/{wang}/history", before=str(first["history"][0]["id"]))
    assert rest["history"] == first["history"][1:]


@pytest.mark.parametrize("before", ["x", "-1", "9" * 40, "\u0664"])
async def test_a_page_after_nothing_is_not_found(lin: Visitor, before: str) -> None:
    wang = lin.desk.customers["wang"]
    assert (await lin.ask(f"/api/customers/{wang}/history", before=before))[0] == 404


@pytest.mark.parametrize("customer", ["0", "99999", "-1", "abc", "1e3", "9" * 30])
async def test_an_unknown_customer_is_not_found(lin: Visitor, customer: str) -> None:
    assert (await lin.ask(f"/api/customers/{customer}"))[0] == 404
    assert (await lin.get(f"/customers/{customer}"))[0] == 404
    assert (await lin.get(f"/customers/{customer}/edit"))[0] == 404


async def test_a_new_customer_in_a_call_becomes_the_caller(
    talking: RunningDesk, lin: Visitor
) -> None:
    status, card = await lin.post(
        "/api/customers", name="  李  雷 ", language="zh", phone="139 1234 5678", **CALL
    )
    assert status == 201
    assert card["name"] == "李 雷"
    shown = talking.live.screens.pop_on_screen("lin", "main", "1.1")
    assert shown is not None
    assert [match["id"] for match in shown["matches"]] == [card["id"]]
    found = await interactions.of_call(talking.database, "main", "1.1")
    assert found is not None
    assert found.customer_id == card["id"]


async def test_the_agent_says_which_of_several_it_is(talking: RunningDesk, lin: Visitor) -> None:
    son = talking.customers["garcia_son"]
    status, _ = await lin.post("/api/call/customer", customer_id=son, **CALL)
    assert status == 200
    found = await interactions.of_call(talking.database, "main", "1.1")
    assert found is not None
    assert found.customer_id == son
    assert (await lin.post("/api/call/customer", customer_id=99_999, **CALL))[0] == 404
    assert (await lin.post("/api/call/customer", customer_id="1", **CALL))[0] == 400
    assert (await lin.post("/api/call/customer", customer_id=True, **CALL))[0] == 400


async def test_a_half_written_note_is_found_again(talking: RunningDesk, lin: Visitor) -> None:
    note = "تماس دوباره فردا 🌙 <b>"
    assert await lin.post("/api/call/note", note=note, **CALL) == (200, {"saved": True})
    assert await lin.ask("/api/call/note", **CALL) == (200, {"note": note})
    assert (await lin.post("/api/call/note", note="x" * 20_001, **CALL))[0] == 400
    assert (await lin.post("/api/call/note", note=7, **CALL))[0] == 400


async def test_the_last_letters_of_a_note_may_come_after_the_call_has_left_the_screen(
    talking: RunningDesk, lin: Visitor
) -> None:
    assert (await lin.post("/api/call/note", note="promised a new", **CALL))[0] == 200
    end_call(talking)
    talking.live.screens.wrapped_up("lin", "main", "1.1")
    late = "promised a new kettle"
    assert await lin.post("/api/call/note", note=late, **CALL) == (200, {"saved": True})
    assert await lin.ask("/api/call/note", **CALL) == (200, {"note": late})


async def test_a_note_before_the_calls_row_is_not_claimed_to_be_saved(
    desk: RunningDesk, lin: Visitor
) -> None:
    for signal in answered_part():
        desk.bus.publish(signal)
    assert await lin.post("/api/call/note", note="early", **CALL) == (200, {"saved": False})


async def test_a_wrap_up_closes_the_interaction_and_frees_the_agent(
    talking: RunningDesk, lin: Visitor
) -> None:
    status, answer = await lin.post("/api/call/wrap-up", disposition="solved", note="", **CALL)
    assert status == 409
    assert "not over" in answer["error"]
    end_call(talking)
    talking.presence._become("lin", AgentState.WRAP_UP)
    for wrong in ("complaint", ["solved"], None):
        status, _ = await lin.post("/api/call/wrap-up", disposition=wrong, note="", **CALL)
        assert status == 400
    status, _ = await lin.post("/api/call/wrap-up", disposition="solved", note="done", **CALL)
    assert status == 200
    found = await interactions.of_call(talking.database, "main", "1.1")
    assert found is not None
    assert (found.disposition, found.note, found.agent) == ("solved", "done", "lin")
    assert found.closed_at is not None
    assert talking.presence.state_of("lin").state is AgentState.AVAILABLE
    assert talking.live.screens.call_on_screen("lin", "main", "1.1") is None
    assert (await lin.post("/api/call/wrap-up", disposition="solved", note="", **CALL))[0] == 403


async def test_a_wrap_up_waits_for_the_calls_row(desk: RunningDesk, lin: Visitor) -> None:
    for signal in answered_part():
        desk.bus.publish(signal)
    end_call(desk)
    status, answer = await lin.post("/api/call/wrap-up", disposition="solved", note="n", **CALL)
    assert status == 503
    assert "Your note is kept" in answer["error"]
    assert desk.live.screens.call_on_screen("lin", "main", "1.1") is not None
    await write_call(desk)
    assert (await lin.post("/api/call/wrap-up", disposition="solved", note="n", **CALL))[0] == 200


async def test_somebody_elses_call_cannot_be_written_on(
    talking: RunningDesk, maria: Visitor, sara: Visitor
) -> None:
    end_call(talking)
    for other in (maria, sara):
        for path, wish in (
            ("/api/call/note", {"note": "mine now"}),
            ("/api/call/wrap-up", {"disposition": "solved", "note": ""}),
            ("/api/call/customer", {"customer_id": talking.customers["garcia"]}),
        ):
            assert (await other.post(path, **wish, **CALL))[0] == 403
        assert await other.ask("/api/call/note", **CALL) == (200, {"note": ""})
        assert (await other.post("/api/customers", name="Quirin", **CALL))[0] == 403
    assert not await customers.search_by_name(talking.database, "Quirin")


async def test_an_unfinished_wrap_up_comes_back_after_a_restart(
    desk: RunningDesk, lin: Visitor
) -> None:
    await write_call(
        desk, state=CallState.ENDED, ended_at=datetime.now(UTC), customer_id=desk.customers["wang"]
    )
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe("agent:lin")
        shown = client.state["agent:lin"]
        assert shown["call:main/1.1"]["state"] == "ended"
        assert shown["pop:main/1.1"]["matches"][0]["name"] == "王芳"
        status, _ = await lin.post("/api/call/wrap-up", disposition="solved", note="n", **CALL)
        assert status == 200
        await client.until_event("WrappedUp")
        assert "call:main/1.1" not in client.state["agent:lin"]


async def test_an_unfinished_wrap_up_belongs_to_its_agent(
    desk: RunningDesk, maria: Visitor
) -> None:
    await write_call(desk, state=CallState.ENDED, ended_at=datetime.now(UTC))
    async with connected(desk.push_url, additional_headers={"Cookie": maria.cookie}) as client:
        await client.subscribe("agent:maria")
        assert list(client.state["agent:maria"]) == ["state"]


async def test_health_tells_what_is_wrong(desk: RunningDesk, visitor: Visitor) -> None:
    assert await visitor.ask("/health") == (200, {"database": True, "pbx_link": True})
    desk.presence.link_is_up = False
    assert await visitor.ask("/health") == (503, {"database": True, "pbx_link": False})


async def test_customers_are_changed_by_form(lin: Visitor) -> None:
    wang = lin.desk.customers["wang"]
    status, to = await lin.send_form(
        f"/customers/{wang}/edit",
        name="王芳",
        language="zh",
        segment="vip",
        phone="010 6552 9988",
        notes="nur vormittags",
    )
    assert (status, to) == (303, f"/customers/{wang}")
    card = await customers.card(lin.desk.database, wang)
    assert card is not None
    assert card.notes == "nur vormittags"
    assert "+861065529988" in [way.value for way in card.contact_points]
    actions = [entry.action for entry in await audit.entries(lin.desk.database, actor="lin")]
    assert "changed" in actions


async def test_a_form_with_a_mistake_keeps_what_was_written(lin: Visitor) -> None:
    status, text = await lin.send_form(
        "/customers/new", name="New Person", phone="12", notes="kept text"
    )
    assert status == 400
    assert "kept text" in text
    assert "New Person" in text
    assert "Write the number with its area" in text
