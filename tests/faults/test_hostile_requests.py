"""Whatever a request holds, no route answers 500: texts, numbers, shapes and depths made to hurt.

Each route of the table is asked with a hostile value in each of its places, on both databases,
by an administrator, so that no refusal of rights stands before the code under test.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import orjson
import pytest
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

import agent_desk
from agent_desk.app import ROUTES, create_app
from agent_desk.entrance.visitor import is_storable
from agent_desk.parts import DeskParts
from crm_store.bus import Bus
from crm_store.database import Database
from tests.agent_desk.conftest import Presence, RunningDesk, Visitor, fill, signed_in_visitor
from tests.agent_desk.push_client import connected
from tests.agent_desk.signal_stories import queue_call
from tests.store_fixtures import (
    database,
    database_url,
    open_database,
    postgresql_server,
    sqlite_template,
)

pytestmark = pytest.mark.db
__all__ = ["database", "database_url", "open_database", "postgresql_server", "sqlite_template"]

IN_ADDRESSES = (
    "0",
    "-1",
    "1.5",
    "99999999999999999999",
    "999999999999999999",
    "4294967297",
    "٣",
    "²",
    "1e5",
    "%00",
    "a%00b",
    "%ED%A0%80",
    "%FF",
    "..%2F..%2Fetc%2Fpasswd",
    "'%20OR%201=1--",
    quote("\u202egnp.exe"),
    "x" * 3_000,
)

TEXTS = (
    "\0",
    "a\0b",
    "\u202eabc\u2066",
    "😀" * 50,
    "x" * 100_000,
    "<script>alert(1)</script>",
    "${SHELL(id)}{{7*7}}%s%n",
    "\r\nAction: Originate\r\n",
    "\ufffe\ufdd0",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-11-21T10:00:00+00:00",
    "NaN",
    "١٢٣",
    "",
)
NUMBERS = (-1, 0, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 1e308, 0.5)
SHAPES: tuple[Any, ...] = (
    None,
    True,
    [],
    {},
    [None],
    [[]],
    {"": {}},
    [{"code": "\0"}],
    [{"kind": {}, "id": []}],
    {"en": 1, "zh": None},
    [1, "a", {}],
)

# Every word that some handler asks a request for, so that no list here can be behind the code.
WORDS = sorted(
    {
        word
        for path in Path(agent_desk.__path__[0]).rglob("*.py")
        for word in re.findall(r'"([a-z_]{2,30})"', path.read_text())
    }
)


@pytest.fixture
async def chief(database: Database) -> AsyncIterator[Visitor]:
    """An administrator at a desk on each kind of database."""
    ids = await fill(database)
    bus = Bus()
    presence = Presence(bus)
    parts = DeskParts(
        database=database,
        bus=bus,
        agents=presence.control(),
        apply_settings=presence.apply_settings,
        call_verbs=presence.call_verbs(),
        link_is_up=lambda: presence.link_is_up,
    )
    app = create_app(parts)
    async with TestServer(app) as server:
        url = URL(str(server.make_url("/")))
        desk = RunningDesk(app, parts, presence, database, bus, url, ids)
        # A call on this agent's own screen, so that its verbs get further than "not yours".
        for signal in queue_call(agents=("root", "maria"))[:13]:
            bus.publish(signal)
        async for visitor in signed_in_visitor(desk, "root"):
            yield visitor


@pytest.fixture
def failures(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What a test found; fails at its end with all of it."""
    found: list[str] = []
    caplog.set_level(logging.ERROR, "agent_desk")
    yield found
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    traces = [
        f"{type(record.exc_info[1]).__name__}: {str(record.exc_info[1])[:200]}"
        for record in caplog.records
        if record.exc_info
    ]
    assert not found, "\n".join([*found, *map(str.strip, told), *traces])


def address_for(visitor: Visitor, path: str) -> str:
    wang = visitor.desk.customers["wang"]
    return re.sub(r"\{[^}]*\}", "1", path.replace("{customer_id}", str(wang)))


async def ask(visitor: Visitor, method: str, address: str, failures: list[str], **more: Any) -> int:
    headers = {"X-CSRF-Token": visitor.csrf, **more.pop("headers", {})}
    url = URL(str(visitor.desk.url).rstrip("/") + address, encoded=True)
    async with visitor.http.request(
        method, url, headers=headers, allow_redirects=False, **more
    ) as response:
        await response.read()
        if response.status == 500:
            said = more.get("data", more.get("json"))
            failures.append(f"{method} {address[:120]} {str(said)[:160]}")
        return response.status


