"""A running desk for tests: the real store on SQLite, a real bus, a real server.

Owns the people in it. The telephone side is played by `Presence`, which answers as Asterisk would:
by signals on the bus.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from agent_desk.app import create_app
from agent_desk.desk import api
from agent_desk.entrance.passwords import hash_password
from agent_desk.entrance.sign_in import HUB
from agent_desk.entrance.visitor import SESSION_COOKIE
from agent_desk.hall.erased_files import ErasedFiles
from agent_desk.inbox.written_work import WrittenWork
from agent_desk.live.live_state import LiveState
from agent_desk.live.push import PushHub
from agent_desk.parts import (
    AgentActionRefused,
    AgentControl,
    CallVerbs,
    DeskParts,
    NotPossibleNow,
)
from channels.attachments import AttachmentFiles
from crm_store.bus import Bus
from crm_store.contacts import interactions
from crm_store.database import Database
from crm_store.models import Channel, ContactKind, Role, Segment
from crm_store.people import cards, customers, points
from crm_store.people.cards import check_digit
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.signals import AgentState, AgentStateChanged, Direction
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord
from tests.store_fixtures import run_apart, sqlite_database, sqlite_template, sqlite_url

__all__ = ["sqlite_database", "sqlite_template", "sqlite_url"]

PASSWORD = "correct horse"
CARD_NUMBER = "880000012" + check_digit("880000012")
PASSWORD_HASH = hash_password(PASSWORD)


@dataclass
class Presence:
    """The telephone side, as far as an agent's own state goes."""

    bus: Bus
    states: dict[str, AgentStateChanged] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    link_is_up: bool = True
    settings_told: int = 0
    settings_answer: str = ""
    not_possible: str = ""
    files: dict[str, Path] = field(default_factory=dict)

    async def apply_settings(self) -> str:
        self.settings_told += 1
        return self.settings_answer

    def control(self) -> AgentControl:
        return AgentControl(
            sign_in=self.sign_in,
            sign_out=self.sign_out,
            pause=self.pause,
            unpause=self.unpause,
            finish_wrap_up=self.finish_wrap_up,
            extend_wrap_up=self.extend_wrap_up,
            state_of=self.state_of,
        )

    def call_verbs(self) -> CallVerbs:
        return CallVerbs(
            join=self.join,
            park=self.park,
            transfer=self.transfer,
            hang_up=self.hang_up,
            record=self.record,
            recording_file=lambda recording: self.files.get(recording.file),
        )

    async def join(self, *asked: str) -> None:
        self._do("join", *asked)

    async def transfer(self, *asked: str) -> None:
        self._do("transfer", *asked)

    async def hang_up(self, *asked: str) -> None:
        self._do("hang_up", *asked)

    async def park(self, *asked: str) -> str:
        self._do("park", *asked)
        return "701"

    async def record(self, *asked: str) -> None:
        self._do("record", *asked)

    def _do(self, *asked: str) -> None:
        if self.not_possible:
            raise NotPossibleNow(self.not_possible)
        if not self.link_is_up:
            raise AgentActionRefused("The telephone system is away. Try again in a minute.")
        self.asked.append(asked)

    def state_of(self, agent: str) -> AgentStateChanged:
        return self.states.get(agent) or AgentStateChanged(
            agent=agent, endpoint="", state=AgentState.OFFLINE
        )

    async def sign_in(self, agent: str, queue_names: Sequence[str]) -> None:
        self._become(agent, AgentState.AVAILABLE, queues=tuple(queue_names))

    async def sign_out(self, agent: str) -> None:
        self._become(agent, AgentState.OFFLINE, queues=())

    async def pause(self, agent: str, reason: str) -> None:
        self._become(agent, AgentState.PAUSED, reason=reason)

    async def unpause(self, agent: str) -> None:
        self._become(agent, AgentState.AVAILABLE)

    async def finish_wrap_up(self, agent: str) -> None:
        self._become(agent, AgentState.AVAILABLE)

    async def extend_wrap_up(self, agent: str, seconds: int) -> None:
        known = self.state_of(agent)
        self._become(
            agent,
            known.state,
            ends_at=(known.ends_at or 0.0) + seconds,
            extendable_seconds=known.extendable_seconds - seconds,
            since=known.since,
            next_pause=known.next_pause,
        )

    def _become(self, agent: str, state: AgentState, **values: Any) -> None:
        if not self.link_is_up:
            raise AgentActionRefused("The telephone system is away. Try again in a minute.")
        self.asked.append((agent, state, values))
        known = self.state_of(agent)
        signal = AgentStateChanged(
            agent=agent,
            endpoint=f"PJSIP/{agent}",
            state=state,
            **{"queues": known.queues, **values},
        )
        self.states[agent] = signal
        self.bus.publish(signal)


