"""The supervisors' pages of whatever is published in versions: scripts, phone menus.

Owns the list, the form of a new one, saving a draft, publishing and going back, retiring. What a
version holds, how its editor looks and who must hear of a publishing is each thing's own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web
from sqlalchemy.exc import IntegrityError

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, id_in, language_of, signed_in
from agent_desk.languages import Language
from agent_desk.setup.pages import SetupForm, done, form_of, setup_page
from crm_store.database import Database, Transaction
from crm_store.versions import Thing, Unpublishable, Version, Versions, in_use

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class Editor(Generic[Content]):
    """What an editor's page shows: the version chosen, its content or what was typed instead."""

    thing: Thing
    title: str
    versions: Sequence[Version[Content]]
    shown: Version[Content] | None
    in_use: Version[Content] | None
    content: Content
    form: SetupForm | None = None
    problems: Sequence[Any] = ()


async def _nobody_to_tell(request: web.Request) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionedPages(Generic[Content]):
    """The pages under `address`. `{id_name}` stands in their addresses; `field` is the form's name
    of a content."""

    address: str
    id_name: str
    things: Versions[Content]
    field: str
    empty: Content
    read: Callable[[SetupForm], Content]
    """The content that was sent. Raises ValueError with what is wrong."""
    new: tuple[str, Callable[[Language], str]]
    """The template of a new one, and what is said of a code that is taken."""
    show_list: Callable[[web.Request, list[tuple[Any, ...]]], Awaitable[web.Response]]
    """Draw (thing, title, version in use, newest version) of each."""
    show_editor: Callable[[web.Request, Editor[Content]], Awaitable[web.Response]]
    put: Callable[[Database, int, int, bool, str], Awaitable[None]]
    """Put a version (thing, number) of the database into use, again if it was before, by whom.
    Raises LookupError and Unpublishable."""
    changed: Callable[[web.Request], Awaitable[None]] = _nobody_to_tell
    """Another version is in use, or something was retired or brought back."""

    def routes(self) -> tuple[Route, ...]:
        here, one = self.address, f"{self.address}/{{{self.id_name}}}"
        return (
            Route("GET", here, self.list_page, Access.SUPERVISORS),
            Route("GET", f"{here}/new", self.new_page, Access.SUPERVISORS),
            Route("POST", f"{here}/new", self.add, Access.SUPERVISORS),
            Route("GET", one, self.editor_page, Access.SUPERVISORS),
            Route("POST", one, self.save, Access.SUPERVISORS),
            Route("POST", f"{one}/publish", self.publish, Access.SUPERVISORS),
            Route("POST", f"{one}/switch", self.switch, Access.SUPERVISORS),
        )

    async def list_page(self, request: web.Request) -> web.StreamResponse:
        """GET: all of them, with the version in use."""
        database = request.app[PARTS].database
        code = language_of(request).code
        found: list[tuple[Any, ...]] = []
        for thing in await self.things.everything(database):
            every = await self.things.versions(database, thing.id)
            newest = every[0] if every else None
            found.append((thing, thing.title(code), in_use(every), newest))
        return await self.show_list(request, found)

    async def new_page(self, request: web.Request) -> web.StreamResponse:
        """GET: the form of a new one."""
        return self._new_form(request, {"code": "", "titles": {}}, None)

    async def add(self, request: web.Request) -> web.StreamResponse:
        """POST: the new one, then its editor."""
        form = await form_of(request)
        values: dict[str, Any] = {"code": form.code("code"), "titles": form.titles()}
        if form.faults:
            return self._new_form(request, values, form)
        try:
            async with request.app[PARTS].database.transaction() as transaction:
                thing_id = await self.things.create(
                    transaction,
                    values["code"],
                    values["titles"],
                    actor=signed_in(request).agent.login,
                )
        except IntegrityError:
            form.faults.say("code", self.new[1](language_of(request)))
            return self._new_form(request, values, form)
        raise done(f"{self.address}/{thing_id}", "added")

    async def editor_page(self, request: web.Request) -> web.StreamResponse:
        """GET ?version=: the editor with that version's content, or with the newest's."""
        thing = await self.thing_of(request)
        every = await self.things.versions(request.app[PARTS].database, thing.id)
        wanted = request.query.get("version", "")
        newest = every[0] if every else None
        shown = next((one for one in every if str(one.number) == wanted), newest)
        content = shown.content if shown else self.empty
        return await self._editor(request, thing, every, shown, content)

    async def save(self, request: web.Request) -> web.StreamResponse:
        """POST with `title.*` and the content (JSON): a new version if it differs; with `publish`
        that version is put into use."""
        thing = await self.thing_of(request)
        database = request.app[PARTS].database
        actor = signed_in(request).agent.login
        form = await form_of(request)
        titles = form.titles()
        every = await self.things.versions(database, thing.id)
        newest = every[0] if every else None
        content = newest.content if newest else self.empty
        try:
            content = self.read(form)
        except ValueError as error:
            form.faults.say(self.field, str(error))
        if form.faults:
            return await self._editor(request, thing, every, newest, content, form=form)

        async def keep(transaction: Transaction) -> int:
            await self.things.change(
                transaction, thing.id, titles=titles, active=thing.active, actor=actor
            )
            if newest is not None and newest.content == content:
                return newest.number
            return await self.things.add_version(transaction, thing.id, content, actor=actor)

        number = await database.run(keep)
        if form.ticked("publish"):
            return await self._publish(request, thing, number)
        raise done(f"{self.address}/{thing.id}", "saved")

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """POST {"number"}: put that version into use; an older one that was in use before comes
        back as a new version."""
        thing = await self.thing_of(request)
        form = await form_of(request)
        return await self._publish(request, thing, form.number("number", 1, 999_999))

    async def switch(self, request: web.Request) -> web.StreamResponse:
        """POST: retired, or back."""
        thing = await self.thing_of(request)
        async with request.app[PARTS].database.transaction() as transaction:
            await self.things.change(
                transaction,
                thing.id,
                titles=thing.titles,
                active=not thing.active,
                actor=signed_in(request).agent.login,
            )
        await self.changed(request)
        raise done(self.address, "retired" if thing.active else "back", thing.id)

    async def thing_of(self, request: web.Request) -> Thing:
        """The one that the address names; 404 if there is none."""
        found = await self.things.find(request.app[PARTS].database, id_in(request, self.id_name))
        if found is None:
            raise web.HTTPNotFound
        return found

    async def _publish(self, request: web.Request, thing: Thing, number: int) -> web.StreamResponse:
        database = request.app[PARTS].database
        every = await self.things.versions(database, thing.id)
        shown = next((one for one in every if one.number == number), None)
        if shown is None:
            raise web.HTTPNotFound
        again = shown.published_at is not None
        try:
            await self.put(database, thing.id, number, again, signed_in(request).agent.login)
        except LookupError as error:
            raise web.HTTPNotFound from error
        except Unpublishable as error:
            return await self._editor(
                request, thing, every, shown, shown.content, problems=error.problems
            )
        await self.changed(request)
        raise done(f"{self.address}/{thing.id}", "saved")

    def _new_form(
        self, request: web.Request, values: Mapping[str, Any], form: SetupForm | None
    ) -> web.Response:
        faults = form.faults if form else None
        return setup_page(request, self.new[0], self.address, values=values, faults=faults)

    async def _editor(
        self,
        request: web.Request,
        thing: Thing,
        every: Sequence[Version[Content]],
        shown: Version[Content] | None,
        content: Content,
        *,
        form: SetupForm | None = None,
        problems: Sequence[Any] = (),
    ) -> web.Response:
        title = thing.title(language_of(request).code)
        return await self.show_editor(
            request, Editor(thing, title, every, shown, in_use(every), content, form, problems)
        )
