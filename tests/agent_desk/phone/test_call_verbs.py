"""Dialling by name, conference, parking, recording and listening, on the real store."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crm_store import audit
from crm_store import signals as s
from crm_store.contacts import calls, recordings
from crm_store.contacts.calls import CallRecord
from crm_store.models import CallState
from crm_store.signals import Direction
from tests.agent_desk.conftest import RunningDesk, Visitor
from tests.agent_desk.signal_stories import conference_call, dialled_call, queue_call

pytestmark = pytest.mark.db

CALL = {"pbx": "main", "call": "4.1"}
SOUND = os.urandom(1_000)


@pytest.fixture
async def talking(desk: RunningDesk) -> RunningDesk:
    """Lin talks to a customer, and to Maria on a second line."""
    for signal in conference_call():
        if isinstance(signal, s.CallMerged):
            return desk
        desk.bus.publish(signal)
    raise AssertionError


@pytest.mark.parametrize(
    ("to", "target"),
    [
        ("lin", "1001"),
        (" 1001 ", "1001"),
        ("sales", "600"),
        ("600", "600"),
        ("701", "701"),
        ("*97", "*97"),
        ("13800138000", "+8613800138000"),
        ("+34 912 34 56 78", "+34912345678"),
        ("0034 912345678", "+34912345678"),
        ("۱۳۸۰۰۱۳۸۰۰۰", "+8613800138000"),
    ],
)
async def test_what_an_agent_writes_becomes_what_the_phone_dials(
    lin: Visitor, to: str, target: str
) -> None:
    status, answer = await lin.post("/api/phone/dial", to=to)
    assert (status, answer["target"]) == (200, target)
    assert answer["shown"]


@pytest.mark.parametrize(
    "to",
    [
        *(
            "",
            "  ",
            "nobody",
            "1",
            "12345678901234567890",
            "600,1,System(id)",
            "1001@evil",
            "x" * 65,
        ),
        *("sip:600", "6\r\n00", "*8" * 20, "\u0667\u0667\u0667", 600, None, ["600"]),
    ],
)
async def test_rubbish_is_not_dialled(lin: Visitor, to: Any) -> None:
    assert (await lin.post("/api/phone/dial", to=to))[0] == 400


async def test_what_rings_at_a_colleague_is_picked_up_by_a_number(lin: Visitor) -> None:
    status, answer = await lin.post("/api/phone/dial", to="maria", pick_up=True)
    assert (status, answer["target"]) == (200, "*81002")
    assert (await lin.post("/api/phone/dial", to="600", pick_up=True))[0] == 400


async def test_a_number_clicked_on_a_customer_calls_that_customer(
    desk: RunningDesk, lin: Visitor
) -> None:
    """Two people have the number: the one that was clicked on is meant, for this one call."""
    son = desk.customers["garcia_son"]
    wish: dict[str, Any] = {"to": "+34912345678", "customer_id": son}
    assert (await lin.post("/api/phone/dial", **wish))[0] == 200
    for expected in ([son], [7]):
        popped = dialled_call()[0]
        assert isinstance(popped, s.ScreenPop)
        desk.bus.publish(s.ScreenPop(**{**_fields(popped), "number": "+34912345678"}))
        pop = desk.live.screens.pop_on_screen("lin", "main", "5.1")
        assert pop is not None
        assert [card["id"] for card in pop["matches"]] == expected
        assert pop["chosen"] is (expected == [son])
    assert (await lin.post("/api/phone/dial", to="+34912345678", customer_id="1"))[0] == 400
    assert (await lin.post("/api/phone/dial", to="+34912345678", customer_id=4711))[0] == 404
    seen = await audit.entries(desk.database, subject_kind="customer", subject_id=son)
    assert [(entry.actor, entry.action) for entry in seen if entry.actor == "lin"] == [
        ("lin", "saw")
    ]


def _fields(signal: s.Signal) -> dict[str, Any]:
    values = signal.as_dict()
    del values["event"]
    return values


async def test_the_verbs_reach_the_pbx_with_the_agents_own_extension(
    talking: RunningDesk, lin: Visitor
) -> None:
    assert (await lin.post("/api/call/conference", other="4.2", **CALL))[0] == 200
    assert await lin.post("/api/call/park", **CALL) == (200, {"space": "701"})
    assert (await lin.post("/api/call/transfer", to="maria", **CALL))[0] == 200
    assert (await lin.post("/api/call/hang-up", **CALL))[0] == 200
    for action in ("start", "pause", "resume", "stop"):
        assert (await lin.post("/api/call/record", action=action, **CALL))[0] == 200
    assert talking.presence.asked == [
        ("join", "main", "4.1", "4.2", "1001"),
        ("park", "main", "4.1", "1001"),
        ("transfer", "main", "4.1", "1001", "1002"),
        ("hang_up", "main", "4.1", "1001"),
        *(("record", "main", "4.1", a, "lin") for a in ("start", "pause", "resume", "stop")),
    ]


VERBS: list[tuple[str, dict[str, Any]]] = [
    ("/api/call/conference", {"other": "4.2"}),
    ("/api/call/park", {}),
    ("/api/call/transfer", {"to": "1002"}),
    ("/api/call/hang-up", {}),
    ("/api/call/record", {"action": "pause"}),
]


@pytest.mark.parametrize(("path", "wish"), VERBS)
async def test_what_is_not_possible_is_said(
    talking: RunningDesk, lin: Visitor, sara: Visitor, path: str, wish: dict[str, Any]
) -> None:
    assert (await sara.post(path, **wish, **CALL))[0] == 403
    assert (await lin.post(path, **wish, pbx="main", call="9.9"))[0] == 403
    assert (await lin.post(path, **wish, pbx="main", call=7))[0] == 400
    words = {"gone": "Look", "never": "never recorded", "always": "always recorded"}
    for why, said in {**words, "forbidden": "does not let"}.items():
        talking.presence.not_possible = why
        status, answer = await lin.post(path, **wish, **CALL)
        assert status == 409
        assert said in answer["error"]
    talking.presence.not_possible = ""
    talking.presence.link_is_up = False
    assert (await lin.post(path, **wish, **CALL))[0] == 503


async def test_what_is_odd_is_refused(talking: RunningDesk, lin: Visitor) -> None:
    assert (await lin.post("/api/call/record", action="erase", **CALL))[0] == 400
    assert (await lin.post("/api/call/transfer", to="1001@evil", **CALL))[0] == 400
    assert (await lin.post("/api/call/conference", other=None, **CALL))[0] == 400
    assert (await lin.post("/api/call/conference", other="1.1", **CALL))[0] == 403
    for signal in conference_call():
        if isinstance(signal, s.CallEnded):
            talking.bus.publish(signal)
    assert (await lin.post("/api/call/park", **CALL))[0] == 409


async def test_everybody_may_follow_the_parked_calls(desk: RunningDesk, lin: Visitor) -> None:
    for signal in queue_call():
        desk.bus.publish(signal)
        if isinstance(signal, s.CallParked):
            break
    async with lin.http.ws_connect("/push") as socket:
        await socket.send_json({"subscribe": ["parked"]})
        frame = await socket.receive_json()
    assert frame["topic"] == "parked"
    assert [document["space"] for document in frame["snapshot"].values()] == ["701"]


# Listening


@pytest.fixture
async def recorded(desk: RunningDesk, tmp_path: Path) -> int:
    """A recording of an internal call that Maria was on, with its sound."""
    at = datetime.now(UTC) - timedelta(hours=1)
    path = tmp_path / "sound.wav"
    path.write_bytes(SOUND)
    desk.presence.files["f.wav"] = path
    async with desk.database.transaction() as transaction:
        record = CallRecord(
            pbx="main",
            linkedid="8.1",
            state=CallState.LIVE,
            direction=Direction.INTERNAL,
            caller="1001",
            callee="1002",
            started_at=at,
            agent="maria",
        )
        await calls.record_calls(transaction, [record])
        number = await recordings.begin(
            transaction, pbx="main", linkedid="8.1", file="f.wav", started_by="maria", at=at
        )
        await recordings.mark(
            transaction, number, "pause", at=at + timedelta(seconds=2), by="maria"
        )
        await recordings.end(transaction, number, at + timedelta(seconds=10))
        return number


async def of_wang(desk: RunningDesk) -> None:
    async with desk.database.transaction() as transaction:
        record = CallRecord(
            pbx="main",
            linkedid="8.1",
            state=CallState.LIVE,
            direction=Direction.INTERNAL,
            caller="1001",
            callee="1002",
            customer_id=desk.customers["wang"],
        )
        await calls.record_calls(transaction, [record])


async def test_who_may_hear_a_recording(
    recorded: int, lin: Visitor, maria: Visitor, sara: Visitor, visitor: Visitor
) -> None:
    desk = maria.desk
    sound, about = f"/recordings/{recorded}/audio", f"/api/recordings/{recorded}"
    people = (visitor, lin, maria, sara)
    assert [(await one.get(sound))[0] for one in people[:2]] == [303, 403]
    assert [(await one.get(about))[0] for one in people] == [401, 403, 200, 200]
    for one in (maria, sara):
        async with one.http.get(sound) as response:
            assert (response.status, await response.read()) == (200, SOUND)
            assert response.headers["Content-Type"] == "audio/wav"
            assert response.headers["Cache-Control"] == "no-store"
    await of_wang(desk)
    assert (await lin.get(about))[0] == 200
    heard = await audit.entries(desk.database, subject_kind="recording", subject_id=recorded)
    assert [(entry.actor, entry.action) for entry in heard] == [
        ("sara", "heard"),
        ("maria", "heard"),
    ]


async def test_a_recording_is_played_from_anywhere(
    desk: RunningDesk, recorded: int, maria: Visitor
) -> None:
    headers = {"Range": "bytes=100-199"}
    async with maria.http.get(f"/recordings/{recorded}/audio", headers=headers) as response:
        assert (response.status, await response.read()) == (206, SOUND[100:200])
        assert response.headers["Content-Range"] == "bytes 100-199/1000"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    # Who leaves out the first byte has heard it as well; asking on is the same hearing.
    for start in (1, 500):
        headers = {"Range": f"bytes={start}-"}
        async with maria.http.get(f"/recordings/{recorded}/audio", headers=headers) as response:
            assert await response.read() == SOUND[start:]
    (heard,) = await audit.entries(desk.database, subject_kind="recording")
    assert (heard.actor, heard.action) == ("maria", "heard")


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=1000-",
        "bytes=0-1,5-6",
        "bytes=9-1",
        "bytes=-",
        "bytes=a-b",
        "lines=1-2",
        "bytes=" + "9" * 400 + "-",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(900)),
    ],
    ids=lambda asked: asked[:16],
)
async def test_a_range_that_is_odd_is_refused_or_left_out(
    recorded: int, maria: Visitor, asked: str
) -> None:
    headers = {"Range": asked}
    async with maria.http.get(f"/recordings/{recorded}/audio", headers=headers) as response:
        assert response.status in (200, 416)
        assert response.headers["Cache-Control"] == "no-store"
        if response.status == 200:
            assert await response.read() == SOUND


async def test_what_is_known_of_a_recording(
    desk: RunningDesk, recorded: int, maria: Visitor
) -> None:
    status, about = await maria.ask(f"/api/recordings/{recorded}")
    assert status == 200
    assert (about["seconds"], about["has_sound"], about["started_by"]) == (10.0, True, "maria")
    assert [(mark["kind"], mark["at"]) for mark in about["marks"]] == [
        ("pause", 2.0),
        ("resume", 10.0),
    ]
    assert "file" not in about
    desk.presence.files.clear()
    status, answer = await maria.get(f"/recordings/{recorded}/audio")
    assert status == 404
    assert "not here" in answer
    for odd in ("0", "x", "-1", "9" * 30, "%2e%2e"):
        assert (await maria.get(f"/recordings/{odd}/audio"))[0] == 404
