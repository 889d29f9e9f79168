"""The hall's visitor: which customer a request comes from, in which language.

Owns the hall's cookies, which no address outside /hall is ever sent, and what handlers may ask of a
request once the gate has let it pass. Refuses to decide whether it may. A desk's session is not
looked at here, nor a customer's at the desk: neither opens the other's pages.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aiohttp import web

from agent_desk.entrance.visitor import LANGUAGE, LANGUAGE_COOKIE, PARTS
from agent_desk.languages import accepted_languages, chosen
from crm_store.people import hall_sessions
from crm_store.people.hall_sessions import CustomerSession
from crm_store.shop import house
from crm_store.shop.house import House

HALL = "/hall"
HALL_COOKIE = "deskbell_hall"
CUSTOMER = web.RequestKey("customer", CustomerSession)
HOUSE = web.RequestKey("house", House)

LONGEST_TOKEN = 200


def in_hall(path: str) -> bool:
    """Whether the address is one of the hall's."""
    return path == HALL or path.startswith(HALL + "/")


async def recognise(request: web.Request) -> None:
    """Find the house, the customer's session, and the language that they read.

    Raises HTTPNotFound where there is no hall.
    """
    parts = request.app[PARTS]
    if not parts.hall.is_open:
        raise web.HTTPNotFound
    request[HOUSE] = await house.read(parts.database)
    token = request.cookies.get(HALL_COOKIE)
    if not token or len(token) > LONGEST_TOKEN:
        return
    session = await hall_sessions.session_of(parts.database, token)
    if session is not None:
        if datetime.now(UTC) - session.seen_at > hall_sessions.SEEN_EVERY:
            async with parts.database.transaction() as transaction:
                await hall_sessions.seen(transaction, session.session_id)
        request[CUSTOMER] = session
        picked = request.cookies.get(LANGUAGE_COOKIE)
        accepted = accepted_languages(request.headers.get("Accept-Language", ""))
        request[LANGUAGE] = chosen(picked, session.language, accepted)


def customer_if_any(request: web.Request) -> CustomerSession | None:
    return request.get(CUSTOMER)


def customer(request: web.Request) -> CustomerSession:
    """The session of this request; only behind a route that is for customers."""
    session: CustomerSession | None = request.get(CUSTOMER)
    if session is None:
        raise web.HTTPUnauthorized
    return session


def give_session(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Let the browser in with this session's token."""
    lasts = timedelta(days=request.app[PARTS].hall.session_days)
    set_hall_cookie(request, response, HALL_COOKIE, token, int(lasts.total_seconds()))


def set_hall_cookie(
    request: web.Request,
    response: web.StreamResponse,
    name: str,
    value: str,
    max_age: int | None,
) -> None:
    """A cookie for the hall alone. A link in a mail of ours opens the hall signed in (Lax); what
    changes something needs a form's token besides."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        httponly=True,
        secure=request.app[PARTS].secure_cookies,
        samesite="Lax",
        path=HALL,
    )


def forget_hall_cookie(response: web.StreamResponse, name: str) -> None:
    response.del_cookie(name, path=HALL)
