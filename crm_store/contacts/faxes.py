"""Faxes: the call of a fax machine is a contact on the channel fax; what became of one of ours.

Owns that one change of the call's interaction, told as a fact, the names of the files with pages,
and the words for how a fax of ours ended. Refuses to know how pages are read and calls are made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import select, update

from crm_store import text_search
from crm_store.database import Database, Transaction
from crm_store.facts import FaxReceived
from crm_store.models import Call, Channel, Interaction


class FaxOutcome(StrEnum):
    """How a fax of ours ended. But for the first and the last, no fax has arrived."""

    SENT = "sent"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    NO_LINE = "no_line"
    """Our PBX is away, or the telephone network did not take the call."""
    WRONG_NUMBER = "wrong_number"
    NO_FAX_MACHINE = "no_fax_machine"
    """Somebody, or something, answered that is none."""
    BROKEN = "broken"
    LOST = "lost"
    """The PBX died twice while it was sending: nobody knows what has arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxReport:
    """`pages` have been acknowledged, at `rate` bits a second, as `mode` ("T38" or "audio"), by
    the machine that calls itself `station`. `said` is how the PBX names the fault."""

    outcome: FaxOutcome
    pages: int = 0
    rate: int = 0
    mode: str = ""
    station: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class FaxFile:
    """What the name of a received file tells: the call, and its caller as the network sent it."""

    linkedid: str
    caller: str


_FILE_NAME: Final = re.compile(r"([0-9A-Za-z.-]{1,150})_([+0-9]{0,40})\.tif")


def read_file_name(name: str) -> FaxFile | None:
    """The call and caller of a file in the PBX's folder of received faxes; None for others."""
    found = _FILE_NAME.fullmatch(name)
    return FaxFile(found[1], found[2]) if found else None


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


async def interaction_of(database: Database, pbx: str, linkedid: str) -> tuple[int, bool] | None:
    """The call's interaction, and whether its pages have arrived as a whole; None without one."""
    query = (
        select(Interaction.id, Interaction.channel)
        .join(Call, Call.id == Interaction.call_id)
        .where(Call.pbx == pbx, Call.linkedid == linkedid)
    )
    async with database.reading() as session:
        row = (await session.execute(query)).first()
    return (row.id, row.channel is Channel.FAX) if row else None
