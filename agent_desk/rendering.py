"""Templates: one environment, and the values that every page is given.

Owns escaping (everything, always), formats of dates, numbers and points in the reader's language.
Refuses to know any single page.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web
from babel.dates import format_datetime
from babel.numbers import format_decimal
from markupsafe import Markup

from agent_desk import languages
from agent_desk.desk.desk_texts import desk_texts
from agent_desk.entrance.visitor import (
    PAGES,
    THEME_COOKIE,
    is_supervisor,
    language_of,
    session_if_any,
)
from agent_desk.live.caller_display import shown_number
from agent_desk.static_files import imported_by, static_address, static_version

HERE = Path(__file__).parent
TEMPLATE_FOLDER = HERE / "templates"


def environment() -> jinja2.Environment:
    """The templates. A name that a template does not have is an error, not an empty text."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Chinese and Persian as they are: half of the bytes, and the page is UTF-8.
    found.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
    found.globals["static"] = static_address
    found.globals["imported_by"] = imported_by
    found.globals["icon"] = icon
    found.filters["number"] = shown_number
    found.filters["card_number"] = shown_card_number
    return found


def icon(name: str, kind: str = "") -> Markup:
    """A picture of icons.svg that says nothing to a screen reader; `kind` is one class more."""
    return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
        kind, static_address("icons.svg"), name
    )


def page(
    request: web.Request, template: str, *, error_status: int = 200, **values: Any
) -> web.Response:
    """The template as an answer. `error_status` is the HTTP status if it tells an error."""
    language = language_of(request)
    session = session_if_any(request)
    theme = request.cookies.get(THEME_COOKIE, "")
    text = (
        request.app[PAGES]
        .get_template(template)
        .render(
            _=language,
            ngettext=language.count,
            language=language,
            languages=languages.NAMES,
            theme=theme if theme in ("light", "dark") else "",
            me=session.agent if session else None,
            may_supervise=session is not None and is_supervisor(session),
            csrf_token=session.csrf_token if session else "",
            version=static_version(),
            here=request.path_qs,
            moment=lambda at: _moment(at, language.code),
            time_at=lambda at: Markup('<time datetime="{}">{}</time>').format(
                at.isoformat(), _moment(at, language.code)
            ),
            points=lambda hundredths: shown_points(hundredths, language.code),
            **({"texts": desk_texts(language)} | values),
        )
    )
    return web.Response(text=text, status=error_status, content_type="text/html")


def _moment(at: datetime, code: str) -> str:
    """A moment in UTC; the page's script writes it in its own computer's zone and calendar."""
    return f"{format_datetime(at, 'short', locale=code)} UTC"


def shown_card_number(number: str) -> str:
    """A member card's number in groups of four."""
    return "\u202f".join(number[place : place + 4] for place in range(0, len(number), 4))


def shown_points(hundredths: int, code: str) -> str:
    """Points as the language writes a number; hundredths only where there are any."""
    whole, part = divmod(abs(hundredths), 100)
    pattern = "#,##0.00" if part else "#,##0"
    text = format_decimal(
        abs(hundredths) / 100 if part else whole, pattern, code, numbering_system="default"
    )
    return f"-{text}" if hundredths < 0 else text
