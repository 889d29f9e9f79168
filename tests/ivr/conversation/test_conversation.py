"""Asking and answering: mistakes, keys ahead, 0, * and #, secrets, and the trail of it all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store.shop.house import House
from ivr.conversation.conversation import (
    Asked,
    Call,
    Conversation,
    GoBack,
    Sentence,
    Step,
    TooManyMistakes,
    WantsAgent,
)
from ivr.conversation.line import CallerHungUp, HangUp, ToQueue
from ivr.conversation.trial_line import (
    Asking,
    Gone,
    Recording,
    Saying,
    TrialEvent,
    TrialLine,
)
from ivr.menus.values import Points, speak
from ivr.prompts import Prompts

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Caller:
    """Hears all out and then keys the next letter of `keys` whenever asked: "~" is no answer, "!"
    hangs up, "s" speaks and ends with #. A letter in brackets cuts short what is being said."""

    def __init__(self, keys: str, folder: Path | None = None) -> None:
        self.keys = keys
        self.events: list[TrialEvent] = []
        self.steps: list[Step] = []
        self.line = TrialLine(self._hear, recordings=folder or Path("nowhere"))
        self.talk = Conversation(
            self.line,
            call=Call("main", "1795312335.0", "PJSIP/trunk-00000000", "+8613800138000", "610"),
            prompts=Prompts(),
            speak=speak,
            house=House(),
            clock=lambda: NOW,
            report=self.steps.append,
        )

    @property
    def heard(self) -> list[str]:
        return [step.heard for step in self.steps if step.heard]

    @property
    def keyed(self) -> list[str]:
        return [step.keyed for step in self.steps if step.keyed]

    def _hear(self, event: TrialEvent) -> None:
        self.events.append(event)
        match event:
            case Saying(number=number):
                if self.keys.startswith("("):
                    self.line.press(self.keys[1])
                    self.keys = self.keys[3:]
                else:
                    self.line.heard(number)
            case Asking() | Recording():
                key, self.keys = self.keys[:1], self.keys[1:]
                if key in ("", "!"):
                    self.line.hang_up()
                elif key == "~":
                    self.line.no_answer()
                else:
                    self.line.press("#" if key == "s" else key)
            case Gone():
                pass


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)


