"""Two customers become one, or part of one becomes another; and each of it can be undone, exactly.

Owns which rows are a customer's (`OWNED`), how they move together with what belongs to them, and
the record of each move (customer_moves). A merged customer stays as a row that is found no more.
What it cannot move, because the kept one has the same (a telephone number of both), stays with it.
Knows no screen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.orm import aliased

from crm_store import audit, text_search
from crm_store.database import Database, Transaction
from crm_store.facts import CustomersMoved
from crm_store.models import (
    Call,
    Callback,
    Card,
    Channel,
    ChatSession,
    Complaint,
    ContactPoint,
    Conversation,
    Customer,
    CustomerMove,
    HallSession,
    IdentitySuggestion,
    Interaction,
    MenuVisit,
    Message,
    MoveKind,
    Order,
    OutboxMessage,
    Preference,
    Segment,
    Survey,
    Table,
    Task,
    Visit,
)
from crm_store.people.customers import fold_name
from crm_store.people.name_index import index_name
from crm_store.text_search import EntryKind

OWNED: dict[str, type[Table]] = {
    "contact_points": ContactPoint,
    "cards": Card,
    "interactions": Interaction,
    "calls": Call,
    "tasks": Task,
    "visits": Visit,
    "complaints": Complaint,
    "orders": Order,
    "callbacks": Callback,
    "surveys": Survey,
    "menu_visits": MenuVisit,
    "outbox_messages": OutboxMessage,
    "conversations": Conversation,
    "chat_sessions": ChatSession,
    "hall_sessions": HallSession,
    "preferences": Preference,
    "identity_suggestions": IdentitySuggestion,
}
"""The tables whose rows go with a customer, by the name under which a move lists them."""

FIELDS = ("name", "language", "segment", "preferred_channel", "notes", "reference")
"""What a customer has one of: for each a merge keeps one side's."""

_SEARCHED = {
    "interactions": EntryKind.INTERACTION,
    "tasks": EntryKind.TASK,
    "visits": EntryKind.VISIT,
    "complaints": EntryKind.COMPLAINT,
    "orders": EntryKind.ORDER,
}
_CAME_OF_A_CONTACT: dict[str, Any] = {
    "tasks": Task,
    "callbacks": Callback,
    "complaints": Complaint,
    "orders": Order,
    "outbox_messages": OutboxMessage,
    "conversations": Conversation,
}
_TYPES: dict[str, type[Segment | Channel]] = {"segment": Segment, "preferred_channel": Channel}
_ROWS_AT_ONCE = 500


