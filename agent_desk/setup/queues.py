"""The supervisors' pages of queues, under /setup/queues.

Owns the list and the form of one, with what is wrong told beside its field. What a queue may be is
crm_store.staff.queues'; that the PBX takes it is the service's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web
from sqlalchemy.exc import IntegrityError

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, language_of
from agent_desk.languages import Language
from agent_desk.setup.pages import (
    FormFaults,
    SetupForm,
    audited,
    done,
    form_of,
    setup_page,
    told_to_pbx,
)
from crm_store.database import Database
from crm_store.knowledge import scripts
from crm_store.models import RecordingPolicy
from crm_store.phone_menus import opening_hours
from crm_store.staff import agents, queues, skills
from crm_store.staff.agents import BEST_LEVEL
from crm_store.staff.queues import DispositionChoice, QueueRecord

HERE = "/setup/queues"

NEW = QueueRecord("", "", {})
NO_QUEUES = ("waiting_menu", "voicemail", "hangup")
"""Where a caller may go besides another queue."""
MOST_SECONDS = 3600
MOST_MINUTES = 28 * 24 * 60


def _strategies(_: Language) -> dict[str, str]:
    """Asterisk's strategies, and what they mean to a supervisor."""
    return {
        "rrmemory": _("In turn"),
        "leastrecent": _("Who was called longest ago"),
        "fewestcalls": _("Who had the fewest calls"),
        "random": _("At random"),
        "linear": _("Always in the same order"),
        "ringall": _("All at once"),
    }


def _policies(_: Language) -> dict[str, str]:
    return {
        RecordingPolicy.NEVER.value: _("Never"),
        RecordingPolicy.ASKED.value: _("When the agent starts it"),
        RecordingPolicy.ALWAYS.value: _("Always, from the answer on"),
    }


def _modes(_: Language) -> dict[str, str]:
    """How agents come by the conversations of a queue."""
    return {
        "pull": _("They take the next one themselves"),
        "push": _("It is given to whoever has room"),
    }


async def _calendars(database: Database, kept: str, _: Language) -> dict[str, str]:
    """By code: what calendars are called. The house has one, written or not."""
    written = await opening_hours.read_all(database)
    return {kept: kept, opening_hours.HOUSE: _("The house")} | {
        code: queues.title(calendar.titles, _.code, code) for code, calendar in written.items()
    }


async def numbers_in_use(database: Database) -> dict[str, str]:
    """By number: the queue or the agent that has it, as "queue:name" or "agent:login"."""
    return {queue.number: f"queue:{queue.name}" for queue in await queues.all_queues(database)} | {
        agent.extension: f"agent:{agent.login}"
        for agent in await agents.all_agents(database, also_inactive=True)
        if agent.extension
    }


async def show_queues(request: web.Request) -> web.StreamResponse:
    """GET /setup/queues: all queues, with what matters most of each."""
    _ = language_of(request)
    database = request.app[PARTS].database
    serving: dict[str, int] = {}
    for agent in await agents.all_agents(database):
        for name in agent.queues:
            serving[name] = serving.get(name, 0) + 1
    asked = await skills.asked_for(database)
    titles = {skill.code: skill.title(_.code) for skill in await skills.all_skills(database)}
    return setup_page(
        request,
        "setup/queues.html",
        HERE,
        found=[
            {
                "queue": queue,
                "title": queue.title(_.code),
                "serving": serving.get(queue.name, 0),
                "skills": [titles[code] for code in asked.get(queue.name, ()) if code in titles],
            }
            for queue in await queues.all_queues(database)
        ],
    )


async def new_queue(request: web.Request) -> web.StreamResponse:
    """GET /setup/queues/new."""
    return await _form(request, None, NEW, {})


async def edit_queue(request: web.Request) -> web.StreamResponse:
    """GET /setup/queues/{queue}."""
    queue = await _known(request)
    asked = await skills.asked_for(request.app[PARTS].database)
    return await _form(request, queue, queue, asked.get(queue.name, {}))


