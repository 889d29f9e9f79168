"""The supervisors' pages of agents, under /setup/agents.

Owns the list, the form of one, first and new passwords (shown once, kept nowhere), and who may
change whom: only an administrator makes, changes or unmakes an administrator, and nobody takes away
their own way in. What an agent may be is crm_store.staff.agents'.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web
from sqlalchemy.exc import IntegrityError

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.passwords import hash_password
from agent_desk.entrance.visitor import PARTS, language_of, signed_in
from agent_desk.languages import NAMES, Language
from agent_desk.setup.pages import (
    FormFaults,
    SetupForm,
    audited,
    done,
    form_of,
    setup_page,
    told_to_pbx,
)
from agent_desk.setup.queues import numbers_in_use
from crm_store.models import PhoneKind, Role
from crm_store.staff import agents, queues, skills
from crm_store.staff.agents import BEST_LEVEL, AgentRecord

HERE = "/setup/agents"

LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
MOST_PENALTY = 20
MOST_AT_ONCE = 50
"""Conversations that are given to one agent; what they take themselves is not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFields:
    """What the form says of an agent; `penalties` by queue, `levels` by skill."""

    login: str = ""
    display_name: str = ""
    extension: str = ""
    role: str = Role.AGENT.value
    language: str = "en"
    phone: str = PhoneKind.BROWSER.value
    active: bool = True
    chats_at_once: int = 3
    written_at_once: int = 8
    penalties: Mapping[str, int] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)


def _roles(_: Language) -> dict[str, str]:
    return {
        Role.AGENT.value: _("Agent"),
        Role.SUPERVISOR.value: _("Supervisor"),
        Role.ADMIN.value: _("Administrator"),
    }


async def show_agents(request: web.Request) -> web.StreamResponse:
    """GET /setup/agents: everybody, those who are kept out last."""
    _ = language_of(request)
    database = request.app[PARTS].database
    titles = {queue.name: queue.title(_.code) for queue in await queues.all_queues(database)}
    found = await agents.all_agents(database, also_inactive=True)
    return setup_page(
        request,
        "setup/agents.html",
        HERE,
        found=sorted(found, key=lambda agent: not agent.active),
        queue_titles=titles,
        roles=_roles(_),
    )


async def new_agent(request: web.Request) -> web.StreamResponse:
    """GET /setup/agents/new."""
    return await _form(request, None, AgentFields(language=language_of(request).code))


async def edit_agent(request: web.Request) -> web.StreamResponse:
    """GET /setup/agents/{login}."""
    agent = await _known(request)
    database = request.app[PARTS].database
    fields = AgentFields(
        login=agent.login,
        display_name=agent.display_name,
        extension=agent.extension or "",
        role=agent.role.value,
        language=agent.language,
        phone=agent.phone.value,
        active=agent.active,
        chats_at_once=agent.chats_at_once,
        written_at_once=agent.written_at_once,
        penalties=await agents.own_penalties(database, agent.id),
        levels=await skills.levels_of_agent(database, agent.id),
    )
    return await _form(request, agent, fields)


async def add_agent(request: web.Request) -> web.StreamResponse:
    """POST /setup/agents/new: the answer shows the first password, once."""
    _ = language_of(request)
    form = await form_of(request)
    login = form.text("login", longest=40)
    if not LOGIN.fullmatch(login):
        form.faults.say("login", _("Write letters, digits, dots, - or _."))
    elif login == "new" or await agents.find(request.app[PARTS].database, login):
        form.faults.say("login", _("Somebody has this login already."))
    fields = await _read(request, form, None, login)
    password = secrets.token_urlsafe(9)
    hashed = "" if form.faults else await asyncio.to_thread(hash_password, password)
    if not await _write(request, form, None, fields, hashed):
        return await _form(request, None, fields, form.faults)
    return await _show_password(request, fields.display_name, login, password)


async def change_agent(request: web.Request) -> web.StreamResponse:
    """POST /setup/agents/{login}."""
    agent = await _known(request)
    form = await form_of(request)
    fields = await _read(request, form, agent, agent.login)
    if not await _write(request, form, agent, fields, ""):
        return await _form(request, agent, fields, form.faults)
    raise done(HERE, "saved", agent.login, await told_to_pbx(request))


async def new_password(request: web.Request) -> web.StreamResponse:
    """POST /setup/agents/{login}/password: the answer shows it, once; their sessions end."""
    agent = await _known(request)
    password = secrets.token_urlsafe(9)
    hashed = await asyncio.to_thread(hash_password, password)
    async with request.app[PARTS].database.transaction() as transaction:
        await agents.set_password_hash(transaction, agent.login, hashed)
        await audited(request, transaction, "changed", ("agent", agent.login), ("password",))
    return await _show_password(request, agent.display_name, agent.login, password)


async def _show_password(
    request: web.Request, name: str, login: str, password: str
) -> web.StreamResponse:
    await told_to_pbx(request)
    return setup_page(
        request, "setup/password.html", HERE, name=name, login=login, password=password
    )


