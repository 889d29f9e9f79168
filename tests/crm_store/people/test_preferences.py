from __future__ import annotations

import pytest

from crm_store import audit
from crm_store.database import Database
from crm_store.models import Channel, ContactKind
from crm_store.people import customers, preferences
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.people.preferences import Subject, Trouble, Verdict

pytestmark = pytest.mark.db

MAIL = "wang@mail.example"


@pytest.fixture
async def wang(database: Database) -> int:
    async with database.transaction() as transaction:
        return await customers.create(
            transaction,
            NewCustomer("Wang", contact_points=[ContactWay(ContactKind.MAIL, MAIL)]),
            actor="lin",
        )


async def test_what_nobody_said_is_told_but_for_what_must_be_asked_first(
    database: Database, wang: int
) -> None:
    may = preferences.may_write
    assert await may(database, wang, Channel.MAIL, MAIL, Subject.ORDERS)
    assert await may(database, wang, Channel.MAIL, MAIL)
    promotions = await may(database, wang, Channel.MAIL, MAIL, Subject.PROMOTIONS)
    assert promotions == Verdict(False, "not_asked")
    async with database.transaction() as transaction:
        for subject, allowed in ((Subject.PROMOTIONS, True), (Subject.ORDERS, False)):
            said = (wang, subject, Channel.MAIL, allowed)
            assert await preferences.prefer(transaction, *said, by="customer")
            assert not await preferences.prefer(transaction, *said, by="customer")
    assert await may(database, wang, Channel.MAIL, MAIL, Subject.PROMOTIONS)
    assert not await may(database, wang, Channel.SMS, "+8613800138000", Subject.PROMOTIONS)
    orders = await may(database, wang, Channel.MAIL, MAIL, Subject.ORDERS)
    assert orders == Verdict(False, "preference")
    assert await may(database, None, Channel.MAIL, MAIL, Subject.ORDERS)
    assert await preferences.of_customer(database, wang) == {
        (Subject.PROMOTIONS, Channel.MAIL): True,
        (Subject.ORDERS, Channel.MAIL): False,
    }
    async with database.transaction() as transaction:
        await preferences.prefer(
            transaction, wang, Subject.PROMOTIONS, Channel.MAIL, False, by="lin"
        )
    assert not await may(database, wang, Channel.MAIL, MAIL, Subject.PROMOTIONS)


async def test_an_opt_out_is_the_addresss_whatever_the_customer_prefers(
    database: Database, wang: int
) -> None:
    may = preferences.may_write
    async with database.transaction() as transaction:
        await preferences.prefer(
            transaction, wang, Subject.PROMOTIONS, Channel.MAIL, True, by="customer"
        )
        one = {"subject": Subject.PROMOTIONS, "by": "customer"}
        assert await preferences.opt_out(transaction, Channel.MAIL, MAIL, **one)  # type: ignore[arg-type]
        assert not await preferences.opt_out(transaction, Channel.MAIL, MAIL, **one)  # type: ignore[arg-type]
    refused = Verdict(False, "opted_out")
    assert await may(database, wang, Channel.MAIL, MAIL, Subject.PROMOTIONS) == refused
    assert await may(database, wang, Channel.MAIL, MAIL, Subject.POINTS)
    async with database.transaction() as transaction:
        await preferences.opt_out(transaction, Channel.MAIL, MAIL, by="customer", reason="STOP")
    for subject in (None, *Subject):
        assert await may(database, wang, Channel.MAIL, MAIL, subject) == refused
    assert await may(database, wang, Channel.SMS, MAIL)
    known = await preferences.opt_outs_of(database, Channel.MAIL, MAIL)
    assert [(one.subject, one.reason) for one in known] == [("", "STOP"), ("promotions", "")]
    async with database.transaction() as transaction:
        assert await preferences.opt_in(transaction, Channel.MAIL, MAIL, by="customer")
        assert not await preferences.opt_in(transaction, Channel.MAIL, MAIL, by="customer")
    assert await may(database, wang, Channel.MAIL, MAIL, Subject.PROMOTIONS)


async def test_an_address_in_trouble_is_left_alone_until_it_is_well(
    database: Database, wang: int
) -> None:
    async with database.transaction() as transaction:
        other = await customers.create(
            transaction,
            NewCustomer("Leila", contact_points=[ContactWay(ContactKind.MAIL, MAIL)]),
            actor="lin",
        )
        mark = (transaction, ContactKind.MAIL, MAIL, Trouble.BOUNCED)
        assert await preferences.mark_trouble(*mark) == [wang, other]
        assert await preferences.mark_trouble(*mark) == []
    verdict = await preferences.may_write(database, wang, Channel.MAIL, MAIL)
    assert verdict == Verdict(False, "bounced")
    assert await preferences.may_write(database, wang, Channel.SMS, MAIL)
    async with database.transaction() as transaction:
        await preferences.clear_trouble(transaction, ContactKind.MAIL, MAIL, actor="sara")
    assert await preferences.may_write(database, wang, Channel.MAIL, MAIL)
    [newest, *_] = await audit.entries(database, subject_kind="customer", subject_id=wang)
    assert (newest.actor, newest.fields) == ("sara", ["contact_points"])
