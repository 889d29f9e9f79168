"""Markdown to a tree of a few tags: nothing else can come out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_desk.knowledge.article_markdown import TAGS, Node, tree

pytestmark = pytest.mark.unit


def tags(nodes: list[Node]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if not isinstance(node, str):
            found |= {node["tag"]} | tags(node["children"])
    return found


def links(nodes: list[Node]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        if not isinstance(node, str):
            found += [node["href"]] if "href" in node else []
            found += links(node["children"])
    return found


def text(nodes: list[Node]) -> str:
    return "".join(node if isinstance(node, str) else text(node["children"]) for node in nodes)


def test_what_articles_have() -> None:
    nodes = tree(
        "# Title\n\nSome **bold** and *soft* `code`  \nnext\n\n- one\n- two\n\n1. first\n\n"
        "> said\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n---\n\n```\nplain\n```\n\n[site](https://example.org/x)"
    )
    assert tags(nodes) == {
        "h3", "p", "strong", "em", "code", "br", "ul", "ol", "li", "blockquote", "table", "thead",
        "tbody", "tr", "th", "td", "hr", "pre", "a",
    }  # fmt: skip
    assert links(nodes) == ["https://example.org/x"]


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick=x>b</b>",
        "<!-- hidden -->",
    ],
)
def test_html_is_text(body: str) -> None:
    nodes = tree(body)
    assert tags(nodes) == {"p"}
    assert text(nodes) == body


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "//evil.example",
        "/customers/1",
        "file:///etc/passwd",
    ],
)
def test_an_address_of_another_kind_is_no_link(address: str) -> None:
    assert links(tree(f"[here]({address}) <{address}>")) == []


@pytest.mark.parametrize("address", ["mailto:a@example.org", "tel:+442079460000"])
def test_mail_and_telephone_are_links(address: str) -> None:
    assert links(tree(f"[here]({address})")) == [address]


def test_pictures_are_not_shown() -> None:
    assert "img" not in tags(tree("![here](https://example.org/x.png)"))


@given(st.text(alphabet="<>[](){}*_#`-|\n !&;:/abc1.", max_size=200) | st.text(max_size=100))
def test_only_known_tags_ever(body: str) -> None:
    nodes = tree(body)
    assert tags(nodes) <= TAGS
    assert all(
        address.lower().startswith(("http:", "https:", "mailto:", "tel:"))
        for address in links(nodes)
    )


def test_deep_nesting_ends() -> None:
    assert text(tree("> " * 5_000 + "deep")) is not None
