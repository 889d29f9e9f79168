"""Faxes that came in: the call of a fax machine is a contact on the channel fax.

Owns that one change of the call's interaction, and tells it as a fact. The pages are a file where
the PBX keeps them, named for the call's Linkedid; refuses to know how they are read.
"""

from __future__ import annotations

from sqlalchemy import select, update

from crm_store import text_search
from crm_store.database import Transaction
from crm_store.facts import FaxReceived
from crm_store.models import Call, Channel, Interaction


def file_name(linkedid: str) -> str:
    """The name of the file with the pages of this call, in the PBX's folder of faxes."""
    return f"{linkedid}.tif"


async def receive(transaction: Transaction, pbx: str, linkedid: str, pages: int) -> int | None:
    """The call brought `pages` pages: its interaction is one of the channel fax; its row's id.

    None if the call has no interaction. Repeating it changes nothing.
    """
    session = transaction.session
    interaction_id = await session.scalar(
        select(Interaction.id)
        .join(Call, Call.id == Interaction.call_id)
        .where(Call.pbx == pbx, Call.linkedid == linkedid)
        .with_for_update(of=Interaction)
    )
    if interaction_id is None:
        return None
    became = await session.scalar(
        update(Interaction)
        .where(Interaction.id == interaction_id, Interaction.channel != Channel.FAX)
        .values(channel=Channel.FAX, summary=f"{pages} p.")
        .returning(Interaction.id)
    )
    if became is not None:
        await text_search.index_interaction(transaction, interaction_id)
        await transaction.emit(
            FaxReceived(interaction_id=interaction_id, pbx=pbx, linkedid=linkedid, pages=pages)
        )
    return int(interaction_id)
