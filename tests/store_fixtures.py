"""Fixtures for tests on the real store: the same test on SQLite and on PostgreSQL.

Owns a PostgreSQL server per test process, on a free port in a temporary folder, and one migrated
template per kind of database, so that each test's own database is a quick copy.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from crm_store.database import Database
from crm_store.jobs import Subscribers
from crm_store.migrations import migrate

DatabaseOpener = Callable[..., Database]
T = TypeVar("T")


def postgresql_programs() -> Path:
    """The folder with initdb and postgres, version 15 or newer. Fails the test if there is none."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if found and int(found[-1].parts[-3]) >= 15:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    pytest.fail("there is no PostgreSQL here: apt-get install postgresql-15 (or `make test`)")


class PostgresqlServer:
    """A throw-away server on loopback. Its data are not worth a sync to disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = postgresql_programs()
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        self._folder.chmod(0o755)
        data = self._folder / "data"
        data.mkdir(mode=0o700)
        if self._user is not None:
            shutil.chown(data, self._user)
            shutil.chown(self._folder, self._user)
        self._run(
            "initdb",
            "--pgdata",
            str(data),
            "--username=deskbell",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(self._programs / "postgres"),
                    "-D",
                    str(data),
                    "-p",
                    str(self.port),
                    "-k",
                    "",
                    "-h",
                    "127.0.0.1",
                    "-c",
                    "fsync=off",
                    "-c",
                    "full_page_writes=off",
                    "-c",
                    "synchronous_commit=off",
                    "-c",
                    "max_connections=100",
                    "-c",
                    "shared_buffers=64MB",
                ],
                user=self._user,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
            )

    def stop(self) -> None:
        if self._process is not None:
            # PostgreSQL's immediate shutdown: there is nothing here to keep.
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=30)

    async def wait_until_ready(self) -> None:
        assert self._process is not None
        while True:
            try:
                connection = await asyncpg.connect(self.url("postgres"))
            except (OSError, asyncpg.PostgresError):
                if self._process.poll() is not None:
                    pytest.fail(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return

    def url(self, name: str) -> str:
        return f"postgresql://deskbell@127.0.0.1:{self.port}/{name}"

    async def create_database(self, template: str = "template0") -> str:
        """A new database's URL, a copy of `template`."""
        self._databases += 1
        name = f"test_{self._databases}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @property
    def _user(self) -> str | None:
        # PostgreSQL refuses to run as root.
        if os.getuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                pwd.getpwnam(name)
            except KeyError:
                continue
            return name
        pytest.fail("PostgreSQL does not run as root and there is no user to run it as")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            user=self._user,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{program} failed:\n{done.stdout}{done.stderr}")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One server per test process, with a migrated database to copy from."""
    with tempfile.TemporaryDirectory(prefix="deskbell-pg-") as folder:
        server = PostgresqlServer(Path(folder))
        server.start()
        try:
            run_apart(_prepare(server))
            yield server
        finally:
            server.stop()


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, run on a loop of its own: a fixture may be asked for from any loop."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _prepare(server: PostgresqlServer) -> None:
    await server.wait_until_ready()
    await server.execute("CREATE DATABASE migrated")
    await migrate(server.url("migrated"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "template.db"
    run_apart(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated and empty database of the test's own, on each kind in turn."""
    if request.param == "sqlite":
        return _copy_of(request.getfixturevalue("sqlite_template"), tmp_path)
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    return run_apart(server.create_database("migrated"))


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated and empty SQLite database, for tests that are about something else."""
    return _copy_of(sqlite_template, tmp_path)


def _copy_of(template: Path, folder: Path) -> str:
    path = folder / "deskbell.db"
    shutil.copy(template, path)
    return f"sqlite:///{path}"


@pytest.fixture
async def open_database(database_url: str) -> AsyncIterator[DatabaseOpener]:
    """Opens the test's database, with the subscribers given; may be called several times."""
    opened: list[Database] = []

    def open_one(subscribers: Subscribers | None = None, *, patience_s: float = 60.0) -> Database:
        opened.append(Database(database_url, subscribers, patience_s=patience_s))
        return opened[-1]

    yield open_one
    for database in opened:
        await database.close()


@pytest.fixture
async def database(open_database: DatabaseOpener) -> Database:
    """An open store, on each kind of database in turn."""
    return open_database()


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[Database]:
    """An open store on SQLite only, for tests that are about something else."""
    opened = Database(sqlite_url, patience_s=60.0)
    yield opened
    await opened.close()
