"""A fax machine calls a number of ours: its pages are kept, and the call is a contact by fax."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select

from crm_store.database import Database
from crm_store.models import Call, Channel, Interaction
from tests.ivr.fax_machine import fax_machine, pages_in, send, write_blank_pages
from tests.service_fixtures import RunningService, mall_template, mall_url, service

__all__ = ["mall_template", "mall_url", "service"]

pytestmark = pytest.mark.asterisk


async def received(database: Database) -> tuple[Interaction, Call]:
    """The fax's interaction and call, once they are there. Raises TimeoutError."""
    query = (
        select(Interaction, Call)
        .join(Call, Call.id == Interaction.call_id)
        .where(Interaction.channel == Channel.FAX)
    )
    async with asyncio.timeout(120):
        while True:
            async with database.reading() as session:
                row = (await session.execute(query)).first()
            if row is not None and row[0].closed_at is not None:
                return row[0], row[1]
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("number", ["600", "698"], ids=["a queue's number", "the fax's own number"])
async def test_a_fax_machine_s_pages_are_kept(
    service: RunningService, mall_url: str, tmp_path: Path, number: str
) -> None:
    pages = tmp_path / "pages.tif"
    write_blank_pages(pages, 2)
    assert pages_in(pages) == 2
    database = Database(mall_url)
    try:
        async with fax_machine(tmp_path / "fax", service) as machine:
            await send(machine, number, pages)
            interaction, call = await received(database)
    finally:
        await database.close()
    (kept,) = (service.folder / "pbx/spool/fax").glob(f"{call.linkedid}_*.tif")
    assert pages_in(kept) == 2
    assert interaction.address == "+862155550123"
    assert (interaction.summary, interaction.agent, interaction.queue) == ("2 p.", None, call.queue)
