"""Signing in and out, by form and by JSON.

Owns what happens between a password and a session's cookie: the limit on guesses, the log of
failures (never the password), the queues that are left at sign-out. Who may pass afterwards is
gate.py's.
"""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta

from aiohttp import web

from agent_desk.entrance.guess_limiter import GuessLimiter
from agent_desk.entrance.passwords import PasswordCheck, TooBusy
from agent_desk.entrance.visitor import (
    FORM_COOKIE,
    LANGUAGE_COOKIE,
    PARTS,
    SESSION_COOKIE,
    THEME_COOKIE,
    address_of,
    json_answer,
    language_of,
    origin_is_ours,
    session_if_any,
    set_cookie,
    signed_in,
    wish_of,
)
from agent_desk.live.push import PushHub
from agent_desk.parts import AgentActionRefused
from agent_desk.phone.claims import CLAIMS
from agent_desk.rendering import page
from crm_store.staff import agents
from crm_store.staff.agents import SignedIn

log = logging.getLogger(__name__)

CHECK = web.AppKey("password_check", PasswordCheck)
LIMITER = web.AppKey("guess_limiter", GuessLimiter)
HUB = web.AppKey("push_hub", PushHub)

LONGEST_LOGIN = 100
YEAR_S = 365 * 24 * 3600


async def show_sign_in(request: web.Request) -> web.StreamResponse:
    """GET /sign-in: the form, or the desk for somebody who is signed in already."""
    if session_if_any(request):
        raise web.HTTPSeeOther("/desk")
    return _form(request, 200, "", "", request.query.get("next", ""))


async def sign_in(request: web.Request) -> web.StreamResponse:
    """POST /sign-in, the form's fields `login`, `password` and `next` (an address of ours)."""
    form = await request.post()
    login = str(form.get("login", ""))
    session, token, said = await _attempt(request, login, str(form.get("password", "")))
    if session is None:
        status, message, wait_s = said
        response = _form(request, status, message, login, str(form.get("next", "")))
        if wait_s:
            response.headers["Retry-After"] = str(wait_s)
        return response
    response = web.HTTPSeeOther(_address_of_ours(str(form.get("next", ""))))
    _give_session(request, response, token)
    raise response


async def sign_in_json(request: web.Request) -> web.StreamResponse:
    """POST /api/sign-in {"login", "password"}: the cookie, and {"login", "role", "csrf_token"}.

    401 with what to do when the password is wrong, 429 with Retry-After after too many. It needs no
    CSRF token: no other site's form can send application/json, and Origin is checked.
    """
    if request.content_type != "application/json" or not origin_is_ours(request):
        raise web.HTTPForbidden(text="Send application/json from this site.")
    try:
        wish = await wish_of(request)
    except web.HTTPBadRequest:
        wish = {}
    login, password = wish.get("login"), wish.get("password")
    if not isinstance(login, str) or not isinstance(password, str):
        raise web.HTTPBadRequest(text='Send {"login": "…", "password": "…"}.')
    session, token, (status, message, wait_s) = await _attempt(request, login, password)
    if session is None:
        response = json_answer({"error": message}, status)
        if wait_s:
            response.headers["Retry-After"] = str(wait_s)
        return response
    response = json_answer(
        {
            "login": session.agent.login,
            "role": session.agent.role.value,
            "csrf_token": session.csrf_token,
        }
    )
    _give_session(request, response, token)
    return response


async def sign_out(request: web.Request) -> web.StreamResponse:
    """POST /sign-out: the session ends, its desks are closed, the agent leaves the queues."""
    session = signed_in(request)
    parts = request.app[PARTS]
    async with parts.database.transaction() as transaction:
        await agents.close_session(transaction, request.cookies[SESSION_COOKIE])
    request.app[HUB].end_session(session.session_id)
    await request.app[CLAIMS].end_session(session.session_id)
    try:
        await parts.agents.sign_out(session.agent.login)
    except AgentActionRefused as refusal:
        # The session is over all the same; a queue without a desk rings a phone in vain.
        log.warning("%s signed out, but not from the queues: %s", session.agent.login, refusal)
    log.info("%s signed out", session.agent.login)
    response = web.HTTPSeeOther("/sign-in")
    response.del_cookie(SESSION_COOKIE, path="/")
    raise response


async def choose_look(request: web.Request) -> web.StreamResponse:
    """POST /look, fields `language` or `theme` ("light", "dark", "" as the machine has it)."""
    form = await request.post()
    response = web.HTTPSeeOther(_address_of_ours(str(form.get("next", ""))))
    for field, cookie in (("language", LANGUAGE_COOKIE), ("theme", THEME_COOKIE)):
        if field in form:
            set_cookie(response, request.app[PARTS], cookie, str(form[field])[:10], YEAR_S)
    raise response


async def _attempt(
    request: web.Request, login: str, password: str
) -> tuple[SignedIn | None, str, tuple[int, str, int]]:
    """The new session and its token; or why not: a status, a message, seconds to wait."""
    _ = language_of(request)
    parts, limiter = request.app[PARTS], request.app[LIMITER]
    address = address_of(request)
    login = login.strip()[:LONGEST_LOGIN]
    wait_s = limiter.wait_s(login, address)
    if wait_s > 0:
        log.warning("sign-in refused: too many failures for %r from %s", login, address)
        minutes = int(wait_s // 60) + 1
        message = _.count(
            "Too many failed attempts. Wait %(minutes)d minute, or ask a supervisor.",
            "Too many failed attempts. Wait %(minutes)d minutes, or ask a supervisor.",
            minutes,
        ) % {"minutes": minutes}
        return None, "", (429, message, int(wait_s) + 1)
    # At once: between the question and this, nobody else may ask.
    limiter.begins(login, address)
    kept_hash = await agents.password_hash(parts.database, login)
    try:
        same = await request.app[CHECK].matches(kept_hash, password)
    except TooBusy:
        return None, "", (503, _("Very many people are signing in. Try again in a minute."), 60)
    if not same:
        # What was typed may be a password in the wrong field: only a login that exists is named.
        who = repr(login) if kept_hash else "nobody we know"
        log.warning("sign-in failed for %s from %s", who, address)
        message = _("That name and password do not belong together. Check both and try again.")
        return None, "", (401, message, 0)
    limiter.succeeded(login, address)
    agent = await agents.find(parts.database, login)
    if agent is None:
        raise web.HTTPUnauthorized
    async with parts.database.transaction() as transaction:
        lasts = timedelta(hours=parts.session_hours)
        token = await agents.open_session(transaction, agent.id, lasts)
    session = await agents.session_of(parts.database, token)
    log.info("%s signed in from %s", login, address)
    return session, token, (200, "", 0)


def _give_session(request: web.Request, response: web.StreamResponse, token: str) -> None:
    parts = request.app[PARTS]
    set_cookie(response, parts, SESSION_COOKIE, token, int(parts.session_hours * 3600))
    response.del_cookie(FORM_COOKIE, path="/")


def _form(request: web.Request, status: int, message: str, login: str, to: str) -> web.Response:
    token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
    response = page(
        request,
        "sign_in.html",
        error_status=status,
        message=message,
        login=login,
        form_token=token,
        next=_address_of_ours(to),
    )
    set_cookie(response, request.app[PARTS], FORM_COOKIE, token, None)
    return response


def _address_of_ours(address: str) -> str:
    """The address if it stays on this desk, else the desk's first page."""
    inside = address.startswith("/") and not address.startswith(("//", "/\\", "/sign-", "/api/"))
    return address if inside and address.isprintable() else "/desk"
