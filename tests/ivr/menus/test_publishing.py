"""Publishing in a real house: what its queues, agents and hours allow, and what was there stays."""

from __future__ import annotations

from typing import Any

import pytest

from crm_store.phone_menus import menus
from crm_store.sample import phone_menu
from crm_store.versions import Unpublishable
from ivr.menus import publishing
from ivr.menus import tree as trees
from ivr.menus.problems import Problem
from tests.ivr.menus.stage import MAIN, Stage

pytestmark = pytest.mark.db


async def test_the_sample_menu_fits_the_sample_mall(stage: Stage) -> None:
    assert await publishing.check(stage.database, MAIN) == []
    used = await menus.MENUS.used_now(stage.database)
    assert trees.read(used[phone_menu.CODE].content) == MAIN


async def test_a_menu_with_problems_is_not_put_into_use(stage: Stage) -> None:
    data: dict[str, Any] = trees.write(MAIN)
    data["agents"] = {"queue": "nowhere"}
    data["hours"] = "no such hours"
    found = await menus.MENUS.of_code(stage.database, phone_menu.CODE)
    assert found is not None
    async with stage.database.transaction() as transaction:
        number = await menus.MENUS.add_version(transaction, found.id, data, actor="chief")
    with pytest.raises(Unpublishable) as raised:
        await publishing.publish(stage.database, found.id, number, actor="chief")
    assert raised.value.problems == [
        Problem("unknown_queue", "", "nowhere"),
        Problem("unknown_calendar", "", "no such hours"),
    ]
    assert (await menus.MENUS.used_now(stage.database))[phone_menu.CODE].number == 1
    async with stage.database.transaction() as transaction:
        whole = await menus.MENUS.add_version(
            transaction, found.id, trees.write(MAIN), actor="chief"
        )
    assert await publishing.publish(stage.database, found.id, whole, actor="chief")
    assert not await publishing.publish(stage.database, found.id, whole, actor="chief")
    with pytest.raises(LookupError):
        await publishing.publish(stage.database, found.id, 99, actor="chief")
