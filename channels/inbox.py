"""The inbox: the one way in for what customers write, on whatever channel.

Owns what becomes of a message in one transaction: it is kept once, with its files, in the
conversation that it belongs to, with the person it is from, in the queue where it has its place and
its clocks; rules have their say. Refuses to know any channel's technique: whoever speaks IMAP,
SMTP, HTTP or Asterisk makes an `Incoming` of it, and tells the other side "ok" only after
`Inbox.receive` has returned.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from channels import belonging, rule_runs
from channels.arrangements import Arrangement, Arrangements
from channels.attachments import AttachmentFiles, KeptFile
from channels.belonging import Person
from channels.incoming import Incoming, Received
from channels.later_rules import LaterRules
from channels.rule_runs import Trial, plan_of
from channels.rules import Rule, Written, decide
from crm_store import audit
from crm_store.contacts import attachments, conversations, inbox_rules, messages
from crm_store.database import Database, Transaction
from crm_store.jobs import Subscribers
from crm_store.models import Conversation, RuleMoment
from crm_store.people import identity

Hook = Callable[[Transaction, Incoming, int, int], Awaitable[bool]]
"""Looks at a message that was just kept (its id, then its conversation's), in the same transaction;
True says that nothing else is to be done with it: no rule, no answer."""

# Nobody is asked to look at these for their own sake.
_NOBODYS_TURN = frozenset({"auto_reply", "bounce", "complaint"})
_COUNT_EVERY_S = 5.0
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:who, 0))")


class _KnownAlready(Exception):
    """It was kept meanwhile: what was begun for it is taken back."""


class Inbox:
    """Takes in what customers write.

    `default_queue` is where waits what no rule sends elsewhere ("": the queue with the lowest
    number). `own_addresses` are the house's own, in lower case: nothing is answered there by
    itself. `language` is that of whoever shows none. `hooks` have the first look.
    """

    def __init__(
        self,
        database: Database,
        files: AttachmentFiles,
        *,
        default_queue: str = "",
        own_addresses: Collection[str] = (),
        language: str = "en",
        hooks: Sequence[Hook] = (),
    ) -> None:
        self._database = database
        self._files = files
        self._arrangements = Arrangements(database, default_queue=default_queue)
        self._own_addresses = frozenset(own_addresses)
        self._later = LaterRules(database, self._arrangements, own_addresses=self._own_addresses)
        self._language = language
        self._hooks = tuple(hooks)
        self._hits: Counter[int] = Counter()
        self._counted_at = time.monotonic()

    def subscribe(self, subscribers: Subscribers) -> None:
        """Have rules asked later too: when nobody has answered, and at the close."""
        self._later.subscribe(subscribers)

    async def receive(self, incoming: Incoming) -> Received:
        """Keep a message. It is committed when this returns; the same `external_key` again changes
        nothing.

        Raises OSError or sqlalchemy.exc.SQLAlchemyError if it cannot be kept, LookupError for a
        conversation that there is not: then nothing was, and the other side must keep it.
        """
        arrangement = await self._arrangements.current()
        raw_file = await self._files.keep_raw(incoming.raw) if incoming.raw else ""
        kept = await self._files.keep([(file.name, file.content) for file in incoming.files])
        try:
            received, held = await self._database.run(
                lambda transaction: self._keep(transaction, incoming, raw_file, kept, arrangement)
            )
        except _KnownAlready:
            found = await messages.known(self._database, incoming.channel, incoming.external_key)
            assert found is not None
            return Received(*found, False)
        await self._count(held)
        return received

    async def dry_run(self, rule: Rule, *, limit: int = 200) -> list[Trial]:
        """What a rule would have said of the newest messages; nothing is changed."""
        arrangement = await self._arrangements.current()
        return await rule_runs.dry_run(self._database, rule, arrangement, limit=limit)

    async def close(self) -> None:
        """Write what was only counted so far."""
        await self._count((), at_once=True)

    async def _count(self, held: Sequence[int], *, at_once: bool = False) -> None:
        """How often rules held: a figure for people, written now and then, so that messages need
        not wait for each other at a rule's row."""
        self._hits.update(held)
        now = time.monotonic()
        if not self._hits or (not at_once and now - self._counted_at < _COUNT_EVERY_S):
            return
        hits, self._hits = self._hits, Counter()
        self._counted_at = now
        try:
            async with self._database.transaction() as transaction:
                await inbox_rules.count_hits(transaction, hits)
        except (OSError, SQLAlchemyError):
            # The message is kept: whoever handed it over must not hear of this.
            self._hits.update(hits)

    async def _keep(
        self,
        transaction: Transaction,
        incoming: Incoming,
        raw_file: str,
        kept: Sequence[KeptFile],
        arrangement: Arrangement,
    ) -> tuple[Received, Sequence[int]]:
        """One message, in the transaction; and the rules that held for it."""
        session = transaction.session
        await self._wait_for_others(transaction, f"{incoming.channel.value} {incoming.sender}")
        known = await belonging.known(transaction, incoming)
        if known is not None:
            return known, ()
        writer = await belonging.writer_of(transaction, incoming)
        if writer.customer_id is not None:
            await self._wait_for_others(transaction, f"customer {writer.customer_id}")
        conversation = await belonging.conversation_of(transaction, incoming, writer)
        person = await belonging.person_of(transaction, incoming, writer, conversation)
        written = self._written(incoming, kept, conversation, person, arrangement)
        decision = decide(arrangement.of_moment(RuleMoment.RECEIVED), written)
        plan = plan_of(decision)
        begins_to_wait = not incoming.automatic and (
            conversation is None or conversation.waiting_since is None
        )
        if conversation is None:
            conversation_id = await conversations.open_conversation(
                transaction,
                belonging.new_conversation(incoming, plan, written, person, arrangement),
            )
        else:
            conversation_id = conversation.id
        message_id, is_new = await messages.store(
            transaction,
            belonging.new_message(incoming, conversation_id, written.language, raw_file),
        )
        if not is_new:
            raise _KnownAlready
        await attachments.add(transaction, message_id, belonging.files_of(incoming, kept))
        await _say_whose(transaction, incoming, conversation_id, conversation, person)
        received = Received(message_id, conversation_id, True)
        for hook in self._hooks:
            if await hook(transaction, incoming, message_id, conversation_id):
                return received, ()
        if conversation is None and incoming.automatic in _NOBODYS_TURN:
            await conversations.close(transaction, conversation_id, actor=audit.SYSTEM)
        elif conversation is not None:
            if begins_to_wait:
                await belonging.renew_place(
                    transaction, conversation, incoming, person, arrangement
                )
            await rule_runs.rearrange(
                transaction,
                plan,
                conversation,
                arrangement=arrangement,
                segment=person.segment,
                at=incoming.received_at,
            )
        now = datetime.now(UTC)
        await rule_runs.act(
            transaction,
            plan,
            conversation_id=conversation_id,
            message_id=message_id,
            arrangement=arrangement,
            may_answer=bool(plan.answers)
            and await rule_runs.may_answer(
                session,
                incoming.channel,
                incoming.sender,
                automatic=incoming.automatic,
                own_addresses=self._own_addresses,
                now=now,
            ),
            now=now,
        )
        if begins_to_wait and not plan.closes and not plan.is_spam:
            queue = plan.queue or written.queue
            await self._later.set_timers(transaction, message_id, arrangement, queue)
        return received, decision.held

    async def _wait_for_others(self, transaction: Transaction, who: str) -> None:
        """Two messages of one person at once would begin two conversations."""
        if not self._database.is_sqlite:
            await transaction.session.execute(_ONE_AT_A_TIME, {"who": who})

    def _written(
        self,
        incoming: Incoming,
        kept: Sequence[KeptFile],
        conversation: Conversation | None,
        person: Person,
        arrangement: Arrangement,
    ) -> Written:
        """The message as rules look at it, before anything is done with it."""
        queue = incoming.queue if incoming.queue in arrangement.queues else ""
        language = incoming.language or belonging.language_of(incoming.text)
        if conversation is not None:
            queue = conversation.queue or ""
            language = language or conversation.language
        queue = queue or arrangement.default_queue
        at = incoming.received_at
        return Written(
            channel=incoming.channel,
            sender=incoming.sender,
            our_address=incoming.our_address,
            subject=incoming.subject,
            text=incoming.text,
            language=language or person.language or self._language,
            segment=person.segment,
            is_known=person.known.customer_id is not None,
            queue=queue,
            attachments=[file.media_type for file in kept],
            clock=at.astimezone(arrangement.zone).time(),
            is_open=arrangement.clock(queue).calendar.is_open(at),
            automatic=incoming.automatic,
            tags=conversation.tags if conversation is not None else (),
        )


async def _say_whose(
    transaction: Transaction,
    incoming: Incoming,
    conversation_id: int,
    before: Conversation | None,
    person: Person,
) -> None:
    """The conversation is theirs, if it is certain whose; else people are told who it may be."""
    customer_id = person.known.customer_id
    if customer_id is None:
        await identity.suggest_for_conversation(
            transaction,
            conversation_id,
            sender_name=incoming.sender_name,
            text=incoming.text,
            known=person.known,
            is_authenticated=incoming.is_authenticated,
        )
    elif before is not None and before.customer_id is None:
        await conversations.give_to_customer(
            transaction, conversation_id, customer_id, actor=audit.SYSTEM
        )
