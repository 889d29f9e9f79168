"""Signing in and out over HTTP: by form and by JSON, guessers, sessions that end."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest
import websockets
from argon2 import extract_parameters

from agent_desk.app import close_ended_sessions
from agent_desk.entrance import passwords
from agent_desk.entrance.guess_limiter import FAILURES_OF_ACCOUNT_AT_ADDRESS
from agent_desk.entrance.passwords import PasswordCheck, TooBusy, hash_password
from agent_desk.entrance.visitor import SESSION_COOKIE
from crm_store.signals import AgentState
from crm_store.staff import agents
from tests.agent_desk.conftest import PASSWORD, PASSWORD_HASH, RunningDesk, Visitor
from tests.agent_desk.push_client import connected

pytestmark = pytest.mark.db


async def form_token(visitor: Visitor) -> str:
    _, text = await visitor.get("/sign-in")
    found = re.search(r'name="csrf_token" value="([^"]+)"', text)
    assert found
    return found[1]


async def test_the_form_signs_in_and_leads_where_one_wanted_to_go(visitor: Visitor) -> None:
    status, text = await visitor.get("/customers?find=%E7%8E%8B")
    assert status == 303
    visitor.csrf = await form_token(visitor)
    status, to = await visitor.send_form(
        "/sign-in", login="lin", password=PASSWORD, next="/customers?find=%E7%8E%8B"
    )
    assert (status, to) == (303, "/customers?find=%E7%8E%8B")
    status, text = await visitor.get(to)
    assert status == 200
    assert "王芳" in text


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"],
)
async def test_the_form_never_leads_to_another_site(visitor: Visitor, elsewhere: str) -> None:
    visitor.csrf = await form_token(visitor)
    status, to = await visitor.send_form("/sign-in", login="lin", password=PASSWORD, next=elsewhere)
    assert (status, to) == (303, "/desk")


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: Visitor) -> None:
    body = {"login": "lin", "password": PASSWORD}
    async with visitor.http.post("/api/sign-in", json=body) as response:
        (cookie,) = [c for c in response.headers.getall("Set-Cookie") if SESSION_COOKIE in c]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


async def test_a_wrong_password_says_what_to_do_and_is_logged_without_it(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        status, answer = await visitor.sign_in("lin", "hunter2 hunter2")
    assert status == 401
    assert "Check both" in answer["error"]
    assert "lin" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_login_with_control_characters_stays_one_line_in_the_log(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    await visitor.sign_in("x\r\nWARNING forged line", "some password")
    assert not [r for r in caplog.records if "\n" in r.getMessage()]


async def test_an_unknown_name_costs_as_much_as_a_known_one() -> None:
    check = PasswordCheck()
    assert extract_parameters(passwords._nobody()) == extract_parameters(PASSWORD_HASH)
    assert await check.matches(PASSWORD_HASH, PASSWORD)
    assert not await check.matches(None, PASSWORD)
    # Nobody's password is compared, and yet lets nobody in.
    assert not await check.matches(None, "nobody has this password")
    check.close()


async def test_too_many_at_once_are_asked_to_come_again() -> None:
    check = PasswordCheck()
    waiting = [
        asyncio.ensure_future(check.matches("not even a hash", "x"))
        for _ in range(passwords.MOST_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        await check.matches(PASSWORD_HASH, PASSWORD)
    assert not any(await asyncio.gather(*waiting))
    assert await check.matches(PASSWORD_HASH, PASSWORD)
    check.close()


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_too_short_or_too_long_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="8 to 1024"):
        hash_password(password)


async def test_a_guesser_is_stopped_and_nobody_else_is(
    desk: RunningDesk, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(FAILURES_OF_ACCOUNT_AT_ADDRESS):
        status, _ = await visitor.sign_in("lin", f"guess number {number}")
        assert status == 401
    async with visitor.http.post(
        "/api/sign-in", json={"login": "lin", "password": PASSWORD}
    ) as response:
        assert response.status == 429
        assert int(response.headers["Retry-After"]) > 800
        assert "15 minutes" in (await response.json())["error"]
    assert "too many failures" in caplog.text
    status, _ = await visitor.sign_in("maria")
    assert status == 200


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"not json", "application/json"),
        (b"[]", "application/json"),
        (b'{"login": 1, "password": null}', "application/json"),
        (b'{"login": "lin"}', "application/json"),
        (b"", "application/json"),
    ],
)
async def test_rubbish_is_refused_with_a_hint(
    visitor: Visitor, body: bytes, content_type: str
) -> None:
    async with visitor.http.post(
        "/api/sign-in", data=body, headers={"Content-Type": content_type}
    ) as response:
        assert response.status == 400
        assert "login" in (await response.json())["error"]


async def test_json_sign_in_refuses_what_another_site_can_send(visitor: Visitor) -> None:
    body = {"login": "lin", "password": PASSWORD}
    async with visitor.http.post("/api/sign-in", data=body) as response:
        assert response.status == 403
    headers = {"Origin": "https://evil.example"}
    async with visitor.http.post("/api/sign-in", json=body, headers=headers) as response:
        assert response.status == 403


async def test_a_password_may_be_typed_with_composed_or_decomposed_letters(
    desk: RunningDesk, visitor: Visitor
) -> None:
    async with desk.database.transaction() as transaction:
        await agents.set_password_hash(transaction, "lin", hash_password("contraseña"))
    status, _ = await visitor.sign_in("lin", "contrasen\u0303a")
    assert status == 200


async def test_signing_out_ends_the_session_the_push_and_the_queues(
    desk: RunningDesk, lin: Visitor
) -> None:
    await lin.post("/api/agent/serve", queues=["sales"])
    assert desk.presence.state_of("lin").state is AgentState.AVAILABLE
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe("agent:lin")
        old_cookie = lin.cookie
        status, to = await lin.send_form("/sign-out")
        assert (status, to) == (303, "/sign-in")
        with pytest.raises(websockets.ConnectionClosed):
            await client.until_event("never")
        assert client.socket.close_code == 4401
    assert desk.presence.state_of("lin").state is AgentState.OFFLINE
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connected(desk.push_url, additional_headers={"Cookie": old_cookie}):
            pass
    assert refused.value.response.status_code == 401


async def test_signing_out_works_while_the_telephone_side_is_away(
    desk: RunningDesk, lin: Visitor
) -> None:
    desk.presence.link_is_up = False
    status, to = await lin.send_form("/sign-out")
    assert (status, to) == (303, "/sign-in")
    assert (await lin.get("/desk"))[0] == 303


async def test_a_new_password_closes_the_open_desks(desk: RunningDesk, lin: Visitor) -> None:
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe("agent:lin")
        await close_ended_sessions(desk.app)
        assert len(desk.hub.desks) == 1
        async with desk.database.transaction() as transaction:
            await agents.set_password_hash(transaction, "lin", PASSWORD_HASH)
        await close_ended_sessions(desk.app)
        with pytest.raises(websockets.ConnectionClosed):
            await client.until_event("never")
        assert client.socket.close_code == 4401


async def test_an_agent_kept_out_has_no_session_any_more(desk: RunningDesk, lin: Visitor) -> None:
    async with desk.database.transaction() as transaction:
        await agents.set_active(transaction, "lin", False)
    assert (await lin.get("/api/me"))[0] == 401
