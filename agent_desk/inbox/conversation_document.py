"""One conversation as its page shows it: its own values, what may be done, and its line of time.

Owns what belongs together there: messages of all channels with the same customer's calls between
them, the ways on which an answer can go, until when it can be put off. Decides nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from sqlalchemy import select

from agent_desk.entrance.visitor import PARTS, language_of, signed_in
from agent_desk.inbox import snoozing
from agent_desk.inbox.documents import (
    call_document,
    file_document,
    line_document,
    message_document,
    seconds,
    shown_address,
)
from agent_desk.inbox.whose import may_see
from agent_desk.languages import Language
from channels.answering import CARRIED, SHOWN_ON_OUR_PAGES
from crm_store.contacts import (
    answer_drafts,
    attachments,
    chat_sessions,
    conversation_search,
    messages,
    story,
)
from crm_store.contacts.conversation_lists import ConversationLine
from crm_store.contacts.conversations import ConversationRecord
from crm_store.contacts.messages import MessageRecord
from crm_store.contacts.story import StoryFilter
from crm_store.models import (
    Channel,
    ContactKind,
    ContactPoint,
    Conversation,
    ConversationState,
    Message,
)
from crm_store.people import identity
from crm_store.people.identity import Reason
from crm_store.phone_menus import opening_hours
from crm_store.signals import Direction
from crm_store.staff import agents, queues
from crm_store.text_search import EntryKind

NEWEST = 50
"""Messages that a page of the line of time has."""

MOST_CALLS = 40
MOST_ALSO_OPEN = 10

_UNSETTLED = (ConversationState.OPEN, ConversationState.WAITING, ConversationState.SNOOZED)

_WAYS = {
    ContactKind.MAIL: Channel.MAIL,
    ContactKind.PHONE: Channel.SMS,
    ContactKind.MESSENGER: Channel.MESSENGER,
    ContactKind.FAX: Channel.FAX,
}


async def conversation_document(request: web.Request, line: ConversationLine) -> dict[str, Any]:
    """line_document, and `ways` [{channel, shown, trouble}] of an answer, the usual one first;
    `may_answer`, `why_not`; `draft` ({answer, note, channel, files} or None); `snooze_choices`
    [{code, at}]; `merges` (ids that were merged into it, the last one last); `suggestions` [{id,
    customer_id, name, reason}]; `also_open` [line_document] (unsettled ones with the same person,
    that this agent may see); `visitor` (of a chat, what they say of themselves: {name, mail, phone,
    page, page_title, is_proven, asked_at}, or None)."""
    record = line.conversation
    ways = await _ways(request, record)
    return line_document(line) | {
        "ways": ways,
        "may_answer": bool(ways),
        "why_not": "" if ways else "no_channel",
        "draft": await _draft(request, record.id),
        "snooze_choices": [
            {"code": code, "at": at.timestamp()}
            for code, at in snoozing.choices(
                await _calendar(request, record.queue), datetime.now(UTC)
            )
        ],
        "merges": await _merges(request, record.id),
        "suggestions": await _suggestions(request, record.id),
        "also_open": await _also_open(request, record),
        "visitor": await _visitor(request, record),
        "merged_into": None,
    }


async def entries_of(
    request: web.Request, record: ConversationRecord, before: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the line of time, oldest first, and the cursor of the one before it. Raises
    ValueError for a cursor that none was."""
    database = request.app[PARTS].database
    found = await messages.of_conversation(
        database, record.id, before=_cursor(before) if before else None, limit=NEWEST + 1
    )
    shown = found[:NEWEST]
    names = {
        agent.login: agent.display_name
        for agent in await agents.all_agents(database, also_inactive=True)
    }
    entries = [message_document(one, names) for one in shown]
    if record.customer_id is not None and shown:
        until = None if before is None else shown[0].at
        calls = await story.read(
            database,
            record.customer_id,
            wanted=StoryFilter(
                kinds=[EntryKind.INTERACTION],
                channels=[Channel.PHONE],
                since=shown[-1].at,
                until=until,
            ),
            limit=MOST_CALLS,
        )
        entries += [call_document(entry, names) for entry in calls.entries]
    entries.sort(key=lambda entry: (entry["at"], entry["key"]))
    return entries, _written(shown[-1]) if len(found) > NEWEST else None


def _written(message: MessageRecord) -> str:
    return f"{message.at.isoformat()}~{message.id}"


def _cursor(text: str) -> tuple[datetime, int]:
    at, _, number = text.partition("~")
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None or not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise ValueError("that is no cursor of a conversation")
    return moment, int(number)


