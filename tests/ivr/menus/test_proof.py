"""Who may hear a card's points, and how often anybody may try: in one call and over many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crm_store.people.cards import check_digit
from crm_store.phone_menus.guesses import LIMITS, GuessKind
from crm_store.shop.house import CardProof
from crm_store.signals import CallerIdentified
from ivr.conversation.line import ToQueue
from ivr.menus.points import tell_points
from tests.ivr.menus.stage import ANA, ANAS_CARD, ANAS_PIN, STRANGER, Caller, Stage

pytestmark = pytest.mark.db

NOBODYS = "770010000009999" + check_digit("770010000009999")
ASK_CARD = "Please key in your card number, then press the hash key."
ASK_PIN = "Please key in the PIN of your card, then press the hash key."
WRONG_PIN = "Card number and PIN do not go together. Please try once more."


async def points(stage: Stage, script: str, proof: CardProof, number: str = STRANGER) -> Caller:
    stage.house = replace(stage.house, card_proof=proof)
    return await stage.call("1" + "1" + script, number=number)


def is_told(caller: Caller) -> bool:
    return any("12,345.50" in shown for shown in caller.shown)


async def test_the_registered_number_is_proof_and_tells_everybody_who_it_is(stage: Stage) -> None:
    caller = await points(stage, f"{ANAS_CARD}#", CardProof.NUMBER, ANA)
    assert is_told(caller)
    [signal] = caller.signals
    assert isinstance(signal, CallerIdentified)
    assert (signal.call, signal.by) == ("1.1", "card")
    assert caller.talk is not None
    assert caller.talk.customer is not None
    assert caller.talk.customer.id == signal.customer_id


async def test_another_number_is_sent_to_a_person(stage: Stage) -> None:
    caller = await points(stage, f"{ANAS_CARD}#", CardProof.NUMBER)
    assert not is_told(caller)
    assert not caller.signals
    assert isinstance(caller.gone, ToQueue)


async def test_the_pin_is_proof_and_stands_nowhere(stage: Stage) -> None:
    caller = await points(stage, f"{ANAS_CARD}#{ANAS_PIN}#", CardProof.PIN)
    assert is_told(caller)
    everything = repr([caller.steps, caller.signals, caller.heard])
    assert ANAS_PIN not in everything
    assert ANAS_CARD not in everything
    assert caller.keyed[2:] == ["•" * 16, "••••"]


async def test_the_number_alone_is_no_proof_where_the_house_wants_a_pin(stage: Stage) -> None:
    caller = await points(stage, f"{ANAS_CARD}#", CardProof.PIN, ANA)
    assert caller.heard[-1] == ASK_PIN


async def test_a_card_that_there_is_none_of_sounds_like_a_wrong_pin(stage: Stage) -> None:
    real = await points(stage, f"{ANAS_CARD}#9182#", CardProof.NUMBER_OR_PIN)
    none = await points(stage, f"{NOBODYS}#9182#", CardProof.NUMBER_OR_PIN)
    assert real.heard == none.heard
    assert real.heard[-2:] == [WRONG_PIN, ASK_CARD]
    by_number = [await points(stage, f"{card}#", CardProof.NUMBER) for card in (ANAS_CARD, NOBODYS)]
    assert by_number[0].heard == by_number[1].heard


async def test_a_wrong_check_digit_is_told_kindly_and_is_no_attempt(stage: Stage) -> None:
    wrong = ANAS_CARD[:-1] + str((int(ANAS_CARD[-1]) + 1) % 10)
    caller = await points(stage, f"{wrong}#{wrong}#{wrong}#", CardProof.NONE)
    told = "These digits do not make up a card number. Please look at your card and try once more."
    assert caller.heard.count(told) == 2
    assert isinstance(caller.gone, ToQueue)
    for _ in range(LIMITS[GuessKind.CALLER_CARDS].attempts):
        await points(stage, f"{wrong}#", CardProof.NONE)
    assert is_told(await points(stage, f"{ANAS_CARD}#", CardProof.NONE))


async def test_three_attempts_in_a_call(stage: Stage) -> None:
    caller = await points(stage, f"{NOBODYS}#1357#" * 3, CardProof.PIN)
    assert caller.heard.count(WRONG_PIN) == 3
    assert isinstance(caller.gone, ToQueue)


async def test_a_card_is_tried_so_often_over_all_calls_and_callers(stage: Stage) -> None:
    for attempt in range(LIMITS[GuessKind.CARD].attempts):
        number = f"+86139000000{attempt:02d}"
        caller = await points(stage, f"{ANAS_CARD}#9182#!", CardProof.PIN, number)
        assert caller.heard[-2] == WRONG_PIN
    right = await points(stage, f"{ANAS_CARD}#{ANAS_PIN}#", CardProof.PIN, "+8613900000099")
    assert not is_told(right)
    assert any("too many attempts" in heard for heard in right.heard)
    assert isinstance(right.gone, ToQueue)


async def test_a_caller_tries_so_many_cards_over_all_calls(stage: Stage) -> None:
    for _ in range(LIMITS[GuessKind.CALLER_CARDS].attempts):
        await points(stage, f"{NOBODYS}#!", CardProof.NONE)
    caller = await points(stage, f"{ANAS_CARD}#", CardProof.NONE)
    assert not is_told(caller)
    assert isinstance(caller.gone, ToQueue)
    assert is_told(await points(stage, f"{ANAS_CARD}#", CardProof.NONE, "+8613900000099"))


async def test_being_right_costs_no_attempt(stage: Stage) -> None:
    for _ in range(LIMITS[GuessKind.CALLER_CARDS].attempts + 1):
        assert is_told(await points(stage, f"{ANAS_CARD}#{ANAS_PIN}#", CardProof.PIN))


async def test_a_trial_counts_nothing(stage: Stage) -> None:
    stage.house = replace(stage.house, card_proof=CardProof.PIN)
    for _ in range(LIMITS[GuessKind.CARD].attempts + 1):
        await stage.call(f"11{ANAS_CARD}#9182#!", is_trial=True)
    assert is_told(await points(stage, f"{ANAS_CARD}#{ANAS_PIN}#", CardProof.PIN))


async def test_a_known_caller_hears_their_own_card_by_a_key(stage: Stage) -> None:
    ana = await stage.known(ANA)
    caller = await stage.call("1", number=ANA, customer=ana, run=tell_points)
    assert caller.shown[0] == (
        f"For the points on your card ending in {ANAS_CARD[-4:]}, press 1. "
        "For another card, press 2."
    )
    assert is_told(caller)
