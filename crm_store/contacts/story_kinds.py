"""The kinds of things that a customer's story is made of, each read from its own tables.

Owns one small function per kind, in `READERS`, and what each says of itself; a new channel with a
table of its own adds one. Knows no page, no filter and no search: story.py has them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.contacts.conversation_excerpts import conversations_of, newest_messages
from crm_store.models import (
    Call,
    Callback,
    Channel,
    Complaint,
    Interaction,
    MenuVisit,
    Order,
    OrderLine,
    OrderStateEntry,
    Recording,
    Survey,
    SurveyAnswer,
    Task,
    Visit,
    WrapUp,
)
from crm_store.text_search import EntryKind

KINDS = (
    EntryKind.INTERACTION,
    EntryKind.TASK,
    EntryKind.VISIT,
    EntryKind.COMPLAINT,
    EntryKind.ORDER,
)


@dataclass(frozen=True, slots=True)
class StoryEntry:
    """One thing that happened. `details` are plain values, by `kind`: see each reader."""

    kind: EntryKind
    id: int
    at: datetime
    agent: str | None
    channel: Channel | None
    details: dict[str, Any] = field(default_factory=dict)


Read = Callable[[AsyncSession, Sequence[ColumnElement[bool]], int], Awaitable[list[StoryEntry]]]


@dataclass(frozen=True, slots=True)
class Reader:
    """How a kind is read: its columns for row, owner, moment and agents, and the function."""

    row: Any
    owner: Any
    at: Any
    agents: tuple[Any, ...]
    read: Read


async def _interactions(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[StoryEntry]:
    """`direction, queue, disposition, summary, note, address, keyed, satisfaction, closed_at`;
    `conversation` and `messages` (see conversation_excerpts.py); `call` ({outcome, wait_s, talk_s,
    transferred_to} or None); `wrap_ups` [{agent, disposition, note, at}]; `recordings` [{id,
    started_at, seconds, marks}]; `menu_visits` [{menu, language, entered_at, seconds, left_to,
    trail: [{at, place, heard, keyed, language}]}]; `survey` ({agreed, answers: {question: 1 to 5}}
    or None)."""
    query = (
        select(Interaction, Call)
        .join(Call, Call.id == Interaction.call_id, isouter=True)
        .where(*conditions)
        .order_by(Interaction.opened_at.desc(), Interaction.id.desc())
        .limit(limit)
    )
    rows = [(row[0], row[1]) for row in await session.execute(query)]
    wrap_ups = await _wrap_ups(session, [one.id for one, _ in rows])
    calls = [call for _, call in rows if call is not None]
    recordings = await _recordings(session, calls)
    menu_visits = await _menu_visits(session, calls)
    surveys = await _surveys(session, calls)
    conversations = await conversations_of(session, [one.id for one, _ in rows])
    written = await newest_messages(session, [one["id"] for one in conversations.values()])
    return [
        StoryEntry(
            EntryKind.INTERACTION,
            one.id,
            one.opened_at,
            one.agent,
            one.channel,
            {
                "direction": one.direction,
                "queue": one.queue,
                "disposition": one.disposition,
                "summary": one.summary,
                "note": one.note,
                "address": one.address,
                "keyed": one.keyed,
                "satisfaction": one.satisfaction,
                "closed_at": one.closed_at,
                "conversation": conversations.get(one.id),
                "messages": written.get(conversations.get(one.id, {}).get("id"), []),
                "call": call
                and {
                    "outcome": call.outcome,
                    "wait_s": call.wait_s,
                    "talk_s": call.talk_s,
                    "transferred_to": call.transferred_to,
                },
                "wrap_ups": wrap_ups.get(one.id, []),
                "recordings": recordings.get((call.pbx, call.linkedid), []) if call else [],
                "menu_visits": menu_visits.get((call.pbx, call.linkedid), []) if call else [],
                "survey": surveys.get((call.pbx, call.linkedid)) if call else None,
            },
        )
        for one, call in rows
    ]


async def _wrap_ups(
    session: AsyncSession, interaction_ids: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    rows = await session.scalars(
        select(WrapUp).where(WrapUp.interaction_id.in_(interaction_ids)).order_by(WrapUp.id)
    )
    for row in rows:
        found.setdefault(row.interaction_id, []).append(
            {
                "agent": row.agent,
                "disposition": row.disposition,
                "note": row.note,
                "at": row.closed_at or row.saved_at,
            }
        )
    return found


async def _recordings(
    session: AsyncSession, calls: Sequence[Call]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    rows = await session.scalars(
        select(Recording)
        .where(
            *_of_calls(Recording, calls),
            Recording.ended_at.is_not(None),
        )
        .order_by(Recording.id)
    )
    for row in rows:
        assert row.ended_at is not None
        found.setdefault((row.pbx, row.linkedid), []).append(
            {
                "id": row.id,
                "started_at": row.started_at,
                "seconds": (row.ended_at - row.started_at).total_seconds(),
                "marks": row.marks,
            }
        )
    return found


async def _menu_visits(
    session: AsyncSession, calls: Sequence[Call]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    rows = await session.scalars(
        select(MenuVisit)
        .where(*_of_calls(MenuVisit, calls))
        .order_by(MenuVisit.entered_at, MenuVisit.id)
    )
    for row in rows:
        found.setdefault((row.pbx, row.linkedid), []).append(
            {
                "menu": row.menu,
                "language": row.language,
                "entered_at": row.entered_at,
                "seconds": (row.left_at - row.entered_at).total_seconds(),
                "left_to": row.left_to,
                "trail": row.trail,
            }
        )
    return found


async def _surveys(
    session: AsyncSession, calls: Sequence[Call]
) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    rows = await session.execute(
        select(Survey, SurveyAnswer)
        .join(SurveyAnswer, SurveyAnswer.survey_id == Survey.id, isouter=True)
        .where(*_of_calls(Survey, calls))
        .order_by(SurveyAnswer.at)
    )
    for survey, answer in rows:
        one = found.setdefault(
            (survey.pbx, survey.linkedid), {"agreed": survey.agreed, "answers": {}}
        )
        if answer is not None:
            one["answers"][answer.question] = answer.value
    return found


async def _tasks(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[StoryEntry]:
    """`task_kind, state, title, text, number, due_at, queue, assigned_to, outcome, finished_by,
    finished_at`; `callback` ({id, state, arrived_at, not_before, tries, agent, outcome} or None) of
    a place that a caller kept."""
    query = (
        select(Task, Callback)
        .join(Callback, Callback.task_id == Task.id, isouter=True)
        .where(*conditions)
        .order_by(Task.created_at.desc(), Task.id.desc())
    )
    kept = ("id", "state", "arrived_at", "not_before", "tries", "agent", "outcome")
    return [
        StoryEntry(
            EntryKind.TASK,
            row.id,
            row.created_at,
            row.created_by,
            None,
            {
                "task_kind": row.kind,
                **_values(row, "state", "title", "text", "number", "due_at", "queue", "outcome"),
                **_values(row, "assigned_to", "finished_by", "finished_at"),
                "callback": callback and _values(callback, *kept),
            },
        )
        for row, callback in await session.execute(query.limit(limit))
    ]


async def _visits(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[StoryEntry]:
    """`state, planned_for, held_at, place, purpose, outcome`."""
    query = select(Visit).where(*conditions).order_by(Visit.planned_for.desc(), Visit.id.desc())
    names = ("state", "planned_for", "held_at", "place", "purpose", "outcome")
    return [
        StoryEntry(
            EntryKind.VISIT, row.id, row.planned_for, row.agent, Channel.VISIT, _values(row, *names)
        )
        for row in await session.scalars(query.limit(limit))
    ]


async def _complaints(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[StoryEntry]:
    """`number, category, severity, subject, text, state, closed_at`."""
    query = (
        select(Complaint)
        .where(*conditions)
        .order_by(Complaint.filed_at.desc(), Complaint.id.desc())
    )
    names = ("number", "category", "severity", "subject", "text", "state", "closed_at")
    return [
        StoryEntry(
            EntryKind.COMPLAINT, row.id, row.filed_at, row.filed_by, None, _values(row, *names)
        )
        for row in await session.scalars(query.limit(limit))
    ]


async def _orders(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[StoryEntry]:
    """`number, state, state_since, expected_on, currency, total_minor`; `lines` [{item_number,
    names, quantity, price_minor}]; `states` [{state, at}], oldest first."""
    query = select(Order).where(*conditions).order_by(Order.placed_at.desc(), Order.id.desc())
    rows = (await session.scalars(query.limit(limit))).all()
    ids = [row.id for row in rows]
    lines: dict[int, list[dict[str, Any]]] = {}
    for line in await session.scalars(
        select(OrderLine)
        .where(OrderLine.order_id.in_(ids))
        .order_by(OrderLine.order_id, OrderLine.position)
    ):
        lines.setdefault(line.order_id, []).append(
            _values(line, "item_number", "names", "quantity", "price_minor")
        )
    states: dict[int, list[dict[str, Any]]] = {}
    for entry in await session.scalars(
        select(OrderStateEntry)
        .where(OrderStateEntry.order_id.in_(ids))
        .order_by(OrderStateEntry.id)
    ):
        states.setdefault(entry.order_id, []).append(_values(entry, "state", "at"))
    names = ("number", "state", "state_since", "expected_on", "currency", "total_minor")
    return [
        StoryEntry(
            EntryKind.ORDER,
            row.id,
            row.placed_at,
            row.placed_by,
            None,
            _values(row, *names)
            | {"lines": lines.get(row.id, []), "states": states.get(row.id, [])},
        )
        for row in rows
    ]


def _of_calls(
    table: type[Recording | MenuVisit | Survey], calls: Sequence[Call]
) -> list[ColumnElement[bool]]:
    """What finds the rows of these calls by their index; perhaps one more, of another PBX."""
    return [
        table.pbx.in_({call.pbx for call in calls}),
        table.linkedid.in_([call.linkedid for call in calls]),
    ]


def _values(row: object, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


READERS = {
    EntryKind.INTERACTION: Reader(
        Interaction.id,
        Interaction.customer_id,
        Interaction.opened_at,
        (Interaction.agent,),
        _interactions,
    ),
    EntryKind.TASK: Reader(
        Task.id,
        Task.customer_id,
        Task.created_at,
        (Task.created_by, Task.assigned_to, Task.finished_by),
        _tasks,
    ),
    EntryKind.VISIT: Reader(
        Visit.id, Visit.customer_id, Visit.planned_for, (Visit.agent,), _visits
    ),
    EntryKind.COMPLAINT: Reader(
        Complaint.id,
        Complaint.customer_id,
        Complaint.filed_at,
        (Complaint.filed_by,),
        _complaints,
    ),
    EntryKind.ORDER: Reader(
        Order.id, Order.customer_id, Order.placed_at, (Order.placed_by,), _orders
    ),
}
