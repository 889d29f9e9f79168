"""The demo as other commands find it: var/demo/demo.json, readable by its owner only.

Owns where that file is, what stands in it, and whether its demo still runs (it holds a lock while
it does). Starts and stops nothing.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import orjson

from deskbell.failure import CommandFailed

_CHECKOUT = Path(__file__).resolve().parents[1]
DEMO_FOLDER = (_CHECKOUT if (_CHECKOUT / "bootstrap.py").exists() else Path.cwd()) / "var/demo"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in. `phone_secret` is the SIP secret of the phone at `extension`."""

    login: str
    name: str
    role: str
    password: str
    extension: str = ""
    phone_secret: str = ""
    queues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo's parts are reached, and who may use them. `outside_url` is the page of the
    customer's side (deskbell/outside)."""

    pid: int
    url: str
    config: str
    sip_address: str
    sip_port: int
    trunk_address: str
    trunk_port: int
    http_port: int
    mail_address: str = ""
    mail_port: int = 0
    sms_number: str = ""
    outside_url: str = ""
    people: tuple[Person, ...] = field(default=())

    def person(self, login: str) -> Person:
        """Raises CommandFailed for an unknown login or extension."""
        for person in self.people:
            if login in (person.login, person.extension):
                return person
        known = ", ".join(person.login for person in self.people)
        raise CommandFailed(f"the demo has no {login!r}; there are {known}")

    def supervisor(self) -> Person:
        return next(person for person in self.people if person.role == "supervisor")


def write(demo: Demo, folder: Path) -> Path:
    """Keep the demo's data for other commands; whole or not at all, mode 0600."""
    file = folder / "demo.json"
    fresh = folder / ".demo.json.new"
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as writer:
        writer.write(orjson.dumps(asdict(demo), option=orjson.OPT_INDENT_2))
    fresh.replace(file)
    return file


def read(folder: Path = DEMO_FOLDER) -> Demo | None:
    """What the last demo here wrote, running or not; None if there is nothing readable."""
    try:
        values: dict[str, Any] = orjson.loads((folder / "demo.json").read_bytes())
        people = [
            Person(**{**person, "queues": tuple(person["queues"])})
            for person in values.pop("people")
        ]
        return Demo(**values, people=tuple(people))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running(folder: Path = DEMO_FOLDER) -> Demo:
    """The demo that runs now. Raises CommandFailed with what to do if there is none."""
    demo = read(folder)
    if demo is None or not is_running(folder):
        raise CommandFailed("no demo is running here; start one in another terminal: make demo")
    return demo


def is_running(folder: Path = DEMO_FOLDER) -> bool:
    if not folder.is_dir():
        return False
    lock = hold(folder)
    if lock is None:
        return True
    lock.close()
    return False


def hold(folder: Path) -> TextIO | None:
    """The demo's lock, held until the file is closed or the process ends; None if it is taken."""
    lock = (folder / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