async def _read(
    request: web.Request, form: SetupForm, agent: AgentRecord | None, login: str
) -> AgentFields:
    """The agent that the form describes; `form.faults` says what is wrong with it."""
    _ = language_of(request)
    database = request.app[PARTS].database
    me = signed_in(request).agent
    name = form.text("display_name")
    if not name:
        form.faults.say("display_name", _("Write the name that colleagues and customers see."))
    extension = form.text("extension", longest=10)
    if extension:
        taken = (await numbers_in_use(database)).get(extension, f"agent:{login}")
        if not (extension.isascii() and extension.isdigit() and len(extension) >= 2):
            form.faults.say("extension", _("Write 2 to 10 digits, or nothing."))
        elif taken != f"agent:{login}":
            form.faults.say("extension", _("This number is in use already."))
    role = form.choice("role", _roles(_))
    if role == Role.ADMIN.value and me.role is not Role.ADMIN:
        form.faults.say("role", _("Only an administrator makes an administrator."))
    active = form.ticked("active") or agent is None
    if agent is not None and agent.id == me.id:
        if role != me.role.value:
            form.faults.say("role", _("You cannot change your own role: ask somebody else."))
        if not active:
            form.faults.say("active", _("You cannot keep yourself out."))
    return AgentFields(
        login=login,
        display_name=name,
        extension=extension,
        role=role,
        language=form.choice("language", NAMES),
        phone=form.choice("phone", frozenset(kind.value for kind in PhoneKind)),
        active=active,
        chats_at_once=form.number("chats_at_once", 0, MOST_AT_ONCE),
        written_at_once=form.number("written_at_once", 0, MOST_AT_ONCE),
        penalties={
            queue.name: form.number(f"penalty.{queue.name}", 0, MOST_PENALTY)
            for queue in await queues.all_queues(database)
            if form.ticked(f"queue.{queue.name}")
        },
        levels={
            skill.code: form.number(f"skill.{skill.code}", 0, BEST_LEVEL)
            for skill in await skills.all_skills(database)
        },
    )


async def _write(
    request: web.Request,
    form: SetupForm,
    agent: AgentRecord | None,
    fields: AgentFields,
    hashed: str,
) -> bool:
    """Whether it is in the store; `form.faults` says why not."""
    if form.faults:
        return False
    database = request.app[PARTS].database
    # The levels of retired skills stay, and count again when a skill is brought back.
    levels = dict(await skills.levels_of_agent(database, agent.id)) if agent else {}
    try:
        async with database.transaction() as transaction:
            agent_id = await agents.save(
                transaction,
                login=fields.login,
                display_name=fields.display_name,
                extension=fields.extension or None,
                role=Role(fields.role),
                language=fields.language,
                queues=fields.penalties,
                phone=PhoneKind(fields.phone),
                chats_at_once=fields.chats_at_once,
                written_at_once=fields.written_at_once,
            )
            await skills.set_levels(transaction, agent_id, levels | dict(fields.levels))
            if hashed:
                await agents.set_password_hash(transaction, fields.login, hashed)
            if not fields.active:
                await agents.set_active(transaction, fields.login, False)
            action = "added" if agent is None else "changed"
            await audited(request, transaction, action, ("agent", fields.login), ("record",))
    except IntegrityError:
        _ = language_of(request)
        form.faults.say("extension", _("This number is in use already."))
        return False
    return True


async def _form(
    request: web.Request,
    agent: AgentRecord | None,
    fields: AgentFields,
    faults: FormFaults | None = None,
) -> web.Response:
    _ = language_of(request)
    database = request.app[PARTS].database
    asked = await skills.asked_for(database)
    skill_titles = {s.code: s.title(_.code) for s in await skills.all_skills(database)}
    return setup_page(
        request,
        "setup/agent.html",
        HERE,
        agent=agent,
        values=fields,
        heading=agent.display_name if agent else _("New agent"),
        roles=list(_roles(_).items()),
        phones=[("browser", _("In the browser")), ("desk", _("A telephone on the desk"))],
        queues=[
            {
                "name": queue.name,
                "title": queue.title(_.code),
                "ticked": queue.name in fields.penalties,
                "penalty": fields.penalties.get(queue.name, 0),
                "asks": [
                    skill_titles[code]
                    for code, least in asked.get(queue.name, {}).items()
                    if code in skill_titles and fields.levels.get(code, 0) < least
                ],
            }
            for queue in await queues.all_queues(database)
        ],
        skills=[(code, title, fields.levels.get(code, 0)) for code, title in skill_titles.items()],
        most_penalty=MOST_PENALTY,
        best_level=BEST_LEVEL,
        faults=faults,
    )


async def _known(request: web.Request) -> AgentRecord:
    """The agent that the address names. Raises HTTPNotFound, and HTTPForbidden for an
    administrator whom somebody else than an administrator would change."""
    agent = await agents.find(request.app[PARTS].database, request.match_info["login"])
    if agent is None:
        raise web.HTTPNotFound
    if agent.role is Role.ADMIN and signed_in(request).agent.role is not Role.ADMIN:
        _ = language_of(request)
        raise web.HTTPForbidden(text=_("Only an administrator may change an administrator."))
    return agent


ROUTES = (
    Route("GET", HERE, show_agents, Access.SUPERVISORS),
    Route("GET", f"{HERE}/new", new_agent, Access.SUPERVISORS),
    Route("POST", f"{HERE}/new", add_agent, Access.SUPERVISORS),
    Route("GET", f"{HERE}/{{login}}", edit_agent, Access.SUPERVISORS),
    Route("POST", f"{HERE}/{{login}}", change_agent, Access.SUPERVISORS),
    Route("POST", f"{HERE}/{{login}}/password", new_password, Access.SUPERVISORS),
)
