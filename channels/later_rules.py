"""Later rules: those that are asked when nobody has answered for so long, or at the close.

Owns their timers, which are rows, and that such a rule acts once upon one message however often its
job runs. What rules say and do is rules.py's and rule_runs.py's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import select

from channels import rule_runs
from channels.arrangements import Arrangement, Arrangements
from channels.rule_runs import plan_of
from channels.rules import Decision, Rule, decide
from crm_store.contacts import inbox_rules
from crm_store.database import Database, Transaction
from crm_store.facts import ConversationClosed
from crm_store.jobs import Job, Subscribers
from crm_store.models import Conversation, ConversationState, Message, RuleMoment
from crm_store.signals import Direction

UNANSWERED = "inbox_unanswered"
CLOSED = "inbox_closed"
ACTED = "inbox_rule_acted"
"""Handlers' names, as they stand in rows of jobs."""


class LaterRules:
    """Asks them when their time has come. `own_addresses` are the house's, in lower case."""

    def __init__(
        self,
        database: Database,
        arrangements: Arrangements,
        *,
        own_addresses: Collection[str] = (),
    ) -> None:
        self._database = database
        self._arrangements = arrangements
        self._own_addresses = own_addresses

    def subscribe(self, subscribers: Subscribers) -> None:
        """Once, before anything is received: timers need their handlers' names."""
        subscribers.add(UNANSWERED, self._on_unanswered)
        subscribers.add(CLOSED, self._on_closed, ConversationClosed)
        subscribers.add(ACTED, _nothing)

    async def set_timers(
        self, transaction: Transaction, message: int, arrangement: Arrangement, queue: str
    ) -> None:
        """Somebody begins to wait for an answer with this message."""
        if self._database.subscribers.named(UNANSWERED) is None:
            return
        for rule, target in arrangement.waits():
            due = arrangement.clock(queue).due(datetime.now(UTC), target)
            if due is not None:
                await transaction.schedule(
                    UNANSWERED,
                    f"{UNANSWERED}:{rule.id}:{message}",
                    {"rule": rule.id, "message": message},
                    due_at=due,
                )

    async def _on_unanswered(self, job: Job) -> None:
        arrangement = await self._arrangements.current()
        waiting = arrangement.of_moment(RuleMoment.UNANSWERED)
        rules = [rule for rule in waiting if rule.id == job.data["rule"]]
        if rules:
            await self._database.run(
                lambda transaction: self._ask(
                    transaction, rules, int(job.data["message"]), arrangement, is_waiting=True
                )
            )

    async def _on_closed(self, job: Job) -> None:
        arrangement = await self._arrangements.current()
        rules = arrangement.of_moment(RuleMoment.CLOSED)
        if not rules:
            return
        newest = (
            select(Message.id)
            .where(
                Message.conversation_id == int(job.data["conversation_id"]),
                Message.direction == Direction.INBOUND,
            )
            .order_by(Message.at.desc(), Message.id.desc())
            .limit(1)
        )
        async with self._database.reading() as session:
            message = await session.scalar(newest)
        if message is not None:
            await self._database.run(
                lambda transaction: self._ask(
                    transaction, rules, message, arrangement, is_waiting=False
                )
            )

    async def _ask(
        self,
        transaction: Transaction,
        rules: Sequence[Rule],
        message_id: int,
        arrangement: Arrangement,
        *,
        is_waiting: bool,
    ) -> None:
        """Ask rules about a message whose conversation waits, or is closed, as it was then."""
        session = transaction.session
        message = await session.get(Message, message_id)
        if message is None:
            return
        conversation = await session.get(
            Conversation, message.conversation_id, with_for_update=True, populate_existing=True
        )
        if conversation is None or conversation.merged_into is not None:
            return
        if is_waiting:
            is_so = (
                conversation.state is ConversationState.OPEN
                and conversation.waiting_since == message.at
            )
        else:
            is_so = conversation.state is ConversationState.CLOSED
        if not is_so:
            return
        (written,) = await rule_runs.written_of(session, [message], arrangement)
        decision = decide(rules, written)
        held = [
            rule_id
            for rule_id in decision.held
            if await transaction.schedule(ACTED, f"{ACTED}:{rule_id}:{message_id}", {})
        ]
        if not held:
            return
        # What has acted before does not act again.
        fresh = [(rule_id, action) for rule_id, action in decision.actions if rule_id in held]
        plan = plan_of(Decision(decision.verdicts, fresh))
        now = datetime.now(UTC)
        await rule_runs.rearrange(
            transaction,
            plan,
            conversation,
            arrangement=arrangement,
            segment=written.segment,
            at=message.at,
        )
        await rule_runs.act(
            transaction,
            plan,
            conversation_id=conversation.id,
            message_id=message_id,
            arrangement=arrangement,
            may_answer=await rule_runs.may_answer(
                session,
                conversation.channel,
                conversation.address,
                automatic=message.automatic,
                own_addresses=self._own_addresses,
                now=now,
            ),
            now=now,
        )
        await inbox_rules.count_hits(transaction, Counter(held))


async def _nothing(_job: Job) -> None:
    """Its row says that a rule has acted; there is nothing else to do."""
