"""The set-up's pages: what a supervisor changes is in the store, audited, and told to the PBX."""

from __future__ import annotations

import html
import re

import pytest

from agent_desk.setup.pages import SETUP_PAGES
from crm_store import audit
from crm_store.database import Database
from crm_store.models import PhoneKind, RecordingPolicy, Role
from crm_store.staff import agents, queues, skills
from crm_store.staff.queues import Choice
from tests.agent_desk.conftest import PASSWORD, RunningDesk, Visitor, open_session

pytestmark = pytest.mark.db

QUEUE = {
    "number": "600",
    "title.en": "Sales",
    "title.fa": "فروش",
    "strategy": "ringall",
    "ring_seconds": "25",
    "max_wait_seconds": "90",
    "overflow": "service",
    "exit_key": "",
    "exit_target": "voicemail",
    "wrap_up_seconds": "45",
    "wrap_up_extra_seconds": "120",
    "missed_rings": "2",
    "vip_head_start_seconds": "120",
    "member_head_start_seconds": "30",
    "preferred_agent_seconds": "0",
    "recording": "always",
    "script": "",
    "written_mode": "push",
    "hours": "house",
    "first_answer_minutes": "30",
    "chat_first_answer_seconds": "20",
    "resolution_minutes": "0",
}
AGENT = {
    "display_name": "Wei",
    "extension": "1050",
    "role": "agent",
    "language": "zh",
    "phone": "desk",
    "penalty.sales": "0",
    "penalty.service": "0",
    "chats_at_once": "2",
    "written_at_once": "0",
}


async def audited(database: Database, kind: str, subject: str) -> list[str]:
    found = await audit.entries(database, subject_kind=kind, subject_id=subject)
    assert {entry.actor for entry in found} <= {"sara", "root"}
    return [entry.action for entry in reversed(found)]


async def codes(database: Database) -> list[str]:
    return [reason.code for reason in await queues.pause_reasons(database)]


async def save_skill(database: Database, code: str) -> None:
    async with database.transaction() as transaction:
        await skills.save_skill(transaction, code, {"en": code.title()})


async def test_the_start_page_leads_to_every_noun(sara: Visitor) -> None:
    status, text = await sara.get("/setup")
    assert status == 200
    for noun in SETUP_PAGES:
        assert f'href="{noun.address}"' in text
        status, _ = await sara.get(noun.address)
        assert status == 200, noun.address


async def test_a_queue_is_changed_as_its_form_says(desk: RunningDesk, sara: Visitor) -> None:
    await save_skill(desk.database, "chinese")
    status, _ = await sara.get("/setup/queues/sales")
    assert status == 200
    wish = QUEUE | {
        "auto_answer": "on",
        "disposition.complaint": "on",
        "disposition.call_back": "on",
        "skill.chinese": "3",
    }
    status, where = await sara.send_form("/setup/queues/sales", **wish)
    assert (status, where) == (303, "/setup/queues?done=saved&with=sales")
    queue = await queues.find(desk.database, "sales")
    assert queue is not None
    assert queue.titles == {"en": "Sales", "fa": "فروش"}
    assert (queue.strategy, queue.ring_seconds, queue.max_wait_seconds) == ("ringall", 25, 90)
    assert (queue.wrap_up_seconds, queue.wrap_up_extra_seconds) == (45, 120)
    assert (queue.missed_rings, queue.auto_answer) == (2, True)
    assert (queue.written_mode, queue.hours, queue.first_answer_minutes) == ("push", "house", 30)
    assert (queue.chat_first_answer_seconds, queue.resolution_minutes) == (20, 0)
    assert (queue.overflow, queue.recording) == ("service", RecordingPolicy.ALWAYS)
    # What was offered already keeps its place.
    assert queue.dispositions == ("call_back", "complaint")
    assert await skills.asked_for(desk.database) == {"sales": {"chinese": 3}}
    assert await audited(desk.database, "queue", "sales") == ["changed"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", "601"),
        ("number", "1001"),
        ("number", "6x"),
        ("title.en", " "),
        ("strategy", "anyhow"),
        ("ring_seconds", "0"),
        ("wrap_up_seconds", "-1"),
        ("wrap_up_seconds", "٣٠"),
        ("overflow", "sales"),
        ("recording", "sometimes"),
        ("script", "none-such"),
        ("exit_key", "12"),
        ("written_mode", "both"),
        ("hours", "never"),
        ("first_answer_minutes", "99999"),
    ],
)
async def test_what_cannot_be_kept_is_told_beside_its_field(
    desk: RunningDesk, sara: Visitor, field: str, value: str
) -> None:
    before = await queues.find(desk.database, "sales")
    status, text = await sara.send_form("/setup/queues/sales", **(QUEUE | {field: value}))
    assert status == 400
    assert f'id="fault-{field.replace(".", "-")}"' in text
    assert await queues.find(desk.database, "sales") == before
    assert await audited(desk.database, "queue", "sales") == []


