"""A whole Deskbell for end-to-end tests: `deskbell serve` as a process of its own.

Owns the service's folder, configuration, ports and sample mall, and the process's start, clean stop
and death. With an `external` PBX the test owns the Asterisk, so that calls outlive the service.
Chromium as a desk is here too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

import aiohttp
import orjson
import psutil
import pytest
import websockets
from playwright.async_api import Browser, Page, async_playwright

from agent_desk.entrance.passwords import hash_password
from agent_desk.live.push_state import PushState
from crm_store.database import Database
from crm_store.migrations import migrate
from crm_store.sample import mall as sample_mall
from crm_store.staff import agents, queues
from cti.ami.link import AmiLink
from cti.pbx.configuration import PhoneMenusConfig, Secrets
from cti.pbx.embedded import EmbeddedPbx, PbxSettings, free_port
from cti.telephone_network.network import SipNetwork, SipPhone
from deskbell.pbx_description import pbx_configuration
from deskbell.settings import PbxSettings as PbxSection
from tests.store_fixtures import PostgresqlServer, run_apart

ALL_SOUNDS = Path(__file__).parents[1] / "var/test-sounds"
SOUNDS = ALL_SOUNDS / os.environ.get("PYTEST_XDIST_WORKER", "main")
"""Where the services of a worker speak their prompts, each once: all of them take a minute."""

PASSWORD = "correct horse battery"
CUSTOMER = sample_mall.WELL_KNOWN_NUMBER
START_SECONDS = 60.0
STOP_SECONDS = 30.0


async def until(condition: Callable[[], bool], within: float = 30.0, what: str = "") -> None:
    """Return when the condition holds. Raises TimeoutError with `what` was waited for."""
    try:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - the condition has no event of its own
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TimeoutError(f"not within {within:g} s: {what or condition}") from None


def lend_sounds(folder: Path) -> None:
    """Link the prompts that any worker's services have spoken into a folder of sounds."""
    for file in ALL_SOUNDS.glob("*/fixed/*/*.wav"):
        link = folder / file.relative_to(file.parents[2])
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            # Another worker may speak, or lend, the same at this moment.
            with contextlib.suppress(FileExistsError):
                link.symlink_to(file.resolve())


async def fill_mall(url: str) -> None:
    """The sample mall, and PASSWORD for everybody in it."""
    await migrate(url)
    database = Database(url)
    try:
        await sample_mall.fill(database)
        kept = hash_password(PASSWORD)
        async with database.transaction() as transaction:
            for agent in await agents.all_agents(database):
                await agents.set_password_hash(transaction, agent.login, kept)
    finally:
        await database.close()


@pytest.fixture(scope="session")
def mall_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the sample mall, to be copied."""
    path = tmp_path_factory.mktemp("mall") / "mall.db"
    run_apart(fill_mall(f"sqlite:///{path}"))
    return path


@pytest.fixture
def mall_url(mall_template: Path, tmp_path: Path) -> str:
    """The sample mall in a SQLite file of the test's own."""
    copy = tmp_path / "deskbell.db"
    shutil.copy(mall_template, copy)
    return f"sqlite:///{copy}"


@pytest.fixture(scope="session")
def postgresql_mall(postgresql_server: PostgresqlServer) -> str:
    """The name of a PostgreSQL database with the sample mall, to be copied."""
    run_apart(postgresql_server.execute("CREATE DATABASE mall"))
    run_apart(fill_mall(postgresql_server.url("mall")))
    return "mall"