@dataclass
class RunningDesk:
    app: web.Application
    parts: DeskParts
    presence: Presence
    database: Database
    bus: Bus
    url: URL
    customers: dict[str, int]

    @property
    def hub(self) -> PushHub:
        return self.app[HUB]

    @property
    def live(self) -> LiveState:
        return self.app[api.LIVE]

    @property
    def push_url(self) -> str:
        return str(self.url.with_scheme("ws").with_path("/push"))


async def fill(database: Database) -> dict[str, int]:
    """Two queues, four agents, four customers; the customers' ids by a short name."""
    async with database.transaction() as transaction:
        for position, (code, titles) in enumerate(
            {
                "solved": {"en": "Solved", "zh": "已解决", "es": "Resuelto", "fa": "حل شد"},
                "call_back": {"en": "Call back", "zh": "需回电", "es": "Devolver llamada",
                              "fa": "تماس دوباره"},
                "complaint": {"en": "Complaint", "zh": "投诉", "es": "Queja", "fa": "شکایت"},
            }.items()
        ):  # fmt: skip
            await queues.save_disposition(transaction, code, titles, position)
        for position, (code, titles) in enumerate(
            {
                "lunch": {"en": "Lunch", "zh": "午餐", "es": "Almuerzo", "fa": "ناهار"},
                "training": {"en": "Training", "zh": "培训", "es": "Formación", "fa": "آموزش"},
            }.items()
        ):
            await queues.save_pause_reason(transaction, code, titles, position)
        for queue in (
            QueueRecord("sales", "600", {"en": "Sales", "zh": "销售", "es": "Ventas", "fa": "فروش"},
                        dispositions=("solved", "call_back")),
            QueueRecord("service", "601", {"en": "Customer service", "zh": "客户服务",
                                           "es": "Atención al cliente", "fa": "خدمات مشتریان"}),
        ):  # fmt: skip
            await queues.save(transaction, queue)
        people: tuple[tuple[str, str, Role, tuple[str, ...]], ...] = (
            ("lin", "Lin Xiaoyu", Role.AGENT, ("sales", "service")),
            ("maria", "María García", Role.AGENT, ("sales",)),
            ("sara", "سارا احمدی", Role.SUPERVISOR, ("service",)),
            ("root", "Root", Role.ADMIN, ()),
        )
        for number, (login, name, role, served) in enumerate(people):
            await agents.save(
                transaction,
                login=login,
                display_name=name,
                extension=str(1001 + number),
                role=role,
                queues=served,
            )
            await agents.set_password_hash(transaction, login, PASSWORD_HASH)
        phone = ContactKind.PHONE
        ids = {
            "wang": await customers.create(
                transaction,
                NewCustomer("王芳", "zh", Segment.VIP, notes="喜欢上午联系",
                            contact_points=[ContactWay(phone, "+8613800138000", "mobile"),
                                            ContactWay(ContactKind.MAIL, "wang@example.org")]),
                actor="import",
            ),
            "garcia": await customers.create(
                transaction,
                NewCustomer("Lucía García", "es", Segment.MEMBER,
                            contact_points=[ContactWay(phone, "+34912345678")]),
                actor="import",
            ),
            "garcia_son": await customers.create(
                transaction,
                NewCustomer("Pablo García", "es",
                            contact_points=[ContactWay(phone, "+34912345678")]),
                actor="import",
            ),
            "hostile": await customers.create(
                transaction,
                NewCustomer("<img src=x onerror=alert(1)>", "en",
                            notes="</script><script>alert(2)</script> {{7*7}}",
                            contact_points=[ContactWay(phone, "+442079460000",
                                                       '"><svg onload=alert(3)>')]),
                actor="import",
            ),
        }  # fmt: skip
        card_id = await cards.open_card(transaction, ids["wang"], CARD_NUMBER)
        await points.add(
            transaction, card_id, 1_234_550, reason="purchase", idempotency_key="t", made_by="till"
        )
        for days, channel, summary, note in (
            (2, Channel.PHONE, "问儿童鞋尺码", "已答复: 27 码有货, 可留三天"),
            (9, Channel.MAIL, "Delivery date of the armchair", ""),
            (40, Channel.VISIT, "会员日", "试穿外套, 想要深蓝色"),
        ):
            interaction = await interactions.open_interaction(
                transaction,
                channel=channel,
                direction=Direction.INBOUND,
                customer_id=ids["wang"],
                at=datetime.now(UTC) - timedelta(days=days),
                agent="maria",
                queue="sales" if channel is Channel.PHONE else None,
                summary=summary,
                note=note,
                keyed=("2",) if channel is Channel.PHONE else (),
            )
            await interactions.close(transaction, interaction, disposition="solved")
        return ids


