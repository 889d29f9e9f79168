"""The words by which a customer says what they want to be sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.words import Said, Word, said_in

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "word", "language"),
    [
        ("STOP", Word.STOP, ""),
        ("stop.", Word.STOP, ""),
        (" “Stop!” ", Word.STOP, ""),
        ("\uff33\uff34\uff2f\uff30", Word.STOP, ""),
        ("STOP ALL", Word.STOP, "en"),
        ("Opt-Out", Word.STOP, "en"),
        ("Unsubscribe", Word.STOP, "en"),
        ("退订", Word.STOP, "zh"),
        ("退訂。", Word.STOP, "zh"),
        ("TD", Word.STOP, "zh"),
        ("BAJA", Word.STOP, "es"),
        ("No más", Word.STOP, "es"),
        ("¡NO MAS!", Word.STOP, "es"),
        ("لغو", Word.STOP, "fa"),
        ("لغو۱۱", Word.STOP, "fa"),
        # Arabic letters, as many keyboards write them.
        ("لغو عضويت", Word.STOP, "fa"),
        ("START", Word.START, ""),
        ("恢复订阅", Word.START, "zh"),
        ("Alta", Word.START, "es"),
        ("شروع", Word.START, "fa"),
        ("Help?", Word.HELP, "en"),
        ("帮助", Word.HELP, "zh"),
        ("Ayúdame", Word.HELP, "es"),
        ("كمك", Word.HELP, "fa"),
    ],
)
def test_a_word_however_it_is_written(text: str, word: Word, language: str) -> None:
    assert said_in(text) == Said(word, language)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "Please stop the delivery, I have moved",
        "Can you help me with my order?",
        "Don't stop",
        "stopping by at five",
        "yes",
        "no",
        "1",
        "T",
        "我想退订一件商品",
        "Quiero dar de baja mi tarjeta",
        "سلام، سفارش من را لغو کنید",
        "stop " * 9,
    ],
)
def test_anything_more_is_for_an_agent(text: str) -> None:
    assert said_in(text) is None


def test_single_letters_mean_what_chinese_messages_say_of_them() -> None:
    assert said_in("T", "+8613800138000") == Said(Word.STOP, "zh")
    assert said_in("r", "+8613800138000") == Said(Word.STOP, "zh")
    assert said_in("t", "+442079460101") is None


@given(st.text())
def test_any_text_is_a_word_or_none(text: str) -> None:
    found = said_in(text)
    assert found is None or len(text) <= 40
