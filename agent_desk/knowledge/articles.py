"""The JSON API of the knowledge base: search, suggestions, an article, votes and flags.

Owns the form of each request and answer. Every agent may read, vote and flag; a flag is settled by
the article's owner or a supervisor. Articles are written on the pages under /setup/articles.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from agent_desk.desk.call_at_hand import (
    call_shown,
    customer_of,
    language_to_speak,
    text_of,
)
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
from agent_desk.knowledge import article_markdown
from agent_desk.languages import NAMES
from crm_store.knowledge import article_search, articles
from crm_store.knowledge.articles import LONGEST_BODY, ArticleRecord, Flag

LONGEST_FLAG = 2_000
LONGEST_NOTE = 20_000
SUMMARY = 160


async def find_articles(request: web.Request) -> web.StreamResponse:
    """GET ?find=&pbx=&call=: {"articles": [{"id", "title", "summary", "language", "wished"}]}, the
    best of the queue if there is nothing to find. `wished` is false for one that is there only in a
    language that was not asked for. A call that is not on
    my screen is as none."""
    call = call_shown(request, request.query)
    languages = _languages(request, call)
    found = await article_search.search(
        request.app[PARTS].database,
        text_of(request.query, "find"),
        languages=languages,
        queue=(call.get("queue") or None) if call else None,
    )
    return json_answer({"articles": _lines(found, languages)})


async def suggest_articles(request: web.Request) -> web.StreamResponse:
    """POST {"note", "pbx", "call"}: {"articles": [...]} that the call's queue and the note may be
    about. A POST, because a note is no address; it writes nothing. A call that is not on my
    screen is as none."""
    wish = await wish_of(request)
    call = call_shown(request, wish)
    languages = _languages(request, call)
    found = await article_search.suggest(
        request.app[PARTS].database,
        text_of(wish, "note", LONGEST_NOTE),
        languages=languages,
        queue=(call.get("queue") or None) if call else None,
    )
    return json_answer({"articles": _lines(found, languages)})


async def show_article(request: web.Request) -> web.StreamResponse:
    """GET ?language=: {"id", "title", "language", "languages", "body": (article_markdown.tree),
    "owner", "changed_at", "review_on", "due", "helpful", "unhelpful", "vote", "may_edit", "flags"};
    its use is counted."""
    database = request.app[PARTS].database
    article = await _article(request)
    me = signed_in(request)
    wished = text_of(request.query, "language")
    language = article.language_for(wished, language_of(request).code)
    text = article.words[language]
    async with database.transaction() as transaction:
        await articles.count_use(transaction, article.id)
    today = datetime.now().astimezone().date()
    return json_answer(
        {
            "id": article.id,
            "title": text.title,
            "language": language,
            "languages": [code for code in NAMES if code in article.words],
            "body": article_markdown.tree(text.body),
            "owner": article.owner,
            "changed_at": text.changed_at.timestamp() if text.changed_at else None,
            "review_on": article.review_on.isoformat(),
            "due": article.review_on <= today,
            "helpful": article.helpful,
            "unhelpful": article.unhelpful,
            "vote": await articles.vote_of(database, article.id, me.agent.login),
            "may_edit": is_supervisor(me),
            "flags": [
                _flag(flag) for flag in await articles.open_flags(database, article_id=article.id)
            ],
        }
    )


async def vote(request: web.Request) -> web.StreamResponse:
    """POST {"helpful": true or false}: whether it helped me; {"helpful", "unhelpful"} are the votes
    now."""
    helpful = (await wish_of(request)).get("helpful")
    if not isinstance(helpful, bool):
        raise web.HTTPBadRequest
    article = await _article(request)
    database = request.app[PARTS].database
    async with database.transaction() as transaction:
        await articles.vote(
            transaction, article.id, signed_in(request).agent.login, helpful=helpful
        )
    now = await articles.find(database, article.id)
    return json_answer(
        {"helpful": now.helpful, "unhelpful": now.unhelpful} if now is not None else {}
    )


async def flag(request: web.Request) -> web.StreamResponse:
    """POST {"article": id or null, "kind": "wrong", "outdated" or "missing", "text"}: {"id"}; the
    owner sees it. Without an article, one is missing."""
    _ = language_of(request)
    wish = await wish_of(request)
    article_id = wish.get("article")
    if article_id is not None and type(article_id) is not int:
        raise web.HTTPBadRequest
    try:
        async with request.app[PARTS].database.transaction() as transaction:
            flag_id = await articles.flag(
                transaction,
                article_id,
                text_of(wish, "kind") if article_id is not None else "missing",
                text_of(wish, "text", LONGEST_FLAG),
                agent=signed_in(request).agent.login,
            )
    except LookupError as error:
        raise web.HTTPNotFound from error
    except ValueError as error:
        raise web.HTTPBadRequest(text=_("Say in a few words what is wrong or missing.")) from error
    return json_answer({"id": flag_id}, 201)


async def show_mine(request: web.Request) -> web.StreamResponse:
    """GET: what waits for me: {"due": [articles to review], "flags": [of my articles; for
    supervisors of all, and what is missing], "answered": [my own flags, settled]}."""
    database = request.app[PARTS].database
    me = signed_in(request)
    login = me.agent.login
    today = datetime.now().astimezone().date()
    due = await articles.due_for_review(database, login, today)
    waiting = await articles.open_flags(database, owner=None if is_supervisor(me) else login)
    answered = await articles.answered_flags(database, login)
    of_flags = {one.article_id for one in (*waiting, *answered) if one.article_id is not None}
    code = language_of(request).code
    titles = {
        one.id: one.words[one.language_for(code)].title
        for one in await articles.some(database, of_flags)
    }
    return json_answer(
        {
            "due": _lines([(one, one.language_for(code)) for one in due], [code]),
            "flags": [_flag(one, titles) for one in waiting],
            "answered": [_flag(one, titles) for one in answered],
        }
    )


async def settle_flag(request: web.Request) -> web.StreamResponse:
    """POST {"answer"}: settled, by the article's owner or a supervisor; 409 if it was before."""
    _ = language_of(request)
    answer = text_of(await wish_of(request), "answer", LONGEST_FLAG)
    flag_id = id_in(request, "flag_id")
    database = request.app[PARTS].database
    found = await articles.find_flag(database, flag_id)
    if found is None:
        raise web.HTTPNotFound
    me = signed_in(request)
    article = await articles.find(database, found.article_id) if found.article_id else None
    owns = article is not None and article.owner == me.agent.login
    if not owns and not is_supervisor(me):
        raise web.HTTPForbidden(text=_("Only the article's owner or a supervisor may do this."))
    async with database.transaction() as transaction:
        settled = await articles.settle(transaction, flag_id, answer, actor=me.agent.login)
    if not settled:
        raise web.HTTPConflict(text=_("Somebody has settled this already."))
    return json_answer({})


