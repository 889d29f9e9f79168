"""The push's topics of written work: what they add up to is what a fresh snapshot says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agent_desk.inbox.conversation_presence import PRESENCE
from agent_desk.inbox.inbox_board import INBOX_BOARD
from agent_desk.inbox.written_work import WrittenWork
from channels.routing import Offer
from crm_store.contacts import conversations
from crm_store.database import Database
from crm_store.signals import ChatPresence, OffersChanged
from crm_store.staff import agents
from tests.agent_desk.conftest import RunningDesk, Visitor
from tests.agent_desk.inbox.written import comes_in
from tests.agent_desk.push_client import connected
from tests.agent_desk.push_follow import assert_state_follows, until

pytestmark = pytest.mark.db


def documents(desk: RunningDesk, topic: str) -> dict[str, Any]:
    found = desk.hub.topics.get(topic)
    return found.documents if found else {}


def unassigned(desk: RunningDesk, login: str) -> int | None:
    """What the agent's topic counts so far; None before the first look."""
    counts = documents(desk, f"inbox:{login}").get("counts")
    return counts["views"]["unassigned"] if counts else None


async def test_what_comes_in_moves_the_counts_and_tells_who_may_see_it(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    cookies = [{"Cookie": one.cookie} for one in (lin, maria)]
    async with (
        connected(desk.push_url, additional_headers=cookies[0]) as hers,
        connected(desk.push_url, additional_headers=cookies[1]) as others,
    ):
        await hers.subscribe("inbox:lin")
        await others.subscribe("inbox:maria")
        await until(lambda: "counts" in documents(desk, "inbox:maria"))
        _, sales = await comes_in(desk, "hello")
        await until(lambda: unassigned(desk, "maria") == 1)
        _, service = await comes_in(desk, "hello", queue="service", sender="x@example.org")
        await until(lambda: unassigned(desk, "lin") == 2)
        assert documents(desk, "inbox:lin")["counts"]["queues"] == {"sales": 1, "service": 1}
        assert documents(desk, "inbox:maria")["counts"]["queues"] == {"sales": 1}
        assert service not in documents(desk, "inbox:maria")["changed"]["ids"]

        async with desk.database.transaction() as transaction:
            await conversations.assign(transaction, sales, "lin", actor="lin")
        await until(lambda: f"mine:{sales}" in documents(desk, "inbox:lin"))
        await assert_state_follows(desk.hub, hers, "inbox:lin")
        async with desk.database.transaction() as transaction:
            await conversations.close(transaction, sales, actor="lin", disposition="solved")
        await until(lambda: f"mine:{sales}" not in documents(desk, "inbox:lin"))
        await assert_state_follows(desk.hub, hers, "inbox:lin")
        await assert_state_follows(desk.hub, others, "inbox:maria")


async def test_what_another_process_did_is_found_by_looking(
    desk: RunningDesk, lin: Visitor
) -> None:
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe("inbox:lin")
        _, one = await comes_in(desk, "hello")
        await until(lambda: unassigned(desk, "lin") == 1)
        elsewhere = Database(desk.database.url.render_as_string(hide_password=False))
        try:
            async with elsewhere.transaction() as transaction:
                await conversations.assign(transaction, one, "lin", actor="lin")
        finally:
            await elsewhere.close()
        await desk.app[INBOX_BOARD].look()
        assert f"mine:{one}" in documents(desk, "inbox:lin")
        await assert_state_follows(desk.hub, client, "inbox:lin")


async def test_who_has_it_open_and_who_writes_is_seen_by_the_others(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    _, one = await comes_in(desk, "hello")
    topic = f"conversation:{one}"
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe(topic, "inbox")
        async with connected(desk.push_url, additional_headers={"Cookie": maria.cookie}) as other:
            await other.subscribe(topic)
            assert set(documents(desk, topic)) == {"agent:lin", "agent:maria"}
            status, _ = await maria.post(f"/api/conversations/{one}/typing", what="answer")
            assert status == 200
            await assert_state_follows(desk.hub, client, topic, "inbox")
            assert client.state[topic]["agent:maria"]["typing"] == "answer"
            looking = client.state["inbox"][f"looking:{one}"]["agents"]
            assert {(who["agent"], who["typing"]) for who in looking} == {
                ("lin", False),
                ("maria", True),
            }
            status, _ = await maria.post(f"/api/conversations/{one}/typing", what="dancing")
            assert status == 400
        await until(lambda: set(documents(desk, topic)) == {"agent:lin"})
        await assert_state_follows(desk.hub, client, topic, "inbox")
    await until(lambda: topic not in desk.hub.topics)
    assert documents(desk, "inbox") == {}


async def test_typing_is_over_by_itself(
    desk: RunningDesk, lin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_desk.inbox.conversation_presence.TYPING_SECONDS", 0.05)
    _, one = await comes_in(desk, "hello")
    topic = f"conversation:{one}"
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe(topic)
        agent = await agents.find(desk.database, "lin")
        assert agent is not None
        desk.app[PRESENCE].types(one, agent, "note")
        assert documents(desk, topic)["agent:lin"]["typing"] == "note"
        await until(lambda: documents(desk, topic)["agent:lin"]["typing"] == "")
        await assert_state_follows(desk.hub, client, topic)


async def test_a_chats_visitor_is_seen_also_by_who_opens_it_later(
    desk: RunningDesk, lin: Visitor
) -> None:
    _, one = await comes_in(desk, "hello")
    desk.bus.publish(ChatPresence(conversation_id=one, present=True, typing=True))
    topic = f"conversation:{one}"
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe(topic)
        assert client.state[topic]["customer"] == {"present": True, "typing": True}
        desk.bus.publish(ChatPresence(conversation_id=one, present=False))
        await assert_state_follows(desk.hub, client, topic)
        assert client.state[topic]["customer"] == {"present": False, "typing": False}


async def test_an_offer_stands_before_its_agent_until_it_is_over(
    desk: RunningDesk, lin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, one = await comes_in(desk, "hello")
    offers = [Offer(one, "lin", datetime.now(UTC))]
    board = desk.app[INBOX_BOARD]
    monkeypatch.setattr(board, "_written", WrittenWork(offers=lambda: offers))
    async with connected(desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        await client.subscribe("inbox:lin")
        desk.bus.publish(OffersChanged())
        await until(lambda: f"offer:{one}" in documents(desk, "inbox:lin"))
        status, _ = await lin.post(f"/api/conversations/{one}", action="accept")
        assert status == 200
        offers.clear()
        desk.bus.publish(OffersChanged())
        await until(lambda: f"offer:{one}" not in documents(desk, "inbox:lin"))
        await until(lambda: f"mine:{one}" in documents(desk, "inbox:lin"))
        await assert_state_follows(desk.hub, client, "inbox:lin")


async def test_an_agent_may_not_follow_anothers_inbox(lin: Visitor) -> None:
    async with connected(lin.desk.push_url, additional_headers={"Cookie": lin.cookie}) as client:
        for topic in ("inbox:maria", "conversation:x", "conversation:0", "conversation:"):
            await client.say({"subscribe": [topic]})
            assert "no topic" in (await client.next())["error"]
