"""What the service makes for those who wait: the announcements of the queues' keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from crm_store.bus import Bus
from crm_store.database import Database
from crm_store.staff.queues import QueueRecord
from deskbell.config import load_settings
from deskbell.menus import Menus
from tests.store_fixtures import sqlite_database, sqlite_template, sqlite_url

pytestmark = pytest.mark.speech
__all__ = ["sqlite_database", "sqlite_template", "sqlite_url"]

KEYS = [QueueRecord("sales", "600", {"en": "Sales"}, exit_key="1", exit_target="menu:main")]


def announcements_in(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*/waiting-1.wav"))


@pytest.mark.parametrize(("name", "announced"), [("pbx", True), ("a space", False)])
async def test_keys_are_announced_where_asterisk_can_name_the_sound_and_nowhere_else(
    tmp_path: Path,
    sqlite_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    announced: bool,
) -> None:
    file = tmp_path / "deskbell.toml"
    file.write_text(f'[pbx]\nfolder = "{name}"\n')
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    menus = Menus(load_settings(file, {}), sqlite_database, Bus(), lambda _: None)
    await menus.start()
    try:
        menus.announce(KEYS)
        (task,) = [one for one in asyncio.all_tasks() if one.get_name() == "announcements"]
        await task
        place = menus.announcement("1")
        assert bool(place) is announced
        made = announcements_in(tmp_path)
        languages = ("en", "es", "fa", "zh") if announced else ()
        assert made == [
            Path(name, "sounds/announcements", language, "waiting-1.wav") for language in languages
        ]
        assert list(here.iterdir()) == []
    finally:
        await menus.close()
