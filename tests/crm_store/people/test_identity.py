from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crm_store.contacts import conversations
from crm_store.contacts.conversations import NewConversation
from crm_store.database import Database
from crm_store.models import Channel, ContactKind
from crm_store.people import cards, contact_points, customers, identity, merging
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.people.identity import Known, Reason, Suggestion
from crm_store.shop import orders
from crm_store.shop.orders import Line, NewOrder

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MAIL, PHONE = "lin@mail.example", "+8613800138000"
CARD = "8600100000000013"


async def person(database: Database, name: str, *ways: str) -> int:
    points = [
        ContactWay(ContactKind.MAIL if "@" in way else ContactKind.PHONE, way) for way in ways
    ]
    async with database.transaction() as transaction:
        return await customers.create(
            transaction, NewCustomer(name, contact_points=points), actor="test"
        )


async def prove(database: Database, customer_id: int, value: str) -> list[int]:
    kind = ContactKind.MAIL if "@" in value else ContactKind.PHONE
    async with database.transaction() as transaction:
        return await identity.prove(
            transaction, customer_id, kind, value, by="code", actor="customer"
        )


async def who(database: Database, channel: Channel, address: str, **told: bool) -> Known:
    async with database.reading() as session:
        return await identity.who_is(session, channel, address, **told)


async def conversation(
    database: Database, address: str, channel: Channel = Channel.MAIL, subject: str = ""
) -> int:
    async with database.transaction() as transaction:
        return await conversations.open_conversation(
            transaction, NewConversation(channel=channel, address=address, at=NOW, subject=subject)
        )


async def owner(database: Database, conversation_id: int) -> int | None:
    found = await conversations.find(database, conversation_id)
    assert found is not None
    return found.customer_id


async def suggest(database: Database, conversation_id: int, **told: object) -> int:
    async with database.transaction() as transaction:
        return await identity.suggest_for_conversation(
            transaction,
            conversation_id,
            **told,  # type: ignore[arg-type]
        )


async def suggested(database: Database) -> list[tuple[int, Reason]]:
    return [(one.customer_id, one.reason) for one in await identity.open_suggestions(database)]


async def the_only(database: Database) -> Suggestion:
    (only,) = await identity.open_suggestions(database)
    return only


async def test_the_only_customer_with_an_address_is_known_by_it(database: Database) -> None:
    lin = await person(database, "Lin", MAIL, PHONE)
    assert await who(database, Channel.MAIL, MAIL) == Known(lin, (lin,))
    for channel in (Channel.SMS, Channel.FAX, Channel.MESSENGER, Channel.PHONE):
        assert (await who(database, channel, PHONE)).customer_id == lin
    assert await who(database, Channel.SMS, MAIL) == Known(None)
    assert await who(database, Channel.CHAT, MAIL) == Known(None)
    assert await who(database, Channel.MAIL, "") == Known(None)
    assert await who(database, Channel.MAIL, "stranger@mail.example") == Known(None)


async def test_of_several_with_an_address_only_who_has_proven_it_is_known(
    database: Database,
) -> None:
    lin, wife = await person(database, "Lin", MAIL), await person(database, "Wang", MAIL)
    assert await who(database, Channel.MAIL, MAIL) == Known(None, (lin, wife))
    await prove(database, wife, MAIL)
    assert (await who(database, Channel.MAIL, MAIL)).customer_id == wife
    await prove(database, lin, MAIL)
    assert await who(database, Channel.MAIL, MAIL) == Known(None, (lin, wife))


async def test_a_mail_that_may_be_forged_is_nobody_s(database: Database) -> None:
    lin = await person(database, "Lin", MAIL)
    await prove(database, lin, MAIL)
    assert await who(database, Channel.MAIL, MAIL, is_authenticated=False) == Known(None, (lin,))
    assert (await who(database, Channel.MAIL, MAIL, is_authenticated=True)).customer_id == lin


async def test_who_was_merged_away_is_nobody(database: Database) -> None:
    lin, twin = await person(database, "Lin", MAIL), await person(database, "Lin", MAIL)
    async with database.transaction() as transaction:
        await merging.merge(transaction, twin, lin, actor="sara")
    assert (await who(database, Channel.MAIL, MAIL)).customer_id == lin


