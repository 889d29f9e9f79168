"""Publishing a menu: what is wrong with it in this very house, and putting it into use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from crm_store.database import Database, Transaction
from crm_store.phone_menus import menus, opening_hours
from crm_store.staff import agents, queues
from ivr import prompts
from ivr.menus import tree as trees
from ivr.menus.problems import Problem, problems
from ivr.menus.tree import Menu, Tree, text_code
from ivr.prompts import PROMPTS, Prompts

LABEL_KEYS = "1234"
"""The keys that built-in choices are given."""


async def check(database: Database, tree: Tree) -> list[Problem]:
    """All that keeps the tree from being published here, with these queues, agents and hours."""
    known = await queues.all_queues(database)
    staff = await agents.all_agents(database)
    served = {queue for agent in staff if agent.active for queue in agent.queues}
    calendars = {opening_hours.HOUSE, *await opening_hours.read_all(database)}
    return problems(
        tree, queues=[queue.name for queue in known], served=served, calendars=calendars
    )


async def publish(database: Database, menu_id: int, number: int, *, actor: str) -> bool:
    """Put a version into use; False if it was before. Raises LookupError for an unknown one,
    MalformedTree, and Unpublishable with what is wrong."""
    found = await _problems_of(database, menu_id, number)

    async def put(transaction: Transaction) -> bool:
        return await menus.MENUS.publish(transaction, menu_id, number, problems=found, actor=actor)

    return await database.run(put)


async def roll_back(database: Database, menu_id: int, number: int, *, actor: str) -> int:
    """Use an older version's tree again, as a new version; its number. Raises as `publish`."""
    found = await _problems_of(database, menu_id, number)

    async def put(transaction: Transaction) -> int:
        return await menus.MENUS.roll_back(
            transaction, menu_id, number, problems=found, actor=actor
        )

    return await database.run(put)


async def _problems_of(database: Database, menu_id: int, number: int) -> list[Problem]:
    version = await menus.MENUS.version(database, menu_id, number)
    if version is None:
        raise LookupError(f"there is no version {number} of menu {menu_id}")
    return await check(database, trees.read(version.content))


def fixed_parts(
    said: Prompts, menu_trees: Mapping[str, Tree], languages: Iterable[str] = prompts.LANGUAGES
) -> Iterator[tuple[str, str]]:
    """All stretches of speech (text, language) that are the same for every caller: those of the
    menus, by their codes, first, for these are what callers hear first."""
    wanted = list(languages)
    for code, tree in menu_trees.items():
        for language in wanted:
            for text in _tree_texts(said, code, tree, language):
                yield from _fixed(text, language)
    for language in wanted:
        for code, prompt in PROMPTS.items():
            text = said.text(code, language)
            if not prompt.is_label:
                yield from _fixed(text, language)
            if prompt.one:
                yield from _fixed(said.text(code, language, 1), language)
            for key in LABEL_KEYS if prompt.is_label else "":
                yield from _fixed(said.choice(text, key, language), language)


def _tree_texts(said: Prompts, code: str, tree: Tree, language: str) -> Iterator[str]:
    for node in tree.nodes:
        for key, texts in trees.node_texts(node):
            if not texts.get(language, "").strip():
                continue
            text = said.text(text_code(code, node.id, key), language)
            yield said.choice(text, key, language) if isinstance(node, Menu) and key else text


def _fixed(text: str, language: str) -> Iterator[tuple[str, str]]:
    for piece in prompts.pieces(text):
        if not piece.is_value and any(letter.isalnum() for letter in piece.text):
            yield piece.text.strip(), language
