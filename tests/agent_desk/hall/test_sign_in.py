"""Signing in to the hall: by a code alone, and without learning anything of anybody."""

from __future__ import annotations

import pytest

from crm_store.contacts import outbox
from crm_store.models import ContactKind
from crm_store.people import cards, contact_points, customers
from crm_store.people.cards import check_digit
from crm_store.people.customers import ContactWay
from crm_store.people.sign_in_codes import MOST_TRIES
from tests.agent_desk.conftest import CARD_NUMBER, RunningDesk
from tests.agent_desk.hall.conftest import Guest, codes_sent

pytestmark = pytest.mark.db


def another(code: str) -> str:
    """A code that is not that one."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def test_a_code_to_a_known_number_signs_in(guest: Guest) -> None:
    sent = await guest.send("/hall/sign-in", address="138 0013 8000", next="/hall/points")
    assert sent == (303, "/hall/sign-in/code")
    [(to, code)] = await codes_sent(guest.desk)
    assert to == "+8613800138000"
    assert "+8613800138000" in (await guest.get("/hall/sign-in/code"))[1]
    # As a Persian keyboard writes them, in two groups.
    typed = "".join(chr(ord("۰") + int(digit)) for digit in code)
    sent = await guest.send("/hall/sign-in/code", code=f"{typed[:3]} {typed[3:]}")
    assert sent == (303, "/hall/points")
    status, text = await guest.get("/hall/points")
    assert status == 200
    assert "12,345.50" in text
    [phone, _] = await contact_points.of_customer(guest.desk.database, guest.desk.customers["wang"])
    assert phone.proven_at is not None
    # Signed in already, the form is not shown again.
    assert await guest.get("/hall/sign-in?next=/hall/card") == (303, "/hall/card")


async def test_a_code_is_good_once(guest: Guest) -> None:
    await guest.send("/hall/sign-in", address="wang@Example.org")
    [(to, code)] = await codes_sent(guest.desk)
    assert to == "wang@example.org"
    cookies = {
        name: morsel.value
        for name, morsel in guest.http.cookie_jar.filter_cookies(guest.desk.url / "hall").items()
    }
    assert await guest.send("/hall/sign-in/code", code=code) == (303, "/hall/me")
    thief = Guest(guest.desk)
    thief.http.cookie_jar.update_cookies(cookies, guest.desk.url / "hall")
    assert (await thief.send("/hall/sign-in/code", code=code))[0] == 400
    await thief.http.close()


async def test_an_unknown_address_gets_the_same_answer_and_no_code(guest: Guest) -> None:
    known = await guest.send("/hall/sign-in", address="wang@example.org")
    page = (await guest.get("/hall/sign-in/code"))[1]
    stranger = Guest(guest.desk)
    unknown = await stranger.send("/hall/sign-in", address="nobody@example.org")
    assert known == unknown == (303, "/hall/sign-in/code")
    other = (await stranger.get("/hall/sign-in/code"))[1]
    tokens = (await guest.csrf(), await stranger.csrf())
    assert page.replace("wang@", "nobody@").replace(*tokens) == other
    assert [to for to, _ in await codes_sent(guest.desk)] == ["wang@example.org"]
    # Both are told alike when they ask too often.
    for one, address in ((guest, "wang@example.org"), (stranger, "nobody@example.org")):
        answers = [(await one.send("/hall/sign-in", address=address))[0] for _ in range(3)]
        assert answers == [303, 303, 429]
    await stranger.http.close()


async def test_a_wrong_code_is_tried_a_few_times_only(guest: Guest) -> None:
    await guest.send("/hall/sign-in", address="wang@example.org")
    [(_, code)] = await codes_sent(guest.desk)
    for _ in range(MOST_TRIES):
        status, text = await guest.send("/hall/sign-in/code", code=another(code))
        assert status == 400
        assert "fault" in text
    assert (await guest.send("/hall/sign-in/code", code=code))[0] == 400
    assert (await guest.get("/hall/me"))[0] == 303


@pytest.mark.parametrize("address", ["", "12345", "a@b", "+86 138", "x" * 300, "王芳@", "\x00"])
async def test_what_is_no_address_is_told_beside_its_field(guest: Guest, address: str) -> None:
    status, text = await guest.send("/hall/sign-in", address=address)
    assert status == 400
    assert "+86 138" not in address or 'value="+86 138"' in text
    assert await codes_sent(guest.desk) == []


async def test_several_people_with_one_number_need_their_card(
    guest: Guest, desk: RunningDesk
) -> None:
    son_card = "880000013" + check_digit("880000013")
    async with desk.database.transaction() as transaction:
        await cards.open_card(transaction, desk.customers["garcia_son"], son_card)
    await guest.send("/hall/sign-in", address="+34 912 345 678")
    [(_, code)] = await codes_sent(desk)
    assert await guest.send("/hall/sign-in/code", code=code) == (303, "/hall/sign-in/which")
    assert (await guest.get("/hall/me"))[0] == 303
    # Somebody else's card, and no card at all.
    for wrong in (CARD_NUMBER, "8800000131"):
        status, text = await guest.send("/hall/sign-in/which", card=wrong)
        assert status == 400
        assert f'value="{wrong}"' in text
    assert await guest.send("/hall/sign-in/which", card=son_card) == (303, "/hall/me")
    assert "Pablo García" in (await guest.get("/hall/me"))[1]


async def test_who_has_proven_one_address_of_several_cannot_choose_without_it(
    guest: Guest,
) -> None:
    assert await guest.get("/hall/sign-in/which") == (303, "/hall/sign-in")
    assert await guest.send("/hall/sign-in/which", card=CARD_NUMBER) == (303, "/hall/sign-in")
    await guest.send("/hall/sign-in", address="+34912345678")
    # The cookie of a code that was not given yet is worth nothing here.
    assert await guest.send("/hall/sign-in/which", card=CARD_NUMBER) == (303, "/hall/sign-in")


async def test_a_new_member_has_a_card_at_once(guest: Guest, desk: RunningDesk) -> None:
    sent = await guest.send("/hall/join", name=" <b>Neda</b>  Karimi ", address="neda@example.org")
    assert sent == (303, "/hall/sign-in/code")
    [(_, code)] = await codes_sent(desk)
    assert await guest.send("/hall/sign-in/code", code=code) == (303, "/hall/card?done=welcome")
    [found] = await contact_points.reached_at(desk.database, ContactKind.MAIL, "neda@example.org")
    card = await customers.card(desk.database, found.id)
    assert card is not None
    assert (card.name, len(card.cards), card.segment.value) == ("<b>Neda</b> Karimi", 1, "member")
    status, text = await guest.get("/hall/card?done=welcome")
    assert status == 200
    assert "&lt;b&gt;Neda" in text
    assert "<b>Neda" not in text


async def test_joining_with_a_known_address_is_signing_in(guest: Guest, desk: RunningDesk) -> None:
    before = await customers.search_by_name(desk.database, "Fang")
    await guest.send("/hall/join", name="Fang", address="wang@example.org")
    [(_, code)] = await codes_sent(desk)
    await guest.send("/hall/sign-in/code", code=code)
    assert "王芳" in (await guest.get("/hall/me"))[1]
    assert await customers.search_by_name(desk.database, "Fang") == before == []


async def test_nothing_typed_is_lost(guest: Guest) -> None:
    status, text = await guest.send("/hall/join", name='Neda "Q" Karimi', address="neda")
    assert status == 400
    assert 'value="Neda &#34;Q&#34; Karimi"' in text
    assert 'value="neda"' in text


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "//evil.example", "/desk", "/hall/../desk", "/hallway", "/hall\\x",
     "/hall/sign-in", "javascript:alert(1)", "/hall\n/x"],
)  # fmt: skip
async def test_signing_in_leads_into_the_hall_only(guest: Guest, address: str) -> None:
    await guest.send("/hall/sign-in", address="wang@example.org", next=address)
    [(_, code)] = await codes_sent(guest.desk)
    assert await guest.send("/hall/sign-in/code", code=code) == (303, "/hall/me")


async def test_signing_out_here_and_everywhere(wang: Guest) -> None:
    elsewhere = Guest(wang.desk)
    await elsewhere.let_in("wang")
    assert await wang.send("/hall/sign-out") == (303, "/hall?done=signed-out")
    assert (await wang.get("/hall/me"))[0] == 303
    assert (await elsewhere.get("/hall/me"))[0] == 200
    again = Guest(wang.desk)
    await again.let_in("wang")
    await again.send("/hall/sign-out-everywhere")
    assert (await elsewhere.get("/hall/me"))[0] == 303
    for one in (elsewhere, again):
        await one.http.close()


async def test_the_code_is_in_no_page_and_in_no_log(
    guest: Guest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await guest.send("/hall/sign-in", address="wang@example.org")
    [(_, code)] = await codes_sent(guest.desk)
    assert code not in (await guest.get("/hall/sign-in/code"))[1]
    assert code not in caplog.text
    assert "wang@example.org" not in caplog.text
    [waiting] = await outbox.waiting(guest.desk.database)
    assert waiting.is_secret


async def test_an_address_that_was_removed_signs_in_nobody(guest: Guest, desk: RunningDesk) -> None:
    await guest.send("/hall/sign-in", address="+442079460000")
    [(_, code)] = await codes_sent(desk)
    [point] = await contact_points.of_customer(desk.database, desk.customers["hostile"])
    async with desk.database.transaction() as transaction:
        await customers.add_contact_point(
            transaction,
            desk.customers["hostile"],
            ContactWay(ContactKind.MAIL, "x@example.org"),
            actor="sara",
        )
        await contact_points.remove(transaction, desk.customers["hostile"], point.id, actor="sara")
    assert await guest.send("/hall/sign-in/code", code=code) == (303, "/hall/join")