async def test_proof_brings_the_conversations_of_the_address(database: Database) -> None:
    lin, other = await person(database, "Lin"), await person(database, "Omid")
    before = await conversation(database, MAIL)
    elsewhere = await conversation(database, "other@mail.example")
    taken = await conversation(database, MAIL)
    spam = await conversation(database, MAIL)
    async with database.transaction() as transaction:
        await conversations.give_to_customer(transaction, taken, other, actor="sara")
        await conversations.mark_spam(transaction, spam, actor="sara")
    assert await prove(database, lin, MAIL) == [before]
    assert [await owner(database, one) for one in (before, elsewhere, taken, spam)] == [
        lin,
        None,
        other,
        None,
    ]
    (point,) = await contact_points.of_customer(database, lin)
    assert point.proven_at is not None
    # A second one who proves the same address gets nothing of what is past.
    later = await conversation(database, MAIL)
    assert await prove(database, other, MAIL) == []
    assert await owner(database, later) is None


async def test_an_address_of_several_is_suggested_and_never_taken(database: Database) -> None:
    lin, wife = await person(database, "Lin", MAIL), await person(database, "Wang", MAIL)
    at = await conversation(database, MAIL)
    known = await who(database, Channel.MAIL, MAIL)
    assert await suggest(database, at, known=known) == 2
    assert await suggest(database, at, known=known) == 0
    assert await suggested(database) == [
        (wife, Reason.SHARED_ADDRESS),
        (lin, Reason.SHARED_ADDRESS),
    ]
    assert await owner(database, at) is None


async def test_an_address_of_a_whole_company_says_nothing(database: Database) -> None:
    for number in range(4):
        await person(database, f"Person {number}", MAIL)
    at = await conversation(database, MAIL)
    assert await suggest(database, at, known=await who(database, Channel.MAIL, MAIL)) == 0
    assert await suggest(database, at, typed=[(ContactKind.MAIL, MAIL)]) == 0


async def test_a_forged_sender_is_suggested_as_such(database: Database) -> None:
    lin = await person(database, "Lin", MAIL)
    at = await conversation(database, MAIL)
    known = await who(database, Channel.MAIL, MAIL, is_authenticated=False)
    await suggest(database, at, known=known, is_authenticated=False)
    assert await suggested(database) == [(lin, Reason.UNPROVEN_SENDER)]


async def order_of(database: Database, customer_id: int) -> str:
    async with database.transaction() as transaction:
        return await orders.place(
            transaction,
            NewOrder(
                customer_id=customer_id,
                lines=[Line("T1", {"en": "Tea"}, 1, 1_000)],
                currency="CNY",
                idempotency_key=f"order {customer_id}",
            ),
            actor="test",
        )


@pytest.mark.parametrize(
    ("name", "likely"),
    [("José Lin", True), ("jose  LIN", True), ("", True), ("Joseph Lin", False), ("Lin", False)],
)
async def test_a_number_counts_under_its_owner_s_name_or_none(
    database: Database, name: str, likely: bool
) -> None:
    lin = await person(database, "José Lin")
    await person(database, "Joseph Lin")
    async with database.transaction() as transaction:
        await cards.open_card(transaction, lin, CARD)
    number = await order_of(database, lin)
    by_order, by_card = (
        await conversation(database, "a@b.example"),
        await conversation(database, "c@d.example"),
    )
    await suggest(
        database, by_order, sender_name=name, text=f"Where is my order {number[:4]} {number[4:]}?"
    )
    await suggest(
        database, by_card, sender_name=name, text=f"卡号{CARD[:4]}-{CARD[4:8]}-{CARD[8:]}。"
    )
    expected = [(lin, Reason.CARD_NUMBER), (lin, Reason.ORDER_NUMBER)]
    assert await suggested(database) == (expected if likely else [])


async def test_numbers_that_are_wrong_or_only_part_of_one_say_nothing(database: Database) -> None:
    lin = await person(database, "Lin")
    async with database.transaction() as transaction:
        await cards.open_card(transaction, lin, CARD)
    at = await conversation(database, MAIL)
    wrong = CARD[:-1] + str((int(CARD[-1]) + 1) % 10)
    for text in (wrong, CARD + "4", "7" + CARD, CARD[:-4], "x" + CARD, "1 " * 50_000):
        assert await suggest(database, at, sender_name="Lin", text=text) == 0, text[:40]


async def test_the_same_name_alone_is_never_suggested(database: Database) -> None:
    await person(database, "Lin", "other@mail.example")
    await person(database, "Lin", PHONE)
    at = await conversation(database, MAIL)
    assert await suggest(database, at, sender_name="Lin", text="It is me, Lin!") == 0
    assert await identity.suggest_twins(database) == 0


