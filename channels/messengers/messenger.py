"""Messengers: one channel with many carriers, told apart by the beginning of an address.

Owns the port that each messenger fits (docs/messengers.md) and the choice among them:
"whatsapp:+8613800138000" is WhatsApp's, "wechat:oK3f..." is WeChat's. Knows none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import func, select

from channels.senders import Accepted, Outgoing, Refused
from crm_store.database import Database
from crm_store.models import Channel, Conversation, Message
from crm_store.signals import Direction


class Messenger(Protocol):
    """One messenger's way out. `name` is what its addresses begin with, before a colon."""

    name: str

    async def send(self, message: Outgoing, who: str) -> Accepted:
        """Hand it over to `who`, the address without the messenger's name. Raises as a Sender's."""

    async def close(self) -> None: ...


class MessengerSender:
    """The outbox's sender of the channel, over the messengers that there are."""

    channel = Channel.MESSENGER
    recognises_repeats = False

    def __init__(self, messengers: Sequence[Messenger], *, at_once: int = 10) -> None:
        self.at_once = at_once
        self._messengers = {messenger.name: messenger for messenger in messengers}

    async def send(self, message: Outgoing) -> Accepted:
        name, _, who = message.to.partition(":")
        messenger = self._messengers.get(name)
        if messenger is None or not who:
            raise Refused(f"there is no messenger {name[:20]!r} here")
        return await messenger.send(message, who)

    async def close(self) -> None:
        for messenger in self._messengers.values():
            await messenger.close()


async def last_heard(database: Database, address: str) -> datetime | None:
    """When that address last wrote to us: messengers let us write freely for a while after it."""
    query = (
        select(func.max(Message.at))
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Conversation.channel == Channel.MESSENGER,
            Conversation.address == address,
            Message.direction == Direction.INBOUND,
            Message.sender == address,
        )
    )
    async with database.reading() as session:
        return await session.scalar(query)


def pieces(text: str, longest: int) -> list[str]:
    """The text in pieces of at most so many UTF-8 bytes, cut between paragraphs, lines or words if
    that can be, and never inside a letter."""
    found: list[str] = []
    rest = text.strip()
    while len(rest.encode()) > longest:
        most = rest.encode()[:longest].decode(errors="ignore")
        cuts = (most.rfind(mark) for mark in ("\n\n", "\n", "。", " "))
        cut = next((place + 1 for place in cuts if place >= len(most) // 2), len(most))
        found.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*found, rest] if rest else found
