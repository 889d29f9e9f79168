"""Scripts in the store: versions that never change, runs, and what answers write."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from crm_store import audit
from crm_store.contacts import interactions
from crm_store.database import Database
from crm_store.knowledge import script_fills, script_steps, scripts
from crm_store.models import Channel, Interaction, Queue
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.signals import Direction
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord
from crm_store.versions import Unpublishable, in_use
from tests.crm_store.knowledge.test_script_steps import PLAIN, changed

pytestmark = pytest.mark.db

STEPS = script_steps.read(PLAIN)
KNOWN = ["solved"]


async def published(database: Database) -> int:
    async with database.transaction() as transaction:
        script_id = await scripts.SCRIPTS.create(
            transaction, "service", {"en": "Service", "zh": "客服"}, actor="sara"
        )
        number = await scripts.SCRIPTS.add_version(transaction, script_id, STEPS, actor="sara")
        assert await scripts.publish(
            transaction, script_id, number, dispositions=KNOWN, actor="sara"
        )
        await queues.save(transaction, QueueRecord("service", "601", {"en": "Service"}))
        await transaction.session.execute(
            update(Queue).where(Queue.name == "service").values(script="service")
        )
    return script_id


async def opened(database: Database) -> tuple[int, int]:
    """An interaction and its customer."""
    async with database.transaction() as transaction:
        customer = await customers.create(
            transaction, NewCustomer("王芳", "zh", notes="VIP"), actor="import"
        )
        interaction = await interactions.open_interaction(
            transaction,
            channel=Channel.PHONE,
            direction=Direction.INBOUND,
            customer_id=customer,
            queue="service",
        )
    return interaction, customer


async def test_the_version_published_last_is_used(database: Database) -> None:
    script_id = await published(database)
    draft = changed(3, text={"en": "Bye!", "zh": "再见!"})
    async with database.transaction() as transaction:
        assert await scripts.SCRIPTS.add_version(transaction, script_id, draft, actor="lin") == 2
    current = await scripts.of_queue(database, "service")
    assert current is not None
    assert (current[0].code, current[1].number) == ("service", 1)

    async with database.transaction() as transaction:
        await scripts.publish(transaction, script_id, 2, dispositions=KNOWN, actor="sara")
    current = await scripts.of_queue(database, "service")
    assert current is not None
    assert current[1].content == draft

    async with database.transaction() as transaction:
        again = await scripts.roll_back(transaction, script_id, 1, dispositions=KNOWN, actor="sara")
    every = await scripts.SCRIPTS.versions(database, script_id)
    assert again == 3
    assert [one.number for one in every] == [3, 2, 1]
    assert every[0].content == every[2].content == STEPS
    used = in_use(every)
    assert used is not None
    assert used.number == 3
    actions = [line.action for line in await audit.entries(database, subject_kind="script")]
    assert actions.count("published") == 3


async def test_a_version_with_problems_is_not_published(database: Database) -> None:
    script_id = await published(database)
    async with database.transaction() as transaction:
        number = await scripts.SCRIPTS.add_version(
            transaction, script_id, changed(1, otherwise=None), actor="sara"
        )
    with pytest.raises(Unpublishable) as refused:
        async with database.transaction() as transaction:
            await scripts.publish(transaction, script_id, number, dispositions=KNOWN, actor="sara")
    assert ("dead_end", "order") in [(one.kind, one.step) for one in refused.value.problems]
    current = await scripts.of_queue(database, "service")
    assert current is not None
    assert current[1].number == 1


async def test_a_retired_script_is_followed_no_more(database: Database) -> None:
    script_id = await published(database)
    async with database.transaction() as transaction:
        await scripts.SCRIPTS.change(
            transaction, script_id, titles={"en": "Old"}, active=False, actor="sara"
        )
    assert await scripts.of_queue(database, "service") is None
    assert await scripts.of_queue(database, "nowhere") is None
    found = await scripts.SCRIPTS.find(database, script_id)
    assert found is not None
    assert (found.title("zh"), found.active) == ("Old", False)


async def test_what_there_is_not_is_said(database: Database) -> None:
    async with database.transaction() as transaction:
        with pytest.raises(LookupError):
            await scripts.publish(transaction, 7, 1, dispositions=[], actor="sara")
        with pytest.raises(LookupError):
            await scripts.roll_back(transaction, 7, 1, dispositions=[], actor="sara")
        with pytest.raises(LookupError):
            await scripts.SCRIPTS.add_version(transaction, 7, STEPS, actor="sara")
        with pytest.raises(LookupError):
            await scripts.SCRIPTS.change(transaction, 7, titles={}, active=True, actor="sara")


async def test_a_run_goes_on_where_it_was_and_keeps_its_version(database: Database) -> None:
    script_id = await published(database)
    interaction, _ = await opened(database)
    current = await scripts.of_queue(database, "service")
    assert current is not None
    async with database.transaction() as transaction:
        await scripts.begin(transaction, interaction, "lin", current[1])
    with pytest.raises(IntegrityError):
        async with database.transaction() as transaction:
            await scripts.begin(transaction, interaction, "lin", current[1])
    run = await scripts.run_of(database, interaction, "lin")
    assert run is not None
    async with database.transaction() as transaction:
        await scripts.save(
            transaction, run.id, step="order", answers={"about": "order"}, finished=False
        )
        await scripts.roll_back(transaction, script_id, 1, dispositions=KNOWN, actor="sara")
    run = await scripts.run_of(database, interaction, "lin")
    assert run is not None
    assert (run.step, run.answers, run.version.number) == ("order", {"about": "order"}, 1)
    assert await scripts.run_of(database, interaction, "maria") is None


async def fill(
    database: Database, interaction: int, customer: int | None, answers: dict[str, Any]
) -> list[str]:
    async with database.transaction() as transaction:
        return await script_fills.write(
            transaction,
            interaction,
            answers,
            customer_id=customer,
            languages=frozenset({"en", "zh"}),
            region="CN",
            actor="lin",
        )


async def test_answers_fill_the_record_with_audit(database: Database) -> None:
    interaction, customer = await opened(database)
    answers = {
        "interaction.summary": "Asked for the order",
        "customer.language": "en",
        "customer.phone": "138 0013 8000",
        "customer.mail": "Wang@Example.org",
        "customer.notes": "Prefers mornings",
    }
    assert await fill(database, interaction, customer, answers) == []
    assert await fill(database, interaction, customer, answers) == []
    card = await customers.card(database, customer)
    assert card is not None
    assert card.language == "en"
    assert {way.value for way in card.contact_points} == {"+8613800138000", "wang@example.org"}
    assert card.notes == "VIP\nPrefers mornings"
    async with database.reading() as session:
        summary = await session.scalar(
            select(Interaction.summary).where(Interaction.id == interaction)
        )
    assert summary == "Asked for the order"
    by_lin = await audit.entries(database, actor="lin")
    assert sorted({(line.subject_kind, *line.fields) for line in by_lin}) == [
        ("customer", "contact_points"),
        ("customer", "language"),
        ("customer", "notes"),
        ("interaction", "summary"),
    ]


async def test_what_cannot_be_written_is_said(database: Database) -> None:
    interaction, customer = await opened(database)
    answers = {"customer.language": "tlh", "customer.mail": "nobody", "customer.name": "Wang Fang"}
    assert await fill(database, interaction, customer, answers) == [
        "customer.language",
        "customer.mail",
    ]
    assert await fill(database, interaction, None, {"customer.name": "Li"}) == ["customer.name"]
    assert await fill(database, interaction, 999, {"customer.name": "Li"}) == ["customer.name"]
    card = await customers.card(database, customer)
    assert card is not None
    assert card.name == "Wang Fang"
