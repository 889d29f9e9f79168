"""The desk's web application: every route with who may use it, and what lives as long as it.

Owns the table of routes and the start and stop of the push. Each route's work is in the module that
is named beside it. Reads no configuration: it is given DeskParts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from aiohttp import web
from prometheus_client import generate_latest
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from agent_desk.chat import routes as chat_routes
from agent_desk.desk import agent_api, api, pages
from agent_desk.entrance import sign_in
from agent_desk.entrance.gate import Access, Route, gate
from agent_desk.entrance.guess_limiter import GuessLimiter
from agent_desk.entrance.passwords import PasswordCheck
from agent_desk.entrance.sign_in import CHECK, HUB, LIMITER
from agent_desk.entrance.visitor import PAGES, PARTS, json_answer, origin_is_ours, signed_in
from agent_desk.hall import privacy as hall_privacy
from agent_desk.hall import routes as hall
from agent_desk.inbox import answers as inbox_answers
from agent_desk.inbox import conversations as inbox_conversations
from agent_desk.inbox import letters as inbox_letters
from agent_desk.inbox import pages as inbox_pages
from agent_desk.inbox.conversation_presence import (
    PRESENCE,
    ConversationPresence,
    is_conversation_topic,
)
from agent_desk.inbox.inbox_board import INBOX_BOARD, InboxBoard
from agent_desk.inbox.inbox_board import topic_of as inbox_topic_of
from agent_desk.knowledge import articles as knowledge_api
from agent_desk.knowledge import canned_texts as texts_api
from agent_desk.knowledge import scripts as scripts_api
from agent_desk.languages import compile_catalogues
from agent_desk.live import task_board
from agent_desk.live.agent_screens import topic_of
from agent_desk.live.desk_metrics import DeskMetrics
from agent_desk.live.live_state import LiveState
from agent_desk.live.pop_audit import PopAudit
from agent_desk.live.presence import CustomerPresence, is_customer_topic
from agent_desk.live.push import PushHub, PushSession, serve_desk
from agent_desk.live.unfinished import UnfinishedWork
from agent_desk.parts import DeskParts
from agent_desk.people import customer_pages, merge_pages, search_pages, suggestions
from agent_desk.people import story as story_api
from agent_desk.people import tasks as tasks_api
from agent_desk.phone import call_verbs
from agent_desk.phone import claims as phone_claims
from agent_desk.phone import proxy as phone_proxy
from agent_desk.phone import recordings as recordings_api
from agent_desk.rendering import environment
from agent_desk.setup import agents as setup_agents
from agent_desk.setup import articles as setup_articles
from agent_desk.setup import canned_texts as setup_texts
from agent_desk.setup import choices as setup_choices
from agent_desk.setup import house as setup_house
from agent_desk.setup import menu_trials
from agent_desk.setup import menus as setup_menus
from agent_desk.setup import opening_hours as setup_opening_hours
from agent_desk.setup import pages as setup_pages
from agent_desk.setup import prompts as setup_prompts
from agent_desk.setup import queues as setup_queues
from agent_desk.setup import rules as setup_rules
from agent_desk.setup import scripts as setup_scripts
from agent_desk.setup import stuck as setup_stuck
from agent_desk.static_files import serve_file
from agent_desk.webhooks import routes as webhooks
from crm_store.models import Agent, DeskSession, Role
from crm_store.signals import OffersChanged
from crm_store.staff import agents, queues
from ivr.speech.recordings import Converter

log = logging.getLogger(__name__)

UNFINISHED = web.AppKey("unfinished_work", UnfinishedWork)

REFRESH_SECONDS = 60.0
"""Agents, queues and sessions are read from the store this often: another process may add or end
them."""

LARGEST_REQUEST = 1_048_576


async def show_health(request: web.Request) -> web.StreamResponse:
    """GET /health: 200 {"database": true, "pbx_link": true}, or 503 with what is false."""
    parts = request.app[PARTS]
    try:
        async with asyncio.timeout(2):
            await parts.database.fetch("SELECT 1")
        database = True
    except Exception as error:
        log.warning("the database does not answer: %s", type(error).__name__)
        database = False
    found = {"database": database, "pbx_link": parts.link_is_up()}
    return json_answer(found, 200 if all(found.values()) else 503)


async def show_metrics(request: web.Request) -> web.StreamResponse:
    """GET /metrics, in Prometheus' text form."""
    text = generate_latest(request.app[PARTS].registry)
    return web.Response(
        body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )


