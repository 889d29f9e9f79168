"""The desk's own files for browsers, served from memory.

Owns their types, their compressed forms (made once), their version and which of them a script will
ask for next. The version is a part of the path, /static/VERSION/desk.js: so a module's relative
imports carry it too, and all of it may be kept by browsers for ever. Refuses to know pages.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiohttp import web

STATIC_FOLDER = Path(__file__).with_name("static")

ROUTE = "/static/{name}"
"""The canonical form of the route that `serve_file` answers."""

TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".woff2": "font/woff2",
}

SMALLEST_TO_COMPRESS = 500
"""Below this many bytes an answer fits one packet either way."""

FOR_EVER = "public, max-age=31536000, immutable"

_VERSION = re.compile(r"[0-9a-f]{12}\Z")
_IMPORT = re.compile(rb"""^(?:import|export)\s[^"';]*["'](\./[\w./-]+\.js)["']""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file. `compressed` is its gzip form, or None where that would not be smaller."""

    body: bytes
    compressed: bytes | None
    content_type: str
    tag: str


def _read(file: Path) -> StaticFile:
    body = file.read_bytes()
    kind = TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0]
    compressed = None
    if len(body) >= SMALLEST_TO_COMPRESS:
        small = gzip.compress(body, 9, mtime=0)
        compressed = small if len(small) < len(body) else None
    return StaticFile(
        body, compressed, kind or "application/octet-stream", hashlib.sha256(body).hexdigest()[:16]
    )


@cache
def static_files() -> dict[str, StaticFile]:
    """All of them by name; read and compressed at the first call. Raises OSError."""
    return {
        file.relative_to(STATIC_FOLDER).as_posix(): _read(file)
        for file in sorted(STATIC_FOLDER.rglob("*"))
        if file.is_file()
    }


@cache
def static_version() -> str:
    """A text that changes with any of the files."""
    digest = hashlib.sha256()
    for name, file in static_files().items():
        digest.update(f"{name}\n{file.tag}\n".encode())
    return digest.hexdigest()[:12]


def static_address(name: str) -> str:
    """Where a browser finds this version of the file."""
    return f"/static/{static_version()}/{name}"


@cache
def imported_by(*scripts: str) -> tuple[str, ...]:
    """Every module that these load at once, directly or through others, without themselves: what a
    page tells the browser beforehand, so that it need not find out one round trip at a time."""
    found: list[str] = []
    waiting = list(scripts)
    while waiting:
        file = static_files().get(waiting.pop())
        for match in _IMPORT.finditer(file.body if file else b""):
            name = match[1].decode().removeprefix("./")
            if name not in found and name not in scripts:
                found.append(name)
                waiting.append(name)
    return tuple(sorted(found))


async def serve_file(request: web.Request) -> web.StreamResponse:
    """GET /static/[VERSION/]name: for ever if the version is ours, else to be asked for again."""
    asked, _, rest = request.match_info["name"].partition("/")
    versioned = bool(_VERSION.match(asked)) and bool(rest)
    name = rest if versioned else request.match_info["name"]
    file = static_files().get(name)
    if file is None:
        raise web.HTTPNotFound
    if not versioned and name.endswith(".js") and request.query_string == static_version():
        # Its imports must come from where everybody else's come from, or they would run twice.
        raise web.HTTPTemporaryRedirect(static_address(name))
    current = static_version() in (asked if versioned else "", request.query_string)
    small = file.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", "")
    tag = f'"{file.tag}{"-gz" if small else ""}"'
    headers = {
        "Cache-Control": FOR_EVER if current else "no-cache",
        "ETag": tag,
        "Vary": "Accept-Encoding",
    }
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = file.content_type
    if file.content_type.startswith("text/"):
        headers["Content-Type"] += "; charset=utf-8"
    body = file.body
    if small and file.compressed is not None:
        headers["Content-Encoding"] = "gzip"
        body = file.compressed
    return web.Response(body=body, headers=headers)
