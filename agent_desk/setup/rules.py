"""The supervisors' pages of inbox rules, under /setup/rules.

Owns the list with its order, the editor's page (static/rule_editor.js fills it), and the trial of a
rule on what came in before. What a rule may be is channels/rules.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    id_in,
    is_storable,
    json_answer,
    language_of,
    signed_in,
    wish_of,
)
from agent_desk.languages import Language
from agent_desk.setup.pages import FormFaults, done, form_of, setup_page
from agent_desk.setup.rule_words import (
    Named,
    action_titles,
    condition_words,
    field_titles,
    moments,
    operator_titles,
    problem_words,
    sentence,
    value_titles,
)
from channels import rule_runs, rules
from channels.arrangements import Arrangements
from channels.rules import OPERATORS, WAITING_MINUTES, Problem
from crm_store.contacts import conversation_search, inbox_rules
from crm_store.contacts.inbox_rules import LONGEST_NAME, NewRule, RuleRecord
from crm_store.database import Database
from crm_store.knowledge import canned_texts
from crm_store.models import RuleMoment
from crm_store.staff import agents, queues

HERE = "/setup/rules"
LONGEST_RULE = 50_000
MOST_TRIED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A rule as an editor shows it, kept or not."""

    id: int = 0
    name: str = ""
    moment: RuleMoment = RuleMoment.RECEIVED
    conditions: Sequence[Mapping[str, Any]] = field(default=())
    actions: Sequence[Mapping[str, Any]] = field(default=({"do": "queue", "value": ""},))


async def show_rules(request: web.Request) -> web.StreamResponse:
    """GET /setup/rules: all rules as sentences, in the order in which they are asked."""
    _ = language_of(request)
    database = request.app[PARTS].database
    named = await _named(database, _)
    found = await inbox_rules.all_rules(database)
    return setup_page(
        request,
        "setup/rules.html",
        HERE,
        lines=[
            {
                "rule": rule,
                "said": sentence(rule.moment, rule.conditions, rule.actions, named, _),
                "problems": [problem_words(one, _) for one in _problems(rule, named)],
                "first": place == 0,
                "last": place == len(found) - 1,
            }
            for place, rule in enumerate(found)
        ],
    )


async def new_rule(request: web.Request) -> web.StreamResponse:
    """GET /setup/rules/new."""
    return await _editor(request, None, Draft())


async def show_rule(request: web.Request) -> web.StreamResponse:
    """GET /setup/rules/{rule_id}."""
    rule = await _rule(request)
    return await _editor(request, rule, _draft_of(rule))


async def add_rule(request: web.Request) -> web.StreamResponse:
    """POST /setup/rules/new with `name` and `rule` (JSON: {"moment", "conditions", "actions"});
    with `switch_on` it counts from now on."""
    return await _save(request, None)


async def change_rule(request: web.Request) -> web.StreamResponse:
    """POST /setup/rules/{rule_id}: as for a new one."""
    return await _save(request, await _rule(request))


async def _save(request: web.Request, rule: RuleRecord | None) -> web.StreamResponse:
    _ = language_of(request)
    database = request.app[PARTS].database
    actor = signed_in(request).agent.login
    form = await form_of(request)
    name = form.text("name", longest=LONGEST_NAME)
    if not name:
        form.faults.say("name", _("Give the rule a name."))
    try:
        draft = _read(form.json("rule", longest=LONGEST_RULE), name, rule.id if rule else 0)
    except ValueError:
        form.faults.say("rule", _("This is no rule."))
        draft = _draft_of(rule) if rule else Draft(name=name)
        return await _editor(request, rule, draft, form.faults)
    problems = _problems(draft, await _named(database, _))
    if problems:
        form.faults.say("rule", problem_words(problems[0], _))
    if form.faults:
        return await _editor(request, rule, draft, form.faults, problems)
    active = form.ticked("switch_on") or (rule is not None and rule.active)
    new = NewRule(
        name=name,
        moment=draft.moment,
        conditions=draft.conditions,
        actions=draft.actions,
        active=active and not form.ticked("switch_off"),
    )
    async with database.transaction() as transaction:
        if rule is None:
            rule_id = await inbox_rules.add(transaction, new, actor=actor)
        else:
            rule_id = rule.id
            await inbox_rules.change(transaction, rule_id, new, actor=actor)
    raise done(HERE, "added" if rule is None else "saved", rule_id)


