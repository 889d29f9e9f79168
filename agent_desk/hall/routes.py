"""Every address of the hall, for the table of app.py."""

from __future__ import annotations

from agent_desk.hall import (
    account,
    care,
    house_pages,
    messages,
    orders,
    privacy,
    profile,
    sign_in,
    wishes,
)

ROUTES = (
    *house_pages.ROUTES,
    *sign_in.ROUTES,
    *account.ROUTES,
    *orders.ROUTES,
    *messages.ROUTES,
    *care.ROUTES,
    *wishes.ROUTES,
    *profile.ROUTES,
    *privacy.ROUTES,
)
