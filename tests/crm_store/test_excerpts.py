from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store.excerpts import LONGEST_EXCERPT, excerpt
from crm_store.search_terms import parse, terms

pytestmark = pytest.mark.unit


def marked(text: str, question: str) -> list[str]:
    return [piece for piece, is_found in excerpt([text], parse(question)) if is_found]


@pytest.mark.parametrize(
    ("text", "question", "found"),
    [
        ("Where is my Order? José says", "order jose", ["Order", "José"]),
        ("orders and preorder", "order ", []),
        ("orders and preorder", "order", ["order"]),
        ("我的订单还没有到，请问什么时候送货？", "订单 送货", ["订单", "送货"]),
        ("好", "好", ["好"]),
        ("سفارش من كجاست؟", "سفارش کجاست", ["سفارش", "كجاست"]),
        ("call +44 20 7946 0958 now", "02079460958", ["+44 20 7946 0958"]),
        ("order 1234-567-890", "1234567890", ["1234-567-890"]),
        ("the quick brown fox", '"quick brown"', ["quick brown"]),
        ("brown and quick", '"quick brown"', []),
        ("ＡＢＣ straße", "abc strasse", ["ＡＢＣ", "straße"]),
        ("cafe\u0301 au lait", "café", ["cafe\u0301"[:4]]),
        ("a a a", "a ", ["a", "a", "a"]),
    ],
)
def test_words_are_marked_where_the_index_finds_them(
    text: str, question: str, found: list[str]
) -> None:
    assert marked(text, question) == found


def test_the_text_with_most_of_the_words_is_shown_around_the_first_of_them() -> None:
    texts = ["only tea", "x " * 300 + "green tea here" + " y" * 300]
    pieces = excerpt(texts, parse("green tea "))
    shown = "".join(piece for piece, _ in pieces)
    assert [piece for piece, is_found in pieces if is_found] == ["green", "tea"]
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert len(shown) <= LONGEST_EXCERPT + 4


def test_without_any_word_the_beginning_is_shown() -> None:
    assert excerpt(["", "  hello\n there "], parse("nothing")) == [("hello there", False)]
    assert excerpt([], parse("x")) == []


@given(st.lists(st.text(max_size=60), max_size=4), st.text(max_size=30))
def test_any_text_and_question_give_a_part_of_the_text(texts: list[str], question: str) -> None:
    pieces = excerpt(texts, parse(question))
    shown = "".join(piece for piece, _ in pieces).removeprefix("… ").removesuffix(" …")
    plain = [" ".join(text.split()) for text in texts]
    assert not pieces or any(shown in text or shown in f"{text} …" for text in plain)


@given(st.text(max_size=80))
def test_what_the_index_finds_by_one_of_its_terms_is_marked(text: str) -> None:
    for term in terms([text])[:5]:
        if term.isalpha():
            assert marked(text, f'"{term}"') or not parse(f'"{term}"')