async def move_rule(request: web.Request) -> web.StreamResponse:
    """POST /setup/rules/{rule_id}/move {"to": "up"|"down"}."""
    rule = await _rule(request)
    form = await form_of(request)
    database = request.app[PARTS].database
    ids = [one.id for one in await inbox_rules.all_rules(database)]
    place = ids.index(rule.id)
    other = place + (-1 if form.text("to") == "up" else 1)
    if 0 <= other < len(ids):
        ids[place], ids[other] = ids[other], ids[place]
        async with database.transaction() as transaction:
            await inbox_rules.order(transaction, ids, actor=signed_in(request).agent.login)
    raise web.HTTPSeeOther(HERE)


async def switch_rule(request: web.Request) -> web.StreamResponse:
    """POST /setup/rules/{rule_id}/switch: off, or on unless something is wrong with it."""
    _ = language_of(request)
    rule = await _rule(request)
    database = request.app[PARTS].database
    problems = _problems(rule, await _named(database, _))
    if problems and not rule.active:
        return await _editor(request, rule, _draft_of(rule), None, problems)
    async with database.transaction() as transaction:
        await inbox_rules.set_active(
            transaction, rule.id, not rule.active, actor=signed_in(request).agent.login
        )
    raise done(HERE, "saved", rule.id)


async def undo_rule(request: web.Request) -> web.StreamResponse:
    """POST /setup/rules/{rule_id}/undo: its last change is taken back; once more, and it is there
    again."""
    rule = await _rule(request)
    async with request.app[PARTS].database.transaction() as transaction:
        await inbox_rules.undo(transaction, rule.id, actor=signed_in(request).agent.login)
    raise done(HERE, "back", rule.id)


async def delete_rule(request: web.Request) -> web.StreamResponse:
    """POST /setup/rules/{rule_id}/delete."""
    rule = await _rule(request)
    async with request.app[PARTS].database.transaction() as transaction:
        await inbox_rules.delete(transaction, rule.id, actor=signed_in(request).agent.login)
    raise done(HERE, "saved")


async def try_rule(request: web.Request) -> web.StreamResponse:
    """POST {"rule": {"moment", "conditions", "actions"}, "limit"}: {"tried", "held", "problems",
    "lines": [{"at", "who", "subject", "channel", "conversation", "holds", "failed"}]}: what it
    would have said of the newest messages. Nothing is changed."""
    _ = language_of(request)
    database = request.app[PARTS].database
    wish = await wish_of(request)
    limit = wish.get("limit", 200)
    if type(limit) is not int or not 1 <= limit <= MOST_TRIED:
        raise web.HTTPBadRequest
    try:
        draft = _read(wish.get("rule"), "", 0)
    except ValueError as error:
        raise web.HTTPBadRequest from error
    named = await _named(database, _)
    problems = _problems(draft, named)
    if problems:
        said = [problem_words(one, _) for one in problems]
        return json_answer({"tried": 0, "held": 0, "problems": said, "lines": []})
    arrangement = await Arrangements(database).current()
    found = await rule_runs.dry_run(database, draft, arrangement, limit=limit)
    return json_answer(
        {
            "tried": len(found),
            "held": sum(one.verdict.holds for one in found),
            "problems": [],
            "lines": [
                {
                    "at": one.at.timestamp(),
                    "who": one.sender_name or one.sender,
                    "subject": one.subject,
                    "channel": one.channel.value,
                    "conversation": one.conversation_id,
                    "holds": one.verdict.holds,
                    "failed": _failed(draft, one.verdict.failed, named, _),
                }
                for one in found
            ],
        }
    )


