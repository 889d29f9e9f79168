"""The board of due tasks: the push's topics `tasks:<login>`.

Owns which open tasks stand before which agent: their own, and the unclaimed ones of the queues that
they may serve, due within a day. It looks into the store after every change that is made here, and
now and then for what others made. The store is the truth; nothing waits in memory for its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from agent_desk.live.caller_display import shown_number
from agent_desk.live.push import PushHub
from crm_store.contacts import tasks
from crm_store.contacts.tasks import KeptPlace, TaskLine
from crm_store.database import Database
from crm_store.staff.agents import AgentRecord

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
AHEAD = timedelta(days=1)
MOST_SHOWN = 200
"""Tasks that one agent's board holds; the most overdue come first."""


def topic_of(agent: str) -> str:
    return f"tasks:{agent}"


class TaskBoard:
    """Every connected agent's due tasks."""

    def __init__(self, database: Database, hub: PushHub) -> None:
        self._database = database
        self._hub = hub
        self._queues: dict[str, Collection[str]] = {}
        self._wake = asyncio.Event()

    def show_to(self, agent: AgentRecord) -> None:
        """The agent connects: their board is there, and filled at the next look, which is now."""
        self._queues[agent.login] = agent.queues
        self._hub.topic(topic_of(agent.login))
        self._wake.set()

    async def look(self) -> None:
        """Make every board what the store says."""
        found = await tasks.due(self._database, datetime.now(UTC) + AHEAD)
        for login, queues in list(self._queues.items()):
            self._show(login, queues, found)

    async def keep_looking(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
            if not self._wake.is_set() and not self._hub.desks:
                continue
            self._wake.clear()
            try:
                await self.look()
            except (OSError, SQLAlchemyError) as error:
                log.warning("the due tasks cannot be read yet: %s", type(error).__name__)
            except Exception:
                log.exception("the due tasks could not be read; trying again")

    def _show(self, login: str, queues: Collection[str], found: Sequence[TaskLine]) -> None:
        topic = self._hub.topic(topic_of(login))
        mine = [
            task
            for task in found
            if task.assigned_to == login or (task.assigned_to is None and task.queue in queues)
        ]
        fresh = {str(task.id): task_document(task) for task in mine[:MOST_SHOWN]}
        changed = {key: task for key, task in fresh.items() if topic.documents.get(key) != task}
        gone = [key for key in topic.documents if key not in fresh]
        topic.change("TasksDue", None, changed, gone)


def task_document(task: TaskLine) -> dict[str, Any]:
    """A task as the pages show it; times in seconds since 1970."""
    return {
        "id": task.id,
        "kind": task.kind.value,
        "state": task.state.value,
        "title": task.title,
        "text": task.text,
        "number": task.number,
        "shown_number": shown_number(task.number) if task.number else "",
        "due_at": task.due_at.timestamp(),
        "customer_id": task.customer_id,
        "customer_name": task.customer_name,
        "interaction_id": task.interaction_id,
        "queue": task.queue,
        "assigned_to": task.assigned_to,
        "outcome": task.outcome,
        "created_by": task.created_by,
        "finished_by": task.finished_by,
        "finished_at": task.finished_at.timestamp() if task.finished_at else None,
        "callback": _kept_place(task.callback),
    }


def _kept_place(kept: KeptPlace | None) -> dict[str, Any] | None:
    if kept is None:
        return None
    return {
        "state": kept.state.value,
        "arrived_at": kept.arrived_at.timestamp(),
        "not_before": kept.not_before.timestamp(),
        "tries": kept.tries,
    }
