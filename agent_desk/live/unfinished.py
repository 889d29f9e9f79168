"""What an agent had not wrapped up when the service last stopped.

Owns that it stands on the screen again at the first connection after a start: the store knows the
interactions that are still open. Knows nothing of how they are shown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from agent_desk.live.agent_screens import NOT_RECORDED, UNFINISHED_LIMIT, AgentScreens, call_key
from agent_desk.live.caller_display import shown_number
from agent_desk.live.push import Document
from crm_store.contacts import interactions
from crm_store.database import Database
from crm_store.models import Call, CallState
from crm_store.people import customers
from crm_store.signals import Direction

NOT_OLDER_THAN = timedelta(hours=24)
"""What nobody wrapped up for longer is left to the history."""


class UnfinishedWork:
    """Brings each agent's unfinished wrap-ups back, once in the life of this process."""

    def __init__(self, database: Database, screens: AgentScreens) -> None:
        self._database = database
        self._screens = screens
        self._asked: set[str] = set()

    async def bring_back(self, agent: str) -> None:
        """Put the agent's open, ended calls on the screen. Raises what the database raises."""
        if agent in self._asked:
            return
        self._asked.add(agent)
        oldest = datetime.now(UTC) - NOT_OLDER_THAN
        try:
            found = await interactions.open_of_agent(self._database, agent)
            recent = [line for line in found if line.call_id and line.opened_at > oldest]
            for line in recent[:UNFINISHED_LIMIT]:
                await self._show(agent, line)
        except BaseException:
            self._asked.discard(agent)
            raise

    async def _show(self, agent: str, line: interactions.PastInteraction) -> None:
        async with self._database.reading() as session:
            call = await session.scalar(select(Call).where(Call.id == line.call_id))
        if call is None or call.state is not CallState.ENDED or call.ended_at is None:
            return
        outbound = call.direction is Direction.OUTBOUND
        other = call.callee if outbound else call.caller
        document: Document = {
            "pbx": call.pbx,
            "call": call.linkedid,
            "state": "ended",
            "queue": call.queue or "",
            "caller": other,
            "shown_caller": shown_number(other),
            "caller_name": "",
            "direction": call.direction.value,
            "endpoint": call.answered_by or "",
            "offered_at": call.started_at.timestamp(),
            "answered_at": None,
            "ended_at": call.ended_at.timestamp(),
            "cause": "",
            **NOT_RECORDED,
        }
        card = await customers.card(self._database, line.customer_id) if line.customer_id else None
        self._screens.restore(
            agent, call_key(call.pbx, call.linkedid), document, card.as_dict() if card else None
        )
