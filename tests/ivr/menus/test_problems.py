"""What keeps a menu from being published: each fault with its place, and none where all is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store.sample import phone_menu
from ivr.menus import tree as trees
from ivr.menus.problems import KINDS, Problem, problems
from ivr.menus.tree import MalformedTree, Tree

pytestmark = pytest.mark.unit

BOTH = {"en": "Words", "es": "Palabras"}
HOUSE: dict[str, Any] = {
    "queues": {"service", "sales", "nobodys"},
    "served": {"service", "sales"},
    "calendars": {"house"},
}


def say(node: str, to: str) -> dict[str, Any]:
    return {"id": node, "kind": "say", "texts": BOTH, "to": to}


def choice(key: str, to: str) -> dict[str, Any]:
    return {"key": key, "texts": BOTH, "to": to}


def data(*nodes: dict[str, Any], **values: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "languages": ["en", "es"],
        "start": "main",
        "agents": {"queue": "service"},
        "hours": "house",
        "nodes": [
            {"id": "main", "kind": "menu", "choices": [choice("1", "points"), choice("2", "end")]},
            {"id": "points", "kind": "function", "function": "points", "to": "main"},
            {"id": "end", "kind": "hang_up"},
            *nodes,
        ],
    }
    return whole | values


def found(*nodes: dict[str, Any], **values: Any) -> list[Problem]:
    return problems(trees.read(data(*nodes, **values)), **HOUSE)


def reached(*nodes: dict[str, Any]) -> list[Problem]:
    """As `found`, with a menu that leads to the first of the nodes."""
    first = {"id": "main", "kind": "menu", "choices": [choice("1", nodes[0]["id"])]}
    return problems(trees.read(data(nodes=[first, *nodes])), **HOUSE)


def test_a_whole_menu_has_none() -> None:
    assert found() == []


CASES: dict[str, tuple[Callable[[], list[Problem]], Problem]] = {
    "no_nodes": (lambda: found(nodes=[]), Problem("no_nodes", "")),
    "unknown_start": (lambda: found(start="x"), Problem("unknown_start", "", "x")),
    "node_twice": (lambda: reached(say("a", "main"), say("a", "main")), Problem("node_twice", "a")),
    "unreachable": (lambda: found(say("lost", "main")), Problem("unreachable", "lost")),
    "dead_end": (lambda: reached(say("a", "")), Problem("dead_end", "a", "to")),
    "unknown_target": (lambda: reached(say("a", "x")), Problem("unknown_target", "a", "x")),
    "circle": (lambda: reached(say("a", "b"), say("b", "a")), Problem("circle", "a")),
    "missing_text": (
        lambda: reached({"id": "a", "kind": "say", "texts": {"en": "x", "es": " "}, "to": "main"}),
        Problem("missing_text", "a", "es"),
    ),
    "bad_placeholder": (
        lambda: found(texts={"points_balance": {"en": "{money}"}}),
        Problem("bad_placeholder", "", "points_balance: {money}"),
    ),
    "unknown_prompt": (
        lambda: found(texts={"nothing": BOTH}), Problem("unknown_prompt", "", "nothing")
    ),
    "unknown_queue": (
        lambda: found(agents={"queue": "service", "by_language": {"es": "service_es"}}),
        Problem("unknown_queue", "", "service_es"),
    ),
    "unserved_queue": (
        lambda: reached({"id": "a", "kind": "queue", "target": {"queue": "nobodys"}}),
        Problem("unserved_queue", "a", "nobodys"),
    ),
    "unknown_calendar": (
        lambda: reached(
            {"id": "a", "kind": "hours", "calendar": "x", "open": "main", "closed": "main"}
        ),
        Problem("unknown_calendar", "a", "x"),
    ),
    "unknown_function": (
        lambda: reached({"id": "a", "kind": "function", "function": "x", "to": "main"}),
        Problem("unknown_function", "a", "x"),
    ),
    "key_twice": (
        lambda: found(
            nodes=[
                {"id": "main", "kind": "menu", "choices": [choice("1", "end"), choice("1", "end")]},
                {"id": "end", "kind": "hang_up"},
            ]
        ),
        Problem("key_twice", "main", "1"),
    ),
    "wrong_key": (
        lambda: reached({"id": "a", "kind": "menu", "choices": [choice("0", "main")]}),
        Problem("wrong_key", "a", "0"),
    ),
    "too_many_choices": (
        lambda: reached(
            {
                "id": "a",
                "kind": "menu",
                "choices": [choice(str(number % 10), "main") for number in range(1, 12)],
            }
        ),
        Problem("too_many_choices", "a", "11"),
    ),
    "no_agents": (lambda: found(agents={"queue": ""}), Problem("no_agents", "")),
    "unknown_language": (
        lambda: found(languages=["en", "es", "xx"]), Problem("unknown_language", "", "xx")
    ),
}  # fmt: skip


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", CASES)
def test_each_fault_is_found_where_it_is(kind: str) -> None:
    make, expected = CASES[kind]
    assert expected in make()


def test_a_branch_of_hours_that_leads_nowhere_is_a_dead_end() -> None:
    hours = {"id": "a", "kind": "hours", "calendar": "house", "open": "main"}
    assert reached(hours) == [Problem("dead_end", "a", "closed")]
    assert reached({"id": "a", "kind": "menu"}) == [Problem("dead_end", "a")]


def test_a_circle_through_a_menu_is_none_since_the_caller_is_asked() -> None:
    assert reached(say("a", "b"), say("b", "main")) == []


def test_a_choice_without_words_is_missing_in_every_language() -> None:
    silent = {"id": "a", "kind": "menu", "choices": [{"key": "1", "texts": {}, "to": "main"}]}
    assert reached(silent) == [
        Problem("missing_text", "a", "1 en"),
        Problem("missing_text", "a", "1 es"),
    ]


def test_the_sample_menu_can_be_published() -> None:
    tree = trees.read(phone_menu.TREE)
    queues = {"service", "service_zh"}
    assert problems(tree, queues=queues, served=queues, calendars={"house", "agents"}) == []
    alone = trees.read(phone_menu.tree({"service"}))
    assert alone.agents.queues == ["service"]


def test_what_is_written_is_read_again() -> None:
    tree = trees.read(phone_menu.TREE)
    assert trees.read(trees.write(tree)) == tree


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"nodes": 3},
        data(start=3),
        data({"id": "Ä", "kind": "say"}),
        data({"id": "a", "kind": "dance"}),
        data({"id": "a", "kind": "say", "unknown": 1}),
        data(languages=[]),
        data(*(say(f"n{number}", "main") for number in range(300))),
    ],
)
def test_what_is_no_tree_is_refused(wrong: object) -> None:
    with pytest.raises(MalformedTree):
        trees.read(wrong)


names = st.sampled_from(["a", "b", "c", "main", "", "x"])
nodes = st.one_of(
    st.builds(lambda i, to: {"id": i, "kind": "say", "texts": BOTH, "to": to},
              names.filter(bool), names),
    st.builds(lambda i, to: {"id": i, "kind": "goto", "to": to}, names.filter(bool), names),
    st.builds(
        lambda i, o, c: {"id": i, "kind": "hours", "calendar": "house", "open": o, "closed": c},
        names.filter(bool), names, names),
    st.builds(
        lambda i, to: {"id": i, "kind": "menu", "choices": [choice("1", to)]},
        names.filter(bool), names),
)  # fmt: skip


@given(st.lists(nodes, max_size=6))
def test_a_tree_without_problems_lets_nobody_run_in_circles(several: list[dict[str, Any]]) -> None:
    """From every node without problems, going on silently comes to a menu or an end."""
    tree: Tree = trees.read(data(nodes=several, start="a"))
    if problems(tree, **HOUSE):
        return
    for node in tree.nodes:
        ahead = {node.id}
        for _ in tree.nodes:
            reached_now = set()
            for name in ahead:
                at = trees.find(tree, name)
                assert at is not None
                if not isinstance(at, trees.Menu):
                    reached_now |= {target for _, target in trees.ways(at)}
            ahead = reached_now
        assert not ahead
