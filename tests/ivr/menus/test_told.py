"""Known answers, word by word, in four languages: what is told of points, orders and goods."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time

import pytest

from crm_store.models import OrderState
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar, Hours, SpecialDays
from crm_store.sample import shop as sample_shop
from crm_store.sample.mall import WELL_KNOWN_NUMBER
from crm_store.shop import catalogue, promotions
from ivr.prompts import built_in
from tests.ivr.menus.stage import ANA, ANAS_CARD, LANGUAGE_KEYS, SHIPPED, Stage

pytestmark = pytest.mark.db

POINTS = {
    "en": [
        "You have twelve thousand three hundred and forty-five point five points.",
        "That is worth one hundred and twenty-three yuan and forty-five fen",
        "three hundred points expire on Tuesday the first of December",
    ],
    "zh": [
        "您有 一万二千三百四十五点五 个积分。",
        "价值 一百二十三元四角五分",
        "三百 个积分将于 十二月一日，星期二 到期。",
    ],
    "es": [
        "Tiene doce mil trescientos cuarenta y cinco coma cinco puntos.",
        "Equivale a ciento veintitrés yuanes con cuarenta y cinco fen",
        "trescientos puntos caducan el martes, primero de diciembre",
    ],
    "fa": [
        "شما دوازده هزار و سیصد و چهل و پنج ممیز پنج دهم امتیاز دارید.",
        "ارزش آن صد و بیست و سه یوان و چهل و پنج فن است.",
        "سیصد امتیاز سه‌شنبه، دهم آذر منقضی می‌شود.",
    ],
}
ORDER = {
    "en": [
        "Your order two zero two six, one one zero, zero two nine",
        "It was shipped yesterday",
        "You can expect it tomorrow",
        "The total is one thousand four hundred and thirty-six yuan and sixty fen",
    ],
    "zh": [
        "您的订单 二零二六，一一零，零二九",
        "已于 昨天 发货。",
        "预计 明天 送达。",
        "总金额为 一千四百三十六元六角",
    ],
    "es": [
        "Su pedido dos cero dos seis, uno uno cero, cero dos nueve",
        "Se envió ayer",
        "Puede esperarlo mañana",
        "El total es de mil cuatrocientos treinta y seis yuanes con sesenta fen",
    ],
    "fa": [
        "سفارش شما، دو صفر دو شش، یک یک صفر، صفر دو نه",
        "دیروز ارسال شد.",
        "انتظار می‌رود فردا به دست شما برسد.",
        "مبلغ کل هزار و چهارصد و سی و شش یوان و شصت فن است.",
    ],
}
PRICE = {
    "en": "Milk, one litre twenty-five yuan and ninety fen supermarket two hundred in stock.",
    "zh": "牛奶1升 二十五元九角 超市 有 二百 件现货。",
    "es": "Leche, un litro veinticinco yuanes con noventa fen "
    "supermercado doscientas unidades disponibles.",
    "fa": "شیر یک لیتری بیست و پنج یوان و نود فن فروشگاه مواد غذایی دویست عدد موجود است.",
}
"""Between parts of a sentence is a breath, so that lone marks are not said."""
HOURS = {
    "en": "Today we are open from ten in the morning to ten at night "
    "Tomorrow we are open from ten in the morning to ten at night",
    "zh": "今天的营业时间为 上午十点 至 晚上十点 明天的营业时间为 上午十点 至 晚上十点",
    "es": "Hoy abrimos de las diez de la mañana a las diez de la noche "
    "Mañana abrimos de las diez de la mañana a las diez de la noche",
    "fa": "امروز از ده صبح تا ده شب باز هستیم. فردا از ده صبح تا ده شب باز هستیم.",
}


@pytest.mark.parametrize("language", LANGUAGE_KEYS)
async def test_points_are_spoken_exactly(stage: Stage, language: str) -> None:
    caller = await stage.call(LANGUAGE_KEYS[language] + f"1{ANAS_CARD}#", number=ANA)
    assert caller.heard[4] == " ".join(POINTS[language])


@pytest.mark.parametrize("language", LANGUAGE_KEYS)
async def test_an_order_shipped_yesterday_is_spoken_exactly(stage: Stage, language: str) -> None:
    caller = await stage.call(LANGUAGE_KEYS[language] + f"2{SHIPPED}")
    assert caller.heard[4] == " ".join(ORDER[language])


@pytest.mark.parametrize("language", LANGUAGE_KEYS)
async def test_a_price_with_cents_and_the_stock_are_spoken_exactly(
    stage: Stage, language: str
) -> None:
    caller = await stage.call(LANGUAGE_KEYS[language] + "34004#")
    assert caller.heard[4] == PRICE[language]


@pytest.mark.parametrize("language", LANGUAGE_KEYS)
async def test_hours_promotions_and_the_house_in_its_words(stage: Stage, language: str) -> None:
    caller = await stage.call(LANGUAGE_KEYS[language] + "412345678")
    heard = caller.heard[4::2]
    assert heard[0] == HOURS[language]
    today = await promotions.on(stage.database, date(2026, 11, 20))
    assert all(one.texts[language] in heard[1] for one in today)
    texts = stage.house.texts
    for said, topics in zip(
        heard[2:],
        (["places"], ["cards_accepted"], ["address", "how_to_get_there"],
         ["parking"], ["dining"], ["medical"]),
        strict=True,
    ):  # fmt: skip
        assert said == " ".join(texts[topic][language] for topic in topics)


@pytest.mark.parametrize("language", LANGUAGE_KEYS)
async def test_what_the_house_says_nothing_of_leads_to_people_not_to_another_language(
    stage: Stage, language: str
) -> None:
    stage.house = replace(stage.house, texts={"parking": {"xx": "nothing"}})
    caller = await stage.call(LANGUAGE_KEYS[language] + "46")
    assert caller.heard[4] == " ".join(
        (built_in("mall_not_known", language), built_in("zero_for_agent", language))
    )


async def test_a_holiday_is_named_and_a_closed_house_says_when_it_opens(stage: Stage) -> None:
    async with stage.database.transaction() as transaction:
        calendar = Calendar(
            weekly=((Hours(time(9), time(13)), Hours(time(15), time(20))),) * 7,
            special=(
                SpecialDays(date(2026, 11, 20), date(2026, 11, 21), (), {"en": "Founders' days"}),
            ),
        )
        await opening_hours.write(transaction, "house", calendar, actor="test")
    caller = await stage.call("141")
    assert caller.heard[5] == (
        "Today is a holiday: Founders' days Today we are closed. "
        "Tomorrow is a holiday: Founders' days Tomorrow we are closed. "
        "We are open again the day after tomorrow , from nine in the morning"
    )


async def test_two_spans_of_hours_are_both_told(stage: Stage) -> None:
    async with stage.database.transaction() as transaction:
        week = ((Hours(time(9), time(13)), Hours(time(15), time(20))),) * 7
        await opening_hours.write(transaction, "house", Calendar(weekly=week), actor="test")
    caller = await stage.call("141")
    assert caller.heard[4].startswith(
        "Today we are open from nine in the morning to one in the afternoon "
        "And from three in the afternoon to eight in the evening Tomorrow"
    )


@pytest.mark.parametrize("order", sample_shop.ORDERS, ids=lambda one: str(one.state))
async def test_every_state_of_an_order_has_its_words(
    stage: Stage, order: sample_shop.SampleOrder
) -> None:
    caller = await stage.call(f"12{order.number}")
    state = order.state
    text = built_in(f"order_{state.value}", "en").partition("{")[0].strip()
    assert text in caller.heard[4]
    done = (OrderState.CANCELLED, OrderState.RETURNED)
    assert ("The total is" in caller.heard[4]) == (state not in done)


async def test_the_last_order_is_offered_to_whom_we_know(stage: Stage) -> None:
    wang = await stage.known(WELL_KNOWN_NUMBER)
    assert wang is not None
    caller = await stage.call("21", number=WELL_KNOWN_NUMBER, customer=wang)
    assert (
        caller.heard[2]
        == "查询您 十一月十六日，星期一 所下的最近一笔订单，请按1。 查询其他订单，请按2。"
    )
    assert caller.heard[3] == " ".join(ORDER["zh"])
    other = await stage.call("22" + SHIPPED, number=WELL_KNOWN_NUMBER, customer=wang)
    assert other.heard[4] == " ".join(ORDER["zh"])


async def test_a_known_customers_language_is_spoken_without_asking(stage: Stage) -> None:
    ana = await stage.known(ANA)
    caller = await stage.call("!", number=ANA, customer=ana)
    assert caller.heard[0] == "Bienvenido a nuestro centro comercial."


async def test_out_of_stock_and_unknown_items(stage: Stage) -> None:
    async with stage.database.transaction() as transaction:
        await catalogue.save(
            transaction, item="777", names={"en": "Lamp"}, price_minor=100, currency="CNY",
            actor="test",
        )  # fmt: skip
    caller = await stage.call("13999#777#")
    assert caller.heard[4] == (
        "I do not find an item with this number. Please check it and try once more."
    )
    assert caller.heard[6] == "Lamp one yuan It is out of stock at the moment."


async def test_the_screen_shows_what_was_heard_as_one_reads_it(stage: Stage) -> None:
    caller = await stage.call(f"11{ANAS_CARD}#", number=ANA)
    told = next(shown for shown in caller.shown if "12,345.50" in shown)
    assert told == (
        "You have 12,345.50 points. That is worth CN¥123.45. "
        "300 points expire on Tuesday the first of December."
    )
    assert caller.keyed == ["1", "1", "•" * len(ANAS_CARD)]
