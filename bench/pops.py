"""From the AMI bytes to the pop's frame: the real service between a PBX and a thousand desks.

Owns one run: `deskbell serve` as it is installed, the bench's PBX and its desks, each a process of
its own, and what their reports add up to. Moments are CLOCK_MONOTONIC, which all processes of one
machine share: a call's latency goes from just before the write that holds the agent's Newchannel
to the return of `recv()` with the pop.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench import stores
from bench.stores import QUEUE, Seat, Written, free_port

START_SECONDS = 60.0
CONNECT_SECONDS = 120.0
SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much, and in which manner: `at_once` sends all that comes before the ringing at once.

    With `real_time` the processes go before all others of the machine, as if it were theirs alone.
    """

    recording: Path
    folder: Path
    seconds: float = 65.0
    per_second: float = 100.0
    desks: int = 1_000
    customers: int = 1_000_000
    talk_seconds: float = 4.0
    at_once: bool = False
    real_time: bool = False
    seed: int = 1

    @property
    def calls(self) -> int:
        return round(self.seconds * self.per_second)

    def manner(self, *, at_once: bool) -> Load:
        return replace(self, at_once=at_once)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Latencies in milliseconds, CPU in microseconds a call."""

    database: str
    load: Load
    latencies: Sequence[float]
    lost: int
    wrong: int
    twice: int
    gaps: int
    without_card_first: int
    written: Written
    cpu_us_a_call: float
    cpu_share: float
    measuring_cpu_share: float
    memory_mb: float
    most_live: int
    messages: int
    late: int
    latest_ms: float
    frames: int
    frame_bytes: int
    cores: str

    def percentile(self, percent: float) -> float:
        """The latency that so many of a hundred pops do not exceed; infinite if none came."""
        ordered = sorted(self.latencies)
        if not ordered:
            return float("inf")
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    @property
    def p50(self) -> float:
        return median(self.latencies) if self.latencies else float("inf")

    @property
    def faults(self) -> list[str]:
        """What is lost or wrong; empty when everything arrived and stands written once."""
        calls = self.load.calls
        found = {
            "pops lost": self.lost,
            "pops with a wrong customer or at a wrong desk": self.wrong,
            "pops twice": self.twice,
            "calls without a row, or with two": abs(calls - self.written.calls),
            "calls that are not written as ended and answered": calls - self.written.calls_ended,
            "calls without their customer": calls - self.written.calls_with_customer,
            "interactions lost": calls - self.written.interactions,
        }
        return [f"{count} {what}" for what, count in found.items() if count]


def run(load: Load, url: str, *, command: Sequence[str] = ()) -> Result:
    """One run against the database at `url`; `command` replaces the service's, to profile it."""
    seats = asyncio.run(stores.prepare(url, load.customers, load.desks))
    pbx_name = f"run_{time.time_ns() // 1_000_000}"
    service_cores, other_cores = _cores()
    with (
        _child([sys.executable, "-m", "bench.pbx"], other_cores) as pbx,
        _child([sys.executable, "-m", "bench.desks"], other_cores) as desks,
    ):
        if load.real_time:
            _go_first(pbx.pid, 2)
            _go_first(desks.pid, 1)
        port = free_port()
        _tell(pbx, _pbx_orders(load, seats))
        settings = _write_settings(load.folder, url, pbx_name, port, _hear(pbx)["port"])
        serve = [*(command or [sys.executable, "-m", "deskbell"]), "serve", "-c", str(settings)]
        with _service(serve, service_cores, port, load.folder / "service.log") as service:
            _tell(desks, _desk_orders(load, seats, port, pbx_name))
            _hear(desks, CONNECT_SECONDS)
            if load.real_time:
                _go_first(service.pid, 1)
            time.sleep(SETTLE_SECONDS)
            all_three: tuple[subprocess.Popen[Any], ...] = (service, pbx, desks)
            before = [_cpu_seconds(process) for process in all_three]
            began = time.monotonic()
            _tell(pbx, "go")
            sent = _hear(pbx, load.seconds + 60)
            cpu, *others = (
                _cpu_seconds(process) - earlier
                for process, earlier in zip(all_three, before, strict=True)
            )
            took = time.monotonic() - began
            memory = psutil.Process(service.pid).memory_info().rss / 1e6
            _tell(desks, "stop")
            received = _hear(desks)
            _tell(pbx, "bye")
    cards = received["cards"]
    return Result(
        database="SQLite" if url.startswith("sqlite") else "PostgreSQL",
        load=load,
        latencies=[(cards[call] - moment) / 1e6 for call, moment in sent["sent"].items()
                   if call in cards],
        lost=sum(call not in cards for call in sent["sent"]) + load.calls - len(sent["sent"]),
        written=asyncio.run(stores.take_away(url, pbx_name)),
        cpu_us_a_call=cpu / load.calls * 1e6,
        cpu_share=cpu / took,
        measuring_cpu_share=sum(others) / took,
        memory_mb=memory,
        latest_ms=sent["latest_s"] * 1e3,
        frame_bytes=received["bytes"],
        cores=f"service on core {_named(service_cores)}, all else on {_named(other_cores)}",
        **{name: sent[name] for name in ("most_live", "messages", "late")},
        **{name: received[name] for name in ("wrong", "twice", "gaps", "without_card_first",
                                             "frames")},
    )  # fmt: skip


