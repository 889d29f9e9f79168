"""The demo's outside world: which customers stand in it, and what the service is told of it.

Owns that the demo needs no account of anybody's: mail, SMS and WhatsApp go over sockets of its own
process (deskbell/outside). Knows nothing of how they are imitated.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import aliased

from crm_store.database import Database
from crm_store.models import ContactKind, ContactPoint, Customer
from deskbell.channel_settings import ChatSettings, MailSettings, MessengersSettings, SmsSettings
from deskbell.outside.world import OutsideCustomer, OutsideWorld
from deskbell.service import Service
from deskbell.settings import Settings

MAIL = "service@jadegate.example"
SMS = "+862155550600"
WHATSAPP = "+862155550601"
LANGUAGES = ("zh", "en", "es", "fa")
PRICE_MICROS = 7_500
"""About what an SMS costs; the demo costs nothing."""


async def customers_outside(database: Database) -> list[OutsideCustomer]:
    """The first customer of each language who has a telephone and a mailbox of their own."""
    phone, mail = aliased(ContactPoint), aliased(ContactPoint)
    found = []
    async with database.reading() as session:
        for language in LANGUAGES:
            query = (
                select(Customer.name, phone.value, mail.value)
                .join(phone, (phone.customer_id == Customer.id) & (phone.kind == ContactKind.PHONE))
                .join(mail, (mail.customer_id == Customer.id) & (mail.kind == ContactKind.MAIL))
                .where(Customer.language == language, Customer.merged_into.is_(None))
                .order_by(Customer.id)
                .limit(1)
            )
            row = (await session.execute(query)).first()
            if row is not None:
                found.append(OutsideCustomer(row[0], row[1], row[2], language))
    return found


def with_outside(settings: Settings, world: OutsideWorld) -> Settings:
    """The demo's settings; channels that nobody has set lead to the outside world."""
    told: dict[str, object] = {}
    if not settings.mail.addresses:
        told["mail"] = MailSettings(
            addresses=(MAIL,), server="127.0.0.1", port=world.smtp_port, encryption="none"
        )
    if settings.sms.provider == "off":
        told["sms"] = SmsSettings.model_validate(
            {
                "provider": "twilio",
                "sender": SMS,
                "twilio_account": world.account,
                "twilio_token": world.token,
                "twilio_url": world.sms_url,
                "price_micros": PRICE_MICROS,
            }
        )
        told["messengers"] = MessengersSettings(whatsapp_sender=WHATSAPP)
    told["chat"] = ChatSettings(sites=settings.chat.sites, demo_shop=True)
    return settings.model_copy(update=told)


def connect(world: OutsideWorld, service: Service) -> None:
    """Tell it where the service is, once that is up."""
    inbox = service.channels.mail_inbox
    settings = service.settings
    world.connect(
        desk_url=service.desk_address,
        sms_number=settings.sms.sender,
        whatsapp_number=settings.messengers.whatsapp_sender,
        mail_address=settings.mail.addresses[0],
        inbox_port=inbox.port if inbox is not None else 0,
    )
