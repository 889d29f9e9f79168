"""A walk through a published tree with one caller, from its first node to where the call goes on.

Owns which node comes after which, what * leads back to, and that every walk ends: with a person,
a message or a good-bye, whatever the caller keys and whatever fails. What is spoken at a leaf is
its own module's.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from crm_store.contacts import queue_places
from crm_store.database import is_away
from crm_store.phone_menus import opening_hours
from ivr.conversation.conversation import Asked, Conversation, GoBack, LeavesMenu, Sentence
from ivr.conversation.line import CallerHungUp, HangUp, ToQueue
from ivr.menus import tree as trees
from ivr.menus.back_office import BackOffice
from ivr.menus.callback import arrange_callback
from ivr.menus.complaint import take_complaint
from ivr.menus.language import choose_language
from ivr.menus.letting import let_stand
from ivr.menus.mall import TOPICS, tell_hours, tell_promotions, tell_topic
from ivr.menus.message import must_leave_message
from ivr.menus.orders import tell_order
from ivr.menus.points import tell_points
from ivr.menus.products import tell_product
from ivr.menus.to_agent import place_of, to_agent
from ivr.menus.tree import (
    AnyNode,
    Function,
    GoTo,
    Hours,
    Menu,
    Message,
    Queue,
    Say,
    Tree,
    text_code,
)

log = logging.getLogger(__name__)

MOST_NODES_VISITED: Final = 200
"""After so many a caller is lost in the menu, and a person helps."""

Told = Callable[[Conversation, BackOffice], Awaitable[None]]

_TOLD: dict[str, Told] = {
    "points": tell_points,
    "order": tell_order,
    "product": tell_product,
    "hours": tell_hours,
    "promotions": tell_promotions,
}


class Walk:
    """One caller's way through `tree`, the menu `code`."""

    def __init__(self, talk: Conversation, office: BackOffice, code: str, tree: Tree) -> None:
        self._talk = talk
        self._office = office
        self._code = code
        self._tree = tree
        self._menus: list[str] = []
        """The menus on the way here, the last one is where * leads."""

    async def run(self) -> None:
        """Speak until the call goes on elsewhere. Raises CallerHungUp."""
        at = self._tree.start
        try:
            for _ in range(MOST_NODES_VISITED):
                self._talk.place = at
                try:
                    after = await self._visit(at)
                except GoBack:
                    after = self._back(at)
                if after is None:
                    return
                at = after
            log.warning("a caller was lost in the menu %s", self._code)
        except LeavesMenu:
            pass
        except CallerHungUp:
            raise
        except Exception as error:
            await self._trouble(error)
            return
        await self._to_people()

    async def _visit(self, at: str) -> str | None:
        """Say what is at the node; where the caller goes next, None if the call has gone on."""
        node = trees.find(self._tree, at)
        if node is None:
            log.error("menu %s has no node %s", self._code, at)
            await self._to_people()
            return None
        match node:
            case Menu():
                return await self._menu(node)
            case Say():
                await self._say(node)
                return node.to
            case Hours():
                calendar = await self._office.look_up(
                    opening_hours.read(self._office.database, node.calendar)
                )
                return node.open if calendar.is_open(self._talk.now()) else node.closed
            case Function():
                return await self._function(node)
            case GoTo():
                return node.to
            case Queue():
                await to_agent(
                    self._talk, self._office, self._queue(node), calendar=self._tree.hours
                )
            case Message():
                await must_leave_message(self._talk, self._office, self._queue(node))
            case _:
                await self._hang_up(node)
        return None

    async def _menu(self, node: Menu) -> str:
        if node.id in self._menus:
            del self._menus[self._menus.index(node.id) + 1 :]
        else:
            self._menus.append(node.id)
        choices: dict[str, Asked] = {
            choice.key: Sentence(text_code(self._code, node.id, choice.key))
            for choice in node.choices
        }
        first: list[Asked] = self._words(node)
        last: list[Asked] = ["star_to_go_back"] if len(self._menus) > 1 else ["zero_for_agent"]
        key = await self._talk.choose(choices, first=first, last=last)
        return next(choice.to for choice in node.choices if choice.key == key)

    async def _function(self, node: Function) -> str | None:
        talk, office, queue = self._talk, self._office, self._queue(node)
        match node.function:
            case "language":
                await choose_language(talk, self._tree.languages)
            case "letting":
                await let_stand(talk, office, queue)
            case "complaint":
                await take_complaint(talk, office, queue)
            case "callback":
                calendar = await office.look_up(
                    opening_hours.read(office.database, self._tree.hours or opening_hours.HOUSE)
                )
                place = await place_of(talk, office, queue)
                await arrange_callback(talk, office, queue, place=place, calendar=calendar)
                return None
            case topic if topic in TOPICS:
                await tell_topic(talk, office, topic)
            case told:
                await _TOLD[told](talk, office)
        return node.to

    async def _say(self, node: Say) -> None:
        words = self._words(node)
        if words:
            await self._talk.say_all(words)

    def _words(self, node: Menu | Say) -> list[Asked]:
        """The node's own text, if it has one in the caller's language."""
        has = node.texts.get(self._talk.language, "").strip()
        return [Sentence(text_code(self._code, node.id))] if has else []

    async def _hang_up(self, node: AnyNode) -> None:
        own = isinstance(node, trees.HangUp) and node.texts.get(self._talk.language, "").strip()
        await self._talk.insist(Sentence(text_code(self._code, node.id)) if own else "goodbye")
        await self._talk.leave(HangUp())

    def _back(self, at: str) -> str:
        """What * leads to: from a leaf its menu, from a menu the one before."""
        if len(self._menus) > 1 and self._menus[-1] == at:
            self._menus.pop()
        return self._menus[-1] if self._menus else self._tree.start

    def _queue(self, node: Queue | Message | Function) -> str:
        target = node.target or self._tree.agents
        return target.for_language(self._talk.language)

    async def _trouble(self, error: Exception) -> None:
        """Something does not work: say so, and let a person help."""
        if is_away(error) or isinstance(error, TimeoutError):
            log.warning("menu %s: the store is away (%s)", self._code, type(error).__name__)
        else:
            log.error("menu %s failed at %s", self._code, self._talk.place, exc_info=error)
        await self._talk.insist("trouble")
        await self._to_people()

    async def _to_people(self) -> None:
        queue = self._tree.agents.for_language(self._talk.language)
        try:
            await to_agent(self._talk, self._office, queue, calendar=self._tree.hours)
        except (CallerHungUp, LeavesMenu, GoBack):
            raise
        except Exception as error:
            # The way to a person needs nothing but the line.
            log.warning("menu %s: straight to people (%s)", self._code, type(error).__name__)
            place = queue_places.priority(self._talk.now().timestamp())
            await self._talk.leave(ToQueue(queue, place))
