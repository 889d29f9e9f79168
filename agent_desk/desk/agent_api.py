"""The JSON API of an agent's own state: queues served, pauses, wrap-up.

Owns the form of each request and answer, said in each docstring; errors are as in api.py. What an
agent may choose is the store's; the state itself comes by the push, from the PBX.
"""

from __future__ import annotations

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    address_of,
    json_answer,
    language_of,
    signed_in,
    wish_of,
)
from agent_desk.languages import Language
from crm_store import audit
from crm_store.signals import AgentState
from crm_store.staff import agents, queues, skills
from cti.agents.pause_reasons import MISSED_RINGS, PHONE_LOST, WRAP_UP, WRITTEN_WORK
from cti.agents.queue_model import PHONE_UNREACHABLE

LONGEST_REASON = 200


def reason_texts(_: Language) -> dict[str, str]:
    """The reasons of a state that are ours, not a supervisor's, in words. The text of missed rings
    has a place for their `count`."""
    return {
        WRAP_UP: _("Wrap-up"),
        WRITTEN_WORK: _("Written work"),
        MISSED_RINGS: _("Calls rang unanswered: %(count)s"),
        PHONE_LOST: _("Your phone was lost during a call"),
        PHONE_UNREACHABLE: _("Your phone cannot be reached"),
    }


async def show_me(request: web.Request) -> web.StreamResponse:
    """GET: who I am, and what I may choose: {"login", "name", "role", "language", "phone",
    "queues": [{"name", "title", "number", "penalty", "auto_answer", "recording", "script"}],
    "barred": [{"name", "title", "skill"}], "pause_reasons": [{"code", "title"}],
    "reason_texts": {code: text}}."""
    agent = signed_in(request).agent
    _ = language_of(request)
    database = request.app[PARTS].database
    known = {queue.name: queue for queue in await queues.all_queues(database)}
    return json_answer(
        {
            "login": agent.login,
            "name": agent.display_name,
            "role": agent.role.value,
            "language": _.code,
            "phone": agent.phone.value,
            "queues": [
                {
                    "name": name,
                    "title": known[name].title(_.code),
                    "number": known[name].number,
                    "penalty": penalty,
                    "auto_answer": known[name].auto_answer,
                    "recording": known[name].recording.value,
                    "script": known[name].script,
                }
                for name, penalty in agent.queues.items()
                if name in known
            ],
            "barred": [
                {
                    "name": name,
                    "title": known[name].title(_.code),
                    "skill": await _skill_title(request, skill),
                }
                for name, skill in agent.barred.items()
                if name in known
            ],
            "pause_reasons": [
                {"code": reason.code, "title": reason.title(_.code)}
                for reason in await queues.pause_reasons(database)
            ],
            "reason_texts": reason_texts(_),
        }
    )


async def serve_queues(request: web.Request) -> web.StreamResponse:
    """POST {"queues": [names]}: join exactly these, available. 403 for one I may not serve."""
    _ = language_of(request)
    agent = signed_in(request).agent
    wanted = (await wish_of(request)).get("queues")
    if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
        raise web.HTTPBadRequest
    if not wanted:
        raise web.HTTPBadRequest(text=_("Choose at least one queue."))
    for name in wanted:
        if name in agent.barred:
            raise web.HTTPForbidden(
                text=_("%(queue)s asks for more skill in %(skill)s. Ask a supervisor.")
                % {
                    "queue": await _queue_title(request, name),
                    "skill": await _skill_title(request, agent.barred[name]),
                }
            )
        if name not in agent.queues:
            raise web.HTTPForbidden(text=_("You may not serve that queue. Ask a supervisor."))
    await request.app[PARTS].agents.sign_in(agent.login, list(dict.fromkeys(wanted)))
    return json_answer({})


async def leave_queues(request: web.Request) -> web.StreamResponse:
    """POST {}: leave all queues; the session goes on."""
    await wish_of(request)
    await request.app[PARTS].agents.sign_out(signed_in(request).agent.login)
    return json_answer({})


