"""What may be written to whom: preferences, opt-outs, and addresses that are in trouble.

Owns the answer to "may this person be told of this, there" with its reason. An opt-out belongs to
an address, whoever has it; a preference to a customer. An answer to what somebody wrote asks
nobody. Sends nothing, and knows no words like STOP: the channels do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.facts import CustomerChanged
from crm_store.models import Channel, ContactKind, ContactPoint, OptOut, Preference


class Subject(StrEnum):
    """What customers are told of by themselves."""

    ORDERS = "orders"
    POINTS = "points"
    PROMOTIONS = "promotions"
    CARE = "care"
    SURVEYS = "surveys"


class Trouble(StrEnum):
    """Why an address is written to no more."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    INVALID = "invalid"


ASKED_FIRST = frozenset({Subject.PROMOTIONS})
"""Of these only those are told who said so; of the others all who did not say otherwise."""

REACHED_AT = {
    Channel.MAIL: ContactKind.MAIL,
    Channel.SMS: ContactKind.PHONE,
    Channel.PHONE: ContactKind.PHONE,
    Channel.FAX: ContactKind.FAX,
    Channel.MESSENGER: ContactKind.MESSENGER,
}
"""What kind of contact point a channel writes to."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it may be written, and why not: "opted_out", "preference", "not_asked" (nobody said
    that they want such things) or a Trouble's value."""

    allowed: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class OptOutRecord:
    """An address that wants nothing more; `subject` "" is nothing at all."""

    channel: Channel
    address: str
    subject: str
    at: datetime
    by: str
    reason: str


# ---- the answer ----------------------------------------------------------------------------------


async def may_write(
    database: Database,
    customer_id: int | None,
    channel: Channel,
    address: str,
    subject: Subject | None = None,
) -> Verdict:
    """Whether this address may be told of this subject; without one, whether of anything at all."""
    async with database.reading() as session:
        return await may_write_in(session, customer_id, channel, address, subject)


async def may_write_in(
    session: AsyncSession,
    customer_id: int | None,
    channel: Channel,
    address: str,
    subject: Subject | None = None,
) -> Verdict:
    """The same in a transaction of the caller's."""
    subjects = ["", *([subject.value] if subject else [])]
    opted_out = await session.scalar(
        select(OptOut.id)
        .where(OptOut.channel == channel, OptOut.address == address)
        .where(OptOut.subject.in_(subjects))
        .limit(1)
    )
    if opted_out is not None:
        return Verdict(False, "opted_out")
    kind = REACHED_AT.get(channel)
    if kind is not None:
        trouble = await session.scalar(
            select(ContactPoint.trouble)
            .where(
                ContactPoint.kind == kind,
                ContactPoint.value == address,
                ContactPoint.trouble != "",
            )
            .limit(1)
        )
        if trouble:
            return Verdict(False, trouble)
    if subject is None:
        return Verdict(True)
    said = None
    if customer_id is not None:
        said = await session.scalar(
            select(Preference.allowed).where(
                Preference.customer_id == customer_id,
                Preference.subject == subject.value,
                Preference.channel == channel,
            )
        )
    if said is None:
        return Verdict(False, "not_asked") if subject in ASKED_FIRST else Verdict(True)
    return Verdict(True) if said else Verdict(False, "preference")


# ---- preferences ---------------------------------------------------------------------------------


async def of_customer(database: Database, customer_id: int) -> dict[tuple[Subject, Channel], bool]:
    """What the customer has said; what is not here they have not."""
    query = select(Preference).where(Preference.customer_id == customer_id)
    known = {subject.value for subject in Subject}
    async with database.reading() as session:
        return {
            (Subject(row.subject), row.channel): row.allowed
            for row in await session.scalars(query)
            if row.subject in known
        }


async def prefer(
    transaction: Transaction,
    customer_id: int,
    subject: Subject,
    channel: Channel,
    allowed: bool,
    *,
    by: str,
) -> bool:
    """Keep what the customer wants; `by` is who wrote it (a login, "customer"). False if it was
    known."""
    session = transaction.session
    known = await session.scalar(
        select(Preference.allowed).where(
            Preference.customer_id == customer_id,
            Preference.subject == subject.value,
            Preference.channel == channel,
        )
    )
    if known is allowed:
        return False
    make = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    said = {"allowed": allowed, "changed_at": datetime.now(UTC), "by": by}
    await session.execute(
        make(Preference)
        .values(customer_id=customer_id, subject=subject.value, channel=channel, **said)
        .on_conflict_do_update(index_elements=["customer_id", "subject", "channel"], set_=said)
    )
    await _tell(transaction, customer_id, "preferences", by)
    return True


