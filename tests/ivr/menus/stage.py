"""A caller without a telephone: keys by a script, on the trial line, and what they were told.

A script is one text: digits, * and # are keys, each pressed when it is asked for; "~" is silence,
"s" speaks after the tone, "!" hangs up. At its end the caller hangs up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from crm_store.bus import Bus
from crm_store.database import Database
from crm_store.people import customers
from crm_store.people.cards import check_digit
from crm_store.people.customers import CustomerCard
from crm_store.sample import phone_menu
from crm_store.sample import shop as sample_shop
from crm_store.shop import house
from crm_store.shop.house import House
from crm_store.signals import Signal
from ivr.conversation.conversation import Call, Conversation, Step
from ivr.conversation.line import CallerHungUp, Destination, RecordedSound
from ivr.conversation.trial_line import (
    Asking,
    Gone,
    Recording,
    Saying,
    TrialEvent,
    TrialLine,
)
from ivr.menus import tree as trees
from ivr.menus.back_office import BackOffice
from ivr.menus.tree import Tree
from ivr.menus.values import speak
from ivr.menus.walk import Walk
from ivr.prompts import Prompts
from ivr.queue_watch import QueueWatch

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
"""A Friday, 12:00 in Shanghai: the house is open."""

NIGHT = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
"""Saturday 01:00 in Shanghai: it is closed."""

STRANGER = "+8613912345678"
ANA = "+8613711112222"
"""A member's own number."""
ANAS_CARD = "770010000001234" + check_digit("770010000001234")
ANAS_PIN = "4071"
SHIPPED = sample_shop.SHIPPED_YESTERDAY.number
"""The newest order of 王芳, shipped on the day before."""
MAIN: Tree = trees.read(phone_menu.TREE)
LANGUAGE_KEYS = {"en": "1", "zh": "2", "es": "3", "fa": "4"}
MOST_EVENTS = 2_000


class LineWithVoice(TrialLine):
    """A trial line whose caller may hang up at the end of what they say."""

    hangs_up_speaking = False

    async def record(
        self, name: str, *, longest_seconds: int, end_keys: str
    ) -> RecordedSound | None:
        sound = await super().record(name, longest_seconds=longest_seconds, end_keys=end_keys)
        if sound is not None and self.hangs_up_speaking:
            self.hang_up()
            return RecordedSound(sound.file, sound.seconds, hung_up=True)
        return sound


@dataclass
class Caller:
    """What one caller heard, word by word, and where their call went."""

    heard: list[str] = field(default_factory=list)
    """What was said, as words: a sentence's parts are joined by spaces."""
    gone: Destination | None = None
    hung_up: bool = False
    steps: list[Step] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    talk: Conversation | None = None
    events: int = 0

    @property
    def shown(self) -> list[str]:
        """What was said, as a screen shows it."""
        return [step.heard for step in self.steps if step.heard]

    @property
    def keyed(self) -> list[str]:
        return [step.keyed for step in self.steps if step.keyed]


@dataclass
class Stage:
    """The sample mall by its telephone."""

    database: Database
    folder: Path
    house: House
    bus: Bus = field(default_factory=Bus)
    now: datetime = NOON
    watch: QueueWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = QueueWatch(self.bus, clock=self._clock)

    def _clock(self) -> float:
        return self.now.timestamp()

    async def known(self, number: str) -> CustomerCard | None:
        found = await customers.find_by_phone(self.database, number)
        return found[0] if len(found) == 1 else None

    def office(self, caller: Caller, *, is_trial: bool = False) -> BackOffice:
        return BackOffice(
            database=self.database,
            region="CN",
            watch=self.watch,
            recordings=self.folder,
            publish=caller.signals.append,
            is_trial=is_trial,
        )

    async def call(
        self,
        script: str,
        *,
        number: str = STRANGER,
        customer: CustomerCard | None = None,
        tree: Tree = MAIN,
        run: Callable[[Conversation, BackOffice], object] | None = None,
        language: str = "en",
        linkedid: str = "1.1",
        is_trial: bool = False,
    ) -> Caller:
        """One call with these keys, through `tree` or the conversation that `run` is."""
        caller = Caller()
        rest = list(script)

        def show(event: TrialEvent) -> None:
            caller.events += 1
            assert caller.events < MOST_EVENTS, "the call does not end"
            match event:
                case Saying():
                    caller.heard.append(" ".join(sound.text for sound in event.sounds))
                    line.heard(event.number)
                case Asking():
                    key = rest.pop(0) if rest else "!"
                    if key == "!":
                        line.hang_up()
                    elif key in "~s":
                        line.no_answer()
                    else:
                        line.press(key)
                case Recording():
                    key = rest.pop(0) if rest else "!"
                    if key == "!":
                        line.hang_up()
                    elif key == "S":
                        line.hangs_up_speaking = True
                        line.press("#")
                    elif key == "s":
                        line.press("#")
                    else:
                        line.no_answer()
                case Gone():
                    caller.gone = event.to

        line = LineWithVoice(show, recordings=self.folder)
        caller.talk = talk = Conversation(
            line,
            call=Call("pbx", linkedid, "", number),
            prompts=Prompts(trees.own_texts("main", tree)),
            speak=speak,
            house=self.house,
            clock=lambda: self.now,
            language=language,
            customer=customer,
            report=caller.steps.append,
        )
        office = self.office(caller, is_trial=is_trial)
        try:
            async with asyncio.timeout(60):
                if run is None:
                    await Walk(talk, office, "main", tree).run()
                else:
                    await run(talk, office)  # type: ignore[misc]
        except CallerHungUp:
            caller.hung_up = True
        if run is None:
            assert (caller.gone is None) == caller.hung_up, "a call ends in one way"
        return caller


async def stage_of(database: Database, folder: Path) -> Stage:
    return Stage(database, folder, await house.read(database))