async def test_a_new_queue_is_told_to_the_pbx(desk: RunningDesk, sara: Visitor) -> None:
    wish = QUEUE | {"name": "returns", "number": "605"}
    status, where = await sara.send_form("/setup/queues/new", **wish)
    assert (status, where) == (303, "/setup/queues?done=added&with=returns")
    assert desk.presence.settings_told == 1
    status, _ = await sara.send_form("/setup/queues/new", **wish)
    assert status == 400
    assert desk.presence.settings_told == 1


async def test_an_external_pbx_must_be_reloaded_by_hand(desk: RunningDesk, sara: Visitor) -> None:
    desk.presence.settings_answer = "reload"
    _, where = await sara.send_form("/setup/queues/sales", **QUEUE)
    status, text = await sara.get(where)
    assert status == 200
    assert "deskbell asterisk-conf" in text


async def test_a_new_agent_signs_in_with_the_password_that_is_shown_once(
    desk: RunningDesk, sara: Visitor, visitor: Visitor
) -> None:
    await save_skill(desk.database, "chinese")
    async with desk.database.transaction() as transaction:
        await skills.ask_for(transaction, "service", {"chinese": 4})
        await skills.ask_for(transaction, "sales", {"chinese": 1})
    wish = AGENT | {
        "login": "wei",
        "queue.sales": "on",
        "penalty.sales": "2",
        "queue.service": "on",
        "skill.chinese": "3",
    }
    status, text = await sara.send_form("/setup/agents/new", **wish)
    assert status == 200
    shown = re.search(r'class="setup-secret"[^>]*>([^<]+)<', text)
    assert shown
    status, _ = await visitor.sign_in("wei", html.unescape(shown[1]))
    assert status == 200
    agent = await agents.find(desk.database, "wei")
    assert agent is not None
    assert (agent.role, agent.phone, agent.extension) == (Role.AGENT, PhoneKind.DESK, "1050")
    # Own penalty 2, and two levels short of the best; too little for the service queue.
    assert (agent.queues, agent.barred) == ({"sales": 4}, {"service": "chinese"})
    status, answer = await visitor.post("/api/agent/serve", queues=["service"])
    assert status == 403
    assert "Chinese" in answer["error"]
    _, me = await visitor.ask("/api/me")
    assert [queue["name"] for queue in me["queues"]] == ["sales"]
    assert [queue["name"] for queue in me["barred"]] == ["service"]
    assert await audited(desk.database, "agent", "wei") == ["added"]
    _, text = await sara.get("/setup/agents/wei")
    assert shown[1] not in text
    assert "lacks skill: Chinese" in text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("login", "lin"),
        ("login", "a b"),
        ("display_name", ""),
        ("extension", "1001"),
        ("extension", "600"),
        ("extension", "10;1"),
        ("role", "owner"),
        ("role", "admin"),
        ("language", "xx"),
        ("phone", "none"),
        ("penalty.sales", "99"),
        ("chats_at_once", "-1"),
    ],
)
async def test_an_agent_who_cannot_be_is_told_beside_the_field(
    desk: RunningDesk, sara: Visitor, field: str, value: str
) -> None:
    wish = AGENT | {"login": "wei", "queue.sales": "on"} | {field: value}
    status, text = await sara.send_form("/setup/agents/new", **wish)
    assert status == 400
    assert f'id="fault-{field.replace(".", "-")}"' in text
    assert await agents.find(desk.database, "wei") is None


async def test_keeping_an_agent_out_ends_their_session(
    desk: RunningDesk, sara: Visitor, maria: Visitor
) -> None:
    wish = AGENT | {"extension": "1002", "display_name": "María García"}
    status, _ = await sara.send_form("/setup/agents/maria", **wish)
    assert status == 303
    status, _ = await maria.ask("/api/me")
    assert status == 401
    status, _ = await sara.send_form("/setup/agents/maria", **wish, active="on")
    assert status == 303
    agent = await agents.find(desk.database, "maria")
    assert agent is not None
    assert agent.active


async def test_a_new_password_ends_the_sessions(
    desk: RunningDesk, sara: Visitor, maria: Visitor
) -> None:
    status, text = await sara.send_form("/setup/agents/maria/password")
    assert status == 200
    assert "setup-secret" in text
    assert (await maria.ask("/api/me"))[0] == 401
    assert (await maria.sign_in("maria", PASSWORD))[0] == 401


async def test_only_an_administrator_touches_an_administrator(
    desk: RunningDesk, sara: Visitor
) -> None:
    for path in ("/setup/agents/root", "/setup/agents/root/password"):
        status, _ = await sara.send_form(path, **AGENT)
        assert status == 403
    root = await agents.find(desk.database, "root")
    assert root is not None
    assert root.role is Role.ADMIN


@pytest.mark.parametrize(
    ("change", "field"), [({"role": "supervisor", "active": "on"}, "role"), ({}, "active")]
)
async def test_nobody_takes_away_their_own_way_in(
    desk: RunningDesk, sara: Visitor, change: dict[str, str], field: str
) -> None:
    root = await _as_admin(desk, sara)
    wish = AGENT | {"extension": "1004", "role": "admin"} | change
    status, text = await root.send_form("/setup/agents/root", **wish)
    assert status == 400
    assert f'id="fault-{field}"' in text
    after = await agents.find(desk.database, "root")
    assert after is not None
    assert (after.role, after.active) == (Role.ADMIN, True)


