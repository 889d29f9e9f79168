"""What Twilio tells us of itself: customers' messages by SMS and WhatsApp, and news of ours.

Owns the reading of its forms, every field of which is somebody else's word, and whether it was
Twilio that sent them. Refuses to know HTTP: agent_desk/webhooks has the routes.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from twilio.request_validator import RequestValidator

from channels.incoming import Incoming
from channels.late_files import MOST_FILES, FileAtProvider, GoneForEver, LateFiles
from channels.sms.twilio_account import NotOurFile, TwilioAccount
from crm_store.contacts import sending
from crm_store.database import Database
from crm_store.models import Channel, MessageState
from crm_store.people.phone_numbers import to_e164

PROVIDER = "twilio"
LONGEST_TEXT = 20_000
LONGEST_NAME = 200

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+&-]{0,19}")
_STATES = {
    "sent": MessageState.SENT,
    "delivered": MessageState.DELIVERED,
    "read": MessageState.DELIVERED,
    "undelivered": MessageState.FAILED,
    "failed": MessageState.FAILED,
    "canceled": MessageState.FAILED,
}


class NotUnderstood(ValueError):
    """The form is signed, and is none that Twilio sends."""


class TwilioWebhooks:
    """The webhooks of one account. `receive` is the inbox's; `files` fetches customers' files."""

    def __init__(
        self,
        database: Database,
        receive: Callable[[Incoming], Awaitable[object]],
        files: LateFiles,
        *,
        account: str,
        token: str,
    ) -> None:
        self._database = database
        self._receive = receive
        self._files = files
        self._account = account
        self._validator = RequestValidator(token)

    def is_genuine(self, url: str, fields: Mapping[str, str], signature: str) -> bool:
        """Whether Twilio has sent exactly these fields to exactly this address, for our account."""
        return (
            self._validator.validate(url, dict(fields), signature)
            and fields.get("AccountSid") == self._account
        )

    async def take_message(self, fields: Mapping[str, str]) -> None:
        """A customer's message; it is committed when this returns. Raises NotUnderstood, and what
        the inbox raises."""
        incoming = message_in(fields)
        async with self._database.transaction() as transaction:
            await self._files.expect(
                transaction, incoming.channel, incoming.external_key, files_in(fields)
            )
        await self._receive(incoming)

    async def take_status(self, fields: Mapping[str, str], outbox_id: int | None) -> None:
        """What became of one of ours. Raises NotUnderstood."""
        sid = fields.get("MessageSid", "")
        if not _SID.fullmatch(sid):
            raise NotUnderstood("MessageSid")
        state = _STATES.get(fields.get("MessageStatus", ""))
        if state is None:
            return
        error = re.sub(r"[^0-9]", "", fields.get("ErrorCode", ""))[:6]
        async with self._database.transaction() as transaction:
            await sending.delivery(
                transaction,
                state=state,
                provider_id=sid,
                outbox_id=outbox_id,
                error=f"Twilio: error {error}" if error else "Twilio: not delivered",
            )


def message_in(fields: Mapping[str, str]) -> Incoming:
    """The message that a form of Twilio's tells of. Raises NotUnderstood."""
    sid = fields.get("MessageSid", "")
    if not _SID.fullmatch(sid):
        raise NotUnderstood("MessageSid")
    sender, to = fields.get("From", ""), fields.get("To", "")
    is_whatsapp = sender.startswith("whatsapp:")
    number = sender.removeprefix("whatsapp:")
    # A name or a short number is a machine's, and answers reach nobody.
    is_person = to_e164(number, "ZZ") == number
    if not is_person and (is_whatsapp or not _NAMED.fullmatch(number)):
        raise NotUnderstood("From")
    name = " ".join(_printable(fields.get("ProfileName", "")).split())[:LONGEST_NAME]
    return Incoming(
        channel=Channel.MESSENGER if is_whatsapp else Channel.SMS,
        external_key=sid,
        sender=sender,
        sender_name=name,
        our_address=_printable(to.removeprefix("whatsapp:"))[:40],
        text=fields.get("Body", "").replace("\0", "")[:LONGEST_TEXT],
        received_at=datetime.now(UTC),
        automatic="" if is_person else "list",
        # The network says who wrote; WhatsApp has proven it.
        is_authenticated=True if is_whatsapp else None,
    )


def files_in(fields: Mapping[str, str]) -> list[FileAtProvider]:
    """The files of the form's message. Their addresses are checked when they are fetched."""
    found = []
    for place in range(MOST_FILES):
        url = fields.get(f"MediaUrl{place}", "")
        if not url or len(url) > 500:
            break
        media_type = fields.get(f"MediaContentType{place}", "").partition(";")[0].strip().lower()
        name = f"file-{place + 1}" + (mimetypes.guess_extension(media_type) or "")
        found.append(FileAtProvider(url, name))
    return found


def twilio_fetch(account: TwilioAccount) -> Callable[[str], Awaitable[bytes]]:
    """How a file of the account's messages is fetched, for LateFiles."""

    async def fetch(url: str) -> bytes:
        try:
            return (await account.fetch_file(url))[1]
        except NotOurFile as error:
            raise GoneForEver(f"{urlsplit(url).hostname}: {error}") from error

    return fetch


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
