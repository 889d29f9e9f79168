"""Every way through the mall's phone menu, in every language, by telephone.

A real Asterisk, SIPp pressing real RFC 4733 digits, the whole service: what each caller is told is
what the service says that they were told, and what the history says afterwards.
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from crm_store.contacts import callbacks
from crm_store.database import Database
from crm_store.models import (
    Call,
    CallState,
    Complaint,
    Interaction,
    MenuVisit,
    Recording,
    Task,
)
from crm_store.phone_menus import menu_visits, opening_hours
from crm_store.phone_menus.opening_hours import Calendar
from crm_store.sample.mall import WELL_KNOWN_NUMBER, WELL_KNOWN_PIN, card_of
from crm_store.sample.shop import SHIPPED_YESTERDAY
from crm_store.shop import house
from deskbell.service import Service
from ivr.menus import mall
from tests.ivr.menu_stage import (
    Callers,
    MenuCaller,
    menu_callers,
    menu_service,
    menu_settings,
)
from tests.service_fixtures import mall_template, mall_url, until

__all__ = ["mall_template", "mall_url"]

# A path is as long as its prompts; the first test of a worker waits until all have been spoken.
pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(900)]

LANGUAGE_KEYS = {"en": "1", "zh": "2", "es": "3", "fa": "4"}
POINTS = {"en": "12,345.50", "zh": "12,345.50", "es": "12.345,50", "fa": "12٬345٫50"}
WORTH = {"en": "123.45", "zh": "123.45", "es": "123,45", "fa": "123٫45"}
PRICE = {"en": "1,299.00", "zh": "1,299.00", "es": "1.299,00", "fa": "1٬299٫00"}
YESTERDAY = {"en": "yesterday", "zh": "昨天", "es": "ayer", "fa": "دیروز"}
TOPICS = ("places", "cards", "way", "parking", "dining", "medical")
SHOWN_NUMBER = "+86 139 1234 5678"

Told = tuple[str, str]
"""A step: its place, and the keys that are pressed there."""


@dataclass(frozen=True)
class Way:
    """A way through the menu behind its first questions, the text that the last step has, and
    where the caller goes from there."""

    steps: Sequence[Told]
    answer: Sequence[str] = ()
    left_to: str = ""
    queue: str = ""


def ways(language: str, facts: house.House) -> dict[str, Way]:
    """All ways of the mall's menu but those that need a voice."""
    queue = "service_zh" if language == "zh" else "service"
    number = "13912345678#"
    return {
        "points": Way(
            [("main", "1"), ("points", f"{card_of(1)}#"), ("points", f"{WELL_KNOWN_PIN}#"),
             ("points", "")],
            [POINTS[language], WORTH[language]],
        ),
        "order": Way(
            [("main", "2"), ("order", f"{SHIPPED_YESTERDAY.number}#"), ("order", "")],
            [SHIPPED_YESTERDAY.number, YESTERDAY[language]],
        ),
        "product": Way(
            [("main", "3"), ("product", "1001#"), ("product", "")], [PRICE[language]]
        ),
        "hours": Way([("main", "4"), ("mall", "1"), ("hours", "")]),
        "promotions": Way([("main", "4"), ("mall", "2"), ("promotions", "")]),
        **{
            topic: Way(
                [("main", "4"), ("mall", str(3 + place)), (topic, "")],
                [facts.texts[text][language] for text in mall.TOPICS[topic] if text in facts.texts],
            )
            for place, topic in enumerate(TOPICS)
        },
        "letting": Way(
            [("main", "6"), ("letting", ""), ("letting", number), ("letting", "1"),
             ("letting", "")],
            [SHOWN_NUMBER],
        ),
        "callback": Way(
            [("main", "7"), ("callback", "1"), ("callback", number), ("callback", "1"),
             ("callback", "")],
            [SHOWN_NUMBER],
            left_to="goodbye",
        ),
        "people": Way([("main", "9"), ("service", "")], left_to=queue, queue=queue),
        "zero": Way([("main", "0"), ("main", "")], left_to=queue, queue=queue),
        "zero in the middle": Way(
            [("main", "1"), ("points", "0"), ("points", "")], left_to=queue, queue=queue
        ),
        "back": Way([("main", "4"), ("mall", "*"), ("main", "2"), ("order", "*"), ("main", "0"),
                     ("main", "")], left_to=queue, queue=queue),
    }  # fmt: skip


@pytest.fixture
async def open_mall_url(mall_url: str) -> str:
    """The sample mall, open day and night: the tests run at any hour."""
    database = Database(mall_url)
    try:
        for code in ("house", "agents"):
            async with database.transaction() as transaction:
                calendar = Calendar(titles={"en": code}, on_holidays=None)
                await opening_hours.write(transaction, code, calendar, actor="chief")
    finally:
        await database.close()
    return mall_url


