"""Every address of the hall, for the table of app.py."""

from __future__ import annotations

from agent_desk.hall import (
    account,
    care,
    house_pages,
    messages,
    orders,
    preference_centre,
    privacy,
    profile,
    sign_in,
)

ROUTES = (
    *house_pages.ROUTES,
    *sign_in.ROUTES,
    *account.ROUTES,
    *orders.ROUTES,
    *messages.ROUTES,
    *care.ROUTES,
    *preference_centre.ROUTES,
    *profile.ROUTES,
    *privacy.ROUTES,
)
