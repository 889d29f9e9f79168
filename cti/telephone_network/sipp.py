"""One SIPp process: its scenario, its message trace as it happens, and steering it.

Owns the process and the trace's format. Refuses to know what a call is. SIPp plays a fixed
scenario; to steer it, we send it requests of our own invention (XANSWER, XBYE, ...) that belong to
the call by their Call-ID, and on which the scenario branches.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path

import jinja2

from cti.pbx import debian_packages
from cti.pbx.asterisk_program import free_port

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_FATAL = {254, 255}
"""SIPp's exit codes when it placed no call; 0 and 1 tell how its calls went."""
_PORT_TAKEN = "Address already in use"
_TRIES = 5
# As SIPp 3.6 and 3.7 write it: `(163 bytes):` for sent, `[163] bytes :` for received.
_HEAD = re.compile(
    rb"-{20,} (\d{4}-\d\d-\d\d[ \t]\d\d:\d\d:\d\d\.\d+)[^\n]*\n"
    rb"\w+ message (sent|received) [\[(](\d+)[^\n]*\n\n"
)


class SippFailed(Exception):
    """SIPp could not be found or started. The text says what to do."""


@dataclass(frozen=True, slots=True)
class SippProgram:
    command: tuple[str, ...]


def find_sipp(cache: Path, progress: Callable[[str], None]) -> SippProgram:
    """A `sipp` on PATH, else Debian's sip-tester unpacked into `cache`. Raises SippFailed."""
    on_path = shutil.which("sipp")
    if on_path:
        return SippProgram((on_path,))
    root = cache / "sip-tester"
    try:
        debian_packages.ensure(["sip-tester"], root, progress)
    except debian_packages.UnpackFailed as error:
        raise SippFailed(str(error)) from error
    return SippProgram(debian_packages.command_of(root, "usr/bin/sipp"))


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A SIP message SIPp sent or received; `at` is monotonic time in seconds."""

    at: float
    sent: bool
    text: str

    @property
    def first_line(self) -> str:
        return self.text.partition("\r\n")[0].strip()

    @property
    def method(self) -> str:
        """The request's method, "" for a response."""
        word = self.first_line.partition(" ")[0]
        return "" if word.startswith("SIP/") else word

    @property
    def code(self) -> int:
        """The response's code, 0 for a request."""
        found = re.match(r"SIP/2\.0 (\d{3})", self.first_line)
        return int(found[1]) if found else 0

    def header(self, name: str) -> str:
        found = re.search(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*?)\r?$", self.text, re.M | re.I)
        return found[1] if found else ""

    @property
    def call_id(self) -> str:
        return self.header("Call-ID")

    @property
    def asked(self) -> str:
        """The method this message is about, from CSeq."""
        return self.header("CSeq").rpartition(" ")[2]

    @property
    def sound_at(self) -> tuple[str, int] | None:
        """Address and port of the sender's sound, if the message has a session description."""
        address = re.search(r"^c=IN IP[46] (\S+)", self.text, re.M)
        port = re.search(r"^m=audio (\d+)", self.text, re.M)
        return (address[1], int(port[1])) if address and port else None


def render_scenario(name: str, values: dict[str, object]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda file: (resources.files("cti.telephone_network") / "scenarios" / file).read_text(
                "utf-8"
            )
        ),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - SIP in CDATA; the callers check what goes in
    )
    return environment.get_template(f"{name}.xml.j2").render(values)


class TraceReader(asyncio.Protocol):
    """Cuts SIPp's message trace into messages. Bytes in, `on_message` calls out."""

    def __init__(self, on_message: Callable[[SipMessage], None]) -> None:
        self._on_message = on_message
        self._buffer = b""
        self._offset = time.time() - time.monotonic()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head = _HEAD.search(self._buffer)
            if not head:
                return
            end = head.end() + int(head[3])
            if len(self._buffer) < end:
                return
            stamp = re.sub(r"\s+", " ", head[1].decode())
            at = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f").timestamp()  # noqa: DTZ007
            text = self._buffer[head.end() : end].decode("utf-8", "replace")
            self._buffer = self._buffer[end:]
            self._on_message(SipMessage(at - self._offset, head[2] == b"sent", text))


