"""The work place's requests: story, tasks, presence, the customer's page, merging."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from agent_desk.live.task_board import topic_of
from agent_desk.people.tasks import BOARD
from crm_store import audit, text_search
from crm_store.contacts import calls, interactions, story, tasks
from crm_store.contacts.tasks import NewTask
from crm_store.models import CallState, TaskKind, TaskState
from crm_store.people import customers, merging, visits
from crm_store.shop import orders
from crm_store.shop.orders import Line, NewOrder
from crm_store.signals import Direction, Outcome
from crm_store.staff import agents, queues
from tests.agent_desk.conftest import RunningDesk, Visitor
from tests.agent_desk.push_client import PushClient, connected
from tests.agent_desk.signal_stories import pop

pytestmark = pytest.mark.db

TOMORROW = datetime.now(UTC) + timedelta(hours=20)
LATE = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
async def indexed(desk: RunningDesk) -> None:
    async with desk.database.transaction() as transaction:
        for line in await interactions.history(desk.database, desk.customers["wang"]):
            await text_search.index_interaction(transaction, line.id)


async def make_task(desk: RunningDesk, title: str, actor: str = "lin", **values: Any) -> int:
    new = NewTask(**{"title": title, "due_at": TOMORROW, **values})
    async with desk.database.transaction() as transaction:
        return await tasks.create(transaction, new, actor=actor)


# ---- the story -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("indexed")
async def test_a_story_is_read_searched_and_written_down_once(lin: Visitor) -> None:
    wang = lin.desk.customers["wang"]
    path = f"/api/customers/{wang}/story"
    status, answer = await lin.ask(path)
    assert status == 200
    assert [entry["channel"] for entry in answer["entries"]] == ["phone", "mail", "visit"]
    assert answer["entries"][0]["keyed"] == ["2"]
    _, answer = await lin.ask(path, find="儿童鞋")
    assert [entry["summary"] for entry in answer["entries"]] == ["问儿童鞋尺码"]
    _, answer = await lin.ask(path, kind="interaction", channel="mail,sms")
    assert [entry["channel"] for entry in answer["entries"]] == ["mail"]
    seen = await audit.entries(lin.desk.database, subject_kind="customer", subject_id=wang)
    assert [entry.reason for entry in seen if entry.actor == "lin"] == ["story", "story"]


async def test_an_order_is_told_in_the_readers_language(lin: Visitor) -> None:
    wang = lin.desk.customers["wang"]
    async with lin.desk.database.transaction() as transaction:
        lines = [
            Line("3001", {"en": "Sofa", "zh": "沙发"}, 1, 4_599_950),
            Line("9", {}, 2, 25),
        ]
        await orders.place(
            transaction,
            NewOrder(lines=lines, currency="CNY", idempotency_key="o", customer_id=wang,
                     number="2026110029", expected_on=date(2026, 12, 1)),
            actor="web",
        )  # fmt: skip
    _, answer = await lin.ask(f"/api/customers/{wang}/story", kind="order")
    [entry] = answer["entries"]
    assert (entry["state"], entry["expected_on"]) == ("placed", "2026-12-01")
    assert entry["shown_number"] == "20261\u202f10029"
    language = (await agents.find(lin.desk.database, "lin")).language  # type: ignore[union-attr]
    goods, total = {"zh": ("沙发", "¥46,000.00"), "en": ("Sofa", "CN¥46,000.00")}[language]
    told = [(line["title"], line["quantity"]) for line in entry["lines"]]
    assert (told, entry["shown_total"]) == ([(goods, 1), ("9", 2)], total)


@pytest.mark.parametrize(
    "params",
    [
        {"before": "x"},
        {"kind": "weather"},
        {"channel": "smoke"},
        {"since": "2026-01-01"},
        {"since": "x"},
        {"find": "a", "before": "-1"},
    ],
)
async def test_a_story_that_cannot_be_is_refused(lin: Visitor, params: dict[str, str]) -> None:
    path = f"/api/customers/{lin.desk.customers['wang']}/story"
    assert (await lin.ask(path, **params))[0] == 400
    assert (await lin.ask("/api/customers/999/story"))[0] == 404


async def test_a_story_names_who_got_the_call(lin: Visitor) -> None:
    wang, database = lin.desk.customers["wang"], lin.desk.database
    known = {agent.login: agent for agent in await agents.all_agents(database)}
    targets = [f"PJSIP/{known['maria'].extension}", known["maria"].extension, "601", "0755123"]
    async with database.transaction() as transaction:
        await calls.record_calls(
            transaction,
            [
                calls.CallRecord(
                    pbx="main", linkedid=f"17.{position}", state=CallState.ENDED,
                    direction=Direction.INBOUND, caller="+8613800138000", callee="600",
                    outcome=Outcome.ANSWERED, transferred_to=target, customer_id=wang,
                    started_at=datetime.now(UTC) + timedelta(seconds=position),
                    ended_at=datetime.now(UTC) + timedelta(seconds=position + 9),
                )
                for position, target in enumerate(targets)
            ],
        )  # fmt: skip
    _, answer = await lin.ask(f"/api/customers/{wang}/story", kind="interaction")
    told = [entry["call"]["transferred_to"] for entry in answer["entries"] if entry["call"]]
    title = next(q for q in await queues.all_queues(database) if q.number == "601").title("en")
    assert told[::-1] == [*[known["maria"].display_name] * 2, title, "0755123"]


# ---- tasks ---------------------------------------------------------------------------------------


async def test_a_callback_is_written_with_its_number_in_e164(lin: Visitor) -> None:
    status, answer = await lin.post(
        "/api/tasks", kind="callback", title="回电", number="138 0013 8000",
        due_at=TOMORROW.isoformat(), customer_id=lin.desk.customers["wang"],
    )  # fmt: skip
    assert status == 201
    task = await tasks.find(lin.desk.database, answer["id"])
    assert task is not None
    assert (task.kind, task.number, task.assigned_to) == (
        TaskKind.CALLBACK, "+8613800138000", "lin",
    )  # fmt: skip


@pytest.mark.parametrize(
    "wish",
    [
        {"title": ""},
        {"title": "x" * 301},
        {"title": 7},
        {"kind": "wish"},
        {"kind": "callback", "number": "call me"},
        {"due_at": "tomorrow"},
        {"due_at": "2026-11-21T10:00"},
        {"customer_id": "1"},
        {"customer_id": 999},
        {"assigned_to": "nobody"},
        {"queue": "nothing"},
    ],
)
async def test_a_task_that_cannot_be_is_refused(lin: Visitor, wish: dict[str, Any]) -> None:
    known = {"title": "write", "due_at": TOMORROW.isoformat()}
    status, answer = await lin.post("/api/tasks", **(known | wish))
    assert status == 400
    assert answer["error"]
    assert await tasks.listed(lin.desk.database) == []


async def test_each_sees_and_changes_what_is_theirs(
    desk: RunningDesk, lin: Visitor, maria: Visitor, sara: Visitor
) -> None:
    mine = await make_task(desk, "of lin")
    anybody = await make_task(desk, "service", actor="sara", queue="service")
    done = {"action": "done", "outcome": "said"}
    assert [task["title"] for task in (await maria.ask("/api/tasks"))[1]["tasks"]] == []
    assert [
        task["title"] for task in (await maria.ask("/api/tasks", whose="all"))[1]["tasks"]
    ] == []
    found = (await lin.ask("/api/tasks"))[1]["tasks"]
    assert [task["title"] for task in found] == ["of lin", "service"]
    for task_id in (mine, anybody):
        assert (await maria.post(f"/api/tasks/{task_id}", **done))[0] == 403
    assert (await sara.ask("/api/tasks", whose="all", agent="lin"))[1]["tasks"][0]["id"] == mine
    assert (await lin.post(f"/api/tasks/{anybody}", action="claim"))[0] == 200
    assert (await sara.post(f"/api/tasks/{anybody}", action="claim"))[0] == 409
    status, answer = await sara.post(f"/api/tasks/{mine}", **done)
    assert (status, answer["state"], answer["finished_by"]) == (200, "done", "sara")
    assert (await lin.post(f"/api/tasks/{mine}", action="postpone"))[0] == 400
    later = TOMORROW.isoformat()
    assert (await lin.post(f"/api/tasks/{mine}", action="postpone", due_at=later))[0] == 409
    assert (await lin.post("/api/tasks/999", **done))[0] == 404
    assert (await lin.post("/api/tasks/x", **done))[0] == 404


@pytest.mark.parametrize("action", [None, "", "fly", "hand_over"])
async def test_an_action_that_is_none_is_refused(lin: Visitor, action: str | None) -> None:
    task_id = await make_task(lin.desk, "write")
    assert (await lin.post(f"/api/tasks/{task_id}", action=action))[0] == 400


@pytest.mark.parametrize(
    "params", [{"state": "x"}, {"kind": "x"}, {"skip": "-1"}, {"customer_id": "x"}]
)
async def test_a_list_that_cannot_be_is_refused(lin: Visitor, params: dict[str, str]) -> None:
    assert (await lin.ask("/api/tasks", **params))[0] == 400


async def due(client: PushClient, agent: str, titles: set[str]) -> None:
    """Wait until exactly these are due before the agent."""
    topic = topic_of(agent)
    while {task["title"] for task in client.state[topic].values()} != titles:
        await client.next()


async def test_due_tasks_come_by_themselves(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    await make_task(desk, "late", due_at=LATE)
    await make_task(desk, "in a week", due_at=TOMORROW + timedelta(days=7))
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe(topic_of("lin"))
        await due(client, "lin", {"late"})
        status, answer = await maria.post(
            "/api/tasks", title="for sales", due_at=TOMORROW.isoformat(), queue="sales"
        )
        assert status == 201
        await due(client, "lin", {"late", "for sales"})
        await maria.post(f"/api/tasks/{answer['id']}", action="claim")
        await due(client, "lin", {"late"})
        # Somebody else's process wrote this one: the board finds it when it looks.
        await make_task(desk, "from outside")
        await desk.app[BOARD].look()
        await due(client, "lin", {"late", "from outside"})


async def test_nobody_follows_anothers_tasks(lin: Visitor) -> None:
    async with connected(lin.desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        for topic in (
            topic_of("maria"),
            "tasks:",
            "customer:",
            "customer:x",
            "customer:1 ",
            "customer:-1",
        ):
            await client.say({"subscribe": [topic]})
            assert "no topic" in (await client.next())["error"]


# ---- presence ------------------------------------------------------------------------------------


async def looking(client: PushClient, topic: str, logins: set[str]) -> None:
    while set(client.state[topic]) != logins:
        await client.next()


async def test_two_at_one_customer_see_each_other(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    topic = f"customer:{desk.customers['wang']}"
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as first:
        await first.subscribe(topic)
        await looking(first, topic, {"lin"})
        async with connected(desk.push_url, additional_headers={"Cookie": maria.cookie}) as second:
            await second.subscribe(topic)
            await looking(second, topic, {"lin", "maria"})
            await looking(first, topic, {"lin", "maria"})
            assert first.state[topic]["maria"]["name"] == "María García"
            # Another window of the same person says nothing new, and closing it neither.
            async with connected(
                desk.push_url, additional_headers={"Cookie": maria.cookie}
            ) as third:
                await third.subscribe(topic)
            await second.say({"unsubscribe": topic})
            await looking(first, topic, {"lin"})
            await second.subscribe(topic)
            await looking(first, topic, {"lin", "maria"})
        await looking(first, topic, {"lin"})
        await first.say({"unsubscribe": topic})
        await first.subscribe("queues")
        assert topic not in desk.hub.topics


# ---- the customer's page -------------------------------------------------------------------------


async def test_a_visit_is_planned_settled_and_logged(lin: Visitor) -> None:
    wang = lin.desk.customers["wang"]
    path = f"/customers/{wang}"
    status, _ = await lin.send_form(
        f"{path}/visits", what="plan", at="2030-05-04T10:00", zone="480", agent="maria",
        purpose="<b>coat</b>",
    )  # fmt: skip
    assert status == 303
    [visit] = await visits.of_customer(lin.desk.database, wang)
    assert (visit.planned_for, visit.agent) == (datetime(2030, 5, 4, 2, tzinfo=UTC), "maria")
    _, shown = await lin.get(path)
    assert "&lt;b&gt;coat&lt;/b&gt;" in shown
    settle = f"{path}/visits/{visit.id}"
    assert (await lin.send_form(settle, what="hold", outcome="bought"))[0] == 303
    status, shown = await lin.send_form(settle, what="cancel")
    assert (status, "settled meanwhile" in shown) == (400, True)
    other = lin.desk.customers["garcia"]
    assert (await lin.send_form(f"/customers/{other}/visits/{visit.id}", what="hold"))[0] == 404
    assert (await lin.send_form(f"{path}/visits", what="log", at="x"))[0] == 400
    assert (await lin.send_form(f"{path}/visits", what="log", at="2026-01-01T10:00"))[0] == 303
    assert (await lin.send_form("/customers/999/visits", at="2026-01-01T10:00"))[0] == 404


async def test_a_complaint_has_a_number_that_is_shown(lin: Visitor) -> None:
    path = f"/customers/{lin.desk.customers['wang']}"
    sent = {"category": "delivery", "severity": "high", "subject": "迟到"}
    status, shown = await lin.send_form(f"{path}/complaints", text=" ", **sent)
    assert (status, "迟到" in shown) == (400, True)
    assert (await lin.send_form(f"{path}/complaints", text="late", **sent))[0] == 303
    [entry] = (await story.read(lin.desk.database, lin.desk.customers["wang"])).entries[:1]
    number = entry.details["number"]
    _, shown = await lin.get(path)
    assert f"{number[:4]}\u202f{number[4:]}" in shown
    assert (await lin.send_form(f"{path}/complaints", text="x", category="weather"))[0] == 400


async def test_one_field_is_changed_in_its_place(lin: Visitor) -> None:
    wang = lin.desk.customers["wang"]
    path = f"/api/customers/{wang}"
    status, answer = await lin.post(path, name=" 王  小芳 ")
    assert (status, answer["name"], answer["notes"]) == (200, "王 小芳", "喜欢上午联系")
    status, answer = await lin.post(path, phone="12")
    assert (status, answer["field"]) == (400, "phone")
    assert (await lin.post(path, secret="x"))[0] == 400
    assert (await lin.post(path))[0] == 400
    assert (await lin.post("/api/customers/999", name="x"))[0] == 404


@pytest.mark.parametrize("who", ["wang", "hostile", "garcia_son"])
async def test_pages_escape_what_strangers_wrote(lin: Visitor, who: str) -> None:
    customer = lin.desk.customers[who]
    for path in (f"/customers/{customer}", f"/customers/{customer}/merge?find=img&other=1"):
        status, shown = await lin.get(path)
        assert status == 200
        assert "<img src=x" not in shown
        assert "<script>alert" not in shown
        assert "{{" not in shown or "{{7*7}}" in shown


# ---- merging -------------------------------------------------------------------------------------


async def test_merged_on_the_page_and_on_a_live_screen_and_undone(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    garcia, son = desk.customers["garcia"], desk.customers["garcia_son"]
    card = await customers.card(desk.database, son)
    assert card is not None
    async with connected(desk.push_url, additional_headers={"Cookie": maria.cookie}) as client:
        await client.subscribe("agent:maria")
        desk.bus.publish(pop("maria", matches=(card.as_dict(),)))
        await client.until_event("ScreenPop")
        status, shown = await lin.get(f"/customers/{garcia}/merge?find=pablo&other={son}")
        assert "Pablo García" in shown
        status, to = await lin.send_form(
            f"/customers/{garcia}/merge", other=str(son), name="other", reason="twins"
        )
        assert (status, to) == (303, f"/customers/{garcia}")
        frame = await client.until_event("CustomerChosen")
        [document] = [one for key, one in frame["set"].items() if key.startswith("pop:")]
        assert document["matches"][0]["id"] == garcia
        assert document["matches"][0]["name"] == "Pablo García"
    status, to = await lin.get(f"/customers/{son}")
    assert status == 303
    [move] = await merging.moves_of(desk.database, garcia)
    _, shown = await lin.get(f"/customers/{garcia}/merge")
    assert "twins" in shown
    other = desk.customers["wang"]
    assert (await lin.send_form(f"/customers/{other}/moves/{move.id}/undo"))[0] == 404
    undo = f"/customers/{garcia}/moves/{move.id}/undo"
    assert (await lin.send_form(undo))[0] == 303
    assert (await lin.get(f"/customers/{son}"))[0] == 200
    assert (await lin.send_form(undo))[0] == 409


async def test_split_to_a_new_customer_and_to_one_who_is_there(lin: Visitor) -> None:
    wang, garcia = lin.desk.customers["wang"], lin.desk.customers["garcia"]
    lines = await interactions.history(lin.desk.database, wang)
    path = f"/customers/{wang}/split"
    first, second = str(lines[0].id), str(lines[1].id)
    assert (await lin.send_form(path, interactions=first))[0] == 409
    assert (await lin.send_form(path, name="New"))[0] == 409
    assert await customers.search_by_name(lin.desk.database, "new") == []
    assert (await lin.send_form(path, interactions=first, name="New"))[0] == 303
    assert (await lin.send_form(path, interactions=second, other=str(garcia)))[0] == 303
    [new] = await customers.search_by_name(lin.desk.database, "new")
    assert len(await interactions.history(lin.desk.database, new.id)) == 1
    assert len(await interactions.history(lin.desk.database, garcia)) == 1
    assert (await lin.send_form(path, interactions=second, other="999"))[0] == 409


async def test_a_page_of_tasks_is_the_readers(lin: Visitor, sara: Visitor) -> None:
    assert 'name="whose"' not in (await lin.get("/tasks"))[1]
    assert 'name="whose"' in (await sara.get("/tasks"))[1]
    assert await tasks.listed(lin.desk.database, state=TaskState.DONE) == []
