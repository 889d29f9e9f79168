"""The pages of opening hours and of the house: what a supervisor writes is what callers hear."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from agent_desk.languages import NAMES
from agent_desk.setup.opening_hours import countries
from crm_store.phone_menus import opening_hours
from crm_store.shop import house
from tests.agent_desk.conftest import Visitor

pytestmark = pytest.mark.db

HOURS = {
    "title.en": "The house",
    **{f"weekly.{day}": "10:00-22:00" for day in range(6)},
    "weekly.6": "",
    "holiday_country": "CN",
    "holiday_subdivision": "",
    "holidays": "12:00-18:00",
    "special.0.first": "2027-03-01",
    "special.0.last": "2027-03-02",
    "special.0.hours": "",
    "special.0.title.en": "Stocktaking",
    "special.3.first": "2027-04-05",
    "special.3.hours": "09:00-12:00",
    "time_zone": "Asia/Shanghai",
}
FACTS = {
    "name.en": "Jade Gate Mall",
    "name.zh": "玉门商场",
    "currency": "cny",
    "time_zone": "Asia/Shanghai",
    "holiday_country": "CN",
    "holiday_subdivision": "",
    "points_worth": "100",
    "points_valid_months": "24",
    "points_expiry_notice_days": "30",
    "card_proof": "pin",
    "text.parking.en": "Below the <b>house</b>.",
    "question.0.code": "",
    "question.0.en": "How content were you?",
    "question.2.code": "again",
    "question.2.en": "Would you come again?",
    "sms_sender": "JADEGATE",
}


async def test_hours_that_were_written_hold(sara: Visitor) -> None:
    status, where = await sara.send_form("/setup/opening-hours/house", **HOURS)
    assert (status, where) == (303, "/setup/opening-hours?done=saved&with=house")
    calendar = await opening_hours.read(sara.desk.database)
    assert calendar.is_open(datetime(2027, 3, 10, 3, tzinfo=UTC))
    assert not calendar.is_open(datetime(2027, 3, 14, 3, tzinfo=UTC))
    assert calendar.on(date(2027, 3, 2)).title("zh") == "Stocktaking"
    assert calendar.on(date(2027, 4, 5)).reason == "special"
    status, text = await sara.get("/setup/opening-hours/house")
    assert status == 200
    assert "Stocktaking" in text
    # What the page shows can be sent again as it is.
    assert (await sara.send_form("/setup/opening-hours/house", **HOURS))[0] == 303


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weekly.0", "ten to two"),
        ("weekly.0", "10:00-14:00, 12:00-16:00"),
        ("special.0.first", "soon"),
        ("special.0.last", "2027-02-01"),
        ("time_zone", "Mars/Olympus"),
        ("holiday_country", "XX"),
        ("holiday_subdivision", "BY"),
        ("title.en", ""),
    ],
)
async def test_hours_that_mean_nothing_are_told_and_kept(
    sara: Visitor, field: str, value: str
) -> None:
    status, text = await sara.send_form("/setup/opening-hours/house", **(HOURS | {field: value}))
    assert status == 400
    assert "fault" in text
    assert await opening_hours.written(sara.desk.database, "house") is None


async def test_a_new_calendar_has_a_code_of_its_own(sara: Visitor) -> None:
    wish = {**HOURS, "code": "leasing"}
    status, where = await sara.send_form("/setup/opening-hours/new", **wish)
    assert (status, where) == (303, "/setup/opening-hours?done=added&with=leasing")
    assert (await sara.send_form("/setup/opening-hours/new", **wish))[0] == 400
    assert (await sara.send_form("/setup/opening-hours/new", **(wish | {"code": "new"})))[0] == 400


async def test_the_house_is_as_it_was_written(sara: Visitor) -> None:
    status, where = await sara.send_form("/setup/house", **FACTS)
    assert (status, where) == (303, "/setup/house?done=saved&with=")
    facts = await house.read(sara.desk.database)
    assert (facts.name("zh"), facts.currency, facts.card_proof) == ("玉门商场", "CNY", "pin")
    assert [one.code for one in facts.survey] == ["question1", "again"]
    _, text = await sara.get("/setup/house")
    assert "Below the &lt;b&gt;house&lt;/b&gt;." in text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("currency", "XYZ"),
        ("time_zone", ""),
        ("card_proof", "trust"),
        ("points_worth", "-1"),
        ("text.parking.en", "x" * 1_001),
        ("question.2.en", ""),
        ("name.en", ""),
    ],
)
async def test_a_house_that_cannot_be_is_told_and_kept(
    sara: Visitor, field: str, value: str
) -> None:
    wish = FACTS | {field: value}
    if field == "question.2.en":
        wish |= {"question.2.zh": "您会再来吗？"}
    assert (await sara.send_form("/setup/house", **wish))[0] == 400
    assert await house.read(sara.desk.database) == house.House()


@pytest.mark.parametrize("language", NAMES)
def test_countries_have_names_in_every_language(language: str) -> None:
    found = dict(countries(language))
    assert len(found) > 100
    assert found["CN"] == {"en": "China", "zh": "中国", "es": "China", "fa": "چین"}[language]
