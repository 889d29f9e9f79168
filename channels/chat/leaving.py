"""Leaving: what becomes of a chat when its visitor is no longer there.

Owns that an answer which they did not see goes after them once, by mail or SMS, if they said where;
and the transcript that they may ask for. What went after a visitor is a message of the conversation
like any other, so that their reply to it comes back into it. All is told by rows: whichever process
looks next goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from babel.dates import format_date, format_time

from channels.chat.chats import to_its_end
from channels.chat.shown import own_messages
from channels.senders import mail_message_id
from crm_store import audit
from crm_store.contacts import chat_sessions, conversations, messages, outbox
from crm_store.contacts.chat_sessions import ChatSessionRecord
from crm_store.contacts.messages import MessageRecord, NewMessage
from crm_store.database import Database, is_away
from crm_store.models import Channel, Purpose
from crm_store.shop import house
from crm_store.signals import Direction
from crm_store.staff import agents

log = logging.getLogger(__name__)

GONE_AFTER = timedelta(minutes=3)
"""A visitor who was not here for so long is not just changing the page."""

LOOK_EVERY_S = 20.0

LONGEST_SMS = 900
NEWEST = 200
Words = Callable[[str, str], str]
"""A sentence (of agent_desk/chat/words.py) by its key, in a language."""


class Leaving:
    """Looks after those who left. `gone_after` is for tests."""

    def __init__(
        self, database: Database, words: Words, *, gone_after: timedelta = GONE_AFTER
    ) -> None:
        self._database = database
        self._words = words
        self._gone_after = gone_after
        self._looked_at: datetime | None = None

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await to_its_end(self.carry_due())
            except Exception as error:
                if is_away(error):
                    log.warning("chats of who left cannot be looked at: the database is away")
                else:
                    log.exception("chats of who left could not be looked at; trying again")
            await asyncio.sleep(LOOK_EVERY_S)

    async def carry_due(self, *, now: datetime | None = None) -> int:
        """Send after those who left what they have not seen; to how many."""
        moment = now or datetime.now(UTC)
        carried = 0
        while True:
            found = await chat_sessions.unseen_by_who_left(
                self._database,
                gone_since=moment - self._gone_after,
                looked_since=self._looked_at,
            )
            sent = [await self._carry(session_id) for session_id in found]
            carried += sum(sent)
            if not any(sent):
                break
        # What happened at the edge of one look is in the next one's view too.
        self._looked_at = moment - self._gone_after - timedelta(minutes=10)
        return carried

    async def transcript(self, session_id: int, to: str) -> bool:
        """Mail the visitor what was written so far. False if there is nothing, or if it was asked
        for by another address before: a chat is no way to write to many."""
        session = await chat_sessions.find(self._database, session_id)
        found, _ = await self._own(session) if session is not None else ([], 0)
        if session is None or not found:
            return False
        facts = await house.read(self._database)
        title = self._words("transcript_subject", session.language) % {
            "house": facts.name(session.language),
            "date": format_date(found[0].at.astimezone(facts.zone), locale=session.language),
        }
        names = await self._names()
        lines = []
        for message in found:
            name = names.get(message.author, facts.name(session.language))
            if message.direction is Direction.INBOUND:
                name = session.name or self._words("you", session.language)
            at = format_time(message.at.astimezone(facts.zone), "short", locale=session.language)
            said = [message.text, *(f"[{file.name}]" for file in message.files)]
            lines.append(f"{at} {name}: " + "\n".join(part for part in said if part))
        async with self._database.transaction() as transaction:
            locked = await chat_sessions.locked(transaction, session.id)
            if locked is None or locked.transcript_to not in ("", to):
                return False
            await chat_sessions.change(transaction, session.id, transcript_to=to)
            await outbox.write(
                transaction,
                channel=Channel.MAIL,
                to=to,
                subject=title,
                text="\n\n".join(lines),
                language=session.language,
                purpose=Purpose.TRANSCRIPT,
                customer_id=session.customer_id,
                idempotency_key=f"chat-transcript:{session.id}:{found[-1].id}",
            )
        return True

    async def _carry(self, session_id: int) -> bool:
        """Send after one visitor what they have not seen. False if there is nothing any more."""
        session = await chat_sessions.find(self._database, session_id)
        if session is None or session.conversation_id is None:
            return False
        own, newest = await self._own(session)
        facts = await house.read(self._database)
        names = await self._names()
        async with self._database.transaction() as transaction:
            locked = await chat_sessions.locked(transaction, session_id)
            if locked is None:
                return False
            known = max(locked.seen_message_id, locked.carried_message_id)
            unseen = [one for one in own if one.direction is Direction.OUTBOUND and one.id > known]
            if not unseen or not (locked.mail or locked.phone):
                # It was another visitor's: look past it.
                await chat_sessions.change(
                    transaction, session_id, carried_message_id=max(known, newest)
                )
                return False
            channel = Channel.MAIL if locked.mail else Channel.SMS
            to = locked.mail or locked.phone
            key = f"chat-goes-on:{session_id}:{unseen[-1].id}"
            title = self._words("away_subject", session.language) % {
                "house": facts.name(session.language)
            }
            text = self._letter(session, channel, facts.name(session.language), unseen, names)
            files = [file.id for one in unseen for file in one.files if file.file]
            message_id, is_new = await messages.store(
                transaction,
                NewMessage(
                    conversation_id=session.conversation_id,
                    direction=Direction.OUTBOUND,
                    channel=channel,
                    external_key=f"ours:{key}",
                    message_id=mail_message_id(key, "") if channel is Channel.MAIL else "",
                    author=audit.SYSTEM,
                    recipients=[to],
                    subject=title if channel is Channel.MAIL else "",
                    text=text,
                    language=session.language,
                    automatic="rule",
                ),
            )
            await chat_sessions.change(transaction, session_id, carried_message_id=unseen[-1].id)
            if is_new:
                await outbox.write(
                    transaction,
                    channel=channel,
                    to=to,
                    subject=title if channel is Channel.MAIL else "",
                    text=text,
                    attachment_ids=files if channel is Channel.MAIL else (),
                    language=session.language,
                    purpose=Purpose.ANSWER,
                    message_id=message_id,
                    customer_id=session.customer_id,
                    idempotency_key=key,
                )
        return True

    def _letter(
        self,
        session: ChatSessionRecord,
        channel: Channel,
        name_of_house: str,
        unseen: Sequence[MessageRecord],
        names: dict[str, str],
    ) -> str:
        said = []
        for message in unseen:
            name = names.get(message.author, name_of_house)
            text = [message.text, *(f"[{file.name}]" for file in message.files)]
            said.append(f"{name}: " + "\n".join(part for part in text if part))
        if channel is Channel.SMS:
            short = f"{name_of_house}: " + "\n".join(said)
            return short if len(short) <= LONGEST_SMS else short[: LONGEST_SMS - 1] + "…"
        intro = self._words("away_intro", session.language)
        return "\n\n".join([intro, *said, self._words("away_outro", session.language)])

    async def _own(self, session: ChatSessionRecord) -> tuple[list[MessageRecord], int]:
        """The visitor's messages, oldest first, wherever their conversation is now; and the number
        of the newest one there, whosever it is."""
        conversation_id = session.conversation_id
        while conversation_id is not None:
            found = await conversations.find(self._database, conversation_id)
            if found is None or found.merged_into is None:
                break
            conversation_id = found.merged_into
        if conversation_id is None:
            return [], 0
        every = await messages.of_conversation(self._database, conversation_id, limit=NEWEST)
        own = sorted(own_messages(every, session.address), key=lambda message: message.id)
        return own, max((message.id for message in every), default=0)

    async def _names(self) -> dict[str, str]:
        found = await agents.all_agents(self._database)
        return {agent.login: agent.display_name for agent in found}
