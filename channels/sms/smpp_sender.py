"""SMS by SMPP: the outbox's messages to a message centre, customers' messages and receipts from it.

Owns what each of the centre's answers means for a message, the parts of long messages until they
are whole, and that a message which the centre says twice is one. The link is smpp_link.py's.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from smpplib import consts
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import SQLAlchemyError

from channels.incoming import Incoming
from channels.senders import Accepted, NotNow, Outgoing, Refused
from channels.sms.segments import Price, plain, split
from channels.sms.smpp_link import (
    ALPHANUMERIC,
    Delivery,
    LinkDown,
    MessageCentre,
    SmppLink,
    Submission,
    SubmitRefused,
)
from channels.sms.smpp_messages import (
    HAS_HEADER,
    Place,
    Receipt,
    coding_of,
    contents_of,
    part_in,
    receipt_in,
    text_of,
)
from crm_store.contacts import sending
from crm_store.database import Database, Transaction
from crm_store.models import Channel, Conversation, Message, SmsPart
from crm_store.people.phone_numbers import to_e164

log = logging.getLogger(__name__)

BUSY = {consts.SMPP_ESME_RTHROTTLED, consts.SMPP_ESME_RMSGQFUL}
PASSING = {consts.SMPP_ESME_RSYSERR, consts.SMPP_ESME_RINVBNDSTS, consts.SMPP_ESME_RSUBMITFAIL}
BUSY_WAIT_S = 2.0
PASSING_WAIT_S = 60.0
BUSY_TRIES = 5
"""So often the next part of a message is tried whose first part the centre has taken."""

FRESH_IDS = 1_000
QUICK_RECEIPT_WAIT_S = 0.1
QUICK_RECEIPT_TRIES = 50

PARTS_WAIT = timedelta(hours=1)
"""A long message is shown without the parts that have not come by then."""

SAID_AGAIN = timedelta(minutes=10)
"""What a centre sent so shortly before a bind and sends again after it, it had no answer for."""


class SmppSms:
    """SMS from `sender` (E.164 or a name of up to 11 letters). `receive` is the inbox's. It sends
    and receives while `run` runs."""

    channel = Channel.SMS
    recognises_repeats = False

    def __init__(
        self,
        database: Database,
        receive: Callable[[Incoming], Awaitable[object]],
        centre: MessageCentre,
        *,
        sender: str,
        region: str,
        price: Price | None = None,
        at_once: int = 10,
    ) -> None:
        self.at_once = at_once
        self._database = database
        self._receive = receive
        self._sender = sender
        self._region = region
        self._price = price
        self._link = SmppLink(centre, self._deliver)
        # Ids whose rows may not have them yet, the oldest first.
        self._fresh: dict[str, None] = {}

    @property
    def bound(self) -> asyncio.Event:
        return self._link.bound

    async def run(self) -> None:
        """Keep the link, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run(), name="smpp link")
            group.create_task(self._give_up_parts(), name="smpp parts")

    async def close(self) -> None:
        await self._link.unbind()

    async def send(self, message: Outgoing) -> Accepted:
        if message.files:
            raise Refused("an SMS carries no files")
        segments = split(plain(message.text))
        contents = contents_of(segments, secrets.randbelow(256))
        message_id = ""
        for number, content in enumerate(contents, start=1):
            submission = Submission(
                source=(message.our_address or self._sender).removeprefix("+"),
                destination=message.to.removeprefix("+"),
                content=content,
                data_coding=coding_of(segments.alphabet),
                esm_class=HAS_HEADER if len(contents) > 1 else 0,
                # A row has one receipt: that of the last part, before which the others have gone.
                wants_receipt=number == len(contents),
            )
            message_id = await self._submit(submission, is_first=number == 1)
        self._fresh[message_id] = None
        if len(self._fresh) > FRESH_IDS:
            del self._fresh[next(iter(self._fresh))]
        return Accepted(
            provider_id=message_id,
            segments=segments.count,
            cost_micros=self._price.of(segments) if self._price else None,
            cost_currency=self._price.currency if self._price else "",
        )

    async def _submit(self, submission: Submission, *, is_first: bool) -> str:
        """Raises NotNow or Refused only for a first part: of a message that has begun to go out,
        nobody can say that nothing was accepted."""
        for _ in range(BUSY_TRIES):
            try:
                return await self._link.submit(submission)
            except LinkDown as error:
                if is_first and not error.was_written:
                    raise NotNow(5.0, str(error)) from None
                raise
            except SubmitRefused as error:
                if is_first:
                    raise _meaning_of(error) from None
                if error.status not in BUSY:
                    raise
            await asyncio.sleep(BUSY_WAIT_S)
        raise SubmitRefused(consts.SMPP_ESME_RTHROTTLED)

    async def _deliver(self, delivery: Delivery) -> None:
        """What the centre hears "ok" for when this returns."""
        receipt = receipt_in(delivery)
        if receipt is not None:
            await self._keep_receipt(receipt)
            return
        content, place = part_in(delivery)
        if place is None:
            await self._keep_message(delivery, content)
        else:
            await self._keep_part(delivery, content, place)

    async def _keep_receipt(self, receipt: Receipt) -> None:
        """Raises LookupError where the row does not have its id yet: the centre says it again."""
        if receipt.state is None or not receipt.message_id:
            return
        spellings = _spellings(receipt.message_id)
        is_fresh = any(spelling in self._fresh for spelling in spellings)
        for _ in range(QUICK_RECEIPT_TRIES if is_fresh else 1):
            for provider_id in spellings:
                async with self._database.transaction() as transaction:
                    if await sending.delivery(
                        transaction,
                        state=receipt.state,
                        provider_id=provider_id,
                        error=f"SMPP: {receipt.error}",
                    ):
                        self._fresh.pop(provider_id, None)
                        return
            await asyncio.sleep(QUICK_RECEIPT_WAIT_S if is_fresh else 0)
        if is_fresh:
            raise LookupError("the receipt is quicker than what it is for")
        log.info("a receipt came for a message that is not known")

    async def _keep_message(self, delivery: Delivery, content: bytes) -> None:
        text = text_of(content, delivery.data_coding)
        sender = self._address(delivery)
        digest = hashlib.sha256(
            b"\0".join((delivery.destination.encode(), bytes([delivery.data_coding]), content))
        ).hexdigest()[:32]
        prefix = f"smpp {sender} {digest} "
        if await self._is_said_again(sender, prefix):
            return
        await self._receive(
            self._incoming(
                external_key=prefix + secrets.token_hex(8),
                sender=sender,
                our_address=delivery.destination,
                text=text,
            )
        )

    async def _is_said_again(self, sender: str, prefix: str) -> bool:
        """Whether we had this shortly before the link was lost: the centre gives customers'
        messages no names, and says again what it heard no answer for."""
        now = datetime.now(UTC)
        if now - self._link.bound_at > SAID_AGAIN:
            return False
        query = (
            select(Message.id)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(
                Conversation.channel == Channel.SMS,
                Conversation.address == sender,
                Message.at >= self._link.bound_at - SAID_AGAIN,
                Message.at < self._link.bound_at,
                Message.external_key.startswith(prefix, autoescape=True),
            )
            .limit(1)
        )
        async with self._database.reading() as session:
            return await session.scalar(query) is not None

    async def _keep_part(self, delivery: Delivery, content: bytes, place: Place) -> None:
        sender = self._address(delivery)
        part = {
            "sender": sender,
            "our_address": delivery.destination[:40],
            "reference": place.reference,
            "total": place.total,
            "number": place.number,
            "data_coding": delivery.data_coding,
            "content": content.hex(),
            "at": datetime.now(UTC),
        }
        insert = sqlite_insert if self._database.is_sqlite else postgresql_insert
        async with self._database.transaction() as transaction:
            former = await _parts_like(transaction, sender, delivery.destination[:40], place)
        if any(p.number == place.number and p.content != part["content"] for p in former):
            # The reference is used again: the earlier message will not become whole.
            await self._join(former, _missing(former))
        async with self._database.transaction() as transaction:
            await transaction.session.execute(insert(SmsPart).values(part).on_conflict_do_nothing())
            parts = await _parts_like(transaction, sender, delivery.destination[:40], place)
        if len(parts) == place.total:
            await self._join(parts, ())

    async def _join(self, parts: list[SmsPart], problems: tuple[str, ...]) -> None:
        """One message of these parts. Its key is made of the moment at which the first one came, so
        that a repetition after a kill is found."""
        first = parts[0]
        texts = [text_of(bytes.fromhex(part.content), part.data_coding) for part in parts]
        if len({part.data_coding for part in parts}) == 1:
            # A letter of four bytes may have been cut in two.
            joined = b"".join(bytes.fromhex(part.content) for part in parts)
            texts = [text_of(joined, first.data_coding)]
        whole = None if None in texts else "".join(text or "" for text in texts)
        await self._receive(
            self._incoming(
                external_key=f"smpp {first.sender} {first.reference} of {first.total} "
                f"{min(part.at for part in parts).isoformat()}",
                sender=first.sender,
                our_address=first.our_address,
                text=whole,
                problems=problems,
            )
        )
        async with self._database.transaction() as transaction:
            await transaction.session.execute(
                delete(SmsPart).where(SmsPart.id.in_([part.id for part in parts]))
            )

    async def _give_up_parts(self) -> None:
        while True:
            await asyncio.sleep(PARTS_WAIT.total_seconds() / 4)
            try:
                await self.show_late_parts(datetime.now(UTC) - PARTS_WAIT)
            except (OSError, SQLAlchemyError) as error:
                log.warning("parts of messages cannot be read yet: %s", type(error).__name__)

    async def show_late_parts(self, before: datetime) -> None:
        """Give the inbox what there is of long messages whose other parts have not come."""
        query = select(SmsPart).where(SmsPart.at < before).order_by(SmsPart.id).limit(200)
        async with self._database.reading() as session:
            late = list(await session.scalars(query))
        for key in dict.fromkeys((p.sender, p.our_address, p.reference, p.total) for p in late):
            async with self._database.transaction() as transaction:
                parts = await _parts_like(transaction, key[0], key[1], Place(key[2], key[3], 1))
            await self._join(parts, _missing(parts))

    def _incoming(
        self,
        *,
        external_key: str,
        sender: str,
        our_address: str,
        text: str | None,
        problems: tuple[str, ...] = (),
    ) -> Incoming:
        if text is None:
            problems += ("it is no text that can be shown",)
        return Incoming(
            channel=Channel.SMS,
            external_key=external_key,
            sender=sender,
            our_address=to_e164("+" + our_address.removeprefix("+"), self._region) or our_address,
            text=(text or "").replace("\0", ""),
            received_at=datetime.now(UTC),
            problems=problems,
            automatic="" if sender.startswith("+") else "list",
        )

    def _address(self, delivery: Delivery) -> str:
        """Who wrote: E.164, or a name or short number as the network has it, which no person can
        answer to."""
        source = "".join(filter(str.isprintable, delivery.source)).strip()[:40]
        if delivery.source_ton == ALPHANUMERIC:
            return source or "?"
        international = "+" + source.removeprefix("+")
        return to_e164(international, "ZZ") or to_e164(source, self._region) or source or "?"


