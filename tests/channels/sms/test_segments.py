"""In how many segments a text goes, and where it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.segments import (
    EXTENSION,
    GSM_LETTERS,
    JOINED,
    SINGLE,
    Alphabet,
    Price,
    decode_gsm,
    encode,
    fits_gsm,
    plain,
    split,
)

pytestmark = pytest.mark.unit

GSM_TEXTS = st.text(st.sampled_from([*GSM_LETTERS.replace("\x1b", ""), *EXTENSION]))
ANY_TEXTS = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.mark.parametrize(
    ("text", "alphabet", "count", "left"),
    [
        ("", Alphabet.GSM, 1, 160),
        ("a" * 160, Alphabet.GSM, 1, 0),
        ("a" * 161, Alphabet.GSM, 2, 145),
        ("a" * 306, Alphabet.GSM, 2, 0),
        ("a" * 307, Alphabet.GSM, 3, 152),
        ("€" * 80, Alphabet.GSM, 1, 0),
        # Each half of an escape pair would be another letter: 152 of 153 places are used.
        ("€" * 81, Alphabet.GSM, 2, 153 - 10),
        ("您" * 70, Alphabet.UCS2, 1, 0),
        ("您" * 71, Alphabet.UCS2, 2, 63),
        ("سلام، بسته شما رسید.", Alphabet.UCS2, 1, 50),
        ("😀" * 35, Alphabet.UCS2, 1, 0),
        # 67 is odd: the pair that would straddle goes over.
        ("😀" * 36, Alphabet.UCS2, 2, 61),
        ("Gracias, señor Núñez", Alphabet.UCS2, 1, 50),
        ("Mañana: ¿está?", Alphabet.UCS2, 1, 56),
        ("Güten Tag, 5 € & ñandú? No: Ñ à è é ì ò ù".replace("ú", "u"), Alphabet.GSM, 1, 118),
    ],
)
def test_counts(text: str, alphabet: Alphabet, count: int, left: int) -> None:
    found = split(text)
    assert (found.alphabet, found.count, found.left) == (alphabet, count, left)


@given(ANY_TEXTS | GSM_TEXTS)
def test_nothing_is_lost_and_no_part_is_too_long(text: str) -> None:
    found = split(text)
    assert "".join(found.parts) == text
    limit = SINGLE if found.count == 1 else JOINED
    per_place = 1 if found.alphabet is Alphabet.GSM else 2
    sizes = [len(encode(part, found.alphabet)) // per_place for part in found.parts]
    assert max(sizes) <= limit[found.alphabet]
    assert sizes[-1] + found.left == limit[found.alphabet]
    for part in found.parts:
        encode(part, found.alphabet).decode("utf-16-be" if per_place == 2 else "latin-1")


@given(GSM_TEXTS)
def test_the_gsm_alphabet_goes_there_and_back(text: str) -> None:
    assert decode_gsm(encode(text, Alphabet.GSM)) == text


@given(st.binary())
def test_any_bytes_from_outside_are_some_text(codes: bytes) -> None:
    assert len(decode_gsm(codes)) <= len(codes)


def test_letters_that_the_extension_lacks_are_the_main_tables() -> None:
    assert decode_gsm(b"\x1ba") == "a"
    assert decode_gsm(b"\x80") == "\N{REPLACEMENT CHARACTER}"


def test_typographic_signs_do_not_make_a_text_dearer() -> None:
    assert plain("“Hello” – it’s ready…") == '"Hello" - it\'s ready...'
    assert fits_gsm(plain("Price: 5\N{NO-BREAK SPACE}€\r\n• shoes"))


def test_a_text_in_another_script_stays_as_it_was_written() -> None:
    text = "“您好” – 它已经到了…"
    assert plain(text) == text


def test_letters_are_never_changed() -> None:
    assert plain("“Está”") == "“Está”"


def test_more_segments_than_the_header_counts_are_refused() -> None:
    assert split("a" * 255 * 153).count == 255
    with pytest.raises(ValueError, match="255"):
        split("a" * (255 * 153 + 1))


def test_the_price_is_of_all_segments() -> None:
    assert Price(45_000, "CNY").of(split("您" * 71)) == 90_000
