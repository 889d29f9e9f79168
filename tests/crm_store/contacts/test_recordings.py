"""Recordings' rows: their pauses, their end, whose they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_store.contacts import calls, recordings
from crm_store.contacts.calls import CallRecord
from crm_store.contacts.recordings import PAUSE, RESUME
from crm_store.database import Database
from crm_store.models import CallState
from crm_store.signals import Direction

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def begun(database: Database, linkedid: str = "1.1", file: str = "a.wav") -> int:
    async with database.transaction() as transaction:
        return await recordings.begin(
            transaction, pbx="main", linkedid=linkedid, file=file, started_by="lin", at=NOW
        )


async def test_a_pause_has_its_place_in_the_timeline(database: Database) -> None:
    number = await begun(database)
    async with database.transaction() as transaction:
        for kind, at in ((RESUME, 1), (PAUSE, 2.5), (PAUSE, 3), (RESUME, 4), (PAUSE, 6)):
            await recordings.mark(transaction, number, kind, at=after(at), by="lin")
    [going_on] = await recordings.still_open(database, "main")
    assert (going_on.is_paused, going_on.seconds) == (True, None)
    async with database.transaction() as transaction:
        await recordings.end(transaction, number, after(9))
        await recordings.end(transaction, number, after(99))
    kept = await recordings.find(database, number)
    assert kept is not None
    assert [(mark["kind"], mark["at"], mark["by"]) for mark in kept.marks] == [
        ("pause", 2.5, "lin"),
        ("resume", 4.0, "lin"),
        ("pause", 6.0, "lin"),
        ("resume", 9.0, ""),
    ]
    assert (kept.seconds, kept.is_paused) == (9.0, False)
    assert await recordings.still_open(database, "main") == []


async def test_a_clock_that_goes_back_makes_no_negative_times(database: Database) -> None:
    number = await begun(database)
    async with database.transaction() as transaction:
        await recordings.mark(transaction, number, PAUSE, at=after(-5), by="lin")
        await recordings.end(transaction, number, after(-3))
    kept = await recordings.find(database, number)
    assert kept is not None
    assert [mark["at"] for mark in kept.marks] == [0.0, 0.0]
    assert kept.seconds == 0.0


async def test_recordings_follow_the_call_that_theirs_became(database: Database) -> None:
    await begun(database, "1.2", "b.wav")
    async with database.transaction() as transaction:
        await recordings.move(transaction, "main", merged="1.2", into="1.1")
    assert [one.file for one in await recordings.of_call(database, "main", "1.1")] == ["b.wav"]
    assert await recordings.of_call(database, "main", "1.2") == []
    assert await recordings.known_files(database, "main") == {"b.wav"}
    assert await recordings.known_files(database, "north") == set()


async def test_who_was_on_the_call_is_known(database: Database) -> None:
    number = await begun(database)
    kept = await recordings.find(database, number)
    assert kept is not None
    assert not await recordings.talked_in_it(database, kept, "lin")
    for agent in ("lin", "maria"):
        record = CallRecord(
            pbx="main",
            linkedid="1.1",
            state=CallState.LIVE,
            direction=Direction.INBOUND,
            caller="+8613800138000",
            callee="600",
            started_at=NOW,
            agent=agent,
        )
        async with database.transaction() as transaction:
            await calls.record_calls(transaction, [record])
    assert [
        await recordings.talked_in_it(database, kept, agent) for agent in ("lin", "maria", "omid")
    ] == [True, True, False]
    assert await recordings.was_with_customer(database, kept) is None


async def test_what_is_not_there_is_said(database: Database) -> None:
    assert await recordings.find(database, 4711) is None
    async with database.transaction() as transaction:
        for change in (
            recordings.end(transaction, 4711, NOW),
            recordings.mark(transaction, 4711, PAUSE, at=NOW, by="lin"),
        ):
            with pytest.raises(LookupError):
                await change
