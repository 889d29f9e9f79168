"""The gate: who a request comes from, and whether it may pass.

Owns sessions' cookies, roles, CSRF, the Origin check, security headers, and the form in which an
error is told (JSON under /api/, a page elsewhere). Under /hall it looks at customers' sessions, and
elsewhere at agents': neither opens the other's pages. A route that is not in the table of app.py,
or whose access is not given, is refused. Refuses to know what the pages do.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agent_desk import static_files
from agent_desk.entrance.visitor import (
    CSRF_FIELD,
    CSRF_HEADER,
    FORM_COOKIE,
    LANGUAGE,
    LANGUAGE_COOKIE,
    PARTS,
    SESSION_COOKIE,
    SIGNED_IN,
    is_supervisor,
    json_answer,
    language_of,
    origin_is_ours,
    session_if_any,
)
from agent_desk.hall import frame as hall_frame
from agent_desk.hall import visitor as hall
from agent_desk.languages import accepted_languages, chosen
from agent_desk.parts import AgentActionRefused
from agent_desk.rendering import page
from crm_store.database import is_away
from crm_store.staff import agents

log = logging.getLogger(__name__)


class Access(Enum):
    """Who may use a route. A page sends a stranger to the sign-in, the API answers 401. A signed
    one is a machine's: it comes without a session, and the route itself checks who has signed."""

    SIGNED = "signed"
    EVERYBODY = "everybody"
    CUSTOMERS = "customers"
    AGENTS = "agents"
    SUPERVISORS = "supervisors"
    SUPERVISORS_OR_LOOPBACK = "supervisors or loopback"


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table: `exempt_from_csrf` only where the route checks otherwise, and
    `takes_multipart` only where it reads such a body within bounds of its own, or not at all."""

    method: str
    path: str
    handler: Handler
    access: Access
    exempt_from_csrf: bool = False
    takes_multipart: bool = False


RETRY_SECONDS = "5"
"""When to ask again if the database is away."""

CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def gate(routes: tuple[Route, ...]) -> list[Middleware]:
    """The middlewares for an application with exactly these routes."""
    table = {(route.method, route.path): route for route in routes}

    @web.middleware
    async def add_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not response.prepared:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            if request.app[PARTS].secure_cookies:
                response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            # Files are asked for again and are mostly unchanged; nobody's data is kept anywhere.
            of_everybody = request.path.startswith("/static/")
            response.headers.setdefault("Cache-Control", "no-cache" if of_everybody else "no-store")
        return response

    @web.middleware
    async def tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        accepted = accepted_languages(request.headers.get("Accept-Language", ""))
        request[LANGUAGE] = chosen(request.cookies.get(LANGUAGE_COOKIE), None, accepted)
        try:
            return await handler(request)
        except AgentActionRefused as refusal:
            return tell_error(request, 503, str(refusal))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            # aiohttp's own words are "404: Not Found"; ours say what to do.
            ours = error.text and not error.text.startswith(f"{error.status}: ")
            said = error.text if ours else None
            response = tell_error(request, error.status, said)
            for name in ("Retry-After", "Allow"):
                if name in error.headers:
                    response.headers[name] = error.headers[name]
            return response
        except Exception as error:
            if isinstance(error, ConnectionError) and request.transport is None:
                # The page is gone in the middle of its question: nobody reads this.
                return web.Response(status=400)
            if is_away(error):
                log.warning("%s %s: the database is away", request.method, request.path)
                response = tell_error(request, 503, None)
                response.headers["Retry-After"] = RETRY_SECONDS
                return response
            log.exception("%s %s failed", request.method, request.path)
            return tell_error(request, 500, None)

    @web.middleware
    async def let_pass(request: web.Request, handler: Handler) -> web.StreamResponse:
        await _recognise(request)
        resource = request.match_info.route.resource
        if request.match_info.http_exception is not None or resource is None:
            return await handler(request)
        if resource.canonical == static_files.ROUTE:
            return await handler(request)
        method = "GET" if request.method == "HEAD" else request.method
        route = table.get((method, resource.canonical))
        if route is None:
            log.error("no access is given for %s %s", method, resource.canonical)
            raise web.HTTPForbidden
        refusal = _check_access(request, route)
        if refusal is not None:
            return refusal
        odd_charset = (request.charset or "utf-8").lower() != "utf-8"
        is_multipart = request.content_type == "multipart/form-data"
        if odd_charset or (is_multipart and not route.takes_multipart):
            # Only where it is expected, and nothing but UTF-8.
            raise web.HTTPUnsupportedMediaType
        if method != "GET" and not (route.exempt_from_csrf or route.access is Access.SIGNED):
            await _check_csrf(request)
        await _check_texts(request)
        return await handler(request)

    return [add_headers, tell_errors, let_pass]


async def _recognise(request: web.Request) -> None:
    """Find the session, and the language that its agent, or its customer, reads."""
    if hall.in_hall(request.path):
        await hall.recognise(request)
        return
    accepted = accepted_languages(request.headers.get("Accept-Language", ""))
    picked = request.cookies.get(LANGUAGE_COOKIE)
    token = request.cookies.get(SESSION_COOKIE)
    if not token or len(token) > 200 or request.path.startswith("/static/"):
        return
    session = await agents.session_of(request.app[PARTS].database, token)
    if session is not None:
        request[SIGNED_IN] = session
        request[LANGUAGE] = chosen(picked, session.agent.language, accepted)


def _check_access(request: web.Request, route: Route) -> web.StreamResponse | None:
    session = session_if_any(request)
    if route.access in (Access.EVERYBODY, Access.SIGNED):
        return None
    if route.access is Access.CUSTOMERS:
        if hall.customer_if_any(request) is not None:
            return None
        if route.method == "GET":
            raise web.HTTPSeeOther("/hall/sign-in?next=" + quote(request.path_qs, safe=""))
        raise web.HTTPUnauthorized
    if route.access is Access.SUPERVISORS_OR_LOOPBACK and _comes_from_this_machine(request):
        return None
    if session is None:
        if route.method == "GET" and not _speaks_json(request):
            raise web.HTTPSeeOther("/sign-in?next=" + quote(request.path_qs, safe=""))
        raise web.HTTPUnauthorized
    if route.access is not Access.AGENTS and not is_supervisor(session):
        _ = language_of(request)
        raise web.HTTPForbidden(text=_("This page is for supervisors."))
    return None


async def _check_csrf(request: web.Request) -> None:
    _ = language_of(request)
    if not origin_is_ours(request):
        raise web.HTTPForbidden(text=_("This request came from another site and was refused."))
    session = session_if_any(request) or hall.customer_if_any(request)
    expected = session.csrf_token if session else request.cookies.get(FORM_COOKIE, "")
    given = request.headers.get(CSRF_HEADER, "")
    if not given and request.content_type == "application/x-www-form-urlencoded":
        given = str((await request.post()).get(CSRF_FIELD, ""))
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise web.HTTPForbidden(
            text=_("This form is out of date. Load the page again, and then send it.")
        )


async def _check_texts(request: web.Request) -> None:
    """Refuse NUL in an address or a form: PostgreSQL cannot keep it."""
    texts = [request.path, *request.query, *request.query.values()]
    if request.content_type == "application/x-www-form-urlencoded":
        form = await request.post()
        texts += [*form, *map(str, form.values())]
    if any("\0" in text for text in texts):
        raise web.HTTPBadRequest


def _comes_from_this_machine(request: web.Request) -> bool:
    # A proxy on this machine also connects from loopback, but says for whom.
    return request.remote in ("127.0.0.1", "::1") and "X-Forwarded-For" not in request.headers


def _speaks_json(request: web.Request) -> bool:
    return request.path.startswith("/api/") or request.path in ("/push", "/phone", "/metrics")


def tell_error(request: web.Request, status: int, said: str | None) -> web.Response:
    """The error with a message that says what to do, as JSON or as a page."""
    _ = language_of(request)
    if said is None:
        said = {
            400: _("The request was not understood."),
            401: _("Your session is over. Sign in again."),
            403: _("You may not do this."),
            404: _("There is nothing at this address."),
            405: _("This address does not take that kind of request."),
            413: _("That is too much at once."),
        }.get(status) or _(
            "Something went wrong on our side. Try again; if it stays, tell a supervisor."
        )
    if _speaks_json(request):
        return json_answer({"error": said}, status)
    if hall.in_hall(request.path):
        return hall_frame.error_page(request, status, said)
    return page(request, "error.html", status=status, message=said, error_status=status)
