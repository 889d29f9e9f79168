"""Written work for the inbox's tests: what comes in goes through the one way in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.incoming import Incoming, IncomingFile
from crm_store.models import Channel
from tests.agent_desk.conftest import RunningDesk

_numbers = itertools.count(1)


def files_of(desk: RunningDesk) -> AttachmentFiles:
    assert desk.parts.written.files is not None
    return desk.parts.written.files


async def comes_in(
    desk: RunningDesk,
    text: str,
    *,
    channel: Channel = Channel.MAIL,
    sender: str = "wang@example.org",
    files: Sequence[IncomingFile] = (),
    **values: Any,
) -> tuple[int, int]:
    """A message as its channel would hand it over; its id and its conversation's."""
    number = next(_numbers)
    key = f"<{number}@example.org> {sender}" if channel is Channel.MAIL else f"key-{number}"
    received = await Inbox(desk.database, files_of(desk)).receive(
        Incoming(
            channel=channel,
            external_key=key,
            message_id=f"<{number}@example.org>" if channel is Channel.MAIL else "",
            sender=sender,
            text=text,
            received_at=datetime.now(UTC),
            files=files,
            **{"our_address": "service@mall.example", "queue": "sales", **values},
        )
    )
    return received.message_id, received.conversation_id
