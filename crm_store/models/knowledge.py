"""What agents are given to say and to know: scripts, canned texts, articles, and where to search.

Owns the tables' form; the rules are in the module named for each noun.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm_store.models.columns import RowId, Table


class Script(Table):
    """A guided conversation; its steps are in its versions."""

    __tablename__ = "scripts"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    active: Mapped[bool] = mapped_column(default=True)


class ScriptVersion(Table):
    """The steps as they were at one time. The newest published one is used; none is changed."""

    __tablename__ = "script_versions"
    __table_args__ = (UniqueConstraint("script_id", "number"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    script_id: Mapped[int] = mapped_column(RowId, ForeignKey("scripts.id"))
    number: Mapped[int]
    steps: Mapped[list[dict[str, Any]]]
    author: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    published_by: Mapped[str | None] = mapped_column(String(100))
    published_at: Mapped[datetime | None]


class ScriptRun(Table):
    """An agent's way through a script in one interaction, kept at each step."""

    __tablename__ = "script_runs"
    __table_args__ = (UniqueConstraint("interaction_id", "agent"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    interaction_id: Mapped[int] = mapped_column(RowId, ForeignKey("interactions.id"))
    script_version_id: Mapped[int] = mapped_column(RowId, ForeignKey("script_versions.id"))
    agent: Mapped[str] = mapped_column(String(100))
    step: Mapped[str] = mapped_column(String(100))
    answers: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class CannedText(Table):
    """A text that is said often, by language, with placeholders. `queue` None: for all."""

    __tablename__ = "canned_texts"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    texts: Mapped[dict[str, str]]
    queue: Mapped[str | None] = mapped_column(String(100))
    uses: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)
    changed_by: Mapped[str] = mapped_column(String(100))
    changed_at: Mapped[datetime]


class Article(Table):
    """Something worth knowing. Its owner looks at it again by `review_on`; `queues` are those it
    is for, none meaning all."""

    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    owner: Mapped[str] = mapped_column(String(100), index=True)
    review_on: Mapped[date] = mapped_column(Date())
    queues: Mapped[list[str]] = mapped_column(default=list)
    active: Mapped[bool] = mapped_column(default=True)
    uses: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class ArticleText(Table):
    """An article in one language."""

    __tablename__ = "article_texts"
    __table_args__ = (UniqueConstraint("article_id", "language"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    article_id: Mapped[int] = mapped_column(RowId, ForeignKey("articles.id"))
    language: Mapped[str] = mapped_column(String(20))
    title: Mapped[str]
    body: Mapped[str]
    changed_by: Mapped[str] = mapped_column(String(100))
    changed_at: Mapped[datetime]


class ArticleVote(Table):
    """Whether an article helped this agent; the last word counts."""

    __tablename__ = "article_votes"

    article_id: Mapped[int] = mapped_column(RowId, ForeignKey("articles.id"), primary_key=True)
    agent: Mapped[str] = mapped_column(String(100), primary_key=True)
    helpful: Mapped[bool]
    at: Mapped[datetime]


class ArticleFlag(Table):
    """An agent says that something is wrong or missing; its owner settles it. Without an article,
    one is missing altogether."""

    __tablename__ = "article_flags"
    __table_args__ = (Index(None, "article_id", "settled_at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    article_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("articles.id"))
    kind: Mapped[str] = mapped_column(String(20))
    text: Mapped[str]
    agent: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime]
    settled_by: Mapped[str | None] = mapped_column(String(100))
    settled_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(default="")


class SearchEntry(Table):
    """One thing that can be found by its words, beside the row that it is (`kind` and `row_id`).

    The words themselves are in the database's own full-text index; text_search.py has both kinds.
    """

    __tablename__ = "search_entries"
    __table_args__ = (
        UniqueConstraint("kind", "row_id"),
        Index(None, "customer_id", "at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    row_id: Mapped[int] = mapped_column(RowId)
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    at: Mapped[datetime]