def _missing(parts: list[SmsPart]) -> tuple[str, ...]:
    return (f"only {len(parts)} of {parts[0].total} parts have arrived",)


async def _parts_like(
    transaction: Transaction, sender: str, our_address: str, place: Place
) -> list[SmsPart]:
    parts = await transaction.session.scalars(
        select(SmsPart)
        .where(
            SmsPart.sender == sender,
            SmsPart.our_address == our_address,
            SmsPart.reference == place.reference,
            SmsPart.total == place.total,
        )
        .order_by(SmsPart.number)
    )
    return list(parts)


def _meaning_of(error: SubmitRefused) -> Exception:
    if error.status in BUSY:
        return NotNow(BUSY_WAIT_S, str(error))
    if error.status in PASSING:
        return NotNow(PASSING_WAIT_S, str(error))
    return Refused(str(error), bad_address=error.status == consts.SMPP_ESME_RINVDSTADR)


def _spellings(message_id: str) -> list[str]:
    """The id as it stands, and as centres also write it: hexadecimal when they take a message and
    decimal in its receipt."""
    spellings = [message_id]
    if message_id.isascii() and message_id.isdigit() and len(message_id) <= 20:
        number = format(int(message_id), "x")
        spellings += [number, number.upper(), number.zfill(8), number.upper().zfill(8)]
    return list(dict.fromkeys(spellings))