@pytest.fixture(params=["sqlite", "postgresql"])
def either_mall_url(request: pytest.FixtureRequest) -> str:
    """The sample mall, on each kind of database in turn."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("mall_url"))
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    return run_apart(server.create_database(request.getfixturevalue("postgresql_mall")))


class PbxOfTheTest(Protocol):
    """An Asterisk that outlives the service, or something that plays one."""

    @property
    def ami_host(self) -> str: ...
    @property
    def ami_port(self) -> int: ...
    @property
    def ami_user(self) -> str: ...
    @property
    def ami_secret(self) -> str: ...
    @property
    def sip_address(self) -> str: ...
    @property
    def sip_port(self) -> int: ...
    @property
    def trunk_address(self) -> str: ...
    @property
    def trunk_port(self) -> int: ...
    def phone_account(self, extension: str) -> tuple[str, str]: ...


@dataclass
class RunningService:
    """`async with RunningService(folder, database_url) as service`.

    With `external` the service uses that PBX, through `ami_port` if a proxy stands between.
    """

    folder: Path
    database_url: str
    external: PbxOfTheTest | None = None
    ami_port: int = 0
    url: str = ""
    sip_address: str = "127.0.0.1"
    sip_port: int = 0
    trunk_address: str = "127.0.0.2"
    trunk_port: int = 0
    starts: int = 0
    process: asyncio.subprocess.Process | None = None
    environment: dict[str, str] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        desk_port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{desk_port}"
        lines = ["[desk]", f"port = {desk_port}", "[store]", f'url = "{self.database_url}"']
        if self.external is None:
            self.sip_port = free_port(self.sip_address, socket.SOCK_DGRAM)
            self.trunk_port = free_port(self.trunk_address, socket.SOCK_DGRAM)
            lines += ["[pbx]", 'folder = "pbx"', f"sip_port = {self.sip_port}"]
            lines += [f"trunk_port = {self.trunk_port}"]
        else:
            self.sip_address, self.sip_port = self.external.sip_address, self.external.sip_port
            self.trunk_address = self.external.trunk_address
            self.trunk_port = self.external.trunk_port
            lines += ["[pbx]", 'mode = "external"', f'ami_host = "{self.external.ami_host}"']
            lines += [f"ami_port = {self.ami_port or self.external.ami_port}"]
            lines += [f'ami_user = "{self.external.ami_user}"']
            lines += [f'ami_secret = "{self.external.ami_secret}"']
            if isinstance(self.external, EmbeddedPbx):  # what only plays a PBX has no ARI
                lines += [f'ari_url = "http://{self.external.ami_host}:{self.external.http_port}"']
                lines += [f'ari_user = "{self.external.ari_user}"']
                lines += [f'ari_secret = "{self.external.ari_secret}"']
                lines += [f'media_address = "{self.external.sip_address}"']
                lines += [f'recordings_folder = "{self.external.folder}/spool/monitor"']
        (self.folder / "deskbell.toml").write_text("\n".join(lines) + "\n")
        try:
            await self.start()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None and self.process.returncode is None:
            await self.stop()

    @property
    def log_file(self) -> Path:
        return self.folder / f"service-{self.starts}.log"

    def log(self) -> str:
        """What the service logged since its last start."""
        return self.log_file.read_text("utf-8", "replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def phone_account(self, extension: str) -> tuple[str, str]:
        """SIP user name and secret of an agent's phone."""
        if self.external is not None:
            return self.external.phone_account(extension)
        return extension, Secrets(self.folder / "pbx/secrets.json").phone(extension)

    def network(self) -> SipNetwork:
        """A telephone network around this service's PBX."""
        return SipNetwork(
            (self.sip_address, self.sip_port),
            self.trunk_address,
            self.trunk_port,
            phone_address=self.sip_address,
        )

    async def phone(self, network: SipNetwork, extension: str, **behaviour: Any) -> SipPhone:
        """Agent `extension`'s phone, registered."""
        return await network.phone(*self.phone_account(extension), **behaviour)

    async def start(self, *, until_linked: bool = True) -> None:
        """Start the process; returns when its desk answers (and its PBX link is up)."""
        self.starts += 1
        await asyncio.to_thread(lend_sounds, SOUNDS)
        with self.log_file.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "deskbell",
                "serve",
                "--config",
                str(self.folder / "deskbell.toml"),
                cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "DESKBELL_MENUS_SOUNDS": str(SOUNDS), **self.environment},
            )
        await self.wait_healthy("pbx_link" if until_linked else "database")

    async def wait_healthy(self, *parts: str, within: float = START_SECONDS) -> None:
        """Wait until /health says that these parts (all, if none is named) are well."""
        deadline = time.monotonic() + within
        async with aiohttp.ClientSession() as http:
            while True:
                assert self.process is not None
                if self.process.returncode is not None:
                    pytest.fail(f"the service ended with {self.process.returncode}:\n{self.log()}")
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
                    timeout = aiohttp.ClientTimeout(total=5)
                    async with http.get(f"{self.url}/health", timeout=timeout) as answer:
                        found = orjson.loads(await answer.read())
                        if all(found[part] for part in parts or found):
                            return
                if time.monotonic() > deadline:
                    pytest.fail(f"the service is not well after {within:g} s:\n{self.log()}")
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """SIGTERM; the service must end by itself, cleanly, and leave no process."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            await self.kill()
            pytest.fail(f"the service did not stop in {STOP_SECONDS:g} s:\n{self.log()}")
        assert code in (0, 130), self.log()
        left = [child for child in children if child.is_running()]
        assert not left, left

    async def kill(self) -> None:
        """kill -9: nothing is said goodbye to."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def sign_in(self, login: str) -> DeskSession:
        """A desk without a browser."""
        desk = DeskSession(self.url, login)
        await desk.open()
        return desk


