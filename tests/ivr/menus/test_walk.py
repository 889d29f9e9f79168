"""Every walk ends: with a person, a message or a good-bye, whatever is keyed and whatever fails."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from crm_store.people.cards import check_digit
from crm_store.sample import phone_menu
from ivr.conversation.line import HangUp, ToMessage, ToQueue
from ivr.menus import tree as trees
from ivr.menus.tree import FUNCTIONS
from ivr.menus.walk import MOST_NODES_VISITED
from ivr.prompts import built_in
from tests.ivr.menus.stage import ANAS_CARD, LANGUAGE_KEYS, MAIN, SHIPPED, Stage

pytestmark = pytest.mark.db


def with_node(function: str, to: str = "main") -> trees.Tree:
    data: dict[str, Any] = trees.write(MAIN)
    data["start"] = "here"
    data["nodes"].append({"id": "here", "kind": "function", "function": function, "to": to})
    return trees.read(data)


@pytest.mark.parametrize("language", LANGUAGE_KEYS)
async def test_languages_are_offered_each_in_its_own(stage: Stage, language: str) -> None:
    caller = await stage.call(LANGUAGE_KEYS[language] + "!")
    assert caller.heard[0] == (
        "For English, press 1. 中文服务，请按2。 Para español, pulse 3. "
        "برای فارسی، عدد چهار را فشار دهید."
    )
    assert caller.heard[1] == phone_menu.TREE["nodes"][1]["texts"][language]
    assert caller.heard[2].endswith(built_in("zero_for_agent", language))


async def test_silence_at_the_languages_speaks_the_first(stage: Stage) -> None:
    caller = await stage.call("~~~" + "!")
    assert caller.heard[-2] == "Welcome to our mall."


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("script", ["0", "~0", "9990", ""])
async def test_every_function_is_walked_and_leads_to_people(
    stage: Stage, function: str, script: str
) -> None:
    caller = await stage.call(script + "~0~0~0", tree=with_node(function))
    assert isinstance(caller.gone, ToQueue | HangUp) or caller.hung_up


@pytest.mark.parametrize("where", ["", "1", "11", "12", "13", "14", "17", "171", "161"])
async def test_zero_is_a_person_anywhere(stage: Stage, where: str) -> None:
    caller = await stage.call(where + "0" + "~")
    assert isinstance(caller.gone, ToQueue)


@pytest.mark.parametrize("wrong", ["~~~", "###", "~#~"])
async def test_three_wrong_or_silent_answers_are_a_person(stage: Stage, wrong: str) -> None:
    caller = await stage.call("1" + wrong)
    assert isinstance(caller.gone, ToQueue)
    assert caller.heard[-2] == built_in("agent_now", "en")


async def test_star_goes_back_one_menu_at_a_time(stage: Stage) -> None:
    caller = await stage.call("14" + "*" + "41" + "**" + "!")
    menus = [heard[:22] for heard in caller.heard if "press 1. For" in heard][1:]
    mall, main = "For our opening hours,", "For your points, press"
    assert [one[:22] for one in menus] == [mall, main, mall, mall, main, main]


async def test_star_within_a_question_leads_to_its_menu(stage: Stage) -> None:
    caller = await stage.call("11*!")
    assert caller.heard[-1].startswith("For your points, press 1.")


async def test_who_goes_round_for_ever_is_helped(stage: Stage) -> None:
    caller = await stage.call("1" + "*" * (MOST_NODES_VISITED + 10))
    assert isinstance(caller.gone, ToQueue)


async def test_a_message_node_and_a_good_bye_of_ones_own(stage: Stage) -> None:
    data = trees.write(MAIN)
    data["start"] = "end"
    data["nodes"].append({"id": "end", "kind": "hang_up", "texts": {"en": "See you!"}})
    caller = await stage.call("", tree=trees.read(data))
    assert caller.heard == ["See you!"]
    assert caller.gone == HangUp()
    silent = {**data, "nodes": [{"id": "end", "kind": "hang_up"}]}
    caller = await stage.call("", tree=trees.read(silent))
    assert caller.heard == ["Thank you for calling. Goodbye."]


async def test_a_menu_without_words_of_its_own_begins_with_its_choices(stage: Stage) -> None:
    data = trees.write(MAIN)
    data["nodes"] = [
        node | ({"texts": {"en": " ", "zh": ""}} if node["id"] in ("main", "welcome") else {})
        for node in data["nodes"]
    ]
    caller = await stage.call("10", tree=trees.read(data))
    assert caller.heard[-3].startswith("For your points, press 1.")
    assert isinstance(caller.gone, ToQueue)


async def test_own_words_come_before_ours(stage: Stage) -> None:
    data = trees.write(MAIN)
    data["texts"] = {"orders_unknown": {"en": "No such order, dear."}}
    number = SHIPPED[:-2]
    other = next(
        digits + check_digit(digits)
        for digits in (f"{int(number[:8]) + step:09d}" for step in range(5, 50))
    )
    caller = await stage.call("12" + other, tree=trees.read(data))
    assert "No such order, dear." in caller.heard


# ---- what fails ----------------------------------------------------------------------------------


async def test_a_store_that_is_away_costs_the_answer_not_the_caller(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.database.close()
    path = stage.folder / "deskbell.db"
    path.rename(stage.folder / "away.db")
    with caplog.at_level(logging.CRITICAL):
        for script in (f"11{ANAS_CARD}#", f"12{SHIPPED}", "131001#", "141", "142", "15s1", "1711"):
            caller = await stage.call(script)
            assert built_in("trouble", "en") in caller.heard, script
            assert isinstance(caller.gone, ToQueue), script
            assert caller.gone.queue == "service"


async def test_without_the_store_zero_is_still_a_person(stage: Stage) -> None:
    await stage.database.close()
    (stage.folder / "deskbell.db").rename(stage.folder / "away.db")
    caller = await stage.call("20")
    assert isinstance(caller.gone, ToQueue)
    assert caller.gone.queue == "service_zh"


async def test_a_store_that_is_locked_keeps_nobody_long(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr.menus.back_office.LOOK_UP_SECONDS", 0.05)
    async with stage.database.transaction() as transaction:
        await transaction.session.execute(text("UPDATE guesses SET attempts = attempts"))
        caller = await asyncio.wait_for(stage.call(f"12{SHIPPED}"), 30)
    assert built_in("trouble", "en") in caller.heard
    assert isinstance(caller.gone, ToQueue)


async def test_a_fault_of_ours_is_logged_and_costs_the_answer_only(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    data = trees.write(MAIN)
    data["nodes"] = [
        node | {"to": "nowhere"} if node["id"] == "welcome" else node for node in data["nodes"]
    ]
    caller = await stage.call("1", tree=trees.read(data))
    assert isinstance(caller.gone, ToQueue)
    assert "has no node nowhere" in caplog.text


# ---- whatever is keyed ---------------------------------------------------------------------------

keys = st.text(alphabet="0123456789*#~sS", max_size=40)


@settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(script=keys)
@example(script="1" + "14" * 20)
@example(script="15s2s2s2s")
@example(script="172" + "9" * 40)
@example(script="18~~~~~~~~~~~~")
async def test_any_keys_end_somewhere_sane(stage: Stage, script: str) -> None:
    caller = await stage.call(script)
    ended = caller.gone is not None or caller.hung_up
    assert ended
    assert not isinstance(caller.gone, ToMessage)
    assert caller.events < 1_000
    # From wherever that was, a person or a good-bye is a 0 away.
    helped = await stage.call(script + "0~0~0~0~0~0")
    assert isinstance(helped.gone, ToQueue | HangUp) or "S" in script


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=keys)
async def test_hanging_up_at_any_step_leaves_no_open_transaction(stage: Stage, script: str) -> None:
    await stage.call(script + "!")
    async with asyncio.timeout(10), stage.database.transaction() as transaction:
        await transaction.session.execute(text("UPDATE guesses SET attempts = 0"))
