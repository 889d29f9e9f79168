"""Topics: open or not, somebody there or not, as it is at that moment."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from channels.chat.topics import Topics
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar, Hours
from crm_store.signals import AgentState
from tests.channels.chat.chat_stage import ChatStage

pytestmark = pytest.mark.db

MONDAY_NIGHT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


async def test_topics_are_the_queues_in_the_readers_language(stage: ChatStage) -> None:
    assert [topic.title for topic in await stage.topics.now("en")] == ["Sales", "Service"]
    assert [topic.title for topic in await stage.topics.now("fa")] == ["فروش", "فروش"]
    chosen = Topics(stage.database, stage.bus, ["service", "nothing"])
    assert [topic.code for topic in await chosen.now("en")] == ["service"]
    assert await chosen.find("sales", "en") is None


async def test_closed_says_when_it_opens(stage: ChatStage) -> None:
    async with stage.database.transaction() as transaction:
        await opening_hours.write(
            transaction,
            "house",
            Calendar(weekly=((Hours(time(9), time(18)),),) * 7, on_holidays=None, time_zone="UTC"),
            actor="root",
        )
    closed = await stage.topics.now("en", moment=MONDAY_NIGHT)
    assert [topic.is_open for topic in closed] == [False, False]
    assert closed[0].opens_at == MONDAY_NIGHT.replace(hour=9)
    opened = await stage.topics.now("en", moment=MONDAY_NIGHT.replace(hour=12))
    assert [(topic.is_open, topic.opens_at) for topic in opened] == [(True, None)] * 2


@pytest.mark.parametrize(
    ("state", "there"),
    [
        (AgentState.AVAILABLE, 1),
        (AgentState.ON_CALL, 1),
        (AgentState.WRITTEN_WORK, 1),
        (AgentState.PAUSED, 0),
        (AgentState.OFFLINE, 0),
    ],
)
async def test_who_is_at_work_is_there(stage: ChatStage, state: AgentState, there: int) -> None:
    stage.work("lin", "sales")
    stage.work("maria", "service")
    stage.work("lin", "sales", state=state)
    assert stage.topics.agents_there("sales") == there
    assert stage.topics.agents_there("service") == 1