async def test_an_address_typed_in_a_chat_is_likely(database: Database) -> None:
    lin = await person(database, "Lin", MAIL, PHONE)
    at = await conversation(database, "session", Channel.CHAT)
    await suggest(
        database, at, typed=[(ContactKind.MAIL, MAIL), (ContactKind.PHONE, "+34912345678")]
    )
    assert await suggested(database) == [(lin, Reason.TYPED_ADDRESS)]


async def test_accepted_the_conversation_is_theirs_and_they_are_known_next_time(
    database: Database,
) -> None:
    lin = await person(database, "Lin")
    async with database.transaction() as transaction:
        await cards.open_card(transaction, lin, CARD)
    at = await conversation(database, MAIL, subject="My points")
    await suggest(database, at, sender_name="Lin", text=CARD)
    one = await the_only(database)
    assert (one.conversation_id, one.shown, one.customer_name) == (at, "My points", "Lin")
    async with database.transaction() as transaction:
        assert await identity.decide(transaction, one.id, is_accepted=True, actor="sara") is None
    assert await owner(database, at) == lin
    assert await identity.open_suggestions(database) == []
    assert (await who(database, Channel.MAIL, MAIL)).customer_id == lin
    (point,) = await contact_points.of_customer(database, lin)
    assert point.proven_at is None, "an agent's word is no proof"
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await identity.decide(transaction, one.id, is_accepted=False, actor="omid")


async def test_declined_it_is_not_suggested_again(database: Database) -> None:
    await person(database, "Lin", MAIL)
    at = await conversation(database, "session", Channel.CHAT)
    typed = [(ContactKind.MAIL, MAIL)]
    await suggest(database, at, typed=typed)
    one = await the_only(database)
    async with database.transaction() as transaction:
        await identity.decide(transaction, one.id, is_accepted=False, actor="sara")
    assert await owner(database, at) is None
    assert await suggest(database, at, typed=typed) == 0
    assert await identity.open_suggestions(database) == []


async def test_what_was_settled_by_hand_is_no_question_any_more(database: Database) -> None:
    lin, other = await person(database, "Lin", MAIL), await person(database, "Omid")
    at = await conversation(database, "session", Channel.CHAT)
    await suggest(database, at, typed=[(ContactKind.MAIL, MAIL)])
    one = await the_only(database)
    async with database.transaction() as transaction:
        await conversations.give_to_customer(transaction, at, other, actor="sara")
    assert await identity.open_suggestions(database) == []
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await identity.decide(transaction, one.id, is_accepted=True, actor="omid")
    assert await owner(database, at) == other
    assert lin != other


async def test_twins_are_merged_when_accepted_and_parted_by_undoing(database: Database) -> None:
    lin = await person(database, "Lin Wei", PHONE)
    household = await person(database, "Lin Mei", PHONE)
    twin = await person(database, "LIN  wéi", PHONE, MAIL)
    assert await identity.suggest_twins(database) == 1
    assert await identity.suggest_twins(database) == 0
    one = await the_only(database)
    assert (one.customer_id, one.other_id) == (lin, twin)
    assert (one.customer_name, one.other_name) == ("Lin Wei", "LIN wéi")
    async with database.transaction() as transaction:
        move = await identity.decide(transaction, one.id, is_accepted=True, actor="sara")
    assert move is not None
    assert (await who(database, Channel.MAIL, MAIL)).customer_id == lin
    assert (await who(database, Channel.SMS, PHONE)).candidates == (lin, household)
    async with database.transaction() as transaction:
        await merging.undo(transaction, move, actor="sara")
    assert await identity.suggest_twins(database) == 0, "people have had their say"
    assert (await who(database, Channel.MAIL, MAIL)).customer_id == twin


async def test_one_page_after_the_other(database: Database) -> None:
    lin = await person(database, "Lin", MAIL)
    for _ in range(5):
        at = await conversation(database, "session", Channel.CHAT)
        await suggest(database, at, typed=[(ContactKind.MAIL, MAIL)])
    first = await identity.open_suggestions(database, limit=3)
    rest = await identity.open_suggestions(database, before=first[-1].id, limit=3)
    assert [len(first), len(rest)] == [3, 2]
    assert {one.customer_id for one in [*first, *rest]} == {lin}
    (of_one,) = await identity.open_suggestions(database, conversation_id=at)
    assert of_one == first[0]
