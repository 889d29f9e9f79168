from __future__ import annotations

from dataclasses import replace

import pytest

from crm_store import audit
from crm_store.contacts import inbox_rules
from crm_store.contacts.inbox_rules import NewRule
from crm_store.database import Database
from crm_store.models import RuleMoment

pytestmark = pytest.mark.db

LATE = NewRule(
    name=" Late\norders ",
    moment=RuleMoment.RECEIVED,
    conditions=[{"field": "subject", "operator": "contains", "value": "late"}],
    actions=[{"do": "tag", "value": "late"}],
    active=True,
)


async def _add(database: Database, rule: NewRule) -> int:
    async with database.transaction() as transaction:
        return await inbox_rules.add(transaction, rule, actor="sara")


async def test_rules_are_asked_in_their_order_if_they_are_on(database: Database) -> None:
    first = await _add(database, LATE)
    second = await _add(database, replace(LATE, name="closed", moment=RuleMoment.CLOSED))
    third = await _add(database, replace(LATE, name="third"))
    off = await _add(database, replace(LATE, name="off", active=False))
    assert [rule.id for rule in await inbox_rules.all_rules(database)] == [
        first,
        second,
        third,
        off,
    ]
    async with database.transaction() as transaction:
        await inbox_rules.order(transaction, [third, first], actor="sara")
    async with database.reading() as session:
        active = await inbox_rules.active_rules(session, RuleMoment.RECEIVED)
    assert [rule.id for rule in active] == [third, first]
    assert (active[1].name, active[1].conditions) == ("Late orders", list(LATE.conditions))
    async with database.transaction() as transaction:
        await inbox_rules.count_hits(transaction, {first: 1, third: 1})
        await inbox_rules.count_hits(transaction, {first: 1})
        await inbox_rules.delete(transaction, third, actor="sara")
    rule = await inbox_rules.find(database, first)
    assert rule is not None
    assert (rule.hits, rule.can_undo) == (2, False)
    assert await inbox_rules.find(database, third) is None
    for name in ("", " \n"):
        with pytest.raises(ValueError, match="name"):
            await _add(database, replace(LATE, name=name))


async def test_the_last_change_can_be_taken_back_and_made_again(database: Database) -> None:
    rule_id = await _add(database, LATE)
    changed = replace(
        LATE, name="Later", moment=RuleMoment.UNANSWERED, actions=[{"do": "spam"}], active=False
    )
    async with database.transaction() as transaction:
        assert not await inbox_rules.undo(transaction, rule_id, actor="sara")
        assert await inbox_rules.change(transaction, rule_id, changed, actor="lin")
        assert not await inbox_rules.change(transaction, rule_id, changed, actor="lin")
    for expected in (("Late orders", RuleMoment.RECEIVED, True), ("Later", "unanswered", False)):
        async with database.transaction() as transaction:
            assert await inbox_rules.undo(transaction, rule_id, actor="sara")
        rule = await inbox_rules.find(database, rule_id)
        assert rule is not None
        assert (rule.name, rule.moment, rule.active) == expected
        assert rule.can_undo
    async with database.transaction() as transaction:
        assert await inbox_rules.set_active(transaction, rule_id, True, actor="sara")
        assert not await inbox_rules.set_active(transaction, rule_id, True, actor="sara")
        with pytest.raises(LookupError):
            await inbox_rules.set_active(transaction, 999, True, actor="sara")
    [newest, *_] = await audit.entries(database, subject_kind="inbox_rule", subject_id=rule_id)
    assert (newest.actor, newest.action, newest.fields) == ("sara", "changed", ["active"])
