"""The desk whose page is measured: the real one, with enough in it that every panel has something.

Owns what is in it. Refuses to measure.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from aiohttp.test_utils import TestServer
from sqlalchemy import insert, update
from yarl import URL

from agent_desk.app import create_app
from agent_desk.entrance.sign_in import HUB
from agent_desk.live import push
from agent_desk.parts import DeskParts
from crm_store.bus import Bus
from crm_store.contacts import interactions
from crm_store.database import Database
from crm_store.migrations import migrate
from crm_store.models import Call, CallState, Channel, Interaction, Recording
from crm_store.signals import Direction
from tests.agent_desk.conftest import Presence, RunningDesk, fill
from tests.agent_desk.knowledge_stage import add_article, add_script, add_text, four

CONTACTS = 60
"""Past contacts of the customer who calls: more than the story shows at once."""
RECORDED = 3


@contextlib.asynccontextmanager
async def running_desk(database_url: str, *, faster: float) -> AsyncIterator[RunningDesk]:
    """The real desk, its telephone side played by Presence, its gathered topics so much faster."""
    await migrate(database_url)
    database = Database(database_url)
    try:
        people = await fill(database)
        bus = Bus()
        presence = Presence(bus)
        parts = DeskParts(database=database, bus=bus, agents=presence.control())
        app = create_app(parts)
        app[HUB].coalesce_seconds = push.COALESCE_SECONDS / faster
        async with TestServer(app) as server:
            url = URL(str(server.make_url("/")))
            desk = RunningDesk(app, parts, presence, database, bus, url, people)
            await give_a_past(desk, people["wang"])
            await give_knowledge(desk)
            yield desk
    finally:
        await database.close()


async def give_a_past(desk: RunningDesk, customer: int) -> None:
    """Contacts over half a year, the latest of them with recordings."""
    now = datetime.now(UTC)
    async with desk.database.transaction() as transaction:
        for number in range(CONTACTS, 0, -1):
            at = now - timedelta(days=3 * number)
            contact = await interactions.open_interaction(
                transaction,
                channel=Channel.PHONE,
                direction=Direction.INBOUND,
                customer_id=customer,
                at=at,
                agent="maria",
                queue="sales",
                summary=f"About order {number}",
                note="She asked for the size table; it was sent by mail.",
                keyed=("2",),
            )
            await interactions.close(transaction, contact, disposition="solved")
            if number > RECORDED:
                continue
            linkedid = f"past.{number}"
            call = await transaction.session.scalar(
                insert(Call).values(
                    pbx="main", linkedid=linkedid, state=CallState.ENDED, outcome="answered",
                    direction=Direction.INBOUND, caller="+8613800138000", callee="600", rang=[],
                    started_at=at, wait_s=14.0, talk_s=60.0,
                ).returning(Call.id)
            )  # fmt: skip
            await transaction.session.execute(
                update(Interaction).where(Interaction.id == contact).values(call_id=call)
            )
            await transaction.session.execute(
                insert(Recording).values(
                    pbx="main", linkedid=linkedid, file=f"{linkedid}.wav", started_by="maria",
                    started_at=at, ended_at=at + timedelta(seconds=60), marks=[],
                )
            )  # fmt: skip


async def give_knowledge(desk: RunningDesk) -> None:
    """A script for the queue, canned texts and articles."""
    await add_script(desk)
    for number in range(8):
        text = "Dear {customer.name}, the size table is on its way. {agent.name}"
        await add_text(desk, f"size-table-{number}", four(text))
        title = f"Sizes of shoes {number}"
        await add_article(desk, {"en": (title, "How sizes compare.\n\nAsk for the length.")})
