"""Settings of the channels: mail, SMS, messengers, web chat, the web hall, fax.

Owns what may be configured of them and what values make sense, as settings.py does for the rest.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from deskbell.setting_types import Address, FilePath, Port, ReadableFile, Section, WebAddress

Encryption = Literal["tls", "starttls", "none"]


class InboxSettings(Section):
    """What all written channels share."""

    folder: Annotated[
        FilePath, Field(description="Folder of attachments and of mails as they came.")
    ] = Path("var/attachments")
    queue: Annotated[
        str,
        Field(
            description="Queue of what no rule sends elsewhere. Empty: the one with the lowest "
            "number."
        ),
    ] = ""


class MailSettings(Section):
    """Mail (docs/channels.md): how it comes in, and the server that takes what goes out."""

    addresses: Annotated[
        tuple[str, ...],
        Field(description="Addresses of the house; answers come from the one that was written to."),
    ] = ()
    inbox: Annotated[
        Literal["smtp", "imap", "off"],
        Field(
            description="smtp: your mail server hands mails for `addresses` to Deskbell. imap: "
            "Deskbell fetches them from a mailbox."
        ),
    ] = "smtp"
    checked_by: Annotated[
        str,
        Field(
            description="Name of your server whose word counts on whether a sender is real "
            "(Authentication-Results, RFC 8601). Empty: nobody's."
        ),
    ] = ""
    smtp_inbox_host: Annotated[Address, Field(description="smtp: address to take mails at.")] = (
        "127.0.0.1"
    )
    smtp_inbox_port: Annotated[
        Port, Field(description="smtp: TCP port to take mails at; 0 takes a free one.")
    ] = 0
    smtp_inbox_certificate: Annotated[
        ReadableFile | None,
        Field(description="smtp: PEM file of certificate and key, for STARTTLS. Unset: without."),
    ] = None
    imap_host: Annotated[str, Field(description="imap: the mailbox's server.")] = ""
    imap_port: Annotated[
        Port, Field(description="imap: its port; 0 is 993 with tls, 143 without.")
    ] = 0
    imap_encryption: Annotated[
        Encryption, Field(description="imap: how the connection is protected.")
    ] = "tls"
    imap_user: Annotated[str, Field(description="imap: the mailbox's user.")] = ""
    imap_password: Annotated[
        SecretStr, Field(description="imap: their password; often an app password.")
    ] = SecretStr("")
    imap_folder: Annotated[str, Field(description="imap: the folder that is watched.")] = "INBOX"
    server: Annotated[
        str, Field(description="SMTP server that takes what goes out. Empty: mails wait.")
    ] = ""
    port: Annotated[
        Port, Field(description="Its port; 0 is 465 with tls, 587 with starttls, 25 without.")
    ] = 0
    encryption: Annotated[
        Encryption, Field(description="How the connection to it is protected.")
    ] = "starttls"
    user: Annotated[str, Field(description="Its user; empty: no sign-in.")] = ""
    password: Annotated[SecretStr, Field(description="That user's password.")] = SecretStr("")

    @field_validator("addresses")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if not re.fullmatch(r"[^@\s<>\"]{1,64}@[A-Za-z0-9.-]{1,250}", address):
                raise ValueError(f"{address!r} is no mail address, such as service@example.com")
        return tuple(address.lower() for address in addresses)

    @field_validator("imap_host", "imap_user")
    @classmethod
    def _imap_needs_it(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("inbox") == "imap" and not value:
            raise ValueError('needed with inbox = "imap"')
        return value


class SmsSettings(Section):
    """SMS (docs/channels.md): who carries it."""

    provider: Annotated[
        Literal["off", "twilio", "smpp"],
        Field(description="off: messages wait in the outbox."),
    ] = "off"
    sender: Annotated[
        str, Field(description="The number that customers see and answer to, in E.164.")
    ] = ""
    twilio_account: Annotated[str, Field(description="twilio: the account's SID, AC….")] = ""
    twilio_token: Annotated[
        SecretStr, Field(description="twilio: its auth token; webhooks are checked with it.")
    ] = SecretStr("")
    twilio_url: Annotated[
        WebAddress, Field(description="twilio: another address of its API. Empty: Twilio's own.")
    ] = ""
    smpp_host: Annotated[str, Field(description="smpp: the message centre's host.")] = ""
    smpp_port: Annotated[Port, Field(description="smpp: its port.")] = 2775
    smpp_user: Annotated[str, Field(description="smpp: system_id.")] = ""
    smpp_password: Annotated[SecretStr, Field(description="smpp: password.")] = SecretStr("")
    price_micros: Annotated[
        int,
        Field(
            ge=0,
            description="Price of a segment in millionths of `currency`, as shown before sending.",
        ),
    ] = 0
    currency: Annotated[
        str, Field(pattern=r"^[A-Z]{3}$", description="That price's currency (ISO 4217).")
    ] = "USD"

    @field_validator("sender")
    @classmethod
    def _is_a_sender(cls, sender: str, info: ValidationInfo) -> str:
        if info.data.get("provider") != "off" and not sender:
            raise ValueError("needed with a provider")
        if sender and not re.fullmatch(r"\+[0-9]{6,15}", sender):
            raise ValueError(f"{sender!r} is no number in E.164, such as +862155550600")
        return sender

    @field_validator("twilio_account", "twilio_token", "smpp_host", "smpp_user")
    @classmethod
    def _its_provider_needs_it(cls, value: Any, info: ValidationInfo) -> Any:
        bare = value.get_secret_value() if isinstance(value, SecretStr) else value
        provider = info.data.get("provider")
        if provider != "off" and str(info.field_name).startswith(f"{provider}_") and not bare:
            raise ValueError(f'needed with provider = "{provider}"')
        return value


class MessengersSettings(Section):
    """Messengers (docs/messengers.md). WhatsApp goes through the Twilio account of [sms]."""

    whatsapp_sender: Annotated[
        str, Field(description="WhatsApp: our number in E.164. Empty: no WhatsApp.")
    ] = ""
    whatsapp_template: Annotated[
        str,
        Field(description="WhatsApp: ContentSid of the template for a first word after 24 hours."),
    ] = ""
    wechat_app_id: Annotated[
        str, Field(description="WeChat: the official account's AppID. Empty: no WeChat.")
    ] = ""
    wechat_secret: Annotated[SecretStr, Field(description="WeChat: its AppSecret.")] = SecretStr("")
    wechat_token: Annotated[
        SecretStr, Field(description="WeChat: the token that its webhook is signed with.")
    ] = SecretStr("")
    wechat_url: Annotated[
        WebAddress, Field(description="WeChat: another address of its API. Empty: its own.")
    ] = ""


class ChatSettings(Section):
    """The chat on the shop's site (docs/chat.md)."""

    sites: Annotated[
        tuple[str, ...],
        Field(
            description="Sites whose pages may open a chat, such as https://www.example.com. "
            "Empty: no chat but on our own pages."
        ),
    ] = ()
    demo_shop: Annotated[
        bool, Field(description="Show the sample shop page with the chat, at /demo/shop.")
    ] = False

    @field_validator("sites")
    @classmethod
    def _are_origins(cls, sites: tuple[str, ...]) -> tuple[str, ...]:
        for site in sites:
            parts = urlsplit(site)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path:
                raise ValueError(f"{site!r} is no site, such as https://www.example.com")
        return tuple(site.lower() for site in sites)


class HallSettings(Section):
    """The customers' own pages (docs/hall.md)."""

    open: Annotated[bool, Field(description="Whether there is a hall, at /hall.")] = True
    session_days: Annotated[
        float, Field(gt=0, le=365, description="Days until a customer's sign-in ends by itself.")
    ] = 30.0


class FaxSettings(Section):
    """Fax: what other machines are told of ours, and the line that it goes out by."""

    station: Annotated[
        str,
        Field(
            pattern=r"^[+0-9 ]{0,20}$",
            description="Our fax number, as the other machine shows it.",
        ),
    ] = ""
    header: Annotated[
        str, Field(max_length=50, description="Printed on top of each page. Empty: the house.")
    ] = ""
    t38: Annotated[
        bool, Field(description="Offer T.38 (fax over IP); G.711 is what remains otherwise.")
    ] = True
