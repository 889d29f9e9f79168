"""Inbox rules: when something is written ... if it is so ... then do that; as supervisors set them.

Owns the rules' rows, their order, and the undoing of a rule's last change. What a condition or an
action means is the channels': here they are plain values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import InboxRule, RuleMoment

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRule:
    """A rule as a supervisor sets it; channels/rules.py reads its conditions and actions."""

    name: str
    moment: RuleMoment
    conditions: Sequence[Mapping[str, Any]]
    actions: Sequence[Mapping[str, Any]]
    active: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRecord:
    """A rule as it stands. `hits` counts what it held for; `can_undo` says that its last change
    can be taken back."""

    id: int
    name: str
    position: int
    active: bool
    moment: RuleMoment
    conditions: list[dict[str, Any]]
    actions: list[dict[str, Any]]
    made_by: str
    changed_at: datetime
    hits: int
    can_undo: bool


# ---- reading -------------------------------------------------------------------------------------


async def all_rules(database: Database) -> list[RuleRecord]:
    """All rules, in the order in which they are asked."""
    async with database.reading() as session:
        return [_record(row) for row in await session.scalars(_in_order())]


async def active_rules(session: AsyncSession, moment: RuleMoment) -> list[RuleRecord]:
    """The rules that are on and asked at that moment, in their order."""
    query = _in_order().where(InboxRule.active, InboxRule.moment == moment)
    return [_record(row) for row in await session.scalars(query)]


async def find(database: Database, rule_id: int) -> RuleRecord | None:
    async with database.reading() as session:
        row = await session.get(InboxRule, rule_id)
        return _record(row) if row is not None else None


# ---- changing ------------------------------------------------------------------------------------


async def add(transaction: Transaction, new: NewRule, *, actor: str) -> int:
    """Write a new rule, to be asked last; its id. Raises ValueError for an empty name."""
    session = transaction.session
    last = await session.scalar(select(func.max(InboxRule.position)))
    rule_id: int | None = await session.scalar(
        insert(InboxRule)
        .values(
            **_values(new),
            position=0 if last is None else last + 1,
            made_by=actor,
            changed_at=datetime.now(UTC),
        )
        .returning(InboxRule.id)
    )
    assert rule_id is not None
    await _record_change(transaction, rule_id, actor, "created", list(_values(new)))
    return rule_id


async def change(transaction: Transaction, rule_id: int, new: NewRule, *, actor: str) -> bool:
    """Set the rule anew; False if it is so already. Raises LookupError, ValueError."""
    row = await _locked(transaction, rule_id)
    return await _set(transaction, row, _values(new), actor)


async def set_active(transaction: Transaction, rule_id: int, active: bool, *, actor: str) -> bool:
    """Switch it on or off; False if it is so already. Raises LookupError."""
    row = await _locked(transaction, rule_id)
    return await _set(transaction, row, {"active": active}, actor)


async def undo(transaction: Transaction, rule_id: int, *, actor: str) -> bool:
    """Take its last change back; once more, and it is there again. False for a rule that was never
    changed. Raises LookupError."""
    row = await _locked(transaction, rule_id)
    values = {name: value for name, value in row.before.items() if name in _SET}
    if "moment" in values:
        values["moment"] = RuleMoment(values["moment"])
    return await _set(transaction, row, values, actor)


async def order(transaction: Transaction, rule_ids: Sequence[int], *, actor: str) -> None:
    """Ask them in this order; those that are not named follow as they did."""
    session = transaction.session
    rows = list(await session.scalars(_in_order().with_for_update()))
    places = {rule_id: place for place, rule_id in enumerate(rule_ids)}
    rows.sort(key=lambda row: places.get(row.id, len(places)))
    for position, row in enumerate(rows):
        row.position = position
    await session.flush()
    for rule_id in rule_ids:
        await _record_change(transaction, rule_id, actor, "changed", ["position"])


async def delete(transaction: Transaction, rule_id: int, *, actor: str) -> None:
    """Raises LookupError if there is no such rule."""
    gone = await transaction.session.scalar(
        sql_delete(InboxRule).where(InboxRule.id == rule_id).returning(InboxRule.id)
    )
    if gone is None:
        raise LookupError(f"there is no rule {rule_id}")
    await _record_change(transaction, rule_id, actor, "deleted", [])


async def count_hits(transaction: Transaction, hits: Mapping[int, int]) -> None:
    """These rules (by their ids) held so many times more."""
    # In one order, so that two who count at once cannot wait for each other.
    for rule_id in sorted(hits):
        await transaction.session.execute(
            update(InboxRule)
            .where(InboxRule.id == rule_id)
            .values(hits=InboxRule.hits + hits[rule_id])
        )


# ---- how -----------------------------------------------------------------------------------------

_SET = ("name", "active", "moment", "conditions", "actions")


def _in_order() -> Any:
    return select(InboxRule).order_by(InboxRule.position, InboxRule.id)


def _values(new: NewRule) -> dict[str, Any]:
    name = " ".join(new.name.split())[:LONGEST_NAME]
    if not name:
        raise ValueError("a rule has a name")
    return {
        "name": name,
        "active": new.active,
        "moment": new.moment,
        "conditions": [dict(one) for one in new.conditions],
        "actions": [dict(one) for one in new.actions],
    }


async def _set(
    transaction: Transaction, row: InboxRule, values: Mapping[str, Any], actor: str
) -> bool:
    before = {name: getattr(row, name) for name in _SET}
    fields = [name for name, value in values.items() if before[name] != value]
    if not fields:
        return False
    for name in fields:
        setattr(row, name, values[name])
    row.before = before | {"moment": before["moment"].value}
    row.made_by = actor
    row.changed_at = datetime.now(UTC)
    await transaction.session.flush()
    await _record_change(transaction, row.id, actor, "changed", fields)
    return True


async def _locked(transaction: Transaction, rule_id: int) -> InboxRule:
    row = await transaction.session.get(
        InboxRule, rule_id, with_for_update=True, populate_existing=True
    )
    if row is None:
        raise LookupError(f"there is no rule {rule_id}")
    return row


async def _record_change(
    transaction: Transaction, rule_id: int, actor: str, action: str, fields: Sequence[str]
) -> None:
    await audit.record(
        transaction,
        actor=actor,
        action=action,
        subject_kind="inbox_rule",
        subject_id=rule_id,
        fields=fields,
    )


def _record(row: InboxRule) -> RuleRecord:
    return RuleRecord(
        id=row.id,
        name=row.name,
        position=row.position,
        active=row.active,
        moment=row.moment,
        conditions=row.conditions,
        actions=row.actions,
        made_by=row.made_by,
        changed_at=row.changed_at,
        hits=row.hits,
        can_undo=bool(row.before),
    )