@pytest.fixture(scope="session")
def peopled_template(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, int]]:
    """A SQLite file with the people in it, to be copied, and the customers' ids."""
    path = tmp_path_factory.mktemp("people") / "people.db"
    shutil.copy(sqlite_template, path)
    return path, run_apart(_fill_file(f"sqlite:///{path}"))


async def _fill_file(url: str) -> dict[str, int]:
    database = Database(url)
    try:
        return await fill(database)
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def running_desk(
    template: tuple[Path, dict[str, int]],
    folder: Path,
    fit: Callable[[DeskParts], DeskParts] = lambda parts: parts,
) -> AsyncIterator[RunningDesk]:
    """A desk on a copy of the peopled template, in `folder`; `fit` may give it more parts."""
    file, ids = template
    path = folder / "desk.db"
    shutil.copy(file, path)
    database = Database(f"sqlite:///{path}", patience_s=60.0)
    bus = Bus()
    presence = Presence(bus)
    parts = DeskParts(
        database=database,
        bus=bus,
        agents=presence.control(),
        apply_settings=presence.apply_settings,
        call_verbs=presence.call_verbs(),
        link_is_up=lambda: presence.link_is_up,
        written=WrittenWork(files=AttachmentFiles(folder / "attachments")),
    )
    parts = fit(parts)
    ErasedFiles(parts.hall.forget_calls).subscribe(database.subscribers)
    app = create_app(parts)
    app[HUB].coalesce_seconds = 0.02
    try:
        async with TestServer(app) as server:
            yield RunningDesk(
                app, parts, presence, database, bus, URL(str(server.make_url("/"))), dict(ids)
            )
    finally:
        await database.close()


@pytest.fixture
async def desk(
    peopled_template: tuple[Path, dict[str, int]], tmp_path: Path
) -> AsyncIterator[RunningDesk]:
    async with running_desk(peopled_template, tmp_path) as running:
        yield running


async def open_session(desk: RunningDesk, login: str) -> str:
    """A session's token, without the cost of a password."""
    agent = await agents.find(desk.database, login)
    assert agent is not None
    async with desk.database.transaction() as transaction:
        return await agents.open_session(transaction, agent.id, timedelta(hours=1))


class Visitor:
    """Somebody with a browser's cookies, but no browser."""

    def __init__(self, desk: RunningDesk) -> None:
        self.desk = desk
        self.http = aiohttp.ClientSession(
            base_url=desk.url, cookie_jar=aiohttp.CookieJar(unsafe=True)
        )
        self.csrf = ""

    async def sign_in(self, login: str, password: str = PASSWORD) -> tuple[int, dict[str, Any]]:
        body = {"login": login, "password": password}
        async with self.http.post("/api/sign-in", json=body) as response:
            answer: dict[str, Any] = await response.json()
            self.csrf = answer.get("csrf_token", self.csrf)
            return response.status, answer

    async def get(self, path: str, **options: Any) -> tuple[int, str]:
        async with self.http.get(path, allow_redirects=False, **options) as response:
            return response.status, await response.text()

    async def ask(self, path: str, **params: str) -> tuple[int, Any]:
        async with self.http.get(path, params=params) as response:
            return response.status, await response.json()

    async def post(self, path: str, **wish: Any) -> tuple[int, Any]:
        headers = {"X-CSRF-Token": self.csrf}
        async with self.http.post(path, json=wish, headers=headers) as response:
            return response.status, await response.json()

    async def send_form(self, path: str, **fields: str) -> tuple[int, str]:
        data = {"csrf_token": self.csrf, **fields}
        async with self.http.post(path, data=data, allow_redirects=False) as response:
            return response.status, response.headers.get("Location", "") or await response.text()

    @property
    def cookie(self) -> str:
        jar = self.http.cookie_jar.filter_cookies(self.desk.url)
        return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())


@pytest.fixture
async def visitor(desk: RunningDesk) -> AsyncIterator[Visitor]:
    """Nobody yet."""
    one = Visitor(desk)
    yield one
    await one.http.close()


async def signed_in_visitor(desk: RunningDesk, login: str) -> AsyncIterator[Visitor]:
    one = Visitor(desk)
    token = await open_session(desk, login)
    session = await agents.session_of(desk.database, token)
    assert session is not None
    one.http.cookie_jar.update_cookies({SESSION_COOKIE: token}, desk.url)
    one.csrf = session.csrf_token
    yield one
    await one.http.close()


@pytest.fixture
async def lin(desk: RunningDesk) -> AsyncIterator[Visitor]:
    async for one in signed_in_visitor(desk, "lin"):
        yield one


@pytest.fixture
async def maria(desk: RunningDesk) -> AsyncIterator[Visitor]:
    async for one in signed_in_visitor(desk, "maria"):
        yield one


@pytest.fixture
async def sara(desk: RunningDesk) -> AsyncIterator[Visitor]:
    async for one in signed_in_visitor(desk, "sara"):
        yield one
