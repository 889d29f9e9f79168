"""Trying a phone menu out: by clicking its keys on the page, or at one's own telephone.

Owns the trials that go on, each with what was said in it so far, and that one which nobody follows
any more ends. What is said, and that nothing done in a trial stays done, is ivr's.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, json_answer, language_of, signed_in, wish_of
from agent_desk.parts import AgentActionRefused, DeskParts
from crm_store.people.phone_numbers import to_e164
from ivr.conversation.conversation import Step
from ivr.conversation.line import (
    CallerHungUp,
    Destination,
    ToFax,
    ToMessage,
    ToNumber,
    ToQueue,
)
from ivr.conversation.trial_line import Asking, Recording, Saying, TrialEvent, TrialLine
from ivr.menus import tree as trees
from ivr.menus.tree import MalformedTree, Tree

log = logging.getLogger(__name__)

MOST_TRIALS = 100
MOST_EVENTS = 5_000
"""A conversation that goes on for longer is ended."""
PATIENCE_SECONDS = 20.0
"""How long a question for news waits for some."""
LEFT_SECONDS = 90.0
"""A trial that nobody has asked about for so long was left."""


@dataclass(slots=True)
class Trial:
    """One conversation with a page of `login`. `events` only grow; `news` says that they have."""

    login: str
    line: TrialLine
    events: list[dict[str, Any]] = field(default_factory=list)
    place: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    asked_at: float = 0.0

    def tell(self, **event: Any) -> None:
        self.events.append(event)
        self.news.set()
        if len(self.events) >= MOST_EVENTS:
            self.line.hang_up()


class MenuTrials:
    """All trials of this desk."""

    def __init__(self, parts: DeskParts) -> None:
        self._parts = parts
        self._trials: dict[str, Trial] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="deskbell-trial-")

    def begin(self, login: str, code: str, tree: Tree, number: str) -> str:
        """A new trial; its name. The login's former one ends."""
        self._end_those_left()
        for former in [name for name, one in self._trials.items() if one.login == login]:
            self._end(former)
        while len(self._trials) >= MOST_TRIALS:
            self._end(next(iter(self._trials)))
        line = TrialLine(lambda event: _show(trial, event), recordings=Path(self._folder.name))
        trial = Trial(login, line, asked_at=asyncio.get_running_loop().time())
        name = secrets.token_hex(12)
        self._trials[name] = trial
        trial.task = asyncio.create_task(
            self._converse(trial, code, tree, number), name="menu trial"
        )
        return name

    def of(self, login: str, name: str) -> Trial | None:
        """That trial, if it is this person's."""
        trial = self._trials.get(name)
        if trial is None or trial.login != login:
            return None
        trial.asked_at = asyncio.get_running_loop().time()
        return trial

    async def close(self) -> None:
        tasks = [one.task for one in self._trials.values() if one.task is not None]
        for name in list(self._trials):
            self._end(name)
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._folder.cleanup)

    async def _converse(self, trial: Trial, code: str, tree: Tree, number: str) -> None:
        def report(step: Step) -> None:
            trial.place = step.place

        try:
            await self._parts.menus.try_out(trial.line, code, tree, number, report)
        except CallerHungUp:
            trial.tell(kind="over")
        except Exception as error:
            log.error("a trial of menu %s failed", code, exc_info=error)
            trial.tell(kind="failed")

    def _end(self, name: str) -> None:
        trial = self._trials.pop(name, None)
        if trial is not None:
            trial.line.hang_up()
            if trial.task is not None:
                trial.task.cancel()

    def _end_those_left(self) -> None:
        long_ago = asyncio.get_running_loop().time() - LEFT_SECONDS
        for name in [name for name, one in self._trials.items() if one.asked_at < long_ago]:
            self._end(name)


TRIALS = web.AppKey("menu_trials", MenuTrials)


def _show(trial: Trial, event: TrialEvent) -> None:
    match event:
        case Saying():
            trial.tell(
                kind="say",
                number=event.number,
                place=trial.place,
                stop_keys=event.stop_keys,
                parts=[{"text": one.as_shown, "language": one.language} for one in event.sounds],
            )
        case Asking():
            trial.tell(kind="ask", place=trial.place, seconds=event.seconds)
        case Recording():
            trial.tell(kind="record", place=trial.place, end_keys=event.end_keys)
        case _:
            trial.tell(kind="gone", language=event.language, **_where(event.to))


