"""Hours as people write them, read and written back."""

from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_desk.setup.hours_text import read_hours, write_hours
from crm_store.phone_menus.opening_hours import Hours

pytestmark = pytest.mark.unit

MINUTES = st.times().map(lambda one: one.replace(second=0, microsecond=0))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", []),
        ("10:00-22:00", [("10:00", "22:00")]),
        ("10-14, 16.30–22", [("10:00", "14:00"), ("16:30", "22:00")]),
        ("10:00~14:00，16:00—22:00", [("10:00", "14:00"), ("16:00", "22:00")]),
        ("۱۰:۰۰-۱۴:۰۰، ۱۶:۰۰-۲۲:۰۰", [("10:00", "14:00"), ("16:00", "22:00")]),
        ("22:00-02:00", [("22:00", "02:00")]),
        ("00:00-24:00", [("00:00", "00:00")]),
    ],
)
def test_what_people_write_is_read(written: str, meant: list[tuple[str, str]]) -> None:
    assert read_hours(written) == tuple(
        Hours(time.fromisoformat(opens), time.fromisoformat(closes)) for opens, closes in meant
    )


@pytest.mark.parametrize(
    "written",
    ["10:00", "10:00-", "25:00-26:00", "10:61-12:00", "open", "1-2,3-4,5-6,7-8,9-10,11-12,13-14"],
)
def test_what_is_no_hours_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_hours(written)


@given(st.lists(st.builds(Hours, MINUTES, MINUTES), max_size=6))
def test_what_is_written_is_read_back(hours: list[Hours]) -> None:
    assert read_hours(write_hours(hours)) == tuple(sorted(hours))
