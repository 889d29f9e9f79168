"""The phone menus of this service: their sounds, their conversations, the port Asterisk asks at.

Owns how they are put together, started before any PBX and stopped after them, and what each PBX is
told of them. Refuses to know what is said in a menu (ivr).
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from crm_store.bus import Bus
from crm_store.database import Database
from crm_store.staff.queues import QueueRecord
from cti.pbx.configuration import BadConfiguration, PhoneMenusConfig
from deskbell.failure import CommandFailed
from deskbell.menu_metrics import MenuMetrics
from deskbell.settings import MenusSettings, PbxSettings, Settings
from deskbell.speech import SpeechMissing, open_engine
from ivr import prompts
from ivr.agi.server import AgiServer
from ivr.answering import PhoneMenus
from ivr.menus import first_menu
from ivr.speech.engines import Engine, Engines, SynthesisFailed
from ivr.speech.sound_files import SoundFiles

log = logging.getLogger(__name__)

EXTERNAL_PORT = 4573
"""FastAGI's own port, which an external PBX is told if none is set."""

STOP_SECONDS = 1.0
"""Conversations that go on are broken off at a stop: their callers go to people at once."""


class Menus:
    """`start` listens and begins to make the sounds; `close` leaves callers to people."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        bus: Bus,
        progress: Callable[[str], None] = log.info,
    ) -> None:
        self._settings = settings
        self._database = database
        self._bus = bus
        self._progress = progress
        self._key = settings.menus.key.get_secret_value() or secrets.token_hex(16)
        self._announcing: asyncio.Task[None] | None = None
        self.sounds: SoundFiles
        self.phone_menus: PhoneMenus
        self.server: AgiServer

    @property
    def uploads(self) -> Path:
        """Where supervisors' own recordings of prompts are."""
        return sounds_folder(self._settings) / "recordings"

    async def start(self) -> None:
        """Raises CommandFailed if the port or the folder can't be had, and database errors."""
        settings = self._settings
        folder = sounds_folder(settings)
        external = any(pbx.mode == "external" for pbx in settings.pbx)
        engine = await asyncio.to_thread(_engine, settings.menus, self._progress)
        self.sounds = SoundFiles(folder, engine, shared=external)
        try:
            await self.sounds.start()
            recordings = {pbx.name: recordings_folder(settings, pbx) for pbx in settings.pbx}
            for place in (self.uploads, *recordings.values()):
                place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandFailed(f"{error.filename}: {error.strerror}; see [menus] sounds") from None
        self.phone_menus = PhoneMenus(
            self._database,
            self._bus,
            self.sounds,
            region=settings.numbers.region,
            recordings=recordings,
            uploads=self.uploads,
        )
        await first_menu.provide(self._database, settings.menus.fallback_queue)
        await self.phone_menus.start()
        port = settings.menus.port or (EXTERNAL_PORT if _serves_external(settings) else 0)
        self.server = AgiServer(
            settings.menus.host,
            port,
            key=self._key,
            peers=settings.menus.peers,
            handlers=self.phone_menus.handlers,
        )
        try:
            await self.server.start()
        except OSError as error:
            raise CommandFailed(
                f"the phone menus cannot listen on {settings.menus.host}:{port}: "
                f"{error.strerror}; set another DESKBELL_MENUS_PORT"
            ) from None

    def announcement(self, key: str) -> str:
        """The sound, by its path without language and ending, that tells who waits what `key` is
        for; "" without a key, and if Asterisk's files cannot name it."""
        if not key:
            return ""
        place = str((sounds_folder(self._settings) / "announcements" / f"waiting-{key}").absolute())
        return place if re.fullmatch(r"[A-Za-z0-9/._-]{1,200}", place) else ""

    def announce(self, queues: Sequence[QueueRecord]) -> None:
        """Make the sounds for the keys of these queues, beside everything else."""
        keys = sorted({queue.exit_key for queue in queues if self.announcement(queue.exit_key)})
        before, self._announcing = self._announcing, None
        if before is not None:
            before.cancel()
        self._announcing = asyncio.create_task(self._make_announcements(keys), name="announcements")

    async def _make_announcements(self, keys: Sequence[str]) -> None:
        said = self.phone_menus.published.prompts("", None)
        for key in keys:
            for language in prompts.LANGUAGES:
                text = said.text("agent_way_out", language).replace("{key}", key)
                try:
                    sound = await self.sounds.sound(text, language, fixed=True)
                    place = Path(self.announcement(key))
                    file = place.parent / language / f"{place.name}.wav"
                    await asyncio.to_thread(_copy, sound.file, file)
                except (SynthesisFailed, OSError) as error:
                    log.warning("who waits is not told of key %s in %s: %s", key, language, error)

    async def close(self) -> None:
        """Everything that is going on ends; what was said in it is written down."""
        if self._announcing is not None:
            self._announcing.cancel()
            await asyncio.gather(self._announcing, return_exceptions=True)
        await self.server.close(STOP_SECONDS)
        await self.phone_menus.close()
        await self.sounds.close()

    def register(self, registry: CollectorRegistry) -> None:
        """Have the menus' numbers shown beside the desk's."""
        registry.register(MenuMetrics(self.server.figures, self.sounds))

    def for_pbx(self, pbx: PbxSettings, queues: Sequence[QueueRecord]) -> PhoneMenusConfig | None:
        """What the PBX is told; None for an external one of which no key is known."""
        if pbx.mode == "external" and not self._settings.menus.key.get_secret_value():
            return None
        return phone_menus_config(self._settings.menus, pbx, queues, self.server.port, self._key)


def phone_menus_config(
    menus: MenusSettings,
    pbx: PbxSettings,
    queues: Sequence[QueueRecord],
    port: int,
    key: str,
) -> PhoneMenusConfig:
    """The way from that PBX to the menus. Raises BadConfiguration for an unknown fallback queue."""
    numbers = {queue.name: queue.number for queue in queues}
    wanted = menus.fallback_queue
    if wanted and wanted not in numbers:
        raise BadConfiguration(f"[menus] fallback_queue: there is no queue {wanted!r}")
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
    host = menus.reached_at if pbx.mode == "external" else ""
    return PhoneMenusConfig(
        host=host or everywhere.get(menus.host, menus.host),
        port=port,
        key=key,
        pbx=pbx.name,
        numbers=menus.numbers,
        fallback=numbers[wanted] if wanted else min(numbers.values(), default=""),
    )


def sounds_folder(settings: Settings) -> Path:
    """Where the prompts' sounds are."""
    return settings.menus.sounds or settings.pbx[0].folder / "sounds"


def recordings_folder(settings: Settings, pbx: PbxSettings) -> Path:
    """Where that PBX records what callers say: with its other recordings, if we know where."""
    return (pbx.sound_folder or sounds_folder(settings) / "spoken").absolute()


def _copy(sound: Path, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    shutil.copy(sound, new)
    new.replace(file)


def _serves_external(settings: Settings) -> bool:
    known = bool(settings.menus.key.get_secret_value())
    return known and any(pbx.mode == "external" for pbx in settings.pbx)


def _engine(menus: MenusSettings, progress: Callable[[str], None]) -> Engine:
    """What speaks here. Without any only recordings can be heard, and callers go to people."""
    voices = dict(voice.split("=", 1) for voice in menus.piper_voices)
    try:
        return open_engine(
            {language: Path(file) for language, file in voices.items()}, progress=progress
        )
    except SpeechMissing as error:
        log.warning("the phone menus cannot speak, and people answer: %s", error)
        return Engines([])
