"""What a mail server says of a mail of ours: it came back (RFC 3464), or its reader complained
(RFC 5965).

Owns reading such reports and what follows from them: the outbox's row has failed, the address is in
trouble. Anybody can send a report, so it counts only for a mail of ours that it names by its
Message-ID, which nobody can guess, and only for the address that this mail went to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from channels.mail import mail_headers
from channels.mail.parsing import read_message
from crm_store import audit
from crm_store.contacts import outbox, sending
from crm_store.database import Transaction
from crm_store.models import (
    Channel,
    ContactKind,
    MessageState,
    OutboxMessage,
)
from crm_store.models import (
    Message as StoredMessage,
)
from crm_store.people import preferences
from crm_store.people.preferences import Subject, Trouble

_MOST_PARTS = 50
# The address or its domain does not exist or takes no mail (RFC 3463).
_NO_SUCH_ADDRESS = re.compile(r"5\.(1\.\d+|0\.0|2\.1|4\.4)$")
_CODE = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_REFUSED = re.compile(r"\b(550|551|553)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is said of a mail. `is_final` is False while its server still tries; `no_such_address`
    says that the address will never take any."""

    is_complaint: bool
    message_ids: tuple[str, ...]
    is_final: bool = True
    no_such_address: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """The mail of ours that a report is about."""

    outbox_id: int
    recipient: str
    conversation_id: int | None


def read(raw: bytes) -> Report | None:
    """The report in a mail; None if there is none that names a mail. Never raises."""
    try:
        return _read(read_message(raw))
    except Exception:
        # As with parsing.parse: whatever is in it, the mail itself is kept.
        return None


def _read(message: Message) -> Report | None:
    parts = [part for part, _ in zip(message.walk(), range(_MOST_PARTS), strict=False)]
    kinds = {part.get_content_type(): part for part in reversed(parts)}
    named: list[str] = []
    for part in parts[1:]:
        if part.get_content_type() == "text/rfc822-headers":
            content = part.get_payload(decode=True)
            part = read_message(content if isinstance(content, bytes) else b"")  # noqa: PLW2901
        if found := mail_headers.message_id(part):
            named.append(found)
    named += mail_headers.answered_ids(message)
    if not named:
        return None
    ids = tuple(dict.fromkeys(named))[: mail_headers.MOST_REFERENCES]
    if "message/feedback-report" in kinds:
        return Report(is_complaint=True, message_ids=ids, why="complaint")
    status = _delivery_status(kinds.get("message/delivery-status"))
    if status is None:
        # Servers that write in prose: what they wrote is searched for the usual codes.
        first = next((part for part in parts if part.get_content_type() == "text/plain"), None)
        content = first.get_payload(decode=True) if first is not None else b""
        prose = content[:20_000].decode("utf-8", "replace") if isinstance(content, bytes) else ""
        code = _CODE.search(prose)
        return Report(
            is_complaint=False,
            message_ids=ids,
            is_final=not (code and code[1].startswith(("2", "4"))),
            no_such_address=bool(code and _NO_SUCH_ADDRESS.match(code[1]))
            or (code is None and bool(_REFUSED.search(prose))),
            why=code[1] if code else "",
        )
    action, code_text, why = status
    return Report(
        is_complaint=False,
        message_ids=ids,
        is_final=action == "failed",
        no_such_address=action == "failed" and bool(_NO_SUCH_ADDRESS.match(code_text)),
        why=why or code_text,
    )


def _delivery_status(part: Message | None) -> tuple[str, str, str] | None:
    """Action, status and diagnostic of the first recipient who is spoken of."""
    blocks = part.get_payload() if part is not None and part.is_multipart() else []
    for block in blocks if isinstance(blocks, list) else []:
        if not isinstance(block, Message):
            continue
        action = mail_headers.value(block, "Action").lower().partition(" ")[0]
        status = _CODE.search(mail_headers.value(block, "Status"))
        if action:
            why = mail_headers.value(block, "Diagnostic-Code")[: outbox.LONGEST_ERROR]
            return action, status[1] if status else "", why
    return None


async def find(session: AsyncSession, report: Report) -> Reported | None:
    """The mail of ours that the report names; None if we sent none of those."""
    row = (
        await session.execute(
            select(OutboxMessage.id, OutboxMessage.recipient, StoredMessage.conversation_id)
            .join(StoredMessage, StoredMessage.id == OutboxMessage.message_id, isouter=True)
            .where(
                OutboxMessage.channel == Channel.MAIL,
                or_(
                    OutboxMessage.provider_id.in_(report.message_ids),
                    OutboxMessage.message_id.in_(
                        select(StoredMessage.id).where(
                            StoredMessage.message_id.in_(report.message_ids),
                            StoredMessage.external_key.startswith("ours:"),
                        )
                    ),
                ),
            )
            .order_by(OutboxMessage.id.desc())
            .limit(1)
        )
    ).one_or_none()
    return Reported(row.id, row.recipient, row.conversation_id) if row else None


async def apply(transaction: Transaction, report: Report) -> Reported | None:
    """Write down what follows from a report; the same again changes nothing more."""
    reported = await find(transaction.session, report)
    if reported is None:
        return None
    if report.is_complaint:
        await preferences.mark_trouble(
            transaction, ContactKind.MAIL, reported.recipient, Trouble.COMPLAINED
        )
        await preferences.opt_out(
            transaction,
            Channel.MAIL,
            reported.recipient,
            subject=Subject.PROMOTIONS,
            by=audit.SYSTEM,
            reason="complaint",
        )
    elif report.is_final:
        await sending.delivery(
            transaction,
            state=MessageState.FAILED,
            outbox_id=reported.outbox_id,
            error=report.why or "returned",
        )
        if report.no_such_address:
            await preferences.mark_trouble(
                transaction, ContactKind.MAIL, reported.recipient, Trouble.BOUNCED
            )
    return reported
