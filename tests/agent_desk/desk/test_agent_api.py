"""An agent's own state over the API: more time for a wrap-up, written work, what the push says."""

from __future__ import annotations

import pytest

from crm_store import audit
from crm_store.signals import AgentState, AgentStateChanged
from crm_store.staff import agents
from cti.agents.pause_reasons import RESERVED_REASONS
from tests.agent_desk.conftest import RunningDesk, Visitor

pytestmark = pytest.mark.db


def wraps_up(desk: RunningDesk, extendable: int = 120) -> None:
    state = AgentStateChanged(
        agent="lin",
        endpoint="PJSIP/1001",
        state=AgentState.WRAP_UP,
        queues=("sales",),
        since=1000.0,
        ends_at=1030.0,
        extendable_seconds=extendable,
        next_pause="lunch",
    )
    desk.presence.states["lin"] = state
    desk.bus.publish(state)


async def test_a_wrap_up_is_made_longer_with_a_reason(desk: RunningDesk, lin: Visitor) -> None:
    wraps_up(desk)
    status, _ = await lin.post("/api/agent/extend-wrap-up", seconds=60, reason=" A long order ")
    assert status == 200
    state = desk.live.screens.topic_for("lin").documents["state"]
    assert (state["state"], state["since"], state["ends_at"]) == ("wrap_up", 1000.0, 1090.0)
    assert (state["extendable_seconds"], state["next_pause"]) == (60, "lunch")
    [entry] = await audit.entries(desk.database, subject_kind="agent", subject_id="lin")
    assert (entry.actor, entry.action, entry.reason) == ("lin", "extended wrap-up", "A long order")
    last = await agents.last_state(desk.database, "lin")
    assert last is not None
    assert (last.state, last.reason, last.queues) == ("wrap_up", "+60 s: A long order", ["sales"])
    assert [document["ends_at"] for document in desk.hub.topics["agents"].documents.values()] == [
        1090.0 if login == "lin" else None for login in desk.hub.topics["agents"].documents
    ]


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"seconds": 60, "reason": ""}, 400),
        ({"seconds": 60}, 400),
        ({"seconds": 60, "reason": ["x"]}, 400),
        ({"seconds": 60, "reason": "x" * 201}, 400),
        ({"seconds": 121, "reason": "x"}, 400),
        ({"seconds": 0, "reason": "x"}, 400),
        ({"seconds": -5, "reason": "x"}, 400),
        ({"seconds": True, "reason": "x"}, 400),
        ({"seconds": "60", "reason": "x"}, 400),
        ({"seconds": 1.5, "reason": "x"}, 400),
    ],
)
async def test_more_time_is_not_had_for_nothing(
    desk: RunningDesk, lin: Visitor, wish: dict[str, object], status: int
) -> None:
    wraps_up(desk)
    got, answer = await lin.post("/api/agent/extend-wrap-up", **wish)
    assert got == status
    assert answer["error"]
    assert desk.presence.state_of("lin").ends_at == 1030.0
    assert await audit.entries(desk.database, subject_kind="agent", subject_id="lin") == []


async def test_no_more_time_where_there_is_none(desk: RunningDesk, lin: Visitor) -> None:
    assert (await lin.post("/api/agent/extend-wrap-up", seconds=5, reason="x"))[0] == 409
    wraps_up(desk, extendable=0)
    assert (await lin.post("/api/agent/extend-wrap-up", seconds=5, reason="x"))[0] == 409


async def test_written_work_is_always_a_choice_and_other_reserved_reasons_never(
    desk: RunningDesk, lin: Visitor
) -> None:
    status, _ = await lin.post("/api/agent/pause", reason="written-work")
    assert status == 200
    assert desk.presence.asked[-1][2] == {"reason": "written-work"}
    for reason in RESERVED_REASONS - {"written-work"}:
        assert (await lin.post("/api/agent/pause", reason=reason))[0] == 400


async def test_every_reserved_reason_has_a_text(lin: Visitor) -> None:
    _, me = await lin.ask("/api/me")
    assert set(me["reason_texts"]) >= RESERVED_REASONS
    assert all(me["reason_texts"].values())
    sales = next(queue for queue in me["queues"] if queue["name"] == "sales")
    assert (sales["auto_answer"], sales["recording"], sales["penalty"]) == (False, "asked", 0)
    assert me["phone"] == "browser"
