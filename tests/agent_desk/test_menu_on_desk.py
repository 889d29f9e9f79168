"""What a caller did in the phone menu, as agents see it: on the pop, in the story, as a task."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import expect
from sqlalchemy import insert

from crm_store.contacts import callbacks, surveys
from crm_store.contacts.callbacks import CallbackRecord, NewCallback
from crm_store.models import (
    Call,
    CallbackState,
    CallState,
    Channel,
    Interaction,
    OrderState,
    TaskState,
)
from crm_store.phone_menus import menu_visits
from crm_store.phone_menus.menu_visits import MenuVisit, Step
from crm_store.sample import phone_menu
from crm_store.shop import house, orders
from crm_store.shop.house import House, Question
from crm_store.shop.orders import Line, NewOrder
from crm_store.signals import Direction, MenuEntered, MenuStep
from tests.agent_desk.browser_fixtures import NARROW, WIDE, Chromium, chrome
from tests.agent_desk.conftest import RunningDesk, Visitor
from tests.agent_desk.signal_stories import PBX
from tests.agent_desk.test_browser import answer, card_of, ring
from tests.agent_desk.test_pages import find_faults, look

__all__ = ["chrome"]

NOW = datetime.now(UTC)
NUMBER = "+8613800138000"
DOTS = "•" * 13

HEARD = {
    "en": """
For your points, press 1. For your orders, press 2. For prices and stock, press 3. To hear
about our mall, press 4. For a complaint, press 5. To speak with us, press 9.

Please key in the number of your member card, then press hash.

You have 12,345.50 points. They are worth 123 yuan and 46 cents. 500 points expire on 31
December.

Please key in the order number.

Your order 20261 10029 was shipped yesterday.

Two callers are ahead of you. You will wait for about three minutes.
""",
    "zh": """
查询积分请按1，查询订单请按2，查询价格和库存请按3，
了解本商场请按4，投诉请按5，人工服务请按9。

请输入会员卡号，按井号键结束。

您有12345.50分，价值123元4角6分。
其中500分将于12月31日到期。

请输入订单号。

您的订单20261 10029昨天已发货。

您前面还有两位客户，大约等候三分钟。
""",
    "es": """
Para sus puntos, pulse 1. Para sus pedidos, pulse 2. Para precios y existencias, pulse 3.
Para saber de nuestro centro, pulse 4. Para una reclamación, pulse 5.

Marque el número de su tarjeta de socio y después almohadilla.

Tiene 12.345,50 puntos. Valen 123 yuanes y 46 céntimos. 500 puntos caducan el 31 de
diciembre.

Marque el número del pedido.

Su pedido 20261 10029 se envió ayer.

Hay dos personas delante de usted. Esperará unos tres minutos.
""",
    "fa": """
برای امتیازهای شما، عدد ۱ را فشار دهید. برای سفارش‌های شما، عدد ۲. برای قیمت و موجودی، عدد
۳. برای آشنایی با مرکز خرید، عدد ۴. برای شکایت، عدد ۵.

شمارهٔ کارت عضویت را وارد کنید و مربع را بزنید.

شما ۱۲٬۳۴۵٫۵۰ امتیاز دارید. ۵۰۰ امتیاز در ۳۱ دسامبر منقضی می‌شود.

شمارهٔ سفارش را وارد کنید.

سفارش ۲۰۲۶۱ ۱۰۰۲۹ دیروز ارسال شد.

