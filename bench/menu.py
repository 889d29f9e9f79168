"""The phone menu under load, beside a bare dialplan that plays the same sounds.

Owns one run: one Asterisk, the real service, SIPp's crowd with real keys. First one caller goes the
way alone, and what they hear is kept as sound files, step by step; the bare dialplan plays these
with Read. Then the crowds take turns: all press their way through the menu at once, then all
through the bare dialplan. A step is from a key's end to the first sound after it, heard by the
caller in silence: Asterisk's own share is in both, and their difference is the service's.
"""

from __future__ import annotations

import asyncio
import secrets
import wave
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from crm_store.database import Database
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar
from cti.pbx.configuration import PhoneMenusConfig
from cti.pbx.embedded import EmbeddedPbx, free_port
from cti.telephone_network.audio import ulaw_to_linear
from cti.telephone_network.crowd import SipCrowd
from cti.telephone_network.keypads import Keypad, open_keypads
from cti.telephone_network.network import SipNetwork
from tests.service_fixtures import RunningService, fill_mall, mall_pbx, menu_sounds

KEYS = "141*"
"""English; about the mall; the opening hours; back."""
MENU_NUMBER, BARE_NUMBER = "610", "690"
QUIET_SECONDS = 0.4
LONGEST_SECONDS = 300.0
CALLS_A_SECOND = 25