async def pause(request: web.Request) -> web.StreamResponse:
    """POST {"reason": code}: pause in all queues; after the wrap-up while a call lasts.

    "written-work" is always a reason. 400 for one that is not in the list.
    """
    _ = language_of(request)
    parts = request.app[PARTS]
    reason = (await wish_of(request)).get("reason")
    listed = [choice.code for choice in await queues.pause_reasons(parts.database)]
    if reason not in [WRITTEN_WORK, *listed]:
        raise web.HTTPBadRequest(text=_("Choose one of the reasons for a pause."))
    await parts.agents.pause(signed_in(request).agent.login, str(reason))
    return json_answer({})


async def unpause(request: web.Request) -> web.StreamResponse:
    """POST {}: available again, from a pause, from written work, or from a wrap-up without a call
    on the screen; while a call lasts, no pause follows its wrap-up."""
    await wish_of(request)
    control = request.app[PARTS].agents
    login = signed_in(request).agent.login
    if control.state_of(login).state is AgentState.WRAP_UP:
        await control.finish_wrap_up(login)
    else:
        await control.unpause(login)
    return json_answer({})


async def extend_wrap_up(request: web.Request) -> web.StreamResponse:
    """POST {"seconds": n, "reason": text}: the wrap-up that runs lasts so much longer.

    400 without a reason, or for more seconds than the state's `extendable_seconds`; 409 when
    there is no wrap-up, or its queue lets it last no longer. Written down and audited.
    """
    _ = language_of(request)
    wish = await wish_of(request)
    parts = request.app[PARTS]
    login = signed_in(request).agent.login
    seconds, reason = wish.get("seconds"), wish.get("reason")
    state = parts.agents.state_of(login)
    if state.state is not AgentState.WRAP_UP:
        raise web.HTTPConflict(text=_("You are not in a wrap-up any more."))
    if not isinstance(reason, str) or not reason.strip():
        raise web.HTTPBadRequest(text=_("Say why you need more time."))
    if len(reason) > LONGEST_REASON:
        raise web.HTTPBadRequest(
            text=_("This is too long: at most %d characters.") % LONGEST_REASON
        )
    if state.extendable_seconds <= 0:
        raise web.HTTPConflict(text=_("This wrap-up cannot be made longer."))
    if type(seconds) is not int or not 0 < seconds <= state.extendable_seconds:
        raise web.HTTPBadRequest(
            text=_("At most %d more seconds are possible.") % state.extendable_seconds
        )
    await parts.agents.extend_wrap_up(login, seconds)
    async with parts.database.transaction() as transaction:
        await agents.log_state(
            transaction,
            login,
            AgentState.WRAP_UP,
            reason=f"+{seconds} s: {reason.strip()}"[:100],
            queues=state.queues,
        )
        await audit.record(
            transaction,
            actor=login,
            action="extended wrap-up",
            subject_kind="agent",
            subject_id=login,
            address=address_of(request),
            reason=reason.strip(),
        )
    return json_answer({})


async def _queue_title(request: web.Request, name: str) -> str:
    queue = await queues.find(request.app[PARTS].database, name)
    return queue.title(language_of(request).code) if queue else name


async def _skill_title(request: web.Request, code: str) -> str:
    known = await skills.all_skills(request.app[PARTS].database)
    titles = {skill.code: skill.title(language_of(request).code) for skill in known}
    return titles.get(code, code)


ROUTES = (
    Route("GET", "/api/me", show_me, Access.AGENTS),
    Route("POST", "/api/agent/serve", serve_queues, Access.AGENTS),
    Route("POST", "/api/agent/leave", leave_queues, Access.AGENTS),
    Route("POST", "/api/agent/pause", pause, Access.AGENTS),
    Route("POST", "/api/agent/unpause", unpause, Access.AGENTS),
    Route("POST", "/api/agent/extend-wrap-up", extend_wrap_up, Access.AGENTS),
)
