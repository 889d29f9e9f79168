"""The door of the chat: which sites' pages may come in, how often, and whose token it is.

Owns the check of Origin against the sites that were set, the headers that let those sites read an
answer, the limits for each address, and the form of an error. No cookie counts here: a visitor is
who has the token. Refuses to know what is said.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import wraps

from aiohttp import web

from agent_desk.entrance.visitor import PARTS, address_of, json_answer, origin_is_ours
from agent_desk.live.push_allowance import Allowance
from agent_desk.parts import ChatParts
from crm_store.contacts import chat_sessions
from crm_store.contacts.chat_sessions import ChatSessionRecord
from crm_store.database import is_away

log = logging.getLogger(__name__)

LONGEST_TOKEN = 100
MOST_ADDRESSES = 20_000

_PROBLEMS = {400: "not_understood", 401: "over", 403: "site", 404: "nothing", 413: "too_large"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Limits:
    """So many of something for each key, at once and in the long run; the longest unused key is
    forgotten first."""

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._known: OrderedDict[str, Allowance] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one; how many seconds too early that is, 0 if not."""
        now = asyncio.get_running_loop().time()
        found = self._known.setdefault(key, Allowance(self._burst, self._per_second, now))
        self._known.move_to_end(key)
        while len(self._known) > MOST_ADDRESSES:
            self._known.popitem(last=False)
        return found.take(now)


class Door:
    """What is counted of each address and visitor; one for the application."""

    def __init__(self) -> None:
        self.questions = Limits(burst=60, per_second=1.0)
        self.sessions = Limits(burst=10, per_second=1 / 60)
        self.uploads = Limits(burst=5, per_second=1 / 10)
        self.letters = Limits(burst=3, per_second=1 / 600)
        self.sockets: dict[str, int] = {}
        self.uploading = asyncio.Semaphore(4)


DOOR = web.AppKey("chat_door", Door)


def chat_of(request: web.Request) -> ChatParts:
    """The chat. Raises HTTPNotFound where none is set up."""
    chat = request.app[PARTS].chat
    if chat is None:
        raise web.HTTPNotFound
    return chat


def site_of(request: web.Request) -> str:
    """The origin whose page asks; "" for a page of our own that says none. Raises HTTPForbidden."""
    origin = request.headers.get("Origin")
    if origin is None:
        # Browsers leave it out only of a page's question to its own site.
        if request.method in ("GET", "HEAD") and origin_is_ours(request):
            return ""
        raise web.HTTPForbidden
    chat = request.app[PARTS].chat
    if origin_is_ours(request) or (chat is not None and origin.lower() in chat.sites):
        return origin
    raise web.HTTPForbidden


def for_sites(handler: Handler) -> Handler:
    """Let only our sites' pages in, and let them read the answer; errors are {"problem": …}."""

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            origin = site_of(request)
        except web.HTTPForbidden:
            return json_answer({"problem": "site"}, 403)
        response: web.StreamResponse
        try:
            chat_of(request)
            response = await handler(request)
        except web.HTTPException as error:
            response = json_answer({"problem": _PROBLEMS.get(error.status, "other")}, error.status)
        except Exception as error:
            if isinstance(error, ConnectionError):
                raise
            if not is_away(error):
                log.exception("%s %s failed", request.method, request.path)
            response = json_answer({"problem": "away"}, 503)
        response.headers["Vary"] = "Origin"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if origin:
            response.headers["Access-Control-Allow-Origin"] = origin
        return response

    return answer


@for_sites
async def allow_site(request: web.Request) -> web.StreamResponse:
    """OPTIONS of each address: what a site's page may send."""
    headers = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, X-File-Name, X-Key",
        "Access-Control-Max-Age": "600",
    }
    return web.Response(status=204, headers=headers)


def refused(why: str, status: int) -> web.Response:
    """An answer that says what was wrong, as the widget's words have it."""
    return json_answer({"problem": why}, status)


async def session_in(request: web.Request) -> ChatSessionRecord | None:
    """The visitor whose token the request has."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer":
        return None
    return await session_of(request, token)


async def session_of(request: web.Request, token: str) -> ChatSessionRecord | None:
    if not token or len(token) > LONGEST_TOKEN or not token.isascii():
        return None
    return await chat_sessions.of_token(request.app[PARTS].database, token)


def is_too_fast(limits: Limits, request: web.Request) -> bool:
    return limits.take(address_of(request)) > 0
