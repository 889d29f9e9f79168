"""The work place in a browser: the story, its player, tasks, two agents at once, merging."""

from __future__ import annotations

import io
import math
import struct
import wave
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, Route, expect
from sqlalchemy import insert, select, update

from crm_store import text_search
from crm_store.contacts import tasks
from crm_store.contacts.tasks import NewTask
from crm_store.models import (
    Call,
    CallState,
    Interaction,
    OrderState,
    Recording,
    Severity,
    TaskKind,
    WrapUp,
)
from crm_store.people import complaints, visits
from crm_store.shop import orders
from crm_store.shop.orders import Line, NewOrder
from crm_store.signals import Direction
from tests.agent_desk.browser_fixtures import NARROW, WIDE, Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.test_browser import answer, card_of, ring
from tests.agent_desk.test_pages import find_faults, look

__all__ = ["chrome"]

pytestmark = pytest.mark.browser

NOW = datetime.now(UTC)


@pytest.fixture
async def rich(desk: RunningDesk) -> RunningDesk:
    """A desk whose 王芳 has a story with everything in it."""
    wang = desk.customers["wang"]
    async with desk.database.transaction() as transaction:
        session = transaction.session
        call = (
            await session.scalars(
                select(Interaction.id)
                .where(Interaction.customer_id == wang)
                .order_by(Interaction.opened_at.desc())
                .limit(1)
            )
        ).one()
        call_id = await session.scalar(
            insert(Call).values(
                pbx="main", linkedid="past.1", state=CallState.ENDED, outcome="answered",
                direction=Direction.INBOUND, caller="x", callee="600", rang=[], started_at=NOW,
                wait_s=14.0, talk_s=12.0,
            ).returning(Call.id)
        )  # fmt: skip
        await session.execute(
            update(Interaction).where(Interaction.id == call).values(
                call_id=call_id, satisfaction=5, keyed=["2", "6200000000019", "heard:points"]
            )
        )  # fmt: skip
        for agent, note in (("maria", "已答复: 27 码有货"), ("lin", "客户很高兴, 下周来店")):
            await session.execute(
                insert(WrapUp).values(interaction_id=call, agent=agent, note=note, saved_at=NOW)
            )
        marks = [{"kind": "pause", "at": 4.0, "by": "lin"}, {"kind": "resume", "at": 8.0}]
        await session.execute(
            insert(Recording).values(
                pbx="main", linkedid="past.1", file="a.wav", started_by="lin", started_at=NOW,
                ended_at=NOW + timedelta(seconds=12), marks=marks,
            )
        )  # fmt: skip
        for one in await session.scalars(select(Interaction.id)):
            await text_search.index_interaction(transaction, one)
        await complaints.file(
            transaction, "沙发迟到两周, 没有人回电话。", actor="lin", customer_id=wang,
            category="delivery", severity=Severity.HIGH, subject="送货迟到",
        )  # fmt: skip
        await visits.plan(
            transaction, wang, NOW + timedelta(days=4), actor="lin", agent="maria",
            purpose="试穿深蓝色外套", place="三楼 VIP 室",
        )  # fmt: skip
        await tasks.create(
            transaction,
            NewTask(
                title="回电告知送货日期", kind=TaskKind.CALLBACK, number="+8613800138000",
                due_at=NOW - timedelta(minutes=20), customer_id=wang,
            ),
            actor="lin",
        )  # fmt: skip
        await orders.place(
            transaction,
            NewOrder(
                lines=[Line("3001", {"en": "Sofa", "zh": "沙发"}, 1, 4_599_950)], currency="CNY",
                idempotency_key="o1", number="2026110029", customer_id=wang,
                placed_at=NOW - timedelta(days=2),
            ),
            actor="web",
        )  # fmt: skip
        await orders.change_state(transaction, "2026110029", OrderState.SHIPPED, actor="warehouse")
        await tasks.create(
            transaction,
            NewTask(title="Send the size table", due_at=NOW + timedelta(hours=3), queue="sales"),
            actor="maria",
        )
    return desk


def tone() -> bytes:
    """Twelve seconds of sound, as the recording's file would be."""
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(
            b"".join(struct.pack("<h", int(8000 * math.sin(n / 3))) for n in range(12 * 8000))
        )
    return sound.getvalue()