class MoveRefused(Exception):
    """It cannot be done as things stand; nothing was changed. `why` is "same", "merged" (one of
    them was merged away), "missing", "undone" (before), "covered" (a later move is to be undone
    first) or "nothing"."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Move:
    """A merge or split as it was done. `moved` counts rows by table."""

    id: int
    kind: MoveKind
    from_id: int
    to_id: int
    moved: dict[str, int]
    reason: str
    made_by: str
    at: datetime
    undone_by: str | None
    undone_at: datetime | None


# ---- doing ---------------------------------------------------------------------------------------


async def merge(
    transaction: Transaction,
    other_id: int,
    kept_id: int,
    *,
    actor: str,
    fields: Mapping[str, Any] | None = None,
    reason: str = "",
) -> int:
    """All of `other_id` becomes `kept_id`'s; the move's id.

    `fields` are values of FIELDS that the kept one has from now on; what is not given stays, and
    the reference comes over if the kept one has none. Raises MoveRefused.
    """
    if other_id == kept_id:
        raise MoveRefused("same")
    session = transaction.session
    other, kept = await _both(transaction, other_id, kept_id)
    given = {name: value for name, value in (fields or {}).items() if name in FIELDS}
    if kept.reference is None and other.reference is not None:
        given.setdefault("reference", other.reference)
    changed = {
        name: {"before": getattr(kept, name), "after": value}
        for name, value in given.items()
        if getattr(kept, name) != value
    }
    before: dict[str, Any] = {"fields": changed, "other_reference": other.reference}
    taken = changed.get("reference", {}).get("after") == other.reference
    if "reference" in changed and taken:
        # The reference is unique: one hand lets go before the other takes it.
        await _write_fields(transaction, other_id, {"reference": None})
        before["reference_came_over"] = True
    await _write_fields(
        transaction, kept_id, {name: change["after"] for name, change in changed.items()}
    )
    moved = {
        name: list(await session.scalars(select(table.id).where(table.customer_id == other_id)))
        for name, table in _owned()
    }
    moved["contact_points"] = await _movable_ways(transaction, other_id, kept_id)
    moved["preferences"] = await _movable_preferences(transaction, other_id, kept_id)
    await session.execute(
        update(Customer).where(Customer.id == other_id).values(merged_into=kept_id)
    )
    move = CustomerMove(
        kind=MoveKind.MERGE,
        from_id=other_id,
        to_id=kept_id,
        moved=moved,
        before=before,
        reason=reason,
        made_by=actor,
    )
    return await _do(transaction, move)


async def split(
    transaction: Transaction,
    from_id: int,
    to_id: int,
    rows: Mapping[str, Sequence[int]],
    *,
    actor: str,
    reason: str = "",
    is_new: bool = False,
) -> int:
    """These rows of `from_id` are `to_id`'s; the move's id. An interaction takes its call along,
    what was done in its menus and said in its survey, its conversation with its chat, and what came
    of it: tasks, callbacks, complaints, orders, messages. Sessions and preferences stay.

    `is_new` says that `to_id` was made for this: undoing hides it again. Rows that are not
    `from_id`'s are left alone. Raises MoveRefused, also if there is nothing to move.
    """
    if from_id == to_id:
        raise MoveRefused("same")
    session = transaction.session
    await _both(transaction, from_id, to_id)
    wanted = {name: set(rows.get(name, ())) for name, _ in _owned()}
    contacts = await _still_of(transaction, Interaction, wanted["interactions"], from_id)
    for chunk in _chunks(contacts):
        with_call = select(Interaction.call_id).where(
            Interaction.id.in_(chunk), Interaction.call_id.is_not(None)
        )
        wanted["calls"] |= {row_id for row_id in await session.scalars(with_call) if row_id}
        for name, table in _CAME_OF_A_CONTACT.items():
            came_of_it = select(table.id).where(table.interaction_id.in_(chunk))
            wanted[name] |= set(await session.scalars(came_of_it))
        for name, table in (("menu_visits", MenuVisit), ("surveys", Survey)):
            in_the_call = (
                select(table.id)
                .join(Call, (Call.pbx == table.pbx) & (Call.linkedid == table.linkedid))
                .join(Interaction, Interaction.call_id == Call.id)
                .where(Interaction.id.in_(chunk))
            )
            wanted[name] |= set(await session.scalars(in_the_call))
    for chunk in _chunks(wanted["conversations"]):
        chats = select(ChatSession.id).where(ChatSession.conversation_id.in_(chunk))
        wanted["chat_sessions"] |= set(await session.scalars(chats))
    wanted["contact_points"] &= set(await _movable_ways(transaction, from_id, to_id))
    wanted["hall_sessions"] = wanted["preferences"] = wanted["identity_suggestions"] = set()
    moved = {
        name: await _still_of(transaction, table, wanted[name], from_id) for name, table in _owned()
    }
    if not any(moved.values()):
        raise MoveRefused("nothing")
    before = {"fields": {}, "is_new": is_new}
    move = CustomerMove(
        kind=MoveKind.SPLIT, from_id=from_id, to_id=to_id, moved=moved, before=before,
        reason=reason, made_by=actor,
    )  # fmt: skip
    return await _do(transaction, move)


async def undo(transaction: Transaction, move_id: int, *, actor: str) -> Move:
    """Put back what the move moved; what came to the receiving customer since stays there.

    A field that somebody changed since stays as they wrote it. Raises MoveRefused.
    """
    session = transaction.session
    move = await session.get(CustomerMove, move_id, with_for_update=True, populate_existing=True)
    if move is None:
        raise MoveRefused("missing")
    if move.undone_at is not None:
        raise MoveRefused("undone")
    await _lock(transaction, move.from_id, move.to_id)
    if await _is_covered(transaction, move):
        raise MoveRefused("covered")
    back = dict(move.moved)
    # What the giving customer has got again meanwhile stays where it is.
    free = set(await _movable_ways(transaction, move.to_id, move.from_id))
    back["contact_points"] = [row_id for row_id in back.get("contact_points", ()) if row_id in free]
    free = set(await _movable_preferences(transaction, move.to_id, move.from_id))
    back["preferences"] = [row_id for row_id in back.get("preferences", ()) if row_id in free]
    await _move_rows(transaction, back, move.to_id, move.from_id)
    await _put_fields_back(transaction, move)
    if move.kind is MoveKind.MERGE:
        hidden, into = move.from_id, None
    else:
        hidden, into = move.to_id, move.from_id
    if move.kind is MoveKind.MERGE or (
        move.before.get("is_new") and not await _owns_anything(transaction, move.to_id)
    ):
        await session.execute(
            update(Customer).where(Customer.id == hidden).values(merged_into=into)
        )
    move.undone_by = actor
    move.undone_at = datetime.now(UTC)
    await session.flush()
    await _tell(transaction, move, "undone")
    return _move(move)


# ---- asking --------------------------------------------------------------------------------------


async def moves_of(database: Database, customer_id: int, *, limit: int = 20) -> list[Move]:
    """The merges and splits that this customer was part of, the newest first."""
    query = (
        select(CustomerMove)
        .where((CustomerMove.from_id == customer_id) | (CustomerMove.to_id == customer_id))
        .order_by(CustomerMove.id.desc())
        .limit(limit)
    )
    async with database.reading() as session:
        return [_move(row) for row in await session.scalars(query)]


async def parts_of(
    database: Database, customer_id: int, *, limit: int = 100
) -> tuple[list[Interaction], list[ContactPoint], list[Card]]:
    """What of a customer may be another's: the newest interactions, all ways and cards."""
    contacts = (
        select(Interaction)
        .where(Interaction.customer_id == customer_id)
        .order_by(Interaction.opened_at.desc(), Interaction.id.desc())
        .limit(limit)
    )
    ways = select(ContactPoint).where(ContactPoint.customer_id == customer_id)
    cards = select(Card).where(Card.customer_id == customer_id)
    async with database.reading() as session:
        return (
            list(await session.scalars(contacts)),
            list(await session.scalars(ways.order_by(ContactPoint.id))),
            list(await session.scalars(cards.order_by(Card.id))),
        )