async def go(
    callers: Callers, number: str, language: str, way: Way
) -> tuple[MenuCaller, list[Told]]:
    """The caller who has gone the way and hung up, and the steps that had to be told."""
    path = [("language", LANGUAGE_KEYS[language]), ("welcome", ""), *way.steps]
    caller = await callers.walk(number, path)
    if way.queue:
        await callers.until(lambda: caller.queue, f"{number} in a queue")
        assert caller.queue == way.queue
    assert caller.call is not None
    await caller.call.hang_up()
    await callers.until(lambda: caller.left_to and caller.ended, f"{number} has gone")
    assert caller.left_to == [way.left_to], path
    return caller, path


def shown(place: str, keys: str) -> Told:
    """What the service says of a step: without the hash key, and secrets as dots."""
    keyed = keys.removesuffix("#") if len(keys) > 1 else keys
    return place, "•" * len(keyed) if place == "points" else keyed


@pytest.mark.parametrize("language", LANGUAGE_KEYS)
async def test_every_way_leads_to_its_answer(
    open_mall_url: str, tmp_path: Path, language: str
) -> None:
    database = Database(open_mall_url)
    try:
        all_ways = ways(language, await house.read(database))
        async with (
            menu_service(menu_settings(tmp_path, open_mall_url)) as (service, pbx),
            menu_callers(service, pbx) as callers,
        ):
            went = await asyncio.gather(
                *(
                    go(callers, f"+491511234{place:03d}", language, way)
                    for place, way in enumerate(all_ways.values())
                )
            )
            for (name, way), (caller, path) in zip(all_ways.items(), went, strict=True):
                assert caller.places[: len(path)] == [shown(*step) for step in path], name
                told = [step for step in caller.steps if step.place != "language"]
                assert {step.language for step in told} == {language}, name
                assert all(step.heard or step.keyed for step in caller.steps), name
                answer = " ".join(step.heard for step in told[len(path) - 2 :])
                for words in way.answer:
                    assert words in answer, (name, answer)
            (callback,) = await callbacks.waiting(database)
            assert (callback.number, callback.queue, callback.language) == (
                "+8613912345678",
                "service_zh" if language == "zh" else "service",
                language,
            )
            # Its stand-in waits in the queue, as it should.
            async with database.transaction() as transaction:
                assert await callbacks.cancel(transaction, callback.id, actor="chief")
            await nothing_goes_on(service)
            await the_history_says_it(database, [caller for caller, _ in went], language)
    finally:
        await database.close()


async def the_history_says_it(
    database: Database, callers: Sequence[MenuCaller], language: str
) -> None:
    """One visit for each caller, with all that was heard and keyed, and its time."""
    for caller in callers:
        (visit,) = await menu_visits.of_call(database, "main", caller.linkedid)
        assert [(step.place, step.keyed, step.heard) for step in visit.trail] == [
            (step.place, step.keyed, step.heard) for step in caller.steps
        ]
        assert (visit.number, visit.language, visit.menu) == (caller.number, language, "main")
        last = caller.steps[-1].at
        assert last is not None
        assert visit.seconds >= visit.trail[-1].seconds > 0
        assert visit.left_to == caller.left_to[0]


