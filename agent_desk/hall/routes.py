"""Every address of the hall, for the table of app.py."""

from __future__ import annotations

from agent_desk.hall import house_pages

ROUTES = (*house_pages.ROUTES,)
