from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from crm_store import audit
from crm_store.database import Database
from crm_store.phone_menus import menus
from crm_store.versions import Unpublishable, in_use

pytestmark = pytest.mark.db

FIRST: dict[str, Any] = {
    "start": "main",
    "nodes": [{"id": "main", "say": "欢迎", "keys": {"1": "x"}}],
}
SECOND: dict[str, Any] = {"start": "main", "nodes": []}


async def _menu(database: Database, code: str = "main") -> int:
    async with database.transaction() as transaction:
        return await menus.MENUS.create(
            transaction, code, {"en": "Main", "zh": "主菜单"}, actor="sara"
        )


async def _version(database: Database, menu_id: int, tree: dict[str, Any]) -> int:
    async with database.transaction() as transaction:
        return await menus.MENUS.add_version(transaction, menu_id, tree, actor="sara")


async def _publish(database: Database, menu_id: int, number: int, *problems: str) -> bool:
    async with database.transaction() as transaction:
        return await menus.MENUS.publish(
            transaction, menu_id, number, problems=problems, actor="chief"
        )


async def test_the_version_published_last_is_used(database: Database) -> None:
    menu_id = await _menu(database)
    assert await _version(database, menu_id, FIRST) == 1
    assert await menus.MENUS.used_now(database) == {}
    assert await _publish(database, menu_id, 1)
    assert not await _publish(database, menu_id, 1)
    await _version(database, menu_id, SECOND)
    assert (await menus.MENUS.used_now(database))["main"].content == FIRST
    assert await _publish(database, menu_id, 2)
    used = (await menus.MENUS.used_now(database))["main"]
    assert (used.number, used.content, used.author, used.published_by) == (
        2,
        SECOND,
        "sara",
        "chief",
    )
    assert in_use(await menus.MENUS.versions(database, menu_id)) == used


async def test_a_version_with_problems_is_not_published(database: Database) -> None:
    menu_id = await _menu(database)
    await _version(database, menu_id, FIRST)
    with pytest.raises(Unpublishable) as refused:
        await _publish(database, menu_id, 1, "dead end", "no prompt")
    assert refused.value.problems == ["dead end", "no prompt"]
    [kept] = await menus.MENUS.versions(database, menu_id)
    assert kept.published_at is None
    assert await menus.MENUS.used_now(database) == {}


async def test_rolling_back_is_a_new_version_with_the_old_tree(database: Database) -> None:
    menu_id = await _menu(database)
    for number, tree in ((1, FIRST), (2, SECOND)):
        await _version(database, menu_id, tree)
        await _publish(database, menu_id, number)
    with pytest.raises(Unpublishable):
        async with database.transaction() as transaction:
            # The queue that it led to is gone.
            await menus.MENUS.roll_back(
                transaction, menu_id, 1, problems=["no queue"], actor="chief"
            )
    assert len(await menus.MENUS.versions(database, menu_id)) == 2
    async with database.transaction() as transaction:
        assert await menus.MENUS.roll_back(transaction, menu_id, 1, problems=[], actor="chief") == 3
    used = (await menus.MENUS.used_now(database))["main"]
    assert (used.number, used.content, used.author) == (3, FIRST, "chief")
    kept = await menus.MENUS.version(database, menu_id, 2)
    assert kept is not None
    assert kept.content == SECOND
    said = await audit.entries(database, subject_kind="phone_menu", subject_id=menu_id)
    assert [(entry.actor, entry.action, entry.fields) for entry in said[:2]] == [
        ("chief", "published", ["version 3"]),
        ("chief", "changed", ["version 3"]),
    ]


async def test_two_who_save_at_once_have_versions_of_their_own(database: Database) -> None:
    menu_id = await _menu(database)
    numbers = await asyncio.gather(*(_version(database, menu_id, FIRST) for _ in range(6)))
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]


async def test_a_retired_menu_is_not_heard(database: Database) -> None:
    menu_id = await _menu(database)
    await _version(database, menu_id, FIRST)
    await _publish(database, menu_id, 1)
    async with database.transaction() as transaction:
        await menus.MENUS.change(
            transaction, menu_id, titles={"en": "Old"}, active=False, actor="sara"
        )
    assert await menus.MENUS.used_now(database) == {}
    await _menu(database, "another")
    assert [menu.code for menu in await menus.MENUS.everything(database)] == ["another", "main"]
    found = await menus.MENUS.of_code(database, "main")
    assert found is not None
    assert found == await menus.MENUS.find(database, menu_id)
    assert (found.title("zh"), found.active) == ("Old", False)


async def test_what_there_is_not_is_told(database: Database) -> None:
    menu_id = await _menu(database)
    assert await menus.MENUS.find(database, 999) is None
    assert await menus.MENUS.of_code(database, "x") is None
    assert await menus.MENUS.version(database, menu_id, 1) is None
    for work in (
        lambda transaction: menus.MENUS.add_version(transaction, 999, FIRST, actor="sara"),
        lambda transaction: menus.MENUS.publish(transaction, menu_id, 1, problems=[], actor="sara"),
        lambda transaction: menus.MENUS.roll_back(
            transaction, menu_id, 1, problems=[], actor="sara"
        ),
        lambda transaction: menus.MENUS.change(
            transaction, 9, titles={}, active=True, actor="sara"
        ),
    ):
        with pytest.raises(LookupError):
            async with database.transaction() as transaction:
                await work(transaction)
    with pytest.raises(IntegrityError):
        await _menu(database)
