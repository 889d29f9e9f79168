"""Every route of the hall with nobody, with the wrong customer and with an agent, and the desk's
with a customer: nobody ever sees or changes what is another's."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from agent_desk.app import ROUTES
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import SESSION_COOKIE
from agent_desk.hall.visitor import HALL, HALL_COOKIE, in_hall
from channels.incoming import Incoming
from crm_store.contacts import callbacks
from crm_store.contacts.callbacks import NewCallback
from crm_store.models import Channel
from crm_store.people import contact_points
from crm_store.shop import orders
from crm_store.shop.orders import Line, NewOrder
from tests.agent_desk.conftest import CARD_NUMBER, RunningDesk, open_session
from tests.agent_desk.hall.conftest import Guest, codes_sent

pytestmark = pytest.mark.db

OF_THE_HALL = [route for route in ROUTES if in_hall(route.path)]
OF_CUSTOMERS = [route for route in OF_THE_HALL if route.access is Access.CUSTOMERS]
OF_THE_DESK = [
    route
    for route in ROUTES
    if route.access in (Access.AGENTS, Access.SUPERVISORS) and not in_hall(route.path)
]
SECRETS = ("王芳", "+8613800138000", "wang@example.org", "Wang's own letter")


@dataclass
class OwnThings:
    """What is 王芳's and nobody else's, by the name of its place in an address."""

    desk: RunningDesk
    places: dict[str, str]

    def address(self, route: Route) -> str:
        # Cards and orders have their numbers in the same place of different addresses.
        places = self.places
        if route.path == f"{HALL}/card/{{number}}":
            places = places | {"number": CARD_NUMBER}
        return re.sub(r"\{(\w+)\}", lambda found: places.get(found[1], "0"), route.path)

    def rows(self) -> list[str]:
        """All that is in the database but who was seen when."""
        path = str(self.desk.database.url.database)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return [line for line in connection.iterdump() if '"guesses"' not in line]


@pytest.fixture
async def things(desk: RunningDesk) -> OwnThings:
    customer_id = desk.customers["wang"]
    async with desk.database.transaction() as transaction:
        number = await orders.place(
            transaction,
            NewOrder(
                lines=[Line("2002", {"en": "Kettle"}, 1, 24_950)],
                currency="CNY",
                idempotency_key="wangs",
                customer_id=customer_id,
            ),
            actor="lin",
        )
        callback_id = await callbacks.request(
            transaction,
            NewCallback(
                queue="sales",
                number="+8613800138000",
                arrived_at=datetime.now(UTC),
                customer_id=customer_id,
            ),
        )
    received = await desk.parts.hall.receive(
        Incoming(
            channel=Channel.WEB,
            external_key="wangs",
            sender=f"customer:{customer_id}",
            received_at=datetime.now(UTC),
            text="Wang's own letter",
            customer_id=customer_id,
        )
    )
    [point, *_] = await contact_points.of_customer(desk.database, customer_id)
    places = {
        "conversation_id": str(received.conversation_id),
        "callback_id": str(callback_id),
        "point_id": str(point.id),
        "item": "2002",
    }
    return OwnThings(desk, places | {"number": number})


@pytest.fixture
async def agent(desk: RunningDesk) -> AsyncIterator[Guest]:
    """A supervisor of the desk, whose session is worth nothing here."""
    one = Guest(desk)
    token = await open_session(desk, "sara")
    # As if it were the hall's too: neither cookie opens the other's door.
    one.http.cookie_jar.update_cookies({SESSION_COOKIE: token, HALL_COOKIE: token}, desk.url)
    yield one
    await one.http.close()


async def ask(guest: Guest, route: Route, address: str) -> tuple[int, str]:
    if route.method == "POST":
        return await guest.send(address, key="k" * 20, quantity="1", do="this")
    return await guest.get(address)


async def test_nobody_and_an_agent_are_sent_to_the_sign_in(
    guest: Guest, agent: Guest, things: OwnThings
) -> None:
    before = things.rows()
    for route in OF_CUSTOMERS:
        for one in (guest, agent):
            status, text = await ask(one, route, things.address(route))
            if route.method == "GET":
                assert (status, text.partition("?")[0]) == (303, f"{HALL}/sign-in"), route.path
            else:
                assert status == 401, route.path
    assert things.rows() == before


PLACES_OF_HERS = re.compile(r"\{(number|conversation_id|callback_id|point_id)\}")
OF_HERS = [route for route in OF_THE_HALL if PLACES_OF_HERS.search(route.path)]


def test_the_places_of_her_things_are_found() -> None:
    assert len(OF_HERS) >= 6


async def test_the_wrong_customer_sees_nothing_of_hers(garcia: Guest, things: OwnThings) -> None:
    # Signing out would make a stranger of her.
    last = [route for route in OF_THE_HALL if "sign-out" in route.path]
    for route in [*(one for one in OF_THE_HALL if one not in last), *last]:
        status, text = await ask(garcia, route, things.address(route))
        if route in OF_HERS:
            assert status == 404, route.path
        for secret in SECRETS:
            assert secret not in text, route.path
    database = things.desk.database
    assert len(await callbacks.waiting(database)) == 1
    assert len(await contact_points.of_customer(database, things.desk.customers["wang"])) == 2


async def test_the_owner_does_see_it(wang: Guest, things: OwnThings) -> None:
    """So that the test above is about something."""
    for route in OF_HERS:
        status, _ = await ask(wang, route, things.address(route))
        assert status in (200, 303, 400), route.path


async def test_a_customers_session_opens_nothing_of_the_desk(
    wang: Guest, things: OwnThings
) -> None:
    cookies = wang.http.cookie_jar.filter_cookies(wang.desk.url / "hall")
    token = cookies[HALL_COOKIE].value
    wang.http.cookie_jar.update_cookies({SESSION_COOKIE: token, HALL_COOKIE: token}, wang.desk.url)
    headers = {"X-CSRF-Token": await wang.csrf()}
    for route in OF_THE_DESK:
        async with wang.http.request(
            route.method, things.address(route), allow_redirects=False, headers=headers
        ) as response:
            where = response.headers.get("Location", "").partition("?")[0]
            assert (response.status, where) in ((303, "/sign-in"), (401, "")), route.path


POSTS = [route for route in OF_THE_HALL if route.method == "POST" and not route.exempt_from_csrf]


async def test_no_form_is_taken_without_its_token_or_from_another_site(
    wang: Guest, things: OwnThings
) -> None:
    before = things.rows()
    ours = await wang.csrf()
    for route in POSTS:
        for token, headers in (
            ("", {}),
            ("wrong", {}),
            (ours, {"Origin": "https://evil.example"}),
            (ours, {"Sec-Fetch-Site": "cross-site"}),
        ):
            async with wang.http.post(
                things.address(route),
                data={"csrf_token": token},
                headers=headers,
                allow_redirects=False,
            ) as response:
                assert response.status == 403, route.path
    assert things.rows() == before


async def test_a_session_that_ended_or_was_made_up_is_nobodys(guest: Guest) -> None:
    for token in ("", "x", "x" * 5_000, "é"):
        guest.http.cookie_jar.update_cookies({HALL_COOKIE: token}, guest.desk.url / "hall")
        assert (await guest.get("/hall/me"))[0] == 303


async def test_the_cookie_stays_in_the_hall(guest: Guest, desk: RunningDesk) -> None:
    await guest.send("/hall/sign-in", address="wang@example.org")
    [(_, code)] = await codes_sent(desk)
    data = {"csrf_token": await guest.csrf(), "code": code}
    async with guest.http.post("/hall/sign-in/code", data=data, allow_redirects=False) as response:
        given = response.cookies[HALL_COOKIE]
    assert (given["path"], given["httponly"], given["samesite"]) == (HALL, True, "Lax")
    assert given["max-age"] == str(round(desk.parts.hall.session_days * 24 * 3600))
    data = {"csrf_token": await guest.csrf()}
    async with guest.http.post("/hall/sign-out", data=data, allow_redirects=False) as response:
        taken = response.cookies[HALL_COOKIE]
    assert (taken["path"], taken["max-age"]) == (HALL, "0")