async def add_queue(request: web.Request) -> web.StreamResponse:
    """POST /setup/queues/new."""
    _ = language_of(request)
    form = await form_of(request)
    name = form.code("name")
    taken = await queues.find(request.app[PARTS].database, name) is not None
    if taken or name in ("new", *NO_QUEUES):
        form.faults.say("name", _("There is one with this code already."))
    return await _save(request, form, None, replace(NEW, name=name))


async def change_queue(request: web.Request) -> web.StreamResponse:
    """POST /setup/queues/{queue}."""
    queue = await _known(request)
    return await _save(request, await form_of(request), queue, queue)


async def _save(
    request: web.Request, form: SetupForm, known: QueueRecord | None, before: QueueRecord
) -> web.StreamResponse:
    database = request.app[PARTS].database
    queue = await _read(request, form, before)
    levels = {
        skill.code: form.number(f"skill.{skill.code}", 0, BEST_LEVEL)
        for skill in await skills.all_skills(database)
    }
    least = {code: level for code, level in levels.items() if level}
    if form.faults:
        return await _form(request, known, queue, least, form.faults)
    _ = language_of(request)
    # What a retired skill asked for stays, and counts again when it is brought back.
    asked = (await skills.asked_for(database)).get(queue.name, {})
    kept = {code: level for code, level in asked.items() if code not in levels}
    try:
        async with database.transaction() as transaction:
            await queues.save(transaction, queue)
            await skills.ask_for(transaction, queue.name, kept | least)
            action = "added" if known is None else "changed"
            fields = _changed(before, queue)
            await audited(request, transaction, action, ("queue", queue.name), fields)
    except IntegrityError:
        form.faults.say("number", _("Another queue has this number."))
        return await _form(request, known, queue, least, form.faults)
    raise done(HERE, "added" if known is None else "saved", queue.name, await told_to_pbx(request))


async def _read(request: web.Request, form: SetupForm, before: QueueRecord) -> QueueRecord:
    """The queue that the form describes; `form.faults` says what is wrong with it."""
    _ = language_of(request)
    database = request.app[PARTS].database
    number = form.text("number", longest=20)
    if not (number.isascii() and number.isdigit() and len(number) >= 2):
        form.faults.say("number", _("Write 2 to 20 digits."))
    elif (await numbers_in_use(database)).get(number, f"queue:{before.name}") != (
        f"queue:{before.name}"
    ):
        form.faults.say("number", _("This number is in use already."))
    others = [queue for queue in await queues.all_queues(database) if queue.name != before.name]
    elsewhere = frozenset({*NO_QUEUES, *(queue.name for queue in others)})
    script = form.text("script")
    if script and script != before.script:
        script = form.choice(
            "script", {one.code: one for one in await scripts.SCRIPTS.everything(database)}
        )
    exit_key = form.choice("exit_key", frozenset({"", *"0123456789*#"}))
    exit_target = form.choice("exit_target", elsewhere) if exit_key else ""
    if exit_target == "hangup":
        form.faults.say("exit_target", _("Choose one of the list."))
    calendars = await _calendars(database, before.hours, _)
    whole = await queues.disposition_tree(database)
    ticked = [code for code in _codes(whole) if form.ticked(f"disposition.{code}")]
    return replace(
        before,
        number=number,
        titles=form.titles(),
        strategy=form.choice("strategy", _strategies(_)),
        ring_seconds=form.number("ring_seconds", 3, 300),
        max_wait_seconds=form.number("max_wait_seconds", 5, MOST_SECONDS),
        overflow=form.choice("overflow", elsewhere),
        exit_key=exit_key,
        exit_target=exit_target,
        wrap_up_seconds=form.number("wrap_up_seconds", 0, MOST_SECONDS),
        wrap_up_extra_seconds=form.number("wrap_up_extra_seconds", 0, MOST_SECONDS),
        missed_rings=form.number("missed_rings", 0, 20),
        vip_head_start_seconds=form.number("vip_head_start_seconds", 0, MOST_SECONDS),
        member_head_start_seconds=form.number("member_head_start_seconds", 0, MOST_SECONDS),
        preferred_agent_seconds=form.number("preferred_agent_seconds", 0, 30),
        auto_answer=form.ticked("auto_answer"),
        written_mode=form.choice("written_mode", _modes(_)) or before.written_mode,
        first_answer_minutes=form.number("first_answer_minutes", 0, MOST_MINUTES),
        resolution_minutes=form.number("resolution_minutes", 0, MOST_MINUTES),
        chat_first_answer_seconds=form.number("chat_first_answer_seconds", 0, MOST_SECONDS),
        hours=form.choice("hours", calendars),
        recording=_policy(form.choice("recording", _policies(_)), before.recording),
        script=script or None,
        dispositions=_in_their_order(before.dispositions, ticked),
    )


