"""What comes in: a message as its channel has read it, before anything is made of it.

Owns the form in which all channels hand a message to the inbox. Pure values; knows nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from crm_store.models import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingFile:
    """A file as it came: neither its name nor its type is believed. `content_id` is what the HTML
    calls it by (without `<>`), "" if it does not."""

    name: str
    media_type: str
    content: bytes
    content_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message as its channel has read it.

    `external_key` is unique within the channel, and the same for the same message however often
    the other side sends it: mail "<Message-ID> sender", SMS the provider's id, chat the session
    with the client's id. `sender` is E.164, a mail address in lower case, or a visitor's session.
    `text` is without what was `quoted`; `html` is cleaned already. `sent_at` is by the sender's own
    clock. `reply_to` are the Message-IDs that it answers, the nearest last.

    `conversation_id` is given where the channel itself knows it (chat, hall), `customer_id` only
    where it is proven, `interaction_id` where the contact has one already (a fax call's), `queue`
    where the writer has chosen one (a chat's topic): a conversation that this opens waits there.
    `automatic` is "" for what a person wrote, else "auto_reply", "list", "bounce" or "complaint".
    `is_authenticated` says whether the sender's address was proven (DKIM, SPF with alignment), None
    if nobody knows. `problems` are what could not be read, for people. `raw` is kept as it came.
    """

    channel: Channel
    external_key: str
    sender: str
    received_at: datetime
    sender_name: str = ""
    our_address: str = ""
    recipients: Sequence[str] = ()
    subject: str = ""
    text: str = ""
    quoted: str = ""
    html: str = ""
    language: str = ""
    sent_at: datetime | None = None
    message_id: str = ""
    reply_to: Sequence[str] = ()
    conversation_id: int | None = None
    customer_id: int | None = None
    interaction_id: int | None = None
    queue: str = ""
    files: Sequence[IncomingFile] = ()
    raw: bytes = b""
    problems: Sequence[str] = ()
    automatic: str = ""
    is_authenticated: bool | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """Where a message is kept. `is_new` is False for one that was known already."""

    message_id: int
    conversation_id: int
    is_new: bool
