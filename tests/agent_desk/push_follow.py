"""The one helper that says what the push promises: a snapshot and its frames equal a fresh one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from agent_desk.live.push import PushHub
from agent_desk.live.push_state import PushState


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; the test's own time limit ends it otherwise."""
    while not condition():  # noqa: ASYNC110 - the condition has no event of its own
        await asyncio.sleep(0.002)


class Follower(Protocol):
    """A client that has subscribed to the topics; `state` is what its frames have added up to."""

    state: PushState

    async def caught_up(self, numbers: dict[str, int]) -> None:
        """Return when every topic has been read up to its number."""


def fresh_snapshot(hub: PushHub, topic: str) -> dict[str, Any]:
    """The topic's documents as a client that connects at this moment gets them."""
    return dict(orjson.loads(orjson.dumps(hub.topics[topic].documents)))


async def assert_state_follows(hub: PushHub, follower: Follower, *topics: str) -> None:
    """The snapshot taken before, plus every frame since, is what a fresh snapshot says now."""
    await until(lambda: not any(hub.topics[topic].has_unsent_news for topic in topics))
    await follower.caught_up({topic: hub.topics[topic].n for topic in topics})
    for topic in topics:
        assert follower.state[topic] == fresh_snapshot(hub, topic), topic
