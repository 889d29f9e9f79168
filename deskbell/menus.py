"""The phone menus of this service: their sounds, their conversations, the port Asterisk asks at.

Owns how they are put together, started before any PBX and stopped after them, and what each PBX is
told of them. Refuses to know what is said in a menu (ivr).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
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
from ivr.agi.server import AgiServer
from ivr.answering import PhoneMenus
from ivr.menus import first_menu
from ivr.speech.engines import Engine, Engines
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

    async def close(self) -> None:
        """Everything that is going on ends; what was said in it is written down."""
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
