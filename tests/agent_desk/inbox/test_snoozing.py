"""Until when a conversation can be put off."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_desk.inbox.snoozing import choices
from crm_store.phone_menus.opening_hours import Calendar, Hours, SpecialDays

pytestmark = pytest.mark.unit

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WORK = (Hours(time(10), time(18)),)
WEEK = Calendar(weekly=(*([WORK] * 5), (), ()), on_holidays=None, time_zone="Europe/Madrid")


def proposed(calendar: Calendar, text: str) -> dict[str, str]:
    now = datetime.fromisoformat(text).replace(tzinfo=calendar.zone)
    return {
        code: at.astimezone(calendar.zone).strftime("%a %H:%M")
        for code, at in choices(calendar, now)
    }


def test_in_the_middle_of_the_week() -> None:
    assert proposed(WEEK, "2026-11-24 11:00") == {
        "later_today": "Tue 14:00",
        "tomorrow": "Wed 10:00",
        "next_week": "Mon 10:00",
    }


def test_at_the_end_of_the_day_there_is_no_later() -> None:
    assert "later_today" not in proposed(WEEK, "2026-11-24 16:00")


def test_on_a_friday_tomorrow_is_the_monday_and_is_proposed_once() -> None:
    assert proposed(WEEK, "2026-11-27 16:00") == {"tomorrow": "Mon 10:00"}


def test_a_closed_day_is_passed_over() -> None:
    closed = Calendar(
        weekly=WEEK.weekly,
        on_holidays=None,
        special=(SpecialDays(date(2026, 11, 25), date(2026, 11, 26)),),
        time_zone="Europe/Madrid",
    )
    assert proposed(closed, "2026-11-24 11:00")["tomorrow"] == "Fri 10:00"


def test_a_house_that_never_closes_begins_in_the_morning() -> None:
    assert proposed(Calendar(on_holidays=None), "2026-11-24 11:00") == {
        "later_today": "Tue 14:00",
        "tomorrow": "Wed 09:00",
        "next_week": "Mon 09:00",
    }


def test_a_house_that_never_opens_proposes_nothing() -> None:
    assert choices(Calendar(weekly=((),) * 7), datetime(2026, 11, 24, tzinfo=UTC)) == []


@given(
    now=st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: BEGIN + timedelta(minutes=minutes)),
    open_days=st.lists(st.booleans(), min_size=7, max_size=7),
)
def test_what_is_proposed_is_ahead_and_open(now: datetime, open_days: list[bool]) -> None:
    calendar = Calendar(
        weekly=tuple(WORK if is_open else () for is_open in open_days),
        on_holidays=None,
        time_zone="Europe/Madrid",
    )
    found = choices(calendar, now)
    moments = [at for _, at in found]
    assert moments == sorted(set(moments))
    for at in moments:
        assert now < at < now + timedelta(days=15)
        assert calendar.is_open(at)
