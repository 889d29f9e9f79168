"""Who has a conversation open at this moment, and who writes in it: collisions are seen.

Owns the push's topics `conversation:<id>` (to follow one is to have it open) and `inbox`, where the
lists see the same of all conversations. In memory, lost with a restart, and true again when the
pages are back. Refuses to know what is in a conversation.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from aiohttp import web

from agent_desk.live.push import Desk, PushHub, Topic
from crm_store.signals import ChatPresence, Signal
from crm_store.staff.agents import AgentRecord

TYPING_SECONDS = 6.0
"""Whoever goes on typing says so again before this is over."""

_TOPIC = re.compile(r"conversation:([1-9][0-9]{0,17})")


def is_conversation_topic(name: str) -> bool:
    return _TOPIC.fullmatch(name) is not None


def topic_of(conversation_id: int) -> str:
    return f"conversation:{conversation_id}"


class ConversationPresence:
    """Keeps `agent:<login>` ({"agent", "name", "since", "typing"}) and `customer` ({"present",
    "typing"} of a chat) true in each conversation's topic, and `looking:<id>` ({"agents"}) in
    `inbox`."""

    def __init__(self, hub: PushHub) -> None:
        self._hub = hub
        self._typing: dict[tuple[int, str], asyncio.TimerHandle] = {}
        self._customers: dict[int, dict[str, Any]] = {}
        hub.joins.append(self._joins)
        hub.left.append(self._left)

    def types(self, conversation_id: int, agent: AgentRecord, what: str) -> None:
        """The agent writes an "answer" or a "note" there just now; "" for no more."""
        key = (conversation_id, agent.login)
        timer = self._typing.pop(key, None)
        if timer is not None:
            timer.cancel()
        if what:
            loop = asyncio.get_running_loop()
            self._typing[key] = loop.call_later(TYPING_SECONDS, self.types, *key[:1], agent, "")
        self._change(conversation_id, agent.login, typing=what)

    def moved_on(self, conversation_id: int, version: int | None, what: str) -> None:
        """Something in it has changed; pages that have it open read it anew."""
        topic = self._hub.topics.get(topic_of(conversation_id))
        if topic is not None:
            state = {"version": version, "what": what, "at": time.time()}
            topic.change("ConversationChanged", None, {"state": state})

    def on_signal(self, signal: Signal) -> None:
        """A chat's visitor came, left, or writes."""
        if not isinstance(signal, ChatPresence):
            return
        one = {"present": signal.present, "typing": signal.typing}
        if signal.present:
            self._customers[signal.conversation_id] = one
        else:
            self._customers.pop(signal.conversation_id, None)
        topic = self._hub.topics.get(topic_of(signal.conversation_id))
        if topic is not None:
            topic.change("ChatPresence", None, {"customer": one})

    def _joins(self, topic: Topic, desk: Desk) -> None:
        found = _TOPIC.fullmatch(topic.name)
        if found is None:
            return
        login, key = desk.session.login, f"agent:{desk.session.login}"
        conversation_id = int(found[1])
        put: dict[str, dict[str, Any]] = {}
        if conversation_id in self._customers and "customer" not in topic.documents:
            put["customer"] = self._customers[conversation_id]
        if key not in topic.documents:
            agents = self._hub.topic("agents").documents
            name = agents[login]["name"] if login in agents else login
            put[key] = {"agent": login, "name": name, "since": time.time(), "typing": ""}
        topic.change("Looking", None, put)
        self._tell_lists(conversation_id, topic)

    def _left(self, topic: Topic, desk: Desk) -> None:
        found = _TOPIC.fullmatch(topic.name)
        if found is None:
            return
        login = desk.session.login
        if all(other.session.login != login for other in topic.desks):
            topic.change("LookedAway", None, {}, [f"agent:{login}"])
        self._tell_lists(int(found[1]), topic)
        self._hub.forget(topic)

    def _change(self, conversation_id: int, login: str, **values: Any) -> None:
        topic = self._hub.topics.get(topic_of(conversation_id))
        one = topic.documents.get(f"agent:{login}") if topic else None
        if topic is None or one is None or all(one[name] == values[name] for name in values):
            return
        topic.change("Typing", None, {f"agent:{login}": {**one, **values}})
        self._tell_lists(conversation_id, topic)

    def _tell_lists(self, conversation_id: int, topic: Topic) -> None:
        lists = self._hub.topic("inbox", coalesced=True)
        key = f"looking:{conversation_id}"
        agents = [
            {"agent": one["agent"], "name": one["name"], "typing": bool(one["typing"])}
            for name, one in topic.documents.items()
            if name.startswith("agent:")
        ]
        if agents:
            lists.change("Looking", None, {key: {"agents": agents}})
        else:
            lists.change("LookedAway", None, {}, [key])


PRESENCE = web.AppKey("conversation_presence", ConversationPresence)
