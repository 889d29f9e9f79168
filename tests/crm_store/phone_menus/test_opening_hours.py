from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_store import audit
from crm_store.database import Database
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar, Hours, SpecialDays
from crm_store.shop import house
from crm_store.shop.house import House

pytestmark = pytest.mark.db

DAY = Hours(time(10), time(22))
MADRID = ZoneInfo("Europe/Madrid")


def daily(*hours: Hours, **values: object) -> Calendar:
    return Calendar(weekly=(hours,) * 7, **values)  # type: ignore[arg-type]


def test_a_day_opens_and_closes_at_its_hours() -> None:
    calendar = daily(DAY, time_zone="Asia/Shanghai")
    opens = datetime(2026, 11, 21, 2, tzinfo=UTC)
    assert not calendar.is_open(opens - timedelta(microseconds=1))
    assert calendar.is_open(opens)
    assert calendar.is_open(opens + timedelta(hours=12, microseconds=-1))
    assert not calendar.is_open(opens + timedelta(hours=12))
    assert calendar.next_change(opens - timedelta(hours=1)) == opens
    assert calendar.next_change(opens) == opens + timedelta(hours=12)
    told = calendar.next_change(opens)
    assert told is not None
    assert told.hour == 22


def test_hours_past_midnight_belong_to_the_evening_before() -> None:
    friday = 4
    weekly = tuple((Hours(time(20), time(3)),) if day == friday else () for day in range(7))
    calendar = Calendar(weekly=weekly)
    assert not calendar.is_open(datetime(2026, 11, 20, 2, tzinfo=UTC))
    assert calendar.is_open(datetime(2026, 11, 21, 2, 59, tzinfo=UTC))
    assert not calendar.is_open(datetime(2026, 11, 21, 3, tzinfo=UTC))
    closed_night = SpecialDays(date(2026, 11, 21), date(2026, 11, 21))
    special = Calendar(weekly=weekly, special=(closed_night,))
    assert special.is_open(datetime(2026, 11, 21, 2, 59, tzinfo=UTC))


def test_special_days_come_before_holidays_and_these_before_weekdays() -> None:
    calendar = daily(
        DAY,
        time_zone="Asia/Shanghai",
        holiday_country="CN",
        on_holidays=(Hours(time(12), time(16)),),
        special=(SpecialDays(date(2026, 2, 18), date(2026, 2, 19), (), {"en": "Stocktaking"}),),
    )
    holiday = calendar.on(date(2026, 2, 17))
    assert (holiday.reason, holiday.hours) == ("holiday", (Hours(time(12), time(16)),))
    assert holiday.title("zh") == "春节"
    assert holiday.title("en") == "Chinese New Year (Spring Festival)"
    # No language tells it in Spanish: English stands for it.
    assert holiday.title("es") == holiday.title("en")
    special = calendar.on(date(2026, 2, 18))
    assert (special.reason, special.hours, special.title("fa")) == ("special", (), "Stocktaking")
    assert calendar.on(date(2026, 2, 24)).reason == "weekly"
    noon = datetime(2026, 2, 17, 4, tzinfo=UTC)
    assert calendar.today(noon) == holiday
    assert calendar.tomorrow(noon) == special
    # From the holiday's closing at 16:00 over two closed days and a holiday to noon of the 20th.
    closed = datetime(2026, 2, 17, 8, tzinfo=UTC)
    assert calendar.next_change(closed) == datetime(2026, 2, 20, 4, tzinfo=UTC)
    as_usual = daily(DAY, holiday_country="CN", on_holidays=None)
    assert as_usual.on(date(2026, 2, 17)).reason == "weekly"


def test_persian_holidays_have_a_name_to_say() -> None:
    calendar = daily(DAY, holiday_country="IR")
    day = calendar.on(date(2026, 3, 21))
    assert day.reason == "holiday"
    assert day.title("fa")
    assert day.title("en") != day.title("fa")


@pytest.mark.parametrize(
    ("hours", "moment", "change"),
    [
        # The clocks go from 2:00 to 3:00: what opens at 2:30 opens with them.
        (Hours(time(2, 30), time(5)), datetime(2026, 3, 29, 0, 59, tzinfo=UTC), 1),
        # What closes at 2:30 closes with them.
        (Hours(time(1), time(2, 30)), datetime(2026, 3, 29, 0, 30, tzinfo=UTC), 30),
        # A night across the change is an hour short, or an hour long.
        (Hours(time(22), time(6)), datetime(2026, 3, 28, 21, tzinfo=UTC), 7 * 60),
        (Hours(time(22), time(6)), datetime(2026, 10, 24, 20, tzinfo=UTC), 9 * 60),
    ],
)
def test_changes_of_the_clock(hours: Hours, moment: datetime, change: int) -> None:
    calendar = daily(hours, time_zone="Europe/Madrid")
    assert calendar.next_change(moment) == moment + timedelta(minutes=change)


def test_what_never_changes_has_no_next_change() -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    always, never = Calendar(on_holidays=None), Calendar(weekly=((),) * 7)
    assert always.is_open(moment)
    assert always.next_change(moment) is None
    assert not never.is_open(moment)
    assert never.next_change(moment) is None


