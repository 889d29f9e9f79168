"""The carrier: one channel's way out of the outbox.

Owns the order of things: a message is "sending" in the store before a byte of it leaves, and what
became of it is written after, many in one transaction. What is promised at the last moment is kept
here too: no promotion to whoever has just opted out, no code that is too old to be of use. Refuses
to know how a channel sends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from channels.attachments import AttachmentFiles
from channels.senders import (
    Accepted,
    NotNow,
    Outgoing,
    OutgoingFile,
    Refused,
    Sender,
    mail_message_id,
)
from crm_store.contacts import attachments, sending
from crm_store.contacts.attachments import FileRecord
from crm_store.contacts.outbox import OutboxRecord
from crm_store.contacts.sending import AcceptedMessage
from crm_store.database import Database, Transaction, is_away
from crm_store.models import Agent, Channel, Message, Purpose
from crm_store.people import preferences
from crm_store.people.preferences import REACHED_AT, Subject, Trouble

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Figures:
    """What one channel has done since the start, and what it does now."""

    accepted: int = 0
    refused: int = 0
    put_off: int = 0
    unsure: int = 0
    not_wanted: int = 0
    repeated: int = 0
    sending: int = 0


# Where this many are free, a turn is worth it; else it waits so long for more to be done.
LINGER_S = 0.005
LOOK_BACK_S = 5.0
AFTER_UNSURE_S = 20.0
LONGEST_WAIT_S = 3600.0
TRIED_FOR = timedelta(days=2)
CODE_TRIED_FOR = timedelta(minutes=10)
"""A code is no use later."""

# What is written to people who did not ask for it, and the opt-outs that keep it back.
_NOT_ASKED_FOR = {
    Purpose.PROMOTION: frozenset({"", Subject.PROMOTIONS.value}),
    Purpose.NOTICE: frozenset({""}),
}
OPTED_OUT = "opted_out"
NO_FILE = "no_file"


@dataclass(frozen=True, slots=True)
class _Outcome:
    row: OutboxRecord
    result: Accepted | NotNow | Refused | str
    """A text: nobody knows, and that is why."""


class Carrier:
    """One channel's loop: in each turn, one transaction writes what became of messages and claims
    as many as can be sent this moment, and no more, so that a kill leaves few in doubt."""

    def __init__(
        self,
        database: Database,
        files: AttachmentFiles,
        sender: Sender,
        figures: Figures,
        *,
        channel: Channel,
        worker: str,
        lease_s: float,
        longest_send_s: float,
        poll_s: float,
        longest_stop_s: float,
    ) -> None:
        self.channel = channel
        self.wake = asyncio.Event()
        self._database = database
        self._files = files
        self._sender = sender
        self._figures = figures
        self._worker = worker
        self._lease_s = lease_s
        self._longest_send_s = longest_send_s
        self._poll_s = poll_s
        self._longest_stop_s = longest_stop_s
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._outcomes: list[_Outcome] = []
        self._may_be_more = True
        self._put_off_in_a_row = 0
        self._paused_until = 0.0
        self._look_back_at = 0.0
        self._prolong_at = 0.0

    async def run(self) -> None:
        try:
            while True:
                self.wake.clear()
                try:
                    wait_s = await self._turn()
                except Exception as error:
                    # Whatever it is, what waits must go on as soon as it has passed.
                    if is_away(error):
                        log.warning("the outbox cannot be read yet: %s", type(error).__name__)
                    else:
                        log.exception("a turn of the outbox failed")
                    wait_s = self._poll_s
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self.wake.wait()
        finally:
            await self._stop()

    async def _turn(self) -> float:
        """Seconds to wait before the next one, if nothing wakes it."""
        half = max(1, self._sender.at_once // 2)
        if self._sending and len(self._outcomes) < half:
            await asyncio.sleep(LINGER_S)
        now = asyncio.get_running_loop().time()
        free = self._sender.at_once - len(self._sending) if now >= self._paused_until else 0
        if not self._outcomes and now < self._prolong_at and not await self._is_due(free):
            return min(self._poll_s, max(0.0, self._prolong_at - now))
        outcomes, self._outcomes = self._outcomes, []
        try:
            async with self._database.transaction() as transaction:
                await self._write(transaction, outcomes)
                await self._hold_on(transaction, now)
                rows = await self._claim(transaction, free)
                ready = await self._ready(transaction, rows)
        except BaseException:
            # What became of them is not forgotten, only not written yet.
            self._outcomes = outcomes + self._outcomes
            raise
        self._count(outcomes)
        for row, message in ready:
            self._sending[row.id] = asyncio.create_task(self._send(row, message))
        self._figures.sending = len(self._sending)
        self._may_be_more = len(rows) == free > 0
        return self._poll_s if not self._may_be_more or self._sending else 0.0

    async def _is_due(self, free: int) -> bool:
        if free <= 0:
            return False
        if self._may_be_more:
            return True
        due = await sending.next_due(self._database, self.channel)
        return due is not None and due <= datetime.now(UTC)

    async def _hold_on(self, transaction: Transaction, now: float) -> None:
        """Keep what is still on its way, and take back what killed processes were sending."""
        if now >= self._prolong_at:
            self._prolong_at = now + self._lease_s / 3
            until = datetime.now(UTC) + timedelta(seconds=self._lease_s)
            if self._sending:
                await sending.prolong(transaction, list(self._sending), self._worker, until)
        if now >= self._look_back_at:
            self._look_back_at = now + min(LOOK_BACK_S, self._lease_s / 4)
            await sending.take_back(
                transaction, self.channel, recognises_repeats=self._sender.recognises_repeats
            )

    async def _claim(self, transaction: Transaction, free: int) -> list[OutboxRecord]:
        if free <= 0:
            return []
        return await sending.claim(
            transaction, self.channel, self._worker, limit=free, lease_s=self._lease_s
        )

    async def _ready(
        self, transaction: Transaction, rows: Sequence[OutboxRecord]
    ) -> list[tuple[OutboxRecord, Outgoing]]:
        """The messages with all that they need; those that must not go are refused here."""
        session = transaction.session
        unwanted = await _opted_out(session, self.channel, rows)
        wanted_files = {number for row in rows for number in row.attachment_ids}
        files = {file.id: file for file in await attachments.of_ids(session, wanted_files)}
        names = await _message_ids(session, rows)
        authors = await _author_names(session, rows)
        ready = []
        for row in rows:
            attached = [files[number] for number in row.attachment_ids if number in files]
            if row.id in unwanted:
                self._figures.not_wanted += 1
                await sending.refused(transaction, row.id, error=OPTED_OUT)
            elif len(attached) < len(row.attachment_ids):
                await sending.refused(transaction, row.id, error=NO_FILE)
            else:
                own = names.get(row.message_id or 0) or mail_message_id(
                    row.idempotency_key, row.our_address
                )
                author = authors.get(row.written_by, "")
                ready.append((row, self._outgoing(row, attached, own, author)))
        return ready

    def _outgoing(
        self, row: OutboxRecord, attached: Sequence[FileRecord], message_id: str, author_name: str
    ) -> Outgoing:
        return Outgoing(
            id=row.id,
            channel=row.channel,
            to=row.recipient,
            our_address=row.our_address,
            subject=row.subject,
            text=row.text,
            html=row.html,
            headers=row.headers,
            files=[
                OutgoingFile(
                    name=file.name, media_type=file.media_type, path=self._files.path(file.file)
                )
                for file in attached
            ],
            idempotency_key=row.idempotency_key,
            message_id=message_id,
            language=row.language,
            purpose=row.purpose,
            author_name=author_name,
            is_repeat=row.repeats > 0,
        )

    async def _send(self, row: OutboxRecord, message: Outgoing) -> None:
        result: Accepted | NotNow | Refused | str
        try:
            async with asyncio.timeout(self._longest_send_s):
                result = await self._sender.send(message)
        except (NotNow, Refused) as answered:
            result = answered
        except Exception as error:
            # Its text may name a person: the table has it, the log has not.
            log.warning("nobody knows of outbox message %d: %s", row.id, type(error).__name__)
            result = f"{type(error).__name__}: {error}"
        finally:
            del self._sending[row.id]
        self._outcomes.append(_Outcome(row, result))
        if isinstance(result, NotNow):
            self._put_off(result.wait_s)
        else:
            self._put_off_in_a_row = 0
        self.wake.set()

    def _put_off(self, wait_s: float) -> None:
        """The other side takes nothing at all: it is not asked about each message of thousands."""
        self._put_off_in_a_row += 1
        if self._put_off_in_a_row >= self._sender.at_once:
            self._paused_until = asyncio.get_running_loop().time() + min(30.0, wait_s)

    async def _write(self, transaction: Transaction, outcomes: Sequence[_Outcome]) -> None:
        accepted = []
        for row, result in ((one.row, one.result) for one in outcomes):
            if isinstance(result, Accepted):
                accepted.append(
                    AcceptedMessage(
                        id=row.id,
                        provider_id=result.provider_id,
                        segments=result.segments,
                        cost_micros=result.cost_micros,
                        cost_currency=result.cost_currency,
                    )
                )
            elif isinstance(result, NotNow):
                await _put_off(transaction, row, result)
            elif isinstance(result, Refused):
                await sending.refused(transaction, row.id, error=result.why)
                kind = REACHED_AT.get(row.channel)
                if result.bad_address and kind is not None:
                    await preferences.mark_trouble(
                        transaction, kind, row.recipient, Trouble.INVALID
                    )
            else:
                await sending.unsure(
                    transaction,
                    row.id,
                    error=result,
                    recognises_repeats=self._sender.recognises_repeats,
                    wait_s=AFTER_UNSURE_S,
                )
        await sending.accepted(transaction, accepted)

    def _count(self, outcomes: Sequence[_Outcome]) -> None:
        for one in outcomes:
            if isinstance(one.result, Accepted):
                self._figures.accepted += 1
                self._figures.repeated += one.row.repeats > 0
            elif isinstance(one.result, NotNow):
                self._figures.put_off += 1
            elif isinstance(one.result, Refused):
                self._figures.refused += 1
            else:
                self._figures.unsure += 1

    async def _stop(self) -> None:
        """What is on its way may arrive; what does not in time stays "sending" and is known by its
        lease."""
        try:
            if self._sending:
                await asyncio.wait(list(self._sending.values()), timeout=self._longest_stop_s)
            for task in list(self._sending.values()):
                task.cancel()
            if self._outcomes:
                async with asyncio.timeout(self._longest_stop_s):
                    async with self._database.transaction() as transaction:
                        await self._write(transaction, self._outcomes)
                self._count(self._outcomes)
        except (OSError, SQLAlchemyError, TimeoutError) as error:
            log.warning("the outbox stops before all is written: %s", type(error).__name__)
        finally:
            await self._sender.close()


async def _put_off(transaction: Transaction, row: OutboxRecord, answered: NotNow) -> None:
    """Again later, each time twice as much; after days, people should know."""
    tried_for = CODE_TRIED_FOR if row.purpose is Purpose.CODE else TRIED_FOR
    if datetime.now(UTC) - row.written_at > tried_for:
        await sending.refused(transaction, row.id, error=answered.why)
        return
    doubled = answered.wait_s * 2 ** min(row.attempts - 1, 10)
    await sending.not_now(
        transaction,
        row.id,
        wait_s=max(answered.wait_s, min(LONGEST_WAIT_S, doubled)),
        error=answered.why,
    )


async def _opted_out(
    session: AsyncSession, channel: Channel, rows: Sequence[OutboxRecord]
) -> set[int]:
    """Those of the rows whose address wants no such message: asked at the last moment, since it may
    have said so after the message was written."""
    addresses = {row.recipient for row in rows if row.purpose in _NOT_ASKED_FOR}
    gone = await preferences.opted_out(session, channel, addresses) if addresses else {}
    return {
        row.id
        for row in rows
        if row.purpose in _NOT_ASKED_FOR
        and gone.get(row.recipient, frozenset()) & _NOT_ASKED_FOR[row.purpose]
    }


async def _author_names(session: AsyncSession, rows: Sequence[OutboxRecord]) -> dict[str, str]:
    """The names of the agents who wrote answers in mails, by their logins."""
    logins = {
        row.written_by
        for row in rows
        if row.channel is Channel.MAIL and row.purpose is Purpose.ANSWER
    }
    if not logins:
        return {}
    found = await session.execute(
        select(Agent.login, Agent.display_name).where(Agent.login.in_(logins))
    )
    return {row.login: row.display_name for row in found}


async def _message_ids(session: AsyncSession, rows: Sequence[OutboxRecord]) -> dict[int, str]:
    """The Message-IDs that were made when the answers were written, by their messages' ids."""
    wanted = [row.message_id for row in rows if row.message_id and row.channel is Channel.MAIL]
    if not wanted:
        return {}
    found = await session.execute(
        select(Message.id, Message.message_id).where(Message.id.in_(wanted))
    )
    return {row.id: row.message_id for row in found}
