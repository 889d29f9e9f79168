"""The written channels of this service: the inbox, the outbox, and what brings messages in.

Owns how they are put together from the settings, what runs for as long as the service, and what the
desk is given of them. Refuses to know how any channel works (channels).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from agent_desk.chat.words import letter_words
from agent_desk.hall.answer_notices import AnswerNotices
from agent_desk.hall.erased_files import ErasedFiles
from agent_desk.inbox.written_work import WrittenWork
from agent_desk.parts import ChatParts, HallParts
from agent_desk.webhooks.parts import WebhookParts
from channels.attachments import AttachmentFiles
from channels.chat.chats import ChatHub
from channels.chat.leaving import Leaving
from channels.chat.proof import Proof
from channels.chat.topics import Topics
from channels.fax.fax_inbox import FaxInbox, FaxSpool
from channels.fax.pages import Pages
from channels.inbox import Inbox
from channels.late_files import Fetch, LateFiles
from channels.mail.imap_inbox import ImapInbox, Mailbox
from channels.mail.intake import MailIntake
from channels.mail.smtp_inbox import SmtpInbox
from channels.messengers import wechat
from channels.messengers.wechat import WeChatApi, WeChatWebhook
from channels.outbox import Outbox
from channels.routing import Router
from channels.sms import twilio_webhooks
from channels.sms.smpp_sender import SmppSms
from channels.sms.twilio_account import TwilioAccount
from channels.sms.twilio_webhooks import TwilioWebhooks, twilio_fetch
from channels.sms.words import StopWords
from crm_store.bus import Bus
from crm_store.contacts.faxes import read_file_name
from crm_store.database import Database
from crm_store.jobs import Subscribers
from crm_store.models import Channel
from crm_store.people.signed_links import Signer, signer
from crm_store.shop import house
from crm_store.shop.house import House
from crm_store.signals import AgentStateChanged, OffersChanged
from cti.ami.link import LinkState
from cti.switchboard import Switchboard
from deskbell.channel_metrics import ChannelMetrics
from deskbell.channel_senders import Carriers, price_of
from deskbell.failure import CommandFailed
from deskbell.settings import PbxSettings, Settings

log = logging.getLogger(__name__)


class Channels:
    """`prepare` before the desk, `start` after it, `close` before the database is closed."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        bus: Bus,
        to_number: Callable[[str], str | None],
        state_of: Callable[[str], AgentStateChanged],
    ) -> None:
        self._settings = settings
        self._database = database
        self._bus = bus
        self._to_number = to_number
        self._state_of = state_of
        self._house = House()
        self._signer: Signer
        self._pages = Pages()
        self._tasks: list[asyncio.Task[None]] = []
        self._account: TwilioAccount | None = None
        self._twilio: TwilioWebhooks | None = None
        self._wechat_api: WeChatApi | None = None
        self._wechat: WeChatWebhook | None = None
        self._chat: ChatParts
        self._outbox: Outbox | None = None
        self._base_url = ""
        self.files = AttachmentFiles(settings.inbox.folder)
        self.inbox: Inbox
        self.router: Router
        self.mail_inbox: SmtpInbox | None = None

    async def prepare(self, subscribers: Subscribers) -> None:
        """Make what the desk and the jobs need. Raises database errors."""
        settings, database = self._settings, self._database
        await self.refresh()
        self._signer = await signer(database)
        self.inbox = Inbox(
            database,
            self.files,
            default_queue=settings.inbox.queue,
            own_addresses=settings.mail.addresses,
            hooks=(StopWords(self._house.name("en") or "Deskbell"),),
        )
        self.inbox.subscribe(subscribers)
        self._meet_twilio(subscribers)
        self._meet_wechat(subscribers)
        ErasedFiles(self._forget_calls).subscribe(subscribers)
        AnswerNotices(database, base_url=lambda: self._base_url, carried=self._carried()).subscribe(
            subscribers
        )
        self.router = Router(
            database,
            self._bus,
            state_of=self._state_of,
            changed=lambda: self._bus.publish(OffersChanged()),
        )
        topics = Topics(database, self._bus)
        self._chat = ChatParts(
            hub=ChatHub(database, self.inbox.receive, self._bus, topics),
            leaving=Leaving(database, letter_words),
            proof=Proof(database, letter_words),
            files=self.files,
            sites=frozenset(settings.chat.sites),
            demo_shop=settings.chat.demo_shop,
        )

    def _meet_twilio(self, subscribers: Subscribers) -> None:
        told = self._settings.sms
        if not told.twilio_account:
            return
        token = told.twilio_token.get_secret_value()
        self._account = TwilioAccount(
            self._database, told.twilio_account, token, url=told.twilio_url
        )
        files = self._late_files(twilio_webhooks.PROVIDER, twilio_fetch(self._account), subscribers)
        self._twilio = TwilioWebhooks(
            self._database, self.inbox.receive, files, account=told.twilio_account, token=token
        )

    def _meet_wechat(self, subscribers: Subscribers) -> None:
        told = self._settings.messengers
        if not told.wechat_app_id:
            return
        self._wechat_api = WeChatApi(
            told.wechat_app_id, told.wechat_secret.get_secret_value(), url=told.wechat_url
        )
        files = self._late_files(wechat.PROVIDER, self._wechat_api.fetch, subscribers)
        self._wechat = WeChatWebhook(
            self._database,
            self.inbox.receive,
            files,
            token=told.wechat_token.get_secret_value(),
        )

    def _late_files(self, provider: str, fetch: Fetch, subscribers: Subscribers) -> LateFiles:
        files = LateFiles(self._database, self.files, provider, fetch)
        files.subscribe(subscribers)
        return files

    async def refresh(self) -> None:
        """Take the house's name and signatures as they are now."""
        self._house = await house.read(self._database)

    def register(self, registry: CollectorRegistry) -> None:
        """Show the channels' numbers."""
        registry.register(
            ChannelMetrics(
                lambda: self._outbox.figures if self._outbox is not None else {},
                lambda: len(self.router.offers()),
                lambda: self._chat.hub.connections,
            )
        )

    # ---- what the desk is given ------------------------------------------------------------------

    def written(self) -> WrittenWork:
        return WrittenWork(
            files=self.files, offers=self.router.offers, sms_price=price_of(self._settings.sms)
        )

    def hall(self) -> HallParts:
        settings = self._settings
        return HallParts(
            is_open=settings.hall.open,
            session_days=settings.hall.session_days,
            receive=self.inbox.receive,
            attachments_folder=settings.inbox.folder,
            forget_calls=self._forget_calls,
            sends_codes_by=self._carried(),
        )

    def _carried(self) -> frozenset[Channel]:
        """The channels that carry a message to a customer who is not on our pages."""
        carried = {Channel.MAIL} if self._settings.mail.server else set()
        if self._settings.sms.provider != "off":
            carried.add(Channel.SMS)
        return frozenset(carried)

    def chat(self) -> ChatParts:
        return self._chat

    def webhooks(self) -> WebhookParts:
        return WebhookParts(
            twilio=self._twilio,
            wechat=self._wechat,
            signer=self._signer,
            attachments_folder=self._settings.inbox.folder,
        )

    async def remove_idle(self, files: Iterable[str]) -> None:
        """Delete attachments that are nobody's, unless somebody brings them again just now."""
        await self.files.remove(files, idle_s=3600.0)

    async def _forget_calls(self, calls: Sequence[tuple[str, str]]) -> None:
        """Delete the faxes of these calls that still lie in a spool of ours."""
        wanted = set(calls)

        def delete() -> None:
            for pbx in self._settings.pbx:
                for file in _fax_folder(pbx).glob("*.tif"):
                    told = read_file_name(file.name)
                    if told is not None and (pbx.name, told.linkedid) in wanted:
                        file.unlink(missing_ok=True)

        if wanted:
            await asyncio.to_thread(delete)

    # ---- running ---------------------------------------------------------------------------------

    async def start(
        self, base_url: str, switchboards: dict[str, Switchboard], shown_number: str
    ) -> None:
        """Begin to take in and to send. `base_url` is the desk's address as the Internet has it,
        `shown_number` whose number a fax comes from. Raises CommandFailed if a port is taken."""
        self._base_url = base_url
        carriers = Carriers(
            settings=self._settings,
            database=self._database,
            receive=self.inbox.receive,
            house=lambda: self._house.name("en") or "Deskbell",
            signer=self._signer,
            base_url=base_url,
            pages=self._pages,
            twilio=self._account,
            wechat=self._wechat_api,
        )
        senders = carriers.senders(switchboards, shown_number)
        centre = senders.get(Channel.SMS)
        if isinstance(centre, SmppSms):
            self._run("message centre", centre.run())
        self._outbox = Outbox(self._database, self.files, senders)
        self._run("outbox", self._outbox.run())
        self._run("routing", self.router.run())
        self._run("chats", self._chat.hub.run())
        self._run("chats left", self._chat.leaving.run())
        await self._take_mail()
        for pbx in self._settings.pbx:
            if pbx.mode == "embedded" and pbx.name in switchboards:
                self._run(f"faxes of {pbx.name}", self._fax_inbox(pbx, switchboards[pbx.name]))

    async def close(self) -> None:
        """Stop taking in, then sending; what is half-way is found again at the next start."""
        if self.mail_inbox is not None:
            await self.mail_inbox.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._chat.hub.close()
        await self.inbox.close()
        for api in (self._account, self._wechat_api):
            if api is not None:
                await api.close()
        self.files.close()

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_told)
        self._tasks.append(task)

    # ---- in --------------------------------------------------------------------------------------

    async def _take_mail(self) -> None:
        mail = self._settings.mail
        if not mail.addresses or mail.inbox == "off":
            return
        intake = MailIntake(
            self.inbox.receive,
            self._database,
            our_addresses=mail.addresses,
            checked_by=mail.checked_by,
        )
        if mail.inbox == "imap":
            mailbox = Mailbox(
                host=mail.imap_host,
                port=mail.imap_port,
                encryption=mail.imap_encryption,
                user=mail.imap_user,
                password=mail.imap_password.get_secret_value(),
                folder=mail.imap_folder,
            )
            self._run("mailbox", ImapInbox(mailbox, intake).run())
            return
        inbox = SmtpInbox(
            intake,
            host=mail.smtp_inbox_host,
            port=mail.smtp_inbox_port,
            certificate=mail.smtp_inbox_certificate,
        )
        try:
            await inbox.start()
        except OSError as error:
            raise CommandFailed(
                f"mails cannot be taken at {mail.smtp_inbox_host}:{mail.smtp_inbox_port}: "
                f"{error.strerror}; set another DESKBELL_MAIL_SMTP_INBOX_PORT"
            ) from None
        self.mail_inbox = inbox

    def _fax_inbox(self, pbx: PbxSettings, board: Switchboard) -> Coroutine[Any, Any, None]:
        spool = FaxSpool(
            pbx=pbx.name,
            folder=_fax_folder(pbx),
            is_live=lambda call: board.link.state is not LinkState.UP or call in board.calls.calls,
            our_number=self._settings.fax.station,
        )
        return FaxInbox(
            self.inbox, self._database, spool, pages=self._pages, to_number=self._to_number
        ).run()


def _fax_folder(pbx: PbxSettings) -> Path:
    """Where our own PBX leaves what came in."""
    return pbx.folder / "spool/fax"


def _told(task: asyncio.Task[None]) -> None:
    """A part that ended by itself is a defect, which must not be silent."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended: %s", task.get_name(), type(error).__name__, exc_info=error)
