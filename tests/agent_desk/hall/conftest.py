"""The hall of a running desk: its inbox is the real one, and customers have cookies of their own.

Owns who visits the hall and how they read the codes that are sent to them: where their telephone or
their mail would show them, in the outbox.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import select

from agent_desk.entrance.visitor import FORM_COOKIE, LANGUAGE_COOKIE
from agent_desk.hall import sign_in
from agent_desk.hall.visitor import HALL_COOKIE
from agent_desk.parts import DeskParts, HallParts
from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from crm_store.models import OutboxMessage, Purpose
from crm_store.people import hall_sessions
from crm_store.shop import catalogue, house
from crm_store.shop.house import House
from tests.agent_desk.browser_fixtures import Chromium, chrome
from tests.agent_desk.conftest import RunningDesk, running_desk

__all__ = ["Chromium", "chrome"]

HOUSE = House(
    names={"en": "Jade Gate Mall", "fa": "مرکز خرید دروازهٔ یشم", "zh": "玉门商场"},
    currency="CNY",
    time_zone="Asia/Shanghai",
    points_worth_minor_per_100=100,
    points_valid_months=24,
    texts={"parking": {"en": "You park below the house.", "fa": "پارکینگ در طبقهٔ زیرین است."}},
)


@pytest.fixture
async def desk(
    peopled_template: tuple[Path, dict[str, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[RunningDesk]:
    """A desk whose hall has an inbox, a house and two products."""
    # Nobody measures here how long an answer takes.
    monkeypatch.setattr(sign_in, "ANSWER_S", 0.0)
    files = AttachmentFiles(tmp_path / "attachments")

    def fit(parts: DeskParts) -> DeskParts:
        inbox = Inbox(parts.database, files)
        return replace(
            parts,
            hall=HallParts(receive=inbox.receive, attachments_folder=tmp_path / "attachments"),
        )

    async with running_desk(peopled_template, tmp_path, fit) as running:
        async with running.database.transaction() as transaction:
            await house.write(transaction, HOUSE, actor="sara")
            for item, names, price in (
                ("1001", {"en": "Winter coat", "zh": "冬季外套", "fa": "پالتو"}, 129_900),
                ("2002", {"en": "Kettle", "zh": "电热水壶"}, 24_950),
            ):
                await catalogue.save(
                    transaction,
                    item=item,
                    names=names,
                    price_minor=price,
                    currency="CNY",
                    actor="sara",
                )
        yield running


async def text_of(response: aiohttp.ClientResponse) -> str:
    return (await response.read()).decode("utf-8", "replace")


class Guest:
    """Somebody in the hall with a browser's cookies, but no browser."""

    def __init__(self, desk: RunningDesk) -> None:
        self.desk = desk
        self.http = aiohttp.ClientSession(
            base_url=desk.url, cookie_jar=aiohttp.CookieJar(unsafe=True)
        )
        self.http.cookie_jar.update_cookies({LANGUAGE_COOKIE: "en"}, desk.url)

    async def get(self, path: str) -> tuple[int, str]:
        """The answer's status, and its text or where it leads to."""
        async with self.http.get(path, allow_redirects=False) as response:
            return response.status, response.headers.get("Location") or await text_of(response)

    async def send(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form as the hall's pages do, with the token that they carry."""
        data = {"csrf_token": await self.csrf(), **fields}
        async with self.http.post(path, data=data, allow_redirects=False) as response:
            return response.status, response.headers.get("Location") or await text_of(response)

    async def csrf(self) -> str:
        """The token that this guest's forms carry."""
        cookies = self.http.cookie_jar.filter_cookies(self.desk.url / "hall")
        if HALL_COOKIE in cookies:
            token = cookies[HALL_COOKIE].value
            session = await hall_sessions.session_of(self.desk.database, token)
            if session is not None:
                return session.csrf_token
        if FORM_COOKIE not in cookies:
            await self.get("/hall")
            cookies = self.http.cookie_jar.filter_cookies(self.desk.url / "hall")
        return cookies[FORM_COOKIE].value

    async def let_in(self, customer: str) -> None:
        """Sign in as that customer, without the way by a code."""
        customer_id = self.desk.customers[customer]
        async with self.desk.database.transaction() as transaction:
            token = await hall_sessions.open_session(transaction, customer_id, timedelta(hours=1))
        self.http.cookie_jar.update_cookies({HALL_COOKIE: token}, self.desk.url / "hall")


async def codes_sent(desk: RunningDesk) -> list[tuple[str, str]]:
    """Where codes were sent to, and which, the oldest first."""
    query = (
        select(OutboxMessage)
        .where(OutboxMessage.purpose == Purpose.CODE)
        .order_by(OutboxMessage.id)
    )
    async with desk.database.reading() as session:
        rows = list(await session.scalars(query))
    assert all(row.is_secret for row in rows)
    found = [(row.recipient, re.search(r"\d{6}", row.text)) for row in rows]
    return [(recipient, match[0]) for recipient, match in found if match]


@pytest.fixture
async def guest(desk: RunningDesk) -> AsyncIterator[Guest]:
    """Nobody yet."""
    one = Guest(desk)
    yield one
    await one.http.close()


@pytest.fixture
async def wang(desk: RunningDesk) -> AsyncIterator[Guest]:
    """王芳, signed in."""
    one = Guest(desk)
    await one.let_in("wang")
    yield one
    await one.http.close()


@pytest.fixture
async def garcia(desk: RunningDesk) -> AsyncIterator[Guest]:
    """Lucía García, signed in: the wrong person for all that is 王芳's."""
    one = Guest(desk)
    await one.let_in("garcia")
    yield one
    await one.http.close()
