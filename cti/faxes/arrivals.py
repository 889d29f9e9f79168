"""Faxes that arrive: Asterisk's word that pages were received, as a signal.

Owns the one event that says so. Refuses to know the file and what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crm_store.signals import FaxArrived

FAX_EVENTS: Final = frozenset({"ReceiveFAX"})
FAX_HEADERS: Final = frozenset({"Linkedid", "PagesTransferred", "Timestamp"})


def feed(pbx: str, message: Mapping[str, str]) -> list[FaxArrived]:
    """A signal, if this is the end of a fax of at least one page."""
    if message.get("Event") not in FAX_EVENTS:
        return []
    call, pages = message.get("Linkedid", ""), message.get("PagesTransferred", "")
    if not call or not pages.isdecimal() or not int(pages):
        return []
    return [
        FaxArrived(pbx=pbx, at=_moment(message.get("Timestamp", "")), call=call, pages=int(pages))
    ]


def _moment(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
