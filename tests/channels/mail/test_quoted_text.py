"""What was written, apart from what was quoted, as mail programs write it in four languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail.quoted_text import split

pytestmark = pytest.mark.unit

ANSWERS = {
    "gmail": "Yes please.\n\nOn Mon, Nov 2, 2026 at 10:11 AM Shop <a@b.c> wrote:\n> hello\n> there",
    "gmail over two lines": (
        "Yes please.\n\nOn Mon, Nov 2, 2026 at 10:11 AM A shop with a long name <\n"
        "a@b.c> wrote:\n> hello"
    ),
    "gmail es": "Sí.\n\nEl lun, 2 nov 2026 a las 10:11, Shop (<a@b.c>) escribió:\n> hola",
    "gmail zh": "好的。\n\nShop <a@b.c> 于2026年11月2日周一 10:11写道：\n> 你好",
    "apple zh": "好的。\n在 2026年11月2日，10:11，Shop <\na@b.c> 写道：\n> 你好",
    "gmail fa": "بله\n\nدر تاریخ دوشنبه ۲ نوامبر ۲۰۲۶ Shop <a@b.c> نوشت:\n> سلام",
    "outlook": "Yes.\n\nFrom: Shop <a@b.c>\nSent: Monday\nTo: x@y.z\nSubject: hi\n\nhello",
    "outlook line": "Yes.\n\n"
    + "_" * 32
    + "\nFrom: Shop\nSent: Monday\nTo: x\nSubject: hi\n\nhello",
    "outlook es": "Sí.\n\nDe: Shop\nEnviado el: lunes\nPara: x@y.z\nAsunto: hola\n\nhola",
    "outlook zh": "好的\n\n发件人: Shop\n发送时间: 周一\n收件人: x\n主题: 你好\n\n你好",
    "outlook fa": "بله\n\nاز: Shop\nتاریخ: دوشنبه\nبه: x\nموضوع: سلام\n\nسلام",
    "original": "Yes.\n\n-----Original Message-----\nFrom: Shop\nhello",
    "qq": "好的\n\n------------------ 原始邮件 ------------------\n发件人: x\n发送时间: y",
    "marks only": "Yes.\n> hello\n> there",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_above_what_it_quotes(name: str) -> None:
    text = ANSWERS[name]
    own, quoted = split(text)
    assert own == text.split("\n")[0]
    assert text == own + text[len(own) : -len(quoted)] + quoted
    assert not text[len(own) : -len(quoted)].strip()


def test_an_answer_below_what_it_quotes() -> None:
    own, quoted = split("On Mon, Nov 2, 2026 Shop wrote:\n> Which size?\n\nForty-two.\n")
    assert (own, quoted) == ("Forty-two.", "On Mon, Nov 2, 2026 Shop wrote:\n> Which size?")


@pytest.mark.parametrize(
    "text",
    [
        "On Mon, Nov 2 Shop wrote:\n> Which size?\n42\n> Which colour?\nRed",
        "See below.\nOn Mon, Nov 2 Shop wrote:\n> Which size?\n42\n> Which colour?\nRed",
        "From: Shop\nSent: Monday\nTo: x\nSubject: forwarded without a word\n\nhello",
        "我妈妈写道：\n这个很好",
        "From: here to there: nothing\nis quoted",
        "-- \nAnna",
        "____________________\nnothing below",
        "",
    ],
)
def test_where_it_is_not_plain_nothing_is_taken_away(text: str) -> None:
    assert split(text) == (text, "")


@given(st.text(st.sampled_from("On >:wrote From\n_-写道：2@"), max_size=300))
def test_nothing_is_lost(text: str) -> None:
    own, quoted = split(text)
    assert sorted(own + quoted.replace("\n", "")).count(">") == text.count(">")
    assert len("".join((own + quoted).split())) == len("".join(text.split()))


@pytest.mark.parametrize(
    "text",
    [
        "On " + "a " * 300_000,
        ("On " + "a " * 30 + "\n") * 20_000,
        "From: x\n" * 50_000,
        " \n" * 200_000 + "x",
        "_" * 31 + "\n" + "\n" * 200_000,
        ">\nx\n" * 100_000,
        "写道:\n" * 100_000,
        ("On " + "wrote " * 50 + ":\n") * 5_000,
    ],
)
def test_hostile_texts_are_read_once(text: str) -> None:
    """Searched again and again they would take hours: the test's time-out ends it then."""
    own, quoted = split(text)
    assert len(own) + len(quoted) <= len(text)