def _where(to: Destination) -> dict[str, str]:
    match to:
        case ToQueue():
            return {"to": "queue", "name": to.queue}
        case ToMessage():
            return {"to": "message", "name": to.queue}
        case ToNumber():
            return {"to": "number", "name": to.number}
        case ToFax():
            return {"to": "fax", "name": ""}
        case _:
            return {"to": "hang_up", "name": ""}


async def keep_trials(app: web.Application) -> AsyncIterator[None]:
    """An application's cleanup context."""
    app[TRIALS] = MenuTrials(app[PARTS])
    yield
    await app[TRIALS].close()


async def begin_trial(request: web.Request) -> web.StreamResponse:
    """POST {"code", "tree", "number"}: {"trial": its name}. The tree need not be saved, nor be fit
    for publishing; `number` is who seems to call. 400 for what is no tree."""
    wish = await wish_of(request)
    tree = _tree_of(wish)
    number = to_e164(str(wish.get("number") or ""), request.app[PARTS].region) or ""
    login = signed_in(request).agent.login
    name = request.app[TRIALS].begin(login, _code_of(wish), tree, number)
    return json_answer({"trial": name}, 201)


async def hear_trial(request: web.Request) -> web.StreamResponse:
    """GET ?after=: {"events": those after so many, "next"}, waiting a while for some. `kind` is say
    {"number", "place", "parts" [{"text", "language"}], "stop_keys"}, ask {"seconds"}, record, gone
    {"to", "name"}, over or failed."""
    trial = _own(request)
    after = request.query.get("after", "0")
    if not (after.isascii() and after.isdigit() and len(after) < 7):
        raise web.HTTPBadRequest
    start = int(after)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(trial.events) <= start:
                trial.news.clear()
                await trial.news.wait()
    except TimeoutError:
        pass
    fresh = trial.events[start:]
    return json_answer({"events": fresh, "next": start + len(fresh)})


async def answer_trial(request: web.Request) -> web.StreamResponse:
    """POST one of {"press": key}, {"heard": number}, {"silent": true}, {"hang_up": true}."""
    trial = _own(request)
    match await wish_of(request):
        case {"press": str(key)}:
            try:
                trial.line.press(key)
            except ValueError:
                raise web.HTTPBadRequest from None
        case {"heard": int(number)}:
            trial.line.heard(number)
        case {"silent": True}:
            trial.line.no_answer()
        case {"hang_up": True}:
            trial.line.hang_up()
        case _:
            raise web.HTTPBadRequest
    return json_answer({})


async def call_me(request: web.Request) -> web.StreamResponse:
    """POST {"code", "tree"}: my own phone rings, and the menu is at the other end. 409 without an
    extension, 503 when the telephone system does not do it."""
    _ = language_of(request)
    wish = await wish_of(request)
    tree = _tree_of(wish)
    agent = signed_in(request).agent
    if not agent.extension:
        raise web.HTTPConflict(text=_("You have no extension. Ask a supervisor for one."))
    try:
        await request.app[PARTS].menus.call(agent.extension, _code_of(wish), tree)
    except AgentActionRefused as error:
        raise web.HTTPServiceUnavailable(text=str(error)) from None
    return json_answer({})


def _own(request: web.Request) -> Trial:
    login = signed_in(request).agent.login
    trial = request.app[TRIALS].of(login, request.match_info["trial"])
    if trial is None:
        raise web.HTTPNotFound
    return trial


def _tree_of(wish: dict[str, Any]) -> Tree:
    try:
        return trees.read(wish.get("tree"))
    except MalformedTree as error:
        raise web.HTTPBadRequest(text=str(error)) from None


def _code_of(wish: dict[str, Any]) -> str:
    code = wish.get("code")
    if not isinstance(code, str) or not 0 < len(code) <= 40:
        raise web.HTTPBadRequest
    return code


ROUTES = (
    Route("POST", "/api/menus/trials", begin_trial, Access.SUPERVISORS),
    Route("GET", "/api/menus/trials/{trial}", hear_trial, Access.SUPERVISORS),
    Route("POST", "/api/menus/trials/{trial}", answer_trial, Access.SUPERVISORS),
    Route("POST", "/api/menus/call", call_me, Access.SUPERVISORS),
)
