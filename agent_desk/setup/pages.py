"""The supervisors' set-up: its start page, and what all its pages have in common.

Owns the list of pages under /setup, the frame that they are shown in, and what a form may ask of
itself (a code, a number, titles by language). What each page sets is in the module named for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, address_of, is_storable, language_of, signed_in
from agent_desk.languages import NAMES, Language
from agent_desk.rendering import page
from crm_store import audit
from crm_store.database import Transaction

LONGEST_TITLE = 100
CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""What names a thing in the store, in Asterisk and in addresses."""


@dataclass(frozen=True, slots=True)
class SetupPage:
    """A card of the start page. `title` and `about` take the reader's language; `icon` is a symbol
    of icons.svg."""

    address: str
    icon: str
    title: Callable[[Language], str]
    about: Callable[[Language], str]


SETUP_PAGES: tuple[SetupPage, ...] = (
    SetupPage(
        "/setup/queues",
        "phone",
        lambda _: _("Queues"),
        lambda _: _("Wrap-up, recording, missed rings, and what each queue offers and asks for."),
    ),
    SetupPage(
        "/setup/agents",
        "person",
        lambda _: _("Agents"),
        lambda _: _("Who works here, at which phone, in which queues, and how well they do what."),
    ),
    SetupPage(
        "/setup/skills",
        "setup-star",
        lambda _: _("Skills"),
        lambda _: _("What queues ask for and agents can do: languages, subjects."),
    ),
    SetupPage(
        "/setup/pause-reasons",
        "setup-pause",
        lambda _: _("Pause reasons"),
        lambda _: _("What an agent can say when they take a pause."),
    ),
    SetupPage(
        "/setup/dispositions",
        "setup-tree",
        lambda _: _("Dispositions"),
        lambda _: _("How a call can have been settled, as a tree for the wrap-up."),
    ),
    SetupPage(
        "/setup/scripts",
        "note",
        lambda _: _("Scripts"),
        lambda _: _("What agents say step by step, with branches, in versions."),
    ),
    SetupPage(
        "/setup/texts",
        "chat",
        lambda _: _("Canned texts"),
        lambda _: _("What is said and written often, in each language."),
    ),
    SetupPage(
        "/setup/rules",
        "mail",
        lambda _: _("Inbox rules"),
        lambda _: _("When something is written, if it is so, then do that: queues, tags, answers."),
    ),
    SetupPage(
        "/setup/articles",
        "page",
        lambda _: _("Knowledge base"),
        lambda _: _("Articles, their reviews, and what agents say of them."),
    ),
    SetupPage(
        "/setup/menus",
        "keypad",
        lambda _: _("Phone menus"),
        lambda _: _("What callers hear and which key leads where, as a picture, in versions."),
    ),
    SetupPage(
        "/setup/opening-hours",
        "clock",
        lambda _: _("Opening hours"),
        lambda _: _("Weekdays, holidays and special days, for the house and for whoever answers."),
    ),
    SetupPage(
        "/setup/prompts",
        "microphone",
        lambda _: _("Prompts"),
        lambda _: _("What callers hear, sentence by sentence, and recordings in its place."),
    ),
    SetupPage(
        "/setup/house",
        "web",
        lambda _: _("The house"),
        lambda _: _("What callers are told: points, places, parking; the survey after a call."),
    ),
    SetupPage(
        "/setup/stuck",
        "bell",
        lambda _: _("What is stuck"),
        lambda _: _("Messages that could not be sent, and jobs that were given up: try again."),
    ),
)


@dataclass(slots=True)
class FormFaults:
    """What is wrong with a form's fields, each told beside its field."""

    by_field: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_field)

    def say(self, name: str, message: str) -> None:
        """The first thing that is wrong with a field is the one that is told."""
        self.by_field.setdefault(name, message)


