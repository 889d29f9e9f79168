"""What the store keeps of a person: which rows of which tables, and what of them is personal.

Owns the list of all tables that can hold something of a customer (`PARTS`), how their rows are
found, and what is wiped of them when the person is erased. A table that is in neither list here
fails a test: nobody can add one and forget it. Changes nothing itself: see personal_data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, String, and_, bindparam, case, cast, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm_store.models import (
    AnswerDraft,
    Attachment,
    Call,
    Callback,
    Card,
    ChatSession,
    Complaint,
    ContactKind,
    ContactPoint,
    Conversation,
    ConversationState,
    Customer,
    CustomerMove,
    HallSession,
    IdentitySuggestion,
    Interaction,
    MenuVisit,
    Message,
    OptOut,
    Order,
    OrderLine,
    OrderStateEntry,
    OutboxMessage,
    PointsEntry,
    Preference,
    Recording,
    ScriptRun,
    Segment,
    SignInCode,
    SmsPart,
    Survey,
    SurveyAnswer,
    Table,
    Task,
    UtcDateTime,
    Visit,
    WrapUp,
)
from crm_store.signals import Direction

ROWS_AT_ONCE = 500

NOTHING: Final[Mapping[str, Any]] = {}
"""Wiped of a row that stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A table that holds something of a person.

    Its rows are those of the person's own (`owner`, columns with a customer's number), and those
    that hang on other rows of theirs (`links`: a column and the part whose numbers it holds) or
    carry an address that only they have (`addresses`: columns), unless they are somebody else's.
    `wiped` says what remains of which column after erasing, None that the rows are deleted.
    `hidden` are columns of the machinery, which no export tells.
    """

    table: type[Table]
    owner: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    addresses: Sequence[str] = ()
    wiped: Mapping[str, Any] | None = None
    hidden: Collection[str] = ()

    @property
    def name(self) -> str:
        return str(self.table.__tablename__)


@dataclass(frozen=True, slots=True)
class PersonalRows:
    """A person: their numbers as a customer, the addresses that nobody else has (of any kind), and
    the primary keys of their rows by table."""

    customer_ids: list[int]
    addresses: list[str]
    keys: dict[str, list[tuple[Any, ...]]]

    def ids(self, name: str) -> list[int]:
        """The numbers of the rows of a table that has such."""
        return [key[0] for key in self.keys.get(name, ())]


ERASED_AT: Final = "erased_at"
"""The parameter that a wiping statement takes: the moment."""

_NOW = bindparam(ERASED_AT, type_=UtcDateTime())
_OURS_IS_KEPT = {
    "caller": case((Call.direction == Direction.OUTBOUND, Call.caller), else_=""),
    "callee": case((Call.direction == Direction.OUTBOUND, ""), else_=Call.callee),
}
_CUSTOMER = ("customer_id",)

PARTS: Final = (
    Part(
        table=Customer,
        owner=("id", "merged_into"),
        wiped={
            "erased_at": func.coalesce(Customer.erased_at, _NOW),
            "name": "#" + cast(Customer.id, String),
            "name_folded": "",
            "language": "en",
            "segment": Segment.ORDINARY,
            "preferred_channel": None,
            "notes": "",
            "reference": None,
        },
        hidden=("name_folded",),
    ),
    Part(table=ContactPoint, owner=_CUSTOMER),
    Part(
        table=Card,
        owner=_CUSTOMER,
        wiped={
            "number": "#" + cast(Card.id, String),
            "pin_hash": None,
            "closed_at": func.coalesce(Card.closed_at, _NOW),
        },
        hidden=("pin_hash",),
    ),
    Part(table=PointsEntry, links={"card_id": "cards"}, wiped=NOTHING),
    Part(table=Call, owner=_CUSTOMER, addresses=("caller", "callee"), wiped=_OURS_IS_KEPT),
    Part(
        table=Interaction,
        owner=_CUSTOMER,
        links={"call_id": "calls"},
        addresses=("address",),
        wiped={"address": "", "summary": "", "note": "", "keyed": []},
    ),
    Part(table=WrapUp, links={"interaction_id": "interactions"}, wiped={"note": ""}),
    Part(table=ScriptRun, links={"interaction_id": "interactions"}, wiped={"answers": {}}),
    Part(
        table=Conversation,
        owner=_CUSTOMER,
        links={"interaction_id": "interactions"},
        addresses=("address",),
        wiped={
            "subject": "",
            "address": "",
            "preview": "",
            "tags": [],
            "state": case(
                (Conversation.state == ConversationState.SPAM, ConversationState.SPAM.value),
                else_=ConversationState.CLOSED.value,
            ),
            "closed_at": func.coalesce(Conversation.closed_at, _NOW),
            "waiting_since": None,
            "snoozed_until": None,
            "version": Conversation.version + 1,
        },
    ),
    Part(
        table=Message,
        links={"conversation_id": "conversations"},
        wiped={
            "message_id": "",
            "sender": "",
            "sender_name": "",
            "recipients": [],
            "subject": "",
            "text": "",
            "quoted": "",
            "html": "",
            "raw_file": "",
            "problems": [],
        },
        hidden=("raw_file",),
    ),
    Part(
        table=Attachment,
        links={"message_id": "messages"},
        hidden=("file", "sha256", "content_id"),
    ),
    Part(table=AnswerDraft, links={"conversation_id": "conversations"}),
    Part(
        table=ChatSession,
        owner=_CUSTOMER,
        links={"conversation_id": "conversations"},
        addresses=("mail", "phone"),
        wiped={
            "token_hash": "#" + cast(ChatSession.id, String),
            "name": "",
            "mail": "",
            "phone": "",
            "page": "",
            "page_title": "",
            "transcript_to": "",
        },
        hidden=("token_hash",),
    ),
    Part(
        table=IdentitySuggestion,
        owner=("customer_id", "other_id"),
        links={"conversation_id": "conversations"},
    ),
    Part(
        table=Task,
        owner=_CUSTOMER,
        links={"interaction_id": "interactions"},
        addresses=("number",),
        wiped={"title": "–", "text": "", "number": "", "outcome": ""},
    ),
    Part(
        table=Callback,
        owner=_CUSTOMER,
        links={"task_id": "tasks"},
        addresses=("number",),
        wiped={"number": "", "name": "", "outcome": ""},
    ),
    Part(table=Visit, owner=_CUSTOMER, wiped={"place": "", "purpose": "", "outcome": ""}),
    Part(
        table=Complaint,
        owner=_CUSTOMER,
        links={"interaction_id": "interactions"},
        wiped={"subject": "", "text": ""},
    ),
    Part(table=Order, owner=_CUSTOMER, wiped=NOTHING, hidden=("idempotency_key",)),
    Part(table=OrderLine, links={"order_id": "orders"}, wiped=NOTHING),
    Part(table=OrderStateEntry, links={"order_id": "orders"}, wiped=NOTHING),
    Part(table=Survey, owner=_CUSTOMER, addresses=("number",), wiped={"number": ""}),
    Part(table=SurveyAnswer, links={"survey_id": "surveys"}, wiped=NOTHING),
    Part(
        table=MenuVisit,
        owner=_CUSTOMER,
        addresses=("number",),
        wiped={"number": "", "trail": []},
    ),
    Part(
        table=OutboxMessage,
        owner=_CUSTOMER,
        links={"message_id": "messages", "interaction_id": "interactions"},
        addresses=("recipient",),
        wiped={
            "recipient": "",
            "subject": "",
            "text": "",
            "html": "",
            "headers": {},
            "attachment_ids": [],
            "error": "",
        },
        hidden=("idempotency_key", "claimed_by", "claimed_until", "provider_id"),
    ),
    Part(table=HallSession, owner=_CUSTOMER, hidden=("token_hash", "csrf_token")),
    Part(table=Preference, owner=_CUSTOMER),
    Part(
        table=CustomerMove,
        owner=("from_id", "to_id"),
        wiped={"before": {"fields": {}}, "reason": ""},
        hidden=("moved", "before"),
    ),
    Part(table=SignInCode, addresses=("value",), hidden=("code_hash",)),
    Part(table=SmsPart, addresses=("sender",)),
    # Whoever wanted to hear nothing more must not hear from us because we forgot it.
    Part(table=OptOut, addresses=("address",), wiped=NOTHING),
)
"""In an order in which each part comes after those that it hangs on."""

NOTHING_PERSONAL: Final = frozenset(
    [
        "agent_queues",
        "agent_skills",
        "agent_state_entries",
        "agents",
        "article_flags",
        "article_texts",
        "article_votes",
        "articles",
        "audit_entries",
        "canned_texts",
        "desk_sessions",
        "dispositions",
        "facts",
        "guesses",
        "house_facts",
        "inbox_rules",
        "installation_secrets",
        "jobs",
        "mentions",
        "missed_rings",
        "opening_calendars",
        "pause_reasons",
        "phone_menu_versions",
        "phone_menus",
        "products",
        "promotions",
        "prompt_recordings",
        "prompt_texts",
        "queue_dispositions",
        "queue_skills",
        "queues",
        "script_versions",
        "scripts",
        "skills",
        "stock",
        "stock_places",
    ]
)
"""Tables that hold nothing of customers, or only numbers of their rows, or digests that expire."""

HELD_OTHERWISE: Final = frozenset({"recordings", "search_entries"})
"""Tables whose rows personal_data finds in a way of their own."""


async def rows_of(session: AsyncSession, customer_ids: Sequence[int]) -> PersonalRows:
    """Everything that is kept of this person; `customer_ids` are all that they are (see
    customers.same_person)."""
    found = PersonalRows(list(customer_ids), await _own_addresses(session, customer_ids), {})
    for part in PARTS:
        keys = _key_columns(part)
        rows: dict[tuple[Any, ...], None] = {}
        for condition in _conditions(part, found):
            query = select(*keys).where(condition).order_by(*keys)
            rows |= dict.fromkeys(tuple(row) for row in await session.execute(query))
        found.keys[part.name] = sorted(rows)
    return found


def chosen(part: Part, found: PersonalRows) -> Iterator[ColumnElement[bool]]:
    """Conditions that together hold for the person's rows of this part."""
    keys = _key_columns(part)
    for chunk in chunks(found.keys[part.name]):
        if len(keys) == 1:
            yield keys[0].in_([key[0] for key in chunk])
        else:
            yield or_(
                *(
                    and_(*(column == value for column, value in zip(keys, key, strict=True)))
                    for key in chunk
                )
            )


def chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """In pieces that a statement can hold."""
    for start in range(0, len(values), ROWS_AT_ONCE):
        yield values[start : start + ROWS_AT_ONCE]


def recordings_of(call_ids: Sequence[int]) -> ColumnElement[bool]:
    """The recordings of these calls."""
    return Recording.id.in_(
        select(Recording.id)
        .join(Call, (Call.pbx == Recording.pbx) & (Call.linkedid == Recording.linkedid))
        .where(Call.id.in_(call_ids))
    )


async def _own_addresses(session: AsyncSession, customer_ids: Sequence[int]) -> list[str]:
    """The numbers and addresses that are no other customer's too."""
    others = aliased(ContactPoint)
    shared = (
        select(others.id)
        .where(others.kind == ContactPoint.kind, others.value == ContactPoint.value)
        .where(others.customer_id.not_in(customer_ids))
        .exists()
    )
    query = (
        select(ContactPoint.value)
        .where(ContactPoint.customer_id.in_(customer_ids), ~shared)
        .where(ContactPoint.kind != ContactKind.OTHER, ContactPoint.value != "")
    )
    return sorted(set(await session.scalars(query)))


def _conditions(part: Part, found: PersonalRows) -> Iterator[ColumnElement[bool]]:
    table: Any = part.table
    for name in part.owner:
        yield getattr(table, name).in_(found.customer_ids)
    nobodys = table.customer_id.is_(None) if "customer_id" in part.owner else ~false()
    for name, parent in part.links.items():
        for chunk in chunks(found.ids(parent)):
            yield and_(getattr(table, name).in_(chunk), nobodys)
    for name in part.addresses:
        for chunk in chunks(found.addresses):
            yield and_(getattr(table, name).in_(chunk), nobodys)


def _key_columns(part: Part) -> list[Any]:
    table: Any = part.table.__table__
    return list(table.primary_key.columns)
