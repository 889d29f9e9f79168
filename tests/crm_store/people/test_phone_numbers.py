from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from crm_store.people.phone_numbers import region_of, to_e164

pytestmark = pytest.mark.unit

PERSIAN_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
FULL_WIDTH = str.maketrans("0123456789+", "０１２３４５６７８９＋")


@pytest.mark.parametrize(
    "text",
    [
        "13800138000",
        "138 0013 8000",
        "+8613800138000",
        "+86 138-0013-8000",
        "(+86)13800138000",
        "008613800138000",
        "00 86 138 0013 8000",
        "(0086) 138 0013 8000",
        "8613800138000",
        "tel:+86-138-0013-8000",
        "sip:+8613800138000@203.0.113.5:5060;user=phone",
        "+8613800138000;ext=12",
        "13800138000 ext. 12",
        "13800138000x12",
        " 13800138000\t",
        "۱۳۸۰۰۱۳۸۰۰۰",
        "＋８６１３８００１３８０００",
    ],
)
def test_any_way_of_writing_a_number(text: str) -> None:
    assert to_e164(text, "CN") == "+8613800138000"


@pytest.mark.parametrize(
    "text",
    ["", " ", "anonymous", "Anonymous", "withheld", "unavailable", "restricted", "private",
     "unknown", "<unknown>", "asterisk", "s", "1001", "600", "*97", "112", "0", "00", "+",
     "00000000000", "+00000000000", "123456", "sip:anonymous@anonymous.invalid", "sip:1001@pbx",
     "\r\n\0", "8" * 65, "+86" + "1" * 30, "8.61E+12", "<script>alert(1)</script>",
     "الرقم محجوب", "未知号码"],
)  # fmt: skip
def test_nobody_and_nonsense_are_no_numbers(text: str) -> None:
    for region in ("CN", "US", "ES", "IR"):
        assert to_e164(text, region) is None


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("612 345 678", "ES", "+34612345678"),
        ("0912 123 4567", "IR", "+989121234567"),
        ("55 1234 5678", "MX", "+525512345678"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("011 86 138 0013 8000", "US", "+8613800138000"),
        ("0086 138 0013 8000", "US", "+8613800138000"),
        ("07400 123456", "GB", "+447400123456"),
        ("010-65529988", "CN", "+861065529988"),
        ("400 812 3456", "CN", "+864008123456"),
    ],
)
def test_national_numbers_belong_to_their_region(text: str, region: str, e164: str) -> None:
    assert to_e164(text, region) == e164


def test_the_region_of_a_number() -> None:
    assert region_of("+34612345678") == "ES"
    assert region_of("+80012345678") == "001"
    assert region_of("nothing") is None


REGIONS = ["CN", "ES", "MX", "IR", "US", "GB", "DE", "BR", "IN", "JP"]


@st.composite
def _spelled(draw: st.DrawFn) -> tuple[str, str, str]:
    """A valid number's E.164 form, its region and one way of writing it."""
    region = draw(st.sampled_from(REGIONS))
    kind = draw(st.sampled_from([PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE]))
    example = phonenumbers.example_number_for_type(region, kind)
    assert example is not None
    national = str(example.national_number)
    tail = draw(st.text("0123456789", min_size=3, max_size=3))
    number = phonenumbers.PhoneNumber(
        country_code=example.country_code,
        national_number=int(national[:-3] + tail),
        italian_leading_zero=example.italian_leading_zero,
    )
    if not phonenumbers.is_valid_number(number):
        number = example
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    forms = [
        "00" + e164[1:],
        e164,
        phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
        phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
    ]
    text = draw(st.sampled_from(forms))
    if draw(st.booleans()):
        text = text.translate(draw(st.sampled_from([PERSIAN_DIGITS, ARABIC_DIGITS, FULL_WIDTH])))
    if draw(st.booleans()):
        text = text.replace(" ", draw(st.sampled_from(["", "-", ".", "  ", "\u00a0"])))
    if draw(st.booleans()):
        text += draw(st.sampled_from([" ext. 12", " x 7", ";ext=9", " "]))
    return e164, region, text


@given(_spelled())
def test_every_spelling_of_a_valid_number_is_that_number(case: tuple[str, str, str]) -> None:
    e164, region, text = case
    assert to_e164(text, region) == e164


@given(st.text(max_size=80), st.sampled_from(REGIONS))
def test_anything_at_all_is_a_number_or_nothing(text: str, region: str) -> None:
    number = to_e164(text, region)
    if number is not None:
        assert number[0] == "+"
        assert number[1:].isascii()
        assert number[1:].isdigit()
        assert to_e164(number, "ZZ") == number
