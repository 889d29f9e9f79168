"""WhatsApp, by Twilio.

Owns WhatsApp's rules: for 24 hours after the customer's last message anything may be written, later
only a template that WhatsApp has approved; one file goes with a message. What comes in, and what
becomes of what went out, is told by the account's webhooks (channels/sms/twilio_webhooks.py).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson

from channels.messengers.messenger import last_heard, pieces
from channels.senders import Accepted, Outgoing, OutgoingFile, Refused
from channels.sms.twilio_account import LONGEST_BODY, Handed, OptedOut, TwilioAccount
from channels.sms.twilio_sender import status_url_of
from crm_store.database import Database
from crm_store.models import Channel
from crm_store.people import preferences

SESSION = timedelta(hours=24) - timedelta(minutes=5)
"""WhatsApp's 24 hours, less what a message may be under way."""

LONGEST_VALUE = 1_000
"""Characters of a template's value; it is one line."""


class WhatsApp:
    """WhatsApp from `sender` (E.164). `template` is the ContentSid of one with a single value,
    {{1}}; "" for none. `file_url` makes an address at which Twilio may fetch a file for a while;
    None where Twilio cannot reach us."""

    name = "whatsapp"

    def __init__(
        self,
        database: Database,
        account: TwilioAccount,
        *,
        sender: str,
        status_url: str = "",
        template: str = "",
        file_url: Callable[[OutgoingFile], str] | None = None,
    ) -> None:
        self._database = database
        self._account = account
        self._sender = sender
        self._status_url = status_url
        self._template = template
        self._file_url = file_url

    async def send(self, message: Outgoing, who: str) -> Accepted:
        try:
            handed = await self._send(message)
        except OptedOut:
            async with self._database.transaction() as transaction:
                await preferences.opt_out(
                    transaction,
                    Channel.MESSENGER,
                    message.to,
                    by="twilio",
                    reason="told the provider",
                )
            raise
        return Accepted(provider_id=handed.sid)

    async def close(self) -> None:
        await self._account.close()

    async def _send(self, message: Outgoing) -> Handed:
        if not await self._may_write_freely(message.to):
            if not self._template:
                raise Refused("WhatsApp: more than 24 hours after their last message")
            return await self._hand_over(message, "", "", template=self._template)
        if message.files and self._file_url is None:
            raise Refused("WhatsApp: files cannot be fetched from here")
        urls = [self._file_url(file) for file in message.files] if self._file_url else []
        texts = pieces(message.text, LONGEST_BODY)
        # The news of the last one is the row's: the others have gone before it.
        parts = [(text, "") for text in texts[:-1]]
        parts += [(texts[-1] if texts else "", urls[0] if urls else "")]
        parts += [("", url) for url in urls[1:]]
        handed = await self._hand_over(message, *parts[0])
        for body, url in parts[1:]:
            try:
                handed = await self._hand_over(message, body, url)
            except Exception as error:
                # A part of it is there: it is not certain any more that nothing was accepted.
                raise RuntimeError("WhatsApp has taken a part of the message only") from error
        return handed

    async def _hand_over(
        self, message: Outgoing, body: str, url: str, *, template: str = ""
    ) -> Handed:
        value = " ".join(message.text.split())[:LONGEST_VALUE]
        return await self._account.hand_over(
            to=message.to,
            sender=f"{self.name}:{self._sender}",
            body=body,
            status_url=status_url_of(self._status_url, message),
            file_urls=[url] if url else (),
            template=template,
            template_values=orjson.dumps({"1": value}).decode() if template else "",
            is_repeat=message.is_repeat,
        )

    async def _may_write_freely(self, address: str) -> bool:
        heard = await last_heard(self._database, address)
        return heard is not None and datetime.now(UTC) - heard < SESSION
