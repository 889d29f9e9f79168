"""A fax's pages: what Asterisk has received as a PDF, and a PDF as what Asterisk sends.

Owns what is said of a file that cannot be converted, and that it is done in a process of its own
(channels.fax.convert_pages) with limits to its pages, size, memory and time. Refuses to know calls,
numbers and who may send.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Final

import channels

_PROJECT: Final = Path(channels.__file__).parents[1]

LARGEST_BYTES: Final = 25 << 20
MOST_PAGES_SENT: Final = 100
"""Such a fax holds the line for an hour or two."""
MOST_PAGES_RECEIVED: Final = 300
CONVERSION_SECONDS: Final = 90.0


class Fault(StrEnum):
    """Why a file cannot be converted."""

    TOO_LARGE = "too_large"
    TOO_MANY_PAGES = "too_many_pages"
    UNKNOWN_FORMAT = "unknown_format"
    LOCKED = "locked"
    DAMAGED = "damaged"
    TOO_MUCH_WORK = "too_much_work"


class Unusable(Exception):
    """The file cannot be converted."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Pages:
    """Converts, one file at a time: calls come first."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def to_pdf(self, fax: Path, target: Path) -> int:
        """Make `target`, a PDF, of the fax (TIFF) that was received; how many pages.

        What a broken transmission has left is taken. Raises Unusable; `target` is not there then.
        """
        return await self._convert("to-pdf", fax, target, MOST_PAGES_RECEIVED)

    async def to_fax(self, document: Path, target: Path) -> int:
        """Make `target`, black and white pages in TIFF, of a PDF; how many. Raises Unusable."""
        return await self._convert("to-fax", document, target, MOST_PAGES_SENT)

    async def _convert(self, way: str, source: Path, target: Path, most_pages: int) -> int:
        size = (await asyncio.to_thread(os.stat, source)).st_size
        if size > LARGEST_BYTES:
            raise Unusable(Fault.TOO_LARGE)
        async with self._turn:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pages-") as folder:
                made = Path(folder) / "made"
                told = await _run([way, str(source), str(made), str(most_pages)])
                if "fault" in told:
                    raise Unusable(Fault(told["fault"]))
                made.replace(target)
        return int(told["pages"])


async def _run(arguments: list[str]) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "channels.fax.convert_pages"),
        *arguments,
        cwd=_PROJECT,
        # Nothing of ours that a decoder could tell.
        env={"PATH": os.environ.get("PATH", os.defpath)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(CONVERSION_SECONDS):
            said, _ = await process.communicate()
        return {name: str(value) for name, value in json.loads(said).items()}
    except (TimeoutError, ValueError):
        # Killed for its time or memory, or by its own decoder's fault.
        return {"fault": Fault.TOO_MUCH_WORK}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