async def open_story(chrome: Chromium, desk: RunningDesk, **window: str) -> Page:
    page = await chrome.window("lin", **window)  # type: ignore[arg-type]
    await page.goto("/desk")
    await expect(page.locator("[data-connection=connected]")).to_have_count(1)
    await ring(desk, await card_of(desk, "wang"))
    answer(desk)
    await expect(page.locator(".story-entry").first).to_be_visible()
    return page


async def test_the_story_of_who_is_calling(chrome: Chromium, rich: RunningDesk) -> None:
    page = await open_story(chrome, rich)
    await expect(page.locator(".story-entry")).to_have_count(7)
    await expect(page.locator("ol.keyed-path .step")).to_have_count(3)
    await expect(page.locator(".story-wrap-up")).to_have_count(2)
    await page.locator("[data-chip=complaint]").click()
    await expect(page.locator(".story-entry")).to_have_count(1)
    await expect(page.locator(".story-entry")).to_contain_text("送货迟到")
    await page.locator("[data-chip=complaint]").click()
    await expect(page.locator(".story-entry")).to_have_count(7)
    await page.locator("[data-chip=order]").click()
    await expect(page.locator(".story-entry")).to_have_count(1)
    for told in ("Sofa", "on its way", "20261\u202f10029", "CN¥45,999.50"):
        await expect(page.locator(".story-entry")).to_contain_text(told)
    await page.locator("[data-chip=order]").click()
    await page.locator("[data-story-find]").fill("高兴")
    await expect(page.locator(".story-entry")).to_have_count(1)
    await page.locator("[data-story-find]").fill("没有的事")
    await expect(page.locator(".story-entry")).to_have_count(0)


async def test_a_recording_plays_in_its_place_by_keyboard(
    chrome: Chromium, rich: RunningDesk
) -> None:
    page = await open_story(chrome, rich)

    async def give_sound(route: Route) -> None:
        # As the server does: a part is asked for when somebody seeks.
        sound = tone()
        asked = (await route.request.all_headers()).get("range", "bytes=0-")
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        await route.fulfill(
            status=206,
            body=sound[start:],
            content_type="audio/wav",
            headers={
                "Accept-Ranges": "bytes",
                "Content-Range": f"bytes {start}-{len(sound) - 1}/{len(sound)}",
            },
        )

    await page.route("**/recordings/*/audio", give_sound)
    player = page.locator(".player")
    await expect(player.locator(".player-pause")).to_have_count(1)
    await player.locator("button").focus()
    await page.keyboard.press("Enter")
    await expect(player.locator("button")).to_have_attribute("aria-label", "Pause")
    await player.locator("select").select_option("2")
    timeline = player.locator("input")
    await timeline.focus()
    await page.keyboard.press("End")
    await expect(timeline).to_have_attribute("aria-valuetext", "0:12")
    await expect(player.locator("button")).to_have_attribute("aria-label", "Play")


async def test_a_recording_that_is_gone_says_so(chrome: Chromium, rich: RunningDesk) -> None:
    page = await open_story(chrome, rich)
    await page.locator(".player button").click()
    await expect(page.locator(".player .notice")).to_be_visible()
    chrome.problems.clear()  # Chromium itself says that there was no sound.


async def test_two_agents_see_each_other_and_the_last_alone_sees_nobody(
    chrome: Chromium, rich: RunningDesk
) -> None:
    page = await open_story(chrome, rich)
    other = await chrome.window("maria")
    await other.goto(f"/customers/{rich.customers['wang']}")
    await expect(page.locator("[data-looking-too]")).to_contain_text("María García")
    await expect(other.locator("[data-looking-too]")).to_contain_text("Lin Xiaoyu")
    await other.goto("/customers")
    await expect(page.locator("[data-looking-too]")).to_be_empty()


