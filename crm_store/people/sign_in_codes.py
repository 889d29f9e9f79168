"""Codes that are sent to a telephone or a mail address, to prove that somebody reads it.

Owns that a code is six digits drawn by chance, worth ten minutes, five tries and one use; that only
the newest for an address counts; and how many are made. Keeps a digest, never the code. Knows
nothing of who the customer is, and sends nothing: the outbox does, as a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, insert, select, update

from crm_store.database import Transaction
from crm_store.models import ContactKind, SignInCode
from crm_store.phone_menus import guesses
from crm_store.phone_menus.guesses import GuessKind

LASTS = timedelta(minutes=10)
MOST_TRIES = 5
DIGITS = 6


class CodePurpose(StrEnum):
    """What a code is good for: signing in to the hall, or proving that an address is theirs."""

    HALL = "hall"
    PROOF = "proof"


async def make(
    transaction: Transaction,
    kind: ContactKind,
    value: str,
    purpose: CodePurpose,
    *,
    client_address: str,
    now: datetime | None = None,
) -> str | None:
    """A new code for this address (as contact_points has it); the former ones count no more.

    None if there were three within the hour, ten within the day, or too many from this client. The
    transaction must be committed in any case, for it counts.
    """
    moment = now or datetime.now(UTC)
    subject = f"{kind.value}:{value}"
    counted = [
        await guesses.allowed_in(transaction, GuessKind.CLIENT_CODES, client_address, now=moment),
        await guesses.allowed_in(transaction, GuessKind.ADDRESS_CODES, subject, now=moment),
        await guesses.allowed_in(transaction, GuessKind.ADDRESS_CODES_DAY, subject, now=moment),
    ]
    if not all(counted):
        return None
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    session = transaction.session
    await session.execute(
        update(SignInCode)
        .where(SignInCode.kind == kind, SignInCode.value == value)
        .where(SignInCode.purpose == purpose.value, SignInCode.used_at.is_(None))
        .values(used_at=moment)
    )
    await session.execute(
        insert(SignInCode).values(
            kind=kind,
            value=value,
            code_hash=_digest(kind, value, purpose, code),
            purpose=purpose.value,
            expires_at=moment + LASTS,
            created_at=moment,
        )
    )
    return code


async def check(
    transaction: Transaction,
    kind: ContactKind,
    value: str,
    purpose: CodePurpose,
    typed: str,
    *,
    client_address: str,
    now: datetime | None = None,
) -> bool:
    """Whether that is the address's code; it is used up then.

    Counts the try before it compares, so the transaction must be committed in any case.
    """
    moment = now or datetime.now(UTC)
    if not await guesses.allowed_in(
        transaction, GuessKind.CLIENT_CODE_TRIES, client_address, now=moment
    ):
        return False
    session = transaction.session
    newest = (
        select(SignInCode.id)
        .where(SignInCode.kind == kind, SignInCode.value == value)
        .where(SignInCode.purpose == purpose.value, SignInCode.used_at.is_(None))
        .where(SignInCode.expires_at > moment, SignInCode.tries < MOST_TRIES)
        .order_by(SignInCode.created_at.desc(), SignInCode.id.desc())
        .limit(1)
        .with_for_update()
    )
    row_id = await session.scalar(newest)
    if row_id is None:
        return False
    kept = await session.scalar(
        update(SignInCode)
        .where(SignInCode.id == row_id, SignInCode.tries < MOST_TRIES)
        .values(tries=SignInCode.tries + 1)
        .returning(SignInCode.code_hash)
    )
    digits = plain_digits(typed)
    if kept is None or not hmac.compare_digest(kept, _digest(kind, value, purpose, digits)):
        return False
    used = await session.scalar(
        update(SignInCode)
        .where(SignInCode.id == row_id, SignInCode.used_at.is_(None))
        .values(used_at=moment)
        .returning(SignInCode.id)
    )
    if used is not None:
        await guesses.succeeded(transaction, GuessKind.CLIENT_CODE_TRIES, client_address)
    return used is not None


def plain_digits(typed: str) -> str:
    """What was typed as ASCII digits alone, in whatever script, with or without spaces."""
    plain = re.sub(r"[\s\-\u200e\u200f]", "", typed[:40])
    return "".join(str(int(one)) if one.isdecimal() else one for one in plain)


async def forget_old(transaction: Transaction, *, now: datetime | None = None) -> int:
    """Delete codes that are worth nothing any more; how many."""
    moment = now or datetime.now(UTC)
    gone = await transaction.session.execute(
        delete(SignInCode).where(SignInCode.expires_at <= moment).returning(SignInCode.id)
    )
    return len(gone.all())


def _digest(kind: ContactKind, value: str, purpose: CodePurpose, code: str) -> str:
    return hashlib.sha256(f"{purpose.value}\n{kind.value}\n{value}\n{code}".encode()).hexdigest()
