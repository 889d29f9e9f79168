"""What belongs to one agent is not another's: tasks, notes, phones, scripts and topics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent_desk.live import push
from agent_desk.live.task_board import topic_of as tasks_of
from crm_store.contacts import interactions, tasks
from crm_store.contacts.tasks import NewTask
from crm_store.models import TaskKind, VisitState
from crm_store.people import merging, visits
from crm_store.signals import CallAnswered, CallHeld, CallTransferred
from tests.agent_desk.conftest import Visitor
from tests.agent_desk.desk.test_api import write_call
from tests.agent_desk.push_client import connected
from tests.agent_desk.signal_stories import queue_call

pytestmark = pytest.mark.db

CALL = {"pbx": "main", "call": "1.1"}


async def task_of(visitor: Visitor, agent: str | None, queue: str | None = None) -> int:
    new = NewTask(
        kind=TaskKind.TASK,
        title="a secret",
        due_at=datetime.now(UTC) + timedelta(hours=1),
        assigned_to=agent,
        queue=queue,
    )
    async with visitor.desk.database.transaction() as transaction:
        return await tasks.create(transaction, new, actor="root")


@pytest.mark.parametrize("action", ["claim", "done", "cancel", "postpone", "hand_over"])
async def test_anothers_task_is_neither_seen_nor_changed(
    lin: Visitor, maria: Visitor, sara: Visitor, action: str
) -> None:
    number = await task_of(lin, "maria")
    due = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    wish = {"action": action, "due_at": due, "assigned_to": "lin"}
    assert (await lin.post(f"/api/tasks/{number}", **wish))[0] == 403
    for whose in ({}, {"whose": "all"}, {"whose": "all", "agent": "maria"}, {"agent": "maria"}):
        status, found = await lin.ask("/api/tasks", **whose)
        assert (status, found["tasks"]) == (200, []), whose
    assert "a secret" not in (await lin.get("/tasks"))[1]
    (task,) = (await sara.ask("/api/tasks", whose="all"))[1]["tasks"]
    assert (task["id"], task["assigned_to"], task["state"]) == (number, "maria", "open")


async def test_a_queues_task_is_not_for_who_does_not_serve_it(maria: Visitor, lin: Visitor) -> None:
    number = await task_of(maria, None, "service")
    assert (await maria.post(f"/api/tasks/{number}", action="claim"))[0] == 403
    assert (await lin.post(f"/api/tasks/{number}", action="claim"))[0] == 200


async def test_anothers_call_gives_nothing(lin: Visitor, maria: Visitor) -> None:
    for signal in queue_call(agents=("maria", "root")):
        lin.desk.bus.publish(signal)
        if isinstance(signal, CallAnswered):
            break
    # What a panel reads is the same as for a call that never was, and for none at all.
    never_was = {"pbx": CALL["pbx"], "call": "9.9"}
    for call in (CALL, never_was):
        assert await lin.ask("/api/call/note", **call) == (200, {"note": ""})
        assert await lin.ask("/api/script", **call) == (200, {"script": None})
        assert await lin.ask("/api/texts", **call) == await lin.ask("/api/texts")
        assert await lin.ask("/api/articles", **call) == await lin.ask("/api/articles")
        suggested = await lin.post("/api/articles/suggest", **call)
        assert suggested == await lin.post("/api/articles/suggest")
    for path in ("/api/script/step", "/api/texts/use"):
        assert (await lin.post(path, code="hello", step="greeting", to="next", **CALL))[0] == 403
    assert (await maria.ask("/api/call/note", **CALL))[0] == 200


@pytest.mark.parametrize("topic", ["agent:maria", "tasks:maria", "tasks:", "calls", "customer:0"])
async def test_anothers_topics_are_none(lin: Visitor, maria: Visitor, topic: str) -> None:
    await task_of(maria, "maria")
    headers = {"Cookie": maria.cookie}
    async with connected(maria.desk.push_url, additional_headers=headers) as theirs:
        await theirs.subscribe("agent:maria", tasks_of("maria"))
        async with connected(lin.desk.push_url, additional_headers={"Cookie": lin.cookie}) as mine:
            for verb in ({"subscribe": [topic]}, {"resync": topic}):
                await mine.say(verb)
                assert "no topic" in (await mine.next())["error"]
            # Nor does it end what another follows.
            await mine.say({"unsubscribe": topic})
            await mine.subscribe("queues")
        assert lin.desk.hub.topics["agent:maria"].desks


async def test_a_connection_follows_so_many_topics_and_no_more(
    lin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "TOPICS", 3)
    async with connected(lin.desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe("customer:1", "customer:2", "customer:999999999999999999")
        await client.say({"subscribe": ["customer:4"]})
        assert "at most 3 topics" in (await client.next())["error"]
        # What it follows already it may ask for again.
        await client.say({"resync": "customer:1"})
        assert (await client.next())["topic"] == "customer:1"
    async with connected(lin.desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe("queues")
    assert "customer:4" not in lin.desk.hub.topics


async def test_a_claim_is_the_sessions_own(lin: Visitor, maria: Visitor) -> None:
    """Nobody names the extension that they claim: it is their own, whatever the body says."""
    for wish in ({"extension": "1002"}, {"agent": "maria"}, {"login": "maria", "account": "1002"}):
        status, answer = await lin.post("/api/phone/claim", **wish)
        assert (status, "1002" in str(answer)) == (503, False)
        assert (await lin.post("/api/phone/release", **wish))[0] == 200
    assert (await lin.ask("/api/phone/legs", extension="1002", agent="maria"))[1] == {"legs": []}


async def test_a_visit_is_changed_at_its_own_customer_and_by_nobody_outside(
    lin: Visitor, visitor: Visitor
) -> None:
    desk = lin.desk
    wang, garcia = desk.customers["wang"], desk.customers["garcia"]
    async with desk.database.transaction() as transaction:
        number = await visits.plan(transaction, wang, datetime.now(UTC), actor="maria")
    path = f"/customers/{garcia}/visits/{number}"
    assert (await lin.send_form(path, what="cancel"))[0] == 404
    path = f"/customers/{wang}/visits/{number}"
    assert (await visitor.send_form(path, what="cancel"))[0] in (303, 401, 403)
    lin.csrf, right = "wrong", lin.csrf
    assert (await lin.send_form(path, what="cancel"))[0] == 403
    lin.csrf = right
    (visit,) = await visits.of_customer(desk.database, wang)
    assert visit.state is VisitState.PLANNED


async def test_a_call_that_is_not_on_ones_screen_is_not_settled(
    lin: Visitor, maria: Visitor
) -> None:
    for signal in queue_call(agents=("maria", "root")):
        if not isinstance(signal, CallHeld | CallTransferred):
            lin.desk.bus.publish(signal)
    await write_call(lin.desk, agent="maria")
    wish = {**CALL, "disposition": "solved", "note": "not mine"}
    assert (await lin.post("/api/call/wrap-up", **wish))[0] == 403
    assert (await lin.post("/api/call/note", **CALL, note="not mine"))[0] == 403
    found = await interactions.of_call(lin.desk.database, "main", "1.1")
    assert found is not None
    assert (found.note, found.disposition) == ("", None)


async def test_the_story_of_a_merged_customer_is_the_kept_ones(
    lin: Visitor, visitor: Visitor
) -> None:
    desk = lin.desk
    wang, garcia = desk.customers["wang"], desk.customers["garcia"]
    async with desk.database.transaction() as transaction:
        await merging.merge(transaction, wang, garcia, actor="sara")
    kept = await lin.ask(f"/api/customers/{garcia}/story")
    assert len(kept[1]["entries"]) == 3
    assert await lin.ask(f"/api/customers/{wang}/story") == kept
    status, answer = await visitor.get(f"/api/customers/{wang}/story")
    assert (status, "Delivery date" in answer) == (401, False)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null"])
async def test_the_phone_refuses_another_sites_pages(lin: Visitor, origin: str) -> None:
    headers = {
        "Origin": origin, "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Protocol": "sip", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    assert (await lin.get("/phone", headers=headers))[0] == 403
