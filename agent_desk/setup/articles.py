"""The supervisors' pages of the knowledge base, under /setup/articles.

Owns the list with what is due and flagged, and the form of one article with its flags. What an
article may be is crm_store.knowledge.articles'.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, id_in, language_of, signed_in
from agent_desk.languages import NAMES
from agent_desk.setup.pages import SetupForm, done, form_of, setup_page
from crm_store.knowledge import articles
from crm_store.knowledge.articles import LONGEST_BODY, LONGEST_TITLE, ArticleRecord, ArticleWords
from crm_store.staff import agents, queues

HERE = "/setup/articles"
LONGEST_ANSWER = 2_000
REVIEW_AFTER = timedelta(days=182)


async def show_articles(request: web.Request) -> web.StreamResponse:
    """GET /setup/articles?only=due|flagged|mine: the list, and what agents miss."""
    database = request.app[PARTS].database
    code = language_of(request).code
    today = _today()
    only = request.query.get("only", "")
    me = signed_in(request).agent.login
    every = await articles.all_articles(database)
    return setup_page(
        request,
        "setup/articles.html",
        HERE,
        found=[
            (one, one.words[one.language_for(code)].title)
            for one in every
            if _is_wanted(one, only, me, today)
        ],
        only=only,
        today=today,
        names=await _names(request),
        missing=[one for one in await articles.open_flags(database) if one.article_id is None],
    )


async def new_article(request: web.Request) -> web.StreamResponse:
    """GET /setup/articles/new?title=…: the empty form, perhaps with what an agent looked for."""
    title = request.query.get("title", "")[:LONGEST_TITLE]
    values = {
        "titles": {language_of(request).code: title},
        "bodies": {},
        "owner": signed_in(request).agent.login,
        "review_on": (_today() + REVIEW_AFTER).isoformat(),
        "queues": (),
    }
    return await _form(request, None, values, None)


async def add_article(request: web.Request) -> web.StreamResponse:
    """POST /setup/articles/new."""
    return await _save(request, None)


async def edit_article(request: web.Request) -> web.StreamResponse:
    """GET /setup/articles/{article_id}."""
    article = await _article(request)
    values = {
        "titles": {code: text.title for code, text in article.words.items()},
        "bodies": {code: text.body for code, text in article.words.items()},
        "owner": article.owner,
        "review_on": article.review_on.isoformat(),
        "queues": article.queues,
    }
    return await _form(request, article, values, None)


async def change_article(request: web.Request) -> web.StreamResponse:
    """POST /setup/articles/{article_id}."""
    return await _save(request, await _article(request))


async def switch_article(request: web.Request) -> web.StreamResponse:
    """POST /setup/articles/{article_id}/switch: retired, or back."""
    article = await _article(request)
    async with request.app[PARTS].database.transaction() as transaction:
        await articles.save(
            transaction,
            owner=article.owner,
            review_on=article.review_on,
            words=article.words,
            queues=article.queues,
            active=not article.active,
            article_id=article.id,
            actor=signed_in(request).agent.login,
        )
    raise done(HERE, "retired" if article.active else "back", article.id)


async def settle_flag(request: web.Request) -> web.StreamResponse:
    """POST /setup/articles/flags/{flag_id}: settled, with the answer that the agent reads."""
    form = await form_of(request)
    answer = form.text("answer", longest=LONGEST_ANSWER)
    database = request.app[PARTS].database
    flag = await articles.find_flag(database, id_in(request, "flag_id"))
    if flag is None:
        raise web.HTTPNotFound
    async with database.transaction() as transaction:
        await articles.settle(transaction, flag.id, answer, actor=signed_in(request).agent.login)
    raise done(f"{HERE}/{flag.article_id}" if flag.article_id else HERE, "saved")


ROUTES = (
    Route("GET", HERE, show_articles, Access.SUPERVISORS),
    Route("GET", f"{HERE}/new", new_article, Access.SUPERVISORS),
    Route("POST", f"{HERE}/new", add_article, Access.SUPERVISORS),
    Route("POST", HERE + "/flags/{flag_id}", settle_flag, Access.SUPERVISORS),
    Route("GET", HERE + "/{article_id}", edit_article, Access.SUPERVISORS),
    Route("POST", HERE + "/{article_id}", change_article, Access.SUPERVISORS),
    Route("POST", HERE + "/{article_id}/switch", switch_article, Access.SUPERVISORS),
)


def _is_wanted(article: ArticleRecord, only: str, me: str, today: date) -> bool:
    match only:
        case "due":
            return article.active and article.review_on <= today
        case "flagged":
            return article.open_flags > 0
        case "mine":
            return article.owner == me
    return True


def _today() -> date:
    return datetime.now().astimezone().date()


async def _article(request: web.Request) -> ArticleRecord:
    found = await articles.find(request.app[PARTS].database, id_in(request, "article_id"))
    if found is None:
        raise web.HTTPNotFound
    return found


async def _names(request: web.Request) -> dict[str, str]:
    """Everybody who can own an article, by login."""
    found = await agents.all_agents(request.app[PARTS].database)
    return {agent.login: agent.display_name for agent in found}


async def _save(request: web.Request, article: ArticleRecord | None) -> web.StreamResponse:
    _ = language_of(request)
    form = await form_of(request)
    every_queue = await queues.all_queues(request.app[PARTS].database)
    values: dict[str, Any] = {
        "titles": {code: form.text(f"title.{code}", longest=LONGEST_TITLE) for code in NAMES},
        "bodies": {code: form.text(f"body.{code}", longest=LONGEST_BODY) for code in NAMES},
        "owner": form.choice("owner", await _names(request)),
        "review_on": form.text("review_on"),
        "queues": [queue.name for queue in every_queue if form.ticked(f"queue.{queue.name}")],
    }
    words = {}
    for code in NAMES:
        title, body = values["titles"][code], values["bodies"][code]
        if title and body:
            words[code] = ArticleWords(title, body)
        elif title or body:
            missing = f"body.{code}" if title else f"title.{code}"
            form.faults.say(missing, _("Write both a title and a text, or leave both empty."))
    if not words:
        form.faults.say("title.en", _("Write the article in one language at least."))
    review_on = None
    try:
        review_on = date.fromisoformat(values["review_on"])
    except ValueError:
        form.faults.say("review_on", _("Choose a day."))
    if form.faults or review_on is None:
        return await _form(request, article, values, form)
    async with request.app[PARTS].database.transaction() as transaction:
        kept = await articles.save(
            transaction,
            owner=values["owner"],
            review_on=review_on,
            words=words,
            queues=values["queues"],
            active=article.active if article is not None else True,
            article_id=article.id if article is not None else None,
            actor=signed_in(request).agent.login,
        )
    raise done(HERE, "added" if article is None else "saved", kept)


async def _form(
    request: web.Request,
    article: ArticleRecord | None,
    values: Mapping[str, Any],
    form: SetupForm | None,
) -> web.Response:
    database = request.app[PARTS].database
    _ = language_of(request)
    return setup_page(
        request,
        "setup/articles_form.html",
        HERE,
        article=article,
        values=values,
        names=await _names(request),
        queue_titles={
            queue.name: queue.title(_.code) for queue in await queues.all_queues(database)
        },
        flags=await articles.open_flags(database, article_id=article.id) if article else [],
        flag_kinds={"wrong": _("Wrong"), "outdated": _("Outdated"), "missing": _("Missing")},
        longest_title=LONGEST_TITLE,
        longest_body=LONGEST_BODY,
        faults=form.faults if form else None,
    )
