"""A visit: one caller's conversation, told to everybody while it goes on and kept when it is over.

Owns the pairing of what was heard with what was keyed in answer, and that a visit ends once, by
whatever way. Refuses to know what is said, and how a visit is written down.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from crm_store.phone_menus.menu_visits import MenuVisit
from crm_store.phone_menus.menu_visits import Step as VisitStep
from crm_store.signals import MenuEntered, MenuLeft, MenuStep
from ivr.conversation.conversation import Conversation, Step
from ivr.conversation.line import Destination, HangUp, ToFax, ToMessage, ToNumber, ToQueue
from ivr.menus.back_office import BackOffice


class Visit:
    """`async with visit:` is the conversation `talk` in the menu `menu`, with `office` behind it.

    `step` is the conversation's report; `begin` comes before the first of them. `keep` is called at
    the end with what is to be written.
    """

    talk: Conversation
    entered: datetime

    def __init__(
        self,
        menu: str,
        version: int | None,
        office: BackOffice,
        keep: Callable[[MenuVisit], None],
    ) -> None:
        self.office = office
        self._menu = menu
        self._version = version
        self._keep = keep
        self._steps: list[VisitStep] = []
        self._heard: Step | None = None

    def begin(self, talk: Conversation) -> None:
        self.talk = talk
        self.entered = talk.now()

    async def __aenter__(self) -> Visit:
        self._tell(MenuEntered, language=self.talk.language, menu=self._menu)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close_step("")
        talk, left_to = self.talk, destination(self.talk.left_to)
        self._tell(MenuLeft, to=left_to)
        self._keep(
            MenuVisit(
                pbx=talk.call.pbx,
                linkedid=talk.call.linkedid,
                menu=self._menu,
                version=self._version,
                number=talk.number,
                customer_id=talk.customer.id if talk.customer is not None else None,
                language=talk.language,
                entered_at=self.entered,
                left_at=talk.now(),
                left_to=left_to,
                trail=self._steps,
            )
        )

    def step(self, step: Step) -> None:
        """What was heard goes with what is keyed in answer to it."""
        if step.heard:
            self._close_step("")
            self._heard = step
            return
        if self._heard is None:
            self._heard = step
        self._close_step(step.keyed)

    def _close_step(self, keyed: str) -> None:
        step, self._heard = self._heard, None
        if step is None:
            return
        self._tell(
            MenuStep, place=step.place, heard=step.heard, keyed=keyed, language=step.language
        )
        seconds = (step.at - self.entered).total_seconds()
        self._steps.append(VisitStep(seconds, step.place, step.heard, keyed, step.language))

    def _tell(self, kind: type[MenuEntered | MenuStep | MenuLeft], **values: str) -> None:
        call, at = self.talk.call, self.talk.now().timestamp()
        self.office.publish(kind(pbx=call.pbx, call=call.linkedid, at=at, **values))


def destination(to: Destination | None) -> str:
    """Where a call went, as history and signals say it: a queue's name, a number, "message", "fax",
    "goodbye"; "" for a caller who hung up."""
    match to:
        case ToQueue():
            return to.queue
        case ToNumber():
            return to.number
        case ToMessage():
            return "message"
        case ToFax():
            return "fax"
        case HangUp():
            return "goodbye"
    return ""
