"""The JSON API of writing: answers, notes, drafts, files to go along, and who types just now.

Owns the form of each request and answer, and the moment in which an answer can still be taken back.
Where an answer goes and how is channels/answering.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web
from babel.numbers import format_currency

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    id_in,
    json_answer,
    language_of,
    signed_in,
    wish_of,
)
from agent_desk.inbox import whose
from agent_desk.inbox.conversation_presence import PRESENCE
from agent_desk.inbox.conversations import moved_on
from agent_desk.inbox.documents import file_document
from agent_desk.languages import Language
from channels import answering
from channels.answering import SHOWN_ON_OUR_PAGES, CannotAnswer
from channels.sms import segments
from crm_store.contacts import answer_drafts, attachments, conversations, messages, outbox, threads
from crm_store.contacts.answer_drafts import Draft
from crm_store.contacts.attachments import NewFile
from crm_store.contacts.conversations import Conflict, ConversationRecord
from crm_store.contacts.messages import MessageRecord
from crm_store.models import Channel, MessageState

TAKEN_BACK_WITHIN = timedelta(seconds=5)
"""An answer waits so long before it goes out. A chat's is there at once."""

LONGEST_TEXT = 20_000
LONGEST_KEY = 100
LARGEST_FILE = 25_000_000
MOST_FILES = 20


async def answer(request: web.Request) -> web.StreamResponse:
    """POST {"text", "attachments": [ids of uploads], "channel", "key", "version"}: {"message"}, the
    id. The same `key` again is the same answer. Whoever answers what nobody has, has it then.

    400 with what is wrong; 409 when the conversation is not at that version any more.
    """
    _ = language_of(request)
    record = await whose.conversation_of(request)
    wish = await wish_of(request)
    text, key = _text(wish, "text", LONGEST_TEXT).strip(), _text(wish, "key", LONGEST_KEY)
    channel = _channel(wish, record)
    version = wish.get("version", record.version)
    files = _numbers(wish, "attachments")
    login = signed_in(request).agent.login
    if type(version) is not int:
        raise web.HTTPBadRequest
    due_at = None if channel in SHOWN_ON_OUR_PAGES else datetime.now(UTC) + TAKEN_BACK_WITHIN
    full_key = f"desk:{login}:{record.id}:{key}" if key else None
    database = request.app[PARTS].database
    known = await messages.known(database, channel, f"ours:{full_key}") if full_key else None
    if known is not None:
        return json_answer({"message": known[0]})
    try:
        async with database.transaction() as transaction:
            await conversations.expect(transaction, record.id, version)
            if record.assigned_to is None:
                await conversations.assign(transaction, record.id, login, actor=login)
            message_id = await answering.answer(
                transaction,
                record.id,
                author=login,
                text=text,
                attachment_ids=files,
                channel=channel,
                idempotency_key=full_key,
                due_at=due_at,
            )
            draft = await answer_drafts.kept(transaction, record.id, login)
            await answer_drafts.save(transaction, record.id, login, Draft(note=draft.note))
    except (Conflict, LookupError) as error:
        raise web.HTTPConflict(text=moved_on(_)) from error
    except CannotAnswer as error:
        raise web.HTTPBadRequest(text=cannot(error.why, _)) from error
    request.app[PRESENCE].types(record.id, signed_in(request).agent, "")
    return json_answer({"message": message_id})


async def write_note(request: web.Request) -> web.StreamResponse:
    """POST {"text"}: {"message"}. A note that agents alone see; "@login" tells that colleague."""
    _ = language_of(request)
    record = await whose.conversation_of(request)
    text = _text(await wish_of(request), "text", LONGEST_TEXT).strip()
    login = signed_in(request).agent.login
    try:
        async with request.app[PARTS].database.transaction() as transaction:
            message_id = await answering.note(transaction, record.id, author=login, text=text)
            draft = await answer_drafts.kept(transaction, record.id, login)
            kept = Draft(
                answer=draft.answer, channel=draft.channel, attachment_ids=draft.attachment_ids
            )
            await answer_drafts.save(transaction, record.id, login, kept)
    except CannotAnswer as error:
        raise web.HTTPBadRequest(text=cannot(error.why, _)) from error
    request.app[PRESENCE].types(record.id, signed_in(request).agent, "")
    return json_answer({"message": message_id})


