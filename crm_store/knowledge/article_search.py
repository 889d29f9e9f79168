"""Finding articles: by words as they are typed, and by what a note is about.

Owns the order in which articles are offered. Goes by text_search for the words and by
ArticleRecord.usefulness for the rest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from crm_store import search_terms, text_search
from crm_store.database import Database
from crm_store.knowledge import articles
from crm_store.knowledge.articles import ArticleRecord
from crm_store.text_search import EntryKind

# A suggestion goes by what was written last; text_search takes as many words at once.
MOST_WORDS = 16
MOST_FOUND = 200


async def search(
    database: Database,
    words: str,
    *,
    languages: Sequence[str],
    queue: str | None = None,
    limit: int = 20,
) -> list[tuple[ArticleRecord, str]]:
    """Articles with all of these words in some language, and the language to show each in.

    Those that have them in a language asked for come first, in the order of `languages`; then those
    that have them in the title; then the queue's own; then the most useful.
    """
    if not words.strip():
        return await best(database, languages=languages, queue=queue, limit=limit)
    entries = await text_search.search(database, words, kinds=[EntryKind.ARTICLE], limit=MOST_FOUND)
    by_article = await _by_article(database, [entry.row_id for entry in entries])
    wanted = _significant(words)
    ranked = []
    for article, found_in in by_article:
        place, language = _nearest(found_in, languages)
        title = search_terms.terms([article.words[language].title])
        in_title = all(any(term.startswith(word) for term in title) for word in wanted)
        order = (place, not in_title, not _serves(article, queue), -article.usefulness, article.id)
        ranked.append((order, article, language))
    ranked.sort(key=lambda line: line[0])
    return [(article, language) for _, article, language in ranked[:limit]]


async def suggest(
    database: Database,
    note: str,
    *,
    languages: Sequence[str],
    queue: str | None = None,
    limit: int = 5,
) -> list[tuple[ArticleRecord, str]]:
    """Articles that what was written last in the note may be about, and the language of each.

    A word counts the more, the fewer of the articles found have it; three times in a title; an
    article of the queue counts half as much again. Without a word to go by: the queue's best.
    """
    latest = _latest(note)
    if not latest:
        return await best(database, languages=languages, queue=queue, limit=limit)
    entries = await text_search.search(
        database,
        " ".join(latest) + " ",
        kinds=[EntryKind.ARTICLE],
        limit=MOST_FOUND,
        any_word=True,
    )
    found = await _by_article(database, [entry.row_id for entry in entries])
    titles = {}
    bodies = {}
    for article, found_in in found:
        all_words = [article.words[language] for language in found_in]
        titles[article.id] = set(search_terms.terms(one.title for one in all_words))
        bodies[article.id] = set(search_terms.terms(one.body for one in all_words))
    having = Counter(word for key in titles for word in latest if word in titles[key] | bodies[key])
    ranked = []
    for article, _found_in in found:
        score = sum(
            math.log(1 + len(found) / having[word]) * (3 if word in titles[article.id] else 1)
            for word in latest
            if word in titles[article.id] or word in bodies[article.id]
        )
        score *= (1.5 if queue and queue in article.queues else 1.0) * article.usefulness
        if score > 0 and _serves(article, queue):
            ranked.append((score, article, _nearest(list(article.words), languages)[1]))
    ranked.sort(key=lambda line: (-line[0], line[1].id))
    return [(article, language) for _, article, language in ranked[:limit]]


async def best(
    database: Database, *, languages: Sequence[str], queue: str | None = None, limit: int = 5
) -> list[tuple[ArticleRecord, str]]:
    """The most useful articles for the queue, its own before those for all."""
    found = [
        article
        for article in await articles.all_articles(database)
        if article.active and _serves(article, queue)
    ]
    found.sort(key=lambda one: (not (queue and queue in one.queues), -one.usefulness, one.id))
    return [(article, _nearest(list(article.words), languages)[1]) for article in found[:limit]]


def _serves(article: ArticleRecord, queue: str | None) -> bool:
    return not article.queues or queue is None or queue in article.queues


def _nearest(found_in: Sequence[str], languages: Sequence[str]) -> tuple[int, str]:
    """How far down the wishes the first language is that it was found in, and that language."""
    for place, language in enumerate(languages):
        if language in found_in:
            return place, language
    return len(languages), found_in[0]


def _significant(text: str) -> set[str]:
    return {word for word in search_terms.terms([text]) if len(word) > 1}


def _latest(note: str) -> list[str]:
    """The last words of a note that may say something: pairs of characters, or longer words."""
    words = [
        word
        for word in search_terms.terms([note[-2_000:]])
        if len(word) > 2 or (len(word) == 2 and not word.isascii())
    ]
    return list(dict.fromkeys(reversed(words)))[:MOST_WORDS]


async def _by_article(
    database: Database, text_ids: Sequence[int]
) -> list[tuple[ArticleRecord, list[str]]]:
    """The articles of these texts, each with the languages that are among them."""
    if not text_ids:
        return []
    found = await articles.with_texts(database, text_ids)
    some = await articles.some(database, list(found))
    return [(article, found[article.id]) for article in some if article.active]