def _pbx_orders(load: Load, seats: Sequence[Seat]) -> str:
    return json.dumps(
        {
            "recording": str(load.recording),
            "calls": load.calls,
            "per_second": load.per_second,
            "talk_seconds": load.talk_seconds,
            "at_once": load.at_once,
            "queue": QUEUE,
            "seats": [(seat.login, seat.extension) for seat in seats],
            "customers": load.customers,
            "seed": load.seed,
        }
    )


def _desk_orders(load: Load, seats: Sequence[Seat], port: int, pbx: str) -> str:
    return json.dumps(
        {
            "port": port,
            "pbx": pbx,
            "seats": [(seat.login, seat.token) for seat in seats],
            "customers": load.customers,
            "seed": load.seed,
        }
    )


def _write_settings(folder: Path, url: str, pbx: str, desk_port: int, ami_port: int) -> Path:
    file = folder / "deskbell.toml"
    file.write_text(
        f'[desk]\nport = {desk_port}\n\n[store]\nurl = "{url}"\n\n[log]\nlevel = "WARNING"\n\n'
        f'[pbx]\nmode = "external"\nname = "{pbx}"\nami_port = {ami_port}\n'
        'ami_user = "bench"\nami_secret = "bench"\n',
        encoding="utf-8",
    )
    return file


def _cores() -> tuple[set[int], set[int]]:
    """The service's core, and those of all others; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[-1]}, set(usable[:-1] or usable)


def _go_first(pid: int, level: int) -> None:
    """Real-time scheduling for a process, its threads and what they start. Raises PermissionError.

    Who sends or stores for a moment (level 2) goes before who reads for a thousand (level 1).
    """
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        for thread in process.threads():
            os.sched_setscheduler(thread.id, os.SCHED_RR, os.sched_param(level))


def _named(cores: set[int]) -> str:
    return ", ".join(map(str, sorted(cores)))


@contextmanager
def _child(command: Sequence[str], cores: set[int]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    os.sched_setaffinity(process.pid, cores)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _service(
    command: Sequence[str], cores: set[int], port: int, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    os.sched_setaffinity(process.pid, cores)
    try:
        _wait_until_healthy(process, port, log)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the service did not start: see {log}")


def _cpu_seconds(process: subprocess.Popen[Any]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str], within: float = 30.0) -> dict[str, Any]:
    """The next line of that process. Raises TimeoutError or RuntimeError if there is none."""
    assert process.stdout is not None
    # Nobody else waits meanwhile: the bench's own process may block.
    timer = time.monotonic() + within
    os.set_blocking(process.stdout.fileno(), True)
    line = ""
    while not line:
        line = process.stdout.readline()
        if not line and (process.poll() is not None or time.monotonic() > timer):
            raise RuntimeError("a process of the bench ended without its report")
    heard: dict[str, Any] = json.loads(line)
    return heard


def as_row(result: Result) -> dict[str, Any]:
    """The result as plain values, without the single latencies."""
    row = {name: getattr(result, name) for name in Result.__dataclass_fields__}
    row["load"] = asdict(result.load) | {"recording": result.load.recording.name}
    del row["load"]["folder"]
    row["written"] = asdict(result.written)
    del row["latencies"]
    percentiles = {f"p{p:g}": round(result.percentile(p), 3) for p in (50, 90, 99, 99.9, 100)}
    return percentiles | row | {"faults": result.faults}
