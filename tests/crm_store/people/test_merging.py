from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from crm_store import audit
from crm_store import text_search as words
from crm_store.contacts import (
    callbacks,
    conversations,
    interactions,
    messages,
    outbox,
    surveys,
    tasks,
)
from crm_store.contacts.callbacks import NewCallback
from crm_store.contacts.conversations import NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.contacts.tasks import NewTask
from crm_store.database import Database, Transaction
from crm_store.models import (
    Call,
    CallState,
    Channel,
    ChatSession,
    ContactKind,
    Conversation,
    Customer,
    IdentitySuggestion,
    Interaction,
    SearchEntry,
    Segment,
    Table,
)
from crm_store.people import (
    cards,
    complaints,
    customers,
    hall_sessions,
    merging,
    preferences,
    visits,
)
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.people.merging import FIELDS, OWNED, MoveRefused
from crm_store.people.preferences import Subject
from crm_store.phone_menus import menu_visits
from crm_store.phone_menus.menu_visits import MenuVisit
from crm_store.shop import orders
from crm_store.shop.orders import Line, NewOrder
from crm_store.signals import Direction
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SHARED = "+34912345678"


async def _person(transaction: Transaction, name: str, place: int) -> int:
    """A customer with a row in every table that a customer has rows in."""
    customer_id = await customers.create(
        transaction,
        NewCustomer(
            name,
            reference=f"R{place}",
            notes=f"notes of {name}",
            contact_points=[
                ContactWay(ContactKind.PHONE, SHARED),
                ContactWay(ContactKind.PHONE, f"+8613800138{place:03d}"),
            ],
        ),
        actor="ann",
    )
    digits = f"88001000000{place:03d}"
    await cards.open_card(transaction, customer_id, digits + cards.check_digit(digits))
    await add_call(transaction, customer_id, f"{place}.1")
    await visits.plan(transaction, customer_id, NOW, actor="ann", purpose="coat")
    await add_chat(transaction, customer_id, f"token {place}")
    for subject in (Subject.ORDERS, list(Subject)[place % len(Subject)]):
        await preferences.prefer(
            transaction, customer_id, subject, Channel.SMS, bool(place % 2), by="customer"
        )
    await hall_sessions.open_session(transaction, customer_id, timedelta(days=1))
    return customer_id


async def add_chat(transaction: Transaction, customer_id: int, token: str) -> int:
    session = transaction.session
    conversation = await conversations.open_conversation(
        transaction,
        NewConversation(channel=Channel.CHAT, address=token, customer_id=customer_id, at=NOW),
    )
    await messages.store(
        transaction,
        NewMessage(conversation_id=conversation, direction=Direction.INBOUND,
                   channel=Channel.CHAT, text="hammock?", sender=token, at=NOW),
    )  # fmt: skip
    await session.execute(
        insert(ChatSession).values(
            token_hash=token, conversation_id=conversation, customer_id=customer_id,
            created_at=NOW, seen_at=NOW,
        )
    )  # fmt: skip
    await session.execute(
        insert(IdentitySuggestion).values(
            kind="conversation", conversation_id=conversation, customer_id=customer_id,
            reason="name", at=NOW,
        )
    )  # fmt: skip
    return conversation


async def add_call(transaction: Transaction, customer_id: int, linkedid: str) -> int:
    session = transaction.session
    call_id = await session.scalar(
        insert(Call)
        .values(pbx="main", linkedid=linkedid, state=CallState.ENDED,
                direction=Direction.INBOUND, caller="x", callee="600", rang=[], started_at=NOW,
                customer_id=customer_id)
        .returning(Call.id)
    )  # fmt: skip
    interaction: int = await interactions.open_interaction(
        transaction,
        channel=Channel.PHONE,
        direction=Direction.INBOUND,
        customer_id=customer_id,
        at=NOW,
        summary=f"late delivery {linkedid}",
    )
    await session.execute(
        update(Interaction).where(Interaction.id == interaction).values(call_id=call_id)
    )
    await words.index_interaction(transaction, interaction)
    await tasks.create(
        transaction,
        NewTask(title="write", due_at=NOW, customer_id=customer_id, interaction_id=interaction),
        actor="ann",
    )
    await complaints.file(
        transaction, "late", actor="ann", customer_id=customer_id, interaction_id=interaction
    )
    await _use_the_menus(transaction, customer_id, linkedid, interaction)
    return interaction


