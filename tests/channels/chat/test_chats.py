"""Chats: what a visitor is told, whatever goes on around them, and never anybody else's words."""

from __future__ import annotations

import asyncio

import pytest

from channels.answering import answer, note
from channels.chat.chats import LONGEST_TEXT, CannotWrite
from channels.incoming import IncomingFile
from crm_store.contacts import chat_sessions, conversations, messages, threads
from crm_store.contacts.chat_sessions import ChatSessionRecord
from crm_store.contacts.messages import NewMessage
from crm_store.models import Channel, ConversationState
from crm_store.people import identity
from crm_store.signals import AgentState, Direction
from tests.channels.chat.chat_stage import ChatStage

pytestmark = pytest.mark.db


async def say(stage: ChatStage, session: ChatSessionRecord, text: str, key: str = "") -> int:
    """The visitor writes; the conversation that it is in."""
    await stage.hub.write(session.id, key or f"k{abs(hash(text))}", text)
    return await stage.conversation_of(session)


async def reply(stage: ChatStage, conversation_id: int, text: str, author: str = "lin") -> int:
    async with stage.database.transaction() as transaction:
        return await answer(transaction, conversation_id, author=author, text=text)


async def test_a_visitor_writes_and_is_answered(stage: ChatStage) -> None:
    stage.work("lin", "sales")
    session = await stage.begin(name="Wang", page={"address": "https://shop.example/vase?key=1"})
    visit, page = await stage.join(session)
    assert page.stand == {"state": "new"}
    conversation_id = await say(stage, session, "is the vase there?")
    await page.until(lambda: page.stand.get("state") == "waiting")
    assert page.stand == {"state": "waiting", "ahead": 0, "usual_wait_s": None}

    found = await conversations.find(stage.database, conversation_id)
    assert found is not None
    assert (found.queue, found.channel, found.language) == ("sales", Channel.CHAT, "en")
    assert found.customer_id is None
    assert session.page == "https://shop.example/vase"

    async with stage.database.transaction() as transaction:
        await conversations.assign(transaction, conversation_id, "lin", actor="lin")
    await page.until(lambda: page.stand == {"state": "answered", "agent": "Lin Xiaoyu"})
    await reply(stage, conversation_id, "two of them")
    await page.until(lambda: page.texts == ["is the vase there?", "two of them"])
    told = page.last("messages")[-1]
    assert (told["by"], told["name"]) == ("agent", "Lin Xiaoyu")
    stage.hub.leave(visit)


async def test_a_message_is_there_once_however_often_it_is_said(stage: ChatStage) -> None:
    session = await stage.begin()
    _, page = await stage.join(session)
    several = await asyncio.gather(
        *(stage.hub.write(session.id, "one", "hello") for _ in range(8)),
        *(stage.hub.write(session.id, "two", "again") for _ in range(8)),
    )
    assert len({message["id"] for message in several}) == 2
    conversation_id = await stage.conversation_of(session)
    kept = await messages.of_conversation(stage.database, conversation_id)
    assert sorted(message.text for message in kept) == ["again", "hello"]
    await page.until(lambda: len(page.texts) >= 2)
    assert sorted(page.texts) == ["again", "hello"]


async def test_who_comes_back_has_all_of_it_once(stage: ChatStage) -> None:
    session = await stage.begin()
    visit, page = await stage.join(session)
    conversation_id = await say(stage, session, "hello")
    await page.until(lambda: page.texts == ["hello"])
    stage.hub.leave(visit)
    await stage.hub.has_left(session.id)
    assert not stage.hub.is_here(conversation_id)
    await reply(stage, conversation_id, "first")
    await reply(stage, conversation_id, "second")
    _, again = await stage.join(session)
    assert again.texts == ["hello", "first", "second"]
    await reply(stage, conversation_id, "third")
    await again.until(lambda: again.texts == ["hello", "first", "second", "third"])


async def test_two_pages_of_one_visitor_show_the_same(stage: ChatStage) -> None:
    session = await stage.begin()
    _, one = await stage.join(session)
    _, other = await stage.join(session)
    conversation_id = await say(stage, session, "hello")
    await reply(stage, conversation_id, "welcome")
    for page in (one, other):
        await page.until(lambda page=page: page.texts == ["hello", "welcome"])  # type: ignore[misc]


