"""SMS by Twilio.

Owns how a message of the outbox becomes an SMS at Twilio, and what is remembered of an address that
wants none. The account's HTTP is twilio_account.py's.
"""

from __future__ import annotations

from channels.senders import Accepted, Outgoing, Refused
from channels.sms.segments import Price, plain, split
from channels.sms.twilio_account import LONGEST_BODY, OptedOut, TwilioAccount
from crm_store.database import Database
from crm_store.models import Channel
from crm_store.people import preferences

BY = "twilio"
"""Who opted an address out, where its owner told Twilio and not us."""


class TwilioSms:
    """SMS from `sender` (E.164) by an account. `status_url` is where Twilio tells what became of a
    message (agent_desk/webhooks), "" where it cannot reach us; `price` is told of each segment
    where Twilio tells none yet."""

    channel = Channel.SMS
    recognises_repeats = False

    def __init__(
        self,
        database: Database,
        account: TwilioAccount,
        *,
        sender: str,
        status_url: str = "",
        price: Price | None = None,
        at_once: int = 10,
    ) -> None:
        self.at_once = at_once
        self._database = database
        self._account = account
        self._sender = sender
        self._status_url = status_url
        self._price = price

    async def send(self, message: Outgoing) -> Accepted:
        if message.files:
            raise Refused("an SMS carries no files")
        body = plain(message.text)
        if len(body) > LONGEST_BODY:
            raise Refused(f"an SMS by Twilio has at most {LONGEST_BODY} characters")
        segments = split(body)
        try:
            handed = await self._account.hand_over(
                to=message.to,
                sender=message.our_address or self._sender,
                body=body,
                status_url=status_url_of(self._status_url, message),
                is_repeat=message.is_repeat,
            )
        except OptedOut:
            async with self._database.transaction() as transaction:
                await preferences.opt_out(
                    transaction, Channel.SMS, message.to, by=BY, reason="told the provider"
                )
            raise
        return Accepted(
            provider_id=handed.sid,
            segments=handed.segments or segments.count,
            cost_micros=self._price.of(segments) if self._price else None,
            cost_currency=self._price.currency if self._price else "",
        )

    async def close(self) -> None:
        await self._account.close()


def status_url_of(status_url: str, message: Outgoing) -> str:
    """Where Twilio tells what became of this message: the news may come before its SID is kept, so
    the address says which one it is. It is signed with the rest."""
    return f"{status_url}?message={message.id}" if status_url else ""
