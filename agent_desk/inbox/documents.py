"""Conversations and messages as the pages are told of them: plain values, times in seconds.

Owns their form, which docs/push.md and the requests' docstrings refer to. Refuses to know who may
see them. HTML of a stranger is never in here: it has an address of its own (letters.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from agent_desk.live.caller_display import shown_number
from channels.mail.html_cleaning import has_remote_images
from crm_store.contacts.attachments import FileRecord
from crm_store.contacts.conversation_lists import ConversationLine
from crm_store.contacts.messages import Delivery, MessageRecord
from crm_store.contacts.story_kinds import StoryEntry
from crm_store.models import Channel


def seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at is not None else None


def shown_address(channel: Channel, address: str) -> str:
    """An address as people read it; a chat's visitor has none that tells anything."""
    if channel is Channel.CHAT:
        return ""
    return shown_number(address) if address.startswith("+") else address


def line_document(line: ConversationLine) -> dict[str, Any]:
    """`id, version, subject, channel, state, queue, assigned_to, customer_id, customer_name,
    segment, sender_name, address, shown_address, preview, tags, language, opened_at,
    last_message_at, waiting_since, first_answer_due_at, first_answered_at, resolution_due_at,
    closed_at, snoozed_until`."""
    one = line.conversation
    return {
        "id": one.id,
        "version": one.version,
        "subject": one.subject,
        "channel": one.channel.value,
        "state": one.state.value,
        "queue": one.queue,
        "assigned_to": one.assigned_to,
        "customer_id": one.customer_id,
        "customer_name": line.customer_name,
        "segment": line.segment.value if line.segment else "",
        "sender_name": line.sender_name,
        "address": one.address,
        "shown_address": shown_address(one.channel, one.address),
        "preview": one.preview,
        "tags": one.tags,
        "language": one.language,
        "opened_at": one.opened_at.timestamp(),
        "last_message_at": one.last_message_at.timestamp(),
        "waiting_since": seconds(one.waiting_since),
        "first_answer_due_at": seconds(one.first_answer_due_at),
        "first_answered_at": seconds(one.first_answered_at),
        "resolution_due_at": seconds(one.resolution_due_at),
        "closed_at": seconds(one.closed_at),
        "snoozed_until": seconds(one.snoozed_until),
    }


def message_document(one: MessageRecord, names: Mapping[str, str]) -> dict[str, Any]:
    """`key, kind ("message"), id, direction, channel, author, author_name, sender, shown_sender,
    sender_name, recipients, subject, text, quoted, has_html, has_remote_pictures, at, problems,
    automatic, is_authenticated, mentions, has_raw, attachments` (of file_document), `delivery`
    ({state, error, due_at, sent_at, delivered_at, segments, repeats} or None)."""
    return {
        "key": f"m{one.id}",
        "kind": "message",
        "id": one.id,
        "direction": one.direction.value,
        "channel": one.channel.value,
        "author": one.author,
        "author_name": names.get(one.author, one.author),
        "sender": one.sender,
        "shown_sender": shown_address(one.channel, one.sender),
        "sender_name": one.sender_name,
        "recipients": one.recipients,
        "subject": one.subject,
        "text": one.text,
        "quoted": one.quoted,
        "has_html": bool(one.html),
        "has_remote_pictures": has_remote_images(one.html),
        "at": one.at.timestamp(),
        "problems": one.problems,
        "automatic": one.automatic,
        "is_authenticated": one.is_authenticated,
        "mentions": one.mentions,
        "has_raw": bool(one.raw_file),
        "attachments": [file_document(file) for file in one.files],
        "delivery": _delivery(one.delivery),
    }


def file_document(file: FileRecord) -> dict[str, Any]:
    """`id, name, media_type, size, state` ("ok", "refused"), `reason, content_id`."""
    return {
        "id": file.id,
        "name": file.name,
        "media_type": file.media_type,
        "size": file.size,
        "state": file.state.value,
        "reason": file.reason,
        "content_id": file.content_id,
    }


def call_document(entry: StoryEntry, names: Mapping[str, str]) -> dict[str, Any]:
    """A call of the same customer, as a line: `key, kind ("call"), id, at, direction, agent,
    agent_name, summary, disposition, outcome, talk_s`."""
    call = entry.details.get("call") or {}
    return {
        "key": f"c{entry.id}",
        "kind": "call",
        "id": entry.id,
        "at": entry.at.timestamp(),
        "direction": entry.details["direction"],
        "agent": entry.agent,
        "agent_name": names.get(entry.agent or "", entry.agent),
        "summary": entry.details["summary"],
        "disposition": entry.details["disposition"],
        "outcome": call.get("outcome", ""),
        "talk_s": call.get("talk_s"),
    }


def _delivery(one: Delivery | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "state": one.state.value,
        "error": one.error,
        "due_at": one.due_at.timestamp(),
        "sent_at": seconds(one.sent_at),
        "delivered_at": seconds(one.delivered_at),
        "segments": one.segments,
        "repeats": one.repeats,
    }
