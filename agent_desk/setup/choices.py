"""The supervisors' pages of what can be chosen: skills, pause reasons, dispositions.

Owns one list page and one form for all three: add, rename in every language, put into order,
retire, bring back. What is retired is offered no more, and the history keeps its title. The rows
are the store's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, language_of
from agent_desk.languages import Language
from agent_desk.setup.pages import (
    SETUP_PAGES,
    FormFaults,
    SetupForm,
    audited,
    done,
    form_of,
    setup_page,
    told_to_pbx,
)
from crm_store.database import Database, Transaction
from crm_store.staff import queues, skills
from crm_store.staff.queues import Choice, DispositionChoice
from cti.agents.pause_reasons import LONGEST_CODE, RESERVED_REASONS

FOLLOW_UPS = frozenset({"", "task", "callback"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceList:
    """One noun of this module: where its pages are, and what the store does for it."""

    address: str
    kind: str
    """The audit's word for it."""
    new: Callable[[Language], str]
    """The words on the button that adds one."""
    read: Callable[[Database], Awaitable[Sequence[Choice]]]
    """All of them in their order, also retired ones; of a tree its roots."""
    save: Callable[[Transaction, SetupForm, str, Mapping[str, str], int], Awaitable[None]]
    order: Callable[[Transaction, Sequence[str]], Awaitable[None]]
    set_active: Callable[[Transaction, str, bool], Awaitable[None]]
    tell_pbx: bool = False
    is_tree: bool = False

    def routes(self) -> tuple[Route, ...]:
        """The pages of this noun."""
        one = f"{self.address}/{{code}}"
        return (
            Route("GET", self.address, self.show_list, Access.SUPERVISORS),
            Route("GET", f"{self.address}/new", self.show_new, Access.SUPERVISORS),
            Route("POST", f"{self.address}/new", self.add, Access.SUPERVISORS),
            Route("GET", one, self.show_one, Access.SUPERVISORS),
            Route("POST", one, self.change, Access.SUPERVISORS),
            Route("POST", f"{one}/move", self.move, Access.SUPERVISORS),
            Route("POST", f"{one}/retire", self.retire, Access.SUPERVISORS),
            Route("POST", f"{one}/bring-back", self.bring_back, Access.SUPERVISORS),
        )

    async def show_list(self, request: web.Request) -> web.StreamResponse:
        """GET: all of them, with what can be done to each."""
        _ = language_of(request)
        rows = await self.read(request.app[PARTS].database)
        card = next(one for one in SETUP_PAGES if one.address == self.address)
        return setup_page(
            request,
            "setup/choices.html",
            self.address,
            heading=card.title(_),
            about=card.about(_),
            new=self.new(_),
            lines=list(_lines(rows, _.code)),
        )

    async def show_new(self, request: web.Request) -> web.StreamResponse:
        """GET /new: the empty form; `?parent=` names the branch it shall be under."""
        parent = request.query.get("parent", "")[:40]
        return await self._form(request, None, {"titles": {}, "parent": parent, "follow_up": ""})

    async def show_one(self, request: web.Request) -> web.StreamResponse:
        """GET /{code}: the form of one that is there."""
        choice = await self._known(request)
        values = {
            "titles": choice.titles,
            "parent": getattr(choice, "parent", None) or "",
            "follow_up": getattr(choice, "follow_up", ""),
        }
        return await self._form(request, choice, values)

    async def add(self, request: web.Request) -> web.StreamResponse:
        """POST /new: add one, at the end of its list."""
        _ = language_of(request)
        form = await form_of(request)
        code = form.code("code")
        rows = await self.read(request.app[PARTS].database)
        if len(code) > LONGEST_CODE:
            form.faults.say("code", _("This is too long: at most %d characters.") % LONGEST_CODE)
        if code in RESERVED_REASONS or code == "new":
            form.faults.say("code", _("Deskbell itself uses this code: choose another."))
        if code in {choice.code for choice in _all(rows)}:
            form.faults.say("code", _("There is one with this code already."))
        return await self._save(request, form, None, code, len(list(_all(rows))))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /{code}: rename it, or put it elsewhere in the tree."""
        choice = await self._known(request)
        form = await form_of(request)
        return await self._save(request, form, choice, choice.code, choice.position)

    async def move(self, request: web.Request) -> web.StreamResponse:
        """POST /{code}/move, `to` is "up" or "down": change places with its neighbour."""
        choice = await self._known(request)
        to = (await form_of(request)).choice("to", frozenset({"up", "down"}))
        rows = await self.read(request.app[PARTS].database)
        parent = getattr(choice, "parent", None)
        codes = [one.code for one in _all(rows) if getattr(one, "parent", None) == parent]
        place = codes.index(choice.code)
        other = place - 1 if to == "up" else place + 1
        if 0 <= other < len(codes):
            codes[place], codes[other] = codes[other], codes[place]
            async with request.app[PARTS].database.transaction() as transaction:
                await self.order(transaction, codes)
                await audited(request, transaction, "moved", (self.kind, choice.code))
        raise done(self.address, "saved")

    async def retire(self, request: web.Request) -> web.StreamResponse:
        """POST /{code}/retire: offer it no more."""
        return await self._set_active(request, False)

    async def bring_back(self, request: web.Request) -> web.StreamResponse:
        """POST /{code}/bring-back: offer it again."""
        return await self._set_active(request, True)

    async def _set_active(self, request: web.Request, active: bool) -> web.StreamResponse:
        choice = await self._known(request)
        action = "brought back" if active else "retired"
        async with request.app[PARTS].database.transaction() as transaction:
            await self.set_active(transaction, choice.code, active)
            await audited(request, transaction, action, (self.kind, choice.code))
        said = await told_to_pbx(request) if self.tell_pbx else ""
        raise done(self.address, "back" if active else "retired", choice.code, said)

    async def _save(
        self,
        request: web.Request,
        form: SetupForm,
        choice: Choice | None,
        code: str,
        position: int,
    ) -> web.StreamResponse:
        titles = form.titles()
        values = {
            "titles": titles,
            "parent": form.text("parent"),
            "follow_up": form.text("follow_up"),
            "code": code,
        }
        if form.faults:
            return await self._form(request, choice, values, form.faults)
        _ = language_of(request)
        try:
            async with request.app[PARTS].database.transaction() as transaction:
                await self.save(transaction, form, code, titles, position)
                action = "added" if choice is None else "changed"
                await audited(request, transaction, action, (self.kind, code), ("titles",))
        except (LookupError, ValueError):
            form.faults.say("parent", _("It cannot be under that one: choose another."))
            return await self._form(request, choice, values, form.faults)
        said = await told_to_pbx(request) if self.tell_pbx else ""
        raise done(self.address, "saved" if choice else "added", code, said)

    async def _form(
        self,
        request: web.Request,
        choice: Choice | None,
        values: Mapping[str, Any],
        faults: FormFaults | None = None,
    ) -> web.Response:
        _ = language_of(request)
        rows = await self.read(request.app[PARTS].database) if self.is_tree else ()
        own = {one.code for one in _all([choice])} if choice else set()
        branches = [
            (line["code"], "\u2003" * int(line["depth"]) + str(line["title"]))
            for line in _lines(rows, _.code)
            if line["code"] not in own and line["active"]
        ]
        return setup_page(
            request,
            "setup/choice.html",
            self.address,
            choice=choice,
            heading=choice.title(_.code) if choice else self.new(_),
            values=values,
            branches=branches if self.is_tree else None,
            faults=faults,
        )

    async def _known(self, request: web.Request) -> Choice:
        """The one that the address names. Raises HTTPNotFound."""
        code = request.match_info["code"]
        rows = await self.read(request.app[PARTS].database)
        found = next((choice for choice in _all(rows) if choice.code == code), None)
        if found is None:
            raise web.HTTPNotFound
        return found


def _all(rows: Sequence[Choice]) -> Sequence[Choice]:
    """Every row of a list or a tree."""
    return [
        one
        for row in rows
        for one in (row, *_all(row.children if isinstance(row, DispositionChoice) else ()))
    ]


def _lines(rows: Sequence[Choice], language: str, depth: int = 0) -> Sequence[dict[str, Any]]:
    """The rows as they are shown, those of a tree one under the other."""
    lines: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        children = row.children if isinstance(row, DispositionChoice) else ()
        lines.append(
            {
                "code": row.code,
                "title": row.title(language),
                "active": row.active,
                "depth": min(depth, 3),
                "follow_up": getattr(row, "follow_up", ""),
                "is_branch": bool(children),
                "first": place == 0,
                "last": place == len(rows) - 1,
            }
        )
        lines += _lines(children, language, depth + 1)
    return lines


async def _all_skills(database: Database) -> Sequence[Choice]:
    return await skills.all_skills(database, also_retired=True)


async def _save_skill(
    transaction: Transaction, form: SetupForm, code: str, titles: Mapping[str, str], position: int
) -> None:
    await skills.save_skill(transaction, code, titles, position)


async def _all_pause_reasons(database: Database) -> Sequence[Choice]:
    return await queues.pause_reasons(database, also_retired=True)


async def _save_pause_reason(
    transaction: Transaction, form: SetupForm, code: str, titles: Mapping[str, str], position: int
) -> None:
    await queues.save_pause_reason(transaction, code, titles, position)


async def _all_dispositions(database: Database) -> Sequence[Choice]:
    return await queues.disposition_tree(database, also_retired=True)


async def _save_disposition(
    transaction: Transaction, form: SetupForm, code: str, titles: Mapping[str, str], position: int
) -> None:
    follow_up = form.text("follow_up")
    await queues.save_disposition(
        transaction,
        code,
        titles,
        position,
        parent=form.text("parent") or None,
        follow_up=follow_up if follow_up in FOLLOW_UPS else "",
    )


LISTS = (
    ChoiceList(
        address="/setup/skills",
        kind="skill",
        new=lambda _: _("New skill"),
        read=_all_skills,
        save=_save_skill,
        order=skills.order_skills,
        set_active=skills.set_skill_active,
        tell_pbx=True,
    ),
    ChoiceList(
        address="/setup/pause-reasons",
        kind="pause reason",
        new=lambda _: _("New pause reason"),
        read=_all_pause_reasons,
        save=_save_pause_reason,
        order=queues.order_pause_reasons,
        set_active=queues.set_pause_reason_active,
    ),
    ChoiceList(
        address="/setup/dispositions",
        kind="disposition",
        new=lambda _: _("New disposition"),
        read=_all_dispositions,
        save=_save_disposition,
        order=queues.order_dispositions,
        set_active=queues.set_disposition_active,
        is_tree=True,
    ),
)

ROUTES = tuple(route for noun in LISTS for route in noun.routes())
