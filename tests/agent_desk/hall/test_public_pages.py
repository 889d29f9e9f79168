"""The hall's public pages: what everybody may know, in everybody's language."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from agent_desk.entrance.visitor import LANGUAGE_COOKIE
from agent_desk.hall.frame import Written
from agent_desk.hall.house_pages import open_said
from agent_desk.languages import language
from agent_desk.parts import DeskParts, HallParts
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar, Hours, SpecialDays
from crm_store.shop import promotions
from crm_store.shop.promotions import Promotion
from tests.agent_desk.conftest import RunningDesk, running_desk
from tests.agent_desk.hall.conftest import HOUSE, Guest

pytestmark = pytest.mark.db

DAILY = Calendar(weekly=((Hours(time(10), time(22)),),) * 7, time_zone="Asia/Shanghai")
SHANGHAI = timedelta(hours=8)


@pytest.mark.parametrize(
    ("hour", "said"),
    [
        (9, "Closed now, opens at 10:00\u202fAM"),
        (12, "Open now until 10:00\u202fPM"),
        (23, "Closed now, opens on Tuesday at 10:00\u202fAM"),
    ],
)
def test_whether_it_is_open_is_said_in_the_houses_time(hour: int, said: str) -> None:
    monday = datetime(2027, 3, 8, hour, tzinfo=UTC) - SHANGHAI
    english = language("en")
    assert open_said(DAILY, monday, english, Written(english, HOUSE)) == said


def test_a_house_that_never_changes_is_open_or_closed() -> None:
    english = language("en")
    written = Written(english, HOUSE)
    now = datetime(2027, 3, 8, tzinfo=UTC)
    assert open_said(Calendar(), now, english, written) == "Open now"
    assert open_said(Calendar(weekly=((),) * 7), now, english, written) == "Closed"


async def test_the_start_page_in_four_languages(guest: Guest) -> None:
    for code, direction, name in (
        ("en", "ltr", "Jade Gate Mall"),
        ("zh", "ltr", "玉门商场"),
        ("es", "ltr", "Jade Gate Mall"),
        ("fa", "rtl", "مرکز خرید دروازهٔ یشم"),
    ):
        guest.http.cookie_jar.update_cookies({LANGUAGE_COOKIE: code}, guest.desk.url)
        status, text = await guest.get("/hall")
        assert status == 200
        assert f'<html lang="{code}" dir="{direction}"' in text
        assert name in text


async def test_the_language_is_chosen_without_signing_in(guest: Guest) -> None:
    sent = await guest.send("/hall/look", language="fa", next="/hall/house")
    assert sent == (303, "/hall/house")
    assert "پارکینگ در طبقهٔ زیرین است." in (await guest.get("/hall/house"))[1]


async def test_days_with_other_hours_are_told(guest: Guest, desk: RunningDesk) -> None:
    day = datetime.now(HOUSE.zone).date() + timedelta(days=10)
    special = SpecialDays(day, day, (), {"en": "Stocktaking <b>"})
    async with desk.database.transaction() as transaction:
        await opening_hours.write(
            transaction,
            "house",
            Calendar(weekly=DAILY.weekly, special=(special,), on_holidays=None),
            actor="sara",
        )
    text = (await guest.get("/hall/house"))[1]
    assert "Stocktaking &lt;b&gt;" in text
    assert "Closed" in text


async def test_offers_now_and_soon(guest: Guest, desk: RunningDesk) -> None:
    today = datetime.now(HOUSE.zone).date()

    def offer(code: str, first: int, last: int) -> Promotion:
        return Promotion(
            code=code,
            titles={"en": f"Offer {code}"},
            texts={},
            first_day=today + timedelta(days=first),
            last_day=today + timedelta(days=last),
        )

    async with desk.database.transaction() as transaction:
        for one in (offer("now", -1, 0), offer("soon", 1, 9), offer("over", -9, -1)):
            await promotions.save(transaction, one, actor="sara")
    text = (await guest.get("/hall/offers"))[1]
    assert "Offer now" in text
    assert text.index("Offer now") < text.index("Coming soon") < text.index("Offer soon")
    assert "Offer over" not in text
    assert "Offer soon" not in (await guest.get("/hall"))[1]


async def test_products_are_found_with_their_price(guest: Guest) -> None:
    status, text = await guest.get("/hall/products?find=kettle")
    assert status == 200
    assert "CN¥249.50" in text
    assert "Winter coat" not in text
    assert (await guest.get("/hall/products/2002"))[0] == 200
    assert (await guest.get("/hall/products/9999"))[0] == 404


@pytest.mark.parametrize(
    "query", ["find=%00", "skip=-1", "skip=99999999999999999999", "find=%25", "find=<b>", "skip=x"]
)
async def test_odd_questions_are_borne(guest: Guest, query: str) -> None:
    status, text = await guest.get(f"/hall/products?{query}")
    assert status == (400 if "%00" in query else 200)
    assert "<b>" not in text


async def test_an_error_is_told_in_the_hall_and_not_in_the_desk(guest: Guest) -> None:
    status, text = await guest.get("/hall/nothing-here")
    assert status == 404
    assert "hall-head" in text
    assert "/desk" not in text


async def test_a_hall_that_is_closed_is_not_there(
    peopled_template: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    def without_hall(parts: DeskParts) -> DeskParts:
        return replace(parts, hall=HallParts(is_open=False))

    async with running_desk(peopled_template, tmp_path, without_hall) as desk:
        guest = Guest(desk)
        await guest.let_in("wang")
        for path in ("/hall", "/hall/sign-in", "/hall/me"):
            assert (await guest.get(path))[0] == 404
        await guest.http.close()


async def test_only_cookies_of_our_own_and_none_of_others(guest: Guest) -> None:
    async with guest.http.get("/hall") as response:
        names = set(response.cookies)
        policy = response.headers["Content-Security-Policy"]
        text = await response.text()
    assert names == {"deskbell_form"}
    assert "default-src 'self'" in policy
    assert "http://" not in text.replace(str(guest.desk.url), "")
    assert "https://" not in text


def test_days_are_written_as_the_language_writes_them() -> None:
    for code, said in (("en", "March 8, 2027"), ("zh", "2027年3月8日"), ("es", "8 de marzo")):
        assert said in Written(language(code), HOUSE).day(date(2027, 3, 8))
    assert Written(language("fa"), HOUSE).money(24_950, "CNY") != ""
