"""A menu's tree: the data that a supervisor publishes, as typed nodes.

Owns the form of a tree and how its texts are named; plain values in and out, without a store.
Refuses to know what may be published (problems.py) and how a tree is spoken (walk.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

FUNCTIONS = (
    "language",
    "points",
    "order",
    "product",
    "hours",
    "promotions",
    "places",
    "cards",
    "way",
    "parking",
    "dining",
    "medical",
    "letting",
    "complaint",
    "callback",
)
"""The conversations that a node can hold; see walk.py."""

ENDING_FUNCTIONS = frozenset({"callback"})
"""Those after which the call ends: they need no next node."""

CHOICE_KEYS = "123456789"
"""0 is an agent, * the way back and # an end, everywhere."""

MOST_NODES = 200
MOST_CHOICES = 9

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Texts = Annotated[dict[str, Annotated[str, Meta(max_length=1_000)]], Meta(max_length=20)]
PromptCode = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,60}(\.one)?$")]


class MalformedTree(ValueError):
    """The data are not a tree at all."""


class QueueTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A queue; `by_language` names another one for callers of a language."""

    queue: str
    by_language: Annotated[dict[str, str], Meta(max_length=20)] = {}

    def for_language(self, language: str) -> str:
        return self.by_language.get(language) or self.queue

    @property
    def queues(self) -> list[str]:
        return list(dict.fromkeys([self.queue, *self.by_language.values()]))


class Node(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    id: Name


class Choice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key is for: "For your points"; the key itself is said by us."""

    key: str
    texts: Texts
    to: str


class Menu(Node, frozen=True, kw_only=True, tag="menu"):
    """Says `texts`, then the choices, and waits for a key."""

    texts: Texts = {}
    choices: Annotated[tuple[Choice, ...], Meta(max_length=20)] = ()


class Say(Node, frozen=True, kw_only=True, tag="say"):
    texts: Texts = {}
    to: str = ""


class Hours(Node, frozen=True, kw_only=True, tag="hours"):
    """Goes on by whether the calendar of that code is open now."""

    calendar: str
    open: str = ""
    closed: str = ""


class Queue(Node, frozen=True, kw_only=True, tag="queue"):
    """To the people of a queue; `target` None is the tree's own."""

    target: QueueTarget | None = None


class Message(Node, frozen=True, kw_only=True, tag="message"):
    """The caller leaves a message for a queue; `target` None is the tree's own."""

    target: QueueTarget | None = None


class Function(Node, frozen=True, kw_only=True, tag="function"):
    """One of FUNCTIONS, then on to the next node. What it leaves to be done is for the people of
    `target`; None is the tree's own."""

    function: str
    to: str = ""
    target: QueueTarget | None = None


class GoTo(Node, frozen=True, kw_only=True, tag="goto"):
    to: str = ""


class HangUp(Node, frozen=True, kw_only=True, tag="hang_up"):
    """Says `texts` (else our own good-bye) and ends the call."""

    texts: Texts = {}


AnyNode = Menu | Say | Hours | Queue | Message | Function | GoTo | HangUp


class Tree(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole menu. `agents` is where 0 leads, while the calendar `hours` is open ("": always).

    `languages` are those that every text is there in, in the order in which they are offered.
    `texts` are the supervisor's own words for built-in prompts, by code and language.
    """

    languages: Annotated[tuple[str, ...], Meta(min_length=1, max_length=20)]
    start: str
    agents: QueueTarget
    hours: str = ""
    texts: Annotated[dict[PromptCode, Texts], Meta(max_length=400)] = {}
    nodes: tuple[AnyNode, ...] = ()


def read(data: object) -> Tree:
    """The tree that plain values hold. Raises MalformedTree, which says where."""
    try:
        tree = msgspec.convert(data, Tree)
    except msgspec.ValidationError as error:
        raise MalformedTree(str(error)) from error
    if len(tree.nodes) > MOST_NODES:
        raise MalformedTree(f"more than {MOST_NODES} nodes")
    return tree


def write(tree: Tree) -> dict[str, Any]:
    """The tree as plain values."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(tree))
    return plain


def find(tree: Tree, node_id: str) -> AnyNode | None:
    return next((node for node in tree.nodes if node.id == node_id), None)


def ways(node: AnyNode) -> list[tuple[str, str]]:
    """Where the call can go after the node: (what leads there, the next node's id).

    What leads there is a key, "open", "closed" or "to"; an id may be missing ("").
    """
    match node:
        case Menu():
            return [(choice.key, choice.to) for choice in node.choices]
        case Hours():
            return [("open", node.open), ("closed", node.closed)]
        case Function() if node.function in ENDING_FUNCTIONS and not node.to:
            return []
        case Say() | Function() | GoTo():
            return [("to", node.to)]
        case _:
            return []


def targets(tree: Tree, node: AnyNode) -> QueueTarget | None:
    """The queues that the node needs."""
    if isinstance(node, Queue | Message | Function):
        return node.target or tree.agents
    return None


def text_code(menu: str, node_id: str, key: str = "") -> str:
    """The code of a node's text as a prompt, or of one of its choices'."""
    return f"{menu}/{node_id}" + (f"/{key}" if key else "")


def node_texts(node: AnyNode) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The texts of a node: ("" for its own, else a choice's key; by language)."""
    if isinstance(node, Menu | Say | HangUp):
        yield "", node.texts
    if isinstance(node, Menu):
        for choice in node.choices:
            yield choice.key, choice.texts


def own_texts(menu: str, tree: Tree) -> dict[str, Mapping[str, str]]:
    """All texts that the tree brings, by the prompts' codes: its nodes', and those instead of
    built-in ones."""
    own: dict[str, Mapping[str, str]] = dict(tree.texts)
    for node in tree.nodes:
        for key, texts in node_texts(node):
            own[text_code(menu, node.id, key)] = texts
    return own
