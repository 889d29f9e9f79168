"""After the call: one to three questions of the house, by the customer's leave.

Owns the asking; whom the house may ask, and how often, is crm_store.contacts.surveys'. An answer
is kept the moment it is given.
"""

from __future__ import annotations

from crm_store.contacts import surveys
from crm_store.database import Transaction
from crm_store.shop.house import Question
from ivr.conversation.conversation import Conversation, GoBack, LeavesMenu, Sentence, WantsAgent
from ivr.conversation.line import HangUp
from ivr.menus.back_office import BackOffice
from ivr.menus.mall import house_text
from ivr.menus.to_agent import to_agent
from ivr.menus.values import Count

_KEYS = "12345"


async def ask_survey(talk: Conversation, office: BackOffice, *, queue: str, agent: str) -> None:
    """Ask for leave, then the house's questions; end the call. `agent` (login) served the caller.

    Raises CallerHungUp.
    """
    questions = [one for one in talk.house.survey if one.texts.get(talk.language, "").strip()]
    answered = False
    if questions and await _may_ask(talk, office):
        try:
            answered = await _ask(talk, office, questions, queue, agent)
        except WantsAgent:
            await to_agent(talk, office, queue)
            return
        except (LeavesMenu, GoBack):
            answered = False  # they do not want to, or not to the end
    await talk.insist("survey_thanks" if answered else "goodbye")
    await talk.leave(HangUp())


async def _may_ask(talk: Conversation, office: BackOffice) -> bool:
    customer_id = talk.customer.id if talk.customer is not None else None
    return await office.look_up(
        surveys.may_ask(office.database, customer_id, talk.number, talk.now())
    )


async def _ask(
    talk: Conversation, office: BackOffice, questions: list[Question], queue: str, agent: str
) -> bool:
    """Whether the caller has answered all."""

    async def begin(transaction: Transaction) -> int:
        return await surveys.ask(
            transaction,
            pbx=talk.call.pbx,
            linkedid=talk.call.linkedid,
            customer_id=talk.customer.id if talk.customer is not None else None,
            number=talk.number,
            queue=queue,
            agent=agent,
            language=talk.language,
            now=talk.now(),
        )

    survey_id = await office.write(begin)
    number = Count(len(questions), feminine=True)
    may_we = Sentence("survey_may_we", {"count": number}, count=len(questions))
    agreed = await talk.choose({"1": "survey_yes", "2": "survey_no"}, first=[may_we]) == "1"

    async def agree(transaction: Transaction) -> None:
        await surveys.agree(transaction, survey_id, agreed)

    await office.write(agree)
    if not agreed:
        return False
    for position, question in enumerate(questions):
        asked = [house_text(question.texts[talk.language]), Sentence("survey_scale", _scale())]
        value = int(await talk.ask_key(asked, _KEYS))
        await _keep(talk, office, survey_id, question.code, value, is_first=position == 0)
    return True


async def _keep(
    talk: Conversation, office: BackOffice, survey_id: int, code: str, value: int, *, is_first: bool
) -> None:
    async def keep(transaction: Transaction) -> None:
        await surveys.answer(
            transaction, survey_id, code, value, is_satisfaction=is_first, now=talk.now()
        )

    await office.write(keep)


def _scale() -> dict[str, object]:
    return {"least": Count(surveys.LOWEST), "most": Count(surveys.HIGHEST)}
