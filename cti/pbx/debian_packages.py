"""Debian packages with all that they depend on, unpacked into a folder without root.

Owns a private run of apt (its own state, cache and sources, nothing installed, nothing of the
machine's touched) and the unpacking. Refuses to know what the packages are for. Standard library
only: it also serves before there is a virtual environment. Where the packages come from and which
keys sign them is read from the machine's own apt configuration.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str], None]

OS_RELEASE = Path("/etc/os-release")
APT_FOLDER = Path("/etc/apt")
KEYRINGS = Path("/usr/share/keyrings")
# What Debian's base-files would have made of the folder.
USR_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
NOT_UNPACKED = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*")
_SUITES_OF_DEBIAN = {"oldstable", "stable", "testing", "unstable", "sid"}


class UnpackFailed(Exception):
    """The packages could not be fetched or unpacked. The text says what to do."""


@dataclass(frozen=True)
class Source:
    """One place that packages come from, as /etc/apt writes it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: str = ""

    def lines(self) -> list[str]:
        options = f"[{self.options}] " if self.options else ""
        return [
            f"deb {options}{self.uri} {suite} {' '.join(self.components)}" for suite in self.suites
        ]


def ensure(packages: Sequence[str], folder: Path, progress: Progress, suite: str = "") -> None:
    """Have `packages` unpacked in `folder`; returns at once when they are there already.

    `suite` as in `unpack`. Raises UnpackFailed.
    """
    wanted = " ".join(packages)
    stamp = folder / ".deskbell-packages"
    if stamp.exists() and stamp.read_text().strip() == wanted:
        return
    unpack(packages, suite, folder, progress)


def unpack(packages: Sequence[str], suite: str, folder: Path, progress: Progress) -> None:
    """Unpack `packages` and all that they depend on into `folder`, whole or not at all.

    `suite` "" means: the machine's own suites if they have the first package, else Debian's sid.
    Two at once wait for each other. An older `folder` is replaced. Raises UnpackFailed.
    """
    for tool in ("apt-get", "apt-cache", "dpkg-deb", "tar"):
        if not shutil.which(tool):
            raise UnpackFailed(
                f"{tool} is missing, so {packages[0]} cannot be fetched: "
                f"install {packages[0]} with this system's own package manager"
            )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(folder.with_name(f".{folder.name}.lock"), progress):
        stamp = folder / ".deskbell-packages"
        wanted = " ".join(packages)
        if stamp.exists() and stamp.read_text().strip() == wanted:
            return
        for leftover in folder.parent.glob(f".{folder.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
        try:
            apt = _PrivateApt(partial / "apt", progress)
            archives = apt.download(packages, suite)
            root = partial / "root"
            _unpack_all(archives, root, progress)
            (root / ".deskbell-packages").write_text(wanted + "\n")
            if folder.exists():
                folder.rename(partial / "old")
            root.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def command_of(root: Path, program: str) -> tuple[str, ...]:
    """How to run `program` (a path within `root`) with the loader and libraries of `root`.

    Raises UnpackFailed when root is not a folder that `unpack` made.
    """
    loaders = sorted((root / "usr").glob("lib*/ld-linux*.so.*"))
    libraries = sorted((root / "usr/lib").glob("*-linux-gnu*"))
    if not loaders or not libraries or not (root / program).exists():
        raise UnpackFailed(f"{root} holds no {program}: remove that folder and start again")
    # Programs keep private libraries in a folder of their own name.
    name = Path(program).name
    search = ":".join(f"{folder}:{folder}/{name}" for folder in libraries)
    return (str(loaders[0]), "--library-path", search, str(root / program))


@contextlib.contextmanager
def _only_one(lock: Path, progress: Progress) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"another process is unpacking {lock.name[1:-5]}: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def machine_sources(apt_folder: Path = APT_FOLDER, codename: str | None = None) -> list[Source]:
    """The distribution's own sources as this machine is configured; third parties' are left out."""
    if codename is None:
        codename = _os_release().get("VERSION_CODENAME", "")
    found: list[Source] = []
    files = [apt_folder / "sources.list", *sorted(apt_folder.glob("sources.list.d/*"))]
    for file in files:
        if file.suffix == ".list" and file.is_file():
            found += _one_line_sources(file.read_text(errors="replace"))
        elif file.suffix == ".sources" and file.is_file():
            found += _deb822_sources(file.read_text(errors="replace"))
    ours = {codename, *_SUITES_OF_DEBIAN} - {""}
    return [
        source
        for source in found
        if "main" in source.components
        and any(suite in ours or suite.split("-")[0] in ours for suite in source.suites)
    ]


def _one_line_sources(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        entry = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if entry:
            options, uri, suite, components = entry.groups(default="")
            yield Source(uri, (suite,), tuple(components.split()), options.strip())


def _deb822_sources(text: str) -> Iterator[Source]:
    text = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            name.lower(): " ".join(value.split())
            for name, value in re.findall(r"^([A-Za-z-]+):((?:.*\n?(?:[ \t].*\n?)*))", stanza, re.M)
        }
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        signed_by = fields.get("signed-by", "")
        options = f"signed-by={signed_by}" if signed_by.startswith("/") else ""
        for uri in fields.get("uris", "").split():
            yield Source(
                uri,
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                options,
            )


def _os_release() -> dict[str, str]:
    try:
        text = OS_RELEASE.read_text()
    except OSError:
        return {}
    return {
        name: value.strip().strip('"')
        for name, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)
    }


