"""Presence: who looks at a customer at this moment, so that two agents see each other.

Owns the push's topics `customer:<id>`: to follow one is to look at that customer, and whoever
follows it sees the others. A topic lives as long as somebody follows it. Refuses to know pages.
"""

from __future__ import annotations

import re
import time

from agent_desk.live.push import Desk, PushHub, Topic

_TOPIC = re.compile(r"customer:[1-9][0-9]{0,17}")


def is_customer_topic(name: str) -> bool:
    return _TOPIC.fullmatch(name) is not None


class CustomerPresence:
    """Keeps each `customer:<id>` true: `login` → {"agent", "name", "since"}, one for each agent,
    however many windows they have."""

    def __init__(self, hub: PushHub) -> None:
        self._hub = hub
        hub.joins.append(self._joins)
        hub.left.append(self._left)

    def _joins(self, topic: Topic, desk: Desk) -> None:
        login = desk.session.login
        if not is_customer_topic(topic.name) or login in topic.documents:
            return
        agents = self._hub.topic("agents").documents
        name = agents[login]["name"] if login in agents else login
        document = {"agent": login, "name": name, "since": time.time()}
        topic.change("Looking", None, {login: document})

    def _left(self, topic: Topic, desk: Desk) -> None:
        if not is_customer_topic(topic.name):
            return
        login = desk.session.login
        if all(other.session.login != login for other in topic.desks):
            topic.change("LookedAway", None, {}, [login])
        self._hub.forget(topic)