async def test_what_another_process_wrote_is_found(
    stage: ChatStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await stage.begin()
    _, page = await stage.join(session)
    conversation_id = await say(stage, session, "hello")
    await page.until(lambda: page.texts == ["hello"])
    # Another process's transaction: nobody here is told of its facts.
    monkeypatch.setattr(stage.database, "_tell", lambda facts: None)
    await reply(stage, conversation_id, "from elsewhere")
    await stage.hub._look_around()
    await page.until(lambda: page.texts == ["hello", "from elsewhere"])


async def test_notes_mails_and_other_visitors_stay_unseen(stage: ChatStage) -> None:
    mine, other = await stage.begin(name="A"), await stage.begin(name="B")
    _, page = await stage.join(mine)
    own = await say(stage, mine, "mine")
    others = await say(stage, other, "the other's secret")
    await reply(stage, others, "answer to the other")
    async with stage.database.transaction() as transaction:
        await note(transaction, own, author="lin", text="between us")
        await messages.store(
            transaction,
            NewMessage(
                conversation_id=own,
                direction=Direction.INBOUND,
                channel=Channel.MAIL,
                external_key="m1",
                sender="wang@example.org",
                text="a mail",
            ),
        )
        # An agent's mistake must show nobody another one's words.
        await threads.merge(transaction, others, own, actor="lin")
    _, fresh = await stage.join(mine)
    assert fresh.texts == ["mine"]
    _, of_other = await stage.join(other)
    assert of_other.texts == ["the other's secret", "answer to the other"]
    assert page.texts == ["mine"]


async def test_a_conversation_that_was_merged_goes_on_where_it_is_now(stage: ChatStage) -> None:
    first, second = await stage.begin(), await stage.begin()
    _, page = await stage.join(second)
    into, merged = await say(stage, first, "one"), await say(stage, second, "two")
    async with stage.database.transaction() as transaction:
        await threads.merge(transaction, merged, into, actor="lin")
    await say(stage, second, "three")
    kept = await messages.of_conversation(stage.database, into)
    assert {message.text for message in kept} == {"one", "two", "three"}
    await reply(stage, into, "to who wrote last")
    await page.until(lambda: "to who wrote last" in page.texts)
    assert page.texts == ["two", "three", "to who wrote last"]


async def test_a_settled_chat_opens_again(stage: ChatStage) -> None:
    session = await stage.begin()
    _, page = await stage.join(session)
    conversation_id = await say(stage, session, "hello")
    async with stage.database.transaction() as transaction:
        await conversations.close(transaction, conversation_id, actor="lin")
    await page.until(lambda: page.stand == {"state": "closed"})
    assert await say(stage, session, "one thing more") == conversation_id
    found = await conversations.find(stage.database, conversation_id)
    assert found is not None
    assert found.state is ConversationState.OPEN


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("k", "", "empty"),
        ("k", "  \n ", "empty"),
        ("k", "x" * (LONGEST_TEXT + 1), "too_long"),
        ("", "hello", "bad_key"),
        ("../k", "hello", "bad_key"),
        ("k" * 65, "hello", "bad_key"),
        ("ключ", "hello", "bad_key"),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    stage: ChatStage, key: str, text: str, why: str
) -> None:
    session = await stage.begin()
    with pytest.raises(CannotWrite) as refused:
        await stage.hub.write(session.id, key, text)
    assert refused.value.why == why


async def test_one_visitors_key_never_is_anothers(stage: ChatStage) -> None:
    one, other = await stage.begin(), await stage.begin()
    first = await stage.hub.write(one.id, "same", "one")
    second = await stage.hub.write(other.id, "same", "other")
    assert first["id"] != second["id"]
    assert await stage.conversation_of(one) != await stage.conversation_of(other)


async def test_a_file_is_a_message(stage: ChatStage) -> None:
    session = await stage.begin()
    file = IncomingFile(name="a\u202egnp.txt", media_type="text/html", content=b"words")
    message = await stage.hub.write(session.id, "f", "", [file])
    (kept,) = message["files"]
    assert (kept["media_type"], kept["size"], kept["refused"]) == ("text/plain", 5, "")
    assert "\u202e" not in kept["name"]


async def test_presence_and_typing_are_signals(stage: ChatStage) -> None:
    session = await stage.begin()
    visit, page = await stage.join(session)
    conversation_id = await say(stage, session, "hello")
    stage.presence.clear()
    stage.hub.types(visit, True)
    stage.hub.types(visit, True)
    stage.hub.types(visit, False)
    assert [signal.typing for signal in stage.presence] == [True, False]
    assert all(signal.conversation_id == conversation_id for signal in stage.presence)

    stage.hub.typing(conversation_id, "lin")
    assert page.last("typing") == "Lin Xiaoyu"
    await reply(stage, conversation_id, "yes")
    await page.until(lambda: "yes" in page.texts)
    stage.hub.typing(conversation_id, "lin")
    assert [one["typing"] for one in page.heard if "typing" in one] == ["Lin Xiaoyu"] * 2
    stage.hub.typing(999_999, "lin")

    stage.presence.clear()
    stage.hub.leave(visit)
    assert [signal.present for signal in stage.presence] == [False]


async def test_only_what_was_told_can_be_seen(stage: ChatStage) -> None:
    session = await stage.begin()
    visit, page = await stage.join(session)
    conversation_id = await say(stage, session, "hello")
    message_id = await reply(stage, conversation_id, "yes")
    await page.until(lambda: "yes" in page.texts)
    await stage.hub.has_seen(visit, 999_999)
    await stage.hub.has_seen(visit, message_id)
    found = await chat_sessions.find(stage.database, session.id)
    assert found is not None
    assert found.seen_message_id == message_id
    assert stage.presence[-1].seen_message_id == message_id


async def test_what_a_visitor_says_of_themselves_proves_nothing(
    stage: ChatStage, ids: dict[str, int]
) -> None:
    session = await stage.begin(name="Wang", mail="Wang@Example.org")
    conversation_id = await say(stage, session, "my points, please")
    found = await conversations.find(stage.database, conversation_id)
    assert found is not None
    assert found.customer_id is None
    (suggested,) = await identity.open_suggestions(stage.database, conversation_id=conversation_id)
    assert (suggested.customer_id, suggested.reason) == (ids["wang"], "typed_address")


async def test_nobody_there_is_said(stage: ChatStage) -> None:
    session = await stage.begin()
    _, page = await stage.join(session)
    assert page.stand == {"state": "nobody"}
    stage.work("lin", "sales")
    await stage.hub._look_around()
    assert page.stand == {"state": "new"}
    stage.work("lin", "sales", state=AgentState.PAUSED)
    await stage.hub._look_around()
    assert page.stand == {"state": "nobody"}