async def preview(request: web.Request) -> web.StreamResponse:
    """POST {"body"}: {"body": (article_markdown.tree)}, as agents will see it."""
    body = text_of(await wish_of(request), "body", LONGEST_BODY)
    return json_answer({"body": article_markdown.tree(body)})


ROUTES = (
    Route("GET", "/api/articles", find_articles, Access.AGENTS),
    Route("GET", "/api/articles/mine", show_mine, Access.AGENTS),
    Route("GET", "/api/articles/{article_id}", show_article, Access.AGENTS),
    Route("POST", "/api/articles/suggest", suggest_articles, Access.AGENTS),
    Route("POST", "/api/articles/preview", preview, Access.SUPERVISORS),
    Route("POST", "/api/articles/flags", flag, Access.AGENTS),
    Route("POST", "/api/articles/flags/{flag_id}/settle", settle_flag, Access.AGENTS),
    Route("POST", "/api/articles/{article_id}/vote", vote, Access.AGENTS),
)


async def _article(request: web.Request) -> ArticleRecord:
    """The active article in the address. Raises HTTPNotFound."""
    found = await articles.find(request.app[PARTS].database, id_in(request, "article_id"))
    if found is None or not found.active or not found.words:
        raise web.HTTPNotFound
    return found


def _languages(request: web.Request, call: dict[str, Any] | None) -> list[str]:
    """The reader's own language first: an article is for the agent; then the customer's."""
    spoken = language_to_speak(request, customer_of(request, call))
    return list(dict.fromkeys((language_of(request).code, spoken)))


def _lines(found: list[tuple[ArticleRecord, str]], languages: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "id": article.id,
            "title": article.words[language].title,
            "summary": _summary(article.words[language].body),
            "language": language,
            "wished": language in languages,
            "review_on": article.review_on.isoformat(),
        }
        for article, language in found
    ]


def _summary(body: str) -> str:
    """The beginning of what an article says, without its marks."""
    words = " ".join(_texts(article_markdown.tree(body[: SUMMARY * 4]))).split()
    whole = " ".join(words)
    return whole if len(whole) <= SUMMARY else whole[: SUMMARY - 1].rstrip() + "…"


def _texts(nodes: list[article_markdown.Node]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        if isinstance(node, str):
            found.append(node)
        elif not node["tag"].startswith("h"):
            inner = _texts(node["children"])
            found.append("".join(inner) if node["tag"] == "p" else " ".join(inner))
    return found


def _flag(flag: Flag, titles: dict[int, str] | None = None) -> dict[str, Any]:
    return {
        "id": flag.id,
        "article": flag.article_id,
        "title": (titles or {}).get(flag.article_id or 0, ""),
        "kind": flag.kind,
        "text": flag.text,
        "agent": flag.agent,
        "at": flag.at.timestamp(),
        "answer": flag.answer,
        "settled_by": flag.settled_by,
    }