async def open_push(request: web.Request) -> web.StreamResponse:
    """GET /push: the WebSocket of docs/push.md."""
    if not origin_is_ours(request):
        raise web.HTTPForbidden(text="This WebSocket is for the desk's own pages.")
    session = signed_in(request)
    request.app[api.LIVE].screens.topic_for(session.agent.login)
    await request.app[UNFINISHED].bring_back(session.agent.login)
    request.app[tasks_api.BOARD].show_to(session.agent)
    request.app[INBOX_BOARD].show_to(session.agent)
    return await serve_desk(
        request,
        request.app[HUB],
        PushSession(
            session.agent.login,
            session.agent.role.value,
            session.session_id,
            session.expires_at.timestamp(),
        ),
    )


ROUTES = (
    Route("GET", "/", pages.show_start, Access.EVERYBODY),
    Route("GET", "/sign-in", sign_in.show_sign_in, Access.EVERYBODY),
    Route("POST", "/sign-in", sign_in.sign_in, Access.EVERYBODY),
    Route("POST", "/sign-out", sign_in.sign_out, Access.AGENTS),
    Route("POST", "/look", sign_in.choose_look, Access.EVERYBODY),
    Route("GET", "/desk", pages.show_desk, Access.AGENTS),
    *search_pages.ROUTES,
    *suggestions.ROUTES,
    *customer_pages.ROUTES,
    *merge_pages.ROUTES,
    *inbox_pages.ROUTES,
    *inbox_letters.ROUTES,
    *inbox_conversations.ROUTES,
    *inbox_answers.ROUTES,
    Route("GET", "/floor", pages.show_floor, Access.SUPERVISORS),
    *setup_pages.ROUTES,
    *setup_queues.ROUTES,
    *setup_agents.ROUTES,
    *setup_choices.ROUTES,
    *setup_scripts.ROUTES,
    *setup_texts.ROUTES,
    *setup_rules.ROUTES,
    *setup_articles.ROUTES,
    *setup_prompts.ROUTES,
    *setup_menus.ROUTES,
    *menu_trials.ROUTES,
    *setup_opening_hours.ROUTES,
    *setup_house.ROUTES,
    *setup_stuck.ROUTES,
    *scripts_api.ROUTES,
    *texts_api.ROUTES,
    *knowledge_api.ROUTES,
    *story_api.ROUTES,
    *tasks_api.ROUTES,
    Route("GET", "/push", open_push, Access.AGENTS),
    Route("POST", "/api/sign-in", sign_in.sign_in_json, Access.EVERYBODY, exempt_from_csrf=True),
    *agent_api.ROUTES,
    Route("GET", "/api/customers", api.find_customers, Access.AGENTS),
    Route("POST", "/api/customers", api.create_customer, Access.AGENTS),
    Route("GET", "/api/customers/{customer_id}", api.show_customer, Access.AGENTS),
    Route("GET", "/api/customers/{customer_id}/history", api.show_history, Access.AGENTS),
    Route("GET", "/api/dispositions", api.show_dispositions, Access.AGENTS),
    Route("POST", "/api/call/customer", api.choose_customer, Access.AGENTS),
    Route("GET", "/api/call/note", api.show_note, Access.AGENTS),
    Route("POST", "/api/call/note", api.save_note, Access.AGENTS),
    Route("POST", "/api/call/wrap-up", api.wrap_up, Access.AGENTS),
    *call_verbs.ROUTES,
    *recordings_api.ROUTES,
    *phone_claims.ROUTES,
    *phone_proxy.ROUTES,
    *hall.ROUTES,
    *chat_routes.ROUTES,
    *webhooks.ROUTES,
    Route("GET", "/health", show_health, Access.EVERYBODY),
    Route("GET", "/metrics", show_metrics, Access.SUPERVISORS_OR_LOOPBACK),
)