async def keep_draft(request: web.Request) -> web.StreamResponse:
    """POST {"answer", "note", "channel", "attachments"}: what is half written. {"segments":
    {"count", "left", "cost"}} of an SMS as it stands, else null."""
    record = await whose.conversation_of(request)
    wish = await wish_of(request)
    draft = Draft(
        answer=_text(wish, "answer", LONGEST_TEXT),
        note=_text(wish, "note", LONGEST_TEXT),
        channel=_text(wish, "channel", 20),
        attachment_ids=_numbers(wish, "attachments"),
    )
    login = signed_in(request).agent.login
    async with request.app[PARTS].database.transaction() as transaction:
        await answer_drafts.save(transaction, record.id, login, draft)
    return json_answer({"segments": _segments(request, draft)})


async def tell_typing(request: web.Request) -> web.StreamResponse:
    """POST {"what": "answer"|"note"|""}: others who have it open see it for some seconds."""
    record = await whose.conversation_of(request)
    what = (await wish_of(request)).get("what")
    if what not in ("answer", "note", ""):
        raise web.HTTPBadRequest
    agent = signed_in(request).agent
    request.app[PRESENCE].types(record.id, agent, what)
    chat = request.app[PARTS].chat
    if chat is not None:
        chat.hub.typing(record.id, agent.login, what == "answer")
    return json_answer({})


async def upload(request: web.Request) -> web.StreamResponse:
    """POST ?name= with the file's bytes: as file_document says, an upload that goes along with the
    next answer. 400 when it is refused, with why."""
    _ = language_of(request)
    await whose.conversation_of(request)
    files = request.app[PARTS].written.files
    if files is None:
        raise web.HTTPServiceUnavailable(text=_("No files are kept here."))
    content = await _body(request, _)
    (kept,) = await files.keep([(request.query.get("name", "")[:300], content)])
    if kept.reason:
        raise web.HTTPBadRequest(text=refused_file(kept.reason, _))
    login = signed_in(request).agent.login
    database = request.app[PARTS].database
    new = NewFile(
        name=kept.name,
        media_type=kept.media_type,
        size=kept.size,
        sha256=kept.sha256,
        file=kept.file,
    )
    async with database.transaction() as transaction:
        (upload_id,) = await attachments.add(transaction, None, [new], uploaded_by=login)
    found = await attachments.find(database, upload_id)
    assert found is not None
    return json_answer(file_document(found))


async def take_back(request: web.Request) -> web.StreamResponse:
    """POST {}: {"text", "files"} of an answer of mine that has not gone out: it was never written.
    409 when it is too late."""
    _ = language_of(request)
    await wish_of(request)
    message = await _message(request)
    login = signed_in(request).agent.login
    database = request.app[PARTS].database
    try:
        async with database.transaction() as transaction:
            text, ids = await threads.take_back(transaction, message.id, actor=login)
    except (threads.TooLate, LookupError) as error:
        raise web.HTTPConflict(text=_("It is too late: the message is on its way.")) from error
    async with database.reading() as session:
        files = await attachments.of_ids(session, ids)
    return json_answer({"text": text, "files": [file_document(file) for file in files]})


async def send_again(request: web.Request) -> web.StreamResponse:
    """POST {}: try a message that failed, or of which nobody knows, once more. 409 otherwise."""
    _ = language_of(request)
    await wish_of(request)
    message = await _message(request)
    delivery = message.delivery
    done = False
    if delivery is not None and delivery.state in (MessageState.FAILED, MessageState.UNCERTAIN):
        async with request.app[PARTS].database.transaction() as transaction:
            done = await outbox.send_again(
                transaction, delivery.outbox_id, actor=signed_in(request).agent.login
            )
    if not done:
        raise web.HTTPConflict(text=_("This message is not one that failed."))
    return json_answer({})


def cannot(why: str, _: Language) -> str:
    """Why it cannot be sent, and what to do, by the word that CannotAnswer has."""
    return {
        "no_text": _("Write something first."),
        "no_channel": _("Nothing can be written on that channel. Choose another way."),
        "no_address": _("There is no address on that channel. Choose another way."),
        "bad_address": _("That address cannot be written to. Choose another way."),
        "address_in_trouble": _("Messages to that address come back. Choose another way."),
        "too_long": _("This is too long for that channel."),
        "no_file": _("One of the files is gone. Attach it once more."),
    }.get(why) or _("It cannot be sent.")


def refused_file(why: str, _: Language) -> str:
    """Why a file is not kept, by the word that channels/attachments.py has."""
    return {
        "too_large": _("The file is too large."),
        "message_too_large": _("The files are too large together."),
        "too_many": _("There are too many files."),
        "executable": _("Programs are not kept: they may do harm."),
        "archive_bomb": _("This archive would fill the disk when it is opened."),
        "archive_damaged": _("This archive is damaged."),
        "picture_too_large": _("This picture is too large to be shown."),
    }.get(why) or _("This file is not kept.")


# ---- how -----------------------------------------------------------------------------------------


async def _message(request: web.Request) -> MessageRecord:
    record = await whose.conversation_of(request)
    found = await messages.find(request.app[PARTS].database, id_in(request, "message_id"))
    if found is None or found.conversation_id != record.id:
        raise web.HTTPNotFound
    return found


def _channel(wish: Mapping[str, Any], record: ConversationRecord) -> Channel:
    given = wish.get("channel") or record.channel
    try:
        return Channel(given)
    except ValueError as error:
        raise web.HTTPBadRequest from error


def _segments(request: web.Request, draft: Draft) -> dict[str, Any] | None:
    if draft.channel != Channel.SMS or not draft.answer.strip():
        return None
    try:
        cut = segments.split(segments.plain(draft.answer.strip()))
    except ValueError:
        return {"count": segments.MOST_SEGMENTS, "left": 0, "cost": ""}
    price = request.app[PARTS].written.sms_price
    cost = ""
    if price is not None:
        micros = Decimal(price.of(cut)).scaleb(-6)
        cost = format_currency(
            micros, price.currency, locale=language_of(request).code, decimal_quantization=False
        )
    return {"count": cut.count, "left": cut.left, "cost": cost}


async def _body(request: web.Request, _: Language) -> bytes:
    pieces: list[bytes] = []
    size = 0
    too_large = (request.content_length or 0) > LARGEST_FILE
    if not too_large:
        async for piece in request.content.iter_chunked(1 << 16):
            size += len(piece)
            if too_large := size > LARGEST_FILE:
                break
            pieces.append(piece)
    if too_large:
        raise web.HTTPBadRequest(text=refused_file("too_large", _))
    return b"".join(pieces)


def _text(wish: Mapping[str, Any], name: str, longest: int) -> str:
    value = wish.get(name) or ""
    if not isinstance(value, str) or len(value) > longest:
        raise web.HTTPBadRequest
    return value


def _numbers(wish: Mapping[str, Any], name: str) -> list[int]:
    value = wish.get(name) or []
    if not isinstance(value, list) or len(value) > MOST_FILES:
        raise web.HTTPBadRequest
    if not all(type(one) is int for one in value):
        raise web.HTTPBadRequest
    return value


ROUTES = (
    Route("POST", "/api/conversations/{conversation_id}/answer", answer, Access.AGENTS),
    Route("POST", "/api/conversations/{conversation_id}/note", write_note, Access.AGENTS),
    Route("POST", "/api/conversations/{conversation_id}/draft", keep_draft, Access.AGENTS),
    Route("POST", "/api/conversations/{conversation_id}/typing", tell_typing, Access.AGENTS),
    Route("POST", "/api/conversations/{conversation_id}/uploads", upload, Access.AGENTS),
    Route(
        "POST",
        "/api/conversations/{conversation_id}/messages/{message_id}/take-back",
        take_back,
        Access.AGENTS,
    ),
    Route(
        "POST",
        "/api/conversations/{conversation_id}/messages/{message_id}/send-again",
        send_again,
        Access.AGENTS,
    ),
)
