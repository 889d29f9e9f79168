"""Finding an Asterisk that can be started: installed, or unpacked from Debian's package.

Refuses to know what it is told and how it is kept running (cti.pbx.embedded).
"""

from __future__ import annotations

import logging
import os
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cti.pbx import debian_packages

log = logging.getLogger(__name__)

PACKAGES = ("asterisk", "asterisk-core-sounds-en-gsm")
SUPPORTED = range(18, 24)


class PbxFailed(Exception):
    """Asterisk could not be found, started or asked. The text says what to do."""


@dataclass(frozen=True, slots=True)
class AsteriskProgram:
    """An Asterisk that can be started: the command, its version, its modules and sounds.

    `module_folder` and `data_folder` are None for an installed one, which knows them itself.
    """

    command: tuple[str, ...]
    version: tuple[int, ...]
    module_folder: Path | None = None
    data_folder: Path | None = None

    @classmethod
    def unpacked(cls, root: Path) -> AsteriskProgram:
        """The one in `root`, run through root's own loader and libraries.

        Raises PbxFailed when it does not run.
        """
        try:
            command = debian_packages.command_of(root, "usr/sbin/asterisk")
        except debian_packages.UnpackFailed as error:
            raise PbxFailed(str(error)) from error
        modules = sorted((root / "usr/lib").glob("*/asterisk/modules"))
        data = root / "usr/share/asterisk"
        return cls(command, _version_of(command), modules[0], data)


def _version_of(command: Sequence[str]) -> tuple[int, ...]:
    try:
        answer = subprocess.run(
            [*command, "-V"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise PbxFailed(f"{command[-1]} does not run: {error}") from error
    found = re.search(r"Asterisk (?:certified[-/])?(\d+)\.(\d+)(?:\.(\d+))?", answer)
    if not found:
        raise PbxFailed(f"{command[-1]} -V says {answer.strip()!r}, which is no version we know")
    return tuple(int(part) for part in found.groups(default="0"))


def default_cache() -> Path:
    """$XDG_CACHE_HOME/deskbell, where unpacked packages are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deskbell"


def find_asterisk(
    cache: Path | None = None, progress: Callable[[str], None] = log.info
) -> AsteriskProgram:
    """An `asterisk` on PATH (18 to 23), else Debian's, unpacked into `cache` when missing.

    Blocks for seconds to minutes when it unpacks. Raises PbxFailed.
    """
    on_path = shutil.which("asterisk") or shutil.which("asterisk", path="/usr/sbin:/usr/local/sbin")
    if on_path:
        installed = AsteriskProgram((on_path,), _version_of([on_path]))
        if installed.version[0] in SUPPORTED:
            return installed
        progress(f"{on_path} is version {installed.version[0]}, not 18 to 23: not used")
    root = (cache or default_cache()) / "asterisk"
    try:
        debian_packages.ensure(PACKAGES, root, progress)
    except debian_packages.UnpackFailed as error:
        raise PbxFailed(str(error)) from error
    return AsteriskProgram.unpacked(root)


def free_port(address: str, kind: int = socket.SOCK_STREAM) -> int:
    """A port nobody listens on now, below the range the kernel hands out by itself."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)  # noqa: S311 - a choice, not a secret
        if is_free(address, port, kind):
            return port
    raise PbxFailed(f"no free port on {address} between 20000 and 32000")


def is_free(address: str, port: int, kind: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
