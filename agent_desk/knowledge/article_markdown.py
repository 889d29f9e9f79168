"""An article's Markdown as a tree that a page builds elements from.

Owns the small part of Markdown that articles have: headings, paragraphs, lists, emphasis, code,
quotes, tables, lines, and links to web pages, mail and telephones. HTML in it is text like any
other, pictures are not shown, and a page never parses what comes from here: it makes one element
for each node, with the tags of TAGS only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

TAGS = frozenset(
    ("h3", "h4", "h5", "p", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "hr",
     "br", "a", "table", "thead", "tbody", "tr", "th", "td")
)  # fmt: skip
_SCHEMES = frozenset(("http", "https", "mailto", "tel"))
# An article stands under the panel's own headings.
_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h5", "h5": "h5", "h6": "h5"}

Node = dict[str, Any] | str
"""A text, or {"tag": one of TAGS, "children": [nodes]} with "href" for a link."""


@cache
def _parser() -> MarkdownIt:
    options = {"html": False, "linkify": False, "typographer": False, "maxNesting": 20}
    return MarkdownIt("commonmark", options).enable("table").disable("image")


def tree(body: str) -> list[Node]:
    """The nodes of a body, in order."""
    return _nodes(_parser().parse(body))


def _nodes(tokens: Sequence[Token]) -> list[Node]:
    root: list[Node] = []
    # The lists that are being filled; a tag that is left out puts its children into its parent's.
    open_lists = [root]
    for token in tokens:
        into = open_lists[-1]
        if token.nesting == 1:
            node = None if token.hidden else _element(token)
            if node is None:
                open_lists.append(into)
            else:
                into.append(node)
                open_lists.append(node["children"])
        elif token.nesting == -1:
            open_lists.pop()
        elif token.type == "inline":
            into += _nodes(token.children or [])
        elif token.type in ("softbreak", "hardbreak"):
            into.append("\n" if token.type == "softbreak" else _node("br"))
        elif token.type in ("fence", "code_block"):
            into.append(_node("pre", [_node("code", [token.content])]))
        elif token.type == "code_inline":
            into.append(_node("code", [token.content]))
        elif token.type == "hr":
            into.append(_node("hr"))
        elif token.content:
            into.append(token.content)
    return root


def _element(token: Token) -> dict[str, Any] | None:
    tag = _HEADINGS.get(token.tag, token.tag)
    if tag not in TAGS:
        return None
    if tag == "a":
        address = str(token.attrGet("href") or "")
        try:
            known = urlsplit(address).scheme.lower() in _SCHEMES
        except ValueError:
            known = False
        return _node("a") | {"href": address} if known else None
    return _node(tag)


def _node(tag: str, children: list[Node] | None = None) -> dict[str, Any]:
    return {"tag": tag, "children": children if children is not None else []}
