"""A conversation: what the menus speak with a caller with.

Owns asking: what is said again after a wrong or missing answer, after how many of them somebody
else takes over, what 0, * and # mean everywhere, and the trail of what was heard and keyed. Refuses
to know what is asked, and how sound reaches the caller.

The keys that mean the same everywhere end a question by an exception, so that a menu reads like
the conversation: 0 raises WantsAgent, * raises GoBack, too many mistakes TooManyMistakes.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from ivr.conversation.line import ALL_KEYS, Destination, Line, RecordedSound, Spoken
from ivr.prompts import PROMPTS, Prompts, pieces

if TYPE_CHECKING:
    from crm_store.people.customers import CustomerCard
    from crm_store.shop.house import House

MOST_MISTAKES: Final = 3
"""Wrong or missing answers to one question before somebody else takes over."""

ANSWER_SECONDS: Final = 6.0
"""How long a caller may think after a question."""

NEXT_DIGIT_SECONDS: Final = 4.0
"""How long a caller may take from one digit to the next."""

HIDDEN: Final = "•"
"""Stands in the trail for each digit that nobody may read."""


class LeavesMenu(Exception):
    """The caller is done with what the menu asks."""


class WantsAgent(LeavesMenu):
    """The caller has pressed 0."""


class TooManyMistakes(LeavesMenu):
    """The caller has given no fitting answer in MOST_MISTAKES tries."""


class GoBack(Exception):
    """The caller has pressed * instead of an answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """The call that the conversation is on.

    `number` is the caller's in E.164, "" if withheld; `dialled` what they have called. `linkedid`
    is Asterisk's name of the call, `channel` of the caller's channel.
    """

    pbx: str
    linkedid: str
    channel: str
    number: str = ""
    dialled: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A prompt by its code, with values for its placeholders. `count` chooses between its forms
    for one and for many. `language` is the conversation's unless it is given."""

    code: str
    values: Mapping[str, object] = field(default_factory=dict)
    count: float | None = None
    language: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What was heard or keyed, one of both, at the menu's `place`.

    `heard` stands there as soon as it is being said: the caller may have cut it short.
    """

    at: datetime
    place: str
    language: str
    heard: str = ""
    keyed: str = ""


Speak = Callable[[object, str], Spoken]
"""How a value is said in a language: ivr.speech.spoken's."""

Asked = str | Sentence
Check = Callable[[str], bool] | Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Choice:
    """A label and the key that is pressed for it."""

    label: Sentence
    key: str


_Question = Sequence[Sentence | _Choice]