class SetupForm:
    """A form that was sent, read field by field; what cannot be kept is gathered in `faults`."""

    def __init__(self, fields: Mapping[str, object], language: Language) -> None:
        self._fields = fields
        self._language = language
        self.faults = FormFaults()

    def text(self, name: str, *, longest: int = LONGEST_TITLE) -> str:
        """The trimmed text, "" if there is none."""
        value = self._fields.get(name, "")
        text = value.strip() if isinstance(value, str) else ""
        if len(text) > longest:
            _ = self._language
            self.faults.say(name, _("This is too long: at most %d characters.") % longest)
        return text[:longest]

    def json(self, name: str, *, longest: int) -> object:
        """What the field says in JSON. Raises ValueError for what is none, and for what no database
        can keep: an escape brings past the gate what it refuses as it is."""
        said: object = orjson.loads(self.text(name, longest=longest))
        if not is_storable(said):
            raise ValueError("No NUL in texts, and no number beyond 64 bits, please.")
        return said

    def ticked(self, name: str) -> bool:
        return name in self._fields

    def code(self, name: str) -> str:
        """A new thing's code."""
        code = self.text(name, longest=40)
        if not CODE.fullmatch(code):
            _ = self._language
            self.faults.say(
                name,
                _("Write small letters, digits, - or _, beginning with a letter or digit."),
            )
        return code

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number between the two; `least` where it is none."""
        text = self.text(name)
        if text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most:
            return int(text)
        _ = self._language
        self.faults.say(
            name,
            _("Write a whole number from %(least)d to %(most)d.") % {"least": least, "most": most},
        )
        return least

    def choice(self, name: str, allowed: Mapping[str, object] | frozenset[str]) -> str:
        """One of the list."""
        text = self.text(name)
        if text not in allowed:
            _ = self._language
            self.faults.say(name, _("Choose one of the list."))
        return text

    def titles(self, name: str = "title") -> dict[str, str]:
        """Titles by language from the fields `name.en`, `name.zh` …; English is needed."""
        titles = {code: self.text(f"{name}.{code}") for code in NAMES}
        if not titles["en"]:
            _ = self._language
            self.faults.say(
                f"{name}.en", _("Write an English title: it is shown where another is missing.")
            )
        return {code: title for code, title in titles.items() if title}


async def form_of(request: web.Request) -> SetupForm:
    """The form that was sent."""
    return SetupForm(await request.post(), language_of(request))


def setup_page(request: web.Request, template: str, address: str, **values: Any) -> web.Response:
    """A page of the set-up in its frame; `address` is that of its noun's list.

    `faults` (a FormFaults) shows the form again with what is wrong. A `?done=` in the request shows
    its notice once.
    """
    _ = language_of(request)
    faults: FormFaults = values.pop("faults", None) or FormFaults()
    return page(
        request,
        template,
        error_status=400 if faults else 200,
        setup_pages=[(one.address, one.icon, one.title(_), one.about(_)) for one in SETUP_PAGES],
        setup_address=address,
        done=request.query.get("done", "")[:20],
        done_with=request.query.get("with", "")[:100],
        done_said=_said(request.query.get("said", ""), _),
        faults=faults.by_field,
        **values,
    )


def _said(word: str, _: Language) -> str:
    """What else is said of a change that was kept, by the word that stands in the address."""
    if word == "reload":
        return _(
            "Your own Asterisk must be told: write its files again (deskbell asterisk-conf) "
            "and reload it."
        )
    if word == "refused":
        return _(
            "The telephone system keeps what it had: a number is used twice, or kept for something "
            "else. Choose another."
        )
    if word == "later":
        return _("The telephone system did not take it yet; it is told again soon.")
    return ""


def done(address: str, what: str, code: object = "", said: str = "") -> web.HTTPSeeOther:
    """Go to the page, which says that it was done: `what` is saved, added, retired or back."""
    query = {"done": what, "with": str(code)} | ({"said": said} if said else {})
    return web.HTTPSeeOther(f"{address}?{urlencode(query)}")


async def audited(
    request: web.Request,
    transaction: Transaction,
    action: str,
    subject: tuple[str, int | str],
    fields: tuple[str, ...] = (),
) -> None:
    """Write down that this supervisor added, changed, retired or brought back `subject`: its kind
    and its code."""
    await audit.record(
        transaction,
        actor=signed_in(request).agent.login,
        action=action,
        subject_kind=subject[0],
        subject_id=subject[1],
        fields=fields,
        address=address_of(request),
    )


async def told_to_pbx(request: web.Request) -> str:
    """Have the telephone side take what was changed; the word to say of it, "" if all is well."""
    return await request.app[PARTS].apply_settings()


async def show_setup(request: web.Request) -> web.StreamResponse:
    """GET /setup: a card for each noun that supervisors set."""
    return setup_page(request, "setup/start.html", "/setup")


ROUTES = (Route("GET", "/setup", show_setup, Access.SUPERVISORS),)
