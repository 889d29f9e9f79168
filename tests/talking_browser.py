"""Chromium as an agent's workplace: a microphone that says one tone, and ears that find tones.

Owns the browser's process, its voice and the script that measures what its pages play. Refuses to
know which page it is: the desk, or a bare phone.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import wave
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, Playwright

RATE = 48_000
EARS = Path(__file__).with_name("ears.js")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    # Two windows share one machine: neither is slowed down because it is not in front.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)


class NoChromium(Exception):
    """There is no Chromium on this machine; the text says what to do."""


def find_chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise NoChromium("there is no Chromium here: apt-get install chromium (or `make test`)")


def write_tone(file: Path, hertz: int) -> Path:
    """A WAV of one second of a sine, which loops without a click."""
    pcm = array("h", (int(9_000 * math.sin(2 * math.pi * hertz * at / RATE)) for at in range(RATE)))
    with wave.open(str(file), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(pcm.tobytes())
    return file


@contextlib.asynccontextmanager
async def talking_browser(
    playwright: Playwright, folder: Path, hertz: int
) -> AsyncIterator[Browser]:
    """A browser whose microphone says a tone of `hertz`. Raises NoChromium."""
    voice = write_tone(folder / f"voice-{hertz}.wav", hertz)
    browser = await playwright.chromium.launch(
        executable_path=find_chromium(),
        args=[*FLAGS, f"--use-file-for-fake-audio-capture={voice}"],
    )
    try:
        yield browser
    finally:
        await browser.close()