# Changes of half an hour, at midnight, in the southern half, a day that was left out, none at all.
ZONES = [
    "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Tehran", "Africa/Cairo",
    "America/Santiago", "Pacific/Apia", "Asia/Shanghai", "Asia/Kathmandu", "America/Nuuk",
]  # fmt: skip
MOMENTS = st.one_of(
    st.datetimes(datetime(2010, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001 - made aware below
    # Around changes of the clock.
    st.builds(
        lambda start, minutes: start + timedelta(minutes=minutes),
        st.sampled_from([
            datetime(2026, 3, 29), datetime(2026, 10, 25), datetime(2011, 12, 29),  # noqa: DTZ001
            datetime(2026, 11, 1), datetime(2026, 4, 4), datetime(2026, 4, 23),  # noqa: DTZ001
        ]),
        st.integers(0, 3 * 24 * 60),
    ),
)  # fmt: skip
CLOCK = st.builds(lambda quarter: time(quarter // 4, quarter % 4 * 15), st.integers(0, 95))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    def day() -> tuple[Hours, ...]:
        marks = sorted(draw(st.sets(CLOCK, min_size=0, max_size=4)))
        hours = [Hours(*pair) for pair in zip(marks[::2], marks[1::2], strict=False)]
        if len(marks) % 2 and draw(st.booleans()):
            # The last hours of a day may go past midnight.
            hours.append(Hours(marks[-1], draw(CLOCK.filter(lambda end: end <= marks[-1]))))
        return tuple(hours)

    return Calendar(weekly=tuple(day() for _ in range(7)), time_zone=draw(st.sampled_from(ZONES)))


def says_open(calendar: Calendar, moment: datetime) -> bool:
    """What somebody reads who stands before the door with a sign and a clock."""
    wall = moment.astimezone(calendar.zone).replace(tzinfo=None)
    for day in (wall.date(), wall.date() - timedelta(days=1)):
        for hours in calendar.weekly[day.weekday()]:
            closes = day + timedelta(days=1) if hours.closes <= hours.opens else day
            begin = datetime.combine(day, hours.opens)
            if begin <= wall < datetime.combine(closes, hours.closes):
                return True
    return False


@settings(max_examples=150)
@given(calendar=calendars(), naive=MOMENTS)
def test_it_is_open_when_the_clock_on_the_wall_says_so_until_the_next_change(
    calendar: Calendar, naive: datetime
) -> None:
    opening_hours.check(calendar)
    moment = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    now = calendar.is_open(moment)
    assert now is says_open(calendar, moment)
    change = calendar.next_change(moment)
    last = change or moment + timedelta(days=9)
    # All hours and all zones' changes are on quarters of an hour.
    probe = moment
    while probe < last:
        assert says_open(calendar, probe) is now, probe
        probe += timedelta(minutes=5)
    if change is not None:
        assert says_open(calendar, change.astimezone(UTC) - timedelta(microseconds=1)) is now
        assert says_open(calendar, change) is not now


@pytest.mark.parametrize(
    ("calendar", "said"),
    [
        (Calendar(weekly=((),) * 6), "seven days"),
        (Calendar(time_zone="Mars/Olympus"), "no time zone"),
        (Calendar(holiday_country="XX"), "no holidays"),
        (Calendar(holiday_country="ES", holiday_subdivision="CA"), "no holidays"),
        (daily(DAY, Hours(time(12), time(13))), "over each other"),
        (daily(Hours(time(20), time(3)), Hours(time(22), time(23))), "over each other"),
        (daily(special=(SpecialDays(date(2026, 2, 2), date(2026, 2, 1)),)), "end before"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(calendar: Calendar, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        opening_hours.check(calendar)


async def test_calendars_are_kept_as_they_were_written(database: Database) -> None:
    moment = datetime(2026, 11, 21, 3, tzinfo=UTC)
    assert (await opening_hours.read(database)).is_open(moment)
    calendar = Calendar(
        titles={"en": "The house", "zh": "商场"},
        weekly=((Hours(time(8, 30), time(12)), Hours(time(13), time(0))),) * 6 + ((),),
        special=(SpecialDays(date(2027, 2, 5), date(2027, 2, 5), (DAY,), {"zh": "除夕"}),),
        on_holidays=(DAY,),
    )
    async with database.transaction() as transaction:
        facts = House(time_zone="Asia/Tehran", holiday_country="ES", holiday_subdivision="MD")
        await house.write(transaction, facts, actor="sara")
        await opening_hours.write(transaction, "house", calendar, actor="sara")
        await opening_hours.write(transaction, "house", calendar, actor="sara")
        abroad = Calendar(time_zone="Europe/Madrid", holiday_country="IR")
        await opening_hours.write(transaction, "abroad", abroad, actor="sara")
    assert await opening_hours.written(database, "house") == calendar
    read = await opening_hours.read(database)
    assert (read.time_zone, read.holiday_country, read.holiday_subdivision) == (
        "Asia/Tehran", "ES", "MD",
    )  # fmt: skip
    assert read.weekly == calendar.weekly
    both = await opening_hours.read_all(database)
    assert both["house"] == read
    # Its own country does not take a part of the house's.
    assert (both["abroad"].time_zone, both["abroad"].holiday_subdivision) == ("Europe/Madrid", "")
    said = await audit.entries(database, subject_kind="opening_hours", subject_id="house")
    assert [(entry.action, entry.actor) for entry in said] == [("created", "sara")]
    with pytest.raises(ValueError, match="over each other"):
        async with database.transaction() as transaction:
            await opening_hours.write(transaction, "house", daily(DAY, DAY), actor="sara")
