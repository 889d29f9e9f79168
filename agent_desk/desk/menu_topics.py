"""What callers ask the phone menu for, in a word or two, so that a trail is read at a glance.

Owns these words and which places of the published menus are about what. What was heard and keyed
there is in the trail itself.
"""

from __future__ import annotations

from agent_desk.languages import Language
from crm_store.database import Database
from crm_store.phone_menus import menus


async def menu_topics(database: Database, _: Language) -> dict[str, str]:
    """By place (a node's id) of the menus in use: what it is about. Places that only lead on, such
    as a choice or a greeting, are not among them."""
    titles = _titles(_)
    found = dict(titles)
    for version in (await menus.MENUS.used_now(database)).values():
        for node in version.content.get("nodes", ()):
            about = titles.get(node.get("function") or node.get("kind"))
            if about is not None:
                found[node["id"]] = about
            else:
                found.pop(node["id"], None)
    return found


def _titles(_: Language) -> dict[str, str]:
    return {
        "points": _("points"),
        "order": _("order status"),
        "product": _("price and stock"),
        "hours": _("opening hours"),
        "promotions": _("promotions"),
        "places": _("shops and places"),
        "cards": _("cards accepted"),
        "way": _("the way here"),
        "parking": _("parking"),
        "dining": _("dining"),
        "medical": _("medical help"),
        "letting": _("renting a stand"),
        "complaint": _("complaint"),
        "callback": _("callback"),
        "message": _("message"),
    }
