"""Every route with the wrong person: the table here must name each route of the application."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import websockets

from agent_desk.app import ROUTES
from crm_store.signals import AgentState
from tests.agent_desk.conftest import RunningDesk, Visitor, running_desk, signed_in_visitor
from tests.agent_desk.push_client import connected
from tests.agent_desk.signal_stories import pop, queue_call

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Expected:
    """What a stranger, an agent and a supervisor get; None where the body decides."""

    stranger: int
    agent: int
    supervisor: int
    body: dict[str, Any] = field(default_factory=dict)


PAGE = Expected(303, 200, 200)
DATA = Expected(401, 200, 200)
OPEN = Expected(200, 200, 200)
CUSTOMERS_PAGE = Expected(303, 303, 303)
CUSTOMERS_POST = Expected(401, 401, 401)
NOT_HERE = Expected(404, 404, 404)
UNSIGNED_FORM = Expected(403, 403, 403)
SOMEBODY_ELSES_CALL = {"pbx": "main", "call": "1.1"}

# A route that is missing here fails the test below: say who may use it.
EXPECTED = {
    ("GET", "/"): Expected(303, 303, 303),
    ("GET", "/sign-in"): Expected(200, 303, 303),
    ("POST", "/sign-in"): Expected(403, 401, 401),
    ("POST", "/sign-out"): Expected(401, 303, 303),
    ("POST", "/look"): Expected(403, 303, 303),
    ("GET", "/desk"): PAGE,
    ("GET", "/customers"): PAGE,
    ("GET", "/customers/new"): PAGE,
    ("POST", "/customers/new"): Expected(401, 400, 400),
    ("GET", "/search"): PAGE,
    ("GET", "/api/search"): DATA,
    ("GET", "/customers/suggestions"): PAGE,
    ("POST", "/customers/suggestions/{suggestion_id}"): Expected(401, 400, 400),
    ("POST", "/api/suggestions/{suggestion_id}"): Expected(401, 400, 400),
    ("GET", "/api/conversations/{conversation_id}/suggestions"): Expected(401, 404, 404),
    ("GET", "/customers/{customer_id}"): PAGE,
    ("GET", "/customers/{customer_id}/edit"): PAGE,
    ("POST", "/customers/{customer_id}/edit"): Expected(401, 400, 400),
    ("POST", "/customers/{customer_id}/visits"): Expected(401, 400, 400),
    ("POST", "/customers/{customer_id}/visits/{visit_id}"): Expected(401, 404, 404),
    ("POST", "/customers/{customer_id}/complaints"): Expected(401, 400, 400),
    ("POST", "/api/customers/{customer_id}"): Expected(401, 400, 400),
    ("GET", "/customers/{customer_id}/merge"): PAGE,
    ("POST", "/customers/{customer_id}/merge"): Expected(401, 404, 404),
    ("POST", "/customers/{customer_id}/split"): Expected(401, 409, 409),
    ("POST", "/customers/{customer_id}/moves/{move_id}/undo"): Expected(401, 404, 404),
    ("GET", "/inbox"): PAGE,
    ("GET", "/inbox/conversations/{conversation_id}/messages/{message_id}/letter"): Expected(
        303, 404, 404
    ),
    ("GET", "/inbox/conversations/{conversation_id}/messages/{message_id}/raw"): Expected(
        303, 404, 404
    ),
    ("GET", "/inbox/conversations/{conversation_id}/attachments/{attachment_id}"): Expected(
        303, 404, 404
    ),
    ("GET", "/api/conversations"): DATA,
    ("POST", "/api/conversations/next"): DATA,
    ("GET", "/api/conversations/{conversation_id}"): Expected(401, 404, 404),
    ("POST", "/api/conversations/{conversation_id}"): Expected(401, 404, 404),
    ("GET", "/api/conversations/{conversation_id}/beside"): Expected(401, 404, 404),
    ("POST", "/api/conversations/{conversation_id}/split"): Expected(401, 404, 404),
    ("POST", "/api/conversations/{conversation_id}/answer"): Expected(401, 404, 404),
    ("POST", "/api/conversations/{conversation_id}/note"): Expected(401, 404, 404),
    ("POST", "/api/conversations/{conversation_id}/draft"): Expected(401, 404, 404),
    ("POST", "/api/conversations/{conversation_id}/typing"): Expected(401, 404, 404),
    ("POST", "/api/conversations/{conversation_id}/uploads"): Expected(401, 404, 404),
    ("POST", "/api/conversations/{conversation_id}/messages/{message_id}/take-back"): Expected(
        401, 404, 404
    ),
    ("POST", "/api/conversations/{conversation_id}/messages/{message_id}/send-again"): Expected(
        401, 404, 404
    ),
    ("GET", "/floor"): Expected(303, 403, 200),
    ("GET", "/setup"): Expected(303, 403, 200),
    ("GET", "/setup/queues"): Expected(303, 403, 200),
    ("GET", "/setup/queues/new"): Expected(303, 403, 200),
    ("POST", "/setup/queues/new"): Expected(401, 403, 400),
    ("GET", "/setup/queues/{queue}"): Expected(303, 403, 404),
    ("POST", "/setup/queues/{queue}"): Expected(401, 403, 404),
    ("GET", "/setup/agents"): Expected(303, 403, 200),
    ("GET", "/setup/agents/new"): Expected(303, 403, 200),
    ("POST", "/setup/agents/new"): Expected(401, 403, 400),
    ("GET", "/setup/agents/{login}"): Expected(303, 403, 404),
    ("POST", "/setup/agents/{login}"): Expected(401, 403, 404),
    ("POST", "/setup/agents/{login}/password"): Expected(401, 403, 404),
    ("GET", "/setup/skills"): Expected(303, 403, 200),
    ("GET", "/setup/skills/new"): Expected(303, 403, 200),
    ("POST", "/setup/skills/new"): Expected(401, 403, 400),
    ("GET", "/setup/skills/{code}"): Expected(303, 403, 404),
    ("POST", "/setup/skills/{code}"): Expected(401, 403, 404),
    ("POST", "/setup/skills/{code}/move"): Expected(401, 403, 404),
    ("POST", "/setup/skills/{code}/retire"): Expected(401, 403, 404),
    ("POST", "/setup/skills/{code}/bring-back"): Expected(401, 403, 404),
    ("GET", "/setup/pause-reasons"): Expected(303, 403, 200),
    ("GET", "/setup/pause-reasons/new"): Expected(303, 403, 200),
    ("POST", "/setup/pause-reasons/new"): Expected(401, 403, 400),
    ("GET", "/setup/pause-reasons/{code}"): Expected(303, 403, 404),
    ("POST", "/setup/pause-reasons/{code}"): Expected(401, 403, 404),
    ("POST", "/setup/pause-reasons/{code}/move"): Expected(401, 403, 404),
    ("POST", "/setup/pause-reasons/{code}/retire"): Expected(401, 403, 404),
    ("POST", "/setup/pause-reasons/{code}/bring-back"): Expected(401, 403, 404),
    ("GET", "/setup/dispositions"): Expected(303, 403, 200),
    ("GET", "/setup/dispositions/new"): Expected(303, 403, 200),
    ("POST", "/setup/dispositions/new"): Expected(401, 403, 400),
    ("GET", "/setup/dispositions/{code}"): Expected(303, 403, 404),
    ("POST", "/setup/dispositions/{code}"): Expected(401, 403, 404),
    ("POST", "/setup/dispositions/{code}/move"): Expected(401, 403, 404),
    ("POST", "/setup/dispositions/{code}/retire"): Expected(401, 403, 404),
    ("POST", "/setup/dispositions/{code}/bring-back"): Expected(401, 403, 404),
    ("GET", "/setup/prompts"): Expected(303, 403, 200),
    ("GET", "/setup/prompts/one"): Expected(303, 403, 404),
    ("GET", "/setup/prompts/sound"): Expected(303, 403, 503),
    ("POST", "/setup/prompts/synthesis"): Expected(401, 403, 503),
    ("POST", "/api/setup/prompts"): Expected(401, 403, 503),
    ("GET", "/setup/menus"): Expected(303, 403, 200),
    ("GET", "/setup/menus/new"): Expected(303, 403, 200),
    ("POST", "/setup/menus/new"): Expected(401, 403, 400),
    ("GET", "/setup/menus/{menu_id}"): Expected(303, 403, 404),
    ("POST", "/setup/menus/{menu_id}"): Expected(401, 403, 404),
    ("POST", "/setup/menus/{menu_id}/publish"): Expected(401, 403, 404),
    ("POST", "/setup/menus/{menu_id}/switch"): Expected(401, 403, 404),
    ("POST", "/api/menus/check"): Expected(401, 403, 400),
    ("POST", "/api/menus/trials"): Expected(401, 403, 400),
    ("GET", "/api/menus/trials/{trial}"): Expected(401, 403, 404),
    ("POST", "/api/menus/trials/{trial}"): Expected(401, 403, 404),
    ("POST", "/api/menus/call"): Expected(401, 403, 400),
    ("GET", "/setup/opening-hours"): Expected(303, 403, 200),
    ("GET", "/setup/opening-hours/new"): Expected(303, 403, 200),
    ("POST", "/setup/opening-hours/new"): Expected(401, 403, 400),
    ("GET", "/setup/opening-hours/{code}"): Expected(303, 403, 404),
    ("POST", "/setup/opening-hours/{code}"): Expected(401, 403, 404),
    ("GET", "/setup/house"): Expected(303, 403, 200),
    ("POST", "/setup/house"): Expected(401, 403, 400),
    ("GET", "/setup/stuck"): Expected(303, 403, 200),
    ("POST", "/setup/stuck/messages/{outbox_id}/again"): Expected(401, 403, 409),
    ("POST", "/setup/stuck/messages/{outbox_id}/cancel"): Expected(401, 403, 409),
    ("POST", "/setup/stuck/jobs/{job_id}/again"): Expected(401, 403, 409),
    ("GET", "/setup/scripts"): Expected(303, 403, 200),
    ("GET", "/setup/scripts/new"): Expected(303, 403, 200),
    ("POST", "/setup/scripts/new"): Expected(401, 403, 400),
    ("GET", "/setup/scripts/{script_id}"): Expected(303, 403, 404),
    ("POST", "/setup/scripts/{script_id}"): Expected(401, 403, 404),
    ("POST", "/setup/scripts/{script_id}/publish"): Expected(401, 403, 404),
    ("POST", "/setup/scripts/{script_id}/switch"): Expected(401, 403, 404),
    ("GET", "/setup/scripts/{script_id}/compare"): Expected(303, 403, 404),
    ("GET", "/setup/texts"): Expected(303, 403, 200),
    ("GET", "/setup/texts/new"): Expected(303, 403, 200),
    ("POST", "/setup/texts/new"): Expected(401, 403, 400),
    ("GET", "/setup/texts/{text_id}"): Expected(303, 403, 404),
    ("POST", "/setup/texts/{text_id}"): Expected(401, 403, 404),
    ("POST", "/setup/texts/{text_id}/switch"): Expected(401, 403, 404),
    ("GET", "/setup/rules"): Expected(303, 403, 200),
    ("GET", "/setup/rules/new"): Expected(303, 403, 200),
    ("POST", "/setup/rules/new"): Expected(401, 403, 400),
    ("GET", "/setup/rules/{rule_id}"): Expected(303, 403, 404),
    ("POST", "/setup/rules/{rule_id}"): Expected(401, 403, 404),
    ("POST", "/setup/rules/{rule_id}/move"): Expected(401, 403, 404),
    ("POST", "/setup/rules/{rule_id}/switch"): Expected(401, 403, 404),
    ("POST", "/setup/rules/{rule_id}/undo"): Expected(401, 403, 404),
    ("POST", "/setup/rules/{rule_id}/delete"): Expected(401, 403, 404),
    ("POST", "/api/rules/try"): Expected(401, 403, 400),
    ("GET", "/setup/articles"): Expected(303, 403, 200),
    ("GET", "/setup/articles/new"): Expected(303, 403, 200),
    ("POST", "/setup/articles/new"): Expected(401, 403, 400),
    ("POST", "/setup/articles/flags/{flag_id}"): Expected(401, 403, 404),
    ("GET", "/setup/articles/{article_id}"): Expected(303, 403, 404),
    ("POST", "/setup/articles/{article_id}"): Expected(401, 403, 404),
    ("POST", "/setup/articles/{article_id}/switch"): Expected(401, 403, 404),
    ("GET", "/api/script"): Expected(401, 200, 200, SOMEBODY_ELSES_CALL),
    ("POST", "/api/script/step"): Expected(401, 403, 403, SOMEBODY_ELSES_CALL),
    ("POST", "/api/scripts/try"): Expected(401, 403, 400),
    ("POST", "/api/scripts/check"): Expected(401, 403, 400),
    ("GET", "/api/texts"): DATA,
    ("POST", "/api/texts/use"): Expected(401, 404, 404),
    ("GET", "/api/articles"): DATA,
    ("GET", "/api/articles/mine"): DATA,
    ("GET", "/api/articles/{article_id}"): Expected(401, 404, 404),
    ("POST", "/api/articles/suggest"): DATA,
    ("POST", "/api/articles/preview"): Expected(401, 403, 200),
    ("POST", "/api/articles/flags"): Expected(401, 400, 400),
    ("POST", "/api/articles/flags/{flag_id}/settle"): Expected(401, 404, 404),
    ("POST", "/api/articles/{article_id}/vote"): Expected(401, 400, 400),
    ("GET", "/push"): Expected(401, 400, 400),
    ("POST", "/api/sign-in"): Expected(400, 400, 400),
    ("GET", "/api/me"): DATA,
    ("POST", "/api/agent/serve"): Expected(401, 400, 400),
    ("POST", "/api/agent/leave"): DATA,
    ("POST", "/api/agent/pause"): Expected(401, 400, 400),
    ("POST", "/api/agent/unpause"): DATA,
    ("POST", "/api/agent/extend-wrap-up"): Expected(401, 409, 409),
    ("POST", "/api/agent/phone"): Expected(401, 400, 400),
    ("POST", "/api/phone/claim"): Expected(401, 503, 503),
    ("POST", "/api/phone/release"): DATA,
    ("GET", "/api/phone/legs"): DATA,
    ("GET", "/phone"): Expected(401, 400, 400),
    ("GET", "/api/customers"): DATA,
    ("POST", "/api/customers"): Expected(401, 400, 400),
    ("GET", "/api/customers/{customer_id}"): DATA,
    ("GET", "/api/customers/{customer_id}/history"): DATA,
    ("GET", "/api/customers/{customer_id}/story"): DATA,
    ("GET", "/tasks"): PAGE,
    ("GET", "/api/tasks"): DATA,
    ("GET", "/api/tasks/places"): DATA,
    ("POST", "/api/tasks"): Expected(401, 400, 400),
    ("POST", "/api/tasks/{task_id}"): Expected(401, 404, 404),
    ("GET", "/api/dispositions"): DATA,
    ("POST", "/api/call/customer"): Expected(401, 403, 403, SOMEBODY_ELSES_CALL),
    ("GET", "/api/call/note"): Expected(401, 200, 200, SOMEBODY_ELSES_CALL),
    ("POST", "/api/call/note"): Expected(401, 403, 403, SOMEBODY_ELSES_CALL),
    ("POST", "/api/call/wrap-up"): Expected(401, 403, 403, SOMEBODY_ELSES_CALL),
    ("POST", "/api/call/conference"): Expected(401, 403, 403, SOMEBODY_ELSES_CALL),
    ("POST", "/api/call/park"): Expected(401, 403, 403, SOMEBODY_ELSES_CALL),
    ("POST", "/api/call/transfer"): Expected(401, 403, 403, SOMEBODY_ELSES_CALL),
    ("POST", "/api/call/hang-up"): Expected(401, 403, 403, SOMEBODY_ELSES_CALL),
    ("POST", "/api/call/record"): Expected(401, 403, 403, SOMEBODY_ELSES_CALL),
    ("POST", "/api/phone/dial"): Expected(401, 400, 400),
    ("GET", "/api/recordings/{recording_id}"): Expected(401, 404, 404),
    ("GET", "/recordings/{recording_id}/audio"): Expected(303, 404, 404),
    # No chat is set up here; tests/agent_desk/chat is about one that is.
    ("GET", "/chat/widget.js"): Expected(404, 404, 404),
    ("GET", "/chat/opening"): Expected(404, 404, 404),
    ("POST", "/chat/sessions"): Expected(403, 403, 403),
    ("POST", "/chat/files"): Expected(403, 403, 403),
    ("GET", "/chat/files/{file_id}"): Expected(404, 404, 404),
    ("OPTIONS", "/chat/opening"): Expected(403, 403, 403),
    ("OPTIONS", "/chat/sessions"): Expected(403, 403, 403),
    ("OPTIONS", "/chat/files"): Expected(403, 403, 403),
    ("OPTIONS", "/chat/files/{file_id}"): Expected(403, 403, 403),
    ("GET", "/chat/socket"): Expected(403, 403, 403),
    ("POST", "/api/conversations/{conversation_id}/ask-who"): Expected(401, 404, 404),
    ("GET", "/demo/shop"): Expected(404, 404, 404),
    # The hall knows customers only (tests/agent_desk/hall): an agent is a stranger there.
    ("GET", "/hall"): OPEN,
    ("GET", "/hall/house"): OPEN,
    ("GET", "/hall/offers"): OPEN,
    ("GET", "/hall/products"): OPEN,
    ("GET", "/hall/products/{item}"): Expected(404, 404, 404),
    ("POST", "/hall/look"): UNSIGNED_FORM,
    ("GET", "/hall/sign-in"): OPEN,
    ("POST", "/hall/sign-in"): UNSIGNED_FORM,
    ("GET", "/hall/sign-in/code"): Expected(303, 303, 303),
    ("POST", "/hall/sign-in/code"): UNSIGNED_FORM,
    ("GET", "/hall/sign-in/which"): Expected(303, 303, 303),
    ("POST", "/hall/sign-in/which"): UNSIGNED_FORM,
    ("GET", "/hall/join"): OPEN,
    ("POST", "/hall/join"): UNSIGNED_FORM,
    ("POST", "/hall/sign-out"): CUSTOMERS_POST,
    ("POST", "/hall/sign-out-everywhere"): CUSTOMERS_POST,
    ("GET", "/hall/me"): CUSTOMERS_PAGE,
    ("GET", "/hall/points"): CUSTOMERS_PAGE,
    ("GET", "/hall/card"): CUSTOMERS_PAGE,
    ("POST", "/hall/card"): CUSTOMERS_POST,
    ("GET", "/hall/card/{number}"): CUSTOMERS_PAGE,
    ("GET", "/hall/basket"): OPEN,
    ("POST", "/hall/basket"): UNSIGNED_FORM,
    ("GET", "/hall/orders"): CUSTOMERS_PAGE,
    ("POST", "/hall/orders"): CUSTOMERS_POST,
    ("GET", "/hall/orders/{number}"): CUSTOMERS_PAGE,
    ("GET", "/hall/messages"): CUSTOMERS_PAGE,
    ("POST", "/hall/messages"): CUSTOMERS_POST,
    ("GET", "/hall/messages/{conversation_id}"): CUSTOMERS_PAGE,
    ("POST", "/hall/messages/{conversation_id}"): CUSTOMERS_POST,
    ("GET", "/hall/complaints"): CUSTOMERS_PAGE,
    ("POST", "/hall/complaints"): CUSTOMERS_POST,
    ("GET", "/hall/callback"): CUSTOMERS_PAGE,
    ("POST", "/hall/callback"): CUSTOMERS_POST,
    ("POST", "/hall/callback/{callback_id}/cancel"): CUSTOMERS_POST,
    ("GET", "/hall/preferences"): CUSTOMERS_PAGE,
    ("POST", "/hall/preferences"): CUSTOMERS_POST,
    ("POST", "/hall/preferences/again"): CUSTOMERS_POST,
    ("GET", "/hall/opt-out/{token}"): Expected(404, 404, 404),
    ("POST", "/hall/opt-out/{token}"): Expected(404, 404, 404),
    ("GET", "/hall/profile"): CUSTOMERS_PAGE,
    ("POST", "/hall/profile"): CUSTOMERS_POST,
    ("POST", "/hall/profile/address"): CUSTOMERS_POST,
    ("GET", "/hall/profile/address/code"): CUSTOMERS_PAGE,
    ("POST", "/hall/profile/address/code"): CUSTOMERS_POST,
    ("POST", "/hall/profile/address/{point_id}/remove"): CUSTOMERS_POST,
    ("GET", "/hall/privacy"): OPEN,
    ("POST", "/hall/privacy/export"): CUSTOMERS_POST,
    ("POST", "/hall/privacy/erase"): CUSTOMERS_POST,
    ("GET", "/hall/privacy/erase"): CUSTOMERS_PAGE,
    ("POST", "/hall/privacy/erase/confirm"): CUSTOMERS_POST,
    ("POST", "/hooks/twilio/messages"): NOT_HERE,
    ("POST", "/hooks/twilio/status"): NOT_HERE,
    ("GET", "/hooks/wechat"): NOT_HERE,
    ("POST", "/hooks/wechat"): NOT_HERE,
    ("GET", "/hooks/files/{token}"): NOT_HERE,
    ("GET", "/health"): Expected(200, 200, 200),
    ("GET", "/metrics"): Expected(200, 200, 200),
}


def test_every_route_has_an_entry(desk: RunningDesk) -> None:
    served = {
        (route.method, route.resource.canonical)
        for route in desk.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert served - {("GET", "/static/{name}")} == set(EXPECTED)
    assert {(route.method, route.path) for route in ROUTES} == set(EXPECTED)


def address_of(path: str, desk: RunningDesk) -> str:
    """The route's address for 王芳, and for nothing else that there is."""
    address = path.replace("{customer_id}", str(desk.customers["wang"]))
    return re.sub(r"\{[^}]*\}", "0", address)


