"""At which number a caller wants to be called: this one or another, read back before it counts."""

from __future__ import annotations

from typing import Final

from crm_store.phone_menus.guesses import GuessKind
from ivr.conversation.conversation import (
    MOST_MISTAKES,
    Conversation,
    Sentence,
    TooManyMistakes,
    WantsAgent,
)
from ivr.menus.back_office import BackOffice
from ivr.menus.values import PhoneNumber

FEWEST_DIGITS: Final = 5
MOST_DIGITS: Final = 17
"""With the prefix for calls abroad: longer ones there are not (E.164)."""


async def ask_number(talk: Conversation, office: BackOffice) -> str:
    """The number to call, in E.164, which the house does call. Raises as Conversation's asking.

    One caller names so many others in a day and no more: whom they name has not asked for a call.
    """
    own = office.own_number(talk)
    if own is not None:
        shown = PhoneNumber(own, office.region)
        wanted = await talk.choose(
            {"1": Sentence("number_this", {"number": shown}), "2": "number_another"}
        )
        if wanted == "1":
            return own
    for _ in range(MOST_MISTAKES):
        keyed = await talk.ask_digits(
            "number_ask",
            least=FEWEST_DIGITS,
            most=MOST_DIGITS,
            check=lambda digits: office.callable_number(digits) is not None,
            wrong="number_wrong",
        )
        number = office.callable_number(keyed)
        assert number is not None
        said = {"number": PhoneNumber(number, office.region)}
        right = await talk.choose(
            {"1": "number_right", "2": "number_again"}, first=[Sentence("number_read_back", said)]
        )
        if right != "1":
            continue
        if not await office.may_try(GuessKind.CALLER_NUMBERS, talk.number):
            await talk.insist("too_many_attempts")
            raise WantsAgent
        return number
    raise TooManyMistakes
