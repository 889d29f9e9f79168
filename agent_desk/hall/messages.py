"""Writing to the house, and reading what it answered.

Owns the customer's view of their conversations, over all channels: what they wrote and what was
answered, as text; never an agent's note, nor anything that was taken for spam. What they write goes
through the one inbox.
"""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, id_in, language_of
from agent_desk.hall.account import person_of
from agent_desk.hall.frame import Form, done, form_of, hall_page
from agent_desk.hall.orders import key_of, new_key
from agent_desk.hall.visitor import HALL, customer
from agent_desk.languages import Language
from channels.incoming import Incoming
from crm_store.contacts import conversation_lists, conversations, messages
from crm_store.contacts.conversation_lists import InboxView
from crm_store.contacts.conversations import ConversationRecord
from crm_store.models import Channel, ConversationState
from crm_store.people import customers
from crm_store.shop import orders
from crm_store.signals import Direction

LONGEST_LETTER = 8_000
LONGEST_SUBJECT = 200
MOST_LISTED = 50
MOST_MESSAGES = 200
SHOWN_STATES = (
    ConversationState.OPEN,
    ConversationState.WAITING,
    ConversationState.SNOOZED,
    ConversationState.CLOSED,
)


def _channels(_: Language) -> dict[Channel, str]:
    return {
        Channel.MAIL: _("Mail"),
        Channel.SMS: _("SMS"),
        Channel.CHAT: _("Chat"),
        Channel.WEB: _("Here"),
        Channel.FAX: _("Fax"),
        Channel.MESSENGER: _("Messenger"),
    }


async def show_messages(request: web.Request) -> web.StreamResponse:
    """GET /hall/messages ?about=: the customer's conversations, and a form for a new one."""
    number = orders.order_number(request.query.get("about", "")) or ""
    _ = language_of(request)
    subject = f"{_('Order')} {orders.shown_number(number)}" if number else ""
    return await _list(request, Form({}, _), subject, new_key())


async def write_message(request: web.Request) -> web.StreamResponse:
    """POST /hall/messages, fields `subject`, `text` and `key`: what is open goes on, else a
    new conversation begins."""
    form = await form_of(request)
    key = key_of(form)
    subject = form.text("subject", longest=LONGEST_SUBJECT)
    text = form.needed("text", form.language("Write a message."), longest=LONGEST_LETTER)
    if form.faults:
        return await _list(request, form, subject, key)
    conversation_id = await _receive(request, key, text, subject=subject)
    raise done(f"{HALL}/messages/{conversation_id}", "sent")


async def show_conversation(request: web.Request) -> web.StreamResponse:
    """GET /hall/messages/{conversation_id}: what was written, the oldest first."""
    found = await _own(request)
    return await _conversation(request, found, Form({}, language_of(request)), new_key())


async def answer(request: web.Request) -> web.StreamResponse:
    """POST /hall/messages/{conversation_id}, fields `text` and `key`."""
    found = await _own(request)
    form = await form_of(request)
    key = key_of(form)
    text = form.needed("text", form.language("Write a message."), longest=LONGEST_LETTER)
    if form.faults:
        return await _conversation(request, found, form, key)
    conversation_id = await _receive(request, key, text, conversation_id=found.id)
    raise done(f"{HALL}/messages/{conversation_id}", "sent")


async def _receive(
    request: web.Request,
    key: str,
    text: str,
    *,
    subject: str = "",
    conversation_id: int | None = None,
) -> int:
    """Give it to the inbox; the conversation that it is in."""
    session = customer(request)
    received = await request.app[PARTS].hall.receive(
        Incoming(
            channel=Channel.WEB,
            # With the customer: a key that somebody else made up is another message.
            external_key=f"hall:{session.customer_id}:{key}",
            sender=f"customer:{session.customer_id}",
            sender_name=session.name,
            received_at=datetime.now(UTC),
            subject=subject,
            text=text,
            language=language_of(request).code,
            conversation_id=conversation_id,
            customer_id=session.customer_id,
            is_authenticated=True,
        )
    )
    return received.conversation_id


async def _own(request: web.Request) -> ConversationRecord:
    """The conversation of that number, if it is the customer's. Raises HTTPNotFound."""
    database = request.app[PARTS].database
    found = await conversations.find(database, id_in(request, "conversation_id"))
    while found is not None and found.merged_into is not None:
        found = await conversations.find(database, found.merged_into)
    if found is None or found.customer_id is None or found.state not in SHOWN_STATES:
        raise web.HTTPNotFound
    if found.customer_id not in await customers.same_person(
        database, customer(request).customer_id
    ):
        raise web.HTTPNotFound
    return found


async def _list(request: web.Request, form: Form, subject: str, key: str) -> web.Response:
    _ = language_of(request)
    person = await person_of(request)
    lines = await conversation_lists.listed(
        request.app[PARTS].database,
        InboxView(customer_ids=[person.id], states=SHOWN_STATES),
        limit=MOST_LISTED,
    )
    return hall_page(
        request,
        "messages.html",
        faults=form.faults,
        conversations=[line.conversation for line in lines],
        channels=_channels(_),
        subject=subject,
        text=form.text("text", longest=LONGEST_LETTER),
        longest=LONGEST_LETTER,
        key=key,
    )


async def _conversation(
    request: web.Request, found: ConversationRecord, form: Form, key: str
) -> web.Response:
    newest = await messages.of_conversation(
        request.app[PARTS].database, found.id, limit=MOST_MESSAGES
    )
    shown = [
        one
        for one in reversed(newest)
        if one.direction is not Direction.INTERNAL and (one.text or one.files)
    ]
    return hall_page(
        request,
        "conversation.html",
        faults=form.faults,
        conversation=found,
        messages=shown,
        inbound=Direction.INBOUND,
        channels=_channels(language_of(request)),
        text=form.text("text", longest=LONGEST_LETTER),
        longest=LONGEST_LETTER,
        key=key,
    )


ROUTES = (
    Route("GET", f"{HALL}/messages", show_messages, Access.CUSTOMERS),
    Route("POST", f"{HALL}/messages", write_message, Access.CUSTOMERS),
    Route("GET", f"{HALL}/messages/{{conversation_id}}", show_conversation, Access.CUSTOMERS),
    Route("POST", f"{HALL}/messages/{{conversation_id}}", answer, Access.CUSTOMERS),
)
