from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.clocks import Clock
from crm_store.phone_menus.opening_hours import Calendar, Hours, SpecialDays, check

pytestmark = pytest.mark.unit

DAY = Hours(time(10), time(22))
HOUR = timedelta(hours=1)


def daily(*hours: Hours, **values: object) -> Calendar:
    return Calendar(weekly=(hours,) * 7, **values)  # type: ignore[arg-type]


def test_a_clock_runs_while_it_is_open_and_stands_over_night() -> None:
    clock = Clock(daily(DAY, time_zone="Asia/Shanghai"))
    evening = datetime(2026, 11, 21, 21, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert clock.due(evening, HOUR) == evening + HOUR
    assert clock.due(evening, 2 * HOUR) == datetime(
        2026, 11, 22, 11, tzinfo=ZoneInfo("Asia/Shanghai")
    )
    night = datetime(2026, 11, 22, 3, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert clock.due(night, HOUR) == datetime(2026, 11, 22, 11, tzinfo=ZoneInfo("Asia/Shanghai"))
    # 24 hours of opening are two whole days of twelve.
    assert clock.due(evening, 24 * HOUR) == evening + timedelta(days=2)
    assert clock.open_time(evening, night) == HOUR
    assert clock.open_time(night, evening) == timedelta(0)


def test_the_hour_that_is_left_out_in_spring_is_nobodys_time() -> None:
    madrid = ZoneInfo("Europe/Madrid")
    clock = Clock(daily(Hours(time(0), time(4)), time_zone="Europe/Madrid"))
    # On 29 March 2026 the clocks go from 2:00 to 3:00: those four hours are three.
    start = datetime(2026, 3, 29, 0, tzinfo=madrid)
    assert clock.due(start, 3 * HOUR) == datetime(2026, 3, 29, 4, tzinfo=madrid)
    assert clock.due(start, 4 * HOUR) == datetime(2026, 3, 30, 1, tzinfo=madrid)


def test_holidays_and_special_days_stop_the_clock() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    closed = SpecialDays(date(2026, 11, 23), date(2026, 11, 24))
    clock = Clock(daily(DAY, time_zone="Asia/Shanghai", holiday_country="CN", special=(closed,)))
    assert clock.due(datetime(2026, 11, 22, 21, tzinfo=zone), 2 * HOUR) == datetime(
        2026, 11, 25, 11, tzinfo=zone
    )
    # China's national days.
    assert clock.due(datetime(2026, 9, 30, 21, 30, tzinfo=zone), HOUR) > datetime(
        2026, 10, 3, tzinfo=zone
    )


def test_what_is_always_closed_promises_nothing_and_what_is_always_open_counts_hours() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    closed = Clock(daily(on_holidays=()))
    assert closed.due(now, HOUR) is None
    assert closed.due(now, timedelta(0)) == now
    assert closed.open_time(now, now + timedelta(days=900)) == timedelta(0)
    always = Clock(Calendar(on_holidays=None))
    assert always.due(now, 1000 * HOUR) == now + 1000 * HOUR
    assert always.open_time(now, now + timedelta(days=3)) == timedelta(days=3)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    def hours() -> tuple[Hours, ...]:
        bounds = sorted(draw(st.sets(st.integers(0, 95), max_size=4)))
        times = [time(bound // 4, bound % 4 * 15) for bound in bounds]
        return tuple(Hours(a, b) for a, b in zip(times[::2], times[1::2], strict=False))

    first = draw(st.dates(date(2026, 1, 1), date(2027, 1, 1)))
    calendar = Calendar(
        weekly=tuple(hours() for _ in range(7)),
        special=(SpecialDays(first, first + timedelta(days=draw(st.integers(0, 9))), hours()),),
        on_holidays=draw(st.sampled_from([None, (), (DAY,)])),
        time_zone=draw(
            st.sampled_from(
                ["UTC", "Asia/Shanghai", "Europe/Madrid", "Australia/Lord_Howe", "Asia/Tehran"]
            )
        ),
        holiday_country=draw(st.sampled_from(["", "CN", "ES", "IR"])),
    )
    check(calendar)
    return calendar


MOMENTS = st.integers(0, 366 * 86_400).map(
    lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)


@settings(max_examples=60)
@given(calendars(), MOMENTS, st.integers(1, 3_000), st.lists(MOMENTS, max_size=3))
def test_the_time_until_it_is_due_is_the_target(
    calendar: Calendar, opened: datetime, minutes: int, before: list[datetime]
) -> None:
    clock = Clock(calendar)
    for moment in before:
        # Whatever it was asked before changes nothing.
        clock.due(moment, HOUR)
    target = timedelta(minutes=minutes)
    due = clock.due(opened, target)
    if due is None:
        assert clock.open_time(opened, opened + timedelta(days=300)) < target
        return
    assert clock.open_time(opened, due) == target
    assert calendar.is_open(due - timedelta(microseconds=1))
    assert due == Clock(calendar).due(opened, target)


@settings(max_examples=60)
@given(calendars(), MOMENTS, st.integers(0, 600), st.integers(1, 600))
def test_more_time_is_never_due_sooner(
    calendar: Calendar, opened: datetime, minutes: int, more: int
) -> None:
    clock = Clock(calendar)
    sooner = clock.due(opened, timedelta(minutes=minutes))
    later = clock.due(opened, timedelta(minutes=minutes + more))
    assert later is None or (sooner is not None and sooner < later)


@settings(max_examples=30)
@given(calendars(), MOMENTS, st.integers(0, 4_000))
def test_open_time_is_what_the_calendar_says_minute_by_minute(
    calendar: Calendar, start: datetime, minutes: int
) -> None:
    start = start.replace(second=0, microsecond=0)
    counted = sum(calendar.is_open(start + timedelta(minutes=minute)) for minute in range(minutes))
    # Every zone here keeps whole minutes, so each minute is open or closed as a whole.
    assert Clock(calendar).open_time(start, start + timedelta(minutes=minutes)) == timedelta(
        minutes=counted
    )