ROUTES = (
    Route("GET", HERE, show_rules, Access.SUPERVISORS),
    Route("GET", f"{HERE}/new", new_rule, Access.SUPERVISORS),
    Route("POST", f"{HERE}/new", add_rule, Access.SUPERVISORS),
    Route("GET", HERE + "/{rule_id}", show_rule, Access.SUPERVISORS),
    Route("POST", HERE + "/{rule_id}", change_rule, Access.SUPERVISORS),
    Route("POST", HERE + "/{rule_id}/move", move_rule, Access.SUPERVISORS),
    Route("POST", HERE + "/{rule_id}/switch", switch_rule, Access.SUPERVISORS),
    Route("POST", HERE + "/{rule_id}/undo", undo_rule, Access.SUPERVISORS),
    Route("POST", HERE + "/{rule_id}/delete", delete_rule, Access.SUPERVISORS),
    Route("POST", "/api/rules/try", try_rule, Access.SUPERVISORS),
)


# ---- how -----------------------------------------------------------------------------------------


async def _rule(request: web.Request) -> RuleRecord:
    found = await inbox_rules.find(request.app[PARTS].database, id_in(request, "rule_id"))
    if found is None:
        raise web.HTTPNotFound
    return found


def _draft_of(rule: RuleRecord) -> Draft:
    return Draft(
        id=rule.id,
        name=rule.name,
        moment=rule.moment,
        conditions=rule.conditions,
        actions=rule.actions,
    )


def _read(said: object, name: str, rule_id: int) -> Draft:
    """The rule that a page sent. Raises ValueError for what has not even a rule's form."""
    if not isinstance(said, dict) or not is_storable(said):
        raise ValueError("a rule is an object")
    parts = [said.get("conditions"), said.get("actions")]
    for part in parts:
        if not isinstance(part, list) or not all(isinstance(one, dict) for one in part):
            raise ValueError("conditions and actions are lists of objects")
    return Draft(
        id=rule_id,
        name=name,
        moment=RuleMoment(str(said.get("moment"))),
        conditions=said["conditions"],
        actions=said["actions"],
    )


def _problems(rule: rules.Rule, named: Named) -> list[Problem]:
    return rules.problems(
        rule,
        queues=list(named.queues),
        agents=list(named.agents),
        texts=list(named.texts),
    )


def _failed(draft: Draft, place: int | None, named: Named, _: Language) -> str:
    if place is None:
        return ""
    return condition_words(draft.conditions[place], named, _)


async def _named(database: Database, _: Language) -> Named:
    return Named(
        queues={queue.name: queue.title(_.code) for queue in await queues.all_queues(database)},
        agents={
            agent.login: agent.display_name
            for agent in await agents.all_agents(database)
            if agent.active
        },
        texts={
            text.code: text.title(_.code)
            for text in await canned_texts.all_texts(database)
            if text.active
        },
        dispositions=await queues.disposition_titles(database, _.code),
    )


async def _editor(
    request: web.Request,
    rule: RuleRecord | None,
    draft: Draft,
    faults: FormFaults | None = None,
    problems: Sequence[Problem] = (),
) -> web.Response:
    _ = language_of(request)
    database = request.app[PARTS].database
    named = await _named(database, _)
    return setup_page(
        request,
        "setup/rules_editor.html",
        HERE,
        rule=rule,
        draft=draft,
        heading=draft.name or _("New rule"),
        data=orjson.dumps(
            {
                "moment": draft.moment.value,
                "conditions": list(draft.conditions),
                "actions": list(draft.actions),
            },
            option=orjson.OPT_INDENT_2,
        ).decode(),
        problems=[problem_words(one, _) for one in problems],
        choices={
            # In pairs: the order of a JSON object is not ours in a page.
            "moments": list(moments(_).items()),
            "fields": list(field_titles(_).items()),
            "comparisons": {
                name: list(of) for name, of in OPERATORS.items() if name != WAITING_MINUTES
            },
            "operators": operator_titles(_),
            "values": {
                name: list(titles.items()) for name, titles in value_titles(_, named).items()
            },
            "actions": list(action_titles(_).items()),
            "named": {
                "queue": list(named.queues.items()),
                "assign": list(named.agents.items()),
                "answer": list(named.texts.items()),
                "close": list(named.dispositions.items()),
            },
            "tags": await conversation_search.tags_in_use(database),
        },
        faults=faults,
    )
