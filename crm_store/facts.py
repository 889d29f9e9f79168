"""Facts: what happened and must not be forgotten, in the past tense.

Owns their vocabulary. A fact is written in the transaction of the row it speaks of
(`Transaction.emit`), and makes one job for each of its subscribers in that same transaction. Its
fields are plain JSON values: keys of rows, not their contents, so that no personal data is copied.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    def as_data(self) -> dict[str, Any]:
        """The fields as plain values, as the facts and jobs tables hold them."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerCreated(Fact):
    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerChanged(Fact):
    """`fields` names what changed; the values are in the row."""

    customer_id: int
    fields: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerErased(Fact):
    """Nothing says any more who this customer was."""

    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsMoved(Fact):
    """A card's ledger has a new entry of `hundredths` of a point, negative when spent."""

    card_id: int
    entry_id: int
    hundredths: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionOpened(Fact):
    interaction_id: int
    customer_id: int | None
    channel: str
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionClosed(Fact):
    interaction_id: int
    customer_id: int | None
    disposition: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxReceived(Fact):
    """Pages came in by the call `linkedid` of a PBX (crm_store.contacts.faxes says which file)."""

    interaction_id: int
    pbx: str
    linkedid: str
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCreated(Fact):
    """Something is to be done; `kind` is "task" or "callback"."""

    task_id: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFinished(Fact):
    """`state` is "done" or "cancelled"."""

    task_id: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitHeld(Fact):
    visit_id: int
    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintFiled(Fact):
    complaint_id: int
    customer_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomersMoved(Fact):
    """A merge or a split: rows of one customer are another's now, or (`undone`) no longer."""

    move_id: int
    kind: str
    from_id: int
    to_id: int
    undone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequested(Fact):
    """Somebody keeps their place in `queue` and wants to be called."""

    callback_id: int
    task_id: int
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackEnded(Fact):
    """`state` is "done", "given_up", "taken_over" or "cancelled"."""

    callback_id: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuVisited(Fact):
    """A caller's way through a phone menu is over."""

    visit_id: int
    customer_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyAnswered(Fact):
    """A customer has answered `question` with `value`, 1 to 5."""

    survey_id: int
    question: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWanted(Fact):
    """A message waits in the outbox; `channel` says who sends it."""

    message_id: int
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Fact):
    """A customer has written; it is in its conversation, which has changed by it."""

    message_id: int
    conversation_id: int
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWritten(Fact):
    """One of ours, or a note, is in its conversation, which has changed by it; `direction` is
    "outbound" or "internal"."""

    message_id: int
    conversation_id: int
    channel: str
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationChanged(Fact):
    """A conversation changed by something else than a message that came; `what` is "opened",
    "assigned", "queue", "state", "targets", "tags", "subject", "customer", "merged", "split",
    "files" (of a message, later than it) or "taken back"."""

    conversation_id: int
    what: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationClosed(Fact):
    """A conversation is settled, for now."""

    conversation_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryChanged(Fact):
    """What became of a conversation's message on its way out; `state` is crm_store's
    MessageState. Messages without a conversation have no such fact."""

    outbox_id: int
    message_id: int
    conversation_id: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(Fact):
    order_id: int
    customer_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStateChanged(Fact):
    """The order is now `state`, and was `before`."""

    order_id: int
    before: str
    state: str
