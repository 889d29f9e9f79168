"""Static files: kept for ever under their version, asked for again without it, compressed."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import pytest
from yarl import URL

from agent_desk.static_files import STATIC_FOLDER, imported_by, static_address, static_version
from tests.agent_desk.conftest import RunningDesk

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(desk: RunningDesk, path: str, **headers: str) -> Answer:
    """The answer as it comes over the wire."""
    wish = {"Accept-Encoding": "identity"} | headers
    url = URL(str(desk.url).rstrip("/") + path, encoded=True)
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.get(url, headers=wish, allow_redirects=False) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


async def test_a_version_is_kept_for_ever(desk: RunningDesk) -> None:
    for path in (static_address("desk.css"), f"/static/desk.css?{static_version()}"):
        answer = await ask(desk, path)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
        assert answer.body == (STATIC_FOLDER / "desk.css").read_bytes()


async def test_another_version_is_served_but_not_kept(desk: RunningDesk) -> None:
    answer = await ask(desk, "/static/0123456789ab/desk.js")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_an_unchanged_file_is_not_sent_again(desk: RunningDesk) -> None:
    first = await ask(desk, "/static/desk.js")
    assert first.headers["Cache-Control"] == "no-cache"
    again = await ask(desk, "/static/desk.js", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    other = await ask(desk, "/static/desk.js", **{"If-None-Match": '"another"'})
    assert other.status == 200


async def test_compressed_only_for_who_can_read_it(desk: RunningDesk) -> None:
    plain = await ask(desk, "/static/desk.css")
    assert "Content-Encoding" not in plain.headers
    small = await ask(desk, "/static/desk.css", **{"Accept-Encoding": "br, gzip"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.headers["ETag"] != plain.headers["ETag"]
    assert small.headers["Vary"] == "Accept-Encoding"
    assert len(small.body) < len(plain.body) / 2
    assert gzip.decompress(small.body) == plain.body


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing.js",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/0123456789ab/../../app.py",
        "/static/0123456789ab/..%2f..%2fapp.py",
        "/static//etc/passwd",
        "/static/0123456789ab/",
    ],
)
async def test_nothing_else_is_served(desk: RunningDesk, path: str) -> None:
    assert (await ask(desk, path)).status == 404


async def test_a_script_by_its_query_has_the_same_address_as_all_others(desk: RunningDesk) -> None:
    answer = await ask(desk, f"/static/desk.js?{static_version()}")
    assert answer.headers["Location"] == static_address("desk.js")


def test_the_graph_of_imports_is_found_through_others() -> None:
    found = imported_by("desk.js")
    assert {"workplace.js", "shell.js", "push.js", "push_state.js"} <= set(found)
    assert "desk.js" not in found
    assert all((STATIC_FOLDER / name).exists() for name in found)
