"""Points by card number: how many there are, what they are worth, what expires soon.

Owns the proof that the house asks for. A card that there is none of, somebody else's and a wrong
PIN sound alike wherever there is a proof, so that nobody learns by trying which cards there are.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from crm_store.people import cards, points
from crm_store.people.cards import CardAccount
from crm_store.phone_menus.guesses import GuessKind
from crm_store.shop.house import CardProof
from ivr.conversation.conversation import (
    MOST_MISTAKES,
    Conversation,
    Sentence,
    TooManyMistakes,
    WantsAgent,
)
from ivr.menus.back_office import BackOffice, local
from ivr.menus.values import Digits, Money, OnDay, Points

MOST_EXPIRING: Final = 3
"""So many days on which points expire are told."""

SHOWN_DIGITS: Final = 4


async def tell_points(talk: Conversation, office: BackOffice) -> None:
    """Ask for the card and for proof, and tell its points."""
    account = await _own_card(talk, office) or await _keyed_card(talk, office)
    house, today = talk.house, local(talk).date()
    if account.points_hundredths <= 0:
        await talk.say("points_none")
        return
    told = [_points("points_balance", account.points_hundredths)]
    worth = house.worth_minor(account.points_hundredths)
    if worth > 0:
        told.append(Sentence("points_worth", {"money": Money(worth, house.currency)}))
    soon = await office.look_up(
        points.expiring(
            office.database,
            account.card_id,
            house.points_valid_months,
            today + timedelta(days=house.points_expiry_notice_days + 1),
            zone=house.zone,
        )
    )
    told += [
        _points("points_expiring", left, day=OnDay(day, today))
        for day, left in soon[:MOST_EXPIRING]
        if day > today
    ]
    await talk.say_all(told)


async def _own_card(talk: Conversation, office: BackOffice) -> CardAccount | None:
    """The card of a caller whose number has told already who they are, if they want that one."""
    if talk.customer is None or not talk.customer.cards:
        return None
    account = await office.look_up(cards.account(office.database, talk.customer.cards[0].number))
    if account is None or not _number_is_proof(talk, account):
        return None
    ending = Digits(account.number[-SHOWN_DIGITS:])
    wanted = await talk.choose(
        {"1": Sentence("points_own_card", {"digits": ending}), "2": "points_another_card"}
    )
    return account if wanted == "1" else None


async def _keyed_card(talk: Conversation, office: BackOffice) -> CardAccount:
    """The card that the caller keys and proves to be theirs."""
    proof = talk.house.card_proof
    for _ in range(MOST_MISTAKES):
        number = await talk.ask_digits(
            "points_ask_card",
            least=cards.SHORTEST,
            most=cards.LONGEST,
            secret=True,
            check=lambda keyed: cards.card_number(keyed) is not None,
            wrong="points_card_wrong",
        )
        if not await office.may_try(GuessKind.CALLER_CARDS, talk.number):
            await _refuse(talk, "too_many_attempts")
        account = await office.look_up(cards.account(office.database, number))
        if account is not None and (proof is CardProof.NONE or _number_is_proof(talk, account)):
            await office.was_right((GuessKind.CALLER_CARDS, talk.number))
            if proof is not CardProof.NONE:
                await office.identified(talk, account.customer_id, "card")
            return account
        if proof is CardProof.NONE:
            await talk.say("points_card_unknown")
            continue
        if proof is CardProof.NUMBER:
            await _refuse(talk, "points_other_number")
        if await _pin_is_right(talk, office, number, account):
            assert account is not None
            await office.identified(talk, account.customer_id, "card")
            return account
        await talk.say("points_pin_wrong")
    raise TooManyMistakes


async def _pin_is_right(
    talk: Conversation, office: BackOffice, number: str, account: CardAccount | None
) -> bool:
    pin = await talk.ask_digits(
        "points_ask_pin", least=cards.SHORTEST_PIN, most=cards.LONGEST_PIN, secret=True
    )
    if not await office.may_try(GuessKind.CARD, number):
        await _refuse(talk, "too_many_attempts")
    # Asked of no card too: the answer takes as long.
    card_id = account.card_id if account is not None else -1
    right = await office.look_up(cards.verify_pin(office.database, card_id, pin))
    if right:
        await office.was_right((GuessKind.CALLER_CARDS, talk.number), (GuessKind.CARD, number))
    return right


def _number_is_proof(talk: Conversation, account: CardAccount) -> bool:
    return talk.house.card_proof is not CardProof.PIN and talk.number in account.phones


async def _refuse(talk: Conversation, code: str) -> None:
    """Say why not, and let a person see to it. Raises WantsAgent, always."""
    await talk.insist(code)
    raise WantsAgent


def _points(code: str, hundredths: int, **values: object) -> Sentence:
    return Sentence(code, {"points": Points(hundredths), **values}, count=hundredths / 100)