async def _use_the_menus(
    transaction: Transaction, customer_id: int, linkedid: str, interaction: int
) -> None:
    await queues.save(transaction, QueueRecord(name="service", number="601", titles={}))
    await menu_visits.write(
        transaction,
        MenuVisit(pbx="main", linkedid=linkedid, menu="main", language="en", entered_at=NOW,
                  left_at=NOW, customer_id=customer_id),
    )  # fmt: skip
    await surveys.ask(
        transaction, pbx="main", linkedid=linkedid, customer_id=customer_id, number="",
        queue="service", agent="ann", language="en",
    )  # fmt: skip
    number = f"+8613900138{int(linkedid.split('.', maxsplit=1)[0]):03d}"
    await callbacks.request(
        transaction,
        NewCallback(queue="service", number=number, arrived_at=NOW, customer_id=customer_id,
                    pbx="main", linkedid=linkedid),
    )  # fmt: skip
    await outbox.write(
        transaction, channel=Channel.SMS, to=number, text="late?", customer_id=customer_id,
        interaction_id=interaction,
    )  # fmt: skip
    await orders.place(
        transaction,
        NewOrder(lines=[Line("1001", {"en": "armchair"}, 1, 100)], currency="CNY",
                 idempotency_key=linkedid, customer_id=customer_id, interaction_id=interaction),
        actor="ann",
    )  # fmt: skip


async def people(database: Database, *names: str) -> list[int]:
    async with database.transaction() as transaction:
        return [
            await _person(transaction, name, place) for place, name in enumerate(names, start=1)
        ]


async def state_of(database: Database) -> dict[str, Any]:
    """Whose each row is, what each customer says of itself, and who is found."""
    state: dict[str, Any] = {}
    async with database.reading() as session:
        for name, table in (*OWNED.items(), ("search_entries", SearchEntry)):
            mine: Any = table
            rows = await session.execute(select(mine.id, mine.customer_id).order_by(mine.id))
            state[name] = [tuple(row) for row in rows]
        fields = [getattr(Customer, name) for name in (*FIELDS, "id", "name_folded", "merged_into")]
        rows = await session.execute(select(*fields).order_by(Customer.id))
        state["customers"] = [tuple(row) for row in rows]
    return state


async def _merge(database: Database, other: int, kept: int, **fields: Any) -> int:
    async with database.transaction() as transaction:
        return await merging.merge(transaction, other, kept, actor="sara", fields=fields)


async def _undo(database: Database, move: int) -> None:
    async with database.transaction() as transaction:
        await merging.undo(transaction, move, actor="sara")


def test_every_table_with_a_customer_is_moved() -> None:
    with_customer = {
        table.name
        for table in Table.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "customers"
    }
    # Moves speak of customers, and search entries follow the rows that they find.
    assert with_customer - {"customer_moves", "search_entries"} == set(OWNED)


async def test_merged_they_are_one_and_undone_they_are_as_before(database: Database) -> None:
    lin, ada = await people(database, "Lin", "Ada")
    before = await state_of(database)
    move = await _merge(database, lin, ada, name="Ada Lin", segment=Segment.VIP)
    card = await customers.card(database, lin)
    assert card is not None
    assert (card.id, card.name, card.segment) == (ada, "Ada Lin", Segment.VIP)
    assert (len(card.cards), len(card.interactions), len(card.contact_points)) == (2, 4, 3)
    assert [one.id for one in await customers.find_by_phone(database, SHARED)] == [ada]
    assert [one.id for one in await customers.search_by_name(database, "lin")] == [ada]
    found = await words.search(database, "late", customer_ids=[ada], kinds=[EntryKind.INTERACTION])
    assert len(found) == 2
    [written] = await merging.moves_of(database, ada)
    assert (written.moved["interactions"], written.moved["contact_points"]) == (2, 1)
    # Of what both have said, the kept one's word stands.
    assert written.moved["preferences"] == 1
    await _undo(database, move)
    assert await state_of(database) == before
    assert [one.id for one in await customers.find_by_phone(database, SHARED)] == [lin, ada]
    assert len(await words.search(database, "late", customer_ids=[lin])) == 2
    said = [entry.action for entry in await audit.entries(database, subject_id=lin, limit=2)]
    assert said == ["undone", "merged"]


