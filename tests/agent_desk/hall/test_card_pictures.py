"""The member card's pictures: what a scanner reads is the card's number."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_desk.hall.card_pictures import _WIDTHS, bar_code, bars, code_128, qr_code, whole_card

pytestmark = pytest.mark.unit

SYMBOLS = {
    "".join("10"[place % 2] * int(width) for place, width in enumerate(widths)): value
    for value, widths in enumerate(_WIDTHS)
}


def scanned(digits: str) -> str:
    """What a scanner makes of the bars: module by module, symbol by symbol, the check checked."""
    found, modules = bars(digits)
    line = [0] * modules
    for place, width in found:
        assert not any(line[place - 1 : place + width])
        line[place : place + width] = [1] * width
    text = "".join(map(str, line))
    assert text.startswith("0" * 10 + "1")
    assert text.endswith("1" + "0" * 10)
    inside = text[10:-10]
    assert inside.endswith("1100011101011")
    values = [SYMBOLS[inside[place : place + 11]] for place in range(0, len(inside) - 13, 11)]
    *content, check = values
    assert (content[0] + sum(n * value for n, value in enumerate(content))) % 103 == check
    is_c, read = content[0] == 105, ""
    for value in content[1:]:
        if value == 99 and not is_c:
            is_c = True
        else:
            read += f"{value:02d}" if is_c else chr(32 + value)
    return read


def test_the_symbols_are_those_of_the_standard() -> None:
    assert len(_WIDTHS) == 107
    assert len(set(_WIDTHS)) == 107
    assert all(sum(map(int, widths)) == 11 for widths in _WIDTHS[:-1])
    # In each symbol the bars together are of an even width (ISO/IEC 15417).
    assert all(sum(map(int, widths[::2])) % 2 == 0 for widths in _WIDTHS[:-1])


def test_a_known_number_has_its_known_symbols() -> None:
    assert code_128("098000") == [105, 9, 80, 0, (105 + 9 + 160) % 103, 106]


@given(st.text("0123456789", min_size=1, max_size=19))
def test_what_is_drawn_is_read(digits: str) -> None:
    assert scanned(digits) == digits


@pytest.mark.parametrize("text", ["12a4", "", "۱۲۳۴", "12 34"])
def test_only_digits_are_drawn(text: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        code_128(text)


def test_the_pictures_are_whole_and_hold_hostile_names() -> None:
    name = '"><script>alert(1)</script>'
    card = whole_card(
        house=name, name=name, number="8800000128", shown_number="8800 0001 28", direction="rtl"
    )
    for picture in (card, bar_code("8800000128", name), qr_code("8800000128", name)):
        tags = [
            element.tag.rpartition("}")[2]
            for element in ElementTree.fromstring(picture).iter()  # noqa: S314 - our own
        ]
        assert "script" not in tags
        assert "path" in tags