class Conversation:
    """One caller, spoken with over `line`.

    `place` is where in the menu it is, set by who asks; each step of the trail carries it. `report`
    is called with each step at once. `customer` may become known on the way, and `language` may be
    changed at any time.
    """

    def __init__(
        self,
        line: Line,
        *,
        call: Call,
        prompts: Prompts,
        speak: Speak,
        house: House,
        clock: Callable[[], datetime],
        language: str = "en",
        customer: CustomerCard | None = None,
        report: Callable[[Step], None] = lambda step: None,
    ) -> None:
        self.call = call
        self.language = language
        self.number = call.number
        self.customer = customer
        self.house = house
        self.place = ""
        self.trail: list[Step] = []
        self.left_to: Destination | None = None
        self._line = line
        self._prompts = prompts
        self._speak = speak
        self._clock = clock
        self._report = report
        self._ahead = ""
        self._hash_may_follow = False

    def now(self) -> datetime:
        return self._clock()

    async def say(self, asked: Asked, /, **values: object) -> None:
        """Say a prompt. Any key cuts it short, and counts for the next question.

        Raises WantsAgent, GoBack, CallerHungUp.
        """
        await self.say_all([_sentence(asked, values)])

    async def say_all(self, sentences: Sequence[Asked]) -> None:
        """Say several prompts in one go: a key cuts all of them short."""
        if not self._ahead:
            key = await self._play(_sentences(sentences))
            self._heed(key)
            self._ahead = key.replace("#", "")

    async def insist(self, asked: Asked, /, **values: object) -> None:
        """Say a prompt that no key cuts short; keys pressed meanwhile count for nothing."""
        self._forget_keys()
        await self._play([_sentence(asked, values)], stop_keys="")

    async def ask_key(
        self,
        asked: Asked | Sequence[Asked],
        keys: str,
        /,
        *,
        seconds: float = ANSWER_SECONDS,
        **values: object,
    ) -> str:
        """One of `keys`. 0 and * mean what they mean everywhere, unless they are among `keys`.

        Raises WantsAgent, GoBack, TooManyMistakes, CallerHungUp.
        """
        return await self._one_of(_question(asked, values), keys, seconds)

    async def choose(
        self,
        choices: Mapping[str, Asked],
        /,
        *,
        first: Sequence[Asked] = (),
        last: Sequence[Asked] = (),
        seconds: float = ANSWER_SECONDS,
    ) -> str:
        """The key of one of `choices` (key: label), each said as "label, press key".

        `first` and `last` are said around them. Raises as ask_key.
        """
        labels = [_Choice(_sentence(label, {}), key) for key, label in choices.items()]
        question: list[Sentence | _Choice] = [*_sentences(first), *labels, *_sentences(last)]
        return await self._one_of(question, "".join(choices), seconds)

    async def ask_digits(
        self,
        asked: Asked | Sequence[Asked],
        /,
        *,
        least: int,
        most: int,
        secret: bool = False,
        check: Check | None = None,
        wrong: Asked = "not_a_choice",
        seconds: float = ANSWER_SECONDS,
        **values: object,
    ) -> str:
        """`least` to `most` digits, ended by #, by silence or by being `most`.

        * takes the digits back; before the first one it raises GoBack. A lone 0, ended by silence
        or #, raises WantsAgent unless one digit is an answer. Digits that `check` refuses are a
        mistake, to which `wrong` is said. Those of a `secret` are in the trail as dots.
        Raises WantsAgent, GoBack, TooManyMistakes, CallerHungUp.
        """
        question = _question(asked, values)
        for mistakes in range(1, MOST_MISTAKES + 1):
            digits = await self._digits(question, most, seconds)
            if digits:
                self._note(keyed=HIDDEN * len(digits) if secret else digits)
            if digits == "0" and least > 1:
                raise WantsAgent
            if len(digits) >= least and await _holds(check, digits):
                return digits
            if mistakes < MOST_MISTAKES:
                await self.say(wrong if digits else "nothing_keyed")
        raise TooManyMistakes

    async def record(
        self,
        asked: Asked,
        /,
        *,
        longest_seconds: int = 180,
        end_keys: str = "#",
        **values: object,
    ) -> RecordedSound | None:
        """What the caller says after the prompt and a tone; None if nothing was said.

        A caller who ends it by hanging up is heard too: `hung_up` is True then.
        Raises WantsAgent, GoBack, CallerHungUp.
        """
        await self.say(asked, **values)
        self._forget_keys()
        name = f"{self.now():%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"
        return await self._line.record(name, longest_seconds=longest_seconds, end_keys=end_keys)

    async def leave(self, to: Destination) -> None:
        """End our part of the call, which goes on `to` in the caller's language."""
        await self._line.leave(to, self.language)
        self.left_to = to

    async def _one_of(self, question: _Question, keys: str, seconds: float) -> str:
        for mistakes in range(1, MOST_MISTAKES + 1):
            key = await self._first_key(question, seconds)
            if not key or key not in keys:
                self._heed(key)
            if key:
                self._note(keyed=key)
            if key and key in keys:
                return key
            if mistakes < MOST_MISTAKES:
                await self.say("not_a_choice" if key else "nothing_keyed")
        raise TooManyMistakes

    async def _digits(self, question: _Question, most: int, seconds: float) -> str:
        """What was keyed in answer, without the key that ended it."""
        digits, key = "", await self._first_key(question, seconds)
        while key not in ("", "#"):
            if key == "*" and not digits:
                self._heed(key)
            digits = "" if key == "*" else digits + key
            if len(digits) == most:
                self._hash_may_follow = True
                break
            key = await self._key(NEXT_DIGIT_SECONDS if digits else seconds)
        return digits

    async def _first_key(self, question: _Question, seconds: float) -> str:
        key, self._ahead = self._ahead, ""
        return key or await self._play(question) or await self._key(seconds)

    async def _play(self, question: _Question, stop_keys: str = ALL_KEYS) -> str:
        sounds = [sound for asked in question for sound in self._parts(asked)]
        if not (self._line.keys_ahead and stop_keys):
            self._note(heard=" ".join(self._shown(asked) for asked in question))
        key = await self._line.play(_worth_saying(sounds), stop_keys)
        if key == "#" and self._hash_may_follow:
            self._hash_may_follow = False
            key = await self._line.play(_worth_saying(sounds), stop_keys)
        self._hash_may_follow = self._hash_may_follow and not key
        return key

    async def _key(self, seconds: float) -> str:
        key = await self._line.key(seconds)
        if key == "#" and self._hash_may_follow:
            key = await self._line.key(seconds)
        self._hash_may_follow = False
        return key

    def _heed(self, key: str) -> None:
        """What 0 and * mean where they are no answer."""
        if key in ("0", "*"):
            self._note(keyed=key)
            raise WantsAgent if key == "0" else GoBack

    def _forget_keys(self) -> None:
        self._ahead = ""
        self._hash_may_follow = False

    def _parts(self, asked: Sentence | _Choice) -> list[Spoken]:
        """The sentence as it is said: fixed parts, and values as the language says them."""
        sentence, text, language = self._text(asked)
        cut = pieces(text)
        whole = sentence.code if len(cut) == 1 and not isinstance(asked, _Choice) else ""
        return [
            self._speak(sentence.values[piece.text], language)
            if piece.is_value
            else Spoken(piece.text.strip(), language, fixed=True, prompt=whole)
            for piece in cut
        ]

    def _shown(self, asked: Sentence | _Choice) -> str:
        """The sentence as a screen shows it."""
        sentence, text, language = self._text(asked)
        return "".join(
            self._speak(sentence.values[piece.text], language).as_shown
            if piece.is_value
            else piece.text
            for piece in pieces(text)
        )

    def _text(self, asked: Sentence | _Choice) -> tuple[Sentence, str, str]:
        sentence = asked.label if isinstance(asked, _Choice) else asked
        language = sentence.language or self.language
        text = self._prompts.text(sentence.code, language, _count(sentence))
        if isinstance(asked, _Choice):
            text = self._prompts.choice(text, asked.key, language)
        return sentence, text, language

    def _note(self, *, heard: str = "", keyed: str = "") -> None:
        step = Step(self.now(), self.place, self.language, heard, keyed)
        self.trail.append(step)
        self._report(step)


def _sentence(asked: Asked, values: Mapping[str, object]) -> Sentence:
    return Sentence(asked, values) if isinstance(asked, str) else asked


def _sentences(asked: Sequence[Asked]) -> list[Sentence]:
    return [_sentence(one, {}) for one in asked]


def _question(asked: Asked | Sequence[Asked], values: Mapping[str, object]) -> list[Sentence]:
    several = [asked] if isinstance(asked, str | Sentence) else asked
    return [_sentence(one, values) for one in several]


def _count(sentence: Sentence) -> float | None:
    """What decides between one and many: said by the caller of us, or by the prompt itself."""
    prompt = PROMPTS.get(sentence.code)
    if sentence.count is not None or prompt is None or not prompt.counted:
        return sentence.count
    value = sentence.values.get(prompt.counted)
    return value if isinstance(value, int | float) else None


def _worth_saying(sounds: Sequence[Spoken]) -> list[Spoken]:
    """Without parts that are only punctuation, left over after a value."""
    return [sound for sound in sounds if any(letter.isalnum() for letter in sound.text)]


async def _holds(check: Check | None, digits: str) -> bool:
    if check is None:
        return True
    answer = check(digits)
    return await answer if inspect.isawaitable(answer) else answer
