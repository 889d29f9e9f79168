"""What keeps a menu from being published.

Owns the faults that would leave a caller in a dead end, without words or without a person, each
with the node that it is in. Plain values in and out; how a fault is told to people is the desk's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ivr import prompts
from ivr.menus.tree import (
    CHOICE_KEYS,
    FUNCTIONS,
    MOST_CHOICES,
    AnyNode,
    Function,
    HangUp,
    Hours,
    Menu,
    QueueTarget,
    Tree,
    find,
    node_texts,
    targets,
    ways,
)

KINDS = (
    "no_nodes",
    "unknown_start",
    "node_twice",
    "unreachable",
    "dead_end",
    "unknown_target",
    "circle",
    "missing_text",
    "bad_placeholder",
    "unknown_prompt",
    "unknown_queue",
    "unserved_queue",
    "unknown_calendar",
    "unknown_function",
    "key_twice",
    "wrong_key",
    "too_many_choices",
    "no_agents",
    "unknown_language",
)
"""Every kind of problem that `problems` can find."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a tree cannot be published. `kind` is one of KINDS, `node` its place ("" for the whole
    tree), `detail` what it is about: a target, a language, a queue, a key."""

    kind: str
    node: str
    detail: str = ""


def problems(
    tree: Tree,
    *,
    queues: Collection[str],
    served: Collection[str],
    calendars: Collection[str],
) -> list[Problem]:
    """All that keeps the tree from being published, in the order of its nodes.

    `queues` are the names that there are, `served` those that some agent serves, `calendars` the
    codes of opening hours.
    """
    if not tree.nodes:
        return [Problem("no_nodes", "")]
    found = _tree_problems(tree, queues, served, calendars)
    reached = _reached(tree)
    ids = [node.id for node in tree.nodes]
    for position, node in enumerate(tree.nodes):
        if node.id in ids[:position]:
            found.append(Problem("node_twice", node.id))
        if node.id not in reached:
            found.append(Problem("unreachable", node.id))
        found += _text_problems(tree, node)
        found += _way_problems(node, ids)
        if isinstance(node, Menu):
            found += _key_problems(node)
        if isinstance(node, Function) and node.function not in FUNCTIONS:
            found.append(Problem("unknown_function", node.id, node.function))
        if isinstance(node, Hours) and node.calendar not in calendars:
            found.append(Problem("unknown_calendar", node.id, node.calendar))
        target = targets(tree, node)
        # The tree's own queues are told once, with the tree.
        if target is not None and target is not tree.agents:
            found += _queue_problems(node.id, target, queues, served)
    found += [Problem("circle", node) for node in _circles(tree)]
    return list(dict.fromkeys(found))


def _tree_problems(
    tree: Tree, queues: Collection[str], served: Collection[str], calendars: Collection[str]
) -> list[Problem]:
    found = [
        Problem("unknown_language", "", language)
        for language in tree.languages
        if language not in prompts.LANGUAGES
    ]
    if find(tree, tree.start) is None:
        found.append(Problem("unknown_start", "", tree.start))
    if not tree.agents.queue:
        found.append(Problem("no_agents", ""))
    else:
        found += _queue_problems("", tree.agents, queues, served)
    if tree.hours and tree.hours not in calendars:
        found.append(Problem("unknown_calendar", "", tree.hours))
    for code, texts in tree.texts.items():
        if code.removesuffix(prompts.ONE) not in prompts.PROMPTS:
            found.append(Problem("unknown_prompt", "", code))
            continue
        for text in texts.values():
            found += [Problem("bad_placeholder", "", f"{code}: {place}")
                      for place in prompts.mistakes(code, text)]  # fmt: skip
    return found


def _text_problems(tree: Tree, node: AnyNode) -> list[Problem]:
    found = []
    for key, texts in node_texts(node):
        # A menu may begin with its choices, and our own good-bye stands in for one without words.
        silent = not any(text.strip() for text in texts.values())
        if silent and not key and isinstance(node, HangUp | Menu):
            continue
        found += [
            Problem("missing_text", node.id, f"{key} {language}".strip())
            for language in tree.languages
            if not texts.get(language, "").strip()
        ]
        for text in texts.values():
            found += [
                Problem("bad_placeholder", node.id, place) for place in prompts.mistakes("", text)
            ]
    return found


def _way_problems(node: AnyNode, ids: Collection[str]) -> list[Problem]:
    found = []
    for way, target in ways(node):
        if not target:
            found.append(Problem("dead_end", node.id, way))
        elif target not in ids:
            found.append(Problem("unknown_target", node.id, target))
    if isinstance(node, Menu) and not node.choices:
        found.append(Problem("dead_end", node.id))
    return found


def _key_problems(node: Menu) -> list[Problem]:
    keys = [choice.key for choice in node.choices]
    found = [Problem("wrong_key", node.id, key) for key in keys if not _is_key(key)]
    found += [
        Problem("key_twice", node.id, key)
        for position, key in enumerate(keys)
        if key in keys[:position]
    ]
    if len(keys) > MOST_CHOICES:
        found.append(Problem("too_many_choices", node.id, str(len(keys))))
    return found


def _is_key(key: str) -> bool:
    return len(key) == 1 and key in CHOICE_KEYS


def _queue_problems(
    node: str, target: QueueTarget, queues: Collection[str], served: Collection[str]
) -> list[Problem]:
    found = []
    for queue in target.queues:
        if queue not in queues:
            found.append(Problem("unknown_queue", node, queue))
        elif queue not in served:
            found.append(Problem("unserved_queue", node, queue))
    return found


def _reached(tree: Tree) -> set[str]:
    reached: set[str] = set()
    waiting = [tree.start]
    while waiting:
        node = find(tree, waiting.pop())
        if node is not None and node.id not in reached:
            reached.add(node.id)
            waiting += [target for _, target in ways(node)]
    return reached


def _circles(tree: Tree) -> list[str]:
    """Nodes that lead back to themselves without the caller having pressed a key in between: each
    circle by the first of its nodes."""
    silent = {
        node.id: [target for _, target in ways(node)]
        for node in reversed(tree.nodes)
        if not isinstance(node, Menu)
    }
    found: list[str] = []
    told: set[str] = set()
    for node in tree.nodes:
        around = _after(silent, node.id)
        if node.id in around and node.id not in told:
            found.append(node.id)
            told |= {other for other in around if node.id in _after(silent, other)}
    return found


def _after(silent: dict[str, list[str]], start: str) -> set[str]:
    passed: set[str] = set()
    waiting = list(silent.get(start, ()))
    while waiting:
        at = waiting.pop()
        if at not in passed and at in silent:
            passed.add(at)
            waiting += silent[at]
    return passed
