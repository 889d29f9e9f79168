"""Every address of the desk, in Markdown: docs/requests.md, made from the handlers' own words.

Owns the order and the form. What an address takes and gives is said where it is served.
"""

from __future__ import annotations

import inspect

from agent_desk.app import ROUTES
from agent_desk.entrance.gate import Access, Route

HEAD = """\
# Requests

Written by `deskbell requests`; a test holds it to the code. What happens live comes by
[the push](push.md).

Sign in first: `POST /api/sign-in` with `{"login": …, "password": …}` gives the session's cookie
(`deskbell_session`) and `{"login", "role", "csrf_token"}`. Whatever changes something is a POST
that carries the token as the header `X-CSRF-Token` (forms: the field `csrf_token`). What stands
under `/api` takes and gives JSON (`application/json`); what is wrong comes as `{"error": text}`, in
the agent's language. 400: the request makes no sense. 401: sign in. 403: not yours. 404: not there.
409: not in this state. 503: the telephone system or the
database is away.
"""

WHO = {
    Access.EVERYBODY: "everybody",
    Access.SIGNED: "whom the signature names",
    Access.CUSTOMERS: "the customer",
    Access.AGENTS: "who is signed in",
    Access.SUPERVISORS: "supervisors",
    Access.SUPERVISORS_OR_LOOPBACK: "supervisors, and this machine",
}
ELSEWHERE = ("/api/", "/setup", "/hall", "/hooks", "/chat")
PARTS = (
    ("Pages", lambda route: not route.path.startswith(ELSEWHERE)),
    ("Set-up", lambda route: route.path.startswith("/setup")),
    ("The customers' hall", lambda route: route.path.startswith("/hall")),
    ("The chat", lambda route: route.path.startswith("/chat")),
    ("Webhooks", lambda route: route.path.startswith("/hooks")),
    ("Data", lambda route: route.path.startswith("/api/")),
)


def reference() -> str:
    """The whole page. Raises ValueError for an address that says nothing of itself."""
    text = HEAD
    for title, belongs in PARTS:
        text += f"\n## {title}\n\n| | for | |\n|---|---|---|\n"
        text += "".join(_line(route) for route in ROUTES if belongs(route))
    return text


def _line(route: Route) -> str:
    said = " ".join((inspect.getdoc(route.handler) or "").partition("\n\n")[0].split())
    if not said:
        raise ValueError(f"{route.method} {route.path} says nothing of itself")
    said = said.replace("|", "\\|").replace("<", "&lt;")
    return f"| `{route.method} {route.path}` | {WHO[route.access]} | {said} |\n"