# ---- opt-outs ------------------------------------------------------------------------------------


async def opt_out(
    transaction: Transaction,
    channel: Channel,
    address: str,
    *,
    subject: Subject | None = None,
    by: str,
    reason: str = "",
) -> bool:
    """This address wants nothing more of the subject, or nothing at all. False if that is known."""
    session = transaction.session
    make = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    written = await session.scalar(
        make(OptOut)
        .values(
            channel=channel,
            address=address,
            subject=subject.value if subject else "",
            at=datetime.now(UTC),
            by=by,
            reason=reason[:200],
        )
        .on_conflict_do_nothing(index_elements=["channel", "address", "subject"])
        .returning(OptOut.id)
    )
    if written is None:
        return False
    await _record_opt_out(transaction, written, "opted out", by, channel)
    return True


async def opt_in(
    transaction: Transaction,
    channel: Channel,
    address: str,
    *,
    subject: Subject | None = None,
    by: str,
) -> bool:
    """This address may be written to again; without a subject, of everything. False if it might."""
    gone = delete(OptOut).where(OptOut.channel == channel, OptOut.address == address)
    if subject is not None:
        gone = gone.where(OptOut.subject == subject.value)
    ids = list(await transaction.session.scalars(gone.returning(OptOut.id)))
    for row_id in ids:
        await _record_opt_out(transaction, row_id, "opted in", by, channel)
    return bool(ids)


async def opt_outs_of(database: Database, channel: Channel, address: str) -> list[OptOutRecord]:
    """What this address wants no more."""
    query = (
        select(OptOut)
        .where(OptOut.channel == channel, OptOut.address == address)
        .order_by(OptOut.subject)
    )
    async with database.reading() as session:
        return [
            OptOutRecord(row.channel, row.address, row.subject, row.at, row.by, row.reason)
            for row in await session.scalars(query)
        ]


async def opted_out(
    session: AsyncSession, channel: Channel, addresses: Iterable[str]
) -> dict[str, frozenset[str]]:
    """What each of these addresses wants no more: subjects, "" for everything. Those that never
    said so are left out."""
    rows = await session.execute(
        select(OptOut.address, OptOut.subject).where(
            OptOut.channel == channel, OptOut.address.in_(list(addresses))
        )
    )
    found: dict[str, frozenset[str]] = {}
    for row in rows:
        found[row.address] = found.get(row.address, frozenset()) | {row.subject}
    return found


# ---- addresses in trouble ------------------------------------------------------------------------


async def mark_trouble(
    transaction: Transaction,
    kind: ContactKind,
    value: str,
    trouble: Trouble,
    *,
    at: datetime | None = None,
) -> list[int]:
    """Nobody is to be reached there, as its server said; whose address it is."""
    return await _mark(transaction, kind, value, trouble.value, at or datetime.now(UTC))


async def clear_trouble(
    transaction: Transaction, kind: ContactKind, value: str, *, actor: str = audit.SYSTEM
) -> list[int]:
    """They wrote from there, or a person knows better; whose address it is."""
    return await _mark(transaction, kind, value, "", None, actor=actor)


async def _mark(
    transaction: Transaction,
    kind: ContactKind,
    value: str,
    trouble: str,
    at: datetime | None,
    *,
    actor: str = audit.SYSTEM,
) -> list[int]:
    rows = await transaction.session.scalars(
        update(ContactPoint)
        .where(
            ContactPoint.kind == kind,
            ContactPoint.value == value,
            ContactPoint.trouble != trouble,
        )
        .values(trouble=trouble, trouble_at=at)
        .returning(ContactPoint.customer_id)
    )
    owners = sorted(set(rows))
    for customer_id in owners:
        await _tell(transaction, customer_id, "contact_points", actor)
    return owners


async def _tell(transaction: Transaction, customer_id: int, field: str, by: str) -> None:
    await audit.record(
        transaction,
        actor=by,
        action="changed",
        subject_kind="customer",
        subject_id=customer_id,
        fields=[field],
    )
    await transaction.emit(CustomerChanged(customer_id=customer_id, fields=[field]))


async def _record_opt_out(
    transaction: Transaction, row_id: int, action: str, by: str, channel: Channel
) -> None:
    await audit.record(
        transaction,
        actor=by,
        action=action,
        subject_kind="opt_out",
        subject_id=row_id,
        fields=[channel.value],
    )
