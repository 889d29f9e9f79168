"""Visitors: how what they type is read, and which page they are on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.chat.visitors import NotUnderstood, Reach, page_of, reach_of, shown_name

pytestmark = pytest.mark.unit

SITE = "https://shop.example"


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ({}, Reach()),
        ({"mail": " A@B.example "}, Reach(mail="a@b.example")),
        ({"phone": "138 0013 8000"}, Reach(phone="+8613800138000")),
        ({"mail": "", "phone": ""}, Reach()),
        ({"mail": 7, "phone": None}, Reach()),
    ],
)
def test_addresses_are_read_as_they_are_kept(told: dict[str, Any], read: Reach) -> None:
    assert reach_of(told, "CN") == read


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"mail": "nobody"}, "mail"),
        ({"mail": "a@b.example\r\nBcc: c@d.example"}, "mail"),
        ({"phone": "12"}, "phone"),
        ({"phone": "call me"}, "phone"),
    ],
)
def test_what_is_none_is_said_by_its_field(told: dict[str, Any], field: str) -> None:
    with pytest.raises(NotUnderstood) as wrong:
        reach_of(told, "CN")
    assert wrong.value.field == field


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://shop.example/vase", "https://shop.example/vase"),
        ("https://shop.example/vase?token=secret#part", "https://shop.example/vase"),
        ("https://user:password@shop.example/", ""),
        ("https://evil.example/", ""),
        ("https://shop.example.evil.example/", ""),
        ("javascript:alert(1)", ""),
        ("https://[", ""),
        ("https://shop.example/\u202e", ""),
        (7, ""),
    ],
)
def test_a_page_is_one_of_the_site_and_has_no_query(address: object, kept: str) -> None:
    assert page_of({"address": address, "title": "Vase"}, SITE) == (kept, "Vase")


@given(st.text(max_size=300))
def test_a_name_is_one_visible_line(text: str) -> None:
    name = shown_name(text)
    assert name.isprintable()
    assert len(name) <= 100
    assert name == name.strip()


@given(st.dictionaries(st.sampled_from(["address", "title"]), st.text(max_size=600)))
def test_no_page_is_ever_another_sites(told: dict[str, str]) -> None:
    address, _ = page_of(told, SITE)
    assert address == "" or address.startswith(SITE)