def create_app(parts: DeskParts) -> web.Application:
    """The application. It starts listening to the bus here, so that no signal before the server's
    start is missed. Raises OSError if the languages' catalogues cannot be written or read."""
    compile_catalogues()
    app = web.Application(middlewares=gate(ROUTES), client_max_size=LARGEST_REQUEST)
    app[PARTS] = parts
    app[PAGES] = environment()
    app[CHECK] = PasswordCheck()
    app[LIMITER] = GuessLimiter()
    app[setup_prompts.CONVERTER] = Converter()
    app[hall_privacy.EXPORTS] = asyncio.Semaphore(hall_privacy.EXPORTS_AT_ONCE)
    app[HUB] = hub = PushHub(lambda session, topic: _may_follow(hub, session, topic))
    CustomerPresence(hub)
    app[tasks_api.BOARD] = task_board.TaskBoard(parts.database, hub)
    app[PRESENCE] = presence = ConversationPresence(hub)
    app[inbox_conversations.SIGHTINGS] = inbox_conversations.Sightings()
    app[INBOX_BOARD] = board = InboxBoard(parts.database, hub, parts.written, presence)
    parts.bus.listen(lambda _: board.offers_changed(), OffersChanged)
    app[api.LIVE] = live = LiveState(hub, parts.agents.state_of, parts.calls)
    app[UNFINISHED] = UnfinishedWork(parts.database, live.screens)
    parts.bus.listen(live.on_signal)
    parts.bus.listen(presence.on_signal)
    parts.registry.register(DeskMetrics(hub, live))
    for route in ROUTES:
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == "GET" and route.path not in ("/push", "/phone", "/chat/socket"):
            app.router.add_route("HEAD", route.path, route.handler)
    app.router.add_get("/static/{name:.+}", serve_file)
    chat_routes.prepare(app)
    app.cleanup_ctx.append(_keep_running)
    app[phone_claims.CLAIMS] = phone_claims.PhoneClaims(parts.phones)
    app.cleanup_ctx.append(phone_proxy.keep_http)
    app.cleanup_ctx.append(menu_trials.keep_trials)
    app.on_shutdown.append(_close_push)
    app.on_shutdown.append(phone_claims.close_claims)
    return app


def _may_follow(hub: PushHub, session: PushSession, topic: str) -> bool:
    login = session.login
    if topic in ("queues", "agents", "parked", "inbox", topic_of(login), inbox_topic_of(login)):
        return True
    if topic == task_board.topic_of(login) or is_customer_topic(topic):
        return True
    if is_conversation_topic(topic):
        return True
    return session.role in (Role.SUPERVISOR, Role.ADMIN) and topic in hub.topics


async def _keep_running(app: web.Application) -> AsyncIterator[None]:
    await _read_names(app)
    app[HUB].start()
    audit = PopAudit(app[PARTS].database, app[PARTS].bus)
    tasks = [
        asyncio.create_task(_keep_fresh(app), name="desk refresh"),
        asyncio.create_task(audit.run(), name="pop audit"),
        asyncio.create_task(app[tasks_api.BOARD].keep_looking(), name="task board"),
        asyncio.create_task(app[INBOX_BOARD].keep_looking(), name="inbox board"),
    ]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    app[INBOX_BOARD].close()
    await audit.close()
    app[CHECK].close()


async def _close_push(app: web.Application) -> None:
    await app[HUB].stop()


async def _read_names(app: web.Application) -> None:
    database = app[PARTS].database
    live = app[api.LIVE]
    found = await agents.all_agents(database)
    live.name_agents({agent.login: agent.display_name for agent in found})
    live.name_queues([queue.name for queue in await queues.all_queues(database)])


async def close_ended_sessions(app: web.Application) -> None:
    """Close the desks whose session is no longer in the store: a new password, or a person who was
    kept out."""
    hub = app[HUB]
    # Taken before the question: who connects meanwhile has a session that the answer may lack.
    claims = app[phone_claims.CLAIMS]
    open_now = {desk.session.session_id for desk in hub.desks} | claims.sessions
    if not open_now:
        return
    query = select(DeskSession.id).join(Agent, Agent.id == DeskSession.agent_id).where(Agent.active)
    async with app[PARTS].database.reading() as session:
        alive = set(await session.scalars(query))
    for session_id in open_now - alive:
        hub.end_session(session_id)
        await claims.end_session(session_id)


async def _keep_fresh(app: web.Application) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await _read_names(app)
            await app[PARTS].apply_settings()
            await close_ended_sessions(app)
        except (OSError, SQLAlchemyError) as error:
            log.warning("agents and queues cannot be read yet: %s", type(error).__name__)
        except Exception:
            log.exception("agents, queues and sessions could not be read; trying again")