async def _as_admin(desk: RunningDesk, visitor: Visitor) -> Visitor:
    """The visitor, signed in as the administrator instead."""
    token = await open_session(desk, "root")
    session = await agents.session_of(desk.database, token)
    assert session is not None
    visitor.http.cookie_jar.update_cookies({"deskbell_session": token}, desk.url)
    visitor.csrf = session.csrf_token
    return visitor


async def test_a_pause_reason_is_added_renamed_ordered_retired_and_brought_back(
    desk: RunningDesk, sara: Visitor
) -> None:
    here = "/setup/pause-reasons"
    status, where = await sara.send_form(f"{here}/new", code="tea", **{"title.en": "Tea"})
    assert (status, where) == (303, f"{here}?done=added&with=tea")
    assert await codes(desk.database) == ["lunch", "training", "tea"]
    await sara.send_form(f"{here}/tea", **{"title.en": "Tea break", "title.zh": "茶歇"})
    await sara.send_form(f"{here}/tea/move", to="up")
    assert await codes(desk.database) == ["lunch", "tea", "training"]
    _, where = await sara.send_form(f"{here}/tea/retire")
    assert await codes(desk.database) == ["lunch", "training"]
    _, text = await sara.get(where)
    assert f'action="{here}/tea/bring-back"' in text
    await sara.send_form(f"{here}/tea/bring-back")
    found = {reason.code: reason for reason in await queues.pause_reasons(desk.database)}
    assert found["tea"] == Choice("tea", {"en": "Tea break", "zh": "茶歇"}, 1, True)
    assert await audited(desk.database, "pause reason", "tea") == [
        "added",
        "changed",
        "moved",
        "retired",
        "brought back",
    ]


@pytest.mark.parametrize("code", ["wrap-up", "written-work", "lunch", "Lunch!", "", "x" * 31])
async def test_a_code_that_is_not_free_is_refused(
    desk: RunningDesk, sara: Visitor, code: str
) -> None:
    status, text = await sara.send_form(
        "/setup/pause-reasons/new", code=code, **{"title.en": "Another"}
    )
    assert status == 400
    assert 'id="fault-code"' in text
    assert await codes(desk.database) == ["lunch", "training"]


async def test_the_tree_of_dispositions_is_what_a_wrap_up_chooses_from(
    desk: RunningDesk, sara: Visitor, lin: Visitor
) -> None:
    here = "/setup/dispositions"
    await sara.send_form(f"{here}/new", code="goods", **{"title.en": "Goods"})
    for code, follow_up in (("broken", "callback"), ("late", "task")):
        await sara.send_form(
            f"{here}/new",
            code=code,
            parent="goods",
            follow_up=follow_up,
            **{"title.en": code.title()},
        )
    await sara.send_form(f"{here}/late/move", to="up")
    await sara.send_form(f"{here}/solved/retire")
    _, answer = await lin.ask("/api/dispositions", queue="service")
    tree = {node["code"]: node for node in answer["dispositions"]}
    assert [*tree] == ["call_back", "complaint", "goods"]
    assert [(leaf["code"], leaf["follow_up"]) for leaf in tree["goods"]["children"]] == [
        ("late", "task"),
        ("broken", "callback"),
    ]
    leaves = [leaf.code for leaf in await queues.dispositions(desk.database)]
    assert leaves == ["call_back", "complaint", "late", "broken"]
    # The history keeps what was retired.
    assert (await queues.disposition_titles(desk.database, "zh"))["solved"] == "已解决"
    status, _ = await sara.send_form(
        f"{here}/goods", parent="late", follow_up="", **{"title.en": "Goods"}
    )
    assert status == 400


async def test_a_queue_offers_its_branches_in_its_own_order(
    desk: RunningDesk, sara: Visitor
) -> None:
    async with desk.database.transaction() as transaction:
        for code, parent in (("goods", None), ("late", "goods"), ("broken", "goods")):
            await queues.save_disposition(transaction, code, {"en": code}, 9, parent=parent)
    wish = QUEUE | {"disposition.goods": "on"}
    await sara.send_form("/setup/queues/sales", **wish)
    leaves = [leaf.code for leaf in await queues.dispositions(desk.database, "sales")]
    assert leaves == ["broken", "late"]


async def test_hostile_titles_stay_text(desk: RunningDesk, sara: Visitor) -> None:
    title = "</option><script>alert(1)</script>{{7*7}}"
    await sara.send_form("/setup/skills/new", code="odd", **{"title.en": title})
    for path in ("/setup/skills", "/setup/queues/sales", "/setup/agents/lin"):
        _, text = await sara.get(path)
        assert "<script>alert(1)" not in text
        assert "{{7*7}}" in text
