"""The API of conversations: what an agent sees, does and is refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels.incoming import IncomingFile
from crm_store import audit
from crm_store.contacts import conversations, messages, sending
from crm_store.contacts.messages import MessageRecord
from crm_store.knowledge import canned_texts
from crm_store.models import Channel, ConversationState, MessageState
from crm_store.staff import agents
from tests.agent_desk.conftest import RunningDesk, Visitor
from tests.agent_desk.inbox.written import comes_in

pytestmark = pytest.mark.db

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c626001"
    "000000ffff03000006000557bfabd40000000049454e44ae426082"
)


async def shown(visitor: Visitor, conversation: int) -> dict[str, Any]:
    status, answer = await visitor.ask(f"/api/conversations/{conversation}")
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


async def ids(visitor: Visitor, **query: str) -> list[int]:
    status, answer = await visitor.ask("/api/conversations", **query)
    assert status == 200, answer
    return [line["id"] for line in answer["conversations"]]


async def message_of(desk: RunningDesk, message_id: int) -> MessageRecord:
    found = await messages.find(desk.database, message_id)
    assert found is not None
    return found


async def test_what_comes_in_stands_in_the_queues_view_and_names_its_customer(
    desk: RunningDesk, lin: Visitor
) -> None:
    _, one = await comes_in(desk, "When will it come?", subject="The armchair", sender_name="Wang")
    assert await ids(lin, view="unassigned") == [one]
    assert await ids(lin, view="all", queue="sales") == [one]
    assert await ids(lin, view="mine") == []
    _, answer = await lin.ask("/api/conversations", view="unassigned")
    (line,) = answer["conversations"]
    assert (line["customer_name"], line["segment"]) == ("王芳", "vip")
    assert (line["subject"], line["preview"]) == ("The armchair", "When will it come?")
    assert line["first_answer_due_at"] > line["opened_at"]


async def test_lists_have_pages(desk: RunningDesk, lin: Visitor) -> None:
    made = [
        (await comes_in(desk, str(number), sender=f"n{number}@example.org"))[1]
        for number in range(5)
    ]
    _, first = await lin.ask("/api/conversations", view="all", limit="3")
    _, second = await lin.ask("/api/conversations", view="all", limit="3", before=first["older"])
    assert [line["id"] for line in first["conversations"] + second["conversations"]] == made[::-1]
    assert second["older"] is None
    status, _ = await lin.ask("/api/conversations", view="all", before="nonsense")
    assert status == 400


async def test_words_and_names_find_conversations(desk: RunningDesk, lin: Visitor) -> None:
    _, one = await comes_in(desk, "the blue armchair, please")
    _, other = await comes_in(desk, "nothing of that", sender="x@example.org")
    assert await ids(lin, find="armchair") == [one]
    assert await ids(lin, find="王芳") == [one]
    assert await ids(lin, find="nothing") == [other]
    assert await ids(lin, find="unheard of") == []


async def test_an_agent_sees_their_queues_their_own_and_what_names_them(
    desk: RunningDesk, lin: Visitor, maria: Visitor, sara: Visitor
) -> None:
    _, one = await comes_in(desk, "for the service desk", queue="service")
    status, answer = await maria.ask(f"/api/conversations/{one}")
    assert status == 403
    assert "queue" in answer["error"]
    assert await ids(maria, find="service") == []
    assert await ids(sara, view="all") == [one]
    status, _ = await lin.post(f"/api/conversations/{one}/note", text="@maria, you know him")
    assert status == 200
    assert await ids(maria, view="mentions") == [one]
    found = await shown(maria, one)
    assert [entry["mentions"] for entry in found["entries"]] == [[], ["maria"]]
    assert await ids(maria, view="mentions") == []
    version = found["conversation"]["version"]
    status, _ = await lin.post(
        f"/api/conversations/{one}", action="assign", to="maria", version=version
    )
    assert status == 200
    assert await ids(maria, view="mine") == [one]


async def test_opening_one_is_audited_once(desk: RunningDesk, lin: Visitor) -> None:
    _, one = await comes_in(desk, "hello")
    for _ in range(3):
        await shown(lin, one)
    seen = await audit.entries(desk.database, subject_kind="conversation", subject_id=one)
    assert [entry.action for entry in seen if entry.actor == "lin"] == ["saw"]
    seen = await audit.entries(
        desk.database, subject_kind="customer", subject_id=desk.customers["wang"], actor="lin"
    )
    assert [(entry.action, entry.reason) for entry in seen] == [("saw", "conversation")]


async def test_who_acts_on_what_has_moved_on_is_told(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    _, one = await comes_in(desk, "hello")
    version = (await shown(lin, one))["conversation"]["version"]
    status, answer = await maria.post(
        f"/api/conversations/{one}", action="tag", add=["armchair"], version=version
    )
    assert (status, answer["conversation"]["tags"]) == (200, ["armchair"])
    for wish in ({"action": "close"}, {"action": "assign", "to": "lin"}, {"action": "spam"}):
        status, answer = await lin.post(f"/api/conversations/{one}", version=version, **wish)
        assert status == 409
        assert "meanwhile" in answer["error"]
    status, answer = await lin.post(
        f"/api/conversations/{one}/answer", text="hello", key="k", version=version
    )
    assert status == 409
    record = await conversations.find(desk.database, one)
    assert record is not None
    assert (record.state, record.assigned_to) == (ConversationState.OPEN, None)


async def test_an_answer_goes_once_and_can_be_taken_back_at_once(
    desk: RunningDesk, lin: Visitor
) -> None:
    _, one = await comes_in(desk, "When will it come?", subject="The armchair")
    version = (await shown(lin, one))["conversation"]["version"]
    wish = {"text": "On Tuesday.", "key": "k1", "version": version}
    status, first = await lin.post(f"/api/conversations/{one}/answer", **wish)
    assert status == 200, first
    # The answer was lost on the way: the page sends it again.
    status, second = await lin.post(f"/api/conversations/{one}/answer", **wish)
    assert (status, second) == (200, first)
    message = await message_of(desk, first["message"])
    assert message.delivery is not None
    assert message.delivery.state is MessageState.WAITING
    assert message.delivery.due_at.timestamp() > time.time()
    found = (await shown(lin, one))["conversation"]
    assert (found["state"], found["assigned_to"]) == ("waiting", "lin")

    path = f"/api/conversations/{one}/messages/{first['message']}/take-back"
    status, back = await lin.post(path)
    assert (status, back) == (200, {"text": "On Tuesday.", "files": []})
    whole = await shown(lin, one)
    assert [entry["direction"] for entry in whole["entries"]] == ["inbound"]
    assert whole["conversation"]["state"] == "open"
    assert whole["conversation"]["first_answered_at"] is None
    assert await ids(lin, find="Tuesday") == []
    assert (await lin.post(path))[0] == 404


async def test_nobody_takes_back_what_a_colleague_wrote(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    _, one = await comes_in(desk, "When will it come?")
    _, sent = await lin.post(f"/api/conversations/{one}/answer", text="On Tuesday.")
    path = f"/api/conversations/{one}/messages/{sent['message']}/take-back"
    assert (await maria.post(path))[0] == 409
    assert (await message_of(desk, sent["message"])).text == "On Tuesday."


async def test_a_chat_is_answered_at_once(desk: RunningDesk, lin: Visitor) -> None:
    _, one = await comes_in(desk, "hello?", channel=Channel.CHAT, sender="visitor-1")
    status, sent = await lin.post(f"/api/conversations/{one}/answer", text="Here I am.")
    assert status == 200, sent
    assert (await message_of(desk, sent["message"])).delivery is None


async def test_what_cannot_be_answered_says_why(desk: RunningDesk, lin: Visitor) -> None:
    _, one = await comes_in(desk, "hello", sender="stranger@example.org")
    for wish, words in (
        ({"text": " "}, "Write something"),
        ({"text": "x", "channel": "sms"}, "no address"),
        ({"text": "x", "channel": "visit"}, "Nothing can be written"),
        ({"text": "x", "attachments": [999]}, "gone"),
    ):
        status, answer = await lin.post(f"/api/conversations/{one}/answer", **wish)
        assert status == 400
        assert words in answer["error"], wish
    status, _ = await lin.post(f"/api/conversations/{one}/answer", text="x", channel="pigeon")
    assert status == 400
    assert len((await shown(lin, one))["entries"]) == 1


async def test_a_draft_is_kept_for_its_writer_alone(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    _, one = await comes_in(desk, "hello")
    status, kept = await lin.post(
        f"/api/conversations/{one}/draft", answer="Half a sen", note="", channel="mail"
    )
    assert (status, kept) == (200, {"segments": None})
    assert (await shown(lin, one))["conversation"]["draft"]["answer"] == "Half a sen"
    assert (await shown(maria, one))["conversation"]["draft"] is None
    await lin.post(f"/api/conversations/{one}/answer", text="Half a sentence.")
    assert (await shown(lin, one))["conversation"]["draft"] is None


async def test_the_parts_of_an_sms_are_counted(desk: RunningDesk, lin: Visitor) -> None:
    _, one = await comes_in(desk, "hi", channel=Channel.SMS, sender="+34912345678")
    path = f"/api/conversations/{one}/draft"
    _, plain = await lin.post(path, answer="a" * 161, channel="sms")
    _, chinese = await lin.post(path, answer="请问" * 20, channel="sms")
    assert plain["segments"] == {"count": 2, "left": 153 * 2 - 161, "cost": ""}
    assert chinese["segments"] == {"count": 1, "left": 30, "cost": ""}


async def upload(visitor: Visitor, conversation: int, name: str, content: bytes) -> Any:
    async with visitor.http.post(
        f"/api/conversations/{conversation}/uploads",
        params={"name": name},
        data=content,
        headers={"X-CSRF-Token": visitor.csrf, "Content-Type": "application/octet-stream"},
    ) as response:
        return response.status, await response.json()


async def test_a_file_goes_along_and_is_seen(desk: RunningDesk, lin: Visitor) -> None:
    _, one = await comes_in(desk, "hello")
    status, file = await upload(lin, one, "../../plan\u202eof.png", PNG)
    assert status == 200, file
    assert (file["media_type"], "/" in file["name"], "\u202e" in file["name"]) == (
        "image/png",
        False,
        False,
    )
    status, refused = await upload(lin, one, "run.exe", b"MZ" + bytes(200))
    assert status == 400
    assert "Programs" in refused["error"]
    _, sent = await lin.post(f"/api/conversations/{one}/answer", text="", attachments=[file["id"]])
    assert [kept.id for kept in (await message_of(desk, sent["message"])).files] == [file["id"]]
    address = f"/inbox/conversations/{one}/attachments/{file['id']}"
    async with lin.http.get(address, params={"shown": "1"}) as response:
        assert (response.status, await response.read()) == (200, PNG)
        assert response.headers["Content-Type"] == "image/png"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    async with lin.http.get(address) as response:
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["Content-Disposition"].startswith("attachment")


async def test_an_html_file_is_only_a_download(desk: RunningDesk, lin: Visitor) -> None:
    evil = b"<html><script>alert(1)</script></html>"
    file = IncomingFile(name="page.html", media_type="image/png", content=evil)
    message_id, one = await comes_in(desk, "look", files=[file])
    (kept,) = (await message_of(desk, message_id)).files
    address = f"/inbox/conversations/{one}/attachments/{kept.id}?shown=1"
    async with lin.http.get(address) as response:
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert "sandbox" in response.headers["Content-Security-Policy"]


async def test_files_of_another_conversation_are_not_given_out(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    file = IncomingFile(name="a.png", media_type="image/png", content=PNG)
    message_id, theirs = await comes_in(
        desk, "secret", queue="service", files=[file], raw=b"raw mail", html="<p>secret</p>"
    )
    _, mine = await comes_in(desk, "hello", sender="x@example.org")
    (kept,) = (await message_of(desk, message_id)).files
    for conversation, expected in ((theirs, 403), (mine, 404)):
        here = f"/inbox/conversations/{conversation}"
        for path in (
            f"{here}/attachments/{kept.id}",
            f"{here}/messages/{message_id}/letter",
            f"{here}/messages/{message_id}/raw",
        ):
            assert (await maria.get(path))[0] == expected
    assert (await lin.get(f"/inbox/conversations/{theirs}/messages/{message_id}/raw"))[0] == 200


async def test_a_letter_fetches_nothing_until_it_is_asked_to(
    desk: RunningDesk, lin: Visitor
) -> None:
    html = '<p onclick="x()">Hello</p><img data-src="https://elsewhere.example/spy.gif">'
    message_id, one = await comes_in(desk, "Hello", html=html)
    path = f"/inbox/conversations/{one}/messages/{message_id}/letter"
    for query, source, policy in (
        ("", 'data-src="', "'self' data:;"),
        ("?pictures=1", ' src="', "https:"),
    ):
        async with lin.http.get(path + query) as response:
            text = await response.text()
            headers = response.headers
        assert source + "https://elsewhere" in text
        assert policy in headers["Content-Security-Policy"] + ";"
        assert "script-src" not in headers["Content-Security-Policy"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "sandbox" in headers["Content-Security-Policy"]
        assert "allow-scripts" not in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"


async def test_put_off_settled_spam_and_open_again(desk: RunningDesk, lin: Visitor) -> None:
    _, one = await comes_in(desk, "hello")
    path = f"/api/conversations/{one}"

    async def does(**wish: Any) -> tuple[int, Any]:
        version = (await shown(lin, one))["conversation"]["version"]
        return await lin.post(path, version=version, **wish)

    for until in (None, "tomorrow", time.time() - 5, time.time() + 10**9, 10**30, True):
        assert (await does(action="snooze", until=until))[0] == 400
    _, answer = await does(action="snooze", until=time.time() + 3600)
    assert answer["conversation"]["state"] == "snoozed"
    assert await ids(lin, view="snoozed") == [one]
    _, answer = await does(action="wake")
    assert answer["conversation"]["state"] == "open"
    assert (await does(action="close", disposition="made up"))[0] == 400
    _, answer = await does(action="close", disposition="solved", note="He knows now.")
    assert answer["conversation"]["state"] == "closed"
    assert await ids(lin, view="closed") == [one]
    _, answer = await does(action="reopen")
    assert answer["conversation"]["state"] == "open"
    await does(action="spam")
    assert await ids(lin, view="spam") == [one]
    assert (await does(action="dance"))[0] == 400
    assert (await does(action="assign", to="nobody"))[0] == 400
    assert (await does(action="queue", queue="nowhere"))[0] == 400
    assert (await does(action="customer", customer=10**12))[0] == 400
    assert (await does(action="tag", add=[""]))[0] == 400


async def test_given_to_another_queue_it_leaves_who_does_not_serve_that(
    desk: RunningDesk, maria: Visitor
) -> None:
    _, one = await comes_in(desk, "hello")
    version = (await shown(maria, one))["conversation"]["version"]
    status, answer = await maria.post(
        f"/api/conversations/{one}", action="queue", queue="service", version=version
    )
    assert (status, answer["conversation"]) == (200, None)
    assert (await maria.ask(f"/api/conversations/{one}"))[0] == 403


async def test_joined_undone_and_parted(desk: RunningDesk, lin: Visitor) -> None:
    _, sms = await comes_in(desk, "by sms", channel=Channel.SMS, sender="+8613800138000")
    _, mail = await comes_in(desk, "by mail", subject="Order")
    assert mail != sms
    _, beside = await lin.ask(f"/api/conversations/{sms}/beside")
    assert [line["id"] for line in beside["conversations"]] == [mail]
    also_open = (await shown(lin, sms))["conversation"]["also_open"]
    assert [line["id"] for line in also_open] == [mail]
    version = (await shown(lin, sms))["conversation"]["version"]
    _, answer = await lin.post(
        f"/api/conversations/{sms}", action="merge", into=mail, version=version
    )
    assert answer["conversation"]["merged_into"] == mail
    assert (await shown(lin, sms))["conversation"]["merged_into"] == mail
    whole = await shown(lin, mail)
    assert [entry["channel"] for entry in whole["entries"]] == ["sms", "mail"]
    assert whole["conversation"]["merges"] == [sms]
    assert whole["conversation"]["also_open"] == []
    assert {way["channel"] for way in whole["conversation"]["ways"]} >= {"mail", "sms"}

    _, answer = await lin.post(
        f"/api/conversations/{mail}",
        action="unmerge",
        **{"from": sms},
        version=whole["conversation"]["version"],
    )
    assert [entry["channel"] for entry in answer["entries"]] == ["mail"]

    second, _ = await comes_in(desk, "and the invoice?", conversation_id=mail)
    status, answer = await lin.post(f"/api/conversations/{mail}/split", messages=[second])
    assert status == 200, answer
    assert [entry["text"] for entry in (await shown(lin, answer["id"]))["entries"]] == [
        "and the invoice?"
    ]
    status, _ = await lin.post(f"/api/conversations/{mail}/split", messages=[second])
    assert status == 400


async def test_a_conversation_of_others_is_not_opened_by_joining_it(
    desk: RunningDesk, lin: Visitor, maria: Visitor
) -> None:
    _, theirs = await comes_in(desk, "secret", queue="service", sender="x@example.org")
    _, more = await comes_in(desk, "more", queue="service", sender="y@example.org")
    _, mine = await comes_in(desk, "hello", sender="z@example.org")
    await maria.post(f"/api/conversations/{mine}/note", text="@maria will see it then")
    status, _ = await maria.post(f"/api/conversations/{mine}", action="merge", into=theirs)
    assert status == 403
    assert (await maria.ask(f"/api/conversations/{theirs}"))[0] == 403
    # Nor is what others have joined parted by whoever names it.
    _, answer = await lin.post(f"/api/conversations/{more}", action="merge", into=theirs)
    assert answer["conversation"]["merged_into"] == theirs
    status, _ = await maria.post(f"/api/conversations/{mine}", action="unmerge", **{"from": more})
    assert status == 400
    assert (await shown(lin, more))["conversation"]["merged_into"] == theirs


async def test_the_next_is_who_waits_first(desk: RunningDesk, lin: Visitor, maria: Visitor) -> None:
    _, ordinary = await comes_in(desk, "first", sender="first@example.org")
    _, vip = await comes_in(desk, "second, but a VIP")
    assert (await lin.post("/api/conversations/next"))[1] == {"id": vip}
    assert (await maria.post("/api/conversations/next"))[1] == {"id": ordinary}
    assert (await lin.post("/api/conversations/next"))[1] == {"id": None}


async def test_whose_it_is_is_said_by_people(desk: RunningDesk, lin: Visitor) -> None:
    _, one = await comes_in(desk, "who am I?", sender="other@example.org")
    version = (await shown(lin, one))["conversation"]["version"]
    _, answer = await lin.post(
        f"/api/conversations/{one}",
        action="customer",
        customer=desk.customers["garcia"],
        version=version,
    )
    assert answer["conversation"]["customer_name"] == "Lucía García"


async def test_a_canned_text_is_in_the_customers_language(desk: RunningDesk, lin: Visitor) -> None:
    async with desk.database.transaction() as transaction:
        await canned_texts.save(
            transaction,
            code="hours",
            titles={"en": "Hours"},
            texts={"en": "Dear {customer.name}, from ten.", "zh": "{customer.name}, 十点开门。"},
            actor="sara",
        )
    _, one = await comes_in(desk, "when?")
    _, found = await lin.ask("/api/texts", find="hours", conversation=str(one))
    assert found["language"] == "zh"
    _, used = await lin.post("/api/texts/use", code="hours", conversation=one)
    assert used == {"text": "王芳, 十点开门。", "language": "zh"}


async def test_a_message_that_failed_is_sent_again(desk: RunningDesk, lin: Visitor) -> None:
    _, one = await comes_in(desk, "hello")
    _, sent = await lin.post(f"/api/conversations/{one}/answer", text="Hello.")
    delivery = (await message_of(desk, sent["message"])).delivery
    assert delivery is not None
    path = f"/api/conversations/{one}/messages/{sent['message']}/send-again"
    assert (await lin.post(path))[0] == 409
    in_time = datetime.now(UTC) + timedelta(minutes=1)
    async with desk.database.transaction() as transaction:
        await sending.claim(transaction, Channel.MAIL, "worker", limit=1, lease_s=60, now=in_time)
        await sending.refused(transaction, delivery.outbox_id, error="550 no such user")
    entry = (await shown(lin, one))["entries"][-1]
    assert (entry["delivery"]["state"], entry["delivery"]["error"]) == (
        "failed",
        "550 no such user",
    )
    assert (await lin.post(path))[0] == 200
    entry = (await shown(lin, one))["entries"][-1]
    assert entry["delivery"]["state"] == "waiting"


async def test_agents_who_may_do_nothing_there_change_nothing(
    desk: RunningDesk, maria: Visitor
) -> None:
    _, one = await comes_in(desk, "for the service desk", queue="service")
    before = await conversations.find(desk.database, one)
    assert await agents.find(desk.database, "maria") is not None
    here = f"/api/conversations/{one}"
    for path, wish in (
        (here, {"action": "assign", "to": "maria"}),
        (f"{here}/answer", {"text": "x"}),
        (f"{here}/note", {"text": "x"}),
        (f"{here}/draft", {"answer": "x"}),
        (f"{here}/typing", {"what": "answer"}),
        (f"{here}/split", {"messages": [1]}),
    ):
        status, _ = await maria.post(path, **wish)
        assert status == 403, path
    assert await conversations.find(desk.database, one) == before
