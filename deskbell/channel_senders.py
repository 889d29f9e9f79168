"""The senders of the outbox: who carries mail, SMS, messengers and fax, by the settings.

Owns their making, and the addresses at which providers reach us. What they do is channels'.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent_desk.webhooks.files import link_to
from channels.fax.fax_sender import FaxSender
from channels.fax.pages import Pages
from channels.incoming import Incoming
from channels.mail.letters import Letterhead
from channels.mail.mail_sender import MailSender, SmtpServer
from channels.messengers.messenger import Messenger, MessengerSender
from channels.messengers.wechat import WeChat, WeChatApi
from channels.messengers.whatsapp import WhatsApp
from channels.senders import OutgoingFile, Sender
from channels.sms.segments import Price
from channels.sms.smpp_link import MessageCentre
from channels.sms.smpp_sender import SmppSms
from channels.sms.twilio_account import TwilioAccount
from channels.sms.twilio_sender import TwilioSms
from crm_store.contacts.faxes import FaxReport
from crm_store.database import Database
from crm_store.models import Channel
from crm_store.people.signed_links import OPT_OUT, OPT_OUT_HOLDS, Signer
from cti.faxes.fax_calls import FaxLine
from cti.switchboard import Switchboard
from deskbell.channel_settings import SmsSettings
from deskbell.settings import PbxSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Carriers:
    """What senders are made of. `base_url` is the desk's address as the Internet has it, `receive`
    the inbox's, `house` the house's name as it is now. An account is None where there is none."""

    settings: Settings
    database: Database
    receive: Callable[[Incoming], Awaitable[object]]
    house: Callable[[], str]
    signer: Signer
    base_url: str
    pages: Pages
    twilio: TwilioAccount | None = None
    wechat: WeChatApi | None = None

    def senders(
        self, switchboards: Mapping[str, Switchboard], shown_number: str
    ) -> dict[Channel, Sender]:
        """One for each channel that has a carrier; `shown_number` is whose a fax comes from."""
        settings = self.settings
        senders: dict[Channel, Sender] = {}
        if settings.mail.server and settings.mail.addresses:
            senders[Channel.MAIL] = MailSender(self._mail_server(), self._letterhead)
        sms = self._sms_sender()
        if sms is not None:
            senders[Channel.SMS] = sms
        messengers = self._messengers()
        if messengers:
            senders[Channel.MESSENGER] = MessengerSender(messengers)
        ours = next((pbx for pbx in settings.pbx if pbx.mode == "embedded"), None)
        if ours is not None and ours.name in switchboards:
            senders[Channel.FAX] = self._fax_sender(ours, switchboards[ours.name], shown_number)
        return senders

    def _mail_server(self) -> SmtpServer:
        mail = self.settings.mail
        return SmtpServer(
            host=mail.server,
            port=mail.port,
            encryption=mail.encryption,
            user=mail.user,
            password=mail.password.get_secret_value(),
        )

    def _letterhead(self) -> Letterhead:
        return Letterhead(
            house=self.house(),
            address=self.settings.mail.addresses[0],
            unsubscribe_link=self._unsubscribe_link,
        )

    def _unsubscribe_link(self, address: str) -> str:
        says = {"channel": Channel.MAIL.value, "address": address, "subject": "promotions"}
        token = self.signer.sign(OPT_OUT, says, OPT_OUT_HOLDS)
        return f"{self.base_url}/hall/opt-out/{token}"

    def _sms_sender(self) -> Sender | None:
        sms = self.settings.sms
        if sms.provider == "twilio" and self.twilio is not None:
            return TwilioSms(
                self.database,
                self.twilio,
                sender=sms.sender,
                status_url=self._status_url(),
                price=price_of(self.settings.sms),
            )
        if sms.provider == "smpp":
            return SmppSms(
                self.database,
                self.receive,
                MessageCentre(
                    host=sms.smpp_host,
                    port=sms.smpp_port,
                    user=sms.smpp_user,
                    password=sms.smpp_password.get_secret_value(),
                ),
                sender=sms.sender,
                region=self.settings.numbers.region,
                price=price_of(self.settings.sms),
            )
        return None

    def _messengers(self) -> list[Messenger]:
        told = self.settings.messengers
        found: list[Messenger] = []
        if told.whatsapp_sender and self.twilio is not None:
            found.append(
                WhatsApp(
                    self.database,
                    self.twilio,
                    sender=told.whatsapp_sender,
                    status_url=self._status_url(),
                    template=told.whatsapp_template,
                    file_url=self._file_url,
                )
            )
        if self.wechat is not None:
            found.append(WeChat(self.database, self.wechat))
        return found

    def _file_url(self, file: OutgoingFile) -> str:
        return link_to(file, public_url=self.base_url, signer=self.signer)

    def _status_url(self) -> str:
        return f"{self.base_url}/hooks/twilio/status"

    def _fax_sender(self, pbx: PbxSettings, board: Switchboard, shown_number: str) -> FaxSender:
        fax = self.settings.fax
        line = FaxLine(
            trunk="PJSIP/trunk",
            shown_number=fax.station or shown_number,
            station=fax.station,
            header=fax.header or self.house()[:50],
            t38=fax.t38,
        )

        async def call(key: str, to: str) -> FaxReport:
            return await board.faxes.send(line, key=key, to=to)

        return FaxSender(call, pages=self.pages, spool=Path(pbx.folder) / "spool/fax-out")


def price_of(sms: SmsSettings) -> Price | None:
    """What a segment costs, None if nobody said."""
    return Price(sms.price_micros, sms.currency) if sms.price_micros else None
