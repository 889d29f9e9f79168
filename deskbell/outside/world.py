"""The outside world: Twilio, the customers' telephones and mailboxes, and a page that shows them.

Owns that they run together in the demo's process, on loopback, and where each is reached. All that
is said between it and Deskbell goes over sockets, as it would outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from deskbell.outside import page
from deskbell.outside.mailbox import CustomersMailbox
from deskbell.outside.twilio import TwilioImitation


@dataclass(frozen=True, slots=True)
class OutsideCustomer:
    """Somebody whose telephone and mailbox the page shows; "" for what they do not have."""

    name: str
    number: str
    mail: str
    language: str = "en"


class OutsideWorld:
    """`start` it before the service, whose settings take `sms_url`, `account`, `token` and
    `smtp_port`; tell it by `connect` where the service is."""

    def __init__(self, customers: Sequence[OutsideCustomer] = (), *, token: str = "") -> None:
        self.customers = list(customers)
        self.version = 0
        self.twilio = TwilioImitation(token=token or None, changed=self._change)
        self.mailbox = CustomersMailbox(changed=self._change)
        self.sms_number = ""
        self.whatsapp_number = ""
        self.mail_address = ""
        self.page_url = ""
        self._runner: web.AppRunner | None = None

    @property
    def sms_url(self) -> str:
        """Twilio's API, for TwilioAccount's `url`."""
        return self.twilio.url

    @property
    def account(self) -> str:
        return self.twilio.account

    @property
    def token(self) -> str:
        """The account's auth token."""
        return self.twilio.token

    @property
    def smtp_port(self) -> int:
        """Where mails to customers are taken."""
        return self.mailbox.port

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Raises OSError if the port is taken."""
        await self.mailbox.start(host)
        app = web.Application(client_max_size=8_388_608)
        self.twilio.add_routes(app)
        page.add_routes(app, self)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        at = self._runner.addresses[0]
        self.page_url = self.twilio.url = f"http://{at[0]}:{at[1]}"

    def connect(
        self,
        *,
        desk_url: str,
        sms_number: str = "",
        whatsapp_number: str = "",
        mail_address: str = "",
        inbox_host: str = "127.0.0.1",
        inbox_port: int = 0,
    ) -> None:
        """Where the service is: its desk, its numbers, its mail inbox."""
        self.twilio.messages_url = f"{desk_url.rstrip('/')}/hooks/twilio/messages"
        self.sms_number = sms_number
        self.whatsapp_number = whatsapp_number
        self.mail_address = mail_address
        self.mailbox.inbox_host, self.mailbox.inbox_port = inbox_host, inbox_port

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.mailbox.stop()

    async def __aenter__(self) -> OutsideWorld:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _change(self) -> None:
        self.version += 1
