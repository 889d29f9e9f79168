"""Contact points: proven by their owner, removed by nobody else."""

from __future__ import annotations

import pytest

from crm_store import audit
from crm_store.database import Database
from crm_store.models import ContactKind
from crm_store.people import contact_points, customers, preferences
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.people.preferences import Trouble

pytestmark = pytest.mark.db

MAIL = ContactKind.MAIL
ADDRESS = "ana@example.org"


async def person(database: Database, name: str, *addresses: str) -> int:
    ways = [ContactWay(MAIL, address) for address in addresses]
    async with database.transaction() as transaction:
        return await customers.create(
            transaction, NewCustomer(name, contact_points=ways), actor="sara"
        )


async def test_who_has_an_address_is_found_in_order(database: Database) -> None:
    ana, eva = await person(database, "Ana", ADDRESS), await person(database, "Eva", ADDRESS)
    await person(database, "Bo", "bo@example.org")
    found = await contact_points.reached_at(database, MAIL, ADDRESS)
    assert [one.id for one in found] == [ana, eva]
    assert await contact_points.reached_at(database, ContactKind.PHONE, ADDRESS) == []


async def test_proof_adds_the_address_and_ends_its_trouble(database: Database) -> None:
    ana, eva = await person(database, "Ana"), await person(database, "Eva", ADDRESS)
    async with database.transaction() as transaction:
        await preferences.mark_trouble(transaction, MAIL, ADDRESS, Trouble.BOUNCED)
        await contact_points.prove(transaction, ana, MAIL, ADDRESS, by="code", actor="hall")
    [own] = await contact_points.of_customer(database, ana)
    assert own.proven_at is not None
    assert own.trouble == ""
    [other] = await contact_points.of_customer(database, eva)
    assert other.proven_at is None


async def test_only_its_owner_loses_it(database: Database) -> None:
    ana, eva = await person(database, "Ana", ADDRESS), await person(database, "Eva")
    [point] = await contact_points.of_customer(database, ana)
    async with database.transaction() as transaction:
        assert not await contact_points.remove(transaction, eva, point.id, actor="hall")
        assert await contact_points.remove(transaction, ana, point.id, actor="hall")
        assert not await contact_points.remove(transaction, ana, point.id, actor="hall")
    assert await contact_points.of_customer(database, ana) == []
    [entry, *_] = await audit.entries(database, subject_kind="customer", subject_id=ana)
    assert (entry.actor, entry.fields) == ("hall", ["contact_points"])