async def test_due_tasks_and_a_callback_that_announces_itself_once(
    chrome: Chromium, rich: RunningDesk
) -> None:
    page = await chrome.window("lin")
    await page.goto("/desk")
    await expect(page.locator(".toast-callback")).to_contain_text("王芳")
    await page.locator(".toast-callback button").last.click()
    await page.locator("#tab-tasks").click()
    await expect(page.locator(".task")).to_have_count(2)
    await expect(page.locator("[data-tab-count=tasks]")).to_have_text("1")
    await page.reload()
    await page.locator("#tab-tasks").click()
    await expect(page.locator(".task")).to_have_count(2)
    await expect(page.locator(".toast-callback")).to_have_count(0)
    await page.locator(".task", has_text="size table").get_by_text("Take it").click()
    await expect(page.locator(".task", has_text="size table").get_by_text("Take it")).to_have_count(
        0
    )
    await page.locator(".task", has_text="回电").get_by_text("Open").click()
    await page.locator("[name=outcome]").fill("reached")
    await page.locator("[data-act=done]").click()
    await expect(page.locator(".task")).to_have_count(1)
    await expect(page.locator("[data-task-dialog]")).not_to_be_visible()
    await page.keyboard.press("Shift+T")
    await page.locator("[data-new] [name=title]").fill("Ask again")
    # The panel shows what is due within a day; "tomorrow at ten" may be later than that.
    soon = datetime.now() + timedelta(hours=2)  # noqa: DTZ005 - as the browser's clock on the wall
    await page.locator("[data-new] [name=due_at]").fill(soon.strftime("%Y-%m-%dT%H:%M"))
    await page.locator("[data-new] [value=callback]").check()
    await page.locator("[data-new] [name=number]").fill("nonsense")
    await page.locator("[data-new] [type=submit]").click()
    await expect(page.locator("[data-new] [data-problem]")).to_be_visible()
    await page.locator("[data-new] [name=number]").fill("138 0013 8000")
    await page.locator("[data-new] [name=place]").select_option("queue:sales")
    await page.locator("[data-new] [type=submit]").click()
    await expect(page.locator(".task", has_text="Ask again")).to_have_count(1)
    chrome.problems.clear()  # Chromium itself says that the first number was refused.


async def test_a_field_is_changed_in_its_place(chrome: Chromium, rich: RunningDesk) -> None:
    page = await chrome.window("lin")
    await page.goto(f"/customers/{rich.customers['wang']}")
    await page.locator("[data-edit=name] [data-start-edit]").click()
    await page.keyboard.press("Escape")
    await page.locator("[data-edit=name] [data-start-edit]").click()
    await page.locator("[data-edit=name] input").fill("王小芳")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("王小芳")
    await page.locator("[data-edit=segment] [data-start-edit]").click()
    await page.locator("[data-edit=segment] select").select_option("member")
    await page.locator("[data-edit=segment] [type=submit]").click()
    await expect(page.locator(".sheet-head .badge").first).to_have_text("Member")


async def test_merge_and_undo_by_clicking(chrome: Chromium, rich: RunningDesk) -> None:
    page = await chrome.window("lin")
    await page.goto(f"/customers/{rich.customers['garcia']}")
    await page.get_by_text("Merge or split").click()
    await page.locator("[name=find]").last.fill("pablo")
    await page.keyboard.press("Enter")
    await page.locator("main .person").click()
    await page.get_by_role("button", name="Merge the two").click()
    await expect(page.locator("h1")).to_have_text("Lucía García")
    await page.get_by_text("Merge or split").click()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Undone")).to_be_visible()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("language", "theme"), [("en", "light"), ("zh", "dark"), ("es", "dark"), ("fa", "light")]
)
async def test_the_pages_are_sound(
    chrome: Chromium, rich: RunningDesk, language: str, theme: str
) -> None:
    supervisor = await chrome.window("sara", language=language, theme=theme)
    desk_page = await open_story(chrome, rich, language=language, theme=theme)
    await desk_page.locator("#tab-tasks").click()
    await expect(desk_page.locator(".task")).to_have_count(2)
    wang, garcia = rich.customers["wang"], rich.customers["garcia"]
    for name, path, sign in (
        ("story", "", ".story-entry"),
        ("customer-page", f"/customers/{wang}", ".story-entry"),
        ("merge", f"/customers/{wang}/merge?find=garc&other={garcia}", ".side-by-side"),
        ("tasks", "/tasks", "[data-task-list]"),
    ):
        page = supervisor if path else desk_page
        if path:
            await page.goto(path)
        await expect(page.locator(sign).first).to_be_visible()
        for size, dimensions in (("wide", WIDE), ("narrow", NARROW)):
            await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
            await look(page, f"{name}-{language}-{theme}-{size}")
            await find_faults(page, f"{name} {size}")
        await page.set_viewport_size(WIDE)  # type: ignore[arg-type]
