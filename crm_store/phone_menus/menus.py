"""Phone menus, in versions: each a tree of data.

Owns no rule beyond those of versions.py. What a tree may say, and what is wrong with one, is the
phone menus' own (ivr/menus).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_store.models import PhoneMenu, PhoneMenuVersion
from crm_store.versions import Versions

MAIN = "main"
"""The code of the menu that answers the house's number."""

MENUS: Versions[Mapping[str, Any]] = Versions(
    "phone_menu",
    PhoneMenu,
    PhoneMenuVersion,
    owner="menu_id",
    content="tree",
    read=lambda tree: tree,
    write=dict,
)
