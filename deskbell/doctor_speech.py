"""The doctor's look at speech: does something speak, in every language that callers may choose.

Owns what must be so that prompts and values become sound. Whether callers reach the menus is the
PBX's part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from deskbell.finding import Finding, fail, ok, warn
from deskbell.speech import installed_espeak
from ivr.speech.engines import EspeakNg, SynthesisFailed
from ivr.speech.spoken import LANGUAGES

TOPIC = "speech"
INSTALL = (
    "install it (Debian: apt-get install -y espeak-ng), or let deskbell serve unpack it; until "
    "then callers of the menus go to people"
)
PROBES = {"en": "one two three", "zh": "一二三", "es": "uno dos tres", "fa": "یک دو سه"}


async def examine() -> AsyncIterator[Finding]:
    """Whether espeak-ng is there, and speaks each language."""
    command = await asyncio.to_thread(installed_espeak)
    if command is None:
        yield warn(TOPIC, "espeak-ng is not here: prompts have no voice", INSTALL)
        return
    try:
        espeak = await asyncio.to_thread(EspeakNg, command)
    except SynthesisFailed as error:
        yield fail(TOPIC, str(error), "install espeak-ng anew")
        return
    silent = []
    for language in LANGUAGES:
        try:
            await espeak.speak(PROBES[language], language)
        except SynthesisFailed:
            silent.append(language)
    if silent:
        yield fail(
            TOPIC,
            f"espeak-ng {espeak.version} does not speak {', '.join(silent)}",
            "install all of its voices (Debian: espeak-ng-data)",
        )
    elif espeak.voices["zh"] == "cmn" and espeak.version.startswith("1.51"):
        yield warn(
            TOPIC,
            "this espeak-ng's Chinese voice reads its tones as English numbers",
            "install one with the voice cmn-latn-pinyin, as Debian's",
        )
    else:
        yield ok(TOPIC, f"espeak-ng {espeak.version} speaks {', '.join(LANGUAGES)}")