دو نفر جلوتر از شما هستند. حدود سه دقیقه منتظر می‌مانید.
""",
}
"""What the way below hears, a paragraph each: the main menu first."""

KEYED = (("main", "1"), ("points", DOTS), ("points", ""), ("order", "2026110029"), ("order", ""),
         ("service", ""))  # fmt: skip


def steps(language: str) -> list[tuple[str, str, str]]:
    """A long way through the menu: place, heard, keyed."""
    heard = [" ".join(part.split()) for part in HEARD[language].strip().split("\n\n")]
    first = [(place, text, key) for (place, key), text in zip(KEYED, heard, strict=True)]
    return [*first[:3], ("main", heard[0], "2"), *first[3:5], ("main", heard[0], "9"), first[5]]


def walk(desk: RunningDesk, language: str) -> None:
    """The caller who is about to ring goes through the menu."""
    call: dict[str, Any] = {"pbx": PBX, "call": "1.1", "language": language}
    desk.bus.publish(MenuEntered(**call, menu="main"))
    for place, heard, keyed in steps(language):
        desk.bus.publish(MenuStep(**call, place=place, heard=heard, keyed=keyed))


async def kept_place(desk: RunningDesk, **values: Any) -> CallbackRecord:
    """王芳 has kept her place in the service queue."""
    wanted = NewCallback(
        queue="service", number=NUMBER, arrived_at=NOW - timedelta(minutes=3), name="王芳",
        language="zh", customer_id=desk.customers["wang"],
    )  # fmt: skip
    async with desk.database.transaction() as transaction:
        callback_id = await callbacks.request(transaction, replace(wanted, **values))
    return await found(desk, callback_id)


async def found(desk: RunningDesk, callback_id: int) -> CallbackRecord:
    row = await callbacks.find(desk.database, callback_id)
    assert row is not None
    return row


@pytest.fixture
async def told(desk: RunningDesk) -> RunningDesk:
    """A desk with a phone menu, and 王芳 has been through it, and has said what she thinks."""
    wang = desk.customers["wang"]
    async with desk.database.transaction() as transaction:
        await phone_menu.fill_phone_menu(transaction)
        await house.write(
            transaction,
            House(
                survey=(
                    Question("kind", {"en": "Were we kind to you?", "zh": "我们的服务态度好吗？"}),
                    Question("solved", {"en": "Is your matter settled?", "zh": "问题解决了吗？"}),
                ),
            ),
            actor="sara",
        )  # fmt: skip
        session = transaction.session
        call_id = await session.scalar(
            insert(Call).values(
                pbx="main", linkedid="past.1", state=CallState.ENDED, outcome="answered",
                direction=Direction.INBOUND, caller="x", callee="610", rang=[], started_at=NOW,
                wait_s=14.0, talk_s=95.0,
            ).returning(Call.id)
        )  # fmt: skip
        await session.execute(
            insert(Interaction).values(
                call_id=call_id, channel=Channel.PHONE, direction=Direction.INBOUND,
                customer_id=wang, opened_at=NOW, agent="lin", queue="service", summary="", note="",
                address="", keyed=["1", "2"],
            )
        )  # fmt: skip
        trail = [Step(at * 9.0, place, heard, keyed, "zh")
                 for at, (place, heard, keyed) in enumerate(steps("zh"))]  # fmt: skip
        for menu, left_to, lasts in (("main", "service", 72), ("waiting", "service", 9)):
            await menu_visits.write(
                transaction,
                MenuVisit(
                    pbx="main", linkedid="past.1", menu=menu, version=1, number=NUMBER,
                    customer_id=wang, language="zh", entered_at=NOW,
                    left_at=NOW + timedelta(seconds=lasts), left_to=left_to,
                    trail=trail if menu == "main" else trail[-1:],
                ),
            )  # fmt: skip
        survey_id = await surveys.ask(
            transaction, pbx="main", linkedid="past.1", customer_id=wang, number=NUMBER,
            queue="service", agent="lin", language="zh",
        )  # fmt: skip
        for question, stars in (("kind", 5), ("solved", 3)):
            await surveys.answer(
                transaction, survey_id, question, stars, is_satisfaction=question == "kind"
            )
        await orders.place(
            transaction,
            NewOrder(
                lines=[Line("3001", {"en": "Sofa", "zh": "沙发"}, 1, 4_599_950),
                       Line("3002", {"en": "Cushion", "zh": "靠垫"}, 4, 9_900)],
                currency="CNY", idempotency_key="o1", number="2026110029", customer_id=wang,
                placed_at=NOW - timedelta(days=2),
            ),
            actor="web",
        )  # fmt: skip
        await orders.change_state(transaction, "2026110029", OrderState.SHIPPED, actor="warehouse")
    await kept_place(desk)
    return desk


# ---- what the server says ------------------------------------------------------------------------


@pytest.mark.db
async def test_a_story_tells_the_way_through_the_menu(told: RunningDesk, lin: Visitor) -> None:
    _, answered = await lin.ask(f"/api/customers/{told.customers['wang']}/story")
    [call] = [entry for entry in answered["entries"] if entry.get("menu_visits")]
    first, second = call["menu_visits"]
    assert (first["menu"], first["seconds"], first["left_to"]) == ("main", 72, "service")
    assert [step["keyed"] for step in first["trail"]][:2] == ["1", DOTS]
    assert second["menu"] == "waiting"
    first_answer, second_answer = call["survey"]["answers"]
    assert first_answer == ["Were we kind to you?", 5]
    assert second_answer == ["Is your matter settled?", 3]
    [task] = [entry for entry in answered["entries"] if entry.get("callback")]
    assert (task["callback"]["state"], task["callback"]["tries"]) == ("waiting", 0)


@pytest.mark.db
async def test_the_page_knows_what_each_place_of_the_menu_is_about(
    told: RunningDesk, lin: Visitor
) -> None:
    status, page = await lin.get("/desk")
    assert status == 200
    assert '"order": "order status"' in page
    assert '"main": ' not in page[page.index("menu_topics") :].split("}")[0]


# ---- a callback's task ---------------------------------------------------------------------------


async def state_of(desk: RunningDesk, row: CallbackRecord) -> tuple[CallbackState, TaskState]:
    now = await found(desk, row.id)
    return now.state, now.task_state


@pytest.mark.db
async def test_whoever_takes_a_callback_over_has_it_alone(desk: RunningDesk, lin: Visitor) -> None:
    row = await kept_place(desk)
    async with desk.database.transaction() as transaction:
        assert await callbacks.joined(transaction, row.id, "Local/1@callback-place")
    _, listed = await lin.ask("/api/tasks")
    [shown] = [task for task in listed["tasks"] if task["callback"]]
    assert shown["callback"]["state"] == "joined"
    assert shown["callback"]["arrived_at"] == row.arrived_at.timestamp()
    status, task = await lin.post(f"/api/tasks/{row.task_id}", action="claim")
    assert (status, task["assigned_to"], task["callback"]["state"]) == (200, "lin", "taken_over")
    now = await found(desk, row.id)
    assert (now.agent, now.stand_in, now.is_wanted) == ("lin", "", False)


@pytest.mark.db
@pytest.mark.parametrize(
    ("action", "state", "task_state"),
    [
        ("done", CallbackState.DONE, TaskState.DONE),
        ("cancel", CallbackState.CANCELLED, TaskState.CANCELLED),
    ],
)
async def test_a_finished_task_is_no_callback_any_more(
    desk: RunningDesk, lin: Visitor, action: str, state: CallbackState, task_state: TaskState
) -> None:
    row = await kept_place(desk)
    status, task = await lin.post(f"/api/tasks/{row.task_id}", action=action, outcome="she wrote")
    assert (status, task["outcome"]) == (200, "she wrote")
    assert await state_of(desk, row) == (state, task_state)


@pytest.mark.db
async def test_another_hour_and_another_queue_are_the_callbacks_too(
    desk: RunningDesk, lin: Visitor
) -> None:
    row = await kept_place(desk)
    hour = (NOW + timedelta(hours=5)).replace(microsecond=0)
    path = f"/api/tasks/{row.task_id}"
    assert (await lin.post(path, action="postpone", due_at=hour.isoformat()))[0] == 200
    later = await found(desk, row.id)
    assert (later.arrived_at, later.not_before, later.state) == (hour, hour, CallbackState.WAITING)
    assert later.priority < row.priority
    # Nobody comes before their turn by being "postponed" into the past.
    long_ago = (NOW - timedelta(days=9)).isoformat()
    assert (await lin.post(path, action="postpone", due_at=long_ago))[0] == 200
    assert (await found(desk, row.id)).arrived_at == row.requested_at
    status, task = await lin.post(path, action="hand_over", queue="sales")
    assert (status, task["queue"]) == (200, "sales")
    moved = await found(desk, row.id)
    assert (moved.queue, moved.is_wanted) == ("sales", True)
    assert (await lin.post(path, action="hand_over", queue="nowhere"))[0] == 400
    status, task = await lin.post(path, action="hand_over", assigned_to="maria")
    assert (status, task["callback"]["state"]) == (200, "taken_over")


@pytest.mark.db
@pytest.mark.parametrize("action", ["claim", "done", "cancel", "postpone", "hand_over"])
async def test_nobody_touches_a_callback_that_a_colleague_has(
    desk: RunningDesk, lin: Visitor, action: str
) -> None:
    row = await kept_place(desk)
    async with desk.database.transaction() as transaction:
        assert await callbacks.answered(transaction, row.id, "maria")
    wish = {"action": action, "due_at": NOW.isoformat(), "queue": "sales"}
    assert (await lin.post(f"/api/tasks/{row.task_id}", **wish))[0] == 409
    assert await state_of(desk, row) == (CallbackState.ANSWERED, TaskState.OPEN)


# ---- in a browser --------------------------------------------------------------------------------


@pytest.mark.browser
async def test_a_callback_says_what_it_is(chrome: Chromium, desk: RunningDesk) -> None:
    page = await chrome.window("lin")
    await page.goto("/desk")
    await expect(page.locator("[data-connection=connected]")).to_have_count(1)
    await ring(desk, await card_of(desk, "wang"), callback_id=1, callback_asked_at=NOW.timestamp())
    await expect(page.locator("[data-call-state]")).to_contain_text("Callback")
    await expect(page.locator("[data-call-detail]")).to_contain_text("asked for at")
    await expect(page.locator("[data-said]")).to_have_text("Callback to 王芳")
    answer(desk)
    await expect(page.locator("[data-call-state]")).to_have_text("Callback · On the line")


@pytest.mark.browser
async def test_whoever_is_not_known_has_been_in_the_menu_too(
    chrome: Chromium, told: RunningDesk
) -> None:
    page = await chrome.window("lin")
    await page.goto("/desk")
    await expect(page.locator("[data-connection=connected]")).to_have_count(1)
    walk(told, "en")
    await ring(told)
    form = page.locator(".new-customer form")
    await expect(form).to_be_visible()
    await expect(page.locator("[data-panel=story]")).not_to_be_visible()
    trail = page.locator(".menu-trail")
    await expect(trail).to_contain_text("order status")
    await look(page, "menu-new-customer")
    tops = [await one.evaluate("(it) => it.getBoundingClientRect().top") for one in (trail, form)]
    assert tops == sorted(tops)


@pytest.mark.browser
async def test_a_callback_is_taken_over_and_called_from_the_tasks(
    chrome: Chromium, desk: RunningDesk
) -> None:
    row = await kept_place(desk)
    page = await chrome.window("lin")
    await page.goto("/desk")
    await page.locator("#tab-tasks").click()
    await expect(page.locator(".task-kept")).to_contain_text("is called in turn")
    await expect(page.locator("[data-tab-count=tasks]")).to_be_empty()
    await page.locator(".task").get_by_text("Take over").click()
    await expect(page.locator(".task-kept")).to_have_count(0)
    assert await state_of(desk, row) == (CallbackState.TAKEN_OVER, TaskState.OPEN)


@pytest.mark.browser
async def test_two_never_call_the_same_customer(chrome: Chromium, desk: RunningDesk) -> None:
    row = await kept_place(desk)
    page = await chrome.window("lin")
    await page.goto("/desk")
    await page.locator("#tab-tasks").click()
    call = page.locator(".task").get_by_text("Call", exact=True)
    await expect(call).to_be_visible()
    async with desk.database.transaction() as transaction:
        assert await callbacks.answered(transaction, row.id, "maria")
    await call.click()
    await expect(page.locator("[data-toasts]")).to_contain_text("Somebody else has taken")
    await expect(page.locator("[data-toasts]")).not_to_contain_text("The phone of this page")
    chrome.problems.clear()  # Chromium itself says that the answer was 409.


@pytest.mark.browser
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("language", "theme"), [("en", "light"), ("zh", "dark"), ("es", "dark"), ("fa", "light")]
)
async def test_a_long_way_through_the_menu_is_sound(
    chrome: Chromium, told: RunningDesk, language: str, theme: str
) -> None:
    page = await chrome.window("lin", language=language, theme=theme)
    await page.goto("/desk")
    await expect(page.locator("[data-connection=connected]")).to_have_count(1)
    walk(told, language)
    asked = (NOW - timedelta(minutes=20)).timestamp()
    await ring(told, await card_of(told, "wang"), callback_id=1, callback_asked_at=asked)
    await look(page, f"menu-callback-{language}-{theme}")
    answer(told)
    await expect(page.locator(".story-entry").first).to_be_visible()
    await page.locator("#tab-tasks").click()
    await expect(page.locator(".task-kept")).to_be_visible()
    for opened in (False, True):
        if opened:
            for summary in await page.locator(".menu-trail summary, .menu-visit summary").all():
                await summary.click()
        for size, dimensions in (("wide", WIDE), ("narrow", NARROW)):
            await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
            await expect(page.locator(".customer-head")).to_be_in_viewport()
            way = "open" if opened else "closed"
            await look(page, f"menu-{way}-{language}-{theme}-{size}")
            await find_faults(page, f"{way} {size}")
