"""Files of messages: letters as they were laid out, attachments, and mails as they came.

Owns the headers that keep a stranger's content from doing anything: a letter is shown in a frame
that runs nothing and fetches nothing by itself; a file is a download unless it is a picture or a
PDF. A letter has an address of its own and no srcdoc: it would inherit the page's content policy,
under which neither its pictures nor its lines would show, asked for or not.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, id_in, language_of
from agent_desk.inbox import whose
from channels.mail import html_cleaning
from crm_store.contacts import attachments, messages
from crm_store.contacts.attachments import FileRecord
from crm_store.contacts.messages import MessageRecord
from crm_store.models import AttachmentState

SHOWN_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf")
"""What is shown when it is asked for; everything else is a download."""

_NOTHING = "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
_STYLE = """
html { color-scheme: light dark; }
body { margin: 0.8rem; font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
table { max-width: 100%; border-collapse: collapse; }
td, th { padding: 0.1rem 0.4rem; vertical-align: top; }
blockquote, .quoted { margin-inline: 0; padding-inline-start: 0.8rem;
  border-inline-start: 3px solid #8a9693; }
pre { white-space: pre-wrap; }
"""


async def show_letter(request: web.Request) -> web.StreamResponse:
    """GET ?pictures=1: the HTML of a message as a page for a frame. With `pictures` those of other
    servers too, which tells these that it is being read."""
    message = await _message(request)
    if not message.html:
        raise web.HTTPNotFound
    remote = request.query.get("pictures") == "1"
    here = f"/inbox/conversations/{message.conversation_id}/attachments"
    inline = {
        file.content_id: f"{here}/{file.id}?shown=1"
        for file in message.files
        if file.content_id and file.state is AttachmentState.OK
    }
    body = html_cleaning.with_images(message.html, inline, remote=remote)
    pictures = "img-src 'self' data:" + (" https: http:" if remote else "")
    answer = web.Response(
        text=f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style><body dir="auto">{body}',
        content_type="text/html",
    )
    answer.headers["Content-Security-Policy"] = (
        f"{_NOTHING}; style-src 'unsafe-inline'; {pictures}; "
        "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
    )
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


async def show_file(request: web.Request) -> web.StreamResponse:
    """GET ?shown=1: an attachment, as a download, or `shown` where it is a picture or a PDF."""
    record = await whose.conversation_of(request)
    database = request.app[PARTS].database
    file = await attachments.find(database, id_in(request, "attachment_id"))
    if file is None or file.message_id is None or file.state is not AttachmentState.OK:
        raise web.HTTPNotFound
    message = await messages.find(database, file.message_id)
    if message is None or message.conversation_id != record.id:
        raise web.HTTPNotFound
    shown = request.query.get("shown") == "1" and file.media_type in SHOWN_TYPES
    answer = web.FileResponse(_path(request, file.file))
    answer.headers["Content-Type"] = file.media_type if shown else "application/octet-stream"
    answer.headers["Content-Disposition"] = _disposition(file, shown)
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    # A PDF's viewer is the browser's own, and does not work in a sandbox.
    sandbox = "" if shown and file.media_type == "application/pdf" else "; sandbox"
    answer.headers["Content-Security-Policy"] = _NOTHING + sandbox
    return answer


async def show_raw(request: web.Request) -> web.StreamResponse:
    """GET: a mail as it came, as a download."""
    message = await _message(request)
    if not message.raw_file:
        raise web.HTTPNotFound
    answer = web.FileResponse(_path(request, message.raw_file))
    answer.headers["Content-Type"] = "application/octet-stream"
    answer.headers["Content-Disposition"] = f'attachment; filename="{message.id}.eml"'
    answer.headers["Content-Security-Policy"] = _NOTHING + "; sandbox"
    return answer


async def _message(request: web.Request) -> MessageRecord:
    record = await whose.conversation_of(request)
    found = await messages.find(request.app[PARTS].database, id_in(request, "message_id"))
    if found is None or found.conversation_id != record.id:
        raise web.HTTPNotFound
    return found


def _path(request: web.Request, file: str) -> Path:
    files = request.app[PARTS].written.files
    try:
        path = files.path(file) if files is not None else None
    except ValueError as error:
        raise web.HTTPNotFound from error
    if path is None or not path.is_file():
        _ = language_of(request)
        raise web.HTTPNotFound(text=_("This file is not here any more."))
    return path


def _disposition(file: FileRecord, shown: bool) -> str:
    kind = "inline" if shown else "attachment"
    return f"{kind}; filename*=UTF-8''{quote(file.name, safe='')}"


ROUTES = (
    Route(
        "GET",
        "/inbox/conversations/{conversation_id}/messages/{message_id}/letter",
        show_letter,
        Access.AGENTS,
    ),
    Route(
        "GET",
        "/inbox/conversations/{conversation_id}/messages/{message_id}/raw",
        show_raw,
        Access.AGENTS,
    ),
    Route(
        "GET",
        "/inbox/conversations/{conversation_id}/attachments/{attachment_id}",
        show_file,
        Access.AGENTS,
    ),
)
