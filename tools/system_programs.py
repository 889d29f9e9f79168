"""Programs that come from the distribution: Asterisk, SIPp, espeak-ng, and what only tests need.

Owns whether each is there and how to get it: as root by apt-get, else unpacked into the user's
cache without root, with its commands in the virtual environment. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.setup_log import PYTHON, VENV, SetupFailed, command, say_in_log


@dataclass(frozen=True)
class Program:
    """Something the tests drive that is no Python package.

    `commands` are patterns of the programs within an unpacked package, which get a place on the
    tests' PATH where the package can't be installed.
    """

    name: str
    packages: tuple[str, ...]
    found: Callable[[], bool]
    commands: tuple[str, ...]


def cache() -> Path:
    """Where unpacked packages are kept, for all checkouts of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deskbell"


def which(name: str) -> str | None:
    return shutil.which(name, path=f"{VENV / 'bin'}:{os.environ.get('PATH', os.defpath)}")


def postgresql_found() -> bool:
    folders = [Path(found).parent] if (found := which("initdb")) else []
    folders += [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return any(version_of(folder / "initdb") >= 15 for folder in folders)


def version_of(program: Path) -> int:
    listing = [str(program), "--version"]
    said = subprocess.run(listing, capture_output=True, text=True, check=False).stdout
    number = re.search(r"(\d+)", said)
    return int(number[1]) if number else 0


def fonts_found() -> bool:
    if not shutil.which("fc-list"):
        return False
    listing = ["fc-list", ":lang=zh", "family"]
    return bool(subprocess.run(listing, capture_output=True, check=False).stdout.strip())


PROGRAMS = [
    Program(
        "Chromium",
        ("chromium",),
        lambda: any(map(which, ("chromium", "chromium-browser", "google-chrome"))),
        ("usr/lib/chromium/chromium",),
    ),
    Program(
        "PostgreSQL 15 or newer",
        ("postgresql",),
        postgresql_found,
        ("usr/lib/postgresql/*/bin/initdb", "usr/lib/postgresql/*/bin/postgres"),
    ),
    Program(
        "Dovecot",
        ("dovecot-imapd",),
        lambda: unpacked_or_on_path("dovecot", "dovecot-imapd"),
        (),
    ),
    Program("Chinese fonts", ("fonts-noto-cjk", "fontconfig"), fonts_found, ("usr/bin/fc-list",)),
]


def install_programs() -> None:
    missing = [program for program in PROGRAMS if not program.found()]
    packages = [package for program in missing for package in program.packages]
    names = ", ".join(program.name for program in missing)
    if not shutil.which("apt-get"):
        raise SetupFailed(f"the tests need {names}: install them and run this again")
    if os.geteuid() == 0:
        leave_no_database_running(packages)
        install_with_apt(packages)
    else:
        for program in missing:
            unpack_program(program)
    if still := [program.name for program in PROGRAMS if not program.found()]:
        raise SetupFailed(
            f"{', '.join(still)} could not be had without root; as root: "
            f"apt-get install -y --no-install-recommends {' '.join(packages)}"
        )


def install_with_apt(packages: list[str]) -> None:
    words = ("apt-get", "-y", "-o", "DPkg::Lock::Timeout=300")
    install = (*words, "install", "--no-install-recommends", *packages)
    # In run level 1 Debian starts no server that it installs.
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        command(*install, env=quiet)
    except SetupFailed:
        # A fresh image has no package lists, an old one has stale ones.
        command(*words, "update", env=quiet)
        command(*install, env=quiet)


def leave_no_database_running(packages: list[str]) -> None:
    """Debian's PostgreSQL starts a server when installed; the tests want its programs only."""
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if "postgresql" in packages and not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("create_main_cluster = false\n")


def unpack_program(program: Program) -> None:
    """The package in the cache, and its commands in the environment, with their libraries."""
    root = cache() / program.packages[0]
    unpack_debian(program.packages, root)
    for pattern in program.commands:
        for path in root.glob(pattern):
            libraries = [*(root / "usr/lib").glob("*-linux-gnu*"), path.parent]
            script = VENV / "bin" / path.name
            search = shlex.quote(":".join(map(str, libraries)))
            script.write_text(
                f'#!/bin/sh\nLD_LIBRARY_PATH={search} exec {shlex.quote(str(path))} "$@"\n'
            )
            script.chmod(0o755)
    fonts = root / "usr/share/fonts"
    if fonts.exists() and program.packages[0].startswith("fonts-"):
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
        (data / "fonts").mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (data / "fonts/deskbell").symlink_to(fonts)


def unpack_debian(packages: Sequence[str], folder: Path) -> None:
    """Debian packages of this machine's own suites into a folder, without root."""
    from cti.pbx.debian_packages import UnpackFailed, ensure

    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        ensure(packages, folder, say_in_log)
    except UnpackFailed as error:
        raise SetupFailed(f"{error}; as root: apt-get install -y {' '.join(packages)}") from None


def unpacked_or_on_path(name: str, package: str) -> bool:
    on_path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    return on_path is not None or (cache() / package / ".deskbell-packages").exists()


def find_asterisk() -> None:
    command(
        PYTHON, "-c", "from cti.pbx.embedded import find_asterisk; find_asterisk(progress=print)"
    )


def find_sipp() -> None:
    find = "from cti.pbx.embedded import default_cache; "
    find += "from cti.telephone_network.sipp import find_sipp; "
    command(PYTHON, "-c", find + "find_sipp(default_cache(), print)")


def find_espeak() -> None:
    """Speech for the phone menus: as root by apt-get, else unpacked as SIPp is."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        with contextlib.suppress(SetupFailed):
            install_with_apt(["espeak-ng"])
    command(PYTHON, "-c", "from deskbell.speech import find_espeak; find_espeak(progress=print)")
