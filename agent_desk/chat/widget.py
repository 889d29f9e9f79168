"""The widget's script: one file, put together of its parts, for one script tag on any site.

Owns what it is made of. The parts share one scope that the page around them cannot see; the sheet
and the button's words come with it, so that nothing more is asked before somebody wants to chat.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache

import orjson
from aiohttp import web

from agent_desk.chat.door import chat_of
from agent_desk.chat.words import launcher_words
from agent_desk.static_files import STATIC_FOLDER

FOLDER = STATIC_FOLDER / "chat"
PARTS_IN_ORDER = ("elements", "storage", "connection", "thread", "forms", "panel", "launcher")

KEPT_FOR_S = 300
"""A shop's visitors get a new version so late."""


@cache
def widget_script() -> bytes:
    """The whole script. Raises OSError if a part cannot be read."""
    style = (FOLDER / "chat.css").read_text(encoding="utf-8")
    values = {"LABELS": launcher_words(), "STYLE": style}
    made = [f"const {name} = {orjson.dumps(value).decode()};" for name, value in values.items()]
    parts = [(FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in PARTS_IN_ORDER]
    return "\n".join(['"use strict";', "(() => {", *made, *parts, "})();", ""]).encode()


@cache
def _compressed() -> bytes:
    return gzip.compress(widget_script(), 9, mtime=0)


@cache
def _tag() -> str:
    return hashlib.sha256(widget_script()).hexdigest()[:16]


async def serve_widget(request: web.Request) -> web.StreamResponse:
    """GET /chat/widget.js: for every site; what it may do there is decided by the other routes."""
    chat_of(request)
    small = "gzip" in request.headers.get("Accept-Encoding", "")
    tag = f'"{_tag()}{"-gz" if small else ""}"'
    headers = {
        "Cache-Control": f"public, max-age={KEPT_FOR_S}",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Access-Control-Allow-Origin": "*",
        "ETag": tag,
        "Vary": "Accept-Encoding",
    }
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = "text/javascript; charset=utf-8"
    if small:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=_compressed() if small else widget_script(), headers=headers)
