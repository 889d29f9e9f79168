"""Files in a chat: what a visitor sends, and what they may fetch.

Owns that a file is looked at before anything of it is kept, that a visitor fetches only what is in
their own chat, and that no file is ever shown as a page.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote, unquote

from aiohttp import web

from agent_desk.chat.door import DOOR, chat_of, for_sites, refused, session_in
from agent_desk.entrance.visitor import PARTS, id_in, json_answer
from channels.attachments import sniffed, why_refused
from channels.chat.chats import CannotWrite
from channels.chat.shown import own_messages
from channels.incoming import IncomingFile
from crm_store.contacts import attachments, messages

LARGEST_FILE = 10_000_000
PIECE = 65_536
SECONDS_TO_SEND = 120.0

DRAWN = {"image/png", "image/jpeg", "image/gif", "image/webp"}
"""What the widget draws; everything else is only saved."""


@for_sites
async def take_file(request: web.Request) -> web.StreamResponse:
    """POST /chat/files, the content as it is, X-File-Name and X-Key beside: the message it is in.

    200 once it is committed; the same key again is the same file.
    """
    session = await session_in(request)
    if session is None:
        return refused("over", 401)
    door = request.app[DOOR]
    if door.uploads.take(str(session.id)) > 0:
        return refused("too_fast", 429)
    if (request.content_length or 0) > LARGEST_FILE:
        return refused("too_large", 413)
    name = unquote(request.headers.get("X-File-Name", ""), errors="replace")[:300] or "file"
    async with door.uploading:
        try:
            async with asyncio.timeout(SECONDS_TO_SEND):
                content = await _content(request)
        except TimeoutError:
            return refused("away", 408)
        if content is None:
            return refused("too_large", 413)
        if not content:
            return refused("empty", 400)
        chat = chat_of(request)
        limits = chat.files.limits
        why = await asyncio.to_thread(
            lambda: why_refused(content, name, sniffed(content, name), limits)
        )
        if why:
            return refused(why, 415)
        file = IncomingFile(name=name, media_type="", content=content)
        try:
            key = request.headers.get("X-Key", "")
            message = await chat.hub.write(session.id, key, "", [file])
        except CannotWrite as error:
            return refused(error.why, 400)
    return json_answer({"message": message})


@for_sites
async def give_file(request: web.Request) -> web.StreamResponse:
    """GET /chat/files/{file_id}: a file of the visitor's own chat."""
    session = await session_in(request)
    if session is None:
        return refused("over", 401)
    database = request.app[PARTS].database
    file = await attachments.find(database, id_in(request, "file_id"))
    if file is None or file.message_id is None or not file.file:
        raise web.HTTPNotFound
    message = await messages.find(database, file.message_id)
    if message is None or not own_messages([message], session.address):
        raise web.HTTPNotFound
    path = chat_of(request).files.path(file.file)
    if not await asyncio.to_thread(path.is_file):
        raise web.HTTPNotFound
    shown = file.media_type if file.media_type in DRAWN else "application/octet-stream"
    return web.FileResponse(
        path,
        headers={
            "Content-Type": shown,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
            "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        },
    )


async def _content(request: web.Request) -> bytes | None:
    """The body, None if it is too large: no more than that is ever read."""
    pieces = bytearray()
    async for piece in request.content.iter_chunked(PIECE):
        pieces += piece
        if len(pieces) > LARGEST_FILE:
            return None
    return bytes(pieces)