async def status_of(visitor: Visitor, method: str, path: str, body: dict[str, Any]) -> int:
    address = address_of(path, visitor.desk)
    options: dict[str, Any] = {"allow_redirects": False}
    if method == "POST":
        options["headers"] = {"X-CSRF-Token": visitor.csrf}
        if path.startswith("/api/"):
            options["json"] = body
        else:
            options["data"] = body
    else:
        options["params"] = body
    async with visitor.http.request(method, address, **options) as response:
        return response.status


@pytest.mark.parametrize(("method", "path"), EXPECTED, ids=" ".join)
async def test_each_person_gets_what_they_may(
    visitor: Visitor, lin: Visitor, sara: Visitor, method: str, path: str
) -> None:
    expected = EXPECTED[method, path]
    # The call rings at Maria: it is neither Lin's nor the supervisor's.
    for signal in queue_call(agents=("maria", "root"))[:13]:
        visitor.desk.bus.publish(signal)
    got = [await status_of(person, method, path, expected.body) for person in (visitor, lin, sara)]
    assert got == [expected.stranger, expected.agent, expected.supervisor]


POSTS = [
    path
    for method, path in EXPECTED
    if method == "POST" and path != "/api/sign-in" and not path.startswith(("/hall", "/hooks/"))
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_desk(
    peopled_template: tuple[Path, dict[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningDesk]:
    """A desk for all tests of refusals: what is refused leaves it as it was."""
    async with running_desk(peopled_template, tmp_path_factory.mktemp("refusals")) as desk:
        yield desk


@pytest_asyncio.fixture(loop_scope="module")
async def refused(shared_desk: RunningDesk) -> AsyncIterator[Visitor]:
    """Lin, who is signed in afterwards still, and has neither changed nor asked for anything."""
    async for visitor in signed_in_visitor(shared_desk, "lin"):
        before = all_rows(shared_desk)
        yield visitor
        assert all_rows(shared_desk) == before
        assert shared_desk.presence.asked == []


def all_rows(desk: RunningDesk) -> list[str]:
    """All that is in the desk's database, the sessions too."""
    with contextlib.closing(sqlite3.connect(str(desk.database.url.database))) as connection:
        return list(connection.iterdump())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("token", ["", "wrong", "\u00e9"])
async def test_no_post_without_the_sessions_csrf_token(
    refused: Visitor, path: str, token: str
) -> None:
    async with refused.http.post(
        address_of(path, refused.desk),
        data={"csrf_token": token, "name": "changed"},
        allow_redirects=False,
    ) as response:
        assert response.status == 403


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", POSTS)
async def test_no_post_from_another_origin(refused: Visitor, path: str) -> None:
    headers = {"X-CSRF-Token": refused.csrf, "Origin": "https://evil.example"}
    async with refused.http.post(
        address_of(path, refused.desk), headers=headers, allow_redirects=False
    ) as response:
        assert response.status == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_the_push_refuses_another_sites_pages(lin: Visitor, origin: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connected(
            lin.desk.push_url, origin=origin, additional_headers={"Cookie": lin.cookie}
        ):
            pass
    assert refused.value.response.status_code == 403


async def test_the_push_welcomes_its_own_pages(lin: Visitor) -> None:
    origin = str(lin.desk.url).rstrip("/")
    async with connected(
        lin.desk.push_url, origin=origin, additional_headers={"Cookie": lin.cookie}
    ) as client:
        await client.subscribe("agent:lin", "queues", "agents")


@pytest.mark.parametrize("topic", ["agent:maria", "calls", "agent:", "agent:nobody", ""])
async def test_an_agent_may_not_follow_what_is_not_theirs(lin: Visitor, topic: str) -> None:
    async with connected(lin.desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.say({"subscribe": [topic]})
        assert "no topic" in (await client.next())["error"]
        lin.desk.bus.publish(pop("maria"))
        await client.subscribe("queues")
        assert not [frame for frame in client.frames if frame.get("topic") == topic]


async def test_a_supervisor_follows_calls_and_any_agent(sara: Visitor) -> None:
    async with connected(sara.desk.push_url, additional_headers={"Cookie": sara.cookie}) as client:
        await client.subscribe("calls", "agent:lin")
        sara.desk.bus.publish(pop("lin"))
        await client.until_event("ScreenPop")
        await client.say({"subscribe": ["agent:made up"]})
        assert "no topic" in (await client.next())["error"]


async def test_an_agent_cannot_serve_a_queue_that_is_not_theirs(maria: Visitor) -> None:
    status, answer = await maria.post("/api/agent/serve", queues=["sales", "service"])
    assert status == 403
    assert "supervisor" in answer["error"]
    assert maria.desk.presence.state_of("maria").state is AgentState.OFFLINE


async def test_security_headers_are_on_every_answer(visitor: Visitor) -> None:
    for path in ("/sign-in", "/nowhere", "/static/desk.css", "/api/me", "/health"):
        async with visitor.http.get(path, allow_redirects=False) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "microphone=(self)" in response.headers["Permissions-Policy"]


async def test_metrics_are_not_for_agents_behind_a_proxy(visitor: Visitor, lin: Visitor) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7"}
    assert (await visitor.get("/metrics", headers=headers))[0] == 401
    assert (await lin.get("/metrics", headers=headers))[0] == 403
    status, text = await visitor.get("/metrics")
    assert status == 200
    assert "deskbell_screen_pops_total" in text
