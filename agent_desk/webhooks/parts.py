"""What the providers' routes are given. Where a provider is None, its addresses do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from channels.messengers.wechat import WeChatWebhook
from channels.sms.twilio_webhooks import TwilioWebhooks
from crm_store.people.signed_links import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookParts:
    """`attachments_folder` and `signer` are for files that a provider fetches from us."""

    twilio: TwilioWebhooks | None = None
    wechat: WeChatWebhook | None = None
    signer: Signer | None = None
    attachments_folder: Path | None = None