async def nothing_goes_on(service: Service) -> None:
    """No channel, session, unwritten visit or open row is left."""
    figures = service.menus.server.figures
    await until(lambda: not figures.sessions, what="sessions")
    assert not figures.ended["failed"], figures.ended
    (board,) = service.switchboards.values()
    await until(lambda: not board.calls.calls, what="calls")
    (asterisk,) = service.embedded.values()
    async with asyncio.timeout(30):
        # Neither Asterisk nor a database tells by itself that it has nothing more.
        while "0 active channels" not in (await asterisk.console("core show channels count")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        while await open_rows(service.database):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def open_rows(database: Database) -> int:
    """Calls that live, and interactions that nobody closed."""
    async with database.reading() as session:
        calls = await session.scalar(
            select(func.count()).select_from(Call).where(Call.state == CallState.LIVE)
        )
        contacts = await session.scalar(
            select(func.count())
            .select_from(Interaction)
            .join(Call, Call.id == Interaction.call_id)
            .where(Interaction.closed_at.is_(None))
        )
    return int(calls or 0) + int(contacts or 0)


HANG_UPS: dict[str, Sequence[Told]] = {
    "at once": [],
    "the language": [("language", "1")],
    "the menu": [("language", "1"), ("welcome", ""), ("main", "4")],
    "the card": [("language", "1"), ("welcome", ""), ("main", "1")],
    "the PIN": [("language", "1"), ("welcome", ""), ("main", "1"), ("points", f"{card_of(1)}#")],
    "the answer": [("language", "1"), ("welcome", ""), ("main", "3"), ("product", "1001#")],
    "the tone": [("language", "1"), ("welcome", ""), ("main", "5")],
    "the number": [("language", "1"), ("welcome", ""), ("main", "6"), ("letting", "")],
    "the queue": [("language", "1"), ("welcome", ""), ("main", "0"), ("main", "")],
}


async def test_who_hangs_up_anywhere_leaves_nothing_behind(
    open_mall_url: str, tmp_path: Path
) -> None:
    database = Database(open_mall_url)
    try:
        complaints = await count_of(database, Complaint)
        async with (
            menu_service(menu_settings(tmp_path, open_mall_url)) as (service, pbx),
            menu_callers(service, pbx) as callers,
        ):

            async def leave(number: str, path: Sequence[Told]) -> None:
                caller = await callers.walk(number, path)
                assert caller.call is not None
                await caller.call.hang_up()
                await callers.until(lambda: caller.left_to and caller.ended, path)

            await asyncio.gather(
                *(
                    leave(f"+491511235{place:03d}", path)
                    for place, path in enumerate(HANG_UPS.values())
                )
            )
            await nothing_goes_on(service)
            async with database.reading() as session:
                visits = await session.scalar(select(func.count()).select_from(MenuVisit))
                recorded = await session.scalar(select(func.count()).select_from(Recording))
            assert visits == len(HANG_UPS)
            assert not recorded
            assert await count_of(database, Complaint) == complaints
            assert not list((tmp_path / "pbx/spool/monitor").rglob("*.wav"))
    finally:
        await database.close()


async def test_a_complaint_and_a_message_are_recorded_with_the_caller_s_own_voice(
    open_mall_url: str, tmp_path: Path
) -> None:
    database = Database(open_mall_url)
    try:
        async with (
            menu_service(menu_settings(tmp_path, open_mall_url)) as (service, pbx),
            menu_callers(service, pbx) as callers,
        ):
            before = await count_of(database, Complaint), await count_of(database, Task)
            # Known by her number, so in her language at once: Chinese.
            complains = await callers.begin(WELL_KNOWN_NUMBER, tone=440)
            leaves = await callers.begin("+4915112360001", tone=440)
            await callers.press(leaves, "1")
            await callers.hear(leaves, "welcome")
            await callers.hear(complains, "welcome")
            for caller, key, place in ((complains, "5", "complaint"), (leaves, "8", "message")):
                await callers.press(caller, key)
                await spoken(service, caller)
                await callers.press(caller, "1")
                await callers.hear(caller, place, 3)
            await callers.until(lambda: leaves.ended, "the good-bye")
            assert leaves.left_to == ["goodbye"]
            assert complains.call is not None
            await complains.call.hang_up()
            await callers.until(lambda: complains.ended, "the end")
            await nothing_goes_on(service)
            assert {step.language for step in complains.steps} == {"zh"}
            assert await count_of(database, Complaint) == before[0] + 1
            assert await count_of(database, Task) >= before[1] + 1
            async with database.reading() as session:
                kept = list(await session.scalars(select(Recording)))
            assert {row.linkedid for row in kept} == {complains.linkedid, leaves.linkedid}
            for row in kept:
                with wave.open(str(tmp_path / "pbx/spool/monitor" / row.file)) as sound:
                    assert sound.getnframes() > 8_000
    finally:
        await database.close()


async def spoken(service: Service, caller: MenuCaller) -> None:
    """Speak two seconds after the tone, then press the hash key."""
    assert caller.call is not None
    folder = next(iter(service.embedded.values())).folder / "spool/monitor"
    before = set(folder.rglob("*.wav"))

    def is_long() -> bool:
        return any(file.stat().st_size > 32_000 for file in set(folder.rglob("*.wav")) - before)

    await until(is_long, 60, "two seconds of recording")
    await caller.call.press("#")


async def count_of(database: Database, table: type[Complaint | Task]) -> int:
    async with database.reading() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def test_who_keys_nothing_comes_to_people(open_mall_url: str, tmp_path: Path) -> None:
    async with (
        menu_service(menu_settings(tmp_path, open_mall_url)) as (service, pbx),
        menu_callers(service, pbx) as callers,
    ):
        caller = await callers.begin("+4915112370001")
        await callers.until(lambda: caller.queue, "people", within=180)
        assert caller.queue == "service"
        assert not any(step.keyed for step in caller.steps)
