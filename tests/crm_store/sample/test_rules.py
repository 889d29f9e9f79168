from __future__ import annotations

import pytest

from channels.rules import problems
from crm_store.contacts import inbox_rules
from crm_store.database import Database
from crm_store.sample.desk import QUEUES
from crm_store.sample.rules import fill_rules

pytestmark = pytest.mark.db


async def test_the_sample_rules_can_be_kept_as_they_are(database: Database) -> None:
    async with database.transaction() as transaction:
        await fill_rules(transaction)
    rules = await inbox_rules.all_rules(database)
    assert [rule.active for rule in rules] == [True, True, False]
    queues = [queue.name for queue in QUEUES]
    assert [problems(rule, queues=queues) for rule in rules] == [[], [], []]