def _sources_of_suite(suite: str) -> list[Source]:
    """The machine's own mirror, with another suite of the same distribution."""
    for source in machine_sources():
        if "security" in source.uri or any("security" in name for name in source.suites):
            continue
        keyring = KEYRINGS / "debian-archive-keyring.gpg"
        options = source.options or (f"signed-by={keyring}" if keyring.exists() else "")
        return [Source(source.uri, (suite,), ("main",), options)]
    raise UnpackFailed(
        f"no mirror of this distribution is configured in {APT_FOLDER}: add one, "
        "or install the package with this system's own package manager"
    )


class _PrivateApt:
    """apt with its state, cache and sources in one folder of ours."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        for name in ("lists/partial", "archives/partial", "etc", "log"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "apt.conf").write_text(self._configuration(), encoding="utf-8")

    def _configuration(self) -> str:
        machine = self._run_plain(["apt-config", "dump"])
        # The machine's proxies, and nothing of its hooks.
        kept = re.findall(r"^Acquire::(?:[a-z]+::|Retries|Proxy).*$", machine, re.MULTILINE)
        folder = str(self._folder)
        return "\n".join(
            [
                *kept,
                'Dir::Etc::parts "/dev/null";',
                f'Dir::State "{folder}";',
                f'Dir::State::status "{folder}/status";',
                f'Dir::State::lists "{folder}/lists";',
                f'Dir::State::extended_states "{folder}/extended_states";',
                f'Dir::Cache "{folder}";',
                f'Dir::Cache::archives "{folder}/archives";',
                f'Dir::Etc::sourcelist "{folder}/etc/sources.list";',
                'Dir::Etc::sourceparts "/dev/null";',
                f'Dir::Etc::preferencesparts "{folder}/etc";',
                f'Dir::Log "{folder}/log";',
                'APT::Sandbox::User "root";',
                'APT::Install-Recommends "false";',
                'APT::Install-Suggests "false";',
                'Acquire::Languages "none";',
                'Acquire::Retries "3";',
                "",
            ]
        )

    def download(self, packages: Sequence[str], suite: str) -> list[Path]:
        if suite:
            self._update(_sources_of_suite(suite), suite)
        elif _os_release().get("ID") == "debian":
            # Debian's stable suites have no Asterisk; ask what this machine already knows.
            known = self._run_plain(["apt-cache", "policy", packages[0]])
            if re.search(r"Candidate: (?!\(none\))", known):
                self._update(machine_sources(), "this machine's own suites")
            else:
                self._update(_sources_of_suite("sid"), "sid")
        else:
            self._update(machine_sources(), "this machine's own suites")
        self._progress(f"fetching {', '.join(packages)} and what they need")
        self._run("apt-get", "--yes", "--download-only", "install", *packages)
        archives = sorted((self._folder / "archives").glob("*.deb"))
        if not archives:
            raise UnpackFailed(f"apt fetched nothing for {', '.join(packages)}")
        return archives

    def _update(self, sources: list[Source], what: str) -> None:
        if not sources:
            raise UnpackFailed(f"no package source of this distribution stands in {APT_FOLDER}")
        lines = [line for source in sources for line in source.lines()]
        (self._folder / "etc/sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._progress(f"reading the package lists of {what}")
        try:
            self._run("apt-get", "update")
        except UnpackFailed as error:
            if "expired" not in str(error) and "not valid" not in str(error):
                raise
            self._progress(
                f"warning: the package lists of {what} are past their date (a stale mirror, or "
                "this machine's clock); going on with them, signatures are still checked"
            )
            self._run("apt-get", "-o", "Acquire::Check-Valid-Until=false", "update")

    def _run(self, *command: str) -> str:
        environment = {**os.environ, "APT_CONFIG": str(self._folder / "apt.conf"), "LC_ALL": "C"}
        result = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        errors = [line for line in result.stdout.splitlines() if line.startswith("E:")]
        if result.returncode:
            said = " ".join(errors) or result.stdout.strip()[-500:]
            raise UnpackFailed(f"{' '.join(command[:2])} failed: {said}")
        return result.stdout

    @staticmethod
    def _run_plain(command: list[str]) -> str:
        return subprocess.run(
            command,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        ).stdout


def _unpack_all(archives: Sequence[Path], root: Path, progress: Progress) -> None:
    root.mkdir(parents=True)
    for name in USR_MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    progress(f"unpacking {len(archives)} packages")
    begun = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done in [pool.submit(_unpack_one, archive, root) for archive in archives]:
            done.result()
    progress(f"unpacked in {time.monotonic() - begun:.1f} s")


def _unpack_one(archive: Path, root: Path) -> None:
    # dpkg-deb -x would turn the usr-merge links into folders; tar can be told to keep them.
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(archive)],  # noqa: S607 - found on PATH before
        stdout=subprocess.PIPE,
    ) as reader:
        writer = subprocess.run(
            [  # noqa: S607
                "tar",
                "--extract",
                "--keep-directory-symlink",
                "--no-same-owner",
                "--no-same-permissions",
                *(f"--exclude={pattern}" for pattern in NOT_UNPACKED),
                "--directory",
                str(root),
            ],
            stdin=reader.stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    if reader.returncode or writer.returncode:
        raise UnpackFailed(
            f"{archive.name} could not be unpacked: {writer.stderr.strip()[-300:] or 'damaged'} "
            f"(is the disk full? {shutil.disk_usage(root).free // 2**20} MB are free)"
        )