async def _ways(request: web.Request, record: ConversationRecord) -> list[dict[str, Any]]:
    """Where an answer can go: where they last wrote, where they wrote before, where the customer is
    known to be reached."""
    found: dict[Channel, dict[str, Any]] = {}

    def add(channel: Channel, address: str, trouble: str = "") -> None:
        if channel not in found and channel in (CARRIED | SHOWN_ON_OUR_PAGES):
            shown = shown_address(channel, address)
            found[channel] = {"channel": channel.value, "shown": shown, "trouble": trouble}

    async with request.app[PARTS].database.reading() as session:
        points = []
        if record.customer_id is not None:
            points = list(
                await session.scalars(
                    select(ContactPoint)
                    .where(ContactPoint.customer_id == record.customer_id)
                    .order_by(ContactPoint.trouble, ContactPoint.id)
                )
            )
        trouble = {(_WAYS.get(one.kind), one.value): one.trouble for one in points}
        add(record.channel, record.address, trouble.get((record.channel, record.address), ""))
        wrote = await session.execute(
            select(Message.channel, Message.sender)
            .where(
                Message.conversation_id == record.id,
                Message.direction == Direction.INBOUND,
                Message.sender != "",
            )
            .group_by(Message.channel, Message.sender)
        )
        for row in wrote:
            if row.channel is not Channel.CHAT:
                add(row.channel, row.sender, trouble.get((row.channel, row.sender), ""))
    for point in points:
        if point.kind in _WAYS:
            add(_WAYS[point.kind], point.value, point.trouble)
    return list(found.values())


async def _draft(request: web.Request, conversation_id: int) -> dict[str, Any] | None:
    database = request.app[PARTS].database
    login = signed_in(request).agent.login
    draft = await answer_drafts.read(database, conversation_id, login)
    if draft.is_empty:
        return None
    async with database.reading() as session:
        files = await attachments.of_ids(session, draft.attachment_ids)
    own = [file for file in files if file.uploaded_by == login and file.message_id is None]
    return {
        "answer": draft.answer,
        "note": draft.note,
        "channel": draft.channel,
        "files": [file_document(file) for file in own],
    }


async def _calendar(request: web.Request, queue: str | None) -> opening_hours.Calendar:
    database = request.app[PARTS].database
    record = await queues.find(database, queue) if queue else None
    return await opening_hours.read(database, record.hours if record else opening_hours.HOUSE)


async def _merges(request: web.Request, conversation_id: int) -> list[int]:
    query = (
        select(Conversation.id)
        .where(Conversation.merged_into == conversation_id)
        .order_by(Conversation.version, Conversation.id)
    )
    async with request.app[PARTS].database.reading() as session:
        return list(await session.scalars(query))


async def _suggestions(request: web.Request, conversation_id: int) -> list[dict[str, Any]]:
    """Who it may be, for people to decide."""
    reasons = reason_texts(language_of(request))
    found = await identity.open_suggestions(
        request.app[PARTS].database, conversation_id=conversation_id
    )
    return [
        {
            "id": one.id,
            "customer_id": one.customer_id,
            "name": one.customer_name,
            "reason": reasons[one.reason],
        }
        for one in found
    ]


async def _also_open(request: web.Request, record: ConversationRecord) -> list[dict[str, Any]]:
    """What else is unsettled with this person; an address that they share with another customer
    makes nobody the same."""
    lines = await conversation_search.beside(
        request.app[PARTS].database, record, states=_UNSETTLED, limit=MOST_ALSO_OPEN
    )
    return [
        line_document(line)
        for line in lines
        if None in (record.customer_id, line.conversation.customer_id)
        or line.conversation.customer_id == record.customer_id
        if await may_see(request, line.conversation)
    ]


async def _visitor(request: web.Request, record: ConversationRecord) -> dict[str, Any] | None:
    """What the newest visitor of a chat says of themselves; it is only their word, unless they have
    proven who they are."""
    found = await chat_sessions.of_conversation(request.app[PARTS].database, record.id)
    if not found:
        return None
    newest = found[0]
    return {
        "name": newest.name,
        "mail": newest.mail,
        "phone": newest.phone,
        "page": newest.page,
        "page_title": newest.page_title,
        "is_proven": newest.customer_id is not None,
        "asked_at": seconds(newest.proof_asked_at),
    }


def reason_texts(_: Language) -> dict[Reason, str]:
    """Why somebody may be somebody, in words."""
    return {
        Reason.SHARED_ADDRESS: _("several customers have this address"),
        Reason.UNPROVEN_SENDER: _("it is their mail address, but nothing proves the sender"),
        Reason.TYPED_ADDRESS: _("the visitor says that this address is theirs"),
        Reason.CARD_NUMBER: _("their card's number is in the text"),
        Reason.ORDER_NUMBER: _("their order's number is in the text"),
        Reason.SAME_NAME_AND_ADDRESS: _("the same name and address"),
    }