async def test_what_came_since_stays_with_the_kept_one(database: Database) -> None:
    lin, ada = await people(database, "Lin", "Ada")
    move = await _merge(database, lin, ada, notes="both")
    async with database.transaction() as transaction:
        since = await add_call(transaction, ada, "9.1")
        await customers.update(transaction, ada, actor="ann", notes="written since")
    await _undo(database, move)
    kept = await customers.card(database, ada)
    assert kept is not None
    assert since in [line.id for line in kept.interactions]
    assert kept.notes == "written since"
    assert kept.reference == "R2"


async def test_a_reference_comes_over_only_where_there_is_none(database: Database) -> None:
    lin, ada = await people(database, "Lin", "Ada")
    async with database.transaction() as transaction:
        await transaction.session.execute(
            update(Customer).where(Customer.id == ada).values(reference=None)
        )
    before = await state_of(database)
    move = await _merge(database, lin, ada)
    card = await customers.card(database, ada)
    assert card is not None
    assert card.reference == "R1"
    await _undo(database, move)
    assert await state_of(database) == before


async def test_a_split_takes_the_call_and_what_came_of_it_along(database: Database) -> None:
    lin, ada = await people(database, "Lin", "Ada")
    before = await state_of(database)
    async with database.transaction() as transaction:
        interaction = await transaction.session.scalar(
            select(Interaction.id).where(Interaction.customer_id == lin)
        )
        assert interaction is not None
        move = await merging.split(
            transaction, lin, ada, {"interactions": [interaction]}, actor="sara"
        )
    [written] = await merging.moves_of(database, lin)
    assert written.moved == {
        "interactions": 1,
        "calls": 1,
        # One was written for it, one is the callback's.
        "tasks": 2,
        "complaints": 1,
        "orders": 1,
        "callbacks": 1,
        "surveys": 1,
        "menu_visits": 1,
        "outbox_messages": 1,
    }
    await _undo(database, move)
    assert await state_of(database) == before


async def test_a_split_takes_a_conversation_with_its_words_and_its_chat_along(
    database: Database,
) -> None:
    lin, ada = await people(database, "Lin", "Ada")
    before = await state_of(database)
    async with database.transaction() as transaction:
        interaction = await transaction.session.scalar(
            select(Conversation.interaction_id).where(Conversation.customer_id == lin)
        )
        assert interaction is not None
        move = await merging.split(
            transaction, lin, ada, {"interactions": [interaction]}, actor="sara"
        )
    [written] = await merging.moves_of(database, lin)
    assert written.moved == {"interactions": 1, "conversations": 1, "chat_sessions": 1}
    found = await words.search(database, "hammock", kinds=[EntryKind.MESSAGE])
    assert [hit.customer_id for hit in found] == [ada, ada]
    await _undo(database, move)
    assert await state_of(database) == before


async def test_a_customer_made_for_a_split_is_hidden_by_its_undoing(database: Database) -> None:
    [lin] = await people(database, "Lin")
    async with database.transaction() as transaction:
        fresh = await customers.create(transaction, NewCustomer("Stranger"), actor="sara")
        card_id = (await state_of(database))["cards"][0][0]
        move = await merging.split(
            transaction, lin, fresh, {"cards": [card_id]}, actor="sara", is_new=True
        )
    await _undo(database, move)
    assert await customers.search_by_name(database, "stranger") == []
    card = await customers.card(database, fresh)
    assert card is not None
    assert card.id == lin