@dataclass
class Way:
    """What the crowds of one way measured. Steps in milliseconds, CPU in seconds."""

    steps: list[float] = field(default_factory=list)
    asterisk_cpu: float = 0.0
    service_cpu: float = 0.0
    calls: int = 0

    def as_row(self) -> dict[str, Any]:
        ordered = sorted(self.steps)
        return {
            "steps": len(ordered),
            "p50": ordered[len(ordered) // 2],
            "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
            "most": ordered[-1],
            "asterisk_cpu_ms": 1_000 * self.asterisk_cpu / self.calls,
            "service_cpu_ms": 1_000 * self.service_cpu / self.calls,
        }


@dataclass(frozen=True)
class _Stage:
    network: SipNetwork
    pbx: EmbeddedPbx
    service: RunningService


async def measure(folder: Path, calls: int, rounds: int, keys: str = KEYS) -> dict[str, Any]:
    """The run's results. Raises TimeoutError if a caller is not answered as they should be."""
    url = f"sqlite:///{folder}/mall.db"
    await fill_mall(url)
    await _always_open(url)
    key, port = secrets.token_hex(16), free_port("127.0.0.1")
    menus = PhoneMenusConfig(host="127.0.0.1", port=port, key=key, numbers=(MENU_NUMBER,))
    told = {"DESKBELL_MENUS_PORT": str(port), "DESKBELL_MENUS_KEY": key}
    async with (
        await mall_pbx(folder / "pbx", url, menus=menus) as pbx,
        RunningService(folder / "service", url, external=pbx, environment=told) as service,
        service.network() as network,
    ):
        await menu_sounds(service)
        heard = await _rehearse(network, keys)
        await asyncio.to_thread(_add_bare_dialplan, pbx, folder / "heard", heard)
        await pbx.console("dialplan reload")
        ways = {"menu": Way(), "bare": Way()}
        stage = _Stage(network, pbx, service)
        for _ in range(rounds):
            for name, number in (("menu", MENU_NUMBER), ("bare", BARE_NUMBER)):
                await _crowd(ways[name], stage, number, calls=calls, keys=keys)
        return {
            "calls": calls,
            "rounds": rounds,
            "keys": len(keys),
            "seconds": sum(len(sound) for sound in heard) / 8_000,
            "server_p99": await _server_p99(service),
            "ways": {name: way.as_row() for name, way in ways.items()},
        }


async def _always_open(url: str) -> None:
    """The menu is the same at any hour."""
    database = Database(url)
    try:
        for code in ("house", "agents"):
            async with database.transaction() as transaction:
                calendar = Calendar(titles={"en": code}, on_holidays=None)
                await opening_hours.write(transaction, code, calendar, actor="chief")
    finally:
        await database.close()


async def _rehearse(network: SipNetwork, keys: str) -> list[bytes]:
    """What one caller hears before each key and after the last, as µ-law."""
    (keypad,) = await open_keypads(network.trunk_address, 1, keep=True)
    crowd = SipCrowd(network)
    await crowd.call(
        MENU_NUMBER, 1, rate=1, hold_seconds=LONGEST_SECONDS, media_ports=[keypad.port]
    )
    heard = []
    try:
        for digit in [*keys, ""]:
            await keypad.hears()
            await keypad.quiet(QUIET_SECONDS)
            heard.append(bytes(keypad.sound))
            keypad.sound.clear()
            if digit:
                await keypad.press(digit)
    finally:
        keypad.close()
        await crowd.stop()
    return heard


def _add_bare_dialplan(pbx: EmbeddedPbx, folder: Path, heard: list[bytes]) -> None:
    """The same sounds, each until a key."""
    folder.mkdir()
    lines = ["", "[from-trunk](+)", f"exten => {BARE_NUMBER},1,Answer()"]
    for step, sound in enumerate(heard):
        file = folder / f"step{step}"
        with wave.open(f"{file}.wav", "wb") as out:
            out.setparams((1, 2, 8_000, 0, "NONE", ""))
            out.writeframes(array("h", map(ulaw_to_linear, sound)).tobytes())
        lines.append(f" same => n,Read(KEYED,{file},1,,1,30)")
    with (pbx.folder / "etc/extensions.conf").open("a", encoding="utf-8") as file_:
        file_.write("\n".join([*lines, " same => n,Hangup()", ""]))


async def _crowd(way: Way, stage: _Stage, number: str, *, calls: int, keys: str) -> None:
    """All callers at once, each as soon as the prompt is over."""
    network, pbx, service = stage.network, stage.pbx, stage.service
    keypads = await open_keypads(network.trunk_address, calls)
    crowd = SipCrowd(network)
    before = _cpu(pbx.pid), _cpu(service.pid)
    try:
        await crowd.call(
            number,
            calls,
            rate=CALLS_A_SECOND,
            hold_seconds=LONGEST_SECONDS,
            media_ports=[keypad.port for keypad in keypads],
        )
        steps = await asyncio.gather(*(_press_through(keypad, keys) for keypad in keypads))
    finally:
        for keypad in keypads:
            keypad.close()
        await pbx.console("channel request hangup all")
        while "0 active channels" not in (await pbx.console("core show channels count")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await crowd.stop()
    way.asterisk_cpu += _cpu(pbx.pid) - before[0]
    way.service_cpu += _cpu(service.pid) - before[1]
    way.calls += calls
    way.steps += [step for one in steps for step in one]


async def _press_through(keypad: Keypad, keys: str) -> list[float]:
    await keypad.hears(LONGEST_SECONDS)
    steps = []
    for digit in keys:
        await keypad.quiet(QUIET_SECONDS, LONGEST_SECONDS)
        pressed = await keypad.press(digit)
        steps.append(1_000 * (await keypad.hears(LONGEST_SECONDS) - pressed))
    return steps


def _cpu(pid: int | None) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def _server_p99(service: RunningService) -> float:
    """What 99 of 100 of the server's own answers stay within, in milliseconds."""
    async with aiohttp.ClientSession() as http, http.get(f"{service.url}/metrics") as answer:
        text = await answer.text()
    buckets = []
    for line in text.splitlines():
        if line.startswith("deskbell_menu_step_seconds_bucket"):
            label, _, value = line.rpartition(" ")
            buckets.append((float(label.split('"')[1].replace("+Inf", "inf")), float(value)))
    return 1_000 * next(bound for bound, count in buckets if count >= 0.99 * buckets[-1][1])