async def answered(caller: Caller, talk: Callable[[Conversation], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(10):
        return await talk(caller.talk)


async def ask(caller: Caller, keys: str = "12") -> str:
    return str(await answered(caller, lambda talk: talk.ask_key("star_to_go_back", keys)))


async def ask_digits(caller: Caller, **what: Any) -> str:
    what = {"least": 4, "most": 8, **what}
    return str(await answered(caller, lambda talk: talk.ask_digits("products_ask", **what)))


QUESTION = "To go back, press the star key."
WRONG = "Sorry, that is not one of the choices."
SILENT = "Sorry, I have not heard anything."


async def test_a_key_answers_and_both_are_in_the_trail() -> None:
    caller = Caller("2")
    caller.talk.place = "points"
    assert await ask(caller) == "2"
    assert caller.talk.trail == [
        Step(NOW, "points", "en", heard=QUESTION),
        Step(NOW, "points", "en", keyed="2"),
    ]
    assert caller.steps == caller.talk.trail


async def test_a_key_may_come_while_the_question_is_asked() -> None:
    caller = Caller("(1)")
    assert await ask(caller) == "1"
    assert not [event for event in caller.events if isinstance(event, Asking)]


@pytest.mark.parametrize(
    ("keys", "answer", "said"),
    [
        ("91", "1", [QUESTION, WRONG, QUESTION]),
        ("~1", "1", [QUESTION, SILENT, QUESTION]),
        ("9#2", "2", [QUESTION, WRONG, QUESTION, WRONG, QUESTION]),
        ("9(1)", "1", [QUESTION, WRONG]),
    ],
)
async def test_a_mistake_is_told_and_the_question_asked_again(
    keys: str, answer: str, said: list[str]
) -> None:
    caller = Caller(keys)
    assert await ask(caller) == answer
    assert caller.heard == said


@pytest.mark.parametrize("keys", ["999", "~~~", "9~#"])
async def test_after_three_mistakes_somebody_else_takes_over(keys: str) -> None:
    caller = Caller(keys)
    with pytest.raises(TooManyMistakes):
        await ask(caller)
    assert len(caller.heard) == 5


async def test_zero_and_star_mean_the_same_everywhere() -> None:
    for keys, means in (("0", WantsAgent), ("*", GoBack), ("(0)", WantsAgent), ("(*)", GoBack)):
        caller = Caller(keys)
        with pytest.raises(means):
            await ask(caller)
        assert caller.keyed == [keys.strip("()")]
    for keys, means in (("(0)", WantsAgent), ("(*)", GoBack)):
        with pytest.raises(means):
            await answered(Caller(keys), lambda talk: talk.say("goodbye"))


async def test_zero_and_star_may_be_answers() -> None:
    assert await ask(Caller("0"), "0*") == "0"
    assert await ask(Caller("*"), "0*") == "*"


async def test_a_key_cuts_what_is_said_and_counts_for_the_next_question() -> None:
    caller = Caller("(2)")

    async def talk(talk: Conversation) -> str:
        await talk.say("points_none")
        await talk.say("goodbye")
        return await talk.ask_key("star_to_go_back", "12")

    assert await answered(caller, talk) == "2"
    assert caller.heard == ["There are no points on this card."]


async def test_a_hash_only_cuts_what_is_said() -> None:
    caller = Caller("(#)1")

    async def talk(talk: Conversation) -> str:
        await talk.say("points_none")
        return await talk.ask_key("star_to_go_back", "12")

    assert await answered(caller, talk) == "1"


async def test_what_is_insisted_on_is_not_cut_and_keys_before_it_do_not_count() -> None:
    caller = Caller("(2)(1)1")

    async def talk(talk: Conversation) -> str:
        await talk.say("points_none")
        await talk.insist("too_many_attempts")
        return await talk.ask_key("star_to_go_back", "12")

    asking = asyncio.ensure_future(answered(caller, talk))
    await until(lambda: len(caller.events) == 2)
    said = caller.events[1]
    assert isinstance(said, Saying)
    assert said.stop_keys == ""
    caller.line.heard(said.number)
    assert await asking == "1"


async def test_choices_name_their_keys() -> None:
    caller = Caller("2")
    choices: dict[str, Asked] = {
        "1": Sentence("points_another_card"),
        "2": "orders_another",
    }
    key = await answered(
        caller, lambda talk: talk.choose(choices, last=["zero_for_agent", "star_to_go_back"])
    )
    assert key == "2"
    (heard,) = caller.heard
    assert heard == (
        "For another card, press 1. For another order, press 2. "
        "For a colleague, press 0 at any time. To go back, press the star key."
    )


@pytest.mark.parametrize(
    ("keys", "digits"),
    [
        ("1234#", "1234"),
        ("1234~", "1234"),
        ("12345678", "12345678"),
        ("99*1234#", "1234"),
        ("(1)234#", "1234"),
        ("12#1234#", "1234"),
        ("~1234#", "1234"),
        ("#1234#", "1234"),
        ("01234#", "01234"),
    ],
)
async def test_digits_end_with_hash_silence_or_the_last_one(keys: str, digits: str) -> None:
    assert await ask_digits(Caller(keys)) == digits


async def test_a_hash_behind_the_last_digit_does_not_cut_what_comes_next() -> None:
    caller = Caller("12345678(#)1")

    async def talk(talk: Conversation) -> str:
        await talk.ask_digits("products_ask", least=4, most=8)
        await talk.say("points_none")
        return await talk.ask_key("star_to_go_back", "#1")

    assert await answered(caller, talk) == "1"
    assert caller.keyed == ["12345678", "1"]


@pytest.mark.parametrize(("keys", "means"), [("*", GoBack), ("0#", WantsAgent), ("0~", WantsAgent)])
async def test_zero_alone_is_an_agent_and_star_alone_goes_back(
    keys: str, means: type[Exception]
) -> None:
    with pytest.raises(means):
        await ask_digits(Caller(keys))


async def test_zero_is_a_digit_where_one_digit_is_an_answer() -> None:
    assert await ask_digits(Caller("0"), least=1, most=1) == "0"


async def test_digits_that_do_not_hold_are_a_mistake() -> None:
    async def holds(digits: str) -> bool:
        return digits == "4321"

    for check in (holds, lambda digits: digits == "4321"):
        caller = Caller("1234#4321#")
        digits = await ask_digits(caller, check=check, wrong="orders_number_wrong")
        assert digits == "4321"
        assert caller.heard[1].startswith("These digits do not make up an order number.")
    with pytest.raises(TooManyMistakes):
        await ask_digits(Caller("1234#1234#1234#"), check=holds)


@given(st.from_regex(r"\A[1-9]{4,7}\Z"))
async def test_secret_digits_are_nowhere_in_the_trail(digits: str) -> None:
    caller = Caller(digits + "#")
    assert await ask_digits(caller, secret=True) == digits
    assert caller.keyed == ["•" * len(digits)]
    assert digits not in repr(caller.steps)


async def test_values_are_said_as_words_and_shown_as_written() -> None:
    caller = Caller("")
    await answered(caller, lambda talk: talk.say("points_balance", points=Points(1_234_550)))
    assert caller.heard == ["You have 12,345.50 points."]
    (saying,) = caller.events
    assert isinstance(saying, Saying)
    assert [(sound.text, sound.fixed) for sound in saying.sounds] == [
        ("You have", True),
        ("twelve thousand three hundred and forty-five point five", False),
        ("points.", True),
    ]


async def test_a_language_may_change_in_the_middle() -> None:
    caller = Caller("11")
    await ask(caller)
    caller.talk.language = "es"
    await ask(caller)
    assert [step.language for step in caller.steps] == ["en", "en", "es", "es"]
    assert caller.heard[1] != caller.heard[0]


async def test_a_recording_is_asked_for_by_a_prompt(tmp_path: Path) -> None:
    caller = Caller("s", tmp_path)
    sound = await answered(caller, lambda talk: talk.record("message_speak"))
    assert sound.file.parent == tmp_path
    assert sound.seconds == 1.0
    assert [type(event) for event in caller.events] == [Saying, Recording]
    assert await answered(Caller("~"), lambda talk: talk.record("message_speak")) is None


async def test_the_call_goes_on_in_the_caller_s_language() -> None:
    caller = Caller("")
    caller.talk.language = "zh"
    await answered(caller, lambda talk: talk.leave(ToQueue("service", 2_000_000_000)))
    assert caller.events == [Gone(ToQueue("service", 2_000_000_000), "zh")]
    with pytest.raises(RuntimeError):
        await answered(caller, lambda talk: talk.say("goodbye"))


@pytest.mark.parametrize("keys", ["!", "1!", "9!", "12!"])
async def test_a_hang_up_ends_any_question(keys: str) -> None:
    with pytest.raises(CallerHungUp):
        await ask_digits(Caller(keys))
    with pytest.raises(CallerHungUp):
        await answered(Caller("!"), lambda talk: talk.record("message_speak"))


@pytest.mark.parametrize("queue", ["", "a,b", "service)", "x\ny", "${X}", "q" * 81])
def test_a_call_goes_nowhere_that_is_no_name(queue: str) -> None:
    with pytest.raises(ValueError, match="cannot be where a call goes"):
        ToQueue(queue, 1)


def test_what_the_page_may_not_press_is_refused() -> None:
    line = TrialLine(lambda event: None, recordings=Path("nowhere"))
    for key in ("", "a", "12", "A"):
        with pytest.raises(ValueError, match="no key"):
            line.press(key)
    line.press("1")
    assert line.keys_ahead == "1"


async def test_keys_pressed_ahead_are_given_in_order_and_dropped_where_none_counts() -> None:
    shown: list[TrialEvent] = []
    line = TrialLine(shown.append, recordings=Path("nowhere"))
    for key in "9135":
        line.press(key)
    assert await line.play([], "123") == "1"
    assert await line.key(1) == "3"
    assert not shown
    playing = asyncio.ensure_future(line.play([], "123"))
    await until(lambda: bool(shown))
    assert line.keys_ahead == ""
    line.heard(1)
    assert await playing == ""
    await line.leave(HangUp(), "en")