@pytest.mark.parametrize(
    ("first", "second", "why"), [(0, 0, "same"), (2, 0, "merged"), (0, 2, "merged")]
)
async def test_what_makes_no_sense_is_refused(
    database: Database, first: int, second: int, why: str
) -> None:
    who = await people(database, "Lin", "Ada", "Gone")
    await _merge(database, who[2], who[1])
    with pytest.raises(MoveRefused) as refused:
        await _merge(database, who[first], who[second])
    assert refused.value.why == why


async def test_an_undone_or_covered_move_is_not_undone(database: Database) -> None:
    lin, ada, eve = await people(database, "Lin", "Ada", "Eve")
    first = await _merge(database, lin, ada)
    second = await _merge(database, ada, eve)
    assert await customers.same_person(database, lin) == [eve, ada, lin]
    with pytest.raises(MoveRefused, match="covered"):
        await _undo(database, first)
    await _undo(database, second)
    await _undo(database, first)
    with pytest.raises(MoveRefused, match="undone"):
        await _undo(database, first)
    with pytest.raises(MoveRefused, match="missing"):
        await _undo(database, 999)


async def test_two_merges_crosswise_at_once_leave_one_customer(database: Database) -> None:
    lin, ada = await people(database, "Lin", "Ada")
    results = await asyncio.gather(
        _merge(database, lin, ada), _merge(database, ada, lin), return_exceptions=True
    )
    assert sorted(isinstance(result, MoveRefused) for result in results) == [False, True]
    [kept] = [one for one in (lin, ada) if (await customers.same_person(database, one))[0] == one]
    card = await customers.card(database, kept)
    assert card is not None
    assert len(card.interactions) == 4


STEPS = st.lists(
    st.tuples(st.sampled_from(["merge", "split", "undo"]), st.integers(0, 5), st.integers(0, 5)),
    max_size=10,
)


@pytest.mark.timeout(600)
@settings(
    max_examples=12,
    phases=[phase for phase in Phase if phase is not Phase.explain],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
async def test_no_row_is_lost_and_undoing_all_is_exact(
    sqlite_database: Database, steps: Sequence[tuple[str, int, int]]
) -> None:
    """Whatever is merged, split and undone: every row stays somebody's, each undo gives back what
    was before its move if nothing came after, and undoing all the rest gives the beginning."""
    database = sqlite_database
    async with database.transaction() as transaction:
        taken = len(list(await transaction.session.scalars(select(Customer.id))))
        who = [await _person(transaction, f"P{n}", taken + n) for n in range(3)]
    beginning = await state_of(database)
    done: list[tuple[int, dict[str, Any]]] = []
    for step, one, two in steps:
        before = await state_of(database)
        try:
            if step == "merge":
                done.append((await _merge(database, who[one % 3], who[two % 3], notes="x"), before))
            elif step == "split":
                rows = {
                    name: [row for row, owner in before[name] if owner == who[one % 3]][:1]
                    for name in ("interactions", "cards", "contact_points")[: two % 3 + 1]
                }
                async with database.transaction() as transaction:
                    move = await merging.split(
                        transaction, who[one % 3], who[two % 3], rows, actor="sara"
                    )
                done.append((move, before))
            elif done:
                place = one % len(done)
                await _undo(database, done[place][0])
                is_last = place == len(done) - 1
                expected = done.pop(place)[1]
                if is_last and expected:
                    assert await state_of(database) == expected
                elif not is_last:
                    # What was before the later moves had this one in it.
                    done = [(move, {}) for move, _ in done]
        except MoveRefused:
            assert await state_of(database) == before
        for name in OWNED:
            rows_now = (await state_of(database))[name]
            assert [row for row, _ in rows_now] == [row for row, _ in beginning[name]]
            assert all(owner is not None for _, owner in rows_now)
    while done:
        move, expected = done.pop()
        await _undo(database, move)
        if expected:
            assert await state_of(database) == expected
    assert await state_of(database) == beginning
