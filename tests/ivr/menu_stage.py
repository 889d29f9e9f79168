"""Callers in the phone menus of a whole service: what each heard and keyed, as the service says it.

Owns a service in this process with an Asterisk of its own, SIPp as the callers, and their keys:
real RFC 4733 digits, pressed once the service has told everything before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crm_store.signals import (
    CallEnded,
    CallQueued,
    CallStarted,
    MenuEntered,
    MenuLeft,
    MenuStep,
    Signal,
)
from cti.pbx.embedded import EmbeddedPbx
from cti.telephone_network.network import SipCall, SipNetwork
from deskbell.service import Service
from deskbell.settings import Settings
from tests.asterisk_fixtures import network_of
from tests.service_fixtures import SOUNDS

SOUNDS_SECONDS = 600.0
STEP_SECONDS = 60.0


def menu_settings(folder: Path, url: str, **menus: Any) -> Settings:
    """Settings of a service on free ports."""
    values = {
        "desk": {"port": 0},
        "store": {"url": url},
        "pbx": [{"folder": str(folder / "pbx")}],
        "menus": {"sounds": str(SOUNDS), **menus},
    }
    return Settings.model_validate(values, context={"folder": folder})


@dataclass(eq=False)
class MenuCaller:
    """One caller: what the service has told of their call so far."""

    number: str
    linkedid: str = ""
    menus: list[str] = field(default_factory=list)
    steps: list[MenuStep] = field(default_factory=list)
    left_to: list[str] = field(default_factory=list)
    queue: str = ""
    ended: bool = False
    call: SipCall | None = None

    @property
    def places(self) -> list[tuple[str, str]]:
        return [(step.place, step.keyed) for step in self.steps]


class Callers:
    """All callers of a service, known by their numbers."""

    def __init__(self, service: Service, network: SipNetwork) -> None:
        self._network = network
        self._callers: dict[str, MenuCaller] = {}
        self._of_call: dict[str, MenuCaller] = {}
        self._changed = asyncio.Event()
        service.bus.listen(
            self._hear, CallStarted, MenuEntered, MenuStep, MenuLeft, CallQueued, CallEnded
        )

    def _hear(self, signal: Signal) -> None:
        if isinstance(signal, CallStarted):
            caller = self._callers.get(signal.caller)
            if caller is not None and not caller.linkedid:
                caller.linkedid = signal.call
                self._of_call[signal.call] = caller
        call = getattr(signal, "call", "")
        caller = self._of_call.get(call)
        if caller is None:
            return
        match signal:
            case MenuEntered():
                caller.menus.append(signal.menu)
            case MenuStep():
                caller.steps.append(signal)
            case MenuLeft():
                caller.left_to.append(signal.to)
            case CallQueued():
                caller.queue = signal.queue
            case CallEnded():
                caller.ended = True
        self._changed.set()

    async def until(
        self, condition: Callable[[], object], what: object = "", within: float = STEP_SECONDS
    ) -> None:
        """Wait until the condition holds; it is asked after each signal. Raises TimeoutError."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {within:g} s: {what}") from None

    async def begin(self, number: str, dialled: str = "610", *, tone: int = 0) -> MenuCaller:
        """Call, and be in the menu."""
        caller = self._callers[number] = MenuCaller(number)
        caller.call = await self._network.call(number, dialled, tone=tone)
        await self.until(lambda: caller.menus, f"{number} in a menu")
        return caller

    async def press(self, caller: MenuCaller, keys: str) -> None:
        """Key, and wait until the service has told it."""
        assert caller.call is not None
        before = len(caller.steps)
        await self._hears(caller)
        await caller.call.press(keys)
        await self.until(
            lambda: any(step.keyed for step in caller.steps[before:]),
            f"{caller.number} has keyed {keys} after {caller.places}",
        )

    async def _hears(self, caller: MenuCaller) -> None:
        """Wait for a fifth of a second of sound: people press once they hear something."""
        assert caller.call is not None
        async with asyncio.timeout(STEP_SECONDS):
            await caller.call.wait("answered")
            await caller.call.audio.next_heard(0.2)

    async def hear(self, caller: MenuCaller, place: str, count: int = 1) -> list[MenuStep]:
        """Wait until so many steps of the place are told, from now on or before; all of them."""

        def of_place() -> list[MenuStep]:
            return [step for step in caller.steps if step.place == place]

        await self.until(
            lambda: len(of_place()) >= count, f"{caller.number} at {place}: {caller.places}"
        )
        return of_place()

    async def walk(self, number: str, path: Sequence[tuple[str, str]]) -> MenuCaller:
        """Call and go the whole path: (place, keys) for each step, in order."""
        caller = await self.begin(number)
        assert caller.call is not None
        for position, (_, keys) in enumerate(path):
            if keys:
                await self._hears(caller)
                await caller.call.press(keys)
            await self.until(
                lambda position=position: len(caller.steps) > position,  # type: ignore[misc]
                f"{number}, step {position + 1} of {path}: {caller.places}",
            )
        return caller


@asynccontextmanager
async def menu_service(settings: Settings) -> AsyncIterator[tuple[Service, EmbeddedPbx]]:
    """The service, once all prompts have their sounds."""
    async with Service(settings, progress=lambda _: None) as service:
        async with asyncio.timeout(SOUNDS_SECONDS):
            while (sounds := service.menus.sounds.progress).done < sounds.total:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert sounds.total, "nothing is published"
        assert not sounds.failed
        (pbx,) = service.embedded.values()
        yield service, pbx


@asynccontextmanager
async def menu_callers(service: Service, pbx: EmbeddedPbx) -> AsyncIterator[Callers]:
    """Callers of the service's PBX; all calls end with the block."""
    async with network_of(pbx) as network:
        yield Callers(service, network)