def _policy(text: str, otherwise: RecordingPolicy) -> RecordingPolicy:
    return RecordingPolicy(text) if text in set(RecordingPolicy) else otherwise


def _in_their_order(before: Sequence[str], ticked: Sequence[str]) -> tuple[str, ...]:
    """Those that were offered stay in their order; new ones come after them."""
    kept = [code for code in before if code in ticked]
    return (*kept, *(code for code in ticked if code not in kept))


def _changed(before: QueueRecord, now: QueueRecord) -> tuple[str, ...]:
    names = QueueRecord.__dataclass_fields__
    return tuple(name for name in names if getattr(before, name) != getattr(now, name))


def _codes(nodes: Iterable[DispositionChoice]) -> list[str]:
    return [code for node in nodes for code in (node.code, *_codes(node.children))]


def _offers(
    nodes: Iterable[DispositionChoice], language: str, offered: Collection[str], depth: int = 0
) -> list[dict[str, Any]]:
    return [
        line
        for node in nodes
        for line in (
            {
                "code": node.code,
                "title": node.title(language),
                "depth": min(depth, 3),
                "ticked": node.code in offered,
            },
            *_offers(node.children, language, offered, depth + 1),
        )
    ]


async def _form(
    request: web.Request,
    known: QueueRecord | None,
    queue: QueueRecord,
    least: Mapping[str, int],
    faults: FormFaults | None = None,
) -> web.Response:
    _ = language_of(request)
    database = request.app[PARTS].database
    others = [
        (other.name, other.title(_.code))
        for other in await queues.all_queues(database)
        if other.name != queue.name
    ]
    found = await scripts.SCRIPTS.everything(database)
    return setup_page(
        request,
        "setup/queue.html",
        HERE,
        known=known,
        queue=queue,
        heading=known.title(_.code) if known else _("New queue"),
        strategies=list(_strategies(_).items()),
        policies=list(_policies(_).items()),
        modes=list(_modes(_).items()),
        calendars=list((await _calendars(database, queue.hours, _)).items()),
        others=others,
        keys=[(key, key) for key in "1234567890*#"],
        scripts=[
            (one.code, queues.title(one.titles, _.code, one.code))
            for one in found
            if one.active or one.code == queue.script
        ],
        offers=_offers(await queues.disposition_tree(database), _.code, queue.dispositions),
        skills=[
            (skill.code, skill.title(_.code), least.get(skill.code, 0))
            for skill in await skills.all_skills(database)
        ],
        best_level=BEST_LEVEL,
        faults=faults,
    )


async def _known(request: web.Request) -> QueueRecord:
    queue = await queues.find(request.app[PARTS].database, request.match_info["queue"])
    if queue is None:
        raise web.HTTPNotFound
    return queue


ROUTES = (
    Route("GET", HERE, show_queues, Access.SUPERVISORS),
    Route("GET", f"{HERE}/new", new_queue, Access.SUPERVISORS),
    Route("POST", f"{HERE}/new", add_queue, Access.SUPERVISORS),
    Route("GET", f"{HERE}/{{queue}}", edit_queue, Access.SUPERVISORS),
    Route("POST", f"{HERE}/{{queue}}", change_queue, Access.SUPERVISORS),
)
