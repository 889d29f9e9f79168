"""Surveys: what a customer thinks of a call, in one to three answers of 1 to 5.

Owns whom may be asked (each customer and number at most once in thirty days, answered or not), and
the answers. The one to the first question is the interaction's satisfaction. Knows no question's
words: they are the house's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from crm_store.database import Database, Transaction
from crm_store.facts import SurveyAnswered
from crm_store.models import Call, Interaction, Survey, SurveyAnswer

ONCE_IN = timedelta(days=30)
LOWEST, HIGHEST = 1, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyRecord:
    """A survey as it was answered: `answers` by the question's code. `agreed` is None if the
    customer said nothing."""

    id: int
    queue: str
    agent: str
    language: str
    agreed: bool | None
    asked_at: datetime
    answers: Mapping[str, int]


async def may_ask(
    database: Database, customer_id: int | None, number: str, now: datetime | None = None
) -> bool:
    """Whether neither the customer nor the number (E.164) was asked in the last thirty days.

    Who is not known at all is not asked: nobody could tell how often that was.
    """
    whose = []
    if customer_id is not None:
        whose.append(Survey.customer_id == customer_id)
    if number:
        whose.append(Survey.number == number)
    if not whose:
        return False
    since = (now or datetime.now(UTC)) - ONCE_IN
    query = select(Survey.id).where(or_(*whose), Survey.asked_at > since).limit(1)
    async with database.reading() as session:
        return await session.scalar(query) is None


async def ask(
    transaction: Transaction,
    *,
    pbx: str,
    linkedid: str,
    customer_id: int | None,
    number: str,
    queue: str,
    agent: str,
    language: str,
    now: datetime | None = None,
) -> int:
    """The customer is being asked whether they may be; the survey's id. Again it is the same."""
    session = transaction.session
    known = await session.scalar(
        select(Survey.id).where(Survey.pbx == pbx, Survey.linkedid == linkedid)
    )
    if known is not None:
        return known
    survey_id: int | None = await session.scalar(
        insert(Survey)
        .values(
            pbx=pbx,
            linkedid=linkedid,
            customer_id=customer_id,
            number=number,
            queue=queue,
            agent=agent,
            language=language,
            asked_at=now or datetime.now(UTC),
        )
        .returning(Survey.id)
    )
    assert survey_id is not None
    return survey_id


async def agree(transaction: Transaction, survey_id: int, agreed: bool) -> None:
    """The customer gives leave to be asked, or does not."""
    await transaction.session.execute(
        update(Survey).where(Survey.id == survey_id).values(agreed=agreed)
    )


async def answer(
    transaction: Transaction,
    survey_id: int,
    question: str,
    value: int,
    *,
    is_satisfaction: bool,
    now: datetime | None = None,
) -> None:
    """Keep an answer; the last one to a question counts. `is_satisfaction` says that it is the
    first question, whose answer stands on the interaction.

    Raises ValueError for what is not 1 to 5, LookupError for an unknown survey.
    """
    if not LOWEST <= value <= HIGHEST:
        raise ValueError(f"an answer is {LOWEST} to {HIGHEST}")
    session = transaction.session
    survey = await session.get(Survey, survey_id)
    if survey is None:
        raise LookupError(f"there is no survey {survey_id}")
    moment = now or datetime.now(UTC)
    make = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    await session.execute(
        make(SurveyAnswer)
        .values(survey_id=survey_id, question=question, value=value, at=moment)
        .on_conflict_do_update(
            index_elements=["survey_id", "question"], set_={"value": value, "at": moment}
        )
    )
    if is_satisfaction:
        of_call = select(Call.id).where(Call.pbx == survey.pbx, Call.linkedid == survey.linkedid)
        await session.execute(
            update(Interaction)
            .where(Interaction.call_id.in_(of_call))
            .values(satisfaction=value)
            .execution_options(synchronize_session=False)
        )
    await transaction.emit(SurveyAnswered(survey_id=survey_id, question=question, value=value))


async def of_call(database: Database, pbx: str, linkedid: str) -> SurveyRecord | None:
    """What was asked and answered after that call."""
    async with database.reading() as session:
        row = await session.scalar(
            select(Survey).where(Survey.pbx == pbx, Survey.linkedid == linkedid)
        )
        if row is None:
            return None
        answers = await session.execute(
            select(SurveyAnswer.question, SurveyAnswer.value)
            .where(SurveyAnswer.survey_id == row.id)
            .order_by(SurveyAnswer.at)
        )
        return SurveyRecord(
            id=row.id,
            queue=row.queue,
            agent=row.agent,
            language=row.language,
            agreed=row.agreed,
            asked_at=row.asked_at,
            answers={one.question: one.value for one in answers},
        )
