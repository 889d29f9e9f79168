from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from crm_store import audit
from crm_store.database import Database
from crm_store.sample import house as sample_house
from crm_store.shop import house, promotions
from crm_store.shop.house import TOPICS, CardProof, House, Question
from crm_store.shop.promotions import Promotion

pytestmark = pytest.mark.db

LANGUAGES = {"en", "zh", "es", "fa"}


async def test_the_house_is_kept_as_it_was_written(database: Database) -> None:
    assert await house.read(database) == House()
    async with database.transaction() as transaction:
        await house.write(transaction, sample_house.HOUSE, actor="sara")
        await house.write(transaction, sample_house.HOUSE, actor="sara")
    assert await house.read(database) == sample_house.HOUSE
    changed = replace(
        sample_house.HOUSE, card_proof=CardProof.PIN, survey=(Question("one", {"en": "Well?"}),)
    )
    async with database.transaction() as transaction:
        await house.write(transaction, changed, actor="wei")
    assert await house.read(database) == changed
    said = await audit.entries(database, subject_kind="house")
    assert [(entry.actor, entry.fields) for entry in said[:1]] == [
        ("wei", ["card_proof", "survey"])
    ]
    assert len(said) == 2


def test_points_are_worth_what_the_house_says_never_more() -> None:
    facts = House(points_worth_minor_per_100=100)
    assert facts.worth_minor(1_234_550) == 12_345
    assert facts.worth_minor(99) == 0
    assert House().worth_minor(1_234_550) == 0


def test_a_text_falls_back_to_english_then_to_nothing() -> None:
    facts = House(texts={"parking": {"en": "B2", "zh": "地下二层"}})
    assert [facts.text("parking", code) for code in ("zh", "es")] == ["地下二层", "B2"]
    assert facts.text("dining", "en") == ""


@pytest.mark.parametrize(
    "values",
    [
        {"currency": "XYZZY"},
        {"currency": "cny"},
        {"time_zone": "Shanghai"},
        {"time_zone": "../etc/passwd"},
        {"holiday_country": "CHN!"},
        {"holiday_country": "CN", "holiday_subdivision": "ZZ"},
        {"points_valid_months": -1},
        {"texts": {"gossip": {"en": "x"}}},
        {"survey": tuple(Question(f"q{number}", {}) for number in range(4))},
        {"survey": (Question("q", {}), Question("q", {}))},
    ],
)
async def test_facts_that_cannot_be_are_refused(
    sqlite_database: Database, values: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"."):
        async with sqlite_database.transaction() as transaction:
            await house.write(transaction, House(**values), actor="sara")  # type: ignore[arg-type]
    assert await house.read(sqlite_database) == House()


async def test_promotions_are_told_from_their_first_to_their_last_day(database: Database) -> None:
    offer = Promotion(
        code="tea",
        titles={"en": "Tea week"},
        texts={"en": "A fifth off."},
        first_day=date(2026, 11, 20),
        last_day=date(2026, 11, 26),
        position=2,
    )
    first = replace(offer, code="double", position=1, texts={})
    async with database.transaction() as transaction:
        for promotion in (offer, first, replace(offer, code="retired", active=False)):
            await promotions.save(transaction, promotion, actor="sara")
        with pytest.raises(ValueError, match="ends before"):
            await promotions.save(
                transaction, replace(offer, last_day=date(2026, 11, 19)), actor="sara"
            )

    async def codes(day: int) -> list[str]:
        return [one.code for one in await promotions.on(database, date(2026, 11, day))]

    assert [await codes(day) for day in (19, 20, 26, 27)] == [
        [],
        ["double", "tea"],
        ["double", "tea"],
        [],
    ]
    assert first.text("zh") == "Tea week"
    assert len(await promotions.all_promotions(database)) == 3
    async with database.transaction() as transaction:
        await promotions.save(transaction, replace(first, active=False), actor="sara")
    assert await codes(20) == ["tea"]


def test_the_sample_house_says_everything_in_four_languages() -> None:
    facts = sample_house.HOUSE
    house.check(facts)
    assert set(facts.texts) == set(TOPICS)
    said = [
        facts.names,
        *facts.texts.values(),
        *(question.texts for question in facts.survey),
        *(calendar.titles for calendar in sample_house.CALENDARS.values()),
        *(
            texts
            for offer in sample_house.promotions(date(2026, 11, 21))
            for texts in (offer.titles, offer.texts)
        ),
    ]
    for texts in said:
        assert set(texts) == LANGUAGES
        assert len(set(texts.values())) == 4
