"""People: customers, how they are reached, their cards and points, visits and complaints.

Owns the tables' form; the rules are in the module named for each noun.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm_store.models.columns import (
    Channel,
    ContactKind,
    MoveKind,
    RowId,
    SearchText,
    Segment,
    Severity,
    Table,
    VisitState,
)


class Customer(Table):
    """A person. `reference` is the customer's number in the shop's own system, if it has one.

    One that was merged into another stays as a row, and is found no more. So does one that was
    erased: it has no name, and what was theirs says nothing of them.
    """

    __tablename__ = "customers"
    __table_args__ = (
        # Only of those that were: a planner would take an index of all for whoever was not.
        Index(
            "ix_customers_merged_into",
            "merged_into",
            postgresql_where=text("merged_into IS NOT NULL"),
            sqlite_where=text("merged_into IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str]
    name_folded: Mapped[str] = mapped_column(SearchText, index=True)
    language: Mapped[str] = mapped_column(String(20), default="en")
    segment: Mapped[Segment] = mapped_column(default=Segment.ORDINARY)
    preferred_channel: Mapped[Channel | None]
    notes: Mapped[str] = mapped_column(default="")
    reference: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    # No foreign key: SQLite cannot add one to a table that has rows.
    merged_into: Mapped[int | None] = mapped_column(RowId)
    erased_at: Mapped[datetime | None]

    contact_points: Mapped[list[ContactPoint]] = relationship(
        order_by="ContactPoint.id", lazy="raise"
    )
    cards: Mapped[list[Card]] = relationship(order_by="Card.id", lazy="raise")


class ContactPoint(Table):
    """A way to reach a customer. Several customers may share a value; one may have many.

    `trouble` is "", "bounced", "complained" or "invalid". It is proven once the customer has shown
    that it is theirs; `proven_by` says how.
    """

    __tablename__ = "contact_points"
    __table_args__ = (
        UniqueConstraint("customer_id", "kind", "value"),
        Index(None, "kind", "value"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"))
    kind: Mapped[ContactKind]
    value: Mapped[str]
    label: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    trouble: Mapped[str] = mapped_column(String(20), default="")
    trouble_at: Mapped[datetime | None]
    proven_at: Mapped[datetime | None]
    proven_by: Mapped[str] = mapped_column(String(100), default="")


class Card(Table):
    """A member card; its number ends in a check digit and belongs to one customer. `pin_hash` is
    argon2's, None where the customer has no PIN."""

    __tablename__ = "cards"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"), index=True)
    number: Mapped[str] = mapped_column(String(32), unique=True)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    pin_hash: Mapped[str | None]


class PointsEntry(Table):
    """One line of a card's ledger, in hundredths of a point. Never changed, never deleted."""

    __tablename__ = "points_entries"
    __table_args__ = (
        # Both columns, so that a balance is summed from the index alone.
        Index(None, "card_id", "hundredths"),
        CheckConstraint("hundredths <> 0", name="moves_points"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    card_id: Mapped[int] = mapped_column(RowId, ForeignKey("cards.id"))
    hundredths: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    idempotency_key: Mapped[str] = mapped_column(String(200), unique=True)
    made_by: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime]


class CustomerMove(Table):
    """Rows that went from one customer to another, so that it can be undone: `moved` are the row
    numbers by table; `before` the fields of the receiving customer that were filled in."""

    __tablename__ = "customer_moves"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[MoveKind]
    from_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"), index=True)
    to_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"), index=True)
    moved: Mapped[dict[str, list[int]]]
    before: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(default="")
    made_by: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime]
    undone_by: Mapped[str | None] = mapped_column(String(100))
    undone_at: Mapped[datetime | None]


class Visit(Table):
    """A visit of a service manager to a customer, or of the customer to the house."""

    __tablename__ = "visits"
    __table_args__ = (
        Index(None, "customer_id", "planned_for"),
        Index(None, "agent", "state", "planned_for"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(RowId, ForeignKey("customers.id"))
    state: Mapped[VisitState] = mapped_column(default=VisitState.PLANNED)
    planned_for: Mapped[datetime]
    held_at: Mapped[datetime | None]
    place: Mapped[str] = mapped_column(default="")
    purpose: Mapped[str] = mapped_column(default="")
    outcome: Mapped[str] = mapped_column(default="")
    agent: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]


class Complaint(Table):
    """What a customer is not content with. `number` is what people say of it."""

    __tablename__ = "complaints"
    __table_args__ = (Index(None, "customer_id", "filed_at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    interaction_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("interactions.id"))
    category: Mapped[str] = mapped_column(String(100), default="")
    severity: Mapped[Severity] = mapped_column(default=Severity.NORMAL)
    subject: Mapped[str] = mapped_column(default="")
    text: Mapped[str]
    state: Mapped[str] = mapped_column(String(20), default="filed")
    filed_by: Mapped[str] = mapped_column(String(100))
    filed_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
