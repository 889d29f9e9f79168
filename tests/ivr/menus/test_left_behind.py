"""What a call leaves to be done: complaints, messages, callbacks, stands; and nothing more."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from crm_store.contacts import callbacks, outbox, queue_places, recordings, tasks
from crm_store.models import Complaint, Recording, Segment, TaskKind
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar, Hours
from ivr.conversation.line import HangUp
from ivr.menus.callback import clock_time, next_moment
from tests.ivr.menus.stage import ANA, LANGUAGE_KEYS, NIGHT, NOON, STRANGER, Stage

pytestmark = pytest.mark.db


async def complaints(stage: Stage) -> list[Complaint]:
    async with stage.database.reading() as session:
        query = select(Complaint).where(Complaint.filed_by == "system").order_by(Complaint.id)
        return list(await session.scalars(query))


async def new_tasks(stage: Stage) -> list[tasks.TaskLine]:
    due = await tasks.due(stage.database, NOON + timedelta(days=400))
    return [task for task in due if task.created_by == "system"]


async def all_recordings(stage: Stage) -> int:
    async with stage.database.reading() as session:
        return len(list(await session.scalars(select(Recording.id).where(Recording.pbx == "pbx"))))


@pytest.mark.parametrize("language", LANGUAGE_KEYS)
async def test_a_complaint_is_filed_read_out_twice_and_sent(stage: Stage, language: str) -> None:
    caller = await stage.call(LANGUAGE_KEYS[language] + "5s1")
    [complaint] = await complaints(stage)
    [task] = await new_tasks(stage)
    [message] = await outbox.waiting(stage.database)
    [recording] = await recordings.of_call(stage.database, "pbx", "1.1")
    assert sum(complaint.number in shown for shown in caller.shown) == 2
    assert (task.title, task.kind, task.number, task.queue) == (
        f"Complaint {complaint.number}",
        TaskKind.CALLBACK,
        STRANGER,
        "service_zh" if language == "zh" else "service",
    )
    assert message.recipient == STRANGER
    assert complaint.number in message.text
    assert stage.house.names[language] in message.text
    assert (stage.folder / recording.file).exists()
    assert recording.ended_at is not None


async def test_who_hangs_up_after_speaking_has_complained(stage: Stage) -> None:
    caller = await stage.call("15S")
    assert caller.hung_up
    [complaint] = await complaints(stage)
    [message] = await outbox.waiting(stage.database)
    assert complaint.number in message.text


@pytest.mark.parametrize("script", ["15!", "15~~~", "15~!", "18!", "18~~~", "16!", "17!", "171!"])
async def test_who_says_nothing_leaves_nothing(stage: Stage, script: str) -> None:
    await stage.call(script)
    assert await complaints(stage) == []
    assert await new_tasks(stage) == []
    assert await all_recordings(stage) == 0
    assert await callbacks.waiting(stage.database) == []


@pytest.mark.parametrize("script", ["18s1", "18s~~~", "18S", "18s!", "18s0", "18s2s1", "18s2s2s"])
async def test_a_message_is_kept_however_its_end_is(stage: Stage, script: str) -> None:
    caller = await stage.call(script)
    [task] = await new_tasks(stage)
    assert (task.title, task.queue) == ("Message by telephone: Customer service", "service")
    assert await all_recordings(stage) == 1
    assert caller.hung_up or caller.gone == HangUp()


async def test_a_stand_is_a_callback_for_the_leasing_team(stage: Stage) -> None:
    caller = await stage.call("162" + "02155501234#" + "1")
    [task] = await new_tasks(stage)
    assert (task.title, task.number, task.kind) == (
        "Enquiry about a stand", "+862155501234", TaskKind.CALLBACK
    )  # fmt: skip
    assert "We will call 021 5550 1234." in caller.shown[-3] or "+86 21 5550 1234" in repr(
        caller.shown
    )


@pytest.mark.parametrize(
    "keyed",
    [
        "00442079460000",  # abroad
        "0014155550123",
        "110",  # emergency
        "12345",
        "4008001234",  # shared cost
        "999999999999999",
    ],
)
async def test_no_other_number_is_called(stage: Stage, keyed: str) -> None:
    await stage.call(f"162{keyed}#{keyed}#{keyed}#")
    assert await new_tasks(stage) == []


async def test_a_withheld_number_is_asked_for(stage: Stage) -> None:
    caller = await stage.call("1713800138000#", number="")
    assert caller.heard[3].startswith("To be called as soon as")
    assert "from which you are calling" not in " ".join(caller.heard)


async def test_a_place_is_kept(stage: Stage) -> None:
    ana = await stage.known(ANA)
    caller = await stage.call("711", number=ANA, customer=ana)
    assert caller.gone == HangUp()
    [kept] = await callbacks.waiting(stage.database)
    assert (kept.queue, kept.number, kept.name, kept.language) == ("service", ANA, "Ana Rey", "es")
    assert kept.priority == queue_places.priority(NOON.timestamp(), 60)
    assert ana is not None
    assert ana.segment is Segment.MEMBER
    assert kept.linkedid == "1.1"


async def test_an_hour_is_todays_if_it_is_to_come_else_tomorrows(stage: Stage) -> None:
    caller = await stage.call("172" + "1530" + "1" + "1")
    assert caller.gone == HangUp()
    assert caller.shown[-1] == (
        "Thank you. We will call +86 139 1234 5678, today at 3:30\u202fPM. Goodbye."
    )
    await stage.call("172" + "0900" + "1" + "1", number="+8613900000001")
    hours = [one.not_before for one in await callbacks.waiting(stage.database)]
    assert sorted(hours) == [
        datetime(2026, 11, 20, 7, 30, tzinfo=UTC),
        datetime(2026, 11, 21, 1, 0, tzinfo=UTC),
    ]


async def test_a_wrong_hour_is_read_back_and_keyed_again(stage: Stage) -> None:
    caller = await stage.call("172" + "2561" + "1530" + "1" + "2" + "1600" + "1")
    assert "That is not a time of day. Please try once more." in caller.heard
    [kept] = await callbacks.waiting(stage.database)
    assert kept.not_before == datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


async def test_an_hour_at_which_nobody_is_there_is_refused(stage: Stage) -> None:
    await open_hours(stage, Hours(time(10), time(22)))
    caller = await stage.call("172" + "0300" + "1100" + "1" + "1")
    assert "We are closed at that hour. Please choose another one." in caller.heard
    [kept] = await callbacks.waiting(stage.database)
    assert kept.not_before == datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


async def open_hours(stage: Stage, *hours: Hours) -> None:
    async with stage.database.transaction() as transaction:
        calendar = Calendar(weekly=(hours,) * 7, on_holidays=None)
        await opening_hours.write(transaction, "agents", calendar, actor="test")


@pytest.mark.parametrize("script", ["10", "19", "1~~~", "1##***0"])
async def test_closed_hours_take_a_message_in_the_place_of_a_person(
    stage: Stage, script: str
) -> None:
    await open_hours(stage, Hours(time(10), time(22)))
    stage.now = NIGHT
    caller = await stage.call(script + "2s1")
    assert caller.gone == HangUp()
    assert len(await new_tasks(stage)) == 1
    assert any(
        heard.startswith("We are closed at the moment. We are open again today , from ten")
        for heard in caller.heard
    )


@pytest.mark.parametrize("script", ["100s", "10~~~s", "10***s", "1023"])
async def test_closed_nobody_is_sent_in_circles(stage: Stage, script: str) -> None:
    await open_hours(stage, Hours(time(10), time(22)))
    stage.now = NIGHT
    caller = await stage.call(script + "~" * 40)
    assert caller.gone == HangUp()


async def test_a_callback_asked_for_at_night_has_an_hour(stage: Stage) -> None:
    await open_hours(stage, Hours(time(10), time(22)))
    stage.now = NIGHT
    await stage.call("10" + "1" + "1000" + "1" + "1")
    [kept] = await callbacks.waiting(stage.database)
    assert kept.not_before == datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


async def test_a_trial_leaves_nothing(stage: Stage) -> None:
    for script in ("15s1", "18s1", "171" + "1", "161"):
        caller = await stage.call(script, is_trial=True)
        assert caller.heard
    assert await complaints(stage) == []
    assert await new_tasks(stage) == []
    assert await callbacks.waiting(stage.database) == []
    assert await all_recordings(stage) == 0
    assert await outbox.waiting(stage.database) == []


@pytest.mark.parametrize(
    ("digits", "expected"),
    [("0000", time(0)), ("2359", time(23, 59)), ("2400", None), ("1260", None)],
)
def test_times_of_day(digits: str, expected: time | None) -> None:
    assert clock_time(digits) == expected


def test_a_time_that_the_clocks_leave_out_is_another_days() -> None:
    always: Any = None
    spring = datetime(2026, 3, 29, 0, 30, tzinfo=Calendar(time_zone="Europe/Berlin").zone)
    found = next_moment(time(2, 30), spring, always)
    assert found is not None
    assert (found.day, found.hour) == (30, 2)
