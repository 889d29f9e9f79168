"""Phone menus as data: trees in versions, opening hours, prompts, visits, and attempts that failed.

Owns the tables' form; the rules are in the module named for each noun.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm_store.models.columns import RowId, Table


class PhoneMenu(Table):
    """A menu that callers hear; its tree is in its versions."""

    __tablename__ = "phone_menus"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    active: Mapped[bool] = mapped_column(default=True)


class PhoneMenuVersion(Table):
    """The tree as it was at one time. The newest published one is used; none is changed."""

    __tablename__ = "phone_menu_versions"
    __table_args__ = (UniqueConstraint("menu_id", "number"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    menu_id: Mapped[int] = mapped_column(RowId, ForeignKey("phone_menus.id"))
    number: Mapped[int]
    tree: Mapped[dict[str, Any]]
    author: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    published_by: Mapped[str | None] = mapped_column(String(100))
    published_at: Mapped[datetime | None]


class OpeningCalendar(Table):
    """When something is open: by weekday, on special days and on holidays, in its own time zone.
    An empty time zone or country is the house's."""

    __tablename__ = "opening_calendars"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    weekly: Mapped[list[dict[str, Any]]]
    special: Mapped[list[dict[str, Any]]]
    holidays: Mapped[dict[str, Any]]
    time_zone: Mapped[str] = mapped_column(String(60), default="")
    holiday_country: Mapped[str] = mapped_column(String(10), default="")
    holiday_subdivision: Mapped[str] = mapped_column(String(20), default="")
    changed_by: Mapped[str] = mapped_column(String(100))
    changed_at: Mapped[datetime]


class PromptText(Table):
    """A supervisor's own words for a prompt, in one language."""

    __tablename__ = "prompt_texts"
    __table_args__ = (UniqueConstraint("code", "language"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100))
    language: Mapped[str] = mapped_column(String(20))
    text: Mapped[str]
    changed_by: Mapped[str] = mapped_column(String(100))
    changed_at: Mapped[datetime]


class PromptRecording(Table):
    """A voice for one fixed part of a prompt (parts lie between placeholders, counted from 0).

    It stands for `text` alone: where the prompt now says something else, it is not played.
    """

    __tablename__ = "prompt_recordings"
    __table_args__ = (UniqueConstraint("code", "language", "part"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100))
    language: Mapped[str] = mapped_column(String(20))
    part: Mapped[int] = mapped_column(default=0)
    text: Mapped[str]
    file: Mapped[str] = mapped_column(unique=True)
    seconds: Mapped[float]
    level_db: Mapped[float]
    peak_db: Mapped[float]
    uploaded_name: Mapped[str] = mapped_column(default="")
    changed_by: Mapped[str] = mapped_column(String(100))
    changed_at: Mapped[datetime]


class MenuVisit(Table):
    """A caller's way through a menu. `trail` are its steps: {"at" (seconds from the entry),
    "place", "heard", "keyed", "language"}; secret digits are dots."""

    __tablename__ = "menu_visits"
    __table_args__ = (
        UniqueConstraint("pbx", "linkedid", "menu", "entered_at"),
        Index(None, "customer_id", "entered_at"),
        Index(None, "entered_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    pbx: Mapped[str] = mapped_column(String(100))
    linkedid: Mapped[str] = mapped_column(String(200))
    menu: Mapped[str] = mapped_column(String(100))
    version: Mapped[int | None]
    number: Mapped[str] = mapped_column(String(40), default="")
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    language: Mapped[str] = mapped_column(String(20))
    entered_at: Mapped[datetime]
    left_at: Mapped[datetime]
    left_to: Mapped[str] = mapped_column(String(200), default="")
    trail: Mapped[list[dict[str, Any]]]


class Guesses(Table):
    """Attempts at something secret since `since`, by a digest of what they were made at."""

    __tablename__ = "guesses"
    __table_args__ = (UniqueConstraint("kind", "subject"), Index(None, "since"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(64))
    attempts: Mapped[int]
    since: Mapped[datetime]