class Sipp:
    """A running SIPp. `port` is its SIP port; `on_message` hears each message as it happens."""

    def __init__(
        self, program: SippProgram, folder: Path, address: str, remote: tuple[str, int]
    ) -> None:
        self.address = address
        self.remote = remote
        self.port = 0
        self.ended = asyncio.Event()
        self._program = program
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._steering: socket.socket | None = None

    async def start(
        self,
        scenario: str,
        on_message: Callable[[SipMessage], None],
        port: int = 0,
        arguments: Sequence[str] = (),
        traced: bool = True,
    ) -> None:
        """Start with `scenario` (XML) on `port`, or on a free one; returns when it hears there.

        Without `traced`, `on_message` hears nothing: for crowds, whose trace would cost more than
        their calls. Raises SippFailed when it does not start.
        """
        for _ in range(_TRIES):
            self.port = port or free_port(self.address, socket.SOCK_DGRAM)
            await self._spawn(scenario, on_message, arguments, traced)
            while not self.ended.is_set() and not self._hears():  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
            if self.exit_code not in _FATAL:
                return
            # Between our choice of a free port and SIPp's taking it, another may be quicker.
            if port or _PORT_TAKEN not in self.complaints():
                break
        raise SippFailed(f"SIPp ended with {self.exit_code}: {self.complaints()}")

    async def _spawn(
        self,
        scenario: str,
        on_message: Callable[[SipMessage], None],
        arguments: Sequence[str],
        traced: bool,
    ) -> None:
        self.ended.clear()
        name = f"{self.address}-{self.port}-{time.monotonic_ns()}"
        file = self._folder / f"{name}.xml"
        _write_private(file, scenario)
        reading, writing = os.pipe()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: TraceReader(on_message), os.fdopen(reading, "rb"))
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        command = [*self._program.command, f"{self.remote[0]}:{self.remote[1]}"]
        command += ["-sf", str(file), "-i", self.address, "-p", str(self.port)]
        command += ["-rsa", f"{self.remote[0]}:{self.remote[1]}", "-nostdin", "-skip_rlimit"]
        command += ["-default_behaviors", "all,-abortunexp", *arguments]
        if traced:
            command += ["-trace_msg", "-message_file", f"/dev/fd/{writing}"]
        self._errors = self._folder / f"{name}.err"
        with self._errors.open("wb") as errors:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    cwd=self._folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=(writing,),
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                    env={**os.environ, "TERM": "dumb"},
                )
            except OSError as error:
                raise SippFailed(f"{command[0]} does not start: {error}") from error
            finally:
                os.close(writing)
        self._watcher = asyncio.create_task(self._watch(), name="sipp watcher")

    def _hears(self) -> bool:
        """Whether SIPp has its port. Seen in the kernel's list: to try the port is to hold it."""
        assert self._process is not None
        own = Path(f"/proc/{self._process.pid}/fd")
        try:
            held = {str(handle.readlink()) for handle in own.iterdir()}
            sockets = Path("/proc/net/udp6" if ":" in self.address else "/proc/net/udp")
            lines = sockets.read_text("ascii").splitlines()[1:]
        except OSError:  # it ended while we looked
            return False
        return any(
            int(place.rpartition(":")[2], 16) == self.port and f"socket:[{inode}]" in held
            for place, inode in ((line.split()[1], line.split()[9]) for line in lines)
        )

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode if self._process else None

    def complaints(self) -> str:
        """What SIPp wrote to its error output."""
        return self._errors.read_text("utf-8", "replace").strip()

    def steer(self, call_id: str, request: str, number: int = 0, target: str = "") -> None:
        """Make the scenario of call `call_id` branch on `request`."""
        if self._steering is None:
            family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
            self._steering = socket.socket(family, socket.SOCK_DGRAM)
            self._steering.bind((self.address, 0))
        own = f"{self.address}:{self._steering.getsockname()[1]}"
        lines = [
            f"{request} sip:steer@{self.address}:{self.port} SIP/2.0",
            f"Via: SIP/2.0/UDP {own};branch=z9hG4bK-steer-{time.monotonic_ns()}",
            f"From: <sip:steer@{own}>;tag=steer",
            f"To: <sip:steer@{self.address}:{self.port}>",
            f"Call-ID: {call_id}",
            f"CSeq: {max(number, 1)} {request}",
            f"X-Number: {number}",
            f"X-Target: {target}",
            "Content-Length: 0",
        ]
        message = "\r\n".join(lines) + "\r\n\r\n"
        self._steering.sendto(message.encode(), (self.address, self.port))

    async def kill(self) -> None:
        """SIGKILL, as when a phone loses its power; returns when it is dead."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._watcher:
            await self._watcher
        if self._steering:
            self._steering.close()
            self._steering = None

    async def _watch(self) -> None:
        assert self._process is not None
        await self._process.wait()
        self.ended.set()


def _write_private(file: Path, text: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as writer:
        writer.write(text)
