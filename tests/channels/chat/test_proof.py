"""Proof: a code to a known address joins the chat with its customer; nothing else does."""

from __future__ import annotations

import re
from typing import Any

import pytest

from crm_store.contacts import chat_sessions, conversations, outbox
from crm_store.models import Channel, Purpose
from crm_store.people import contact_points
from tests.channels.chat.chat_stage import ChatStage

pytestmark = pytest.mark.db

MAIL = {"mail": "wang@example.org"}


async def ask(
    stage: ChatStage, session_id: int, told: dict[str, Any], client: str = "192.0.2.1"
) -> str:
    return await stage.proof.ask(session_id, told, region="CN", client_address=client)


async def give(stage: ChatStage, session_id: int, told: dict[str, Any], code: str) -> str:
    return await stage.proof.give(session_id, told, code, region="CN", client_address="192.0.2.1")


async def code_sent(stage: ChatStage) -> str:
    letter = (await outbox.waiting(stage.database))[-1]
    assert letter.purpose is Purpose.CODE
    assert letter.is_secret
    found = re.search(r"\d{6}", letter.text)
    assert found is not None
    return found[0]


async def test_a_code_joins_the_chat_with_its_customer(
    stage: ChatStage, ids: dict[str, int]
) -> None:
    session = await stage.begin(name="Somebody")
    await stage.hub.write(session.id, "k", "my points, please")
    conversation_id = await stage.conversation_of(session)
    assert await stage.proof.asked_by_agent(conversation_id) == [session.id]
    assert await ask(stage, session.id, {"mail": " WANG@example.org "}) == "sent"
    assert await give(stage, session.id, MAIL, "000000") == "wrong"
    assert await give(stage, session.id, MAIL, await code_sent(stage)) == "done"

    found = await chat_sessions.find(stage.database, session.id)
    assert found is not None
    assert (found.customer_id, found.mail) == (ids["wang"], "wang@example.org")
    assert found.proof_asked_at is None
    conversation = await conversations.find(stage.database, conversation_id)
    assert conversation is not None
    assert conversation.customer_id == ids["wang"]
    points = await contact_points.of_customer(stage.database, ids["wang"])
    assert [point.proven_at is not None for point in points] == [True, False]
    assert await stage.proof.asked_by_agent(conversation_id) == []


async def test_the_next_conversation_is_the_customers_from_its_first_word(
    stage: ChatStage, ids: dict[str, int]
) -> None:
    session = await stage.begin()
    assert await ask(stage, session.id, {"phone": "13800138000"}) == "sent"
    (letter,) = await outbox.waiting(stage.database)
    assert (letter.channel, letter.recipient) == (Channel.SMS, "+8613800138000")
    told = {"phone": "+86 138 0013 8000"}
    assert await give(stage, session.id, told, await code_sent(stage)) == "done"
    await stage.hub.write(session.id, "k", "hello")
    found = await conversations.find(stage.database, await stage.conversation_of(session))
    assert found is not None
    assert found.customer_id == ids["wang"]


@pytest.mark.parametrize("told", [{"mail": "nobody@example.org"}, {"phone": "+34912345678"}])
async def test_nobody_learns_whether_an_address_is_known(
    stage: ChatStage, told: dict[str, str]
) -> None:
    session = await stage.begin()
    assert await ask(stage, session.id, told) == "sent"
    assert await outbox.waiting(stage.database) == []
    assert await give(stage, session.id, told, "123456") == "wrong"


async def test_codes_are_few_for_each_address(stage: ChatStage) -> None:
    session = await stage.begin()
    said = [await ask(stage, session.id, MAIL, f"192.0.2.{number}") for number in range(5)]
    assert said == ["sent"] * 3 + ["wait"] * 2
    assert len(await outbox.waiting(stage.database)) == 3


async def test_a_code_cannot_be_guessed(stage: ChatStage) -> None:
    session = await stage.begin()
    await ask(stage, session.id, MAIL)
    right = await code_sent(stage)
    wrong = [f"{number:06d}" for number in range(6) if f"{number:06d}" != right][:5]
    assert [await give(stage, session.id, MAIL, code) for code in wrong] == ["wrong"] * 5
    assert await give(stage, session.id, MAIL, right) == "wrong"


@pytest.mark.parametrize("told", [{}, {"mail": "x"}, {"phone": "1"}, {"mail": 7}, {"mail": "\0"}])
async def test_what_is_no_address_is_said(stage: ChatStage, told: dict[str, Any]) -> None:
    session = await stage.begin()
    assert await ask(stage, session.id, told) == "address"
    assert await give(stage, session.id, told, "123456") == "address"
