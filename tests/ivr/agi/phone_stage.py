"""An Asterisk whose menu's number is served by our own server: sounds, a caller, and the talk."""

from __future__ import annotations

import asyncio
import math
import wave
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from cti.pbx.embedded import PbxSettings, PhoneMenusConfig, QueueConfig
from cti.telephone_network.call import SipCall
from cti.telephone_network.network import SipNetwork
from ivr.agi.server import AgiServer
from ivr.agi.session import AgiSession
from ivr.conversation.line import Spoken
from ivr.conversation.phone_line import PhoneLine
from tests.asterisk_fixtures import CONFIGURATION, SharedPbx
from tests.ivr.agi.asterisk_side import KEY

CALLER = "+8613800138000"
MENU = "610"

Talk = Callable[[PhoneLine], Awaitable[None]]


def settings(folder: Path, port: int) -> PbxSettings:
    """An Asterisk that asks `port` for its menus; its people are the queue 600."""
    return PbxSettings(
        folder=folder,
        configuration=replace(
            CONFIGURATION,
            queues=(
                QueueConfig(name="service", number="600"),
                QueueConfig(name="service-zh", number="601"),
            ),
            menus=(),
            phone_menus=PhoneMenusConfig(
                host="127.0.0.1",
                port=port,
                key=KEY,
                numbers=(MENU,),
                fallback="600",
                longest_seconds=120,
            ),
        ),
    )


def write_tone(file: Path, frequency: int, seconds: float, loudness: int = 9_000) -> None:
    """A sound file of a sine, as Asterisk plays it."""
    samples = array(
        "h",
        (
            int(loudness * math.sin(2 * math.pi * frequency * sample / 8_000))
            for sample in range(int(8_000 * seconds))
        ),
    )
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(samples.tobytes())


def tone(frequency: int, seconds: float) -> Spoken:
    """Something to say that is heard as a tone."""
    return Spoken(f"{frequency} {seconds}", "en")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)


class Stage:
    """Callers of the menu's number meet `talk`; what it raised is kept in `raised`."""

    def __init__(self, pbx: SharedPbx, network: SipNetwork, port: int, folder: Path) -> None:
        self.pbx = pbx
        self.folder = folder
        self.talk: Talk = self._say_nothing
        self.sessions: list[AgiSession] = []
        self.raised: asyncio.Queue[BaseException | None] = asyncio.Queue()
        self.server = AgiServer(
            "127.0.0.1", port, key=KEY, peers=["127.0.0.1"], handlers={"menu": self._menu}
        )
        self.network = network

    async def call(self, talk: Talk, *, name: str = "", frequency: int = 440) -> SipCall:
        """A caller who sends a tone of `frequency` Hz (0: silence), answered by the menu."""
        self.talk = talk
        return await self.network.call(CALLER, MENU, name=name, tone=frequency)

    async def voice(self, spoken: Spoken) -> str:
        frequency, seconds = spoken.text.split()
        file = self.folder / f"{frequency}-{seconds}"
        if not file.with_name(file.name + ".wav").exists() and frequency != "0":
            write_tone(file.with_name(file.name + ".wav"), int(frequency), float(seconds))
        return str(file)

    async def _menu(self, session: AgiSession) -> None:
        self.sessions.append(session)
        line = PhoneLine(session, voice=self.voice, recordings=self.folder)
        try:
            await self.talk(line)
        except BaseException as error:
            self.raised.put_nowait(error)
            raise
        self.raised.put_nowait(None)

    async def _say_nothing(self, line: PhoneLine) -> None:
        raise AssertionError("nobody was to call")
