"""The customers' own pages: what is theirs is shown, and what they do is done once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from crm_store.contacts import callbacks, conversation_lists, conversations, messages
from crm_store.contacts.conversation_lists import InboxView
from crm_store.contacts.messages import NewMessage
from crm_store.models import Channel, ConversationState, OrderState
from crm_store.people import complaints, customers, preferences
from crm_store.people.preferences import Subject
from crm_store.people.signed_links import OPT_OUT, signer
from crm_store.shop import orders
from crm_store.signals import Direction
from tests.agent_desk.conftest import CARD_NUMBER, RunningDesk
from tests.agent_desk.hall.conftest import HOUSE, Guest, codes_sent

pytestmark = pytest.mark.db

HOSTILE = "<script>alert(1)</script>{{7*7}}"


async def key_on(guest: Guest, path: str) -> str:
    """The key that the form on this page carries."""
    found = re.search(r'name="key" value="([\w-]+)"', (await guest.get(path))[1])
    assert found is not None
    return found[1]


# ---- points and the card -------------------------------------------------------------------------


async def test_points_with_their_worth_and_every_movement(wang: Guest) -> None:
    text = (await wang.get("/hall/points"))[1]
    assert "12,345.50" in text
    assert "CN¥123.45" in text
    assert "+12,345.50" in text


async def test_the_card_is_shown_and_kept(wang: Guest) -> None:
    text = (await wang.get("/hall/card"))[1]
    assert 'class="qr-code"' in text
    assert 'class="bar-code"' in text
    async with wang.http.get(f"/hall/card/{CARD_NUMBER}") as response:
        assert response.content_type == "image/svg+xml"
        assert "attachment" in response.headers["Content-Disposition"]
        assert "王芳" in await response.text()


async def test_who_has_no_card_is_given_one_once(garcia: Guest, desk: RunningDesk) -> None:
    assert "Give me a card" in (await garcia.get("/hall/card"))[1]
    for _ in range(2):
        assert await garcia.send("/hall/card") == (303, "/hall/card?done=welcome")
    card = await customers.card(desk.database, desk.customers["garcia"])
    assert card is not None
    assert len(card.cards) == 1


# ---- orders --------------------------------------------------------------------------------------


async def test_a_basket_becomes_one_order_at_the_catalogues_prices(
    wang: Guest, desk: RunningDesk
) -> None:
    await wang.send("/hall/basket", item="2002", quantity="2")
    await wang.send("/hall/basket", item="1001", quantity="1", price_minor="1")
    await wang.send("/hall/basket", item="2002", quantity="۳", set="1")
    text = (await wang.get("/hall/basket"))[1]
    assert "CN¥2,047.50" in text
    key = await key_on(wang, "/hall/basket")
    basket = dict(wang.http.cookie_jar.filter_cookies(desk.url / "hall"))
    status, where = await wang.send("/hall/orders", key=key)
    assert status == 303
    # The same form again, as an impatient finger sends it: the basket is still in its cookie.
    wang.http.cookie_jar.update_cookies(basket, desk.url / "hall")
    assert await wang.send("/hall/orders", key=key) == (303, where)
    [order] = await orders.of_customer(desk.database, desk.customers["wang"])
    assert [(line.item_number, line.quantity) for line in order.lines] == [("2002", 3), ("1001", 1)]
    assert order.total_minor == 204_750
    status, text = await wang.get(where)
    assert status == 200
    assert "We have your order" in text
    async with desk.database.transaction() as transaction:
        await orders.change_state(transaction, order.number, OrderState.SHIPPED, actor="sara")
    assert "Your order is on its way" in (await wang.get("/hall"))[1]
    assert "Your order is on its way" in (await wang.get("/hall/orders"))[1]


@pytest.mark.parametrize(
    "cookie", ["2002-0", "9999-1", "2002-1_2002-x", "<script>", "2002-100", "_" * 1_000]
)
async def test_a_basket_that_was_tampered_with_orders_nothing_odd(
    wang: Guest, desk: RunningDesk, cookie: str
) -> None:
    wang.http.cookie_jar.update_cookies({"deskbell_hall_basket": cookie}, desk.url / "hall")
    assert (await wang.get("/hall/basket"))[0] == 200
    await wang.send("/hall/orders", key="x" * 20)
    found = await orders.of_customer(desk.database, desk.customers["wang"])
    assert all(line.quantity == 1 for order in found for line in order.lines)


async def test_a_basket_may_be_filled_before_signing_in(guest: Guest) -> None:
    sent = await guest.send("/hall/basket", item="2002", quantity="1")
    assert sent == (303, "/hall/basket?done=in-basket")
    text = (await guest.get("/hall/basket"))[1]
    assert "Sign in to order" in text
    assert (await guest.send("/hall/orders", key="x" * 20))[0] == 401
    assert (await guest.send("/hall/basket", item="9999", quantity="1"))[0] == 404


# ---- complaints and callbacks --------------------------------------------------------------------


async def test_a_complaint_is_filed_once_and_seen(wang: Guest, desk: RunningDesk) -> None:
    wish = {"category": "delivery", "subject": "Sofa", "text": HOSTILE}
    for _ in range(2):
        assert await wang.send("/hall/complaints", **wish) == (303, "/hall/complaints?done=filed")
    [filed] = await complaints.of_customer(desk.database, desk.customers["wang"])
    assert (filed.category, filed.text, filed.filed_by) == ("delivery", HOSTILE, "hall")
    text = (await wang.get("/hall/complaints?done=filed"))[1]
    assert "We are at it" in text
    assert "<script>alert" not in text


@pytest.mark.parametrize(
    "wrong", [{"text": ""}, {"category": "revenge"}, {"text": "x" * 4_001}, {"subject": "x" * 301}]
)
async def test_a_complaint_that_cannot_be_taken_is_kept_in_the_form(
    wang: Guest, desk: RunningDesk, wrong: dict[str, str]
) -> None:
    wish = {"category": "staff", "subject": "A word", "text": "He was rude"} | wrong
    status, text = await wang.send("/hall/complaints", **wish)
    assert status == 400
    assert "fault" in text
    assert wish["subject"][:300] in text
    assert wish["text"][:4_000] in text
    assert await complaints.of_customer(desk.database, desk.customers["wang"]) == []


async def test_a_call_is_agreed_seen_and_cancelled(wang: Guest, desk: RunningDesk) -> None:
    wish = {"queue": "sales", "number": "+8613800138000", "about": "Sofa"}
    assert await wang.send("/hall/callback", **wish) == (303, "/hall/callback?done=called")
    [agreed] = await callbacks.waiting(desk.database)
    assert (agreed.queue, agreed.customer_id) == ("sales", desk.customers["wang"])
    assert agreed.head_start_seconds > 0
    assert "as soon as it is your turn" in (await wang.get("/hall/callback"))[1]
    path = f"/hall/callback/{agreed.id}/cancel"
    assert await wang.send(path) == (303, "/hall/callback?done=not-called")
    assert await callbacks.waiting(desk.database) == []
    assert (await wang.send(path))[0] == 404


async def test_a_call_at_an_hour_in_the_houses_time(wang: Guest, desk: RunningDesk) -> None:
    at = (datetime.now(HOUSE.zone) + timedelta(days=2)).replace(hour=11, minute=30)
    wish = {"queue": "sales", "number": "+8613800138000", "at": at.strftime("%Y-%m-%dT%H:%M")}
    assert (await wang.send("/hall/callback", **wish))[0] == 303
    [agreed] = await callbacks.waiting(desk.database)
    assert agreed.not_before == at.replace(second=0, microsecond=0).astimezone(UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": "+442079460000"},
        {"number": "900"},
        {"queue": "nowhere"},
        {"at": "2001-01-01T10:00"},
        {"at": "2999-01-01T10:00"},
        {"at": "soon"},
    ],
)
async def test_nobody_has_strangers_called(
    wang: Guest, desk: RunningDesk, wrong: dict[str, str]
) -> None:
    wish = {"queue": "sales", "number": "+8613800138000", "about": "Sofa", "at": ""} | wrong
    status, text = await wang.send("/hall/callback", **wish)
    assert status == 400
    assert 'value="Sofa"' in text
    assert await callbacks.waiting(desk.database) == []


# ---- messages ------------------------------------------------------------------------------------


async def test_what_is_written_is_one_conversation_and_its_answer_is_read(
    wang: Guest, desk: RunningDesk
) -> None:
    key = await key_on(wang, "/hall/messages")
    sent = await wang.send("/hall/messages", subject="Coat", text=HOSTILE, key=key)
    assert sent[0] == 303
    # Sent twice is written once.
    assert await wang.send("/hall/messages", subject="Coat", text=HOSTILE, key=key) == sent
    [line] = await conversation_lists.listed(desk.database, InboxView())
    found = line.conversation
    assert (found.channel, found.customer_id, found.subject) == (
        Channel.WEB, desk.customers["wang"], "Coat",
    )  # fmt: skip
    async with desk.database.transaction() as transaction:
        for direction, text in (
            (Direction.OUTBOUND, "We have it in blue."),
            (Direction.INTERNAL, "She is difficult."),
        ):
            await messages.store(
                transaction,
                NewMessage(
                    conversation_id=found.id,
                    direction=direction,
                    channel=Channel.WEB,
                    text=text,
                    author="lin",
                ),
            )
    path = f"/hall/messages/{found.id}"
    text = (await wang.get(path))[1]
    assert "We have it in blue." in text
    assert "She is difficult." not in text
    assert "<script>alert" not in text
    assert (await wang.send(path, text="Thank you", key=await key_on(wang, path)))[0] == 303
    shown = await messages.of_conversation(desk.database, found.id)
    assert shown[0].text == "Thank you"


async def test_an_empty_message_is_told_and_spam_is_not_shown(
    wang: Guest, desk: RunningDesk
) -> None:
    key = await key_on(wang, "/hall/messages")
    status, text = await wang.send("/hall/messages", subject="Coat", text=" ", key=key)
    assert status == 400
    assert 'value="Coat"' in text
    assert key in text
    assert (await wang.send("/hall/messages", text="x", key="short"))[0] == 400
    _, where = await wang.send("/hall/messages", subject="Coat", text="Buy!", key=key)
    conversation_id = int(where.rpartition("/")[2].partition("?")[0])
    async with desk.database.transaction() as transaction:
        await conversations.mark_spam(transaction, conversation_id, actor="lin")
    assert (await wang.get(f"/hall/messages/{conversation_id}"))[0] == 404
    spam = await conversations.find(desk.database, conversation_id)
    assert spam is not None
    assert spam.state is ConversationState.SPAM


# ---- preferences ---------------------------------------------------------------------------------


async def test_preferences_are_kept_for_each_subject_and_channel(
    wang: Guest, desk: RunningDesk
) -> None:
    wanted = {"promotions.mail": "1", "orders.sms": "1", "orders.mail": "1"}
    assert await wang.send("/hall/preferences", **wanted) == (303, "/hall/preferences?done=saved")
    customer_id = desk.customers["wang"]

    async def may(subject: Subject, channel: Channel, address: str) -> bool:
        verdict = await preferences.may_write(desk.database, customer_id, channel, address, subject)
        return verdict.allowed

    assert await may(Subject.PROMOTIONS, Channel.MAIL, "wang@example.org")
    assert not await may(Subject.PROMOTIONS, Channel.SMS, "+8613800138000")
    assert await may(Subject.ORDERS, Channel.SMS, "+8613800138000")
    assert not await may(Subject.SURVEYS, Channel.MAIL, "wang@example.org")
    assert 'name="promotions.mail" checked' in (await wang.get("/hall/preferences"))[1]


async def link_for(desk: RunningDesk, **says: str) -> str:
    ours = await signer(desk.database)
    said = {"channel": "mail", "address": "wang@example.org", "subject": "promotions"} | says
    return "/hall/opt-out/" + ours.sign(OPT_OUT, said, timedelta(days=1))


async def opted_out(desk: RunningDesk) -> list[str]:
    found = await preferences.opt_outs_of(desk.database, Channel.MAIL, "wang@example.org")
    return [one.subject for one in found]


async def test_a_link_opts_out_by_post_only_and_at_one_click(
    guest: Guest, desk: RunningDesk
) -> None:
    path = await link_for(desk)
    status, text = await guest.get(path)
    assert status == 200
    assert "wang@example.org" in text
    assert await opted_out(desk) == []
    one_click = {"List-Unsubscribe": "One-Click"}
    # As mail programs send it: no cookie, no token, either form, from anywhere.
    async with guest.http.post(path, data=one_click, headers={"Origin": "null"}) as response:
        assert response.status == 200
    assert await opted_out(desk) == ["promotions"]
    await guest.http.post(path, data={"do": "again"})
    assert await opted_out(desk) == []
    with aiohttp.MultipartWriter("form-data") as body:
        part = body.append("One-Click")
        part.set_content_disposition("form-data", name="List-Unsubscribe")
        async with guest.http.post(path, data=body) as response:
            assert response.status == 200
    assert await opted_out(desk) == ["promotions"]
    await guest.http.post(path, data={"do": "all"})
    assert await opted_out(desk) == ["", "promotions"]


@pytest.mark.parametrize("change", ["x", "", "A" * 2_000])
async def test_a_link_that_is_not_ours_does_nothing(
    guest: Guest, desk: RunningDesk, change: str
) -> None:
    path = await link_for(desk)
    for address in (path[:-2] + change, path + change if change else path[:-1]):
        assert (await guest.get(address))[0] == 404
        async with guest.http.post(address, data={"do": "all"}) as response:
            assert response.status == 404
    ours = await signer(desk.database)
    stale = ours.sign(OPT_OUT, {"channel": "mail"}, timedelta(seconds=-1))
    assert (await guest.get(f"/hall/opt-out/{stale}"))[0] == 404
    assert await opted_out(desk) == []


async def test_silence_is_taken_back_by_its_owner(wang: Guest, desk: RunningDesk) -> None:
    await wang.http.post(await link_for(desk, subject=""), data={})
    assert "wang@example.org" in (await wang.get("/hall/preferences"))[1]
    wish = {"channel": "mail", "address": "wang@example.org", "subject": ""}
    assert (await wang.send("/hall/preferences/again", **wish))[0] == 303
    assert await opted_out(desk) == []
    # Another's address is not theirs to speak for.
    for wrong in ({"address": "lucia@example.org"}, {"channel": "phone"}, {"subject": "orders"}):
        assert (await wang.send("/hall/preferences/again", **(wish | wrong)))[0] == 404


# ---- the profile ---------------------------------------------------------------------------------


async def test_name_and_language_are_changed(wang: Guest, desk: RunningDesk) -> None:
    sent = await wang.send("/hall/profile", name="Wang  Fang", language="es")
    assert sent == (303, "/hall/profile?done=saved")
    card = await customers.card(desk.database, desk.customers["wang"])
    assert card is not None
    assert (card.name, card.language) == ("Wang Fang", "es")
    for wrong in ({"name": ""}, {"language": "xx"}, {"name": "\u200e"}):
        status, _ = await wang.send("/hall/profile", **({"name": "X", "language": "en"} | wrong))
        assert status == 400


async def ways_of(desk: RunningDesk) -> list[str]:
    card = await customers.card(desk.database, desk.customers["wang"])
    assert card is not None
    return [way.value for way in card.contact_points]


async def test_a_new_address_counts_from_its_code_on(wang: Guest, desk: RunningDesk) -> None:
    before = await ways_of(desk)
    sent = await wang.send("/hall/profile/address", address="Fang@Example.org")
    assert sent == (303, "/hall/profile/address/code")
    assert await ways_of(desk) == before
    [(to, code)] = await codes_sent(desk)
    assert to == "fang@example.org"
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert (await wang.send("/hall/profile/address/code", code=wrong))[0] == 400
    assert await ways_of(desk) == before
    sent = await wang.send("/hall/profile/address/code", code=code)
    assert sent == (303, "/hall/profile?done=added")
    assert await ways_of(desk) == [*before, "fang@example.org"]


async def test_another_customer_cannot_use_what_was_asked_for(
    wang: Guest, garcia: Guest, desk: RunningDesk
) -> None:
    await wang.send("/hall/profile/address", address="fang@example.org")
    [(_, code)] = await codes_sent(desk)
    cookies: dict[str, Any] = dict(wang.http.cookie_jar.filter_cookies(desk.url / "hall"))
    asked = cookies["deskbell_hall_asked"].value
    garcia.http.cookie_jar.update_cookies({"deskbell_hall_asked": asked}, desk.url / "hall")
    sent = await garcia.send("/hall/profile/address/code", code=code)
    assert sent == (303, "/hall/profile")
    # Nor is a code for an address worth a sign-in.
    assert await garcia.send("/hall/sign-in/code", code=code) == (303, "/hall/sign-in")


async def test_the_last_way_to_be_reached_stays(wang: Guest, desk: RunningDesk) -> None:
    text = (await wang.get("/hall/profile"))[1]
    paths = re.findall(r'action="(/hall/profile/address/\d+/remove)"', text)
    assert len(paths) == 2
    assert await wang.send(paths[0]) == (303, "/hall/profile?done=removed")
    assert (await wang.send(paths[0]))[0] == 404
    assert (await wang.send(paths[1]))[0] == 409
    assert await ways_of(desk) == ["wang@example.org"]
