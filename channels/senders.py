"""Senders: what the outbox and whoever carries a channel's messages say to each other.

Owns the port: a message that is to go out, and the three things that may be certain of it
(accepted, not now, never). Anything else that comes out of a `send`, and a kill in the middle of
one, means that nobody knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from crm_store.models import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingFile:
    name: str
    media_type: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message that is to go out now. `id` is its row in the outbox.

    `to` and `our_address` are as the channel has them, `our_address` "" for the sender's own.
    `idempotency_key` never changes over its tries; `message_id` is the mail's own Message-ID, made
    of that key, with its `<>`. `headers` are further ones of a mail (In-Reply-To, References,
    List-Unsubscribe, ...). `html` is "" where the sender makes it of the text. `purpose` is answer,
    notice, code, promotion, automatic, transcript or note. `author_name` is that of the agent who
    wrote it, "" for a machine. `is_repeat` says that it may have been accepted before: nobody
    knows.
    """

    id: int
    channel: Channel
    to: str
    text: str
    idempotency_key: str
    our_address: str = ""
    subject: str = ""
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[OutgoingFile] = ()
    message_id: str = ""
    language: str = ""
    purpose: str = "answer"
    author_name: str = ""
    is_repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The other side has the message. `provider_id` is what it calls it by. `cost_micros` are
    millionths of `cost_currency`, None if nobody said."""

    provider_id: str = ""
    segments: int = 1
    cost_micros: int | None = None
    cost_currency: str = ""


class NotNow(Exception):
    """It is certain that nothing was accepted; to be tried again in `wait_s` seconds."""

    def __init__(self, wait_s: float, why: str) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.why = why


class Refused(Exception):
    """The other side will never take it. With `bad_address` it is the address that is wrong."""

    def __init__(self, why: str, *, bad_address: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.bad_address = bad_address


def mail_message_id(idempotency_key: str, our_address: str) -> str:
    """The Message-ID of the mail with that key, the same for each of its tries."""
    name = hashlib.sha256(idempotency_key.encode()).hexdigest()[:40]
    return f"<{name}@{our_address.rpartition('@')[2] or 'deskbell.invalid'}>"


class Sender(Protocol):
    """Who carries the messages of one channel.

    `at_once` is how many may be on their way at a time. With `recognises_repeats` the other side
    takes a message with the same idempotency key only once, so that repeating is never wrong.
    """

    channel: Channel
    at_once: int
    recognises_repeats: bool

    async def send(self, message: Outgoing) -> Accepted:
        """Hand it to the other side. Raises NotNow or Refused; any other exception means that
        nobody knows whether it was accepted."""

    async def close(self) -> None: ...