async def find(database: Database, move_id: int) -> Move | None:
    async with database.reading() as session:
        row = await session.get(CustomerMove, move_id)
        return _move(row) if row is not None else None


# ---- how -----------------------------------------------------------------------------------------


def _owned() -> list[tuple[str, Any]]:
    return list(OWNED.items())


def _chunks(ids: Collection[int]) -> Iterator[list[int]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _ROWS_AT_ONCE):
        yield ordered[start : start + _ROWS_AT_ONCE]


async def _still_of(
    transaction: Transaction, table: Any, ids: Collection[int], customer_id: int
) -> list[int]:
    """Those of the rows that are this customer's."""
    found: list[int] = []
    for chunk in _chunks(ids):
        query = select(table.id).where(table.id.in_(chunk), table.customer_id == customer_id)
        found += await transaction.session.scalars(query)
    return found


async def _lock(transaction: Transaction, *customer_ids: int) -> dict[int, Customer]:
    # In one order, so that two moves at once cannot wait for each other.
    rows = await transaction.session.scalars(
        select(Customer)
        .where(Customer.id.in_(customer_ids))
        .order_by(Customer.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in rows}


async def _both(transaction: Transaction, first: int, second: int) -> tuple[Customer, Customer]:
    rows = await _lock(transaction, first, second)
    if len(rows) != 2:
        raise MoveRefused("missing")
    if any(row.merged_into is not None for row in rows.values()):
        raise MoveRefused("merged")
    return rows[first], rows[second]


async def _movable_ways(transaction: Transaction, from_id: int, to_id: int) -> list[int]:
    """The contact points that the receiving customer does not have already."""
    theirs = aliased(ContactPoint)
    known = exists().where(
        theirs.customer_id == to_id,
        theirs.kind == ContactPoint.kind,
        theirs.value == ContactPoint.value,
    )
    query = select(ContactPoint.id).where(ContactPoint.customer_id == from_id, ~known)
    return list(await transaction.session.scalars(query))


async def _movable_preferences(transaction: Transaction, from_id: int, to_id: int) -> list[int]:
    """What the receiving customer has said nothing about."""
    theirs = aliased(Preference)
    said = exists().where(
        theirs.customer_id == to_id,
        theirs.subject == Preference.subject,
        theirs.channel == Preference.channel,
    )
    query = select(Preference.id).where(Preference.customer_id == from_id, ~said)
    return list(await transaction.session.scalars(query))


async def _do(transaction: Transaction, move: CustomerMove) -> int:
    await _move_rows(transaction, move.moved, move.from_id, move.to_id)
    move.moved = {name: ids for name, ids in move.moved.items() if ids}
    move.at = datetime.now(UTC)
    transaction.session.add(move)
    await transaction.session.flush()
    await _tell(transaction, move, "merged" if move.kind is MoveKind.MERGE else "split")
    return move.id


async def _move_rows(
    transaction: Transaction, moved: Mapping[str, Sequence[int]], from_id: int, to_id: int
) -> None:
    session = transaction.session
    for name, table in _owned():
        ids = list(moved.get(name, ()))
        for chunk in _chunks(ids):
            await session.execute(
                update(table)
                .where(table.id.in_(chunk), table.customer_id == from_id)
                .values(customer_id=to_id)
            )
        if ids and name in _SEARCHED:
            await text_search.assign(transaction, _SEARCHED[name], ids, to_id)
    for chunk in _chunks(moved.get("conversations", ())):
        written = (
            select(Message.id)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(Conversation.id.in_(chunk), Conversation.customer_id == to_id)
        )
        message_ids = list(await session.scalars(written))
        await text_search.assign(transaction, EntryKind.MESSAGE, message_ids, to_id)


async def _is_covered(transaction: Transaction, move: CustomerMove) -> bool:
    """Whether a later move took the same rows or fields on, or one of the two customers away."""
    later = await transaction.session.scalars(
        select(CustomerMove).where(
            CustomerMove.id > move.id,
            CustomerMove.undone_at.is_(None),
            CustomerMove.from_id.in_([move.from_id, move.to_id])
            | CustomerMove.to_id.in_([move.from_id, move.to_id]),
        )
    )
    for other in later:
        if other.kind is MoveKind.MERGE and other.from_id in (move.from_id, move.to_id):
            return True
        if any(set(ids) & set(move.moved.get(name, ())) for name, ids in other.moved.items()):
            return True
        if set(other.before["fields"]) & set(move.before["fields"]):
            return True
    return False


async def _put_fields_back(transaction: Transaction, move: CustomerMove) -> None:
    receiving = await transaction.session.get(Customer, move.to_id, populate_existing=True)
    assert receiving is not None
    back = {
        name: change["before"]
        for name, change in move.before["fields"].items()
        if getattr(receiving, name) == change["after"]
    }
    await _write_fields(transaction, move.to_id, back)
    if move.before.get("reference_came_over") and "reference" in back:
        await _write_fields(
            transaction, move.from_id, {"reference": move.before["other_reference"]}
        )


async def _write_fields(
    transaction: Transaction, customer_id: int, values: Mapping[str, Any]
) -> None:
    if not values:
        return
    stored = {
        name: _TYPES[name](value) if name in _TYPES and value is not None else value
        for name, value in values.items()
    }
    if "name" in stored:
        stored["name_folded"] = fold_name(stored["name"])
    await transaction.session.execute(
        update(Customer)
        .where(Customer.id == customer_id)
        .values(**stored, updated_at=datetime.now(UTC))
    )
    if "name" in stored:
        await index_name(transaction, customer_id, stored["name"])


async def _owns_anything(transaction: Transaction, customer_id: int) -> bool:
    for _, table in _owned():
        query = select(table.id).where(table.customer_id == customer_id).limit(1)
        if await transaction.session.scalar(query) is not None:
            return True
    return False


async def _tell(transaction: Transaction, move: CustomerMove, action: str) -> None:
    actor = move.undone_by or move.made_by
    for customer_id in (move.from_id, move.to_id):
        await audit.record(
            transaction,
            actor=actor,
            action=action,
            subject_kind="customer",
            subject_id=customer_id,
            fields=sorted({*move.moved, *move.before["fields"]}),
            reason=f"move {move.id}",
        )
    await transaction.emit(
        CustomersMoved(
            move_id=move.id,
            kind=move.kind.value,
            from_id=move.from_id,
            to_id=move.to_id,
            undone=action == "undone",
        )
    )


def _move(row: CustomerMove) -> Move:
    return Move(
        id=row.id,
        kind=row.kind,
        from_id=row.from_id,
        to_id=row.to_id,
        moved={name: len(ids) for name, ids in row.moved.items()},
        reason=row.reason,
        made_by=row.made_by,
        at=row.at,
        undone_by=row.undone_by,
        undone_at=row.undone_at,
    )
