"""A fax machine calls a number of ours: its pages are a PDF in the story of whoever it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select

from channels.fax.pages import Pages
from crm_store.contacts import messages
from crm_store.contacts.messages import MessageRecord
from crm_store.database import Database
from crm_store.models import Call, Channel, Conversation, Interaction, Message
from tests.channels.fax.printed import SLIP, pages_of, reads, write_pdf
from tests.ivr.fax_machine import fax_machine, send
from tests.service_fixtures import RunningService, mall_template, mall_url, service

__all__ = ["mall_template", "mall_url", "service"]

pytestmark = pytest.mark.asterisk


async def received(database: Database) -> MessageRecord:
    """The fax's message, once it is there. Raises TimeoutError."""
    async with asyncio.timeout(120):
        while True:
            async with database.reading() as session:
                query = select(Message.id).where(Message.channel == Channel.FAX)
                message_id = await session.scalar(query)
            if message_id is not None:
                found = await messages.find(database, message_id)
                assert found is not None
                return found
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("number", ["600", "698"], ids=["a queue's number", "the fax's own number"])
async def test_a_fax_machine_s_pages_are_in_the_story(
    service: RunningService, mall_url: str, tmp_path: Path, number: str
) -> None:
    write_pdf(tmp_path / "in.pdf", "INVOICE", "PARCEL", size=SLIP)
    await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "pages.tif")
    database = Database(mall_url)
    try:
        async with fax_machine(tmp_path / "fax", service) as machine:
            await send(machine, number, tmp_path / "pages.tif")
            message = await received(database)
        async with database.reading() as session:
            row = (
                await session.execute(
                    select(Interaction, Call)
                    .join(Call, Call.id == Interaction.call_id)
                    .join(Conversation, Conversation.interaction_id == Interaction.id)
                    .where(Conversation.id == message.conversation_id)
                )
            ).one()
    finally:
        await database.close()
    interaction, call = row
    assert (interaction.channel, interaction.address) == (Channel.FAX, "+862155550123")
    assert (message.sender, message.external_key) == (
        "+862155550123",
        f"{call.pbx} {call.linkedid}",
    )
    (file,) = message.files
    (pdf,) = service.folder.rglob(Path(file.file).name)
    first, second = pages_of(pdf)
    assert reads(first, "INVOICE", "PARCEL", size=SLIP)
    assert reads(second, "PARCEL", "INVOICE", size=SLIP)
    assert list((service.folder / "pbx/spool/fax").iterdir()) == []
