"""The visitor: who a request comes from, in which language, from where.

Owns the names of cookies and what handlers may ask of a request once gate.py has let it pass.
Refuses to decide whether it may.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import jinja2
import orjson
from aiohttp import web

from agent_desk.languages import Language
from agent_desk.parts import DeskParts
from crm_store.models import Role
from crm_store.staff.agents import SignedIn

PARTS = web.AppKey("parts", DeskParts)
SIGNED_IN = web.RequestKey("signed_in", SignedIn)
LANGUAGE = web.RequestKey("language", Language)
PAGES = web.AppKey("pages", jinja2.Environment)

SESSION_COOKIE = "deskbell_session"
LANGUAGE_COOKIE = "deskbell_language"
THEME_COOKIE = "deskbell_theme"
FORM_COOKIE = "deskbell_form"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"


def signed_in(request: web.Request) -> SignedIn:
    """The session of this request; only behind a route whose access says that there is one."""
    session: SignedIn | None = request.get(SIGNED_IN)
    if session is None:
        raise web.HTTPUnauthorized
    return session


LONGEST_ID = 18
"""Digits; any number of so many fits a column of 64 bits."""


def session_if_any(request: web.Request) -> SignedIn | None:
    return request.get(SIGNED_IN)


def language_of(request: web.Request) -> Language:
    return request[LANGUAGE]


def is_supervisor(session: SignedIn) -> bool:
    return session.agent.role in (Role.SUPERVISOR, Role.ADMIN)


def address_of(request: web.Request) -> str:
    """The client's address; behind a proxy, the one that the nearest proxy wrote down."""
    if request.app[PARTS].behind_proxy:
        forwarded = request.headers.get("X-Forwarded-For", "")
        if forwarded:
            return forwarded.rpartition(",")[2].strip()[:100]
    return request.remote or ""


def row_id(text: str) -> int | None:
    """The number of a row as it stands in an address, or None for a text that cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_ID else None


def id_in(request: web.Request, name: str) -> int:
    """The row's number in that place of the address. Raises HTTPNotFound for what cannot be one."""
    found = row_id(request.match_info[name])
    if found is None:
        raise web.HTTPNotFound
    return found


async def wish_of(request: web.Request) -> dict[str, Any]:
    """The request's JSON object. Raises HTTPBadRequest for anything else, and for what no database
    can keep."""
    try:
        wish = orjson.loads(await request.read() or b"{}")
    except ValueError:
        wish = None
    if not isinstance(wish, dict):
        raise web.HTTPBadRequest(text="Send a JSON object.")
    if not is_storable(wish):
        raise web.HTTPBadRequest(text="No NUL in texts, and no number beyond 64 bits, please.")
    return wish


def is_storable(wish: object) -> bool:
    """Whether both databases can keep every text and every whole number in it: PostgreSQL has no
    NUL in texts, and neither has integers beyond 64 bits."""
    unseen: list[object] = [wish]
    while unseen:
        value = unseen.pop()
        if isinstance(value, dict):
            unseen += value
            unseen += value.values()
        elif isinstance(value, list):
            unseen += value
        elif isinstance(value, str):
            if "\0" in value:
                return False
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            return False
    return True


def json_answer(content: object, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(content), status=status, content_type="application/json", charset="utf-8"
    )


def set_cookie(
    response: web.StreamResponse, parts: DeskParts, name: str, value: str, max_age: int | None
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        httponly=True,
        secure=parts.secure_cookies,
        samesite="Strict",
        path="/",
    )


def origin_is_ours(request: web.Request) -> bool:
    """Whether Origin names this desk. None at all is no browser, which cannot be made to lie."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") in (None, "same-origin", "none")
    public = request.app[PARTS].public_url
    if public:
        ours = urlsplit(public)
        return origin.lower() == f"{ours.scheme}://{ours.netloc}".lower()
    return urlsplit(origin).netloc.lower() == request.host.lower()
