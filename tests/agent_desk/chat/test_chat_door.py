"""The chat's door: whose pages come in, whose token it is, and what too much is."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from agent_desk.chat.files import LARGEST_FILE
from crm_store.contacts import chat_sessions, messages
from tests.agent_desk.chat.conftest import FOREIGN, SITE, ChatPage, reply
from tests.agent_desk.conftest import RunningDesk, Visitor

pytestmark = pytest.mark.db


async def test_a_chat_from_its_start_to_its_end(desk: RunningDesk, page: ChatPage) -> None:
    await desk.presence.sign_in("lin", ["sales"])
    assert await page.begin(name="Wang", page={"address": f"{SITE}/?a=1", "title": "Home"}) == 200
    welcome = await page.connect()
    assert welcome["messages"] == []
    assert welcome["welcome"]["name"] == "Wang"
    kept = await page.write("is the vase there?")
    conversation_id = await page.conversation()
    (stored,) = await messages.of_conversation(desk.database, conversation_id)
    assert (stored.id, stored.text) == (kept["id"], "is the vase there?")
    session = await chat_sessions.of_token(desk.database, page.token)
    assert session is not None
    assert (session.page, session.page_title) == (f"{SITE}/vase", "Vase")

    await reply(desk, conversation_id, "two of them")
    told = await page.next("messages")
    while told["messages"][-1]["text"] != "two of them":
        told = await page.next("messages")
    assert told["messages"][-1]["name"] == "Lin Xiaoyu"
    await page.say(reach={"mail": "Wang@Example.org", "phone": ""})
    assert (await page.next("reach"))["reach"] == "done"
    await page.say(transcript="wang@example.org")
    assert (await page.next("transcript"))["transcript"] == "done"
    await page.say(end=True)
    assert (await page.next("over"))["over"] is True
    assert (await page.connect()) == {"close": 4401}


@pytest.mark.parametrize("origin", [FOREIGN, "null", f"{SITE}.evil.example", "https://shop.exampl"])
async def test_another_sites_page_is_refused(page: ChatPage, origin: str) -> None:
    assert await page.begin() == 200
    for method, path in (
        ("POST", "/chat/sessions"),
        ("POST", "/chat/files"),
        ("GET", "/chat/opening"),
        ("GET", "/chat/files/1"),
        ("OPTIONS", "/chat/sessions"),
    ):
        async with page.http.request(method, path, headers={"Origin": origin}) as response:
            assert response.status == 403, path
            assert "Access-Control-Allow-Origin" not in response.headers
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await page.connect(origin=origin)
    assert refused.value.status == 403


async def test_a_socket_without_an_origin_is_refused(page: ChatPage) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await page.http.ws_connect("/chat/socket")
    assert refused.value.status == 403


async def test_the_shops_page_may_read_the_answers(page: ChatPage) -> None:
    async with page.http.options("/chat/files", headers={"Origin": SITE}) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == SITE
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers
    async with page.http.get("/chat/opening?language=fa", headers={"Origin": SITE}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == SITE
        opening = await response.json()
    assert opening["language"] == "fa"
    assert [topic["code"] for topic in opening["topics"]] == ["sales", "service"]
    async with page.http.get("/chat/widget.js") as response:
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert response.headers["Content-Type"].startswith("text/javascript")
        assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("token", ["", "wrong", "x" * 10_000, "\u00e9", "visitor-1"])
async def test_a_wrong_token_opens_nothing(page: ChatPage, token: str) -> None:
    assert await page.connect(token=token) == {"close": 4401}


@pytest.mark.parametrize("said", ["[]", "nonsense", '{"hello": 7}', '{"seen": 1}', "\0"])
async def test_nothing_is_said_before_the_token(page: ChatPage, said: str) -> None:
    page.socket = await page.http.ws_connect("/chat/socket", headers={"Origin": SITE})
    await page.socket.send_str(said)
    assert await page.next("welcome") == {"close": 4401}


async def test_a_visitor_fetches_their_own_files_only(
    desk: RunningDesk, page: ChatPage, other_page: ChatPage
) -> None:
    assert await page.begin() == await other_page.begin() == 200
    status, said = await page.upload("my%20secret.html", b"<script>alert(1)</script>")
    assert status == 200
    (file,) = said["message"]["files"]
    status, content, taken = await page.fetch(file["id"])
    assert (status, content) == (200, b"<script>alert(1)</script>")
    assert taken.startswith("attachment;")
    assert (await other_page.fetch(file["id"]))[0] == 404
    assert (await page.fetch(file["id"], token=""))[0] == 401
    assert (await page.fetch(file["id"] + 1))[0] == 404
    async with page.http.get(f"/chat/files/{file['id']}", headers={
        "Authorization": f"Bearer {page.token}"
    }) as response:  # fmt: skip
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert "sandbox" in response.headers["Content-Security-Policy"]


async def test_a_file_is_there_once_and_a_hostile_one_never(
    desk: RunningDesk, page: ChatPage
) -> None:
    await page.begin()
    first = await page.upload("a.txt", b"words")
    second = await page.upload("a.txt", b"words")
    assert first[1]["message"]["id"] == second[1]["message"]["id"]
    status, said = await page.upload("invoice.exe", b"MZ", key="f2")
    assert (status, said["problem"]) == (415, "executable")
    status, said = await page.upload("empty", b"", key="f3")
    assert (status, said["problem"]) == (400, "empty")
    assert len(await messages.of_conversation(desk.database, await page.conversation())) == 1


async def test_a_file_that_is_too_large_is_not_read_to_its_end(page: ChatPage) -> None:
    await page.begin()
    read = 0

    async def endless() -> object:
        nonlocal read
        while read < 20 * LARGEST_FILE:
            read += 65_536
            yield b"x" * 65_536

    headers = {"Origin": SITE, "Authorization": f"Bearer {page.token}", "X-Key": "f"}
    try:
        async with page.http.post("/chat/files", data=endless(), headers=headers) as response:
            assert response.status == 413
    except aiohttp.ClientConnectionError:
        pass  # The server has answered and hung up while the rest was still on its way.
    assert read < 20 * LARGEST_FILE


async def test_ten_megabytes_in_a_frame_end_the_connection(
    desk: RunningDesk, page: ChatPage
) -> None:
    await page.begin()
    await page.connect()
    # It may be cut off before all of it is said.
    with contextlib.suppress(ConnectionError):
        await page.say(say="x" * 10_000_000, key="k1")
    assert "close" in await page.next("kept")
    assert await desk.database.fetch("SELECT count(*) FROM messages") == [(0,)]
    await page.connect()
    assert (await page.write("a short one"))["kept"] == "k1"


async def test_a_thousand_messages_are_slowed_down_then_cut_off(
    desk: RunningDesk, page: ChatPage, other_page: ChatPage
) -> None:
    await page.begin()
    await other_page.begin()
    await page.connect()
    await other_page.connect()
    # It may be cut off before all is said.
    with contextlib.suppress(ConnectionError):
        for number in range(1_000):
            await page.say(say=f"message {number}", key=f"k{number}")
    assert "close" in await page.next("none such")
    kept = await messages.of_conversation(desk.database, await page.conversation(), limit=500)
    assert 1 <= len(kept) <= 100
    assert (await other_page.write("and me?"))["kept"] == "k1"


async def test_whoever_is_too_fast_is_told_when_to_say_it_again(page: ChatPage) -> None:
    await page.begin()
    await page.connect()
    for number in range(14):
        await page.say(say="again", key=f"k{number}")
    refusal = await page.next("refused")
    assert refusal["why"] == "too_fast"
    assert refusal["wait_s"] > 0


@pytest.mark.parametrize(
    "wish",
    [{}, {"say": 7, "key": "k"}, {"say": "x"}, {"seen": "all"}, {"typing": "yes"}, {"code": "1"},
     {"seen": 2**70}, {"end": "yes"}, {"conversation": 1, "say": "x"}],
)  # fmt: skip
async def test_a_senseless_frame_is_told_so(page: ChatPage, wish: dict[str, object]) -> None:
    await page.begin()
    await page.connect()
    await page.say(**wish)
    assert "error" in await page.next("error")
    assert (await page.write("still here"))["kept"] == "k1"


async def test_a_visitor_cannot_name_a_conversation(
    desk: RunningDesk, page: ChatPage, other_page: ChatPage
) -> None:
    await page.begin()
    await page.connect()
    await page.write("the first one's words")
    theirs = await page.conversation()
    status = await other_page.begin(conversation_id=theirs, id=1, customer_id=1, token=page.token)
    assert status == 200
    welcome = await other_page.connect()
    assert welcome["messages"] == []
    await other_page.write("mine")
    assert await other_page.conversation() != theirs
    session = await chat_sessions.of_token(desk.database, other_page.token)
    assert session is not None
    assert session.customer_id is None


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"consent": False}, "consent"),
        ({"consent": "true"}, "consent"),
        ({"topic": "nothing"}, "topic"),
        ({"mail": "nobody"}, "mail"),
        ({"phone": "12"}, "phone"),
        ({"name": "a\0b"}, "not_understood"),
        ({"name": "x" * 9_000}, "too_large"),
    ],
)
async def test_what_cannot_begin_a_chat_is_told(
    desk: RunningDesk, page: ChatPage, told: dict[str, object], problem: str
) -> None:
    wish = {"consent": True, "topic": "sales", **told}
    async with page.http.post("/chat/sessions", json=wish, headers={"Origin": SITE}) as response:
        assert response.status in (400, 413)
        assert (await response.json())["problem"] == problem
    assert await desk.database.fetch("SELECT count(*) FROM chat_sessions") == [(0,)]


async def test_chats_are_begun_few_at_a_time_from_one_address(page: ChatPage) -> None:
    said = [await page.begin() for _ in range(12)]
    assert said == [200] * 10 + [429] * 2


async def test_an_agent_sees_what_the_visitor_says_and_asks_for_a_proof(
    desk: RunningDesk, page: ChatPage, lin: Visitor, maria: Visitor
) -> None:
    await page.begin(name="Wang", mail="wang@example.org", topic="service")
    await page.connect()
    await page.write("my points?")
    conversation_id = await page.conversation()
    status, seen = await lin.ask(f"/api/conversations/{conversation_id}")
    assert status == 200
    visitor = seen["conversation"]["visitor"]
    assert visitor["name"] == "Wang"
    assert (visitor["mail"], visitor["phone"]) == ("wang@example.org", "")
    assert (visitor["is_proven"], visitor["asked_at"]) == (False, None)
    assert visitor["page"] == f"{SITE}/vase"
    assert (await maria.post(f"/api/conversations/{conversation_id}/ask-who"))[0] == 403
    status, _ = await lin.post(f"/api/conversations/{conversation_id}/ask-who")
    assert status == 200
    _, seen = await lin.ask(f"/api/conversations/{conversation_id}")
    assert seen["conversation"]["visitor"]["asked_at"] is not None
    assert (await page.next("proof"))["proof"] == "asked"
    # Who comes back is asked still.
    await page.connect()
    assert (await page.next("proof"))["proof"] == "asked"


async def test_the_sample_shop_is_there_only_where_it_is_wanted(
    desk: RunningDesk, page: ChatPage
) -> None:
    async with page.http.get("/demo/shop?language=es") as response:
        text = await response.text()
        assert response.status == 200
    assert '<script src="/chat/widget.js" data-language="es" async></script>' in text


async def test_a_stopping_service_lets_pages_come_again(page: ChatPage) -> None:
    await page.begin()
    await page.connect()
    closing = asyncio.create_task(page.desk.app.shutdown())
    assert (await page.next("none such"))["close"] == 1001
    await closing
