"""What a visitor's page is shown of a conversation, as documents.

Owns which messages are a visitor's own: the chat's, to and from themselves. Never a note, never
another channel's, never another visitor's, whatever the conversation is merged with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crm_store import audit
from crm_store.contacts.chat_sessions import ChatSessionRecord
from crm_store.contacts.messages import MessageRecord
from crm_store.models import Channel
from crm_store.signals import Direction

Document = dict[str, Any]


def own_messages(found: Iterable[MessageRecord], address: str) -> list[MessageRecord]:
    """What the visitor of that address may see: what they wrote, and what was answered to them, in
    the chat. Never a note, never another channel's, never another visitor's."""
    return [
        message
        for message in found
        if message.channel is Channel.CHAT
        and (
            (message.direction is Direction.INBOUND and message.sender == address)
            or (message.direction is Direction.OUTBOUND and address in message.recipients)
        )
    ]


def shown(message: MessageRecord, agent_name: str) -> Document:
    """The message as a visitor's page shows it; `by` is visitor, agent or house."""
    by = "agent" if message.author not in ("", audit.SYSTEM) else "house"
    mine = message.direction is Direction.INBOUND
    document: Document = {
        "id": message.id,
        "by": "visitor" if mine else by,
        "name": "" if mine else agent_name,
        "text": message.text,
        "at": message.at.timestamp(),
        "files": [
            {
                "id": file.id,
                "name": file.name,
                "media_type": file.media_type,
                "size": file.size,
                "refused": file.reason,
            }
            for file in message.files
        ],
    }
    if mine and message.external_key:
        document["key"] = message.external_key.removeprefix(f"{message.sender}:")
    return document


def me(session: ChatSessionRecord) -> Document:
    """What a visitor's page knows of them."""
    return {
        "name": session.name,
        "mail": session.mail,
        "phone": session.phone,
        "proven": session.customer_id is not None,
        "seen": session.seen_message_id,
    }
