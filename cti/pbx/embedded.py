"""The embedded PBX: an Asterisk of our own as a child process, from finding it to stopping it.

Owns the program (installed, or unpacked from Debian's package without root), the private folder,
the ports, the process and its log. Refuses to know what flows over AMI and who the agents are; what
the PBX is told stands in cti.pbx.configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import random
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from cti.pbx.asterisk_program import (
    AsteriskProgram,
    PbxFailed,
    default_cache,
    find_asterisk,
    free_port,
    is_free,
)
from cti.pbx.configuration import (
    AMI_USER,
    ARI_USER,
    HTTP_ADDRESS,
    BadConfiguration,
    MailboxConfig,
    MenuConfig,
    PbxConfiguration,
    PhoneConfig,
    PhoneMenusConfig,
    Place,
    QueueConfig,
    Secrets,
    media_address,
    render,
)
from cti.pbx.hold_music import write_hold_music

__all__ = [
    "AsteriskProgram",
    "BadConfiguration",
    "EmbeddedPbx",
    "MailboxConfig",
    "MenuConfig",
    "PbxConfiguration",
    "PbxFailed",
    "PbxSettings",
    "PhoneConfig",
    "PhoneMenusConfig",
    "QueueConfig",
    "default_cache",
    "find_asterisk",
    "free_port",
]

log = logging.getLogger(__name__)
asterisk_log = logging.getLogger("asterisk")

BOOT_SECONDS = 60.0
LONGEST_LOG_LINE = 500
STOP_SECONDS = 5.0
# A Unix socket's path has at most 107 bytes.
LONGEST_RUN_FOLDER = 107 - len("/asterisk.ctl")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxSettings:
    """Where and how the embedded PBX runs. A port of 0 means: a free one.

    `folder` is made, mode 0700, and keeps the secrets and voicemail over restarts. `cache` holds
    the unpacked Asterisk (None: default_cache()).
    """

    folder: Path
    configuration: PbxConfiguration = field(default_factory=PbxConfiguration)
    cache: Path | None = None
    bind_address: str = "127.0.0.1"
    sip_port: int = 0
    ami_port: int = 0
    http_port: int = 0
    rtp_first: int = 0
    rtp_ports: int = 2_000
    longest_backoff: float = 30.0


class EmbeddedPbx:
    """An Asterisk that runs while the `async with` block does, and is started again if it dies.

    Ports and secrets stay the same over restarts. `restarts` counts them.
    """

    def __init__(
        self,
        settings: PbxSettings,
        program: AsteriskProgram | None = None,
        progress: Callable[[str], None] = log.info,
    ) -> None:
        self.settings = settings
        self.configuration = settings.configuration
        self.restarts = 0
        self.booted = asyncio.Event()
        self._program = program
        self._progress = progress
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._log_reader: asyncio.Task[None] | None = None
        self._stopping = False
        self._own_run_folder: Path | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def ami_host(self) -> str:
        return self.settings.bind_address

    @property
    def ami_port(self) -> int:
        return self._place.ami_port

    @property
    def ami_user(self) -> str:
        return AMI_USER

    @property
    def ami_secret(self) -> str:
        return self._secrets.ami

    @property
    def ari_user(self) -> str:
        return ARI_USER

    @property
    def ari_secret(self) -> str:
        return self._secrets.ari

    @property
    def sip_address(self) -> str:
        return self.settings.bind_address

    @property
    def sip_port(self) -> int:
        return self._place.sip_port

    @property
    def http_port(self) -> int:
        """HTTP: ARI at /ari, SIP over WebSocket at /ws."""
        return self._place.http_port

    @property
    def http_url(self) -> str:
        return f"http://{HTTP_ADDRESS}:{self._place.http_port}"

    @property
    def media_address(self) -> str:
        """The address that sound is sent from and to; "" if Asterisk chooses."""
        return media_address(self.settings.bind_address)

    @property
    def trunk_address(self) -> str:
        """The address the telephone network must send from."""
        return self.configuration.trunk_address

    @property
    def trunk_port(self) -> int:
        """Where outbound calls are sent to, at trunk_address."""
        return self.configuration.trunk_port

    @property
    def version(self) -> tuple[int, ...]:
        assert self._program is not None
        return self._program.version

    @property
    def pid(self) -> int | None:
        """The Asterisk process now, None between a death and the next start."""
        return self._process.pid if self._process else None

    @property
    def folder(self) -> Path:
        return self.settings.folder

    def phone_account(self, extension: str) -> tuple[str, str]:
        """SIP user name and secret of an agent's phone. KeyError if there is no such phone."""
        if extension not in {phone.extension for phone in self.configuration.phones}:
            raise KeyError(extension)
        return extension, self._secrets.phone(extension)

    def desk_phone_secret(self, extension: str) -> str:
        """The secret of a desk phone's account, whether it stands in pjsip.conf or is given."""
        return self._secrets.phone(extension)

    async def start(self) -> None:
        """Find Asterisk, render, start, and return when it is fully booted. Raises PbxFailed."""
        if self._program is None:
            self._program = await asyncio.to_thread(
                find_asterisk, self.settings.cache, self._progress
            )
        self._prepare()
        await self._launch()
        try:
            await self._wait_booted()
        finally:
            self._supervisor = asyncio.create_task(self._supervise(), name="asterisk supervisor")

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns when nothing is left."""
        self._stopping = True
        if self._supervisor:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        await self._end_process()
        if self._own_run_folder:
            shutil.rmtree(self._own_run_folder, ignore_errors=True)

    async def kill(self) -> None:
        """SIGKILL, for fault tests: the supervisor starts it again. Returns when it is dead."""
        process = self._process
        if process:
            self.booted.clear()
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def console(self, command: str) -> str:
        """What Asterisk's console answers to `command`. Raises PbxFailed."""
        assert self._program is not None
        process = await asyncio.create_subprocess_exec(
            *self._program.command,
            "-C",
            str(self.folder / "etc/asterisk.conf"),
            "-rx",
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        text = output.decode("utf-8", "replace")
        if process.returncode:
            raise PbxFailed(f"the console did not answer: {text.strip()[-300:]}")
        return text

    async def reload(self, queues: Sequence[QueueConfig], phones: Sequence[PhoneConfig]) -> None:
        """Take other queues and phones while calls go on."""
        self.configuration = replace(self.configuration, queues=queues, phones=phones)
        self._render()
        for command in (
            "module reload res_pjsip.so",
            "module reload app_voicemail.so",
            "queue reload all",
            "dialplan reload",
        ):
            await self.console(command)

    def _prepare(self) -> None:
        assert self._program is not None
        settings, folder = self.settings, self.settings.folder.absolute()
        if re.search(r"[;\x00-\x1f]", str(folder)):
            raise PbxFailed(f"the folder {str(folder)!r} has a ';' in its name: choose another")
        self.settings = settings = replace(settings, folder=folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        spools = ("spool/fax", "spool/fax-out", "spool/messages")
        for name in ("etc", "lib/keys", *spools, "log", "run"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        run_folder = folder / "run"
        if len(os.fsencode(run_folder)) > LONGEST_RUN_FOLDER:
            self._own_run_folder = run_folder = Path(tempfile.mkdtemp(prefix="deskbell-"))
        if self._program.data_folder:
            _link_data(self._program.data_folder, folder / "data")
        music = folder / "music"
        music.mkdir(exist_ok=True)
        if not any(music.iterdir()):
            write_hold_music(music / "deskbell.wav")
        self._secrets = Secrets(folder / "secrets.json")
        address = settings.bind_address
        if not self.configuration.trunk_port:
            trunk_port = free_port(self.configuration.trunk_address, socket.SOCK_DGRAM)
            self.configuration = replace(self.configuration, trunk_port=trunk_port)
        first = settings.rtp_first or random.randrange(33_000, 60_000, 200)  # noqa: S311
        self._place = Place(
            folder=folder,
            run_folder=run_folder,
            module_folder=str(self._program.module_folder or ""),
            log_pipe="console",
            bind_address=address,
            sip_port=settings.sip_port or free_port(address, socket.SOCK_DGRAM),
            ami_port=settings.ami_port or free_port(address),
            http_port=settings.http_port or free_port(HTTP_ADDRESS),
            rtp_first=first,
            rtp_last=min(first + settings.rtp_ports - 1, 65_535),
        )
        for what, host, port, kind in (
            ("SIP", address, self._place.sip_port, socket.SOCK_DGRAM),
            ("AMI", address, self._place.ami_port, socket.SOCK_STREAM),
            ("HTTP", HTTP_ADDRESS, self._place.http_port, socket.SOCK_STREAM),
        ):
            if not is_free(host, port, kind):
                raise PbxFailed(
                    f"{what} port {port} on {host} is taken: set another, or 0 for a free one"
                )

    def _render(self) -> None:
        assert self._program is not None
        render(
            self.configuration,
            self.folder / "etc",
            self._secrets,
            self._program.version,
            self._place,
        )

    async def _launch(self) -> None:
        assert self._program is not None
        self._render()
        with contextlib.suppress(OSError):
            (self._place.run_folder / "asterisk.ctl").unlink()
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        self._process = await asyncio.create_subprocess_exec(
            *self._program.command,
            "-f",
            "-C",
            str(self.folder / "etc/asterisk.conf"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        assert self._process.stdout is not None
        self._log_reader = asyncio.create_task(
            _forward_log(self._process.stdout), name="asterisk log"
        )

    async def _wait_booted(self) -> None:
        try:
            async with asyncio.timeout(BOOT_SECONDS):
                while True:
                    assert self._process is not None
                    if self._process.returncode is not None:
                        raise PbxFailed(
                            f"Asterisk ended with {self._process.returncode} while starting; "
                            "its last words are in the log above"
                        )
                    if (self._place.run_folder / "asterisk.ctl").exists():
                        with contextlib.suppress(PbxFailed):
                            answer = await self.console("core waitfullybooted")
                            if "fully booted" in answer:
                                break
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise PbxFailed(f"Asterisk was not booted after {BOOT_SECONDS:.0f} s") from None
        self.booted.set()
        log.info(
            "Asterisk %s is up, SIP on port %d", ".".join(map(str, self.version)), self.sip_port
        )

    async def _supervise(self) -> None:
        backoff = 0.2
        while True:
            assert self._process is not None
            code = await self._process.wait()
            self.booted.clear()
            log.error("Asterisk died (%s); starting it again", code)
            await self._end_process()
            while not self.booted.is_set():
                await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311
                self.restarts += 1
                try:
                    await self._launch()
                    await self._wait_booted()
                except (PbxFailed, OSError) as error:
                    backoff = min(backoff * 2, self.settings.longest_backoff)
                    log.error("Asterisk did not start: %s; again in %.1f s", error, backoff)
                    await self._end_process()
                else:
                    backoff = 0.2

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        self.booted.clear()
        if process:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, sign)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), STOP_SECONDS)
                    break
            # The group's last member may be a child of Asterisk's own (mpg123, an AGI script).
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        if self._log_reader:
            self._log_reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._log_reader
            self._log_reader = None


def _link_data(data: Path, folder: Path) -> None:
    """Make `folder` look like an installed Asterisk's data: Debian's own set-up did not run."""
    folder.mkdir(exist_ok=True)
    (folder / "sounds").mkdir(exist_ok=True)
    english = next(iter(sorted((data / "sounds").glob("en_*"))), data / "sounds")
    links = {entry.name: entry for entry in data.iterdir() if entry.name != "sounds"}
    for name, target in {**links, "sounds/en": english}.items():
        link = folder / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(target)


_LEVELS = {"ERROR": logging.ERROR, "WARNING": logging.WARNING, "NOTICE": logging.INFO}


async def _forward_log(stream: asyncio.StreamReader) -> None:
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue  # a line longer than the reader's limit: its rest follows as lines
        if not line:
            return
        text = readable(line.decode("utf-8", "replace"))
        level = next((_LEVELS[word] for word in _LEVELS if f"{word}[" in text), logging.DEBUG)
        if text:
            asterisk_log.log(level, "%s", text)


def readable(line: str) -> str:
    """A line of Asterisk's log without colours, callers' names and numbers, and of bounded length.

    Digits that are times, threads and lines of code stay.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", line[:LONGEST_LOG_LINE]).rstrip()
    text = re.sub(r"(CallerID Name ').*?('(?= for number)|$)", r"\1…\2", text)
    text = re.sub(r"\+?\d{8,}", "…", text)
    return text if len(line) <= LONGEST_LOG_LINE else f"{text} … ({len(line)} characters)"
