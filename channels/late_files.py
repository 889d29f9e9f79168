"""Files that come after their message: a provider tells where they are, and a job fetches them.

Owns that each is kept once, with its message, whatever is repeated. Refuses to know where files
come from: a `Fetch` does.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from channels.attachments import AttachmentFiles
from crm_store.contacts import attachments, messages
from crm_store.contacts.attachments import NewFile
from crm_store.database import Database, Transaction
from crm_store.facts import ConversationChanged
from crm_store.jobs import Job, Subscribers
from crm_store.models import Channel, Conversation

log = logging.getLogger(__name__)

MOST_FILES = 10


@dataclass(frozen=True, slots=True)
class FileAtProvider:
    """`reference` is what the provider finds it by, `name` what it is called by here."""

    reference: str
    name: str


class GoneForEver(Exception):
    """There is no such file, or it may not be fetched; trying again does not help."""


Fetch = Callable[[str], Awaitable[bytes]]
"""The content of a file, by its reference. Raises GoneForEver; anything else is tried again."""


class LateFiles:
    """Fetches files of one provider's messages. `provider` names its jobs: it stands in rows."""

    def __init__(
        self, database: Database, files: AttachmentFiles, provider: str, fetch: Fetch
    ) -> None:
        self._database = database
        self._files = files
        self._handler = f"{provider}_files"
        self._fetch = fetch

    def subscribe(self, subscribers: Subscribers) -> None:
        subscribers.add(self._handler, self._run)

    async def expect(
        self,
        transaction: Transaction,
        channel: Channel,
        external_key: str,
        files: Sequence[FileAtProvider],
    ) -> None:
        """These belong to the message that has, or will have, that key. To be committed before the
        message is: a job without its message waits for it, a message without its job would not."""
        if files:
            await transaction.schedule(
                self._handler,
                f"{self._handler}:{external_key}",
                {
                    "channel": channel.value,
                    "external_key": external_key,
                    "files": [[file.reference, file.name] for file in files[:MOST_FILES]],
                },
            )

    async def _run(self, job: Job) -> None:
        data: dict[str, Any] = job.data
        found = await messages.known(
            self._database, Channel(data["channel"]), str(data["external_key"])
        )
        if found is None:
            raise LookupError("the message is not here yet")
        message_id, conversation_id = found
        record = await messages.find(self._database, message_id)
        kept = {file.content_id for file in record.files} if record is not None else set()
        new: list[NewFile] = []
        for reference, name in data["files"]:
            if reference not in kept:
                new.append(await self._one(reference, name))
        if not new:
            return
        async with self._database.transaction() as transaction:
            await attachments.add(transaction, message_id, new)
            version = await transaction.session.scalar(
                update(Conversation)
                .where(Conversation.id == conversation_id)
                .values(version=Conversation.version + 1)
                .returning(Conversation.version)
            )
            await transaction.emit(
                ConversationChanged(
                    conversation_id=conversation_id, what="files", version=version or 0
                )
            )

    async def _one(self, reference: str, name: str) -> NewFile:
        try:
            content = await self._fetch(reference)
        except GoneForEver as error:
            log.warning("a customer's file cannot be had: %s", error)
            return NewFile(
                name=name, media_type="", size=0, content_id=reference, reason="not_fetched"
            )
        (kept,) = await self._files.keep([(name, content)])
        return NewFile(
            name=kept.name,
            media_type=kept.media_type,
            size=kept.size,
            sha256=kept.sha256,
            file=kept.file,
            content_id=reference,
            reason=kept.reason,
        )
