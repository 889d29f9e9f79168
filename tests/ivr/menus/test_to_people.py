"""To the people: the place, the wait as far as anybody knows, and what there is beside waiting."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from crm_store.contacts import callbacks, calls, queue_places, surveys
from crm_store.contacts.callbacks import NewCallback
from crm_store.models import CallState, Channel, Interaction
from crm_store.people import customers
from crm_store.signals import (
    AgentState,
    AgentStateChanged,
    CallAnswered,
    CallQueued,
    Direction,
)
from crm_store.staff import queues
from ivr.conversation.conversation import Conversation
from ivr.conversation.line import HangUp, ToQueue
from ivr.menus.back_office import BackOffice
from ivr.menus.survey import ask_survey
from ivr.menus.waiting import wait_or_not
from tests.ivr.menus.stage import ANA, NOON, STRANGER, Caller, Stage

pytestmark = pytest.mark.db

AT = NOON.timestamp()
MAY_WE = (
    "May we ask you 2 short questions about this call? "
    "If you like, press 1. If you would rather not, press 2."
)


def agent(
    stage: Stage, login: str, state: AgentState, at: float = AT, queue: str = "service"
) -> None:
    stage.bus.publish(
        AgentStateChanged(
            pbx="pbx", at=at, agent=login, endpoint="PJSIP/1003", state=state, queues=(queue,)
        )
    )


def waits(stage: Stage, call: str, at: float, queue: str = "service") -> None:
    stage.bus.publish(CallQueued(pbx="pbx", call=call, at=at, queue=queue, caller="1"))


def calls_took(stage: Stage, seconds: float) -> None:
    """Three calls of that length, lately."""
    for number in range(3):
        begun = AT - 5_000 + number * 1_000
        stage.bus.publish(
            CallAnswered(
                pbx="pbx", call=f"old{number}", at=begun, queue="service", agent="sara",
                endpoint="PJSIP/1003", caller="1",
            )
        )  # fmt: skip
        agent(stage, "sara", AgentState.ON_CALL, begun)
        agent(stage, "sara", AgentState.AVAILABLE, begun + seconds)


async def test_who_can_be_served_at_once_is_told_nothing_of_waiting(stage: Stage) -> None:
    agent(stage, "sara", AgentState.AVAILABLE)
    caller = await stage.call("10")
    assert caller.heard[-1] == "I am putting you through to a colleague. One moment, please."
    assert caller.gone == ToQueue("service", queue_places.priority(AT))


async def test_place_and_expected_wait_are_told(stage: Stage) -> None:
    calls_took(stage, 110)
    agent(stage, "sara", AgentState.ON_CALL)
    waits(stage, "7.7", AT - 60)
    caller = await stage.call("10")
    assert caller.heard[-2:] == ["You are second in the queue.", "You will wait about four minutes"]


async def test_an_unknown_wait_is_not_told(stage: Stage) -> None:
    agent(stage, "sara", AgentState.ON_CALL)
    caller = await stage.call("10")
    assert caller.heard[-1] == "You are next."
    nobody = await stage.call("40")
    assert nobody.heard[-1] == "نفر بعدی شما هستید."


async def test_members_pass_who_came_little_before_them_only(stage: Stage) -> None:
    agent(stage, "sara", AgentState.ON_CALL)
    waits(stage, "1.1", AT - 59)
    waits(stage, "1.2", AT - 61)
    ana = await stage.known(ANA)
    caller = await stage.call("0", number=ANA, customer=ana, linkedid="9.9")
    assert caller.heard[-1] == "Es usted el segundo en la cola."
    assert caller.gone == ToQueue("service", queue_places.priority(AT, 60))


async def test_callbacks_that_wait_at_home_stand_in_line(stage: Stage) -> None:
    """Whoever came later, or is to be called at an hour to come, is not ahead."""
    agent(stage, "sara", AgentState.ON_CALL)
    now = stage.now = datetime.now(UTC) + timedelta(minutes=1)
    async with stage.database.transaction() as transaction:
        for number, at, hour in (
            ("+8613900000001", now - timedelta(seconds=5), None),
            ("+8613900000002", now + timedelta(seconds=5), None),
            ("+8613900000003", now - timedelta(hours=1), now + timedelta(hours=1)),
        ):
            await callbacks.request(
                transaction, NewCallback(queue="service", number=number, arrived_at=at, at=hour)
            )
    caller = await stage.call("10")
    assert caller.heard[-1] == "You are second in the queue."


async def test_the_way_out_of_the_queue_is_named_where_there_is_one(stage: Stage) -> None:
    async with stage.database.transaction() as transaction:
        queue = await queues.find(stage.database, "service")
        assert queue is not None
        await queues.save(transaction, replace(queue, exit_key="2", exit_target="waiting_menu"))
    caller = await stage.call("30")
    assert caller.shown[-1] == (
        "Mientras espera, pulse 2 para conocer su puesto o para que le llamemos."
    )


async def served_by(stage: Stage, login: str, days_ago: int) -> customers.CustomerCard:
    ana = await stage.known(ANA)
    assert ana is not None
    async with stage.database.transaction() as transaction:
        await transaction.session.execute(
            insert(Interaction).values(
                customer_id=ana.id, channel=Channel.PHONE, direction=Direction.INBOUND,
                opened_at=NOON - timedelta(days=days_ago), agent=login, keyed=[],
            )
        )  # fmt: skip
    known = await stage.known(ANA)
    assert known is not None
    return known


async def test_the_agent_who_served_the_customer_lately_is_tried_first(stage: Stage) -> None:
    agent(stage, "sara", AgentState.AVAILABLE)
    ana = await served_by(stage, "sara", 3)
    caller = await stage.call("0", number=ANA, customer=ana)
    assert caller.gone == ToQueue("service", queue_places.priority(AT, 60), "1003", "sara")


@pytest.mark.parametrize(
    ("days_ago", "state", "queue"),
    [
        (31, AgentState.AVAILABLE, "service"),
        (3, AgentState.ON_CALL, "service"),
        (3, AgentState.AVAILABLE, "sales"),
    ],
)
async def test_an_agent_of_long_ago_or_not_free_or_elsewhere_is_not(
    stage: Stage, days_ago: int, state: AgentState, queue: str
) -> None:
    agent(stage, "sara", state, queue=queue)
    ana = await served_by(stage, "sara", days_ago)
    caller = await stage.call("0", number=ANA, customer=ana)
    assert isinstance(caller.gone, ToQueue)
    assert caller.gone.first_agent == ""


async def test_each_language_has_its_queue(stage: Stage) -> None:
    gone = [(await stage.call(key + "0")).gone for key in "1234"]
    assert [one.queue for one in gone if isinstance(one, ToQueue)] == [
        "service", "service_zh", "service", "service",
    ]  # fmt: skip


# ---- a look out of the queue ---------------------------------------------------------------------


async def look(stage: Stage, script: str, *, nobody: bool = False) -> Caller:
    place = queue_places.priority(AT - 100)

    async def run(talk: Conversation, office: BackOffice) -> None:
        await wait_or_not(talk, office, "service", place=place, calendar=None, nobody=nobody)

    return await stage.call(script, run=run)


@pytest.mark.parametrize("script", ["1", "~~~", "0", "*", "999"])
async def test_whoever_stays_has_their_place(stage: Stage, script: str) -> None:
    caller = await look(stage, script)
    assert caller.gone == ToQueue("service", queue_places.priority(AT - 100))
    assert caller.heard[-1] == "You keep your place. One moment, please."


async def test_the_place_is_kept_at_home_as_well(stage: Stage) -> None:
    caller = await look(stage, "211")
    assert caller.gone == HangUp()
    [kept] = await callbacks.waiting(stage.database)
    assert kept.priority == queue_places.priority(AT - 100)
    assert kept.number == STRANGER


@pytest.mark.parametrize("script", ["~~~s1", "0s1", "3s1"])
async def test_where_nobody_is_a_message_is_taken(stage: Stage, script: str) -> None:
    caller = await look(stage, script, nobody=True)
    assert caller.heard[0] == (
        "Nobody can take your call at the moment. "
        "To keep your place and be called back, press 2. To leave a message, press 3."
    )
    assert caller.gone == HangUp()
    assert caller.heard[-1] == "Thank you. Your message is on its way to us. Goodbye."


# ---- after the call ------------------------------------------------------------------------------


async def survey(stage: Stage, script: str, linkedid: str = "1.1", language: str = "en") -> Caller:
    async def run(talk: Conversation, office: BackOffice) -> None:
        await ask_survey(talk, office, queue="service", agent="sara")

    return await stage.call(script, run=run, linkedid=linkedid, language=language)


async def test_answers_stand_on_the_interaction(stage: Stage) -> None:
    await written_call(stage, "1.1")
    caller = await survey(stage, "142")
    assert caller.gone == HangUp()
    assert caller.shown == [
        MAY_WE,
        "How content are you with this call? Key in a digit, from 1, the worst, to 5, the best.",
        "Has your matter been settled? Key in a digit, from 1, the worst, to 5, the best.",
        "Thank you for your answer. Goodbye.",
    ]
    kept = await surveys.of_call(stage.database, "pbx", "1.1")
    assert kept is not None
    assert (kept.answers, kept.agreed, kept.agent) == ({"satisfied": 4, "settled": 2}, True, "sara")
    async with stage.database.reading() as session:
        found = await session.get(Interaction, await interaction(stage))
    assert found is not None
    assert found.satisfaction == 4


async def written_call(stage: Stage, linkedid: str) -> None:
    record = calls.CallRecord(
        pbx="pbx",
        linkedid=linkedid,
        state=CallState.LIVE,
        direction=Direction.INBOUND,
        caller=STRANGER,
        callee="610",
        started_at=NOON,
    )
    async with stage.database.transaction() as transaction:
        await calls.record_calls(transaction, [record])


async def interaction(stage: Stage) -> int:
    rows = await stage.database.fetch(
        "SELECT i.id FROM interactions i JOIN calls c ON c.id = i.call_id WHERE c.linkedid = $1",
        "1.1",
    )
    return int(rows[0][0])


@pytest.mark.parametrize("script", ["2", "~~~", "*", "", "14"])
async def test_once_in_thirty_days_whatever_was_answered(stage: Stage, script: str) -> None:
    await survey(stage, script)
    again = await survey(stage, "155", linkedid="2.2")
    assert again.heard == ["Thank you for calling. Goodbye."]
    stage.now = NOON + timedelta(days=31)
    assert len((await survey(stage, "155", linkedid="3.3")).heard) == 4


async def test_an_answer_is_kept_when_the_caller_hangs_up_after_it(stage: Stage) -> None:
    await survey(stage, "15!")
    kept = await surveys.of_call(stage.database, "pbx", "1.1")
    assert kept is not None
    assert kept.answers == {"satisfied": 5}


async def test_a_language_without_questions_is_not_asked(stage: Stage) -> None:
    stage.house = replace(stage.house, survey=())
    assert (await survey(stage, "1")).heard == ["Thank you for calling. Goodbye."]


async def test_a_person_is_there_even_in_the_survey(stage: Stage) -> None:
    caller = await survey(stage, "0")
    assert isinstance(caller.gone, ToQueue)