# What ends the session, or leaves no answer to look at.
ASIDE = {"/sign-out", "/push", "/phone"}
GETS = [route for route in ROUTES if route.method == "GET" and route.path not in ASIDE]
POSTS = [route for route in ROUTES if route.method == "POST" and route.path not in ASIDE]


async def test_no_address_is_too_much(chief: Visitor, failures: list[str]) -> None:
    for route in (*GETS, *POSTS):
        if "{" not in route.path:
            continue
        for value in IN_ADDRESSES:
            address = re.sub(r"\{[^}]*\}", value.replace("\\", r"\\"), route.path)
            await ask(chief, route.method, address, failures)


async def test_no_query_is_too_much(chief: Visitor, failures: list[str]) -> None:
    for route in GETS:
        address = address_for(chief, route.path)
        for value in IN_ADDRESSES[:-1]:
            query = "&".join(f"{word}={value}" for word in QUERY_WORDS)
            await ask(chief, "GET", f"{address}?{query}", failures)
        # One at a time too: the first word that is refused hides those after it.
        for value in ("-99999999999999999999", "9" * 5_000, "3"):
            for word in QUERY_WORDS if route.path.startswith("/api/") else ():
                await ask(chief, "GET", f"{address}?{word}={value}", failures)


QUERY_WORDS = sorted(
    {
        word
        for path in Path(agent_desk.__path__[0]).rglob("*.py")
        for word in re.findall(r'query(?:\.get\(|\[)"([a-z_]+)"', path.read_text())
    }
)


async def test_no_json_is_too_much(chief: Visitor, failures: list[str]) -> None:
    own_call = {"pbx": "main", "call": "1.1"}
    for value in (*TEXTS, *NUMBERS, *SHAPES):
        everywhere = dict.fromkeys(WORDS, value if value != TEXTS[4] else "x" * 1_000)
        bodies = [orjson.dumps(everywhere), orjson.dumps(everywhere | own_call)]
        for route in POSTS:
            if route.path.startswith("/api/"):
                address = address_for(chief, route.path)
                for body in bodies:
                    await ask(chief, "POST", address, failures, data=body, headers=JSON)


JSON = {"Content-Type": "application/json"}


async def test_no_form_is_too_much(chief: Visitor, failures: list[str]) -> None:
    for value in TEXTS:
        for route in POSTS:
            if not route.path.startswith("/api/"):
                address = address_for(chief, route.path)
                form = dict.fromkeys(WORDS, value[:50])
                await ask(chief, "POST", address, failures, data=form)


BODIES = (
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"NaN",
    b'{"name": NaN}',
    b'{"name": "\\ud800"}',
    b'{"name": "\xed\xa0\x80"}',
    b'{"name": 1' + b"0" * 400 + b"}",
    b'{"customer_id": ' + b"9" * 4_000 + b"}",
    b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"name": ' + b"[" * 100_000,
    b"\xff\xfe{\x00}\x00",
    b"{" * 1_000,
)
KINDS = (
    "application/json",
    "multipart/form-data; boundary=x",
    "text/plain; charset=nonsense",
    "application/x-www-form-urlencoded; charset=nonsense",
)


async def test_no_body_is_too_much(chief: Visitor, failures: list[str]) -> None:
    asked = [(body, KINDS[0]) for body in BODIES] + [(BODIES[-1], kind) for kind in KINDS[1:]]
    for route in POSTS:
        address = address_for(chief, route.path)
        for body, kind in asked:
            headers = {"Content-Type": kind}
            await ask(chief, "POST", address, failures, data=body, headers=headers)


async def test_the_push_takes_no_harm(chief: Visitor) -> None:
    topics = ["\0", "customer:0", "customer:" + "9" * 40, "customer:-1", "tasks:", "agent:\0"]
    async with connected(
        chief.desk.push_url, additional_headers={"Cookie": chief.cookie}
    ) as client:
        for topic in topics:
            await client.say({"subscribe": [topic]})
            assert "no topic" in (await client.next())["error"]
    assert not set(chief.desk.hub.topics) & set(topics)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("anywhere", [True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(inner=ANYTHING)
def test_what_no_database_keeps_is_found_however_deep(inner: object, anywhere: bool) -> None:
    assert is_storable({"a": [{"b": "\0"}, inner]}) is not anywhere
    assert is_storable({"a\0": inner}) is not anywhere
    assert is_storable([[inner, 2**63]]) is not anywhere
    if is_storable(inner):
        kept = cast("dict[str, object]", {"a": [inner, 2**63 - 1, -(2**63), "\u202e"]})
        assert is_storable(kept)