class DeskSession:
    """A signed-in desk without a browser: the JSON API, and the push with each frame's time."""

    def __init__(self, url: str, login: str) -> None:
        self.url = url
        self.login = login
        self.state = PushState()
        self.frames: list[tuple[float, dict[str, Any]]] = []
        self.csrf_token = ""
        self.cookie = ""
        self._socket: websockets.ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def open(self) -> None:
        """Sign in over HTTP. Fails the test when the desk refuses."""
        wish = {"login": self.login, "password": PASSWORD}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/api/sign-in", json=wish) as answer,
        ):
            assert answer.status == 200, await answer.text()
            self.csrf_token = orjson.loads(await answer.read())["csrf_token"]
            self.cookie = "; ".join(
                f"{name}={morsel.value}" for name, morsel in answer.cookies.items() if morsel.value
            )

    async def post(self, path: str, wish: dict[str, Any]) -> dict[str, Any]:
        """Do something at the API. Fails the test unless it was done."""
        status, said = await self.try_post(path, wish)
        assert status < 300, (status, said)
        return said

    async def try_post(self, path: str, wish: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {"Cookie": self.cookie, "X-CSRF-Token": self.csrf_token}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{self.url}{path}", json=wish) as answer,
        ):
            return answer.status, orjson.loads(await answer.read())

    async def follow(self, *topics: str) -> None:
        """Follow the topics on the push; returns when each has its snapshot."""
        address = self.url.replace("http", "ws", 1) + "/push"
        self._socket = await websockets.connect(
            address,
            additional_headers={"Cookie": self.cookie},
            compression=None,
            proxy=None,
            max_size=None,
        )
        await self._socket.send(orjson.dumps({"subscribe": list(topics)}).decode())
        self._reader = asyncio.create_task(self._read())
        await self.until(lambda: all(topic in self.snapshots for topic in topics))

    @property
    def snapshots(self) -> set[str]:
        return {frame["topic"] for _, frame in self.frames if "snapshot" in frame}

    async def _read(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in self._socket:
                at = time.monotonic()
                frame = orjson.loads(text)
                self.frames.append((at, frame))
                gap = self.state.apply(frame)
                if gap:
                    await self._socket.send(orjson.dumps({"resync": gap}).decode())
                self._news.set()
        self._news.set()

    async def until(self, condition: Callable[[], object], within: float = 30.0) -> None:
        """Wait until `condition()` holds; it is asked after each frame."""
        async with asyncio.timeout(within):
            while not condition():
                if self._reader is not None and self._reader.done():
                    raise ConnectionError(f"the push to {self.login} ended")
                self._news.clear()
                await self._news.wait()

    async def pop(self, fits: Callable[[dict[str, Any]], object], within: float = 30.0) -> float:
        """The time at which the first pop that fits arrived, waiting for it."""

        def found() -> float | None:
            for at, frame in self.frames:
                for key, document in frame.get("set", {}).items():
                    if key.startswith("pop:") and fits(document):
                        return at
            return None

        await self.until(lambda: found() is not None, within)
        at = found()
        assert at is not None
        return at

    async def pop_of(self, call: str) -> None:
        """Wait until the pop of one call has brought a card."""
        await self.pop(lambda pop: f"{pop['pbx']}/{pop['call']}" == call and pop["matches"])

    async def gets(self, key: str) -> None:
        """Wait until a frame has brought the document `key`."""
        await self.until(lambda: any(key in frame.get("set", {}) for _, frame in self.frames))

    @property
    def own(self) -> dict[str, Any]:
        """The documents of this agent's own topic."""
        return dict(self.state[f"agent:{self.login}"])

    async def has_desk_phone(self) -> None:
        """The agent telephones with a phone on the desk: their page leaves it alone."""
        await self.post("/api/agent/phone", {"kind": "desk"})

    async def serve(self, *queue_names: str) -> None:
        """Sign in to the queues; returns when the desk shows it."""
        await self.post("/api/agent/serve", {"queues": list(queue_names)})
        await self.serves(*queue_names)

    async def serves(self, *queue_names: str) -> None:
        """Wait until the desk shows just these queues as served."""
        await self.until(lambda: set(self.own["state"]["queues"]) == set(queue_names))

    async def shows_state(self, state: str) -> None:
        """Wait until the desk shows the agent in this state."""
        await self.until(lambda: self.own["state"]["state"] == state)

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await self._reader


async def menu_sounds(service: RunningService, within: float = 600.0) -> None:
    """Wait until the phone menus' prompts have their sounds."""
    await until(lambda: " sounds ready, " in service.log(), within, "sounds of the prompts")


async def mall_pbx(
    folder: Path,
    database_url: str,
    *,
    desk_phones: bool = False,
    menus: PhoneMenusConfig | None = None,
) -> EmbeddedPbx:
    """An Asterisk of the test's own, told of the mall's queues and phones; not started yet.

    With `desk_phones` every agent has a desk phone's account there, and no page can be a phone.
    """
    database = Database(database_url)
    try:
        configuration = pbx_configuration(
            PbxSection(),
            await agents.all_agents(database),
            await queues.all_queues(database),
            menus,
        )
    finally:
        await database.close()
    phones = [replace(phone, account_in_file=desk_phones) for phone in configuration.phones]
    configuration = replace(configuration, phones=phones)
    return EmbeddedPbx(PbxSettings(folder=folder, configuration=configuration))


@contextlib.asynccontextmanager
async def ami_of(pbx: EmbeddedPbx) -> AsyncIterator[AmiLink]:
    """A link of the test's own, to ask Asterisk what it says itself."""

    async def nothing() -> None:
        return None

    link = AmiLink(
        pbx.ami_host,
        pbx.ami_port,
        pbx.ami_user,
        pbx.ami_secret,
        wanted_events=frozenset(),
        events="off",
        on_message=lambda _: None,
        on_up=nothing,
        on_down=lambda _: None,
    )
    link.start()
    try:
        await link.wait_up()
        yield link
    finally:
        await link.close()


async def sign_in_page(page: Page, url: str, login: str) -> None:
    """Sign in by the form; returns on the desk."""
    await page.goto(f"{url}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.locator("form.sign-in-form button[type=submit]").click()
    await page.wait_for_url(f"{url}/desk")


@pytest.fixture
async def service(tmp_path: Path, mall_url: str) -> AsyncIterator[RunningService]:
    """A running service with an Asterisk of its own and the sample mall in SQLite."""
    async with RunningService(tmp_path / "service", mall_url) as running:
        yield running


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a screen."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "there is no Chromium here: apt-get install chromium (or `make test`)"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        )
        yield browser
        await browser.close()
