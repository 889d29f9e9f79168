"""The doctor's look at the phone menus: published, spoken, and reached by the PBX.

Owns what must be so that a caller of the main menu hears it. Speech itself is doctor_speech.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

from crm_store.database import Database
from crm_store.phone_menus import menus
from deskbell.finding import Finding, fail, ok, warn
from deskbell.menus import EXTERNAL_PORT, sounds_folder
from deskbell.settings import PbxSettings, Settings
from ivr.menus import publishing
from ivr.menus import tree as trees

TOPIC = "phone menus"
CONNECT_SECONDS = 3.0
PEOPLE = "until then callers go to people"


async def reached(settings: Settings) -> AsyncIterator[Finding]:
    """Whether prompts have their sounds, and each PBX reaches the service."""
    folder = sounds_folder(settings) / "fixed"
    there = await asyncio.to_thread(lambda: sum(1 for _ in folder.rglob("*.wav")))
    if there:
        yield ok(TOPIC, f"{there} sounds of prompts in {folder}")
    else:
        yield warn(TOPIC, f"no sounds of prompts in {folder}", "start the service: it makes them")
    for pbx in settings.pbx:
        yield await _reached(settings, pbx)


async def published(database: Database) -> AsyncIterator[Finding]:
    """Whether there is a menu, and nothing wrong with it. Raises a database error."""
    used = await menus.MENUS.used_now(database)
    if not used:
        yield warn(TOPIC, "none is published", f"publish one at /setup; {PEOPLE}")
    for code, version in sorted(used.items()):
        try:
            found = await publishing.check(database, trees.read(version.content))
        except trees.MalformedTree as error:
            yield fail(TOPIC, f"{code}, version {version.number}: {error}", "publish another one")
            continue
        said = f"{code}, version {version.number}, is in use"
        if found:
            kinds = ", ".join(sorted({f"{one.kind} {one.detail}".strip() for one in found}))
            yield warn(TOPIC, f"{said}, but: {kinds}", "mend it at /setup and publish it anew")
        else:
            yield ok(TOPIC, f"{said} and sound")


async def _reached(settings: Settings, pbx: PbxSettings) -> Finding:
    if pbx.mode == "external":
        if not settings.menus.key.get_secret_value():
            return warn(
                TOPIC,
                f"PBX {pbx.name} is not served: [menus] key is empty",
                f"set it to the word in deskbell/extensions.conf (docs/asterisk.md); {PEOPLE}",
            )
        host = settings.menus.reached_at or settings.menus.host
        port = settings.menus.port or EXTERNAL_PORT
    else:
        told = await asyncio.to_thread(_told, pbx.folder / "etc/extensions.conf")
        if told is None:
            return warn(TOPIC, f"PBX {pbx.name} was never told of them", "start the service")
        host, port = told
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return warn(
            TOPIC,
            f"nothing answers PBX {pbx.name} at {host}:{port}",
            f"start the service, or let the way to that port through; {PEOPLE}",
        )
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ok(TOPIC, f"PBX {pbx.name} reaches them at {host}:{port}")


def _told(file: Path) -> tuple[str, int] | None:
    """Where our own PBX asks; the key beside it is not read."""
    with contextlib.suppress(OSError):
        found = re.search(r"AGI\(agi://\[?([^\]/]+?)\]?:(\d+)/", file.read_text(encoding="utf-8"))
        if found:
            return found[1], int(found[2])
    return None
