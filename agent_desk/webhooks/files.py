"""Files that a provider fetches from us to send them on: by links that we have signed.

Owns the form of such a link, and that it shows one file for a short while.
"""

from __future__ import annotations

import re
from datetime import timedelta

from aiohttp import web

from agent_desk.entrance.visitor import PARTS
from channels.senders import OutgoingFile
from crm_store.people.signed_links import Signer

PURPOSE = "file_for_provider"
HOLDS = timedelta(hours=4)
"""Providers fetch at once; a message that is tried again has a link of its own."""

_FILE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,100}/[a-z0-9.+-]{1,100}")


def link_to(file: OutgoingFile, *, public_url: str, signer: Signer) -> str:
    """An address at which the file can be fetched for a while by whoever knows it."""
    says = {
        "file": f"{file.path.parent.name}/{file.path.name}",
        "type": file.media_type,
        "name": file.name,
    }
    return f"{public_url.rstrip('/')}/hooks/files/{signer.sign(PURPOSE, says, HOLDS)}"


async def show_file(request: web.Request) -> web.StreamResponse:
    """GET /hooks/files/{token}: the file that the link was made for."""
    parts = request.app[PARTS].webhooks
    if parts.signer is None or parts.attachments_folder is None:
        raise web.HTTPNotFound
    says = parts.signer.read(PURPOSE, request.match_info["token"])
    if says is None:
        raise web.HTTPForbidden(text="This link is no longer valid.")
    file, media_type = str(says.get("file", "")), str(says.get("type", ""))
    if not _FILE.fullmatch(file):
        raise web.HTTPNotFound
    sound_type = media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
    return web.FileResponse(
        parts.attachments_folder / file,
        headers={
            "Content-Type": sound_type,
            "Content-Disposition": "attachment",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )
