"""The JSON API of tasks and callbacks, and their page.

Owns the form of each request and answer, and who may do what: an agent sees and changes their own
tasks, those they gave to others, and what waits in the queues that they may serve; a supervisor all
of them. Every change is shown on the boards at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from agent_desk.desk.desk_texts import desk_texts
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    id_in,
    is_supervisor,
    json_answer,
    language_of,
    signed_in,
    wish_of,
)
from agent_desk.live.task_board import TaskBoard, task_document
from agent_desk.rendering import page
from crm_store.contacts import callbacks, interactions, tasks
from crm_store.contacts.tasks import NewTask, TaskLine, TaskTaken
from crm_store.database import Transaction
from crm_store.models import CallbackState, TaskKind, TaskState
from crm_store.people.phone_numbers import to_e164
from crm_store.staff import agents, queues

BOARD = web.AppKey("task_board", TaskBoard)

PAGE = 50
LONGEST_TEXT = 20_000


async def list_tasks(request: web.Request) -> web.StreamResponse:
    """GET ?state=open|done|cancelled&kind=&whose=mine|all&agent=&queue=&customer_id=&skip=:
    {"tasks": [document as in the push], "more": bool}, 50 at once.

    `whose=all` and `agent` are for supervisors; an agent gets what they may see.
    """
    session = signed_in(request)
    query = request.query
    try:
        state = TaskState(query.get("state") or TaskState.OPEN)
        kind = TaskKind(query["kind"]) if query.get("kind") else None
        skip = int(query.get("skip") or 0)
        customer_id = int(query["customer_id"]) if query.get("customer_id") else None
    except ValueError as error:
        raise web.HTTPBadRequest from error
    if not 0 <= skip < 1_000_000 or not 0 <= (customer_id or 0) < 10**18:
        raise web.HTTPBadRequest
    agent: str | None = session.agent.login
    served = list(session.agent.queues)
    if is_supervisor(session) and query.get("whose") == "all":
        agent = query.get("agent") or None
        served = [query["queue"]] if query.get("queue") else []
    found = await tasks.listed(
        request.app[PARTS].database,
        state=state,
        agent=agent,
        queues=served,
        kind=kind,
        customer_id=customer_id,
        limit=PAGE + 1,
        skip=skip,
    )
    documents = [task_document(task) for task in found[:PAGE]]
    return json_answer({"tasks": documents, "more": len(found) > PAGE})


async def create_task(request: web.Request) -> web.StreamResponse:
    """POST {"kind", "title", "due_at": ISO 8601 with its zone, "text", "number", "customer_id",
    "queue", "assigned_to"} and, when it comes of a call, {"pbx", "call"}: {"id"}, 201. 400 with the
    field that is wrong."""
    _ = language_of(request)
    parts = request.app[PARTS]
    wish = await wish_of(request)
    try:
        kind = TaskKind(wish.get("kind") or TaskKind.TASK)
    except ValueError as error:
        raise web.HTTPBadRequest from error
    number = _text(wish, "number", 64)
    if kind is TaskKind.CALLBACK:
        number = to_e164(number, parts.region) or ""
        if not number:
            said = _("Write the number to call back, with its area.")
            return json_answer({"error": said, "field": "number"}, 400)
    title = _text(wish, "title", tasks.LONGEST_TITLE)
    if not title.strip():
        return json_answer({"error": _("Write what is to be done."), "field": "title"}, 400)
    customer_id = wish.get("customer_id")
    if customer_id is not None and type(customer_id) is not int:
        raise web.HTTPBadRequest
    new = NewTask(
        kind=kind,
        title=title,
        due_at=_moment(request, wish),
        text=_text(wish, "text", LONGEST_TEXT),
        number=number,
        customer_id=customer_id,
        interaction_id=await _interaction_of(request, wish),
        queue=_text(wish, "queue", 100) or None,
        assigned_to=_text(wish, "assigned_to", 100) or None,
    )
    async with parts.database.transaction() as transaction:
        try:
            task_id = await tasks.create(transaction, new, actor=signed_in(request).agent.login)
        except LookupError as error:
            raise web.HTTPBadRequest(
                text=_("That customer, agent or queue is not there.")
            ) from error
    await request.app[BOARD].look()
    return json_answer({"id": task_id}, 201)


async def change_task(request: web.Request) -> web.StreamResponse:
    """POST {"action": "claim"} or {"action": "done"|"cancel", "outcome"} or {"action": "postpone",
    "due_at"} or {"action": "hand_over", "assigned_to"|"queue"}: the task as it is now.

    A place that a caller kept goes with its task: nobody is called by itself whom a person sees to.
    409 when somebody else has taken or finished it meanwhile, or speaks with the customer now.
    """
    _ = language_of(request)
    wish = await wish_of(request)
    database = request.app[PARTS].database
    task = await _task_of(request)
    async with database.transaction() as transaction:
        try:
            await _act(request, transaction, task, wish)
            if task.callback is not None:
                await callbacks.follow_tasks(transaction)
        except TaskTaken as error:
            raise web.HTTPConflict(
                text=_("Somebody else has taken or finished this task.")
            ) from error
        except LookupError as error:
            raise web.HTTPBadRequest(text=_("That agent or queue is not there.")) from error
    await request.app[BOARD].look()
    fresh = await tasks.find(database, task.id)
    assert fresh is not None
    return json_answer(task_document(fresh))


async def _act(
    request: web.Request, transaction: Transaction, task: TaskLine, wish: Mapping[str, Any]
) -> None:
    actor = signed_in(request).agent.login
    kept = await callbacks.of_task(request.app[PARTS].database, task.id) if task.callback else None
    if kept is not None and kept.state not in callbacks.UNANSWERED:
        if kept.state is CallbackState.ANSWERED and kept.agent != actor:
            raise TaskTaken
        kept = None
    task_id = task.id
    match wish.get("action"):
        case "claim":
            await tasks.claim(transaction, task_id, actor=actor)
        case "done" | "cancel" as action:
            state = TaskState.DONE if action == "done" else TaskState.CANCELLED
            outcome = _text(wish, "outcome", LONGEST_TEXT)
            await tasks.finish(transaction, task_id, actor=actor, outcome=outcome, state=state)
        case "postpone" if kept is not None:
            at = _moment(request, wish)
            await callbacks.postpone(transaction, kept.id, at, actor=actor)
        case "postpone":
            await tasks.postpone(transaction, task_id, _moment(request, wish), actor=actor)
        case "hand_over":
            assigned_to = _text(wish, "assigned_to", 100) or None
            queue = _text(wish, "queue", 100) or None
            if not assigned_to and not queue:
                raise web.HTTPBadRequest
            if kept is not None and queue and not assigned_to:
                await callbacks.move(transaction, kept.id, queue, actor=actor)
                return
            await tasks.hand_over(
                transaction, task_id, actor=actor, assigned_to=assigned_to, queue=queue
            )
        case _:
            raise web.HTTPBadRequest


async def list_places(request: web.Request) -> web.StreamResponse:
    """GET: {"queues": [[name, title]], "agents": [[login, name]]}: whose a task may be."""
    return json_answer(await _places(request))


async def show_tasks(request: web.Request) -> web.StreamResponse:
    """GET /tasks: the list, with filters; supervisors see everybody's."""
    places = await _places(request)
    return page(
        request,
        "tasks.html",
        everybody=places["agents"],
        queue_titles=places["queues"],
        texts=desk_texts(language_of(request))
        | {"me": signed_in(request).agent.login, "queues": dict(places["queues"])},
    )


async def _places(request: web.Request) -> dict[str, list[tuple[str, str]]]:
    database = request.app[PARTS].database
    code = language_of(request).code
    return {
        "queues": [(queue.name, queue.title(code)) for queue in await queues.all_queues(database)],
        "agents": [
            (agent.login, agent.display_name)
            for agent in await agents.all_agents(database)
            if agent.active
        ],
    }


async def _task_of(request: web.Request) -> TaskLine:
    """The task in the address, if this agent may touch it. Raises HTTPNotFound, HTTPForbidden."""
    task = await tasks.find(request.app[PARTS].database, id_in(request, "task_id"))
    if task is None:
        raise web.HTTPNotFound
    session = signed_in(request)
    login = session.agent.login
    waits_for_me = task.assigned_to is None and task.queue in session.agent.queues
    if not (is_supervisor(session) or login in (task.assigned_to, task.created_by) or waits_for_me):
        _ = language_of(request)
        raise web.HTTPForbidden(text=_("This task is somebody else's."))
    return task


async def _interaction_of(request: web.Request, wish: Mapping[str, Any]) -> int | None:
    pbx, call = wish.get("pbx"), wish.get("call")
    if not isinstance(pbx, str) or not isinstance(call, str) or len(pbx + call) > 300:
        return None
    found = await interactions.of_call(request.app[PARTS].database, pbx, call)
    return found.id if found else None


def _text(wish: Mapping[str, Any], name: str, longest: int) -> str:
    value = wish.get(name) or ""
    if not isinstance(value, str) or len(value) > longest:
        raise web.HTTPBadRequest
    return value


def _moment(request: web.Request, wish: Mapping[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(_text(wish, "due_at", 40))
        if at.tzinfo is not None and 2000 < at.year < 2200:
            return at.astimezone(UTC)
    except ValueError:
        pass
    _ = language_of(request)
    raise web.HTTPBadRequest(text=_("Choose when it is due."))


ROUTES = (
    Route("GET", "/tasks", show_tasks, Access.AGENTS),
    Route("GET", "/api/tasks", list_tasks, Access.AGENTS),
    Route("GET", "/api/tasks/places", list_places, Access.AGENTS),
    Route("POST", "/api/tasks", create_task, Access.AGENTS),
    Route("POST", "/api/tasks/{task_id}", change_task, Access.AGENTS),
)
